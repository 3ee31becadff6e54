//! The lines of a trace, as types.
//!
//! This is a public format: one JSON object per line, told apart by `event`. A change that an older
//! reader would misunderstand raises [`TRACE_VERSION`](super::TRACE_VERSION) and comes with a
//! function that reads the version before it.

use handsight_actions::{Action, Frame, ModelPoint, PixelPoint, Rect, Size};
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TraceEvent {
    /// The first line: what was to be done, where and by whom.
    EpisodeStarted(EpisodeStarted),
    /// A step began with a look at the screen.
    StepStarted(StepStarted),
    /// A reply could not be used; the policy was told why and asked again.
    ReplyRefused(ReplyRefused),
    /// The policy decided on an action that passed every check.
    Decided(Decided),
    /// What became of the action.
    Acted(Acted),
    /// The last line, unless the process was killed.
    EpisodeStopped(EpisodeStopped),
}

/// See [`TraceEvent::EpisodeStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeStarted {
    /// The version of the format; a reader refuses one newer than its own.
    pub version: u32,
    /// When.
    pub time: Timestamp,
    /// The version of Handsight that wrote the trace.
    pub handsight: String,
    /// The user's sentence.
    pub goal: String,
    /// The device.
    pub device: TracedDevice,
    /// The policy's name, with the checkpoint's where it has one.
    pub policy: String,
    /// The most steps allowed.
    pub max_steps: u32,
    /// The most time allowed, in seconds.
    pub timeout_s: f64,
    /// Whether actions were only checked and never performed.
    pub dry_run: bool,
}

/// The device an episode ran on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TracedDevice {
    /// Its name.
    pub name: String,
    /// What kind of device it is, in one word.
    pub kind: String,
    /// Its screen, in device pixels.
    pub size: Size,
    /// Device pixels per unit of the system's own layout.
    pub scale: f64,
}

/// A picture beside the trace.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ImageRef {
    /// The SHA-256 of the PNG file, in hexadecimal; the file is `images/<sha256>.png`.
    #[serde(deserialize_with = "digits")]
    pub sha256: String,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

/// Reads what names a picture. It becomes a part of a path, so it must be nothing else.
fn digits<'de, D: Deserializer<'de>>(text: D) -> Result<String, D::Error> {
    let text = String::deserialize(text)?;
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then_some(text).ok_or_else(|| D::Error::custom("a picture's name is no SHA-256"))
}

/// See [`TraceEvent::StepStarted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepStarted {
    /// The step's number, from 1.
    pub step: u32,
    /// When.
    pub time: Timestamp,
    /// What the screen showed.
    pub screenshot: ImageRef,
    /// The application in front, if the device knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreground_app: Option<String>,
    /// Whether the screen was still; `false` if it kept changing until the limit.
    pub still: bool,
    /// How long the screen was watched, in milliseconds.
    pub settle_ms: u64,
    /// What the user said since the last step, if anything; the policy was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

/// See [`TraceEvent::ReplyRefused`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyRefused {
    /// The step's number, from 1.
    pub step: u32,
    /// When.
    pub time: Timestamp,
    /// The reply as it was written.
    pub reply: String,
    /// Why it was refused.
    pub problem: String,
}

/// See [`TraceEvent::Decided`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The step's number, from 1.
    pub step: u32,
    /// When.
    pub time: Timestamp,
    /// Why, in the policy's own words.
    pub thought: String,
    /// What to do, in pixels of the screenshot.
    pub action: Action<PixelPoint>,
    /// The action's point in the space the model spoke in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_point: Option<ModelPoint>,
    /// The sizes the point was mapped between.
    pub frame: Frame,
    /// The part of the screenshot that was looked at again, closer, if one was; `frame` and
    /// `model_point` are then those of this part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<Rect>,
    /// The probability the model gave to exactly these coordinates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// The reply as it was written.
    pub reply: String,
    /// What the parser had to mend in the reply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    /// How long the decision took, refused replies included, in milliseconds.
    pub decide_ms: u64,
    /// What the accepted reply cost; absent for a policy without a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What replies of a model cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, images included.
    pub prompt_tokens: u64,
    /// Those of them that stand for images.
    pub image_tokens: u64,
    /// Those of them that were remembered from an earlier prompt.
    #[serde(default)]
    pub cached_tokens: u64,
    /// Tokens of the reply.
    pub completion_tokens: u64,
    /// Those of them that the grammar allowed only one choice for, so the model was not asked.
    pub forced_tokens: u64,
    /// How often the text decoder ran.
    pub forward_passes: u64,
    /// Time spent on resizing and normalising images, in milliseconds.
    pub preprocess_ms: f64,
    /// Time spent in the vision tower, in milliseconds.
    pub vision_ms: f64,
    /// Time spent on the prompt, in milliseconds.
    pub prefill_ms: f64,
    /// Time spent on the reply, in milliseconds.
    pub decode_ms: f64,
}

