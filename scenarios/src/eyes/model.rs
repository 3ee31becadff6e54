//! Eyes that are a real model, loaded when it is first asked: what needs none waits for none.

use std::time::Duration;

use handsight_actions::Device;
use handsight_agent::{
    Controls, EpisodeOptions, ModelOptions, ModelPolicy, PromptProfile, SettleOptions, StopReason,
    VisionModel, ground, judge, read_value, run_episode, with_source,
};
use image::RgbImage;
use serde_json::Value;

use super::{Eyes, EyesError, Found, Pursued};

/// Loads a model, with the prompt it is to be spoken to in.
type Load<'a> = dyn FnMut() -> Result<(Box<dyn VisionModel>, PromptProfile), EyesError> + Send + 'a;

/// A model that is loaded when it is first asked.
pub struct LazyModel<'a> {
    load: Box<Load<'a>>,
    loaded: Option<LoadedModel>,
}

/// A model that is there.
pub struct LoadedModel {
    /// It, as what decides.
    pub policy: ModelPolicy,
    /// How it is spoken to.
    pub profile: PromptProfile,
}

impl<'a> LazyModel<'a> {
    /// A model that `load` loads; it is asked again if it failed.
    pub fn new(
        load: impl FnMut() -> Result<(Box<dyn VisionModel>, PromptProfile), EyesError> + Send + 'a,
    ) -> Self {
        Self { load: Box::new(load), loaded: None }
    }

    /// Returns the model, loaded now if it was not.
    ///
    /// # Errors
    ///
    /// Why it cannot be loaded.
    pub fn get(&mut self) -> Result<&mut LoadedModel, EyesError> {
        let loaded = if let Some(loaded) = self.loaded.take() {
            loaded
        } else {
            let (model, profile) = (self.load)()?;
            let policy = ModelPolicy::new(model, profile.clone(), ModelOptions::default());
            LoadedModel { policy, profile }
        };
        Ok(self.loaded.insert(loaded))
    }
}

/// Eyes that are a model, and a person who may be asked.
pub struct ModelEyes<'a, 'm> {
    /// The model.
    pub model: &'a mut LazyModel<'m>,
    /// How long to wait for a still screen while a goal is pursued.
    pub settle: SettleOptions,
    /// Who watches and who is asked, and what interrupts.
    pub controls: Controls<'a>,
}

impl Eyes for ModelEyes<'_, '_> {
    fn find(&mut self, screen: &RgbImage, target: &str) -> Result<Option<Found>, EyesError> {
        let LoadedModel { policy, profile } = self.model.get()?;
        let grounding = ground(policy.model(), profile, screen, target, self.controls.cancel)
            .map_err(|error| told(&error, error.hint()))?;
        Ok(grounding.found.then_some(Found { point: grounding.point, area: grounding.area }))
    }

    fn judge(&mut self, screen: &RgbImage, claim: &str) -> Result<f64, EyesError> {
        let LoadedModel { policy, profile } = self.model.get()?;
        judge(policy.model(), profile, screen, claim, self.controls.cancel)
            .map_err(|error| told(&error, error.hint()))
    }

    fn read(
        &mut self,
        screen: &RgbImage,
        question: &str,
        schema: &Value,
    ) -> Result<Value, EyesError> {
        let LoadedModel { policy, profile } = self.model.get()?;
        read_value(policy.model(), profile, screen, question, schema, self.controls.cancel)
            .map_err(|error| told(&error, error.hint()))
    }

    fn pursue(
        &mut self,
        device: &mut dyn Device,
        goal: &str,
        limit: Duration,
    ) -> Result<Pursued, EyesError> {
        let LoadedModel { policy, profile } = self.model.get()?;
        let options = EpisodeOptions {
            timeout: limit,
            images_in_history: profile.images_in_history(),
            settle: self.settle,
            ..EpisodeOptions::default()
        };
        let episode = run_episode(device, policy, goal, &options, &mut self.controls)
            .map_err(|error| told(&error, error.hint()))?;
        if let Some(error) = episode.error {
            return Err(told(&error, error.hint()));
        }
        if episode.stop_reason == StopReason::ClaimedSuccess {
            return Ok(Pursued { decisions: u64::from(episode.steps) });
        }
        Err(EyesError { message: episode.stop_reason.describe().to_owned(), hint: None })
    }
}

/// Puts an error into words.
pub(crate) fn told(error: &dyn std::error::Error, hint: Option<String>) -> EyesError {
    EyesError { message: with_source(error), hint }
}
