//! `scenario run`: on one device or several, in part or whole, once or several times.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fs_err as fs;
use handsight_actions::{Device as _, SafetyPolicy, Secrets, is_wayland};
use handsight_scenarios::report::film::{Film, write_film};
use handsight_scenarios::report::suite::{PICTURES, write_suite};
use handsight_scenarios::suite::{
    DeviceResult, Ran, RunOn, Seat, SharedOut, SuiteResult, digest_of, share_out,
};
use handsight_scenarios::{
    AnchorError, PictureFolder, RunControls, RunOptions, Scenario, ScenarioResult, Status,
    run_scenario,
};

use super::eyes::{LazyEyes, LazyModel};
use super::show::Show;
use super::{exit, files, value};
use crate::args::{DesktopArgs, DeviceArg, ScenarioRunArgs, Station, TargetArgs};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::settings::{self, Environment};

pub(super) fn run(
    args: &ScenarioRunArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    check_devices(&args.devices)?;
    // All are read before the first is run: a mistake in the last must not cost an hour.
    let scenarios = chosen(args)?;
    let suite = digest_of(&scenarios);
    let scenarios = match args.shard {
        Some(shard) => shard.part(scenarios),
        None => scenarios,
    };
    let safety = open::policy::read(&args.policy, environment)?;
    let texts: Vec<String> = scenarios.iter().map(Scenario::whole_text).collect();
    let secrets = open::secrets::named_in(&texts.join("\n"), &args.secrets, environment)?;
    let interrupt = Interrupt::listen(printer)?;
    let model = LazyModel::new(&args.model, printer, environment, &interrupt);
    let fleet = Fleet { args, rules: (safety, secrets), model: &model };
    let seats = if args.devices.is_empty() {
        vec![fleet.only()]
    } else {
        args.devices.iter().map(|station| fleet.seat(station)).collect()
    };
    let shared = if scenarios.is_empty() {
        printer.note("there is nothing to run");
        SharedOut { results: Vec::new(), devices: Vec::new() }
    } else {
        share_out(&scenarios, args.repeat, seats, &interrupt.cancel)
    };
    let devices = fleet.devices(shared.devices, printer)?;
    let result = SuiteResult::new(suite, args.shard, devices, shared.results);
    if let Some(folder) = &args.report {
        write_suite(folder, &result)?;
        printer.note(&format!("report in {}", folder.join("report.html").display()));
        for (path, film) in [(&args.gif, Film::Gif), (&args.mp4, Film::Mp4)] {
            if let Some(path) = path {
                let pictures = write_film(path, film, &result, &folder.join(PICTURES))?;
                printer.note(&format!("film of {pictures} pictures in {}", path.display()));
            }
        }
    }
    printer.result(&value(&result), &result.tally.to_string())?;
    if interrupt.cancel.is_cancelled() {
        return Ok(Exit::Interrupted);
    }
    Ok(exit(result.tally, args.accept_healed))
}

/// Refuses one screen under two names: two runs on it would take each other's input.
fn check_devices(stations: &[Station]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    match stations.iter().find(|station| !seen.insert(&station.name)) {
        Some(twice) => {
            let message = format!("the device `{}` is named twice", twice.name);
            Err(Failure::bad_input(message).with_hint("a screen has one pointer and one focus"))
        }
        None => Ok(()),
    }
}

/// Reads the scenarios that are to be run, those of other shards included.
fn chosen(args: &ScenarioRunArgs) -> Result<Vec<Scenario>, Failure> {
    let Some(report) = &args.rerun_failed else {
        return files::open(&files::find(&args.paths)?, &args.tags);
    };
    let failed = SuiteResult::read(report)?.failed_files();
    let paths: Vec<PathBuf> = if args.paths.is_empty() {
        failed.into_iter().collect()
    } else {
        // The same file may be named in another way this time.
        let whole = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let failed: BTreeSet<PathBuf> = failed.iter().map(whole).collect();
        let named = files::find(&args.paths)?.into_iter();
        named.filter(|path| failed.contains(&whole(path))).collect()
    };
    if paths.is_empty() { Ok(Vec::new()) } else { files::open(&paths, &args.tags) }
}

/// What all devices of a run have in common.
struct Fleet<'a> {
    args: &'a ScenarioRunArgs,
    rules: (SafetyPolicy, Secrets),
    model: &'a LazyModel<'a>,
}

