//! How far two models agree on the same screens: what quantising, another dtype or another build
//! changes.
//!
//! The reference grounds descriptions first. The other model is then read along the reference's own
//! answers, so that one early difference does not make everything after it differ, and grounds the
//! same descriptions itself.

use std::sync::{Arc, Mutex, PoisonError};

use handsight_actions::PixelPoint;
use handsight_model::{
    CancelFlag, Completion, Engine, ModelError, PixelLimits, Request, TokenInfo,
};
use image::RgbImage;
use serde::Serialize;

use crate::grounding::{GroundingError, ground};
use crate::policy::PolicyError;
use crate::prompt::PromptProfile;
use crate::vision_model::{AnswerError, ModelCard, VisionModel};

/// A screen and what to look for on it.
#[derive(Clone, Debug)]
pub struct Screen {
    /// What a report calls it.
    pub name: String,
    /// The picture.
    pub image: Arc<RgbImage>,
    /// What to ground on it.
    pub description: String,
}

/// What the reference said on each screen.
pub struct Reference {
    vocabulary: usize,
    answers: Vec<(Screen, PixelPoint, Vec<Asked>)>,
}

/// One request, and the reference's answer with the logits before each of its tokens.
struct Asked {
    request: Request,
    answer: Vec<u32>,
    logits: Vec<Vec<f32>>,
}

/// How far a model agrees with the reference on one screen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The screen's name.
    pub screen: String,
    /// What was looked for.
    pub description: String,
    /// Tokens of the reference's answers.
    pub tokens: usize,
    /// Those of them before which both models find the same token likeliest.
    pub same_top: usize,
    /// KL(reference ‖ other), the sum over the tokens, in nats.
    pub kl_sum: f64,
    /// The largest KL of a token.
    pub kl_max: f64,
    /// Where the reference says it is.
    pub reference_point: PixelPoint,
    /// Where the other says it is.
    pub point: PixelPoint,
    /// How far the points are apart, in pixels of the screen.
    pub shift: f64,
}

/// What all screens say together.
#[derive(Clone, Debug, PartialEq)]
pub struct AgreementSummary {
    /// Tokens of the reference's answers.
    pub tokens: usize,
    /// The share of tokens before which both models find the same one likeliest.
    pub same_top: f64,
    /// The mean KL of a token, in nats.
    pub kl_mean: f64,
    /// The largest KL of a token.
    pub kl_max: f64,
    /// How far the points of the middle screen are apart, in pixels of the screen.
    pub shift_median: f64,
    /// How far points are apart at most.
    pub shift_max: f64,
}

impl AgreementSummary {
    /// Summarises the agreement on some screens.
    #[must_use]
    pub fn of(agreements: &[Agreement]) -> Self {
        let tokens = agreements.iter().map(|one| one.tokens).sum::<usize>();
        let same_top: usize = agreements.iter().map(|one| one.same_top).sum();
        let kl_sum: f64 = agreements.iter().map(|one| one.kl_sum).sum();
        let mut shifts: Vec<f64> = agreements.iter().map(|one| one.shift).collect();
        shifts.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
        let per_token = |sum: f64| sum / tokens.max(1) as f64;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
        let same_top = per_token(same_top as f64);
        Self {
            tokens,
            same_top,
            kl_mean: per_token(kl_sum),
            kl_max: agreements.iter().map(|one| one.kl_max).fold(0.0, f64::max),
            shift_median: shifts.get(shifts.len() / 2).copied().unwrap_or_default(),
            shift_max: shifts.last().copied().unwrap_or_default(),
        }
    }
}

impl Reference {
    /// Grounds what is looked for on each screen.
    ///
    /// # Errors
    ///
    /// [`GroundingError`] if the model cannot.
    pub fn of(
        engine: &Engine,
        profile: &PromptProfile,
        screens: &[Screen],
        mut on_screen: impl FnMut(),
        cancel: &CancelFlag,
    ) -> Result<Self, GroundingError> {
        let mut answers = Vec::with_capacity(screens.len());
        for screen in screens {
            let recorder = Recorder { engine, asked: Mutex::default() };
            let grounding = ground(&recorder, profile, &screen.image, &screen.description, cancel)?;
            let asked = recorder.asked.into_inner().unwrap_or_else(PoisonError::into_inner);
            let read = |(request, answer): (Request, Vec<u32>)| {
                let logits = engine.answer_logits(&request, &answer, cancel)?;
                Ok(Asked { request, answer, logits })
            };
            let asked = asked.into_iter().map(read).collect::<Result<_, ModelError>>();
            answers.push((screen.clone(), grounding.point, asked.map_err(PolicyError::from)?));
            on_screen();
        }
        Ok(Self { vocabulary: engine.tokenizer().len(), answers })
    }

