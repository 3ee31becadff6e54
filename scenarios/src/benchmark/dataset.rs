//! A set that was imported: a folder with its items, and a file that says what they are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::item::Item;
use super::lines::{LineError, Lines};
use crate::files::{MAX_BYTES, read_text, replace};

/// What the form of a dataset's files is called.
const FORMAT: u32 = 1;

/// The name of the file that says what a folder is.
const ABOUT: &str = "dataset.json";

/// The name of the file with the items.
const ITEMS: &str = "items.jsonl";

/// How an annotation writes a box.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxForm {
    /// Left, top, right, bottom, in pixels.
    Corners,
    /// Left, top, width, height, in pixels.
    Extent,
    /// Left, top, right, bottom, in shares of the sides.
    UnitCorners,
}

/// What a folder holds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetInfo {
    /// The form of the files.
    pub format: u32,
    /// The set's name.
    pub name: String,
    /// What its annotations were read as.
    pub schema: String,
    /// The tag and the value that its items have, if not all were imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// How they write a box.
    pub boxes: BoxForm,
    /// The folder of the pictures; relative to this one, if it is.
    pub images: PathBuf,
    /// How many items there are.
    pub items: usize,
    /// The SHA-256 of the file with the items, in hexadecimal.
    pub sha256: String,
    /// The items that could not be judged and were left out because the user said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
}

/// A set that was imported.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Where it is.
    pub folder: PathBuf,
    /// What it is.
    pub info: DatasetInfo,
    /// Its items, in the set's own order.
    pub items: Vec<Item>,
    index: HashMap<String, usize>,
}

/// Why a dataset cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A line cannot be used.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The folder is not one.
    #[error("`{}` is not a dataset: {problem}", folder.display())]
    NotOne {
        /// The folder.
        folder: PathBuf,
        /// Why.
        problem: String,
    },
    /// The items are not those the folder says it has.
    #[error("`{}` was changed after it was imported", file.display())]
    Changed {
        /// The file with the items.
        file: PathBuf,
    },
}

impl DatasetError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(_) | Self::Line(_) => None,
            Self::NotOne { .. } => Some("make one with `handsight eval import`".to_owned()),
            Self::Changed { .. } => Some("import it again".to_owned()),
        }
    }
}

impl Dataset {
    /// Opens the dataset in a folder.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if it is none, or was changed since it was made.
    pub fn open(folder: &Path) -> Result<Self, DatasetError> {
        let refuse = |problem: String| DatasetError::NotOne { folder: folder.to_owned(), problem };
        let text = match read_text(&folder.join(ABOUT), MAX_BYTES) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refuse(format!("it has no {ABOUT}")));
            }
            text => text?,
        };
        let info: DatasetInfo = serde_json::from_str(&text)
            .map_err(|error| refuse(format!("{ABOUT} cannot be read: {error}")))?;
        if info.format != FORMAT {
            return Err(refuse(format!("its form is {}, not {FORMAT}", info.format)));
        }
        let file = folder.join(ITEMS);
        let mut lines = Lines::open(&file)?;
        let mut hasher = Sha256::new();
        let mut items: Vec<Item> = Vec::new();
        let mut index = HashMap::new();
        while let Some(line) = lines.next() {
            let (_, line, whole) = line?;
            hasher.update(&line);
            if whole {
                hasher.update(b"\n");
            }
            let item: Item = serde_json::from_slice(&line).map_err(|error| lines.bad(&error))?;
            if let Some(problem) = item.problem() {
                return Err(lines.bad(&format!("item `{}`: {problem}", item.id)).into());
            }
            if index.insert(item.id.clone(), items.len()).is_some() {
                return Err(lines.bad(&format!("there are two items `{}`", item.id)).into());
            }
            items.push(item);
        }
        if format!("{:x}", hasher.finalize()) != info.sha256 || items.len() != info.items {
            return Err(DatasetError::Changed { file });
        }
        Ok(Self { folder: folder.to_owned(), info, items, index })
    }

    /// Writes a dataset; what was in the folder under the same names is replaced.
    pub(super) fn write(
        folder: &Path,
        mut info: DatasetInfo,
        items: &[Item],
    ) -> Result<(), DatasetError> {
        fs::create_dir_all(folder)?;
        let mut text = Vec::new();
        for item in items {
            serde_json::to_writer(&mut text, item).map_err(std::io::Error::from)?;
            text.push(b'\n');
        }
        info.format = FORMAT;
        info.items = items.len();
        info.sha256 = format!("{:x}", Sha256::digest(&text));
        replace(&folder.join(ITEMS), &text)?;
        let mut about = serde_json::to_string_pretty(&info).map_err(std::io::Error::from)?;
        about.push('\n');
        replace(&folder.join(ABOUT), about.as_bytes())?;
        Ok(())
    }

    /// Returns the item of an id, and its place in the set's order.
    pub fn find(&self, id: &str) -> Option<(usize, &Item)> {
        let at = *self.index.get(id)?;
        Some((at, self.items.get(at)?))
    }

    /// Returns the file of an item's picture.
    pub fn picture(&self, item: &Item) -> PathBuf {
        self.folder.join(&self.info.images).join(&item.image)
    }
}
