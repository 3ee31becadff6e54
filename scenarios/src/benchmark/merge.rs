//! The parts of a run, asked on several machines, become one.

use std::path::Path;

use super::dataset::Dataset;
use super::prediction::{
    PREDICTIONS, PredictionError, Predictions, TIMINGS, read_predictions, read_timings, write,
};
use super::run::Run;
use crate::files::replace;

/// Puts the predictions of several parts of one run together; of an item that several have, one that is
/// no error goes before one that is, and a later part before an earlier one.
///
/// # Errors
///
/// [`PredictionError::AnotherRun`] if the parts are not of one run.
pub fn merge(
    parts: &[Run],
    dataset: &Dataset,
    out: &Path,
) -> Result<(Run, Predictions), PredictionError> {
    let Some(first) = parts.first() else {
        let problem = "there is nothing to merge".to_owned();
        return Err(PredictionError::NotARun { folder: out.to_owned(), problem });
    };
    let mut all = Predictions::new();
    let mut timings = std::collections::BTreeMap::new();
    for part in parts {
        if part.manifest.id() != first.manifest.id() {
            return Err(PredictionError::AnotherRun {
                folder: part.folder.clone(),
                theirs: part.manifest.id(),
                ours: first.manifest.id(),
                differences: part.manifest.differences(&first.manifest).join(", "),
            });
        }
        for (at, prediction) in read_predictions(part, dataset)? {
            let is_worse = prediction.error.is_some()
                && all.get(&at).is_some_and(|there: &super::Prediction| there.error.is_none());
            if !is_worse {
                all.insert(at, prediction);
            }
        }
        timings.extend(read_timings(part)?);
    }
    let merged = Run::begin(out, first.manifest.clone())?;
    write(&out.join(PREDICTIONS), &all)?;
    let mut text = Vec::new();
    for timing in timings.values() {
        serde_json::to_writer(&mut text, timing).map_err(std::io::Error::from)?;
        text.push(b'\n');
    }
    replace(&out.join(TIMINGS), &text)?;
    Ok((merged, all))
}
