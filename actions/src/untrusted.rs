//! The readers of what comes from outside, each as a function of bytes: for fuzzing and for tests.
//!
//! None of them may panic, take long, or take memory out of proportion to what it is given.

use crate::device::android::Events;
use crate::geometry::Size;
use crate::heard::Heard;

/// Reads what `getevent -lp` tells of a phone's inputs, then in pieces what `getevent -lt` tells of what is
/// done with them, on a screen of this size that is turned by so many degrees. The pieces can be packets of the
/// shell's protocol.
///
/// # Errors
///
/// What is wrong with it.
pub fn getevent(
    inputs: &str,
    pieces: &[&[u8]],
    in_packets: bool,
    screen: (Size, u32),
) -> Result<Vec<Heard>, String> {
    let mut events = Events::of(inputs);
    if in_packets {
        events = events.in_packets();
    }
    let mut heard = Vec::new();
    for piece in pieces {
        heard.extend(events.hear(piece, screen)?);
    }
    Ok(heard)
}
