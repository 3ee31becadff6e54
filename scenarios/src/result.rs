//! What became of a scenario and its steps: a format, for programs and reports.

use std::path::PathBuf;

use serde::Serialize;

use crate::report::pictures::Picture;

/// What became of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioResult {
    /// What it shows.
    pub scenario: String,
    /// Its file.
    pub file: PathBuf,
    /// Words to choose it by.
    pub tags: Vec<String>,
    /// How it ended.
    pub status: Status,
    /// How long it took.
    pub seconds: f64,
    /// How often a model was asked.
    pub model_calls: u64,
    /// Its steps in the order in which they ran, each with those within it after it.
    pub steps: Vec<StepResult>,
}

/// What became of a step.
#[derive(Clone, Debug, Serialize)]
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub found_by: Vec<FoundBy>,
    /// What had changed about its targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// What was on the screen when a target was found, or when the step failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<Picture>,
    /// What went wrong, if something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
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
            problem: None,
            hint: None,
        }
    }
}

/// How a scenario or a step ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All was as remembered, or nothing had been remembered yet.
    Passed,
    /// A target had changed; the model found it again, and what was checked afterwards held.
    Healed,
    /// Something did not hold, or could not be done.
    Failed,
    /// It was interrupted.
    Stopped,
}

/// By what a target was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
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
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}
