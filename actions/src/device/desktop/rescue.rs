//! Lets go of what a program that was killed held on a display, and keeps the clipboard it had.

use super::x11::{self, X11Rescue};
use crate::clipboard::Clipping;
use crate::device::DeviceError;

/// A connection that is kept ready to let go of what another one holds.
pub struct Rescue(Kind);

enum Kind {
    X11(Box<X11Rescue>),
    #[cfg(feature = "wayland")]
    Wayland(super::wayland::WaylandRescue),
}

impl Rescue {
    /// Connects to a display, before anything is pressed on it.
    ///
    /// # Errors
    /// [`DeviceError::NoDisplay`] where there is none.
    pub fn prepare(display: &str) -> Result<Self, DeviceError> {
        #[cfg(feature = "wayland")]
        if super::is_wayland(display) {
            return Ok(Self(Kind::Wayland(super::wayland::WaylandRescue::new(display))));
        }
        X11Rescue::prepare(display).map(|rescue| Self(Kind::X11(Box::new(rescue))))
    }

    /// Lets go of every key and button past the thread that holds them.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] when the display is gone, and with it what was held.
    pub fn release(&self) -> Result<(), DeviceError> {
        match &self.0 {
            Kind::X11(rescue) => rescue.release(),
            // No action waits there but for the compositor, which would not answer us either.
            #[cfg(feature = "wayland")]
            Kind::Wayland(_) => Ok(()),
        }
    }

    /// Lets go of all that a dead program held, until nothing comes after it, and undoes what it
    /// taught the keyboard.
    ///
    /// # Errors
    /// As [`Rescue::release`].
    pub fn clean_up(&self) -> Result<(), DeviceError> {
        match &self.0 {
            Kind::X11(rescue) => rescue.clean_up(),
            #[cfg(feature = "wayland")]
            Kind::Wayland(rescue) => rescue.clean_up(),
        }
    }
}

/// Hands out what the user had copied until something else is copied, once nobody else does.
///
/// This is for a process of its own, which is told that the one that took the clipboard has ended.
///
/// # Errors
/// [`DeviceError::NoDisplay`] and [`DeviceError::Lost`] when the display is gone.
pub fn keep_clipboard(display: &str, content: Clipping) -> Result<(), DeviceError> {
    #[cfg(feature = "wayland")]
    if super::is_wayland(display) {
        return super::wayland::keep_clipboard(display, content);
    }
    x11::keep_clipboard(display, content)
}
