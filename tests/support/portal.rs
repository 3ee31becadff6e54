//! A desktop portal of one test: the genuine `xdg-desktop-portal` on a message bus of its own, and behind
//! it, in the place of a desktop, something that agrees or refuses and keeps what it was told.
//!
//! So what programs speak with is no fake, and what it lets through is what it would hand to a desktop.

#![expect(
    clippy::unused_self,
    clippy::used_underscore_binding,
    reason = "the methods of an interface have all of its arguments"
)]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use fs_err as fs;
use image::RgbImage;
use tempfile::TempDir;
use zbus::blocking::Connection;
use zbus::blocking::connection::Builder;
use zbus::interface;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};

use crate::program::Program;
use crate::wait::{ANSWERING, wait_for};

const NAME: &str = "org.freedesktop.impl.portal.desktop.handsight";
const OBJECT: &str = "/org/freedesktop/portal/desktop";
/// The number of the one stream that is shared.
pub const STREAM: u32 = 42;

const DONE: u32 = 0;
const CANCELLED: u32 = 1;
const KEYBOARD: u32 = 1;
const POINTER: u32 = 2;

type Options = HashMap<String, OwnedValue>;
type Answer = (u32, HashMap<&'static str, Value<'static>>);

/// What the user of the desktop says when asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum User {
    /// Yes to everything.
    #[default]
    Agrees,
    /// No to the sharing of the screen.
    Declines,
    /// The screen may be seen, but not used.
    Withholds,
    /// The screen may be shared; screenshots may not be taken.
    ForbidsScreenshots,
}

/// What reached the desktop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The pointer was moved on this stream.
    Moved(u32, f64, f64),
    /// A button went down or came up.
    Button(i32, bool),
    /// The wheel was turned along an axis.
    Turned(u32, i32),
    /// A key went down or came up.
    Key(i32, bool),
    /// The session ended.
    Closed,
}

/// What the desktop shows, and what it was told.
#[derive(Default)]
struct State {
    user: User,
    picture: RgbImage,
    position: (i32, i32),
    size: (i32, i32),
    files: Vec<PathBuf>,
    events: Vec<Event>,
    questions: usize,
    session: Option<OwnedObjectPath>,
}

#[derive(Clone)]
struct Desk(Arc<Mutex<State>>, PathBuf);

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, event: Event) {
        self.state().events.push(event);
    }
}

/// A portal, which ends when this is dropped.
pub struct Portal {
    _bus: Program,
    dir: TempDir,
    address: String,
    connection: Connection,
    desk: Desk,
}

impl Portal {
    /// Starts a portal of a desktop that shows this picture on a monitor of this size in its own units.
    ///
    /// # Errors
    ///
    /// Fails if `xdg-desktop-portal` or D-Bus is not installed or does not start.
    pub fn start(picture: RgbImage, size: (i32, i32)) -> Result<Self> {
        Self::start_with(picture, size, &["RemoteDesktop", "ScreenCast", "Screenshot", "Access"])
    }

    /// The same for a desktop that offers only these parts of it.
    ///
    /// # Errors
    ///
    /// As [`Portal::start`].
    pub fn start_with(picture: RgbImage, size: (i32, i32), parts: &[&str]) -> Result<Self> {
        let dir = TempDir::new()?;
        let portals = dir.path().join("portals");
        fs::create_dir(&portals)?;
        let parts: Vec<String> =
            parts.iter().map(|part| format!("org.freedesktop.impl.portal.{part}")).collect();
        let parts = parts.join(";");
        let text = format!("[portal]\nDBusName={NAME}\nInterfaces={parts}\nUseIn=handsight\n");
        fs::write(portals.join("handsight.portal"), text)?;
        // What newer portals ask for.
        fs::write(portals.join("handsight-portals.conf"), "[preferred]\ndefault=handsight\n")?;
        let (bus, address) = start_bus(dir.path(), "handsight", &["--session"])?;

        let state = State { picture, size, ..State::default() };
        let desk = Desk(Arc::new(Mutex::new(state)), dir.path().to_owned());
        let connection = Builder::address(address.as_str())?
            .name(NAME)?
            .serve_at(OBJECT, RemoteDesktop(desk.clone()))?
            .serve_at(OBJECT, ScreenCast)?
            .serve_at(OBJECT, Screenshot(desk.clone()))?
            .serve_at(OBJECT, Access(desk.clone()))?
            .build()?;
        Ok(Self { _bus: bus, dir, address, connection, desk })
    }

