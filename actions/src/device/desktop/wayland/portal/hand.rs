//! The pointer of a desktop that is used through its portal.

use std::time::Duration;

use enigo::Button;

use super::{Desk, Shared, locked};
use crate::action::Direction;
use crate::device::Source;
use crate::device::desktop::Failure;
use crate::device::desktop::backend::{Hand, Spot};
use crate::device::desktop::wayland::pointer::code;
use crate::geometry::DesktopPoint;

/// For how long a press lasts, and after how long the next may follow: it passes three programs.
const TEMPO: Duration = Duration::from_millis(10);
/// What KDE of old takes for a notch of the wheel.
const OLD_KDE_NOTCH: i32 = 10;
const VERTICAL: u32 = 0;
const HORIZONTAL: u32 = 1;

pub(super) struct PortalHand {
    desk: Shared,
}

impl PortalHand {
    pub(super) fn new(desk: Shared) -> Self {
        Self { desk }
    }

    fn with_desk(&self, tell: impl FnOnce(&mut Desk) -> Result<(), Failure>) -> Result<(), Source> {
        tell(&mut locked(&self.desk)).map_err(Failure::into_source)
    }

    fn button(&self, button: Button, is_down: bool) -> Result<(), Source> {
        let code = code(button).ok_or("there is no such button")?;
        self.with_desk(|desk| desk.tell_button(code, is_down))
    }
}

impl Hand for PortalHand {
    /// The portal does not tell.
    fn place(&self) -> Result<Option<DesktopPoint>, Source> {
        Ok(None)
    }

    fn move_to(&mut self, spot: Spot) -> Result<(), Source> {
        self.with_desk(|desk| {
            let (stream, scale) = desk.stream_of(spot.monitor)?;
            // The middle of the pixel, in units of the desktop.
            let unit = |pixel: i32| (f64::from(pixel) + 0.5) / scale;
            let (x, y) = (unit(spot.pixel.x), unit(spot.pixel.y));
            desk.notify("NotifyPointerMotionAbsolute", |session, options| {
                (session.clone(), options, stream, x, y)
            })
        })
    }

    fn press(&mut self, button: Button) -> Result<(), Source> {
        self.button(button, true)
    }

    fn release(&mut self, button: Button) -> Result<(), Source> {
        self.button(button, false)
    }

    fn turn(&mut self, direction: Direction) -> Result<(), Source> {
        let (axis, notches) = match direction {
            Direction::Up => (VERTICAL, -1_i32),
            Direction::Down => (VERTICAL, 1),
            Direction::Left => (HORIZONTAL, -1),
            Direction::Right => (HORIZONTAL, 1),
        };
        self.with_desk(|desk| {
            let notches = notches * if desk.is_old_kde()? { OLD_KDE_NOTCH } else { 1 };
            desk.notify("NotifyPointerAxisDiscrete", |session, options| {
                (session.clone(), options, axis, notches)
            })
        })
    }

    fn tempo(&self) -> Duration {
        TEMPO
    }
}
