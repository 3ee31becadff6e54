//! A policy that plays a list; for tests, examples and replays.

use std::collections::VecDeque;

use handsight_actions::{Action, Frame, PixelPoint};
use handsight_model::CancelFlag;

use super::{Decision, Policy, PolicyError, Progress, Turn};

/// Plays its replies in order, one for each time it is asked.
#[derive(Clone, Debug, Default)]
pub struct ScriptedPolicy {
    replies: VecDeque<ScriptedReply>,
    played: usize,
    feedback: Vec<String>,
}

/// One reply of a [`ScriptedPolicy`].
#[derive(Clone, Debug, PartialEq)]
pub enum ScriptedReply {
    /// Decides on an action.
    Act {
        /// The thought that goes with it.
        thought: String,
        /// The action, in pixels of the screenshot.
        action: Action<PixelPoint>,
    },
    /// Replies with something that is no action.
    Invalid {
        /// The reply.
        reply: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Sets the cancel flag while deciding, as Ctrl-C would.
    Cancel,
}

impl ScriptedPolicy {
    /// Makes a policy that plays these replies.
    pub fn new(replies: impl IntoIterator<Item = ScriptedReply>) -> Self {
        Self { replies: replies.into_iter().collect(), played: 0, feedback: Vec::new() }
    }

    /// Makes a policy that does these actions, with their short form as the thought.
    pub fn actions(actions: impl IntoIterator<Item = Action<PixelPoint>>) -> Self {
        Self::new(
            actions
                .into_iter()
                .map(|action| ScriptedReply::Act { thought: action.to_string(), action }),
        )
    }

    /// Returns the feedback it was given so far, in order.
    pub fn feedback(&self) -> &[String] {
        &self.feedback
    }
}

impl Policy for ScriptedPolicy {
    fn name(&self) -> String {
        "scripted".to_owned()
    }

    fn decide(
        &mut self,
        turn: &Turn<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
        cancel: &CancelFlag,
    ) -> Result<Decision, PolicyError> {
        self.feedback.extend(turn.feedback.map(str::to_owned));
        let reply = self.replies.pop_front();
        match reply.ok_or(PolicyError::ScriptOver { replies: self.played })? {
            ScriptedReply::Act { thought, action } => {
                self.played += 1;
                progress(Progress::Text(&thought));
                let size = turn.observation.screenshot.size();
                Ok(Decision {
                    looked_at: None,
                    reply: format!("{thought}\n{action}"),
                    thought,
                    action,
                    model_point: None,
                    frame: Frame { screenshot: size, model: size },
                    repairs: Vec::new(),
                    probability: None,
                    usage: None,
                })
            }
            ScriptedReply::Invalid { reply, problem } => {
                self.played += 1;
                Err(PolicyError::InvalidReply { reply, problem })
            }
            ScriptedReply::Cancel => {
                cancel.cancel();
                Err(PolicyError::Cancelled)
            }
        }
    }
}
