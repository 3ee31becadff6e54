//! Why a scenario cannot be used.

use std::path::PathBuf;

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A file cannot be read.
    #[error("could not read the scenario")]
    Read {
        /// What the operating system said; it names the file.
        #[source]
        source: std::io::Error,
    },
    /// The file is no YAML, or says something that makes no sense.
    #[error("scenario `{}`, line {line}, column {column}: {problem}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong there.
        problem: String,
    },
    /// A file includes itself.
    #[error("the scenario `{}` includes itself", .path.display())]
    Cycle {
        /// The file.
        path: PathBuf,
    },
    /// Files include files that include files, and so on.
    #[error("the scenario `{}` is included {limit} files deep", .path.display())]
    TooDeep {
        /// The file.
        path: PathBuf,
        /// How deep it may be.
        limit: usize,
    },
}

impl ScenarioError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("check the path of the scenario"),
            Self::Syntax { .. } => {
                Some("`handsight schema scenario` describes all that a scenario can say")
            }
            Self::Cycle { .. } => Some("repeat steps with `until:` or `for_each:`"),
            Self::TooDeep { .. } => Some("include fewer files within each other"),
        }
    }
}
