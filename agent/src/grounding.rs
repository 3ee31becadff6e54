//! Description → point: where on a picture something is.

mod closer;
pub mod list;

use handsight_actions::{
    Action, ActionSpace, Answer, Dialect, Frame, ModelPoint, ParseError, PixelPoint, Rect, Size,
    Status, Verb, parse_action,
};
use handsight_model::{
    CancelFlag, Completion, Constraint, GenerateOptions, PixelLimits, Request, StopReason,
    TokenInfo,
};
use image::RgbImage;

use self::closer::{SURE, cut_out, look_closer};
use crate::family::{FamilyError, GroundPrompt};
use crate::policy::PolicyError;
use crate::policy::grammar;
use crate::policy::model::{
    coordinate_probability, frame_of, limits_on, parse_reply, probability_between,
};
use crate::prompt::{PromptProfile, build_ground};
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
    /// The pixels of the picture it covers, if the model answered with a box; `point` is then its
    /// middle.
    pub area: Option<Rect>,
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
    /// Most checkpoints cannot say that it is not; for them this is always `true`.
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
    /// The family of checkpoints was not made for it.
    #[error(transparent)]
    Family(#[from] FamilyError),
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
            Self::Family(error) => error.hint(),
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
    profile: &PromptProfile,
    image: &RgbImage,
    description: &str,
    cancel: &CancelFlag,
) -> Result<Grounding, GroundingError> {
    let description = check_description(description)?;
    let (width, height) = image.dimensions();
    let limits = limits_on(model, profile, profile.limits_to_ground(), Size { width, height })
        .map_err(PolicyError::from)?;
    let mut grounding = ground_once(model, profile, image, limits, &description, cancel)?;
    if let Some(cut_out) = cut_out(profile, limits).filter(|_| grounding.found) {
        let first = grounding.point;
        let closer = look_closer(model, profile, image, &description, (first, cut_out), cancel)?;
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
    profile: &PromptProfile,
    image: &RgbImage,
    limits: PixelLimits,
    description: &str,
    cancel: &CancelFlag,
) -> Result<Grounding, GroundingError> {
    let (width, height) = image.dimensions();
    let frame =
        frame_of(model, profile, limits, Size { width, height }).map_err(PolicyError::from)?;
    let ground = profile.ground()?;
    let asked = Asked { model, profile, ground, image, frame, limits, cancel };
    let answer = if profile.is_embedded() {
        asked.embedded(description)
    } else {
        asked.by_form(description)
    };
    Ok(answer?)
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
    profile: &'a PromptProfile,
    ground: &'a GroundPrompt,
    image: &'a RgbImage,
    frame: Frame,
    limits: PixelLimits,
    cancel: &'a CancelFlag,
}

impl Asked<'_> {
    /// Asks the embedded checkpoint to click the thing; it may answer that it is not there, and
    /// only then is made to guess.
    fn embedded(self, description: &str) -> Result<Grounding, PolicyError> {
        let goal = format!("click \"{}\"", description.replace('"', "'"));
        if !self.takes_grammars() {
            return self.free_action(&goal);
        }
        let thought = format!("{goal}\n");
        let grammar = grammar::click_or_not_found(&thought, self.frame.model);
        let chosen = self.complete(&goal, Some(&thought), grammar)?;
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
        let guess = self.complete(&goal, Some(&prefix), grammar)?;
        usage.add(&Usage::from(&guess.stats));
        let (model_point, probability) = read_point(&guess.text, self.profile, &guess)?;
        let reply = format!("{reply}\n{}", guess.text);
        let grounding =
            self.grounding(model_point, probability, branch.map(|p| 1.0 - p), reply, usage)?;
        Ok(Grounding { found: false, ..grounding })
    }

    /// Asks in the family's words, for an answer in the family's form and nothing else.
    ///
    /// A function call is begun for the model, as the published evaluations do.
    fn by_form(self, description: &str) -> Result<Grounding, PolicyError> {
        let form = &self.ground.answer;
        let completion = if self.takes_grammars() {
            let not_found = self.ground.not_found.as_deref();
            let box_tokens = self.model.has_box_tokens();
            let grammar = grammar::place(form, not_found, self.frame.model, box_tokens);
            let prefix = Some(form.prefix()).filter(|prefix| prefix.starts_with("<tool_call>"));
            self.complete(description, prefix, grammar)?
        } else {
            self.free(description, self.click_schema().map(Constraint::JsonSchema))?
        };
        let reply = completion.text.clone();
        let usage = Usage::from(&completion.stats);
        let is_told = !completion.tokens.is_empty();
        let probability = is_told.then(|| probability_between(&completion.tokens, 0, usize::MAX));
        match self.read(&reply).map_err(|error| invalid(&reply, &error))? {
            Answer::Point(point) => self.grounding(point, probability, None, reply, usage),
            Answer::Box(area) => {
                let rect = self.frame.box_to_pixels(area);
                let grounding = self.grounding(area.center(), probability, None, reply, usage)?;
                Ok(Grounding { area: Some(rect), point: rect.center(), ..grounding })
            }
            Answer::Nowhere if self.ground.not_found.is_some() => {
                let Size { width, height } = self.frame.model;
                let middle = ModelPoint { x: half(width), y: half(height) };
                let grounding = self.grounding(middle, probability, None, reply, usage)?;
                Ok(Grounding { found: false, ..grounding })
            }
            Answer::Nowhere => {
                let problem = "the answer lies left of or above the image".to_owned();
                Err(PolicyError::InvalidReply { reply, problem })
            }
        }
    }

    /// Reads the place in a reply: in the family's form, or, of a model that was free to choose, in any
    /// call of the family's function.
    fn read(&self, reply: &str) -> Result<Answer, ParseError> {
        let found = self.ground.answer.find(reply);
        if found.is_ok() || self.ground.dialect == Dialect::Json {
            return found;
        }
        let parsed = parse_action(reply, self.ground.dialect)?;
        parsed.action.point().map_or(found, |point| Ok(Answer::Point(point)))
    }

    /// The schema of a click, for families that answer with a function call.
    fn click_schema(&self) -> Option<serde_json::Value> {
        let click = ActionSpace::new([Verb::LeftClick]);
        grammar::call_schema(self.ground.dialect, &click, self.frame.model)
    }

    /// Asks the embedded checkpoint on a server that holds nothing to a grammar.
    fn free_action(self, text: &str) -> Result<Grounding, PolicyError> {
        let completion = self.free(text, None)?;
        let parsed = parse_reply(&completion.text, self.profile, None)
            .map_err(|error| invalid(&completion.text, &error))?;
        let model_point = parsed.action.point().ok_or_else(|| no_point(&completion.text))?;
        let probability = coordinate_probability(&completion.tokens);
        let usage = Usage::from(&completion.stats);
        self.grounding(model_point, probability, None, completion.text, usage)
    }

    /// Asks a model that cannot be held to a grammar.
    fn free(&self, text: &str, constraint: Option<Constraint>) -> Result<Completion, PolicyError> {
        let prompt = build_ground(self.ground, text, self.image.clone(), self.frame, self.limits);
        self.answer(&Request {
            constraint,
            options: GenerateOptions { max_new_tokens: 256, ..GenerateOptions::default() },
            ..prompt.into_request()
        })
    }

    fn takes_grammars(&self) -> bool {
        self.model.card().takes_grammars
    }

    /// Generates a reply that starts with `prefix` and goes on by `grammar`.
    fn complete(
        &self,
        text: &str,
        prefix: Option<&str>,
        grammar: String,
    ) -> Result<Completion, PolicyError> {
        let prompt = build_ground(self.ground, text, self.image.clone(), self.frame, self.limits);
        self.answer(&Request {
            prefix: prefix.map(str::to_owned),
            constraint: Some(Constraint::Lark(grammar)),
            options: GenerateOptions { max_new_tokens: 48, ..GenerateOptions::default() },
            ..prompt.into_request()
        })
    }

    fn answer(&self, request: &Request) -> Result<Completion, PolicyError> {
        let completion = self.model.answer(request, &mut |_| {}, self.cancel)?;
        self.model.check_frame(&completion)?;
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
            area: None,
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
    profile: &PromptProfile,
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

/// Half of a side, where a point must be shown and none is known.
fn half(length: u32) -> i32 {
    i32::try_from(length / 2).unwrap_or(0)
}

pub(crate) fn invalid(reply: &str, error: &ParseError) -> PolicyError {
    PolicyError::InvalidReply { reply: reply.to_owned(), problem: error.to_string() }
}
