//! The readers of published scorers, as they are: what they overlook and mistake is part of their figures.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Compiles a pattern as it stands.
pub(super) fn exactly(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of this crate are well-formed")
}

fn floats(pattern: &Regex, text: &str) -> Vec<f64> {
    pattern.find_iter(text).filter_map(|found| found.as_str().parse().ok()).collect()
}

/// ScreenSpot-Pro's reader of Qwen2.5-VL: cut after the last brace, then the call between the tags.
///
/// # Source
///
/// likaixin2000/ScreenSpot-Pro-GUI-Grounding 588f1f2, `models/qwen2_5vl.py`.
pub(super) fn sspro(raw: &str) -> Option<[f64; 2]> {
    let cut = raw.rfind('}').map_or(raw, |at| &raw[..=at]);
    let call = cut.split("<tool_call>\n").nth(1)?.split("\n</tool_call>").next()?;
    let call: Value = serde_json::from_str(call).ok()?;
    let numbers = call.get("arguments")?.get("coordinate")?.as_array()?;
    let numbers: Option<Vec<f64>> = numbers.iter().map(Value::as_f64).collect();
    match *numbers? {
        [x, y] => Some([x, y]),
        [left, top, right, bottom] => {
            Some([f64::midpoint(left, right), f64::midpoint(top, bottom)])
        }
        _ => None,
    }
}

/// SeeClick's readers, `extract_bbox` and `pred_2_point`: a box's corners in thousandths, which are made
/// shares, or two or four numbers as they are.
///
/// # Source
///
/// njucckevin/SeeClick 661ff1b, `pretrain/process_utils.py`, `pretrain/screenspot_test.py`.
pub(super) fn seeclick(raw: &str) -> Option<[f64; 2]> {
    static BOX: LazyLock<Regex> =
        LazyLock::new(|| exactly(r"<box>\((\d+),(\d+)\),\((\d+),(\d+)\)</box>"));
    static NUMBERS: LazyLock<Regex> = LazyLock::new(|| exactly(r"-?\d+\.?\d*"));
    if raw.contains("box") {
        let corners: [f64; 4] = {
            let found = BOX.captures(raw)?;
            let (_, parts) = found.extract::<4>();
            parts.map(|part| part.parse().unwrap_or(f64::NAN))
        };
        let [left, top, right, bottom] = corners;
        return Some([f64::midpoint(left, right) / 1000.0, f64::midpoint(top, bottom) / 1000.0]);
    }
    match *floats(&NUMBERS, raw) {
        [x, y] => Some([x, y]),
        [left, top, right, bottom] => {
            Some([f64::midpoint(left, right), f64::midpoint(top, bottom)])
        }
        _ => None,
    }
}

/// VLMEvalKit's reader: `x=…, y=…`, and the corner of the picture where there is none.
///
/// # Source
///
/// open-compass/VLMEvalKit 055911d, `vlmeval/dataset/GUI/screenspot.py`, `parse_bbox_aguvis`. Numbers that
/// Python cannot read, such as `1.2.3`, are an error of form there: `None`.
pub(super) fn vlmevalkit(raw: &str) -> Option<[f64; 2]> {
    static PLACE: LazyLock<Regex> = LazyLock::new(|| exactly(r"x=([\d.]+), y=([\d.]+)"));
    let Some(found) = PLACE.captures(raw) else { return Some([0.0, 0.0]) };
    let (_, [x, y]) = found.extract();
    Some([x.parse().ok()?, y.parse().ok()?])
}

/// lmms-eval's reader: a tag, a bracket, `x` and `y`, or any two numbers.
///
/// # Source
///
/// EvolvingLMMs-Lab/lmms-eval 6c3e853, `lmms_eval/tasks/screenspot_v2/utils.py`, `_parse_point`.
pub(super) fn lmms(raw: &str) -> Option<[f64; 2]> {
    const TOKEN: &str = r"-?\d+(?:\.\d+)?%?";
    static NUMBERS: LazyLock<Regex> = LazyLock::new(|| exactly(TOKEN));
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| exactly(r"(?is)<\s*bbox[^>]*>(.*?)<\s*/\s*bbox\s*>"));
    static BRACKET: LazyLock<Regex> =
        LazyLock::new(|| exactly(&format!(r"[\[(]\s*({TOKEN})\s*(?:,|\s)\s*({TOKEN})\s*[\])]")));
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        exactly(&format!(r#"(?is)['"]?x['"]?\s*[:=]\s*({TOKEN}).*?['"]?y['"]?\s*[:=]\s*({TOKEN})"#))
    });
    let number = |token: &str| match token.strip_suffix('%') {
        Some(hundredths) => hundredths.parse::<f64>().map(|number| number / 100.0).ok(),
        None => token.parse().ok(),
    };
    let all = |text: &str| -> Vec<f64> {
        NUMBERS.find_iter(text).filter_map(|token| number(token.as_str())).collect()
    };
    let middle = |n: &[f64]| [f64::midpoint(n[0], n[2]), f64::midpoint(n[1], n[3])];
    if let Some(tag) = TAG.captures(raw) {
        let inside = all(tag.get(1).map_or("", |inside| inside.as_str()));
        if inside.len() >= 4 {
            return Some(middle(&inside));
        }
    }
    for form in [&BRACKET, &NAMED] {
        if let Some(found) = form.captures(raw) {
            let (_, [x, y]) = found.extract();
            return Some([number(x)?, number(y)?]);
        }
    }
    let numbers = all(raw);
    let lower = raw.to_lowercase();
    if numbers.len() >= 4 && ["bbox", "box", "rect"].iter().any(|word| lower.contains(word)) {
        return Some(middle(&numbers));
    }
    (numbers.len() >= 2).then(|| [numbers[0], numbers[1]])
}

