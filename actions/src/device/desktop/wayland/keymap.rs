//! The keymap of our own keyboard: a US layout, and further ones with whatever else is to be typed.
//!
//! A keyboard brings its keymap along, and programs are told of it before they are told of the keys,
//! so what a key writes does not depend on the user's layout. A keymap has up to four layouts (groups),
//! and switching between them takes no new keymap. Further characters are on the keys of letters and
//! digits, as in the layouts of people: Chromium ignores what other keys write, or does what is printed
//! on them. The text is written in full and refers to no file: not every program has those that keymaps
//! usually include.

use std::fmt::Write as _;

use crate::device::desktop::keysym::{self, Keysym};
use crate::key::{Key, NamedKey};

/// The kernel's number of a key; keymaps call it by 8 more.
pub(super) type Code = u8;
const OFFSET: u32 = 8;

/// The bits of the modifiers, in the order that all keymaps have.
pub(super) const SHIFT: u32 = 1;
pub(super) const LOCK: u32 = 1 << 1;
const CONTROL: u32 = 1 << 2;
const ALT: u32 = 1 << 3;
pub(super) const NUM: u32 = 1 << 4;
const META: u32 = 1 << 6;
const ALT_GR: u32 = 1 << 7;

/// The key of Shift.
pub(super) const SHIFT_KEY: Code = 42;

/// What is printed on the keys in rows: the first key of each, and what its keys write without and
/// with Shift.
const ROWS: [(Code, &str, &str); 6] = [
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
    (15, "\t", "\t"),
];

/// The keys with names.
const NAMED: [(Code, NamedKey); 32] = [
    (1, NamedKey::Escape),
    (14, NamedKey::Backspace),
    (28, NamedKey::Enter),
    (29, NamedKey::Ctrl),
    (SHIFT_KEY, NamedKey::Shift),
    (56, NamedKey::Alt),
    (58, NamedKey::CapsLock),
    (69, NamedKey::NumLock),
    (70, NamedKey::ScrollLock),
    (99, NamedKey::PrintScreen),
    (100, NamedKey::AltGr),
    (102, NamedKey::Home),
    (103, NamedKey::Up),
    (104, NamedKey::PageUp),
    (105, NamedKey::Left),
    (106, NamedKey::Right),
    (107, NamedKey::End),
    (108, NamedKey::Down),
    (109, NamedKey::PageDown),
    (110, NamedKey::Insert),
    (111, NamedKey::Delete),
    (113, NamedKey::VolumeMute),
    (114, NamedKey::VolumeDown),
    (115, NamedKey::VolumeUp),
    (116, NamedKey::Power),
    (119, NamedKey::Pause),
    (125, NamedKey::Meta),
    (127, NamedKey::ContextMenu),
    (212, NamedKey::Camera),
    (15, NamedKey::Tab),
    (57, NamedKey::Space),
    // The kernel's own number for it is beyond what a keymap for X11 programs may have.
    (140, NamedKey::Clear),
];

/// The function keys: the first of each row, and its number.
const FUNCTIONS: [(Code, u8, u8); 3] = [(59, 1, 10), (87, 11, 2), (183, 13, 12)];

/// How many layouts there are beside the US one.
const LAYOUTS: usize = 3;

/// How a character is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stroke {
    /// The layout, from 0.
    pub(super) layout: u32,
    pub(super) code: Code,
    pub(super) needs_shift: bool,
}

/// What the keys write.
#[derive(Clone, Debug, Default)]
pub(super) struct Keymap {
    /// The characters of the further layouts, key by key.
    taught: Vec<char>,
}

/// What teaching took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lesson {
    /// Nothing: all was known.
    Nothing,
    /// Characters were put on keys that had none.
    Added,
    /// Keys write something else than before.
    Replaced,
}

impl Keymap {
    /// Sees to it that these characters can be written, or as many of them as there are keys for;
    /// returns how many.
    pub(super) fn teach(&mut self, characters: &[char]) -> (usize, Lesson) {
        let room = LAYOUTS * keys_of_characters().count();
        let mut needed: Vec<char> = Vec::new();
        let mut writable = 0;
        for &character in characters {
            if printed(character).is_none() && !needed.contains(&character) {
                if needed.len() == room {
                    break;
                }
                needed.push(character);
            }
            writable += 1;
        }
        let new: Vec<char> =
            needed.iter().copied().filter(|known| !self.taught.contains(known)).collect();
        if new.is_empty() {
            return (writable, Lesson::Nothing);
        }
        if self.taught.len() + new.len() <= room {
            self.taught.extend(new);
            return (writable, Lesson::Added);
        }
        self.taught = needed;
        (writable, Lesson::Replaced)
    }

