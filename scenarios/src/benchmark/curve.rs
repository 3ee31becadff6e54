//! Several runs on the same items, by what they cost: what a pixel budget, a closer look or a quantisation
//! buys.

use std::collections::BTreeMap;

use serde::Serialize;

use super::prediction::Timing;
use super::run::Run;
use super::summary::{Cell, Costs, Summary};
use crate::score::Rate;

/// A run, as a point of a curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The run.
    pub run: String,
    /// What sets it apart from the first: `max pixels 200704`, `zoom 2`, `prompt point`.
    pub name: String,
    /// Its strict figure.
    pub cell: Cell,
    /// The median of image tokens for each item.
    pub image_tokens: f64,
    /// The median of the milliseconds for each item, if they were kept.
    pub ms: Option<f64>,
}

/// Returns runs as points, cheapest first.
pub fn curve(runs: &[(&Run, &Summary, BTreeMap<String, Timing>)]) -> Vec<Point> {
    let Some((first, ..)) = runs.first() else { return Vec::new() };
    let mut points: Vec<_> = runs
        .iter()
        .map(|(run, summary, timings)| {
            let strict = summary.scores.first();
            let cell = strict.map_or_else(|| Cell::new("", Rate::default()), |s| s.overall.clone());
            let name = name(first, run);
            Point {
                run: run.manifest.id(),
                cell: Cell { name: name.clone(), ..cell },
                name,
                image_tokens: summary.tokens.image.p50,
                ms: Costs::of(timings).map(|costs| costs.total_ms.p50),
            }
        })
        .collect();
    points.sort_by(|a, b| a.image_tokens.total_cmp(&b.image_tokens));
    points
}

/// Says what sets a run apart from the others; its pixel budget, at least.
fn name(first: &Run, run: &Run) -> String {
    let (first, this) = (&first.manifest, &run.manifest);
    let budget = this.ask.max_pixels.map_or("any size".to_owned(), |most| format!("{most} pixels"));
    let mut parts = vec![budget];
    if let Some(zoom) = this.zoom {
        parts.push(format!("zoom {zoom}"));
    }
    if this.prompt != first.prompt {
        parts.push(this.prompt.name.clone());
    }
    if this.model.name != first.model.name {
        parts.push(this.model.name.clone());
    }
    for (setting, value) in &this.model.loaded {
        if first.model.loaded.get(setting) != Some(value) {
            parts.push(format!("{setting} {}", value.as_str().unwrap_or("changed")));
        }
    }
    parts.join(", ")
}
