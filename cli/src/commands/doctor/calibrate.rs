//! `doctor --calibrate`: how far clicks arrive from where they were meant, on every monitor.
//!
//! One window covers the whole desktop, with targets near the edges and in the middle of each
//! monitor. The device has to find each target in its screenshot and clicks what it found; the
//! window says where the click arrived. So the error is that of the whole chain: of the capture, the
//! layout of the monitors, and the input. Wherever a click goes, it does no harm: the window is
//! everywhere.

use std::time::{Duration, Instant};

use handsight_actions::{
    Action, Area, DesktopPoint, Device, Monitor, MonitorChoice, PixelPoint, Rect, Scope,
    is_wayland, monitors,
};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use super::super::devices;
use super::own_window::{OwnWindow, PATIENCE, is_close};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::{Printer, Style};
use crate::settings::Environment;

/// The side of a target, which is odd: it has a pixel in the middle.
const SIDE: i32 = 9;
/// How far a target's middle is from the edges of the monitor, at the least.
const INSET: i32 = 5;

/// One colour for each target of a monitor, none of them grey.
const COLORS: [Rgb<u8>; 9] = [
    Rgb([255, 0, 0]),
    Rgb([0, 255, 0]),
    Rgb([0, 0, 255]),
    Rgb([255, 255, 0]),
    Rgb([255, 0, 255]),
    Rgb([0, 255, 255]),
    Rgb([255, 128, 0]),
    Rgb([128, 0, 255]),
    Rgb([0, 128, 128]),
];

/// What became of the targets of one monitor.
struct Outcome {
    index: usize,
    monitor: Monitor,
    targets: Vec<Target>,
}

/// Where one target was drawn, seen and clicked.
struct Target {
    drawn: DesktopPoint,
    seen: Option<PixelPoint>,
    arrived: Option<DesktopPoint>,
}

impl Target {
    /// Returns how far the click went wrong, in pixels; `None` if it never arrived.
    fn error(&self) -> Option<f64> {
        let arrived = self.arrived?;
        let (x, y) = (arrived.x - self.drawn.x, arrived.y - self.drawn.y);
        Some(f64::from(x).hypot(f64::from(y)))
    }
}

impl Outcome {
    /// Returns the largest error; `None` if a click never arrived.
    fn error(&self) -> Option<f64> {
        self.targets.iter().map(Target::error).try_fold(0.0, |most, error| Some(error?.max(most)))
    }

    fn is_exact(&self) -> bool {
        self.error() == Some(0.0)
    }
}

/// Calibrates all monitors, or the one that was chosen.
pub(super) fn run(
    choice: Option<&MonitorChoice>,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let display = open::display(environment);
    let display = display.as_deref();
    if display.is_some_and(is_wayland) {
        let message = "no Wayland compositor says where a click arrived";
        return Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(message))
            .with_hint("calibrate in an X11 session, or on a virtual display"));
    }
    let no_desktop = |error| open::no_desktop(error, environment);
    let only = choice.map(|choice| choice.find(display)).transpose().map_err(no_desktop)?;
    let all = monitors(display).map_err(no_desktop)?;
    let window = OwnWindow::open(display, None)
        .map_err(|error| failed("could not cover the desktop with a window", error))?;
    let mut outcomes = Vec::new();
    for (index, monitor) in all.into_iter().enumerate() {
        if only.as_ref().is_some_and(|only| *only != monitor) {
            continue;
        }
        interrupt.check()?;
        let scope = Scope::Monitor(MonitorChoice::Index(index));
        let device = open::desktop(scope, None, None, environment, &interrupt.halt)?;
        let mut device = interrupt.share(device, display, environment);
        let targets = try_monitor(&window, &mut device, &monitor, &interrupt.cancel)?;
        let outcome = Outcome { index, monitor, targets };
        if !printer.json() {
            printer.note(&line(&outcome, printer));
        }
        outcomes.push(outcome);
    }
    drop(window);
    interrupt.check()?;
    report(&outcomes, printer)
}

/// Draws the targets of a monitor, and clicks each where it is seen.
fn try_monitor(
    window: &OwnWindow,
    device: &mut dyn Device,
    monitor: &Monitor,
    cancel: &CancelFlag,
) -> Result<Vec<Target>, Failure> {
    let drawn = places(monitor);
    for (&middle, color) in drawn.iter().zip(COLORS) {
        let side = SIDE.unsigned_abs();
        let (x, y) = (middle.x - SIDE / 2, middle.y - SIDE / 2);
        let painted = window.fill(Rect { x, y, width: side, height: side }, color);
        painted.map_err(|error| failed("could not draw a target", error))?;
    }
    let seen = look(device, cancel)?;
    let mut targets = Vec::new();
    for (drawn, seen) in drawn.into_iter().zip(seen) {
        let mut arrived = None;
        if let Some(coordinate) = seen {
            device.perform(&Action::LeftClick { coordinate })?;
            // One that does not arrive is told as such.
            arrived = window.wait_for_press().ok();
        }
        targets.push(Target { drawn, seen, arrived });
    }
    // Another monitor may show the same part of the desktop.
    let area = Area::whole(monitor.layout).on_desktop();
    let cleared = window.fill(area, Rgb([0; 3]));
    cleared.map_err(|error| failed("could not clear the targets", error))?;
    Ok(targets)
}

