//! The GGUF container: header, metadata and the directory of tensors.
//!
//! Nothing a file says is believed before it is compared with how many bytes the file has: a count,
//! a length or a size that cannot be true is refused before memory is asked for. The bytes of the
//! tensors themselves are not read here.
//!
//! # Source
//!
//! `docs/gguf.md` of ggml and `gguf.cpp` of llama.cpp (revision 0c1e570), versions 2 and 3, little
//! endian.

use std::collections::HashMap;
use std::io::Read;

use super::tensor_type::{SUPPORTED, TensorType};
use super::value::{Kind, Metadata, Value};
use crate::error::ModelError;

/// What is before the tensors' bytes: all that [`read`] reads.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) metadata: Metadata,
    /// The tensors by name.
    pub(crate) tensors: HashMap<String, TensorPlace>,
}

/// Where one tensor is and what it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TensorPlace {
    /// Rows first: the reverse of the order in the file.
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: TensorType,
    /// Where its bytes start, from the start of the file.
    pub(crate) start: u64,
    /// How many bytes it has.
    pub(crate) len: u64,
}

pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
pub(crate) const ALIGNMENT_KEY: &str = "general.alignment";
pub(crate) const DEFAULT_ALIGNMENT: u64 = 32;

/// The most bytes of header, metadata and directory; those of the released checkpoints have six
/// million, nearly all of it the tokenizer.
const MAX_HEAD: u64 = 64 << 20;
/// The most keys; there are about thirty.
const MAX_KEYS: u64 = 1 << 12;
/// The most tensors; 72B has under a thousand.
const MAX_TENSORS: u64 = 1 << 16;
/// The longest key or tensor name in bytes.
const MAX_NAME: u64 = 1 << 10;
/// The longest array; the largest vocabularies have a quarter of a million entries.
const MAX_ARRAY: u64 = 1 << 22;
const MAX_DIMENSIONS: u32 = 4;
const MAX_ALIGNMENT: u64 = 1 << 16;

/// Reads what is before the tensors of a file of `file_len` bytes, called `file` in errors.
///
/// # Errors
///
/// [`ModelError::Gguf`], naming the key or the tensor, and the value that cannot be true.
pub(crate) fn read(reader: impl Read, file_len: u64, file: &str) -> Result<Container, ModelError> {
    let mut head = Head { reader, at: 0, end: file_len.min(MAX_HEAD), file_len };
    parse(&mut head, file).map_err(|problem| ModelError::Gguf { file: file.to_owned(), problem })
}

/// What is wrong with the file.
type Problem = String;

fn parse(head: &mut Head<impl Read>, file: &str) -> Result<Container, Problem> {
    let n_tensors = version_and_tensors(head)?;
    let n_keys = head.u64("the number of keys")?;
    // A key is at least its length, its kind and one byte of value.
    check_count("keys", n_keys, MAX_KEYS.min(head.left() / (8 + 4 + 1)), head.file_len)?;
    let mut metadata = Metadata { file: file.to_owned(), entries: Vec::new() };
    for index in 0..n_keys {
        let name = head.name(&format!("key {index}"))?;
        if metadata.get(&name).is_some() {
            return Err(format!("the key `{name}` is there twice"));
        }
        let value = value(head, &name)?;
        metadata.entries.push((name, value));
    }
    let alignment = alignment(&metadata)?;
    // A tensor is at least its name's length, dimensions' count, one of them, type and offset.
    check_count(
        "tensors",
        n_tensors,
        MAX_TENSORS.min(head.left() / (8 + 4 + 8 + 4 + 8)),
        head.file_len,
    )?;
    let mut directory = Vec::new();
    for index in 0..n_tensors {
        directory.push(tensor(head, index)?);
    }
    let start = head.at.next_multiple_of(alignment);
    let tensors = place(directory, start, alignment, head.file_len)?;
    Ok(Container { metadata, tensors })
}

