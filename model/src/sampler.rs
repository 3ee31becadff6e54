//! Logits → token: the penalties on what was said before, then the likeliest token or a draw.

use std::collections::HashSet;

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling as CandleSampling};
use candle_transformers::utils::apply_repeat_penalty;

use crate::error::ModelError;
use crate::request::GenerateOptions;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Sampling {
    /// The likeliest token; the lower id on a tie.
    #[default]
    Greedy,
    /// A draw.
    Random {
        /// Divides the logits; above 0.
        temperature: f64,
        /// Keeps the likeliest tokens that together have this probability.
        top_p: Option<f64>,
        /// Keeps this many of the likeliest tokens.
        top_k: Option<usize>,
        /// Makes the draw repeatable.
        seed: u64,
    },
}

/// Chooses tokens for one generation.
pub(crate) struct Sampler {
    processor: LogitsProcessor,
    repetition_penalty: f32,
    presence_penalty: f32,
    frequency_penalty: f32,
    top_logprobs: usize,
}

/// A chosen token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sampled {
    pub(crate) id: u32,
    /// Natural logarithm of its probability among the tokens that were allowed, at temperature 1.
    pub(crate) logprob: f32,
    /// The likeliest tokens that were allowed, with their logprobs, likeliest first.
    pub(crate) top: Vec<(u32, f32)>,
}

impl Sampler {
    pub(crate) fn new(options: &GenerateOptions) -> Self {
        let (sampling, seed) = match options.sampling {
            Sampling::Greedy => (CandleSampling::ArgMax, 0),
            // So cold a draw is the likeliest token, and dividing by it would overflow.
            Sampling::Random { temperature, seed, .. } if temperature < 1e-4 => {
                (CandleSampling::ArgMax, seed)
            }
            Sampling::Random { temperature, top_p, top_k, seed } => {
                let sampling = match (top_k, top_p) {
                    (None, None) => CandleSampling::All { temperature },
                    (Some(k), None) => CandleSampling::TopK { k, temperature },
                    (None, Some(p)) => CandleSampling::TopP { p, temperature },
                    (Some(k), Some(p)) => CandleSampling::TopKThenTopP { k, p, temperature },
                };
                (sampling, seed)
            }
        };
        Self {
            processor: LogitsProcessor::from_sampling(seed, sampling),
            repetition_penalty: options.repetition_penalty,
            presence_penalty: options.presence_penalty,
            frequency_penalty: options.frequency_penalty,
            top_logprobs: options.top_logprobs,
        }
    }

    /// Chooses a token, `logits` being −∞ where one is not allowed. `context` are prompt and answer so
    /// far; its last `index` tokens are the answer.
    pub(crate) fn sample(
        &mut self,
        mut logits: Vec<f32>,
        context: &[u32],
        index: usize,
    ) -> Result<Sampled, ModelError> {
        let n = logits.len();
        // In the order of vLLM: dividing what was lowered before would be another result.
        if (self.repetition_penalty - 1.0).abs() > f32::EPSILON {
            let tensor = Tensor::from_vec(logits, n, &Device::Cpu)?;
            logits = apply_repeat_penalty(&tensor, self.repetition_penalty, context)?.to_vec1()?;
        }
        self.lower(&mut logits, &context[context.len().saturating_sub(index)..]);
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !max.is_finite() || logits.iter().any(|logit| logit.is_nan()) {
            return Err(ModelError::NotFinite { index });
        }
        let id = self.processor.sample(&Tensor::from_slice(&logits, n, &Device::Cpu)?)?;
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
        let logprob = |logit: f32| (f64::from(logit - max) - sum.ln()) as f32;
        let top = likeliest(&logits, self.top_logprobs);
        let top = top.into_iter().map(|id| (id, logprob(logits[id as usize]))).collect();
        Ok(Sampled { id, logprob: logprob(logits[id as usize]), top })
    }

    /// Lowers the logits of tokens the answer has, as the OpenAI API defines it: once for being there,
    /// and once for each time.
    fn lower(&self, logits: &mut [f32], answer: &[u32]) {
        if self.presence_penalty == 0.0 && self.frequency_penalty == 0.0 {
            return;
        }
        let mut is_new = HashSet::new();
        for &id in answer {
            let presence = if is_new.insert(id) { self.presence_penalty } else { 0.0 };
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit -= presence + self.frequency_penalty;
            }
        }
    }
}

