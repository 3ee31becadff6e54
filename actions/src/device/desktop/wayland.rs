//! Wayland: compositors of the wlroots family, by the protocols they have for tools like this one.
//!
//! sway, Hyprland, river, labwc and others let programs copy the screen (`wlr-screencopy`), move a
//! pointer of their own (`wlr-virtual-pointer`) and type on a keyboard of their own
//! (`virtual-keyboard`). Such a pointer and keyboard exist for as long as their connection.
//!
//! Coordinates of outputs are logical, a whole number of them for what may be several pixels; so the
//! pointer is not placed by them but by the pixel of the output.
//!
//! Where windows are none of these protocols says; sway does, in another way (see `sway`).
//!
//! GNOME and KDE have none of these protocols, but a desktop portal (see `portal`). Which are missing, and
//! what the portal lacks, is said when a session is opened.

mod capture;
mod clipboard;
mod cover;
mod input_method;
mod keyboard;
mod keymap;
mod output;
mod pointer;
#[cfg(feature = "portal")]
mod portal;
mod rescue;
mod session;
mod sway;
mod toplevel;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::RgbImage;

use self::clipboard::WaylandClipboard;
pub use self::cover::DesktopCover;
use self::keyboard::WaylandKeyboard;
use self::pointer::WaylandHand;
pub(super) use self::rescue::WaylandRescue;
use self::session::Session;
use self::sway::Sway;
use super::backend::{Clipboard, Hand, Keyboard, Screen, Shown};
use super::raise::{focus, raise};
use super::view::Found;
use super::{Failure, Monitor, PortalOptions};
use crate::clipboard::Clipping;
use crate::device::{AreaFault, DeviceError, Source};
use crate::geometry::{Area, DesktopPoint};

/// A connection that the screen, the pointer and the keyboard share, so that the compositor does what
/// they ask in the order they ask it.
type Shared = Arc<Mutex<Session>>;

/// The outputs of a compositor and what they show.
pub(super) struct WaylandScreen {
    display: String,
    /// The path of its socket.
    socket: String,
    session: Shared,
    /// What tells where windows are, if it is sway.
    sway: Option<Sway>,
}

/// Connects to the compositor that listens on a socket, and where it does not let programs in by itself, to
/// the desktop's portal.
pub(super) fn open(
    socket: &str,
    #[cfg_attr(not(feature = "portal"), expect(unused_variables, reason = "there is none"))]
    portal: &PortalOptions,
) -> Result<Box<dyn Screen>, DeviceError> {
    let session = Session::connect(socket)?;
    #[cfg(feature = "portal")]
    if !session.missing().is_empty() {
        return Ok(Box::new(portal::PortalScreen::open(session, portal)?));
    }
    let session = session.with_tools()?;
    let display = session.display().to_owned();
    let (socket, session) = (socket.to_owned(), Arc::new(Mutex::new(session)));
    let sway = Sway::of(Path::new(&socket));
    Ok(Box::new(WaylandScreen { display, socket, session, sway }))
}

impl Screen for WaylandScreen {
    fn display(&self) -> &str {
        &self.display
    }

    fn monitors(&self) -> Result<Vec<Monitor>, Failure> {
        let mut session = locked(&self.session);
        session.refresh()?;
        Ok(session.outputs().map(output::Placed::monitor).collect())
    }

    fn capture(&mut self, area: Area, monitor: usize) -> Result<RgbImage, Failure> {
        capture::capture(&mut locked(&self.session), area, monitor)
    }

    fn windows(&self) -> Result<Vec<Found>, Failure> {
        self.manager()?.windows()
    }

    fn raise(&self, window: &Found) -> Result<bool, Failure> {
        raise(self.manager()?, window)
    }

    fn focus(&self, window: &Found) -> Result<(), Failure> {
        focus(self.manager()?, window)
    }

    fn foreground_app(&self) -> Option<String> {
        let mut session = locked(&self.session);
        session.sync().ok()?;
        session.front().map(|front| front.app).filter(|app| !app.is_empty())
    }

    /// All compositors tell which window has the keyboard, and sway alone where they are.
    fn window(&self, at: Option<DesktopPoint>) -> Option<Result<Option<Shown>, Failure>> {
        if let Some(sway) = &self.sway {
            let found = at.map_or_else(|| sway.focused(), |point| sway.at_point(point));
            return Some(found.map(|found| found.map(Shown::from)));
        }
        let mut session = locked(&self.session);
        if at.is_some() || !session.tells_windows() {
            return None;
        }
        Some(session.sync().map(|()| session.front()))
    }

    fn ping(&self) -> Result<(), Failure> {
        locked(&self.session).sync()
    }

    fn hand(&self) -> Result<Box<dyn Hand>, Source> {
        Ok(Box::new(WaylandHand::new(Arc::clone(&self.session))))
    }

    fn keyboard(&self) -> Result<Box<dyn Keyboard>, Failure> {
        Ok(Box::new(WaylandKeyboard::new(Arc::clone(&self.session))))
    }

    fn clipboard(&self) -> Box<dyn Clipboard> {
        Box::new(WaylandClipboard::new(&self.socket))
    }
}

impl WaylandScreen {
    fn manager(&self) -> Result<&Sway, Failure> {
        Ok(self.sway.as_ref().ok_or(AreaFault::WindowsUnknown)?)
    }
}

/// Hands out what the user had copied until something else is copied, once nobody else does.
pub(super) fn keep_clipboard(socket: &str, content: Clipping) -> Result<(), DeviceError> {
    clipboard::keep(socket, content)
        .map_err(|failure| failure.while_asked(socket, "keep the clipboard"))
}

fn locked(session: &Shared) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