fn version_and_tensors(head: &mut Head<impl Read>) -> Result<u64, Problem> {
    if head.bytes(4, "the first four bytes")? != MAGIC {
        return Err("it does not start with `GGUF`".to_owned());
    }
    match head.u32("the version")? {
        2 | 3 => {}
        version if version.trailing_zeros() >= 16 => {
            return Err("it was written for a big-endian machine".to_owned());
        }
        version => return Err(format!("it has version {version}; only 2 and 3 are supported")),
    }
    head.u64("the number of tensors")
}

/// Refuses a number of entries that the rest of the file cannot hold.
fn check_count(what: &str, count: u64, most: u64, file_len: u64) -> Result<(), Problem> {
    if count > most {
        return Err(format!(
            "it claims to have {count} {what}; its {file_len} bytes can hold {most} at most"
        ));
    }
    Ok(())
}

fn value(head: &mut Head<impl Read>, key: &str) -> Result<Value, Problem> {
    let kind = |head: &mut Head<_>| -> Result<Kind, Problem> {
        let number = head.u32(key)?;
        let unknown = || format!("the value of `{key}` has the unknown type {number}");
        Kind::from_number(number).ok_or_else(unknown)
    };
    let single = kind(head)?;
    if single != Kind::Array {
        return Ok(Value { kind: single, count: None, bytes: items(head, single, 1, key)? });
    }
    let item = kind(head)?;
    if item == Kind::Array {
        return Err(format!("the value of `{key}` is an array of arrays, which nothing uses"));
    }
    let count = head.u64(key)?;
    if count > MAX_ARRAY || count.saturating_mul(item.size().unwrap_or(8) as u64) > head.left() {
        return Err(format!(
            "`{key}` claims to have {count} items, more than its {} bytes can hold",
            head.file_len
        ));
    }
    Ok(Value { kind: item, count: Some(count as usize), bytes: items(head, item, count, key)? })
}

/// The bytes of `count` values of one kind.
fn items(
    head: &mut Head<impl Read>,
    kind: Kind,
    count: u64,
    key: &str,
) -> Result<Vec<u8>, Problem> {
    if let Some(size) = kind.size() {
        return head.bytes(count * size as u64, key);
    }
    let mut bytes = Vec::new();
    for _ in 0..count {
        let length = head.u64(key)?;
        bytes.extend(length.to_le_bytes());
        head.append(length, key, &mut bytes)?;
    }
    Ok(bytes)
}

fn alignment(metadata: &Metadata) -> Result<u64, Problem> {
    let Some(value) = metadata.get(ALIGNMENT_KEY) else { return Ok(DEFAULT_ALIGNMENT) };
    let alignment = value.as_integer().and_then(|value| u64::try_from(value).ok());
    alignment
        .filter(|alignment| alignment.is_power_of_two() && *alignment <= MAX_ALIGNMENT)
        .ok_or_else(|| format!("`{ALIGNMENT_KEY}` is not a power of two up to {MAX_ALIGNMENT}"))
}

/// An entry of the directory, its offset counted from the first tensor.
struct Entry {
    name: String,
    shape: Vec<usize>,
    kind: TensorType,
    offset: u64,
    len: u64,
}

fn tensor(head: &mut Head<impl Read>, index: u64) -> Result<Entry, Problem> {
    let name = head.name(&format!("the name of tensor {index}"))?;
    let what = format!("tensor `{name}`");
    let rank = head.u32(&what)?;
    if rank == 0 || rank > MAX_DIMENSIONS {
        return Err(format!("{what} has {rank} dimensions; there must be 1 to {MAX_DIMENSIONS}"));
    }
    let sides = (0..rank).map(|_| head.u64(&what)).collect::<Result<Vec<_>, _>>()?;
    let number = head.u32(&what)?;
    let offset = head.u64(&what)?;
    let kind = TensorType::from_number(number)
        .map_err(|kind| format!("{what} has the type {kind}; supported are {SUPPORTED}"))?;
    let too_large = || {
        let sides: Vec<_> = sides.iter().map(u64::to_string).collect();
        format!("{what} claims {} elements, more than the file can hold", sides.join(" × "))
    };
    let elements = sides.iter().try_fold(1_u64, |product, &side| product.checked_mul(side));
    let elements = elements.filter(|&elements| elements > 0).ok_or_else(too_large)?;
    if sides[0] % kind.block_len != 0 {
        return Err(format!(
            "{what} has rows of {} elements, which is not a whole number of {} blocks of {}",
            sides[0], kind.name, kind.block_len
        ));
    }
    let len = (elements / kind.block_len).checked_mul(kind.block_bytes).ok_or_else(too_large)?;
    if len > head.file_len {
        return Err(too_large());
    }
    // Every side is at most `len`, which fits.
    let shape = sides.iter().rev().map(|&side| side as usize).collect();
    Ok(Entry { name, shape, kind, offset, len })
}

