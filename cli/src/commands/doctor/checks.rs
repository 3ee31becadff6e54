//! The checks themselves.

use std::path::Path;
use std::time::Instant;

use fs_err as fs;
#[cfg(target_os = "linux")]
use handsight_actions::is_wayland;
use handsight_actions::{
    Action, DesktopOptions, Device, FakeDevice, FakeScreen, Halt, Monitor, MonitorChoice,
    PixelPoint, Rect, Scope, Size, Status,
};
use handsight_agent::{
    CancelFlag, Controls, EpisodeOptions, ScriptedPolicy, SettleOptions, TraceRecorder, ground,
    read_trace, run_episode,
};

use super::Report;
use crate::args::ModelArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

/// Checks the display, capture, the pointer and the keyboard.
pub(super) fn screen(
    choice: Option<&MonitorChoice>,
    environment: &Environment,
    interrupt: &Interrupt,
    report: &mut Report<'_>,
) {
    let choice = choice.cloned().unwrap_or_default();
    let display = open::display(environment);
    let display = display.as_deref();
    let mut chosen = None;
    let has_display = report.check("display", || {
        let found = choice.find(display);
        let monitor = found.map_err(|error| open::no_desktop(error, environment))?;
        let (name, size) = (monitor.name.clone(), monitor.layout.size);
        chosen = Some(monitor);
        let display = display.unwrap_or("the desktop");
        Ok(format!("{display}, monitor {name}, {size}"))
    });
    let mut device = None;
    let has_device = has_display
        && report.check("capture", || {
            let mut opened = interrupt.share(
                open::desktop(
                    DesktopOptions { scope: Scope::Monitor(choice), ..DesktopOptions::default() },
                    None,
                    environment,
                    &interrupt.halt,
                )?,
                display,
                environment,
            );
            let proof = capture(&mut opened)?;
            device = Some(opened);
            Ok(proof)
        });
    let (Some(device), Some(monitor)) = (&mut device, &chosen) else {
        if !has_display {
            report.skip("capture", "there is no display");
        }
        report.skip("pointer", "there is no screen to move it on");
        report.skip("keyboard", "there is no screen to type on");
        return;
    };
    debug_assert!(has_device);
    input(device, monitor, display, report);
}

/// Takes two screenshots.
pub(super) fn capture(device: &mut dyn Device) -> Result<String, Failure> {
    let first = device.observe()?.screenshot;
    let start = Instant::now();
    let second = device.observe()?.screenshot;
    let ms = start.elapsed().as_secs_f64() * 1000.0;
    if first.size() != second.size() {
        let message =
            format!("two screenshots differ in size: {} and {}", first.size(), second.size());
        return Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message))
            .with_hint("do not change the screen's resolution during a run"));
    }
    Ok(format!("{} in {ms:.1} ms", second.size()))
}

/// Checks what goes to the screen and comes back through a window of our own.
#[cfg(target_os = "linux")]
fn input(
    device: &mut dyn Device,
    monitor: &Monitor,
    display: Option<&str>,
    report: &mut Report<'_>,
) {
    use super::probe::Probe;

    if display.is_some_and(is_wayland) {
        return input_unseen(device, monitor, report);
    }
    let mut opened = None;
    let is_open = report.check("window", || {
        let probe = Probe::open(display, monitor)?;
        let proof = Probe::check_capture(device)?;
        opened = Some(probe);
        Ok(proof)
    });
    match &opened {
        Some(probe) if is_open => {
            report.check("pointer", || probe.check_pointer(device));
            report.check("keyboard", || probe.check_keyboard(device));
        }
        _ => {
            report.skip("pointer", "the window to click on is not to be seen");
            report.skip("keyboard", "the window to type in is not to be seen");
        }
    }
}

/// Checks what can be checked without a window of our own.
#[cfg(not(target_os = "linux"))]
fn input(device: &mut dyn Device, monitor: &Monitor, _: Option<&str>, report: &mut Report<'_>) {
    input_unseen(device, monitor, report);
}

