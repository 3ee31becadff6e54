//! What the user lets us use: a session of the portal with its devices and its monitors.

use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use serde::Deserialize;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, Type, Value, as_value};

use super::bus::{Bus, Interface, Options};
use crate::device::PortalFault;
use crate::geometry::MonitorLayout;

/// How long the user gets to answer, and how long the portal where nobody is asked.
const ANSWERING: Duration = Duration::from_secs(120);
const PREPARING: Duration = Duration::from_secs(20);

const KEYBOARD: u32 = 1;
const POINTER: u32 = 2;
const MONITORS: u32 = 1;
/// Until the user takes it back.
const PERSISTENT: u32 = 2;
/// The first version of `RemoteDesktop` that need not ask each time.
pub(super) const REMEMBERS: u32 = 2;
/// The longest token that is kept.
const LONGEST_TOKEN: usize = 4096;

const TASK: &str = "see and control the screen";

/// A session of the portal, which the user agreed to.
pub(super) struct Share {
    session: OwnedObjectPath,
    streams: Vec<Stream>,
}

/// A monitor that the user shared, by the number of the stream that would show it.
type Stream = (u32, Place);

/// Where a monitor is, in units of the desktop.
#[derive(Clone, Copy, Default, Deserialize, Type)]
#[zvariant(signature = "dict")]
#[serde(default)]
struct Place {
    #[serde(with = "as_value::optional")]
    position: Option<(i32, i32)>,
    #[serde(with = "as_value::optional")]
    size: Option<(i32, i32)>,
}

#[derive(Default, Deserialize, Type)]
#[zvariant(signature = "dict")]
#[serde(default)]
struct Created {
    #[serde(with = "as_value::optional")]
    session_handle: Option<String>,
}

/// What is said of a request that has nothing to tell.
#[derive(Default, Deserialize, Type)]
#[zvariant(signature = "dict")]
#[serde(default)]
struct Nothing {}

#[derive(Default, Deserialize, Type)]
#[zvariant(signature = "dict")]
#[serde(default)]
struct Started {
    #[serde(with = "as_value::optional")]
    devices: Option<u32>,
    #[serde(with = "as_value::optional")]
    streams: Option<Vec<Stream>>,
    #[serde(with = "as_value::optional")]
    restore_token: Option<String>,
}

impl Share {
    /// Asks the user, who need not be asked where the file has the portal's word that they agreed.
    pub(super) fn ask(bus: &mut Bus, memory: Option<&Path>) -> Result<Self, PortalFault> {
        let remembers = bus.version(Interface::RemoteDesktop)? >= REMEMBERS;
        let memory = memory.filter(|_| remembers);
        let preparing = (TASK, PREPARING);

        let options = Options::from([("session_handle_token", Value::from("handsight"))]);
        let create = (Interface::RemoteDesktop, "CreateSession");
        let created: Created = bus.request(create, preparing, options, |options| (options,))?;
        let session = created.session_handle.and_then(|path| ObjectPath::try_from(path).ok());
        let nameless = || PortalFault::Failed { task: TASK, source: "it named no session".into() };
        let session = session.ok_or_else(nameless)?;
        let on_session = |options| (session.clone(), options);

        let mut options = Options::from([("types", Value::from(KEYBOARD | POINTER))]);
        if memory.is_some() {
            options.insert("persist_mode", PERSISTENT.into());
        }
        if let Some(token) = memory.and_then(recall) {
            options.insert("restore_token", token.into());
        }
        let select = (Interface::RemoteDesktop, "SelectDevices");
        let _: Nothing = bus.request(select, preparing, options, on_session)?;
        let monitors = [("types", Value::from(MONITORS)), ("multiple", Value::from(true))];
        let select = (Interface::ScreenCast, "SelectSources");
        let _: Nothing = bus.request(select, preparing, Options::from(monitors), on_session)?;

        let start = (Interface::RemoteDesktop, "Start");
        let started: Started =
            bus.request(start, (TASK, ANSWERING), Options::new(), |options| {
                (session.clone(), "", options)
            })?;
        if let (Some(memory), Some(token)) = (memory, &started.restore_token) {
            remember(memory, token);
        }
        let devices = started.devices.unwrap_or_default();
        let withheld = match (devices & POINTER != 0, devices & KEYBOARD != 0) {
            (true, true) => None,
            (false, true) => Some("the pointer"),
            (true, false) => Some("the keyboard"),
            (false, false) => Some("the pointer and the keyboard"),
        };
        if let Some(withheld) = withheld {
            // What was agreed to is of no use, also next time.
            if let Some(memory) = memory {
                let _ = fs::remove_file(memory);
            }
            return Err(PortalFault::Withheld { withheld });
        }
        let streams = started.streams.unwrap_or_default();
        Ok(Self { session: session.into(), streams })
    }

