//! What became of several scenarios: JSON, `JUnit` XML and a summary in Markdown, for programs, CI
//! servers and the people who read them.

mod page;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use quick_junit::{
    NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use super::ReportError;
use crate::files::replace;
use crate::result::{ScenarioResult, Status};
use crate::suite::{RESULT_FILE, Runs, SuiteResult, by_scenario};

/// The folder of the pictures within that of a report.
pub const PICTURES: &str = "pictures";

/// Writes `result.json`, `junit.xml`, `summary.md` and `report.html` into a folder; pictures that the
/// runs kept are in its folder [`PICTURES`].
///
/// # Errors
///
/// [`ReportError::Write`] if a file cannot be written.
pub fn write_suite(folder: &Path, suite: &SuiteResult) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write { source };
    fs::create_dir_all(folder).map_err(failed)?;
    for (name, text) in texts(suite, &folder.join(PICTURES))? {
        replace(&folder.join(name), text.as_bytes()).map_err(failed)?;
    }
    Ok(())
}

/// Returns the files of a report, with the pictures in this folder.
pub(crate) fn texts(
    suite: &SuiteResult,
    pictures: &Path,
) -> Result<[(&'static str, String); 4], ReportError> {
    let failed = |source| ReportError::Write { source };
    let json = serde_json::to_string_pretty(suite).map_err(|error| failed(error.into()))?;
    let xml = junit(&suite.scenarios).to_string();
    let xml = xml.map_err(|error| failed(std::io::Error::other(error)))?;
    let html = page::render(suite, pictures).map_err(failed)?;
    Ok([
        (RESULT_FILE, json),
        ("junit.xml", xml),
        ("summary.md", markdown(suite)),
        ("report.html", html),
    ])
}

/// Copies the pictures of a suite from the folder of its report into that of another.
///
/// # Errors
///
/// [`ReportError::Write`] if one that is there cannot be copied.
pub fn copy_pictures(suite: &SuiteResult, from: &Path, to: &Path) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write { source };
    let (from, to) = (from.join(PICTURES), to.join(PICTURES));
    fs::create_dir_all(&to).map_err(failed)?;
    for picture in page::pictures_of(&suite.scenarios) {
        let (from, to) = (from.join(&picture.file), to.join(&picture.file));
        if from.is_file() && !to.exists() {
            fs::copy(from, to).map_err(failed)?;
        }
    }
    Ok(())
}

/// Returns a report in the format that CI servers read: one case for each scenario. A healed one has
/// passed, and says so in a property and in its output; a flaky one has not.
fn junit(results: &[ScenarioResult]) -> Report {
    let mut suite = TestSuite::new("handsight");
    for runs in by_scenario(results) {
        let (first, status) = (runs.first(), runs.status());
        let mut case = TestCase::new(first.scenario.clone(), case_status(&runs));
        case.set_classname(first.file.display().to_string());
        case.set_time(Duration::try_from_secs_f64(runs.seconds()).unwrap_or_default());
        case.add_property(Property::new("status", status.as_str()));
        case.add_property(Property::new("model_calls", runs.model_calls().to_string()));
        case.add_property(Property::new("device", first.devices_line()));
        if let Some(seed) = first.seed {
            case.add_property(Property::new("seed", seed.to_string()));
        }
        if runs.all().len() > 1 {
            case.add_property(Property::new("runs", runs.all().len().to_string()));
            case.add_property(Property::new("runs_passed", runs.passed().to_string()));
        }
        let changes: Vec<&str> = runs.all().iter().flat_map(|run| run.changes()).collect();
        if !changes.is_empty() {
            case.set_system_out(format!("healed: {}", changes.join("\nhealed: ")));
        }
        suite.add_test_case(case);
    }
    let mut report = Report::new("handsight");
    report.add_test_suite(suite);
    report
}

/// Returns how a case ended: by the first run that failed, with those that failed besides it.
fn case_status(runs: &Runs<'_>) -> TestCaseStatus {
    let mut failed = runs.all().iter().filter_map(|run| Some((run, run.failure()?)));
    let Some((_, step)) = failed.next() else {
        if runs.status() == Status::Stopped {
            let mut stopped = TestCaseStatus::non_success(NonSuccessKind::Error);
            stopped.set_message("interrupted");
            return stopped;
        }
        return TestCaseStatus::success();
    };
    let message = |title: &str, problem: &Option<String>| {
        format!("{title}: {}", problem.as_deref().unwrap_or_default())
    };
    let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let what = message(&step.title, &step.problem);
    let place = format!("{}:{}", step.file.display(), step.line);
    failure.set_message(match runs.status() {
        Status::Flaky => format!("{}: {what}", share(runs)),
        _ => what,
    });
    failure.set_description(format!("{place}: {}", message(&step.id, &step.problem)));
    for (run, step) in failed {
        let mut rerun = TestRerun::new(NonSuccessKind::Failure);
        rerun.set_message(message(&step.title, &step.problem));
        rerun.set_time(Duration::try_from_secs_f64(run.seconds).unwrap_or_default());
        failure.add_rerun(rerun);
    }
    failure
}

/// `flaky, passed 2 of 3 times`
pub(super) fn share(runs: &Runs<'_>) -> String {
    let (passed, all) = (runs.passed(), runs.all().len());
    let word = if runs.status() == Status::Flaky { "flaky, " } else { "" };
    format!("{word}passed {passed} of {all} times")
}

fn markdown(suite: &SuiteResult) -> String {
    let mut text = format!(
        "**{}**\n\n| scenario | status | s | model calls | |\n|---|---|---|---|---|\n",
        suite.tally
    );
    for runs in by_scenario(&suite.scenarios) {
        let failure = runs.all().iter().find_map(|run| run.failure());
        let mut about: Vec<String> = Vec::new();
        if runs.all().len() > 1 {
            about.push(share(&runs));
        }
        match failure {
            Some(step) => {
                let problem = step.problem.as_deref().unwrap_or_default();
                about.push(format!("{}: {problem}", step.title));
            }
            None => {
                about.extend(runs.all().iter().flat_map(|run| run.changes()).map(str::to_owned));
            }
        }
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {} | {} |",
            cell(&runs.first().scenario),
            runs.status().as_str(),
            runs.seconds(),
            runs.model_calls(),
            cell(&about.join("; "))
        );
    }
    for device in &suite.devices {
        if let Some(problem) = &device.problem {
            let _ = writeln!(text, "\n**{}**: {}", cell(&device.name), cell(problem));
        }
    }
    text
}

/// Returns a text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|").replace('<', "&lt;")
}
