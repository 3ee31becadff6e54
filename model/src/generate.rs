//! Prefill and decoding: tokens in, tokens out, one sequence at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::{DType, Tensor};

use crate::constraint::TokenConstraint;
use crate::error::ModelError;
use crate::kv_cache::KvCache;
use crate::qwen2_5_vl::Qwen25Vl;
use crate::sampler::{Sampler, Sampling};

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
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { max_new_tokens: 512, sampling: Sampling::Greedy, repetition_penalty: 1.0 }
    }
}

/// A switch with which another thread stops a generation.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks the generation to stop; it does so before its next token.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Returns whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model stopped, or the grammar was complete.
    Stop,
    /// `max_new_tokens` were generated.
    Length,
    /// The [`CancelFlag`] was set.
    Cancelled,
}

/// One token of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenInfo {
    /// Its id.
    pub id: u32,
    /// Its text; a character of several tokens shows as � in each.
    pub text: String,
    /// Natural logarithm of its probability among the tokens that were allowed; 0 if forced.
    pub logprob: f32,
    /// Whether the grammar left no choice, so that it was not sampled.
    pub forced: bool,
}

/// What a generation cost.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    /// Tokens that stand for images.
    pub image_tokens: usize,
    /// Tokens of the prompt, images included.
    pub prompt_tokens: usize,
    /// Tokens of the answer, forced ones included.
    pub completion_tokens: usize,
    /// Tokens of the answer the grammar forced.
    pub forced_tokens: usize,
    /// Passes through the decoder after the prompt's.
    pub forward_passes: usize,
    /// Resizing and cutting the images.
    pub preprocess: Duration,
    /// The vision tower.
    pub vision: Duration,
    /// The prompt's way through the decoder.
    pub prefill: Duration,
    /// All tokens after the prompt, grammar included.
    pub decode: Duration,
}

/// A prompt ready to run.
pub(crate) struct Prompt {
    /// Token ids, an image being one placeholder per merged patch.
    pub(crate) token_ids: Vec<u32>,
    /// `(s, c)`, image features in place.
    pub(crate) embeddings: Tensor,
    /// `[time, height, width]` of each token.
    pub(crate) position_ids: Vec<[u32; 3]>,
    /// The position of the first generated token.
    pub(crate) next_position: u32,
}

/// Ids the generation has to know.
pub(crate) struct Ids<'a> {
    /// Any of them ends the answer.
    pub(crate) stop: &'a [u32],
    /// Placeholders that only a prompt may hold.
    pub(crate) never: &'a [u32],
    /// Tokens that exist; higher ids are padding rows and never sampled.
    pub(crate) vocab_len: usize,
}

/// The tokens that were generated, before they are text.
pub(crate) struct Generated {
    pub(crate) tokens: Vec<Token>,
    pub(crate) stop: StopReason,
    pub(crate) forward_passes: usize,
    pub(crate) prefill: Duration,
    pub(crate) decode: Duration,
}

/// Tokens of a prompt that go through the decoder at once; between chunks it can be cancelled.
const PREFILL_CHUNK: usize = 1024;

/// What stays the same during one generation.
pub(crate) struct Decoder<'a> {
    pub(crate) model: &'a Qwen25Vl,
    pub(crate) options: &'a GenerateOptions,
    pub(crate) ids: Ids<'a>,
    pub(crate) cancel: &'a CancelFlag,
}

/// A generated token: its id, its logprob, and whether the grammar forced it.
type Token = (u32, f32, bool);

