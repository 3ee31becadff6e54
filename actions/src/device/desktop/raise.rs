//! Brings a window up and gives it the keyboard, before anything is seen or sent there.
//!
//! The window manager is asked to, as a taskbar would ask it. It may refuse, and another window may
//! be kept above all others, so nothing is believed but what is so afterwards: whether the window is
//! shown, what lies on it, and where keys arrive.

use std::time::{Duration, Instant};

use super::Failure;
use super::view::Found;
use crate::device::AreaFault;
use crate::device::pause::pause;

/// How long a window manager gets to bring a window up, and how often it is looked at.
const RAISING: Duration = Duration::from_secs(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(15);
/// In how many looks a window that was brought up must be at one place: some window managers have it
/// fly in.
const STILL: u32 = 5;

/// What a system tells of its windows, and what it can be asked for.
pub(super) trait WindowManager {
    /// Returns a window by its number, if there still is one.
    fn find(&self, id: u32) -> Result<Option<Found>, Failure>;

    /// Says what keeps a window from being seen, if anything does.
    fn in_the_way(&self, window: &Found) -> Result<Option<AreaFault>, Failure>;

    /// Whether keys reach a window, or a dialog of it.
    fn has_keys(&self, window: &Found) -> Result<bool, Failure>;

    /// Asks for a window to be brought up and given the keyboard.
    fn ask(&self, window: &Found) -> Result<(), Failure>;
}

/// Has a window be shown with nothing on it, and says whether that took anything.
pub(super) fn raise(manager: &dyn WindowManager, window: &Found) -> Result<bool, Failure> {
    let start = Instant::now();
    let mut asked = false;
    let (mut place, mut still) = (window.area, 0);
    loop {
        let Some(now) = manager.find(window.id)? else {
            return Err(AreaFault::Gone { window: window.title.clone() }.into());
        };
        still = if now.area == place { still + 1 } else { 0 };
        place = now.area;
        match manager.in_the_way(&now)? {
            None if !asked || still >= STILL || start.elapsed() >= RAISING => return Ok(asked),
            None => {}
            Some(fault) if start.elapsed() >= RAISING => return Err(fault.into()),
            Some(_) if asked => still = 0,
            Some(_) => {
                manager.ask(window)?;
                asked = true;
            }
        }
        pause(BETWEEN_LOOKS);
    }
}

/// Has keys reach a window, or a dialog of it.
pub(super) fn focus(manager: &dyn WindowManager, window: &Found) -> Result<(), Failure> {
    let start = Instant::now();
    let mut asked = false;
    while !manager.has_keys(window)? {
        if start.elapsed() >= RAISING {
            return Err(AreaFault::Unfocused { window: window.title.clone() }.into());
        }
        if !asked {
            manager.ask(window)?;
            asked = true;
        }
        pause(BETWEEN_LOOKS);
    }
    Ok(())
}
