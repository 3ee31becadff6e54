//! `serve`: the model for other programs, over HTTP.

use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use handsight_actions::DeviceKind;
use handsight_agent::PromptProfile;
use handsight_model::{Engine, SchedulerLimits};
use handsight_scenarios::LazyModel;

use crate::args::{MayArgs, ServeArgs, TalkArgs, TargetArgs};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::serve::{self, Agents, EpisodeRules, ServeOptions};
use crate::session_thread::SessionThread;
use crate::settings::Environment;

pub(crate) fn run(
    args: ServeArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let token = open::gate::token(args.addr, &args.gate, environment)?;
    // A body takes its room twice while it is read: as bytes, and as what they say.
    if args.max_request_memory_mb < 2 * u32::from(args.max_body_mb) {
        let message = format!(
            "{} MB for requests are too few for bodies of {} MB",
            args.max_request_memory_mb, args.max_body_mb
        );
        return Err(Failure::bad_input(message)
            .with_hint("make `--max-request-memory-mb` at least twice `--max-body-mb`"));
    }
    let file_root = args.allow_file_root.as_deref().map(open_root).transpose()?;
    if args.device.is_none() && (args.desktop.is_given() || args.may.needs_device()) {
        return Err(Failure::bad_input("no device is served to agents".to_owned())
            .with_hint("name one with `--device`, such as `--device desktop`"));
    }
    let target = args.device.map(|device| TargetArgs { device, desktop: args.desktop });
    // What may be done is read first: a model takes a while.
    let safety = open::policy::read(&args.may.policy, environment)?;
    let (name, how) = (&args.model.model, (&args.model.load, &args.model.talk));
    let (engine, profile) = open::engine_and_profile(name, how, printer, environment)?;
    let engine = Arc::new(engine);
    let episodes = EpisodeRules {
        desktop: profile.clone(),
        phone: open::profile_for(DeviceKind::Android, &args.model.talk, profile.clone()),
        safety,
        traces: args.may.traces.clone(),
    };
    let agents = target.map(|target| {
        let model = (Arc::clone(&engine), profile, &args.model.talk);
        agents((&target, &args.may), model, printer, environment)
    });
    let agents = agents.transpose()?;
    let (agents, _interrupt) = agents.unzip();
    let name = args.served_name.unwrap_or_else(|| engine.info().name.clone());
    let options = ServeOptions {
        addr: args.addr,
        name,
        token,
        hosts: args.gate.allow_host,
        file_root,
        scheduler: SchedulerLimits {
            max_running: args.max_running.into(),
            max_queued: args.max_queued.into(),
            max_tokens: args.max_running_tokens as usize,
        },
        max_body_bytes: usize::from(args.max_body_mb) << 20,
        memory_bytes: (args.max_request_memory_mb as usize) << 20,
        max_images: args.max_images.into(),
        max_image_pixels: args.max_image_pixels,
        default_max_tokens: args.default_max_tokens as usize,
        drain: args.drain,
        episodes,
    };
    serve::run(engine, agents, options, printer)
}

/// Opens the device for agents, who share the model with all other requests.
fn agents(
    parts: (&TargetArgs, &MayArgs),
    (engine, profile, talk): (Arc<Engine>, PromptProfile, &TalkArgs),
    printer: &Printer,
    environment: &Environment,
) -> Result<(Agents, Interrupt), Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let model = |kind| {
        let profile = open::profile_for(kind, talk, profile);
        LazyModel::new(move || Ok((Box::new(Arc::clone(&engine)), profile.clone())))
    };
    let session = open::session(parts, model, printer, environment, &interrupt)?;
    let session = SessionThread::start(session, interrupt.halt.clone());
    Ok((Agents { session, cancel: interrupt.cancel.clone() }, interrupt))
}

/// Resolves the folder once, so that files can be compared with it.
fn open_root(path: &Path) -> Result<std::path::PathBuf, Failure> {
    let root = fs::canonicalize(path).map_err(|error| Failure::new(Exit::BadInput, error))?;
    if !root.is_dir() {
        let message = format!("`{}` is not a folder", path.display());
        return Err(Failure::bad_input(message));
    }
    Ok(root)
}
