//! Lets go of the buttons that a killed program held.
//!
//! A compositor lets go of the keys of a keyboard that went away. Of a pointer's buttons it does not
//! (seen with sway 1.7): programs take them to be held for as long as there is another mouse.

use wayland_client::protocol::wl_pointer::ButtonState;
use wayland_client::protocol::wl_seat::Capability;

use super::pointer::BUTTONS;
use super::session::{Session, now};
use crate::device::DeviceError;
use crate::device::desktop::Failure;

/// What connects to a compositor when it is needed.
pub(in crate::device::desktop) struct WaylandRescue {
    socket: String,
}

impl WaylandRescue {
    pub(in crate::device::desktop) fn new(socket: &str) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Lets go of every button, which any pointer can do for another.
    pub(in crate::device::desktop) fn clean_up(&self) -> Result<(), DeviceError> {
        let session = Session::connect(&self.socket)?;
        #[cfg(feature = "portal")]
        if !session.missing().is_empty() {
            let released = super::portal::let_go(session);
            return released
                .map_err(|failure| failure.while_asked(&self.socket, "release its buttons"));
        }
        let mut session = session.with_tools()?;
        let mut release = || {
            let pointer = session.introduce(Capability::Pointer, |tools, handle| {
                Ok(tools.pointers.create_virtual_pointer(Some(&tools.seat), handle, ()))
            })?;
            for button in BUTTONS {
                pointer.button(now(), button, ButtonState::Released);
                pointer.frame();
            }
            session.sync()
        };
        release()
            .map_err(|failure: Failure| failure.while_asked(&self.socket, "release its buttons"))
    }
}
