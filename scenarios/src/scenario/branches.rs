//! Checks of steps on several devices at once, before anything is done.

use std::collections::BTreeSet;

use super::step::{Branch, Step, Task};
use super::{Scenario, flat};

/// The most devices of a scenario beside its own.
const MAX_DEVICES: usize = 8;

/// The longest name of a device.
const MAX_NAME: usize = 32;

/// Refuses names that cannot be those of folders, and too many of them.
pub(super) fn check_devices<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    for (count, name) in names.enumerate() {
        let begins = name.starts_with(|char: char| char.is_ascii_lowercase());
        let goes_on =
            |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-_".contains(char);
        if !begins || name.len() > MAX_NAME || !name.chars().all(goes_on) {
            return Err(format!(
                "`{name}` is no name of a device: those are small letters, digits, `-` and `_`, \
                 {MAX_NAME} at most"
            ));
        }
        if count == MAX_DEVICES {
            return Err(format!("there are more than {MAX_DEVICES} devices"));
        }
    }
    Ok(())
}

/// Refuses branches that would be in each other's way.
pub(super) fn check(scenario: &Scenario) -> Result<(), ((u64, u64), String)> {
    for step in flat(scenario.all_steps()) {
        if let Task::Parallel { branches } = &step.task {
            check_step(scenario, branches)
                .map_err(|problem| ((step.line, step.column), format!("{}: {problem}", step.id)))?;
        }
    }
    Ok(())
}

fn check_step(scenario: &Scenario, branches: &[Branch]) -> Result<(), String> {
    let mut devices = BTreeSet::new();
    let mut all_set = BTreeSet::new();
    for branch in branches {
        if let Some(name) = &branch.device
            && !scenario.devices.contains_key(name)
        {
            return Err(format!("`{name}` is not among the `devices:` of the scenario"));
        }
        if !devices.insert(&branch.device) {
            return Err(match &branch.device {
                Some(name) => format!("two branches are on `{name}`"),
                None => "two branches are on the scenario's own device".to_owned(),
            });
        }
        let within = || flat(std::iter::once(&branch.step));
        if within().any(|step| matches!(step.task, Task::Parallel { .. })) {
            return Err("a branch cannot have `parallel` in it".to_owned());
        }
        let set: BTreeSet<&str> = within().flat_map(sets).collect();
        if let Some(both) = set.intersection(&all_set).next() {
            return Err(format!("two branches set `{both}`, and nobody knows which is last"));
        }
        all_set.extend(set);
    }
    Ok(())
}

/// Returns the variables that a step sets, and that are there after it.
fn sets(step: &Step) -> Vec<&str> {
    match &step.task {
        Task::Set(variables) => variables.keys().map(String::as_str).collect(),
        Task::Extract { variable, .. } | Task::Shell { variable: Some(variable), .. } => {
            vec![variable]
        }
        _ => Vec::new(),
    }
}