/// Checks where the tensors are: each in the file, aligned, and no two in the same place.
fn place(
    mut directory: Vec<Entry>,
    start: u64,
    alignment: u64,
    file_len: u64,
) -> Result<HashMap<String, TensorPlace>, Problem> {
    directory.sort_by_key(|entry| entry.offset);
    let mut tensors = HashMap::with_capacity(directory.len());
    let mut taken = start;
    let mut last = String::new();
    for Entry { name, shape, kind, offset, len } in directory {
        let from = start.checked_add(offset);
        let Some(from) = from.filter(|from| {
            offset % alignment == 0 && from.checked_add(len).is_some_and(|end| end <= file_len)
        }) else {
            return Err(format!(
                "tensor `{name}` claims {len} bytes at offset {offset} of the data, which is not \
                 in the file of {file_len} bytes or not a multiple of {alignment}; the file may be \
                 cut short"
            ));
        };
        if from < taken {
            return Err(format!("tensors `{last}` and `{name}` overlap"));
        }
        taken = from + len;
        last.clone_from(&name);
        let info = TensorPlace { shape, kind, start: from, len };
        if tensors.insert(name, info).is_some() {
            return Err(format!("tensor `{last}` is there twice"));
        }
    }
    Ok(tensors)
}

/// Reads from the start of a file and never past what may belong to it.
struct Head<R> {
    reader: R,
    /// Bytes read.
    at: u64,
    /// The most bytes that may be read.
    end: u64,
    file_len: u64,
}

impl<R> Head<R> {
    fn left(&self) -> u64 {
        self.end - self.at
    }
}

impl<R: Read> Head<R> {
    /// Appends the next `count` bytes, which belong to `what`, to `bytes`.
    fn append(&mut self, count: u64, what: &str, bytes: &mut Vec<u8>) -> Result<(), Problem> {
        if count > self.left() {
            return Err(if self.end < self.file_len && count <= self.file_len - self.at {
                format!(
                    "`{what}` lies beyond the first {MAX_HEAD} bytes, the most metadata allowed"
                )
            } else {
                format!(
                    "`{what}` claims {count} bytes at {}, but the file has {}",
                    self.at, self.file_len
                )
            });
        }
        let read = self.reader.by_ref().take(count).read_to_end(bytes);
        let read = read.map_err(|err| format!("`{what}` could not be read: {err}"))?;
        self.at += read as u64;
        if read as u64 == count {
            Ok(())
        } else {
            Err(format!("`{what}` is cut off at byte {}", self.at))
        }
    }

    fn bytes(&mut self, count: u64, what: &str) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        self.append(count, what, &mut bytes)?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Problem> {
        if N as u64 > self.left() {
            return Err(format!("the file of {} bytes ends in `{what}`", self.file_len));
        }
        let mut bytes = [0; N];
        let read = self.reader.read_exact(&mut bytes);
        read.map_err(|err| format!("`{what}` could not be read: {err}"))?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Problem> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, Problem> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A key or the name of a tensor.
    fn name(&mut self, what: &str) -> Result<String, Problem> {
        let length = self.u64(what)?;
        if length == 0 || length > MAX_NAME {
            return Err(format!("{what} has {length} bytes; there must be 1 to {MAX_NAME}"));
        }
        let bytes = self.bytes(length, what)?;
        String::from_utf8(bytes).map_err(|_| format!("{what} is not UTF-8"))
    }
}
