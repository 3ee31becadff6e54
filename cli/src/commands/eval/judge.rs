//! `eval score`, `report`, `diff` and `merge`: what is made of predictions, without a model.

use std::path::{Path, PathBuf};

use handsight_scenarios::benchmark::curve::curve as points_of;
use handsight_scenarios::benchmark::diff::{Diff, diff as compare};
use handsight_scenarios::benchmark::merge::merge as put_together;
use handsight_scenarios::benchmark::prediction::{Predictions, read_predictions, read_timings};
use handsight_scenarios::benchmark::run::DatasetRef;
use handsight_scenarios::benchmark::summary::{Costs, Summary, summarize};
use handsight_scenarios::benchmark::{Dataset, Run, Scorer};
use handsight_scenarios::report::benchmark::{
    Reported, write_benchmark_report, write_curve_page, write_diff_page,
};
use serde_json::json;

use crate::args::{
    EvalCurveArgs, EvalDiffArgs, EvalMergeArgs, EvalReportArgs, EvalScoreArgs, JudgeArgs,
};
use crate::failure::{Exit, Failure};
use crate::print::Printer;

/// The most flips that a page shows of each kind.
const FLIPS: usize = 60;

/// A run with all that is needed to judge it.
struct Judged {
    run: Run,
    dataset: Dataset,
    predictions: Predictions,
    summary: Summary,
}

impl Judged {
    fn open(folder: &Path, judge: &JudgeArgs) -> Result<Self, Failure> {
        let run = Run::open(folder)?;
        let dataset = dataset(&run, judge.dataset.as_ref())?;
        let predictions = read_predictions(&run, &dataset)?;
        // What this program looks at twice by itself no other program's reader can read.
        let own = run.manifest.prompt.sha256.is_none();
        let scorers = match &judge.scorers[..] {
            [] if own => &[Scorer::Strict],
            [] => &Scorer::ALL[..],
            named => named,
        };
        let summary = summarize(&run, &dataset, &predictions, scorers);
        if summary.scores.is_empty() {
            let fit = Scorer::ALL
                .into_iter()
                .filter(|scorer| dataset.items.iter().any(|item| scorer.takes(&item.target)));
            let names: Vec<_> = fit.map(Scorer::as_str).collect();
            return Err(Failure::bad_input("none of these scorers judges such items".to_owned())
                .with_hint(format!("those that do are {}", names.join(", "))));
        }
        Ok(Self { run, dataset, predictions, summary })
    }

    fn reported<'a>(&'a self, costs: Option<&'a Costs>, gallery: usize) -> Reported<'a> {
        Reported {
            dataset: &self.dataset,
            run: &self.run,
            predictions: &self.predictions,
            summary: &self.summary,
            costs,
            gallery,
        }
    }
}

fn dataset(run: &Run, named: Option<&PathBuf>) -> Result<Dataset, Failure> {
    let folder = named.unwrap_or(&run.manifest.dataset.folder);
    let dataset = Dataset::open(folder)?;
    if dataset.info.sha256 != run.manifest.dataset.sha256 {
        return Err(Failure::bad_input(format!(
            "run {} is about other items than the dataset `{}` has",
            run.manifest.id(),
            folder.display()
        ))
        .with_hint("name the dataset that was asked about with `--dataset`"));
    }
    Ok(dataset)
}

pub(super) fn score(args: &EvalScoreArgs, printer: &Printer) -> Result<Exit, Failure> {
    let judged = Judged::open(&args.run, &args.judge)?;
    printer.result(&judged.summary, &table(&judged.summary))?;
    let Some(least) = args.min_acc else { return Ok(Exit::Done) };
    let main = judged.summary.scores.first().map_or(0.0, |scores| scores.headline);
    let problem = match judged.summary.missing {
        0 if main < least => format!("{main:.4} is below {least}"),
        0 => return Ok(Exit::Done),
        missing => {
            format!("{missing} items have no prediction, so nothing is known to be above {least}")
        }
    };
    printer.note(&problem);
    Ok(Exit::NotAchieved)
}

