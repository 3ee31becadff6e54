//! Keys by name.
//!
//! A key is named after what is printed on it. Models and people spell the same key in many ways
//! (`Ctrl`, `control`, `control_l`; `Return`, `enter`), so reading accepts the usual spellings and
//! writing gives one, in lower case. A letter stands for its key, not for its case: `A` is the key
//! `a`, and a capital letter as a chord is `shift` and `a`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One key of a keyboard, or one hardware button of a phone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Key {
    /// A key that has a name.
    Named(NamedKey),
    /// A function key, `f1` to `f24`.
    Function(u8),
    /// The key that writes this character, in lower case if it has case.
    Char(char),
}

macro_rules! named_keys {
    ($($variant:ident $name:literal $($alias:literal)*,)*) => {
        /// A key that has a name.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum NamedKey {
            $(#[doc = concat!("The key `", $name, "`.")] $variant,)*
        }

        impl NamedKey {
            /// All of them, modifiers first.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns its one written name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            fn from_folded(name: &str) -> Option<Self> {
                match name {
                    $($name $(| $alias)* => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

// The aliases are compared after `fold`: lower case, with `_` for a space or a hyphen.
named_keys! {
    Ctrl "ctrl" "control" "ctl" "ctrl_l" "ctrl_r" "control_l" "control_r" "ctrlleft" "ctrlright"
        "controlleft" "controlright" "left_ctrl" "right_ctrl" "strg",
    Alt "alt" "option" "opt" "alt_l" "altleft" "left_alt",
    Shift "shift" "shift_l" "shift_r" "shiftleft" "shiftright" "left_shift" "right_shift",
    Meta "meta" "cmd" "command" "super" "win" "windows" "super_l" "super_r" "meta_l" "meta_r"
        "winleft" "winright" "windows_key" "cmd_l" "cmd_r",
    AltGr "alt_gr" "altgr" "alt_r" "altright" "right_alt" "iso_level3_shift",
    Enter "enter" "return" "ret" "kp_enter" "numpad_enter" "enter_key" "\n" "keycode_enter",
    Escape "escape" "esc" "keycode_escape",
    Tab "tab" "tabulator" "\t" "keycode_tab",
    Space "space" "spacebar" "space_bar" "blank" "keycode_space",
    Backspace "backspace" "back_space" "bksp" "keycode_del",
    Delete "delete" "del" "forward_delete" "kp_delete" "keycode_forward_del",
    Insert "insert" "ins",
    Home "home" "keycode_move_home",
    End "end" "keycode_move_end",
    PageUp "page_up" "pageup" "pgup" "prior" "pg_up",
    PageDown "page_down" "pagedown" "pgdn" "pgdown" "next" "pg_dn" "pg_down",
    Up "up" "arrow_up" "arrowup" "up_arrow" "uparrow" "keycode_dpad_up",
    Down "down" "arrow_down" "arrowdown" "down_arrow" "downarrow" "keycode_dpad_down",
    Left "left" "arrow_left" "arrowleft" "left_arrow" "leftarrow" "keycode_dpad_left",
    Right "right" "arrow_right" "arrowright" "right_arrow" "rightarrow" "keycode_dpad_right",
    CapsLock "caps_lock" "capslock" "caps",
    NumLock "num_lock" "numlock",
    ScrollLock "scroll_lock" "scrolllock",
    PrintScreen "print_screen" "printscreen" "prtsc" "prtscr" "print" "snapshot",
    Pause "pause" "break" "pause_break",
    ContextMenu "context_menu" "contextmenu" "apps" "application" "menu",
    VolumeUp "volume_up" "volumeup" "keycode_volume_up" "audio_raise_volume",
    VolumeDown "volume_down" "volumedown" "keycode_volume_down" "audio_lower_volume",
    VolumeMute "volume_mute" "volumemute" "mute" "keycode_volume_mute" "audio_mute",
    Power "power" "keycode_power",
    Camera "camera" "keycode_camera",
    Clear "clear" "keycode_clear",
}

/// Words for keys that write a character, as X11 and web pages call them.
const CHARACTER_WORDS: &[(&str, char)] = &[
    ("plus", '+'),
    ("minus", '-'),
    ("hyphen", '-'),
    ("dash", '-'),
    ("underscore", '_'),
    ("equal", '='),
    ("equals", '='),
    ("comma", ','),
    ("period", '.'),
    ("dot", '.'),
    ("slash", '/'),
    ("backslash", '\\'),
    ("semicolon", ';'),
    ("colon", ':'),
    ("apostrophe", '\''),
    ("quote", '\''),
    ("quotedbl", '"'),
    ("grave", '`'),
    ("backquote", '`'),
    ("backtick", '`'),
    ("tilde", '~'),
    ("asciitilde", '~'),
    ("bracketleft", '['),
    ("bracketright", ']'),
    ("braceleft", '{'),
    ("braceright", '}'),
    ("question", '?'),
    ("exclam", '!'),
    ("at", '@'),
    ("numbersign", '#'),
    ("hash", '#'),
    ("dollar", '$'),
    ("percent", '%'),
    ("ampersand", '&'),
    ("asterisk", '*'),
    ("parenleft", '('),
    ("parenright", ')'),
    ("less", '<'),
    ("greater", '>'),
    ("bar", '|'),
    ("pipe", '|'),
];

/// A key name that means nothing here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{name}` is not the name of a key")]
pub struct UnknownKey {
    /// The name as it was written.
    pub name: String,
}

impl Key {
    /// Reads a chord such as `ctrl+shift+t`, `Ctrl + S` or `enter`, in the order it is pressed.
    ///
    /// # Errors
    /// Names the first part that is not a key.
    pub fn parse_chord(chord: &str) -> Result<Vec<Self>, UnknownKey> {
        if let Ok(key) = chord.parse() {
            return Ok(vec![key]);
        }
        let mut keys = Vec::new();
        let mut rest = chord.trim_start();
        loop {
            // A `+` where a key is expected is the key itself: `ctrl++`, `++ctrl`.
            let plus = rest.starts_with('+').then_some(1);
            let end = plus.or_else(|| rest.find('+')).unwrap_or(rest.len());
            keys.push(rest[..end].parse()?);
            rest = rest[end..].trim_start();
            match rest.strip_prefix('+') {
                Some(after) => rest = after.trim_start(),
                None if rest.is_empty() => return Ok(keys),
                None => return Err(UnknownKey { name: rest.to_owned() }),
            }
        }
    }

    /// Returns a chord as [`Key::parse_chord`] reads it: `ctrl+shift+t`.
    pub fn write_chord(keys: &[Self]) -> String {
        keys.iter().map(Self::to_string).collect::<Vec<_>>().join("+")
    }

    /// Whether holding it changes what other keys do.
    pub fn is_modifier(self) -> bool {
        use NamedKey::{Alt, AltGr, Ctrl, Meta, Shift};
        matches!(self, Self::Named(Ctrl | Alt | Shift | Meta | AltGr))
    }

    /// Returns the names a model may choose from: named keys, function keys and ASCII characters.
    pub fn offered() -> impl Iterator<Item = Self> {
        let named = NamedKey::ALL.iter().copied().map(Self::Named);
        let functions = (1..=12).map(Self::Function);
        let characters = ('!'..='~').filter(|c| !c.is_ascii_uppercase()).map(Self::Char);
        named.chain(functions).chain(characters)
    }
}

impl FromStr for Key {
    type Err = UnknownKey;

    fn from_str(name: &str) -> Result<Self, UnknownKey> {
        let unknown = || UnknownKey { name: name.to_owned() };
        if name == " " {
            return Ok(Self::Named(NamedKey::Space));
        }
        let trimmed = if name.trim().is_empty() { name } else { name.trim() };
        let mut characters = trimmed.chars();
        if let (Some(character), None) = (characters.next(), characters.next())
            && !character.is_control()
            && !character.is_whitespace()
        {
            return Ok(Self::Char(lower(character)));
        }
        let folded = fold(trimmed);
        if let Some(key) = NamedKey::from_folded(&folded) {
            return Ok(Self::Named(key));
        }
        if let Some(number) = folded.strip_prefix('f').and_then(|digits| digits.parse().ok())
            && (1..=24).contains(&number)
        {
            return Ok(Self::Function(number));
        }
        let word = CHARACTER_WORDS.iter().find(|(word, _)| *word == folded);
        word.map(|&(_, character)| Self::Char(character)).ok_or_else(unknown)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(key) => f.write_str(key.name()),
            Self::Function(number) => write!(f, "f{number}"),
            Self::Char(character) => write!(f, "{character}"),
        }
    }
}

impl From<NamedKey> for Key {
    fn from(key: NamedKey) -> Self {
        Self::Named(key)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Self::offered().map(|key| key.to_string()).collect();
        json_schema!({ "anyOf": [
            { "type": "string", "enum": names },
            {
                "type": "string",
                "minLength": 1,
                "maxLength": 1,
                "description": "The key that writes this character, in lower case.",
            },
        ] })
    }
}

/// Lower case, with `_` for the marks people put between the words of a name.
fn fold(name: &str) -> String {
    name.chars()
        .map(|c| if matches!(c, ' ' | '-') { '_' } else { c.to_ascii_lowercase() })
        .collect()
}

/// Returns the lower-case form where that is one character, as on a keyboard.
fn lower(character: char) -> char {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(only), None) => only,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(chord: &str, expected: &str) {
        let keys = match Key::parse_chord(chord) {
            Ok(keys) => keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" "),
            Err(err) => err.to_string(),
        };
        assert_eq!(keys, expected, "{chord}");
    }

    #[test]
    fn usual_spellings_are_one_key() {
        for spelling in ["ctrl", "Ctrl", "CONTROL", "control_l", "Left Ctrl"] {
            check(spelling, "ctrl");
        }
        for spelling in ["cmd", "Command", "super", "Win", "meta", "Super_L"] {
            check(spelling, "meta");
        }
        for spelling in ["Page_Down", "pgdn", "PageDown", "page-down", "Next"] {
            check(spelling, "page_down");
        }
        for spelling in ["ArrowLeft", "arrow_left", "left"] {
            check(spelling, "left");
        }
        check("Return", "enter");
        check("Esc", "escape");
        check("F12", "f12");
        check("KEYCODE_ENTER", "enter");
    }

    #[test]
    fn chords_keep_their_order() {
        check("Ctrl + Shift + T", "ctrl shift t");
        check("ctrl+plus", "ctrl +");
        check("ctrl++", "ctrl +");
        check("++ctrl", "+ ctrl");
        check("ctrl+++a", "ctrl + a");
        check("+", "+");
        check("ctrl+-", "ctrl -");
        check("alt+F4", "alt f4");
    }

    #[test]
    fn characters_stand_for_their_key() {
        check("A", "a");
        check("é", "é");
        check("Ж", "ж");
        check("?", "?");
        check(" ", "space");
        check("\n", "enter");
    }

    #[test]
    fn nonsense_is_named() {
        check("ctrl+hyper", "`hyper` is not the name of a key");
        check("f25", "`f25` is not the name of a key");
        check("", "`` is not the name of a key");
        check("ctrl+", "`` is not the name of a key");
        check("hello", "`hello` is not the name of a key");
    }

    #[test]
    fn every_offered_name_reads_back_as_itself() {
        for key in Key::offered() {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }
}
