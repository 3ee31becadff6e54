//! What the session's keyboard can write, as the compositor tells every program.
//!
//! A keymap may have several layouts, of which one is in use; which, only the program is told that has the
//! keyboard. So a character counts as one that can be written if it can in all of them.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::OnceLock;
use std::time::Duration;

use regex::Regex;
use wayland_client::protocol::wl_keyboard::{self, KeymapFormat, WlKeyboard};
use wayland_client::protocol::wl_seat::Capability;
use wayland_client::{Connection, Dispatch, QueueHandle, WEnum};
use xkeysym::Keysym as Named;

use super::Desk;
use crate::device::desktop::Failure;
use crate::device::desktop::keysym::{self, Keysym};
use crate::device::desktop::wayland::session::State;
use crate::device::pause::pause;

/// The longest keymap that is read; usual ones have 60 KB.
const LONGEST: usize = 1 << 20;
/// How many layouts a keymap may have.
const MOST_LAYOUTS: usize = 4;
/// How many of a key's levels desktops reach: plain, with Shift, with `AltGr`.
const LEVELS: usize = 3;
/// How often and how long it is waited for a keyboard, which may come with the sharing.
const LOOKS: usize = 40;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A keymap as compositors send it.
pub(in crate::device::desktop::wayland) struct KeymapText(String);

/// The keysyms of each layout.
pub(super) struct Layouts(Vec<Vec<Keysym>>);

/// Asks the compositor for the keymap, and for every later one.
fn listen(desk: &mut Desk) -> Result<(), Failure> {
    let none = || Failure::Refused("the session has no keyboard".into());
    let seat = desk.compositor.seat().ok_or_else(none)?;
    for look in 0..LOOKS {
        desk.compositor.sync()?;
        if desk.compositor.capabilities().contains(Capability::Keyboard) {
            seat.get_keyboard(&desk.compositor.handle(), ());
            return desk.compositor.wait_for(|state| state.keymap.is_some());
        }
        if look == 0 {
            // A session without one gets its keyboard with the first key.
            desk.tell_key(keysym::SHIFTS[0], true)?;
            desk.tell_key(keysym::SHIFTS[0], false)?;
        }
        pause(BETWEEN_LOOKS);
    }
    Err(none())
}

impl Layouts {
    /// Reads the keymap that is in use.
    pub(super) fn now(desk: &mut Desk) -> Result<Self, Failure> {
        if desk.compositor.state().keymap.is_none() {
            listen(desk)?;
        }
        desk.compositor.sync()?;
        let none = || Failure::Refused("the compositor told no keymap".into());
        let keymap = desk.compositor.state().keymap.as_ref();
        let layouts = keymap.map(|keymap| Self::read(&keymap.0));
        layouts.filter(|layouts| !layouts.0.is_empty()).ok_or_else(none)
    }

    /// Reads the symbols of a keymap in the text format of XKB.
    fn read(keymap: &str) -> Self {
        let symbols = keymap.split_once("xkb_symbols").map_or("", |(_, symbols)| symbols);
        let keys: Vec<Vec<Vec<Keysym>>> =
            keys().captures_iter(symbols).map(|key| read_key(&key[1])).collect();
        let count = keys.iter().map(Vec::len).max().unwrap_or_default();
        // A key with symbols for fewer layouts has those of its first ones again for the rest.
        let of_layout = |layout: usize| {
            let symbols = |key: &Vec<Vec<Keysym>>| key.get(layout % key.len().max(1)).cloned();
            keys.iter().filter_map(symbols).flatten().collect()
        };
        Self((0..count).map(of_layout).collect())
    }

    fn in_all(&self, is: impl Fn(Keysym) -> bool) -> bool {
        self.0.iter().all(|layout| layout.iter().any(|&keysym| is(keysym)))
    }

    /// Returns the keysym with which a character is written.
    pub(super) fn of_char(&self, character: char) -> Option<Keysym> {
        let usual = keysym::of_char(character);
        let has = |keysym| self.in_all(|other| other == keysym);
        // Layouts of older languages have keysyms from before Unicode.
        let older = || {
            let first = self.0.first()?.iter().copied();
            let named = first.map(Named::new).filter(|named| !named.is_keypad_key());
            named
                .filter(|named| named.key_char() == Some(character))
                .map(Named::raw)
                .find(|&k| has(k))
        };
        if has(usual) { Some(usual) } else { older() }
    }

    /// Returns the first of a key's keysyms that the keyboard has.
    pub(super) fn of_key(&self, candidates: &[Keysym]) -> Option<Keysym> {
        // Keys that write nothing have one set of symbols for all layouts.
        let first = self.0.first()?;
        candidates.iter().copied().find(|candidate| first.contains(candidate))
    }
}

/// Reads the symbols of a key for each layout.
fn read_key(said: &str) -> Vec<Vec<Keysym>> {
    let mut layouts: Vec<Vec<Keysym>> = Vec::new();
    for list in lists().captures_iter(said) {
        if list.get(1).is_some_and(|kind| kind.as_str() != "symbols") {
            continue;
        }
        let number = list.get(2).and_then(|number| number.as_str().parse::<usize>().ok());
        // A list without a number belongs to the layout after that of the one before it.
        let index = number.map_or(layouts.len(), |number| number.saturating_sub(1));
        if index >= MOST_LAYOUTS {
            continue;
        }
        layouts.resize_with(layouts.len().max(index + 1), Vec::new);
        let named = list[3].split(',').take(LEVELS).map(|name| of_name(name.trim()));
        layouts[index] = named.flatten().collect();
    }
    layouts
}

