//! `scenario run`: on one device or several, in part or whole, once or several times.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use fs_err as fs;
use handsight_actions::{Device as _, Guard, SafetyPolicy, Secrets, is_wayland};
use handsight_agent::SettleOptions;
use handsight_scenarios::report::film::{Film, write_film};
use handsight_scenarios::report::suite::{PICTURES, write_suite};
use handsight_scenarios::suite::{
    DeviceResult, Ran, RunOn, Seat, SharedOut, SuiteResult, digest_of, share_out,
};
use handsight_scenarios::{
    PictureFolder, RunControls, RunOptions, Scenario, ScenarioResult, Status, run_scenario_with,
};

use super::eyes::{LazyEyes, LazyModel};
use super::several::Several;
use super::show::Show;
use super::{exit, files, several, value};
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
    several::check(args, &scenarios, &name_of(&args.target.device))?;
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
pub(super) struct Fleet<'a> {
    pub(super) args: &'a ScenarioRunArgs,
    rules: (SafetyPolicy, Secrets),
    model: &'a LazyModel<'a>,
}

/// A device that is open, with what it takes to run steps on it.
pub(super) struct Hand<'a> {
    pub(super) device: Guard,
    pub(super) eyes: LazyEyes<'a>,
    pub(super) settle: SettleOptions,
    pub(super) pictures: Option<PictureFolder>,
    /// A variable by which programs that a scenario starts find the same device.
    pub(super) env: BTreeMap<String, String>,
}

impl<'a> Fleet<'a> {
    /// The one device of `--device`.
    fn only(&'a self) -> Seat<'a, Failure> {
        let target = &self.args.target;
        let open = move || Ok(self.open(self.hand(target, self.model.environment, None)?, None));
        Seat { name: name_of(&target.device), open: Box::new(open) }
    }

    /// One of several devices.
    fn seat(&'a self, station: &'a Station) -> Seat<'a, Failure> {
        let open = move || {
            let (target, environment, own) = self.place(station);
            Ok(self.open(self.hand(&target, &environment, own)?, Some(&station.name)))
        };
        Seat { name: station.name.clone(), open: Box::new(open) }
    }

    /// Returns where a device is, and the variable by which other programs find it.
    pub(super) fn place(
        &self,
        station: &Station,
    ) -> (TargetArgs, Environment, Option<(&'static str, String)>) {
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
        (TargetArgs { device: station.device.clone(), desktop }, environment, own)
    }

    /// Opens a device.
    pub(super) fn hand(
        &'a self,
        target: &TargetArgs,
        environment: &Environment,
        own: Option<(&str, String)>,
    ) -> Result<Hand<'a>, Failure> {
        let LazyModel { printer, interrupt, .. } = *self.model;
        let device = open::guarded(target, self.rules.clone(), printer, environment, interrupt)?;
        let settle = open::settle(&target.device);
        let eyes = LazyEyes::new(self.model, device.info().kind, settle);
        let pictures = self.args.report.as_ref().map(|folder| folder.join(PICTURES));
        let pictures = pictures.map(PictureFolder::new);
        let env = own.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Ok(Hand { device, eyes, settle, pictures, env })
    }

    /// Returns what runs scenarios on a device.
    fn open(&'a self, mut hand: Hand<'a>, label: Option<&'a str>) -> RunOn<'a> {
        let LazyModel { printer, interrupt, .. } = *self.model;
        let mut env = settings::harmless_variables();
        env.extend(hand.env.clone());
        let options = RunOptions {
            anchors: self.args.anchors.into(),
            settle: hand.settle,
            seed: self.args.seed,
            skip_tags: self.args.tags.skip_tags.iter().cloned().collect(),
            vars: self.args.vars.iter().cloned().collect(),
            env,
            ..RunOptions::default()
        };
        let repeat = self.args.repeat;
        let own_name = name_of(&self.args.target.device);
        let mut several = Several::default();
        Box::new(move |scenario, run| {
            let stations = match several.open(self, scenario) {
                Ok(stations) => stations,
                Err(failure) => return Ran { result: failed(scenario, failure), lost: None },
            };
            // Lines of one device among those of others have to say whose they are.
            let own = (!stations.is_empty()).then_some(own_name.as_str());
            let mut show = Show::new(printer, scenario, label.or(own), (run, repeat));
            let mut shows = several.shows(&stations, printer);
            let controls = RunControls {
                device: &mut hand.device,
                eyes: &mut hand.eyes,
                observer: &mut show,
                pictures: hand.pictures.as_mut(),
                cancel: &interrupt.cancel,
            };
            let others = several.hands(&stations, &mut shows);
            let result = run_scenario_with(scenario, &options, controls, others)
                .unwrap_or_else(|error| failed(scenario, Failure::from(error)));
            show.ended(&result);
            let mut lost = None;
            if result.status == Status::Failed {
                several.drop_lost();
                lost = hand.device.observe().err();
            }
            let lost = lost.filter(handsight_actions::DeviceError::is_fatal);
            Ran { result, lost: lost.map(|error| Failure::from(error).messages().join(": ")) }
        })
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

/// The result of a scenario that cannot be run, for its anchors or one of its devices: others are run all the
/// same.
fn failed(scenario: &Scenario, failure: Failure) -> ScenarioResult {
    ScenarioResult::not_begun(scenario, failure.messages().join(": "), failure.hint)
}
