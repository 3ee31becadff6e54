//! `devices`: the monitors, windows and phones that can be observed and acted on, and a phone to try
//! things out on.

mod fake_android;

use handsight_actions::{
    AdbAddress, AdbError, AndroidPhone, DesktopWindow, Monitor, PhoneDetails, Wireless,
    android_phones, monitors, windows, wireless,
};
use serde_json::{Value, json};

use crate::args::{DevicesArgs, DevicesCommand};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
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
        Some(DevicesCommand::Connect { place }) => {
            reach(&Wireless::Connect(place), place, printer, environment)
        }
        Some(DevicesCommand::Pair { place, code }) => {
            reach(&Wireless::Pair { place, code }, place, printer, environment)
        }
        Some(DevicesCommand::Disconnect { place }) => {
            reach(&Wireless::Disconnect(place), place, printer, environment)
        }
        Some(DevicesCommand::FakeAndroid(args)) => fake_android::run(args, printer),
    }
}

/// Has the ADB server connect to a phone on the network, or let go of it.
fn reach(
    task: &Wireless<'_>,
    place: &str,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let server = open::adb_server(environment)?;
    let said = wireless(&server, task, &interrupt.halt);
    interrupt.check()?;
    let said = said?;
    let value = json!({ "serial": place, "device": format!("android:{place}"), "said": said });
    printer.result(&value, &said)?;
    Ok(Exit::Done)
}

/// What there is, and what could not be looked for.
struct Found {
    display: Option<String>,
    monitors: Vec<Monitor>,
    windows: Vec<DesktopWindow>,
    phones: Vec<AndroidPhone>,
    no_monitors: Option<Failure>,
    no_phones: Option<AdbError>,
    server: AdbAddress,
}

fn find(environment: &Environment) -> Result<Found, Failure> {
    let display = open::display(environment);
    let monitors =
        monitors(display.as_deref()).map_err(|error| open::no_desktop(error, environment));
    let server = open::adb_server(environment)?;
    let (phones, no_phones) = match android_phones(&server) {
        Ok(phones) => (phones, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let (monitors, no_monitors) = match monitors {
        Ok(monitors) => (monitors, None),
        // Whoever has a phone may have no desktop.
        Err(failure) if phones.is_empty() => return Err(failure),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    // A system that does not tell of its windows has monitors all the same.
    let windows = windows(display.as_deref()).unwrap_or_default();
    Ok(Found { display, monitors, windows, phones, no_monitors, no_phones, server })
}

impl Found {
    fn value(&self) -> Value {
        let problem = self.no_phones.as_ref().map(ToString::to_string);
        json!({
            "display": self.display,
            "monitors": self.monitors.iter().enumerate().map(value).collect::<Vec<Value>>(),
            "windows": self.windows.iter().map(window_value).collect::<Vec<Value>>(),
            "phones": self.phones.iter().map(phone_value).collect::<Vec<Value>>(),
            "adb": { "server": self.server.to_string(), "problem": problem },
        })
    }
}

/// Returns the devices there are, as `devices --json` prints them.
pub(crate) fn listing(environment: &Environment) -> Result<Value, Failure> {
    Ok(find(environment)?.value())
}

fn list(printer: &Printer, environment: &Environment) -> Result<Exit, Failure> {
    let found = find(environment)?;
    if let Some(failure) = &found.no_monitors {
        printer.note(&format!("no monitors: {}", failure.messages().join(": ")));
    }
    if let Some(error) = &found.no_phones {
        let hint = error.hint().unwrap_or_default();
        printer.note(&format!("no phones: {error}; {hint}"));
    }
    let monitors = found.monitors.iter().enumerate().map(line);
    let lines = monitors.chain(found.phones.iter().map(phone_line));
    let lines: Vec<String> = lines.chain(window_lines(&found.windows)).collect();
    printer.result(&found.value(), &lines.join("\n"))?;
    Ok(Exit::Done)
}

fn phone_value(phone: &AndroidPhone) -> Value {
    let details = phone.details.as_ref();
    json!({
        "device": format!("android:{}", phone.serial),
        "serial": phone.serial,
        "state": phone.state,
        "hint": phone.advice,
        "model": phone.model,
        "android": details.map(|details| &details.release),
        "sdk": details.map(|details| details.sdk),
        "width": details.map(|details| details.size.width),
        "height": details.map(|details| details.size.height),
        "density": details.map(|details| details.density),
        "orientation": details.map(orientation),
        "rotation": details.map(|details| details.degrees),
        "battery": details.and_then(|details| details.battery),
        "foreground": details.and_then(|details| details.foreground.as_deref()),
    })
}

fn orientation(details: &PhoneDetails) -> &'static str {
    if details.is_landscape() { "landscape" } else { "portrait" }
}

fn phone_line(phone: &AndroidPhone) -> String {
    let mut line = format!("android:{}", phone.serial);
    if let Some(model) = &phone.model {
        line = format!("{line}  {model}");
    }
    let Some(details) = &phone.details else {
        let advice = phone.advice.map(|advice| format!(": {advice}")).unwrap_or_default();
        return format!("{line}  {}{advice}", phone.state);
    };
    let battery = details.battery.map(|level| format!("  battery {level} %")).unwrap_or_default();
    let PhoneDetails { release, size, density, .. } = details;
    format!("{line}  Android {release}  {size} {}  {density} dpi{battery}", orientation(details))
}

fn value((index, monitor): (usize, &Monitor)) -> Value {
    let mut value = place((index, monitor));
    value["scale"] = json!(monitor.scale);
    value["primary"] = json!(monitor.is_primary);
    value
}

/// Returns which monitor it is, and where on the desktop.
pub(super) fn place((index, monitor): (usize, &Monitor)) -> Value {
    let layout = &monitor.layout;
    json!({
        "index": index,
        "name": monitor.name,
        "width": layout.size.width,
        "height": layout.size.height,
        "x": layout.origin.x,
        "y": layout.origin.y,
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

fn window_value(window: &DesktopWindow) -> Value {
    json!({
        "id": format!("{:#x}", window.id),
        "app": window.app,
        "title": window.title,
        "width": window.area.width,
        "height": window.area.height,
        "x": window.area.x,
        "y": window.area.y,
        "monitor": window.monitor,
    })
}

fn window_lines(windows: &[DesktopWindow]) -> Vec<String> {
    let mut lines: Vec<String> = windows.iter().map(window_line).collect();
    if !lines.is_empty() {
        lines.insert(0, "windows, the one in front first:".to_owned());
    }
    lines
}

fn window_line(window: &DesktopWindow) -> String {
    let area = &window.area;
    let place = match window.monitor {
        Some(monitor) => format!("monitor {monitor}"),
        None => "off the screen".to_owned(),
    };
    // A title may have anything in it; on a terminal it is one line of text.
    let title = window.title.escape_debug();
    format!(
        "{:#x}  {}  \"{title}\"  {}×{} at ({}, {})  {place}",
        window.id,
        window.app.escape_debug(),
        area.width,
        area.height,
        area.x,
        area.y
    )
}
