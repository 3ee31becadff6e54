//! Measures the embedded checkpoint on the live suite: pages made from seeds, played in a browser and judged by what
//! the page says. `make eval-live`, or `make eval-live ARGS="3 live.json"` for 3 tasks of each family and all of it as JSON.

use std::io::Write;

use anyhow::Result;
use fs_err as fs;
use handsight_scenarios::live::{Family, LiveReport, LiveTask};
use handsight_tests::embedded_eval::embedded_policy;
use handsight_tests::live::play;

/// How many tasks of each family there are, if nothing is said.
const SEEDS: u64 = 10;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let seeds = args.next().map_or(Ok(SEEDS), |seeds| seeds.parse())?;
    let file = args.next();
    let mut policy = embedded_policy()?;
    let mut stdout = std::io::stdout();
    let mut report = LiveReport::default();
    for family in Family::ALL {
        for seed in 0..seeds {
            let task = LiveTask::new(family, seed);
            let episode = play(&mut policy, &task);
            let mark = match &episode.crash {
                Some(why) => format!("crashed ({why})"),
                None if episode.reached => "reached".to_owned(),
                None => "missed".to_owned(),
            };
            let (steps, outcome) = (episode.steps, &episode.outcome);
            writeln!(
                stdout,
                "{}: {mark}: {} ({steps} steps; {outcome})",
                task.name(),
                task.goal()
            )?;
            report.episodes.push(episode);
        }
    }
    writeln!(stdout, "\n{report}")?;
    if let Some(file) = file {
        fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}
