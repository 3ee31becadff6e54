//! Two runs on the same items: what one gets right and the other does not, and whether that is chance.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dataset::Dataset;
use super::prediction::{PredictionError, Predictions};
use super::run::Run;
use super::scorer::{Asked, Outcome, Scorer};
use super::statistics::{bootstrap_95, mcnemar_exact};
use super::summary::Cell;
use crate::score::Rate;

/// How two runs differ.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// The rule they were judged by.
    pub scorer: Scorer,
    /// The first run's figure of the items both have.
    pub a: Cell,
    /// The second run's.
    pub b: Cell,
    /// What they were asked differently.
    pub differences: Vec<&'static str>,
    /// The second figure minus the first.
    pub delta: f64,
    /// Its 95 % interval, if pictures were drawn.
    pub interval: Option<(f64, f64)>,
    /// Items that only the first run gets right.
    pub only_a: Vec<String>,
    /// Items that only the second one does.
    pub only_b: Vec<String>,
    /// The p-value of McNemar's exact test.
    pub p: f64,
    /// Figures by platform, kind and group: first, second.
    pub breakdown: Vec<(String, Cell, Cell)>,
}

/// Compares two runs on the items that both have predictions for.
///
/// # Errors
///
/// [`PredictionError::AnotherDataset`] if they are not about the same items.
pub fn diff(
    dataset: &Dataset,
    (a, a_predictions): (&Run, &Predictions),
    (b, b_predictions): (&Run, &Predictions),
    scorer: Scorer,
) -> Result<Diff, PredictionError> {
    for run in [a, b] {
        if run.manifest.dataset.sha256 != dataset.info.sha256 {
            let (run, folder) = (run.manifest.id(), dataset.folder.clone());
            return Err(PredictionError::AnotherDataset { run, folder });
        }
    }
    let asked = |run: &Run| Asked::of(&run.manifest, &dataset.info);
    let (asked_a, asked_b) = (asked(a), asked(b));
    let (mut rate_a, mut rate_b) = (Rate::default(), Rate::default());
    let (mut only_a, mut only_b) = (Vec::new(), Vec::new());
    let mut pictures: BTreeMap<&str, (f64, u32)> = BTreeMap::new();
    let mut cells: BTreeMap<String, (Rate, Rate)> = BTreeMap::new();
    for (at, item) in dataset.items.iter().enumerate() {
        let (Some(in_a), Some(in_b)) = (a_predictions.get(&at), b_predictions.get(&at)) else {
            continue;
        };
        if !scorer.takes(&item.target) {
            continue;
        }
        let (in_a, in_b) = (scorer.judge(item, in_a, asked_a), scorer.judge(item, in_b, asked_b));
        if in_a.left_out {
            continue;
        }
        let (in_a, in_b) = (in_a.outcome == Outcome::Correct, in_b.outcome == Outcome::Correct);
        rate_a.add(in_a);
        rate_b.add(in_b);
        match (in_a, in_b) {
            (true, false) => only_a.push(item.id.clone()),
            (false, true) => only_b.push(item.id.clone()),
            _ => {}
        }
        let picture = pictures.entry(&item.image).or_default();
        picture.0 += f64::from(u8::from(in_b)) - f64::from(u8::from(in_a));
        picture.1 += 1;
        for tag in ["platform", "ui_type", "group"] {
            if let Some(value) = item.tag(tag) {
                let (in_both_a, in_both_b) = cells.entry(format!("{tag} {value}")).or_default();
                in_both_a.add(in_a);
                in_both_b.add(in_b);
            }
        }
    }
    let pictures: Vec<_> = pictures.into_values().collect();
    let count = |flips: &[String]| u32::try_from(flips.len()).unwrap_or(u32::MAX);
    Ok(Diff {
        scorer,
        delta: rate_b.share() - rate_a.share(),
        interval: bootstrap_95(&pictures),
        p: mcnemar_exact(count(&only_a), count(&only_b)),
        differences: a.manifest.differences(&b.manifest),
        a: Cell::new(a.manifest.id(), rate_a),
        b: Cell::new(b.manifest.id(), rate_b),
        only_a,
        only_b,
        breakdown: cells
            .into_iter()
            .map(|(name, (a, b))| (name.clone(), Cell::new(name.clone(), a), Cell::new(name, b)))
            .collect(),
    })
}
