//! Goal, history and screenshot → the messages a checkpoint was trained on.
//!
//! A checkpoint only does well on the prompt it knows, so there is one profile per kind of
//! checkpoint and no prompt of our own invention. The texts lie beside this file in `prompt/`; each
//! has its version in its name, and a changed text gets a new name.

use std::fmt::Write;

use handsight_actions::{Action, Dialect, Frame, ModelPoint, python_json, tool_signature};
use handsight_model::{ImageInput, Message, Part, Request, Role};
use image::RgbImage;

use crate::history::StepSummary;
use crate::policy::Turn;

const SYSTEM: &str = include_str!("prompt/system.md");
const TOOLS: &str = include_str!("prompt/tools_v1.md");
const PROGRESS: &str = include_str!("prompt/progress_v1.md");
const FEEDBACK: &str = include_str!("prompt/feedback_v1.md");
const FAILED: &str = include_str!("prompt/failed_v1.md");

/// The prompt and the form of reply a checkpoint was trained on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PromptProfile {
    /// Handsight's embedded checkpoint: the goal, what was done, then a thought and action JSON.
    EmbeddedV1,
    /// Qwen2.5-VL and its kin on a desktop: calls of the function `computer_use`.
    ComputerUse,
    /// Qwen2.5-VL and its kin on a phone: calls of the function `mobile_use`.
    MobileUse,
}

impl PromptProfile {
    /// Returns the profile of that name, as a checkpoint's configuration or a user writes it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "embedded-v1" => Some(Self::EmbeddedV1),
            "computer-use-v1" | "computer-use" | "computer_use" => Some(Self::ComputerUse),
            "mobile-use-v1" | "mobile-use" | "mobile_use" => Some(Self::MobileUse),
            _ => None,
        }
    }

    /// Returns its name, with the version of its texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmbeddedV1 => "embedded-v1",
            Self::ComputerUse => "computer-use-v1",
            Self::MobileUse => "mobile-use-v1",
        }
    }

    /// Returns the form its replies have.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::EmbeddedV1 => Dialect::Json,
            Self::ComputerUse => Dialect::ComputerUse,
            Self::MobileUse => Dialect::MobileUse,
        }
    }
}

/// What a model is given: messages, and the images they refer to by index.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) messages: Vec<Message>,
    pub(crate) images: Vec<RgbImage>,
}

impl Prompt {
    /// Returns the request for an answer to it.
    pub(crate) fn into_request(self) -> Request {
        let images = self.images.into_iter().map(ImageInput::from).collect();
        Request { messages: self.messages, images, ..Request::default() }
    }
}

/// Returns the prompt for one decision; `frame` is that of the current screenshot.
pub(crate) fn build(profile: PromptProfile, turn: &Turn<'_>, frame: Frame) -> Prompt {
    match profile {
        PromptProfile::EmbeddedV1 => embedded(turn),
        PromptProfile::ComputerUse | PromptProfile::MobileUse => tool_calls(profile, turn, frame),
    }
}

/// Returns the prompt that asks for one thing on one picture.
pub(crate) fn build_single(
    profile: PromptProfile,
    text: &str,
    image: RgbImage,
    frame: Frame,
) -> Prompt {
    let system = match profile {
        PromptProfile::EmbeddedV1 => SYSTEM.trim_end().to_owned(),
        PromptProfile::ComputerUse | PromptProfile::MobileUse => system_with_tools(profile, frame),
    };
    let messages = vec![Message::text(Role::System, system), Message::image_and_text(0, text)];
    Prompt { messages, images: vec![image] }
}

/// The embedded checkpoint sees the current screenshot, the goal and its own earlier thoughts.
///
/// It was never trained on feedback, so a refused reply changes nothing here; the policy draws
/// another one instead.
fn embedded(turn: &Turn<'_>) -> Prompt {
    let mut text = turn.goal.to_owned();
    let done = done(turn.history);
    if !done.is_empty() {
        text.push_str("\nDone: ");
        text.push_str(&done.join("; "));
    }
    Prompt {
        messages: vec![
            Message::text(Role::System, SYSTEM.trim_end()),
            Message::image_and_text(0, text),
        ],
        images: vec![turn.observation.screenshot.image.clone()],
    }
}

/// Returns the thoughts of the steps that were carried out.
pub(crate) fn done(history: &[StepSummary]) -> Vec<&str> {
    let carried_out = history.iter().filter(|step| step.error.is_none());
    carried_out.map(|step| step.thought.as_str()).filter(|thought| !thought.is_empty()).collect()
}

/// The checkpoints of the cookbooks see the function's signature, the goal, the calls so far as
/// text, and the current screenshot. Steps that still have a screenshot are shown as turns of the
/// conversation instead, with the picture and the reply.
fn tool_calls(profile: PromptProfile, turn: &Turn<'_>, frame: Frame) -> Prompt {
    let told = turn.history.iter().take_while(|step| step.screenshot.is_none()).count();
    let (told, shown) = turn.history.split_at(told);
    let mut messages = vec![Message::text(Role::System, system_with_tools(profile, frame))];
    let mut images = Vec::new();
    let mut content = vec![text(task(profile, turn.goal, told, frame))];
    for step in shown {
        let Some(screenshot) = &step.screenshot else { continue };
        content.push(Part::Image { image: images.len() });
        images.push(screenshot.image.clone());
        messages.push(user(std::mem::take(&mut content)));
        messages.push(Message::text(Role::Assistant, step.reply.clone()));
        if let Some(error) = &step.error {
            content.push(text(FAILED.trim_end().replace("{error}", error)));
        }
    }
    content.push(Part::Image { image: images.len() });
    images.push(turn.observation.screenshot.image.clone());
    if let Some(problem) = turn.feedback {
        content.push(text(FEEDBACK.trim_end().replace("{problem}", problem)));
    }
    messages.push(user(content));
    Prompt { messages, images }
}

/// Returns the system turn with the function's signature, whose description states `frame.model`.
fn system_with_tools(profile: PromptProfile, frame: Frame) -> String {
    let signature = python_json(&tool_signature(profile.dialect(), frame.model));
    TOOLS.trim_end().replace("{signature}", &signature)
}

/// Returns the goal, with the steps that are told and not shown.
///
/// The cookbook for phones always has the line on progress; the one for desktops has only the
/// goal, so there the line appears with the first step to tell of.
fn task(profile: PromptProfile, goal: &str, told: &[StepSummary], frame: Frame) -> String {
    if told.is_empty() && profile != PromptProfile::MobileUse {
        return goal.to_owned();
    }
    let mut progress = String::new();
    for (index, step) in told.iter().enumerate() {
        let call = call_json(profile, &step.action.clone().map_points(|at| frame.to_model(at)));
        let failed = step.error.as_ref().map_or(String::new(), |error| format!(" ({error})"));
        let _ = write!(progress, "Step {}: {call}{failed}; ", index + 1);
    }
    let text = PROGRESS.strip_suffix('\n').unwrap_or(PROGRESS);
    text.replace("{goal}", goal).replace("{progress}", &progress)
}

/// Returns a call as the model would have written it, without the tags around it.
fn call_json(profile: PromptProfile, action: &Action<ModelPoint>) -> String {
    let printed = handsight_actions::print_action(action, profile.dialect());
    let bare = printed.trim().trim_start_matches("<tool_call>").trim_end_matches("</tool_call>");
    bare.trim().to_owned()
}

fn user(content: Vec<Part>) -> Message {
    Message::new(Role::User, content)
}

fn text(text: String) -> Part {
    Part::Text { text }
}

#[cfg(test)]
mod tests;
