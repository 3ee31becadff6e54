//! What a run comes to: every item counted once, broken down, with intervals, and beside it what tells a
//! figure that means something from one that does not.

use std::collections::{BTreeMap, HashSet};

use handsight_agent::Counts;
use serde::Serialize;
use serde_json::Value;

use super::answer::read_place;
use super::dataset::Dataset;
use super::item::{Item, Target};
use super::prediction::{Prediction, Predictions, Timing};
use super::run::Run;
use super::scorer::{Asked, Judged, Outcome, Scorer, totals};
use super::statistics::{bootstrap_95, percentile};
use crate::score::Rate;

/// How many groups answers are put in by how sure the model was.
const CALIBRATION_GROUPS: usize = 10;

/// Fewer items than this say little.
pub const FEW: u32 = 30;

/// Limits of the sizes that targets are grouped by: the side of a square as large, in pixels.
const SIDES: [(&str, f64); 5] =
    [("<16", 16.0), ("16–32", 32.0), ("32–64", 64.0), ("64–128", 128.0), ("≥128", f64::INFINITY)];

/// The tags that every figure is broken down by, if the set has them.
const BREAKDOWNS: [&str; 8] =
    ["platform", "ui_type", "group", "application", "category", "target", "data_source", "subset"];

/// The most values a tag may have to break a figure down.
const MAX_VALUES: usize = 60;

/// A figure of a part of the items.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// What the part is.
    pub name: String,
    /// How many are right, of how many.
    pub correct: u32,
    /// How many there are.
    pub n: u32,
    /// The share that is right.
    pub accuracy: f64,
    /// Its 95 % Wilson interval.
    pub interval: (f64, f64),
    /// Whether there are too few items to say much.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub few: bool,
}

impl Cell {
    pub(super) fn new(name: impl Into<String>, rate: Rate) -> Self {
        let (correct, n) = (rate.hits, rate.tries);
        let interval = rate.wilson_95();
        Self { name: name.into(), correct, n, accuracy: rate.share(), interval, few: n < FEW }
    }

    /// Returns it as hits out of tries.
    pub fn rate(&self) -> Rate {
        Rate { hits: self.correct, tries: self.n }
    }
}

/// What a scorer makes of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// The scorer.
    pub scorer: Scorer,
    /// Its rule, in a sentence.
    pub rule: &'static str,
    /// How many items ended how.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// All items together: the micro average.
    pub overall: Cell,
    /// The figure that the scorer itself puts first: SeeClick the mean of its cells, AgentNetBench the mean
    /// score, others the micro average.
    pub headline: f64,
    /// The interval of the micro average if pictures, and not items, were drawn.
    pub by_picture: Option<(f64, f64)>,
    /// The mean over platform and kind, of the cells there are: the macro average.
    pub macro_average: Option<f64>,
    /// The share that clicks at random would get by this rule.
    pub random_floor: f64,
    /// Figures by tag and value.
    pub breakdown: BTreeMap<String, Vec<Cell>>,
    /// What the scorer itself prints.
    pub totals: Value,
    /// What it says of each item, in the set's order; `None` where there is no prediction.
    #[serde(skip)]
    pub judged: Vec<Option<Judged>>,
}

/// What a run comes to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The run.
    pub run: String,
    /// The set.
    pub dataset: String,
    /// The model.
    pub model: String,
    /// The prompt.
    pub prompt: String,
    /// How many items the run is about.
    pub items: usize,
    /// How many of them have no prediction yet.
    pub missing: usize,
    /// What each scorer makes of it.
    pub scores: Vec<Scores>,
    /// The strict figure of the first looks alone, if there was a second one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_look: Option<Cell>,
    /// The strict figure if the numbers had counted something else.
    pub if_counted: Vec<(Counts, Cell)>,
    /// The strict figure by how large the target is.
    pub by_size: Vec<Cell>,
    /// The strict figure by how sure the model was: what it said, and what was so.
    pub calibration: Vec<Calibrated>,
    /// How many tokens it took.
    pub tokens: TokenCosts,
}

/// Answers that were about as sure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibrated {
    /// The mean probability of their digits.
    pub said: f64,
    /// How often they were right.
    pub cell: Cell,
}

