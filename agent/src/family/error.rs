//! Why a family of checkpoints cannot be used.

/// Why a family of checkpoints cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FamilyError {
    /// There is none of that name.
    #[error("there is no family `{name}`")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// There is no way of asking of that name.
    #[error("config.json names the prompt profile `{name}`, which is unknown")]
    UnknownProfile {
        /// The name.
        name: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    Read {
        /// Which, and why.
        source: std::io::Error,
    },
    /// A file is too large to be one.
    #[error("`{file}` is larger than the {limit} bytes a family's file may have")]
    TooLarge {
        /// The file.
        file: String,
        /// The most bytes allowed.
        limit: u64,
    },
    /// A file is nested too deeply to be one.
    #[error("`{file}` does not describe a family: more than {limit} brackets stand in each other")]
    TooDeep {
        /// The file.
        file: String,
        /// The deepest nesting allowed.
        limit: usize,
    },
    /// A file is not of the form of a family.
    #[error("`{file}` does not describe a family")]
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
    /// The family has no prompt for what is asked of it.
    #[error("the family `{family}` was not made to {task}")]
    CannotDo {
        /// The family.
        family: String,
        /// What it cannot do.
        task: &'static str,
    },
}

impl FamilyError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { known, .. } => Some(format!(
                "the families are {}; or name a file that ends in .toml",
                known.join(", ")
            )),
            Self::UnknownProfile { .. } => {
                Some("choose one with `--family`, or use a newer version of handsight".to_owned())
            }
            Self::CannotDo { .. } => Some(
                "choose another model, or with `--family` the one this checkpoint was trained for"
                    .to_owned(),
            ),
            Self::Read { .. }
            | Self::TooLarge { .. }
            | Self::TooDeep { .. }
            | Self::Toml { .. }
            | Self::Invalid { .. } => Some(
                "a family is one small .toml file such as those in `agent/src/family`, which \
                 `--family` names"
                    .to_owned(),
            ),
        }
    }
}
