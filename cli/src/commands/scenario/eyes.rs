//! The model of scenarios, loaded when it is first asked: a run that needs none waits for none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use handsight_actions::Device;
use handsight_agent::{
    CancelFlag, Controls, EpisodeOptions, GroundingError, ModelOptions, ModelPolicy, PromptProfile,
    QuestionError, StopReason, VisionModel, ground, judge, read_value, run_episode,
};
use handsight_scenarios::{Eyes, EyesError, Found, Pursued};
use image::RgbImage;
use serde_json::Value;

use crate::args::ModelArgs;
use crate::attend::AtTerminal;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::live::Live;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

/// The model of all devices of a run, loaded once, when one of them first asks.
pub(super) struct LazyModel<'a> {
    pub(super) args: &'a ModelArgs,
    pub(super) printer: &'a Printer,
    pub(super) environment: &'a Environment,
    pub(super) interrupt: &'a Interrupt,
    /// Ends an answer under way.
    cancel: CancelFlag,
    opened: Mutex<Option<(Arc<dyn VisionModel>, PromptProfile)>>,
}

impl<'a> LazyModel<'a> {
    pub(super) fn new(
        args: &'a ModelArgs,
        printer: &'a Printer,
        environment: &'a Environment,
        interrupt: &'a Interrupt,
    ) -> Self {
        let cancel = interrupt.cancel.clone();
        Self { args, printer, environment, interrupt, cancel, opened: Mutex::default() }
    }

    /// Has something else end answers than what ends the command.
    pub(super) fn with_cancel(self, cancel: CancelFlag) -> Self {
        Self { cancel, ..self }
    }

    fn open(&self) -> Result<(Arc<dyn VisionModel>, PromptProfile), Failure> {
        // The others wait: it is loaded for them, too.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let (model, profile) =
            open::model(self.args, self.printer, self.environment, &self.cancel)?;
        Ok(opened.insert((Arc::from(model), profile)).clone())
    }
}

/// What one device asks of the model.
pub(super) struct LazyEyes<'a> {
    model: &'a LazyModel<'a>,
    on_phone: bool,
    loaded: Option<(ModelPolicy, PromptProfile)>,
}

impl<'a> LazyEyes<'a> {
    pub(super) fn new(model: &'a LazyModel<'a>, on_phone: bool) -> Self {
        Self { model, on_phone, loaded: None }
    }

    fn loaded(&mut self) -> Result<&mut (ModelPolicy, PromptProfile), EyesError> {
        if self.loaded.is_none() {
            let (model, profile) = self.model.open().map_err(from_failure)?;
            let on_phone = self.on_phone && self.model.args.talk.prompt.is_none();
            let profile = if on_phone { profile.on_phone() } else { profile };
            let policy = ModelPolicy::new(model, profile.clone(), ModelOptions::default());
            self.loaded = Some((policy, profile));
        }
        self.loaded.as_mut().ok_or_else(|| error("the model is not loaded", None))
    }
}

impl Eyes for LazyEyes<'_> {
    fn find(&mut self, screen: &RgbImage, target: &str) -> Result<Option<Found>, EyesError> {
        let cancel = self.model.cancel.clone();
        let (policy, profile) = self.loaded()?;
        let grounding =
            ground(policy.model(), profile, screen, target, &cancel).map_err(from_grounding)?;
        Ok(grounding.found.then_some(Found { point: grounding.point, area: grounding.area }))
    }

    fn judge(&mut self, screen: &RgbImage, claim: &str) -> Result<f64, EyesError> {
        let cancel = self.model.cancel.clone();
        let (policy, profile) = self.loaded()?;
        judge(policy.model(), profile, screen, claim, &cancel)
            .map_err(|failed| from_question(&failed))
    }

    fn read(
        &mut self,
        screen: &RgbImage,
        question: &str,
        schema: &Value,
    ) -> Result<Value, EyesError> {
        let cancel = self.model.cancel.clone();
        let (policy, profile) = self.loaded()?;
        read_value(policy.model(), profile, screen, question, schema, &cancel)
            .map_err(|failed| from_question(&failed))
    }

    fn pursue(
        &mut self,
        device: &mut dyn Device,
        goal: &str,
        limit: Duration,
    ) -> Result<Pursued, EyesError> {
        let LazyModel { printer, interrupt, environment, .. } = *self.model;
        let interactive = environment.interactive;
        let (policy, profile) = self.loaded()?;
        let options = EpisodeOptions {
            timeout: limit,
            images_in_history: profile.images_in_history(),
            ..EpisodeOptions::default()
        };
        let mut user = AtTerminal {
            printer,
            cancel: &interrupt.cancel,
            confirms: false,
            interactive,
            waits: false,
        };
        let mut live = Live::new(printer);
        let mut controls = Controls {
            observer: &mut live,
            user: &mut user,
            cancel: &interrupt.cancel,
            halt: &interrupt.halt,
        };
        let episode = run_episode(device, policy, goal, &options, &mut controls)
            .map_err(|error| from_failure(error.into()))?;
        if let Some(error) = episode.error {
            return Err(from_failure(error.into()));
        }
        if episode.stop_reason == StopReason::ClaimedSuccess {
            return Ok(Pursued { decisions: u64::from(episode.steps) });
        }
        Err(error(episode.stop_reason.describe(), None))
    }
}

fn error(message: impl Into<String>, hint: Option<String>) -> EyesError {
    EyesError { message: message.into(), hint }
}

fn from_failure(failure: Failure) -> EyesError {
    error(failure.messages().join(": "), failure.hint)
}

fn from_grounding(failed: GroundingError) -> EyesError {
    from_failure(failed.into())
}

fn from_question(failed: &QuestionError) -> EyesError {
    let hint = failed.hint();
    error(failed.to_string(), hint)
}
