//! `scenario`: runs, checks and merges scenarios.

mod eyes;
mod files;
mod merge;
mod record;
mod run;
mod several;
mod show;

use handsight_agent::read_trace;
use handsight_scenarios::suite::{SuiteResult, Tally};
use handsight_scenarios::{Anchors, Scenario, Status, scenario_from_trace};
use serde_json::{Value, json};

use crate::args::{FromTraceArgs, ScenarioCheckArgs, ScenarioCommand};
use crate::failure::{Exit, Failure};
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    command: &ScenarioCommand,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match command {
        ScenarioCommand::Run(args) => run::run(args, printer, environment),
        ScenarioCommand::Check(args) => check(args, printer),
        ScenarioCommand::Merge(args) => merge::run(args, printer),
        ScenarioCommand::FromTrace(args) => from_trace(args, printer),
        ScenarioCommand::Record(args) => record::run(args, printer, environment),
    }
}

fn from_trace(args: &FromTraceArgs, printer: &Printer) -> Result<Exit, Failure> {
    let trace = read_trace(&args.dir)?;
    let scenario = scenario_from_trace(&trace, &args.output)?;
    written(&scenario, printer)
}

/// Tells of a scenario that was written.
fn written(scenario: &Scenario, printer: &Printer) -> Result<Exit, Failure> {
    printer.note("it checks next to nothing yet: say at its end what must be so");
    let (path, steps) = (scenario.path.display(), scenario.steps_count());
    let value = json!({
        "file": scenario.path,
        "scenario": scenario.title,
        "steps": steps,
        "anchors": Anchors::folder_of(&scenario.path),
    });
    printer.result(&value, &format!("{path}: {steps} steps; `handsight scenario run {path}`"))?;
    Ok(Exit::Done)
}

/// Returns what became of a suite, as `--json` prints it.
fn value(suite: &SuiteResult) -> Value {
    let tally = suite.tally;
    json!({
        "passed": tally.passed,
        "healed": tally.healed,
        "flaky": tally.flaky,
        "failed": tally.failed,
        "model_calls": tally.model_calls,
        "seconds": tally.seconds,
        "shard": suite.shard,
        "devices": suite.devices,
        "scenarios": suite.scenarios,
    })
}

fn exit(tally: Tally, accept_healed: bool) -> Exit {
    match tally.status() {
        Status::Passed | Status::Skipped => Exit::Done,
        Status::Healed if accept_healed => Exit::Done,
        Status::Healed => Exit::Healed,
        Status::Failed | Status::Flaky | Status::Stopped => Exit::NotAchieved,
    }
}

fn check(args: &ScenarioCheckArgs, printer: &Printer) -> Result<Exit, Failure> {
    let scenarios = files::open(&files::find(&args.paths)?, &args.tags)?;
    let values: Vec<Value> = scenarios
        .iter()
        .map(|scenario| {
            json!({
                "file": scenario.path,
                "scenario": scenario.title,
                "tags": scenario.tags,
                "steps": scenario.steps_count(),
            })
        })
        .collect();
    let lines: Vec<String> = scenarios.iter().map(line).collect();
    printer.result(&json!({ "ok": true, "scenarios": values }), &lines.join("\n"))?;
    Ok(Exit::Done)
}

fn line(scenario: &Scenario) -> String {
    let tags = if scenario.tags.is_empty() {
        String::new()
    } else {
        format!("  [{}]", scenario.tags.join(", "))
    };
    let steps = scenario.steps_count();
    format!("{}: fine, {steps} steps: {}{tags}", scenario.path.display(), scenario.title)
}
