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
    pub(crate) tokens: Vec<(u32, f32, bool)>,
    pub(crate) stop: StopReason,
    pub(crate) forward_passes: usize,
    pub(crate) prefill: Duration,
    pub(crate) decode: Duration,
}

/// Tokens of a prompt that go through the decoder at once; between chunks it can be cancelled.
const PREFILL_CHUNK: usize = 1024;

/// Runs `prompt` and generates an answer. `on_token` is called with (id, logprob, forced).
pub(crate) fn generate(
    model: &Qwen25Vl,
    prompt: &Prompt,
    mut constraint: Option<TokenConstraint>,
    options: &GenerateOptions,
    ids: &Ids<'_>,
    on_token: &mut dyn FnMut(u32, f32, bool) -> Result<(), ModelError>,
    cancel: &CancelFlag,
) -> Result<Generated, ModelError> {
    let start = Instant::now();
    let mut sequence = Sequence::new(model, prompt.next_position);
    let mut generated = Generated {
        tokens: Vec::new(),
        stop: StopReason::Length,
        forward_passes: 0,
        prefill: Duration::ZERO,
        decode: Duration::ZERO,
    };
    let Some(mut logits) = sequence.prefill(prompt, cancel)? else {
        generated.stop = StopReason::Cancelled;
        return Ok(generated);
    };
    generated.prefill = start.elapsed();

    let start = Instant::now();
    let mut sampler = Sampler::new(options.sampling, options.repetition_penalty);
    let mut context = prompt.token_ids.clone();
    while generated.tokens.len() < options.max_new_tokens {
        if cancel.is_cancelled() {
            generated.stop = StopReason::Cancelled;
            break;
        }
        // Only tokens that follow the prompt at once can be forced before the first is sampled.
        let mut step: Vec<(u32, f32, bool)> = Vec::new();
        if generated.tokens.is_empty() {
            step.extend(forced(constraint.as_mut()));
        }
        if step.is_empty() {
            mask_impossible(&mut logits, ids);
            if let Some(constraint) = &mut constraint {
                constraint.mask(&mut logits)?;
            }
            let sampled = sampler.sample(logits, &context, generated.tokens.len())?;
            if ids.stop.contains(&sampled.id) {
                generated.stop = StopReason::Stop;
                break;
            }
            if let Some(constraint) = &mut constraint {
                constraint.consume(&[sampled.id])?;
            }
            step.push((sampled.id, sampled.logprob, false));
            step.extend(forced(constraint.as_mut()));
        }
        step.truncate(options.max_new_tokens - generated.tokens.len());
        for &(id, logprob, is_forced) in &step {
            context.push(id);
            on_token(id, logprob, is_forced)?;
        }
        let new: Vec<u32> = step.iter().map(|&(id, ..)| id).collect();
        generated.tokens.append(&mut step);
        if constraint.as_ref().is_some_and(TokenConstraint::is_complete) {
            generated.stop = StopReason::Stop;
            break;
        }
        if generated.tokens.len() == options.max_new_tokens {
            break;
        }
        logits = sequence.append(&new)?;
        generated.forward_passes += 1;
    }
    generated.decode = start.elapsed();
    Ok(generated)
}

/// The tokens the grammar leaves no choice about, as generated ones.
fn forced(constraint: Option<&mut TokenConstraint>) -> impl Iterator<Item = (u32, f32, bool)> {
    let tokens = constraint.map(TokenConstraint::forced_tokens).unwrap_or_default();
    tokens.into_iter().map(|id| (id, 0.0, true))
}

fn mask_impossible(logits: &mut [f32], ids: &Ids<'_>) {
    logits.get_mut(ids.vocab_len..).unwrap_or_default().fill(f32::NEG_INFINITY);
    for &id in ids.never {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
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
