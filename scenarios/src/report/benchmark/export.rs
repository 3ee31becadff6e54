//! A run in the files of other tools, and in ours for machines.

use serde_json::{Value, json};

use super::Reported;
use crate::benchmark::item::{Item, Target};
use crate::benchmark::scorer::{Outcome, Scorer};
use crate::benchmark::summary::Scores;

/// Returns the summary, with the manifest of the run.
pub(super) fn summary(of: &Reported<'_>) -> String {
    let mut manifest = json!(of.run.manifest);
    // Where the dataset was differs from machine to machine.
    if let Some(dataset) = manifest["dataset"].as_object_mut() {
        dataset.remove("folder");
    }
    let mut value = json!({"manifest": manifest, "summary": of.summary});
    if let Some(costs) = of.costs {
        value["costs"] = json!(costs);
    }
    pretty(&value)
}

/// Returns the files that other scorers write, if they judged the run.
pub(super) fn of_scorers(of: &Reported<'_>) -> Vec<(&'static str, String)> {
    let scores = |scorer| of.summary.scores.iter().find(|scores| scores.scorer == scorer);
    let mut files = Vec::new();
    if let Some(sspro) = scores(Scorer::Sspro) {
        files.push(("screenspot-pro.json", pretty(&screenspot_pro(of, sspro))));
    }
    if let Some(kit) = scores(Scorer::Vlmevalkit) {
        files.push(("vlmevalkit.json", pretty(&kit.totals)));
    }
    files
}

fn pretty(value: &Value) -> String {
    // Values of this crate can be written down.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// `{"details", "metrics"}`, as ScreenSpot-Pro's script writes it and its leaderboard takes it.
fn screenspot_pro(of: &Reported<'_>, scores: &Scores) -> Value {
    let details = of.dataset.items.iter().zip(&scores.judged).enumerate();
    let details: Vec<Value> = details
        .filter_map(|(at, (item, judged))| {
            let judged = judged.as_ref()?;
            let raw = of.predictions.get(&at).and_then(|prediction| prediction.looks.last());
            let mut detail = json!({
                "img_path": item.image,
                "group": item.tag("group"),
                "platform": item.tag("platform"),
                "application": item.tag("application"),
                "lang": "en",
                "instruction_style": "instruction",
                "prompt_to_evaluate": item.instruction,
                "gt_type": "positive",
                "ui_type": item.tag("ui_type"),
                "task_filename": task_of(item),
                "pred": judged.point,
                "raw_response": raw.map(|look| &look.raw),
            });
            if let Target::Box(area) = &item.target {
                detail["bbox"] = json!(area);
            }
            detail["correctness"] = match judged.outcome {
                Outcome::Correct => "correct",
                Outcome::Wrong => "wrong",
                // That script has one word for both.
                Outcome::FormatError | Outcome::InferError => "wrong_format",
            }
            .into();
            Some(detail)
        })
        .collect();
    json!({"details": details, "metrics": scores.totals})
}

/// Returns the name of the file that an item of ScreenSpot-Pro comes from.
fn task_of(item: &Item) -> Option<String> {
    Some(format!("{}_{}", item.tag("application")?, item.tag("platform")?))
}
