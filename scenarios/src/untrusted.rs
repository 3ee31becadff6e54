//! The readers of what comes from outside, each as a function of bytes: for fuzzing and for tests.
//!
//! None of them may panic, take long, or take memory out of proportion to what it is given.

use std::path::Path;

use handsight_actions::Size;
use serde_json::{Map, Value};

use crate::benchmark::import::schema::SCHEMAS;
use crate::benchmark::import::{Example, Level, Splits, TfRecords, control, wild};
use crate::benchmark::{Item, Prediction};
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

/// Reads a record of annotations by every schema, and returns how many take it.
///
/// # Errors
///
/// That it is no record.
pub fn annotation(json: &[u8]) -> Result<usize, String> {
    let fields: Map<String, Value> =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let size = Size { width: 1280, height: 720 };
    let targets = SCHEMAS.iter().filter_map(|schema| schema.target(&fields, size).ok());
    Ok(targets.filter(|target| target.problem().is_none()).count())
}

/// Reads a file of TFRecords, packed or not, and returns how many records it has.
///
/// # Errors
///
/// What is wrong with it.
pub fn tfrecords(bytes: &[u8]) -> Result<usize, String> {
    let file = std::io::Cursor::new(bytes.to_vec());
    let records = TfRecords::new(file).map_err(|error| error.to_string())?;
    records.map(|record| tfrecord(&record?)).sum()
}

/// Reads a record of such a file as every set that is published in them, and returns how many items it has.
///
/// # Errors
///
/// What is wrong with it.
pub fn tfrecord(bytes: &[u8]) -> Result<usize, String> {
    let example = Example::read(bytes)?;
    let file = Path::new("general-00000-of-00001");
    let steps = wild(&example, file, "").map(|step| vec![step]);
    let steps = steps.or_else(|_| control(&example, Level::High, &Splits::default(), ""))?;
    Ok(steps.len())
}

/// Reads a line of a dataset and a line of predictions.
///
/// # Errors
///
/// What is wrong with them.
pub fn lines(item: &[u8], prediction: &[u8]) -> Result<(Item, Prediction), String> {
    let item: Item = serde_json::from_slice(item).map_err(|error| error.to_string())?;
    let prediction = serde_json::from_slice(prediction).map_err(|error| error.to_string())?;
    item.problem().map_or(Ok((item, prediction)), Err)
}
