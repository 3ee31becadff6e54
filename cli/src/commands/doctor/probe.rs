//! A small window of our own that says what reached it.
//!
//! It is the other end of the proof: what the device sends through the display server has to
//! arrive here, and what is drawn here has to be in the device's screenshot.

use std::time::{Duration, Instant};

use handsight_actions::{Action, DesktopPoint, Device, Monitor, PixelPoint};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use image::Rgb;
use x11rb::connection::Connection;
use x11rb::cookie::Cookie;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ConfigureWindowAux, ConnectionExt, CreateGCAux, CreateWindowAux, EventMask, GetInputFocusReply,
    InputFocus, KeyPressEvent, Rectangle, StackMode, WindowClass,
};
use x11rb::rust_connection::RustConnection;

use crate::failure::{Exit, Failure};

/// Where the window is on the monitor, and its size; each quarter is a rectangle of its own.
const PLACE: PixelPoint = PixelPoint { x: 40, y: 40 };
const QUARTER_WIDTH: u16 = 80;
const QUARTER_HEIGHT: u16 = 60;

/// The column and row of each quarter.
const QUARTERS: [[i16; 2]; 4] = [[0, 0], [1, 0], [0, 1], [1, 1]];

/// The colours of the quarters.
const COLORS: [Rgb<u8>; 4] =
    [Rgb([214, 48, 49]), Rgb([9, 132, 227]), Rgb([0, 148, 90]), Rgb([253, 203, 110])];

/// What is typed: both cases, a digit, and marks that need Shift on most layouts.
const TEXT: &str = "Handsight 42 (ok?)";

/// How long an event may take to come back.
const PATIENCE: Duration = Duration::from_secs(2);

/// The bits of an event's state for Shift and Lock, and where its keyboard group is.
const SHIFT: u16 = 1;
const LOCK: u16 = 2;
const GROUP_SHIFT: u16 = 13;

/// The window, and what to put back when it closes.
pub(super) struct Probe {
    connection: RustConnection,
    root: u32,
    window: u32,
    origin: DesktopPoint,
    pointer: (i16, i16),
    focus: GetInputFocusReply,
}

impl Probe {
    /// Opens the window at the top left of a monitor, above all others.
    pub(super) fn open(display: Option<&str>, monitor: &Monitor) -> Result<Self, Failure> {
        Self::try_open(display, monitor).map_err(|error| failed("could not open a window", error))
    }

    fn try_open(display: Option<&str>, monitor: &Monitor) -> anyhow::Result<Self> {
        let (connection, screen) = x11rb::connect(display)?;
        let screen = connection.setup().roots[screen].clone();
        let (root, origin) = (screen.root, monitor.layout.origin);
        let pointer = connection.query_pointer(root)?.reply()?;
        let focus = connection.get_input_focus()?.reply()?;
        let window = connection.generate_id()?;
        let events = EventMask::EXPOSURE | EventMask::KEY_PRESS | EventMask::BUTTON_PRESS;
        let options = CreateWindowAux::new().override_redirect(1).event_mask(events);
        let at = |value: i32, origin: i32| i16::try_from(value + origin).unwrap_or(i16::MAX);
        connection.create_window(
            x11rb::COPY_DEPTH_FROM_PARENT,
            window,
            root,
            at(PLACE.x, origin.x),
            at(PLACE.y, origin.y),
            2 * QUARTER_WIDTH,
            2 * QUARTER_HEIGHT,
            0,
            WindowClass::INPUT_OUTPUT,
            x11rb::COPY_FROM_PARENT,
            &options,
        )?;
        connection.map_window(window)?;
        let above = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        connection.configure_window(window, &above)?;
        connection.flush()?;
        let pointer = (pointer.root_x, pointer.root_y);
        let probe = Self { connection, root, window, origin, pointer, focus };
        probe.wait_for("appear", |event| matches!(event, Event::Expose(_)).then_some(()))?;
        probe.draw(screen.default_colormap)?;
        Ok(probe)
    }

