//! Steps on several devices at once: each branch on a thread of its own, that of the run's own device on the
//! caller's.
//!
//! A branch sees variables as they were when all began, and what it sets is there once all have ended; two
//! that set the same one were refused when the file was read. The first that fails ends the others as an
//! interrupt would.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use handsight_actions::Device;
use handsight_agent::{CancelFlag, SettleOptions};

use super::process::Processes;
use super::{Renewed, Run, RunControls, RunObserver, RunOptions, StepError};
use crate::anchor::{AnchorError, AnchorKey, Anchors};
use crate::eyes::Eyes;
use crate::report::pictures::PictureFolder;
use crate::result::StepResult;
use crate::scenario::Scenario;
use crate::scenario::step::Branch;
use crate::scenario::template::Variables;

/// A device beside the one that a scenario is run on.
pub struct NamedDevice<'a> {
    /// What the scenario calls it.
    pub name: String,
    /// The device.
    pub device: &'a mut dyn Device,
    /// The model, as this device asks it.
    pub eyes: &'a mut (dyn Eyes + Send),
    /// Is told of every step on it.
    pub observer: &'a mut (dyn RunObserver + Send),
    /// Where its screenshots are kept, if they are.
    pub pictures: Option<&'a mut PictureFolder>,
    /// How long to wait for a still screen on it.
    pub settle: SettleOptions,
    /// Variables by which programs that its steps start find it.
    pub env: BTreeMap<String, String>,
}

/// Such a device with what a run knows of it between two steps.
pub(super) struct Beside<'c> {
    given: NamedDevice<'c>,
    options: RunOptions,
    pub(super) anchors: Anchors,
    renewed: Vec<Renewed>,
    seen: BTreeMap<AnchorKey, BTreeSet<usize>>,
}

/// What all branches begin with.
#[derive(Clone)]
struct Beginning<'a> {
    variables: Variables,
    file: Vec<&'a Scenario>,
    deadline: Instant,
    seed: u64,
    depth: usize,
    in_teardown: bool,
    /// Is set when the run is interrupted, or a branch has failed.
    cancel: CancelFlag,
}

/// What became of a branch on another device.
struct Ended<'a, 'c> {
    branch: &'a Branch,
    beside: Beside<'c>,
    done: Result<(), StepError>,
    steps: Vec<StepResult>,
    variables: Variables,
    processes: Processes,
    drawn: Variables,
    model_calls: u64,
}

impl<'c> Beside<'c> {
    /// Opens what a device has remembered of a scenario: a folder within that of the scenario's own device.
    pub(super) fn open(
        given: NamedDevice<'c>,
        scenario: &Scenario,
        options: &RunOptions,
    ) -> Result<Self, AnchorError> {
        let folder = Anchors::folder_of(&scenario.path).join(&given.name);
        let anchors = options.anchors.open(folder)?;
        let mut env = options.env.clone();
        env.extend(given.env.clone());
        let options = RunOptions { settle: given.settle, env, ..options.clone() };
        Ok(Self { given, options, anchors, renewed: Vec::new(), seen: BTreeMap::new() })
    }

    pub(super) fn name(&self) -> &str {
        &self.given.name
    }

    /// Returns what the device calls itself.
    pub(super) fn device(&self) -> String {
        self.given.device.info().name
    }

    pub(super) fn release_all(&mut self) {
        // What is gone holds nothing.
        let _ = self.given.device.release_all();
    }

    /// Keeps the anchors of what was found, or forgets them.
    pub(super) fn settle_anchors(&mut self, keep: bool) {
        let renewed = std::mem::take(&mut self.renewed);
        if keep {
            super::keep(renewed, &mut self.seen, &mut self.anchors);
        }
    }

    /// Forgets the anchors of what a step of the run found; it is known by how many had begun before.
    pub(super) fn forget_renewed(&mut self, index: usize) {
        self.renewed.retain(|renewed| renewed.begun <= index);
    }

