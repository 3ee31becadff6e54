//! A small window whose quarters are seen, clicked and typed in.

use std::time::{Duration, Instant};

use handsight_actions::{Action, DesktopPoint, Device, Monitor, PixelPoint, Rect};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use image::Rgb;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{ConnectionExt as _, KeyPressEvent};

use super::own_window::{OwnWindow, PATIENCE, is_close};
use crate::failure::{Exit, Failure};

/// Where the window is on the monitor, and its size; each quarter is a rectangle of its own.
const PLACE: PixelPoint = PixelPoint { x: 40, y: 40 };
const QUARTER_WIDTH: u32 = 80;
const QUARTER_HEIGHT: u32 = 60;

/// The column and row of each quarter.
const QUARTERS: [[i32; 2]; 4] = [[0, 0], [1, 0], [0, 1], [1, 1]];

/// The colours of the quarters.
const COLORS: [Rgb<u8>; 4] =
    [Rgb([214, 48, 49]), Rgb([9, 132, 227]), Rgb([0, 148, 90]), Rgb([253, 203, 110])];

/// What is typed: both cases, a digit, and marks that need Shift on most layouts.
const TEXT: &str = "Handsight 42 (ok?)";

/// The bits of an event's state for Shift and Lock, and where its keyboard group is.
const SHIFT: u16 = 1;
const LOCK: u16 = 2;
const GROUP_SHIFT: u16 = 13;

/// The window, and the corner of the monitor it is on.
pub(super) struct Probe {
    window: OwnWindow,
    origin: DesktopPoint,
}

impl Probe {
    /// Opens the window at the top left of a monitor, above all others.
    pub(super) fn open(display: Option<&str>, monitor: &Monitor) -> Result<Self, Failure> {
        Self::try_open(display, monitor).map_err(|error| failed("could not open a window", error))
    }

    fn try_open(display: Option<&str>, monitor: &Monitor) -> anyhow::Result<Self> {
        let origin = monitor.layout.origin;
        let (x, y) = (origin.x + PLACE.x, origin.y + PLACE.y);
        let area = Rect { x, y, width: 2 * QUARTER_WIDTH, height: 2 * QUARTER_HEIGHT };
        let window = OwnWindow::open(display, Some(area))?;
        let (width, height) = (QUARTER_WIDTH, QUARTER_HEIGHT);
        for ([column, row], color) in QUARTERS.into_iter().zip(COLORS) {
            let (x, y) = (column * width.cast_signed(), row * height.cast_signed());
            window.fill(Rect { x, y, width, height }, color)?;
        }
        Ok(Self { window, origin })
    }

