//! Why a benchmark's prompt cannot be used.

/// Why a benchmark's prompt cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchmarkPromptError {
    /// There is none of that name.
    #[error("there is no benchmark prompt `{name}`")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// A file could not be read.
    #[error(transparent)]
    Read {
        /// Which, and why.
        source: std::io::Error,
    },
    /// A file is too large to be one.
    #[error("`{file}` is larger than the {limit} bytes a benchmark prompt may have")]
    TooLarge {
        /// The file.
        file: String,
        /// The most bytes allowed.
        limit: u64,
    },
    /// A file is not of the form of a prompt.
    #[error("`{file}` does not describe a benchmark prompt")]
    Toml {
        /// The file.
        file: String,
        /// What is wrong, with its line.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value in a file makes no sense.
    #[error("`{file}`: `{field}` {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl BenchmarkPromptError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { known, .. } => Some(format!(
                "the prompts are {}; or name a file that ends in .toml",
                known.join(", ")
            )),
            Self::Read { .. } => None,
            Self::TooLarge { .. } | Self::Toml { .. } | Self::Invalid { .. } => Some(
                "a benchmark prompt is one small .toml file such as those in \
                 `agent/src/benchmark_prompt`"
                    .to_owned(),
            ),
        }
    }
}
