//! What became of several scenarios: JSON, `JUnit` XML and a summary in Markdown, for programs, CI
//! servers and the people who read them.

mod page;

use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::ReportError;
use crate::files::replace;
use crate::result::{ScenarioResult, Status, StepResult};

/// How many scenarios ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// All as it was.
    pub passed: usize,
    /// Passed after something was found again.
    pub healed: usize,
    /// Failed, or interrupted.
    pub failed: usize,
    /// How often a model was asked.
    pub model_calls: u64,
    /// How long they took together.
    pub seconds: f64,
}

impl Tally {
    /// Counts results.
    pub fn of(results: &[ScenarioResult]) -> Self {
        let mut tally = Self::default();
        for result in results {
            match result.status {
                Status::Passed => tally.passed += 1,
                Status::Healed => tally.healed += 1,
                Status::Failed | Status::Stopped => tally.failed += 1,
            }
            tally.model_calls += result.model_calls;
            tally.seconds += result.seconds;
        }
        tally
    }

    /// Returns how all of them ended together.
    pub fn status(self) -> Status {
        match self {
            Self { failed: 1.., .. } => Status::Failed,
            Self { healed: 1.., .. } => Status::Healed,
            _ => Status::Passed,
        }
    }
}

/// `3 passed, 1 healed, 0 failed, 2 model calls, 4.1 s`
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, healed, failed, model_calls, seconds } = self;
        let calls = if *model_calls == 1 { "call" } else { "calls" };
        write!(
            f,
            "{passed} passed, {healed} healed, {failed} failed, {model_calls} model {calls}, {seconds:.1} s"
        )
    }
}

/// The folder of the pictures within that of a report.
pub const PICTURES: &str = "pictures";

/// Writes `result.json`, `junit.xml`, `summary.md` and `report.html` into a folder; pictures that the
/// runs kept are in its folder [`PICTURES`].
///
/// # Errors
///
/// [`ReportError::Write`] if a file cannot be written.
pub fn write_suite(folder: &Path, results: &[ScenarioResult]) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write { source };
    fs::create_dir_all(folder).map_err(failed)?;
    let tally = Tally::of(results);
    let value = serde_json::json!({ "version": 1, "tally": tally, "scenarios": results });
    let json = serde_json::to_string_pretty(&value).map_err(|error| failed(error.into()))?;
    let html = page::render(results, &folder.join(PICTURES)).map_err(failed)?;
    let xml = junit(results).to_string();
    let xml = xml.map_err(|error| failed(std::io::Error::other(error)))?;
    let summary = markdown(tally, results);
    let files =
        [("result.json", json), ("junit.xml", xml), ("summary.md", summary), ("report.html", html)];
    for (name, text) in files {
        replace(&folder.join(name), text.as_bytes()).map_err(failed)?;
    }
    Ok(())
}

/// Returns a report in the format that CI servers read: one case for each scenario. A healed one has
/// passed, and says so in a property and in its output.
fn junit(results: &[ScenarioResult]) -> Report {
    let mut suite = TestSuite::new("handsight");
    for result in results {
        let status = match failure(result) {
            None if result.status == Status::Stopped => {
                let mut stopped = TestCaseStatus::non_success(NonSuccessKind::Error);
                stopped.set_message("interrupted");
                stopped
            }
            None => TestCaseStatus::success(),
            Some(step) => {
                let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let problem = step.problem.as_deref().unwrap_or_default();
                let place = format!("{}:{}", step.file.display(), step.line);
                failure.set_message(format!("{}: {problem}", step.title));
                failure.set_description(format!("{place}: {}: {problem}", step.id));
                failure
            }
        };
        let mut case = TestCase::new(result.scenario.clone(), status);
        case.set_classname(result.file.display().to_string());
        case.set_time(Duration::try_from_secs_f64(result.seconds).unwrap_or_default());
        case.add_property(Property::new("status", result.status.as_str()));
        case.add_property(Property::new("model_calls", result.model_calls.to_string()));
        let changes: Vec<&str> = changes(result).collect();
        if !changes.is_empty() {
            case.set_system_out(format!("healed: {}", changes.join("\nhealed: ")));
        }
        suite.add_test_case(case);
    }
    let mut report = Report::new("handsight");
    report.add_test_suite(suite);
    report
}

/// Returns the step that failed a scenario.
fn failure(result: &ScenarioResult) -> Option<&StepResult> {
    // Those within a step come after it, and say more.
    result.steps.iter().rev().find(|step| step.status == Status::Failed)
}

fn changes(result: &ScenarioResult) -> impl Iterator<Item = &str> {
    result.steps.iter().flat_map(|step| step.changes.iter().map(String::as_str))
}

fn markdown(tally: Tally, results: &[ScenarioResult]) -> String {
    let mut text = format!(
        "**{tally}**\n\n| scenario | status | s | model calls | |\n|---|---|---|---|---|\n"
    );
    for result in results {
        let about = failure(result)
            .map(|step| format!("{}: {}", step.title, step.problem.as_deref().unwrap_or_default()));
        let about = about.unwrap_or_else(|| changes(result).collect::<Vec<_>>().join("; "));
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {} | {} |",
            cell(&result.scenario),
            result.status.as_str(),
            result.seconds,
            result.model_calls,
            cell(&about)
        );
    }
    text
}

/// Returns a text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|").replace('<', "&lt;")
}
