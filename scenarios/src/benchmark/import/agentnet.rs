//! Steps of AgentNetBench: a file is an episode at a desktop, each step with what a person did and, for some,
//! other ways that are as good.
//!
//! # Source
//!
//! xlang-ai/OpenCUA 60da8b9, `evaluation/agentnetbench/README.md` and `eval.py`; its `sample_data` at 913e21e.

use serde_json::{Map, Value, json};

use super::records::Record;
use super::schema::{numbers, text};
use crate::benchmark::item::{DesktopAction, Target};

/// Makes records of our own form of an episode, one for each step.
pub(super) fn steps(record: Record) -> Result<Vec<Record>, String> {
    let Record { place, fields, .. } = record;
    let episode = text(&fields, "task_id")?;
    let goal = text(&fields, "high_level_task_description")?;
    let steps = fields.get("steps").and_then(Value::as_array);
    let steps = steps.ok_or_else(|| format!("episode `{episode}` has no list of `steps`"))?;
    let mut history: Vec<String> = Vec::new();
    let mut records = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let bad = |problem: String| format!("step {at} of episode `{episode}`: {problem}");
        let step = step.as_object().ok_or_else(|| bad("it is no object".to_owned()))?;
        let target = Target::Desktop(ways(step).map_err(bad)?);
        let number = step.get("step_num").and_then(Value::as_u64).unwrap_or(at as u64);
        let fields = json!({
            "id": format!("{episode}-{number}"), "image": text(step, "image").map_err(bad)?,
            "instruction": goal, "history": history, "target": target,
            "tags": {"episode": episode, "step": number.to_string(), "target": target.kind()},
        });
        let words =
            step.get("inner_monologue").and_then(|words| words.get("low_level_instruction"));
        history.push(words.and_then(Value::as_str).unwrap_or_default().to_owned());
        let Value::Object(fields) = fields else { continue };
        let place = format!("{place}, step {at}");
        records.push(Record { place, fields, picture: None, example: None });
    }
    Ok(records)
}

/// Returns what was done in a step, first, and then the other ways.
fn ways(step: &Map<String, Value>) -> Result<Vec<Vec<DesktopAction>>, String> {
    let list = |value: &Value| -> Result<Vec<DesktopAction>, String> {
        let actions =
            value.as_array().ok_or_else(|| format!("it is no list of actions: {value}"))?;
        actions.iter().map(action).collect()
    };
    let first = step.get("ground_truth_actions").ok_or("there are no `ground_truth_actions`")?;
    let mut ways = vec![list(first)?];
    if let Some(Value::Array(others)) = step.get("alternative_options") {
        for other in others {
            ways.push(list(other)?);
        }
    }
    Ok(ways)
}

fn action(value: &Value) -> Result<DesktopAction, String> {
    let empty = Map::new();
    let fields = value.as_object().ok_or_else(|| format!("the action is no object: {value}"))?;
    let kind = text(fields, "type")?.to_lowercase();
    let params = fields.get("params").and_then(Value::as_object).unwrap_or(&empty);
    let mut action = DesktopAction { kind, ..DesktopAction::default() };
    if let Some(position) = params.get("position") {
        let share = |side: &str| position.get(side).and_then(Value::as_f64);
        let place = share("x").zip(share("y")).map(|(x, y)| [x, y]);
        action.at = Some(place.ok_or_else(|| format!("`position` is no place: {position}"))?);
    }
    let boxes = fields.get("metadata").and_then(|metadata| metadata.get("bboxes"));
    for area in boxes.and_then(Value::as_array).unwrap_or(&Vec::new()) {
        let area = area.as_object().ok_or_else(|| format!("the box is no object: {area}"))?;
        let [x, y, width, height] = <[f64; 4]>::try_from(numbers(area, "rel_bbox")?)
            .map_err(|numbers| format!("`rel_bbox` has {} numbers, not 4", numbers.len()))?;
        action.boxes.push([x, y, x + width, y + height]);
    }
    let word =
        |name: &str| params.get(name).and_then(Value::as_str).filter(|word| !word.is_empty());
    action.text =
        ["content", "text", "status", "direction"].into_iter().find_map(word).map(str::to_owned);
    action.amount = params.get("amount").or_else(|| params.get("pixels")).and_then(Value::as_f64);
    match params.get("keys") {
        Some(Value::Array(keys)) => {
            let key = |key: &Value| key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            action.keys = Some(keys.iter().map(key).collect());
        }
        Some(other) => return Err(format!("`keys` is no list: {other}")),
        None => {}
    }
    Ok(action)
}
