//! The data file of a benchmark's prompt: its form, and what is checked of it.

use handsight_actions::Dialect;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{BenchmarkPrompt, BenchmarkPromptError, Counts};
use crate::family::{Hole, Template};

/// What the words of a question may have.
const USER: [Hole; 4] = [Hole::Description, Hole::Steps, Hole::Width, Hole::Height];

/// A file as it is written. Unknown keys are refused: a misspelt one would be silence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: String,
    about: String,
    /// Where the facts are from; for people.
    #[serde(rename = "sources")]
    _sources: Vec<String>,
    counts: Counts,
    dialect: Option<Dialect>,
    #[serde(default)]
    system: String,
    user: String,
    /// Whether the words stand before the picture.
    #[serde(default)]
    text_first: bool,
    /// What stands between the steps so far, `Step 1: …` each; by default each ends with a semicolon.
    between_steps: Option<String>,
    /// What stands there if there are none.
    #[serde(default)]
    no_steps: String,
    /// What the answer is made to begin with.
    begin: Option<String>,
}

/// Reads a file; `origin` is what errors call it.
pub(super) fn read(text: &str, origin: &str) -> Result<BenchmarkPrompt, BenchmarkPromptError> {
    let file: File = toml::from_str(text).map_err(|source| BenchmarkPromptError::Toml {
        file: origin.to_owned(),
        source: Box::new(source),
    })?;
    let refuse = |field, problem: &str| BenchmarkPromptError::Invalid {
        file: origin.to_owned(),
        field,
        problem: problem.to_owned(),
    };
    let template = |field, text: &str, holes: &[Hole]| {
        Template::read(text, holes).map_err(|problem| refuse(field, &problem))
    };
    let system = template("system", &file.system, &[Hole::Tools, Hole::Width, Hole::Height])?;
    if system.has(Hole::Tools) && file.dialect.is_none() {
        return Err(refuse("dialect", "is missing, and `{tools}` needs it"));
    }
    let user = template("user", &file.user, &USER)?;
    if !user.has(Hole::Description) {
        return Err(refuse("user", "does not say the `{description}`"));
    }
    Ok(BenchmarkPrompt {
        name: file.name,
        about: file.about,
        counts: file.counts,
        sha256: format!("{:x}", Sha256::digest(text)),
        dialect: file.dialect,
        system,
        user,
        text_first: file.text_first,
        between_steps: file.between_steps,
        no_steps: file.no_steps,
        begin: file.begin,
    })
}
