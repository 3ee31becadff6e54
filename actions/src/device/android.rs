//! Android phones and emulators, over ADB.
//!
//! A phone is a running ADB server's to reach, or its daemon is spoken to over TCP: `adb` knows both, and
//! every command is a connection of its own with a deadline. Looking may be repeated when something breaks. Acting may
//! not: what was sent and not confirmed may have happened, so it is reported and never sent again.
//!
//! Points of a screenshot become those of `input` in `screen`; `input` and `text` turn actions into
//! commands of the phone's shell, `frame` reads what `screencap` writes.

mod adb;
mod apps;
mod checks;
mod error;
pub mod fake;
mod frame;
mod input;
mod keycode;
mod listen;
mod phones;
mod quote;
mod screen;
mod text;
mod ui;
mod unicode;
mod wireless;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use image::RgbImage;

use self::adb::client::{Client, Lapse, ShellOutput};
use self::adb::direct::{self, Daemon};
pub use self::adb::error::AdbError;
pub use self::adb::host::{AdbAddress, BadAdbAddress};
use self::adb::host::{Server, short};
pub use self::checks::Namespace;
pub use self::error::{AndroidError, FrameProblem};
pub use self::fake::{
    AndroidFault, FakeAndroid, FakeAndroidOptions, FakeDoor, FakeLock, FakePixels,
};
use self::frame::{Blackness, FrameError, read_png, read_raw};
use self::input::{NoKeys, Step, has_failed};
pub use self::listen::AndroidListener;
pub(crate) use self::listen::Events;
use self::phones::Facts;
pub use self::phones::{AndroidPhone, PhoneDetails, android_phones};
use self::screen::{Screen, secure_window};
use self::text::{Stroke, strokes, typed};
pub use self::ui::{UiNode, UiTree};
pub use self::wireless::{Wireless, wireless};
use super::pause::pause_unless;
use super::{Device, DeviceError, DeviceInfo, DeviceKind, admit};
use crate::action::{Action, ActionSpace, Verb};
use crate::fact::{Fact, FactSaid};
use crate::geometry::{DesktopPoint, PixelPoint, Rect, Size};
use crate::halt::{Halt, HaltState};
use crate::observation::{Observation, Place, Window, WindowAt};
use crate::screenshot::Screenshot;

/// How long it is waited for something on a screen that is black all over.
const BLACK: Duration = Duration::from_millis(1500);
/// How long it is waited before looking once more.
const AGAIN: Duration = Duration::from_millis(250);
/// Says whether the screen is on, and what windows there are.
const WHY_BLACK: &str = "dumpsys power | grep -F mWakefulness=; dumpsys window windows";

/// Which phone.
#[derive(Clone, Debug)]
pub struct AndroidOptions {
    /// The ADB server that reaches it; it is started if it is to run on this machine and does not.
    pub server: AdbAddress,
    /// The phone's serial number; the only phone there is, if absent. `tcp:HOST:PORT` is a phone that is
    /// reached without any server, and so are `usb` and `usb:SERIAL`, on a cable.
    pub serial: Option<String>,
    /// The folder with the key that `adb` made, for a phone without a server in between.
    pub keys: Option<PathBuf>,
    /// How long a screenshot, or a command beyond what it does by the clock, may take.
    pub patience: Duration,
}

impl Default for AndroidOptions {
    fn default() -> Self {
        let patience = Duration::from_secs(15);
        Self { server: AdbAddress::default(), serial: None, keys: None, patience }
    }
}

/// Finds the way to a phone.
fn reach(options: &AndroidOptions) -> Result<Client, AdbError> {
    let serial = options.serial.as_deref();
    if let Some((serial, place)) =
        serial.and_then(|serial| Some((serial, direct::Place::parse(serial)?)))
    {
        let daemon = Daemon::new(place, options.keys.clone());
        return Client::direct(daemon, serial, options.patience);
    }
    let server = Server::new(options.server.clone());
    server.ensure()?;
    let phone = server.choose(serial)?;
    Client::of(server, phone.serial, options.patience)
}

/// A phone: its screen, a finger and its keys.
#[derive(Debug)]
pub struct AndroidDevice {
    name: String,
    client: Client,
    sdk: u32,
    /// The screen as it was last seen.
    screen: Screen,
    /// The size of screenshots.
    size: Size,
    /// Whether frames without compression turned out to be of no use.
    only_png: bool,
    halt: Halt,
}

