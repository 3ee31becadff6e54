//! Where an answer says that something is, in the numbers it is written in.
//!
//! [`read_place`] is this program's own reader: it takes every form that is known of the checkpoints that
//! run here, and refuses what has no place, or several with nothing to choose by. What a number counts is
//! never read out of the number. The readers of other programs, faults included, are in
//! `scorer/readers.rs`.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::region::Box2;

/// Where an answer says that something is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// At a point.
    Point([f64; 2]),
    /// In a box, whose middle is clicked.
    Box(Box2),
    /// Nowhere.
    Nowhere,
}

impl Place {
    /// Returns the point that is clicked, if there is one.
    pub fn click(self) -> Option<[f64; 2]> {
        match self {
            Self::Point(point) => Some(point),
            Self::Box([left, top, right, bottom]) => {
                Some([f64::midpoint(left, right), f64::midpoint(top, bottom)])
            }
            Self::Nowhere => None,
        }
    }
}

const NUMBER: &str = r"-?\d+(?:\.\d+)?";

/// Compiles a pattern in which `N` is a number.
pub(super) fn pattern(text: &str) -> Regex {
    let text = text.replace('N', &format!("({NUMBER})"));
    Regex::new(&text).expect("the patterns of this crate are well-formed")
}

/// The forms that are not JSON, surest first: four numbers before two, tags before brackets.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"<\|box_start\|>\s*\(\s*N\s*,\s*N\s*\)\s*,\s*\(\s*N\s*,\s*N\s*\)\s*<\|box_end\|>",
        r"<\|box_start\|>\s*\(\s*N\s*,\s*N\s*\)\s*<\|box_end\|>",
        r"<point>\s*N[\s,]+N\s*</point>",
        r"\bx\s*=\s*N\s*,\s*y\s*=\s*N",
        r"\[\s*\[\s*N\s*,\s*N\s*\]\s*,\s*\[\s*N\s*,\s*N\s*\]\s*\]",
        r"\(\s*N\s*,\s*N\s*\)\s*,\s*\(\s*N\s*,\s*N\s*\)",
        r"[\[(]\s*N\s*,\s*N\s*,\s*N\s*,\s*N\s*[\])]",
        r"[\[(]\s*N\s*,\s*N\s*[\])]",
        r"^\s*N\s*,\s*N\s*$",
    ]
    .into_iter()
    .map(pattern)
    .collect()
});

/// The keys under which JSON has a place.
const KEYS: [&str; 6] = ["coordinate", "point_2d", "bbox_2d", "point", "bbox", "click_point"];

/// Returns where an answer says that something is.
///
/// # Errors
///
/// Why it says it nowhere, in words.
pub fn read_place(raw: &str) -> Result<Place, String> {
    let text = raw.trim();
    if text.is_empty() {
        return Err("the answer is empty".to_owned());
    }
    if let Some(value) = json_in(text) {
        if is_refusal(&value) {
            return Ok(Place::Nowhere);
        }
        if let Some(numbers) = place_in(&value, 0) {
            return place(&numbers);
        }
    }
    for form in FORMS.iter() {
        let mut places = form.captures_iter(text).map(|found| {
            found.iter().skip(1).flatten().filter_map(|n| n.as_str().parse().ok()).collect()
        });
        let Some(first): Option<Vec<f64>> = places.next() else { continue };
        if places.any(|other| other != first) {
            return Err("the answer has several places".to_owned());
        }
        return place(&first);
    }
    Err("the answer has no place".to_owned())
}

/// Makes a place of two or four numbers; a point left of and above the picture is none.
fn place(numbers: &[f64]) -> Result<Place, String> {
    match *numbers {
        [x, y] if x < 0.0 && y < 0.0 => Ok(Place::Nowhere),
        [x, y] if x.is_finite() && y.is_finite() => Ok(Place::Point([x, y])),
        [left, top, right, bottom] if numbers.iter().all(|number| number.is_finite()) => {
            Ok(Place::Box([left, top, right, bottom]))
        }
        _ => Err(format!("a place has 2 or 4 numbers, not {}", numbers.len())),
    }
}

/// Returns the JSON in an answer: a function's call, a block, or what stands between the first bracket
/// and the end; one closing bracket too few is what a forced beginning often leaves.
fn json_in(text: &str) -> Option<Value> {
    let text = text.split_once("<tool_call>").map_or(text, |(_, call)| call);
    let text = text.split_once("</tool_call>").map_or(text, |(call, _)| call);
    let text = text.split_once("```json").map_or(text, |(_, block)| block);
    let text = text.split_once("```").map_or(text, |(block, _)| block);
    let start = text.find(['{', '['])?;
    let text = text[start..].trim();
    let first =
        |text: &str| serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok();
    first(text).or_else(|| ["}", "}}", "]}}"].iter().find_map(|end| first(&format!("{text}{end}"))))
}