/// How many tokens answers took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TokenCosts {
    /// Those of the pictures.
    pub image: Spread,
    /// Those of the prompts, pictures included.
    pub prompt: Spread,
    /// Those of the answers.
    pub output: Spread,
}

/// How a cost is spread over the items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// All together.
    pub total: f64,
    /// The median.
    pub p50: f64,
    /// What 95 % of the items stay below.
    pub p95: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self {
            total: values.iter().sum(),
            p50: percentile(&values, 0.5),
            p95: percentile(&values, 0.95),
        }
    }
}

/// What a run took, in milliseconds for each item. It differs from run to run and is therefore not part
/// of a [`Summary`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Costs {
    /// The picture: resizing and the vision tower.
    pub vision_ms: Spread,
    /// The prompt.
    pub prefill_ms: Spread,
    /// The answer.
    pub decode_ms: Spread,
    /// All of it.
    pub total_ms: Spread,
}

impl Costs {
    /// Adds up what the items took; `None` if it was not kept.
    pub fn of(timings: &BTreeMap<String, Timing>) -> Option<Self> {
        let spread = |of: fn(&Timing) -> f64| Spread::of(timings.values().map(of).collect());
        (!timings.is_empty()).then(|| Self {
            vision_ms: spread(|timing| timing.preprocess_ms + timing.vision_ms),
            prefill_ms: spread(|timing| timing.prefill_ms),
            decode_ms: spread(|timing| timing.decode_ms),
            total_ms: spread(|timing| timing.total_ms),
        })
    }
}

/// Judges a run by some scorers. An item without a prediction counts in no figure, but is said.
pub fn summarize(
    run: &Run,
    dataset: &Dataset,
    predictions: &Predictions,
    scorers: &[Scorer],
) -> Summary {
    let manifest = &run.manifest;
    let items = &dataset.items[..manifest.dataset.items.min(dataset.items.len())];
    let asked = Asked::of(manifest, &dataset.info);
    let all = Judging { items, predictions, asked };
    let has_places = items.iter().any(|item| item.target.is_place());
    let scores: Vec<Scores> = scorers
        .iter()
        .filter(|scorer| items.iter().any(|item| scorer.takes(&item.target)))
        .map(|scorer| all.scores(*scorer))
        .collect();
    let strict = match scores.iter().find(|scores| scores.scorer == Scorer::Strict) {
        Some(scores) => scores.judged.clone(),
        None => all.judged(Scorer::Strict),
    };
    let zoomed = predictions.values().any(|prediction| prediction.looks.len() > 1);
    let first = Judging { asked: Asked { first_look_only: true, ..asked }, ..all };
    Summary {
        run: manifest.id(),
        dataset: manifest.dataset.name.clone(),
        model: manifest.model.name.clone(),
        prompt: manifest.prompt.name.clone(),
        items: items.len(),
        missing: items.len() - predictions.range(..items.len()).count(),
        scores,
        first_look: zoomed.then(|| Cell::new("first look", rate(&first.judged(Scorer::Strict)))),
        if_counted: if has_places { all.if_counted() } else { Vec::new() },
        by_size: if has_places { by_size(items, &strict) } else { Vec::new() },
        calibration: all.calibration(&strict),
        tokens: all.tokens(),
    }
}

/// Items, what was written about them, and how they were asked about.
#[derive(Clone, Copy)]
struct Judging<'a> {
    items: &'a [Item],
    predictions: &'a Predictions,
    asked: Asked,
}

impl<'a> Judging<'a> {
    fn with_predictions(&self) -> impl Iterator<Item = (usize, &'a Item, &'a Prediction)> {
        let items = self.items;
        self.predictions
            .iter()
            .filter_map(move |(at, prediction)| Some((*at, items.get(*at)?, prediction)))
    }

    fn judged(&self, scorer: Scorer) -> Vec<Option<Judged>> {
        let mut judged = vec![None; self.items.len()];
        for (at, item, prediction) in self.with_predictions() {
            if scorer.takes(&item.target) {
                judged[at] = Some(scorer.judge(item, prediction, self.asked));
            }
        }
        judged
    }

