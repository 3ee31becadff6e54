//! Who judges: this program's own rule, and those of published scorers with all their quirks.
//!
//! The same raw answers get the figure that each of them would print. Which rule made a figure is
//! therefore part of it.

mod agentnet;
mod grounding;
mod readers;
mod steps;
mod totals;

use std::fmt;
use std::str::FromStr;

use handsight_agent::Counts;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::grounding::place_of;
pub use self::totals::totals;
use super::dataset::{BoxForm, DatasetInfo};
use super::item::{Item, Target};
use super::prediction::Prediction;
use super::run::{PromptRef, RunManifest};

/// A rule of judging.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scorer {
    /// Ours: edges are inside, polygons are polygons, refusals count, an answer without a place is wrong.
    Strict,
    /// ScreenSpot-Pro's `eval_screenspot_pro.py`.
    Sspro,
    /// SeeClick's `screenspot_test.py`, and the mean of its six cells.
    SeeclickMacro,
    /// VLMEvalKit's `ScreenSpot.evaluate_point`.
    Vlmevalkit,
    /// lmms-eval's tasks `screenspot_v2` and `screenspot_pro`.
    Lmms,
    /// ClawGUI-Eval's judges of ScreenSpot and OSWorld-G.
    Clawgui,
    /// Qwen's rule for AndroidControl, as AgentCPM-GUI has it: 0.04 of the screen, or five boxes.
    QwenAc,
    /// Qwen's rule for AITZ, as AgentCPM-GUI has it: 0.14 of the screen, or the boxes around.
    Aitz,
    /// OS-Atlas and UI-TARS on AndroidControl: 0.14 of the screen.
    #[serde(rename = "os-atlas-14")]
    OsAtlas14,
    /// AITW's own matching of actions.
    Aitw,
    /// AgentNetBench, by the rules it has now.
    Agentnet,
    /// AgentNetBench, by the rules of the figures that were published with it.
    AgentnetPaper,
}

impl Scorer {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Strict,
        Self::Sspro,
        Self::SeeclickMacro,
        Self::Vlmevalkit,
        Self::Lmms,
        Self::Clawgui,
        Self::QwenAc,
        Self::Aitz,
        Self::OsAtlas14,
        Self::Aitw,
        Self::Agentnet,
        Self::AgentnetPaper,
    ];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Sspro => "sspro",
            Self::SeeclickMacro => "seeclick-macro",
            Self::Vlmevalkit => "vlmevalkit",
            Self::Lmms => "lmms",
            Self::Clawgui => "clawgui",
            Self::QwenAc => "qwen-ac",
            Self::Aitz => "aitz",
            Self::OsAtlas14 => "os-atlas-14",
            Self::Aitw => "aitw",
            Self::Agentnet => "agentnet",
            Self::AgentnetPaper => "agentnet-paper",
        }
    }

    /// Returns what it is, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Strict => "edges inside, true polygons, refusals count, no place is wrong",
            Self::Sspro => {
                "ScreenSpot-Pro's script: its reader, micro average, polygons by two corners"
            }
            Self::SeeclickMacro => "SeeClick's script: the mean over platform and kind",
            Self::Vlmevalkit => "VLMEvalKit: x=, y= or (0, 0), boxes a pixel smaller, n² weights",
            Self::Lmms => {
                "lmms-eval: any two numbers, above 1 by the picture's own size, boxes guessed"
            }
            Self::Clawgui => "ClawGUI-Eval: whole pixels, ray-cast polygons, refusals left out",
            Self::QwenAc => "Qwen on AndroidControl: 0.04 of the screen or five boxes",
            Self::Aitz => "Qwen on AITZ: 0.14 of the screen or the boxes around",
            Self::OsAtlas14 => "OS-Atlas on AndroidControl: 0.14 of the screen, first words",
            Self::Aitw => "AITW: boxes 2.4 times as large or 0.14, drags by their axis",
            Self::Agentnet => {
                "AgentNetBench: a score from 0 to 1, extra actions and the way of a scroll count"
            }
            Self::AgentnetPaper => "AgentNetBench as published: any scroll, keys in any order",
        }
    }

    /// Whether it judges steps of episodes, and not places.
    pub fn judges_steps(self) -> bool {
        self.scores_desktops()
            || matches!(self, Self::QwenAc | Self::Aitz | Self::OsAtlas14 | Self::Aitw)
    }

    /// Whether it judges steps at a desktop, by a score.
    fn scores_desktops(self) -> bool {
        matches!(self, Self::Agentnet | Self::AgentnetPaper)
    }

    /// Whether it can judge answers to such a target.
    pub fn takes(self, target: &Target) -> bool {
        match target {
            Target::Desktop(_) => self.scores_desktops(),
            Target::Step(_) => self.judges_steps() && !self.scores_desktops(),
            Target::Box(_) => !self.judges_steps(),
            // The others know of neither, and would judge them by a box that is not there.
            Target::Polygon(_) | Target::Refusal => {
                matches!(self, Self::Strict | Self::Sspro | Self::Clawgui)
            }
        }
    }

    /// Judges the answer to an item; `None` is that there is no prediction.
    pub fn judge(self, item: &Item, prediction: &Prediction, asked: Asked) -> Judged {
        if prediction.error.is_some() {
            return Judged { outcome: Outcome::InferError, ..Judged::default() };
        }
        match &item.target {
            Target::Step(step) => steps::judge(self, step, item.size, prediction, asked),
            Target::Desktop(ways) => agentnet::judge(self, ways, item.size, prediction, asked),
            _ => grounding::judge(self, item, prediction, asked),
        }
    }

    /// Returns the share of points, drawn evenly from the picture, that it would call right.
    pub fn random_floor(self, item: &Item, boxes: BoxForm) -> f64 {
        match &item.target {
            Target::Step(step) => steps::random_floor(self, step),
            Target::Desktop(ways) => agentnet::random_floor(ways),
            _ => grounding::random_floor(self, item, boxes),
        }
    }
}

impl fmt::Display for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scorer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scorer| scorer.as_str() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("there is no scorer `{text}`; they are {names}")
        })
    }
}

/// How a run asked, as far as judging depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    /// What the numbers of an answer count.
    pub counts: Counts,
    /// How the set's annotations write a box.
    pub boxes: BoxForm,
    /// Whether the prompt asks for the call of a function.
    pub calls: bool,
    /// Which look is judged: the last, or the first alone.
    pub first_look_only: bool,
}

impl Asked {
    /// Returns how the run of a manifest asked about a set.
    pub fn of(manifest: &RunManifest, dataset: &DatasetInfo) -> Self {
        let PromptRef { counts, calls, .. } = manifest.prompt;
        Self { counts, boxes: dataset.boxes, calls, first_look_only: false }
    }
}

/// What became of an item; every item ends in exactly one of them.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer is right.
    Correct,
    /// It is wrong.
    #[default]
    Wrong,
    /// The scorer cannot read it.
    FormatError,
    /// There is none.
    InferError,
}

impl Outcome {
    /// All of them, as tables list them.
    pub const ALL: [Self; 4] = [Self::Correct, Self::Wrong, Self::FormatError, Self::InferError];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Wrong => "wrong",
            Self::FormatError => "format error",
            Self::InferError => "infer error",
        }
    }
}

/// What a scorer says of an answer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Judged {
    /// What became of the item.
    pub outcome: Outcome,
    /// Whether the scorer leaves it out of its average.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
    /// The point it judged, in pixels of the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<[f64; 2]>,
    /// How far that is from the target, in pixels; 0 inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// What else the scorer's own table is made of: `type_match` for steps, `score` at a
    /// desktop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}
