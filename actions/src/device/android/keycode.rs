//! Android's numbers and names of keys.

use crate::key::{Key, NamedKey};

/// A key that does nothing.
pub(crate) const UNKNOWN: u32 = 0;
/// Enter, which also ends a line of text.
pub(crate) const ENTER: u32 = 66;
/// Tab.
pub(crate) const TAB: u32 = 61;
/// Puts the clipboard into the focused field.
pub(crate) const PASTE: u32 = 279;
/// Turns the screen on, and does nothing when it is on.
pub(crate) const WAKEUP: u32 = 224;
/// One screen back.
pub(crate) const BACK: u32 = 4;
/// The home screen.
pub(crate) const HOME: u32 = 3;
/// The recent apps.
pub(crate) const APP_SWITCH: u32 = 187;
/// The left Shift.
pub(crate) const SHIFT_LEFT: u32 = 59;

/// Names without `KEYCODE_`, and numbers. Letters, digits and function keys are not among them.
const NAMES: &[(&str, u32)] = &[
    ("SOFT_LEFT", 1),
    ("SOFT_RIGHT", 2),
    ("HOME", HOME),
    ("BACK", BACK),
    ("CALL", 5),
    ("ENDCALL", 6),
    ("STAR", 17),
    ("POUND", 18),
    ("DPAD_UP", 19),
    ("DPAD_DOWN", 20),
    ("DPAD_LEFT", 21),
    ("DPAD_RIGHT", 22),
    ("DPAD_CENTER", 23),
    ("VOLUME_UP", 24),
    ("VOLUME_DOWN", 25),
    ("POWER", 26),
    ("CAMERA", 27),
    ("CLEAR", 28),
    ("COMMA", 55),
    ("PERIOD", 56),
    ("ALT_LEFT", 57),
    ("ALT_RIGHT", 58),
    ("SHIFT_LEFT", SHIFT_LEFT),
    ("SHIFT_RIGHT", 60),
    ("TAB", TAB),
    ("SPACE", 62),
    ("ENTER", ENTER),
    ("DEL", 67),
    ("GRAVE", 68),
    ("MINUS", 69),
    ("EQUALS", 70),
    ("LEFT_BRACKET", 71),
    ("RIGHT_BRACKET", 72),
    ("BACKSLASH", 73),
    ("SEMICOLON", 74),
    ("APOSTROPHE", 75),
    ("SLASH", 76),
    ("AT", 77),
    ("PLUS", 81),
    ("MENU", 82),
    ("NOTIFICATION", 83),
    ("SEARCH", 84),
    ("MEDIA_PLAY_PAUSE", 85),
    ("PAGE_UP", 92),
    ("PAGE_DOWN", 93),
    ("ESCAPE", 111),
    ("FORWARD_DEL", 112),
    ("CTRL_LEFT", 113),
    ("CTRL_RIGHT", 114),
    ("CAPS_LOCK", 115),
    ("SCROLL_LOCK", 116),
    ("META_LEFT", 117),
    ("META_RIGHT", 118),
    ("SYSRQ", 120),
    ("BREAK", 121),
    ("MOVE_HOME", 122),
    ("MOVE_END", 123),
    ("INSERT", 124),
    ("NUM_LOCK", 143),
    ("VOLUME_MUTE", 164),
    ("APP_SWITCH", APP_SWITCH),
    ("ASSIST", 219),
    ("BRIGHTNESS_DOWN", 220),
    ("BRIGHTNESS_UP", 221),
    ("SLEEP", 223),
    ("WAKEUP", WAKEUP),
    ("CUT", 277),
    ("COPY", 278),
    ("PASTE", PASTE),
];

