//! What GGUF metadata holds: typed values and arrays of them, kept as the bytes of the file.
//!
//! Keeping the bytes has two merits: a value takes no more memory than it took in the file, however
//! it was made up, and one that is copied into another file stays what it was.

use crate::error::ModelError;

/// The type of a value, numbered as in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::Text,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    /// The kind with this number in the file.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// Its number in the file.
    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    /// Bytes that every value of this kind takes; none if that depends on the value.
    pub(crate) fn size(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }
}

/// One value, or an array of values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    /// The kind of the value or of the array's items; never [`Kind::Array`].
    pub(crate) kind: Kind,
    /// The length, if it is an array.
    pub(crate) count: Option<usize>,
    /// The items one after another as in the file; a text is its length, 8 bytes, and its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Value {
    pub(crate) fn u32(value: u32) -> Self {
        Self { kind: Kind::U32, count: None, bytes: value.to_le_bytes().to_vec() }
    }

    pub(crate) fn i32(value: i32) -> Self {
        Self { kind: Kind::I32, count: None, bytes: value.to_le_bytes().to_vec() }
    }

    pub(crate) fn f32(value: f32) -> Self {
        Self { kind: Kind::F32, count: None, bytes: value.to_le_bytes().to_vec() }
    }

    pub(crate) fn bool(value: bool) -> Self {
        Self { kind: Kind::Bool, count: None, bytes: vec![u8::from(value)] }
    }

    pub(crate) fn text(value: &str) -> Self {
        let mut bytes = Vec::with_capacity(8 + value.len());
        push_text(&mut bytes, value);
        Self { kind: Kind::Text, count: None, bytes }
    }

    pub(crate) fn i32s(values: &[i32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { kind: Kind::I32, count: Some(values.len()), bytes }
    }

    pub(crate) fn f32s(values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { kind: Kind::F32, count: Some(values.len()), bytes }
    }

    pub(crate) fn texts<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut bytes = Vec::new();
        let mut count = 0;
        for value in values {
            push_text(&mut bytes, value);
            count += 1;
        }
        Self { kind: Kind::Text, count: Some(count), bytes }
    }
}

