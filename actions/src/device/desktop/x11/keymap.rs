//! The keyboard as the server describes it: which key writes what, and which keys are unused.
//!
//! The protocol gives each key a row of keysyms: first without and with Shift, then the same for
//! the second layout, then the third and fourth level of the first, reached with `AltGr`. A
//! character is looked up with Shift and `AltGr`, as a person would find it; only what no key
//! writes needs a spare one.

use crate::device::desktop::keysym::{self, Keysym};

/// Keys below this one are letters, digits and the keypad, which nobody teaches characters to.
const FIRST_SPARE: u8 = 92;
/// The lowest keycode means "none" to programs that count from the kernel's codes.
const RESERVED: u8 = 8;

/// A key, and the modifiers under which it writes what is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stroke {
    pub(super) keycode: u8,
    pub(super) needs_shift: bool,
    pub(super) needs_level3: bool,
}

/// What every key writes.
#[derive(Clone, Debug)]
pub(super) struct Keymap {
    first: u8,
    width: usize,
    keysyms: Vec<Keysym>,
    /// The keys of each modifier, in the protocol's order: Shift, Lock, Control, Mod1 to Mod5.
    modifiers: Vec<Vec<u8>>,
}

impl Keymap {
    /// Takes the protocol's replies: a row of `width` keysyms for each keycode from `first`.
    pub(super) fn new(
        first: u8,
        width: usize,
        keysyms: Vec<Keysym>,
        modifiers: Vec<Vec<u8>>,
    ) -> Self {
        Self { first, width: width.max(1), keysyms, modifiers }
    }

    fn rows(&self) -> impl Iterator<Item = (u8, &[Keysym])> {
        (self.first..=u8::MAX).zip(self.keysyms.chunks_exact(self.width))
    }

    /// Returns the keysym in a column of a key's row, if there is one.
    pub(super) fn keysym(&self, keycode: u8, column: usize) -> Option<Keysym> {
        let row =
            self.keysyms.chunks_exact(self.width).nth(keycode.checked_sub(self.first)?.into())?;
        row.get(column).copied().filter(|&keysym| keysym != keysym::NONE)
    }

    /// Returns how to write a keysym in the layout of this number, if the layout can.
    pub(super) fn find(&self, keysym: Keysym, layout: u8) -> Option<Stroke> {
        let columns: &[(usize, bool, bool)] = match layout {
            0 => &[(0, false, false), (1, true, false), (4, false, true), (5, true, true)],
            1 => &[(2, false, false), (3, true, false)],
            // The protocol does not show the others.
            _ => &[],
        };
        // The plain part of the keyboard comes first, and its keys have the lowest codes.
        for columns in columns.chunks(2) {
            for (keycode, row) in self.rows() {
                for &(column, needs_shift, needs_level3) in columns {
                    if row.get(column) == Some(&keysym) {
                        return Some(Stroke { keycode, needs_shift, needs_level3 });
                    }
                }
            }
        }
        None
    }

    /// Returns the first key that has one of these keysyms without any modifier.
    pub(super) fn key(&self, keysyms: &[Keysym]) -> Option<u8> {
        let find = |keysym: &Keysym| self.rows().find(|(_, row)| row[0] == *keysym);
        keysyms.iter().find_map(find).map(|(keycode, _)| keycode)
    }

    /// Returns every key that has one of these keysyms without any modifier.
    pub(super) fn all_keys(&self, keysyms: &[Keysym]) -> Vec<u8> {
        let has = |(_, row): &(u8, &[Keysym])| keysyms.contains(&row[0]);
        self.rows().filter(has).map(|(keycode, _)| keycode).collect()
    }

    /// Returns a key that turns Shift on.
    pub(super) fn shift(&self) -> Option<u8> {
        self.key(&keysym::SHIFTS).or_else(|| self.modifiers.first()?.first().copied())
    }

    /// Returns a key that turns the lock of capitals on and off.
    pub(super) fn lock(&self) -> Option<u8> {
        self.modifiers.get(1)?.first().copied()
    }

    /// Returns the keys that write nothing and serve as no modifier.
    pub(super) fn spares(&self) -> Vec<u8> {
        let unused = |(keycode, row): &(u8, &[Keysym])| {
            *keycode != RESERVED
                && row.iter().all(|&keysym| keysym == keysym::NONE)
                && !self.modifiers.iter().flatten().any(|modifier| modifier == keycode)
        };
        self.rows().filter(unused).map(|(keycode, _)| keycode).collect()
    }

    /// Returns the keys that look as if a program had taught them a character and not undone it:
    /// one character with Shift and without, where no layout has characters.
    pub(super) fn leftovers(&self) -> Vec<u8> {
        let taught = |(keycode, row): &(u8, &[Keysym])| {
            *keycode >= FIRST_SPARE
                && row[0] == *row.get(1).unwrap_or(&0)
                && keysym::is_char(row[0])
        };
        self.rows().filter(taught).map(|(keycode, _)| keycode).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keycodes 8 to 11 and 200 to 202 of an invented keyboard.
    fn keymap() -> Keymap {
        let width = 6;
        let mut keysyms = vec![0; (255 - 8 + 1) * width];
        let mut set = |keycode: usize, row: [char; 6]| {
            for (column, character) in row.into_iter().enumerate() {
                let keysym = if character == ' ' { 0 } else { keysym::of_char(character) };
                keysyms[(keycode - 8) * width + column] = keysym;
            }
        };
        for keycode in 12..=255 {
            set(keycode, ['x', ' ', ' ', ' ', ' ', ' ']);
        }
        set(9, ['a', 'A', 'ф', 'Ф', 'æ', 'Æ']);
        set(10, ['1', '(', '1', '!', ' ', ' ']);
        set(11, [' ', ' ', ' ', ' ', ' ', ' ']);
        set(200, ['(', ' ', ' ', ' ', ' ', ' ']);
        set(201, [' ', ' ', ' ', ' ', ' ', ' ']);
        set(202, ['中', '中', ' ', ' ', ' ', ' ']);
        Keymap::new(8, width, keysyms, vec![vec![50], vec![66], vec![201]])
    }

    #[track_caller]
    fn check(character: char, layout: u8, expected: Option<(u8, bool, bool)>) {
        let stroke = keymap().find(keysym::of_char(character), layout);
        let stroke = stroke.map(|s| (s.keycode, s.needs_shift, s.needs_level3));
        assert_eq!(stroke, expected, "{character} in layout {layout}");
    }

    #[test]
    fn characters_are_found_with_their_modifiers() {
        check('a', 0, Some((9, false, false)));
        check('A', 0, Some((9, true, false)));
        check('æ', 0, Some((9, false, true)));
        check('Æ', 0, Some((9, true, true)));
        check('Ф', 1, Some((9, true, false)));
        check('a', 1, None);
        check('é', 0, None);
        check('a', 2, None);
    }

    #[test]
    fn the_plain_part_of_the_keyboard_comes_first() {
        check('(', 0, Some((10, true, false)));
    }

    #[test]
    fn unused_keys_are_spare_unless_they_are_reserved_or_modifiers() {
        assert_eq!(keymap().spares(), [11]);
        assert_eq!(keymap().leftovers(), [202]);
    }
}
