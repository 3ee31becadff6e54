//! `doctor --calibrate`: how far clicks arrive from where they were meant, on every monitor.
//!
//! A window covers the whole desktop, in a Wayland session one for each monitor, with targets near the
//! edges and in the middle of each monitor. The device has to find each target in its screenshot and
//! clicks what it found; the window says where the click arrived. So the error is that of the whole
//! chain: of the capture, the layout of the monitors, and the input. Wherever a click goes, it does no
//! harm: the window is everywhere.

use std::time::{Duration, Instant};

use handsight_actions::{
    Action, DesktopOptions, Device, Monitor, MonitorChoice, MonitorPoint, PixelPoint, Scope, Size,
    monitors,
};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use image::Rgb;
use serde_json::{Value, json};

use super::super::devices;
use super::cover::{Cover, Numbered, SIDE};
use super::own_window::{PATIENCE, is_close};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::{Printer, Style};
use crate::settings::Environment;

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
    drawn: MonitorPoint,
    seen: Option<PixelPoint>,
    arrived: Option<MonitorPoint>,
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
    let no_desktop = |error| open::no_desktop(error, environment);
    let only = choice.map(|choice| choice.find(display)).transpose().map_err(no_desktop)?;
    let all = monitors(display).map_err(no_desktop)?;
    let mut outcomes = Vec::new();
    for (index, monitor) in all.into_iter().enumerate() {
        if only.as_ref().is_some_and(|only| *only != monitor) {
            continue;
        }
        interrupt.check()?;
        let scope = Scope::Monitor(MonitorChoice::Index(index));
        let options = DesktopOptions { scope, ..DesktopOptions::default() };
        let device = open::desktop(options, None, environment, &interrupt.halt)?;
        let mut device = interrupt.share(device, display, environment);
        // After the device, which may ask the user first.
        let mut cover = Cover::open(display)?;
        let targets = try_monitor(&mut cover, &mut device, (index, &monitor), &interrupt.cancel)?;
        let outcome = Outcome { index, monitor, targets };
        if !printer.json() {
            printer.note(&line(&outcome, printer));
        }
        outcomes.push(outcome);
    }
    interrupt.check()?;
    report(&outcomes, printer)
}

/// Draws the targets of a monitor, and clicks each where it is seen.
fn try_monitor(
    cover: &mut Cover,
    device: &mut dyn Device,
    on: Numbered<'_>,
    cancel: &CancelFlag,
) -> Result<Vec<Target>, Failure> {
    let drawn = places(on.1);
    let targets: Vec<_> = drawn.iter().copied().zip(COLORS).collect();
    // In a Wayland session there may be no pointer before it is first moved, and nothing that is told of it.
    // Between the targets, since it may be drawn over what is below it.
    let Size { width, height } = on.1.layout.size;
    let coordinate = PixelPoint { x: width.cast_signed() / 4, y: height.cast_signed() / 4 };
    device.perform(&Action::MouseMove { coordinate })?;
    let seen = look(cover, device, (on, &targets), cancel)?;
    let mut targets = Vec::new();
    for (drawn, seen) in drawn.into_iter().zip(seen) {
        let mut arrived = None;
        if let Some(coordinate) = seen {
            device.perform(&Action::LeftClick { coordinate })?;
            arrived = cover.wait_for_press(on)?;
        }
        targets.push(Target { drawn, seen, arrived });
    }
    // Another monitor may show the same part of the desktop.
    cover.show(on, &[])?;
    Ok(targets)
}

/// Returns the middles of a monitor's targets: three rows of three.
fn places(monitor: &Monitor) -> Vec<MonitorPoint> {
    let Size { width, height } = monitor.layout.size;
    let [columns, rows] = [width, height].map(|length| {
        let length = length.cast_signed();
        [INSET, length / 2, length - 1 - INSET]
    });
    rows.into_iter().flat_map(|y| columns.map(|x| MonitorPoint { x, y })).collect()
}

/// Finds the targets in a screenshot; a compositor takes a moment to show them.
fn look(
    cover: &mut Cover,
    device: &mut dyn Device,
    (on, targets): (Numbered<'_>, &[(MonitorPoint, Rgb<u8>)]),
    cancel: &CancelFlag,
) -> Result<Vec<Option<PixelPoint>>, Failure> {
    let start = Instant::now();
    loop {
        // Each time: a window may have been given its size only now.
        cover.show(on, targets)?;
        let image = device.observe()?.screenshot.image;
        // Nearly all of it is black, and need not be compared with every colour.
        let shown: Vec<_> =
            image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 != [0; 3]).collect();
        let found: Vec<_> = COLORS.into_iter().map(|color| find(&shown, color)).collect();
        if found.iter().all(Option::is_some) || start.elapsed() > PATIENCE {
            return Ok(found);
        }
        if !pause(Duration::from_millis(50), cancel) {
            return Err(Failure::interrupted());
        }
    }
}

/// Returns the middle pixel of what has a colour, if there is as much of it as of a target.
fn find(shown: &[(u32, u32, &Rgb<u8>)], color: Rgb<u8>) -> Option<PixelPoint> {
    let alike = shown.iter().filter(|(_, _, pixel)| is_close(**pixel, color));
    let (mut columns, mut rows): (Vec<u32>, Vec<u32>) = alike.map(|&(x, y, _)| (x, y)).unzip();
    // Where the scale is no whole number, the edge of what is shown is a mixture.
    let (most, least) = (SIDE * SIDE, (SIDE - 2) * (SIDE - 2));
    let pixels = columns.len();
    if !(least as usize..=most as usize).contains(&pixels) {
        return None;
    }
    columns.sort_unstable();
    rows.sort_unstable();
    let middle = |values: &[u32]| i32::try_from(values[pixels / 2]).ok();
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
