//! What a scenario asks of a model.

mod model;

pub use self::model::{LazyModel, LoadedModel, ModelEyes};

use std::time::Duration;

use handsight_actions::{Device, PixelPoint, Rect};
use image::RgbImage;
use serde_json::Value;

/// A model, for what no anchor and no deterministic check can tell.
///
/// It is asked only then, so an implementation can wait with loading one until it is first asked.
pub trait Eyes {
    /// Finds a target on a screenshot.
    ///
    /// # Errors
    ///
    /// [`EyesError`] if there is no answer; a target that is not there is an answer.
    fn find(&mut self, screen: &RgbImage, target: &str) -> Result<Option<Found>, EyesError>;

    /// Judges a claim about a screenshot: how probable it is, from 0 to 1.
    ///
    /// # Errors
    ///
    /// [`EyesError`] if there is no answer.
    fn judge(&mut self, screen: &RgbImage, claim: &str) -> Result<f64, EyesError>;

    /// Answers a question about a screenshot, as a value that a JSON Schema describes.
    ///
    /// # Errors
    ///
    /// [`EyesError`] if there is no answer.
    fn read(
        &mut self,
        screen: &RgbImage,
        question: &str,
        schema: &Value,
    ) -> Result<Value, EyesError>;

    /// Pursues a goal over several actions.
    ///
    /// # Errors
    ///
    /// [`EyesError`] if it was not reached, in the model's own opinion.
    fn pursue(
        &mut self,
        device: &mut dyn Device,
        goal: &str,
        limit: Duration,
    ) -> Result<Pursued, EyesError>;
}

/// Where a model sees a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// Where to act, in pixels of the screenshot.
    pub point: PixelPoint,
    /// What the target covers, if the model said.
    pub area: Option<Rect>,
}

/// A goal that was reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pursued {
    /// How often the model decided.
    pub decisions: u64,
}

/// Why a model did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EyesError {
    /// What failed, with its causes.
    pub message: String,
    /// What the user can do about it, if anything.
    pub hint: Option<String>,
}
