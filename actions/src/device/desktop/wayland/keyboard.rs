//! A keyboard of our own, which types text and presses chords.
//!
//! It comes with its own keymap (see `keymap`), to which characters are added as they are needed.
//! Compositors take the state of the modifiers from us, so it is told with every key that changes it.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use wayland_client::delegate_noop;
use wayland_client::protocol::wl_seat::Capability;
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_v1::ZwpVirtualKeyboardV1;

use super::input_method::InputMethod;
use super::keymap::{self, Code, Keymap, Lesson, SHIFT_KEY, Stroke};
use super::session::{State, now};
use super::{Shared, locked};
use crate::device::desktop::Failure;
use crate::device::desktop::backend::Keyboard;
use crate::device::desktop::paste::is_terminal;
use crate::device::pause::{pause, pause_unless};
use crate::halt::Halt;
use crate::key::Key;

/// The number of the format that keymaps are written in.
const XKB_V1: u32 = 1;
const PRESSED: u32 = 1;
const RELEASED: u32 = 0;

/// How long each character takes: a compositor throws out programs that cannot keep up.
const TEMPO: Duration = Duration::from_millis(2);
/// After how many characters to wait for the compositor.
const BURST: usize = 8;
/// How long X11 programs in a Wayland session get to learn of a new character, and to read the keys of
/// old ones before those write something else. Others are told of both in order.
const LEARNING: Duration = Duration::from_millis(50);
const CATCHING_UP: Duration = Duration::from_millis(500);

/// The keyboard, which is made when it is first used.
pub(super) struct WaylandKeyboard {
    session: Shared,
    keyboard: Option<ZwpVirtualKeyboardV1>,
    keymap: Keymap,
    held: Vec<Code>,
    /// The modifiers that are held, and those that are locked.
    depressed: u32,
    locked: u32,
    /// The layout that is in use.
    layout: u32,
    /// How characters that not every program takes from keys are written now.
    way: Way,
    halt: Halt,
}

/// How characters beyond the first 65536 are written.
enum Way {
    /// That is to be found out.
    Unknown,
    Keys,
    Method(InputMethod),
}

impl WaylandKeyboard {
    pub(super) fn new(session: Shared) -> Self {
        Self {
            session,
            keyboard: None,
            keymap: Keymap::default(),
            held: Vec::new(),
            depressed: 0,
            locked: 0,
            layout: 0,
            way: Way::Unknown,
            halt: Halt::default(),
        }
    }

    fn check_going(&self) -> Result<(), Failure> {
        if self.halt.is_set() { Err(Failure::Refused("input was halted".into())) } else { Ok(()) }
    }

    fn sync(&self) -> Result<(), Failure> {
        locked(&self.session).sync()
    }

    /// Returns the keyboard, with keys for as many of these characters as it returns.
    fn prepare(&mut self, characters: &[char]) -> Result<(ZwpVirtualKeyboardV1, usize), Failure> {
        let (writable, lesson) = self.keymap.teach(characters);
        let Some(keyboard) = &self.keyboard else {
            let file = file(&self.keymap)?;
            let made = locked(&self.session).introduce(Capability::Keyboard, |tools, handle| {
                let keyboard = tools.keyboards.create_virtual_keyboard(&tools.seat, handle, ());
                keyboard.keymap(XKB_V1, file.0.as_fd(), file.1);
                Ok(keyboard)
            })?;
            self.keyboard = Some(made.clone());
            return Ok((made, writable));
        };
        if lesson == Lesson::Replaced {
            pause(CATCHING_UP);
        }
        if lesson != Lesson::Nothing {
            let file = file(&self.keymap)?;
            keyboard.keymap(XKB_V1, file.0.as_fd(), file.1);
            self.sync()?;
            pause_unless(&self.halt, LEARNING);
        }
        Ok((keyboard.clone(), writable))
    }

    fn press(&mut self, keyboard: &ZwpVirtualKeyboardV1, code: Code) {
        self.held.push(code);
        keyboard.key(now(), code.into(), PRESSED);
        match keymap::modifier(code) {
            Some((bit, true)) => self.locked ^= bit,
            Some((bit, false)) => self.depressed |= bit,
            None => return,
        }
        self.tell_modifiers(keyboard);
    }

    fn release_held(&mut self, keyboard: &ZwpVirtualKeyboardV1) {
        while let Some(code) = self.held.pop() {
            keyboard.key(now(), code.into(), RELEASED);
            if let Some((bit, false)) = keymap::modifier(code) {
                self.depressed &= !bit;
                self.tell_modifiers(keyboard);
            }
        }
    }

    fn tell_modifiers(&self, keyboard: &ZwpVirtualKeyboardV1) {
        keyboard.modifiers(self.depressed, 0, self.locked, self.layout);
    }

