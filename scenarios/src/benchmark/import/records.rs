//! The records of a file, whatever its kind: JSON, JSON Lines, TSV, Parquet or TFRecord, packed by gzip or not.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use fs_err as fs;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use serde_json::{Map, Value};

use super::ImportError;
use super::tfrecord::{Example, TfRecords};
use crate::benchmark::lines::Lines;

/// The most bytes of a file that is read whole.
const MAX_JSON: u64 = 1 << 30;

/// The most bytes that a packed file may become.
const MAX_UNPACKED: u64 = 16 << 30;

/// Base64 shorter than this is the number of another record with the same picture.
const SHORTEST_PICTURE: usize = 64;

/// One record.
#[derive(Debug)]
pub(crate) struct Record {
    /// Where it stands, for people.
    pub(super) place: String,
    /// Its fields.
    pub(super) fields: Map<String, Value>,
    /// The picture, if it is in the file.
    pub(super) picture: Option<Vec<u8>>,
    /// What a file of TFRecords has instead of fields.
    pub(super) example: Option<Example>,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Json,
    Lines,
    Tsv,
    Parquet,
    TfRecord,
}

impl Kind {
    /// Returns the kind of a file by its name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        if is_part(name) {
            return Some(Self::TfRecord);
        }
        match name.rsplit_once('.')?.1 {
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::Lines),
            "tsv" => Some(Self::Tsv),
            "parquet" => Some(Self::Parquet),
            "tfrecord" | "tfrecords" => Some(Self::TfRecord),
            _ => None,
        }
    }
}

/// Whether a name ends as those of the parts of a set in TFRecords do: `…-00000-of-00020`.
fn is_part(name: &str) -> bool {
    let mut words = name.rsplit('-');
    let numbers = [words.next(), words.nth(1)];
    let is_number = |word: &str| word.len() == 5 && word.bytes().all(|byte| byte.is_ascii_digit());
    name.contains("-of-") && numbers.into_iter().all(|word| word.is_some_and(is_number))
}

/// The records of a file, one after another.
pub(super) enum Records {
    Whole {
        file: String,
        values: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    },
    Lines(Box<Lines<Box<dyn Read>>>, String),
    Tsv {
        file: PathBuf,
        rows: Box<csv::StringRecordsIntoIter<Box<dyn Read>>>,
        heads: Vec<String>,
        shared: HashMap<String, Vec<u8>>,
    },
    Parquet {
        file: String,
        rows: Box<RowIter<'static>>,
        number: usize,
    },
    Examples {
        file: PathBuf,
        records: std::iter::Enumerate<TfRecords>,
    },
}

impl Records {
    /// Opens a file; `one` is that a file of JSON may be one record, and no list of them.
    pub(super) fn open(path: &Path, one: bool) -> Result<Self, ImportError> {
        let unreadable =
            |problem: String| ImportError::Unreadable { path: path.to_owned(), problem };
        let Some(kind) = Kind::of(path) else {
            return Err(unreadable(
                "it is no .json, .jsonl, .tsv, .parquet or .tfrecord file".to_owned(),
            ));
        };
        let file = path.display().to_string();
        match kind {
            Kind::Json => {
                let mut bytes = Vec::new();
                reader(path)?.take(MAX_JSON + 1).read_to_end(&mut bytes)?;
                if bytes.len() as u64 > MAX_JSON {
                    return Err(unreadable(format!("it has over {MAX_JSON} bytes")));
                }
                let value: Value = serde_json::from_slice(&bytes)
                    .map_err(|error| unreadable(error.to_string()))?;
                let values = match value {
                    Value::Array(values) => values,
                    // Of episodes, each has a file of its own.
                    value if one => vec![value],
                    _ => return Err(unreadable("it is no list of records".to_owned())),
                };
                Ok(Self::Whole { file, values: values.into_iter().enumerate() })
            }
            Kind::Lines => Ok(Self::Lines(Box::new(Lines::new(path, reader(path)?)), file)),
            Kind::Tsv => {
                let mut rows =
                    csv::ReaderBuilder::new().delimiter(b'\t').from_reader(reader(path)?);
                let heads = rows.headers().map_err(|error| unreadable(error.to_string()))?;
                let heads = heads.iter().map(str::to_owned).collect();
                let rows = Box::new(rows.into_records());
                Ok(Self::Tsv { file: path.to_owned(), rows, heads, shared: HashMap::new() })
            }
            Kind::Parquet => {
                let opened = fs::File::open(path)?.into_parts().0;
                let rows = guarded(|| SerializedFileReader::new(opened)).map_err(unreadable)?;
                if rows.metadata().file_metadata().num_rows() < 0 {
                    return Err(unreadable("it counts its rows below zero".to_owned()));
                }
                Ok(Self::Parquet { file, rows: Box::new(rows.into_iter()), number: 0 })
            }
            Kind::TfRecord => {
                let records = TfRecords::open(path)?.enumerate();
                Ok(Self::Examples { file: path.to_owned(), records })
            }
        }
    }
}

/// Reads something of a Parquet file; its library may give up on a broken one in the middle of it.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("the file is broken".to_owned()),
    }
}

