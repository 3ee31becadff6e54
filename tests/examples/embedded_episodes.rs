//! Measures whole episodes of the embedded checkpoint in real GTK dialogs, judged by what the dialog
//! prints: `make eval`. Every dialog has its own virtual display; names and texts are combined from
//! lists, so that the run is the same each time.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use handsight_actions::Halt;
use handsight_agent::{CancelFlag, Controls, EpisodeOptions, run_episode};
use handsight_scenarios::score::Rate;
use handsight_tests::apps::Form;
use handsight_tests::embedded_eval::embedded_policy;
use handsight_tests::xserver::XServer;

const FIELDS: [&str; 8] =
    ["Name", "City", "Email", "Phone", "Country", "Company", "Subject", "Address"];
const BUTTONS: [&str; 5] = ["Save", "OK", "Send", "Submit", "Apply"];
const TEXTS: [&str; 7] = ["Ada", "Paris", "hello", "Zoë", "42", "ada@site.org", "Rome"];

/// How many dialogs are tried.
const EPISODES: usize = 24;

/// One dialog and what is to be done in it.
struct Task {
    fields: Vec<&'static str>,
    button: &'static str,
    goal: String,
    printed: String,
}

/// Returns the task of a number: every third fills one of its two fields, the others both.
fn task(number: usize) -> Task {
    let first = FIELDS[number % FIELDS.len()];
    let second = FIELDS[(number * 3 + 5) % FIELDS.len()];
    let second = if second == first { FIELDS[(number + 1) % FIELDS.len()] } else { second };
    let button = BUTTONS[number % BUTTONS.len()];
    let (a, b) = (TEXTS[number % TEXTS.len()], TEXTS[(number * 2 + 3) % TEXTS.len()]);
    let (goal, printed) = match number % 3 {
        0 => (format!("type \"{a}\" into \"{first}\" and click \"{button}\""), format!("{a}|")),
        1 => (
            format!(
                "type \"{a}\" into \"{first}\", type \"{b}\" into \"{second}\", then click \"{button}\""
            ),
            format!("{a}|{b}"),
        ),
        _ => (
            format!(
                "fill \"{second}\" with \"{b}\", fill \"{first}\" with \"{a}\" and press \"{button}\""
            ),
            format!("{a}|{b}"),
        ),
    };
    Task { fields: vec![first, second], button, goal, printed }
}

fn main() -> Result<()> {
    let mut policy = embedded_policy()?;
    let mut stdout = std::io::stdout();
    let mut all = Rate::default();
    let options = EpisodeOptions {
        max_steps: 10,
        timeout: Duration::from_secs(60),
        ..EpisodeOptions::default()
    };
    for number in 0..EPISODES {
        let task = task(number);
        let server = XServer::start_managed("560x420x24")?;
        let mut form = Form::open(&server, &task.fields, task.button)?;
        let mut device = server.device()?;
        let mut controls = Controls {
            observer: &mut (),
            user: &mut (),
            cancel: &CancelFlag::default(),
            halt: &Halt::default(),
        };
        let episode = run_episode(&mut device, &mut policy, &task.goal, &options, &mut controls)?;
        let found = form.outcome().map(|(_, printed)| printed).unwrap_or_default();
        let reached = found == task.printed;
        all.add(reached);
        let mark = if reached { "reached" } else { "missed" };
        let (goal, steps, why) = (&task.goal, episode.steps, episode.stop_reason);
        writeln!(stdout, "{mark}: {goal} ({steps} steps, {why:?}, printed `{found}`)")?;
    }
    writeln!(stdout, "\nepisodes whose dialog printed what it should: {all}")?;
    Ok(())
}
