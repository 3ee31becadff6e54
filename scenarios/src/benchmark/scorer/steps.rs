//! Judging steps of episodes: four published rules, which call very different things the same.
//!
//! # Source
//!
//! OpenBMB/AgentCPM-GUI a5612f0, `eval/utils/evaluator.py` (Qwen's rules); google-research 1d49f2c,
//! `android_in_the_wild/action_matching.py`; OS-Copilot/OS-Atlas 49ba04b, `eval/README.md`.

use handsight_actions::{Action, Dialect, Direction, ModelPoint, Size, parse_action};
use serde_json::json;

use super::{Asked, Judged, Outcome, Scorer};
use crate::benchmark::import::TAP;
use crate::benchmark::item::{Step, StepKind};
use crate::benchmark::prediction::Prediction;
use crate::benchmark::region::{Box2, center, distance, in_box};

/// How far two taps may be apart, in shares of the screen.
const NEAR: f64 = 0.14;

/// The same on AndroidControl, by Qwen's rule.
const VERY_NEAR: f64 = 0.04;

/// How many boxes Qwen's rule for AndroidControl looks at.
const NEAREST_BOXES: usize = 5;

/// What a step that was decided comes to.
#[derive(Clone, Debug, PartialEq)]
struct Decided {
    kind: StepKind,
    touch: Option<[f64; 2]>,
    lift: Option<[f64; 2]>,
    text: Option<String>,
}

pub(super) fn judge(
    scorer: Scorer,
    step: &Step,
    screen: Size,
    prediction: &Prediction,
    asked: Asked,
) -> Judged {
    let Some(look) = prediction.looks.first() else {
        return Judged { outcome: Outcome::FormatError, ..Judged::default() };
    };
    let sides = asked.counts.sides(screen, look.resized);
    let Some(decided) = decide(&look.raw, sides) else {
        let detail = Some(json!({"type_match": false}));
        return Judged { outcome: Outcome::FormatError, detail, ..Judged::default() };
    };
    let (kinds_match, right) = compare(scorer, step, &decided);
    let pixel = |[x, y]: [f64; 2]| [x * f64::from(screen.width), y * f64::from(screen.height)];
    let distance = decided.touch.zip(step.touch).map(|(a, b)| distance(pixel(a), pixel(b)));
    Judged {
        outcome: if right { Outcome::Correct } else { Outcome::Wrong },
        left_out: false,
        point: decided.touch.map(pixel),
        distance,
        detail: Some(json!({"type_match": kinds_match})),
    }
}

/// Returns the share of points that a scorer would call right, were they drawn evenly; of the middles of
/// a fine grid.
pub(super) fn random_floor(scorer: Scorer, step: &Step) -> f64 {
    const CELLS: u32 = 64;
    if step.kind != StepKind::Click {
        return 0.0;
    }
    let at = |index: u32| (f64::from(index) + 0.5) / f64::from(CELLS);
    let mut right = 0_u32;
    for x in 0..CELLS {
        for y in 0..CELLS {
            let touch = Some([at(x), at(y)]);
            let decided = Decided { kind: StepKind::Click, touch, lift: touch, text: None };
            right += u32::from(compare(scorer, step, &decided).1);
        }
    }
    f64::from(right) / f64::from(CELLS * CELLS)
}

/// Reads the action of an answer; its points become shares of the sides.
fn decide(raw: &str, [width, height]: [f64; 2]) -> Option<Decided> {
    let dialects = [Dialect::MobileUse, Dialect::ComputerUse, Dialect::UiTars, Dialect::Json];
    let action = dialects.iter().find_map(|&dialect| parse_action(raw, dialect).ok())?.action;
    let share = |point: ModelPoint| Some([f64::from(point.x) / width, f64::from(point.y) / height]);
    let bare = |kind| Decided { kind, touch: None, lift: None, text: None };
    Some(match action {
        Action::LeftClick { coordinate } => {
            let touch = share(coordinate);
            Decided { touch, lift: touch, ..bare(StepKind::Click) }
        }
        Action::LongPress { coordinate, .. } => {
            let touch = share(coordinate);
            Decided { touch, lift: touch, ..bare(StepKind::LongPress) }
        }
        Action::Swipe { coordinate, coordinate2, .. } => {
            Decided { touch: share(coordinate), lift: share(coordinate2), ..bare(StepKind::Scroll) }
        }
        // What is to be seen moves against the finger.
        Action::Scroll { coordinate, direction, .. } => {
            let touch = coordinate.and_then(share).or(Some([0.5, 0.5]));
            let (dx, dy) = match direction {
                Direction::Up => (0.0, 0.2),
                Direction::Down => (0.0, -0.2),
                Direction::Left => (0.2, 0.0),
                Direction::Right => (-0.2, 0.0),
            };
            let lift = touch.map(|[x, y]| [x + dx, y + dy]);
            Decided { touch, lift, ..bare(StepKind::Scroll) }
        }
        Action::Type { text, .. } => Decided { text: Some(text), ..bare(StepKind::Type) },
        Action::SystemButton { button } => {
            Decided { text: Some(format!("{button:?}").to_lowercase()), ..bare(StepKind::Press) }
        }
        Action::OpenApp { app } => Decided { text: Some(app), ..bare(StepKind::Open) },
        Action::Wait { .. } => bare(StepKind::Wait),
        Action::Terminate { .. } | Action::Answer { .. } => bare(StepKind::Stop),
        _ => return None,
    })
}