/// Returns the middles of a monitor's targets: three rows of three.
fn places(monitor: &Monitor) -> Vec<DesktopPoint> {
    let layout = &monitor.layout;
    let along = |origin: i32, length: u32| {
        let length = length.cast_signed();
        [INSET, length / 2, length - 1 - INSET].map(|offset| origin + offset)
    };
    let columns = along(layout.origin.x, layout.size.width);
    let rows = along(layout.origin.y, layout.size.height);
    rows.into_iter().flat_map(|y| columns.map(|x| DesktopPoint { x, y })).collect()
}

/// Finds the targets in a screenshot; a compositor takes a moment to show them.
fn look(device: &mut dyn Device, cancel: &CancelFlag) -> Result<Vec<Option<PixelPoint>>, Failure> {
    let start = Instant::now();
    loop {
        let image = device.observe()?.screenshot.image;
        let found: Vec<_> = COLORS.into_iter().map(|color| find(&image, color)).collect();
        if found.iter().all(Option::is_some) || start.elapsed() > PATIENCE {
            return Ok(found);
        }
        if !pause(Duration::from_millis(50), cancel) {
            return Err(Failure::interrupted());
        }
    }
}

/// Returns the middle pixel of what has a colour, if there is as much of it as of a target.
fn find(image: &RgbImage, color: Rgb<u8>) -> Option<PixelPoint> {
    let alike = image.enumerate_pixels().filter(|(_, _, pixel)| is_close(**pixel, color));
    let (mut columns, mut rows): (Vec<u32>, Vec<u32>) = alike.map(|(x, y, _)| (x, y)).unzip();
    let area = (SIDE * SIDE).unsigned_abs() as usize;
    if columns.len() != area {
        return None;
    }
    columns.sort_unstable();
    rows.sort_unstable();
    let middle = |values: &[u32]| i32::try_from(values[area / 2]).ok();
    Some(PixelPoint { x: middle(&columns)?, y: middle(&rows)? })
}

fn report(outcomes: &[Outcome], printer: &Printer) -> Result<Exit, Failure> {
    let ok = outcomes.iter().all(Outcome::is_exact);
    let clicks: usize = outcomes.iter().map(|outcome| outcome.targets.len()).sum();
    let text = if ok {
        format!("{clicks} clicks on {} arrived where they were meant", count(outcomes.len()))
    } else {
        "clicks do not arrive where they were meant".to_owned()
    };
    let monitors: Vec<Value> = outcomes.iter().map(value).collect();
    printer.result(&json!({ "ok": ok, "monitors": monitors }), &text)?;
    Ok(if ok { Exit::Done } else { Exit::NotAchieved })
}

fn count(monitors: usize) -> String {
    if monitors == 1 { "1 monitor".to_owned() } else { format!("{monitors} monitors") }
}

fn line(outcome: &Outcome, printer: &Printer) -> String {
    let Outcome { index, monitor, targets } = outcome;
    let (style, mark) =
        if outcome.is_exact() { (Style::Green, "✓") } else { (Style::Red, "✗") };
    let lost = targets.iter().filter(|target| target.arrived.is_none()).count();
    let unseen = targets.iter().filter(|target| target.seen.is_none()).count();
    let all = targets.len();
    let what = match outcome.error() {
        Some(_) if outcome.is_exact() => format!("{all} clicks, each on its pixel"),
        Some(error) => format!("{all} clicks, off by as much as {error:.1} px"),
        None if unseen > 0 => format!("{unseen} of {all} targets are not in the screenshot"),
        None => format!("{lost} of {all} clicks did not arrive"),
    };
    format!("{} monitor {index} {}  {what}", printer.paint(style, mark), monitor.name)
}

fn value(outcome: &Outcome) -> Value {
    let Outcome { index, monitor, targets } = outcome;
    let points: Vec<Value> = targets
        .iter()
        .map(|target| {
            json!({
                "drawn": target.drawn,
                "seen": target.seen,
                "arrived": target.arrived,
                "error_px": target.error(),
            })
        })
        .collect();
    let mut value = devices::place((*index, monitor));
    value["error_px"] = json!(outcome.error());
    value["targets"] = points.into();
    value
}

fn failed(what: &'static str, error: anyhow::Error) -> Failure {
    Failure::new(Exit::NotAchieved, error.context(what))
}
