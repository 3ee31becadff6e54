//! What decides: an observation and a history in, a thought and an action out.

pub(crate) mod grammar;
pub mod model;
pub mod scripted;

use handsight_actions::{
    Action, ActionSpace, Frame, ModelPoint, Observation, PixelPoint, Rect, Secrets,
};
use handsight_model::{CancelFlag, ModelError};

use crate::family::FamilyError;
use crate::history::StepSummary;
use crate::remote::RemoteError;
use crate::trace::event::Usage;
use crate::vision_model::AnswerError;

/// Decides what to do next on a device.
///
/// A policy only proposes. [`run_episode`](crate::run_episode) checks every action against the
/// device before anything moves, and tells the policy what was wrong with one it refused.
pub trait Policy {
    /// Returns what a trace and a report should call this policy.
    fn name(&self) -> String;

    /// Decides on one action.
    ///
    /// `progress` is told of the text as it is written. A policy that takes long looks at `cancel`
    /// often and returns [`PolicyError::Cancelled`] soon after it is set.
    ///
    /// # Errors
    ///
    /// [`PolicyError::InvalidReply`] if there is no usable action this time, which is worth asking
    /// again; any other variant ends the episode.
    fn decide(
        &mut self,
        turn: &Turn<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
        cancel: &CancelFlag,
    ) -> Result<Decision, PolicyError>;
}

/// All a policy is told for one decision.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// The user's sentence.
    pub goal: &'a str,
    /// What the screen shows now.
    pub observation: &'a Observation,
    /// The steps so far, oldest first.
    pub history: &'a [StepSummary],
    /// The verbs the device offers.
    pub action_space: &'a ActionSpace,
    /// Why the last reply to this very turn was refused, in words for the model.
    pub feedback: Option<&'a str>,
    /// What the user said since the last step, if anything: an answer to a question, or word they
    /// left when they took over.
    pub said: Option<&'a str>,
    /// How many replies to this turn were refused so far.
    pub attempt: u32,
}

/// What a policy tells while it decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The next piece of the reply's text.
    Text(&'a str),
}

/// What to do next, and how the policy came to it.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Why, in the policy's own words; may be empty.
    pub thought: String,
    /// What to do, in pixels of the screenshot.
    pub action: Action<PixelPoint>,
    /// The action's point in the space the model spoke in, before it was mapped.
    pub model_point: Option<ModelPoint>,
    /// The sizes the point was mapped between.
    pub frame: Frame,
    /// The part of the screenshot that was looked at again, closer, if one was; `frame` and
    /// `model_point` are then those of this part.
    pub looked_at: Option<Rect>,
    /// The reply as it was written.
    pub reply: String,
    /// What the parser had to mend in the reply; empty for a clean one.
    pub repairs: Vec<String>,
    /// The probability the model gave to exactly these coordinates; `None` without coordinates.
    ///
    /// It is the product over the tokens of the coordinates. Neighbouring pixels share the mass, so
    /// on a large button a low number is normal: compare it between decisions on one screen.
    pub probability: Option<f64>,
    /// What the decision cost; `None` from a policy without a model.
    pub usage: Option<Usage>,
}

impl Decision {
    /// Returns the decision with every value of a secret replaced by its name.
    ///
    /// A policy may have read one from the screen. What it then types is the secret by its name, so
    /// that it goes only where that secret may go.
    #[must_use]
    pub(crate) fn redacted(mut self, secrets: &Secrets) -> Self {
        let redact = |text: &mut String| *text = secrets.redact(text).into_owned();
        redact(&mut self.thought);
        redact(&mut self.reply);
        self.repairs.iter_mut().for_each(redact);
        match &mut self.action {
            Action::Type { text }
            | Action::Answer { text }
            | Action::CallUser { text }
            | Action::OpenApp { app: text } => redact(text),
            _ => {}
        }
        self
    }
}

/// Why a policy did not decide.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The reply holds no usable action.
    #[error("the reply cannot be used: {problem}")]
    InvalidReply {
        /// The reply as it was written.
        reply: String,
        /// What is wrong with it, in words for the model and for people.
        problem: String,
    },
    /// The model could not answer at all.
    #[error("the model could not decide")]
    Model(#[from] ModelError),
    /// The family of checkpoints was not made for it.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// The server that runs the model failed.
    #[error("the model could not decide")]
    Remote(#[source] Box<RemoteError>),
    /// The cancel flag was set.
    #[error("cancelled before a decision was made")]
    Cancelled,
    /// A [`ScriptedPolicy`](scripted::ScriptedPolicy) has nothing left to play.
    #[error("the script has only {replies} replies and the episode asked for one more")]
    ScriptOver {
        /// How many replies it had.
        replies: usize,
    },
}

impl From<AnswerError> for PolicyError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Model(error) => Self::Model(error),
            AnswerError::Remote(error) => Self::Remote(error),
        }
    }
}

impl PolicyError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint().map(str::to_owned),
            Self::Family(error) => error.hint(),
            Self::Remote(error) => error.hint().map(str::to_owned),
            Self::InvalidReply { .. } | Self::Cancelled | Self::ScriptOver { .. } => None,
        }
    }
}
