//! The safety policy as a file: YAML, read whole and checked before anything is done.
//!
//! Reading is strict. A word that is not known, a pattern that is no pattern and a rule that could
//! never apply are errors that name their line and column: a rule that silently does nothing is
//! worse than none.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use super::rule::{Chord, Hours, Limit, Pattern, Region, WindowRule};
use crate::action::Verb;
use crate::clipboard::Pasting;
use crate::halt::Reaction;
use crate::yaml::{YamlError, from_yaml};

/// The version of the format this build reads.
pub const POLICY_VERSION: u32 = 1;

/// The most bytes of a file.
const MAX_BYTES: u64 = 1 << 20;

/// The most entries of one list.
const MAX_ENTRIES: usize = 1000;

/// What may be done to a screen: the rules a person wrote, whatever decides on the actions.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SafetyPolicy {
    /// The version of the format: 1.
    #[serde(default = "newest")]
    pub version: u32,
    /// How much is allowed.
    pub mode: Mode,
    /// What `confirm` asks about.
    #[serde(default)]
    pub ask: Option<Ask>,
    /// What `confirm` takes to be risky beside what it knows itself.
    #[serde(default)]
    pub risky: Option<Rules>,
    /// What is allowed: each list that is there bounds its subject. For `bounded` and `confirm`.
    #[serde(default)]
    pub allow: Option<Rules>,
    /// What is never allowed, in any mode.
    #[serde(default)]
    pub deny: Option<Rules>,
    /// What stops or pauses all input, beside Ctrl-C and `handsight stop`.
    #[serde(default)]
    pub stop: Stop,
    /// Which texts are pasted on a desktop, in any mode.
    #[serde(default)]
    pub paste: Pasting,
    /// How many actions there may be in a time, in any mode; all of these hold.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// When actions are allowed, in any mode; one of these must hold. Always, if there are none.
    #[serde(default)]
    pub hours: Vec<Hours>,
}

/// What stops or pauses all input.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Keys that stop a run for good when they are down together; on X11.
    #[serde(default)]
    pub chord: Option<Chord>,
    /// What it does when the user moves the mouse or types while nothing is performed; on X11.
    #[serde(default)]
    pub user_input: Reaction,
    /// A file that stops a run for good when it is there.
    #[serde(default)]
    pub file: Option<PathBuf>,
}

/// How much is allowed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The screen may be looked at, and nothing is done to it.
    Observe,
    /// A person is asked first: about what is risky, or about everything.
    Confirm,
    /// Only what `allow` names is done.
    Bounded,
    /// All is done that no rule forbids.
    #[default]
    Unrestricted,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Confirm => "confirm",
            Self::Bounded => "bounded",
            Self::Unrestricted => "unrestricted",
        })
    }
}

/// What the mode `confirm` asks about.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// What sends, deletes, buys or closes something, as far as keys and words show it; what types
    /// a secret; and what `risky` names.
    #[default]
    Risky,
    /// Every action.
    Everything,
}

/// Lists of what is allowed, denied or risky.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Kinds of action, such as `left_click`.
    #[serde(default)]
    pub actions: Option<Vec<Verb>>,
    /// Parts of the screenshot that presses, drags and scrolls go to: `[x, y, width, height]`.
    #[serde(default)]
    pub regions: Option<Vec<Region>>,
    /// Windows that presses, keys and text go to.
    #[serde(default)]
    pub windows: Option<Vec<WindowRule>>,
    /// Texts that are typed, as regular expressions. Allowed ones must match the whole text, the
    /// others match anywhere in what was typed lately.
    #[serde(default)]
    pub text: Option<Vec<Pattern>>,
    /// Keys and chords, such as `ctrl+w`. An allowed chord is pressed exactly so; a denied one
    /// forbids every chord that holds all of its keys.
    #[serde(default)]
    pub keys: Option<Vec<Chord>>,
}

fn newest() -> u32 {
    POLICY_VERSION
}

