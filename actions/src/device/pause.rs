//! The one pause of this crate.
//!
//! Input has a tempo: a press must last, a drag must move, and programs need a moment to read a
//! changed keyboard and to show what was typed. None of that can be observed from outside, so these
//! few waits are by the clock, and short. Waiting for a *screen* is the caller's business.

use std::time::Duration;

/// Does nothing for a while.
#[expect(clippy::disallowed_methods, reason = "the tempo of input, as said above")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Does nothing for a while, or until input is halted.
#[cfg(any(feature = "android", feature = "desktop", all(feature = "x11", target_os = "linux")))]
pub(in crate::device) fn pause_unless(halt: &crate::halt::Halt, duration: Duration) {
    /// How soon it notices.
    const NAP: Duration = Duration::from_millis(5);
    let end = std::time::Instant::now() + duration;
    while !halt.is_set() {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return;
        }
        pause(left.min(NAP));
    }
}
