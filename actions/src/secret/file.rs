//! Secrets as a file: YAML that only its owner can read.
//!
//! A parser's own message may quote what it did not understand, and here that may be a value. So an
//! error says where, and never what.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::SecretName;
use super::vault::SecretError;
use crate::guard::rule::WindowRule;
use crate::yaml::{YamlError, from_yaml};

/// The most bytes of a file.
const MAX_BYTES: u64 = 1 << 20;

/// The version of the format this build reads.
const VERSION: u32 = 1;

/// A file of secrets: values, or where to get them, and the windows each is for.
#[derive(Debug, Default)]
pub struct SecretsFile {
    pub(super) entries: BTreeMap<SecretName, Entry>,
}

/// What the file says of one secret.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) source: Source,
    pub(super) windows: Vec<WindowRule>,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The file has it.
    File(SecretString),
    /// An environment variable.
    Variable(String),
    /// The keyring of the desktop.
    Keyring,
    /// The file does not say: the variable of its name, else the keyring.
    Anywhere,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "newest")]
    version: u32,
    secrets: BTreeMap<String, Form>,
}

/// A value alone, or with more about it.
enum Form {
    Value(SecretString),
    Entry(Box<Fields>),
    /// A number or a word that YAML takes for something else, such as `0042` and `yes`.
    Unquoted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    value: Option<Box<Form>>,
    #[serde(default)]
    env: Option<String>,
    #[serde(default)]
    keyring: bool,
    #[serde(default)]
    windows: Vec<WindowRule>,
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FormVisitor)
    }
}

struct FormVisitor;

impl<'de> Visitor<'de> for FormVisitor {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or a map")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Form, E> {
        Ok(Form::Value(text.into()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Form, E> {
        Ok(Form::Value(text.into()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Form, E> {
        Ok(Form::Unquoted)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Form, E> {
        Ok(Form::Unquoted)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Form, E> {
        Ok(Form::Unquoted)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Form, E> {
        Ok(Form::Unquoted)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Form, E> {
        Ok(Form::Unquoted)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Form, A::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map))
            .map(|fields| Form::Entry(Box::new(fields)))
    }
}

fn newest() -> u32 {
    VERSION
}

impl SecretsFile {
    /// Reads a file that nobody but its owner may read.
    ///
    /// # Errors
    /// [`SecretError::Exposed`] if others may, and those of [`SecretsFile::parse`].
    pub fn open(path: &Path) -> Result<Self, SecretError> {
        let unreadable = |source| SecretError::Read { source };
        let file = fs_err::File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        // Asked of the file that is open, not of the name, which may be another's by now.
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o777;
            if mode & 0o077 != 0 {
                return Err(SecretError::Exposed { path: path.to_owned(), mode });
            }
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if metadata.len().max(text.len() as u64) > MAX_BYTES {
            return Err(SecretError::TooLong { path: path.to_owned() });
        }
        Self::parse(&text, path)
    }

    /// Reads a text; `path` is what errors call it.
    ///
    /// # Errors
    /// [`SecretError::Syntax`] with line and column, [`SecretError::Entry`] for what makes no sense.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SecretError> {
        let written: Written = from_yaml(text).map_err(|YamlError { line, column, .. }| {
            SecretError::Syntax { path: path.to_owned(), line, column }
        })?;
        let senseless = |name: &str, problem| SecretError::Entry {
            path: path.to_owned(),
            name: name.chars().take(64).collect(),
            problem,
        };
        if written.version != VERSION {
            return Err(senseless("version", "this build reads version 1"));
        }
        let mut entries = BTreeMap::new();
        for (key, form) in written.secrets {
            let name = SecretName::new(&key).ok_or_else(|| {
                senseless(&key, "a name has letters, digits, `_` and `-` only, and at most 64")
            })?;
            let entry = entry(form).map_err(|problem| senseless(&key, problem))?;
            if entries.insert(name, entry).is_some() {
                return Err(senseless(&key, "it stands there twice; case does not count"));
            }
        }
        Ok(Self { entries })
    }
}

const UNQUOTED: &str = "a number, a date or a word such as `yes` needs quotes to be a text";

fn entry(form: Form) -> Result<Entry, &'static str> {
    let Fields { value, env, keyring, windows } = match form {
        Form::Value(value) => {
            return Ok(Entry { source: Source::File(value), windows: Vec::new() });
        }
        Form::Entry(fields) => *fields,
        Form::Unquoted => return Err(UNQUOTED),
    };
    let source = match (value.map(|value| *value), env, keyring) {
        (Some(Form::Value(value)), None, false) => Source::File(value),
        (Some(Form::Unquoted), ..) => return Err(UNQUOTED),
        (Some(Form::Entry(_)), ..) => return Err("its `value` is no text"),
        (None, Some(variable), false) if !variable.is_empty() => Source::Variable(variable),
        (None, None, true) => Source::Keyring,
        (None, None, false) => Source::Anywhere,
        _ => return Err("it has more than one of `value`, `env` and `keyring`"),
    };
    Ok(Entry { source, windows })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn parse(text: &str) -> Result<SecretsFile, SecretError> {
        SecretsFile::parse(text, "secrets.yaml".as_ref())
    }

    #[test]
    fn values_are_texts_as_they_were_written() {
        let text = "secrets:\n  a: hunter2\n  pin: '0042'\n  b: {value: ' x y ', windows: [{app: Bank}]}\n";
        let file = parse(text).unwrap();
        let value = |name: &str| match &file.entries[&SecretName::new(name).unwrap()].source {
            Source::File(value) => value.expose_secret().to_owned(),
            source => panic!("{source:?}"),
        };
        assert_eq!([value("a"), value("pin"), value("b")], ["hunter2", "0042", " x y "]);
        assert!(!format!("{file:?}").contains("hunter2"));
    }

    #[test]
    fn errors_say_where_and_quote_nothing() {
        for text in [
            "secrets: hunter2",
            "secrets:\n  a: [hunter2]\n",
            "secrets:\n  a: {hunter2: 1}\n",
            "secrets:\n  a: {value: x, windows: [{app: '(hunter2'}]}\n",
            "secrets:\n  a: \"hunter2\n",
            "hunter2",
            "secrets: {a: 0042, b: hunter2}",
            "secrets: {a: {value: 42}, b: hunter2}",
            "secrets: {a: {value: hunter2, keyring: true}}",
            "secrets: {a: {value: hunter2}, A: hunter2}",
            "version: 9\nsecrets: {a: hunter2}",
        ] {
            let error = parse(text).unwrap_err();
            let said = format!("{error} {error:?} {:?}", error.hint());
            assert!(!said.contains("hunter2"), "{text}: {said}");
        }
    }
}
