//! Listens to what the user does with mouse and keyboard, whatever window is in front.
//!
//! As in [`watch`](super::watch) the server tells of every press (`XInput` 2 raw events). Those have no
//! place, so the pointer is asked for when one comes. What a key writes is read off the keymap with the
//! modifiers that are down by then.

use std::collections::BTreeSet;
use std::time::Duration;

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::Event;
use x11rb::protocol::xinput::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, QueryPointerReply};
use xkeysym::Keysym;

use super::connection::Connection;
use super::keyboard::read_keymap;
use super::keymap::Keymap;
use super::watch::ALL_MASTERS;
use crate::action::Direction;
use crate::device::DeviceError;
use crate::device::desktop::{DesktopDevice, Failure, keysym};
use crate::geometry::DesktopPoint;
use crate::heard::{Heard, HeardButton, HeardInput};
use crate::key::{Key, NamedKey};

/// The modifiers that a chord begins with, in this order.
const MODIFIERS: [NamedKey; 5] =
    [NamedKey::Ctrl, NamedKey::Alt, NamedKey::AltGr, NamedKey::Shift, NamedKey::Meta];

/// The bits of the server's modifiers.
const LOCK: u16 = 1 << 1;
const NUM_LOCK: u16 = 1 << 4;
/// Where the bits of the layout begin.
const GROUP_SHIFT: u16 = 13;

/// The keysyms of the keypad, whose digits come with the lock of numbers.
const KEYPAD: std::ops::RangeInclusive<u32> = 0xFF80..=0xFFBD;

/// Listens to the user of one display.
pub struct DesktopListener {
    connection: Connection,
    keymap: Keymap,
    /// The keys that are down, as the events tell.
    down: BTreeSet<u8>,
}

impl DesktopListener {
    /// Starts to listen on the display of a device.
    ///
    /// # Errors
    /// [`DeviceError::MissingExtension`] if its server does not tell what its user does, and
    /// [`DeviceError::Unheard`] on Wayland, where no compositor does.
    pub fn open(device: &DesktopDevice) -> Result<Self, DeviceError> {
        if !device.is_on_x11() {
            return Err(DeviceError::Unheard { display: device.display().to_owned() });
        }
        let connection = Connection::open(Some(device.display()))?;
        let display = connection.display.clone();
        let fail = |failure: Failure| failure.while_asked(&display, "listen to the user's input");
        let is_told = is_told(&connection).map_err(fail)?;
        if !is_told {
            return Err(DeviceError::MissingExtension {
                display,
                extension: "XInput 2.1",
                needed_for: "listening to what its user does",
            });
        }
        let keymap = read_keymap(&connection).map_err(fail)?;
        Ok(Self { connection, keymap, down: BTreeSet::new() })
    }

    /// Returns what the user has done since the last time, after waiting for something if it is nothing.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] when the display is gone.
    pub fn hear(
        &mut self,
        device: &DesktopDevice,
        wait: Duration,
    ) -> Result<Vec<Heard>, DeviceError> {
        let heard = self.listen(device, wait);
        heard.map_err(|failure| {
            failure.while_asked(&self.connection.display, "listen to the user's input")
        })
    }

    fn listen(&mut self, device: &DesktopDevice, wait: Duration) -> Result<Vec<Heard>, Failure> {
        let mut heard = Vec::new();
        // Some may have been read already, with an answer.
        self.drain(device, &mut heard)?;
        if heard.is_empty() {
            self.connection.wait_for_input(wait)?;
            self.drain(device, &mut heard)?;
        }
        Ok(heard)
    }

    fn drain(&mut self, device: &DesktopDevice, heard: &mut Vec<Heard>) -> Result<(), Failure> {
        let mut moved = None;
        while let Some(event) = self.connection.x.poll_for_event()? {
            match event {
                Event::XinputRawKeyPress(event) => {
                    let Ok(code) = u8::try_from(event.detail) else { continue };
                    let pointer = self.pointer()?;
                    if let Some(what) = self.key(code, pointer.mask.into()) {
                        heard.push(at(event.time, what));
                    }
                    self.down.insert(code);
                }
                Event::XinputRawKeyRelease(event) => {
                    self.down.retain(|&code| u32::from(code) != event.detail);
                }
                Event::XinputRawButtonPress(event) => {
                    let place = self.pointer()?;
                    heard.extend(
                        pressed(event.detail, device, &place).map(|what| at(event.time, what)),
                    );
                }
                Event::XinputRawButtonRelease(event) => {
                    let place = self.pointer()?;
                    let point = point(device, &place);
                    if let Some(button) = button(event.detail) {
                        heard.push(at(event.time, HeardInput::Up { button, point }));
                    }
                }
                Event::XinputRawMotion(event) => moved = Some(event.time),
                Event::MappingNotify(_) => self.keymap = read_keymap(&self.connection)?,
                _ => {}
            }
        }
        if let Some(time) = moved
            && let Some(point) = point(device, &self.pointer()?)
        {
            heard.push(at(time, HeardInput::Moved(point)));
        }
        Ok(())
    }

