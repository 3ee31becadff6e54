//! Why a tool did not do what it was asked for.

use handsight_actions::DeviceError;
use handsight_agent::{EpisodeError, FamilyError, TraceError};

use crate::anchor::AnchorError;
use crate::eyes::EyesError;
use crate::scenario::ScenarioError;

/// Why a tool did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The arguments are not those of the tool.
    #[error("the arguments of `{tool}` cannot be used: {problem}")]
    Arguments {
        /// The tool's name.
        tool: &'static str,
        /// What is wrong with them.
        problem: String,
    },
    /// A target that was named in words is not to be seen.
    #[error("{target:?} is not on the screen")]
    NotThere {
        /// The words.
        target: String,
    },
    /// The device refused or failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The model did not answer.
    #[error(transparent)]
    Model(#[from] EyesError),
    /// The model cannot act.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// A goal could not be pursued.
    #[error(transparent)]
    Goal(Box<EpisodeError>),
    /// The trace of a goal cannot be written.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A scenario cannot be used.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The anchors of a scenario cannot be used.
    #[error(transparent)]
    Anchors(#[from] AnchorError),
    /// A scenario was named that may not be run.
    #[error("the scenario `{file}` may not be run: {problem}")]
    NotAllowed {
        /// What it was called.
        file: String,
        /// Why.
        problem: &'static str,
    },
    /// There is nobody to tell which devices there are.
    #[error("this session does not tell which devices there are")]
    NoDevices,
    /// They could not be listed.
    #[error("could not list the devices: {problem}")]
    Devices {
        /// Why.
        problem: String,
        /// What can be done about it.
        hint: Option<String>,
    },
    /// The call was cancelled; what was done by then is done.
    #[error("cancelled")]
    Cancelled,
    /// A fault of ours.
    #[error("a fault in handsight: {problem}")]
    Internal {
        /// What happened.
        problem: String,
    },
}

impl From<EpisodeError> for ToolError {
    fn from(error: EpisodeError) -> Self {
        Self::Goal(Box::new(error))
    }
}

/// What kind of error it is, for protocols that tell kinds apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToolErrorKind {
    /// It was asked for in a way that cannot be used.
    BadInput,
    /// What it was to act on is not there.
    NotFound,
    /// The safety policy, or the user, does not allow it.
    Refused,
    /// Input is paused or stopped.
    Halted,
    /// It was cancelled.
    Cancelled,
    /// The device or the model cannot be had, or failed.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ToolErrorKind {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Halted => "halted",
            Self::Cancelled => "cancelled",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl ToolError {
    /// Returns what kind of error it is.
    pub fn kind(&self) -> ToolErrorKind {
        match self {
            Self::Device(error) => of_device(error),
            Self::Goal(error) => match &**error {
                EpisodeError::Device(error) => of_device(error),
                EpisodeError::EmptyGoal | EpisodeError::GoalTooLong { .. } => {
                    ToolErrorKind::BadInput
                }
                _ => ToolErrorKind::Unavailable,
            },
            Self::Arguments { .. } | Self::Scenario(_) => ToolErrorKind::BadInput,
            Self::NotThere { .. } => ToolErrorKind::NotFound,
            Self::NotAllowed { .. } => ToolErrorKind::Refused,
            Self::Cancelled => ToolErrorKind::Cancelled,
            Self::Internal { .. } => ToolErrorKind::Internal,
            _ => ToolErrorKind::Unavailable,
        }
    }

    /// Returns what can be done about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Device(DeviceError::Halted { .. }) => Some(
                "`handsight resume` lets it go on; after `handsight stop` start it again"
                    .to_owned(),
            ),
            Self::Device(error) => error.hint(),
            Self::Model(error) => error.hint.clone(),
            Self::Family(error) => error.hint(),
            Self::Goal(error) => error.hint(),
            Self::Trace(error) => error.hint(),
            Self::Scenario(error) => error.hint().map(str::to_owned),
            Self::Anchors(error) => error.hint().map(str::to_owned),
            Self::NotAllowed { .. } => {
                Some("`--scenarios DIR` names the folder whose scenarios may be run".to_owned())
            }
            Self::Devices { hint, .. } => hint.clone(),
            Self::NotThere { .. } => {
                Some("say it in other words, or give a point such as [120, 44]".to_owned())
            }
            Self::Arguments { .. } | Self::NoDevices | Self::Cancelled | Self::Internal { .. } => {
                None
            }
        }
    }
}

fn of_device(error: &DeviceError) -> ToolErrorKind {
    match error {
        DeviceError::Refused { .. } | DeviceError::Declined { .. } | DeviceError::Secret { .. } => {
            ToolErrorKind::Refused
        }
        DeviceError::Halted { .. } => ToolErrorKind::Halted,
        error if error.nothing_was_done() => ToolErrorKind::BadInput,
        _ => ToolErrorKind::Unavailable,
    }
}
