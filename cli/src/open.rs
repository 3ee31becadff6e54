//! Opens what the arguments name: a device, a picture, a model.

mod family;
pub(crate) mod gate;
mod media;
pub(crate) mod policy;
pub(crate) mod secrets;
mod session;

pub(crate) use media::{image, image_file, video};
pub(crate) use session::{session, shared_session};

use std::path::Path;
use std::sync::Arc;

use handsight_actions::clipboard::Pasting;
use handsight_actions::{
    AdbAddress, AndroidDevice, AndroidOptions, BadAdbAddress, DesktopDevice, DesktopOptions,
    Device, DeviceError, DeviceKind, Guard, Halt, Observation, PortalOptions, SafetyPolicy,
    SecretHand, Secrets, StillDevice, WatchOptions, session_display,
};
use handsight_agent::{
    Address, CancelFlag, ModelOptions, ModelPolicy, PromptProfile, RemoteModel, RemoteOptions,
    SchemaForm, SettleOptions, VisionModel,
};
use handsight_model::{DeviceMap, Engine, EngineOptions, Scheduler, SchedulerLimits};

use crate::args::{DeviceArg, LoadArgs, ModelArgs, ServerArgs, TalkArgs, TargetArgs};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::model_spec::ModelSpec;
use crate::print::Printer;
use crate::settings::Environment;

/// Opens the device that was named; its input stops with `halt`, and as a safety policy says.
pub(crate) fn device(
    target: &TargetArgs,
    safety: Option<&SafetyPolicy>,
    environment: &Environment,
    halt: &Halt,
) -> Result<Box<dyn Device>, Failure> {
    match &target.device {
        DeviceArg::Still(_) if target.desktop.is_given() => Err(not_a_desktop("picture")),
        DeviceArg::Android(_) if target.desktop.is_given() => Err(not_a_desktop("phone")),
        DeviceArg::Android(serial) => Ok(Box::new(phone(serial.as_deref(), environment, halt)?)),
        DeviceArg::Still(path) => Ok(Box::new(StillDevice::open(path)?)),
        DeviceArg::Desktop => {
            let mut options = target.desktop.options();
            options.paste = safety.map_or_else(Pasting::default, |safety| safety.paste);
            desktop(options, safety.map(policy::watch), environment, halt)
        }
    }
}

/// Returns how long to wait for a still screen on a device.
pub(crate) fn settle(device: &DeviceArg) -> SettleOptions {
    match device {
        DeviceArg::Desktop => SettleOptions::default(),
        DeviceArg::Android(_) => SettleOptions::phone(),
        DeviceArg::Still(_) => SettleOptions::immediate(),
    }
}

/// Refuses what only a desktop has.
pub(crate) fn not_a_desktop(what: &str) -> Failure {
    Failure::bad_input(format!("a {what} has no monitors, windows or regions"))
        .with_hint("leave out `--monitor`, `--window` and `--region`")
}

