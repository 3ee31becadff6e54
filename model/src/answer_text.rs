//! The answer as text while it is being written: whole characters only, and never a piece of a stop
//! string.

/// Turns tokens' bytes into text that may be shown.
#[derive(Debug)]
pub(crate) struct AnswerText {
    stop: Vec<String>,
    /// Bytes of a character that is not whole yet.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop string.
    held: String,
}

/// What a token added.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Shown {
    /// Text that may be shown now.
    pub(crate) text: String,
    /// Whether a stop string came; nothing of it is in `text`, and nothing follows.
    pub(crate) stopped: bool,
}

impl AnswerText {
    /// `stop` holds no empty string.
    pub(crate) fn new(stop: &[String]) -> Self {
        let stop = stop.iter().filter(|text| !text.is_empty()).cloned().collect();
        Self { stop, bytes: Vec::new(), held: String::new() }
    }

    /// Takes a token's bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Shown {
        self.bytes.extend_from_slice(bytes);
        let whole = whole_len(&self.bytes);
        let rest = self.bytes.split_off(whole);
        self.held.push_str(&String::from_utf8_lossy(&self.bytes));
        self.bytes = rest;

        let first = self.stop.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = first {
            let mut text = std::mem::take(&mut self.held);
            text.truncate(at);
            self.bytes.clear();
            return Shown { text, stopped: true };
        }
        let keep = self.stop.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        Shown { text: std::mem::replace(&mut self.held, rest), stopped: false }
    }

    /// Returns what is left when no more tokens come; an incomplete character shows as �.
    pub(crate) fn finish(&mut self) -> String {
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&String::from_utf8_lossy(&std::mem::take(&mut self.bytes)));
        text
    }
}

/// The length of the longest beginning of `bytes` that does not end inside a character.
fn whole_len(bytes: &[u8]) -> usize {
    let n = bytes.len();
    for back in 1..=3.min(n) {
        let byte = bytes[n - back];
        let len = match byte {
            0x80..=0xbf => continue, // inside a character: look further back
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        return if len > back { n - back } else { n };
    }
    n
}

/// The length in bytes of the longest end of `text` with which `stop` begins.
fn overlap(text: &str, stop: &str) -> usize {
    let longest = stop.len().saturating_sub(1).min(text.len());
    let starts = (0..=longest).rev().filter(|&len| text.is_char_boundary(text.len() - len));
    starts.into_iter().find(|&len| stop.starts_with(&text[text.len() - len..])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown after each piece, and whether the last one stopped it.
    fn shown(stop: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let stop: Vec<String> = stop.iter().map(|&text| text.to_owned()).collect();
        let mut text = AnswerText::new(&stop);
        let mut all = Vec::new();
        for piece in pieces {
            let step = text.push(piece);
            all.push(step.text);
            if step.stopped {
                return (all, true);
            }
        }
        all.push(text.finish());
        (all, false)
    }

    #[test]
    fn characters_are_shown_whole() {
        let smile = "🙂".as_bytes();
        assert_eq!(
            shown(&[], &[b"a", &smile[..1], &smile[1..3], &smile[3..], b"b"]).0,
            ["a", "", "", "🙂", "b", ""]
        );
        // Damage does not hold back what follows, and an unfinished character is not lost.
        assert_eq!(shown(&[], &[b"\xffa", &smile[..2]]).0, ["\u{fffd}a", "", "\u{fffd}"]);
    }

    #[test]
    fn a_stop_string_over_several_tokens_is_never_shown() {
        assert_eq!(
            shown(&["</end>"], &[b"yes <", b"/en", b"d> more"]),
            (vec!["yes ".to_owned(), String::new(), String::new()], true)
        );
        // What only looked like one is shown when it is clear.
        assert_eq!(
            shown(&["</end>"], &[b"a <", b"/em>"]).0,
            ["a ".to_owned(), "</em>".to_owned(), String::new()]
        );
        assert_eq!(shown(&["</end>"], &[b"a </"]).0, ["a ", "</"]);
        let (texts, stopped) = shown(&["bc", "b"], &[b"abc"]);
        assert_eq!((texts, stopped), (vec!["a".to_owned()], true));
    }
}
