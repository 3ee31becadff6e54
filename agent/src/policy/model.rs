//! A policy over a model, wherever it runs.

use handsight_actions::{
    Action, ActionSpace, Frame, ModelPoint, ParseError, ParsedReply, PixelPoint, Size, Status,
    Verb, parse_action_with_pointer, told,
};
use handsight_model::{
    CancelFlag, Completion, Constraint, GenerateOptions, ModelError, PixelLimits, Request,
    Sampling, StopReason, TokenInfo,
};

use super::{Decision, Policy, PolicyError, Progress, Turn, grammar};
use crate::family::AgentPrompt;
use crate::grounding::{GroundingError, ground};
use crate::prompt::{self, PromptProfile};
use crate::trace::event::Usage;
use crate::vision_model::VisionModel;

/// How a [`ModelPolicy`] decodes.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOptions {
    /// The most tokens of a reply.
    pub max_new_tokens: usize,
    /// How tokens are chosen the first time a turn is asked.
    ///
    /// After a refused reply, tokens are drawn at random instead: the likeliest reply to the same
    /// prompt would be the same one.
    pub sampling: Sampling,
    /// What the draws after a refused reply begin from.
    pub seed: u64,
    /// Whether a grammar keeps the reply to the offered actions; off only to compare.
    pub constrained: bool,
    /// Whether a checkpoint that gains by it is asked for the place of a click again, on its own and
    /// from closer by; off only to compare.
    pub grounds_apart: bool,
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 512,
            sampling: Sampling::Greedy,
            seed: 0,
            constrained: true,
            grounds_apart: true,
        }
    }
}

/// Decides with a model: an [`Engine`](handsight_model::Engine) or one that a server runs.
pub struct ModelPolicy {
    model: Box<dyn VisionModel>,
    profile: PromptProfile,
    options: ModelOptions,
}

impl ModelPolicy {
    /// Makes a policy that speaks to the model in the way it was trained on.
    pub fn new(
        model: impl VisionModel + 'static,
        profile: PromptProfile,
        options: ModelOptions,
    ) -> Self {
        Self { model: Box::new(model), profile, options }
    }

    /// Returns the model.
    pub fn model(&self) -> &dyn VisionModel {
        &*self.model
    }

    /// Returns what keeps a reply to the offered actions: a grammar of all of it, or else, where the
    /// reply is a call, the schema of that call.
    fn constraint(&self, agent: &AgentPrompt, turn: &Turn<'_>, frame: Frame) -> Option<Constraint> {
        let offered = turn.action_space;
        if !self.model.card().takes_grammars {
            let schema = grammar::call_schema(agent.dialect, offered, frame.model);
            return schema.map(Constraint::JsonSchema);
        }
        let task = grammar::Task {
            goal: turn.goal,
            done: &prompt::done(turn.history),
            offered,
            grid: frame.model,
            box_tokens: self.model.has_box_tokens(),
        };
        Some(Constraint::Lark(grammar::reply(agent, task)))
    }

    /// Returns how replies are chosen on the given attempt at a turn.
    fn sampling(&self, attempt: u32) -> Sampling {
        if attempt == 0 {
            return self.options.sampling;
        }
        // Always the same for an attempt, so that an episode can be repeated exactly.
        let seed = self.options.seed.wrapping_add(u64::from(attempt));
        Sampling::Random { temperature: 0.7, top_p: Some(0.95), top_k: None, seed }
    }
}

impl Policy for ModelPolicy {
    fn name(&self) -> String {
        format!("{}, prompt {}", self.model.card().name, self.profile.as_str())
    }

    fn decide(
        &mut self,
        turn: &Turn<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
        cancel: &CancelFlag,
    ) -> Result<Decision, PolicyError> {
        let agent = self.profile.agent()?;
        let screenshot = turn.observation.screenshot.size();
        let limits = limits_on(&*self.model, &self.profile, self.profile.limits(), screenshot)?;
        let frame = frame_of(&*self.model, &self.profile, limits, screenshot)?;
        let prompt = prompt::build(agent, turn, frame, limits);
        let constraint =
            if self.options.constrained { self.constraint(agent, turn, frame) } else { None };
        let request = Request {
            constraint,
            options: GenerateOptions {
                max_new_tokens: self.options.max_new_tokens,
                sampling: self.sampling(turn.attempt),
                ..GenerateOptions::default()
            },
            ..prompt.into_request()
        };
        let mut tell = |token: &TokenInfo| progress(Progress::Text(&token.text));
        let completion = self.model.answer(&request, &mut tell, cancel)?;
        self.model.check_frame(&completion)?;
        let decision = read_decision(completion, &self.profile, frame, turn)?;
        match (decision.action.point(), quoted(&decision.thought)) {
            (Some(_), Some(label)) if self.options.grounds_apart && self.profile.is_embedded() => {
                self.ground(decision.clone(), label, turn, cancel)
            }
            _ => Ok(decision),
        }
    }
}

