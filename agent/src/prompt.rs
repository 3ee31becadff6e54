//! Goal, history and screenshot → the messages a checkpoint was trained on.
//!
//! A checkpoint only does well on the prompt it knows, so what is said comes from its family's file
//! (`family/*.toml`), and only how messages are put together is here. What is said when something
//! went wrong no family has a text for; those texts lie beside this file in `prompt/`, each with its
//! version in its name.

mod budget;
mod profile;
pub(crate) mod stand_in;

use std::borrow::Cow;
use std::fmt::Write;

use handsight_actions::secret::names_in;
use handsight_actions::{Dialect, Size, Verb};
use handsight_actions::{Frame, print_action, python_json, told, tool_signature};
use handsight_model::{ImageInput, Message, Part, PixelLimits, Request, Role};
use image::RgbImage;

pub use self::budget::{PIXEL_BUDGETS, PixelBudget};
pub use self::profile::PromptProfile;
use crate::family::{AgentPrompt, AskPrompt, GroundPrompt, Hole, Layout};
use crate::history::StepSummary;
use crate::policy::Turn;

const TOOLS: &str = include_str!("prompt/tools_v1.md");
const FEEDBACK: &str = include_str!("prompt/feedback_v1.md");
const RULES: &str = include_str!("prompt/rules_v1.md");
const SECRETS: &str = include_str!("prompt/secrets_v1.md");
const CALL_USER: &str = include_str!("prompt/call_user_v1.md");
const SAID: &str = include_str!("prompt/said_v1.md");
const FAILED: &str = include_str!("prompt/failed_v1.md");

/// What a model is given: messages, and the images they refer to by index.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) messages: Vec<Message>,
    pub(crate) images: Vec<RgbImage>,
    /// How large the model is to see the images.
    pub(crate) limits: PixelLimits,
}

impl Prompt {
    /// Returns the request for an answer to it.
    pub(crate) fn into_request(self) -> Request {
        let limits = self.limits;
        let images = self.images.into_iter().map(|image| ImageInput { limits, ..image.into() });
        Request { messages: self.messages, images: images.collect(), ..Request::default() }
    }
}

/// Returns the prompt for one decision; `frame` is that of the current screenshot.
pub(crate) fn build(
    agent: &AgentPrompt,
    turn: &Turn<'_>,
    frame: Frame,
    limits: PixelLimits,
) -> Prompt {
    let (messages, images) = match agent.layout {
        Layout::Embedded => embedded(agent, turn),
        Layout::Chat => chat(agent, turn, frame),
    };
    Prompt { messages, images, limits }
}

/// Returns the prompt that asks where one thing is on a picture.
pub(crate) fn build_ground(
    ground: &GroundPrompt,
    description: &str,
    image: RgbImage,
    frame: Frame,
    limits: PixelLimits,
) -> Prompt {
    let screen = Screen { dialect: ground.dialect, resolution: ground.resolution, frame };
    let system = ground.system.fill(|hole| screen.value(hole));
    let user = ground.user.fill(|hole| match hole {
        Hole::Description => description.into(),
        hole => screen.value(hole),
    });
    single(&system, user, image, limits)
}

/// Returns the prompt that asks for all things of a description on a picture, or for all of it.
pub(crate) fn build_ask(
    ask: &AskPrompt,
    description: Option<&str>,
    image: RgbImage,
    limits: PixelLimits,
) -> Prompt {
    let value = |_| Cow::Borrowed(description.unwrap_or_default());
    let user = ask.user_for_all.as_ref().unwrap_or(&ask.user).fill(value);
    single(&ask.system.fill(value), user, image, limits)
}

/// One picture, one text.
fn single(system: &str, user: String, image: RgbImage, limits: PixelLimits) -> Prompt {
    let mut messages = Vec::new();
    if !system.is_empty() {
        messages.push(Message::text(Role::System, system));
    }
    messages.push(Message::image_and_text(0, user));
    Prompt { messages, images: vec![image], limits }
}

