//! Logits → token: the repetition penalty, then the likeliest token or a draw.

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling as CandleSampling};
use candle_transformers::utils::apply_repeat_penalty;

use crate::error::ModelError;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The likeliest token; the lower id on a tie.
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
}

/// A chosen token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampled {
    pub(crate) id: u32,
    /// Natural logarithm of its probability among the tokens that were allowed, at temperature 1.
    pub(crate) logprob: f32,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling, repetition_penalty: f32) -> Self {
        let (sampling, seed) = match sampling {
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
        Self { processor: LogitsProcessor::from_sampling(seed, sampling), repetition_penalty }
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
        let logprob = (f64::from(logits[id as usize] - max) - sum.ln()) as f32;
        Ok(Sampled { id, logprob })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(sampling: Sampling, penalty: f32, logits: &[f32]) -> Result<Sampled, ModelError> {
        Sampler::new(sampling, penalty).sample(logits.to_vec(), &[1], 0)
    }

    #[test]
    fn greedy_takes_the_likeliest_and_says_how_likely() {
        let sampled = sample(Sampling::Greedy, 1.0, &[0.0, 2.0, f32::NEG_INFINITY]).unwrap();
        assert_eq!(sampled.id, 1);
        assert!((sampled.logprob - (-(1.0 + (-2.0f32).exp()).ln())).abs() < 1e-6);
    }

    #[test]
    fn the_penalty_lowers_tokens_of_the_context() {
        assert_eq!(sample(Sampling::Greedy, 2.0, &[1.5, 2.0]).unwrap().id, 0);
    }

    #[test]
    fn a_seed_repeats_a_draw() {
        let draw = |seed| {
            let sampling = Sampling::Random { temperature: 1.0, top_p: None, top_k: None, seed };
            let mut sampler = Sampler::new(sampling, 1.0);
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