impl AndroidDevice {
    /// Connects to a phone.
    ///
    /// # Errors
    /// [`AndroidError::Adb`] says what is missing: `adb`, the server, the phone or its consent.
    pub fn open(options: &AndroidOptions) -> Result<Self, DeviceError> {
        let fail = |error: AdbError| DeviceError::from(AndroidError::from(error));
        let client = reach(options).map_err(fail)?;
        unicode::recover(&client).map_err(fail)?;
        let facts = Facts::ask(&client).map_err(fail)?;
        let screen = Screen::ask(&client).map_err(fail)?;
        let mut device = Self {
            name: format!("android {}", client.serial()),
            client,
            sdk: facts.sdk,
            size: screen.size,
            screen,
            only_png: false,
            halt: Halt::default(),
        };
        // Points count in pixels of a screenshot, whose size only a screenshot tells. One that may
        // not be taken now is complained of when somebody asks for it.
        if let Ok(image) = device.capture() {
            device.size = Size { width: image.width(), height: image.height() };
        }
        Ok(device)
    }

    /// Returns the device with a switch that stops all input, also in the middle of an action.
    ///
    /// A gesture that was sent ends by itself within its time: the finger is lifted by the phone.
    #[must_use]
    pub fn heeding(mut self, halt: Halt) -> Self {
        self.client.heed(halt.clone());
        self.halt = halt;
        self
    }

    /// Proves that input is taken, with a key that has no meaning.
    ///
    /// # Errors
    /// [`AndroidError::Command`] where the phone forbids it.
    pub fn check_input(&mut self) -> Result<(), DeviceError> {
        self.act(Verb::Key, &[input::press(keycode::UNKNOWN)])
    }

    /// Captures the screen, once more if the first time brought half of it.
    fn capture(&mut self) -> Result<RgbImage, AndroidError> {
        match self.capture_once() {
            Err(AndroidError::Frame { .. }) => {
                pause_unless(&self.halt, AGAIN);
                self.capture_once()
            }
            captured => captured,
        }
    }

    fn capture_once(&mut self) -> Result<RgbImage, AndroidError> {
        if !self.only_png {
            match read_raw(&self.captured("screencap 2>/dev/null")?, self.sdk) {
                Err(FrameError::Format(_)) => self.only_png = true,
                read => return read.map_err(|error| self.no_frame(error)),
            }
        }
        let bytes = self.captured("screencap -p 2>/dev/null")?;
        read_png(&bytes).map_err(|error| self.no_frame(error))
    }

    fn captured(&self, command: &str) -> Result<Vec<u8>, AndroidError> {
        let client = &self.client;
        Ok(client.again(|| Ok(client.exec(command, &client.looking())?))?)
    }

    fn no_frame(&self, error: FrameError) -> AndroidError {
        AndroidError::Frame { device: self.name.clone(), problem: FrameProblem(error) }
    }

    /// Takes a picture of the screen at the moment when the phone says how it is turned.
    fn look(&mut self) -> Result<RgbImage, AndroidError> {
        let client = self.client.clone();
        let (screen, image) = thread::scope(|scope| {
            let asked = scope.spawn(move || Screen::ask(&client));
            let image = self.capture();
            (asked.join(), image)
        });
        let screen = screen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.screen = screen;
        let image = match image {
            Err(error @ AndroidError::Frame { .. }) => {
                return Err(self.why_dark()?.unwrap_or(error));
            }
            image => image?,
        };
        self.size = Size { width: image.width(), height: image.height() };
        Ok(image)
    }

    /// Says why a picture shows nothing, if the phone has a reason.
    fn why_dark(&self) -> Result<Option<AndroidError>, AndroidError> {
        let said = self.client.look(WHY_BLACK)?;
        let state = said.lines().find_map(|line| line.trim().strip_prefix("mWakefulness="));
        if state.is_some_and(|state| state != "Awake" && state != "Dreaming") {
            return Ok(Some(AndroidError::Asleep { device: self.name.clone() }));
        }
        let secure = secure_window(&said);
        Ok(secure.map(|app| AndroidError::Secure { device: self.name.clone(), app }))
    }

