//! One question of a benchmark: a picture, words, and what a right answer is.

use std::collections::BTreeMap;

use handsight_actions::Size;
use serde::{Deserialize, Serialize};

use super::region::{Box2, area_of, bounds, is_finite};

/// One question, a line of `items.jsonl`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its name, which no other item of the set has.
    pub id: String,
    /// The file of the picture, below the set's folder of pictures.
    pub image: String,
    /// The beginning of the SHA-256 of that file, so that other pixels are noticed.
    pub image_sha256: String,
    /// The size of the picture, in pixels.
    pub size: Size,
    /// What to find, or what is to be achieved.
    pub instruction: String,
    /// What has been done so far, in words; for steps of an episode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<String>,
    /// What a right answer is.
    pub target: Target,
    /// What the figures are broken down by: `platform`, `ui_type`, `group` and so on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a right answer is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A point in a box: left, top, right, bottom, in pixels of the picture.
    Box(Box2),
    /// A point in a polygon, by its corners (x, y) in pixels of the picture.
    Polygon(Vec<[f64; 2]>),
    /// That there is no such thing.
    Refusal,
    /// The next step of an episode.
    Step(Step),
    /// The next step at a desktop: what a person did, first, and then other ways that are as good.
    Desktop(Vec<Vec<DesktopAction>>),
}

/// One thing that was done at a desktop.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DesktopAction {
    /// What kind, as the set calls it, in lower case: `click`, `moveto`, `write`, `hotkey` and so on.
    pub kind: String,
    /// Where, (x, y) in shares of the screen's sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<[f64; 2]>,
    /// Boxes in which any place is as good: left, top, right, bottom, in shares of its sides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<Box2>,
    /// What was typed, how it ended, or which way was scrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Which keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// How far was scrolled; up, if positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<f64>,
}

/// The step a person took.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What kind of step.
    pub kind: StepKind,
    /// Where a finger went down, (x, y) in shares of the screen's sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touch: Option<[f64; 2]>,
    /// Where it was lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lift: Option<[f64; 2]>,
    /// What was typed, or the name of what was opened or pressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Boxes of the things on the screen: left, top, right, bottom, in shares of its sides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<Box2>,
}

/// What kind of step.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A tap.
    Click,
    /// A long one.
    LongPress,
    /// A finger that moves.
    Scroll,
    /// Text.
    Type,
    /// A button of the system.
    Press,
    /// An app by its name.
    Open,
    /// Nothing, for a while.
    Wait,
    /// The end.
    Stop,
}

impl StepKind {
    /// Returns its name, as tables have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::LongPress => "long_press",
            Self::Scroll => "scroll",
            Self::Type => "type",
            Self::Press => "press",
            Self::Open => "open",
            Self::Wait => "wait",
            Self::Stop => "stop",
        }
    }
}

impl Target {
    /// Says what makes it impossible to judge an answer by, if anything does.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Box([left, top, right, bottom]) => {
                if !is_finite(&[*left, *top, *right, *bottom]) {
                    Some("the box has a number that is not finite".to_owned())
                } else if left > right || top > bottom {
                    Some(format!(
                        "the box [{left}, {top}, {right}, {bottom}] has its corners swapped"
                    ))
                } else {
                    None
                }
            }
            Self::Polygon(corners) if corners.len() < 3 => {
                Some(format!("the polygon has {} corners, fewer than 3", corners.len()))
            }
            Self::Polygon(corners) if !corners.iter().all(|corner| is_finite(corner)) => {
                Some("the polygon has a number that is not finite".to_owned())
            }
            Self::Polygon(_) | Self::Refusal => None,
            Self::Step(step) => step.problem(),
            Self::Desktop(ways) if ways.iter().any(Vec::is_empty) || ways.is_empty() => {
                Some("nothing was done in the step, or in another way to do it".to_owned())
            }
            Self::Desktop(ways) => ways.iter().flatten().find_map(DesktopAction::problem),
        }
    }

    /// Returns how many square pixels of the picture a point in it may lie on; 0 for what has no place.
    pub fn area(&self) -> f64 {
        match self {
            Self::Box([left, top, right, bottom]) => (right - left) * (bottom - top),
            Self::Polygon(corners) => area_of(corners),
            Self::Refusal | Self::Step(_) | Self::Desktop(_) => 0.0,
        }
    }

    /// Returns the smallest box around it; nothing around what has no place.
    pub fn bounds(&self) -> Option<Box2> {
        match self {
            Self::Box(area) => Some(*area),
            Self::Polygon(corners) => bounds(corners),
            Self::Refusal | Self::Step(_) | Self::Desktop(_) => None,
        }
    }

    /// Returns its kind, as tables have it.
    pub fn kind(&self) -> &str {
        match self {
            Self::Box(_) => "bbox",
            Self::Polygon(_) => "polygon",
            Self::Refusal => "refusal",
            Self::Step(step) => step.kind.as_str(),
            // A movement alone leads to what comes after it.
            Self::Desktop(ways) => {
                let done = ways.first().and_then(|way| way.last());
                done.map_or("none", |action| action.kind.as_str())
            }
        }
    }

    /// Whether an answer to it is a place on the picture, or that there is none.
    pub fn is_place(&self) -> bool {
        matches!(self, Self::Box(_) | Self::Polygon(_) | Self::Refusal)
    }
}

impl DesktopAction {
    fn problem(&self) -> Option<String> {
        let numbers = self.at.iter().flatten().chain(self.boxes.iter().flatten());
        if !numbers.chain(&self.amount).all(|number| number.is_finite()) {
            return Some(format!("the {} has a number that is not finite", self.kind));
        }
        let placed = self.kind.ends_with("click") || self.kind.ends_with("to");
        (placed && self.at.is_none()).then(|| format!("the {} does not say where", self.kind))
    }
}

impl Step {
    /// Returns a step of a kind that says nothing more.
    pub fn of(kind: StepKind) -> Self {
        Self { kind, touch: None, lift: None, text: None, boxes: Vec::new() }
    }

    fn problem(&self) -> Option<String> {
        let numbers = self.touch.iter().chain(&self.lift).flatten();
        if !numbers.chain(self.boxes.iter().flatten()).all(|number| number.is_finite()) {
            return Some("the step has a number that is not finite".to_owned());
        }
        // A finger may leave the screen a little, but nothing in pixels passes.
        let is_share = |number: &f64| (-0.5..=1.5).contains(number);
        let numbers = self.touch.iter().chain(&self.lift).flatten();
        if !numbers.chain(self.boxes.iter().flatten()).all(is_share) {
            return Some("the step has places that are no shares of the screen's sides".to_owned());
        }
        let missing = match self.kind {
            StepKind::Click | StepKind::LongPress if self.touch.is_none() => "where it touched",
            StepKind::Scroll if self.touch.is_none() || self.lift.is_none() => "both its ends",
            StepKind::Type | StepKind::Press | StepKind::Open if self.text.is_none() => "its text",
            _ => return None,
        };
        Some(format!("the {} does not say {missing}", self.kind.as_str()))
    }
}

impl Item {
    /// Says what makes it impossible to judge an answer to it, if anything does.
    pub fn problem(&self) -> Option<String> {
        if self.id.is_empty() {
            return Some("the id is empty".to_owned());
        }
        if self.size.width == 0 || self.size.height == 0 {
            return Some(format!("the picture is {} pixels large", self.size));
        }
        if self.instruction.trim().is_empty() {
            return Some("the instruction is empty".to_owned());
        }
        self.target.problem()
    }

    /// Returns a tag, or nothing.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.get(name).map(String::as_str)
    }
}
