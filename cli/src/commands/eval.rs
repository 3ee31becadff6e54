//! `eval`: public benchmarks, asked once and scored many ways.

mod import;
mod infer;
mod judge;
mod list;
mod live;

use handsight_model::Engine;
use handsight_scenarios::benchmark::selfcheck::selfcheck;

use crate::args::EvalCommand;
use crate::failure::{Exit, Failure};
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    command: &EvalCommand,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match command {
        EvalCommand::Import(args) => import::run(args, printer),
        EvalCommand::Infer(args) => infer::run(args, printer, environment),
        EvalCommand::Score(args) => judge::score(args, printer),
        EvalCommand::Report(args) => judge::report(args, printer),
        EvalCommand::Diff(args) => judge::diff(args, printer),
        EvalCommand::Curve(args) => judge::curve(args, printer),
        EvalCommand::Merge(args) => judge::merge(args, printer),
        EvalCommand::Live(args) => live::run(args, printer, environment),
        EvalCommand::Selfcheck => check(printer),
        EvalCommand::List => list::run(printer),
    }
}

/// Compares this build with known answers.
fn check(printer: &Printer) -> Result<Exit, Failure> {
    let all = selfcheck(&Engine::embedded()?);
    let wrong: Vec<_> = all.iter().filter(|known| !known.holds()).collect();
    let mut lines: Vec<_> = wrong
        .iter()
        .map(|known| {
            format!("wrong  {}: expected {}, found {}", known.what, known.expected, known.found)
        })
        .collect();
    lines.push(format!("{} of {} known answers hold", all.len() - wrong.len(), all.len()));
    let value = serde_json::json!({"known": all, "wrong": wrong.len()});
    printer.result(&value, &lines.join("\n"))?;
    Ok(if wrong.is_empty() { Exit::Done } else { Exit::NotAchieved })
}
