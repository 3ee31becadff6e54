//! `devices`: the monitors that can be observed and acted on, and a phone to try things out on.

mod fake_android;

use handsight_actions::{Monitor, monitors};
use serde_json::{Value, json};

use crate::args::{DevicesArgs, DevicesCommand};
use crate::failure::{Exit, Failure};
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    args: &DevicesArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match &args.command {
        None => list(printer, environment),
        Some(DevicesCommand::FakeAndroid(args)) => fake_android::run(args, printer),
    }
}

fn list(printer: &Printer, environment: &Environment) -> Result<Exit, Failure> {
    let display = environment.display.as_deref();
    let monitors = monitors(display).map_err(|error| open::no_desktop(error, environment))?;
    let values: Vec<Value> = monitors.iter().enumerate().map(value).collect();
    let lines: Vec<String> = monitors.iter().enumerate().map(line).collect();
    printer.result(&json!({ "display": display, "monitors": values }), &lines.join("\n"))?;
    Ok(Exit::Done)
}

fn value((index, monitor): (usize, &Monitor)) -> Value {
    let layout = &monitor.layout;
    json!({
        "index": index,
        "name": monitor.name,
        "width": layout.size.width,
        "height": layout.size.height,
        "x": layout.origin.x,
        "y": layout.origin.y,
        "scale": monitor.scale,
        "primary": monitor.is_primary,
    })
}

fn line((index, monitor): (usize, &Monitor)) -> String {
    let layout = &monitor.layout;
    let primary = if monitor.is_primary { "  primary" } else { "" };
    format!(
        "{index}  {}  {} at ({}, {})  scale {}{primary}",
        monitor.name, layout.size, layout.origin.x, layout.origin.y, monitor.scale
    )
}