/// One key of a keymap, and what is said of it.
fn keys() -> &'static Regex {
    static KEYS: OnceLock<Regex> = OnceLock::new();
    KEYS.get_or_init(|| Regex::new(r"key\s*<[^>]*>\s*\{([^}]*)\}").expect("it is well formed"))
}

/// A list of a key: what of, for which layout, and what is in it.
fn lists() -> &'static Regex {
    static LISTS: OnceLock<Regex> = OnceLock::new();
    let list = r"(?:(\w+)\s*(?:\[\s*(?:[Gg]roup)?(\d+)\s*\])?\s*=\s*)?\[([^\]]*)\]";
    LISTS.get_or_init(|| Regex::new(list).expect("it is well formed"))
}

/// Returns the keysym of a name as keymaps write it.
fn of_name(name: &str) -> Option<Keysym> {
    static NAMES: OnceLock<HashMap<&'static str, Keysym>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let all = (0..=0xFFFF).chain(0x1008_0000..=0x1008_FFFF);
        let named = all.filter_map(|raw| Some((Named::new(raw).name()?, raw)));
        let named = named.map(|(name, raw)| (name.strip_prefix("XK_").unwrap_or(name), raw));
        // Of these two names the keymaps have the one that others do not.
        named.chain([("Prior", 0xFF55), ("Next", 0xFF56)]).collect()
    });
    names.get(name).copied().or_else(|| {
        let digits = name.strip_prefix('U').filter(|digits| digits.len() >= 4);
        let unicode = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unicode = unicode.and_then(char::from_u32).map(keysym::of_char);
        let number = || Keysym::from_str_radix(name.strip_prefix("0x")?, 16).ok();
        unicode.or_else(number)
    })
}

/// Reads what the compositor wrote for every program.
fn read(file: OwnedFd, length: u32) -> Option<KeymapText> {
    let length = usize::try_from(length).ok().filter(|&length| length <= LONGEST)?;
    let mut bytes = vec![0; length];
    File::from(file).read_exact_at(&mut bytes, 0).ok()?;
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(length);
    bytes.truncate(end);
    String::from_utf8(bytes).ok().map(KeymapText)
}

impl Dispatch<WlKeyboard, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlKeyboard,
        event: wl_keyboard::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_keyboard::Event::Keymap { format: WEnum::Value(KeymapFormat::XkbV1), fd, size } =
            event
        {
            state.keymap = read(fd, size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = r#"
xkb_keymap {
xkb_keycodes "x" { <AD01> = 24; };
xkb_symbols "pc_us_inet(evdev)" {
	name[Group1]="English (US)";
	key <ESC>                {	[          Escape ] };
	key <AD01>               {	[               q,               Q ] };
	key <AE01>               {
		type= "FOUR_LEVEL",
		symbols[Group1]= [               1,          exclam,    onesuperior,    exclamdown ],
		actions[Group1]= [ NoAction(), SetMods(modifiers=Shift) ]
	};
	key <PGUP>               {	[           Prior ] };
	key <KP7>                {	[         KP_Home,            KP_7 ] };
	modifier_map Shift { <LFSH> };
};
};"#;

    #[test]
    fn the_symbols_of_a_keymap_are_read() {
        let layouts = Layouts::read(ENGLISH);
        assert_eq!(layouts.0.len(), 1);
        let char = |character| layouts.of_char(character);
        assert_eq!([char('q'), char('Q'), char('!')], [Some(0x71), Some(0x51), Some(0x21)]);
        assert_eq!(char('¹'), Some(0xB9));
        assert_eq!([char('¡'), char('7'), char('ž')], [None; 3], "no level, a keypad, no key");
        assert_eq!(layouts.of_key(&[0xFF55]), Some(0xFF55));
        assert_eq!(layouts.of_key(&[0xFFBE]), None);
    }

    #[test]
    fn what_one_of_several_layouts_lacks_is_not_typed() {
        let both = "xkb_symbols \"x\" {
            key <AD01> { symbols[Group1]= [ q, Q ], symbols[Group2]= [ Cyrillic_shorti, U0419 ] };
            key <AE01> { symbols[Group1]= [ 1, exclam ], symbols[Group2]= [ 1, exclam ] };
            key <SPCE> { [ space ] };
        };";
        let layouts = Layouts::read(both);
        assert_eq!(layouts.0.len(), 2);
        assert_eq!(layouts.of_char('1'), Some(0x31));
        assert_eq!(layouts.of_char(' '), Some(0x20), "one list for all layouts");
        assert_eq!((layouts.of_char('q'), layouts.of_char('й')), (None, None));
        let one = "xkb_symbols \"x\" { key <AD01> { [ Cyrillic_shorti, U0419 ] }; };";
        let layouts = Layouts::read(one);
        assert_eq!(layouts.of_char('й'), Some(0x06CA), "a keysym from before Unicode");
        assert_eq!(layouts.of_char('Й'), Some(0x0100_0419));
    }
}
