//! TensorFlow's files of records: the length and its checksum, the bytes and theirs; and the
//! `tf.train.Example` that each of them holds, which is lists of numbers or bytes by name.
//!
//! # Source
//!
//! tensorflow/tensorflow 4dbc3ac: `core/lib/io/record_writer.h`, `core/lib/hash/crc32c.h` (the mask),
//! `core/example/example.proto`, `core/example/feature.proto`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crc::{CRC_32_ISCSI, Crc, Table};
use flate2::bufread::MultiGzDecoder;
use fs_err as fs;
use quick_protobuf::BytesReader;

/// The most bytes of a record: an episode of AndroidControl with all its screenshots has some tens of millions.
const MAX_RECORD: u64 = 1 << 30;

/// How a file that is packed by gzip begins. The published files do not say so by their names.
const GZIP: [u8; 2] = [0x1f, 0x8b];

static CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// The number and the kind of a field in a message: bytes, and nothing else here.
const fn of_bytes(field: u32) -> u32 {
    field << 3 | 2
}

/// What a record has under one name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Feature {
    Bytes(Vec<Vec<u8>>),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

/// A record: what it has, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Example {
    features: BTreeMap<String, Feature>,
}

impl Example {
    /// Reads a record.
    ///
    /// # Errors
    ///
    /// That it is no `tf.train.Example`.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut features = BTreeMap::new();
        let read = in_message(bytes, of_bytes(1), |example| {
            in_message(example, of_bytes(1), |entry| {
                let (mut name, mut feature) = (None, None);
                fields(entry, |tag, reader, bytes| {
                    match tag {
                        tag if tag == of_bytes(1) => {
                            name = Some(reader.read_string(bytes)?.to_owned());
                        }
                        tag if tag == of_bytes(2) => feature = Some(reader.read_bytes(bytes)?),
                        tag => reader.read_unknown(bytes, tag)?,
                    }
                    Ok(())
                })?;
                if let (Some(name), Some(feature)) = (name, feature)
                    && let Some(feature) = read_feature(feature)?
                {
                    features.insert(name, feature);
                }
                Ok(())
            })
        });
        match read {
            Ok(()) if features.is_empty() => Err("the record is no tf.train.Example".to_owned()),
            Ok(()) => Ok(Self { features }),
            Err(error) => Err(format!("the record is no tf.train.Example: {error}")),
        }
    }

    fn feature(&self, name: &str) -> Result<&Feature, String> {
        self.features.get(name).ok_or_else(|| {
            let known: Vec<_> = self.features.keys().take(12).map(String::as_str).collect();
            format!("there is no `{name}`; the record has {}", known.join(", "))
        })
    }

    /// Returns a list of bytes.
    pub(super) fn bytes(&self, name: &str) -> Result<&[Vec<u8>], String> {
        match self.feature(name)? {
            Feature::Bytes(list) => Ok(list),
            _ => Err(format!("`{name}` is no list of bytes")),
        }
    }

    /// Returns a list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let read = |bytes: &Vec<u8>| String::from_utf8(bytes.clone());
        let texts: Result<_, _> = self.bytes(name)?.iter().map(read).collect();
        texts.map_err(|error| format!("`{name}` is no text: {error}"))
    }

    /// Returns a text.
    pub(super) fn text(&self, name: &str) -> Result<String, String> {
        let first = self.texts(name)?.into_iter().next();
        first.ok_or_else(|| format!("`{name}` is empty"))
    }

    /// Returns a list of real numbers; empty if there is none of that name.
    pub(super) fn floats(&self, name: &str) -> Result<Vec<f64>, String> {
        match self.features.get(name) {
            Some(Feature::Floats(list)) => Ok(list.iter().copied().map(f64::from).collect()),
            Some(_) => Err(format!("`{name}` is no list of real numbers")),
            None => Ok(Vec::new()),
        }
    }

    /// Returns a whole number.
    pub(super) fn int(&self, name: &str) -> Result<i64, String> {
        match self.feature(name)? {
            Feature::Ints(list) => {
                list.first().copied().ok_or_else(|| format!("`{name}` is empty"))
            }
            _ => Err(format!("`{name}` is no whole number")),
        }
    }
}

type Parsed<T> = quick_protobuf::Result<T>;

/// Calls `each` with the tag of every field of a message; it reads the field, or skips it.
pub(super) fn fields<'a>(
    message: &'a [u8],
    mut each: impl FnMut(u32, &mut BytesReader, &'a [u8]) -> Parsed<()>,
) -> Parsed<()> {
    let mut reader = BytesReader::from_bytes(message);
    while !reader.is_eof() {
        let tag = reader.next_tag(message)?;
        each(tag, &mut reader, message)?;
    }
    Ok(())
}

/// Calls `each` with the bytes of every field of one tag of a message.
pub(super) fn in_message<'a>(
    message: &'a [u8],
    wanted: u32,
    mut each: impl FnMut(&'a [u8]) -> Parsed<()>,
) -> Parsed<()> {
    fields(message, |tag, reader, bytes| {
        if tag == wanted {
            each(reader.read_bytes(bytes)?)
        } else {
            reader.read_unknown(bytes, tag)
        }
    })
}