/// Compares a decision with the step that was taken: whether the kinds are the same, and whether all is.
fn compare(scorer: Scorer, step: &Step, decided: &Decided) -> (bool, bool) {
    match scorer {
        Scorer::Aitw => aitw(step, decided),
        Scorer::OsAtlas14 => os_atlas(step, decided),
        _ => qwen(step, decided, scorer == Scorer::QwenAc),
    }
}

/// Qwen's rule. Waiting ends an episode in its terms, as does ending it.
fn qwen(step: &Step, decided: &Decided, on_android_control: bool) -> (bool, bool) {
    let ends = |kind: StepKind| if kind == StepKind::Wait { StepKind::Stop } else { kind };
    let kind = ends(step.kind);
    if kind != ends(decided.kind) {
        return (false, false);
    }
    let right = match kind {
        StepKind::Click | StepKind::LongPress => {
            let Some((said, is)) = decided.touch.zip(step.touch) else { return (true, false) };
            let near = if on_android_control { VERY_NEAR } else { NEAR };
            let grown: Vec<Box2> = step.boxes.iter().map(|area| grow(*area, 0.2)).collect();
            let boxes = if on_android_control {
                let mut nearest = grown;
                nearest
                    .sort_by(|a, b| distance(center(*a), is).total_cmp(&distance(center(*b), is)));
                nearest.truncate(NEAREST_BOXES);
                nearest
            } else {
                grown.into_iter().filter(|area| in_box(is, *area)).collect()
            };
            boxes.iter().any(|area| in_box(said, *area)) || distance(said, is) <= near
        }
        StepKind::Scroll => same_direction(step, decided),
        StepKind::Type => either_contains(step, decided),
        StepKind::Press | StepKind::Open => step.text == decided.text,
        StepKind::Stop | StepKind::Wait => true,
    };
    (true, right)
}

/// Grows a box by shares of its sides, half of it on each; its corner stays on the screen, and neither
/// side becomes longer than it.
fn grow([left, top, right, bottom]: Box2, by: f64) -> Box2 {
    let (width, height) = (right - left, bottom - top);
    let (x, y) = ((left - width * by / 2.0).max(0.0), (top - height * by / 2.0).max(0.0));
    [x, y, x + (width + width * by).min(1.0), y + (height + height * by).min(1.0)]
}

/// Whether two movements go the same way.
fn same_direction(step: &Step, decided: &Decided) -> bool {
    let way = |from: Option<[f64; 2]>, to: Option<[f64; 2]>| {
        from.zip(to).and_then(|(from, to)| direction(from, to))
    };
    way(step.touch, step.lift) == way(decided.touch, decided.lift)
}

/// Returns the direction whose cosine with a movement is largest; the first of them on a tie.
fn direction(from: [f64; 2], to: [f64; 2]) -> Option<&'static str> {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    if dx == 0.0 && dy == 0.0 {
        return None;
    }
    let along = [("up", -dy), ("down", dy), ("left", -dx), ("right", dx)];
    let mut best = along[0];
    for candidate in &along[1..] {
        if candidate.1 > best.1 {
            best = *candidate;
        }
    }
    Some(best.0)
}

/// Whether one of two texts is a part of the other, in lower case and without spaces around.
fn either_contains(step: &Step, decided: &Decided) -> bool {
    let normal = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().to_lowercase();
    let (is, said) = (normal(&step.text), normal(&decided.text));
    is.contains(&said) || said.contains(&is)
}

/// OS-Atlas' rule: the kind, a point near enough, and of texts the first words, by their F1.
fn os_atlas(step: &Step, decided: &Decided) -> (bool, bool) {
    if step.kind != decided.kind {
        return (false, false);
    }
    let right = match step.kind {
        StepKind::Click | StepKind::LongPress => {
            decided.touch.zip(step.touch).is_some_and(|(a, b)| distance(a, b) <= NEAR)
        }
        StepKind::Type | StepKind::Open => {
            let first = |text: &Option<String>| {
                text.as_deref().unwrap_or_default().split_whitespace().next().map(str::to_owned)
            };
            step.text == decided.text || first(&step.text) == first(&decided.text)
        }
        StepKind::Scroll => same_direction(step, decided),
        StepKind::Press => step.text == decided.text,
        StepKind::Wait | StepKind::Stop => true,
    };
    (true, right)
}

/// AITW's rule: all touches are one kind of action, and a drag counts by its axis, whichever way it goes.
fn aitw(step: &Step, decided: &Decided) -> (bool, bool) {
    let touches = |kind| matches!(kind, StepKind::Click | StepKind::Scroll);
    if !touches(step.kind) || !touches(decided.kind) {
        let same = step.kind == decided.kind
            && (step.kind != StepKind::Press || step.text == decided.text);
        return (same, same);
    }
    let ends =
        |from: Option<[f64; 2]>, to: Option<[f64; 2]>| from.map(|from| (from, to.unwrap_or(from)));
    let (Some(said), Some(is)) = (ends(decided.touch, decided.lift), ends(step.touch, step.lift))
    else {
        return (true, false);
    };
    let taps = |(from, to): ([f64; 2], [f64; 2])| distance(from, to) <= TAP;
    let right = match (taps(said), taps(is)) {
        (true, true) => {
            let boxes = step.boxes.iter().map(|area| grow(*area, 1.4));
            let mut both = boxes.filter(|area| in_box(said.0, *area) && in_box(is.0, *area));
            both.next().is_some() || distance(said.0, is.0) <= NEAR
        }
        (false, false) => {
            // (y, x) there, so that y wins a tie.
            let across = |(from, to): ([f64; 2], [f64; 2])| {
                (to[0] - from[0]).abs() > (to[1] - from[1]).abs()
            };
            across(said) == across(is)
        }
        _ => false,
    };
    (true, right)
}
