//! Scenarios: what is done to a screen, and what must then be so, as a file that people read.

mod branches;
pub(crate) mod condition;
mod error;
pub mod file;
mod forms;
mod names;
pub(crate) mod random;
pub(crate) mod step;
pub(crate) mod template;
mod verbs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use handsight_actions::yaml::from_yaml;
use schemars::{Schema, schema_for};
use serde_json::Value;

use self::condition::beside;
pub use self::error::ScenarioError;
use self::file::ScenarioFile;
use self::step::{Each, Reader, Step, StepProblem, Task};
pub use self::verbs::step_of;
use crate::files::{MAX_BYTES, read_text};

/// The longest a scenario takes if it does not say, in seconds.
const TIMEOUT: f64 = 600.0;

/// The most seconds a scenario may allow itself.
const MAX_TIMEOUT: f64 = 86_400.0;

/// How deep files may include others.
const MAX_INCLUDES: usize = 16;

/// A scenario that was read and checked, with all files it includes.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it shows, in a sentence.
    pub title: String,
    /// Words to choose scenarios by.
    pub tags: Vec<String>,
    /// Its file.
    pub path: PathBuf,
    /// The most time it may take.
    pub timeout: Duration,
    /// Devices beside its own and those of files it includes, by their names, each as a user writes it.
    pub devices: BTreeMap<String, String>,
    /// What its values are drawn by, unless something else is said.
    pub(crate) seed: u64,
    /// The text of its file.
    text: String,
    pub(crate) vars: BTreeMap<String, Value>,
    pub(crate) setup: Vec<Step>,
    pub(crate) steps: Vec<Step>,
    pub(crate) teardown: Vec<Step>,
    /// The files its steps include, by the name they say.
    pub(crate) included: BTreeMap<String, Scenario>,
}

impl Scenario {
    /// Reads a file and those it includes, and checks them.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`], with line and column where the text is at fault.
    pub fn open(path: &Path) -> Result<Self, ScenarioError> {
        Self::nested(path, &mut Vec::new())
    }

    /// `outer` are the files on the way to this one.
    fn nested(path: &Path, outer: &mut Vec<PathBuf>) -> Result<Self, ScenarioError> {
        let unreadable = |source| ScenarioError::Read { source };
        let text = read_text(path, MAX_BYTES).map_err(unreadable)?;
        let whole = fs_err::canonicalize(path).map_err(unreadable)?;
        if outer.contains(&whole) {
            return Err(ScenarioError::Cycle { path: path.to_owned() });
        }
        if outer.len() == MAX_INCLUDES {
            return Err(ScenarioError::TooDeep { path: path.to_owned(), limit: MAX_INCLUDES });
        }
        let mut scenario = Self::parse(&text, path)?;
        branches::check(&scenario).map_err(|(at, problem)| scenario.syntax(at, problem))?;
        // What a file that is included uses may come from the one that includes it.
        if outer.is_empty() {
            names::check(&scenario).map_err(|(at, problem)| scenario.syntax(at, problem))?;
        }
        outer.push(whole);
        for (step, name) in includes(scenario.all_steps()) {
            let found = beside(scenario.folder(), &name).map_err(|problem| {
                scenario.syntax((step.line, step.column), format!("{}: {problem}", step.id))
            })?;
            let included = Self::nested(&found, outer)?;
            for (name, device) in &included.devices {
                scenario.devices.entry(name.clone()).or_insert_with(|| device.clone());
            }
            scenario.included.insert(name, included);
        }
        outer.pop();
        Ok(scenario)
    }

