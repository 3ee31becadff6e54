//! Files in YAML that people write: policies, secrets, scenarios.

use serde::de::DeserializeOwned;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong there. It may quote the text.
    pub problem: String,
}

/// Reads a text.
///
/// # Errors
/// [`YamlError`] if it is no YAML, or not of this type.
pub fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        YamlError { line: line.max(1), column: column.max(1), problem: problem(&error) }
    })
}

/// Returns the message of an error without its place and without advice to programmers.
fn problem(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    let line = message.lines().next().unwrap_or_default();
    let line = line.rsplit_once(" at line ").map_or(line, |(text, _)| text);
    line.split_once(", set DuplicateKeyPolicy").map_or(line, |(text, _)| text).to_owned()
}
