//! The desktop this process can reach: a monitor or a window of it, its mouse and its keyboard.
//!
//! What differs between systems is how a monitor is captured and how input is sent, so that is one
//! module for each way to a desktop, behind the traits of `backend`: `x11` speaks to the X server
//! itself (shared-memory capture is ten times faster than xcap there, and enigo corrupts text) and
//! leaves it the mouse to enigo; `wayland` speaks to compositors of the wlroots family and to the desktop
//! portal of the others; `native` uses
//! xcap and enigo on macOS and Windows.

mod backend;
mod choice;
#[cfg(target_os = "linux")]
mod keysym;
#[cfg(target_os = "linux")]
mod lend;
mod mouse;
#[cfg(not(target_os = "linux"))]
mod native;
mod paste;
#[cfg(target_os = "linux")]
mod pixels;
mod portal_options;
#[cfg(target_os = "linux")]
mod raise;
#[cfg(target_os = "linux")]
mod rescue;
mod view;
#[cfg(all(feature = "wayland", target_os = "linux"))]
mod wayland;
#[cfg(target_os = "linux")]
mod x11;

use std::time::{Duration, Instant};

use enigo::Button;
use image::RgbImage;

use self::backend::{Clipboard, Keyboard, Screen, Spot, Watch};
pub use self::choice::{MonitorChoice, Scope, WindowChoice};
use self::mouse::Mouse;
#[cfg(not(target_os = "linux"))]
use self::native::connect;
pub use self::portal_options::PortalOptions;
#[cfg(target_os = "linux")]
pub use self::rescue::{Rescue, keep_clipboard};
use self::view::{View, monitor_under};
#[cfg(all(feature = "wayland", target_os = "linux"))]
pub use self::wayland::DesktopCover;
#[cfg(target_os = "linux")]
pub use self::x11::DesktopListener;
use super::pause::pause;
use super::{AreaFault, Device, DeviceError, DeviceInfo, DeviceKind, Source, admit};
use crate::action::{Action, ActionSpace};
use crate::clipboard::{ClipboardKeeper, Pasting};
use crate::geometry::{DesktopPoint, MonitorLayout, PixelPoint, Rect, Size};
use crate::halt::{Halt, HaltState, Reaction};
use crate::key::Key;
use crate::observation::{Observation, Place, Window, WindowAt};
use crate::screenshot::Screenshot;

