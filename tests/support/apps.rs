//! Real applications that tell what reached them: a GTK form that prints its fields, and a
//! terminal that writes its input to a file. For a browser see [`crate::page`].

use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use fs_err as fs;
use tempfile::TempDir;

use crate::page::Desktop;
use crate::program::Program;
use crate::wait::{ANSWERING, wait_for, wait_until};
use crate::wayland::Wayland;
use crate::xserver::XServer;

/// A `zenity` form; when it is closed with its OK button it prints `first field|second field|…`.
pub struct Form {
    zenity: Program,
}

impl Form {
    /// Opens a form with these fields and waits until it is in front, its first field focused.
    ///
    /// # Errors
    ///
    /// Fails if zenity is not installed or does not show its window.
    pub fn open(desktop: &impl Desktop, fields: &[&str], ok: &str) -> Result<Self> {
        let mut command = desktop.command("zenity");
        command.args(["--forms", "--title=Profile", "--text=New Member", "--width=320"]);
        command.args(fields.iter().map(|field| format!("--add-entry={field}")));
        command.arg(format!("--ok-label={ok}")).stderr(Stdio::null());
        let zenity = Program::start(&mut command)?;
        desktop.wait_for_window("Profile")?;
        Ok(Self { zenity })
    }

    /// Waits until the form is closed and returns how, and what it printed.
    ///
    /// # Errors
    ///
    /// Fails if nobody closes it.
    pub fn outcome(&mut self) -> Result<(ExitStatus, String)> {
        let output = self.zenity.wait(ANSWERING)?;
        let printed = String::from_utf8(output.stdout).context("zenity printed no UTF-8")?;
        Ok((output.status, printed.trim_end_matches('\n').to_owned()))
    }
}

/// A terminal in which everything typed goes to a file, a line at a time.
pub struct Terminal {
    _program: Program,
    dir: TempDir,
}

/// Core X fonts are often not there, and a font of its own is the cure.
const XTERM: [&str; 7] = ["-u8", "-fa", "DejaVu Sans Mono", "-fs", "10", "-title", "Terminal"];

/// What the terminal runs, given the folder of its files.
const KEEP: [&str; 4] = ["sh", "-c", "echo ready > \"$1/ready\"; exec cat > \"$1/typed\"", "sh"];

impl Terminal {
    /// Opens `xterm` and waits until it reads.
    ///
    /// # Errors
    ///
    /// Fails if xterm is not installed or does not show its window.
    pub fn open(server: &XServer) -> Result<Self> {
        let mut command = server.command("xterm");
        command.args(XTERM);
        Self::start(server, command.arg("-e"))
    }

    /// Opens `xterm` in a Wayland session, where it is a guest.
    ///
    /// # Errors
    ///
    /// Fails if xterm is not installed or does not show its window.
    pub fn open_x11(session: &Wayland) -> Result<Self> {
        let mut command = session.command("xterm");
        command.args(XTERM);
        Self::start(session, command.arg("-e"))
    }

    /// Opens `foot`, which knows no X11, and waits until it reads.
    ///
    /// # Errors
    ///
    /// Fails if foot is not installed or does not show its window.
    pub fn open_foot(session: &impl Desktop) -> Result<Self> {
        let mut command = session.command("foot");
        Self::start(session, command.args(["--config=/dev/null", "--title=Terminal"]))
    }

    fn start(desktop: &impl Desktop, command: &mut Command) -> Result<Self> {
        let dir = TempDir::new()?;
        command.args(KEEP).arg(dir.path()).stderr(Stdio::null());
        let terminal = Self { _program: Program::start(command)?, dir };
        desktop.wait_for_window("Terminal")?;
        wait_until("the shell in the terminal did not start", ANSWERING, || {
            Ok(terminal.dir.path().join("ready").exists() && terminal.file().exists())
        })?;
        Ok(terminal)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("typed")
    }

    /// Waits for this many whole lines, and returns all that was typed.
    ///
    /// # Errors
    ///
    /// Fails if they do not come.
    pub fn lines(&self, count: usize) -> Result<String> {
        wait_for("the terminal got too few lines", ANSWERING, || {
            let typed = String::from_utf8_lossy(&fs::read(self.file())?).into_owned();
            Ok((typed.matches('\n').count() >= count).then_some(typed))
        })
    }
}