fn read_feature(message: &[u8]) -> Parsed<Option<Feature>> {
    let mut feature = None;
    fields(message, |tag, reader, bytes| {
        match tag >> 3 {
            1..=3 if tag & 7 == 2 => {
                feature = Some(read_list(tag >> 3, reader.read_bytes(bytes)?)?);
            }
            _ => reader.read_unknown(bytes, tag)?,
        }
        Ok(())
    })?;
    Ok(feature)
}

/// Reads the values of a list; numbers stand one by one, or packed.
fn read_list(kind: u32, message: &[u8]) -> Parsed<Feature> {
    let (mut list, mut floats, mut ints) = (Vec::new(), Vec::new(), Vec::new());
    fields(message, |tag, reader, bytes| {
        match (kind, tag) {
            (1, 0x0a) => list.push(reader.read_bytes(bytes)?.to_vec()),
            (2, 0x0d) => floats.push(reader.read_float(bytes)?),
            (3, 0x08) => ints.push(reader.read_int64(bytes)?),
            (2 | 3, 0x0a) => {
                let packed = reader.read_bytes(bytes)?;
                let mut reader = BytesReader::from_bytes(packed);
                while !reader.is_eof() {
                    if kind == 2 {
                        floats.push(reader.read_float(packed)?);
                    } else {
                        ints.push(reader.read_int64(packed)?);
                    }
                }
            }
            (_, tag) => reader.read_unknown(bytes, tag)?,
        }
        Ok(())
    })?;
    Ok(match kind {
        1 => Feature::Bytes(list),
        2 => Feature::Floats(floats),
        _ => Feature::Ints(ints),
    })
}

/// The records of a file, one after another.
pub(crate) struct TfRecords {
    reader: Box<dyn Read>,
    failed: bool,
}

impl TfRecords {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        Self::new(fs::File::open(path)?)
    }

    /// Reads records from a file that may be packed by gzip; its first bytes say so.
    pub(crate) fn new(file: impl Read + 'static) -> std::io::Result<Self> {
        let mut file = BufReader::with_capacity(1 << 16, file);
        let packed = file.fill_buf()?.starts_with(&GZIP);
        let reader: Box<dyn Read> =
            if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { reader, failed: false })
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, String> {
        let head = self.take(8)?;
        if head.is_empty() {
            return Ok(None);
        }
        let torn = || "the file ends in the middle of a record".to_owned();
        let length = u64::from_le_bytes(head.as_slice().try_into().map_err(|_| torn())?);
        self.check(&head)?;
        if length > MAX_RECORD {
            return Err(format!("the record has {length} bytes, more than {MAX_RECORD}"));
        }
        let bytes = self.take(length)?;
        if bytes.len() as u64 != length {
            return Err(torn());
        }
        self.check(&bytes)?;
        Ok(Some(bytes))
    }

    /// Reads so many bytes, or as many as there are: memory is taken as they come.
    fn take(&mut self, length: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(length).read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// Reads the checksum that follows some bytes, and compares.
    fn check(&mut self, bytes: &[u8]) -> Result<(), String> {
        let said = self.take(4)?;
        let said = said.as_slice().try_into().map(u32::from_le_bytes);
        let said = said.map_err(|_| "the file ends in the middle of a record".to_owned())?;
        let masked = CRC32C.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8);
        if said == masked {
            Ok(())
        } else {
            Err("its checksum is another: this is no file of TFRecords, or it is damaged"
                .to_owned())
        }
    }
}

impl Iterator for TfRecords {
    /// A record; nothing follows one that cannot be read, since where the next begins is unknown then.
    type Item = Result<Vec<u8>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = self.read().transpose()?;
        self.failed = record.is_err();
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "123456789", whose checksum is in RFC 3720, and the mask of `crc32c.h`.
    #[test]
    fn checksums_are_those_of_the_published_tables() {
        assert_eq!(CRC32C.checksum(b"123456789"), 0xe306_9283);
        assert_eq!(CRC32C.checksum(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn what_is_no_file_of_records_is_said_and_ends_the_reading() {
        for (bytes, problem) in [
            (b"[{\"a\": 1}, {\"b\": 2}]".to_vec(), "its checksum is another"),
            (b"short".to_vec(), "the file ends in the middle of a record"),
            (vec![0; 12], "its checksum is another"),
        ] {
            let mut records = TfRecords::new(std::io::Cursor::new(bytes)).unwrap();
            let error = records.next().unwrap().unwrap_err();
            assert!(error.contains(problem), "{error}");
            assert!(records.next().is_none());
        }
        assert!(TfRecords::new(std::io::empty()).unwrap().next().is_none());
        assert!(Example::read(b"\x0a").is_err() && Example::read(b"").is_err());
    }
}