/// Whether a call says that there is no such thing.
fn is_refusal(value: &Value) -> bool {
    let call = value.get("arguments").unwrap_or(value);
    call.get("action").and_then(Value::as_str) == Some("terminate")
}

/// Returns the numbers of the first place in a value.
fn place_in(value: &Value, depth: usize) -> Option<Vec<f64>> {
    if depth > 8 {
        return None;
    }
    match value {
        Value::Object(fields) => {
            let own = KEYS.iter().find_map(|key| fields.get(*key)).and_then(numbers);
            own.or_else(|| match (fields.get("x"), fields.get("y")) {
                (Some(x), Some(y)) => Some(vec![x.as_f64()?, y.as_f64()?]),
                _ => fields.values().find_map(|field| place_in(field, depth + 1)),
            })
        }
        Value::Array(parts) => {
            numbers(value).or_else(|| parts.iter().find_map(|part| place_in(part, depth + 1)))
        }
        _ => None,
    }
}

/// Returns a list of two or four numbers, which may stand in pairs.
fn numbers(value: &Value) -> Option<Vec<f64>> {
    let list = value.as_array()?;
    let flat: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
    let flat = flat.or_else(|| {
        let pairs: Option<Vec<Vec<f64>>> = list.iter().map(numbers).collect();
        pairs.map(|pairs| pairs.concat())
    })?;
    [2, 4].contains(&flat.len()).then_some(flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_form_is_read() {
        let call = |arguments: &str| {
            format!(
                "<tool_call>\n{{\"name\": \"computer_use\", \"arguments\": {arguments}}}\n</tool_call>"
            )
        };
        for (raw, expected) in [
            (call(r#"{"action": "left_click", "coordinate": [12, 34]}"#), Place::Point([12.0, 34.0])),
            (call(r#"{"action": "left_click", "coordinate": [1, 2, 3, 6]}"#), Place::Box([1.0, 2.0, 3.0, 6.0])),
            (call(r#"{"action": "terminate", "status": "failure"}"#), Place::Nowhere),
            ("<tool_call>\n{\"name\": \"computer_use\", \"arguments\": {\"action\": \"left_click\", \"coordinate\": [12, 34]}".into(), Place::Point([12.0, 34.0])),
            ("```json\n[\n\t{\"bbox_2d\": [10, 20, 30, 40], \"label\": \"Save\"}\n]\n```".into(), Place::Box([10.0, 20.0, 30.0, 40.0])),
            ("{\"point_2d\": [5, 6], \"label\": \"x\"}".into(), Place::Point([5.0, 6.0])),
            ("<|box_start|>(197,525)<|box_end|>".into(), Place::Point([197.0, 525.0])),
            ("<|box_start|>(1,2),(3,4)<|box_end|>".into(), Place::Box([1.0, 2.0, 3.0, 4.0])),
            ("Thought: it\nAction: click(start_box='(197,525)')".into(), Place::Point([197.0, 525.0])),
            ("click(point='<point>197 525</point>')".into(), Place::Point([197.0, 525.0])),
            ("pyautogui.click(x=0.25, y=0.75)".into(), Place::Point([0.25, 0.75])),
            ("The button is at (640, 360).".into(), Place::Point([640.0, 360.0])),
            ("[0.5, 0.25]".into(), Place::Point([0.5, 0.25])),
            ("[[1, 2], [3, 4]]".into(), Place::Box([1.0, 2.0, 3.0, 4.0])),
            ("[-1, -1]".into(), Place::Nowhere),
            ("12, 34".into(), Place::Point([12.0, 34.0])),
        ] {
            assert_eq!(read_place(&raw), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_has_no_place_or_several_is_a_fault_of_form() {
        for (raw, problem) in [
            ("", "the answer is empty"),
            ("I cannot see it.", "the answer has no place"),
            ("(1, 2) or (3, 5)?", "the answer has several places"),
            ("[1, 2, 3]", "the answer has no place"),
        ] {
            assert_eq!(read_place(raw), Err(problem.to_owned()), "{raw}");
        }
        assert_eq!(Place::Box([0.0, 0.0, 4.0, 2.0]).click(), Some([2.0, 1.0]));
    }
}
