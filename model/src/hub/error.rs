//! Why a model could not be fetched or found.

use std::io;

/// An error of the hub or its cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The text is no name of a model.
    #[error("`{text}` is not the name of a model: {problem}")]
    Name {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nobody said where the cache is, and the user has no home folder.
    #[error("there is no home folder to keep models in")]
    NoCache,
    /// The model is not in the cache.
    #[error("model `{name}` has not been pulled")]
    NotPulled {
        /// The name as it was given.
        name: String,
    },
    /// Only a part of the model is in the cache.
    #[error("model `{name}` has not been pulled wholly: {missing} is missing")]
    Incomplete {
        /// The name as it was given.
        name: String,
        /// The first file that is missing.
        missing: String,
    },
    /// The cached repository has several weights files, and none was named.
    #[error("model `{name}` has several GGUF files: {}", .files.join(", "))]
    Ambiguous {
        /// The name as it was given.
        name: String,
        /// The files.
        files: Vec<String>,
    },
    /// A file or folder of the cache could not be used.
    #[error("the cache of models could not be used")]
    Cache {
        /// What the operating system said; names the file.
        #[source]
        source: io::Error,
    },
}

impl From<io::Error> for HubError {
    fn from(source: io::Error) -> Self {
        Self::Cache { source }
    }
}

impl HubError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Name { .. } => "a name is `qwen2.5-vl-3b` or another short name, or \
                                  `org/name`, with `@revision` if it is to be a certain one"
                .to_owned(),
            Self::NoCache => "set HF_HOME to a folder".to_owned(),
            Self::NotPulled { name } | Self::Incomplete { name, .. } => {
                format!("`handsight models pull {name}` fetches it")
            }
            Self::Ambiguous { name, files } => {
                let file = files.first().map_or("FILE.gguf", String::as_str);
                format!("name one of them, such as `{name}:{file}`")
            }
            Self::Cache { .. } => return None,
        };
        Some(hint)
    }
}