impl Decoder<'_> {
    /// Runs `prompt` and generates an answer, telling `on_token` of each token.
    pub(crate) fn generate(
        &self,
        prompt: &Prompt,
        mut constraint: Option<TokenConstraint>,
        on_token: &mut dyn FnMut(u32, f32, bool) -> Result<(), ModelError>,
    ) -> Result<Generated, ModelError> {
        let start = Instant::now();
        let mut sequence = Sequence::new(self.model, prompt.next_position);
        let mut generated = Generated {
            tokens: Vec::new(),
            stop: StopReason::Length,
            forward_passes: 0,
            prefill: Duration::ZERO,
            decode: Duration::ZERO,
        };
        let Some(mut logits) = sequence.prefill(prompt, self.cancel)? else {
            generated.stop = StopReason::Cancelled;
            return Ok(generated);
        };
        generated.prefill = start.elapsed();

        let start = Instant::now();
        let mut sampler = Sampler::new(self.options.sampling, self.options.repetition_penalty);
        let mut context = prompt.token_ids.clone();
        let limit = self.options.max_new_tokens;
        while generated.tokens.len() < limit {
            if self.cancel.is_cancelled() {
                generated.stop = StopReason::Cancelled;
                break;
            }
            let index = generated.tokens.len();
            let step = self.next_tokens(logits, &context, index, &mut sampler, &mut constraint)?;
            let Some(mut step) = step else {
                generated.stop = StopReason::Stop;
                break;
            };
            step.truncate(limit - index);
            for &(id, logprob, forced) in &step {
                context.push(id);
                on_token(id, logprob, forced)?;
            }
            let new: Vec<u32> = step.iter().map(|&(id, ..)| id).collect();
            generated.tokens.append(&mut step);
            if constraint.as_ref().is_some_and(TokenConstraint::is_complete) {
                generated.stop = StopReason::Stop;
                break;
            }
            if generated.tokens.len() == limit {
                break;
            }
            logits = sequence.append(&new)?;
            generated.forward_passes += 1;
        }
        generated.decode = start.elapsed();
        Ok(generated)
    }

    /// Returns the tokens that come next: a sampled one and those the grammar then forces, or those
    /// it forces at the very start; nothing if the answer is over.
    fn next_tokens(
        &self,
        mut logits: Vec<f32>,
        context: &[u32],
        index: usize,
        sampler: &mut Sampler,
        constraint: &mut Option<TokenConstraint>,
    ) -> Result<Option<Vec<Token>>, ModelError> {
        if index == 0 {
            let forced: Vec<Token> = forced(constraint.as_mut())?.collect();
            if !forced.is_empty() {
                return Ok(Some(forced));
            }
        }
        self.mask_impossible(&mut logits);
        if let Some(constraint) = constraint {
            constraint.mask(&mut logits)?;
        }
        let sampled = sampler.sample(logits, context, index)?;
        if self.ids.stop.contains(&sampled.id) {
            return Ok(None);
        }
        if let Some(constraint) = constraint {
            constraint.consume(&[sampled.id])?;
        }
        let first = std::iter::once((sampled.id, sampled.logprob, false));
        Ok(Some(first.chain(forced(constraint.as_mut())?).collect()))
    }

    /// Takes padding rows and image placeholders out of the choice.
    fn mask_impossible(&self, logits: &mut [f32]) {
        logits.get_mut(self.ids.vocab_len..).unwrap_or_default().fill(f32::NEG_INFINITY);
        for &id in self.ids.never {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

/// The tokens the grammar leaves no choice about, as generated ones.
fn forced(
    constraint: Option<&mut TokenConstraint>,
) -> Result<impl Iterator<Item = Token>, ModelError> {
    let tokens = constraint.map_or(Ok(Vec::new()), TokenConstraint::forced_tokens)?;
    Ok(tokens.into_iter().map(|id| (id, 0.0, true)))
}

/// One sequence on its way through the decoder.
struct Sequence<'a> {
    model: &'a Qwen25Vl,
    cache: KvCache,
    next_position: u32,
}

impl<'a> Sequence<'a> {
    fn new(model: &'a Qwen25Vl, next_position: u32) -> Self {
        Self { model, cache: model.new_cache(), next_position }
    }

    /// Runs the prompt; returns the logits of its last token, or nothing if cancelled.
    fn prefill(
        &mut self,
        prompt: &Prompt,
        cancel: &CancelFlag,
    ) -> Result<Option<Vec<f32>>, ModelError> {
        let s = prompt.token_ids.len();
        let mut last = None;
        for start in (0..s).step_by(PREFILL_CHUNK) {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let n = PREFILL_CHUNK.min(s - start);
            let embeddings = prompt.embeddings.narrow(0, start, n)?;
            let position_ids = &prompt.position_ids[start..start + n];
            last = Some(self.model.forward(&embeddings, position_ids, &mut self.cache)?);
        }
        let Some(hidden) = last else {
            return Err(ModelError::Constraint { problem: "the prompt is empty".to_owned() });
        };
        self.last_logits(&hidden).map(Some)
    }

    /// Runs text tokens in one pass and returns the logits of the last.
    fn append(&mut self, token_ids: &[u32]) -> Result<Vec<f32>, ModelError> {
        let position_ids: Vec<[u32; 3]> =
            (self.next_position..).take(token_ids.len()).map(|at| [at; 3]).collect();
        self.next_position += token_ids.len() as u32;
        let embeddings = self.model.embed(token_ids, None)?;
        let hidden = self.model.forward(&embeddings, &position_ids, &mut self.cache)?;
        self.last_logits(&hidden)
    }

    fn last_logits(&self, hidden: &Tensor) -> Result<Vec<f32>, ModelError> {
        let (s, _c) = hidden.dims2()?;
        let logits = self.model.logits(&hidden.narrow(0, s - 1, 1)?)?;
        Ok(logits.squeeze(0)?.to_dtype(DType::F32)?.to_vec1()?)
    }
}
