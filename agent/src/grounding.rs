//! Description → point: where on a picture something is.

mod closer;

use handsight_actions::{
    Action, ActionSpace, Frame, ModelPoint, PixelPoint, Rect, Size, Status, Verb,
};
use handsight_model::{
    CancelFlag, Completion, Constraint, GenerateOptions, Request, StopReason, TokenInfo,
};
use image::RgbImage;

use self::closer::{SURE, look_closer, looks_closer};
use crate::policy::PolicyError;
use crate::policy::grammar;
use crate::policy::model::{coordinate_probability, frame_of, parse_reply, probability_between};
use crate::prompt::{PromptProfile, build_single};
use crate::trace::event::Usage;
use crate::vision_model::VisionModel;

/// The longest description, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 400;

/// Where something is, as far as the model can tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Grounding {
    /// Where, in pixels of the picture. If it was not found, the model's best guess.
    pub point: PixelPoint,
    /// The same in the space the model spoke in.
    pub model_point: ModelPoint,
    /// The sizes the point was mapped between.
    pub frame: Frame,
    /// The part of the picture that was looked at again, closer, if one was; `frame` and
    /// `model_point` are then those of this part.
    pub looked_at: Option<Rect>,
    /// The probability the model gave to exactly these coordinates; `None` from a server that does
    /// not tell.
    pub probability: Option<f64>,
    /// Whether the model says such a thing is on the picture at all.
    ///
    /// Checkpoints of the cookbooks cannot say that it is not; for them this is always `true`.
    pub found: bool,
    /// The probability the model gave to its being there, if the checkpoint can tell.
    pub presence: Option<f64>,
    /// The replies as they were written, one a line.
    pub reply: String,
    /// What it cost.
    pub usage: Usage,
}

/// Why a description could not be grounded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroundingError {
    /// The description has no words.
    #[error("the description is empty")]
    Empty,
    /// The description is too long to be one thing on a screen.
    #[error("the description has {chars} characters and at most {limit} are allowed")]
    TooLong {
        /// Its length.
        chars: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The model could not answer, or its answer holds no point.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl GroundingError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty | Self::TooLong { .. } => {
                Some("describe one thing, for example `the Save button`".to_owned())
            }
            Self::Policy(error) => error.hint(),
        }
    }
}

/// Returns where on `image` the thing of this description is.
///
/// # Errors
///
/// [`GroundingError`] if the description cannot be used, the model fails, or `cancel` is set.
pub fn ground(
    model: &dyn VisionModel,
    profile: PromptProfile,
    image: &RgbImage,
    description: &str,
    cancel: &CancelFlag,
) -> Result<Grounding, GroundingError> {
    let description = check_description(description)?;
    let mut grounding = ground_once(model, profile, image, &description, cancel)?;
    if grounding.found && looks_closer(profile) {
        let first = grounding.point;
        let closer = look_closer(model, profile, image, &description, first, cancel)?;
        if let Some(closer) = closer {
            grounding.usage.add(&closer.usage);
            let reply = format!("{}\n{}", grounding.reply, closer.reply);
            grounding = if closer.found {
                Grounding { usage: grounding.usage, reply, ..closer }
            } else {
                let found = grounding.presence.is_none_or(|sure| sure >= SURE);
                Grounding { found, reply, ..grounding }
            };
        }
    }
    Ok(grounding)
}

/// Asks once about the whole of `image`.
fn ground_once(
    model: &dyn VisionModel,
    profile: PromptProfile,
    image: &RgbImage,
    description: &str,
    cancel: &CancelFlag,
) -> Result<Grounding, PolicyError> {
    let (width, height) = image.dimensions();
    let frame = frame_of(model, Size { width, height })?;
    let asked = Asked { model, profile, image, frame, cancel };
    match profile {
        PromptProfile::EmbeddedV1 => asked.embedded(description),
        PromptProfile::ComputerUse | PromptProfile::MobileUse => asked.tool_call(description),
    }
}

