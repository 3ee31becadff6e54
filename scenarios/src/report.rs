//! Reports: what happened in an episode, for people.

pub mod benchmark;
pub mod film;
mod html;
pub mod pictures;
pub mod suite;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use handsight_agent::{TraceError, read_trace};

use crate::check::CheckResult;
use crate::files::replace;

/// The name of the report beside the trace.
pub const REPORT_FILE: &str = "report.html";

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// There is no trace to report on, or it cannot be read.
    #[error("could not read what to report on")]
    Trace(#[from] TraceError),
    /// A film could not be made.
    #[error("could not make a film of it: {problem}")]
    Film {
        /// Why.
        problem: String,
        /// What the user can do about it, if anything.
        hint: Option<String>,
    },
    /// The report could not be written.
    #[error("could not write the report")]
    Write {
        /// What the operating system said; it names the file.
        #[source]
        source: std::io::Error,
    },
}

impl ReportError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Trace(error) => error.hint(),
            Self::Film { hint, .. } => hint.clone(),
            Self::Write { source } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space; the trace itself is complete".to_owned())
            }
            Self::Write { .. } => None,
        }
    }
}

/// Writes the report of the trace in `trace_dir` beside it and returns its path.
///
/// It is one HTML file that needs nothing else: no network, no scripts, the pictures inside. Give
/// `checks` if the device was judged; without them the report says that nobody looked.
///
/// # Errors
///
/// [`ReportError`] if the trace cannot be read or the report cannot be written.
pub fn write_report(
    trace_dir: &Path,
    checks: Option<&[CheckResult]>,
) -> Result<PathBuf, ReportError> {
    let trace = read_trace(trace_dir)?;
    let page = html::render(&trace, checks)?;
    let path = trace_dir.join(REPORT_FILE);
    replace(&path, page.as_bytes()).map_err(|source| ReportError::Write { source })?;
    Ok(path)
}