impl ModelPolicy {
    /// Asks for the place of a decision again, on its own: a long goal and many earlier steps draw a
    /// small checkpoint's eye away from the one label that counts.
    fn ground(
        &self,
        mut decision: Decision,
        label: &str,
        turn: &Turn<'_>,
        cancel: &CancelFlag,
    ) -> Result<Decision, PolicyError> {
        let image = &turn.observation.screenshot.image;
        let grounding = match ground(&*self.model, &self.profile, image, label, cancel) {
            Ok(grounding) => grounding,
            Err(GroundingError::Policy(error)) => return Err(error),
            Err(error) => {
                let (reply, problem) = (decision.reply, error.to_string());
                return Err(PolicyError::InvalidReply { reply, problem });
            }
        };
        decision.reply = format!("{}\n{}", decision.reply, grounding.reply);
        if let Some(usage) = &mut decision.usage {
            usage.add(&grounding.usage);
        }
        decision.frame = grounding.frame;
        decision.looked_at = grounding.looked_at;
        if grounding.found {
            decision.action = decision.action.map_points(|_| grounding.point);
            decision.model_point = Some(grounding.model_point);
            decision.probability = grounding.probability;
        } else {
            decision.action = Action::Terminate { status: Status::Failure };
            decision.model_point = None;
            decision.probability = None;
        }
        Ok(decision)
    }
}

/// Returns what stands between the quotes of a thought.
fn quoted(thought: &str) -> Option<&str> {
    let (_verb, rest) = thought.split_once('"')?;
    rest.strip_suffix('"')
}

/// Returns how large the model is shown a screen of this size at first, within some limits.
pub(crate) fn limits_on(
    model: &dyn VisionModel,
    profile: &PromptProfile,
    limits: PixelLimits,
    screen: Size,
) -> Result<PixelLimits, ModelError> {
    Ok(profile.limits_on(limits, screen, shown(model, limits, screen)?))
}

/// Returns the frame of a screenshot of this size: the grid the model will name points on.
pub(crate) fn frame_of(
    model: &dyn VisionModel,
    profile: &PromptProfile,
    limits: PixelLimits,
    screenshot: Size,
) -> Result<Frame, ModelError> {
    Ok(profile.frame(screenshot, shown(model, limits, screenshot)?))
}

/// Returns how large the model is shown a picture of this size.
fn shown(
    model: &dyn VisionModel,
    limits: PixelLimits,
    Size { width, height }: Size,
) -> Result<Size, ModelError> {
    let (width, height) = model.resized_size_within(width, height, limits)?;
    Ok(Size { width, height })
}

/// Turns a completion into a decision, or says why it is none.
fn read_decision(
    completion: Completion,
    profile: &PromptProfile,
    frame: Frame,
    turn: &Turn<'_>,
) -> Result<Decision, PolicyError> {
    let invalid =
        |problem: String| PolicyError::InvalidReply { reply: completion.text.clone(), problem };
    match completion.stop {
        StopReason::Cancelled => return Err(PolicyError::Cancelled),
        StopReason::Length => {
            let tokens = completion.tokens.len();
            return Err(invalid(format!("the reply was not finished after {tokens} tokens")));
        }
        StopReason::Stop | StopReason::StopString => {}
    }
    let pointer = last_pointer(turn).map(|point| frame.to_model(point));
    let parsed = parse_reply(&completion.text, profile, pointer)
        .map_err(|error| invalid(error.to_string()))?;
    let parsed = ParsedReply { action: as_offered(parsed.action, turn.action_space), ..parsed };
    // Checked in the model's own space: mapping would move a point outside it to the edge.
    parsed.action.validate(frame.model).map_err(|error| invalid(error.to_string()))?;
    Ok(Decision {
        thought: parsed.thought,
        model_point: parsed.action.point(),
        probability: place_probability(&completion, profile, &parsed.action),
        action: to_pixels(parsed.action, frame),
        frame,
        looked_at: None,
        reply: completion.text,
        repairs: parsed.repairs,
        usage: Some(Usage::from(&completion.stats)),
    })
}

/// Reads the thought and the action in a reply.
///
/// The embedded checkpoint's thought is the first line, whatever is in it: it repeats labels and
/// texts of the goal, and one of those may look like an action.
pub(crate) fn parse_reply(
    reply: &str,
    profile: &PromptProfile,
    pointer: Option<ModelPoint>,
) -> Result<ParsedReply, ParseError> {
    match reply.split_once('\n') {
        Some((thought, action)) if profile.is_embedded() => {
            let parsed = parse_action_with_pointer(action, profile.dialect(), pointer)?;
            Ok(ParsedReply { thought: thought.trim().to_owned(), ..parsed })
        }
        _ => parse_action_with_pointer(reply, profile.dialect(), pointer),
    }
}

