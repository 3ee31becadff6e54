//! X11: capture and keyboard by speaking to the server.
//!
//! One connection serves both, and no wait on it is without end. Capture reads the pixels from
//! memory shared with the server, which takes about 1 ms for 1280×720 where xcap takes 10 to 15.
//! Text is typed by our own use of XTEST, because enigo's silently loses and swaps characters: it
//! teaches a spare key every capital letter, and reuses those keys before programs have read them.
//!
//! Monitors come from `RandR`, in physical pixels. The scale of the desktop, `Xft.dpi`, is reported
//! and never used for coordinates.

mod capture;
mod clipboard;
mod connection;
mod damage;
mod keyboard;
mod keymap;
mod listen;
mod raise;
mod rescue;
mod watch;
mod windows;

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbImage;
use x11rb::connection::RequestConnection as _;
use x11rb::protocol::randr::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, KeyButMask};
use x11rb::protocol::xtest;

use self::capture::Capture;
use self::clipboard::X11Clipboard;
pub(super) use self::clipboard::keep as keep_clipboard;
use self::connection::Connection;
use self::keyboard::X11Keyboard;
pub use self::listen::DesktopListener;
pub(super) use self::rescue::X11Rescue;
use self::watch::X11Watch;
use super::backend::{Clipboard, Hand, Keyboard, Screen, Shown, Watch};
use super::mouse::EnigoHand;
use super::raise::{focus, raise};
use super::view::Found;
use super::{Failure, Monitor, WatchOptions};
use crate::device::pause::pause;
use crate::device::{DeviceError, Source};
use crate::geometry::{Area, DesktopPoint, MonitorLayout, Size};
use crate::halt::Halt;

/// How long a window manager may take to look at a press. One that never does is not waited for.
const RELEASING: Duration = Duration::from_secs(1);

/// How often a window that goes away is asked about, and how long after one another.
const LOOKS: usize = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// An X display: its monitors, what they show and which window is in front.
pub(super) struct X11Screen {
    connection: Arc<Connection>,
    capture: Capture,
    has_randr: bool,
    scale: f64,
}

impl X11Screen {
    /// Connects to a display by its name, or to the one the environment names.
    pub(super) fn open(display: Option<&str>) -> Result<Self, DeviceError> {
        let connection = Connection::open(display)?;
        let name = connection.display.clone();
        let fail = |failure: Failure| failure.while_asked(&name, "say what it can do");
        let has = |extension| {
            let found = connection.x.extension_information(extension);
            found.map(|found| found.is_some()).map_err(|err| fail(err.into()))
        };
        if !has(xtest::X11_EXTENSION_NAME)? {
            return Err(DeviceError::MissingExtension {
                display: name,
                extension: "XTEST",
                needed_for: "mouse and keyboard input",
            });
        }
        let has_randr = has(randr::X11_EXTENSION_NAME)?;
        if has_randr && is_guest_of_wayland(&connection).map_err(fail)? {
            return Err(DeviceError::Wayland { display: name });
        }
        let scale = scale(&connection).map_err(fail)?;
        let capture = Capture::new(&connection);
        Ok(Self { connection: Arc::new(connection), capture, has_randr, scale })
    }
}

impl Screen for X11Screen {
    fn display(&self) -> &str {
        &self.connection.display
    }

    fn is_x11(&self) -> bool {
        true
    }

    /// Returns the monitors; without `RandR` the whole screen is one.
    fn monitors(&self) -> Result<Vec<Monitor>, Failure> {
        let x = &self.connection.x;
        let mut monitors = Vec::new();
        if self.has_randr {
            let reply = x.randr_get_monitors(self.connection.root, true)?.reply()?;
            for info in reply.monitors {
                let name = x.get_atom_name(info.name)?.reply()?.name;
                monitors.push(Monitor {
                    name: String::from_utf8_lossy(&name).into_owned(),
                    layout: layout([info.x, info.y], [info.width, info.height]),
                    scale: self.scale,
                    is_primary: info.primary,
                });
            }
        }
        if monitors.is_empty() {
            let root = x.get_geometry(self.connection.root)?.reply()?;
            monitors.push(Monitor {
                name: "screen".to_owned(),
                layout: layout([0, 0], [root.width, root.height]),
                scale: self.scale,
                is_primary: true,
            });
        }
        Ok(monitors)
    }

    fn capture(&mut self, area: Area, _: usize) -> Result<RgbImage, Failure> {
        self.capture.capture(&self.connection, area.on_desktop())
    }

    fn windows(&self) -> Result<Vec<Found>, Failure> {
        windows::list(&self.connection)
    }

    fn find_window(&self, id: u32) -> Result<Option<Found>, Failure> {
        windows::find(&self.connection, id)
    }

    fn raise(&self, window: &Found) -> Result<bool, Failure> {
        raise(&*self.connection, window)
    }

    fn focus(&self, window: &Found) -> Result<(), Failure> {
        focus(&*self.connection, window)
    }

