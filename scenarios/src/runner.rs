//! Runs a scenario on a device.

mod act;
mod check;
mod flow;
mod http;
mod options;
mod parallel;
mod process;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use handsight_actions::{DeviceError, PixelPoint, Screenshot};
use handsight_agent::{CancelFlag, with_source};
use serde_json::{Value, json};

pub use self::options::{AnchorMode, RunControls, RunObserver, RunOptions};
use self::parallel::Beside;
pub use self::parallel::NamedDevice;
use self::process::Processes;
use crate::anchor::{Anchor, AnchorError, AnchorKey, Anchors};
use crate::eyes::EyesError;
use crate::files::short_digest;
use crate::report::pictures::Picture;
use crate::result::{FoundBy, ScenarioResult, Status, StepResult};
use crate::scenario::Scenario;
use crate::scenario::random::is_drawn;
use crate::scenario::step::Step;
use crate::scenario::template::{Variables, fill, fill_drawing};

/// The most time that teardown may take.
const TEARDOWN: Duration = Duration::from_secs(120);

/// Runs a scenario.
///
/// A step that fails is part of the result. Programs that were started are ended before this
/// returns, and keys and buttons are let go of.
///
/// # Errors
///
/// [`AnchorError`] if anchors that are there cannot be read, before anything was done, or if those
/// that are new cannot be written.
pub fn run_scenario(
    scenario: &Scenario,
    options: &RunOptions,
    controls: RunControls<'_>,
) -> Result<ScenarioResult, AnchorError> {
    run_scenario_with(scenario, options, controls, Vec::new())
}

/// Runs a scenario that has [devices](Scenario::devices) beside its own; `others` are these.
///
/// # Errors
///
/// As [`run_scenario`].
pub fn run_scenario_with<'c>(
    scenario: &Scenario,
    options: &RunOptions,
    controls: RunControls<'c>,
    others: Vec<NamedDevice<'c>>,
) -> Result<ScenarioResult, AnchorError> {
    let mut anchors = options.anchors.open(Anchors::folder_of(&scenario.path))?;
    let mut beside = BTreeMap::new();
    for other in others {
        let other = Beside::open(other, scenario, options)?;
        beside.insert(other.name().to_owned(), other);
    }
    let device = controls.device.info().name;
    let conditions = conditions(scenario, options, (&anchors, &device), &beside);
    let devices = beside.iter().map(|(name, other)| (name.clone(), other.device())).collect();
    let start = Instant::now();
    let run = Run {
        options,
        cancel: controls.cancel.clone(),
        controls,
        beside,
        anchors: &mut anchors,
        renewed: Vec::new(),
        seen: BTreeMap::new(),
        variables: Variables::new(),
        processes: Processes::new(options.env.clone()),
        judged: BTreeMap::new(),
        seed: options.seed.unwrap_or(scenario.seed),
        drawn: BTreeMap::new(),
        last_after: None,
        deadline: start + scenario.timeout,
        file: Vec::new(),
        steps: Vec::new(),
        depth: 0,
        model_calls: 0,
        in_teardown: false,
    };
    let Whole { status, steps, model_calls, seed, drawn, others } = run.whole(scenario);
    for anchors in others.into_iter().chain([anchors]) {
        options.anchors.save(anchors, status)?;
    }
    Ok(ScenarioResult {
        scenario: scenario.title.clone(),
        file: scenario.path.clone(),
        tags: scenario.tags.clone(),
        device,
        devices,
        run: 1,
        status,
        flaky: false,
        conditions,
        seed: (!drawn.is_empty()).then_some(seed),
        drawn,
        seconds: start.elapsed().as_secs_f64(),
        model_calls,
        steps,
    })
}

/// Returns what stands for all that a run is given.
fn conditions(
    scenario: &Scenario,
    options: &RunOptions,
    (anchors, device): (&Anchors, &str),
    beside: &BTreeMap<String, Beside<'_>>,
) -> String {
    let others: Vec<_> = beside
        .iter()
        .map(|(name, other)| json!([name, other.device(), other.anchors.fingerprint()]))
        .collect();
    let given = json!([
        scenario.path,
        scenario.whole_text(),
        options.vars,
        options.seed.unwrap_or(scenario.seed),
        options.skip_tags,
        format!("{:?}", options.anchors),
        anchors.fingerprint(),
        device,
        others,
    ]);
    short_digest(given.to_string().as_bytes())
}

