//! Types text and presses chords through XTEST.
//!
//! A character the layout has is typed with its own key and modifiers. Any other is first taught
//! to a spare key. Programs look up what a key writes when they get to its event, not when it is
//! pressed, so a taught key keeps its character for as long as it can: it is taught anew only
//! when the spare ones run out, and after a pause in which programs catch up. What was taught is
//! undone by [`X11Keyboard::release_all`](Keyboard::release_all), which devices also do when dropped.

use std::sync::Arc;
use std::time::Duration;

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, KeyButMask};
use x11rb::protocol::xtest::ConnectionExt as _;

use super::connection::Connection;
use super::keymap::{Keymap, Stroke};
use crate::device::desktop::Failure;
use crate::device::desktop::backend::Keyboard;
use crate::device::desktop::keysym::{self, Keysym};
use crate::device::pause::{pause, pause_unless};
use crate::halt::Halt;
use crate::key::{Key, NamedKey};

/// How long the server lets each key event wait, in milliseconds. With none, some programs lose
/// every tenth line.
const TEMPO: u32 = 2;
/// How long programs get to learn of a taught key. The change and the key events reach a program
/// in order, so this is for those that learn of it by another way.
const LEARNING: Duration = Duration::from_millis(50);
/// How long programs get to read the events of a key before it is taught something else, and how
/// much longer for each character they may still have before them. Nothing tells when they have:
/// on a busy machine 150 ms was seen to be too short.
const CATCHING_UP: Duration = Duration::from_millis(300);
const CATCHING_UP_EACH: Duration = Duration::from_millis(5);
/// Characters beyond this many are taken to have been read in the meantime.
const CATCHING_UP_MOST: u32 = 200;
/// After how many characters to wait for the server, so that no wait is long, and no more than these
/// are still typed after input was halted: 64 ms at most.
const BURST: usize = 8;

/// The keyboard of an X display, and what we changed of it.
pub(super) struct X11Keyboard {
    connection: Arc<Connection>,
    keymap: Keymap,
    /// The layout in use, from 0.
    layout: u8,
    /// The taught keys, the one used least lately first.
    taught: Vec<Taught>,
    /// How many characters were typed since programs last had time to catch up.
    unread: u32,
    held: Vec<u8>,
    halt: Halt,
}

#[derive(Clone, Copy)]
struct Taught {
    keycode: u8,
    keysym: Keysym,
}

impl X11Keyboard {
    /// Reads the keyboard; if it has no spare key, those that a crashed program left are freed.
    ///
    /// One is needed even to click: enigo refuses to start without.
    pub(super) fn open(connection: Arc<Connection>) -> Result<Self, Failure> {
        let mut keymap = read_keymap(&connection)?;
        if keymap.spares().is_empty() {
            for keycode in keymap.leftovers() {
                teach(&connection, keycode, keysym::NONE)?;
            }
            connection.sync()?;
            keymap = read_keymap(&connection)?;
        }
        if keymap.spares().is_empty() {
            return Err(Failure::KeyboardFull);
        }
        Ok(Self {
            connection,
            keymap,
            layout: 0,
            taught: Vec::new(),
            unread: 0,
            held: Vec::new(),
            halt: Halt::default(),
        })
    }

    fn check_going(&self) -> Result<(), Failure> {
        if self.halt.is_set() { Err(Failure::Refused("input was halted".into())) } else { Ok(()) }
    }

    /// Layouts change; returns the key that lifts the lock of capitals, if the lock is on.
    fn refresh(&mut self, connection: &Connection) -> Result<Option<u8>, Failure> {
        self.keymap = read_keymap(connection)?;
        // Somebody else may have changed the keyboard, and what we taught with it.
        let keymap = &self.keymap;
        self.taught.retain(|taught| {
            keymap.find(taught.keysym, 0).is_some_and(|stroke| stroke.keycode == taught.keycode)
        });
        let state = connection.x.query_pointer(connection.root)?.reply()?.mask;
        let state = u16::from(state);
        self.layout = u8::try_from(state >> 13 & 3).unwrap_or(0);
        let is_locked = state & u16::from(KeyButMask::LOCK) != 0;
        Ok(self.keymap.lock().filter(|_| is_locked))
    }

    /// Checks that what the layout lacks can be taught, before anything is typed.
    fn check_writable(&self, characters: &[char]) -> Result<(), Failure> {
        if !self.taught.is_empty() || !self.keymap.spares().is_empty() {
            return Ok(());
        }
        match characters.iter().find(|&&character| self.find(character).is_none()) {
            Some(&character) => Err(Failure::NoSpareKey(character)),
            None => Ok(()),
        }
    }

