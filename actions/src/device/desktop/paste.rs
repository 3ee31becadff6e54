//! When a text is pasted instead of typed.
//!
//! A long stretch of text is pasted: it takes a moment and not seconds, and editors that complete or
//! indent what is typed leave it as it is. Line feeds and tabs are keys and stay keys, so a stretch ends
//! at them; so a text means the same however it is written.

use super::{DesktopDevice, Failure};
use crate::clipboard::{PASTE_FROM, Pasting};
use crate::key::{Key, NamedKey};

impl DesktopDevice {
    /// Types a text, and pastes stretches of it that are long.
    pub(super) fn write(&mut self, text: &str) -> Result<(), Failure> {
        let is_long = |text: &str| text.chars().count() >= PASTE_FROM;
        if self.paste == Pasting::Never || !is_long(text) {
            return self.keyboard.write(text);
        }
        let mut typed = String::new();
        for line in text.split_inclusive(['\n', '\t']) {
            let stretch = line.trim_end_matches(['\n', '\t']);
            if !is_long(stretch) {
                typed += line;
                continue;
            }
            self.keyboard.write(&std::mem::take(&mut typed))?;
            if !self.paste(stretch)? {
                typed += stretch;
            }
            typed += &line[stretch.len()..];
        }
        self.keyboard.write(&typed)
    }

    /// Pastes a text into the window with the keyboard; returns whether it was asked for.
    fn paste(&mut self, text: &str) -> Result<bool, Failure> {
        let window = match self.screen.window(None) {
            Some(Ok(Some(window))) => window,
            Some(Err(failure)) => return Err(failure),
            Some(Ok(None)) | None => return Ok(false),
        };
        let in_terminal = is_terminal(&window.app);
        let keys = if in_terminal {
            [NamedKey::Shift.into(), NamedKey::Insert.into()]
        } else {
            [NamedKey::Ctrl.into(), Key::Char('v')]
        };
        let keyboard = &mut self.keyboard;
        self.clipboard.lend(text, (window.id, in_terminal), &mut || keyboard.chord(&keys))
    }
}

/// Whether an application is a terminal, in which Ctrl+V is a key like any other.
pub(super) fn is_terminal(app: &str) -> bool {
    const NAMES: [&str; 8] =
        ["term", "konsole", "alacritty", "kitty", "rxvt", "tilix", "foot", "guake"];
    let app = app.to_lowercase();
    app == "st" || app.starts_with("st-") || NAMES.iter().any(|name| app.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_known_by_their_class() {
        for app in ["XTerm", "UXTerm", "Gnome-terminal", "konsole", "st-256color", "URxvt"] {
            assert!(is_terminal(app), "{app}");
        }
        for app in ["Zenity", "Chromium", "Code", "studio", ""] {
            assert!(!is_terminal(app), "{app}");
        }
    }
}
