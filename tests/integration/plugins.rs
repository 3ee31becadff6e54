//! What other programs get of a screen: through their own clients, on real windows.

mod agent;
mod benchmarks;
mod episodes;
mod mcp;
mod robot;

use std::path::Path;
use std::process::{Command, Output};

use handsight_tests::binary::Binary;
use handsight_tests::xserver::XServer;

use crate::{python, root};

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// The size at which the embedded model knows its way about in the form.
const SCREEN: &str = "560x420x24";

/// Rules under which a form can be filled in, and nothing else be done.
const RULES: &str =
    "mode: bounded\nallow:\n  actions: [left_click, mouse_move, type, key, scroll]\n";

/// Returns a command of Python with one of the scripts, in the environment of a command of ours.
fn script(name: &str, ours: &Command) -> Command {
    let mut command = Command::new(python());
    command.arg(root().join("python").join(name));
    adopt(&mut command, ours);
    command
}

/// Gives a command the environment and the folder of another.
fn adopt(command: &mut Command, other: &Command) {
    for (name, value) in other.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(other.get_current_dir().unwrap_or(Path::new(".")));
}

/// Returns a command of ours on a display.
fn on_display(handsight: &Binary, server: &XServer, args: &[&str]) -> Command {
    let mut command = handsight.command(args);
    command.env_remove("HANDSIGHT_API_KEY");
    server.adopt(&mut command);
    command
}

#[track_caller]
fn check_ends_with(output: &Output, end: &str, log: &str) {
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && shown.ends_with(end), "{shown}\n{errors}\n{log}");
}
