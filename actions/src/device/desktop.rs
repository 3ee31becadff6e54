//! The desktop this process can reach: one of its monitors, its mouse and its keyboard.
//!
//! The mouse goes through enigo on every system. What differs between systems is how a monitor is
//! captured and how text is typed, so those two are one module for each: `x11` speaks to the X
//! server itself (shared-memory capture is ten times faster than xcap there, and enigo corrupts
//! text), `native` uses xcap and enigo on macOS and Windows. Wayland compositors let no program do
//! either without asking, so on Linux this is for X11 sessions and virtual displays.

mod mouse;
#[cfg(not(target_os = "linux"))]
mod native;
#[cfg(target_os = "linux")]
mod x11;

use std::time::{Duration, Instant};

use enigo::Button;

use self::mouse::Mouse;
#[cfg(not(target_os = "linux"))]
use self::native::{Keyboard, Screen, Watch};
#[cfg(target_os = "linux")]
pub use self::x11::Rescue;
#[cfg(target_os = "linux")]
use self::x11::{Keyboard, Screen, Watch};
use super::pause::pause;
use super::{Device, DeviceError, DeviceInfo, DeviceKind, Source, admit};
use crate::action::{Action, ActionSpace};
use crate::geometry::{DesktopPoint, MonitorLayout, PixelPoint, Size};
use crate::halt::{Halt, HaltState, Reaction};
use crate::key::Key;
use crate::observation::{Observation, Place, Window, WindowAt};
use crate::screenshot::Screenshot;

/// Which desktop, and which monitor of it.
#[derive(Clone, Debug, Default)]
pub struct DesktopOptions {
    /// The number of the monitor, from 0 as [`monitors`] lists them; the primary one, if absent.
    pub monitor: Option<usize>,
    /// The X11 display; the one the environment names, if absent. Other systems have but one.
    pub display: Option<String>,
}

/// What a device that is watched does when the user takes over.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WatchOptions {
    /// Keys that stop all input for good when they are down together.
    pub chord: Option<Vec<Key>>,
    /// What a moved mouse, a pressed button and a typed key do.
    pub user_input: Reaction,
}

/// One monitor of a desktop.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// The system's name for it, such as `DP-1`.
    pub name: String,
    /// Where it lies on the virtual desktop.
    pub layout: MonitorLayout,
    /// Pixels to one unit of the system's own layout, such as 2 on a screen of high density.
    pub scale: f64,
    /// Whether the system calls it the primary one.
    pub is_primary: bool,
}

/// Lists the monitors of a desktop.
///
/// # Errors
/// [`DeviceError::NoDisplay`] where there is none.
pub fn monitors(display: Option<&str>) -> Result<Vec<Monitor>, DeviceError> {
    let screen = Screen::open(display)?;
    let display = screen.display().to_owned();
    screen.monitors().map_err(|failure| failure.while_asked(&display, "list its monitors"))
}

/// Why the system did not do something, before it is known for which device and action.
#[derive(Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "only X11 has a connection to lose and a keyboard to fill")
)]
enum Failure {
    /// The connection to the display broke, or nothing answers on it.
    Lost(Source),
    /// The display is there and refused.
    Refused(Source),
    /// The keyboard has no such key.
    NoSuchKey(Key),
    /// The keyboard cannot write the character and has no unused key to teach it to.
    NoSpareKey(char),
    /// The keyboard has no unused key at all.
    KeyboardFull,
}

impl Failure {
    /// The error for a task that is no action.
    fn while_asked(self, device: &str, task: &'static str) -> DeviceError {
        let device = device.to_owned();
        match self {
            Self::Lost(source) => DeviceError::Lost { device, task, source },
            Self::Refused(source) => DeviceError::Capture { device, source },
            Self::NoSuchKey(key) => DeviceError::NoSuchKey { device, key },
            Self::NoSpareKey(character) => DeviceError::NoSpareKey { device, character },
            Self::KeyboardFull => DeviceError::KeyboardFull { display: device },
        }
    }
}

/// Two clicks of a chain must come closer than this, and two that are no chain must not.
const CLICK_CHAIN: Duration = Duration::from_millis(500);

/// A monitor of a desktop, its mouse and its keyboard.
pub struct DesktopDevice {
    name: String,
    screen: Screen,
    mouse: Mouse,
    keyboard: Keyboard,
    index: usize,
    monitor: Monitor,
    /// The size of screenshots, which is the monitor's unless the system scales them.
    size: Size,
    last_click: Option<(Instant, PixelPoint)>,
    halt: Halt,
    watch: Option<Watch>,
}