    /// Returns how a character is written, if it can be.
    pub(super) fn stroke(&self, character: char) -> Option<Stroke> {
        printed(character).or_else(|| {
            let at = self.taught.iter().position(|&taught| taught == character)?;
            let keys = keys_of_characters().count();
            let (layout, key) = (u32::try_from(1 + at / keys).ok()?, at % keys);
            Some(Stroke { layout, code: keys_of_characters().nth(key)?, needs_shift: false })
        })
    }

    /// Returns the keymap as compositors and programs read it.
    pub(super) fn text(&self) -> String {
        let mut keycodes = String::new();
        let mut symbols = String::new();
        let mut key = |code: Code, [plain, shifted]: [Keysym; 2]| {
            let number = u32::from(code) + OFFSET;
            let _ = writeln!(keycodes, "<K{code}> = {number};");
            let mut layouts = if plain == shifted {
                format!("[ {plain:#x} ]")
            } else {
                format!("[ {plain:#x}, {shifted:#x} ]")
            };
            for character in self.further(code) {
                let _ = write!(layouts, ", [ {:#x} ]", keysym::of_char(character));
            }
            let _ = writeln!(symbols, "key <K{code}> {{ {layouts} }};");
        };
        for (code, plain, shifted) in printed_keys() {
            key(code, [keysym::of_char(plain), keysym::of_char(shifted)]);
        }
        for (code, name) in NAMED {
            if !printed_keys().any(|(other, ..)| other == code) {
                key(code, [keysym::of_key(name.into()).first().copied().unwrap_or_default(); 2]);
            }
        }
        for (code, number) in functions() {
            key(code, [keysym::of_function(number); 2]);
        }
        TEMPLATE.replace("KEYCODES", keycodes.trim_end()).replace("SYMBOLS", symbols.trim_end())
    }

    /// Returns what a key writes in the further layouts.
    fn further(&self, code: Code) -> impl Iterator<Item = char> {
        let first = keys_of_characters().position(|other| other == code);
        let first = first.unwrap_or(usize::MAX);
        self.taught.iter().copied().skip(first).step_by(keys_of_characters().count())
    }
}

/// Returns the key with a name, if there is one.
pub(super) fn named(key: Key) -> Option<Code> {
    match key {
        Key::Named(name) => NAMED.iter().find(|(_, other)| *other == name).map(|&(code, _)| code),
        Key::Function(number) => {
            functions().find(|&(_, other)| other == number).map(|(code, _)| code)
        }
        Key::Char(_) => None,
    }
}

/// Returns the bit of the modifier that a key is, and whether it stays after the key came up.
pub(super) fn modifier(code: Code) -> Option<(u32, bool)> {
    let name = NAMED.iter().find(|(other, _)| *other == code)?.1;
    match name {
        NamedKey::Shift => Some((SHIFT, false)),
        NamedKey::Ctrl => Some((CONTROL, false)),
        NamedKey::Alt => Some((ALT, false)),
        NamedKey::Meta => Some((META, false)),
        NamedKey::AltGr => Some((ALT_GR, false)),
        NamedKey::CapsLock => Some((LOCK, true)),
        NamedKey::NumLock => Some((NUM, true)),
        _ => None,
    }
}

/// Returns how a character is written with what is printed on the keys.
fn printed(character: char) -> Option<Stroke> {
    if character == '\n' {
        let enter = named(NamedKey::Enter.into());
        return enter.map(|code| Stroke { layout: 0, code, needs_shift: false });
    }
    let mut keys = printed_keys();
    keys.find_map(|(code, plain, shifted)| {
        let needs_shift = character != plain;
        (!needs_shift || character == shifted).then_some(Stroke { layout: 0, code, needs_shift })
    })
}

fn printed_keys() -> impl Iterator<Item = (Code, char, char)> {
    ROWS.into_iter().flat_map(|(first, plain, shifted)| {
        let both = plain.chars().zip(shifted.chars());
        (first..).zip(both).map(|(code, (plain, shifted))| (code, plain, shifted))
    })
}

fn functions() -> impl Iterator<Item = (Code, u8)> {
    FUNCTIONS
        .into_iter()
        .flat_map(|(code, number, count)| (0..count).map(move |key| (code + key, number + key)))
}

/// Returns the keys of letters, digits and marks, which can write something else in further layouts.
fn keys_of_characters() -> impl Iterator<Item = Code> {
    printed_keys().filter(|(_, plain, shifted)| plain != shifted).map(|(code, ..)| code)
}