    fn scores(&self, scorer: Scorer) -> Scores {
        let judged = self.judged(scorer);
        let rows: Vec<(&Item, &Judged)> = self
            .items
            .iter()
            .zip(&judged)
            .filter_map(|(item, judged)| Some((item, judged.as_ref()?)))
            .collect();
        let mut outcomes: BTreeMap<_, _> =
            Outcome::ALL.into_iter().map(|outcome| (outcome.as_str(), 0)).collect();
        let mut overall = Rate::default();
        let mut pictures: BTreeMap<&str, (f64, u32)> = BTreeMap::new();
        let mut floor = 0.0;
        for (item, judged) in &rows {
            *outcomes.entry(judged.outcome.as_str()).or_default() += 1;
            if judged.left_out {
                continue;
            }
            let right = judged.outcome == Outcome::Correct;
            overall.add(right);
            let picture = pictures.entry(&item.image).or_default();
            picture.0 += f64::from(u8::from(right));
            picture.1 += 1;
            floor += scorer.random_floor(item, self.asked.boxes);
        }
        let pictures: Vec<_> = pictures.into_values().collect();
        let totals = totals(scorer, &rows);
        let headline =
            ["average", "average_score"].into_iter().find_map(|name| totals[name].as_f64());
        let headline = headline.unwrap_or_else(|| overall.share());
        Scores {
            headline,
            scorer,
            rule: scorer.about(),
            outcomes,
            overall: Cell::new("all", overall),
            by_picture: bootstrap_95(&pictures),
            macro_average: macro_average(&rows),
            random_floor: floor / f64::from(overall.tries.max(1)),
            breakdown: breakdown(&rows),
            totals,
            judged,
        }
    }

    /// Judges the same answers as if their numbers had counted something else.
    fn if_counted(&self) -> Vec<(Counts, Cell)> {
        let counted = |counts| {
            let other =
                Judging { asked: Asked { counts, first_look_only: true, ..self.asked }, ..*self };
            (counts, Cell::new(counts.as_str(), rate(&other.judged(Scorer::Strict))))
        };
        // What was clicked by this program itself has been mapped back already.
        let own = self.predictions.values().any(|prediction| prediction.click.is_some());
        if own { Vec::new() } else { Counts::ALL.into_iter().map(counted).collect() }
    }

    /// Groups the answers that can be read by how sure the model was, as many in each group.
    fn calibration(&self, strict: &[Option<Judged>]) -> Vec<Calibrated> {
        let mut answers: Vec<(f64, bool)> = self
            .with_predictions()
            .filter_map(|(at, _, prediction)| {
                let look = prediction.looks.last()?;
                let readable = prediction.click.is_some() || read_place(&look.raw).is_ok();
                let right = strict[at].as_ref()?.outcome == Outcome::Correct;
                readable.then_some((look.probability?, right))
            })
            .collect();
        answers.sort_by(|a, b| a.0.total_cmp(&b.0));
        let size = answers.len().div_ceil(CALIBRATION_GROUPS).max(1);
        let groups: Vec<&[(f64, bool)]> = answers.chunks(size).collect();
        let calibrated = |(group, name): (&&[(f64, bool)], String)| {
            let mut rate = Rate::default();
            for (_, right) in *group {
                rate.add(*right);
            }
            let said = group.iter().map(|(said, _)| said).sum::<f64>() / group.len() as f64;
            Calibrated { said, cell: Cell::new(name, rate) }
        };
        groups.iter().zip(spans(&groups)).map(calibrated).collect()
    }

    fn tokens(&self) -> TokenCosts {
        let answered = || self.predictions.values().filter(|prediction| prediction.error.is_none());
        let spread = |of: fn(&Prediction) -> u64| {
            Spread::of(answered().map(|prediction| of(prediction) as f64).collect())
        };
        TokenCosts {
            image: spread(|prediction| prediction.tokens.image),
            prompt: spread(|prediction| prediction.tokens.prompt),
            output: spread(|prediction| prediction.tokens.output),
        }
    }
}