/// What ClawGUI's judges read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Claw {
    /// A point, in whole pixels unless it is the middle of a box on a set of boxes.
    Point([f64; 2]),
    /// That there is no such thing.
    Refusal,
}

/// ClawGUI's reader of Qwen2.5-VL: the call between the tags, or all numbers if there are two, or four
/// and more. On a set with refusals it reads those first, and makes middles whole pixels, too.
///
/// # Source
///
/// ZJU-REAL/ClawGUI 4dee5c1, `opengui-eval/judge/grounding_judge.py`, `osworld_g_judge.py`.
pub(super) fn clawgui(raw: &str, with_refusals: bool) -> Option<Claw> {
    static NUMBERS: LazyLock<Regex> = LazyLock::new(|| exactly(r"-?\d+\.?\d*"));
    if raw.is_empty() {
        return None;
    }
    let all = floats(&NUMBERS, raw);
    if with_refusals {
        let terminates =
            raw.contains("\"action\": \"terminate\"") || raw.contains("'action': 'terminate'");
        let is_minus_one = |number: &f64| (*number + 1.0).abs() < f64::EPSILON;
        if terminates || (all.len() >= 2 && all[..2].iter().all(is_minus_one)) {
            return Some(Claw::Refusal);
        }
    }
    let numbers = claw_call(raw).unwrap_or(all);
    match *numbers {
        [x, y] => Some(Claw::Point([x.trunc(), y.trunc()])),
        [left, top, right, bottom, ..] => {
            let middle = [f64::midpoint(left, right), f64::midpoint(top, bottom)];
            Some(Claw::Point(if with_refusals { middle.map(f64::trunc) } else { middle }))
        }
        _ => None,
    }
}

/// Returns the first two numbers of the call that ClawGUI finds between the tags.
fn claw_call(raw: &str) -> Option<Vec<f64>> {
    let start = raw.find("<tool_call>")? + "<tool_call>".len();
    let end = raw.find("</tool_call>")?;
    let call: Value = serde_json::from_str(raw.get(start..end)?.trim()).ok()?;
    let numbers = call.get("arguments")?.get("coordinate")?.as_array()?;
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    };
    (numbers.len() >= 2).then_some(())?;
    Some(vec![number(&numbers[0])?, number(&numbers[1])?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = "<tool_call>\n{\"name\": \"computer_use\", \"arguments\": {\"action\": \
                        \"left_click\", \"coordinate\": [120, 45]}}\n</tool_call>";

    #[test]
    fn screenspot_pro_wants_the_call_to_the_letter() {
        assert_eq!(sspro(CALL), Some([120.0, 45.0]));
        assert_eq!(sspro(&CALL.replace("[120, 45]", "[100, 40, 140, 50]")), Some([120.0, 45.0]));
        assert_eq!(sspro(&CALL.replace(">\n{", ">{")), None);
        assert_eq!(sspro(&CALL.replace("[120, 45]", "[120, 45, 3]")), None);
        assert_eq!(sspro("(120, 45)"), None);
        // What follows the last brace is cut off, a torn end tag with it.
        assert_eq!(sspro(&CALL.replace("</tool_call>", "⚗⚗")), Some([120.0, 45.0]));
    }

    #[test]
    fn seeclick_reads_two_or_four_numbers_and_nothing_else() {
        assert_eq!(seeclick("(0.25,0.5)"), Some([0.25, 0.5]));
        assert_eq!(seeclick("0.1 0.2 0.3 0.4"), Some([0.2, f64::midpoint(0.2, 0.4)]));
        assert_eq!(seeclick("1 2 3"), None);
        assert_eq!(seeclick("<box>(100,200),(300,400)</box>"), Some([0.2, 0.3]));
        assert_eq!(seeclick("in the box at (0.25,0.5)"), None);
    }

    #[test]
    fn vlmevalkit_takes_what_it_cannot_read_for_the_corner() {
        assert_eq!(vlmevalkit("pyautogui.click(x=0.5, y=12)"), Some([0.5, 12.0]));
        assert_eq!(vlmevalkit("click(0.5, 12)"), Some([0.0, 0.0]));
        assert_eq!(vlmevalkit("x=1.2.3, y=4"), None);
    }

    #[test]
    fn lmms_eval_takes_any_two_numbers() {
        assert_eq!(lmms("[0.5, 0.25]"), Some([0.5, 0.25]));
        assert_eq!(lmms("<bbox>1 2 3 4</bbox>"), Some([2.0, 3.0]));
        assert_eq!(lmms("x: 50%, then y: 25%"), Some([0.5, 0.25]));
        assert_eq!(lmms("step 1 of 2: it is at 30"), Some([1.0, 2.0]));
        assert_eq!(lmms("bbox 1 2 3 4"), Some([2.0, 3.0]));
        assert_eq!(lmms("only 1"), None);
    }

    #[test]
    fn clawgui_cuts_to_whole_pixels() {
        assert_eq!(clawgui(CALL, false), Some(Claw::Point([120.0, 45.0])));
        assert_eq!(clawgui("[12.9, 7.9]", false), Some(Claw::Point([12.0, 7.0])));
        assert_eq!(clawgui("[1, 2, 4, 5]", false), Some(Claw::Point([2.5, 3.5])));
        assert_eq!(clawgui("[1, 2, 4, 5]", true), Some(Claw::Point([2.0, 3.0])));
        assert_eq!(clawgui("[-1, -1]", true), Some(Claw::Refusal));
        assert_eq!(clawgui("one 1", false), None);
    }
}