/// A run under way.
struct Run<'a, 'c> {
    options: &'a RunOptions,
    controls: RunControls<'c>,
    /// Ends what is under way; within a branch of `parallel`, when another has failed.
    cancel: CancelFlag,
    /// The devices that are free for branches of `parallel`, by their names.
    beside: BTreeMap<String, Beside<'c>>,
    anchors: &'a mut Anchors,
    /// Anchors that are kept once something that is checked afterwards holds.
    renewed: Vec<Renewed>,
    /// Which looks of targets this run saw or made.
    seen: BTreeMap<AnchorKey, BTreeSet<usize>>,
    variables: Variables,
    processes: Processes,
    /// What the model said of claims, by the screen it was shown.
    judged: BTreeMap<(u64, String), f64>,
    /// What values are drawn by, and those that were.
    seed: u64,
    drawn: BTreeMap<String, Value>,
    /// What the last step that acted led to.
    last_after: Option<Picture>,
    /// When what is under way must have ended.
    deadline: Instant,
    /// The file whose steps are done, after those that include it.
    file: Vec<&'a Scenario>,
    steps: Vec<StepResult>,
    depth: usize,
    model_calls: u64,
    in_teardown: bool,
}

/// An anchor of what the model found.
struct Renewed {
    key: AnchorKey,
    anchor: Anchor,
    /// How many steps had begun by then: those of a step are told by it.
    begun: usize,
}

/// What became of all of it.
struct Whole {
    status: Status,
    steps: Vec<StepResult>,
    model_calls: u64,
    seed: u64,
    drawn: BTreeMap<String, Value>,
    /// The anchors of other devices.
    others: Vec<Anchors>,
}

/// Why a step did not pass.
#[derive(Debug)]
enum StepError {
    /// Something does not hold, or cannot be done.
    Failed { problem: String, hint: Option<String> },
    /// The run was interrupted.
    Stopped,
}

impl StepError {
    fn failed(problem: impl Into<String>) -> Self {
        Self::Failed { problem: problem.into(), hint: None }
    }
}

/// What is wrong in a step's own words, such as an expression's.
impl From<String> for StepError {
    fn from(problem: String) -> Self {
        Self::failed(problem)
    }
}

impl From<EyesError> for StepError {
    fn from(error: EyesError) -> Self {
        Self::Failed { problem: error.message, hint: error.hint }
    }
}

impl From<DeviceError> for StepError {
    fn from(error: DeviceError) -> Self {
        if let DeviceError::Halted { .. } = error {
            return Self::Stopped;
        }
        Self::Failed { problem: with_source(&error), hint: error.hint() }
    }
}

/// What a step notes of itself while it is done.
#[derive(Default)]
struct Notes {
    found_by: Vec<FoundBy>,
    changes: Vec<String>,
    pictures: Vec<Picture>,
    after: Option<Picture>,
}

