//! A check of your own: an episode ends with the policy's claim, and what is so is judged afterwards, from
//! the device's own state. The report shows both.
//!
//! ```console
//! $ cargo run --package handsight-scenarios --example custom_check -- out
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use handsight_actions::{Action, FakeDevice, FakeScreen, Halt, Rect, Size, Status};
use handsight_agent::{
    CancelFlag, Controls, EpisodeOptions, ScriptedPolicy, SettleOptions, TraceRecorder, run_episode,
};
use handsight_scenarios::score::Rate;
use handsight_scenarios::{CheckResult, write_report};

const NAME: Rect = Rect { x: 20, y: 20, width: 200, height: 24 };
const CITY: Rect = Rect { x: 20, y: 60, width: 200, height: 24 };

/// Judges what stands in the fields of a form: wholly right, or the share of them that is.
pub(crate) fn form_holds(device: &FakeDevice, expected: &[(&str, &str)]) -> CheckResult {
    let mut right = Rate::default();
    let mut wrong = Vec::new();
    for (field, text) in expected {
        let found = device.text(field);
        right.add(found == Some(text));
        if found != Some(text) {
            wrong.push(format!("{field} holds {found:?}"));
        }
    }
    CheckResult {
        name: "the form is filled in".to_owned(),
        score: right.share(),
        found: (!wrong.is_empty()).then(|| wrong.join(", ")),
    }
}

/// Runs an episode that fills in a form, judges it, and writes its report beside the trace.
pub(crate) fn run(city: &str, trace: &Path) -> Result<(CheckResult, PathBuf), Box<dyn Error>> {
    let form = FakeScreen::new("form").field("Name", NAME).field("City", CITY);
    let mut device = FakeDevice::new(Size { width: 320, height: 200 }, vec![form]);
    let mut policy = ScriptedPolicy::actions([
        Action::LeftClick { coordinate: NAME.center() },
        Action::Type { text: "Ada".to_owned() },
        Action::LeftClick { coordinate: CITY.center() },
        Action::Type { text: city.to_owned() },
        Action::Terminate { status: Status::Success },
    ]);
    let options =
        EpisodeOptions { settle: SettleOptions::immediate(), ..EpisodeOptions::default() };
    let mut recorder = TraceRecorder::create(trace)?;
    let mut controls = Controls {
        observer: &mut recorder,
        user: &mut (),
        cancel: &CancelFlag::default(),
        halt: &Halt::default(),
    };
    run_episode(&mut device, &mut policy, "fill in the form", &options, &mut controls)?;
    let check = form_holds(&device, &[("Name", "Ada"), ("City", "Paris")]);
    let report = write_report(trace, Some(std::slice::from_ref(&check)))?;
    Ok((check, report))
}

#[expect(clippy::print_stdout, reason = "an example of a program, not a library")]
fn main() -> Result<(), Box<dyn Error>> {
    let trace = std::env::args().nth(1).ok_or("name a folder for the trace and its report")?;
    let (check, report) = run("Oslo", Path::new(&trace))?;
    let found = check.found.unwrap_or_else(|| "as it should".to_owned());
    println!("{}: {:.0} %, {found}; see {}", check.name, check.score * 100.0, report.display());
    Ok(())
}
