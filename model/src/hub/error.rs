//! Why a model could not be fetched or found.

use std::io;
use std::path::PathBuf;

/// An error of the hub or its cache.
///
/// Names and texts that came over the network hold no control characters. The token is in none.
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
    /// The repository has several weights files, and none was named.
    #[error("model `{name}` has several GGUF files: {}", listed(.files))]
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
    /// The options of the hub cannot be used.
    #[error("{what} cannot be used: {problem}")]
    Option {
        /// Which option.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The network is not to be used, and the model is not here.
    #[error("model `{name}` is not in the cache, and the network is not to be used")]
    Offline {
        /// The name as it was given.
        name: String,
    },
    /// The server could not be reached, or fell silent.
    #[error("could not talk to {host}")]
    Unreachable {
        /// Whom.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection ended before the file did.
    #[error("{host} sent {received} of {expected} bytes of `{file}`")]
    Cut {
        /// Who.
        host: String,
        /// The file's name in the repository.
        file: String,
        /// Bytes of the file that are here.
        received: u64,
        /// The file's size.
        expected: u64,
    },
    /// The server has no such model, or hides it.
    #[error("{host} has no model `{repo}`, or not for everybody")]
    NoSuchModel {
        /// Who.
        host: String,
        /// The repository.
        repo: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The server has the model, but not this revision.
    #[error("model `{repo}` has no revision `{revision}`")]
    NoSuchRevision {
        /// The repository.
        repo: String,
        /// The revision.
        revision: String,
    },
    /// The repository has no such file.
    #[error("model `{repo}` has no file `{file}`")]
    NoSuchFile {
        /// The repository.
        repo: String,
        /// The file.
        file: String,
        /// Files that could have been meant.
        similar: Vec<String>,
    },
    /// The server knows who asks, or wants to, and refuses.
    #[error("{host} does not give out `{repo}` (status {status}){}", detail(.message))]
    Refused {
        /// Who.
        host: String,
        /// The repository.
        repo: String,
        /// 401 or 403.
        status: u16,
        /// What the server said, if anything.
        message: String,
        /// Where the model's page is.
        page: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The server answered with another status than was hoped for.
    #[error("{host} answered with status {status} when asked for {what}{}", detail(.message))]
    Status {
        /// Who.
        host: String,
        /// The status.
        status: u16,
        /// What was asked for.
        what: String,
        /// What the server said, if anything.
        message: String,
        /// How long it wants to be left alone, in seconds.
        retry_after: Option<u64>,
    },
    /// The server sends us on in a way that is not followed.
    #[error("{host} redirects {problem}")]
    Redirect {
        /// Who.
        host: String,
        /// How.
        problem: String,
    },
    /// The repository's listing, or an answer about one of its files, cannot be trusted.
    #[error("{host} describes `{repo}` in a way that cannot be used: {problem}")]
    Listing {
        /// Who.
        host: String,
        /// The repository.
        repo: String,
        /// What is wrong, with the value.
        problem: String,
    },
    /// The repository holds nothing that can be run.
    #[error("model `{repo}` has no weights in safetensors or GGUF files")]
    NoWeights {
        /// The repository.
        repo: String,
    },
    /// A file arrived, but it is not the one that was promised.
    #[error("`{file}` arrived damaged: its checksum is {found}, not {expected}")]
    Checksum {
        /// The file's name in the repository.
        file: String,
        /// The checksum the hub gave.
        expected: String,
        /// The checksum of what arrived.
        found: String,
    },
    /// The disk is too small.
    #[error(
        "`{}` has {available} bytes free, and {needed} more are needed", .dir.display()
    )]
    Space {
        /// Where.
        dir: PathBuf,
        /// Bytes that are still to be fetched.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// Another program is at work on the model.
    #[error("model `{name}` is being pulled by another program")]
    Busy {
        /// The name as it was given.
        name: String,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Cancelled,
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
            Self::Offline { .. } => {
                "unset HF_HUB_OFFLINE, or copy the model into the cache from another machine"
                    .to_owned()
            }
            Self::Unreachable { .. } => {
                "check the connection, and HF_ENDPOINT and HTTPS_PROXY if they are set; the same \
                 command goes on where it stopped"
                    .to_owned()
            }
            Self::NoSuchModel { with_token: false, .. } => {
                "check the name; a private model needs a token in HF_TOKEN".to_owned()
            }
            Self::NoSuchModel { .. } => {
                "check the name, and that the token in HF_TOKEN may see the model".to_owned()
            }
            Self::NoSuchRevision { repo, .. } => {
                format!("`{repo}` alone is its newest revision")
            }
            Self::NoSuchFile { similar, .. } if !similar.is_empty() => {
                format!("it has: {}", listed(similar))
            }
            Self::Refused { with_token: false, page, .. } => format!(
                "accept the model's terms at {page}, then put a token of that account into HF_TOKEN"
            ),
            Self::Refused { status: 401, .. } => {
                "the token in HF_TOKEN is not accepted: it may have expired".to_owned()
            }
            Self::Refused { page, .. } => {
                format!("accept the model's terms at {page} with the account of the token")
            }
            Self::Status { status: 429 | 500.., .. } => {
                "try again later; the same command goes on where it stopped".to_owned()
            }
            Self::Listing { .. } | Self::Redirect { .. } => {
                "if HF_ENDPOINT names a mirror, ask who runs it".to_owned()
            }
            Self::NoWeights { .. } => "look for a repository with the converted weights".to_owned(),
            Self::Checksum { .. } => {
                "it was not kept; pull again, and if it happens again distrust the network or \
                 the mirror"
                    .to_owned()
            }
            Self::Space { .. } => {
                "make room, or set HF_HUB_CACHE to a folder on a larger disk; what was fetched \
                 is kept"
                    .to_owned()
            }
            Self::Busy { .. } => "wait until it is done".to_owned(),
            Self::Cut { .. } | Self::Cancelled => {
                "the same command goes on where it stopped".to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }

    /// Whether the same question may have a better answer a moment later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Cut { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502..=504),
            _ => false,
        }
    }
}

/// Some names as a text.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
