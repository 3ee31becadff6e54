//! A program on a terminal of its own, as a person at the keyboard sees it.
//!
//! The pseudo-terminal is made by `script`, which every Debian system has: Ctrl-C pressed on it is a
//! signal while the program computes, and a key while it reads a line.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::wait::{ANSWERING, STARTING, wait_for};

/// Ctrl-C, as a terminal sends it.
pub const CTRL_C: &str = "\u{3}";

/// Ctrl-D.
pub const CTRL_D: &str = "\u{4}";

/// A program on a terminal; it ends when this is dropped.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts a program, in its folder and with its environment.
    ///
    /// # Errors
    ///
    /// Fails if `script` is not there, or a word of the command holds a quote.
    pub fn start(program: &Command) -> Result<Self> {
        let mut words = Vec::new();
        for word in [program.get_program()].into_iter().chain(program.get_args()) {
            let word = word.to_str().filter(|word| !word.contains('\'')).context("a plain word")?;
            words.push(format!("'{word}'"));
        }
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = program.get_current_dir() {
            command.current_dir(dir);
        }
        command.env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("could not start `script`, of bsdutils")?;
        let keyboard = child.stdin.take().context("stdin is a pipe")?;
        let mut stdout = child.stdout.take().context("stdout is a pipe")?;
        let shown: Arc<Mutex<String>> = Arc::default();
        let keep = Arc::clone(&shown);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                keep.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(Self { child, keyboard, shown })
    }

    /// Presses keys.
    ///
    /// # Errors
    ///
    /// Fails if nobody reads them any more.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.keyboard.write_all(keys.as_bytes())?;
        Ok(self.keyboard.flush()?)
    }

    /// Waits until a text is shown that was not shown when this was asked last.
    ///
    /// # Errors
    ///
    /// Says what is shown instead.
    pub fn wait_for(&mut self, text: &str) -> Result<()> {
        let found = wait_for(text, STARTING, || {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let end = shown.find(text).map(|at| at + text.len());
            if let Some(end) = end {
                shown.drain(..end);
            }
            Ok(end)
        });
        if found.is_err() {
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            bail!("no {text:?} in {shown:?}");
        }
        Ok(())
    }

    /// Waits until the program has ended by itself.
    ///
    /// # Errors
    ///
    /// Fails if it does not.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        wait_for("the program goes on", ANSWERING, || Ok(self.child.try_wait()?))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
