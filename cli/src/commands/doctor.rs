//! `doctor`: proves that the parts work, one after another, and says how to mend what does not.
//!
//! Each check is of the whole way there and back: a window of our own has to appear in the
//! screenshot, the display server has to say that the pointer went where it was sent, the window
//! has to receive the click and the text. The user's pointer and focus are put back. Of a phone only
//! what leaves no trace on it is tried.

#[cfg(target_os = "linux")]
mod calibrate;
mod checks;
#[cfg(target_os = "linux")]
mod cover;
#[cfg(target_os = "linux")]
mod own_window;
mod phone;
#[cfg(target_os = "linux")]
mod probe;

use handsight_agent::CancelFlag;
use serde_json::{Value, json};

use crate::args::{DeviceArg, DoctorArgs};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::{Printer, Style};
use crate::settings::Environment;

/// Runs all checks.
pub(crate) fn run(
    args: &DoctorArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    if args.calibrate {
        return calibrate(args, printer, environment);
    }
    let interrupt = Interrupt::listen(printer)?;
    let mut report = Report { printer, results: Vec::new(), cancel: &interrupt.cancel };
    match &args.target.device {
        DeviceArg::Desktop => {
            let choice = args.target.desktop.whole_monitor()?;
            checks::screen(choice.as_ref(), environment, &interrupt, &mut report);
        }
        DeviceArg::Android(_) if args.target.desktop.is_given() => {
            return Err(open::not_a_desktop("phone"));
        }
        DeviceArg::Android(serial) => {
            phone::check(serial.as_deref(), environment, &interrupt, &mut report);
        }
        DeviceArg::Still(_) => {
            return Err(Failure::bad_input("there is nothing to test about a picture".to_owned())
                .with_hint("leave out `--device`, or name a phone"));
        }
    }
    report.check("model", || checks::model(&args.model, printer, environment, &interrupt.cancel));
    report.check("trace", checks::trace);
    interrupt.check()?;
    report.finish()
}

#[cfg(target_os = "linux")]
fn calibrate(
    args: &DoctorArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    if args.target.device != DeviceArg::Desktop {
        return Err(Failure::bad_input("only a desktop can be calibrated".to_owned())
            .with_hint("leave out `--device`"));
    }
    let choice = args.target.desktop.whole_monitor()?;
    calibrate::run(choice.as_ref(), printer, environment)
}

#[cfg(not(target_os = "linux"))]
fn calibrate(_: &DoctorArgs, _: &Printer, _: &Environment) -> Result<Exit, Failure> {
    let message = "this system does not say where a click arrived";
    Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(message)))
}

/// What became of a check.
enum Finding {
    /// It works; how that was seen.
    Proved(String),
    /// It does not.
    Failed(Failure),
    /// It could not be tried; why.
    Skipped(String),
}

/// The checks so far; each is printed as it is made.
struct Report<'a> {
    printer: &'a Printer,
    results: Vec<(&'static str, Finding)>,
    cancel: &'a CancelFlag,
}

impl Report<'_> {
    /// Makes a check and returns whether it was passed.
    fn check(
        &mut self,
        name: &'static str,
        check: impl FnOnce() -> Result<String, Failure>,
    ) -> bool {
        if self.cancel.is_cancelled() {
            return false;
        }
        let spinner = self.printer.spinner(name);
        let result = check();
        drop(spinner);
        let passed = result.is_ok();
        self.add(name, result.map_or_else(Finding::Failed, Finding::Proved));
        passed
    }

    fn skip(&mut self, name: &'static str, why: &str) {
        self.add(name, Finding::Skipped(why.to_owned()));
    }

    fn add(&mut self, name: &'static str, finding: Finding) {
        let (style, mark, text) = match &finding {
            Finding::Proved(proof) => (Style::Green, "✓", proof.clone()),
            Finding::Failed(failure) => (Style::Red, "✗", failure.messages().join(": ")),
            Finding::Skipped(why) => (Style::Dim, "–", format!("not tried: {why}")),
        };
        if !self.printer.json() {
            self.printer.note(&format!("{} {name:8} {text}", self.printer.paint(style, mark)));
            if let Finding::Failed(Failure { hint: Some(hint), .. }) = &finding {
                self.printer.note(&format!(
                    "           {} {hint}",
                    self.printer.paint(Style::Cyan, "hint:")
                ));
            }
        }
        self.results.push((name, finding));
    }

    fn finish(self) -> Result<Exit, Failure> {
        let failed = self
            .results
            .iter()
            .filter(|(_, finding)| matches!(finding, Finding::Failed(_)))
            .count();
        let checks: Vec<Value> =
            self.results.iter().map(|(name, finding)| value(name, finding)).collect();
        let text = match failed {
            0 => "all checks passed".to_owned(),
            1 => "1 check failed".to_owned(),
            failed => format!("{failed} checks failed"),
        };
        self.printer.result(&json!({ "ok": failed == 0, "checks": checks }), &text)?;
        Ok(if failed == 0 { Exit::Done } else { Exit::NotAchieved })
    }
}

fn value(name: &str, finding: &Finding) -> Value {
    match finding {
        Finding::Proved(proof) => json!({ "name": name, "result": "passed", "detail": proof }),
        Finding::Skipped(why) => json!({ "name": name, "result": "skipped", "detail": why }),
        Finding::Failed(failure) => json!({
            "name": name,
            "result": "failed",
            "detail": failure.messages().join(": "),
            "hint": failure.hint,
        }),
    }
}