impl Usage {
    /// Adds the cost of another reply.
    pub fn add(&mut self, other: &Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.image_tokens += other.image_tokens;
        self.cached_tokens += other.cached_tokens;
        self.completion_tokens += other.completion_tokens;
        self.forced_tokens += other.forced_tokens;
        self.forward_passes += other.forward_passes;
        self.preprocess_ms += other.preprocess_ms;
        self.vision_ms += other.vision_ms;
        self.prefill_ms += other.prefill_ms;
        self.decode_ms += other.decode_ms;
    }
}

/// See [`TraceEvent::Acted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acted {
    /// The step's number, from 1.
    pub step: u32,
    /// When.
    pub time: Timestamp,
    /// What became of the action.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub act_ms: u64,
}

/// What became of an action.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The device did it.
    Performed,
    /// It was checked and not performed, because the episode was a dry run.
    DryRun,
    /// The user was asked and said no.
    Declined,
    /// The user was asked for help and answered this; the policy was told.
    Answered(String),
    /// The user was asked for help, did something themselves and gave the screen back.
    TakenOver,
    /// The user was to be asked for help, and nobody was there.
    Unanswered,
    /// The safety policy does not allow it, for this reason; the policy was told.
    Refused(String),
    /// The device could not do it, for this reason; the policy was told.
    Failed(String),
}

/// See [`TraceEvent::EpisodeStopped`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeStopped {
    /// When.
    pub time: Timestamp,
    /// Why.
    pub stop_reason: StopReason,
    /// What went wrong, for the reasons that are errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The answer the policy gave, if the goal was a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What the screen showed at the end, if it changed after the last step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screenshot: Option<ImageRef>,
    /// How many steps were begun.
    pub steps: u32,
    /// How long the episode took, in milliseconds.
    pub elapsed_ms: u64,
    /// What all accepted replies cost together.
    pub usage: Usage,
}

/// Why an episode ended.
///
/// None of these says that the goal was reached. A policy can only *claim* that; whether it is so is
/// for a check of the device's state to say.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The policy says the goal is reached, or has given an answer.
    ClaimedSuccess,
    /// The policy says the goal cannot be reached.
    ClaimedFailure,
    /// The most steps allowed were taken.
    StepBudget,
    /// The time allowed had passed.
    TimeBudget,
    /// The policy kept choosing an action that changes nothing.
    NoProgress,
    /// The policy gave no usable action, though it was told what was wrong.
    InvalidReplies,
    /// The user was asked about an action and said no.
    Declined,
    /// The policy asked the user for help, and nobody was there to give it.
    NeedsUser,
    /// The user interrupted the episode.
    Interrupted,
    /// The device failed.
    DeviceLost,
    /// The policy failed.
    PolicyFailed,
}

impl StopReason {
    /// Returns the name used in traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClaimedSuccess => "claimed_success",
            Self::ClaimedFailure => "claimed_failure",
            Self::StepBudget => "step_budget",
            Self::TimeBudget => "time_budget",
            Self::NoProgress => "no_progress",
            Self::InvalidReplies => "invalid_replies",
            Self::Declined => "declined",
            Self::NeedsUser => "needs_user",
            Self::Interrupted => "interrupted",
            Self::DeviceLost => "device_lost",
            Self::PolicyFailed => "policy_failed",
        }
    }

    /// Returns one sentence for people, without a full stop.
    pub fn describe(self) -> &'static str {
        match self {
            Self::ClaimedSuccess => "the model says the goal is reached",
            Self::ClaimedFailure => "the model says the goal cannot be reached",
            Self::StepBudget => "the step budget was used up",
            Self::TimeBudget => "the time budget was used up",
            Self::NoProgress => "the same action on the same screen changed nothing",
            Self::InvalidReplies => "the model gave no usable action",
            Self::Declined => "an action was declined",
            Self::NeedsUser => "the model asks for help, and nobody is there to give it",
            Self::Interrupted => "the episode was interrupted",
            Self::DeviceLost => "the device failed",
            Self::PolicyFailed => "the model failed",
        }
    }
}