/// Returns the number of a key by its name, with or without `KEYCODE_`, or as a number.
pub(crate) fn from_name(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse::<u32>() {
        return (number < 1000).then_some(number);
    }
    let name = name.strip_prefix("KEYCODE_").unwrap_or(name);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let mut characters = name.chars();
    if let (Some(only), None) = (characters.next(), characters.next()) {
        return of_character(only.to_ascii_lowercase()).filter(|_| only.is_ascii_alphanumeric());
    }
    let function = name.strip_prefix('F').and_then(|digits| digits.parse::<u32>().ok());
    function.filter(|number| (1..=12).contains(number)).map(|number| 130 + number)
}

/// Returns the number of a key, if phones have it.
pub(crate) fn of_key(key: Key) -> Option<u32> {
    use NamedKey::{
        Alt, AltGr, Backspace, Camera, CapsLock, Clear, ContextMenu, Ctrl, Delete, Down, End,
        Enter, Escape, Home, Insert, Left, Meta, NumLock, PageDown, PageUp, Pause, Power,
        PrintScreen, Right, ScrollLock, Shift, Space, Tab, Up, VolumeDown, VolumeMute, VolumeUp,
    };
    let name = match key {
        Key::Char(character) => return of_character(character),
        Key::Function(number) => return from_name(&format!("F{number}")),
        Key::Named(named) => match named {
            Ctrl => "CTRL_LEFT",
            Alt => "ALT_LEFT",
            Shift => "SHIFT_LEFT",
            Meta => "META_LEFT",
            AltGr => "ALT_RIGHT",
            Enter => "ENTER",
            Escape => "ESCAPE",
            Tab => "TAB",
            Space => "SPACE",
            Backspace => "DEL",
            Delete => "FORWARD_DEL",
            Insert => "INSERT",
            Home => "MOVE_HOME",
            End => "MOVE_END",
            PageUp => "PAGE_UP",
            PageDown => "PAGE_DOWN",
            Up => "DPAD_UP",
            Down => "DPAD_DOWN",
            Left => "DPAD_LEFT",
            Right => "DPAD_RIGHT",
            CapsLock => "CAPS_LOCK",
            NumLock => "NUM_LOCK",
            ScrollLock => "SCROLL_LOCK",
            PrintScreen => "SYSRQ",
            Pause => "BREAK",
            ContextMenu => "MENU",
            VolumeUp => "VOLUME_UP",
            VolumeDown => "VOLUME_DOWN",
            VolumeMute => "VOLUME_MUTE",
            Power => "POWER",
            Camera => "CAMERA",
            Clear => "CLEAR",
        },
    };
    from_name(name)
}

/// Returns the number of the key that writes a character without Shift.
fn of_character(character: char) -> Option<u32> {
    Some(match character {
        'a'..='z' => 29 + u32::from(character) - u32::from('a'),
        '0'..='9' => 7 + u32::from(character) - u32::from('0'),
        ',' => 55,
        '.' => 56,
        '`' => 68,
        '-' => 69,
        '=' => 70,
        '[' => 71,
        ']' => 72,
        '\\' => 73,
        ';' => 74,
        '\'' => 75,
        '/' => 76,
        '@' => 77,
        '+' => 81,
        '*' => 17,
        '#' => 18,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_key_is_on_a_phone() {
        for named in NamedKey::ALL {
            assert!(of_key((*named).into()).is_some(), "{named:?}");
        }
        assert_eq!(of_key(NamedKey::Home.into()), Some(122));
        assert_eq!(of_key(Key::Function(12)), Some(142));
        assert_eq!(of_key(Key::Function(13)), None);
        assert_eq!(of_key(Key::Char('?')), None);
    }

    #[test]
    fn names_and_numbers_agree() {
        let check = |name, number| assert_eq!(from_name(name), number, "{name}");
        check("KEYCODE_HOME", Some(3));
        check("ENTER", Some(66));
        check("66", Some(66));
        check("KEYCODE_A", Some(29));
        check("KEYCODE_Z", Some(54));
        check("KEYCODE_9", Some(16));
        check("KEYCODE_F12", Some(142));
        check("KEYCODE_F13", None);
        check("KEYCODE_!", None);
        check("HYPER", None);
        check("1000", None);
    }
}
