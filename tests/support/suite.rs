//! The shipped scenarios, run where they belong with eyes that are named: the embedded checkpoint's,
//! those of a person who said where each target is, or a phone's own list of its views.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use fs_err as fs;
use handsight_actions::{
    AndroidDevice, AndroidOptions, Device, FakeAndroid, FakeAndroidOptions, Halt, PixelPoint,
};
use handsight_agent::{Controls, PromptProfile, SettleOptions};
use handsight_model::{CancelFlag, Engine};
use handsight_scenarios::{
    AnchorMode, Eyes, EyesError, Found, LazyModel, ModelEyes, PictureFolder, Pursued, RunControls,
    RunOptions, Scenario, ScenarioResult, run_scenario,
};
use image::RgbImage;
use serde_json::Value;

use crate::xserver::{XServer, fonts};

/// The display the anchors for desktops were made on.
pub const SCREEN: &str = "1024x768x24";

/// Scenarios for one kind of device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Suite {
    /// On a virtual display.
    Desktop,
    /// On the fake phone.
    Android,
}

impl Suite {
    /// Where its scenarios are.
    pub fn folder(self) -> PathBuf {
        let name = match self {
            Self::Desktop => "desktop",
            Self::Android => "android",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/suites").join(name)
    }
}

/// What a scenario is run on, as new.
pub enum Stage {
    /// A virtual display.
    Desktop(Box<XServer>),
    /// A fake phone.
    Android(FakeAndroid),
}

impl Stage {
    /// Starts what a suite is run on.
    ///
    /// # Errors
    ///
    /// Fails if it does not start.
    pub fn set(suite: Suite) -> Result<Self> {
        Ok(match suite {
            Suite::Desktop => Self::Desktop(Box::new(XServer::start_managed(SCREEN)?)),
            Suite::Android => Self::Android(FakeAndroid::start(&FakeAndroidOptions::default())?),
        })
    }

    fn device(&self) -> Result<Box<dyn Device>> {
        Ok(match self {
            Self::Desktop(server) => Box::new(server.device()?),
            Self::Android(phone) => Box::new(AndroidDevice::open(&AndroidOptions {
                serial: Some(format!("tcp:{}", phone.address())),
                ..AndroidOptions::default()
            })?),
        })
    }

    fn env(&self) -> BTreeMap<String, String> {
        let display = match self {
            Self::Desktop(server) => Some(("DISPLAY".to_owned(), server.display().to_owned())),
            Self::Android(_) => None,
        };
        let always = [
            ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
            ("FONTCONFIG_FILE".to_owned(), fonts().display().to_string()),
        ];
        display.into_iter().chain(always).collect()
    }

    /// Returns what knows where everything is, for a scenario by the name of its file.
    ///
    /// # Errors
    ///
    /// Fails if nobody pointed at its targets.
    pub fn knowing<'a>(&'a self, name: &str) -> Result<Box<dyn Eyes + 'a>> {
        Ok(match self {
            Self::Desktop(_) => Box::new(Pointed::of(name)?),
            Self::Android(phone) => Box::new(Views(phone)),
        })
    }

    /// Runs a scenario; `pictures` is the folder for what was seen.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read, or its anchors cannot be read or written.
    pub fn run(
        &self,
        path: &Path,
        anchors: AnchorMode,
        eyes: &mut dyn Eyes,
        pictures: &Path,
    ) -> Result<ScenarioResult> {
        let scenario = Scenario::open(path)?;
        let options = RunOptions { anchors, env: self.env(), ..RunOptions::default() };
        let mut device = self.device()?;
        let mut pictures = PictureFolder::new(pictures.to_owned());
        let controls = RunControls {
            device: &mut *device,
            eyes,
            observer: &mut (),
            pictures: Some(&mut pictures),
            cancel: &CancelFlag::default(),
        };
        Ok(run_scenario(&scenario, &options, controls)?)
    }
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

/// Returns the embedded checkpoint, as `handsight scenario run` asks it.
pub fn embedded() -> LazyModel<'static> {
    LazyModel::new(|| {
        let engine = Engine::embedded().map_err(|error| refusal(error.to_string()))?;
        Ok((Box::new(engine), PromptProfile::embedded()))
    })
}

/// Does something with the eyes of a model.
pub fn with_eyes<T>(model: &mut LazyModel<'_>, act: impl FnOnce(&mut dyn Eyes) -> T) -> T {
    let controls = Controls {
        observer: &mut (),
        user: &mut (),
        cancel: &CancelFlag::default(),
        halt: &Halt::default(),
    };
    act(&mut ModelEyes { model, settle: SettleOptions::default(), controls })
}

/// The rest of [`Eyes`]: the shipped suites ask for nothing but targets.
macro_rules! only_finds {
    () => {
        fn judge(&mut self, _: &RgbImage, _: &str) -> Result<f64, EyesError> {
            Err(refusal("only targets are found"))
        }

        fn read(&mut self, _: &RgbImage, _: &str, _: &Value) -> Result<Value, EyesError> {
            Err(refusal("only targets are found"))
        }

        fn pursue(
            &mut self,
            _: &mut dyn Device,
            _: &str,
            _: Duration,
        ) -> Result<Pursued, EyesError> {
            Err(refusal("only targets are found"))
        }
    };
}

/// A person's finger: where each target of one scenario is, in the order in which it is asked for.
struct Pointed {
    left: Vec<(String, PixelPoint)>,
}

impl Pointed {
    /// Returns what was pointed at for a scenario, by the name of its file.
    fn of(name: &str) -> Result<Self> {
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

    only_finds!();
}

/// The phone's own list of views, by their ids and texts.
struct Views<'a>(&'a FakeAndroid);

impl Eyes for Views<'_> {
    fn find(&mut self, _: &RgbImage, target: &str) -> Result<Option<Found>, EyesError> {
        let words = target.trim_start_matches("the ").trim_end_matches(" field");
        let id = words.to_lowercase().replace(' ', "_");
        let point = self.0.find(&id).or_else(|| self.0.find(words));
        Ok(point.map(|point| Found { point, area: None }))
    }

    only_finds!();
}

fn refusal(message: impl Into<String>) -> EyesError {
    EyesError { message: message.into(), hint: None }
}
