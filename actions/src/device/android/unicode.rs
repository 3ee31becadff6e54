//! Typing what `input text` cannot: every character beyond ASCII.
//!
//! A shell has two ways. Where the phone has `cmd clipboard`, the text goes there and is pasted. Where
//! a keyboard is installed that types what it is broadcast (`ADBKeyBoard`),
//! that keyboard is switched on for the moment. Either changes something of the user's, so one command
//! line does all of it and puts the old state back at its end: the phone's shell carries it out even
//! when this process is gone. What a phone that was switched off in the middle keeps is put back when
//! it is next opened, from a note on the phone.

use base64::Engine as _;

use super::adb::client::{Client, ShellOutput};
use super::adb::error::AdbError;
use super::keycode;
use super::quote::quote;
use super::text::{Stroke, typed};

/// What the phone was like before, while it is otherwise.
const NOTE: &str = "/data/local/tmp/handsight-keyboard";
/// How much is broadcast at once, in bytes; a multiple of nothing, since characters are kept whole.
const PIECE: usize = 600;
/// How long a keyboard needs to come up, in seconds.
const COMING_UP: &str = "0.6";
/// What services say that have no commands.
const NO_COMMANDS: [&str; 4] =
    ["No shell command implementation", "Can't find service", "Unknown command", "not found"];

/// A way to type all characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    /// Through the clipboard, which holds this now.
    Clipboard { old: String },
    /// Through a keyboard that types what it is sent.
    Keyboard(Keyboard),
}

/// A keyboard that types what it is sent, and what it stands in for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Keyboard {
    id: String,
    was_enabled: bool,
    /// The keyboard in use now.
    old: String,
}

/// Finds a way, if this phone has one.
pub(crate) fn find(client: &Client) -> Result<Option<Route>, AdbError> {
    let clip = client.glance("cmd clipboard get")?;
    if has_commands(&clip) {
        let old = clip.text();
        let old = old.strip_suffix('\n').unwrap_or(&old).to_owned();
        // Setting it to what it is changes nothing and shows whether it can be set.
        let set = client.glance(&set_clipboard(&old))?;
        if has_commands(&set) {
            return Ok(Some(Route::Clipboard { old }));
        }
    }
    let all = client.look("ime list -a -s")?;
    let Some(id) = all.lines().map(str::trim).find(|id| types_what_it_is_sent(id)) else {
        return Ok(None);
    };
    let enabled = client.look("ime list -s")?;
    let old = client.look("settings get secure default_input_method")?;
    Ok(Some(Route::Keyboard(Keyboard {
        id: id.to_owned(),
        was_enabled: enabled.lines().any(|line| line.trim() == id),
        old: old.trim().to_owned(),
    })))
}

fn has_commands(output: &ShellOutput) -> bool {
    let said = output.complaint();
    output.code == 0 && !NO_COMMANDS.iter().any(|none| said.starts_with(none))
}

fn types_what_it_is_sent(id: &str) -> bool {
    id == "com.android.adbkeyboard/.AdbIME"
}

fn set_clipboard(text: &str) -> String {
    format!("cmd clipboard set {}", quote(text))
}

/// Returns the command line that types all of it and then puts everything back.
pub(crate) fn typing(route: &Route, strokes: &[Stroke]) -> String {
    let mut commands = Vec::new();
    for stroke in strokes {
        match (stroke, route) {
            (Stroke::Key(key), _) => commands.push(format!("input keyevent {key}")),
            (Stroke::Ascii(piece), Route::Clipboard { .. }) => commands.push(typed(piece)),
            (Stroke::Other(piece), Route::Clipboard { .. }) => {
                commands.push(set_clipboard(piece));
                commands.push(format!("input keyevent {}", keycode::PASTE));
            }
            (Stroke::Ascii(piece) | Stroke::Other(piece), Route::Keyboard(_)) => {
                commands.extend(pieces(piece).map(broadcast));
            }
        }
    }
    let all = commands.join(" && ");
    match route {
        // The code is that of the typing, whatever becomes of the clipboard.
        Route::Clipboard { old } => format!("{all}; code=$?; {}; exit $code", set_clipboard(old)),
        Route::Keyboard(keyboard) => {
            let id = quote(&keyboard.id);
            format!(
                "echo {} >{NOTE}; ime enable {id} >/dev/null && ime set {id} >/dev/null && \
                 sleep {COMING_UP} && {all}; code=$?; {}; exit $code",
                quote(&keyboard.note()),
                keyboard.put_back(),
            )
        }
    }
}