/// Why a safety policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetyPolicyError {
    /// The file cannot be read.
    #[error("could not read the safety policy")]
    Read {
        /// What the operating system said; it names the file.
        #[source]
        source: std::io::Error,
    },
    /// The file is far longer than rules are.
    #[error("the safety policy `{}` has {bytes} bytes and at most {MAX_BYTES} are read", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file is no YAML, or says something that is not known.
    #[error("safety policy `{}`, line {line}, column {column}: {problem}", .path.display())]
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
    /// The rules are well-formed and make no sense together.
    #[error("safety policy `{}`: {problem}", .path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// What does not go together.
        problem: String,
    },
}

impl SafetyPolicyError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("check the path of the safety policy"),
            Self::TooLong { .. } => Some("give the file with the rules"),
            Self::Syntax { .. } => {
                Some("`handsight schema policy` describes all that a safety policy can say")
            }
            Self::Contradiction { .. } => None,
        }
    }
}

impl SafetyPolicy {
    /// Reads a file.
    ///
    /// # Errors
    /// [`SafetyPolicyError`], with line and column where the text is at fault.
    pub fn open(path: &Path) -> Result<Self, SafetyPolicyError> {
        let unreadable = |source| SafetyPolicyError::Read { source };
        let file = fs_err::File::open(path).map_err(unreadable)?;
        // What a device says of its length is not what it gives.
        let len = file.metadata().map_err(unreadable)?.len();
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        let bytes = len.max(text.len() as u64);
        if bytes > MAX_BYTES {
            return Err(SafetyPolicyError::TooLong { path: path.to_owned(), bytes });
        }
        Self::parse(&text, path)
    }

    /// Reads a text; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`SafetyPolicy::open`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, SafetyPolicyError> {
        let policy: Self = from_yaml(text).map_err(|YamlError { line, column, problem }| {
            SafetyPolicyError::Syntax { path: path.to_owned(), line, column, problem }
        })?;
        policy.make_sense().map_err(|problem| SafetyPolicyError::Contradiction {
            path: path.to_owned(),
            problem,
        })?;
        Ok(policy)
    }

    /// Checks what no single line shows.
    fn make_sense(&self) -> Result<(), String> {
        if self.version != POLICY_VERSION {
            return Err(format!(
                "it has version {} and this build reads version {POLICY_VERSION}",
                self.version
            ));
        }
        let has_actions = self.allow.as_ref().is_some_and(|allow| allow.actions.is_some());
        match self.mode {
            Mode::Bounded if !has_actions => {
                return Err("mode `bounded` does nothing without `allow: actions:`".to_owned());
            }
            Mode::Unrestricted if self.allow.is_some() => {
                return Err("mode `unrestricted` has no use for `allow`".to_owned());
            }
            _ => {}
        }
        if self.mode != Mode::Confirm && (self.ask.is_some() || self.risky.is_some()) {
            return Err("`ask` and `risky` are for mode `confirm`".to_owned());
        }
        if self.ask == Some(Ask::Everything) && self.risky.is_some() {
            return Err("`risky` has no use where everything is asked about".to_owned());
        }
        let lists = [("allow", &self.allow), ("deny", &self.deny), ("risky", &self.risky)];
        for (name, rules) in lists {
            let Some(rules) = rules else { continue };
            let longest = rules.longest();
            if longest > MAX_ENTRIES {
                return Err(format!("a list of `{name}` has {longest} entries, more than 1000"));
            }
            if rules.is_empty() {
                return Err(format!("`{name}` has no list"));
            }
        }
        if self.limits.len().max(self.hours.len()) > MAX_ENTRIES {
            return Err("`limits` or `hours` has more than 1000 entries".to_owned());
        }
        Ok(())
    }
}

impl Rules {
    fn lengths(&self) -> [Option<usize>; 5] {
        [
            self.actions.as_ref().map(Vec::len),
            self.regions.as_ref().map(Vec::len),
            self.windows.as_ref().map(Vec::len),
            self.text.as_ref().map(Vec::len),
            self.keys.as_ref().map(Vec::len),
        ]
    }

    fn longest(&self) -> usize {
        self.lengths().into_iter().flatten().max().unwrap_or(0)
    }

    fn is_empty(&self) -> bool {
        self.lengths().iter().all(Option::is_none)
    }
}

/// Returns the JSON Schema of a safety policy, for editors.
pub fn policy_schema() -> Schema {
    schema_for!(SafetyPolicy)
}