/// The ids of the `n` largest finite logits, largest first, the lower id on a tie.
fn likeliest(logits: &[f32], n: usize) -> Vec<u32> {
    if n == 0 {
        return Vec::new();
    }
    let order =
        |&a: &u32, &b: &u32| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b));
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    ids.retain(|&id| logits[id as usize].is_finite());
    if ids.len() > n {
        ids.select_nth_unstable_by(n, order);
        ids.truncate(n);
    }
    ids.sort_unstable_by(order);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(sampling: Sampling, repetition_penalty: f32) -> GenerateOptions {
        GenerateOptions { sampling, repetition_penalty, top_logprobs: 2, ..Default::default() }
    }

    fn sample(sampling: Sampling, penalty: f32, logits: &[f32]) -> Result<Sampled, ModelError> {
        Sampler::new(&options(sampling, penalty)).sample(logits.to_vec(), &[1], 0)
    }

    #[test]
    fn greedy_takes_the_likeliest_and_says_how_likely() {
        let sampled = sample(Sampling::Greedy, 1.0, &[0.0, 2.0, f32::NEG_INFINITY]).unwrap();
        assert_eq!(sampled.id, 1);
        assert!((sampled.logprob - (-(1.0 + (-2.0f32).exp()).ln())).abs() < 1e-6);
        let top: Vec<u32> = sampled.top.iter().map(|&(id, _)| id).collect();
        assert_eq!(top, [1, 0], "what is not allowed is not among the likeliest");
        let sum: f32 = sampled.top.iter().map(|&(_, logprob)| logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_penalty_lowers_tokens_of_the_context() {
        assert_eq!(sample(Sampling::Greedy, 2.0, &[1.5, 2.0]).unwrap().id, 0);
    }

    #[test]
    fn what_the_answer_has_is_lowered_once_and_for_each_time() {
        // The prompt has tokens 0 and 3, the answer 1 twice and 2 once.
        let lowered = |presence_penalty, frequency_penalty| {
            let options = GenerateOptions {
                presence_penalty,
                frequency_penalty,
                top_logprobs: 5,
                ..Default::default()
            };
            let logits = vec![0.0, 2.0, 1.0, 0.5, f32::NEG_INFINITY];
            let sampled = Sampler::new(&options).sample(logits, &[0, 3, 1, 2, 1], 3).unwrap();
            let zero = sampled.top.iter().find(|(id, _)| *id == 0).unwrap().1;
            let relative = |id| sampled.top.iter().find(|top| top.0 == id).unwrap().1 - zero;
            (sampled.id, [1, 2, 3].map(|id| (relative(id) * 1e3).round() / 1e3), sampled.top.len())
        };
        assert_eq!(lowered(0.0, 0.0), (1, [2.0, 1.0, 0.5], 4));
        assert_eq!(lowered(1.75, 0.0), (3, [0.25, -0.75, 0.5], 4));
        assert_eq!(lowered(0.0, 0.5), (1, [1.0, 0.5, 0.5], 4));
        assert_eq!(lowered(0.25, 0.75), (3, [0.25, 0.0, 0.5], 4));
        assert_eq!(lowered(-1.0, -1.0), (1, [5.0, 3.0, 0.5], 4), "below 0 it is raised");
    }

    #[test]
    fn a_seed_repeats_a_draw() {
        let draw = |seed| {
            let sampling = Sampling::Random { temperature: 1.0, top_p: None, top_k: None, seed };
            let mut sampler = Sampler::new(&options(sampling, 1.0));
            (0..20).map(|i| sampler.sample(vec![0.0; 50], &[], i).unwrap().id).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn damage_is_reported_instead_of_turned_into_token_0() {
        for logits in [[f32::NAN, 1.0], [f32::NEG_INFINITY; 2], [f32::INFINITY, 0.0]] {
            let err = sample(Sampling::Greedy, 1.0, &logits).unwrap_err();
            assert!(matches!(err, ModelError::NotFinite { index: 0 }));
        }
    }
}