    pub(super) fn session(&self) -> &ObjectPath<'static> {
        &self.session
    }

    /// Returns the number of the stream of a monitor, or how many others were shared.
    ///
    /// Some portals do not say where what they share lies. Then it is told by its size.
    pub(super) fn stream_at(&self, layout: MonitorLayout, is_only: bool) -> Result<u32, usize> {
        let unit = |pixels: u32| (f64::from(pixels) / layout.scale).round();
        let is_as_large = |place: &Place| {
            place.size.is_none_or(|(width, height)| {
                let off = |side: i32, pixels: u32| (f64::from(side) - unit(pixels)).abs();
                off(width, layout.size.width) <= 1.0 && off(height, layout.size.height) <= 1.0
            })
        };
        let lies_there = |place: &Place| match place.position {
            Some(position) => position == (layout.origin.x, layout.origin.y),
            None => is_only || is_as_large(place),
        };
        let mut found = self.streams.iter().filter(|(_, place)| lies_there(place));
        match (found.next(), found.next()) {
            (Some((node, _)), None) => Ok(*node),
            _ => Err(self.streams.len()),
        }
    }
}

/// Reads the token of an earlier session.
fn recall(memory: &Path) -> Option<String> {
    let token = fs::read_to_string(memory).ok()?;
    let token = token.trim();
    (!token.is_empty() && token.len() <= LONGEST_TOKEN).then(|| token.to_owned())
}

/// Keeps a token, which is good for one session. Where it cannot be kept the user is asked again.
fn remember(memory: &Path, token: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let write = || {
        if let Some(folder) = memory.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(memory)?.write_all(token.as_bytes())
    };
    let _: std::io::Result<()> = write();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{DesktopPoint, Size};

    fn layout(x: i32, y: i32, width: u32, height: u32, scale: f64) -> MonitorLayout {
        MonitorLayout { origin: DesktopPoint { x, y }, size: Size { width, height }, scale }
    }

    fn share(streams: &[(u32, Place)]) -> Share {
        let session = ObjectPath::from_static_str_unchecked("/session").into();
        Share { session, streams: streams.to_vec() }
    }

    #[test]
    fn a_monitor_is_found_among_those_that_are_shared() {
        let at =
            |x, y, width, height| Place { position: Some((x, y)), size: Some((width, height)) };
        let both = share(&[(40, at(0, 0, 1920, 1080)), (41, at(1920, 0, 1920, 1080))]);
        assert_eq!(both.stream_at(layout(1920, 0, 3840, 2160, 2.0), false), Ok(41));
        assert_eq!(both.stream_at(layout(-1280, 0, 1280, 720, 1.0), false), Err(2));
        let sizes = |width, height| Place { position: None, size: Some((width, height)) };
        let unplaced = share(&[(7, sizes(1280, 720)), (8, sizes(1707, 960))]);
        assert_eq!(unplaced.stream_at(layout(1280, 0, 2560, 1440, 1.5), false), Ok(8));
        assert_eq!(share(&[(9, Place::default())]).stream_at(layout(0, 0, 8, 8, 1.0), true), Ok(9));
        let alike = share(&[(7, sizes(1280, 720)), (8, sizes(1280, 720))]);
        assert_eq!(alike.stream_at(layout(0, 0, 1280, 720, 1.0), false), Err(2));
        assert_eq!(share(&[]).stream_at(layout(0, 0, 1280, 720, 1.0), true), Err(0));
    }

    #[test]
    fn a_token_is_kept_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = std::env::temp_dir().join(format!("handsight-portal-{}", std::process::id()));
        let file = dir.join("state/portal");
        assert_eq!(recall(&file), None);
        remember(&file, "one");
        remember(&file, "two");
        assert_eq!(recall(&file).as_deref(), Some("two"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "x".repeat(LONGEST_TOKEN + 1)).unwrap();
        assert_eq!(recall(&file), None);
        fs::remove_dir_all(dir).unwrap();
    }
}
