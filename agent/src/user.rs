//! The person at the screen, as an episode knows them: asked before actions and for help, waited for
//! when they take over.

use std::time::Duration;

use handsight_actions::{Halt, HaltCause, HaltState};
use handsight_model::CancelFlag;

use crate::policy::Decision;
use crate::settle::pause;

/// How often it is looked whether a pause is over.
const BEAT: Duration = Duration::from_millis(20);

/// What became of a call for help.
///
/// What the user says goes through [`Halt::say`], wherever they say it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Help {
    /// The user said something, or did something and gave the screen back.
    Given,
    /// The user wants the episode to end.
    Refused,
    /// Nobody is there.
    Nobody,
}

/// Whoever is at the screen. `()` is nobody: all is agreed to, a pause is waited out, and a call for
/// help is in vain.
pub trait User {
    /// Returns whether the action may be performed. Not asked in a dry run, nor about actions that
    /// do nothing to the device.
    fn confirm(&mut self, _decision: &Decision) -> bool {
        true
    }

    /// Is asked for help by the policy; returns once they are done, or nobody is there.
    ///
    /// Whoever implements it pauses input meanwhile, so that they can do things themselves; the episode
    /// resumes it.
    fn help(&mut self, _question: &str, _halt: &Halt, _cancel: &CancelFlag) -> Help {
        Help::Nobody
    }

    /// Is told that input was paused; returns whether the episode goes on, once that is known.
    ///
    /// The episode resumes the device itself. It looks at the screen anew and knows nothing of what
    /// was done meanwhile.
    fn paused(&mut self, _cause: HaltCause, halt: &Halt, cancel: &CancelFlag) -> bool {
        wait_out(halt, cancel)
    }
}

impl User for () {}

/// Waits until a pause is ended by somebody else; returns whether the episode goes on.
pub fn wait_out(halt: &Halt, cancel: &CancelFlag) -> bool {
    loop {
        match halt.state() {
            HaltState::Going => return true,
            HaltState::Stopped(_) => return false,
            HaltState::Paused(_) if !pause(BEAT, cancel) => return false,
            HaltState::Paused(_) => {}
        }
    }
}
