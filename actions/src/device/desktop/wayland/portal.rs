//! The desktop portal: how GNOME, KDE and others let programs see and use the screen, if the user agrees.
//!
//! A portal is a service on the session's message bus. `RemoteDesktop` takes presses and motions,
//! `ScreenCast` says which monitors the user shared (the pointer is placed by them), `Screenshot` takes
//! pictures. The user is asked when a device is opened; newer portals give a token with which they need
//! not be asked again. What is pressed is let go of when the connection to the bus ends, however it ends.
//!
//! Where outputs are and what the keyboard can write the compositor tells, as it tells every program.

mod bus;
mod hand;
mod keyboard;
mod layouts;
mod screenshot;
mod share;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::RgbImage;
use zbus::zvariant::{DynamicType, ObjectPath};

use self::bus::{Bus, Interface, Options};
use self::hand::PortalHand;
use self::keyboard::PortalKeyboard;
pub(super) use self::layouts::KeymapText;
use self::share::Share;
use super::output::Placed;
use super::pointer::BUTTONS;
use super::session::Session;
use crate::device::desktop::backend::{Hand, Keyboard, Screen};
use crate::device::desktop::keysym::{self, Keysym};
use crate::device::desktop::{Failure, Monitor, PortalOptions};
use crate::device::{DeviceError, PortalFault, Source};
use crate::geometry::Area;
use crate::key::{Key, NamedKey};

/// What the portal says of a session that it does not know, or not any more.
const ACCESS_DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";

/// What the screen, the pointer and the keyboard share.
struct Desk {
    compositor: Session<()>,
    bus: Bus,
    memory: Option<PathBuf>,
    /// What the user let us use, once they were asked.
    share: Option<Share>,
}

type Shared = Arc<Mutex<Desk>>;

/// The monitors of a desktop that is used through its portal.
pub(super) struct PortalScreen {
    display: String,
    desk: Shared,
}

impl PortalScreen {
    /// Connects to the portal of the compositor's session, and asks nobody yet.
    pub(super) fn open(
        compositor: Session<()>,
        options: &PortalOptions,
    ) -> Result<Self, DeviceError> {
        let display = compositor.display().to_owned();
        let bus = Bus::connect(options.bus.as_deref()).map_err(|fault| {
            let (display, missing) = (display.clone(), compositor.missing());
            DeviceError::MissingProtocols { display, missing, portal: Some(fault) }
        })?;
        let memory = options.memory.clone();
        let desk = Desk { compositor, bus, memory, share: None };
        Ok(Self { display, desk: Arc::new(Mutex::new(desk)) })
    }
}

impl Screen for PortalScreen {
    fn display(&self) -> &str {
        &self.display
    }

    fn monitors(&self) -> Result<Vec<Monitor>, Failure> {
        let compositor = &mut locked(&self.desk).compositor;
        compositor.refresh()?;
        Ok(compositor.outputs().map(Placed::monitor).collect())
    }

    fn capture(&mut self, area: Area, monitor: usize) -> Result<RgbImage, Failure> {
        let mut desk = locked(&self.desk);
        desk.check_open()?;
        // Better said before anything is decided than when the pointer is to go there.
        desk.stream_of(monitor)?;
        screenshot::capture(&mut desk, area, monitor)
    }

    fn ping(&self) -> Result<(), Failure> {
        let mut desk = locked(&self.desk);
        desk.check_open()?;
        desk.compositor.sync()?;
        desk.bus.version(Interface::RemoteDesktop).map_err(|fault| Failure::Lost(fault.into()))?;
        Ok(())
    }

    fn hand(&self) -> Result<Box<dyn Hand>, Source> {
        Ok(Box::new(PortalHand::new(Arc::clone(&self.desk))))
    }

    /// Asks the user to share the screen and its input; the pointer is of no use without, either.
    fn keyboard(&self) -> Result<Box<dyn Keyboard>, Failure> {
        locked(&self.desk).ask()?;
        Ok(Box::new(PortalKeyboard::new(Arc::clone(&self.desk))))
    }
}