/// All around the keys. `XWayland` 22.1 ends with a fault where there are no indicators.
const TEMPLATE: &str = "xkb_keymap {
xkb_keycodes \"handsight\" {
minimum = 8;
maximum = 255;
KEYCODES
indicator 1 = \"Caps Lock\";
indicator 2 = \"Num Lock\";
};
xkb_types \"handsight\" {
virtual_modifiers NumLock,Alt,LevelThree,Super;
type \"ONE_LEVEL\" { modifiers = none; level_name[Level1] = \"Any\"; };
type \"TWO_LEVEL\" {
modifiers = Shift; map[Shift] = Level2; level_name[Level1] = \"Base\"; level_name[Level2] = \"Shift\";
};
type \"ALPHABETIC\" {
modifiers = Shift+Lock; map[Shift] = Level2; map[Lock] = Level2;
level_name[Level1] = \"Base\"; level_name[Level2] = \"Caps\";
};
type \"KEYPAD\" {
modifiers = Shift+NumLock; map[Shift] = Level2; map[NumLock] = Level2;
level_name[Level1] = \"Base\"; level_name[Level2] = \"Number\";
};
};
xkb_compatibility \"handsight\" {
virtual_modifiers NumLock,Alt,LevelThree,Super;
interpret.useModMapMods = AnyLevel;
interpret.repeat = False;
interpret ISO_Level3_Shift+AnyOf(all) {
virtualModifier = LevelThree; useModMapMods = level1;
action = SetMods(modifiers=LevelThree,clearLocks);
};
interpret Alt_L+AnyOf(all) {
virtualModifier = Alt; action = SetMods(modifiers=modMapMods,clearLocks);
};
interpret Super_L+AnyOf(all) {
virtualModifier = Super; action = SetMods(modifiers=modMapMods,clearLocks);
};
interpret Num_Lock+AnyOf(all) {
virtualModifier = NumLock; action = LockMods(modifiers=NumLock);
};
interpret Caps_Lock+AnyOfOrNone(all) { action = LockMods(modifiers=Lock); };
interpret Any+AnyOf(all) { action = SetMods(modifiers=modMapMods,clearLocks); };
indicator \"Caps Lock\" { whichModState = Locked; modifiers = Lock; };
indicator \"Num Lock\" { whichModState = Locked; modifiers = NumLock; };
};
xkb_symbols \"handsight\" {
SYMBOLS
modifier_map Shift { <K42> };
modifier_map Lock { <K58> };
modifier_map Control { <K29> };
modifier_map Mod1 { <K56> };
modifier_map Mod2 { <K69> };
modifier_map Mod4 { <K125> };
modifier_map Mod5 { <K100> };
};
};
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_us_keyboard_writes_ascii_by_itself() {
        let keymap = Keymap::default();
        for character in (' '..='~').chain(['\n', '\t']) {
            assert!(keymap.stroke(character).is_some(), "{character:?}");
        }
        assert_eq!(keymap.stroke('~'), Some(Stroke { layout: 0, code: 41, needs_shift: true }));
        assert_eq!(keymap.stroke('/'), Some(Stroke { layout: 0, code: 53, needs_shift: false }));
        assert_eq!(keymap.stroke('é'), None);
    }

    #[test]
    fn other_characters_stay_on_their_keys_until_there_are_none_left() {
        let mut keymap = Keymap::default();
        assert_eq!(keymap.teach(&['a', 'é', 'é', '中']), (4, Lesson::Added));
        let stroke = keymap.stroke('中').unwrap();
        assert_eq!(keymap.teach(&['中', '😀']), (2, Lesson::Added));
        assert_eq!(keymap.teach(&['é', 'x']), (2, Lesson::Nothing));
        assert_eq!(keymap.stroke('中'), Some(stroke));
        let many: Vec<char> = ('一'..).take(500).collect();
        let (writable, lesson) = keymap.teach(&many);
        assert_eq!((writable, lesson), (3 * 47, Lesson::Replaced));
        assert!(many[..writable].iter().all(|&character| keymap.stroke(character).is_some()));
        assert_eq!(keymap.stroke(many[writable]), None);
    }

    #[test]
    fn no_key_is_there_twice() {
        let mut keymap = Keymap::default();
        keymap.teach(&('一'..).take(500).collect::<Vec<_>>());
        let text = keymap.text();
        let mut keys: Vec<&str> = text.lines().filter(|line| line.contains("> = ")).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
        assert!(count > 100, "{count}");
    }

    #[test]
    fn all_keys_that_have_a_name_are_there() {
        for key in Key::offered() {
            if !matches!(key, Key::Char(_)) {
                assert!(named(key).is_some(), "{key}");
            }
        }
    }
}
