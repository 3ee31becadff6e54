//! How a scenario is run, and what it acts on, asks and heeds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use handsight_actions::Device;
use handsight_agent::{CancelFlag, SettleOptions};
use serde_json::Value;

use crate::anchor::{AnchorError, Anchors};
use crate::eyes::Eyes;
use crate::report::pictures::PictureFolder;
use crate::result::{Status, StepResult};

/// What becomes of anchors.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AnchorMode {
    /// Targets are found by anchors; the model finds those that have none or have changed.
    #[default]
    Use,
    /// The model finds every target, and all anchors are made anew.
    Refresh,
    /// A target that its anchor does not find is a failure; no model is asked for it.
    Strict,
    /// There are no anchors.
    Off,
}

impl AnchorMode {
    /// Opens a folder of anchors, as far as they are used.
    pub(super) fn open(self, folder: PathBuf) -> Result<Anchors, AnchorError> {
        match self {
            Self::Use | Self::Strict => Anchors::open(folder),
            Self::Refresh | Self::Off => Ok(Anchors::empty(folder)),
        }
    }

    /// Writes what a run has made of anchors that were opened so.
    pub(super) fn save(self, mut anchors: Anchors, status: Status) -> Result<(), AnchorError> {
        let passed = matches!(status, Status::Passed | Status::Healed);
        if self == Self::Refresh
            && !passed
            && let Ok(others) = Anchors::open(anchors.folder().to_owned())
        {
            // What it did not come to is as good as it was.
            anchors.complete(others);
        }
        if anchors.is_changed() { anchors.save() } else { Ok(()) }
    }
}

/// How a scenario is run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// What becomes of anchors.
    pub anchors: AnchorMode,
    /// How long to wait for a still screen before acting or looking.
    pub settle: SettleOptions,
    /// How long a target may take to appear before the model is asked, and a check to hold.
    pub patience: Duration,
    /// What draws values, instead of the file's own seed.
    pub seed: Option<u64>,
    /// Steps with one of these tags are left out.
    pub skip_tags: BTreeSet<String>,
    /// Variables that replace those of the file.
    pub vars: BTreeMap<String, Value>,
    /// The environment: what scenarios see as `env`, and what programs they start are given.
    pub env: BTreeMap<String, String>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            anchors: AnchorMode::default(),
            settle: SettleOptions::default(),
            patience: Duration::from_secs(3),
            seed: None,
            skip_tags: BTreeSet::new(),
            vars: BTreeMap::new(),
            env: BTreeMap::new(),
        }
    }
}

/// Is told of a run as it happens.
pub trait RunObserver {
    /// A step begins; `depth` is how many steps it is within.
    fn step_started(&mut self, title: &str, depth: usize);

    /// A step ended.
    fn step_ended(&mut self, result: &StepResult, depth: usize);
}

/// Is told of nothing.
impl RunObserver for () {
    fn step_started(&mut self, _: &str, _: usize) {}

    fn step_ended(&mut self, _: &StepResult, _: usize) {}
}

/// What a scenario acts on, asks and heeds.
pub struct RunControls<'a> {
    /// The device.
    pub device: &'a mut dyn Device,
    /// The model, for what anchors and checks cannot tell.
    pub eyes: &'a mut dyn Eyes,
    /// Is told of every step.
    pub observer: &'a mut dyn RunObserver,
    /// Where screenshots are kept, if they are.
    pub pictures: Option<&'a mut PictureFolder>,
    /// Ends the run soon after it is set; teardown runs all the same.
    pub cancel: &'a CancelFlag,
}
