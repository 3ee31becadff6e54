//! One goal on one device: observe, decide, check, act, and observe again until a stop reason.
//!
//! The loop acts on nothing it did not check and record first. Whatever ends it, the device is
//! asked to let go of every key and button before [`run_episode`] returns.

mod observer;
mod repeat;
mod run;
#[cfg(test)]
mod tests;

use std::time::Duration;

use handsight_actions::{Device, Halt};
use handsight_model::CancelFlag;

pub use self::observer::{EpisodeEvent, EpisodeObserver};
use crate::error::EpisodeError;
use crate::policy::Policy;
use crate::settle::SettleOptions;
use crate::trace::event::{StopReason, Usage};
use crate::user::User;

/// The longest goal, in characters; about a page.
pub const MAX_GOAL_CHARS: usize = 4000;

/// The limits and manners of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeOptions {
    /// The most steps.
    pub max_steps: u32,
    /// The most time.
    ///
    /// It is looked at between steps and before each action. A decision under way when the time
    /// runs out is finished first, and then not acted on.
    pub timeout: Duration,
    /// How many earlier screenshots the policy may look back at.
    pub images_in_history: usize,
    /// Whether actions are only checked and reported, never performed.
    pub dry_run: bool,
    /// How long to wait for a still screen before each decision.
    pub settle: SettleOptions,
    /// How often the policy is asked again in one step after an unusable reply.
    pub max_reply_retries: u32,
}

impl Default for EpisodeOptions {
    fn default() -> Self {
        Self {
            max_steps: 20,
            timeout: Duration::from_secs(600),
            images_in_history: 0,
            dry_run: false,
            settle: SettleOptions::default(),
            max_reply_retries: 2,
        }
    }
}

/// Who watches an episode, who is asked before each action, and how it is interrupted.
pub struct Controls<'a> {
    /// Is told of everything as it happens; a failing observer ends the episode.
    pub observer: &'a mut dyn EpisodeObserver,
    /// Is asked before actions, and waited for while input is paused.
    pub user: &'a mut dyn User,
    /// Ends the episode soon after it is set.
    pub cancel: &'a CancelFlag,
    /// The switch that the device heeds: while it is paused, the episode waits.
    pub halt: &'a Halt,
}

/// How an episode ended.
#[derive(Debug)]
pub struct Episode {
    /// Why.
    pub stop_reason: StopReason,
    /// What failed, if the stop reason is [`DeviceLost`](StopReason::DeviceLost) or
    /// [`PolicyFailed`](StopReason::PolicyFailed).
    pub error: Option<EpisodeError>,
    /// The answer the policy gave, if the goal was a question.
    pub answer: Option<String>,
    /// How many steps were begun.
    pub steps: u32,
    /// How long it took.
    pub elapsed: Duration,
    /// What all accepted replies cost together.
    pub usage: Usage,
}

/// Runs `policy` on `device` towards `goal` until there is a reason to stop.
///
/// The result says why it stopped, not whether the goal was reached: that is for a check of the
/// device to say, see [`StopReason`].
///
/// # Errors
///
/// [`EpisodeError::EmptyGoal`] and [`EpisodeError::GoalTooLong`] before anything happens, and
/// [`EpisodeError::Record`] when the observer fails. A failing device or policy is a stop reason,
/// with the error in the [`Episode`].
pub fn run_episode(
    device: &mut dyn Device,
    policy: &mut dyn Policy,
    goal: &str,
    options: &EpisodeOptions,
    controls: &mut Controls<'_>,
) -> Result<Episode, EpisodeError> {
    let goal = check_goal(goal)?;
    run::run(device, policy, goal, options, controls)
}

/// Returns the goal without surrounding white space, or why it cannot be pursued.
///
/// [`run_episode`] does this too; asking earlier spares loading a model in vain.
///
/// # Errors
///
/// [`EpisodeError::EmptyGoal`] or [`EpisodeError::GoalTooLong`].
pub fn check_goal(goal: &str) -> Result<&str, EpisodeError> {
    let goal = goal.trim();
    if goal.is_empty() {
        return Err(EpisodeError::EmptyGoal);
    }
    let chars = goal.chars().count();
    if chars > MAX_GOAL_CHARS {
        return Err(EpisodeError::GoalTooLong { chars, limit: MAX_GOAL_CHARS });
    }
    Ok(goal)
}
