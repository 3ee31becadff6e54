//! `scenario merge`: the reports of all shards become one.

use handsight_scenarios::report::suite::{copy_pictures, write_suite};
use handsight_scenarios::suite::{SuiteResult, merge};

use super::{exit, value};
use crate::args::ScenarioMergeArgs;
use crate::failure::{Exit, Failure};
use crate::print::Printer;

pub(super) fn run(args: &ScenarioMergeArgs, printer: &Printer) -> Result<Exit, Failure> {
    let read = |path: &std::path::PathBuf| Ok((path.clone(), SuiteResult::read(path)?));
    let parts = args.parts.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    let merged = merge(parts)?;
    for path in &args.parts {
        let folder = if path.is_dir() { Some(&**path) } else { path.parent() };
        copy_pictures(&merged, folder.unwrap_or(path), &args.report)?;
    }
    write_suite(&args.report, &merged)?;
    printer.note(&format!("report in {}", args.report.join("report.html").display()));
    printer.result(&value(&merged), &merged.tally.to_string())?;
    Ok(exit(merged.tally, args.accept_healed))
}
