//! What is asked of a model, and what it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::Message;
use crate::constraint::Constraint;
use crate::error::ModelError;
use crate::sampler::Sampling;

/// A question to the model.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The conversation so far; the answer is the assistant's next turn.
    pub messages: Vec<Message>,
    /// The images the messages refer to by index.
    pub images: Vec<ImageInput>,
    /// The videos the messages refer to by index.
    pub videos: Vec<VideoInput>,
    /// The functions the model may call, each as the JSON object of the OpenAI API.
    pub tools: Vec<Value>,
    /// The forced start of the answer, if any; it is part of the completion's text.
    pub prefix: Option<String>,
    /// What the answer must look like, if anything.
    pub constraint: Option<Constraint>,
    /// How the answer is generated.
    pub options: GenerateOptions,
}

/// How large an image may be when the model sees it; what is left open the checkpoint decides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PixelLimits {
    /// The fewest pixels after resizing.
    pub min_pixels: Option<u64>,
    /// The most pixels after resizing.
    pub max_pixels: Option<u64>,
    /// The size, (width, height), to resize to, before it is rounded to whole patches.
    pub resized: Option<(u32, u32)>,
}

/// An image as it is handed in.
#[derive(Clone, Debug)]
pub struct ImageInput {
    /// Its pixels.
    pub pixels: Arc<RgbImage>,
    /// How large the model may see it.
    pub limits: PixelLimits,
}

impl From<RgbImage> for ImageInput {
    fn from(pixels: RgbImage) -> Self {
        Arc::new(pixels).into()
    }
}

impl From<Arc<RgbImage>> for ImageInput {
    fn from(pixels: Arc<RgbImage>) -> Self {
        Self { pixels, limits: PixelLimits::default() }
    }
}

/// A video as it is handed in: the frames that were sampled from it.
#[derive(Clone, Debug)]
pub struct VideoInput {
    /// The frames, all of one size. An odd last one is repeated.
    pub frames: Vec<Arc<RgbImage>>,
    /// Sampled frames per second of the video: what tells the model the time.
    pub fps: f64,
    /// How large the model may see a frame.
    pub limits: PixelLimits,
}

/// How an answer is generated.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// The most tokens to generate, forced ones included.
    pub max_new_tokens: usize,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Divides the positive logits of tokens seen before; 1 leaves them alone. Above 1 it nudges
    /// digits of coordinates, so grounding wants 1.
    pub repetition_penalty: f32,
    /// Is taken from the logit of every token the answer already has; between -2 and 2.
    pub presence_penalty: f32,
    /// Is taken from a token's logit for each time the answer already has it; between -2 and 2.
    pub frequency_penalty: f32,
    /// The answer ends before the first of these; none may be empty.
    pub stop: Vec<String>,
    /// How many of the likeliest tokens are told beside each chosen one.
    pub top_logprobs: usize,
    /// Whether to go on past the model's own end of the answer, to `max_new_tokens`.
    pub ignore_eos: bool,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 512,
            sampling: Sampling::Greedy,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            stop: Vec::new(),
            top_logprobs: 0,
            ignore_eos: false,
        }
    }
}

/// The most of the likeliest tokens that are told.
const MAX_TOP_LOGPROBS: usize = 100;

/// The most stop strings, and the longest.
const MAX_STOPS: usize = 64;
const MAX_STOP_LEN: usize = 4096;

impl GenerateOptions {
    /// Refuses what cannot be followed, naming the value.
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        let refuse = |problem: String| Err(ModelError::Options { problem });
        if self.stop.iter().any(String::is_empty) {
            return refuse("a stop string is empty".to_owned());
        }
        if self.stop.len() > MAX_STOPS || self.stop.iter().any(|s| s.len() > MAX_STOP_LEN) {
            return refuse(format!(
                "more than {MAX_STOPS} stop strings, or one over {MAX_STOP_LEN} bytes"
            ));
        }
        if self.top_logprobs > MAX_TOP_LOGPROBS {
            let asked = self.top_logprobs;
            return refuse(format!("top_logprobs is {asked} but at most {MAX_TOP_LOGPROBS}"));
        }
        let penalties = [
            ("repetition", self.repetition_penalty, 0.01, 100.0),
            ("presence", self.presence_penalty, -2.0, 2.0),
            ("frequency", self.frequency_penalty, -2.0, 2.0),
        ];
        for (name, value, min, max) in penalties {
            if !(min..=max).contains(&value) {
                return refuse(format!(
                    "the {name} penalty {value} is not between {min} and {max}"
                ));
            }
        }
        Ok(())
    }
}

/// A switch with which another thread stops a generation.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag {
    is_set: Arc<AtomicBool>,
    /// One that sets this one, too.
    outer: Option<Arc<CancelFlag>>,
}

impl CancelFlag {
    /// Asks the generation to stop; it does so before its next token.
    pub fn cancel(&self) {
        self.is_set.store(true, Ordering::SeqCst);
    }

    /// Returns a switch that is set when this one is, and can be set without it: for a part of what this
    /// one stops.
    #[must_use]
    pub fn within(&self) -> Self {
        Self { is_set: Arc::default(), outer: Some(Arc::new(self.clone())) }
    }

    /// Returns whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
            || self.outer.as_ref().is_some_and(|outer| outer.is_cancelled())
    }
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model stopped, or the grammar was complete.
    Stop,
    /// One of the request's stop strings came.
    StopString,
    /// `max_new_tokens` were generated.
    Length,
    /// The [`CancelFlag`] was set.
    Cancelled,
}

/// One token of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenInfo {
    /// Its id.
    pub id: u32,
    /// The text of the answer that became whole with it: empty while a character or what may be a
    /// stop string is incomplete. The texts of all tokens together are the answer.
    pub text: String,
    /// The bytes of this token alone.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability among the tokens that were allowed; 0 if forced.
    pub logprob: f32,
    /// Whether the grammar left no choice, so that it was not sampled.
    pub forced: bool,
    /// The likeliest tokens in its place, likeliest first, as many as were asked for.
    pub top: Vec<TopToken>,
}

/// One of the likeliest tokens at some place.
#[derive(Clone, Debug, PartialEq)]
pub struct TopToken {
    /// Its id.
    pub id: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability among the tokens that were allowed.
    pub logprob: f32,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// All of it, the forced prefix included, a stop string not.
    pub text: String,
    /// The generated tokens, without the prefix.
    pub tokens: Vec<TokenInfo>,
    /// Why it ended.
    pub stop: StopReason,
    /// What it cost.
    pub stats: Stats,
}

/// What a generation cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Tokens that stand for images and videos.
    pub image_tokens: usize,
    /// Tokens of the prompt, images included.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that were remembered from an earlier request, or taken from one that ran
    /// at the same time.
    pub cached_tokens: usize,
    /// Tokens of the answer, forced ones included.
    pub completion_tokens: usize,
    /// Tokens of the answer the grammar forced.
    pub forced_tokens: usize,
    /// Passes through the decoder after the prompt's.
    pub forward_passes: usize,
    /// Tokens that were guessed and went through the decoder with others.
    pub draft_tokens: usize,
    /// Those of them that came true.
    pub accepted_draft_tokens: usize,
    /// Resizing and cutting the images.
    pub preprocess: Duration,
    /// The vision tower.
    pub vision: Duration,
    /// The prompt's way through the decoder.
    pub prefill: Duration,
    /// All tokens after the prompt, grammar included.
    pub decode: Duration,
}
