//! Keys and characters → keysyms, the numbers X11 has for what is printed on a key.

use crate::key::{Key, NamedKey};

/// A keysym of the X11 protocol.
pub(super) type Keysym = u32;

/// No key at all.
pub(super) const NONE: Keysym = 0;
/// The key that reaches the third level of a layout, `AltGr`.
pub(super) const LEVEL3_SHIFT: Keysym = 0xFE03;
/// Either Shift key.
pub(super) const SHIFTS: [Keysym; 2] = [0xFFE1, 0xFFE2];
/// Where the keysyms of Unicode characters begin.
const UNICODE: Keysym = 0x0100_0000;

/// Returns the keysym of a character; a line feed and a tab are the keys that write them.
pub(super) fn of_char(character: char) -> Keysym {
    match character {
        '\n' => 0xFF0D,
        '\t' => 0xFF09,
        // Latin-1 has its code points for keysyms, and some programs know no other for it.
        ' '..='~' | '\u{A0}'..='\u{FF}' => character.into(),
        _ => UNICODE | u32::from(character),
    }
}

/// Whether it is the keysym of a character, as one that was taught to a spare key would be.
pub(super) fn is_char(keysym: Keysym) -> bool {
    matches!(keysym, 0x20..=0x7E | 0xA0..=0xFF) || (UNICODE..=UNICODE | 0x10_FFFF).contains(&keysym)
}

/// Returns the keysyms a key may have, the likeliest first.
pub(super) fn of_key(key: Key) -> &'static [Keysym] {
    let Key::Named(name) = key else { return &[] };
    match name {
        NamedKey::Ctrl => &[0xFFE3, 0xFFE4],
        NamedKey::Alt => &[0xFFE9, 0xFFEA],
        NamedKey::Shift => &SHIFTS,
        NamedKey::Meta => &[0xFFEB, 0xFFEC, 0xFFE7],
        NamedKey::AltGr => &[LEVEL3_SHIFT, 0xFFEA],
        NamedKey::Enter => &[0xFF0D],
        NamedKey::Escape => &[0xFF1B],
        NamedKey::Tab => &[0xFF09],
        NamedKey::Space => &[0x20],
        NamedKey::Backspace => &[0xFF08],
        NamedKey::Delete => &[0xFFFF],
        NamedKey::Insert => &[0xFF63],
        NamedKey::Home => &[0xFF50],
        NamedKey::End => &[0xFF57],
        NamedKey::PageUp => &[0xFF55],
        NamedKey::PageDown => &[0xFF56],
        NamedKey::Up => &[0xFF52],
        NamedKey::Down => &[0xFF54],
        NamedKey::Left => &[0xFF51],
        NamedKey::Right => &[0xFF53],
        NamedKey::CapsLock => &[0xFFE5],
        NamedKey::NumLock => &[0xFF7F],
        NamedKey::ScrollLock => &[0xFF14],
        NamedKey::PrintScreen => &[0xFF61],
        NamedKey::Pause => &[0xFF13],
        NamedKey::ContextMenu => &[0xFF67],
        NamedKey::VolumeUp => &[0x1008_FF13],
        NamedKey::VolumeDown => &[0x1008_FF11],
        NamedKey::VolumeMute => &[0x1008_FF12],
        NamedKey::Power => &[0x1008_FF2A],
        NamedKey::Camera => &[0x1008_FF8F],
        NamedKey::Clear => &[0xFF0B],
    }
}

/// Returns the keysym of a function key; those of `f1` to `f24` are in a row.
pub(super) fn of_function(number: u8) -> Keysym {
    0xFFBD + u32::from(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_the_keysyms_of_the_protocol() {
        let check = |character, keysym| assert_eq!(of_char(character), keysym, "{character:?}");
        check('a', 0x61);
        check('~', 0x7E);
        check('é', 0xE9);
        check('中', 0x0100_4E2D);
        check('😀', 0x0101_F600);
        check('\n', 0xFF0D);
        assert!(is_char(of_char('é')) && is_char(of_char('😀')) && !is_char(of_char('\t')));
        assert_eq!((of_function(1), of_function(12)), (0xFFBE, 0xFFC9));
    }
}
