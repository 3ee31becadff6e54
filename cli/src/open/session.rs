//! Opens what other programs use: a device behind its safety policy, a model when one is needed.

use handsight_actions::{Device as _, DeviceKind};
use handsight_scenarios::{LazyModel, Session, SessionOptions, ToolError};

use super::{acting_model, guarded_alone, policy, secrets, settle};
use crate::args::{MayArgs, ModelArgs, SessionArgs, TargetArgs};
use crate::commands::listing;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::print::Printer;
use crate::session_thread::SessionThread;
use crate::settings::{self, Environment};

/// Begins a session on the device that was named, with nobody at the terminal to ask.
///
/// `model` makes the model for a device of a kind.
pub(crate) fn session(
    (target, may): (&TargetArgs, &MayArgs),
    model: impl FnOnce(DeviceKind) -> LazyModel<'static>,
    printer: &Printer,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<Session, Failure> {
    if let Some(folder) = may.scenarios.as_deref().filter(|folder| !folder.is_dir()) {
        let message = format!("`{}` is not a folder", folder.display());
        return Err(Failure::bad_input(message).with_hint("check the path after `--scenarios`"));
    }
    let safety = policy::read(&may.policy, environment)?;
    let secrets = secrets::named(&may.names, &may.secrets, environment)?;
    let device = guarded_alone(target, (safety, secrets), printer, environment, interrupt)?;
    let model = model(device.info().kind);
    let known = environment.clone();
    let options = SessionOptions {
        settle: settle(&target.device),
        halt: interrupt.halt.clone(),
        scenarios: may.scenarios.clone(),
        traces: may.traces.clone(),
        env: settings::harmless_variables(),
        devices: Box::new(move || {
            listing(&known).map_err(|failure| ToolError::Devices {
                problem: failure.messages().join(": "),
                hint: failure.hint,
            })
        }),
    };
    Ok(Session::new(Box::new(device), model, options))
}

/// Begins a session on the device and with the model that were named, which clients can share.
pub(crate) fn shared_session(
    args: &SessionArgs,
    printer: &Printer,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<SessionThread, Failure> {
    let model = model_when_needed(&args.model, printer, environment, interrupt);
    let session = session((&args.target, &args.may), model, printer, environment, interrupt)?;
    Ok(SessionThread::start(session, interrupt.halt.clone()))
}

/// Returns what loads the model that was named when it is first needed.
fn model_when_needed(
    args: &ModelArgs,
    printer: &Printer,
    environment: &Environment,
    interrupt: &Interrupt,
) -> impl FnOnce(DeviceKind) -> LazyModel<'static> + use<> {
    let (args, cancel) = (args.clone(), interrupt.cancel.clone());
    let (printer, environment) = (printer.clone(), environment.clone());
    move |kind| {
        LazyModel::new(move || {
            acting_model(&args, kind, &printer, &environment, &cancel).map_err(Failure::into_eyes)
        })
    }
}
