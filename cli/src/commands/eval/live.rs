//! `eval live`: pages made from seeds, in a browser on a display of their own, judged by what they say.

use std::path::Path;
use std::time::{Duration, Instant};

use handsight_actions::{DesktopDevice, DesktopOptions, Device};
use handsight_agent::settle::pause;
use handsight_agent::{
    Controls, EpisodeObserver, EpisodeOptions, Policy, StopReason, TraceRecorder, run_episode,
    with_source,
};
use handsight_scenarios::live::{Family, LiveEpisode, LiveReport, LiveTask};
use handsight_scenarios::quarantine::{Quarantined, read_quarantine};

use crate::args::EvalLiveArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;
use crate::stage::{self, Page};

/// The most time of an episode.
const TIMEOUT: Duration = Duration::from_secs(600);

/// How long a page may take to say what happened after the last action.
const SAYING: Duration = Duration::from_secs(2);

/// What a page sends us once it has come to its end.
const SENDER: &str = "<script>
const sending = setInterval(() => {
  const outcome = document.getElementById(\"outcome\").value;
  if (!outcome) return;
  clearInterval(sending);
  fetch(\"/\", { method: \"POST\", body: outcome });
}, 50);
</script>";

pub(super) fn run(
    args: &EvalLiveArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let (mut policy, images_in_history) =
        open::desktop_policy(&args.model, printer, environment, &interrupt.cancel)?;
    let options = EpisodeOptions {
        max_steps: args.max_steps,
        timeout: TIMEOUT,
        images_in_history,
        ..EpisodeOptions::default()
    };
    let families = if args.only.is_empty() { &Family::ALL[..] } else { &args.only[..] };
    let is_task = |name: &str| {
        let (family, seed) = name.rsplit_once('-').unwrap_or_default();
        Family::ALL.iter().any(|known| known.as_str() == family) && seed.parse::<u32>().is_ok()
    };
    let today = jiff::Zoned::now().date();
    let quarantined = match &args.quarantine {
        Some(file) => read_quarantine(file, today, is_task)?,
        None => Vec::new(),
    };
    let mut episodes = Vec::new();
    for &family in families {
        for seed in args.from..args.from.saturating_add(args.seeds) {
            let task = LiveTask::new(family, seed.into());
            for attempt in 1..=args.repeats {
                let spinner = printer.spinner(&format!("{}: {}", task.name(), task.goal()));
                let begun = Instant::now();
                let traces = args.traces.as_ref().map(|folder| match args.repeats {
                    1 => folder.join(task.name()),
                    _ => folder.join(format!("{}.{attempt}", task.name())),
                });
                let played = play(&task, &mut policy, (&options, traces.as_deref()), &interrupt);
                drop(spinner);
                interrupt.check()?;
                let crashed =
                    |failure: Failure| LiveEpisode::crashed(&task, failure.messages().join(": "));
                let episode = LiveEpisode {
                    attempt,
                    seconds: begun.elapsed().as_secs_f64(),
                    ..played.unwrap_or_else(crashed)
                };
                printer.note(&line(&task, &episode));
                episodes.push(episode);
            }
        }
    }
    // Of what was not run there is nothing to show.
    let was_run = |entry: &Quarantined| episodes.iter().any(|episode| episode.task() == entry.task);
    let quarantined = quarantined.into_iter().filter(was_run).collect();
    let report = LiveReport::new(episodes, quarantined);
    printer.result(&report, &report.to_string())?;
    let enough = args.min_acc.is_none_or(|least| report.rate().share() >= least);
    Ok(if enough { Exit::Done } else { Exit::NotAchieved })
}

fn line(task: &LiveTask, episode: &LiveEpisode) -> String {
    let mark = match &episode.crash {
        Some(why) => format!("crashed ({why})"),
        None if episode.reached => "reached".to_owned(),
        None => "missed".to_owned(),
    };
    format!("{:<12}{mark:<9}{} steps  {}", task.name(), episode.steps, task.goal())
}

/// Plays a task on a display of its own, and keeps a trace in a folder, if there is one. What breaks is an episode that failed, with the reason.
fn play(
    task: &LiveTask,
    policy: &mut dyn Policy,
    (options, trace): (&EpisodeOptions, Option<&Path>),
    interrupt: &Interrupt,
) -> Result<LiveEpisode, Failure> {
    let (display, programs) = stage::virtual_display(interrupt)?;
    let desktop = DesktopOptions { display: Some(display.clone()), ..DesktopOptions::default() };
    let mut device = DesktopDevice::open(&desktop)?.heeding(interrupt.halt.clone());
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Task</title>{}{SENDER}",
        task.html()
    );
    let page = Page::serve(html)?;
    let open = || stage::browser(&page, &display, interrupt);
    let browser = stage::opened("Chromium", &mut device, interrupt, open)?;
    let mut recorder = trace.map(TraceRecorder::create).transpose()?;
    let observer: &mut dyn EpisodeObserver = match &mut recorder {
        Some(recorder) => recorder,
        None => &mut (),
    };
    let mut controls =
        Controls { observer, user: &mut (), cancel: &interrupt.cancel, halt: &interrupt.halt };
    let device: &mut dyn Device = &mut device;
    let episode = run_episode(device, policy, task.goal(), options, &mut controls)?;
    let outcome = said(&page, interrupt);
    drop((browser, programs));
    Ok(LiveEpisode {
        reached: task.is_reached(&outcome),
        claimed: episode.stop_reason == StopReason::ClaimedSuccess,
        crash: episode.error.as_ref().map(|error| with_source(error)),
        outcome,
        steps: episode.steps,
        ..LiveEpisode::crashed(task, String::new())
    })
}

/// Returns what the page says happened; nothing if it never came to its end.
fn said(page: &Page, interrupt: &Interrupt) -> String {
    let start = Instant::now();
    loop {
        if let Some(outcome) = page.sent() {
            return outcome;
        }
        if start.elapsed() > SAYING || !pause(Duration::from_millis(20), &interrupt.cancel) {
            return String::new();
        }
    }
}
