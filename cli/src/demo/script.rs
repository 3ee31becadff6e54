//! The demo's second act: the same window as a script, which finds its targets again without a model.
//!
//! It runs this binary as a user would type it, on the demo's display.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use fs_err as fs;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::print::{Printer, Style};

/// The scenario, one of the shipped ones; its window can be made larger, as programs change.
const MEMBER: &str = include_str!("../../../scenarios/suites/desktop/member.yaml");

/// What is shown, and with which arguments.
const RUNS: [(&str, &[&str]); 3] = [
    ("the first run asks the model", &["--anchors", "refresh"]),
    ("the second finds all by its pixels", &["--anchors", "strict"]),
    (
        "the window changes, and the script heals",
        &["--var", "width=480", "--var", "height=340", "--accept-healed"],
    ),
];

/// Runs the scenario three times in a folder, and returns their results.
pub(super) fn play(
    dir: &Path,
    display: &str,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Result<Vec<Value>, Failure> {
    let failed = |error: anyhow::Error| {
        Failure::new(Exit::Unavailable, error.context("the demo's scenario could not be run"))
    };
    fs::write(dir.join("member.yaml"), MEMBER).map_err(|error| failed(error.into()))?;
    let mut results = Vec::new();
    for (what, args) in RUNS {
        printer.note("");
        printer.note(&printer.paint(Style::Dim, &format!("as a script: {what}")));
        results.push(run(dir, display, args).map_err(failed)?);
        interrupt.check()?;
    }
    Ok(results)
}

fn run(dir: &Path, display: &str, args: &[&str]) -> anyhow::Result<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["scenario", "run", "member.yaml", "--json"])
        .args(args)
        .current_dir(dir)
        .env("DISPLAY", display)
        .env("GDK_BACKEND", "x11")
        .env("NO_AT_BRIDGE", "1")
        .env_remove("WAYLAND_DISPLAY")
        // The user's own rules are for the user's own windows.
        .env("XDG_CONFIG_HOME", dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("it ended with {} and without a result", output.status))
}

/// Whether every run passed, as it was or after healing.
pub(super) fn passed(results: &[Value]) -> bool {
    results.iter().all(|result| result["failed"] == 0)
}
