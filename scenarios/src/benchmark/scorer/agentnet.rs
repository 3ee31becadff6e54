//! Judging steps at a desktop as AgentNetBench does: a score from 0 to 1 for each step, of the way that fits
//! best. Answers with `computer_use` are read through the lines of pyautogui that its agent makes of them,
//! since what is lost on that way is part of its figures.
//!
//! # Source
//!
//! xlang-ai/OpenCUA 60da8b9, `evaluation/agentnetbench/eval.py`, and 913e21e, `AgentNetBench/eval.py`,
//! `agent/qwen25vl.py`, `run.py`.

use std::sync::LazyLock;

use handsight_actions::Size;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::readers::exactly;
use super::{Asked, Judged, Outcome, Scorer};
use crate::benchmark::item::DesktopAction;
use crate::benchmark::prediction::Prediction;
use crate::benchmark::region::{distance, in_box};

/// How far a point may be from where a person clicked and count in full, in shares of the sides.
const FULL: f64 = 0.01 * std::f64::consts::SQRT_2;

/// How fast the score falls beyond that.
const FALL: f64 = 120.0;

/// Texts that are as alike as this are the same.
const SAME_TEXT: f64 = 0.8;

/// The kinds that have a place.
const PLACED: [&str; 6] = ["click", "doubleclick", "rightclick", "tripleclick", "moveto", "dragto"];

/// An action that was read out of an answer.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    kind: String,
    value: Saying,
}

#[derive(Clone, Debug, PartialEq)]
enum Saying {
    At([f64; 2]),
    Text(String),
    Keys(Vec<String>),
    Amount(f64),
}

/// The score of a step, and of each kind of action in it, in the order in which they come first.
#[derive(Clone, Debug, Default, PartialEq)]
struct Score {
    total: f64,
    kinds: Vec<(String, f64)>,
}

pub(super) fn judge(
    scorer: Scorer,
    ways: &[Vec<DesktopAction>],
    screen: Size,
    prediction: &Prediction,
    asked: Asked,
) -> Judged {
    let look = prediction.looks.first();
    let said = look.and_then(|look| {
        let sides = asked.counts.sides(screen, look.resized);
        actions_of(&lines_of(&look.raw, sides)?)
    });
    let Some(said) = said.filter(|said| !said.is_empty()) else {
        let detail = Some(json!({"score": 0.0, "actions": {}}));
        return Judged { outcome: Outcome::FormatError, detail, ..Judged::default() };
    };
    let paper = scorer == Scorer::AgentnetPaper;
    let (mut best, mut used) = (Score::default(), 0);
    for (at, way) in ways.iter().enumerate() {
        let score = evaluate(way, &said, paper);
        if at == 0 || score.total > best.total {
            (best, used) = (score, at);
        }
        if at == 0 && best.total >= 1.0 {
            break;
        }
    }
    let kinds: Map<String, Value> =
        best.kinds.iter().map(|(kind, score)| (kind.clone(), json!(score))).collect();
    let pixel = |[x, y]: [f64; 2]| [x * f64::from(screen.width), y * f64::from(screen.height)];
    let point = said.iter().find_map(|said| match said.value {
        Saying::At(place) => Some(pixel(place)),
        _ => None,
    });
    Judged {
        outcome: if best.total >= 1.0 { Outcome::Correct } else { Outcome::Wrong },
        left_out: false,
        point,
        distance: None,
        detail: Some(json!({"score": best.total, "actions": kinds, "other_way": used > 0})),
    }
}

/// Returns the share of points that would count in full, were a click drawn evenly; of the middles of a fine
/// grid. A step that needs more than a click has none.
pub(super) fn random_floor(ways: &[Vec<DesktopAction>]) -> f64 {
    const CELLS: u32 = 64;
    let clicks: Vec<&DesktopAction> = ways
        .iter()
        .filter_map(|way| match way.as_slice() {
            [one] if one.kind == "click" => Some(one),
            _ => None,
        })
        .collect();
    if clicks.is_empty() {
        return 0.0;
    }
    let at = |index: u32| (f64::from(index) + 0.5) / f64::from(CELLS);
    let cells = (0..CELLS).flat_map(|x| (0..CELLS).map(move |y| [at(x), at(y)]));
    let right = cells.filter(|place| clicks.iter().any(|click| at_place(click, *place) >= 1.0));
    right.count() as f64 / f64::from(CELLS * CELLS)
}

