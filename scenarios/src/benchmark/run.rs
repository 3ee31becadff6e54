//! What a run's figures depend on, and the folder it is in.

use std::path::{Path, PathBuf};

use fs_err as fs;
use handsight_actions::Size;
use handsight_agent::{AskOptions, Counts};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::prediction::PredictionError;
use crate::files::{MAX_BYTES, read_text, replace};

/// What the form of a run's files is called.
const FORMAT: u32 = 1;

/// The name of the file that says what a run is.
const ABOUT: &str = "run.json";

/// The name under which [`ground`](handsight_agent::ground) is a prompt.
pub const OWN_PROMPT: &str = "handsight";

/// Everything a run's figures depend on.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RunManifest {
    /// The form of the files.
    pub format: u32,
    /// Which items were asked about.
    pub dataset: DatasetRef,
    /// Who was asked.
    pub model: ModelRef,
    /// How.
    pub prompt: PromptRef,
    /// What of asking is not the prompt's.
    pub ask: AskOptions,
    /// How large pictures of some sizes are shown: (width, height) as they are, and resized. It pins the
    /// frame, whatever a checkpoint's own configuration says.
    pub frames: Vec<(Size, Size)>,
    /// How many times closer a second look is, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zoom: Option<f64>,
    /// The version of this program.
    pub build: String,
}

/// Which items were asked about.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetRef {
    /// The set's name.
    pub name: String,
    /// The SHA-256 of its items.
    pub sha256: String,
    /// How many of them a run is about: all, or the first so many.
    pub items: usize,
    /// Where it was; the run does not depend on it.
    pub folder: PathBuf,
}

/// Who was asked.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRef {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its weights; `None` of a server's.
    pub sha256: Option<String>,
    /// How many parameters it has, if that is known.
    pub parameters: Option<u64>,
    /// How it was loaded: dtype, quantisation and so on.
    pub loaded: Map<String, Value>,
}

/// How a model was asked.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PromptRef {
    /// The name of the prompt.
    pub name: String,
    /// The SHA-256 of its file; of what this program does itself, `None`.
    pub sha256: Option<String>,
    /// What the numbers of its answers count.
    pub counts: Counts,
    /// Whether it asks for the call of a function.
    pub calls: bool,
}

/// Sizes whose resized sizes pin the frame: a laptop, a monitor, 4K, a phone, a small window.
pub const PROBES: [Size; 5] = [
    Size { width: 1280, height: 720 },
    Size { width: 2560, height: 1440 },
    Size { width: 3840, height: 2160 },
    Size { width: 1080, height: 2400 },
    Size { width: 320, height: 240 },
];

impl RunManifest {
    /// Makes a manifest of its parts.
    pub fn new(
        dataset: DatasetRef,
        model: ModelRef,
        prompt: PromptRef,
        ask: AskOptions,
        frames: Vec<(Size, Size)>,
        zoom: Option<f64>,
    ) -> Self {
        let build = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, dataset, model, prompt, ask, frames, zoom, build }
    }

    /// Returns the run's name: the beginning of the hash of everything it depends on.
    pub fn id(&self) -> String {
        let mut pinned = self.clone();
        pinned.dataset.folder = PathBuf::new();
        let text = serde_json::to_vec(&pinned).unwrap_or_default();
        format!("{:x}", Sha256::digest(text)).chars().take(12).collect()
    }

    /// Returns the names of what two runs differ in.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let frames = self.frames != other.frames;
        [
            ("dataset", self.dataset.sha256 != other.dataset.sha256),
            ("number of items", self.dataset.items != other.dataset.items),
            ("model", self.model != other.model),
            ("prompt", self.prompt != other.prompt),
            ("options of asking", self.ask != other.ask),
            ("frame", frames),
            ("zoom", self.zoom != other.zoom),
            ("version of handsight", self.build != other.build),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// A run's folder.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where it is.
    pub folder: PathBuf,
    /// What it is.
    pub manifest: RunManifest,
}

impl Run {
    /// Opens a run that there is.
    ///
    /// # Errors
    ///
    /// [`PredictionError`] if there is none.
    pub fn open(folder: &Path) -> Result<Self, PredictionError> {
        let refuse =
            |problem: String| PredictionError::NotARun { folder: folder.to_owned(), problem };
        let text = match read_text(&folder.join(ABOUT), MAX_BYTES) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refuse(format!("it has no {ABOUT}")));
            }
            text => text?,
        };
        let manifest: RunManifest = serde_json::from_str(&text)
            .map_err(|error| refuse(format!("{ABOUT} cannot be read: {error}")))?;
        if manifest.format != FORMAT {
            return Err(refuse(format!("its form is {}, not {FORMAT}", manifest.format)));
        }
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// Opens the folder of a run, or makes it.
    ///
    /// # Errors
    ///
    /// [`PredictionError::AnotherRun`] if the folder has another run.
    pub fn begin(folder: &Path, manifest: RunManifest) -> Result<Self, PredictionError> {
        match Self::open(folder) {
            Ok(there) if there.manifest.id() == manifest.id() => Ok(there),
            Ok(there) => Err(PredictionError::AnotherRun {
                folder: folder.to_owned(),
                theirs: there.manifest.id(),
                ours: manifest.id(),
                differences: there.manifest.differences(&manifest).join(", "),
            }),
            Err(PredictionError::NotARun { .. }) if !folder.join(ABOUT).exists() => {
                fs::create_dir_all(folder)?;
                let mut text =
                    serde_json::to_string_pretty(&manifest).map_err(std::io::Error::from)?;
                text.push('\n');
                replace(&folder.join(ABOUT), text.as_bytes())?;
                Ok(Self { folder: folder.to_owned(), manifest })
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the file that a writer locks.
    pub(super) fn about(&self) -> PathBuf {
        self.folder.join(ABOUT)
    }
}
