//! Placeholders in texts, and values that must not stay in them.

use std::borrow::Cow;

use secrecy::zeroize::Zeroize as _;

use super::{SecretName, Secrets};

/// What a placeholder begins and ends with.
const OPEN: &str = "{{secret:";
const CLOSE: &str = "}}";

/// A placeholder that names no secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{{{{secret:` needs a name of letters, digits, `_` or `-`, and `}}}}` after it")]
pub struct MalformedSecret;

/// A part of a text that is to be typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Piece<'t> {
    /// It is typed as it is.
    Plain(&'t str),
    /// A secret stands here.
    Secret(SecretName),
}

/// Takes a text apart at its placeholders.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, MalformedSecret> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once(OPEN) {
        let (name, after) = after.split_once(CLOSE).ok_or(MalformedSecret)?;
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        pieces.push(Piece::Secret(SecretName::new(name).ok_or(MalformedSecret)?));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    Ok(pieces)
}

/// Returns the names of the secrets that a text speaks of, each once.
///
/// # Errors
/// [`MalformedSecret`].
pub fn names_in(text: &str) -> Result<Vec<SecretName>, MalformedSecret> {
    let mut names: Vec<_> = pieces(text)?
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Secret(name) => Some(name),
            Piece::Plain(_) => None,
        })
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Returns a text with something else in the places of its placeholders.
///
/// # Errors
/// [`MalformedSecret`].
pub fn with_names(
    text: &str,
    stand_in: impl Fn(&SecretName) -> String,
) -> Result<String, MalformedSecret> {
    let pieces = pieces(text)?.into_iter();
    let written = pieces.map(|piece| match piece {
        Piece::Plain(text) => text.to_owned(),
        Piece::Secret(name) => stand_in(&name),
    });
    Ok(written.collect())
}

impl Secrets {
    /// Returns a text with each value that stands in it replaced by its placeholder.
    ///
    /// A model that read a value from the screen may repeat it. Values of fewer than four characters
    /// are left: they are in too many other words.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        // The longest first: one value may be a part of another.
        let mut values: Vec<_> = self.findable().collect();
        values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        for (name, value) in values {
            // In a reply of JSON, quotes and backslashes are escaped.
            let mut escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            for form in [escaped.as_str(), value] {
                if text.contains(form) {
                    text = Cow::Owned(text.replace(form, &name.placeholder()));
                }
            }
            escaped.zeroize();
        }
        text
    }
}

/// Redacts a text that comes in pieces, in the middle of which a value may be cut.
#[derive(Debug)]
pub struct Redactor {
    secrets: Secrets,
    /// What is not shown yet.
    held: String,
    /// The length of the longest value, in bytes.
    longest: usize,
}

impl Redactor {
    /// Makes one for these secrets.
    pub fn new(secrets: Secrets) -> Self {
        let longest = secrets.findable().map(|(_, value)| 2 * value.len()).max().unwrap_or(0);
        Self { secrets, held: String::new(), longest }
    }

    /// Takes the next piece and returns what can be shown: all but an end that may be the beginning
    /// of a value.
    pub fn push(&mut self, piece: &str) -> String {
        self.held += piece;
        let mut shown = self.secrets.redact(&self.held).into_owned();
        let keep = self.longest.saturating_sub(1).min(shown.len());
        let at = (0..=shown.len() - keep).rev().find(|&at| shown.is_char_boundary(at));
        self.held = shown.split_off(at.unwrap_or(0));
        shown
    }

    /// Returns the rest.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> SecretName {
        SecretName::new(name).unwrap()
    }

    #[test]
    fn placeholders_are_found_and_broken_ones_refused() {
        let check = |text: &str, expected: Result<&[Piece<'_>], MalformedSecret>| {
            assert_eq!(pieces(text), expected.map(<[_]>::to_vec), "{text}");
        };
        check("plain {text}", Ok(&[Piece::Plain("plain {text}")]));
        check("{{secret:Bank}}", Ok(&[Piece::Secret(name("bank"))]));
        let all = [
            Piece::Plain("me\t"),
            Piece::Secret(name("a-1")),
            Piece::Secret(name("b_2")),
            Piece::Plain("\n"),
        ];
        check("me\t{{secret:a-1}}{{secret:b_2}}\n", Ok(&all));
        for bad in ["{{secret:", "{{secret:}}", "{{secret:a b}}", "{{secret:a}", "{{secret:ä}}"] {
            check(bad, Err(MalformedSecret));
        }
        assert_eq!(
            names_in("{{secret:b}} {{secret:a}} {{secret:B}}"),
            Ok(vec![name("a"), name("b")])
        );
    }

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.grant(name("bank"), "hunter2".into(), Vec::new()).unwrap();
        secrets.grant(name("long"), "hunter2\"more".into(), Vec::new()).unwrap();
        secrets.grant(name("cvv"), "123".into(), Vec::new()).unwrap();
        secrets.hide(name("other"), "ungranted".into());
        secrets
    }

    #[test]
    fn values_in_texts_become_their_names() {
        let secrets = secrets();
        let check = |text: &str, expected: &str| assert_eq!(secrets.redact(text), expected);
        check("nothing", "nothing");
        check("is hunter2, hunter2!", "is {{secret:bank}}, {{secret:bank}}!");
        check(r#"hunter2"more"#, "{{secret:long}}");
        check(r#"{"text":"hunter2\"more"}"#, r#"{"text":"{{secret:long}}"}"#);
        check("ungranted", "{{secret:other}}");
        check("123", "123");
        assert!(!format!("{secrets:?}").contains("hunter"));
        assert_eq!(secrets.granted().count(), 3);
    }

    #[test]
    fn a_value_that_comes_in_pieces_is_never_shown() {
        let secrets = secrets();
        let text = "the word is hunter2 and that is all there is to say";
        for size in 1..text.len() {
            let (mut redactor, mut shown) = (Redactor::new(secrets.clone()), String::new());
            for piece in text.as_bytes().chunks(size) {
                let piece = std::str::from_utf8(piece).unwrap();
                shown += &redactor.push(piece);
            }
            shown += &redactor.finish();
            assert_eq!(shown, secrets.redact(text), "{size}");
        }
    }
}
