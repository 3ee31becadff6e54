//! Several scenarios as one suite: on several devices at once, in parts on several machines, and several
//! times over.

mod merge;
mod shard;
mod share;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use self::merge::{MergeError, merge};
pub use self::shard::Shard;
pub use self::share::{Ran, RunOn, Seat, SharedOut, share_out};
use crate::files::{read_text, short_digest};
use crate::report::pictures::Picture;
use crate::result::{ScenarioResult, Status};
use crate::scenario::Scenario;

/// The version of the format of results, `result.json`.
pub const RESULT_VERSION: u32 = 1;

/// The file of a report's folder that programs read.
pub const RESULT_FILE: &str = "result.json";

/// The most bytes of a result.
const MAX_RESULT: u64 = 256 << 20;

/// What became of a suite: a format, for programs and for [`merge`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SuiteResult {
    /// The version of the format.
    pub version: u32,
    /// How many scenarios ended how.
    #[serde(default)]
    pub tally: Tally,
    /// Stands for the scenarios that were chosen, before they were parted: the same for all shards of a
    /// suite.
    #[serde(default)]
    pub suite: String,
    /// Which part of the suite this is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// What the devices did.
    #[serde(default)]
    pub devices: Vec<DeviceResult>,
    /// What became of each run, those of one scenario together.
    pub scenarios: Vec<ScenarioResult>,
}

/// What became of a device.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct DeviceResult {
    /// What the user calls it.
    pub name: String,
    /// How many runs were done on it.
    pub runs: usize,
    /// How long they took together.
    pub seconds: f64,
    /// Why it could not be opened, or was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What can be done about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why the result of a suite cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// The file cannot be read.
    #[error("could not read the result of an earlier run")]
    Read {
        /// What the operating system said; it names the file.
        #[source]
        source: std::io::Error,
    },
    /// It is no result.
    #[error("`{}` is no result of scenarios", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A newer version of Handsight wrote it.
    #[error(
        "`{}` has version {found} and this build reads up to version {RESULT_VERSION}",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl ResultError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "read it with a newer version of Handsight",
            _ => "give the folder that `--report` wrote, or the `result.json` in it",
        }
    }
}

impl SuiteResult {
    /// Gathers what became of a suite.
    pub fn new(
        suite: String,
        shard: Option<Shard>,
        devices: Vec<DeviceResult>,
        scenarios: Vec<ScenarioResult>,
    ) -> Self {
        let tally = Tally::of(&scenarios);
        Self { version: RESULT_VERSION, tally, suite, shard, devices, scenarios }
    }

    /// Reads a result: the file, or the folder of the report that it is in.
    ///
    /// # Errors
    ///
    /// [`ResultError`].
    pub fn read(path: &Path) -> Result<Self, ResultError> {
        let path = if path.is_dir() { path.join(RESULT_FILE) } else { path.to_owned() };
        let text = read_text(&path, MAX_RESULT).map_err(|source| ResultError::Read { source })?;
        Self::of_json(&text, &path)
    }

    /// Reads the text of a result; `path` is its file, for errors.
    pub(crate) fn of_json(text: &str, path: &Path) -> Result<Self, ResultError> {
        let format = |source| ResultError::Format { path: path.to_owned(), source };
        let mut result: Self = serde_json::from_str(text).map_err(format)?;
        if result.version > RESULT_VERSION {
            return Err(ResultError::Newer { path: path.to_owned(), found: result.version });
        }
        for step in result.scenarios.iter_mut().flat_map(|run| &mut run.steps) {
            // A name with a folder in it could be any file of the user's.
            let is_here = |picture: &mut Picture| {
                Path::new(&picture.file).file_name().is_some_and(|name| name == &*picture.file)
            };
            step.pictures.retain_mut(is_here);
            step.after.take_if(|picture| !is_here(picture));
        }
        result.tally = Tally::of(&result.scenarios);
        Ok(result)
    }

    /// Returns the files of the scenarios that did not pass, each once.
    pub fn failed_files(&self) -> BTreeSet<PathBuf> {
        let runs = by_scenario(&self.scenarios);
        let failed = runs.iter().filter(|runs| {
            matches!(runs.status(), Status::Failed | Status::Flaky | Status::Stopped)
        });
        failed.map(|runs| runs.first().file.clone()).collect()
    }
}

/// Returns what stands for scenarios: their files and all that is in them.
pub fn digest_of(scenarios: &[Scenario]) -> String {
    let all: Vec<_> =
        scenarios.iter().map(|scenario| (&scenario.path, scenario.whole_text())).collect();
    short_digest(json!(all).to_string().as_bytes())
}

/// All runs of one scenario; there is at least one.
#[derive(Clone, Debug)]
pub struct Runs<'a>(Vec<&'a ScenarioResult>);

