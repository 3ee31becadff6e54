//! `demo`: a real window, a goal of several steps, and the window's own word on the outcome; then the
//! same as a script that needs no model once it has run.
//!
//! Where there is no display it starts a virtual one, and where there is one it asks first.

mod script;
mod window;

use std::path::PathBuf;

use handsight_actions::{DesktopDevice, DesktopOptions, Device};
use handsight_agent::{Controls, Episode, EpisodeOptions, TraceRecorder, run_episode};
use handsight_scenarios::{CheckResult, write_report};
use serde_json::json;

use self::window::{Case, OpenWindow};
use crate::args::{DemoArgs, DemoWindow};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::live::{self, Live};
use crate::open;
use crate::print::{Printer, Style};
use crate::settings::Environment;
use crate::stage::{self, Program};

/// Where demos are recorded unless a folder is named.
const RUNS: &str = "handsight-runs";

pub(crate) fn run(
    args: &DemoArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let (mut policy, images_in_history) =
        open::desktop_policy(&args.model, printer, environment, &interrupt.cancel)?;
    let case = window::case(args.window);
    let stage = Stage::set(args, printer, environment, &interrupt)?;
    let display = Some(stage.display.clone());
    let options = DesktopOptions { display, ..DesktopOptions::default() };
    interrupt.be_reachable(printer, environment);
    let device = DesktopDevice::open(&options)?.heeding(interrupt.halt.clone());
    let mut device = interrupt.share(Box::new(device), Some(&stage.display), environment);
    let mut window = open_window(case, &stage, &mut device, printer, &interrupt)?;

    let dir = args.trace.clone().unwrap_or_else(new_run);
    let mut recorder = TraceRecorder::create(&dir)?;
    let mut live = Live::new(printer);
    let mut observer = (&mut recorder, &mut live);
    let options = EpisodeOptions { max_steps: 12, images_in_history, ..EpisodeOptions::default() };
    let mut controls = Controls {
        observer: &mut observer,
        user: &mut (),
        cancel: &interrupt.cancel,
        halt: &interrupt.halt,
    };
    let episode = run_episode(&mut device, &mut policy, case.goal, &options, &mut controls)?;
    printer.note(&live::verdict(&episode, printer));
    let outcome = window.outcome(&interrupt.cancel);
    drop(window);

    let holds = outcome == case.expected;
    let check = CheckResult::new(case.claim, holds, (!holds).then(|| outcome.clone()));
    let report = write_report(&dir, Some(std::slice::from_ref(&check)))?;
    printer.note(&judgement(&check, printer));
    printer.note(&format!("report in {}", report.display()));
    // The embedded model is loaded anew in a moment; others are not.
    let has_script = args.window == DemoWindow::Zenity && args.model.model == "embedded";
    let scripts = if check.passed() && has_script {
        script::play(&dir, &stage.display, printer, &interrupt)?
    } else {
        Vec::new()
    };
    let result = json!({
        "goal": case.goal,
        "window": case.name,
        "achieved": holds,
        "expected": case.expected,
        "found": outcome,
        "stop_reason": episode.stop_reason,
        "steps": live.steps,
        "elapsed_ms": live::millis(episode.elapsed),
        "usage": episode.usage,
        "trace": dir,
        "report": report,
        "scripts": scripts,
    });
    finish(episode, check.passed() && script::passed(&scripts), printer, &result)
}

/// Prints the result; only the check decides whether it is a success.
fn finish(
    episode: Episode,
    passed: bool,
    printer: &Printer,
    result: &serde_json::Value,
) -> Result<Exit, Failure> {
    if let Some(error) = episode.error {
        return Err(error.into());
    }
    printer.result(result, if passed { "passed" } else { "failed" })?;
    Ok(match Exit::from(episode.stop_reason) {
        Exit::Interrupted => Exit::Interrupted,
        _ if passed => Exit::Done,
        _ => Exit::NotAchieved,
    })
}

fn judgement(check: &CheckResult, printer: &Printer) -> String {
    match &check.found {
        None => format!("{} {}", printer.paint(Style::Green, "✓"), check.name),
        Some(found) => {
            format!(
                "{} expected that {}, but found {found}",
                printer.paint(Style::Red, "✗"),
                check.name
            )
        }
    }
}

/// Returns the folder of a new run.
fn new_run() -> PathBuf {
    let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    PathBuf::from(RUNS).join(format!("demo-{time}"))
}

/// The display the demo plays on, and the programs it needs there.
struct Stage {
    display: String,
    /// Ended in this order when the demo is over: the window manager before the server.
    _programs: Vec<Program>,
}

impl Stage {
    /// Takes the user's display if they agree, or else a virtual one.
    fn set(
        args: &DemoArgs,
        printer: &Printer,
        environment: &Environment,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        if let Some(display) = &environment.display
            && !args.on_virtual
            && environment.interactive
            && handsight_actions::monitors(Some(display)).is_ok()
        {
            let question = format!(
                "use your own screen {display}? The pointer will move and text will be typed."
            );
            if printer.ask(&question, &interrupt.cancel) {
                return Ok(Self { display: display.clone(), _programs: Vec::new() });
            }
            interrupt.check()?;
        }
        Self::set_virtual(printer, interrupt)
    }

    fn set_virtual(printer: &Printer, interrupt: &Interrupt) -> Result<Self, Failure> {
        let spinner = printer.spinner("starting a virtual display");
        let (display, programs) = stage::virtual_display(interrupt)?;
        drop(spinner);
        printer.note(&printer.paint(Style::Dim, &format!("virtual display {display}")));
        Ok(Self { display, _programs: programs })
    }
}

/// Opens the window and waits until it is on the screen.
fn open_window(
    case: &'static Case,
    stage: &Stage,
    device: &mut dyn Device,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Result<OpenWindow, Failure> {
    let _spinner = printer.spinner("opening a window");
    stage::opened(case.name, device, interrupt, || case.open(&stage.display, interrupt))
}