impl<'a> Run<'a, '_> {
    /// Does everything: setup, steps if that passed, and teardown whatever happened.
    fn whole(mut self, scenario: &'a Scenario) -> Whole {
        self.file.push(scenario);
        let done = self.set_up(scenario).and_then(|()| self.all(&scenario.steps));
        self.settle_anchors(&done);
        self.in_teardown = true;
        self.deadline = Instant::now() + TEARDOWN;
        let torn_down = self.all(&scenario.teardown);
        // On the screen of a run that failed only what a check of the teardown vouches for is known.
        self.settle_anchors(&done.as_ref().and(torn_down.as_ref()));
        self.processes.end();
        // What is gone holds nothing.
        let _ = self.controls.device.release_all();
        self.beside.values_mut().for_each(Beside::release_all);
        let any = |status| self.steps.iter().any(|step| step.status == status);
        let status = match (done, torn_down) {
            (Err(StepError::Stopped), _) => Status::Stopped,
            (Err(StepError::Failed { .. }), _) | (_, Err(_)) => Status::Failed,
            _ if any(Status::Failed) => Status::Failed,
            _ if any(Status::Healed) => Status::Healed,
            _ => Status::Passed,
        };
        let Self { steps, model_calls, seed, drawn, beside, .. } = self;
        let others = beside.into_values().map(|other| other.anchors).collect();
        Whole { status, steps, model_calls, seed, drawn, others }
    }

    /// Gives variables their values and does what comes first.
    fn set_up(&mut self, scenario: &'a Scenario) -> Result<(), StepError> {
        self.variables.insert("env".to_owned(), json!(self.options.env));
        let about = json!({ "title": scenario.title, "file": scenario.path });
        self.variables.insert("scenario".to_owned(), about);
        if let Some(name) = self.options.vars.keys().find(|name| !scenario.vars.contains_key(*name))
        {
            let error = StepError::failed(format!("the scenario has no variable `{name}`"));
            return self.outside(scenario, "vars", error);
        }
        if let Some(name) = scenario.devices.keys().find(|name| !self.beside.contains_key(*name)) {
            let problem = format!("the scenario needs the device `{name}`, and there is none");
            let hint = Some(format!("name it with `--with {name}=DEVICE`"));
            return self.outside(scenario, "devices", StepError::Failed { problem, hint });
        }
        let mut vars = scenario.vars.clone();
        vars.extend(self.options.vars.clone());
        if let Err(error) = self.declare(&vars) {
            return self.outside(scenario, "vars", error);
        }
        self.all(&scenario.setup)
    }

    /// Writes down what failed outside of all steps.
    fn outside(
        &mut self,
        scenario: &Scenario,
        id: &str,
        error: StepError,
    ) -> Result<(), StepError> {
        if let StepError::Failed { problem, hint } = &error {
            self.steps.push(StepResult {
                status: Status::Failed,
                problem: Some(problem.clone()),
                hint: hint.clone(),
                ..StepResult::begun(id.to_owned(), scenario.path.clone(), 1, id.to_owned())
            });
        }
        Err(error)
    }

    /// Does steps one after another.
    fn all(&mut self, steps: &'a [Step]) -> Result<(), StepError> {
        for step in steps {
            self.one(step)?;
        }
        Ok(())
    }

    /// Does a step and writes down what became of it; an error ends those it is among.
    fn one(&mut self, step: &'a Step) -> Result<(), StepError> {
        let title = step.name.clone().unwrap_or_else(|| step.task.title());
        if step.tags.iter().any(|tag| self.options.skip_tags.contains(tag)) {
            self.leave_out(step, title);
            return Ok(());
        }
        self.controls.observer.step_started(&title, self.depth);
        let start = Instant::now();
        // Those within a step come after it, so its place is taken now.
        let index = self.steps.len();
        let file = self.current_file().to_owned();
        self.steps.push(StepResult::begun(step.id.clone(), file, step.line, title));
        let outer = self.deadline;
        if let Some(timeout) = step.timeout {
            self.deadline = outer.min(start + timeout);
        }
        self.depth += 1;
        let mut notes = Notes::default();
        let mut done = self.attempt(step, &mut notes);
        for _ in 0..step.retry {
            if !matches!(done, Err(StepError::Failed { .. })) || self.time_left().is_zero() {
                break;
            }
            // What failed within is part of an attempt that counts no more.
            self.forget_renewed(index);
            self.steps.truncate(index + 1);
            notes = Notes::default();
            done = self.attempt(step, &mut notes);
        }
        if done.is_err() {
            self.forget_renewed(index);
        }
        let took = start.elapsed();
        if done.is_ok() && step.task.acts() {
            self.keep_after(&mut notes);
        }
        self.depth -= 1;
        self.deadline = outer;
        // A step whose own steps failed has nothing to show that they have not.
        if matches!(done, Err(StepError::Failed { .. })) && self.steps.len() == index + 1 {
            self.keep_failure(&mut notes);
        }
        let result = &mut self.steps[index];
        result.seconds = took.as_secs_f64();
        result.found_by = notes.found_by;
        result.changes = notes.changes;
        result.pictures = notes.pictures;
        result.after = notes.after;
        result.status = match &done {
            Ok(()) if result.changes.is_empty() => Status::Passed,
            Ok(()) => Status::Healed,
            Err(StepError::Failed { problem, hint }) => {
                (result.problem, result.hint) = (Some(problem.clone()), hint.clone());
                Status::Failed
            }
            Err(StepError::Stopped) => Status::Stopped,
        };
        self.controls.observer.step_ended(&self.steps[index], self.depth);
        match done {
            Err(StepError::Failed { .. }) if step.continue_on_error => Ok(()),
            done => done,
        }
    }

    /// Writes down that a step is left out, with all that is in it.
    fn leave_out(&mut self, step: &Step, title: String) {
        let file = self.current_file().to_owned();
        let begun = StepResult::begun(step.id.clone(), file, step.line, title);
        let result = StepResult { status: Status::Skipped, ..begun };
        self.controls.observer.step_ended(&result, self.depth);
        self.steps.push(result);
    }

    fn attempt(&mut self, step: &'a Step, notes: &mut Notes) -> Result<(), StepError> {
        self.go_on()?;
        self.task(&step.task, notes)
    }

    /// Keeps what was on the screen when a target was found. A report that lacks a picture is better
    /// than a run that stops for want of space.
    fn keep_picture(&mut self, notes: &mut Notes, screen: &Screenshot, point: Option<PixelPoint>) {
        if let Some(folder) = &mut self.controls.pictures
            && let Ok(picture) = folder.keep(screen, point)
        {
            notes.pictures.push(picture);
        }
    }

    /// Keeps what is on the screen once a step has acted; what it saw before, if it looked for nothing, is
    /// what the last one led to.
    fn keep_after(&mut self, notes: &mut Notes) {
        if self.controls.pictures.is_none() {
            return;
        }
        if notes.pictures.is_empty() {
            notes.pictures.extend(self.last_after.take());
        }
        if let Ok(screen) = self.look()
            && let Some(folder) = &mut self.controls.pictures
            && let Ok(picture) = folder.keep(&screen, None)
        {
            self.last_after = Some(picture.clone());
            notes.after = Some(picture);
        }
    }

    /// Keeps what is on the screen when a step has failed.
    fn keep_failure(&mut self, notes: &mut Notes) {
        if self.controls.pictures.is_some()
            && let Ok(observation) = self.controls.device.observe()
        {
            self.keep_picture(notes, &observation.screenshot, None);
        }
    }

    /// Refuses to go on when the run was interrupted or its time is over.
    fn go_on(&self) -> Result<(), StepError> {
        if self.is_cancelled() {
            return Err(StepError::Stopped);
        }
        if self.time_left().is_zero() {
            return Err(StepError::failed("there was no time left"));
        }
        Ok(())
    }

    /// Whether to stop; teardown is not stopped, for it puts right what was begun.
    fn is_cancelled(&self) -> bool {
        !self.in_teardown && self.cancel.is_cancelled()
    }

    fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Returns the file whose steps are done.
    fn current_file(&self) -> &Path {
        self.file.last().map_or(Path::new(""), |scenario| &scenario.path)
    }

    /// Gives variables values, in which expressions see those that were there before.
    fn set(&mut self, variables: &BTreeMap<String, Value>) -> Result<(), StepError> {
        let filled: Vec<(String, Value)> = variables
            .iter()
            .map(|(name, value)| Ok((name.clone(), fill(value, &self.variables)?)))
            .collect::<Result<_, String>>()?;
        self.variables.extend(filled);
        Ok(())
    }

    /// Gives variables of a file their first values, which may be drawn.
    fn declare(&mut self, variables: &BTreeMap<String, Value>) -> Result<(), StepError> {
        let mut filled = Vec::new();
        for (name, value) in variables {
            let value_now = fill_drawing(value, &self.variables, (self.seed, name))?;
            if is_drawn(value) {
                self.drawn.insert(name.clone(), value_now.clone());
            }
            filled.push((name.clone(), value_now));
        }
        self.variables.extend(filled);
        Ok(())
    }

    /// Keeps the anchors of what was found, or forgets them, as steps ended.
    fn settle_anchors<T, E>(&mut self, done: &Result<T, E>) {
        if done.is_ok() {
            self.keep_renewed();
        } else {
            self.renewed.clear();
        }
        self.beside.values_mut().for_each(|other| other.settle_anchors(done.is_ok()));
    }

    /// Forgets the anchors of what the step with this index found: it failed.
    fn forget_renewed(&mut self, index: usize) {
        self.renewed.retain(|renewed| renewed.begun <= index);
        self.beside.values_mut().for_each(|other| other.forget_renewed(index));
    }

    /// Keeps the anchors of what was found again, since something that was checked holds.
    fn keep_renewed(&mut self) {
        keep(std::mem::take(&mut self.renewed), &mut self.seen, self.anchors);
    }
}

/// Keeps anchors beside those that a run saw or made before.
fn keep(
    renewed: Vec<Renewed>,
    seen: &mut BTreeMap<AnchorKey, BTreeSet<usize>>,
    anchors: &mut Anchors,
) {
    for Renewed { key, anchor, .. } in renewed {
        let seen = seen.entry(key.clone()).or_default();
        seen.insert(anchors.put(key, anchor, seen));
    }
}