    /// Colours the quarters.
    fn draw(&self, colormap: u32) -> anyhow::Result<()> {
        let context = self.connection.generate_id()?;
        self.connection.create_gc(context, self.window, &CreateGCAux::new())?;
        let (width, height) = (QUARTER_WIDTH, QUARTER_HEIGHT);
        for (quarter, Rgb(channels)) in QUARTERS.into_iter().zip(COLORS) {
            let [red, green, blue] = channels.map(|channel| u16::from(channel) * 257);
            let color = self.connection.alloc_color(colormap, red, green, blue)?.reply()?;
            let paint = x11rb::protocol::xproto::ChangeGCAux::new().foreground(color.pixel);
            self.connection.change_gc(context, &paint)?;
            let [column, row] = quarter;
            let (x, y) = (column * width.cast_signed(), row * height.cast_signed());
            let area = Rectangle { x, y, width, height };
            self.connection.poly_fill_rectangle(self.window, context, &[area])?;
        }
        // A reply to anything means that all before it was done.
        self.connection.get_input_focus()?.reply()?;
        Ok(())
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
            let seen =
                self.pointer().map_err(|error| failed("could not read the pointer", error))?;
            if seen != coordinate {
                let message = format!("the pointer was sent to {coordinate} and is at {seen}");
                return Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message))
                    .with_hint("keep your hands off the mouse during the check"));
            }
        }
        let coordinate = quarter_center(1);
        device.perform(&Action::LeftClick { coordinate })?;
        let clicked = self.wait_for("be clicked", |event| match event {
            Event::ButtonPress(press) => Some(PixelPoint {
                x: i32::from(press.event_x) + PLACE.x,
                y: i32::from(press.event_y) + PLACE.y,
            }),
            _ => None,
        });
        let clicked = clicked.map_err(|error| failed("the click did not arrive", error))?;
        if clicked != coordinate {
            let message = format!("the click was sent to {coordinate} and arrived at {clicked}");
            return Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message)));
        }
        let [first, second] = points;
        Ok(format!("moved to {first} and {second}, clicked at {clicked}"))
    }

    /// Checks that a text arrives as it was typed.
    pub(super) fn check_keyboard(&self, device: &mut dyn Device) -> Result<String, Failure> {
        let focused = self.connection.set_input_focus(
            InputFocus::POINTER_ROOT,
            self.window,
            x11rb::CURRENT_TIME,
        );
        let focused = focused.map_err(anyhow::Error::from).and_then(|cookie| Ok(cookie.check()?));
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
            let key = self.wait_for("be typed in", |event| match event {
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
        let map = self.connection.get_keyboard_mapping(key.detail, 1)?.reply()?;
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

    /// Returns where the display server says the pointer is.
    fn pointer(&self) -> anyhow::Result<PixelPoint> {
        let pointer = self.connection.query_pointer(self.root)?.reply()?;
        Ok(PixelPoint {
            x: i32::from(pointer.root_x) - self.origin.x,
            y: i32::from(pointer.root_y) - self.origin.y,
        })
    }

    /// Waits until an event is what is waited for.
    fn wait_for<T>(
        &self,
        task: &str,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            while let Some(event) = self.connection.poll_for_event()? {
                if let Some(wanted) = wanted(&event) {
                    return Ok(wanted);
                }
            }
            if start.elapsed() > PATIENCE {
                anyhow::bail!("the window waited {} s to {task}", PATIENCE.as_secs());
            }
            pause(Duration::from_millis(2), &CancelFlag::default());
        }
    }
}

impl Drop for Probe {
    /// Puts the focus and the pointer back; the window goes with the connection.
    fn drop(&mut self) {
        let Self { connection, root, focus, pointer: (x, y), .. } = self;
        let _ = connection.set_input_focus(focus.revert_to, focus.focus, x11rb::CURRENT_TIME);
        let _ = connection.warp_pointer(x11rb::NONE, *root, 0, 0, 0, 0, *x, *y);
        let _ = connection.get_input_focus().map(Cookie::reply);
    }
}

/// Returns the middle of a quarter, in pixels of the screenshot.
fn quarter_center(index: usize) -> PixelPoint {
    let [column, row] = QUARTERS[index].map(i32::from);
    let (width, height) = (i32::from(QUARTER_WIDTH), i32::from(QUARTER_HEIGHT));
    PixelPoint { x: PLACE.x + column * width + width / 2, y: PLACE.y + row * height + height / 2 }
}

/// Whether two colours are the same, but for what a screen of fewer colours rounds away.
fn is_close(Rgb(seen): Rgb<u8>, Rgb(expected): Rgb<u8>) -> bool {
    seen.iter().zip(expected).all(|(&seen, expected)| seen.abs_diff(expected) <= 8)
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
