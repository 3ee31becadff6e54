//! `scenario`: runs and checks scenarios.

mod eyes;
mod files;
mod show;

use std::collections::BTreeMap;

use handsight_actions::{Device as _, DeviceKind};
use handsight_agent::SettleOptions;
use handsight_scenarios::report::suite::{PICTURES, Tally, write_suite};
use handsight_scenarios::{
    PictureFolder, RunControls, RunOptions, Scenario, ScenarioResult, Status, run_scenario,
};
use serde_json::{Value, json};

use self::eyes::LazyEyes;
use self::show::Show;
use crate::args::{DeviceArg, ScenarioCommand, ScenarioFiles, ScenarioRunArgs};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::settings::{self, Environment};

pub(crate) fn run(
    command: &ScenarioCommand,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match command {
        ScenarioCommand::Run(args) => run_all(args, printer, environment),
        ScenarioCommand::Check(files) => check(files, printer),
    }
}

fn run_all(
    args: &ScenarioRunArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    // All are read before the first is run: a mistake in the last must not cost an hour.
    let scenarios = open_all(&args.files)?;
    let safety = open::policy::read(&args.policy, environment)?;
    let texts: Vec<String> = scenarios.iter().map(Scenario::whole_text).collect();
    let secrets = open::secrets::named_in(&texts.join("\n"), &args.secrets, environment)?;
    let interrupt = Interrupt::listen(printer)?;
    let rules = (safety, secrets);
    let mut device = open::guarded(&args.target, rules, printer, environment, &interrupt)?;
    let on_phone = device.info().kind == DeviceKind::Android;
    let mut eyes = LazyEyes::new((&args.model, on_phone), printer, environment, &interrupt);
    let options = RunOptions {
        anchors: args.anchors.into(),
        settle: match args.target.device {
            DeviceArg::Still(_) => SettleOptions::immediate(),
            _ => SettleOptions::default(),
        },
        vars: args.vars.iter().cloned().collect(),
        env: variables(),
        ..RunOptions::default()
    };
    let pictures = args.report.as_ref().map(|folder| folder.join(PICTURES));
    let mut pictures = pictures.map(PictureFolder::new);
    let mut results: Vec<ScenarioResult> = Vec::new();
    for scenario in &scenarios {
        if interrupt.cancel.is_cancelled() {
            break;
        }
        let mut show = Show::new(printer, scenario);
        let controls = RunControls {
            device: &mut device,
            eyes: &mut eyes,
            observer: &mut show,
            pictures: pictures.as_mut(),
            cancel: &interrupt.cancel,
        };
        let result = run_scenario(scenario, &options, controls)?;
        show.ended(&result);
        results.push(result);
    }
    let tally = Tally::of(&results);
    if let Some(folder) = &args.report {
        write_suite(folder, &results)?;
        printer.note(&format!("report in {}", folder.join("report.html").display()));
    }
    printer.result(&value(tally, &results), &tally.to_string())?;
    Ok(exit(tally, args.accept_healed, interrupt.cancel.is_cancelled()))
}

/// Returns the environment, but for what by its name opens something.
fn variables() -> BTreeMap<String, String> {
    const SECRETS: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];
    let opens = |name: &str| SECRETS.iter().any(|secret| name.to_uppercase().contains(secret));
    settings::variables().filter(|(name, _)| !opens(name)).collect()
}

fn value(tally: Tally, results: &[ScenarioResult]) -> Value {
    json!({
        "passed": tally.passed,
        "healed": tally.healed,
        "failed": tally.failed,
        "model_calls": tally.model_calls,
        "seconds": tally.seconds,
        "scenarios": results,
    })
}

fn exit(tally: Tally, accept_healed: bool, interrupted: bool) -> Exit {
    match tally.status() {
        _ if interrupted => Exit::Interrupted,
        Status::Passed => Exit::Done,
        Status::Healed if accept_healed => Exit::Done,
        Status::Healed => Exit::Healed,
        Status::Failed | Status::Stopped => Exit::NotAchieved,
    }
}

/// Reads the scenarios that were named.
fn open_all(files: &ScenarioFiles) -> Result<Vec<Scenario>, Failure> {
    let mut scenarios = Vec::new();
    for path in files::find(&files.paths)? {
        let scenario = Scenario::open(&path)?;
        let wanted =
            files.tags.is_empty() || files.tags.iter().any(|tag| scenario.tags.contains(tag));
        if wanted {
            scenarios.push(scenario);
        }
    }
    if scenarios.is_empty() {
        let message = format!("no scenario has one of the tags {}", files.tags.join(", "));
        return Err(
            Failure::bad_input(message).with_hint("`scenario check` lists the tags there are")
        );
    }
    Ok(scenarios)
}

fn check(files: &ScenarioFiles, printer: &Printer) -> Result<Exit, Failure> {
    let scenarios = open_all(files)?;
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
    let lines: Vec<String> = scenarios
        .iter()
        .map(|scenario| {
            let tags = if scenario.tags.is_empty() {
                String::new()
            } else {
                format!("  [{}]", scenario.tags.join(", "))
            };
            let steps = scenario.steps_count();
            format!("{}: fine, {steps} steps: {}{tags}", scenario.path.display(), scenario.title)
        })
        .collect();
    printer.result(&json!({ "ok": true, "scenarios": values }), &lines.join("\n"))?;
    Ok(Exit::Done)
}
