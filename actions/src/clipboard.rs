//! What a clipboard holds, in every form its owner has it in.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// The most forms of a content, and the most bytes of all of them together.
const MOST_FORMS: usize = 32;
const MOST_BYTES: usize = 64 << 20;

/// The names under which a text is asked for, the usual one first.
const TEXT: [&str; 3] = ["UTF8_STRING", "text/plain;charset=utf-8", "text/plain"];

/// From how many characters on a stretch of text without a line feed or a tab is pasted, and not typed.
///
/// Typing takes some 5 ms for each character, a paste a fifth of a second.
pub(crate) const PASTE_FROM: usize = 200;

/// Which texts are pasted instead of typed, where a desktop's clipboard can be lent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Pasting {
    /// Those that typing would take seconds for: stretches of 200 characters or more without a line feed
    /// or a tab.
    #[default]
    Long,
    /// None: every text is typed, however long, and the clipboard is left alone.
    Never,
}

/// Is told what the user's clipboard holds before it is taken, to keep it beyond this process.
pub type ClipboardKeeper = Box<dyn FnMut(&Clipping) + Send>;

/// What was copied: a text, a picture, files, in one form or several.
///
/// It is somebody's own, so it is not printed.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Clipping(Vec<Form>);

/// One form of a content.
#[derive(Clone, Eq, PartialEq)]
pub struct Form {
    /// What it is asked for as, such as `UTF8_STRING` and `image/png`.
    pub target: String,
    /// What it says it is.
    pub kind: String,
    /// The content itself.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.target, self.bytes.len())
    }
}

impl Clipping {
    /// Makes the content that a program has after a text was copied.
    pub fn text(text: &str) -> Self {
        let form = |target: &str| Form {
            target: target.to_owned(),
            kind: target.to_owned(),
            bytes: text.as_bytes().to_vec(),
        };
        Self(TEXT.iter().map(|target| form(target)).collect())
    }

    /// Returns its text, if it has one in Unicode.
    pub fn as_text(&self) -> Option<&str> {
        let form = |name: &&str| self.0.iter().find(|form| form.target == **name);
        TEXT.iter().filter_map(form).find_map(|form| std::str::from_utf8(&form.bytes).ok())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a form; returns whether there was room for it.
    pub fn add(&mut self, form: Form) -> bool {
        let bytes: usize = self.0.iter().map(|form| form.bytes.len()).sum();
        let fits = self.0.len() < MOST_FORMS && bytes + form.bytes.len() <= MOST_BYTES;
        if fits {
            self.0.push(form);
        }
        fits
    }

    /// Returns its forms.
    pub fn forms(&self) -> &[Form] {
        &self.0
    }

    /// Writes it down for another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for form in &self.0 {
            for part in [form.target.as_bytes(), form.kind.as_bytes(), &form.bytes] {
                let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
                bytes.extend(length.to_le_bytes());
                bytes.extend(&part[..length as usize]);
            }
        }
        bytes
    }

    /// Reads what [`Clipping::to_bytes`] wrote; `None` if it is something else.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut clipping = Self::default();
        while !bytes.is_empty() {
            let mut part = || {
                let (length, rest) = bytes.split_first_chunk()?;
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                let (part, rest) = rest.split_at_checked(length)?;
                bytes = rest;
                Some(part.to_vec())
            };
            let (target, kind, bytes) = (part()?, part()?, part()?);
            let (target, kind) = (String::from_utf8(target).ok()?, String::from_utf8(kind).ok()?);
            if !clipping.add(Form { target, kind, bytes }) {
                return None;
            }
        }
        Some(clipping)
    }
}

impl fmt::Debug for Clipping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_was_written_down_and_is_not_printed() {
        let mut clipping = Clipping::text("Grüße 中文");
        let (target, kind) = ("image/png".to_owned(), "image/png".to_owned());
        assert!(clipping.add(Form { target, kind, bytes: vec![0, 255, 10] }));
        assert_eq!(Clipping::from_bytes(&clipping.to_bytes()), Some(clipping.clone()));
        assert_eq!(clipping.as_text(), Some("Grüße 中文"));
        assert!(!format!("{clipping:?}").contains("Grüße"));
        assert_eq!(Clipping::from_bytes(&[]), Some(Clipping::default()));
        let bytes = clipping.to_bytes();
        for end in 1..bytes.len() {
            let cut = Clipping::from_bytes(&bytes[..end]);
            assert!(cut.is_none_or(|cut| cut.forms().len() < 4));
        }
        assert_eq!(Clipping::from_bytes(&[255; 40]), None);
    }
}
