//! The report of a benchmark's run: a page for people, Markdown, JSON, and the files of other scorers.

mod export;
mod gallery;
mod markdown;
mod page;
mod plot;

use std::path::{Path, PathBuf};

use fs_err as fs;

pub use self::gallery::FailureClass;
use super::ReportError;
use crate::benchmark::curve::Point;
use crate::benchmark::dataset::Dataset;
use crate::benchmark::diff::Diff;
use crate::benchmark::prediction::Predictions;
use crate::benchmark::run::Run;
use crate::benchmark::summary::{Costs, Summary};
use crate::files::replace;

/// All that a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Reported<'a> {
    /// The set.
    pub dataset: &'a Dataset,
    /// The run.
    pub run: &'a Run,
    /// What was written.
    pub predictions: &'a Predictions,
    /// What it comes to.
    pub summary: &'a Summary,
    /// What it took; left out where reports must be the same byte for byte.
    pub costs: Option<&'a Costs>,
    /// The most failures with a picture.
    pub gallery: usize,
}

/// Writes the report of a run into a folder, and returns the files.
///
/// `report.html`, `report.md` and `report.json` are for everyone; `screenspot-pro.json` and
/// `vlmevalkit.json` are what those scorers write. Without costs all are the same, byte for byte,
/// whatever the run went through.
///
/// # Errors
///
/// [`ReportError::Write`] if a file cannot be written.
pub fn write_benchmark_report(
    folder: &Path,
    of: &Reported<'_>,
) -> Result<Vec<PathBuf>, ReportError> {
    let write = |source| ReportError::Write { source };
    fs::create_dir_all(folder).map_err(write)?;
    let mut files = vec![
        ("report.html", page::render(of)),
        ("report.md", markdown::render(of)),
        ("report.json", export::summary(of)),
    ];
    files.extend(export::of_scorers(of));
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        replace(&path, text.as_bytes()).map_err(write)?;
        written.push(path);
    }
    Ok(written)
}

/// Writes the page of two runs side by side.
///
/// # Errors
///
/// [`ReportError::Write`] if the file cannot be written.
pub fn write_diff_page(
    path: &Path,
    diff: &Diff,
    first: &Reported<'_>,
    second: &Reported<'_>,
) -> Result<(), ReportError> {
    let page = page::render_diff(diff, first, second);
    replace(path, page.as_bytes()).map_err(|source| ReportError::Write { source })
}

/// Writes the page of several runs by what they cost.
///
/// # Errors
///
/// [`ReportError::Write`] if the file cannot be written.
pub fn write_curve_page(path: &Path, dataset: &str, points: &[Point]) -> Result<(), ReportError> {
    let page = page::render_curve(dataset, points);
    replace(path, page.as_bytes()).map_err(|source| ReportError::Write { source })
}

/// Returns a share in per cent, with one digit.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Returns an interval in per cent.
fn interval((low, high): (f64, f64)) -> String {
    format!("[{:.1}, {:.1}]", low * 100.0, high * 100.0)
}
