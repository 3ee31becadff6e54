//! `act`: one action on a screen.

use std::time::Duration;

use handsight_actions::{Action, Device, DeviceError, PixelPoint, Secrets};
use handsight_agent::settle::pause;
use serde_json::json;

use crate::args::ActArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    args: &ActArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let action = parse(&args.action)?;
    let safety = open::policy::read(&args.policy, environment)?;
    let secrets = match &action {
        Action::Type { text } => open::secrets::named_in(text, &args.secrets, environment)?,
        _ => Secrets::default(),
    };
    let interrupt = Interrupt::listen(printer)?;
    let rules = (safety, secrets);
    let mut device = open::guarded(&args.target, rules, printer, environment, &interrupt)?;
    let info = device.info();
    let performed = !args.dry_run && args.target.is_real();
    if args.dry_run {
        action.validate(info.size).map_err(|error| {
            let context = format!("device `{}` would refuse the action", info.name);
            Failure::new(Exit::BadInput, anyhow::Error::new(error).context(context))
        })?;
        device.check(&action)?;
    } else {
        device.perform(&action).map_err(|error| {
            // What halted it is said where it was halted.
            let halted = matches!(error, DeviceError::Halted { .. });
            if halted && interrupt.cancel.is_cancelled() {
                Failure::interrupted()
            } else {
                error.into()
            }
        })?;
        if let Action::Wait { time } = action {
            pause(Duration::from_secs_f64(time), &interrupt.cancel);
        }
        device.release_all()?;
        interrupt.check()?;
    }
    let value = json!({ "action": action, "device": info.name, "performed": performed });
    let suffix = if performed { "" } else { "  (checked, not performed)" };
    printer.result(&value, &format!("{action}{suffix}"))?;
    Ok(Exit::Done)
}

fn parse(text: &str) -> Result<Action<PixelPoint>, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let error = anyhow::Error::new(error).context("the action cannot be used");
        Failure::new(Exit::BadInput, error).with_hint(
            "an action looks like {\"action\":\"left_click\",\"coordinate\":[120,44]}; \
             `handsight schema` describes all of them",
        )
    })
}