impl DesktopDevice {
    /// Connects to a desktop.
    ///
    /// # Errors
    /// Says what is missing: the display, an extension of it, or the monitor.
    pub fn open(options: &DesktopOptions) -> Result<Self, DeviceError> {
        let screen = Screen::open(options.display.as_deref())?;
        let display = screen.display().to_owned();
        let fail = |failure: Failure| failure.while_asked(&display, "list its monitors");
        let monitors = screen.monitors().map_err(fail)?;
        let primary = || monitors.iter().position(|monitor| monitor.is_primary).unwrap_or(0);
        let index = options.monitor.unwrap_or_else(primary);
        let monitor = monitor_at(&display, &monitors, index)?;
        let keyboard = Keyboard::open(&screen)
            .map_err(|failure| failure.while_asked(&display, "read its keyboard"))?;
        let mouse = Mouse::open(options.display.as_deref())
            .map_err(|source| DeviceError::NoDisplay { display: display.clone(), source })?;
        Ok(Self {
            name: format!("desktop {display} monitor {index}"),
            screen,
            mouse,
            keyboard,
            index,
            size: monitor.layout.size,
            monitor,
            last_click: None,
            halt: Halt::default(),
            watch: None,
        })
    }

    /// Returns the device with a switch that stops all input, also in the middle of an action.
    #[must_use]
    pub fn heeding(mut self, halt: Halt) -> Self {
        self.mouse.heed(halt.clone());
        self.keyboard.heed(halt.clone());
        self.halt = halt;
        self
    }

    /// Watches the user's own input from now on, and halts the device as `options` say.
    ///
    /// Returns whether this desktop can be watched; only an X server with `XInput` 2.1 can.
    ///
    /// # Errors
    /// [`DeviceError::NoDisplay`] or [`DeviceError::Lost`] if the display is gone.
    pub fn watch_user(&mut self, options: WatchOptions) -> Result<bool, DeviceError> {
        self.watch = Watch::start(self.screen.display(), options, self.halt.clone())?;
        Ok(self.watch.is_some())
    }

    /// Performs an action as the watch's own doing.
    fn act_watched(&mut self, action: &Action<PixelPoint>) -> Result<(), Failure> {
        if let Some(watch) = &self.watch {
            watch.begin()?;
        }
        let done = if self.halt.is_set() {
            Err(Failure::Refused("input was halted".into()))
        } else {
            self.act(action)
        };
        if done.is_err() {
            // A display that is gone holds no keys.
            let _ = self.release();
        }
        if let Some(watch) = &self.watch {
            watch.end()?;
        }
        done
    }

    /// Returns the monitor as it was last seen.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Monitors may be moved, resized and unplugged at any time.
    fn refresh(&mut self, task: &'static str) -> Result<(), DeviceError> {
        let monitors =
            self.screen.monitors().map_err(|failure| failure.while_asked(&self.name, task))?;
        let monitor = monitor_at(self.screen.display(), &monitors, self.index)?;
        if monitor.layout.size != self.monitor.layout.size {
            self.size = monitor.layout.size;
        }
        self.monitor = monitor;
        Ok(())
    }

    fn to_desktop(&self, point: PixelPoint) -> DesktopPoint {
        let layout = self.monitor.layout;
        layout.to_desktop(layout.to_monitor(point, self.size))
    }

    fn act(&mut self, action: &Action<PixelPoint>) -> Result<(), Failure> {
        match action {
            Action::LeftClick { coordinate } => self.click(Button::Left, 1, *coordinate),
            Action::RightClick { coordinate } => self.click(Button::Right, 1, *coordinate),
            Action::MiddleClick { coordinate } => self.click(Button::Middle, 1, *coordinate),
            Action::DoubleClick { coordinate } => self.click(Button::Left, 2, *coordinate),
            Action::TripleClick { coordinate } => self.click(Button::Left, 3, *coordinate),
            Action::LongPress { coordinate, time } => {
                let point = self.to_desktop(*coordinate);
                let time = Duration::try_from_secs_f64(*time).unwrap_or_default();
                let done = self.mouse.hold(point, time);
                self.released(done)
            }
            Action::MouseMove { coordinate } => {
                let done = self.mouse.move_to(self.to_desktop(*coordinate));
                self.checked(done)
            }
            Action::Drag { coordinate, coordinate2 } => {
                let (from, to) = (self.to_desktop(*coordinate), self.to_desktop(*coordinate2));
                let done = self.mouse.drag(from, to);
                self.released(done)
            }
            Action::Scroll { coordinate, direction, amount } => {
                let place = coordinate.map(|point| self.to_desktop(point));
                let moved = place.map_or(Ok(()), |point| self.mouse.move_to(point));
                let done = moved.and_then(|()| self.mouse.scroll(*direction, *amount));
                self.checked(done)
            }
            Action::Type { text } => self.keyboard.write(&self.screen, text),
            Action::Key { keys } => self.keyboard.chord(&self.screen, keys),
            Action::Swipe { .. }
            | Action::SystemButton { .. }
            | Action::OpenApp { .. }
            | Action::Wait { .. }
            | Action::Answer { .. }
            | Action::Terminate { .. } => Ok(()),
        }
    }