/// Returns the description on one line, or why it cannot be used.
fn check_description(description: &str) -> Result<String, GroundingError> {
    let words: Vec<_> = description.split_whitespace().collect();
    // The description is spelled out at the start of the reply, where the names of control tokens
    // would be taken for the tokens.
    let description = words.join(" ").replace("<|", "< |");
    let chars = description.chars().count();
    match chars {
        0 => Err(GroundingError::Empty),
        1..=MAX_DESCRIPTION_CHARS => Ok(description),
        _ => Err(GroundingError::TooLong { chars, limit: MAX_DESCRIPTION_CHARS }),
    }
}

/// A picture and a model to ask about it.
struct Asked<'a> {
    model: &'a dyn VisionModel,
    profile: PromptProfile,
    image: &'a RgbImage,
    frame: Frame,
    cancel: &'a CancelFlag,
}

impl Asked<'_> {
    /// Asks the embedded checkpoint to click the thing; it may answer that it is not there, and
    /// only then is made to guess.
    fn embedded(self, description: &str) -> Result<Grounding, PolicyError> {
        let goal = format!("click \"{}\"", description.replace('"', "'"));
        if !self.takes_grammars() {
            return self.free(&goal, None);
        }
        let thought = format!("{goal}\n");
        let grammar = grammar::click_or_not_found(&thought, self.frame.model);
        let chosen = self.complete(&goal, &thought, grammar)?;
        let mut usage = Usage::from(&chosen.stats);
        let reply = chosen.text;
        let parsed =
            parse_reply(&reply, self.profile, None).map_err(|error| invalid(&reply, &error))?;
        let branch = branch_probability(&chosen.tokens);
        if let Some(model_point) = parsed.action.point() {
            let probability = coordinate_probability(&chosen.tokens);
            return self.grounding(model_point, probability, branch, reply, usage);
        }
        debug_assert_eq!(parsed.action, Action::Terminate { status: Status::Failure });
        let prefix = format!("{thought}{{\"action\":\"left_click\",\"coordinate\":");
        // The bracket is left to the model: some of its tokens hold it and a number together.
        let grammar = grammar::coordinates(&format!("{prefix}["), ",", "]}", self.frame.model);
        let guess = self.complete(&goal, &prefix, grammar)?;
        usage.add(&Usage::from(&guess.stats));
        let (model_point, probability) = read_point(&guess.text, self.profile, &guess)?;
        let reply = format!("{reply}\n{}", guess.text);
        let grounding =
            self.grounding(model_point, probability, branch.map(|p| 1.0 - p), reply, usage)?;
        Ok(Grounding { found: false, ..grounding })
    }

    /// Asks for the coordinates of a click, with everything before them already written, as the
    /// published evaluations of these checkpoints do.
    fn tool_call(self, description: &str) -> Result<Grounding, PolicyError> {
        let (name, verb) = match self.profile {
            PromptProfile::MobileUse => ("mobile_use", "click"),
            PromptProfile::ComputerUse | PromptProfile::EmbeddedV1 => {
                ("computer_use", "left_click")
            }
        };
        if !self.takes_grammars() {
            let click = ActionSpace::new([Verb::LeftClick]);
            let schema = grammar::call_schema(self.profile, &click, self.frame.model);
            return self.free(description, schema.map(Constraint::JsonSchema));
        }
        let prefix = format!(
            "<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {{\"action\": \"{verb}\", \
             \"coordinate\": ["
        );
        let grammar = grammar::coordinates(&prefix, ", ", "]}}", self.frame.model);
        let completion = self.complete(description, &prefix, grammar)?;
        let reply = format!("{}\n</tool_call>", completion.text);
        let (model_point, probability) = read_point(&reply, self.profile, &completion)?;
        let usage = Usage::from(&completion.stats);
        self.grounding(model_point, probability, None, reply, usage)
    }

    /// Asks a model that cannot be held to a grammar: its reply has a point or is invalid.
    fn free(self, text: &str, constraint: Option<Constraint>) -> Result<Grounding, PolicyError> {
        let prompt = build_single(self.profile, text, self.image.clone(), self.frame);
        let completion = self.answer(&Request {
            constraint,
            options: GenerateOptions { max_new_tokens: 256, ..GenerateOptions::default() },
            ..prompt.into_request()
        })?;
        let parsed = parse_reply(&completion.text, self.profile, None)
            .map_err(|error| invalid(&completion.text, &error))?;
        let model_point = parsed.action.point().ok_or_else(|| no_point(&completion.text))?;
        let probability = coordinate_probability(&completion.tokens);
        let usage = Usage::from(&completion.stats);
        self.grounding(model_point, probability, None, completion.text, usage)
    }

    fn takes_grammars(&self) -> bool {
        self.model.card().takes_grammars
    }

    /// Generates a reply that starts with `prefix` and goes on by `grammar`.
    fn complete(
        &self,
        text: &str,
        prefix: &str,
        grammar: String,
    ) -> Result<Completion, PolicyError> {
        let prompt = build_single(self.profile, text, self.image.clone(), self.frame);
        self.answer(&Request {
            prefix: Some(prefix.to_owned()),
            constraint: Some(Constraint::Lark(grammar)),
            options: GenerateOptions { max_new_tokens: 48, ..GenerateOptions::default() },
            ..prompt.into_request()
        })
    }

    fn answer(&self, request: &Request) -> Result<Completion, PolicyError> {
        let completion = self.model.answer(request, &mut |_| {}, self.cancel)?;
        match completion.stop {
            StopReason::Cancelled => Err(PolicyError::Cancelled),
            StopReason::Stop | StopReason::StopString | StopReason::Length => Ok(completion),
        }
    }

    fn grounding(
        &self,
        model_point: ModelPoint,
        probability: Option<f64>,
        presence: Option<f64>,
        reply: String,
        usage: Usage,
    ) -> Result<Grounding, PolicyError> {
        if !self.frame.model.contains(model_point) {
            let size = self.frame.model;
            let problem = format!("{model_point} lies outside the {size} px image");
            return Err(PolicyError::InvalidReply { reply, problem });
        }
        Ok(Grounding {
            point: self.frame.to_pixels(model_point),
            model_point,
            frame: self.frame,
            probability,
            found: true,
            presence,
            reply,
            usage,
            looked_at: None,
        })
    }
}