/// Turns a drag into a swipe where there is a finger and no mouse, and the other way round: many
/// checkpoints have one word for both.
fn as_offered(action: Action<ModelPoint>, offered: &ActionSpace) -> Action<ModelPoint> {
    match action {
        Action::Drag { coordinate, coordinate2 }
            if !offered.contains(Verb::Drag) && offered.contains(Verb::Swipe) =>
        {
            Action::Swipe { coordinate, coordinate2 }
        }
        Action::Swipe { coordinate, coordinate2 }
            if !offered.contains(Verb::Swipe) && offered.contains(Verb::Drag) =>
        {
            Action::Drag { coordinate, coordinate2 }
        }
        action => action,
    }
}

fn to_pixels(action: Action<ModelPoint>, frame: Frame) -> Action<PixelPoint> {
    action.map_points(|point| frame.to_pixels(point))
}

/// Returns where the episode's actions left the pointer.
fn last_pointer(turn: &Turn<'_>) -> Option<PixelPoint> {
    let mut done = turn.history.iter().rev().filter(|step| step.error.is_none());
    done.find_map(|step| step.action.last_point())
}

/// Returns the probability of the place in a reply, if it has one.
fn place_probability(
    completion: &Completion,
    profile: &PromptProfile,
    action: &Action<ModelPoint>,
) -> Option<f64> {
    action.point()?;
    if !profile.dialect().is_calls() || completion.tokens.is_empty() {
        return coordinate_probability(&completion.tokens);
    }
    let call = told(&completion.text, profile.dialect()).call;
    let start = completion.text.rfind(call).filter(|_| !call.is_empty())?;
    Some(probability_between(&completion.tokens, start, start + call.len()))
}

/// Returns the probability of the coordinates in a reply of JSON, if it has any.
///
/// It is the product over the tokens that hold a digit of them; forced tokens count as certain.
pub(crate) fn coordinate_probability(tokens: &[TokenInfo]) -> Option<f64> {
    let text: String = tokens.iter().map(|token| token.text.as_str()).collect();
    let key = text.rfind("\"coordinate\":")?;
    let open = key + text[key..].find('[')?;
    let close = open + text[open..].find(']')?;
    Some(probability_between(tokens, open, close))
}

/// Returns the probability of the tokens with a digit between two byte offsets of their text.
pub(crate) fn probability_between(tokens: &[TokenInfo], start: usize, end: usize) -> f64 {
    let mut offset = 0;
    let mut logprob = 0.0;
    for token in tokens {
        let next = offset + token.text.len();
        let inside = next > start && offset < end;
        if inside && token.text.contains(|character: char| character.is_ascii_digit()) {
            logprob += f64::from(token.logprob);
        }
        offset = next;
    }
    logprob.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, logprob: f32) -> TokenInfo {
        let text = text.to_owned();
        TokenInfo { text, logprob, forced: logprob == 0.0, ..TokenInfo::default() }
    }

    #[test]
    fn only_the_digits_of_the_first_coordinates_count() {
        let half = 0.5f32.ln();
        let tokens = [
            token("click 1", half),
            token("\n{\"action\":\"left_click\",\"coordinate\":[", 0.0),
            token("1", half),
            token("2", 0.0),
            token(",", half),
            token("7", half),
            token("]}", half),
        ];
        let probability = coordinate_probability(&tokens).unwrap();
        assert!((probability - 0.25).abs() < 1e-6, "{probability}");
        assert_eq!(coordinate_probability(&tokens[..1]), None);
    }

    #[test]
    fn a_token_that_closes_the_coordinates_and_holds_a_digit_counts() {
        let half = 0.5f32.ln();
        let tokens = [token("\"coordinate\": [", 0.0), token("1, 2]", half)];
        let probability = coordinate_probability(&tokens).unwrap();
        assert!((probability - 0.5).abs() < 1e-6, "{probability}");
    }

    #[test]
    fn a_label_that_looks_like_an_action_is_only_a_label() {
        let reply = "type \"{\"action\":\"wait\",\"time\":1}\"\n\
                     {\"action\":\"terminate\",\"status\":\"failure\"}";
        let parsed = parse_reply(reply, &PromptProfile::embedded(), None).unwrap();
        assert_eq!(parsed.thought, "type \"{\"action\":\"wait\",\"time\":1}\"");
        assert_eq!(parsed.action.to_string(), "terminate failure");
    }
}
