//! What a model wrote, line by line: a file that is only ever added to, and survives a kill.
//!
//! A line is whole or it is not there: a last line without its end is cut off when the file is opened to
//! go on. Each line names its run, so that one from elsewhere is found out. What took how long stands in
//! a second file, since it differs from run to run and the predictions do not.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use handsight_actions::{Rect, Size};
use serde::{Deserialize, Serialize};

use super::dataset::Dataset;
use super::lines::{LineError, Lines};
use super::run::Run;
use crate::files::replace;

/// The name of the file with the predictions.
pub const PREDICTIONS: &str = "predictions.jsonl";

/// The name of the file with what they took.
pub const TIMINGS: &str = "timings.jsonl";

/// What a model wrote about an item, or why there is nothing.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The run it is of.
    pub run: String,
    /// The item.
    pub id: String,
    /// What was written, look by look; one of all but zooming runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Look>,
    /// Where this program would click, if it asked in its own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click: Option<Click>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many tokens it took.
    #[serde(default)]
    pub tokens: Tokens,
}

/// One look at a picture, or at a part of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// What the model wrote, all of it.
    pub raw: String,
    /// The part that was looked at, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Rect>,
    /// The size it was shown at.
    pub resized: Size,
    /// The probability of exactly these digits, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// Where this program would click.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Click {
    /// In the middle of this pixel of the picture.
    At([f64; 2]),
    /// Nowhere: the model says that there is no such thing.
    Nowhere,
}

/// How many tokens an answer took.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Those of the prompt that stand for the picture.
    pub image: u64,
    /// Those of the prompt, the picture's included.
    pub prompt: u64,
    /// Those of the answer.
    pub output: u64,
}

/// What an answer took, in milliseconds.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// The item.
    pub id: String,
    /// Resizing and normalising the picture.
    pub preprocess_ms: f64,
    /// The vision tower.
    pub vision_ms: f64,
    /// The prompt.
    pub prefill_ms: f64,
    /// The answer.
    pub decode_ms: f64,
    /// All of it, as the clock on the wall has it.
    pub total_ms: f64,
}

/// Why a run cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictionError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A line cannot be used.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The folder is none of a run.
    #[error("`{}` is not a run: {problem}", folder.display())]
    NotARun {
        /// The folder.
        folder: PathBuf,
        /// Why.
        problem: String,
    },
    /// The folder has another run.
    #[error("`{}` has run {theirs}, and this is run {ours}: they differ in {differences}", folder.display())]
    AnotherRun {
        /// The folder.
        folder: PathBuf,
        /// The run that is there.
        theirs: String,
        /// The run that was to go on.
        ours: String,
        /// What they differ in.
        differences: String,
    },
    /// Somebody else writes there.
    #[error("another process writes to `{}`", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// It is not the items' fault that there are no answers.
    #[error("{count} items in a row ended in an error, the last: {last}")]
    TooManyErrors {
        /// How many.
        count: usize,
        /// Why the last of them did.
        last: String,
    },
    /// The dataset is not the one that was asked about.
    #[error("run {run} is about other items than the dataset `{}` has", folder.display())]
    AnotherDataset {
        /// The run.
        run: String,
        /// The folder of the dataset.
        folder: PathBuf,
    },
}

impl PredictionError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(_) | Self::Line(_) => None,
            Self::NotARun { .. } => Some("make one with `handsight eval infer`".to_owned()),
            Self::AnotherRun { .. } => {
                Some("give the new run a folder of its own, or ask as the first one did".to_owned())
            }
            Self::Busy { .. } => Some("wait for it, or end it".to_owned()),
            Self::TooManyErrors { .. } => {
                Some("mend that, and go on with the same command and `--retry-errors`".to_owned())
            }
            Self::AnotherDataset { .. } => {
                Some("name the dataset that was asked about with `--dataset`".to_owned())
            }
        }
    }
}

/// The newest prediction of each item, by its place in the dataset.
pub type Predictions = BTreeMap<usize, Prediction>;

/// Reads the predictions of a run.
///
/// # Errors
///
/// [`PredictionError`] if a line is not one, is of another run, or is about an item that the dataset does
/// not have. A torn last line is not there.
pub fn read_predictions(run: &Run, dataset: &Dataset) -> Result<Predictions, PredictionError> {
    Ok(read(&run.folder.join(PREDICTIONS), &run.manifest.id(), dataset)?.0)
}