    /// Compares a model with it, screen by screen.
    ///
    /// # Errors
    ///
    /// [`GroundingError`] if the model cannot ground, or has other tokens than the reference.
    pub fn compare(
        &self,
        engine: &Engine,
        profile: &PromptProfile,
        mut on_screen: impl FnMut(),
        cancel: &CancelFlag,
    ) -> Result<Vec<Agreement>, GroundingError> {
        let vocabulary = engine.tokenizer().len();
        if vocabulary != self.vocabulary {
            let problem = format!(
                "its tokenizer has {vocabulary} tokens and the reference's {}: their answers cannot \
                 be compared token by token",
                self.vocabulary
            );
            return Err(PolicyError::from(ModelError::Options { problem }).into());
        }
        let mut agreements = Vec::with_capacity(self.answers.len());
        for (screen, reference_point, asked) in &self.answers {
            let Screen { name, image, description } = screen;
            let mut agreement = Agreement {
                screen: name.clone(),
                description: description.clone(),
                tokens: 0,
                same_top: 0,
                kl_sum: 0.0,
                kl_max: 0.0,
                reference_point: *reference_point,
                point: *reference_point,
                shift: 0.0,
            };
            for Asked { request, answer, logits } in asked {
                let others = engine.answer_logits(request, answer, cancel);
                for (reference, other) in logits.iter().zip(&others.map_err(PolicyError::from)?) {
                    // Rows of padding behind the vocabulary mean nothing.
                    agreement.add(&reference[..vocabulary], &other[..vocabulary]);
                }
            }
            agreement.point = ground(engine, profile, image, description, cancel)?.point;
            let (a, b) = (agreement.reference_point, agreement.point);
            agreement.shift = f64::from(a.x - b.x).hypot(f64::from(a.y - b.y));
            agreements.push(agreement);
            on_screen();
        }
        Ok(agreements)
    }
}

impl Agreement {
    fn add(&mut self, reference: &[f32], other: &[f32]) {
        let kl = divergence(reference, other);
        self.tokens += 1;
        self.same_top += usize::from(top(reference) == top(other));
        self.kl_sum += kl;
        self.kl_max = self.kl_max.max(kl);
    }
}

/// The first of the likeliest.
fn top(logits: &[f32]) -> Option<usize> {
    let enumerated = logits.iter().enumerate().rev();
    enumerated.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(at, _)| at)
}

/// KL(p ‖ q) of the distributions of two rows of logits, in nats.
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let log_sum = |logits: &[f32]| {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&x| f64::from(x - most).exp()).sum();
        f64::from(most) + sum.ln()
    };
    let (p_sum, q_sum) = (log_sum(p), log_sum(q));
    let terms = p.iter().zip(q).map(|(&p, &q)| {
        let (p, q) = (f64::from(p) - p_sum, f64::from(q) - q_sum);
        p.exp() * (p - q)
    });
    // Rounding can make the divergence of equal rows a little less than nothing.
    terms.sum::<f64>().max(0.0)
}

/// Notes what an engine is asked and what it answers.
struct Recorder<'a> {
    engine: &'a Engine,
    asked: Mutex<Vec<(Request, Vec<u32>)>>,
}

impl VisionModel for Recorder<'_> {
    fn card(&self) -> ModelCard {
        self.engine.card()
    }

    fn resized_size_within(
        &self,
        width: u32,
        height: u32,
        limits: PixelLimits,
    ) -> Result<(u32, u32), ModelError> {
        self.engine.resized_size_within(width, height, limits)
    }

    fn has_box_tokens(&self) -> bool {
        self.engine.has_box_tokens()
    }

    fn answer(
        &self,
        request: &Request,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, AnswerError> {
        let completion = self.engine.answer(request, on_token, cancel)?;
        let answer = completion.tokens.iter().map(|token| token.id).collect();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((request.clone(), answer));
        Ok(completion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_that_of_the_probabilities() {
        // ½, ¼, ¼ and ¼, ¼, ½, whatever is added to all logits.
        let p = [2.0_f32.ln(), 0.0, 0.0];
        let q = [7.0, 7.0, 7.0 + 2.0_f32.ln()];
        let expected = 0.5 * 2.0_f64.ln() + 0.25 * 0.5_f64.ln();
        assert!((divergence(&p, &q) - expected).abs() < 1e-6);
        assert!(divergence(&p, &p) < 1e-12);
        assert_eq!((top(&p), top(&q), top(&[1.0, 3.0, 3.0])), (Some(0), Some(2), Some(1)));
    }
}