/// Returns the lines of pyautogui that the agent for Qwen2.5-VL makes of an answer; nothing where it fails.
fn lines_of(raw: &str, [width, height]: [f64; 2]) -> Option<Vec<String>> {
    static CALL: LazyLock<Regex> = LazyLock::new(|| exactly(r"(?s)<tool_call>(.*?)</tool_call>"));
    let mut lines = Vec::new();
    let mut calls: Vec<&str> =
        CALL.captures_iter(raw).filter_map(|call| Some(call.get(1)?.as_str())).collect();
    if calls.is_empty() {
        calls =
            raw.split('\n').map(str::trim).filter(|line| !line.starts_with("Action:")).collect();
    }
    for call in calls {
        // What is no JSON is passed over; what lacks a field, too.
        let Ok(call) = serde_json::from_str::<Value>(call) else { continue };
        let call = call.as_object()?;
        if call.get("name").and_then(Value::as_str) != Some("computer_use") {
            continue;
        }
        let Some(arguments) = call.get("arguments") else { continue };
        let arguments = arguments.as_object()?;
        let place = || -> Option<Option<String>> {
            let Some(place) = arguments.get("coordinate") else { return Some(None) };
            let [x, y] = place.as_array()?.as_slice() else { return None };
            Some(Some(format!("x={:?}, y={:?}", x.as_f64()? / width, y.as_f64()? / height)))
        };
        let plain = |name: &str| arguments.get(name).map(printed);
        let Some(action) = arguments.get("action") else { continue };
        let line = match action.as_str().unwrap_or_default() {
            "left_click" => place()?.map(|place| format!("pyautogui.click({place})")),
            "right_click" => place()?.map(|place| format!("pyautogui.rightClick({place})")),
            "double_click" => place()?.map(|place| format!("pyautogui.doubleClick({place})")),
            "mouse_move" => place()?.map(|place| format!("pyautogui.moveTo({place})")),
            "left_click_drag" => place()?.map(|place| format!("pyautogui.dragTo({place})")),
            "type" => plain("text").map(|text| format!("pyautogui.write(message='{text}')")),
            "key" => arguments.get("keys").map(key_line),
            "scroll" => plain("pixels").map(|pixels| format!("pyautogui.scroll({pixels})")),
            "terminate" => {
                plain("status").map(|word| format!("computer.terminate(status='{word}')"))
            }
            "wait" => plain("time").map(|time| format!("pyautogui.sleep({time})")),
            _ => None,
        };
        lines.extend(line);
    }
    // A line feed in a text breaks its line in two there.
    Some(
        lines.iter().flat_map(|line| line.split('\n')).map(|line| line.trim().to_owned()).collect(),
    )
}