/// Opens a file, unpacked if its name says that it is packed.
fn reader(path: &Path) -> Result<Box<dyn Read>, ImportError> {
    let file = BufReader::new(fs::File::open(path)?);
    let packed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    Ok(if packed { Box::new(MultiGzDecoder::new(file).take(MAX_UNPACKED)) } else { Box::new(file) })
}

impl Iterator for Records {
    type Item = Result<Record, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Whole { file, values } => {
                let (index, value) = values.next()?;
                let place = format!("{file}, record {}", index + 1);
                Some(object(value, place))
            }
            Self::Lines(lines, file) => match lines.next()? {
                Err(error) => Some(Err(error.into())),
                Ok((_, line, _)) if line.iter().all(u8::is_ascii_whitespace) => self.next(),
                Ok((number, line, _)) => {
                    let place = format!("{file}, line {number}");
                    let value =
                        serde_json::from_slice(&line).map_err(|error| lines.bad(&error).into());
                    Some(value.and_then(|value| object(value, place)))
                }
            },
            Self::Tsv { file, rows, heads, shared } => {
                let row = rows.next()?;
                let unreadable =
                    |problem: String| ImportError::Unreadable { path: file.clone(), problem };
                Some(row.map_err(|error| unreadable(error.to_string())).and_then(|row| {
                    let line = row.position().map_or(0, csv::Position::line);
                    let place = format!("{}, line {line}", file.display());
                    let fields = heads.iter().cloned().zip(row.iter().map(str::to_owned));
                    cells(fields.collect(), shared, place).map_err(unreadable)
                }))
            }
            Self::Parquet { file, rows, number } => {
                *number += 1;
                let place = format!("{file}, row {number}");
                let row = guarded(|| rows.next().transpose()).transpose()?;
                let row = row.map_err(|problem| ImportError::Unreadable {
                    path: PathBuf::from(&*file),
                    problem: format!("row {number}: {problem}"),
                });
                Some(row.map(|row| {
                    let mut picture = None;
                    let columns = row.into_columns();
                    let fields = columns
                        .into_iter()
                        .map(|(name, field)| (name, value_of(field, &mut picture)))
                        .collect();
                    Record { place, fields, picture, example: None }
                }))
            }
            Self::Examples { file, records } => {
                let (index, bytes) = records.next()?;
                let example = bytes.and_then(|bytes| Example::read(&bytes));
                let problem = |problem| ImportError::Unreadable {
                    path: file.clone(),
                    problem: format!("record {}: {problem}", index + 1),
                };
                Some(example.map_err(problem).map(|example| Record {
                    place: format!("{}, record {}", file.display(), index + 1),
                    fields: Map::new(),
                    picture: None,
                    example: Some(example),
                }))
            }
        }
    }
}

fn object(value: Value, place: String) -> Result<Record, ImportError> {
    match value {
        Value::Object(fields) => Ok(Record { place, fields, picture: None, example: None }),
        _ => Err(ImportError::Unreadable {
            path: PathBuf::from(place),
            problem: "it is no object".to_owned(),
        }),
    }
}

/// Makes a record of the cells of a table: `image` is a picture in base64, or the index of the record
/// that has it; all else that reads as JSON is that, and the rest are words.
fn cells(
    cells: Vec<(String, String)>,
    shared: &mut HashMap<String, Vec<u8>>,
    place: String,
) -> Result<Record, String> {
    let index = cells.iter().find(|(head, _)| head == "index").map(|(_, cell)| cell.clone());
    let mut picture = None;
    let mut fields = Map::new();
    for (head, cell) in cells {
        if head != "image" {
            let listed = cell.starts_with('[').then(|| serde_json::from_str(&cell).ok()).flatten();
            fields.insert(head, listed.unwrap_or(Value::String(cell)));
        } else if cell.len() <= SHORTEST_PICTURE {
            let shown = shared.get(&cell).cloned();
            picture = Some(shown.ok_or(format!("{place}: no record `{cell}` has a picture"))?);
        } else {
            let bytes = STANDARD.decode(&cell);
            let bytes = bytes.map_err(|error| format!("{place}: `image` is no base64: {error}"))?;
            if let Some(index) = &index {
                shared.insert(index.clone(), bytes.clone());
            }
            picture = Some(bytes);
        }
    }
    Ok(Record { place, fields, picture, example: None })
}

/// Returns a cell of a Parquet file as JSON; the bytes in it are taken for the picture.
fn value_of(field: Field, picture: &mut Option<Vec<u8>>) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => value.into(),
        Field::Byte(value) => value.into(),
        Field::Short(value) => value.into(),
        Field::Int(value) => value.into(),
        Field::Long(value) => value.into(),
        Field::UByte(value) => value.into(),
        Field::UShort(value) => value.into(),
        Field::UInt(value) => value.into(),
        Field::ULong(value) => value.into(),
        Field::Float(value) => f64::from(value).into(),
        Field::Double(value) => value.into(),
        Field::Str(text) => text.into(),
        Field::Bytes(bytes) => {
            *picture = Some(bytes.data().to_vec());
            Value::Null
        }
        Field::Group(row) => {
            let columns = row.into_columns().into_iter();
            Value::Object(columns.map(|(name, field)| (name, value_of(field, picture))).collect())
        }
        Field::ListInternal(list) => Value::Array(
            list.elements().iter().cloned().map(|field| value_of(field, picture)).collect(),
        ),
        other => Value::String(other.to_string()),
    }
}