/// Which desktop, and what of it.
#[derive(Clone, Debug, Default)]
pub struct DesktopOptions {
    /// The monitor or window that is observed and acted on.
    pub scope: Scope,
    /// The part of it, in its own pixels; all of it, if absent.
    pub region: Option<Rect>,
    /// The X11 display, such as `:0`, or the path of a Wayland compositor's socket; the X11 display the
    /// environment names, if absent. Other systems have but one.
    pub display: Option<String>,
    /// How the desktop portal is used, where it takes that.
    pub portal: PortalOptions,
    /// Which texts are pasted.
    pub paste: Pasting,
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

/// Whether a display is that of a Wayland compositor: the path of its socket.
pub fn is_wayland(display: &str) -> bool {
    cfg!(all(feature = "wayland", target_os = "linux")) && display.starts_with('/')
}

/// Connects to a Wayland compositor or an X server.
#[cfg(target_os = "linux")]
fn connect(
    display: Option<&str>,
    #[cfg_attr(not(feature = "wayland"), expect(unused_variables, reason = "X11 has no portal"))]
    portal: &PortalOptions,
) -> Result<Box<dyn Screen>, DeviceError> {
    #[cfg(feature = "wayland")]
    if let Some(socket) = display.filter(|display| is_wayland(display)) {
        return wayland::open(socket, portal);
    }
    Ok(Box::new(x11::X11Screen::open(display)?))
}

/// Returns which of a session's displays its user sees: the Wayland compositor's, by the path of its
/// socket, unless the X11 display is one of its own.
///
/// An X server that belongs to the Wayland session shows nothing but a part of it, and another one was
/// named on purpose. `None` means the X11 display that the environment names.
pub fn session_display(x11: Option<&str>, wayland: Option<&str>) -> Option<String> {
    #[cfg(all(feature = "wayland", target_os = "linux"))]
    if let Some(socket) = wayland {
        let is_own = |display| {
            let opened = x11::X11Screen::open(Some(display));
            !matches!(opened, Err(DeviceError::Wayland { .. } | DeviceError::NoDisplay { .. }))
        };
        return Some(x11.filter(|display| is_own(display)).unwrap_or(socket).to_owned());
    }
    let _ = wayland;
    x11.map(str::to_owned)
}

/// Lists the monitors of a desktop.
///
/// # Errors
/// [`DeviceError::NoDisplay`] where there is none.
pub fn monitors(display: Option<&str>) -> Result<Vec<Monitor>, DeviceError> {
    let screen = connect(display, &PortalOptions::default())?;
    let display = screen.display().to_owned();
    screen.monitors().map_err(|failure| failure.while_asked(&display, "list its monitors"))
}

/// One window of a desktop that a person would call a window.
#[derive(Clone, Debug, PartialEq)]
pub struct DesktopWindow {
    /// What the system knows it by for as long as it is open.
    pub id: u64,
    /// The application: the class of an X11 window.
    pub app: String,
    /// What its title bar says, if anything.
    pub title: String,
    /// Where it is, without its frame, in units of the desktop.
    pub area: Rect,
    /// The number of the monitor that shows most of it, if one shows any.
    pub monitor: Option<usize>,
}

/// Lists the windows of a desktop, the one in front first.
///
/// # Errors
/// [`DeviceError::NoDisplay`] where there is no desktop, [`DeviceError::Area`] where the system
/// does not say which windows there are.
pub fn windows(display: Option<&str>) -> Result<Vec<DesktopWindow>, DeviceError> {
    let screen = connect(display, &PortalOptions::default())?;
    let list = || {
        let monitors = screen.monitors()?;
        let found = screen.windows()?;
        let describe = |found: view::Found| DesktopWindow {
            id: found.id.into(),
            monitor: monitor_under(found.area, &monitors),
            app: found.app,
            title: found.title,
            area: found.area,
        };
        Ok(found.into_iter().map(describe).collect())
    };
    list().map_err(|failure: Failure| failure.while_asked(screen.display(), "list its windows"))
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
    /// No key of the keyboard writes the character in all of its layouts, and it can be taught to none.
    #[cfg(all(feature = "portal", target_os = "linux"))]
    NotOnLayout(char),
    /// The keyboard has no unused key at all.
    KeyboardFull,
    /// What was chosen cannot be observed, or not any more.
    Area(AreaFault),
    /// The desktop portal does not let us.
    #[cfg(all(feature = "portal", target_os = "linux"))]
    Portal(super::PortalFault),
}

impl From<AreaFault> for Failure {
    fn from(fault: AreaFault) -> Self {
        Self::Area(fault)
    }
}

impl Failure {
    /// What the system said, where it is told as part of something else.
    #[cfg(all(feature = "wayland", target_os = "linux"))]
    fn into_source(self) -> Source {
        match self {
            Self::Lost(source) | Self::Refused(source) => source,
            other => Box::new(other.while_asked("desktop", "do something")),
        }
    }

