//! The one pause of this crate.
//!
//! Input has a tempo: a press must last, a drag must move, and programs need a moment to read a
//! changed keyboard. None of that can be observed from outside, so these few waits are by the
//! clock, and short. Waiting for a *screen* is the caller's business.

use std::time::Duration;

/// Does nothing for a while.
#[expect(clippy::disallowed_methods, reason = "the tempo of input, as said above")]
pub(super) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