/// Moves the pointer; that it went there is for the user to see.
fn input_unseen(device: &mut dyn Device, monitor: &Monitor, report: &mut Report<'_>) {
    report.check("pointer", || {
        let size = monitor.layout.size;
        for quarter in [1, 3] {
            let at = |length: u32| i32::try_from(length / 4 * quarter).unwrap_or(0);
            let coordinate = PixelPoint { x: at(size.width), y: at(size.height) };
            device.perform(&Action::MouseMove { coordinate })?;
        }
        Ok("moved without an error; its place cannot be read back on this system".to_owned())
    });
    report.skip("keyboard", "typed text cannot be read back on this system");
}

/// A dialog of a real toolkit, 560 × 420 px: a model reads the fonts people use, not drawn ones.
const WINDOW: &[u8] = include_bytes!("window.png");

/// Loads the model and lets it find a button on a picture of a window.
pub(super) fn model(
    args: &ModelArgs,
    printer: &Printer,
    environment: &Environment,
    cancel: &CancelFlag,
) -> Result<String, Failure> {
    const SAVE: Rect = Rect { x: 399, y: 331, width: 85, height: 34 };
    let start = Instant::now();
    let (model, profile) = open::model(args, printer, environment, cancel)?;
    let loaded = start.elapsed().as_millis();
    let image = image::load_from_memory(WINDOW).expect("the picture is in the binary").to_rgb8();
    let start = Instant::now();
    let grounding = ground(&model, &profile, &image, "Save", cancel)?;
    let ms = start.elapsed().as_millis();
    let (point, card) = (grounding.point, model.card());
    if !SAVE.contains(point) {
        let message = format!(
            "`{}` runs, but it pointed at {point} for a button around {}",
            card.name,
            SAVE.center::<PixelPoint>()
        );
        return Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message)).with_hint(
            "a model of another kind may need `--prompt`; a damaged one has to be fetched again",
        ));
    }
    let size = card.parameters.map_or_else(String::new, |parameters| {
        format!(", {:.1} M parameters", millions(parameters))
    });
    Ok(format!("{}{size}, loaded in {loaded} ms, found a button in {ms} ms", card.name))
}

/// Returns a count in millions.
#[expect(clippy::cast_precision_loss, reason = "only one decimal is shown")]
fn millions(count: u64) -> f64 {
    count as f64 / 1e6
}

/// Records a small episode in the current folder, reads it back and removes it.
pub(super) fn trace() -> Result<String, Failure> {
    let dir = format!("handsight-doctor-{}", std::process::id());
    let dir = Path::new(&dir);
    let proof = record(dir);
    let removed = if dir.exists() { fs::remove_dir_all(dir) } else { Ok(()) };
    let proof = proof?;
    removed.map_err(|error| Failure::new(Exit::NotAchieved, error))?;
    Ok(proof)
}

fn record(dir: &Path) -> Result<String, Failure> {
    let button = Rect { x: 20, y: 20, width: 80, height: 30 };
    let screens = vec![
        FakeScreen::new("first").button("Next", button, Some("second")),
        FakeScreen::new("second"),
    ];
    let mut device = FakeDevice::new(Size { width: 200, height: 120 }, screens);
    let mut policy = ScriptedPolicy::actions([
        Action::LeftClick { coordinate: button.center() },
        Action::Terminate { status: Status::Success },
    ]);
    let start = Instant::now();
    let mut recorder = TraceRecorder::create(dir)?;
    let options =
        EpisodeOptions { settle: SettleOptions::immediate(), ..EpisodeOptions::default() };
    let mut controls = Controls {
        observer: &mut recorder,
        user: &mut (),
        cancel: &CancelFlag::default(),
        halt: &Halt::default(),
    };
    run_episode(&mut device, &mut policy, "click \"Next\"", &options, &mut controls)?;
    let trace = read_trace(dir)?;
    let ms = start.elapsed().as_millis();
    match (trace.steps.len(), &trace.stopped) {
        (2, Some(_)) => Ok(format!("recorded and read back 2 steps in {ms} ms")),
        (steps, _) => {
            let message = format!("recorded 2 steps and read back {steps}");
            Err(Failure::new(Exit::NotAchieved, anyhow::Error::msg(message)))
        }
    }
}
