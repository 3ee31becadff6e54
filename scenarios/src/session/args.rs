//! What tools are asked with and what they answer: the types that their schemas are made from.

use std::collections::BTreeMap;

use handsight_actions::{Action, PixelPoint, Verb};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ground {
    /// What to find, in words, such as `the Save button`.
    pub(super) target: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// The question.
    pub(super) question: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Extract {
    /// What to read, such as `the total of the invoice`.
    pub(super) question: String,
    /// The JSON Schema that the value follows, such as `{"type": "number"}`.
    pub(super) schema: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// What is to be so, such as `the form is empty`.
    pub(super) claim: String,
    /// How sure the model must be, from 0 to 1.
    #[serde(default = "half")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) at_least: f64,
    /// How many seconds it may take to become so; the model is asked again when the screen has changed.
    #[serde(default = "patience")]
    #[schemars(range(min = 0.0, max = 600.0))]
    pub(super) within: f64,
}

fn half() -> f64 {
    0.5
}

fn patience() -> f64 {
    3.0
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    pub(super) action: Action,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunGoal {
    /// What to achieve, in a sentence.
    pub(super) goal: String,
    /// The most steps to take.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 1000))]
    pub(super) max_steps: u32,
    /// The most seconds to take.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 1.0, max = 86400.0))]
    pub(super) timeout: f64,
}

fn twenty() -> u32 {
    20
}

fn ten_minutes() -> f64 {
    600.0
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunScenario {
    /// The scenario's file, in the folder that was named with `--scenarios`.
    pub(super) file: String,
    /// Values that take the place of the scenario's own variables.
    #[serde(default)]
    pub(super) vars: BTreeMap<String, Value>,
}

/// A window on the screen.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct WindowSeen {
    /// The application: the class of a window, or a package.
    pub(super) app: String,
    /// Its title.
    pub(super) title: String,
    /// Its left edge on the screenshot.
    pub(super) x: i32,
    /// Its top edge.
    pub(super) y: i32,
    /// Its width.
    pub(super) width: u32,
    /// Its height.
    pub(super) height: u32,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Observed {
    /// The device.
    pub(super) device: String,
    /// The screenshot's width, in pixels.
    pub(super) width: u32,
    /// Its height.
    pub(super) height: u32,
    /// Whether the screen was still.
    pub(super) still: bool,
    /// The window that has the focus, if the device can tell.
    pub(super) window: Option<WindowSeen>,
    /// The actions that this device and its safety policy offer.
    pub(super) actions: Vec<Verb>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Grounded {
    /// Whether it is on the screen.
    pub(super) found: bool,
    /// Where to act on it, in pixels of the screenshot, if it was found.
    pub(super) point: Option<PixelPoint>,
    /// What it covers: left, top, width and height, if the model said.
    pub(super) area: Option<[i64; 4]>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Answered {
    /// The answer.
    pub(super) answer: String,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Extracted {
    /// The value, which follows the schema.
    pub(super) value: Value,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Expected {
    /// Whether it is so.
    pub(super) holds: bool,
    /// How sure the model is of it, from 0 to 1.
    pub(super) probability: f64,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Acted {
    /// The action, with its points in pixels of the screenshot.
    pub(super) action: Action,
    /// Whether it was performed; on a picture it is only checked.
    pub(super) performed: bool,
}

#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(super) struct GoalStep {
    /// Its number, from 1.
    pub(super) step: u32,
    /// Why, in the model's own words.
    pub(super) thought: String,
    /// What it decided to do.
    pub(super) action: Action,
    /// What became of the action, if it did not end the run.
    pub(super) outcome: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct GoalRun {
    /// Whether the model says that the goal is reached.
    pub(super) claimed: bool,
    /// Why the run ended: `claimed_success`, `claimed_failure`, `step_budget`, `time_budget`,
    /// `no_progress`, `invalid_replies`, `declined`, `needs_user` or `interrupted`.
    pub(super) stop_reason: String,
    /// The answer, if the goal was a question.
    pub(super) answer: Option<String>,
    /// The steps.
    pub(super) steps: Vec<GoalStep>,
    /// How long it took, in seconds.
    pub(super) seconds: f64,
    /// The folder of its trace, if one was kept.
    pub(super) trace: Option<String>,
}
