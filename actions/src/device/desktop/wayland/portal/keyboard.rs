//! The keyboard of a desktop that is used through its portal.
//!
//! The desktop finds the key that writes a character, and the modifiers it takes, and leaves out without
//! a word what no key writes. So nothing is typed that the layouts of the session do not have.

use std::time::Duration;

use super::layouts::Layouts;
use super::{Shared, locked};
use crate::device::desktop::Failure;
use crate::device::desktop::backend::Keyboard;
use crate::device::desktop::keysym::{self, Keysym};
use crate::device::pause::pause;
use crate::halt::Halt;
use crate::key::Key;

/// How long each character takes: it passes three programs.
const TEMPO: Duration = Duration::from_millis(3);

pub(super) struct PortalKeyboard {
    desk: Shared,
    held: Vec<Keysym>,
    halt: Halt,
}

impl PortalKeyboard {
    pub(super) fn new(desk: Shared) -> Self {
        Self { desk, held: Vec::new(), halt: Halt::default() }
    }

    fn check_going(&self) -> Result<(), Failure> {
        if self.halt.is_set() { Err(Failure::Refused("input was halted".into())) } else { Ok(()) }
    }

    fn layouts(&self) -> Result<Layouts, Failure> {
        Layouts::now(&mut locked(&self.desk))
    }

    fn tell(&self, keysym: Keysym, is_down: bool) -> Result<(), Failure> {
        locked(&self.desk).tell_key(keysym, is_down)
    }

    fn press(&mut self, keysym: Keysym) -> Result<(), Failure> {
        self.check_going()?;
        self.held.push(keysym);
        self.tell(keysym, true)
    }

    /// Lets go of everything, also after a key that could not be let go of.
    fn release_held(&mut self) -> Result<(), Failure> {
        let mut done = Ok(());
        while let Some(keysym) = self.held.pop() {
            done = done.and(self.tell(keysym, false));
        }
        done
    }
}

impl Keyboard for PortalKeyboard {
    fn heed(&mut self, halt: Halt) {
        self.halt = halt;
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let layouts = self.layouts()?;
        let characters = text.chars().filter(|&character| character != '\r');
        let strokes: Vec<Keysym> = characters
            .map(|character| layouts.of_char(character).ok_or(Failure::NotOnLayout(character)))
            .collect::<Result<_, _>>()?;
        for keysym in strokes {
            let pressed = self.press(keysym);
            pressed.and(self.release_held())?;
            pause(TEMPO);
        }
        Ok(())
    }

    fn chord(&mut self, keys: &[Key]) -> Result<(), Failure> {
        let layouts = self.layouts()?;
        // Find every key before the first is pressed.
        let strokes: Vec<Keysym> = keys
            .iter()
            .map(|&key| match key {
                Key::Char(character) => {
                    layouts.of_char(character).ok_or(Failure::NotOnLayout(character))
                }
                Key::Function(number) => {
                    layouts.of_key(&[keysym::of_function(number)]).ok_or(Failure::NoSuchKey(key))
                }
                Key::Named(_) => layouts.of_key(keysym::of_key(key)).ok_or(Failure::NoSuchKey(key)),
            })
            .collect::<Result<_, _>>()?;
        let pressed = strokes.into_iter().try_for_each(|keysym| {
            let pressed = self.press(keysym);
            pause(TEMPO);
            pressed
        });
        pressed.and(self.release_held())
    }

    fn release_all(&mut self) -> Result<(), Failure> {
        self.release_held()
    }
}
