//! Why a server did not answer.

use std::time::Duration;

/// An error from a model that a server runs. Messages name the server, and never its key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The address cannot be used. It is not repeated, since it may hold a password.
    #[error("the address of the server cannot be used: {problem}")]
    Address {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The server cannot be reached.
    #[error("`{server}` cannot be reached: {problem}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// What the system said.
        problem: String,
    },
    /// The server wants a key, or another one.
    #[error("`{server}` does not accept the key (status {status}){said}")]
    Unauthorized {
        /// The server's address.
        server: String,
        /// The status of the answer.
        status: u16,
        /// What the server said, as the end of a sentence.
        said: String,
    },
    /// The server has no model of that name.
    #[error("`{server}` has no model `{name}`; it has {known}")]
    NoSuchModel {
        /// The server's address.
        server: String,
        /// The name that was asked for.
        name: String,
        /// The models it has, as the end of a sentence.
        known: String,
    },
    /// No model was named and it is not clear which one is meant.
    #[error("which model of `{server}`? it has {known}")]
    WhichModel {
        /// The server's address.
        server: String,
        /// The models it has, as the end of a sentence.
        known: String,
    },
    /// The server refuses the request.
    #[error("`{server}` refuses the request (status {status}){said}")]
    Refused {
        /// The server's address.
        server: String,
        /// The status of the answer.
        status: u16,
        /// What the server said, as the end of a sentence.
        said: String,
    },
    /// The server is overloaded or broken, and stayed so.
    #[error("`{server}` failed {attempts} time(s) (status {status}){said}")]
    Failed {
        /// The server's address.
        server: String,
        /// How often it was asked.
        attempts: u32,
        /// The status of the last answer.
        status: u16,
        /// What the server said, as the end of a sentence.
        said: String,
    },
    /// The answer did not come in time.
    #[error("`{server}` did not answer within {} s", .after.as_secs_f64())]
    Timeout {
        /// The server's address.
        server: String,
        /// How long was waited.
        after: Duration,
    },
    /// The answer is longer than any answer to such a request.
    #[error("`{server}` answers with more than {limit} bytes")]
    TooLong {
        /// The server's address.
        server: String,
        /// The most that is read.
        limit: u64,
    },
    /// The answer is not of the API.
    #[error("`{server}` answers with something else than the API's: {problem}")]
    Unreadable {
        /// The server's address.
        server: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The connection ended in the middle of an answer.
    #[error("the answer of `{server}` ended in the middle")]
    CutOff {
        /// The server's address.
        server: String,
    },
    /// The answers break the schema that was sent along.
    #[error("`{server}` does not keep to the JSON Schema it was sent ({forms}): {problem}")]
    Constraint {
        /// The server's address.
        server: String,
        /// The forms in which it was sent.
        forms: String,
        /// What is wrong with the last answer.
        problem: String,
        /// The last answer.
        reply: String,
    },
    /// The schema itself cannot be used.
    #[error("the JSON Schema cannot be used: {problem}")]
    Schema {
        /// What is wrong with it.
        problem: String,
    },
    /// The server's API has no field for what the request holds.
    #[error("`{server}` cannot be sent {what}")]
    Unsupported {
        /// The server's address.
        server: String,
        /// What it cannot be sent.
        what: &'static str,
    },
    /// The server saw the image at another size than it was sent at, or not at all.
    #[error(
        "the images are {image_tokens} tokens but `{server}` counted {prompt_tokens} for the whole \
         prompt: it made them smaller or did not look at them"
    )]
    OtherSize {
        /// The server's address.
        server: String,
        /// What the images as sent are.
        image_tokens: usize,
        /// What the server counted.
        prompt_tokens: usize,
    },
}

impl RemoteError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Address { .. } => Some(
                "an address is `http://host:port/v1#model`; a key belongs in the variable \
                 HANDSIGHT_API_KEY",
            ),
            Self::Unreachable { .. } => {
                Some("check that the server runs and is reachable from here")
            }
            Self::Unauthorized { .. } => Some(
                "put the server's key in the variable HANDSIGHT_API_KEY (or OPENAI_API_KEY, which \
                 is sent over https and to this machine only)",
            ),
            Self::NoSuchModel { .. } | Self::WhichModel { .. } => {
                Some("name one after a `#`: `--model http://host:port/v1#name`")
            }
            Self::Failed { .. } => Some("the server's own log may say why"),
            Self::Timeout { .. } => Some(
                "a large model on a busy server takes long: give it more with `--server-timeout`",
            ),
            Self::Unreadable { .. } => Some("the address of the API usually ends in `/v1`"),
            Self::Constraint { .. } => Some(
                "name the form this server understands with `--server-schema`, or `none` to check \
                 free answers",
            ),
            Self::OtherSize { .. } => Some(
                "its limits are smaller: lower `--server-max-pixels`; or it runs a model without vision",
            ),
            _ => None,
        }
    }

    /// Whether asking once more may help.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { .. } | Self::CutOff { .. })
    }
}
