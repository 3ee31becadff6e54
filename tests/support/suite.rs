//! The shipped scenarios, run on a virtual display with eyes that are named: the embedded checkpoint's,
//! or those of a person who said where each target is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use fs_err as fs;
use handsight_actions::{Device, PixelPoint};
use handsight_agent::policy::model::ModelPolicy;
use handsight_agent::{CancelFlag, PromptProfile, ground};
use handsight_scenarios::{
    AnchorMode, Eyes, EyesError, Found, PictureFolder, Pursued, RunControls, RunOptions, Scenario,
    ScenarioResult, run_scenario,
};
use image::RgbImage;
use serde_json::Value;

use crate::xserver::XServer;

/// The display the shipped anchors were made on.
pub const SCREEN: &str = "1024x768x24";

/// Where the scenarios for desktops are.
pub fn desktop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/suites/desktop")
}

/// Returns the scenarios of a folder in the order in which they run.
///
/// # Errors
///
/// Fails if the folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_part = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'_');
        if path.extension().is_some_and(|extension| extension == "yaml") && !is_part {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Runs a scenario on a display; `pictures` is the folder for what was seen.
///
/// # Errors
///
/// Fails if it cannot be read, or its anchors cannot be read or written.
pub fn run(
    server: &XServer,
    path: &Path,
    anchors: AnchorMode,
    eyes: &mut dyn Eyes,
    pictures: &Path,
) -> Result<ScenarioResult> {
    let scenario = Scenario::open(path)?;
    let options = RunOptions {
        anchors,
        env: BTreeMap::from([
            ("DISPLAY".to_owned(), server.display().to_owned()),
            ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
        ]),
        ..RunOptions::default()
    };
    let mut device = server.device()?;
    let mut pictures = PictureFolder::new(pictures.to_owned());
    let controls = RunControls {
        device: &mut device,
        eyes,
        observer: &mut (),
        pictures: Some(&mut pictures),
        cancel: &CancelFlag::default(),
    };
    Ok(run_scenario(&scenario, &options, controls)?)
}

/// The embedded checkpoint, as `handsight scenario run` asks it.
pub struct EmbeddedEyes(pub ModelPolicy);

impl Eyes for EmbeddedEyes {
    fn find(&mut self, screen: &RgbImage, target: &str) -> Result<Option<Found>, EyesError> {
        let (profile, cancel) = (PromptProfile::embedded(), CancelFlag::default());
        let grounding = ground(self.0.model(), &profile, screen, target, &cancel)
            .map_err(|failed| refusal(failed.to_string()))?;
        Ok(grounding.found.then_some(Found { point: grounding.point, area: grounding.area }))
    }

    fn judge(&mut self, _: &RgbImage, _: &str) -> Result<f64, EyesError> {
        Err(refusal("the shipped suites ask for targets only"))
    }

    fn read(&mut self, _: &RgbImage, _: &str, _: &Value) -> Result<Value, EyesError> {
        Err(refusal("the shipped suites ask for targets only"))
    }

    fn pursue(&mut self, _: &mut dyn Device, _: &str, _: Duration) -> Result<Pursued, EyesError> {
        Err(refusal("the shipped suites ask for targets only"))
    }
}

/// A person's finger: where each target of one scenario is, in the order in which it is asked for.
pub struct Pointed {
    left: Vec<(String, PixelPoint)>,
}

impl Pointed {
    /// Returns what was pointed at for a scenario, by the name of its file.
    ///
    /// # Errors
    ///
    /// Fails if the list cannot be read, or has no such scenario.
    pub fn of(name: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/suites/pointed.json");
        let all: BTreeMap<String, Vec<(String, i32, i32)>> =
            serde_json::from_str(&fs::read_to_string(path)?)?;
        let list = all.get(name).with_context(|| format!("nobody pointed for {name}"))?;
        let left =
            list.iter().rev().map(|(target, x, y)| (target.clone(), PixelPoint { x: *x, y: *y }));
        Ok(Self { left: left.collect() })
    }
}

impl Eyes for Pointed {
    fn find(&mut self, _: &RgbImage, target: &str) -> Result<Option<Found>, EyesError> {
        let (expected, point) =
            self.left.pop().ok_or_else(|| refusal(format!("nobody pointed at {target}")))?;
        if expected != target {
            return Err(refusal(format!("{target} is asked for where {expected} was pointed at")));
        }
        Ok(Some(Found { point, area: None }))
    }

    fn judge(&mut self, _: &RgbImage, _: &str) -> Result<f64, EyesError> {
        Err(refusal("a finger judges nothing"))
    }

    fn read(&mut self, _: &RgbImage, _: &str, _: &Value) -> Result<Value, EyesError> {
        Err(refusal("a finger reads nothing"))
    }

    fn pursue(&mut self, _: &mut dyn Device, _: &str, _: Duration) -> Result<Pursued, EyesError> {
        Err(refusal("a finger pursues nothing"))
    }
}

fn refusal(message: impl Into<String>) -> EyesError {
    EyesError { message: message.into(), hint: None }
}