/// The embedded checkpoint sees the current screenshot, the goal and its own earlier thoughts.
///
/// It was never trained on feedback, so a refused reply changes nothing here; the policy draws
/// another one instead.
fn embedded(agent: &AgentPrompt, turn: &Turn<'_>) -> (Vec<Message>, Vec<RgbImage>) {
    let mut text = stand_in::with_stand_ins(turn.goal).into_owned();
    let done = done(turn.history);
    if !done.is_empty() {
        text.push_str("\nDone: ");
        text.push_str(&done.join("; "));
    }
    let system = agent.system.fill(|_| Cow::Borrowed(""));
    let messages = vec![Message::text(Role::System, system), Message::image_and_text(0, text)];
    (messages, vec![turn.observation.screenshot.image.clone()])
}

/// Returns the thoughts of the steps that were carried out.
pub(crate) fn done(history: &[StepSummary]) -> Vec<&str> {
    let carried_out = history.iter().filter(|step| step.error.is_none());
    carried_out.map(|step| step.thought.as_str()).filter(|thought| !thought.is_empty()).collect()
}

/// Lays out the turns of a conversation by a family's templates.
///
/// Steps that no longer have a screenshot are told in the text, or as turns of the assistant alone.
/// Steps that still have one are shown as turns: the picture, then the reply.
fn chat(agent: &AgentPrompt, turn: &Turn<'_>, frame: Frame) -> (Vec<Message>, Vec<RgbImage>) {
    let n_told = turn.history.iter().take_while(|step| step.screenshot.is_none()).count();
    let (told, shown) = turn.history.split_at(n_told);
    let screen = Screen { dialect: agent.dialect, resolution: agent.resolution, frame };
    let step = |index: usize, step: &StepSummary, template: &crate::family::Template| {
        template.fill(|hole| step_value(hole, index, step, agent.dialect, frame))
    };

    let mut messages = Vec::new();
    let mut rules = Some(rules(agent, turn));
    if !agent.system.is_empty() {
        let system = agent.system.fill(|hole| screen.value(hole));
        let rules = rules.take().unwrap_or_default();
        messages.push(Message::text(Role::System, format!("{system}\n\n{rules}")));
    }
    if let Some(opening) = &agent.opening {
        let text = opening.fill(|hole| goal_value(hole, turn.goal, "", screen));
        messages.push(Message::text(Role::User, text));
    }
    let mut steps = String::new();
    for (index, summary) in told.iter().enumerate() {
        if agent.told_as_replies {
            messages.push(Message::text(Role::Assistant, step(index, summary, &agent.reply)));
            continue;
        }
        let gap = if index == 0 { "" } else { agent.between_steps.as_str() };
        let said =
            summary.said.as_deref().map_or_else(String::new, |text| format!("({}) ", said(text)));
        let _ = write!(steps, "{gap}{said}{}", step(index, summary, &agent.step));
    }
    let template = agent.user_at_first.as_ref().filter(|_| told.is_empty()).unwrap_or(&agent.user);
    let task = template.fill(|hole| goal_value(hole, turn.goal, &steps, screen));
    let mut task = Some(task).filter(|task| !task.is_empty());
    // A family without a system turn is told with the task.
    if let (Some(task), Some(rules)) = (&mut task, rules) {
        let _ = write!(task, "\n\n{rules}");
    }

    let mut images = Vec::new();
    let mut content = Vec::new();
    for (index, summary) in shown.iter().enumerate() {
        let Some(screenshot) = &summary.screenshot else { continue };
        content.extend(summary.said.as_deref().map(said).map(text));
        let picture = Part::Image { image: images.len() };
        images.push(screenshot.image.clone());
        let task = if agent.text_last { None } else { task.take() };
        place(&mut content, picture, task, agent.picture_first);
        messages.push(Message::new(Role::User, std::mem::take(&mut content)));
        let reply = step(n_told + index, summary, &agent.reply);
        messages.push(Message::text(Role::Assistant, reply));
        if let Some(error) = &summary.error {
            content.push(text(FAILED.trim_end().replace("{error}", error)));
        }
    }
    let picture = Part::Image { image: images.len() };
    images.push(turn.observation.screenshot.image.clone());
    place(&mut content, picture, task, agent.picture_first);
    content.extend(turn.said.map(said).map(text));
    if let Some(problem) = turn.feedback {
        content.push(text(FEEDBACK.trim_end().replace("{problem}", problem)));
    }
    messages.push(Message::new(Role::User, content));
    (messages, images)
}