    /// Starts a message bus on which there is no portal, and returns it with its address.
    ///
    /// # Errors
    ///
    /// Fails if D-Bus is not installed or does not start.
    pub fn start_without() -> Result<(Program, TempDir, String)> {
        let dir = TempDir::new()?;
        let config = dir.path().join("bus.conf");
        fs::write(
            &config,
            "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><policy context=\
             \"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>\
             <allow own=\"*\"/></policy></busconfig>",
        )?;
        let config = format!("--config-file={}", config.display());
        let (bus, address) = start_bus(dir.path(), "handsight", &[&config])?;
        Ok((bus, dir, address))
    }

    /// Returns the address of the message bus.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns a file that need not be there.
    pub fn memory(&self) -> PathBuf {
        self.dir.path().join("memory/token")
    }

    /// Decides what the user says from now on.
    pub fn set_user(&self, user: User) {
        self.desk.state().user = user;
    }

    /// Has the shared monitor lie elsewhere.
    pub fn set_position(&self, position: (i32, i32)) {
        self.desk.state().position = position;
    }

    /// Waits until so much reached the desktop, to which the portal passes on without waiting, and returns all
    /// that did since this was asked last.
    ///
    /// # Errors
    ///
    /// Fails if it does not come, and says what came.
    pub fn take(&self, count: usize) -> Result<Vec<Event>> {
        let is_there = || Ok((self.desk.state().events.len() >= count).then_some(()));
        let done = wait_for("the desktop was not told", ANSWERING, is_there);
        done.with_context(|| format!("it was told {:?}", self.desk.state().events))?;
        Ok(std::mem::take(&mut self.desk.state().events))
    }

    /// Waits until something of this kind reaches the desktop, and returns all that did.
    ///
    /// # Errors
    ///
    /// Fails if it does not come, and says what came.
    pub fn expect(&self, event: Event) -> Result<Vec<Event>> {
        let found = wait_for("the desktop was not told", ANSWERING, || {
            let events = self.desk.state().events.clone();
            Ok(events.contains(&event).then_some(events))
        });
        found.with_context(|| format!("{event:?} is not in {:?}", self.desk.state().events))
    }

    /// Returns how often the user was asked, and the files of screenshots.
    pub fn asked(&self) -> (usize, Vec<PathBuf>) {
        let state = self.desk.state();
        (state.questions, state.files.clone())
    }

    /// Ends the sharing, as a user does who clicks what the desktop shows for it.
    ///
    /// # Errors
    ///
    /// Fails if nothing is shared.
    pub fn stop_sharing(&self) -> Result<()> {
        let session = self.desk.state().session.clone().context("nothing is shared")?;
        let interface = "org.freedesktop.impl.portal.Session";
        self.connection.emit_signal(None::<&str>, session, interface, "Closed", &())?;
        Ok(())
    }
}

/// Starts a message bus of a desktop, whose services live in a folder.
pub(crate) fn start_bus(dir: &Path, desktop: &str, args: &[&str]) -> Result<(Program, String)> {
    let mut command = Command::new("dbus-daemon");
    command.args(args).args(["--nofork", "--nopidfile", "--print-address"]);
    for name in ["WAYLAND_DISPLAY", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS"] {
        command.env_remove(name);
    }
    for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(name, dir);
    }
    let portals = dir.join("portals");
    if portals.is_dir() {
        command.env("XDG_DESKTOP_PORTAL_DIR", portals);
    }
    command.env("XDG_CURRENT_DESKTOP", desktop).stderr(Stdio::null());
    // The services that it starts are in its group, and end with it.
    let mut bus = Program::start_group(&mut command)?;
    let mut address = String::new();
    let said = bus.take_stdout().context("its output is not piped")?;
    BufReader::new(said).read_line(&mut address)?;
    Ok((bus, address.trim().to_owned()))
}

/// A session, which the portal closes when its program is gone.
struct Session(Desk);

#[interface(name = "org.freedesktop.impl.portal.Session")]
impl Session {
    fn close(&self) {
        self.0.note(Event::Closed);
    }

    #[zbus(property, name = "version")]
    fn version(&self) -> u32 {
        1
    }
}

struct RemoteDesktop(Desk);