    /// Returns the class of the window that has the focus, if a window manager says which.
    fn foreground_app(&self) -> Option<String> {
        let x = &self.connection.x;
        let atom = x.intern_atom(true, b"_NET_ACTIVE_WINDOW").ok()?.reply().ok()?.atom;
        let root = self.connection.root;
        let active =
            x.get_property(false, root, atom, AtomEnum::WINDOW, 0, 1).ok()?.reply().ok()?;
        let window = active.value32()?.next().filter(|&window| window != x11rb::NONE)?;
        let class = x
            .get_property(false, window, AtomEnum::WM_CLASS, AtomEnum::STRING, 0, 256)
            .ok()?
            .reply()
            .ok()?;
        // Two texts, the instance and the class, each ended by a zero.
        let class = class.value.split(|&byte| byte == 0).nth(1)?;
        Some(String::from_utf8_lossy(class).into_owned()).filter(|class| !class.is_empty())
    }

    /// What goes away while it is asked about is asked about again: a program that ends takes its windows
    /// with it one after another.
    fn window(&self, at: Option<DesktopPoint>) -> Option<Result<Option<Shown>, Failure>> {
        let ask = || match at {
            Some(point) => windows::at_point(&self.connection, point),
            None => windows::focused(&self.connection),
        };
        let mut answer = ask();
        for _ in 1..LOOKS {
            if !matches!(answer, Err(Failure::Refused(_))) {
                break;
            }
            pause(BETWEEN_LOOKS);
            answer = ask();
        }
        Some(answer.map(|found| found.map(Shown::from)))
    }

    /// Waits until the buttons have come up where they were let go, or a second has passed.
    ///
    /// A window manager stops the pointer at every press until it has looked at it. If it is slow,
    /// the release waits in the server meanwhile, and arrives wherever the pointer is by then:
    /// with the next move, a click would become a drag.
    fn wait_for_buttons(&self) -> Result<(), Failure> {
        let buttons = KeyButMask::BUTTON1 | KeyButMask::BUTTON2 | KeyButMask::BUTTON3;
        let start = Instant::now();
        while start.elapsed() < RELEASING {
            let pointer = self.connection.x.query_pointer(self.connection.root)?.reply()?;
            if !pointer.mask.intersects(buttons) {
                break;
            }
            pause(Duration::from_millis(2));
        }
        Ok(())
    }

    fn ping(&self) -> Result<(), Failure> {
        self.connection.x.get_input_focus()?.reply()?;
        Ok(())
    }

    fn hand(&self) -> Result<Box<dyn Hand>, Source> {
        EnigoHand::open(Some(self.display()))
    }

    fn keyboard(&self) -> Result<Box<dyn Keyboard>, Failure> {
        Ok(Box::new(X11Keyboard::open(Arc::clone(&self.connection))?))
    }

    fn clipboard(&self) -> Box<dyn Clipboard> {
        Box::new(X11Clipboard::new(self.display()))
    }

    fn watch(
        &self,
        options: WatchOptions,
        halt: Halt,
    ) -> Result<Option<Box<dyn Watch>>, DeviceError> {
        let watch = X11Watch::start(self.display(), options, halt)?;
        Ok(watch.map(|watch| Box::new(watch) as Box<dyn Watch>))
    }
}

/// Whether the server is an `XWayland` whose windows are shown by a Wayland compositor.
///
/// Such a server has every window drawn elsewhere, so that its screen stays black. One that shows a
/// desktop of its own in a window has no such manager.
fn is_guest_of_wayland(connection: &Connection) -> Result<bool, Failure> {
    let x = &connection.x;
    let mut is_xwayland = x.extension_information("XWAYLAND")?.is_some();
    for monitor in x.randr_get_monitors(connection.root, true)?.reply()?.monitors {
        is_xwayland |= x.get_atom_name(monitor.name)?.reply()?.name.starts_with(b"XWAYLAND");
    }
    if !is_xwayland {
        return Ok(false);
    }
    let manager = x.intern_atom(false, b"_NET_WM_CM_S0")?.reply()?.atom;
    Ok(x.get_selection_owner(manager)?.reply()?.owner != x11rb::NONE)
}

fn layout([x, y]: [i16; 2], [width, height]: [u16; 2]) -> MonitorLayout {
    MonitorLayout {
        origin: DesktopPoint { x: x.into(), y: y.into() },
        size: Size { width: width.into(), height: height.into() },
        scale: 1.0,
    }
}

/// Returns the scale programs are asked to draw at, from the resource database's `Xft.dpi`.
fn scale(connection: &Connection) -> Result<f64, Failure> {
    let resources = connection
        .x
        .get_property(
            false,
            connection.root,
            AtomEnum::RESOURCE_MANAGER,
            AtomEnum::STRING,
            0,
            1 << 16,
        )?
        .reply()?;
    let resources = String::from_utf8_lossy(&resources.value);
    let dpi = resources.lines().find_map(|line| line.strip_prefix("Xft.dpi:"));
    let dpi = dpi.and_then(|dpi| dpi.trim().parse::<f64>().ok());
    Ok(dpi.filter(|dpi| (48.0..=960.0).contains(dpi)).map_or(1.0, |dpi| dpi / 96.0))
}