    /// The error for a task that is no action.
    fn while_asked(self, device: &str, task: &'static str) -> DeviceError {
        let device = device.to_owned();
        match self {
            Self::Lost(source) => DeviceError::Lost { device, task, source },
            Self::Refused(source) => DeviceError::Capture { device, source },
            Self::NoSuchKey(key) => DeviceError::NoSuchKey { device, key },
            Self::NoSpareKey(character) => DeviceError::NoSpareKey { device, character },
            #[cfg(all(feature = "portal", target_os = "linux"))]
            Self::NotOnLayout(character) => DeviceError::NotOnLayout { device, character },
            Self::KeyboardFull => DeviceError::KeyboardFull { display: device },
            Self::Area(source) => DeviceError::Area { device, source },
            #[cfg(all(feature = "portal", target_os = "linux"))]
            Self::Portal(source) => DeviceError::Portal { display: device, source },
        }
    }
}

/// Two clicks of a chain must come closer than this, and two that are no chain must not.
const CLICK_CHAIN: Duration = Duration::from_millis(500);

/// How long a window that was brought up gets to draw itself, and how often it is looked at.
const DRAWING: Duration = Duration::from_millis(600);
const BETWEEN_LOOKS: Duration = Duration::from_millis(40);

/// A monitor or a window of a desktop, its mouse and its keyboard.
pub struct DesktopDevice {
    name: String,
    screen: Box<dyn Screen>,
    mouse: Mouse,
    keyboard: Box<dyn Keyboard>,
    clipboard: Box<dyn Clipboard>,
    paste: Pasting,
    view: View,
    /// The size of screenshots, which is the view's unless the system scales them.
    size: Size,
    last_click: Option<(Instant, PixelPoint)>,
    halt: Halt,
    watch: Option<Box<dyn Watch>>,
}

impl DesktopDevice {
    /// Connects to a desktop.
    ///
    /// # Errors
    /// Says what is missing: the display, an extension of it, the monitor, window or region.
    pub fn open(options: &DesktopOptions) -> Result<Self, DeviceError> {
        let screen = connect(options.display.as_deref(), &options.portal)?;
        let display = screen.display().to_owned();
        let view = View::choose(&*screen, options).map_err(|failure| {
            failure.while_asked(&format!("desktop {display}"), "find what was chosen")
        })?;
        let keyboard = screen
            .keyboard()
            .map_err(|failure| failure.while_asked(&display, "read its keyboard"))?;
        let hand = screen
            .hand()
            .map_err(|source| DeviceError::NoDisplay { display: display.clone(), source })?;
        Ok(Self {
            name: format!("desktop {display} {}", view.name()),
            clipboard: screen.clipboard(),
            screen,
            mouse: Mouse::new(hand),
            keyboard,
            paste: options.paste,
            size: view.area().size(),
            view,
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

    /// Returns the device with something that keeps the user's clipboard should this process end while
    /// a text is pasted, and after it.
    #[must_use]
    pub fn keeping_clipboard(mut self, keeper: ClipboardKeeper) -> Self {
        self.clipboard.keep_with(keeper);
        self
    }

    /// Watches the user's own input from now on, and halts the device as `options` say.
    ///
    /// Returns whether this desktop can be watched; only an X server with `XInput` 2.1 can.
    ///
    /// # Errors
    /// [`DeviceError::NoDisplay`] or [`DeviceError::Lost`] if the display is gone.
    pub fn watch_user(&mut self, options: WatchOptions) -> Result<bool, DeviceError> {
        self.watch = self.screen.watch(options, self.halt.clone())?;
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
            self.make_way(action).and_then(|()| self.act(action))
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
        self.view.monitor().0
    }

    /// Looks where what is observed is now.
    fn refresh(&mut self) -> Result<(), Failure> {
        let before = self.view.area().size();
        let followed = self.view.follow(&*self.screen);
        if self.view.area().size() != before {
            self.size = self.view.area().size();
        }
        followed
    }

    fn to_desktop(&self, point: PixelPoint) -> DesktopPoint {
        self.view.area().to_desktop(point, self.size)
    }

    fn spot(&self, point: PixelPoint) -> Spot {
        Spot {
            desktop: self.to_desktop(point),
            monitor: self.view.monitor().1,
            pixel: self.view.area().to_monitor(point, self.size),
        }
    }

    /// Brings a window up before it is acted on, and has keys reach it: nothing may arrive
    /// elsewhere.
    fn make_way(&mut self, action: &Action<PixelPoint>) -> Result<(), Failure> {
        if !action.verb().acts() {
            return Ok(());
        }
        let before = self.view.area().size();
        self.view.bring_up(&*self.screen)?;
        if self.view.area().size() != before {
            return Err(Failure::Refused("the window changed its size as it came up".into()));
        }
        if matches!(action, Action::Type { .. } | Action::Key { .. }) {
            self.view.take_keys(&*self.screen)?;
        }
        Ok(())
    }

    /// Returns the display it is on, as X11 names it.
    #[cfg(target_os = "linux")]
    fn display(&self) -> &str {
        self.screen.display()
    }

    /// Whether its display is an X server's.
    #[cfg(target_os = "linux")]
    fn is_on_x11(&self) -> bool {
        self.screen.is_x11()
    }

    /// Returns the pixel of the last screenshot at a place on the desktop, if it is on it.
    pub fn pixel_at(&self, point: DesktopPoint) -> Option<PixelPoint> {
        let area = self.view.area();
        area.contains(point).then(|| area.from_desktop(point, self.size))
    }

    /// Reads the pixels of what is observed, after bringing it up if it is a window.
    fn capture(&mut self) -> Result<RgbImage, Failure> {
        let came_up = self.view.bring_up(&*self.screen)?;
        let mut look =
            |screen: &mut dyn Screen, view: &View| screen.capture(view.area(), view.monitor().1);
        let mut image = self.view.while_still(&mut *self.screen, &mut look)?;
        if came_up {
            // What lay on it is still to be seen until the program has drawn.
            let start = Instant::now();
            while start.elapsed() < DRAWING {
                pause(BETWEEN_LOOKS);
                let next = self.view.while_still(&mut *self.screen, &mut look)?;
                let is_still = next == image;
                image = next;
                if is_still && start.elapsed() >= DRAWING / 4 {
                    break;
                }
            }
        }
        Ok(image)
    }

    fn act(&mut self, action: &Action<PixelPoint>) -> Result<(), Failure> {
        match action {
            Action::LeftClick { coordinate } => self.click(Button::Left, 1, *coordinate),
            Action::RightClick { coordinate } => self.click(Button::Right, 1, *coordinate),
            Action::MiddleClick { coordinate } => self.click(Button::Middle, 1, *coordinate),
            Action::DoubleClick { coordinate } => self.click(Button::Left, 2, *coordinate),
            Action::TripleClick { coordinate } => self.click(Button::Left, 3, *coordinate),
            Action::LongPress { coordinate, time } => {
                let spot = self.spot(*coordinate);
                let time = Duration::try_from_secs_f64(*time).unwrap_or_default();
                let done = self.mouse.hold(spot, time);
                self.released(done)
            }
            Action::MouseMove { coordinate } => {
                let done = self.mouse.move_to(self.spot(*coordinate));
                self.checked(done)
            }
            Action::Drag { coordinate, coordinate2 } => {
                let (from, to) = (self.spot(*coordinate), self.spot(*coordinate2));
                let done = self.mouse.drag(from, to);
                self.released(done)
            }
            Action::Scroll { coordinate, direction, amount } => {
                let moved = match coordinate.map(|point| self.spot(point)) {
                    Some(spot) => self.mouse.move_to(spot),
                    None => self.stay_inside(),
                };
                let done = moved.and_then(|()| self.mouse.scroll(*direction, *amount));
                self.checked(done)
            }
            Action::Type { text } => self.write(text),
            Action::Key { keys } => self.keyboard.chord(keys),
            Action::Swipe { .. }
            | Action::SystemButton { .. }
            | Action::OpenApp { .. }
            | Action::Wait { .. }
            | Action::Answer { .. }
            | Action::CallUser { .. }
            | Action::Terminate { .. } => Ok(()),
        }
    }

    /// Moves the pointer to the middle of the area if it is outside; where nobody can tell, back to
    /// where it was put last.
    fn stay_inside(&mut self) -> Result<(), Source> {
        let area = self.view.area();
        if self.mouse.place()?.is_some_and(|place| area.contains(place)) {
            return Ok(());
        }
        let last = self.mouse.spot().filter(|spot| area.contains(spot.desktop));
        let middle = self.spot(Rect::whole(self.size).center());
        self.mouse.move_to(last.unwrap_or(middle))
    }

    fn click(&mut self, button: Button, times: u32, point: PixelPoint) -> Result<(), Failure> {
        // Right after a click on the same spot, a double click would arrive as a triple one.
        if let Some((at, place)) = self.last_click
            && times > 1
            && (place.x - point.x).abs().max((place.y - point.y).abs()) < 10
        {
            pause(CLICK_CHAIN.saturating_sub(at.elapsed()));
        }
        let done = self.mouse.click(button, times, self.spot(point));
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

    fn no_clipboard(&self, failure: Failure) -> DeviceError {
        let device = self.name.clone();
        match failure {
            Failure::Refused(source) => DeviceError::Clipboard { device, source },
            failure => failure.while_asked(&device, "use its clipboard"),
        }
    }

    fn release(&mut self) -> Result<(), Failure> {
        let buttons = self.mouse.release_all();
        let buttons = self.checked(buttons);
        let keys = self.keyboard.release_all();
        buttons.and(keys)
    }
}

impl Device for DesktopDevice {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            name: self.name.clone(),
            kind: DeviceKind::Desktop,
            size: self.size,
            scale: self.monitor().scale,
            action_space: ActionSpace::desktop(),
        }
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        let image = self
            .capture()
            .map_err(|failure| failure.while_asked(&self.name, "take a screenshot"))?;
        let screenshot = Screenshot::now(image, self.monitor().scale);
        self.size = screenshot.size();
        Ok(Observation { screenshot, foreground_app: self.screen.foreground_app() })
    }

    fn window(&mut self, place: Place) -> Result<WindowAt, DeviceError> {
        let task = "say which window is there";
        self.refresh().map_err(|failure| failure.while_asked(&self.name, task))?;
        let at = match place {
            Place::Focus => None,
            Place::Point(point) => Some(self.to_desktop(point)),
        };
        let Some(answer) = self.screen.window(at) else { return Ok(WindowAt::Unknown) };
        let found = answer.map_err(|failure| failure.while_asked(&self.name, task))?;
        let whole = Rect::whole(self.size);
        Ok(found.map_or(WindowAt::Nothing, |found| {
            WindowAt::Window(Window {
                id: found.id,
                app: found.app,
                title: found.title,
                area: found.area.map_or(whole, |area| self.view.area().shown(area, self.size)),
            })
        }))
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        let task = "perform an action";
        self.refresh().map_err(|failure| failure.while_asked(&self.name, task))?;
        admit(&self.info(), action)?;
        self.act_watched(action).map_err(|failure| match (failure, self.halt.state()) {
            (Failure::Refused(_), HaltState::Paused(cause) | HaltState::Stopped(cause)) => {
                DeviceError::Halted { device: self.name.clone(), cause }
            }
            (Failure::Refused(source), HaltState::Going) => {
                DeviceError::Input { device: self.name.clone(), verb: action.verb(), source }
            }
            (failure, _) => failure.while_asked(&self.name, task),
        })
    }

    fn clipboard(&mut self) -> Result<Option<String>, DeviceError> {
        self.clipboard.read().map_err(|failure| self.no_clipboard(failure))
    }

    fn set_clipboard(&mut self, text: &str) -> Result<(), DeviceError> {
        self.clipboard.write(text).map_err(|failure| self.no_clipboard(failure))
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
