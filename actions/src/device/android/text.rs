//! Typing on a phone: a text becomes commands of its shell.
//!
//! `input text` presses the keys of a virtual keyboard, which has all printable ASCII characters
//! and no others. It reads `%s` as a space: so a space is sent, since old phones cut the text at a
//! real one, and a `%` before an `s` is sent in a command of its own. All else is quoting.

use super::keycode;
use super::quote::quote;

/// How much is typed by one command, in characters: between two commands input can be halted.
const PIECE: usize = 100;

/// One step of typing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Stroke {
    /// Characters `input text` can type.
    Ascii(String),
    /// Characters it cannot.
    Other(String),
    /// A key, by its number.
    Key(u32),
}

/// Takes a text apart.
pub(crate) fn strokes(text: &str) -> Vec<Stroke> {
    let mut strokes: Vec<Stroke> = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' => strokes.push(Stroke::Key(keycode::ENTER)),
            '\r' => {
                // A return and a line feed are one end of a line.
                rest.next_if_eq(&'\n');
                strokes.push(Stroke::Key(keycode::ENTER));
            }
            '\t' => strokes.push(Stroke::Key(keycode::TAB)),
            ' '..='~' => match strokes.last_mut() {
                Some(Stroke::Ascii(piece))
                    if piece.len() < PIECE && !(piece.ends_with('%') && character == 's') =>
                {
                    piece.push(character);
                }
                _ => strokes.push(Stroke::Ascii(character.to_string())),
            },
            other => match strokes.last_mut() {
                Some(Stroke::Other(piece)) => piece.push(other),
                _ => strokes.push(Stroke::Other(other.to_string())),
            },
        }
    }
    strokes
}

/// Returns the command that types printable ASCII characters.
pub(crate) fn typed(piece: &str) -> String {
    format!("input text {}", quote(&piece.replace(' ', "%s")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let parts = strokes(text).into_iter().map(|stroke| match stroke {
            Stroke::Ascii(piece) => typed(&piece),
            Stroke::Other(piece) => format!("<{piece}>"),
            Stroke::Key(key) => format!("[{key}]"),
        });
        parts.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_text_becomes_commands() {
        let check = |text, commands: &str| assert_eq!(shown(text), commands);
        check("Ada L", "input text 'Ada%sL'");
        check("5% s", "input text '5%%ss'");
        check("it's", r"input text 'it'\''s'");
        check("100%sure", "input text '100%'; input text sure");
        check("%s%s", "input text '%'; input text 's%'; input text s");
        check("a\tb\r\nc\n", "input text a; [61]; input text b; [66]; input text c; [66]");
        check("Zürich", "input text Z; <ü>; input text rich");
    }

    #[test]
    fn long_texts_come_in_pieces_and_whole() {
        let text: String = (' '..='~').cycle().take(1000).collect();
        let strokes = strokes(&text);
        let mut all = String::new();
        for stroke in &strokes {
            let Stroke::Ascii(piece) = stroke else { panic!("{stroke:?}") };
            assert!(piece.len() <= PIECE);
            all.push_str(piece);
        }
        assert_eq!(all, text);
    }
}