/// Returns the runs of each scenario, in the order in which scenarios come first.
pub fn by_scenario(results: &[ScenarioResult]) -> Vec<Runs<'_>> {
    let mut all: Vec<Runs<'_>> = Vec::new();
    for result in results {
        let same = |runs: &&mut Runs<'_>| {
            runs.first().file == result.file && runs.first().scenario == result.scenario
        };
        match all.iter_mut().find(same) {
            Some(runs) => runs.0.push(result),
            None => all.push(Runs(vec![result])),
        }
    }
    all
}

impl<'a> Runs<'a> {
    /// Returns the first run.
    pub fn first(&self) -> &'a ScenarioResult {
        self.0[0]
    }

    /// Returns all of them.
    pub fn all(&self) -> &[&'a ScenarioResult] {
        &self.0
    }

    /// Returns how the scenario ended in all its runs together.
    pub fn status(&self) -> Status {
        let any = |status| self.0.iter().any(|run| run.status == status);
        if self.0.iter().any(|run| run.flaky) {
            return Status::Flaky;
        }
        let statuses = [Status::Failed, Status::Stopped, Status::Healed];
        statuses.into_iter().find(|&status| any(status)).unwrap_or(Status::Passed)
    }

    /// Returns how often a model was asked in all of them.
    pub fn model_calls(&self) -> u64 {
        model_calls(self.0.iter().copied())
    }

    /// Returns how long all of them took.
    pub fn seconds(&self) -> f64 {
        seconds(self.0.iter().copied())
    }

    /// Returns how many runs passed, healed ones included.
    pub fn passed(&self) -> usize {
        self.0.iter().filter(|run| passed(run)).count()
    }
}

// Results may come from anywhere, with numbers that no run ever had.

fn model_calls<'a>(runs: impl Iterator<Item = &'a ScenarioResult>) -> u64 {
    runs.fold(0, |calls, run| calls.saturating_add(run.model_calls))
}

fn seconds<'a>(runs: impl Iterator<Item = &'a ScenarioResult>) -> f64 {
    runs.map(|run| run.seconds).sum::<f64>().clamp(f64::MIN, f64::MAX)
}

fn passed(run: &ScenarioResult) -> bool {
    matches!(run.status, Status::Passed | Status::Healed)
}

/// Marks the runs of scenarios that have both passed and failed under equal conditions.
pub(crate) fn mark_flaky(results: &mut [ScenarioResult]) {
    let of = |run: &ScenarioResult| (run.file.clone(), run.conditions.clone());
    let those = |status: fn(&ScenarioResult) -> bool| -> BTreeSet<(PathBuf, String)> {
        let known = results.iter().filter(|run| !run.conditions.is_empty() && status(run));
        known.map(of).collect()
    };
    let (good, bad) = (those(passed), those(|run| run.status == Status::Failed));
    for run in results.iter_mut() {
        let conditions = of(run);
        run.flaky = good.contains(&conditions) && bad.contains(&conditions);
    }
}

/// How many scenarios ended how.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Tally {
    /// All as it was.
    pub passed: usize,
    /// Passed after something was found again.
    pub healed: usize,
    /// Passed and failed under equal conditions.
    pub flaky: usize,
    /// Failed, or interrupted.
    pub failed: usize,
    /// How often a model was asked.
    pub model_calls: u64,
    /// How long their runs took together.
    pub seconds: f64,
}

impl Tally {
    /// Counts scenarios, by all the runs of each.
    pub fn of(results: &[ScenarioResult]) -> Self {
        let mut tally = Self::default();
        for runs in by_scenario(results) {
            match runs.status() {
                Status::Passed | Status::Skipped => tally.passed += 1,
                Status::Healed => tally.healed += 1,
                Status::Flaky => tally.flaky += 1,
                Status::Failed | Status::Stopped => tally.failed += 1,
            }
        }
        tally.model_calls = model_calls(results.iter());
        tally.seconds = seconds(results.iter());
        tally
    }

    /// Returns how all of them ended together.
    pub fn status(self) -> Status {
        match self {
            Self { failed: 1.., .. } => Status::Failed,
            Self { flaky: 1.., .. } => Status::Flaky,
            Self { healed: 1.., .. } => Status::Healed,
            _ => Status::Passed,
        }
    }
}

/// `3 passed, 1 healed, 0 failed, 2 model calls, 4.1 s`
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, healed, flaky, failed, model_calls, seconds } = self;
        let calls = if *model_calls == 1 { "call" } else { "calls" };
        let flaky = if *flaky > 0 { format!("{flaky} flaky, ") } else { String::new() };
        write!(
            f,
            "{passed} passed, {healed} healed, {flaky}{failed} failed, {model_calls} model {calls}, \
             {seconds:.1} s"
        )
    }
}