// One call after the other, as they come.
#[interface(name = "org.freedesktop.impl.portal.RemoteDesktop", spawn = false)]
impl RemoteDesktop {
    fn create_session(
        &self,
        _handle: OwnedObjectPath,
        session: OwnedObjectPath,
        _app: String,
        _options: Options,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Answer {
        self.0.state().session = Some(session.clone());
        let (server, object) = (connection.clone(), Session(self.0.clone()));
        let serve = async move { drop(server.object_server().at(session, object).await) };
        connection.executor().spawn(serve, "session").detach();
        (DONE, HashMap::new())
    }

    fn select_devices(
        &self,
        _handle: OwnedObjectPath,
        _session: OwnedObjectPath,
        _app: String,
        _options: Options,
    ) -> Answer {
        (DONE, HashMap::new())
    }

    fn start(
        &self,
        _handle: OwnedObjectPath,
        _session: OwnedObjectPath,
        _app: String,
        _parent: String,
        _options: Options,
    ) -> Answer {
        let mut state = self.0.state();
        state.questions += 1;
        let devices = match state.user {
            User::Declines => return (CANCELLED, HashMap::new()),
            User::Withholds => 0,
            User::Agrees | User::ForbidsScreenshots => KEYBOARD | POINTER,
        };
        let stream: HashMap<&str, Value<'_>> = HashMap::from([
            ("position", state.position.into()),
            ("size", state.size.into()),
            ("source_type", 1_u32.into()),
        ]);
        let streams = vec![(STREAM, stream)];
        (DONE, HashMap::from([("devices", devices.into()), ("streams", streams.into())]))
    }

    fn notify_pointer_motion_absolute(
        &self,
        _session: OwnedObjectPath,
        _options: Options,
        stream: u32,
        x: f64,
        y: f64,
    ) {
        self.0.note(Event::Moved(stream, x, y));
    }

    fn notify_pointer_button(
        &self,
        _session: OwnedObjectPath,
        _options: Options,
        button: i32,
        state: u32,
    ) {
        self.0.note(Event::Button(button, state == 1));
    }

    fn notify_pointer_axis_discrete(
        &self,
        _session: OwnedObjectPath,
        _options: Options,
        axis: u32,
        steps: i32,
    ) {
        self.0.note(Event::Turned(axis, steps));
    }

    fn notify_keyboard_keysym(
        &self,
        _session: OwnedObjectPath,
        _options: Options,
        keysym: i32,
        state: u32,
    ) {
        self.0.note(Event::Key(keysym, state == 1));
    }

    #[zbus(property)]
    fn available_device_types(&self) -> u32 {
        KEYBOARD | POINTER
    }

    #[zbus(property, name = "version")]
    fn version(&self) -> u32 {
        1
    }
}

struct ScreenCast;

#[interface(name = "org.freedesktop.impl.portal.ScreenCast")]
impl ScreenCast {
    fn select_sources(
        &self,
        _handle: OwnedObjectPath,
        _session: OwnedObjectPath,
        _app: String,
        _options: Options,
    ) -> Answer {
        (DONE, HashMap::new())
    }

    #[zbus(property)]
    fn available_source_types(&self) -> u32 {
        1
    }

    #[zbus(property)]
    fn available_cursor_modes(&self) -> u32 {
        3
    }

    #[zbus(property, name = "version")]
    fn version(&self) -> u32 {
        4
    }
}

struct Screenshot(Desk);

#[interface(name = "org.freedesktop.impl.portal.Screenshot")]
impl Screenshot {
    fn screenshot(
        &self,
        _handle: OwnedObjectPath,
        _app: String,
        _parent: String,
        _options: Options,
    ) -> zbus::fdo::Result<Answer> {
        let mut state = self.0.state();
        // Its name has what stands for itself in no address.
        let file = self.0.1.join(format!("Screen shot #{} 100%.png", state.files.len()));
        let failed = |error: image::ImageError| zbus::fdo::Error::Failed(error.to_string());
        state.picture.save(&file).map_err(failed)?;
        let name = file.display().to_string();
        let name = name.replace('%', "%25").replace(' ', "%20").replace('#', "%23");
        state.files.push(file);
        Ok((DONE, HashMap::from([("uri", format!("file://{name}").into())])))
    }

    #[zbus(property, name = "version")]
    fn version(&self) -> u32 {
        2
    }
}

/// Asks the user whether screenshots may be taken.
struct Access(Desk);

#[interface(name = "org.freedesktop.impl.portal.Access")]
impl Access {
    #[expect(clippy::too_many_arguments, reason = "the interface has them")]
    fn access_dialog(
        &self,
        _handle: OwnedObjectPath,
        _app: String,
        _parent: String,
        _title: String,
        _subtitle: String,
        _body: String,
        _options: Options,
    ) -> Answer {
        let mut state = self.0.state();
        state.questions += 1;
        let is_allowed = state.user != User::ForbidsScreenshots;
        (if is_allowed { DONE } else { CANCELLED }, HashMap::new())
    }
}
