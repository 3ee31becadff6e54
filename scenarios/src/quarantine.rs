//! Tasks that are known to be broken or flaky: run and shown beside the others, but not counted, for a reason and
//! until a day. A list that nobody looks at again would hide what it was made for, so no entry lasts for ever.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::files::{MAX_BYTES, read_text};

/// A task that is not counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// Its name.
    pub task: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Date,
    /// Until when, that day included.
    pub until: Date,
}

impl std::fmt::Display for Quarantined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { task, reason, since, until } = self;
        write!(f, "{task}: {reason} (since {since}, until {until})")
    }
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// It is not what it should be.
    #[error("`{}` is no quarantine list: {problem}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Why.
        problem: String,
    },
    /// An entry is over.
    #[error("the quarantine of `{task}` in `{}` ended on {until}", file.display())]
    Over {
        /// The file.
        file: PathBuf,
        /// The task.
        task: String,
        /// Its last day.
        until: Date,
    },
}

impl QuarantineError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(_) => None,
            Self::Invalid { .. } => Some(
                "write a list such as [{\"task\": \"menu-3\", \"reason\": \"the menu closes by itself\", \
                 \"since\": \"2026-11-20\", \"until\": \"2026-12-20\"}]"
                    .to_owned(),
            ),
            Self::Over { .. } => {
                Some("take it off the list, so that it counts again, or say until when".to_owned())
            }
        }
    }
}

/// Reads a list; `is_known` tells whether there is a task of a name.
///
/// # Errors
///
/// [`QuarantineError`] if it is not one, names a task twice or one that there is not, or has an entry that is
/// over `today`.
pub fn read_quarantine(
    file: &Path,
    today: Date,
    is_known: impl Fn(&str) -> bool,
) -> Result<Vec<Quarantined>, QuarantineError> {
    let invalid = |problem| QuarantineError::Invalid { file: file.to_owned(), problem };
    let text = read_text(file, MAX_BYTES)?;
    let list: Vec<Quarantined> =
        serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    let mut names = BTreeSet::new();
    for Quarantined { task, reason, since, until } in &list {
        if reason.trim().is_empty() {
            return Err(invalid(format!("`{task}` has no reason")));
        }
        if !is_known(task) {
            return Err(invalid(format!("there is no task `{task}`")));
        }
        if !names.insert(task) {
            return Err(invalid(format!("`{task}` is there twice")));
        }
        if since > until {
            return Err(invalid(format!("`{task}` ends on {until}, before it begins on {since}")));
        }
        if *until < today {
            let (task, until) = (task.clone(), *until);
            return Err(QuarantineError::Over { file: file.to_owned(), task, until });
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_read_or_refused_by_task_and_reason() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("q.json");
        let entry = json!({"task": "menu-3", "reason": "it closes", "since": "2026-11-20", "until": "2026-12-20"});
        let read = |text: String, today: &str| {
            fs_err::write(&file, text).unwrap();
            read_quarantine(&file, today.parse().unwrap(), |task| task.starts_with("menu-"))
        };
        let list = read(json!([entry]).to_string(), "2026-12-20").unwrap();
        assert_eq!(list[0].to_string(), "menu-3: it closes (since 2026-11-20, until 2026-12-20)");
        let with = |key: &str, value: &str| {
            let mut entry = entry.clone();
            entry[key] = value.into();
            json!([entry]).to_string()
        };
        let over = read(json!([entry]).to_string(), "2026-12-21").unwrap_err();
        assert!(over.to_string().ends_with("ended on 2026-12-20"), "{over}");
        assert!(over.hint().unwrap().contains("counts again"));
        for (text, problem) in [
            (with("task", "meun-3"), "there is no task `meun-3`"),
            (with("reason", " "), "`menu-3` has no reason"),
            (with("until", "2026-11-19"), "ends on 2026-11-19, before it begins on 2026-11-20"),
            (with("until", "soon"), "line 1"),
            (with("untli", "2026-12-20"), "unknown field `untli`"),
            (json!([entry, entry]).to_string(), "`menu-3` is there twice"),
            (entry.to_string(), "expected a sequence"),
        ] {
            let error = read(text, "2026-11-28").unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