impl Value {
    /// The value as a whole number, if it is one.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        self.single().and_then(|bytes| integer(self.kind, bytes))
    }

    /// The value as a number with a fraction, if it is a number at all.
    pub(crate) fn as_number(&self) -> Option<f64> {
        self.single().and_then(|bytes| number(self.kind, bytes))
    }

    /// The value as a text, if it is one and is UTF-8.
    pub(crate) fn as_text(&self) -> Option<&str> {
        let bytes = self.single().filter(|_| self.kind == Kind::Text)?;
        std::str::from_utf8(bytes.get(8..)?).ok()
    }

    /// The value as a truth value, if it is one.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        let bytes = self.single().filter(|_| self.kind == Kind::Bool)?;
        Some(*bytes.first()? != 0)
    }

    /// The items of an array of whole numbers of any kind.
    pub(crate) fn as_integers(&self) -> Option<Vec<i64>> {
        let size = self.array()?.size()?;
        self.bytes.chunks_exact(size).map(|bytes| integer(self.kind, bytes)).collect()
    }

    /// The items of an array of numbers of any kind.
    pub(crate) fn as_numbers(&self) -> Option<Vec<f64>> {
        let size = self.array()?.size()?;
        self.bytes.chunks_exact(size).map(|bytes| number(self.kind, bytes)).collect()
    }

    /// The items of an array of texts, if all are UTF-8.
    pub(crate) fn as_texts(&self) -> Option<Vec<&str>> {
        let count = self.count.filter(|_| self.kind == Kind::Text)?;
        let mut texts = Vec::with_capacity(count);
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (text, after) = after.split_at_checked(length)?;
            texts.push(std::str::from_utf8(text).ok()?);
            rest = after;
        }
        Some(texts)
    }

    fn single(&self) -> Option<&[u8]> {
        self.count.is_none().then_some(self.bytes.as_slice())
    }

    fn array(&self) -> Option<Kind> {
        self.count.map(|_| self.kind)
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn integer(kind: Kind, bytes: &[u8]) -> Option<i64> {
    match (kind, bytes) {
        (Kind::U8, &[byte]) => Some(i64::from(byte)),
        (Kind::I8, &[byte]) => Some(i64::from(i8::from_le_bytes([byte]))),
        (Kind::U16, &[a, b]) => Some(i64::from(u16::from_le_bytes([a, b]))),
        (Kind::I16, &[a, b]) => Some(i64::from(i16::from_le_bytes([a, b]))),
        (Kind::U32, _) => Some(i64::from(u32::from_le_bytes(bytes.try_into().ok()?))),
        (Kind::I32, _) => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        (Kind::U64, _) => i64::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok(),
        (Kind::I64, _) => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

fn number(kind: Kind, bytes: &[u8]) -> Option<f64> {
    match kind {
        // The decimal number that was meant: 1e-6 in f32 is 1e-6, not 9.99999997e-7.
        Kind::F32 => f32::from_le_bytes(bytes.try_into().ok()?).to_string().parse().ok(),
        Kind::F64 => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        _ => integer(kind, bytes).map(|value| value as f64),
    }
}

/// The metadata of a file: keys in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata {
    /// The file's name, for messages.
    pub(crate) file: String,
    pub(crate) entries: Vec<(String, Value)>,
}

impl Metadata {
    /// The value of a key, if the file has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// What `read` makes of the value of `key`, or nothing if the file does not have it.
    pub(crate) fn optional<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let read = read(value).ok_or_else(|| self.problem(format!("`{key}` is not {wanted}")))?;
        Ok(Some(read))
    }

    /// What `read` makes of the value of `key`, which the file must have.
    pub(crate) fn required<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, ModelError> {
        let missing =
            || self.problem(format!("the metadata has no `{key}`, which must be {wanted}"));
        self.optional(key, wanted, read)?.ok_or_else(missing)
    }

    /// An error that names the file.
    pub(crate) fn problem(&self, problem: impl Into<String>) -> ModelError {
        ModelError::Gguf { file: self.file.clone(), problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_kind_are_read_as_what_was_meant() {
        let value = |kind, bytes: &[u8]| Value { kind, count: None, bytes: bytes.to_vec() };
        assert_eq!(value(Kind::U8, &[200]).as_integer(), Some(200));
        assert_eq!(value(Kind::I8, &[0xff]).as_integer(), Some(-1));
        assert_eq!(value(Kind::I16, &[0xfe, 0xff]).as_integer(), Some(-2));
        assert_eq!(value(Kind::U64, &[0xff; 8]).as_integer(), None);
        assert_eq!(value(Kind::I64, &[0xff; 8]).as_integer(), Some(-1));
        assert_eq!(Value::f32(1e-6).as_number(), Some(1e-6));
        assert_eq!(Value::u32(7).as_number(), Some(7.0));
        assert_eq!(Value::f32(1.0).as_integer(), None);
        assert_eq!(Value::i32s(&[16, 24, 24, 0]).as_integers(), Some(vec![16, 24, 24, 0]));
        assert_eq!(Value::i32s(&[16]).as_integer(), None);
        assert_eq!(Value::f32s(&[0.5]).as_numbers(), Some(vec![0.5]));
    }

    #[test]
    fn texts_and_truth_values_are_read() {
        assert_eq!(Value::text("höher").as_text(), Some("höher"));
        assert_eq!(Value::texts(["a", "", "ö"].into_iter()).as_texts(), Some(vec!["a", "", "ö"]));
        assert_eq!(Value::texts(std::iter::empty()).as_texts(), Some(vec![]));
        assert_eq!(Value::bool(true).as_bool(), Some(true));
        assert_eq!(Value::text("true").as_bool(), None);
        let broken =
            Value { kind: Kind::Text, count: None, bytes: vec![1, 0, 0, 0, 0, 0, 0, 0, 0xff] };
        assert_eq!(broken.as_text(), None);
    }
}