    /// Checks that a screenshot shows the window that was opened, where it is.
    pub(super) fn check_capture(device: &mut dyn Device) -> Result<String, Failure> {
        let start = Instant::now();
        loop {
            let image = device.observe()?.screenshot.image;
            let wrong = (0..4).find_map(|index| {
                let at = quarter_center(index);
                let (x, y) = (u32::try_from(at.x).ok()?, u32::try_from(at.y).ok()?);
                let seen = image.get_pixel_checked(x, y).copied();
                (!seen.is_some_and(|seen| is_close(seen, COLORS[index])))
                    .then_some((at, index, seen))
            });
            let Some((at, index, seen)) = wrong else {
                return Ok(format!("a window at {PLACE} is in the screenshot where it was put"));
            };
            // A compositor takes a moment to show a new window.
            if start.elapsed() > PATIENCE {
                let (expected, seen) = (COLORS[index].0, seen.map(|seen| seen.0));
                let message = format!("the screenshot shows {seen:?} at {at} and not {expected:?}");
                return Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message))
                    .with_hint(
                        "unlock the screen and leave the full-screen mode of other windows; under \
                     Wayland only X11 windows are captured",
                    ));
            }
            pause(Duration::from_millis(50), &CancelFlag::default());
        }
    }

    /// Checks that the pointer goes where it is sent, and that a click arrives.
    pub(super) fn check_pointer(&self, device: &mut dyn Device) -> Result<String, Failure> {
        let points = [quarter_center(0), quarter_center(3)];
        for coordinate in points {
            device.perform(&Action::MouseMove { coordinate })?;
            let seen = self
                .window
                .pointer()
                .map_err(|error| failed("could not read the pointer", error))?;
            let seen = self.on_monitor(seen);
            if seen != coordinate {
                let message = format!("the pointer was sent to {coordinate} and is at {seen}");
                return Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message))
                    .with_hint("keep your hands off the mouse during the check"));
            }
        }
        let coordinate = quarter_center(1);
        device.perform(&Action::LeftClick { coordinate })?;
        let clicked = self.window.wait_for_press();
        let clicked = clicked.map_err(|error| failed("the click did not arrive", error))?;
        let clicked = self.on_monitor(clicked);
        if clicked != coordinate {
            let message = format!("the click was sent to {coordinate} and arrived at {clicked}");
            return Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message)));
        }
        let [first, second] = points;
        Ok(format!("moved to {first} and {second}, clicked at {clicked}"))
    }

    /// Checks that a text arrives as it was typed.
    pub(super) fn check_keyboard(&self, device: &mut dyn Device) -> Result<String, Failure> {
        let focused = self.window.take_keys();
        focused.map_err(|error| failed("could not give the window the keyboard", error))?;
        let typed = std::thread::scope(|scope| {
            // Keys are read as they arrive: what a key means may change while the text is typed.
            let reader = scope.spawn(|| self.read_text());
            device.perform(&Action::Type { text: TEXT.to_owned() })?;
            Ok::<_, Failure>(reader.join().unwrap_or_else(|_| Ok(String::new())))
        })?;
        let typed = typed.map_err(|error| failed("the text did not arrive", error))?;
        if typed != TEXT {
            let message = format!("typed {TEXT:?} and {typed:?} arrived");
            return Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message)).with_hint(
                "close programs that take over keys, and keep your hands off the keyboard",
            ));
        }
        Ok(format!("typed {TEXT:?} and read it back"))
    }

    /// Reads keys until as many have come as were typed.
    fn read_text(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        while text.chars().count() < TEXT.chars().count() {
            let key = self.window.wait_for("be typed in", |event| match event {
                Event::KeyPress(press) => Some(*press),
                _ => None,
            });
            match key {
                Ok(key) => text.extend(self.character(&key)?),
                Err(_) if !text.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(text)
    }

    /// Returns the character a key writes, if it writes one.
    fn character(&self, key: &KeyPressEvent) -> anyhow::Result<Option<char>> {
        let map = self.window.connection.get_keyboard_mapping(key.detail, 1)?.reply()?;
        let state = u16::from(key.state);
        let group = usize::from(state >> GROUP_SHIFT & 1) * 2;
        let is_shifted = state & SHIFT != 0;
        let level = |level: usize| map.keysyms.get(group + level).copied().filter(|&sym| sym != 0);
        let keysym = if is_shifted { level(1).or(level(0)) } else { level(0) };
        let written = keysym.and_then(character_of);
        let is_locked = state & LOCK != 0;
        Ok(written.map(|written| match (is_locked, written.is_lowercase()) {
            (true, true) => written.to_ascii_uppercase(),
            (true, false) => written.to_ascii_lowercase(),
            (false, _) => written,
        }))
    }

    fn on_monitor(&self, point: DesktopPoint) -> PixelPoint {
        PixelPoint { x: point.x - self.origin.x, y: point.y - self.origin.y }
    }
}

/// Returns the middle of a quarter, in pixels of the screenshot.
fn quarter_center(index: usize) -> PixelPoint {
    let [column, row] = QUARTERS[index];
    let (width, height) = (QUARTER_WIDTH.cast_signed(), QUARTER_HEIGHT.cast_signed());
    PixelPoint { x: PLACE.x + column * width + width / 2, y: PLACE.y + row * height + height / 2 }
}

/// Returns the character of a key symbol of Latin 1 or of Unicode.
fn character_of(keysym: u32) -> Option<char> {
    match keysym {
        0x20..=0x7e | 0xa0..=0xff => char::from_u32(keysym),
        0x0100_0100..=0x0110_ffff => char::from_u32(keysym - 0x0100_0000),
        _ => None,
    }
}

fn failed(what: &'static str, error: anyhow::Error) -> Failure {
    Failure::new(Exit::NotAchieved, error.context(what))
}
