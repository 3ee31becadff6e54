//! Makes the anchors of the shipped scenarios anew: `make suite-anchors`.
//!
//! Names of scenarios may be given. The embedded checkpoint is asked first. Where it errs, the checks of
//! the scenario say so, and what knows where everything is takes its place: a person's points, or a phone's
//! own list of views. The table tells which it was, and what the next run without any model takes.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use handsight_scenarios::{AnchorMode, LazyModel, ScenarioResult, Status};
use handsight_tests::suite::{Stage, Suite, embedded, files, with_eyes};

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut embedded = embedded();
    let seen = std::env::temp_dir().join("handsight-suite");
    let mut stdout = std::io::stdout();
    writeln!(
        stdout,
        "| scenario | the embedded checkpoint | first run | anchors made by | later runs |"
    )?;
    writeln!(stdout, "|---|---|---|---|---|")?;
    for suite in [Suite::Desktop, Suite::Android] {
        for path in files(&suite.folder())? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if wanted.is_empty() || wanted.contains(&name) {
                writeln!(stdout, "{}", row(suite, &path, &name, &mut embedded, &seen)?)?;
            }
        }
    }
    Ok(())
}

/// Makes the anchors of a scenario, and returns its row.
fn row(
    suite: Suite,
    path: &Path,
    name: &str,
    embedded: &mut LazyModel<'_>,
    seen: &Path,
) -> Result<String> {
    let stage = Stage::set(suite)?;
    let first = with_eyes(embedded, |eyes| stage.run(path, AnchorMode::Refresh, eyes, seen))?;
    let (asked, by) = if first.status == Status::Passed {
        ("passes".to_owned(), "itself".to_owned())
    } else {
        let stage = Stage::set(suite)?;
        let pointed = stage.run(path, AnchorMode::Refresh, &mut *stage.knowing(name)?, seen)?;
        let by = if pointed.status == Status::Passed {
            if suite == Suite::Desktop { "a person" } else { "the phone's views" }.to_owned()
        } else {
            let last = pointed.steps.iter().rev().find_map(|step| step.pictures.last());
            let seen = last
                .map_or(String::new(), |picture| seen.join(&picture.file).display().to_string());
            format!("nobody: {}, see {seen}", problem(&pointed))
        };
        (format!("errs: {}", problem(&first)), by)
    };
    let stage = Stage::set(suite)?;
    let start = Instant::now();
    let later = with_eyes(embedded, |eyes| stage.run(path, AnchorMode::Strict, eyes, seen))?;
    let seconds = start.elapsed().as_secs_f64();
    let outcome = match later.status {
        Status::Passed => format!("{seconds:.1} s, {} model calls", later.model_calls),
        _ => format!("fails: {}", problem(&later)),
    };
    Ok(format!("| {name} | {asked} | {:.1} s | {by} | {outcome} |", first.seconds))
}

/// Returns what went wrong first.
fn problem(result: &ScenarioResult) -> String {
    let Some(step) = result.steps.iter().find(|step| step.problem.is_some()) else {
        return result.status.as_str().to_owned();
    };
    step.problem.clone().unwrap_or_default()
}
