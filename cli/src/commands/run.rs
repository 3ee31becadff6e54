//! `run`: pursues a goal on a screen.

use handsight_actions::Device;
use handsight_agent::{
    Controls, Episode, EpisodeError, EpisodeOptions, ModelOptions, ModelPolicy, TraceRecorder,
    run_episode,
};
use serde_json::{Value, json};

use crate::args::{Confirm, RunArgs};
use crate::attend::AtTerminal;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::live::{self, Live};
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    args: &RunArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let safety = open::policy::read(&args.policy, environment)?;
    let secrets = open::secrets::named_in(&args.goal, &args.secrets, environment)?;
    let interrupt = Interrupt::listen(printer)?;
    let rules = (safety, secrets);
    let mut device = open::guarded(&args.target, rules, printer, environment, &interrupt)?;
    let (kind, cancel) = (device.info().kind, &interrupt.cancel);
    let (model, profile) = open::acting_model(&args.model, kind, printer, environment, cancel)?;
    profile.check_acts()?;
    let images_in_history = profile.images_in_history();
    let mut policy = ModelPolicy::new(model, profile, ModelOptions::default());
    let mut recorder = args.trace.as_deref().map(TraceRecorder::create).transpose()?;

    let options = EpisodeOptions {
        max_steps: args.max_steps,
        timeout: args.timeout,
        dry_run: args.dry_run,
        settle: open::settle(&args.target.device),
        images_in_history,
        ..EpisodeOptions::default()
    };
    let mut user = AtTerminal {
        printer,
        cancel: &interrupt.cancel,
        confirms: args.confirm == Confirm::Always,
        interactive: environment.interactive,
        waits: args.wait_for_user,
    };
    let mut live = Live::new(printer);
    let mut observer = (&mut recorder, &mut live);
    let mut controls = Controls {
        observer: &mut observer,
        user: &mut user,
        cancel: &interrupt.cancel,
        halt: &interrupt.halt,
    };
    let episode = run_episode(&mut device, &mut policy, &args.goal, &options, &mut controls);
    if let Some(recorder) = &recorder {
        let dir = recorder.dir().display();
        printer.note(&format!("trace in {dir}; `handsight trace report {dir}` makes a page of it"));
    }
    let episode = episode?;
    finish(args, episode, &live.steps, &device, printer)
}

/// Prints how an episode ended, and returns the exit code for it.
fn finish(
    args: &RunArgs,
    mut episode: Episode,
    steps: &[Value],
    device: &dyn Device,
    printer: &Printer,
) -> Result<Exit, Failure> {
    if let Some(error) = episode.error.take() {
        return Err(stopped_by(error));
    }
    let value = json!({
        "goal": device.secrets().redact(&args.goal),
        "device": device.info().name,
        "stop_reason": episode.stop_reason,
        "answer": episode.answer,
        "steps": steps,
        "elapsed_ms": live::millis(episode.elapsed),
        "usage": episode.usage,
        "trace": args.trace,
    });
    printer.note(&live::verdict(&episode, printer));
    let text = episode.answer.as_deref().unwrap_or(episode.stop_reason.as_str());
    printer.result(&value, text)?;
    Ok(episode.stop_reason.into())
}

/// Returns the failure behind an episode that a device or a model ended.
///
/// The error's own wrapping ("the device failed") says nothing that its source does not.
fn stopped_by(error: EpisodeError) -> Failure {
    match error {
        EpisodeError::Device(error) => error.into(),
        error => error.into(),
    }
}
