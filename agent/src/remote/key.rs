//! The key of a server: sent to that server, and shown to nobody.

use std::fmt;

/// What is put in a key's place.
const REDACTED: &str = "[key]";

/// The fewest characters of a key that are looked for in what a server says: shorter ones would
/// hide ordinary words.
const MIN_CHARS: usize = 6;

/// A secret that opens a server. It cannot be printed.
#[derive(Clone, Eq, PartialEq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key; nothing if it is empty or cannot be sent in a header.
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        let is_plain = key.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        (!key.is_empty() && is_plain).then(|| Self(key.to_owned()))
    }

    /// Returns the value of the header that carries it.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Takes the key out of what a server said: some repeat it in their errors.
    pub(super) fn redact(&self, text: &str) -> String {
        if self.0.len() < MIN_CHARS { text.to_owned() } else { text.replace(&self.0, REDACTED) }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sent_and_never_shown() {
        let key = ApiKey::new(" sk-12345678\n").unwrap();
        assert_eq!(key.header(), "Bearer sk-12345678");
        assert_eq!(format!("{key:?}"), "[key]");
        assert_eq!(key.redact("no such key: sk-12345678!"), "no such key: [key]!");
        for bad in ["", "  ", "a\nb", "schlüssel", "two words"] {
            assert_eq!(ApiKey::new(bad), None, "{bad:?}");
        }
    }
}