    /// Takes a picture of what is really to be seen.
    fn see(&mut self) -> Result<RgbImage, AndroidError> {
        let start = std::time::Instant::now();
        loop {
            let image = self.look()?;
            let blackness = Blackness::of(&image);
            if blackness == Blackness::Little {
                return Ok(image);
            }
            if let Some(reason) = self.why_dark()? {
                return Err(reason);
            }
            if blackness == Blackness::Much {
                return Ok(image);
            }
            // An app that is just starting may be black for a moment.
            if start.elapsed() > BLACK || matches!(self.halt.state(), HaltState::Stopped(_)) {
                return Err(AndroidError::Black { device: self.name.clone() });
            }
            pause_unless(&self.halt, AGAIN);
        }
    }

    /// Returns what has to be sent for an action.
    fn plan(&mut self, action: &Action<PixelPoint>) -> Result<Vec<Step>, DeviceError> {
        let points = action.points();
        let on_screen = points[0].is_some() || action.verb() == Verb::Scroll;
        if on_screen {
            let screen = Screen::ask(&self.client).map_err(AndroidError::from)?;
            if screen.size != self.screen.size {
                return Err(AndroidError::Changed { device: self.name.clone() }.into());
            }
        }
        let place = |point: PixelPoint| -> DesktopPoint { self.screen.place(point, self.size) };
        Ok(match action {
            Action::LeftClick { coordinate } => vec![input::tap(place(*coordinate))],
            Action::DoubleClick { coordinate } => vec![input::double_tap(place(*coordinate))],
            Action::LongPress { coordinate, time } => {
                let time = Duration::try_from_secs_f64(*time).unwrap_or_default();
                vec![input::long_press(place(*coordinate), time)]
            }
            Action::Swipe { coordinate, coordinate2 } => {
                vec![input::swipe(place(*coordinate), place(*coordinate2))]
            }
            Action::Drag { coordinate, coordinate2 } => {
                vec![input::drag(place(*coordinate), place(*coordinate2))]
            }
            Action::Scroll { coordinate, direction, amount } => {
                input::scroll(*coordinate, *direction, *amount, &self.screen, self.size)
            }
            Action::Type { text } => self.typing(text)?,
            Action::Key { keys } => {
                vec![input::keys(keys, self.sdk).map_err(|problem| self.no_keys(keys, problem))?]
            }
            Action::SystemButton { button } => vec![input::system_button(*button)],
            Action::OpenApp { app } => vec![self.opening(app)?],
            Action::RightClick { .. }
            | Action::MiddleClick { .. }
            | Action::TripleClick { .. }
            | Action::MouseMove { .. }
            | Action::Wait { .. }
            | Action::Answer { .. }
            | Action::CallUser { .. }
            | Action::Terminate { .. } => Vec::new(),
        })
    }

    fn typing(&self, text: &str) -> Result<Vec<Step>, AndroidError> {
        let strokes = strokes(text);
        let mut untypable = Vec::new();
        for stroke in &strokes {
            let Stroke::Other(piece) = stroke else { continue };
            for character in piece.chars() {
                if !untypable.contains(&character) {
                    untypable.push(character);
                }
            }
        }
        if untypable.is_empty() {
            let steps = strokes.iter().map(|stroke| match stroke {
                Stroke::Ascii(piece) | Stroke::Other(piece) => Step::new(typed(piece)),
                Stroke::Key(key) => input::press(*key),
            });
            return Ok(steps.collect());
        }
        let device = self.name.clone();
        match unicode::find(&self.client)? {
            Some(route) => Ok(vec![Step::new(unicode::typing(&route, &strokes))]),
            None => Err(AndroidError::Untypable { device, characters: untypable }),
        }
    }

    fn no_keys(&self, keys: &[crate::Key], problem: NoKeys) -> DeviceError {
        let device = self.name.clone();
        match problem {
            NoKeys::Key(key) => DeviceError::NoSuchKey { device, key },
            NoKeys::Together => {
                let keys = crate::Key::write_chord(keys);
                AndroidError::NoChord { device, keys, sdk: self.sdk }.into()
            }
        }
    }