impl Desk {
    /// Whether this is KDE as it was before its portal remembered what was shared (5.27 is such a one).
    fn is_old_kde(&self) -> Result<bool, Failure> {
        let version = || self.bus.version(Interface::RemoteDesktop).map_err(Failure::Portal);
        Ok(self.compositor.is_kwin() && version()? < share::REMEMBERS)
    }

    /// Asks the user to share the screen, unless they did.
    fn ask(&mut self) -> Result<(), Failure> {
        if self.share.is_none() {
            let share = Share::ask(&mut self.bus, self.memory.as_deref());
            self.share = Some(share.map_err(Failure::Portal)?);
        }
        Ok(())
    }

    fn share(&self) -> Result<&Share, Failure> {
        self.share.as_ref().ok_or_else(|| Failure::Refused("the screen is not shared yet".into()))
    }

    /// Checks that the user still shares the screen.
    fn check_open(&mut self) -> Result<(), Failure> {
        match &self.share {
            Some(share) if self.bus.is_closed(share.session()) => {
                Err(Failure::Lost("the user ended the sharing of the screen".into()))
            }
            _ => Ok(()),
        }
    }

    /// Returns the number by which the portal knows a monitor, and where a pixel's unit begins on it.
    fn stream_of(&self, monitor: usize) -> Result<(u32, f64), Failure> {
        let gone = || Failure::Refused("the monitor was unplugged".into());
        let Monitor { name, layout, .. } =
            self.compositor.outputs().nth(monitor).ok_or_else(gone)?.monitor();
        let is_only = self.compositor.outputs().count() == 1;
        let node = self.share()?.stream_at(layout, is_only);
        node.map(|node| (node, layout.scale))
            .map_err(|shared| Failure::Portal(PortalFault::Unshared { monitor: name, shared }))
    }

    /// Tells the portal of one event of the pointer or the keyboard.
    fn notify<B>(
        &mut self,
        method: &'static str,
        event: impl FnOnce(&ObjectPath<'static>, Options<'static>) -> B,
    ) -> Result<(), Failure>
    where
        B: serde::Serialize + DynamicType,
    {
        self.check_open()?;
        let body = event(self.share()?.session(), Options::new());
        let said = self.bus.call(Interface::RemoteDesktop, method, &body);
        said.map(drop).map_err(|error| match error {
            // The session is gone, which is told by a signal, too, but that may come later.
            zbus::Error::MethodError(ref name, ..) if *name == ACCESS_DENIED => {
                Failure::Lost(error.into())
            }
            error => Failure::Refused(error.into()),
        })
    }

    /// Tells the portal that a button went down or came up.
    fn tell_button(&mut self, code: u32, is_down: bool) -> Result<(), Failure> {
        let (code, state) = (code.cast_signed(), u32::from(is_down));
        self.notify("NotifyPointerButton", |session, options| {
            (session.clone(), options, code, state)
        })
    }

    /// Tells the portal that a key went down or came up.
    fn tell_key(&mut self, keysym: Keysym, is_down: bool) -> Result<(), Failure> {
        let (keysym, state) = (keysym.cast_signed(), u32::from(is_down));
        self.notify("NotifyKeyboardKeysym", |session, options| {
            (session.clone(), options, keysym, state)
        })
    }
}

/// Lets go of the buttons and modifiers that a killed program held.
///
/// GNOME does so by itself when a program's connection to the bus ends. KDE of old does not; there they
/// are released through another session, for which it asks nobody.
pub(super) fn let_go(compositor: Session<()>) -> Result<(), Failure> {
    // Elsewhere nothing is to be done, whether there is a portal or not.
    if !compositor.is_kwin() {
        return Ok(());
    }
    let bus = Bus::connect(None).map_err(Failure::Portal)?;
    let mut desk = Desk { compositor, bus, memory: None, share: None };
    if !desk.is_old_kde()? {
        return Ok(());
    }
    desk.ask()?;
    for button in BUTTONS {
        desk.tell_button(button, false)?;
    }
    let modifiers =
        [NamedKey::Shift, NamedKey::Ctrl, NamedKey::Alt, NamedKey::AltGr, NamedKey::Meta];
    for key in modifiers.map(Key::Named) {
        if let Some(&keysym) = keysym::of_key(key).first() {
            desk.tell_key(keysym, false)?;
        }
    }
    Ok(())
}

fn locked(desk: &Shared) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
