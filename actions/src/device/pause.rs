//! The one pause of this crate.
//!
//! Input has a tempo: a press must last, a drag must move, and programs need a moment to read a
//! changed keyboard. None of that can be observed from outside, so these few waits are by the
//! clock, and short. Waiting for a *screen* is the caller's business.

use std::time::{Duration, Instant};

use crate::halt::Halt;

/// How soon a pause notices that input was halted.
const NAP: Duration = Duration::from_millis(5);

/// Does nothing for a while.
#[expect(clippy::disallowed_methods, reason = "the tempo of input, as said above")]
pub(in crate::device) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Does nothing for a while, or until input is halted.
pub(in crate::device) fn pause_unless(halt: &Halt, duration: Duration) {
    let end = Instant::now() + duration;
    while !halt.is_set() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        pause(left.min(NAP));
    }
}