/// Reads what the predictions of a run took; nothing if it was not kept.
///
/// # Errors
///
/// [`PredictionError`] if a line is not one.
pub fn read_timings(run: &Run) -> Result<BTreeMap<String, Timing>, PredictionError> {
    let path = run.folder.join(TIMINGS);
    let mut timings = BTreeMap::new();
    if !path.exists() {
        return Ok(timings);
    }
    let mut lines = Lines::open(&path)?;
    while let Some(line) = lines.next() {
        let (_, line, whole) = line?;
        if whole {
            let timing: Timing =
                serde_json::from_slice(&line).map_err(|error| lines.bad(&error))?;
            timings.insert(timing.id.clone(), timing);
        }
    }
    Ok(timings)
}

/// Reads a file of predictions, and how many of its bytes are whole lines.
fn read(path: &Path, run: &str, dataset: &Dataset) -> Result<(Predictions, u64), PredictionError> {
    let mut predictions = Predictions::new();
    let mut whole_bytes = 0;
    if !path.exists() {
        return Ok((predictions, 0));
    }
    let mut lines = Lines::open(path)?;
    while let Some(line) = lines.next() {
        let (_, line, whole) = line?;
        if !whole {
            break;
        }
        let prediction: Prediction =
            serde_json::from_slice(&line).map_err(|error| lines.bad(&error))?;
        if prediction.run != run {
            let other = prediction.run;
            return Err(lines.bad(&format!("it is of run {other}, not of {run}")).into());
        }
        let Some((at, _)) = dataset.find(&prediction.id) else {
            let id = prediction.id;
            return Err(lines.bad(&format!("the dataset has no item `{id}`")).into());
        };
        predictions.insert(at, prediction);
        whole_bytes += line.len() as u64 + 1;
    }
    Ok((predictions, whole_bytes))
}

/// The one writer of a run's predictions.
#[derive(Debug)]
pub struct PredictionLog {
    folder: PathBuf,
    predictions: fs::File,
    timings: fs::File,
    /// Holds the lock.
    _lock: std::fs::File,
}

impl PredictionLog {
    /// Opens the files of a run to go on, and returns what is there.
    ///
    /// # Errors
    ///
    /// [`PredictionError::Busy`] if another process writes there, or what [`read_predictions`] has.
    pub fn open(run: &Run, dataset: &Dataset) -> Result<(Self, Predictions), PredictionError> {
        let lock = fs::File::open(run.about())?.into_parts().0;
        if lock.try_lock().is_err() {
            return Err(PredictionError::Busy { folder: run.folder.clone() });
        }
        let path = run.folder.join(PREDICTIONS);
        let (there, whole) = read(&path, &run.manifest.id(), dataset)?;
        let append = |name: &str| {
            fs::OpenOptions::new().create(true).append(true).open(run.folder.join(name))
        };
        let predictions = append(PREDICTIONS)?;
        predictions.file().set_len(whole)?;
        let timings = append(TIMINGS)?;
        cut_torn_line(&run.folder.join(TIMINGS), &timings)?;
        let log = Self { folder: run.folder.clone(), predictions, timings, _lock: lock };
        Ok((log, there))
    }

    /// Adds a prediction, and waits until it is on the disk.
    ///
    /// # Errors
    ///
    /// What the operating system said.
    pub fn add(&mut self, prediction: &Prediction, timing: &Timing) -> std::io::Result<()> {
        let line = |value: Vec<u8>| [value, b"\n".to_vec()].concat();
        self.timings.write_all(&line(serde_json::to_vec(timing)?))?;
        self.predictions.write_all(&line(serde_json::to_vec(prediction)?))?;
        self.predictions.sync_data()
    }

    /// Puts the lines in the dataset's order, each item once: the same bytes whatever the run went
    /// through.
    ///
    /// # Errors
    ///
    /// What the operating system said.
    pub fn finish(self, predictions: &Predictions) -> std::io::Result<()> {
        write(&self.folder.join(PREDICTIONS), predictions)
    }
}

/// Writes predictions in the dataset's order.
pub(super) fn write(path: &Path, predictions: &Predictions) -> std::io::Result<()> {
    let mut text = Vec::new();
    for prediction in predictions.values() {
        serde_json::to_writer(&mut text, prediction)?;
        text.push(b'\n');
    }
    replace(path, &text)
}

/// Cuts off a last line that has no end.
fn cut_torn_line(path: &Path, file: &fs::File) -> std::io::Result<()> {
    let bytes = fs::read(path)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole == bytes.len() { Ok(()) } else { file.file().set_len(whole as u64) }
}
