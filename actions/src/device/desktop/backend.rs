//! What a system has to offer for its desktop to be seen and used.
//!
//! One implementation of [`Screen`] for each way to a desktop; the others come from it. Where a way
//! cannot do something that others can, the default says so.

use std::time::Duration;

use enigo::Button;
use image::RgbImage;

use super::view::Found;
use super::{Failure, Monitor, WatchOptions};
use crate::action::Direction;
use crate::clipboard::ClipboardKeeper;
use crate::device::{AreaFault, DeviceError, Source};
use crate::geometry::{Area, DesktopPoint, MonitorPoint, Rect};
use crate::halt::Halt;
use crate::key::Key;

/// The monitors of a desktop, what they show and which windows there are.
pub(super) trait Screen: Send {
    /// Returns the display's name, such as `:0`.
    fn display(&self) -> &str;

    /// Whether that is the name of an X server's.
    #[cfg(target_os = "linux")]
    fn is_x11(&self) -> bool {
        false
    }

    fn monitors(&self) -> Result<Vec<Monitor>, Failure>;

    /// Reads the pixels of an area, most of which the monitor of this number shows.
    fn capture(&mut self, area: Area, monitor: usize) -> Result<RgbImage, Failure>;

    /// Lists the windows with their places, the one in front first.
    fn windows(&self) -> Result<Vec<Found>, Failure> {
        Err(AreaFault::WindowsUnknown.into())
    }

    /// Returns a window by its number, if there still is one.
    fn find_window(&self, id: u32) -> Result<Option<Found>, Failure> {
        Ok(self.windows()?.into_iter().find(|window| window.id == id))
    }

    /// Has a window be shown with nothing on it, and says whether that took anything.
    fn raise(&self, _window: &Found) -> Result<bool, Failure> {
        Err(AreaFault::WindowsUnknown.into())
    }

    /// Has keys reach a window.
    fn focus(&self, _window: &Found) -> Result<(), Failure> {
        Err(AreaFault::WindowsUnknown.into())
    }

    /// Returns the application in front, where that is to be known.
    fn foreground_app(&self) -> Option<String> {
        None
    }

    /// Returns the window that input to a place reaches, to the keyboard's without a point.
    ///
    /// `None` says that it is not to be known, and within that there is none.
    fn window(&self, _at: Option<DesktopPoint>) -> Option<Result<Option<Shown>, Failure>> {
        None
    }

    /// Waits until the buttons have come up where they were let go, where that may take a while.
    fn wait_for_buttons(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Asks for a sign of life.
    fn ping(&self) -> Result<(), Failure>;

    fn hand(&self) -> Result<Box<dyn Hand>, Source>;

    fn keyboard(&self) -> Result<Box<dyn Keyboard>, Failure>;

    fn clipboard(&self) -> Box<dyn Clipboard> {
        Box::new(NoClipboard)
    }

    /// Watches the user's own input, where that can be done.
    fn watch(&self, _: WatchOptions, _: Halt) -> Result<Option<Box<dyn Watch>>, DeviceError> {
        Ok(None)
    }
}

/// A window that is shown; where, not every system tells.
pub(super) struct Shown {
    pub(super) id: u64,
    pub(super) app: String,
    pub(super) title: String,
    /// In units of the desktop.
    pub(super) area: Option<Rect>,
}

impl From<Found> for Shown {
    fn from(found: Found) -> Self {
        let Found { id, app, title, area } = found;
        Self { id: id.into(), app, title, area: Some(area) }
    }
}

/// A place for the pointer, in both ways that systems take it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) desktop: DesktopPoint,
    /// The number of the monitor, and the pixel of it.
    #[cfg_attr(
        not(all(feature = "wayland", target_os = "linux")),
        expect(dead_code, reason = "only Wayland takes it so")
    )]
    pub(super) monitor: usize,
    pub(super) pixel: MonitorPoint,
}

/// What moves the pointer and presses buttons, at once and without asking.
pub(super) trait Hand: Send {
    /// Returns where the pointer is, where that is to be known.
    fn place(&self) -> Result<Option<DesktopPoint>, Source>;

    fn move_to(&mut self, spot: Spot) -> Result<(), Source>;

    fn press(&mut self, button: Button) -> Result<(), Source>;

    fn release(&mut self, button: Button) -> Result<(), Source>;

    /// Turns the wheel by one notch.
    fn turn(&mut self, direction: Direction) -> Result<(), Source>;

    /// For how long a press lasts and how long after it nothing follows, beyond what the system sees
    /// to by itself.
    fn tempo(&self) -> Duration {
        Duration::ZERO
    }
}

/// What types.
pub(super) trait Keyboard: Send {
    /// Looks at this switch before every stroke.
    fn heed(&mut self, halt: Halt);

    /// Types a text; line feeds and tabs are keys.
    fn write(&mut self, text: &str) -> Result<(), Failure>;

    /// Presses keys in order and lets them go in reverse.
    fn chord(&mut self, keys: &[Key]) -> Result<(), Failure>;

    /// Lets go of every key it holds, and undoes what it changed to type.
    fn release_all(&mut self) -> Result<(), Failure>;
}

/// What was copied last.
pub(super) trait Clipboard: Send {
    fn keep_with(&mut self, _: ClipboardKeeper) {}

    /// Returns the text that was copied last; `None` if it is no text.
    fn read(&mut self) -> Result<Option<String>, Failure>;

    /// Copies a text.
    fn write(&mut self, text: &str) -> Result<(), Failure>;

    /// Lends the clipboard to a text while `paste` presses the keys; returns whether the program of
    /// the window asked for it.
    fn lend(
        &mut self,
        _text: &str,
        _window: (u64, bool),
        _paste: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        Ok(false)
    }
}

/// A clipboard that is left alone: texts are typed.
struct NoClipboard;

impl Clipboard for NoClipboard {
    fn read(&mut self) -> Result<Option<String>, Failure> {
        Err(Failure::Refused("this desktop lets no program reach it".into()))
    }

    fn write(&mut self, _: &str) -> Result<(), Failure> {
        self.read().map(drop)
    }
}

/// A watch over the user's input; it ends when dropped.
pub(super) trait Watch: Send {
    /// Says that an action begins: what comes from now on may be ours.
    fn begin(&self) -> Result<(), Failure>;

    /// Says that an action is over.
    fn end(&self) -> Result<(), Failure>;
}