    fn opening(&self, name: &str) -> Result<Step, AndroidError> {
        let (device, app) = (self.name.clone(), name.to_owned());
        match apps::find(&apps::list(&self.client)?, name) {
            apps::Found::One(app) => Ok(input::open_app(&app.package, app.activity.as_deref())),
            apps::Found::None(similar) => Err(AndroidError::NoSuchApp { device, app, similar }),
            apps::Found::Several(candidates) => {
                Err(AndroidError::WhichApp { device, app, candidates })
            }
        }
    }

    /// Sends one command after another; none is ever sent twice.
    fn act(&self, verb: Verb, steps: &[Step]) -> Result<(), DeviceError> {
        for (index, step) in steps.iter().enumerate() {
            self.check_going()?;
            match self.send(step) {
                Ok(output) if has_failed(&step.command, &output) => {
                    return Err(AndroidError::Command {
                        device: self.name.clone(),
                        command: short(&step.command),
                        code: output.code,
                        said: output.complaint(),
                        begun: index > 0,
                    }
                    .into());
                }
                Ok(_) => {}
                Err(lapse) => return Err(self.lapsed(verb, lapse, index > 0)),
            }
        }
        Ok(())
    }

    /// Sends a command; a second time only if it is certain that the first did not arrive.
    fn send(&self, step: &Step) -> Result<ShellOutput, Lapse> {
        let sent = self.client.shell(&step.command, &self.client.acting(step.takes));
        match sent {
            Err(Lapse { begun: false, error }) if error.is_of_connection() => {
                self.client.revive().map_err(|error| Lapse { begun: false, error })?;
                self.client.shell(&step.command, &self.client.acting(step.takes))
            }
            sent => sent,
        }
    }

    fn lapsed(&self, verb: Verb, lapse: Lapse, earlier: bool) -> DeviceError {
        let Lapse { begun, error } = lapse;
        if matches!(error, AdbError::Halted { .. })
            && let Err(halted) = self.check_going()
        {
            return halted;
        }
        if !begun && !earlier {
            return AndroidError::Adb(error).into();
        }
        AndroidError::Unknown { device: self.name.clone(), verb, source: error }.into()
    }

    fn check_going(&self) -> Result<(), DeviceError> {
        match self.halt.state() {
            HaltState::Going => Ok(()),
            HaltState::Paused(cause) | HaltState::Stopped(cause) => {
                Err(DeviceError::Halted { device: self.name.clone(), cause })
            }
        }
    }
}

impl Device for AndroidDevice {
    fn info(&self) -> DeviceInfo {
        let shown = f64::from(self.size.width) / f64::from(self.screen.size.width.max(1));
        DeviceInfo {
            name: self.name.clone(),
            kind: DeviceKind::Android,
            size: self.size,
            scale: self.screen.scale() * shown,
            action_space: ActionSpace::android(),
        }
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        let seen = self.see();
        let image = seen.map_err(|error| match (error, self.halt.state()) {
            (AndroidError::Adb(AdbError::Halted { .. }), HaltState::Stopped(cause)) => {
                DeviceError::Halted { device: self.name.clone(), cause }
            }
            (error, _) => error.into(),
        })?;
        let screenshot = Screenshot::now(image, self.info().scale);
        let foreground_app = self.screen.focus.as_ref().map(|focus| focus.package.clone());
        Ok(Observation { screenshot, foreground_app })
    }

    fn window(&mut self, _: Place) -> Result<WindowAt, DeviceError> {
        let screen = Screen::ask(&self.client).map_err(AndroidError::from)?;
        let Some(focus) = screen.focus else { return Ok(WindowAt::Unknown) };
        let mut hasher = DefaultHasher::new();
        (&focus.package, &focus.activity).hash(&mut hasher);
        Ok(WindowAt::Window(Window {
            id: hasher.finish(),
            app: focus.package,
            title: focus.activity,
            area: Rect::whole(self.size),
        }))
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        admit(&self.info(), action)?;
        self.check_going()?;
        let steps = self.plan(action)?;
        self.act(action.verb(), &steps)
    }

    fn fact(&mut self, fact: &Fact) -> Result<FactSaid, DeviceError> {
        self.tell(fact)
    }

    /// Nothing is ever held: gestures are whole commands, and the phone ends them.
    fn release_all(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}
