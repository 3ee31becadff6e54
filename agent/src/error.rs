//! Why an episode could not go on.

use handsight_actions::DeviceError;

use crate::policy::PolicyError;
use crate::trace::TraceError;

/// An error that keeps an episode from starting or going on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpisodeError {
    /// The goal has no words.
    #[error("the goal is empty")]
    EmptyGoal,
    /// The goal is longer than any sentence a model was trained to follow.
    #[error("the goal has {chars} characters and at most {limit} are allowed")]
    GoalTooLong {
        /// Its length.
        chars: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The device failed.
    #[error("the device failed")]
    Device(#[source] DeviceError),
    /// The policy failed.
    #[error("the policy failed")]
    Policy(#[source] PolicyError),
    /// The trace could not be written, so nothing more was done to the device.
    #[error("the episode was stopped because it could no longer be recorded")]
    Record(#[from] TraceError),
}

impl EpisodeError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::EmptyGoal => Some("say what to do, for example `click \"Save\"`".to_owned()),
            Self::GoalTooLong { .. } => {
                Some("split the work into several goals and run them one after another".to_owned())
            }
            Self::Device(error) => error.hint(),
            Self::Policy(error) => error.hint(),
            Self::Record(error) => error.hint(),
        }
    }
}

/// Returns an error's message with what caused it, each after a colon.
pub fn with_source(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    message
}
