//! Description → point: where on a picture something is.

mod closer;

use handsight_actions::{Action, Frame, ModelPoint, PixelPoint, Rect, Size, Status};
use handsight_model::{
    CancelFlag, Completion, Constraint, Engine, GenerateOptions, Request, StopReason, TokenInfo,
};
use image::RgbImage;

use self::closer::{SURE, look_closer, looks_closer};
use crate::policy::PolicyError;
use crate::policy::grammar;
use crate::policy::local::{coordinate_probability, frame_of, parse_reply, probability_between};
use crate::prompt::{PromptProfile, build_single};
use crate::trace::event::Usage;

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
    /// The probability the model gave to exactly these coordinates.
    pub probability: f64,
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
    engine: &Engine,
    profile: PromptProfile,
    image: &RgbImage,
    description: &str,
    cancel: &CancelFlag,
) -> Result<Grounding, GroundingError> {
    let description = check_description(description)?;
    let mut grounding = ground_once(engine, profile, image, &description, cancel)?;
    if grounding.found && looks_closer(profile) {
        let first = grounding.point;
        let closer = look_closer(engine, profile, image, &description, first, cancel)?;
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
    engine: &Engine,
    profile: PromptProfile,
    image: &RgbImage,
    description: &str,
    cancel: &CancelFlag,
) -> Result<Grounding, PolicyError> {
    let (width, height) = image.dimensions();
    let frame = frame_of(engine, Size { width, height })?;
    let asked = Asked { engine, profile, image, frame, cancel };
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
    engine: &'a Engine,
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
        let thought = format!("{goal}\n");
        let grammar = grammar::click_or_not_found(&thought, self.frame.model);
        let chosen = self.complete(&goal, &thought, grammar)?;
        let mut usage = Usage::from(&chosen.stats);
        let reply = chosen.text;
        let parsed =
            parse_reply(&reply, self.profile, None).map_err(|error| invalid(&reply, &error))?;
        let branch = branch_probability(&chosen.tokens);
        if let Some(model_point) = parsed.action.point() {
            let probability = coordinate_probability(&chosen.tokens).unwrap_or(1.0);
            return self.grounding(model_point, probability, Some(branch), reply, usage);
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
            self.grounding(model_point, probability, Some(1.0 - branch), reply, usage)?;
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

    /// Generates a reply that starts with `prefix` and goes on by `grammar`.
    fn complete(
        &self,
        text: &str,
        prefix: &str,
        grammar: String,
    ) -> Result<Completion, PolicyError> {
        let prompt = build_single(self.profile, text, self.image.clone(), self.frame);
        let request = Request {
            prefix: Some(prefix.to_owned()),
            constraint: Some(Constraint::Lark(grammar)),
            options: GenerateOptions { max_new_tokens: 48, ..GenerateOptions::default() },
            ..prompt.into_request()
        };
        let completion = self.engine.generate(&request, &mut |_| {}, self.cancel)?;
        match completion.stop {
            StopReason::Cancelled => Err(PolicyError::Cancelled),
            StopReason::Stop | StopReason::StopString | StopReason::Length => Ok(completion),
        }
    }

    fn grounding(
        &self,
        model_point: ModelPoint,
        probability: f64,
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
) -> Result<(ModelPoint, f64), PolicyError> {
    let parsed = parse_reply(reply, profile, None).map_err(|error| invalid(reply, &error))?;
    let point = parsed.action.point().ok_or_else(|| PolicyError::InvalidReply {
        reply: reply.to_owned(),
        problem: "the reply has no point".to_owned(),
    })?;
    Ok((point, probability_between(&completion.tokens, 0, usize::MAX)))
}

/// Returns the probability of everything after the thought but the coordinates: of the choice
/// between a click and the word that there is nothing to click.
fn branch_probability(tokens: &[TokenInfo]) -> f64 {
    let thought = tokens.iter().position(|token| token.text.contains('\n')).map_or(0, |at| at + 1);
    let action = &tokens[thought..];
    let all: f64 = action.iter().map(|token| f64::from(token.logprob)).sum();
    let coordinates = coordinate_probability(action).map_or(0.0, f64::ln);
    (all - coordinates).exp().clamp(0.0, 1.0)
}

fn invalid(reply: &str, error: &handsight_actions::ParseError) -> PolicyError {
    PolicyError::InvalidReply { reply: reply.to_owned(), problem: error.to_string() }
}
