//! Logits → token: the repetition penalty, then the likeliest token or a draw.

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
            top_logprobs: options.top_logprobs,
        }
    }

    /// Chooses a token, `logits` being −∞ where one is not allowed. `context` are the tokens the
    /// penalty applies to; `index` is the number of tokens generated before.
    pub(crate) fn sample(
        &mut self,
        logits: Vec<f32>,
        context: &[u32],
        index: usize,
    ) -> Result<Sampled, ModelError> {
        let n = logits.len();
        let mut tensor = Tensor::from_vec(logits, n, &Device::Cpu)?;
        if (self.repetition_penalty - 1.0).abs() > f32::EPSILON {
            tensor = apply_repeat_penalty(&tensor, self.repetition_penalty, context)?;
        }
        let logits = tensor.to_vec1::<f32>()?;
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !max.is_finite() || logits.iter().any(|logit| logit.is_nan()) {
            return Err(ModelError::NotFinite { index });
        }
        let id = self.processor.sample(&tensor)?;
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
        let logprob = |logit: f32| (f64::from(logit - max) - sum.ln()) as f32;
        let top = likeliest(&logits, self.top_logprobs);
        let top = top.into_iter().map(|id| (id, logprob(logits[id as usize]))).collect();
        Ok(Sampled { id, logprob: logprob(logits[id as usize]), top })
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
