//! What became of a scenario and its steps: a format, for programs and reports.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::pictures::Picture;
use crate::scenario::Scenario;

/// What became of one run of a scenario.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ScenarioResult {
    /// What it shows.
    pub scenario: String,
    /// Its file.
    pub file: PathBuf,
    /// Words to choose it by.
    pub tags: Vec<String>,
    /// On which device.
    #[serde(default)]
    pub device: String,
    /// What the devices beside it were, by the names that the scenario has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, String>,
    /// Which of its runs this is, from 1.
    #[serde(default = "first")]
    pub run: u32,
    /// How it ended.
    pub status: Status,
    /// Whether it has both passed and failed under these very conditions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flaky: bool,
    /// Stands for all that a run is given, such as the text of its files, its variables, its anchors and
    /// its device: runs with the same have equal conditions.
    #[serde(default)]
    pub conditions: String,
    /// What its values were drawn by, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The variables whose values were drawn.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drawn: BTreeMap<String, Value>,
    /// How long it took.
    pub seconds: f64,
    /// How often a model was asked.
    pub model_calls: u64,
    /// Its steps in the order in which they ran, each with those within it after it.
    pub steps: Vec<StepResult>,
}

fn first() -> u32 {
    1
}

/// What became of a step.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct StepResult {
    /// Where it is among the steps: `steps[2].then[0]`.
    pub id: String,
    /// Its file and line.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: u64,
    /// What it is called.
    pub title: String,
    /// How it ended.
    pub status: Status,
    /// How long it took, retries included.
    pub seconds: f64,
    /// By what its targets were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found_by: Vec<FoundBy>,
    /// What had changed about its targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// What was on the screen when a target was found, or when the step failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<Picture>,
    /// What was on the screen once it had acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Picture>,
    /// What went wrong, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What can be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ScenarioResult {
    /// Makes the result of a run that could not begin: it has failed.
    pub fn not_begun(scenario: &Scenario, problem: String, hint: Option<String>) -> Self {
        let step = StepResult {
            status: Status::Failed,
            problem: Some(problem),
            hint,
            ..StepResult::begun("run".to_owned(), scenario.path.clone(), 1, "begin".to_owned())
        };
        Self {
            scenario: scenario.title.clone(),
            file: scenario.path.clone(),
            tags: scenario.tags.clone(),
            device: String::new(),
            devices: BTreeMap::new(),
            run: 1,
            status: Status::Failed,
            flaky: false,
            conditions: String::new(),
            seed: None,
            drawn: BTreeMap::new(),
            seconds: 0.0,
            model_calls: 0,
            steps: vec![step],
        }
    }

    /// Returns the step that failed it, if one did.
    pub(crate) fn failure(&self) -> Option<&StepResult> {
        // Those within a step come after it, and say more.
        self.steps.iter().rev().find(|step| step.status == Status::Failed)
    }

    /// Returns what was drawn, for people: `seed 7: who = "Bo"`.
    pub fn drawn_line(&self) -> Option<String> {
        let values: Vec<String> =
            self.drawn.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        self.seed.map(|seed| format!("seed {seed}: {}", values.join(", ")))
    }

    /// Returns on which devices it ran, for people: `desktop :0, phone: android A`.
    pub(crate) fn devices_line(&self) -> String {
        let others = self.devices.iter().map(|(name, device)| format!("{name}: {device}"));
        std::iter::once(self.device.clone()).chain(others).collect::<Vec<_>>().join(", ")
    }

    /// Returns how often a model was asked, for people: `no model call`.
    pub fn calls_line(&self) -> String {
        match self.model_calls {
            0 => "no model call".to_owned(),
            1 => "1 model call".to_owned(),
            calls => format!("{calls} model calls"),
        }
    }

    /// Returns what had changed about its targets.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().flat_map(|step| step.changes.iter().map(String::as_str))
    }
}

impl StepResult {
    /// A step that has nothing to tell yet.
    pub(crate) fn begun(id: String, file: PathBuf, line: u64, title: String) -> Self {
        Self {
            id,
            file,
            line,
            title,
            status: Status::Passed,
            seconds: 0.0,
            found_by: Vec::new(),
            changes: Vec::new(),
            pictures: Vec::new(),
            after: None,
            problem: None,
            hint: None,
        }
    }
}

/// How a scenario or a step ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All was as remembered, or nothing had been remembered yet.
    Passed,
    /// A target had changed; the model found it again, and what was checked afterwards held.
    Healed,
    /// It passed and failed under equal conditions; only of a scenario that ran several times.
    Flaky,
    /// Something did not hold, or could not be done.
    Failed,
    /// It was interrupted.
    Stopped,
    /// It was left out, for one of its tags; only of a step.
    Skipped,
}

/// By what a target was found.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// By its pixels.
    Anchor,
    /// By the model.
    Model,
    /// It is a point.
    Point,
}

impl Status {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Healed => "healed",
            Self::Flaky => "flaky",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Skipped => "skipped",
        }
    }
}