fn table(summary: &Summary) -> String {
    let mut lines = vec![format!(
        "{} · {} · {}  run {}",
        summary.dataset, summary.model, summary.prompt, summary.run
    )];
    if summary.missing > 0 {
        lines.push(format!("{} of {} items have no prediction", summary.missing, summary.items));
    }
    for scores in &summary.scores {
        let averages = scores
            .macro_average
            .map_or(String::new(), |mean| format!("  macro {:.1} %", mean * 100.0));
        // What a scorer prints first may be no share of items: a mean of cells, or of scores.
        let own = if (scores.headline - scores.overall.accuracy).abs() < 1e-9 {
            String::new()
        } else {
            format!("  its own figure {:.1} %", scores.headline * 100.0)
        };
        lines.push(format!(
            "{:<15}{}{own}{averages}  format errors {}  infer errors {}  random clicks {:.1} %",
            scores.scorer.as_str(),
            scores.overall.rate(),
            scores.outcomes.get("format error").copied().unwrap_or(0),
            scores.outcomes.get("infer error").copied().unwrap_or(0),
            scores.random_floor * 100.0,
        ));
    }
    if let Some(first) = &summary.first_look {
        lines.push(format!("{:<15}{}  without the closer look", "strict", first.rate()));
    }
    for (counts, cell) in &summary.if_counted {
        let looks = if summary.first_look.is_some() { ", first looks" } else { "" };
        lines.push(format!("  strict{looks}, if counted {:<17}{}", counts.as_str(), cell.rate()));
    }
    lines.join("\n")
}

pub(super) fn report(args: &EvalReportArgs, printer: &Printer) -> Result<Exit, Failure> {
    let judged = Judged::open(&args.run, &args.judge)?;
    let costs = if args.no_times { None } else { Costs::of(&read_timings(&judged.run)?) };
    let folder = args.output.clone().unwrap_or_else(|| args.run.join("report"));
    let of = judged.reported(costs.as_ref(), args.gallery as usize);
    let spinner = printer.spinner("writing the report");
    let files = write_benchmark_report(&folder, &of)?;
    drop(spinner);
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    printer.result(&json!({"files": names}), &names.join("\n"))?;
    Ok(Exit::Done)
}

pub(super) fn diff(args: &EvalDiffArgs, printer: &Printer) -> Result<Exit, Failure> {
    let judge =
        |scorer| JudgeArgs { dataset: args.dataset.clone(), scorers: Vec::from_iter(scorer) };
    let a = Judged::open(&args.a, &judge(args.scorer))?;
    let main = a.summary.scores.first().map_or(Scorer::Strict, |scores| scores.scorer);
    let b = Judged::open(&args.b, &judge(Some(main)))?;
    let diff = compare(&a.dataset, (&a.run, &a.predictions), (&b.run, &b.predictions), main)?;
    if let Some(page) = &args.output {
        write_diff_page(page, &diff, &a.reported(None, FLIPS), &b.reported(None, FLIPS))?;
        printer.note(&format!("page in {}", page.display()));
    }
    printer.result(&diff, &diff_text(&diff))?;
    let regressed = args.max_regress.is_some_and(|most| -diff.delta > most);
    if regressed {
        printer.note(&format!("worse by {:.4}", -diff.delta));
    }
    Ok(if regressed { Exit::NotAchieved } else { Exit::Done })
}

fn diff_text(diff: &Diff) -> String {
    let interval = diff.interval.map_or(String::new(), |(low, high)| {
        format!(" [{:+.1}, {:+.1}]", low * 100.0, high * 100.0)
    });
    let mut lines = vec![
        format!("first   {}  run {}", diff.a.rate(), diff.a.name),
        format!("second  {}  run {}", diff.b.rate(), diff.b.name),
        format!(
            "{:+.1} points{interval}  p = {:.4} (McNemar, exact)  by {}",
            diff.delta * 100.0,
            diff.p,
            diff.scorer
        ),
        format!("{} only the first, {} only the second", diff.only_a.len(), diff.only_b.len()),
    ];
    if !diff.differences.is_empty() {
        lines.push(format!("the runs differ in {}", diff.differences.join(", ")));
    }
    for (name, a, b) in &diff.breakdown {
        let delta = (b.accuracy - a.accuracy) * 100.0;
        lines.push(format!("  {name:<24}{delta:+.1}  {} to {}", a.rate(), b.rate()));
    }
    lines.join("\n")
}

