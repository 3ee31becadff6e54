//! Finding misspelt variables before anything is done.

use std::collections::BTreeSet;

use serde_json::Value;

use super::step::{Each, Step, Target, Task};
use super::template::Template;
use super::{Scenario, flat, random};

/// How alike names must be for one to be suggested for the other, 0..1.
const ALIKE: f64 = 0.7;

/// Names that are always there.
const BUILT_IN: [&str; 2] = ["env", "scenario"];

/// Refuses a variable that nothing in the file could have set.
pub(super) fn check(scenario: &Scenario) -> Result<(), ((u64, u64), String)> {
    let mut known: BTreeSet<String> = BUILT_IN.iter().map(|&name| name.to_owned()).collect();
    known.extend(scenario.vars.keys().cloned());
    for step in flat(scenario.all_steps()) {
        match &step.task {
            Task::Set(variables) => known.extend(variables.keys().cloned()),
            Task::Extract { variable, .. }
            | Task::Each { variable, .. }
            | Task::Shell { variable: Some(variable), .. } => {
                known.insert(variable.clone());
            }
            // What is included may set anything.
            Task::Include { .. } => return Ok(()),
            _ => {}
        }
    }
    for step in flat(scenario.all_steps()) {
        if let Some(name) = used(step).into_iter().find(|name| !known.contains(name)) {
            let likeness = |known: &String| strsim::jaro_winkler(known, &name);
            let closest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
            let suggestion = closest
                .filter(|closest| likeness(closest) >= ALIKE)
                .map(|closest| format!("; did you mean `{closest}`?"))
                .unwrap_or_default();
            let suggestion = if random::is_function(&name) {
                "; values are drawn in `vars:`, once for a run".to_owned()
            } else {
                suggestion
            };
            let problem = format!("{} uses `{name}`, which nothing sets{suggestion}", step.id);
            return Err(((step.line, step.column), problem));
        }
    }
    Ok(())
}

/// Returns the names of variables a step itself uses.
fn used(step: &Step) -> Vec<String> {
    let target = |target: &Target| match target {
        Target::Words { words, .. } => words.names(),
        Target::Point(_) => Vec::new(),
    };
    let values = |value: &Value| {
        let mut names = Vec::new();
        names_in(value, &mut names);
        names
    };
    match &step.task {
        Task::Pursue { goal: text } | Task::Press { keys: text } | Task::Open { app: text } => {
            text.names()
        }
        Task::Point { target: on, .. } | Task::Scroll { over: Some(on), .. } => target(on),
        Task::Type { text, into } => {
            let into = into.as_ref().map(target).unwrap_or_default();
            text.names().into_iter().chain(into).collect()
        }
        Task::Between { from, to, .. } => target(from).into_iter().chain(target(to)).collect(),
        Task::WaitFor(condition)
        | Task::Expect(condition)
        | Task::If { condition, .. }
        | Task::Loop { condition, .. } => condition.names(),
        Task::Extract { question, .. } => question.names(),
        Task::Set(variables) => variables.values().flat_map(values).collect(),
        Task::Include { vars, .. } => vars.values().flat_map(values).collect(),
        Task::Shell { command, .. } => command.names(),
        Task::Start(words) => words.iter().flat_map(Template::names).collect(),
        Task::Each { over, .. } => match over {
            Each::Values(list) => list.iter().flat_map(values).collect(),
            other => other.names(),
        },
        Task::Scroll { over: None, .. }
        | Task::Button(_)
        | Task::Wait(_)
        | Task::Group { .. }
        | Task::Parallel { .. } => Vec::new(),
    }
}

/// Collects the names of variables in the texts of a value.
fn names_in(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            names.extend(Template::parse(text).map(|text| text.names()).unwrap_or_default());
        }
        Value::Array(list) => list.iter().for_each(|value| names_in(value, names)),
        Value::Object(map) => map.values().for_each(|value| names_in(value, names)),
        _ => {}
    }
}