/// Returns the names of groups by their ends, in percent, with as many digits as it takes to tell them apart.
fn spans(groups: &[&[(f64, bool)]]) -> Vec<String> {
    const MOST_DIGITS: usize = 6;
    let named = |digits: usize| -> Vec<String> {
        let ends = groups.iter().filter_map(|group| Some((group.first()?.0, group.last()?.0)));
        let percent = |(low, high): (f64, f64)| {
            format!("{:.digits$}–{:.digits$} %", low * 100.0, high * 100.0)
        };
        ends.map(percent).collect()
    };
    let differ = |names: &Vec<String>| names.iter().collect::<HashSet<_>>().len() == names.len();
    let told_apart = (1..=MOST_DIGITS).map(named).find(differ);
    // Groups of one and the same number are told apart by their place.
    told_apart.unwrap_or_else(|| {
        let names = named(1).into_iter().enumerate();
        names.map(|(at, name)| format!("{name}, group {}", at + 1)).collect()
    })
}

/// Counts what a scorer counts.
pub(super) fn rate(judged: &[Option<Judged>]) -> Rate {
    let mut rate = Rate::default();
    for judged in judged.iter().flatten().filter(|judged| !judged.left_out) {
        rate.add(judged.outcome == Outcome::Correct);
    }
    rate
}

/// Returns the mean of the cells of platform and kind, if the set has either.
fn macro_average(rows: &[(&Item, &Judged)]) -> Option<f64> {
    let mut cells: BTreeMap<(Option<&str>, Option<&str>), Rate> = BTreeMap::new();
    for (item, judged) in rows.iter().filter(|(_, judged)| !judged.left_out) {
        let platform = item.tag("platform").or_else(|| item.tag("group"));
        cells
            .entry((platform, item.tag("ui_type")))
            .or_default()
            .add(judged.outcome == Outcome::Correct);
    }
    let mean = cells.values().map(|rate| rate.share()).sum::<f64>() / cells.len().max(1) as f64;
    (cells.len() > 1).then_some(mean)
}

fn breakdown(rows: &[(&Item, &Judged)]) -> BTreeMap<String, Vec<Cell>> {
    let mut all = BTreeMap::new();
    for tag in BREAKDOWNS {
        let mut cells: BTreeMap<&str, Rate> = BTreeMap::new();
        for (item, judged) in rows.iter().filter(|(_, judged)| !judged.left_out) {
            // An episode may belong to several subsets.
            for value in item.tag(tag).into_iter().flat_map(|value| parts_of(tag, value)) {
                cells.entry(value).or_default().add(judged.outcome == Outcome::Correct);
            }
        }
        if (2..=MAX_VALUES).contains(&cells.len()) {
            let cells = cells.into_iter().map(|(value, rate)| Cell::new(value, rate));
            all.insert(tag.to_owned(), cells.collect());
        }
    }
    all
}

/// Returns the values that a tag has: one, but of subsets all.
fn parts_of<'a>(tag: &str, value: &'a str) -> std::str::Split<'a, char> {
    value.split(if tag == "subset" { '+' } else { '\0' })
}

fn by_size(items: &[Item], strict: &[Option<Judged>]) -> Vec<Cell> {
    let mut rates = [Rate::default(); SIDES.len()];
    for (item, judged) in items.iter().zip(strict) {
        let side = item.target.area().sqrt();
        let bin = SIDES.iter().position(|(_, limit)| side < *limit);
        if let (Some(judged), Some(bin), false) = (judged, bin, item.target == Target::Refusal) {
            rates[bin].add(judged.outcome == Outcome::Correct);
        }
    }
    let named = SIDES.iter().zip(rates);
    named
        .filter(|(_, rate)| rate.tries > 0)
        .map(|((name, _), rate)| Cell::new(*name, rate))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_answers_have_names_of_their_own() {
        let group = |low: f64, high: f64| vec![(low, true), (high, false)];
        let names = |groups: &[Vec<(f64, bool)>]| {
            spans(&groups.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        assert_eq!(names(&[group(0.1, 0.5), group(0.5, 1.0)]), ["10.0–50.0 %", "50.0–100.0 %"]);
        assert_eq!(
            names(&[group(0.999_91, 0.999_92), group(0.999_92, 0.999_94)]),
            ["99.991–99.992 %", "99.992–99.994 %"]
        );
        assert_eq!(
            names(&[group(1.0, 1.0), group(1.0, 1.0)]),
            ["100.0–100.0 %, group 1", "100.0–100.0 %, group 2"]
        );
    }
}
