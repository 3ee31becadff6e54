//! What each scorer prints: its own table, by its own names, computed as it computes it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Judged, Outcome, Scorer};
use crate::benchmark::item::{Item, Target};

/// An item and what a scorer says of the answer to it.
type Row<'a> = (&'a Item, &'a Judged);

/// Returns the table that a scorer prints of these items, which stand in the set's order.
pub fn totals(scorer: Scorer, rows: &[(&Item, &Judged)]) -> Value {
    match scorer {
        Scorer::Strict => strict(rows),
        Scorer::Sspro => sspro(rows),
        Scorer::SeeclickMacro => seeclick(rows),
        Scorer::Vlmevalkit => vlmevalkit(rows),
        Scorer::Lmms => lmms(rows),
        Scorer::Clawgui => clawgui(rows),
        Scorer::QwenAc | Scorer::Aitz => agent_cpm(rows),
        Scorer::OsAtlas14 => os_atlas(rows),
        Scorer::Aitw => json!({"partial_action_match": share(rows.iter().copied(), right)}),
        Scorer::Agentnet | Scorer::AgentnetPaper => agentnet(rows),
    }
}

fn right((_, judged): Row<'_>) -> bool {
    judged.outcome == Outcome::Correct
}

/// Returns the share of rows for which something holds; 0 of none.
fn share<'a>(rows: impl Iterator<Item = Row<'a>>, holds: impl Fn(Row<'a>) -> bool) -> f64 {
    let (mut hits, mut all) = (0_u32, 0_u32);
    for row in rows {
        hits += u32::from(holds(row));
        all += 1;
    }
    if all == 0 { 0.0 } else { f64::from(hits) / f64::from(all) }
}

fn count(rows: &[Row<'_>], holds: impl Fn(Row<'_>) -> bool) -> usize {
    rows.iter().filter(|row| holds(**row)).count()
}

fn with_tag<'a, 'r>(
    rows: &'r [Row<'a>],
    tag: &'r str,
    value: &'r str,
) -> impl Iterator<Item = Row<'a>> + 'r {
    rows.iter().copied().filter(move |(item, _)| item.tag(tag) == Some(value))
}

/// Returns the values of a tag, those without it under `None`.
fn values<'a>(rows: &[Row<'a>], tag: &str) -> BTreeSet<Option<&'a str>> {
    rows.iter().map(|(item, _)| item.tag(tag)).collect()
}

