//! A display in memory, with a window manager if there is one.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt};

use super::program::Program;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;

/// The size the embedded model knows best.
const SCREEN: &str = "560x420x24";

/// How long the display server may take to start, and the window manager after it.
const STARTING: Duration = Duration::from_secs(10);
const MANAGING: Duration = Duration::from_secs(3);

/// How many times the server is started: two that start at once can want the same number.
const ATTEMPTS: u32 = 3;

/// Starts a virtual display and returns its name, with the programs that make it.
pub(super) fn start(interrupt: &Interrupt) -> Result<(String, Vec<Program>), Failure> {
    let (display, server) = start_server(interrupt)?;
    let mut programs = vec![server];
    let manager = Program::start(
        Command::new("openbox").env("DISPLAY", &display).env_remove("WAYLAND_DISPLAY"),
        "openbox",
        interrupt,
    );
    // Windows open without a manager too, only without a title bar.
    if let Ok(manager) = manager {
        wait_for_manager(&display);
        programs.insert(0, manager);
    }
    Ok((display, programs))
}

fn start_server(interrupt: &Interrupt) -> Result<(String, Program), Failure> {
    for _ in 0..ATTEMPTS {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", SCREEN]);
        command.args(["-nolisten", "tcp", "-noreset"]);
        let mut server = Program::start(&mut command, "xvfb openbox zenity", interrupt)?;
        if let Some(display) = read_display(&mut server) {
            return Ok((display, server));
        }
    }
    let message = "the virtual display did not start".to_owned();
    Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(message))
        .with_hint("`Xvfb -displayfd 1` says why"))
}

/// Reads the number of the display, which the server writes when it is ready.
fn read_display(server: &mut Program) -> Option<String> {
    let stdout = server.take_stdout()?;
    let (numbers, number) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        if BufReader::new(stdout).read_line(&mut line).is_ok() {
            let _ = numbers.send(line);
        }
    });
    let line = number.recv_timeout(STARTING).ok()?;
    let number: u32 = line.trim().parse().ok()?;
    Some(format!(":{number}"))
}

/// Waits until the window manager has announced itself, or gives up.
fn wait_for_manager(display: &str) {
    let start = Instant::now();
    while start.elapsed() < MANAGING && !is_managed(display).unwrap_or(false) {
        pause(Duration::from_millis(20), &CancelFlag::default());
    }
}

fn is_managed(display: &str) -> anyhow::Result<bool> {
    use x11rb::connection::Connection;
    let (connection, screen) = x11rb::connect(Some(display))?;
    let root = connection.setup().roots[screen].root;
    let atom = connection.intern_atom(false, b"_NET_SUPPORTING_WM_CHECK")?.reply()?.atom;
    let property = connection.get_property(false, root, atom, AtomEnum::WINDOW, 0, 1)?.reply()?;
    Ok(property.value_len > 0)
}
