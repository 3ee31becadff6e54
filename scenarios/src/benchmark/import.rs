//! From what a set is published as to a [`Dataset`](super::Dataset): every record becomes an item or a
//! problem with its place, and nothing is left out in silence.

mod agentnet;
mod android;
pub mod check;
mod episodes;
mod pictures;
mod records;
pub mod schema;
mod step;
mod tfrecord;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use handsight_agent::CancelFlag;

pub(crate) use self::android::{Level, Splits, control, wild};
use self::check::Check;
pub use self::check::Finding;
use self::episodes::Episodes;
use self::pictures::Pictures;
use self::records::Records;
use self::schema::Schema;
pub(super) use self::step::TAP;
pub(crate) use self::tfrecord::{Example, TfRecords};
use super::dataset::{Dataset, DatasetError, DatasetInfo};

/// How many folders deep annotations are looked for.
const DEEPEST: u32 = 4;

/// As many problems as are told one by one.
const MAX_TOLD: usize = 20;

/// How a set is imported.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// What the annotations are read as.
    pub schema: &'static Schema,
    /// The name it is to have; by default the schema's.
    pub name: Option<String>,
    /// The folder of the pictures; by default that of the annotations.
    pub images: Option<PathBuf>,
    /// Whether items that cannot be judged are left out, and named, instead of ending the import.
    pub drop_broken: bool,
    /// A tag and its value: only items with that are imported.
    pub only: Option<(String, String)>,
}

/// Why a set was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file could not be read or written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// There is nothing to read.
    #[error("`{}` has no {what}", path.display())]
    Nothing {
        /// The file or folder.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// A file is not of its kind, or of a kind that is not read.
    #[error("`{}` cannot be read: {problem}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// Some items cannot be judged.
    #[error("{} of {items} items cannot be judged", problems.len())]
    Broken {
        /// How many there are in all.
        items: usize,
        /// What is wrong, each with its place.
        problems: Vec<Finding>,
    },
    /// The user stopped it.
    #[error("interrupted")]
    Cancelled,
}

impl From<std::io::Error> for ImportError {
    fn from(error: std::io::Error) -> Self {
        Self::Dataset(error.into())
    }
}

impl From<super::lines::LineError> for ImportError {
    fn from(error: super::lines::LineError) -> Self {
        Self::Dataset(error.into())
    }
}

impl ImportError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Dataset(error) => error.hint(),
            Self::Nothing { .. } => Some(
                "name .json, .jsonl, .tsv or .parquet files (.gz too), TFRecords, or a folder with them"
                    .to_owned(),
            ),
            Self::Broken { .. } => Some(
                "choose the schema with `--as` that the annotations are written in, or leave them out \
                 with `--drop-broken`, which the dataset then says"
                    .to_owned(),
            ),
            Self::Unreadable { .. } | Self::Cancelled => None,
        }
    }

    /// Returns the details that stand below the message, the first of them.
    pub fn details(&self) -> Vec<String> {
        let Self::Broken { problems, .. } = self else { return Vec::new() };
        let mut lines: Vec<_> = problems.iter().take(MAX_TOLD).map(ToString::to_string).collect();
        if problems.len() > MAX_TOLD {
            lines.push(format!("and {} more", problems.len() - MAX_TOLD));
        }
        lines
    }
}

/// Reads annotations, checks them against their pictures, and writes a dataset to `out` unless it is
/// `None`; `on_item` is told how many were read.
///
/// # Errors
///
/// [`ImportError`]; nothing is written then.
pub fn import(
    sources: &[PathBuf],
    out: Option<&Path>,
    options: &ImportOptions,
    cancel: &CancelFlag,
    on_item: &mut dyn FnMut(usize),
) -> Result<Check, ImportError> {
    let schema = options.schema;
    let files = annotation_files(sources, schema)?;
    let beside = files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    let images = options.images.clone().unwrap_or_else(|| schema.images_beside(beside));
    let mut pictures = Pictures::new(images, out.map(Path::to_owned));
    let episodes = Episodes::of(schema, beside)?;
    let mut check = Check::new(schema);
    let mut items = Vec::new();
    let mut ids = HashSet::new();
    for file in &files {
        let mut number = 0;
        for record in Records::open(file, schema.has_a_file_each())? {
            if cancel.is_cancelled() {
                return Err(ImportError::Cancelled);
            }
            let record = record?;
            let place = record.place.clone();
            let records = episodes.items(record, file).unwrap_or_else(|problem| {
                check.broken(place, None, problem);
                Vec::new()
            });
            for record in records {
                let place = record.place.clone();
                let item =
                    schema.item(record, (file, number), options.only.as_ref(), &mut pictures);
                number += 1;
                match item {
                    Err(problem) => check.broken(place, None, problem),
                    Ok(None) => {}
                    Ok(Some(item)) => {
                        let problem = item.problem().or_else(|| {
                            let twice = !ids.insert(item.id.clone());
                            twice.then(|| "another item has the same id".to_owned())
                        });
                        if let Some(problem) = problem {
                            check.broken(place, Some(item.id), problem);
                        } else {
                            check.item(&place, &item);
                            items.push(item);
                        }
                    }
                }
                on_item(items.len());
            }
        }
    }
    let check = check.finish();
    if items.is_empty() && check.broken.is_empty() {
        let path = files.into_iter().next().unwrap_or_default();
        return Err(ImportError::Nothing { path, what: "items" });
    }
    if let Some(out) = out {
        if !check.broken.is_empty() && !options.drop_broken {
            let items = items.len() + check.broken.len();
            return Err(ImportError::Broken { items, problems: check.broken });
        }
        let dropped = check.broken.iter().map(Finding::name).collect();
        let info = DatasetInfo {
            format: 0,
            name: options.name.clone().unwrap_or_else(|| schema.name.to_owned()),
            schema: schema.name.to_owned(),
            only: options.only.as_ref().map(|(tag, value)| format!("{tag}={value}")),
            boxes: schema.boxes.form(),
            images: pictures.root(),
            items: 0,
            sha256: String::new(),
            dropped,
        };
        Dataset::write(out, info, &items)?;
        pictures.stay();
    }
    Ok(check)
}

/// Returns the files with annotations, those of folders and of what lies in them in the order of their names.
fn annotation_files(sources: &[PathBuf], schema: &Schema) -> Result<Vec<PathBuf>, ImportError> {
    let mut files = Vec::new();
    for source in sources {
        if !source.is_dir() {
            fs_err::metadata(source)?;
            files.push(source.clone());
            continue;
        }
        let mut found = Vec::new();
        search(source, schema, DEEPEST, &mut found)?;
        if found.is_empty() {
            let what = "annotations";
            return Err(ImportError::Nothing { path: source.clone(), what });
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// Looks for annotations in a folder; datasets and runs of ours are none.
fn search(
    folder: &Path,
    schema: &Schema,
    deeper: u32,
    found: &mut Vec<PathBuf>,
) -> Result<(), ImportError> {
    if ["dataset.json", "run.json"].iter().any(|name| folder.join(name).exists()) {
        return Ok(());
    }
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && deeper > 0 {
            search(&path, schema, deeper - 1, found)?;
        } else if path.is_file() && records::Kind::of(&path).is_some_and(|kind| schema.is_in(kind))
        {
            found.push(path);
        }
    }
    Ok(())
}
