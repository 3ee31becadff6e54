//! The recording of an episode: what was seen, decided and done.
//!
//! A trace is a folder with `trace.jsonl`, one [`TraceEvent`] per line, and `images/`, PNG files
//! named by the SHA-256 of their bytes. Every line is written whole as the event happens and every
//! picture before the line that names it, so a process killed at any moment leaves a trace that
//! [`read_trace`] understands. Reports are built from this folder alone.

pub mod event;
mod reader;
mod recorder;
#[cfg(test)]
mod tests;
mod writer;

use std::io::ErrorKind;
use std::path::PathBuf;

pub use event::TraceEvent;
pub use reader::{Trace, TracedStep, read_trace};
pub use recorder::TraceRecorder;
pub use writer::TraceWriter;

/// The version of the format this build writes, and the newest it reads.
pub const TRACE_VERSION: u32 = 1;

/// The file of a trace that holds its events.
pub const TRACE_FILE: &str = "trace.jsonl";

/// The folder of a trace that holds its pictures.
const IMAGE_DIR: &str = "images";

/// Why a trace could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The folder already holds a trace, which is not overwritten.
    #[error("`{}` already holds a trace", .dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder holds no trace.
    #[error("`{}` holds no trace: there is no {TRACE_FILE} in it", .dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// A file could not be written; what was recorded before it is intact.
    #[error("could not write the trace")]
    Write {
        /// What the operating system said; it names the file.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be read.
    #[error("could not read the trace")]
    Read {
        /// What the operating system said; it names the file.
        #[source]
        source: std::io::Error,
    },
    /// A screenshot could not be encoded.
    #[error("could not encode a screenshot as PNG")]
    Encode {
        /// What the encoder said.
        #[source]
        source: image::ImageError,
    },
    /// A picture is not what it was.
    #[error("the picture `{}` of the trace cannot be used: {problem}", .path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A newer version of Handsight wrote the trace.
    #[error(
        "`{}` has trace version {found} and this build reads up to version {TRACE_VERSION}",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// A line is not an event of this version.
    #[error("`{}`, line {line}, is not a trace event", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// An event stands where it cannot.
    #[error("`{}`, line {line}: {problem}", .path.display())]
    Order {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// Which event it is and what is missing before it.
        problem: &'static str,
    },
}

impl TraceError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => Some("name a folder that does not exist yet".to_owned()),
            Self::Missing { .. } => {
                Some("give the folder that was named when the episode was recorded".to_owned())
            }
            Self::Write { source } => {
                let how = match source.kind() {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space",
                    ErrorKind::FileTooLarge => "allow larger files, see `ulimit -f`",
                    _ => return None,
                };
                Some(format!("{how}; the trace is complete up to this point"))
            }
            Self::Read { .. } | Self::Picture { .. } => Some(
                "a trace is a folder that `--trace` wrote, with its files as they were".to_owned(),
            ),
            Self::Newer { .. } => Some("read it with a newer version of Handsight".to_owned()),
            _ => None,
        }
    }
}
