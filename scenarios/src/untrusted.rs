//! The readers of what comes from outside, each as a function of bytes: for fuzzing and for tests.
//!
//! None of them may panic, take long, or take memory out of proportion to what it is given.

use std::path::Path;

use crate::report::suite::texts;
use crate::suite::SuiteResult;

/// Reads what an earlier run left, `result.json`.
///
/// # Errors
///
/// What is wrong with it.
pub fn result(json: &str) -> Result<SuiteResult, String> {
    SuiteResult::of_json(json, Path::new("result.json")).map_err(|error| error.to_string())
}

/// Returns the files of a report by their names; no picture is there.
///
/// # Errors
///
/// Why there is no report of it.
pub fn report(suite: &SuiteResult) -> Result<Vec<(&'static str, String)>, String> {
    texts(suite, Path::new("/nowhere")).map(Vec::from).map_err(|error| error.to_string())
}
