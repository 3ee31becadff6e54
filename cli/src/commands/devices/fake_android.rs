//! `devices fake-android`: a phone that other programs can reach over ADB.

use std::time::Duration;

use handsight_actions::{FakeAndroid, FakeAndroidOptions, FakeDoor};
use handsight_agent::settle::pause;
use serde_json::json;

use crate::args::FakeAndroidArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::print::Printer;

pub(super) fn run(args: &FakeAndroidArgs, printer: &Printer) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let options = FakeAndroidOptions {
        address: args.addr,
        size: args.size,
        density: args.density,
        door: if args.auth { FakeDoor::Accepts } else { FakeDoor::Open },
        ..FakeAndroidOptions::default()
    };
    let phone = FakeAndroid::start(&options).map_err(|error| {
        let context = format!("could not listen on {}", args.addr);
        Failure::new(Exit::Unavailable, anyhow::Error::new(error).context(context))
            .with_hint("name another address with `--addr`; a port of 0 takes a free one")
    })?;
    let address = phone.address();
    let text = format!("a fake phone listens on {address}; Ctrl-C switches it off");
    printer.result(&json!({ "address": address, "size": options.size }), &text)?;
    // It serves on threads of its own until the interrupt.
    while pause(Duration::from_secs(3600), &interrupt.cancel) {}
    Ok(Exit::Done)
}
