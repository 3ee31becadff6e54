//! The checks of a phone, none of which leaves a trace on it.

use std::time::Instant;

use handsight_actions::{Device, Place, WindowAt};

use super::Report;
use super::checks::capture;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::open;
use crate::settings::Environment;

/// Checks the connection, capture, the app in front and input.
pub(super) fn check(
    serial: Option<&str>,
    environment: &Environment,
    interrupt: &Interrupt,
    report: &mut Report<'_>,
) {
    let mut opened = None;
    let is_there = report.check("phone", || {
        let phone = open::phone(serial, environment, &interrupt.halt)?;
        let info = phone.info();
        opened = Some(phone);
        Ok(format!("{}, {} at scale {:.2}", info.name, info.size, info.scale))
    });
    let Some(phone) = opened.as_mut().filter(|_| is_there) else {
        for name in ["capture", "app", "input"] {
            report.skip(name, "there is no phone");
        }
        return;
    };
    report.check("capture", || capture(phone));
    report.check("app", || match phone.window(Place::Focus)? {
        WindowAt::Window(window) => Ok(format!("{} is in front", window.app)),
        WindowAt::Nothing | WindowAt::Unknown => {
            let message = "the phone does not say which app is in front".to_owned();
            Err(Failure::new(crate::failure::Exit::NotAchieved, anyhow::Error::msg(message))
                .with_hint("rules of a safety policy about apps refuse everything on this phone"))
        }
    });
    report.check("input", || {
        let start = Instant::now();
        phone.check_input()?;
        let ms = start.elapsed().as_secs_f64() * 1000.0;
        Ok(format!("a key without a meaning was taken in {ms:.0} ms"))
    });
}
