//! The devices of scenarios that have several: opened when one first needs them, and kept for the next.

use std::collections::{BTreeMap, BTreeSet};

use handsight_actions::Device as _;
use handsight_scenarios::{NamedDevice, Scenario};

use super::run::{Fleet, Hand};
use super::show::Show;
use crate::args::{ScenarioRunArgs, Station, parse_station};
use crate::failure::Failure;
use crate::print::Printer;

/// A device by the name that a scenario has for it.
type Named = (String, Station);

/// Those that are open, by what the user calls them.
#[derive(Default)]
pub(super) struct Several<'a> {
    open: BTreeMap<String, Hand<'a>>,
}

/// Refuses, before anything is done, devices that cannot be told, or are not needed; `own` is what the
/// scenarios' own device is called.
pub(super) fn check(
    args: &ScenarioRunArgs,
    scenarios: &[Scenario],
    own: &str,
) -> Result<(), Failure> {
    let known: BTreeSet<&String> = scenarios.iter().flat_map(|one| one.devices.keys()).collect();
    if let Some((name, _)) = args.with.iter().find(|(name, _)| !known.contains(name)) {
        let message = format!("no scenario has a device `{name}`");
        return Err(Failure::bad_input(message).with_hint("scenarios name them under `devices:`"));
    }
    for scenario in scenarios.iter().filter(|one| !one.devices.is_empty()) {
        let file = scenario.path.display();
        if !args.devices.is_empty() {
            let message = format!("`{file}` has devices of its own and cannot be shared out");
            let hint = "run it by itself, with `--device` and `--with`";
            return Err(Failure::bad_input(message).with_hint(hint));
        }
        let mut screens = BTreeSet::from([own.to_owned()]);
        for (_, station) in stations(args, scenario)? {
            if !screens.insert(station.name.clone()) {
                let message = format!("two devices of `{file}` are `{}`", station.name);
                let hint = "a screen has one pointer and one focus";
                return Err(Failure::bad_input(message).with_hint(hint));
            }
        }
    }
    Ok(())
}

/// Returns the devices of a scenario, as it says or as `--with` does.
fn stations(args: &ScenarioRunArgs, scenario: &Scenario) -> Result<Vec<Named>, Failure> {
    let devices = scenario.devices.iter().map(|(name, device)| {
        let replaced = args.with.iter().rev().find(|(with, _)| with == name);
        let station = match replaced {
            Some((_, station)) => station.clone(),
            None => parse_station(device).map_err(|expected| {
                let file = scenario.path.display();
                let message = format!("the device `{name}` of `{file}` is `{device}`: {expected}");
                Failure::bad_input(message)
                    .with_hint(format!("correct it, or give `--with {name}=DEVICE`"))
            })?,
        };
        Ok((name.clone(), station))
    });
    devices.collect()
}

impl<'a> Several<'a> {
    /// Opens what a scenario needs and is not open yet.
    pub(super) fn open(
        &mut self,
        fleet: &'a Fleet<'a>,
        scenario: &Scenario,
    ) -> Result<Vec<Named>, Failure> {
        let stations = stations(fleet.args, scenario)?;
        for (_, station) in &stations {
            if !self.open.contains_key(&station.name) {
                let (target, environment, env) = fleet.place(station);
                let hand = fleet.hand(&target, &environment, env)?;
                self.open.insert(station.name.clone(), hand);
            }
        }
        Ok(stations)
    }

    /// Returns what shows each of these, in the order of [`Several::hands`].
    pub(super) fn shows<'s>(&self, stations: &'s [Named], printer: &'s Printer) -> Vec<Show<'s>> {
        let named = self.open.keys().filter_map(|key| name_of(stations, key));
        named.map(|name| Show::beside(printer, name)).collect()
    }

    /// Returns these for a run.
    pub(super) fn hands<'s>(
        &'s mut self,
        stations: &[Named],
        shows: &'s mut [Show<'_>],
    ) -> Vec<NamedDevice<'s>> {
        let open = self.open.iter_mut();
        let named = open.filter_map(|(key, hand)| Some((name_of(stations, key)?, hand)));
        named
            .zip(shows)
            .map(|((name, hand), show)| NamedDevice {
                name: name.to_owned(),
                device: &mut hand.device,
                eyes: &mut hand.eyes,
                observer: show,
                pictures: hand.pictures.as_mut(),
                settle: hand.settle,
                env: hand.env.clone(),
            })
            .collect()
    }

    /// Lets go of those that are lost, so that the next scenario opens them anew.
    pub(super) fn drop_lost(&mut self) {
        let is_lost =
            |hand: &mut Hand<'_>| hand.device.observe().is_err_and(|error| error.is_fatal());
        self.open.retain(|_, hand| !is_lost(hand));
    }
}

/// Returns the name that a scenario has for what the user calls so.
fn name_of<'s>(stations: &'s [Named], station: &str) -> Option<&'s str> {
    let mut stations = stations.iter();
    stations.find(|(_, one)| one.name == station).map(|(name, _)| name.as_str())
}