fn broadcast(piece: &str) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(piece);
    format!("am broadcast -a ADB_INPUT_B64 --es msg {} >/dev/null", quote(&encoded))
}

/// Cuts a text into pieces of whole characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = rest.len().min(PIECE);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

impl Keyboard {
    /// Returns what the note on the phone says: what to put back.
    fn note(&self) -> String {
        format!(
            "{} {} {}",
            self.old,
            self.id,
            if self.was_enabled { "enabled" } else { "disabled" }
        )
    }

    fn of_note(note: &str) -> Option<Self> {
        let mut words = note.split_whitespace();
        let (old, id, state) = (words.next()?, words.next()?, words.next()?);
        let is_keyboard = |id: &str| id.contains('/');
        (is_keyboard(old) && types_what_it_is_sent(id)).then(|| Self {
            id: id.to_owned(),
            was_enabled: state == "enabled",
            old: old.to_owned(),
        })
    }

    /// Returns the commands that put the old keyboard back.
    fn put_back(&self) -> String {
        let disable = format!("ime disable {} >/dev/null; ", quote(&self.id));
        let disable = if self.was_enabled { "" } else { &disable };
        format!("ime set {} >/dev/null; {disable}rm -f {NOTE}", quote(&self.old))
    }
}

/// Puts back what an earlier process may have left.
pub(crate) fn recover(client: &Client) -> Result<(), AdbError> {
    let note = client.look(&format!("cat {NOTE} 2>/dev/null"))?;
    if let Some(keyboard) = Keyboard::of_note(&note) {
        client.look(&keyboard.put_back())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::android::text::strokes;

    fn keyboard() -> Keyboard {
        Keyboard {
            id: "com.android.adbkeyboard/.AdbIME".to_owned(),
            was_enabled: false,
            old: "com.a/.Latin".to_owned(),
        }
    }

    #[test]
    fn the_old_state_is_put_back_by_the_same_command_line() {
        let route = Route::Clipboard { old: "it's".to_owned() };
        assert_eq!(
            typing(&route, &strokes("Zü\n")),
            "input text Z && cmd clipboard set 'ü' && input keyevent 279 && input keyevent 66; \
             code=$?; cmd clipboard set 'it'\\''s'; exit $code"
        );
        assert_eq!(
            typing(&Route::Keyboard(keyboard()), &strokes("ü")),
            "echo 'com.a/.Latin com.android.adbkeyboard/.AdbIME disabled' \
             >/data/local/tmp/handsight-keyboard; ime enable com.android.adbkeyboard/.AdbIME \
             >/dev/null && ime set com.android.adbkeyboard/.AdbIME >/dev/null && sleep 0.6 && am \
             broadcast -a ADB_INPUT_B64 --es msg 'w7w=' >/dev/null; code=$?; ime set com.a/.Latin \
             >/dev/null; ime disable com.android.adbkeyboard/.AdbIME >/dev/null; rm -f \
             /data/local/tmp/handsight-keyboard; exit $code"
        );
    }

    #[test]
    fn a_note_leads_back_to_what_it_is_about() {
        assert_eq!(Keyboard::of_note(&keyboard().note()), Some(keyboard()));
        let enabled = Keyboard { was_enabled: true, ..keyboard() };
        assert_eq!(Keyboard::of_note(&enabled.note()), Some(enabled));
        for other in ["", "a b c", "com.a/.B com.evil/.C enabled", "$(x) y z"] {
            assert_eq!(Keyboard::of_note(other), None, "{other}");
        }
    }

    #[test]
    fn pieces_keep_characters_whole() {
        let text = "中é😀".repeat(200);
        let all: Vec<&str> = pieces(&text).collect();
        assert!(all.len() > 1 && all.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(all.concat(), text);
    }
}