    /// Does a branch.
    fn work<'a>(mut self, branch: &'a Branch, beginning: Beginning<'a>) -> Ended<'a, 'c> {
        let Self { given, options, anchors, renewed, seen } = &mut self;
        // Those of earlier steps are not of any here.
        let earlier = std::mem::take(renewed);
        let earlier = earlier.into_iter().map(|renewed| Renewed { begun: 0, ..renewed });
        let cancel = beginning.cancel;
        let mut run = Run {
            options,
            controls: RunControls {
                device: &mut *given.device,
                eyes: &mut *given.eyes,
                observer: &mut *given.observer,
                pictures: given.pictures.as_deref_mut(),
                cancel: &cancel,
            },
            cancel: cancel.clone(),
            beside: BTreeMap::new(),
            anchors,
            renewed: earlier.collect(),
            seen: std::mem::take(seen),
            variables: beginning.variables,
            processes: Processes::new(options.env.clone()),
            judged: BTreeMap::new(),
            seed: beginning.seed,
            drawn: BTreeMap::new(),
            last_after: None,
            deadline: beginning.deadline,
            file: beginning.file,
            steps: Vec::new(),
            depth: beginning.depth,
            model_calls: 0,
            in_teardown: beginning.in_teardown,
        };
        let done = run.one(&branch.step);
        if done.is_err() {
            cancel.cancel();
        }
        let Run { steps, variables, processes, drawn, model_calls, .. } = run;
        (*renewed, *seen) = (run.renewed, run.seen);
        Ended { branch, beside: self, done, steps, variables, processes, drawn, model_calls }
    }
}

impl<'a, 'c> Run<'a, 'c> {
    /// Does branches at once, and waits for all of them.
    pub(super) fn parallel(&mut self, branches: &'a [Branch]) -> Result<(), StepError> {
        let mut named = branches.iter().filter_map(|branch| branch.device.as_ref());
        if let Some(name) = named.find(|name| !self.beside.contains_key(*name)) {
            return Err(StepError::failed(format!("the device `{name}` is not at hand here")));
        }
        let take = |branch: &'a Branch| {
            let hand = self.beside.remove(branch.device.as_deref()?)?;
            Some((branch, hand))
        };
        let hands: Vec<(&'a Branch, Beside<'c>)> = branches.iter().filter_map(take).collect();
        let before = self.steps.len();
        let beginning = Beginning {
            variables: self.variables.clone(),
            file: self.file.clone(),
            deadline: self.deadline,
            seed: self.seed,
            depth: self.depth,
            in_teardown: self.in_teardown,
            cancel: self.cancel.within(),
        };
        let outer = std::mem::replace(&mut self.cancel, beginning.cancel.clone());
        let own = branches.iter().find(|branch| branch.device.is_none());
        let (own_done, ended) = std::thread::scope(|scope| {
            let begun: Vec<_> = hands
                .into_iter()
                .map(|(branch, hand)| {
                    let beginning = beginning.clone();
                    scope.spawn(move || hand.work(branch, beginning))
                })
                .collect();
            let own_done = own.map_or(Ok(()), |branch| self.one(&branch.step));
            if own_done.is_err() {
                self.cancel.cancel();
            }
            let ended: Vec<_> = begun
                .into_iter()
                // A fault on a thread is one of the whole.
                .map(|it| it.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault)))
                .collect();
            (own_done, ended)
        });
        self.cancel = outer;
        self.gather(before, (own, own_done), ended, &beginning.variables)
    }

    /// Takes in what became of branches, in the order of the file.
    fn gather(
        &mut self,
        before: usize,
        (own, own_done): (Option<&'a Branch>, Result<(), StepError>),
        ended: Vec<Ended<'a, 'c>>,
        variables: &Variables,
    ) -> Result<(), StepError> {
        let mut steps = vec![(own.map_or("", |own| &own.step.id), self.steps.split_off(before))];
        let mut done = vec![own_done];
        for branch in ended {
            let mut beside = branch.beside;
            for renewed in &mut beside.renewed {
                renewed.begun = before;
            }
            self.beside.insert(beside.name().to_owned(), beside);
            let set = branch.variables.into_iter();
            self.variables.extend(set.filter(|(name, value)| variables.get(name) != Some(value)));
            self.processes.take_over(branch.processes);
            self.drawn.extend(branch.drawn);
            self.model_calls += branch.model_calls;
            steps.push((&branch.branch.step.id, branch.steps));
            done.push(branch.done);
        }
        steps.sort_by_key(|(id, _)| *id);
        self.steps.extend(steps.into_iter().flat_map(|(_, steps)| steps));
        // Those that were ended for the sake of the one that failed are not why.
        match done.iter().position(|done| matches!(done, Err(StepError::Failed { .. }))) {
            Some(failed) => done.swap_remove(failed),
            None => done.into_iter().collect(),
        }
    }
}