impl<'a> Fleet<'a> {
    /// The one device of `--device`.
    fn only(&'a self) -> Seat<'a, Failure> {
        let open = || self.open(&self.args.target, self.model.environment, None, None);
        Seat { name: name_of(&self.args.target.device), open: Box::new(open) }
    }

    /// One of several devices.
    fn seat(&'a self, station: &'a Station) -> Seat<'a, Failure> {
        let open = move || {
            let mut environment = self.model.environment.clone();
            let mut own = None;
            if let Some(display) = &station.display {
                let (x11, wayland) = if is_wayland(display) {
                    (None, Some(display.clone()))
                } else {
                    (Some(display.clone()), None)
                };
                let variable = if x11.is_some() { "DISPLAY" } else { "WAYLAND_DISPLAY" };
                (environment.display, environment.wayland) = (x11, wayland);
                own = Some((variable, display.clone()));
            }
            if let DeviceArg::Android(Some(serial)) = &station.device {
                own = Some(("ANDROID_SERIAL", serial.clone()));
            }
            let desktop = DesktopArgs::default();
            let target = TargetArgs { device: station.device.clone(), desktop };
            self.open(&target, &environment, Some(&station.name), own)
        };
        Seat { name: station.name.clone(), open: Box::new(open) }
    }

    /// Opens a device and returns what runs scenarios on it; `own` is a variable by which programs
    /// that a scenario starts find the same device.
    fn open(
        &'a self,
        target: &TargetArgs,
        environment: &Environment,
        label: Option<&'a str>,
        own: Option<(&str, String)>,
    ) -> Result<RunOn<'a>, Failure> {
        let LazyModel { printer, interrupt, .. } = *self.model;
        let mut device =
            open::guarded(target, self.rules.clone(), printer, environment, interrupt)?;
        let settle = open::settle(&target.device);
        let mut eyes = LazyEyes::new(self.model, device.info().kind, settle);
        let mut env = settings::harmless_variables();
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let options = RunOptions {
            anchors: self.args.anchors.into(),
            settle,
            seed: self.args.seed,
            skip_tags: self.args.tags.skip_tags.iter().cloned().collect(),
            vars: self.args.vars.iter().cloned().collect(),
            env,
            ..RunOptions::default()
        };
        let pictures = self.args.report.as_ref().map(|folder| folder.join(PICTURES));
        let mut pictures = pictures.map(PictureFolder::new);
        let repeat = self.args.repeat;
        Ok(Box::new(move |scenario, run| {
            let mut show = Show::new(printer, scenario, label, (run, repeat));
            let controls = RunControls {
                device: &mut device,
                eyes: &mut eyes,
                observer: &mut show,
                pictures: pictures.as_mut(),
                cancel: &interrupt.cancel,
            };
            let result = run_scenario(scenario, &options, controls)
                .unwrap_or_else(|error| unusable(scenario, error));
            show.ended(&result);
            let failed = result.status == Status::Failed;
            let lost = if failed { device.observe().err() } else { None };
            let lost = lost.filter(handsight_actions::DeviceError::is_fatal);
            Ran { result, lost: lost.map(|error| Failure::from(error).messages().join(": ")) }
        }))
    }

    /// Says what became of the devices; fails if none could be opened.
    fn devices(
        &self,
        devices: Vec<(DeviceResult, Option<Failure>)>,
        printer: &Printer,
    ) -> Result<Vec<DeviceResult>, Failure> {
        let none_opened = devices.iter().all(|(_, failure)| failure.is_some());
        let mut results = Vec::new();
        for (mut device, failure) in devices {
            if let Some(failure) = failure {
                if none_opened && self.args.devices.len() < 2 {
                    return Err(failure);
                }
                device.problem = Some(failure.messages().join(": "));
                device.hint = failure.hint;
            }
            if let Some(problem) = &device.problem {
                printer.note(&format!("device {}: {problem}", device.name));
                if let Some(hint) = &device.hint {
                    printer.note(&format!("hint: {hint}"));
                }
            }
            results.push(device);
        }
        if none_opened && !results.is_empty() {
            let message = "none of the devices could be opened".to_owned();
            return Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(message))
                .with_hint("`handsight devices` lists what is there"));
        }
        Ok(results)
    }
}

/// Returns what a device is called on the command line.
fn name_of(device: &DeviceArg) -> String {
    match device {
        DeviceArg::Desktop => "desktop".to_owned(),
        DeviceArg::Android(None) => "android".to_owned(),
        DeviceArg::Android(Some(serial)) => format!("android:{serial}"),
        DeviceArg::Still(file) => format!("still:{}", file.display()),
    }
}

/// The result of a scenario whose anchors cannot be read or written: others are run all the same.
fn unusable(scenario: &Scenario, error: AnchorError) -> ScenarioResult {
    let failure = Failure::from(error);
    ScenarioResult::not_begun(scenario, failure.messages().join(": "), failure.hint)
}