    fn stroke(&self, character: char) -> Result<Stroke, Failure> {
        self.keymap.stroke(character).ok_or(Failure::NoSpareKey(character))
    }

    /// Presses the keys that write a character, in its layout.
    fn press_all(&mut self, keyboard: &ZwpVirtualKeyboardV1, stroke: Stroke) {
        self.change_layout(keyboard, stroke.layout);
        let shift = stroke.needs_shift.then_some(SHIFT_KEY);
        for code in shift.into_iter().chain([stroke.code]) {
            if !self.held.contains(&code) {
                self.press(keyboard, code);
            }
        }
    }

    fn change_layout(&mut self, keyboard: &ZwpVirtualKeyboardV1, layout: u32) {
        if self.layout != layout {
            self.layout = layout;
            self.tell_modifiers(keyboard);
        }
    }

    /// Writes a character past the keys, if it is one that not every program takes from them.
    fn hand_over(&mut self, character: char) -> Result<bool, Failure> {
        if u16::try_from(u32::from(character)).is_ok() {
            return Ok(false);
        }
        let session = &mut locked(&self.session);
        if let Way::Unknown = self.way {
            // Terminals take everything from keys, and foot loses texts that come while it draws.
            let in_terminal = session.front().is_some_and(|front| is_terminal(&front.app));
            let joined = if in_terminal { None } else { InputMethod::join(session)? };
            self.way = joined.map_or(Way::Keys, Way::Method);
        }
        let Way::Method(method) = &self.way else { return Ok(false) };
        method.write(session, character.to_string()).map(|()| true)
    }

    fn write_all(&mut self, characters: &[char]) -> Result<(), Failure> {
        let mut rest = characters;
        while !rest.is_empty() {
            let (keyboard, writable) = self.prepare(rest)?;
            let (part, after) = rest.split_at(writable);
            for burst in part.chunks(BURST) {
                for &character in burst {
                    self.check_going()?;
                    if self.hand_over(character)? {
                        continue;
                    }
                    let stroke = self.stroke(character)?;
                    self.press_all(&keyboard, stroke);
                    self.release_held(&keyboard);
                    pause(TEMPO);
                }
                self.sync()?;
            }
            rest = after;
        }
        Ok(())
    }
}

impl Keyboard for WaylandKeyboard {
    fn heed(&mut self, halt: Halt) {
        self.halt = halt;
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let characters: Vec<char> = text.chars().filter(|&c| c != '\r').collect();
        // A lock of capitals would change what is written.
        let locked = std::mem::take(&mut self.locked);
        let (keyboard, _) = self.prepare(&[])?;
        if locked != 0 {
            self.tell_modifiers(&keyboard);
        }
        let done = self.write_all(&characters);
        self.way = Way::Unknown;
        self.change_layout(&keyboard, 0);
        if locked != 0 {
            self.locked = locked;
            self.tell_modifiers(&keyboard);
        }
        done.and_then(|()| self.sync())
    }

    fn chord(&mut self, keys: &[Key]) -> Result<(), Failure> {
        let characters: Vec<char> = keys
            .iter()
            .filter_map(|key| if let Key::Char(character) = key { Some(*character) } else { None })
            .collect();
        let (keyboard, _) = self.prepare(&characters)?;
        // Find every key before the first is pressed.
        let mut strokes = Vec::new();
        for &key in keys {
            strokes.push(match key {
                Key::Char(character) => self.stroke(character)?,
                key => {
                    let code = keymap::named(key).ok_or(Failure::NoSuchKey(key))?;
                    Stroke { layout: self.layout, code, needs_shift: false }
                }
            });
        }
        self.check_going()?;
        for stroke in strokes {
            self.press_all(&keyboard, stroke);
        }
        self.sync()?;
        self.release_held(&keyboard);
        self.change_layout(&keyboard, 0);
        self.sync()
    }

    fn release_all(&mut self) -> Result<(), Failure> {
        let Some(keyboard) = self.keyboard.clone().filter(|_| !self.held.is_empty()) else {
            return Ok(());
        };
        self.release_held(&keyboard);
        self.change_layout(&keyboard, 0);
        self.sync()
    }
}

/// Writes a keymap into memory that the compositor reads, and returns its length.
fn file(keymap: &Keymap) -> Result<(File, u32), Failure> {
    let mut text = keymap.text();
    text.push('\0');
    let refused = |error: std::io::Error| Failure::Refused(error.into());
    let file = memfd_create("handsight-keymap", MemfdFlags::CLOEXEC);
    let mut file = File::from(file.map_err(|error| refused(error.into()))?);
    file.write_all(text.as_bytes()).map_err(refused)?;
    let length = u32::try_from(text.len()).map_err(|error| Failure::Refused(error.into()))?;
    Ok((file, length))
}

delegate_noop!(State: ZwpVirtualKeyboardV1);