/// Opens the device that was named, so that Ctrl-C makes it let go of everything, behind a safety
/// policy; secrets are put in below that.
pub(crate) fn guarded(
    target: &TargetArgs,
    (safety, secrets): (SafetyPolicy, Secrets),
    printer: &Printer,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<Guard, Failure> {
    let device = beneath_guard(target, (&safety, secrets), printer, environment, interrupt)?;
    Ok(policy::guard(device, safety, printer, interrupt))
}

/// Opens the device that was named as [`guarded`] does, where there is nobody who could be asked: what has
/// to be asked about is refused.
pub(crate) fn guarded_alone(
    target: &TargetArgs,
    (safety, secrets): (SafetyPolicy, Secrets),
    printer: &Printer,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<Guard, Failure> {
    let device = beneath_guard(target, (&safety, secrets), printer, environment, interrupt)?;
    Ok(Guard::new(device, safety).heeding(interrupt.halt.clone()))
}

fn beneath_guard(
    target: &TargetArgs,
    (safety, secrets): (&SafetyPolicy, Secrets),
    printer: &Printer,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<Box<dyn Device>, Failure> {
    let is_desktop = target.device == DeviceArg::Desktop;
    let display = if is_desktop { display(environment) } else { None };
    interrupt.be_reachable(printer, environment);
    if let Some(file) = &safety.stop.file {
        interrupt.stop_on(file.clone());
    }
    let device = device(target, Some(safety), environment, &interrupt.halt)?;
    let device = Box::new(SecretHand::new(device, secrets));
    Ok(Box::new(interrupt.share(device, display.as_deref(), environment)))
}

/// Returns the display of the session's desktop; `None`, where there is but one or none is named.
pub(crate) fn display(environment: &Environment) -> Option<String> {
    session_display(environment.display.as_deref(), environment.wayland.as_deref())
}

/// Returns how the desktop portal is used: what the user allowed once is kept.
pub(crate) fn portal(environment: &Environment) -> PortalOptions {
    let memory = environment.state.as_ref().map(|state| state.join("portal"));
    PortalOptions { bus: None, memory }
}

/// Opens a monitor or a window of the session's desktop.
pub(crate) fn desktop(
    options: DesktopOptions,
    watch: Option<WatchOptions>,
    environment: &Environment,
    halt: &Halt,
) -> Result<Box<dyn Device>, Failure> {
    let display = display(environment);
    let portal = portal(environment);
    let options = DesktopOptions { display: display.clone(), portal, ..options };
    let device = DesktopDevice::open(&options).map_err(|error| no_desktop(error, environment))?;
    let mut device = device.heeding(halt.clone());
    #[cfg(target_os = "linux")]
    if let (Some(program), Some(display)) = (&environment.program, display) {
        let keeper = crate::clipboard_keeper::keeper(program.clone(), display);
        device = device.keeping_clipboard(keeper);
    }
    if let Some(watch) = watch {
        // Where the user cannot be watched, Ctrl-C and `handsight stop` remain.
        device.watch_user(watch)?;
    }
    Ok(Box::new(device))
}

/// Opens a phone, which is the only one if none is named here or by the environment.
pub(crate) fn phone(
    serial: Option<&str>,
    environment: &Environment,
    halt: &Halt,
) -> Result<AndroidDevice, Failure> {
    let serial = serial.map(str::to_owned).or_else(|| environment.adb.serial.clone());
    let server = adb_server(environment)?;
    let keys = environment.adb.keys.clone();
    let options = AndroidOptions { server, serial, keys, ..AndroidOptions::default() };
    Ok(AndroidDevice::open(&options)?.heeding(halt.clone()))
}

/// Returns where the ADB server is, as `adb` itself would find it.
pub(crate) fn adb_server(environment: &Environment) -> Result<AdbAddress, Failure> {
    let Some((variable, value)) = &environment.adb.server else { return Ok(AdbAddress::default()) };
    value.parse().map_err(|error: BadAdbAddress| {
        let error = anyhow::Error::new(error).context(format!("{variable} cannot be used"));
        Failure::new(Exit::BadInput, error)
    })
}

/// Explains an error of the desktop with what is known of the session.
pub(crate) fn no_desktop(error: DeviceError, environment: &Environment) -> Failure {
    let no_display = matches!(error, DeviceError::NoDisplay { .. });
    let failure = Failure::from(error);
    if no_display && environment.wayland.is_some() && cfg!(feature = "wayland") {
        return failure.with_hint(
            "log in again, or name the socket of a running compositor with WAYLAND_DISPLAY or an X11 \
             display with DISPLAY",
        );
    }
    if no_display && environment.display.is_none() && environment.wayland.is_some() {
        return failure.with_hint(
            "this is a Wayland session, which lets no program see its screen or type on it; log in \
             to an X11 session (often called “on Xorg”), or start a virtual display with `Xvfb :99 \
             -screen 0 1280x720x24` and name it with DISPLAY",
        );
    }
    failure
}

/// Reads a picture.
pub(crate) fn picture(path: &Path) -> Result<Observation, Failure> {
    Ok(StillDevice::open(path)?.observe()?)
}

/// Loads the model that was named, or finds it on its server, with the prompt it is to be spoken to
/// in.
pub(crate) fn model(
    args: &ModelArgs,
    printer: &Printer,
    environment: &Environment,
    cancel: &CancelFlag,
) -> Result<(Box<dyn VisionModel>, PromptProfile), Failure> {
    batching_model(args, 1, printer, environment, cancel)
}

/// The same, where a model in this process answers up to `batch` threads that ask at once in common passes.
pub(crate) fn batching_model(
    args: &ModelArgs,
    batch: usize,
    printer: &Printer,
    environment: &Environment,
    cancel: &CancelFlag,
) -> Result<(Box<dyn VisionModel>, PromptProfile), Failure> {
    let spec = ModelSpec::of(&args.model, environment)?;
    let path = if let ModelSpec::Path(path) = &spec { Some(path.as_path()) } else { None };
    let names = family::names(&args.model, path);
    if path.is_some() {
        family::refuse_served_only(&args.talk, &names)?;
    }
    let model: Box<dyn VisionModel> = match &spec {
        ModelSpec::Remote(url) => Box::new(remote(url, &args.server, environment, cancel)?),
        _ if batch > 1 => {
            let engine = load(&args.load, spec, printer, environment)?;
            let limits = SchedulerLimits {
                max_running: batch,
                max_queued: batch,
                ..SchedulerLimits::default()
            };
            Box::new(Scheduler::new(Arc::new(engine), limits))
        }
        _ => Box::new(load(&args.load, spec, printer, environment)?),
    };
    let profile = family::profile(&args.talk, &names, model.card().prompt_profile.as_deref())?;
    Ok((model, profile))
}

/// Loads the model that was named to pursue goals on a desktop, and says how many earlier screenshots it is best
/// shown.
pub(crate) fn desktop_policy(
    args: &ModelArgs,
    printer: &Printer,
    environment: &Environment,
    cancel: &CancelFlag,
) -> Result<(ModelPolicy, usize), Failure> {
    let (model, profile) = model(args, printer, environment, cancel)?;
    profile.check_acts()?;
    let images_in_history = profile.images_in_history();
    Ok((ModelPolicy::new(model, profile, ModelOptions::default()), images_in_history))
}

/// Loads the model that was named to act on a device of a kind: families know phones from desktops.
pub(crate) fn acting_model(
    args: &ModelArgs,
    kind: DeviceKind,
    printer: &Printer,
    environment: &Environment,
    cancel: &CancelFlag,
) -> Result<(Box<dyn VisionModel>, PromptProfile), Failure> {
    let (model, profile) = model(args, printer, environment, cancel)?;
    Ok((model, profile_for(kind, &args.talk, profile)))
}

/// Returns a profile for a device of a kind, unless the user named the prompt.
pub(crate) fn profile_for(
    kind: DeviceKind,
    talk: &TalkArgs,
    profile: PromptProfile,
) -> PromptProfile {
    let on_phone = kind == DeviceKind::Android && talk.prompt.is_none();
    if on_phone { profile.on_phone() } else { profile }
}

/// Loads the model that was named into this process.
pub(crate) fn engine(
    args: &ModelArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Engine, Failure> {
    load(&args.load, ModelSpec::of(&args.model, environment)?, printer, environment)
}

/// Loads a model into this process, with the prompt it is to be spoken to in.
pub(crate) fn engine_and_profile(
    model: &str,
    (how, talk): (&LoadArgs, &TalkArgs),
    printer: &Printer,
    environment: &Environment,
) -> Result<(Engine, PromptProfile), Failure> {
    let spec = ModelSpec::of(model, environment)?;
    let path = if let ModelSpec::Path(path) = &spec { Some(path.clone()) } else { None };
    let names = family::names(model, path.as_deref());
    let engine = load(how, spec, printer, environment)?;
    let profile = family::profile(talk, &names, engine.info().prompt_profile.as_deref())?;
    Ok((engine, profile))
}

fn load(
    args: &LoadArgs,
    spec: ModelSpec,
    printer: &Printer,
    environment: &Environment,
) -> Result<Engine, Failure> {
    let _spinner = printer.spinner("loading the model");
    let options = engine_options(args, environment);
    match spec {
        ModelSpec::Embedded if [DeviceMap::Auto, DeviceMap::default()].contains(&args.compute) => {
            Ok(Engine::embedded()?)
        }
        ModelSpec::Embedded => {
            Err(Failure::bad_input("the embedded model runs on the CPU only".to_owned())
                .with_hint("leave out `--compute`, or name a checkpoint folder with `--model`"))
        }
        ModelSpec::Path(path) => Ok(Engine::load(&path, &options)?),
        ModelSpec::Remote(url) => Err(Failure::bad_input(format!(
            "`{url}` is a server, and this needs a model in this process"
        ))
        .with_hint("name a folder, a GGUF file or a pulled model with `--model`")),
    }
}

/// Returns how a checkpoint is to be loaded.
fn engine_options(args: &LoadArgs, environment: &Environment) -> EngineOptions {
    EngineOptions {
        devices: args.compute.clone(),
        memory: args.memory,
        mmproj: args.mmproj.clone(),
        dtype: args.dtype,
        quantize: args.quantize,
        exact: args.exact,
        prefix_dir: environment.cache.as_ref().map(|cache| cache.join("prefixes")),
        ..EngineOptions::default()
    }
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
