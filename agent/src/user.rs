//! The person at the screen, as an episode knows them: asked before actions, waited for when they
//! take over.

use std::time::Duration;

use handsight_actions::{Halt, HaltCause, HaltState};
use handsight_model::CancelFlag;

use crate::policy::Decision;
use crate::settle::pause;

/// How often it is looked whether a pause is over.
const BEAT: Duration = Duration::from_millis(20);

/// Whoever is at the screen. `()` is nobody: all is agreed to, and a pause is waited out.
pub trait User {
    /// Returns whether the action may be performed. Not asked in a dry run, nor about actions that
    /// do nothing to the device.
    fn confirm(&mut self, _decision: &Decision) -> bool {
        true
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
