//! What the demo and the live suite play on: a display in memory, a page in a browser, and the programs it
//! takes, which end whatever happens.

mod page;
mod program;
#[cfg(target_os = "linux")]
mod virtual_display;

use std::process::Command;
use std::time::{Duration, Instant};

use handsight_actions::Device;
use handsight_agent::SettleOptions;
use handsight_agent::settle::observe_still;

pub(crate) use self::page::Page;
pub(crate) use self::program::Program;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;

/// How long a window may take to open.
const OPENING: Duration = Duration::from_secs(20);

/// Starts a virtual display and returns its name, with the programs that make it, in the order in which they
/// are to end: the window manager before the server.
#[cfg(target_os = "linux")]
pub(crate) fn virtual_display(interrupt: &Interrupt) -> Result<(String, Vec<Program>), Failure> {
    virtual_display::start(interrupt)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn virtual_display(_: &Interrupt) -> Result<(String, Vec<Program>), Failure> {
    let message = "there is no virtual display on this system".to_owned();
    Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(message)).with_hint(
        "it takes an X server, which Linux has; the desktop itself is there for the other commands",
    ))
}

/// Returns a command that runs on a display, whatever session this is.
pub(crate) fn on_display(program: &str, display: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("DISPLAY", display)
        .env("GDK_BACKEND", "x11")
        .env("NO_AT_BRIDGE", "1")
        .env_remove("WAYLAND_DISPLAY");
    command
}

/// Opens a page in a browser of its own.
pub(crate) fn browser(
    page: &Page,
    display: &str,
    interrupt: &Interrupt,
) -> Result<Program, Failure> {
    let mut command = on_display("chromium", display);
    command.args(page::CHROMIUM_FLAGS);
    command.arg(format!("--user-data-dir={}", page.profile().display()));
    command.arg(format!("--app={}", page.address()));
    Program::start(&mut command, "chromium", interrupt)
}

/// Opens a window and waits until it is on the screen and still.
pub(crate) fn opened<T>(
    what: &str,
    device: &mut dyn Device,
    interrupt: &Interrupt,
    open: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let before = device.observe()?.screenshot.fingerprint();
    let window = open()?;
    let settle = SettleOptions { quiet: Duration::from_millis(500), ..SettleOptions::default() };
    let start = Instant::now();
    while start.elapsed() < OPENING {
        interrupt.check()?;
        let settled = observe_still(device, &settle, &interrupt.cancel)?;
        if settled.still && settled.observation.screenshot.fingerprint() != before {
            return Ok(window);
        }
    }
    let message = format!("the window of {what} did not open within {} s", OPENING.as_secs());
    Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(message))
        .with_hint("`handsight doctor` tests the display"))
}