pub(super) fn curve(args: &EvalCurveArgs, printer: &Printer) -> Result<Exit, Failure> {
    let mut folders = Vec::new();
    for folder in &args.runs {
        let within = runs_of_sweep(folder)?;
        if within.is_empty() { folders.push(folder.clone()) } else { folders.extend(within) }
    }
    let judge = JudgeArgs { dataset: args.dataset.clone(), scorers: Vec::from_iter(args.scorer) };
    let mut runs = Vec::new();
    for folder in &folders {
        let judged = Judged::open(folder, &judge)?;
        let timings = read_timings(&judged.run)?;
        runs.push((judged, timings));
    }
    let Some((first, _)) = runs.first() else {
        return Err(Failure::bad_input("there are no runs".to_owned()));
    };
    let about = |judged: &Judged| {
        let DatasetRef { sha256, items, .. } = &judged.run.manifest.dataset;
        (sha256.clone(), *items)
    };
    if let Some((other, _)) = runs.iter().find(|(other, _)| about(other) != about(first)) {
        let (one, other) = (first.run.manifest.id(), other.run.manifest.id());
        return Err(Failure::bad_input(format!("runs {one} and {other} are about other items"))
            .with_hint("compare runs on the same items of the same dataset"));
    }
    let of: Vec<_> =
        runs.iter().map(|(judged, times)| (&judged.run, &judged.summary, times.clone())).collect();
    let points = points_of(&of);
    if let Some(page) = &args.output {
        write_curve_page(page, &first.summary.dataset, &points)?;
        printer.note(&format!("page in {}", page.display()));
    }
    let lines: Vec<_> = points
        .iter()
        .map(|point| {
            let ms = point.ms.map_or(String::new(), |ms| format!("  {ms:.0} ms"));
            format!(
                "{:<28}{}  {:.0} image tokens{ms}",
                point.name,
                point.cell.rate(),
                point.image_tokens
            )
        })
        .collect();
    printer.result(&json!({"points": points}), &lines.join("\n"))?;
    Ok(Exit::Done)
}

/// Returns the runs below a folder that is none itself, in the order of their names.
fn runs_of_sweep(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut runs = Vec::new();
    if folder.join("run.json").exists() || !folder.is_dir() {
        return Ok(runs);
    }
    let entries = fs_err::read_dir(folder).map_err(|error| Failure::new(Exit::BadInput, error))?;
    for entry in entries.flatten() {
        if entry.path().join("run.json").exists() {
            runs.push(entry.path());
        }
    }
    runs.sort();
    Ok(runs)
}

pub(super) fn merge(args: &EvalMergeArgs, printer: &Printer) -> Result<Exit, Failure> {
    let parts = args.parts.iter().map(|part| Run::open(part)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = parts.first() else {
        return Err(Failure::bad_input("there is nothing to merge".to_owned()));
    };
    let dataset = dataset(first, args.dataset.as_ref())?;
    let (run, predictions) = put_together(&parts, &dataset, &args.output)?;
    let items = run.manifest.dataset.items;
    let value = json!({
        "run": run.manifest.id(), "folder": run.folder, "items": items, "done": predictions.len(),
    });
    let missing = match items - predictions.len().min(items) {
        0 => String::new(),
        missing => format!("; {missing} are in none of the parts"),
    };
    let text = format!(
        "run {}: {} of {items} items{missing}, in {}",
        run.manifest.id(),
        predictions.len(),
        run.folder.display()
    );
    printer.result(&value, &text)?;
    Ok(if predictions.len() < items { Exit::NotAchieved } else { Exit::Done })
}