/// Returns what every checkpoint is told beside what it was trained on: whose word counts, and how to
/// use what this program adds.
///
/// It is a request and no defence; that is the [`Guard`](handsight_actions::Guard).
fn rules(agent: &AgentPrompt, turn: &Turn<'_>) -> String {
    let has_secret = names_in(turn.goal).is_ok_and(|names| !names.is_empty());
    // A dialect of calls has a word of its own for it, or none.
    let can_call = agent.dialect.tool().is_some() && turn.action_space.contains(Verb::CallUser);
    let rules = [(RULES, true), (SECRETS, has_secret), (CALL_USER, can_call)];
    let told: Vec<_> =
        rules.iter().filter(|(_, holds)| *holds).map(|(text, _)| text.trim()).collect();
    told.join("\n")
}

/// Adds a picture, and the task if it stands in this turn, in the family's order.
fn place(content: &mut Vec<Part>, picture: Part, task: Option<String>, picture_first: bool) {
    match (task.map(text), picture_first) {
        (Some(task), true) => content.extend([picture, task]),
        (Some(task), false) => content.extend([task, picture]),
        (None, _) => content.push(picture),
    }
}

/// What a prompt says of the screen.
#[derive(Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) dialect: Dialect,
    pub(crate) resolution: Option<[u32; 2]>,
    pub(crate) frame: Frame,
}

impl Screen {
    pub(crate) fn value(self, hole: Hole) -> Cow<'static, str> {
        let size = match self.resolution {
            Some([width, height]) => Size { width, height },
            None => self.frame.model,
        };
        match hole {
            Hole::Width => size.width.to_string().into(),
            Hole::Height => size.height.to_string().into(),
            Hole::Tools => {
                let signature = python_json(&tool_signature(self.dialect, size));
                TOOLS.trim_end().replace("{signature}", &signature).into()
            }
            _ => "".into(),
        }
    }
}

fn goal_value<'v>(hole: Hole, goal: &'v str, steps: &'v str, screen: Screen) -> Cow<'v, str> {
    match hole {
        Hole::Goal => goal.into(),
        Hole::Steps => steps.into(),
        hole => screen.value(hole),
    }
}

fn step_value(
    hole: Hole,
    index: usize,
    step: &StepSummary,
    dialect: Dialect,
    frame: Frame,
) -> Cow<'_, str> {
    let parts = told(&step.reply, dialect);
    match hole {
        Hole::Number => (index + 1).to_string().into(),
        Hole::Index => index.to_string().into(),
        Hole::Reply => step.reply.as_str().into(),
        Hole::Thought if parts.thought.is_empty() => step.thought.as_str().into(),
        Hole::Thought => parts.thought.into(),
        Hole::Summary => told_of(step, parts.summary),
        Hole::Sentence => told_of(step, parts.summary).replace(['\n', '"'], "").into(),
        // In the space of the model; the calls that are no JSON are repeated as they were.
        Hole::Call if dialect.is_calls() && !parts.call.is_empty() => parts.call.into(),
        Hole::Call => call(step, dialect, frame).into(),
        Hole::Error => {
            step.error.as_ref().map_or(String::new(), |error| format!(" ({error})")).into()
        }
        _ => "".into(),
    }
}

/// Returns what the user said, in words for the model.
fn said(text: &str) -> String {
    SAID.trim_end().replace("{said}", text)
}

/// Returns what the model said it did, or else what it thought, or did.
fn told_of<'s>(step: &'s StepSummary, summary: &'s str) -> Cow<'s, str> {
    match (summary, step.thought.as_str()) {
        ("", "") => step.action.to_string().into(),
        ("", thought) => thought.into(),
        (summary, _) => summary.into(),
    }
}

/// Returns a call as the model would have written it, without the tags around it.
fn call(step: &StepSummary, dialect: Dialect, frame: Frame) -> String {
    let action = step.action.clone().map_points(|at| frame.to_model(at));
    let printed = print_action(&action, dialect);
    let bare = printed.trim().trim_start_matches("<tool_call>").trim_end_matches("</tool_call>");
    bare.trim().to_owned()
}

fn text(text: String) -> Part {
    Part::Text { text }
}

#[cfg(test)]
mod tests;
