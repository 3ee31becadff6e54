//! Opens what the arguments name: a device, a picture, a model.

mod family;

use std::path::Path;

use handsight_actions::{
    DesktopDevice, DesktopOptions, Device, DeviceError, Observation, StillDevice,
};
use handsight_agent::{
    Address, CancelFlag, PromptProfile, RemoteModel, RemoteOptions, SchemaForm, VisionModel,
};
use handsight_model::{DeviceKind, Engine, EngineOptions};

use crate::args::{Compute, DeviceArg, ModelArgs, ServerArgs, TargetArgs};
use crate::failure::Failure;
use crate::interrupt::{GuardedDevice, Interrupt};
use crate::model_spec::ModelSpec;
use crate::print::Printer;
use crate::settings::Environment;

/// Opens the device that was named.
pub(crate) fn device(
    target: &TargetArgs,
    environment: &Environment,
) -> Result<Box<dyn Device>, Failure> {
    match &target.device {
        DeviceArg::Still(_) if target.monitor.is_some() => {
            Err(Failure::bad_input("a picture has no monitors".to_owned())
                .with_hint("leave out `--monitor`"))
        }
        DeviceArg::Still(path) => Ok(Box::new(StillDevice::open(path)?)),
        DeviceArg::Desktop => desktop(target.monitor, environment),
    }
}

/// Opens the device that was named, so that Ctrl-C makes it let go of everything.
pub(crate) fn guarded(
    target: &TargetArgs,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<GuardedDevice, Failure> {
    let display = environment.display.as_deref().filter(|_| target.is_real());
    Ok(interrupt.guard(device(target, environment)?, display))
}

/// Opens a monitor of the desktop.
pub(crate) fn desktop(
    monitor: Option<usize>,
    environment: &Environment,
) -> Result<Box<dyn Device>, Failure> {
    let options = DesktopOptions { monitor, display: environment.display.clone() };
    let device = DesktopDevice::open(&options);
    Ok(Box::new(device.map_err(|error| no_desktop(error, environment))?))
}

/// Explains an error of the desktop with what is known of the session.
pub(crate) fn no_desktop(error: DeviceError, environment: &Environment) -> Failure {
    let no_display = matches!(error, DeviceError::NoDisplay { .. });
    let failure = Failure::from(error);
    if no_display && environment.display.is_none() && environment.wayland {
        return failure.with_hint(
            "this is a Wayland session without XWayland: install XWayland, or log in to an X11 \
             session",
        );
    }
    failure
}

/// Reads a picture.
pub(crate) fn picture(path: &Path) -> Result<Observation, Failure> {
    Ok(StillDevice::open(path)?.observe()?)
}

/// Loads the model that was named, with the prompt it is to be spoken to in.
pub(crate) fn model(
    model: &ModelArgs,
    printer: &Printer,
    environment: &Environment,
    cancel: &CancelFlag,
) -> Result<(Box<dyn VisionModel>, PromptProfile), Failure> {
    let spinner = printer.spinner("loading the model");
    let device = match model.compute {
        Compute::Cpu => DeviceKind::Cpu,
        Compute::Cuda(index) => DeviceKind::Cuda(index),
        Compute::Metal(index) => DeviceKind::Metal(index),
    };
    let options = EngineOptions {
        device,
        mmproj: model.mmproj.clone(),
        prefix_dir: environment.cache.as_ref().map(|cache| cache.join("prefixes")),
        ..EngineOptions::default()
    };
    let spec = ModelSpec::of(&model.model, environment)?;
    let path = if let ModelSpec::Path(path) = &spec { Some(path.as_path()) } else { None };
    let names = family::names(&model.model, path);
    if path.is_some() {
        family::refuse_served_only(model, &names)?;
    }
    let engine = match spec {
        ModelSpec::Embedded if device == DeviceKind::Cpu => Engine::embedded()?,
        ModelSpec::Embedded => {
            return Err(Failure::bad_input("the embedded model runs on the CPU only".to_owned())
                .with_hint("leave out `--compute`, or name a checkpoint folder with `--model`"));
        }
        ModelSpec::Path(path) => Engine::load(&path, &options)?,
        ModelSpec::Remote(url) => {
            let remote = remote(&url, &model.server, environment, cancel)?;
            let card = remote.card();
            let profile = family::profile(model, &names, card.prompt_profile.as_deref())?;
            return Ok((Box::new(remote), profile));
        }
    };
    drop(spinner);
    let profile = family::profile(model, &names, engine.card().prompt_profile.as_deref())?;
    Ok((Box::new(engine), profile))
}

/// Finds the model on a server.
fn remote(
    url: &str,
    args: &ServerArgs,
    environment: &Environment,
    cancel: &CancelFlag,
) -> Result<RemoteModel, Failure> {
    let address: Address = url.parse()?;
    let options = RemoteOptions {
        key: environment.keys.of(&address),
        timeout: args.server_timeout,
        schema: args.server_schema.map(SchemaForm::from),
        max_pixels: args.server_max_pixels,
        ..RemoteOptions::default()
    };
    let opened = RemoteModel::open(address, options, cancel);
    if cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    Ok(opened?)
}