    fn pointer(&self) -> Result<QueryPointerReply, Failure> {
        Ok(self.connection.x.query_pointer(self.connection.root)?.reply()?)
    }

    /// Returns what a key is that went down; nothing for a modifier.
    fn key(&self, code: u8, mask: u16) -> Option<HeardInput> {
        let held: Vec<Key> = MODIFIERS
            .into_iter()
            .map(Key::Named)
            .filter(|&key| {
                let codes = self.keymap.all_keys(keysym::of_key(key));
                codes.iter().any(|code| self.down.contains(code))
            })
            .collect();
        let is_held = |name| held.contains(&Key::Named(name));
        // A program that writes for the user may have taken its character back already.
        let Some(plain) = self.keymap.keysym(code, 0) else { return Some(HeardInput::Unknown) };
        let layout = usize::from(mask >> GROUP_SHIFT & 1) * 2;
        let level = if is_held(NamedKey::AltGr) { 4 } else { layout };
        let numbers = KEYPAD.contains(&plain) && mask & NUM_LOCK != 0;
        let column = level + usize::from(is_held(NamedKey::Shift) || numbers);
        let base = self.keymap.keysym(code, layout).unwrap_or(plain);
        let keysym = self.keymap.keysym(code, column).unwrap_or(base);
        if MODIFIERS.iter().any(|&name| keysym::of_key(Key::Named(name)).contains(&base)) {
            return None;
        }
        let text = Keysym::new(keysym).key_char().filter(|char| !char.is_control());
        let text = text.map(|char| if mask & LOCK == 0 { char } else { flipped(char) });
        let commands = [NamedKey::Ctrl, NamedKey::Alt, NamedKey::Meta].into_iter().any(is_held);
        let Some(key) = named(base) else { return Some(HeardInput::Unknown) };
        let chord = held.into_iter().chain([key]).collect();
        Some(HeardInput::Key { chord, text: text.filter(|_| !commands) })
    }
}

/// Asks for the events; returns whether the server tells of them.
fn is_told(connection: &Connection) -> Result<bool, Failure> {
    let x = &connection.x;
    if x.extension_information(xinput::X11_EXTENSION_NAME)?.is_none() {
        return Ok(false);
    }
    let version = x.xinput_xi_query_version(2, 2)?.reply()?;
    if (version.major_version, version.minor_version) < (2, 1) {
        return Ok(false);
    }
    let events = xinput::XIEventMask::RAW_KEY_PRESS
        | xinput::XIEventMask::RAW_KEY_RELEASE
        | xinput::XIEventMask::RAW_BUTTON_PRESS
        | xinput::XIEventMask::RAW_BUTTON_RELEASE
        | xinput::XIEventMask::RAW_MOTION;
    let mask = xinput::EventMask { deviceid: ALL_MASTERS, mask: vec![events] };
    x.xinput_xi_select_events(connection.root, &[mask])?.check()?;
    Ok(true)
}

fn at(milliseconds: u32, what: HeardInput) -> Heard {
    Heard { at: Duration::from_millis(milliseconds.into()), what }
}

fn pressed(detail: u32, device: &DesktopDevice, place: &QueryPointerReply) -> Option<HeardInput> {
    let point = point(device, place);
    let direction = match detail {
        4 => Direction::Up,
        5 => Direction::Down,
        6 => Direction::Left,
        7 => Direction::Right,
        other => return Some(HeardInput::Down { button: button(other)?, point }),
    };
    Some(HeardInput::Wheel { direction, point })
}

fn button(detail: u32) -> Option<HeardButton> {
    match detail {
        1 => Some(HeardButton::Left),
        2 => Some(HeardButton::Middle),
        3 => Some(HeardButton::Right),
        _ => None,
    }
}

fn point(device: &DesktopDevice, place: &QueryPointerReply) -> Option<crate::PixelPoint> {
    device.pixel_at(DesktopPoint { x: place.root_x.into(), y: place.root_y.into() })
}

/// Returns the key that has a keysym.
fn named(keysym: u32) -> Option<Key> {
    let is_it = |name: &&NamedKey| keysym::of_key(Key::Named(**name)).contains(&keysym);
    if let Some(&name) = NamedKey::ALL.iter().find(is_it) {
        return Some(Key::Named(name));
    }
    if keysym == xkeysym::key::KP_Enter {
        return Some(Key::Named(NamedKey::Enter));
    }
    if let Some(number) = (1..=24).find(|&number| keysym::of_function(number) == keysym) {
        return Some(Key::Function(number));
    }
    let char = Keysym::new(keysym).key_char().filter(|char| !char.is_control())?;
    Some(Key::Char(char.to_lowercase().next().unwrap_or(char)))
}

/// What the lock of capitals makes of a letter.
fn flipped(char: char) -> char {
    let other =
        if char.is_uppercase() { char.to_lowercase().next() } else { char.to_uppercase().next() };
    other.unwrap_or(char)
}
