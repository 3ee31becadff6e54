//! The model of scenarios, loaded when it is first asked: a run that needs none waits for none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use handsight_actions::{Device, DeviceKind};
use handsight_agent::{CancelFlag, Controls, PromptProfile, SettleOptions, VisionModel};
use handsight_scenarios::{Eyes, EyesError, Found, ModelEyes, Pursued};
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

/// What one device asks of the model, and the person at the terminal.
pub(super) struct LazyEyes<'a> {
    shared: &'a LazyModel<'a>,
    own: handsight_scenarios::LazyModel<'a>,
    settle: SettleOptions,
}

impl<'a> LazyEyes<'a> {
    pub(super) fn new(shared: &'a LazyModel<'a>, kind: DeviceKind, settle: SettleOptions) -> Self {
        let own = handsight_scenarios::LazyModel::new(move || {
            let (model, profile) = shared.open().map_err(Failure::into_eyes)?;
            Ok((Box::new(model), open::profile_for(kind, &shared.args.talk, profile)))
        });
        Self { shared, own, settle }
    }

    fn with<T>(
        &mut self,
        ask: impl FnOnce(&mut dyn Eyes) -> Result<T, EyesError>,
    ) -> Result<T, EyesError> {
        let LazyModel { printer, interrupt, environment, .. } = *self.shared;
        let mut user = AtTerminal {
            printer,
            cancel: &interrupt.cancel,
            confirms: false,
            interactive: environment.interactive,
            waits: false,
        };
        let controls = Controls {
            observer: &mut Live::new(printer),
            user: &mut user,
            cancel: &self.shared.cancel,
            halt: &interrupt.halt,
        };
        ask(&mut ModelEyes { model: &mut self.own, settle: self.settle, controls })
    }
}

impl Eyes for LazyEyes<'_> {
    fn find(&mut self, screen: &RgbImage, target: &str) -> Result<Option<Found>, EyesError> {
        self.with(|eyes| eyes.find(screen, target))
    }

    fn judge(&mut self, screen: &RgbImage, claim: &str) -> Result<f64, EyesError> {
        self.with(|eyes| eyes.judge(screen, claim))
    }

    fn read(
        &mut self,
        screen: &RgbImage,
        question: &str,
        schema: &Value,
    ) -> Result<Value, EyesError> {
        self.with(|eyes| eyes.read(screen, question, schema))
    }

    fn pursue(
        &mut self,
        device: &mut dyn Device,
        goal: &str,
        limit: Duration,
    ) -> Result<Pursued, EyesError> {
        self.with(|eyes| eyes.pursue(device, goal, limit))
    }
}
