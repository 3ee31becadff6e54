//! A Wayland session of one test: a real compositor that draws to nowhere, and its `XWayland`.

use std::os::unix::fs::chown;
use std::process::{Command, Stdio};

use anyhow::Result;
use fs_err as fs;
use tempfile::TempDir;

use crate::program::Program;
use crate::wait::{STARTING, wait_for};

/// The user without rights, whom the compositor runs as when the tests run as root: it refuses to.
const NOBODY: u32 = 65534;

/// A compositor, which ends when this is dropped.
pub struct Wayland {
    _sway: Program,
    _dir: TempDir,
    display: String,
    socket: String,
}

impl Wayland {
    /// Starts the compositor and waits until programs for X11 can connect.
    ///
    /// # Errors
    ///
    /// Fails if sway or `XWayland` is not installed or does not start.
    pub fn start() -> Result<Self> {
        let dir = TempDir::new()?;
        let (config, names) = (dir.path().join("config"), dir.path().join("names"));
        let names_path = names.display();
        // The user of the tests may be another one than that of the compositor.
        let lines = format!(
            "xwayland force\nexec xhost +local: && echo $DISPLAY $WAYLAND_DISPLAY > {names_path}.new \
             && mv {names_path}.new {names_path}\n"
        );
        fs::write(&config, lines)?;
        let mut command = if is_root()? {
            chown(dir.path(), Some(NOBODY), Some(NOBODY))?;
            let id = NOBODY.to_string();
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "sway"]);
            command
        } else {
            Command::new("sway")
        };
        command.arg("--config").arg(&config).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        command.env("HOME", dir.path()).env("XDG_RUNTIME_DIR", dir.path());
        command.env("WLR_BACKENDS", "headless").env("WLR_LIBINPUT_NO_DEVICES", "1");
        command.env("WLR_RENDERER", "pixman").stderr(Stdio::null());
        let sway = Program::start_group(&mut command)?;
        let said = wait_for("the compositor did not start", STARTING, || {
            Ok(fs::read_to_string(&names).ok())
        })?;
        let mut words = said.split_whitespace().map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        Ok(Self { display: next(), socket: next(), _sway: sway, _dir: dir })
    }

    /// Makes a command run in this session.
    pub fn adopt(&self, command: &mut Command) {
        command.env("DISPLAY", &self.display).env("WAYLAND_DISPLAY", &self.socket);
        command.env("XDG_SESSION_TYPE", "wayland");
    }
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output()?;
    Ok(output.stdout.trim_ascii() == b"0")
}