    fn click(&mut self, button: Button, times: u32, point: PixelPoint) -> Result<(), Failure> {
        // Right after a click on the same spot, a double click would arrive as a triple one.
        if let Some((at, place)) = self.last_click
            && times > 1
            && (place.x - point.x).abs().max((place.y - point.y).abs()) < 10
        {
            pause(CLICK_CHAIN.saturating_sub(at.elapsed()));
        }
        let done = self.mouse.click(button, times, self.to_desktop(point));
        self.last_click = Some((Instant::now(), point));
        self.released(done)
    }

    /// Ends an action that let go of a button: it is over when the button is up.
    fn released(&self, done: Result<(), Source>) -> Result<(), Failure> {
        self.checked(done)?;
        self.screen.wait_for_buttons()
    }

    /// enigo does not say whether the display is gone, so that is asked when it fails.
    fn checked(&self, done: Result<(), Source>) -> Result<(), Failure> {
        done.map_err(|source| match self.screen.ping() {
            Ok(()) => Failure::Refused(source),
            Err(failure) => failure,
        })
    }

    fn release(&mut self) -> Result<(), Failure> {
        let buttons = self.mouse.release_all();
        let buttons = self.checked(buttons);
        let keys = self.keyboard.release_all(&self.screen);
        buttons.and(keys)
    }
}

fn monitor_at(display: &str, monitors: &[Monitor], index: usize) -> Result<Monitor, DeviceError> {
    let missing = || DeviceError::NoSuchMonitor {
        display: display.to_owned(),
        index,
        available: monitors.len(),
    };
    monitors.get(index).cloned().ok_or_else(missing)
}

impl Device for DesktopDevice {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            name: self.name.clone(),
            kind: DeviceKind::Desktop,
            size: self.size,
            scale: self.monitor.scale,
            action_space: ActionSpace::desktop(),
        }
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        let task = "take a screenshot";
        self.refresh(task)?;
        let image = self
            .screen
            .capture(&self.monitor, self.index)
            .map_err(|failure| failure.while_asked(&self.name, task))?;
        let screenshot = Screenshot::now(image, self.monitor.scale);
        self.size = screenshot.size();
        Ok(Observation { screenshot, foreground_app: self.screen.foreground_app() })
    }

    fn window(&mut self, place: Place) -> Result<WindowAt, DeviceError> {
        let task = "say which window is there";
        self.refresh(task)?;
        let at = match place {
            Place::Focus => None,
            Place::Point(point) => Some(self.to_desktop(point)),
        };
        let Some(answer) = self.screen.window(at) else { return Ok(WindowAt::Unknown) };
        let found = answer.map_err(|failure| failure.while_asked(&self.name, task))?;
        Ok(found.map_or(WindowAt::Nothing, |found| {
            WindowAt::Window(Window {
                id: found.id.into(),
                app: found.app,
                title: found.title,
                area: self.monitor.layout.area(found.area, self.size),
            })
        }))
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        self.refresh("perform an action")?;
        admit(&self.info(), action)?;
        self.act_watched(action).map_err(|failure| match (failure, self.halt.state()) {
            (Failure::Refused(_), HaltState::Paused(cause) | HaltState::Stopped(cause)) => {
                DeviceError::Halted { device: self.name.clone(), cause }
            }
            (Failure::Refused(source), HaltState::Going) => {
                DeviceError::Input { device: self.name.clone(), verb: action.verb(), source }
            }
            (failure, _) => failure.while_asked(&self.name, "perform an action"),
        })
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        self.release().map_err(|failure| failure.while_asked(&self.name, "release its keys"))
    }
}

impl Drop for DesktopDevice {
    fn drop(&mut self) {
        let _ = self.release();
    }
}
