//! Steps of AITZ, and of AITW and AndroidControl where they are written in its fields.
//!
//! # Source
//!
//! OpenBMB/AgentCPM-GUI a5612f0, `eval/utils/evaluator.py`, `_parse_answer_`; google-research
//! `android_in_the_wild/action_type.py`.

use serde_json::{Map, Value};

use crate::benchmark::item::{Step, StepKind};
use crate::benchmark::region::{Box2, distance};

/// How far a finger may move and still tap, in shares of the screen.
pub(in crate::benchmark) const TAP: f64 = 0.04;

/// Reads the step of a record.
pub(super) fn read(fields: &Map<String, Value>) -> Result<Step, String> {
    let kind = action_type(fields)?;
    let touch = point(fields, "result_touch_yx")?;
    let lift = point(fields, "result_lift_yx")?;
    let words = fields.get("result_action_text").and_then(Value::as_str).map(str::to_owned);
    let step = Step::of(StepKind::Stop);
    let press = |button: &str| Step {
        kind: StepKind::Press,
        text: Some(button.to_owned()),
        ..step.clone()
    };
    Ok(match kind {
        0 => Step { kind: StepKind::LongPress, touch, lift, boxes: boxes(fields)?, ..step },
        1 | 2 => Step { kind: StepKind::Wait, ..step },
        3 => Step { kind: StepKind::Type, text: words, ..step },
        4 => {
            let ends = touch.zip(lift).ok_or("the touch has no start or no end")?;
            let kind =
                if distance(ends.0, ends.1) <= TAP { StepKind::Click } else { StepKind::Scroll };
            Step { kind, touch, lift, boxes: boxes(fields)?, ..step }
        }
        5 => press("back"),
        6 => press("home"),
        7 => press("enter"),
        10 | 11 => Step { text: words, ..step },
        other => return Err(format!("`result_action_type` is {other}, which is unknown")),
    })
}

/// Returns the number of the action's type, which some files have by its name.
fn action_type(fields: &Map<String, Value>) -> Result<i64, String> {
    const NAMES: [(&str, i64); 10] = [
        ("LONG_POINT", 0),
        ("NO_ACTION", 1),
        ("UNUSED_2", 2),
        ("TYPE", 3),
        ("DUAL_POINT", 4),
        ("PRESS_BACK", 5),
        ("PRESS_HOME", 6),
        ("PRESS_ENTER", 7),
        ("STATUS_TASK_COMPLETE", 10),
        ("STATUS_TASK_IMPOSSIBLE", 11),
    ];
    match fields.get("result_action_type") {
        Some(Value::Number(number)) => {
            number.as_i64().ok_or_else(|| format!("`result_action_type` is {number}"))
        }
        Some(Value::String(name)) => {
            let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            known.map(|known| known.1).ok_or_else(|| format!("`result_action_type` is `{name}`"))
        }
        _ => Err("there is no `result_action_type`".to_owned()),
    }
}

/// Returns a field that holds JSON, or JSON as text.
fn unpacked(fields: &Map<String, Value>, field: &str) -> Result<Option<Value>, String> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => serde_json::from_str(text)
            .map(Some)
            .map_err(|error| format!("`{field}` cannot be read: {error}")),
        Some(value) => Ok(Some(value.clone())),
    }
}

/// Returns a point, which is written (y, x).
fn point(fields: &Map<String, Value>, field: &str) -> Result<Option<[f64; 2]>, String> {
    let Some(value) = unpacked(fields, field)? else { return Ok(None) };
    let [y, x]: [f64; 2] = serde_json::from_value(value.clone())
        .map_err(|_| format!("`{field}` is no pair of numbers: {value}"))?;
    Ok((x >= 0.0 && y >= 0.0).then_some([x, y]))
}

/// Returns the boxes of the things on the screen, which are written (y, x, height, width).
fn boxes(fields: &Map<String, Value>) -> Result<Vec<Box2>, String> {
    let Some(value) = unpacked(fields, "ui_positions")? else { return Ok(Vec::new()) };
    let boxes: Vec<[f64; 4]> = serde_json::from_value(value)
        .map_err(|error| format!("`ui_positions` are no boxes: {error}"))?;
    Ok(boxes.into_iter().map(|[y, x, height, width]| [x, y, x + width, y + height]).collect())
}
