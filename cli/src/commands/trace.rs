//! `trace`: reads a recorded episode.

mod redecide;

use std::path::Path;

use handsight_agent::trace::TracedStep;
use handsight_agent::{Trace, read_trace};
use handsight_scenarios::write_report;
use serde_json::{Value, json};

use crate::args::TraceCommand;
use crate::failure::{Exit, Failure};
use crate::live::StepLine;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    command: &TraceCommand,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match command {
        TraceCommand::Show { dir } => show(dir, printer),
        TraceCommand::Report { dir } => report(dir, printer),
        TraceCommand::Redecide(args) => redecide::run(args, printer, environment),
    }
}

fn show(dir: &Path, printer: &Printer) -> Result<Exit, Failure> {
    let trace = read_trace(dir)?;
    let steps: Vec<Value> = trace.steps.iter().map(step_value).collect();
    let value = json!({
        "started": trace.started,
        "steps": steps,
        "stopped": trace.stopped,
        "torn": trace.torn,
    });
    printer.result(&value, &text(&trace))?;
    Ok(Exit::Done)
}

fn step_value(step: &TracedStep) -> Value {
    json!({
        "started": step.started,
        "refused": step.refused,
        "decided": step.decided,
        "acted": step.acted,
    })
}

fn text(trace: &Trace) -> String {
    let started = &trace.started;
    let mut lines = vec![
        format!("goal    {}", started.goal.replace('\n', " ")),
        format!("device  {}  {}", started.device.name, started.device.size),
        format!("policy  {}", started.policy),
        format!("time    {}", started.time),
    ];
    lines.extend(trace.steps.iter().flat_map(step_lines));
    lines.push(match &trace.stopped {
        Some(stopped) => {
            let (reason, ms) = (stopped.stop_reason.describe(), stopped.elapsed_ms);
            format!("end     {reason} after {}.{} s", ms / 1000, ms % 1000 / 100)
        }
        None => "end     the trace stops here: the process was ended before the episode".to_owned(),
    });
    if let Some(error) = trace.stopped.as_ref().and_then(|stopped| stopped.error.as_ref()) {
        lines.push(format!("error   {error}"));
    }
    if trace.torn {
        lines.push("torn    the last line was cut short and is left out".to_owned());
    }
    lines.join("\n")
}

fn step_lines(step: &TracedStep) -> Vec<String> {
    let number = step.started.step;
    let refused =
        step.refused.iter().map(|refused| format!("step {number}  refused: {}", refused.problem));
    let mut lines: Vec<String> = refused.collect();
    let Some(decided) = &step.decided else {
        lines.push(format!("step {number}  no decision"));
        return lines;
    };
    let line = StepLine {
        step: number,
        thought: &decided.thought,
        action: &decided.action,
        decide_ms: decided.decide_ms,
        probability: decided.probability,
        outcome: step.acted.as_ref().map(|acted| &acted.outcome),
    };
    lines.push(line.text(|_, text| text.to_owned()));
    lines
}

fn report(dir: &Path, printer: &Printer) -> Result<Exit, Failure> {
    let path = write_report(dir, None)?;
    printer.result(&json!({ "path": path }), &path.display().to_string())?;
    Ok(Exit::Done)
}