    /// Reads a text without what it includes; `path` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::Syntax`].
    fn parse(text: &str, path: &Path) -> Result<Self, ScenarioError> {
        let syntax = |line: u64, column: u64, problem| ScenarioError::Syntax {
            path: path.to_owned(),
            line: line.max(1),
            column: column.max(1),
            problem,
        };
        let file: ScenarioFile =
            from_yaml(text).map_err(|error| syntax(error.line, error.column, error.problem))?;
        let in_step =
            |error: StepProblem| syntax(error.at.line(), error.at.column(), error.problem);
        let seconds = file.timeout.unwrap_or(TIMEOUT);
        if !(seconds > 0.0 && seconds <= MAX_TIMEOUT) {
            return Err(syntax(
                1,
                1,
                format!("`timeout` is {seconds}, not from 0 to {MAX_TIMEOUT}"),
            ));
        }
        branches::check_devices(file.devices.keys()).map_err(|problem| syntax(1, 1, problem))?;
        let mut reader = Reader::default();
        Ok(Self {
            title: file.scenario,
            tags: file.tags,
            path: path.to_owned(),
            timeout: Duration::from_secs_f64(seconds),
            devices: file.devices,
            seed: file.seed.unwrap_or(0),
            text: text.to_owned(),
            vars: file.vars,
            setup: reader.steps(&file.setup, "setup").map_err(in_step)?,
            steps: reader.steps(&file.steps, "steps").map_err(in_step)?,
            teardown: reader.steps(&file.teardown, "teardown").map_err(in_step)?,
            included: BTreeMap::new(),
        })
    }

    /// Returns its folder, which paths in it are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Returns how many steps it has, those within others included.
    pub fn steps_count(&self) -> usize {
        let own = flat(self.all_steps()).count();
        own + self.included.values().map(Self::steps_count).sum::<usize>()
    }

    /// Returns its text with those of all it includes, in which secrets are named.
    pub fn whole_text(&self) -> String {
        let included = self.included.values().map(Self::whole_text);
        std::iter::once(self.text.clone()).chain(included).collect::<Vec<_>>().join("\n")
    }

    fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.setup.iter().chain(&self.steps).chain(&self.teardown)
    }

    fn syntax(&self, (line, column): (u64, u64), problem: String) -> ScenarioError {
        ScenarioError::Syntax { path: self.path.clone(), line, column, problem }
    }
}

/// Returns steps and all within them, in the order of the file.
fn flat<'a>(steps: impl Iterator<Item = &'a Step> + 'a) -> Box<dyn Iterator<Item = &'a Step> + 'a> {
    Box::new(steps.flat_map(|step| std::iter::once(step).chain(flat(step.task.inner()))))
}

/// Returns the files that steps include, and which steps do.
fn includes<'a>(steps: impl Iterator<Item = &'a Step> + 'a) -> Vec<(Step, String)> {
    flat(steps)
        .filter_map(|step| match &step.task {
            Task::Include { file, .. } => Some((step.clone(), file.clone())),
            _ => None,
        })
        .collect()
}

impl Task {
    /// Whether it acts on the screen by itself.
    pub(crate) fn acts(&self) -> bool {
        matches!(
            self,
            Self::Pursue { .. }
                | Self::Point { .. }
                | Self::Type { .. }
                | Self::Press { .. }
                | Self::Scroll { .. }
                | Self::Between { .. }
                | Self::Open { .. }
                | Self::Button(_)
        )
    }

    /// Returns the steps within a step.
    fn inner(&self) -> Box<dyn Iterator<Item = &Step> + '_> {
        match self {
            Self::If { then, otherwise, .. } => Box::new(then.iter().chain(otherwise)),
            Self::Loop { steps, .. } | Self::Each { steps, .. } | Self::Group { steps, .. } => {
                Box::new(steps.iter())
            }
            Self::Parallel { branches } => Box::new(branches.iter().map(|branch| &branch.step)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

impl Each {
    /// Returns the names of variables it uses.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Expression(expression) => expression.names(),
            Self::Values(_) | Self::File(_) => Vec::new(),
        }
    }
}

/// Returns the JSON Schema of a scenario file, for editors.
pub fn scenario_schema() -> Schema {
    schema_for!(ScenarioFile)
}
