//! `stop`, `pause` and `resume`: what is to become of runs that are under way.

use handsight_agent::control::{ControlCommand, send};
use serde_json::json;

use crate::args::ControlArgs;
use crate::failure::{Exit, Failure};
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    command: ControlCommand,
    (args, said): (&ControlArgs, Option<&str>),
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let answered = match &environment.runtime {
        Some(dir) => send(dir, args.pid, command, said)?,
        None => Vec::new(),
    };
    if answered.is_empty() {
        let message = match args.pid {
            Some(pid) => format!("process {pid} is no run that can be reached"),
            None => "no run is under way".to_owned(),
        };
        return Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message)));
    }
    let lines = answered.iter().map(|run| format!("run {} is {}", run.pid, run.state));
    let text = lines.collect::<Vec<_>>().join("\n");
    let runs: Vec<_> =
        answered.iter().map(|run| json!({ "pid": run.pid, "state": run.state })).collect();
    printer.result(&json!({ "runs": runs }), &text)?;
    Ok(Exit::Done)
}