    /// Returns how many of the characters can be typed before a key must be taught anew.
    fn teachable(&self, characters: &[char]) -> usize {
        let capacity = self.taught.len() + self.keymap.spares().len();
        let mut needed: Vec<char> = Vec::new();
        for (index, &character) in characters.iter().enumerate() {
            let is_native = self.native(character).is_some();
            if !is_native && !needed.contains(&character) {
                if needed.len() == capacity {
                    return index;
                }
                needed.push(character);
            }
        }
        characters.len()
    }

    /// Teaches spare keys what the layout lacks of these characters.
    fn teach_all(&mut self, connection: &Connection, characters: &[char]) -> Result<(), Failure> {
        let mut missing: Vec<Keysym> = Vec::new();
        for &character in characters {
            if self.native(character).is_some() {
                continue;
            }
            let keysym = keysym::of_char(character);
            match self.taught.iter().position(|taught| taught.keysym == keysym) {
                // Used now, so it is the last to be taught anew.
                Some(index) => self.taught[index..].rotate_left(1),
                None if !missing.contains(&keysym) => missing.push(keysym),
                None => {}
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut spares = self.keymap.spares();
        spares.retain(|spare| !self.taught.iter().any(|taught| taught.keycode == *spare));
        let mut has_caught_up = false;
        for keysym in missing {
            let keycode = if let Some(spare) = spares.pop() {
                spare
            } else {
                if !has_caught_up {
                    self.let_programs_catch_up(connection)?;
                    has_caught_up = true;
                }
                self.taught.remove(0).keycode
            };
            self.taught.push(Taught { keycode, keysym });
            teach(connection, keycode, keysym)?;
        }
        connection.sync()?;
        pause_unless(&self.halt, LEARNING);
        Ok(())
    }

    /// Waits until programs have surely read what was typed, before a taught key changes.
    fn let_programs_catch_up(&mut self, connection: &Connection) -> Result<(), Failure> {
        connection.sync()?;
        let unread = std::mem::take(&mut self.unread).min(CATCHING_UP_MOST);
        pause(CATCHING_UP + CATCHING_UP_EACH * unread);
        Ok(())
    }

    /// Returns how the layout writes a character.
    fn native(&self, character: char) -> Option<Stroke> {
        let stroke = self.keymap.find(keysym::of_char(character), self.layout)?;
        let is_taught = self.taught.iter().any(|taught| taught.keycode == stroke.keycode);
        let is_reachable = (!stroke.needs_shift || self.keymap.shift().is_some())
            && (!stroke.needs_level3 || self.keymap.key(&[keysym::LEVEL3_SHIFT]).is_some());
        Some(stroke).filter(|_| !is_taught && is_reachable)
    }

    /// Returns how to write a character, with a taught key if need be.
    fn find(&self, character: char) -> Option<Stroke> {
        let keysym = keysym::of_char(character);
        let taught = || self.taught.iter().find(|taught| taught.keysym == keysym);
        self.native(character).or_else(|| {
            let keycode = taught()?.keycode;
            Some(Stroke { keycode, needs_shift: false, needs_level3: false })
        })
    }

    /// Returns the keys that write a character, in the order they are pressed.
    fn keycodes(&self, character: char) -> Vec<u8> {
        let Some(stroke) = self.find(character) else { return Vec::new() };
        let shift = self.keymap.shift().filter(|_| stroke.needs_shift);
        let level3 = self.keymap.key(&[keysym::LEVEL3_SHIFT]).filter(|_| stroke.needs_level3);
        shift.into_iter().chain(level3).chain([stroke.keycode]).collect()
    }

    fn named(&self, key: Key) -> Option<u8> {
        match key {
            Key::Function(number) => self.keymap.key(&[keysym::of_function(number)]),
            Key::Named(NamedKey::Space) => self.keymap.key(&[u32::from(' ')]),
            key => self.keymap.key(keysym::of_key(key)),
        }
    }

    fn stroke(&mut self, connection: &Connection, character: char) -> Result<(), Failure> {
        for keycode in self.keycodes(character) {
            self.press(connection, keycode)?;
        }
        self.unread = self.unread.saturating_add(1);
        self.release_held(connection)
    }

    fn tap(&mut self, connection: &Connection, keycode: u8) -> Result<(), Failure> {
        self.press(connection, keycode)?;
        self.release_held(connection)
    }

    fn press(&mut self, connection: &Connection, keycode: u8) -> Result<(), Failure> {
        self.held.push(keycode);
        fake(connection, KEY_PRESS_EVENT, keycode)
    }

    fn release_held(&mut self, connection: &Connection) -> Result<(), Failure> {
        while let Some(keycode) = self.held.pop() {
            fake(connection, KEY_RELEASE_EVENT, keycode)?;
        }
        Ok(())
    }
}

impl Keyboard for X11Keyboard {
    fn heed(&mut self, halt: Halt) {
        self.halt = halt;
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let connection = &*Arc::clone(&self.connection);
        let lock = self.refresh(connection)?;
        let characters: Vec<_> = text.chars().filter(|&c| c != '\r').collect();
        self.check_writable(&characters)?;
        if let Some(lock) = lock {
            self.tap(connection, lock)?;
        }
        let mut rest = characters.as_slice();
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(self.teachable(rest));
            self.teach_all(connection, chunk)?;
            for burst in chunk.chunks(BURST) {
                for &character in burst {
                    self.check_going()?;
                    self.stroke(connection, character)?;
                }
                connection.sync()?;
            }
            rest = after;
        }
        if let Some(lock) = lock {
            self.tap(connection, lock)?;
        }
        connection.sync()
    }

    fn chord(&mut self, keys: &[Key]) -> Result<(), Failure> {
        let connection = &*Arc::clone(&self.connection);
        self.refresh(connection)?;
        let characters: Vec<_> = keys
            .iter()
            .filter_map(|key| match key {
                Key::Char(character) => Some(*character),
                Key::Named(_) | Key::Function(_) => None,
            })
            .collect();
        self.check_writable(&characters)?;
        // Find every key before the first is pressed.
        let named = keys.iter().filter(|key| !matches!(key, Key::Char(_)));
        let missing = named.copied().find(|&key| self.named(key).is_none());
        if let Some(key) = missing {
            return Err(Failure::NoSuchKey(key));
        }
        self.teach_all(connection, &characters)?;
        self.check_going()?;
        for &key in keys {
            let keycodes = match key {
                Key::Char(character) => self.keycodes(character),
                key => self.named(key).into_iter().collect(),
            };
            for keycode in keycodes {
                if !self.held.contains(&keycode) {
                    self.press(connection, keycode)?;
                }
            }
        }
        connection.sync()?;
        self.release_held(connection)?;
        connection.sync()
    }

    /// Lets go of every key we hold, and makes every taught key spare again.
    fn release_all(&mut self) -> Result<(), Failure> {
        let connection = &*Arc::clone(&self.connection);
        if self.held.is_empty() && self.taught.is_empty() {
            return Ok(());
        }
        // Taken at once: a display that does not answer is not asked a second time.
        let taught = std::mem::take(&mut self.taught);
        self.release_held(connection)?;
        if !taught.is_empty() {
            self.let_programs_catch_up(connection)?;
        }
        for taught in taught {
            teach(connection, taught.keycode, keysym::NONE)?;
        }
        connection.sync()
    }
}

fn fake(connection: &Connection, event: u8, keycode: u8) -> Result<(), Failure> {
    connection.x.xtest_fake_input(event, keycode, TEMPO, connection.root, 0, 0, 0)?;
    Ok(())
}

/// Makes a key write a keysym, with Shift and without. With one keysym only, the server would
/// make up the other from its case.
pub(super) fn teach(connection: &Connection, keycode: u8, keysym: Keysym) -> Result<(), Failure> {
    connection.x.change_keyboard_mapping(1, keycode, 2, &[keysym, keysym])?;
    Ok(())
}

pub(super) fn read_keymap(connection: &Connection) -> Result<Keymap, Failure> {
    let setup = connection.x.setup();
    let (first, last) = (setup.min_keycode, setup.max_keycode);
    let mapping = connection.x.get_keyboard_mapping(first, last - first + 1)?;
    let modifiers = connection.x.get_modifier_mapping()?;
    let (mapping, modifiers) = (mapping.reply()?, modifiers.reply()?);
    let rows = modifiers.keycodes.chunks((modifiers.keycodes.len() / 8).max(1));
    let modifiers = rows.map(|row| row.iter().copied().filter(|&keycode| keycode != 0).collect());
    Ok(Keymap::new(first, mapping.keysyms_per_keycode.into(), mapping.keysyms, modifiers.collect()))
}