/// Reads the point of a reply whose completion holds nothing but coordinates.
fn read_point(
    reply: &str,
    profile: PromptProfile,
    completion: &Completion,
) -> Result<(ModelPoint, Option<f64>), PolicyError> {
    let parsed = parse_reply(reply, profile, None).map_err(|error| invalid(reply, &error))?;
    let point = parsed.action.point().ok_or_else(|| no_point(reply))?;
    let is_told = !completion.tokens.is_empty();
    Ok((point, is_told.then(|| probability_between(&completion.tokens, 0, usize::MAX))))
}

fn no_point(reply: &str) -> PolicyError {
    let problem = "the reply has no point".to_owned();
    PolicyError::InvalidReply { reply: reply.to_owned(), problem }
}

/// Returns the probability of everything after the thought but the coordinates: of the choice
/// between a click and the word that there is nothing to click; nothing without tokens to tell.
fn branch_probability(tokens: &[TokenInfo]) -> Option<f64> {
    if tokens.is_empty() {
        return None;
    }
    let thought = tokens.iter().position(|token| token.text.contains('\n')).map_or(0, |at| at + 1);
    let action = &tokens[thought..];
    let all: f64 = action.iter().map(|token| f64::from(token.logprob)).sum();
    let coordinates = coordinate_probability(action).map_or(0.0, f64::ln);
    Some((all - coordinates).exp().clamp(0.0, 1.0))
}

fn invalid(reply: &str, error: &handsight_actions::ParseError) -> PolicyError {
    PolicyError::InvalidReply { reply: reply.to_owned(), problem: error.to_string() }
}