/// Returns a value as Python's `f"{value}"` has it, as far as answers have such values.
fn printed(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the line of some keys, which are tidied where an answer wrote a list into a text.
fn key_line(keys: &Value) -> String {
    let Some(list) = keys.as_array() else {
        return format!("pyautogui.press(keys={})", printed(keys));
    };
    let cleaned = list.iter().map(|key| {
        let Some(key) = key.as_str() else { return key.to_string() };
        let key = key.strip_prefix("keys=[").unwrap_or(key);
        let key = key.strip_suffix(']').unwrap_or(key);
        let open = ["['", "[\""].iter().find_map(|open| key.strip_prefix(open));
        let key = open.filter(|rest| !rest.is_empty()).unwrap_or(key);
        let close = ["']", "\"]"].iter().find_map(|close| key.strip_suffix(close));
        let key = close.filter(|rest| !rest.is_empty()).unwrap_or(key).trim();
        let quote = if key.contains('\'') && !key.contains('"') { '"' } else { '\'' };
        format!("{quote}{key}{quote}")
    });
    let cleaned: Vec<_> = cleaned.collect();
    let call = if cleaned.len() > 1 { "hotkey" } else { "press" };
    format!("pyautogui.{call}(keys=[{}])", cleaned.join(", "))
}

/// Reads the actions of such lines.
fn actions_of(lines: &[String]) -> Option<Vec<Said>> {
    static PLACE: LazyLock<Regex> = LazyLock::new(|| exactly(r"x=([\d.]+),\s*y=([\d.]+)"));
    static STATUS: LazyLock<Regex> = LazyLock::new(|| exactly(r#"status=['"](\w+)['"]"#));
    static MESSAGE: LazyLock<Regex> = LazyLock::new(|| exactly(r#"message=['"](.+?)['"]"#));
    static KEYS: LazyLock<Regex> = LazyLock::new(|| exactly(r"keys=\[(.*?)\]"));
    static KEY: LazyLock<Regex> = LazyLock::new(|| exactly(r#"['"]([^'"]*)['"]|(\w+)"#));
    static SCROLL: LazyLock<Regex> = LazyLock::new(|| exactly(r"pyautogui\.scroll\(([-\d]+)\)"));
    let first = |pattern: &Regex, line: &str| {
        pattern.captures(line).and_then(|found| Some(found.get(1)?.as_str().to_owned()))
    };
    let mut actions: Vec<Said> = Vec::new();
    let mut moved = false;
    for line in lines {
        let mut say =
            |kind: &str, value: Saying| actions.push(Said { kind: kind.to_owned(), value });
        if line.starts_with("computer.terminate")
            && let Some(status) = first(&STATUS, line)
        {
            say("terminate", Saying::Text(status));
        }
        if !line.starts_with("pyautogui.") {
            continue;
        }
        if let Some(place) = PLACE.captures(line) {
            let (_, [x, y]) = place.extract();
            let place = Saying::At([x.parse().ok()?, y.parse().ok()?]);
            let kinds = [
                ("click", "click"),
                ("moveTo", "moveto"),
                ("doubleClick", "doubleclick"),
                ("rightClick", "rightclick"),
                ("dragTo", "dragto"),
            ];
            if let Some((_, kind)) = kinds.iter().find(|(call, _)| line.contains(call)) {
                moved |= *kind == "moveto";
                say(kind, place);
            }
        }
        if let Some(text) = first(&MESSAGE, line) {
            say("write", Saying::Text(text));
        }
        if let Some(keys) = first(&KEYS, line) {
            let named = KEY.captures_iter(&keys).filter_map(|key| {
                let key = key.get(1).filter(|key| !key.is_empty()).or_else(|| key.get(2))?;
                Some(key.as_str().trim().to_owned())
            });
            let as_control = |key: String| match key.to_lowercase().as_str() {
                "cmd" | "command" => "ctrl".to_owned(),
                _ => key,
            };
            let kind = if line.contains("hotkey") { "hotkey" } else { "press" };
            say(kind, Saying::Keys(named.map(as_control).collect()));
        }
        if let Some(amount) = first(&SCROLL, line) {
            if !moved {
                say("moveto", Saying::At([0.5, 0.5]));
            }
            say("scroll", Saying::Amount(amount.parse().ok()?));
        }
    }
    Some(actions)
}

/// Whether these keys end a text.
fn is_enter(keys: &[String]) -> bool {
    matches!(keys, [key] if ["enter", "return"].contains(&key.to_lowercase().as_str()))
}

/// Scores what was said by one way; `paper` is by the rules of the published figures, which looked at the kind
/// of a scroll alone, at keys without their order, and let more be done than was asked for.
fn evaluate(way: &[DesktopAction], said: &[Said], paper: bool) -> Score {
    let mut is: Vec<&DesktopAction> = Vec::new();
    let mut rest = way.iter().peekable();
    // A text and the key that ends it are one; the line feed makes no difference to how texts are compared.
    while let Some(action) = rest.next() {
        is.push(action);
        if action.kind == "write" {
            rest.next_if(|next| {
                ["press", "hotkey"].contains(&next.kind.as_str())
                    && next.keys.as_deref().is_some_and(is_enter)
            });
        }
    }
    let mut predicted: Vec<&Said> = Vec::new();
    let mut rest = said.iter().peekable();
    while let Some(action) = rest.next() {
        predicted.push(action);
        if action.kind == "write" {
            rest.next_if(|next| {
                next.kind == "press" && matches!(&next.value, Saying::Keys(keys) if is_enter(keys))
            });
        }
    }
    let (Some(first), Some(first_said)) = (is.first(), predicted.first()) else {
        return Score::default();
    };
    let more = predicted.len() > is.len() && !paper;
    let penalty = if more { is.len() as f64 / predicted.len() as f64 } else { 1.0 };
    if first.kind == "terminate" {
        let same = first_said.kind == "terminate"
            && matches!(&first_said.value, Saying::Text(status) if Some(status) == first.text.as_ref());
        let total = if same { penalty } else { 0.0 };
        return Score { total, kinds: vec![("terminate".to_owned(), total)] };
    }
    // Sums and counts by kind; what is never scored has a count and no sum.
    let mut sums: Vec<(String, f64)> = Vec::new();
    let mut add = |kind: &str, score: f64| match sums.iter_mut().find(|(known, _)| known == kind) {
        Some((_, sum)) => *sum += score,
        None => sums.push((kind.to_owned(), score)),
    };
    if !is.iter().any(|action| action.kind == first_said.kind) {
        for action in &is {
            add(&action.kind, 0.0);
        }
        return Score { total: 0.0, kinds: sums };
    }
    for (at, action) in is.iter().enumerate() {
        let score = match predicted.get(at) {
            Some(said) if said.kind == action.kind => compare(action, &said.value, paper),
            _ => Some(0.0),
        };
        if let Some(score) = score {
            add(&action.kind, score);
        }
    }
    for (kind, sum) in &mut sums {
        *sum /= is.iter().filter(|action| action.kind == *kind).count() as f64;
        *sum *= penalty;
    }
    let total = sums.iter().map(|(_, score)| score).sum::<f64>() / sums.len().max(1) as f64;
    Score { total, kinds: sums }
}

/// Scores an action by the one that was taken, of the same kind; nothing for kinds it knows no rule for.
fn compare(action: &DesktopAction, said: &Saying, paper: bool) -> Option<f64> {
    Some(match (action.kind.as_str(), said) {
        (kind, Saying::At(place)) if PLACED.contains(&kind) => at_place(action, *place),
        ("write", Saying::Text(text)) => {
            same_text(action.text.as_deref().unwrap_or_default(), text)
        }
        ("press" | "hotkey", Saying::Keys(keys)) => {
            let lower = |keys: &[String]| -> Vec<String> {
                keys.iter().map(|key| key.to_lowercase()).collect()
            };
            let (mut is, mut said) =
                (lower(action.keys.as_deref().unwrap_or_default()), lower(keys));
            if paper {
                for keys in [&mut is, &mut said] {
                    keys.sort();
                    keys.dedup();
                }
            }
            f64::from(u8::from(is == said))
        }
        ("scroll", Saying::Amount(_)) if paper => 1.0,
        ("scroll", Saying::Amount(amount)) => scrolled(action, *amount),
        _ => return None,
    })
}

/// Scores a place: in full in one of the boxes or near enough, and then less and less.
fn at_place(action: &DesktopAction, place: [f64; 2]) -> f64 {
    if action.boxes.iter().any(|area| in_box(place, *area)) {
        return 1.0;
    }
    let away = action.at.map_or(f64::INFINITY, |at| distance(place, at));
    if away <= FULL { 1.0 } else { (-FALL * (away - FULL)).exp() }
}

/// Scores a text by how many letters would have to change.
fn same_text(is: &str, said: &str) -> f64 {
    let normal = |text: &str| text.to_lowercase().trim().to_owned();
    let (is, said) = (normal(is), normal(said));
    let longest = is.chars().count().max(said.chars().count());
    if longest == 0 {
        return 1.0;
    }
    let alike = 1.0 - strsim::levenshtein(&said, &is) as f64 / longest as f64;
    if alike >= SAME_TEXT { 1.0 } else { alike / SAME_TEXT }
}

/// Scores a scroll: nothing the wrong way, else the share that the smaller amount is of the larger.
fn scrolled(action: &DesktopAction, said: f64) -> f64 {
    let worded = match action.text.as_deref().map(|word| word.trim().to_lowercase()).as_deref() {
        Some("up" | "positive") => 1.0,
        Some("down" | "negative") => -1.0,
        _ => 0.0,
    };
    let is = way(action.amount.unwrap_or(worded));
    if is.is_some() && way(said) != is {
        return 0.0;
    }
    match action.amount.map(|amount| (amount.abs(), said.abs())) {
        Some((0.0, 0.0)) => 1.0,
        Some((is, said)) => is.min(said) / is.max(said),
        None => f64::from(u8::from(is == way(said))),
    }
}

/// Whether an amount is one upwards; nothing of none.
fn way(amount: f64) -> Option<bool> {
    (amount != 0.0).then_some(amount > 0.0)
}
