//! Which files are scenarios.

use std::path::{Path, PathBuf};

use fs_err as fs;
use handsight_scenarios::Scenario;

use crate::args::TagArgs;
use crate::failure::{Exit, Failure};

/// How deep folders are looked into, and how many files are run at once.
const MAX_DEPTH: usize = 16;
const MAX_FILES: usize = 10_000;

/// Returns the files that were named, and those in folders that were, each folder's in order.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = found.len();
            collect(path, MAX_DEPTH, &mut found)?;
            if found.len() == before {
                let message = format!("the folder `{}` has no scenario", path.display());
                return Err(Failure::bad_input(message)
                    .with_hint("scenarios are `.yaml` files whose names do not begin with `_`"));
            }
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error| Failure::new(Exit::BadInput, anyhow::Error::new(error));
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    entries.sort();
    for path in entries {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(['_', '.']) || extension == Some("anchors") {
            continue;
        }
        // A link may lead back to where it is.
        if path.is_dir() && !path.is_symlink() && depth > 0 {
            collect(&path, depth - 1, found)?;
        } else if matches!(extension, Some("yaml" | "yml")) {
            found.push(path);
        }
        if found.len() > MAX_FILES {
            let message = format!("there are more than {MAX_FILES} scenarios");
            return Err(Failure::bad_input(message).with_hint("run fewer at a time"));
        }
    }
    Ok(())
}

/// Reads these scenarios, and returns those that the tags choose.
pub(super) fn open(paths: &[PathBuf], tags: &TagArgs) -> Result<Vec<Scenario>, Failure> {
    let has =
        |scenario: &Scenario, tags: &[String]| tags.iter().any(|tag| scenario.tags.contains(tag));
    let mut scenarios = Vec::new();
    for path in paths {
        let scenario = Scenario::open(path)?;
        let is_wanted = tags.tags.is_empty() || has(&scenario, &tags.tags);
        if is_wanted && !has(&scenario, &tags.skip_tags) {
            scenarios.push(scenario);
        }
    }
    if scenarios.is_empty() {
        let message = match (&tags.tags[..], &tags.skip_tags[..]) {
            (wanted, []) => format!("no scenario has one of the tags {}", wanted.join(", ")),
            ([], left_out) => format!("all scenarios have one of the tags {}", left_out.join(", ")),
            (wanted, left_out) => format!(
                "no scenario has one of the tags {} and none of {}",
                wanted.join(", "),
                left_out.join(", ")
            ),
        };
        return Err(
            Failure::bad_input(message).with_hint("`scenario check` lists the tags there are")
        );
    }
    Ok(scenarios)
}