fn strict(rows: &[Row<'_>]) -> Value {
    let mut table = Map::new();
    for outcome in Outcome::ALL {
        let name = outcome.as_str().replace(' ', "_");
        table.insert(name, count(rows, |(_, judged)| judged.outcome == outcome).into());
    }
    table.insert("total".into(), rows.len().into());
    table.insert("accuracy".into(), share(rows.iter().copied(), right).into());
    table.into()
}

/// ScreenSpot-Pro's metrics of a list.
fn sspro_metrics(rows: &[Row<'_>]) -> Value {
    json!({
        "num_correct_action": count(rows, right),
        "num_total": rows.len(),
        "wrong_format_num": count(rows, |(_, judged)| judged.outcome == Outcome::FormatError),
        "action_acc": share(rows.iter().copied(), right),
        "text_acc": share(with_tag(rows, "ui_type", "text"), right),
        "icon_acc": share(with_tag(rows, "ui_type", "icon"), right),
    })
}

/// ScreenSpot-Pro's five tables. Its keys have what Python prints for what is missing.
fn sspro(rows: &[Row<'_>]) -> Value {
    let name = |value: Option<&str>| value.unwrap_or("None").to_owned();
    let by = |tags: &[&str], key: &dyn Fn(&[String]) -> String| {
        let mut groups: BTreeMap<Vec<String>, Vec<Row<'_>>> = BTreeMap::new();
        for row in rows {
            let group = tags.iter().map(|tag| name(row.0.tag(tag))).collect();
            groups.entry(group).or_default().push(*row);
        }
        let table = groups.iter().map(|(group, rows)| (key(group), sspro_metrics(rows)));
        Value::Object(table.collect())
    };
    let style = "inst_style:instruction gt_type:positive";
    json!({
        "fine_grained": by(&["platform", "application"], &|group| {
            format!("plat:{} app:{} {style}", group[0], group[1])
        }),
        "seeclick_style": by(&["platform"], &|group| format!("plat:{} {style}", group[0])),
        "leaderboard_simple_style": by(&["group"], &|group| format!("group:{}", group[0])),
        "leaderboard_detailed_style": by(&["application"], &|group| format!("app:{}", group[0])),
        "overall": sspro_metrics(rows),
    })
}

/// SeeClick's table, and the mean of its cells that papers call the average.
fn seeclick(rows: &[Row<'_>]) -> Value {
    let mut tasks = Vec::new();
    let mut sum = 0.0;
    for platform in ["mobile", "desktop", "web"] {
        let of: Vec<_> = with_tag(rows, "platform", platform).collect();
        // Whatever is not text is an icon there.
        let (text, icon): (Vec<_>, Vec<_>) =
            of.into_iter().partition(|(item, _)| item.tag("ui_type") == Some("text"));
        let cells = [share(text.into_iter(), right), share(icon.into_iter(), right)];
        sum += cells[0] + cells[1];
        tasks.push(json!(cells));
    }
    json!({
        "tasks_result": tasks,
        "action_acc": share(rows.iter().copied(), right),
        "num_wrong_format": count(rows, |(_, judged)| judged.outcome == Outcome::FormatError),
        "average": sum / 6.0,
    })
}

/// VLMEvalKit's table: the accuracies of text, icons and categories weigh each cell by the square of its
/// size, since its lists are repeated once for every element.
fn vlmevalkit(rows: &[Row<'_>]) -> Value {
    let mut cells: BTreeMap<String, Vec<Row<'_>>> = BTreeMap::new();
    for row in rows {
        let kind = row.0.tag("ui_type").unwrap_or_default();
        let category = row.0.tag("category");
        let key = category.map_or_else(|| kind.to_owned(), |name| format!("{name}:{kind}"));
        cells.entry(key).or_default().push(*row);
    }
    let squared = |chosen: &dyn Fn(&str) -> bool| {
        let (mut hits, mut all) = (0_usize, 0_usize);
        for (_, rows) in cells.iter().filter(|(key, _)| chosen(key)) {
            hits += rows.len() * count(rows, right);
            all += rows.len() * rows.len();
        }
        // The mean of nothing is not a number there.
        if all == 0 { Value::Null } else { json!(hits as f64 / all as f64 * 100.0) }
    };
    let percent = |part: usize| json!(part as f64 / rows.len().max(1) as f64 * 100.0);
    let mut table = Map::new();
    for (key, rows) in &cells {
        table.insert(format!("{key}:cnt"), rows.len().into());
    }
    let format_errors = count(rows, |(_, judged)| judged.outcome == Outcome::FormatError);
    table.insert("Overall_Accuracy".into(), percent(count(rows, right)));
    table.insert("Format_Err_Rate".into(), percent(format_errors));
    table.insert("Text_Accuracy".into(), squared(&|key| key.ends_with("text")));
    table.insert("Icon_Accuracy".into(), squared(&|key| key.ends_with("icon")));
    for category in values(rows, "category").into_iter().flatten() {
        let accuracy = squared(&|key| key.split(':').next() == Some(category));
        table.insert(format!("{category}_Accuracy"), accuracy);
    }
    table.into()
}

fn lmms(rows: &[Row<'_>]) -> Value {
    json!({
        "action_acc": share(rows.iter().copied(), right),
        "text_acc": share(with_tag(rows, "ui_type", "text"), right),
        "icon_acc": share(with_tag(rows, "ui_type", "icon"), right),
    })
}

fn clawgui(rows: &[Row<'_>]) -> Value {
    let (refusals, counted): (Vec<Row<'_>>, Vec<Row<'_>>) =
        rows.iter().partition(|(item, _)| item.target == Target::Refusal);
    json!({
        "total": counted.len(),
        "correct": count(&counted, right),
        "accuracy": share(counted.iter().copied(), right),
        "refusal_total": refusals.len(),
        "refusal_correct": count(&refusals, right),
    })
}

fn kinds_match((_, judged): Row<'_>) -> bool {
    judged.detail.as_ref().and_then(|detail| detail["type_match"].as_bool()).unwrap_or(false)
}

/// Rounds as Python's `round(x, 4)` does for shares.
fn four_digits(share: f64) -> f64 {
    format!("{share:.4}").parse().unwrap_or(share)
}

/// AgentCPM-GUI's atomic and episode metrics.
fn agent_cpm(rows: &[Row<'_>]) -> Value {
    let metrics = |rows: &[Row<'_>]| {
        json!({
            "count": rows.len(),
            "type_acc": four_digits(share(rows.iter().copied(), kinds_match)),
            "exact_acc": four_digits(share(rows.iter().copied(), right)),
        })
    };
    let mut table = Map::new();
    let mut total = metrics(rows);
    let read = |(_, judged): Row<'_>| {
        !matches!(judged.outcome, Outcome::FormatError | Outcome::InferError)
    };
    total["hit_rate"] = json!(four_digits(share(rows.iter().copied(), read)));
    table.insert("total".into(), total);
    for (name, kinds) in [
        ("CLICK", &["click"][..]),
        ("LONG_POINT", &["long_press"]),
        ("SCROLL", &["scroll"]),
        ("PRESS", &["press"]),
        ("STOP", &["stop", "wait"]),
        ("TYPE", &["type"]),
    ] {
        let of: Vec<_> =
            rows.iter().copied().filter(|(item, _)| kinds.contains(&item.target.kind())).collect();
        table.insert(name.into(), metrics(&of));
    }
    table.insert("episodes".into(), episodes(rows));
    table.into()
}

/// How far episodes get before their first wrong step.
fn episodes(rows: &[Row<'_>]) -> Value {
    let mut episodes: BTreeMap<(&str, &str), Vec<Row<'_>>> = BTreeMap::new();
    for row in rows {
        let key =
            (row.0.tag("subset").unwrap_or_default(), row.0.tag("episode").unwrap_or_default());
        episodes.entry(key).or_default().push(*row);
    }
    let until_wrong = |rows: &Vec<Row<'_>>| rows.iter().take_while(|row| right(**row)).count();
    let all = episodes.len().max(1) as f64;
    let successes = episodes.values().filter(|rows| until_wrong(rows) == rows.len()).count();
    let progress: f64 =
        episodes.values().map(|rows| until_wrong(rows) as f64 / rows.len() as f64).sum();
    json!({
        "total_episodes": episodes.len(),
        "total_steps": rows.len(),
        "num_successes": successes,
        "success_rate": four_digits(successes as f64 / all),
        "goal_progress": four_digits(progress / all),
    })
}

/// OS-Atlas' three figures: the kind, the place where a click was decided, and the step.
fn os_atlas(rows: &[Row<'_>]) -> Value {
    let clicks =
        rows.iter().copied().filter(|row| row.0.target.kind() == "click" && kinds_match(*row));
    json!({
        "type_acc": share(rows.iter().copied(), kinds_match),
        "grounding_acc": share(clicks, right),
        "step_success_rate": share(rows.iter().copied(), right),
    })
}

/// AgentNetBench's table, as `run.py` adds it up.
fn agentnet(rows: &[Row<'_>]) -> Value {
    let detail = |row: &Row<'_>| row.1.detail.clone().unwrap_or_default();
    let mean = |sum: f64, count: usize| if count == 0 { 0.0 } else { sum / count as f64 };
    let mut kinds: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    let (mut sum, mut other_ways) = (0.0, 0_u32);
    for detail in rows.iter().map(detail) {
        sum += detail["score"].as_f64().unwrap_or(0.0);
        other_ways += u32::from(detail["other_way"].as_bool().unwrap_or(false));
        for (kind, score) in detail["actions"].as_object().into_iter().flatten() {
            let (sum, count) = kinds.entry(kind.clone()).or_default();
            *sum += score.as_f64().unwrap_or(0.0);
            *count += 1;
        }
    }
    let kinds = kinds.into_iter().map(|(kind, (sum, count))| (kind, json!(mean(sum, count))));
    json!({
        "total_trajectories": values(rows, "episode").len(),
        "total_steps": rows.len(),
        "average_score": mean(sum, rows.len()),
        "alternative_matches": other_ways,
        "alternative_match_percentage": mean(f64::from(other_ways) * 100.0, rows.len()),
        "action_type_scores": Value::Object(kinds.collect()),
    })
}
