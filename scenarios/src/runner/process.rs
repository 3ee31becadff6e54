//! Programs that a scenario starts: all are ended with it, by their own ids.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;

use super::StepError;

/// The most of what a program writes that is kept, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// How long to wait between two looks at whether a program has ended.
const NAP: Duration = Duration::from_millis(5);

/// How long what a program wrote may take to arrive once it has ended: one that it left behind may
/// hold its output open.
const DRAIN: Duration = Duration::from_millis(500);

/// `CREATE_NEW_PROCESS_GROUP`: Ctrl-C does not reach it.
#[cfg(windows)]
const NEW_PROCESS_GROUP: u32 = 0x200;

/// The programs of a run.
pub(super) struct Processes {
    env: BTreeMap<String, String>,
    started: Vec<Child>,
}

/// What became of a program.
pub(super) struct Output {
    /// Its exit code; none if a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Output {
    pub(super) fn describe(&self) -> String {
        let how = match self.code {
            Some(code) => format!("it ended with {code}"),
            None => "a signal ended it".to_owned(),
        };
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        if said.trim().is_empty() {
            return how;
        }
        format!("{how} and said {}", super::check::quoted(said))
    }
}

impl Processes {
    pub(super) fn new(env: BTreeMap<String, String>) -> Self {
        Self { env, started: Vec::new() }
    }

    fn command(&self, words: &[String], folder: &Path) -> Command {
        let mut command = Command::new(words.first().map_or("", String::as_str));
        command.args(&words[1..]).current_dir(folder).envs(&self.env).stdin(Stdio::null());
        // What it starts in turn ends with it, and Ctrl-C is for us to pass on.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut command, NEW_PROCESS_GROUP);
        command
    }

    /// Starts a program that goes on running.
    pub(super) fn start(&mut self, words: &[String], folder: &Path) -> Result<(), StepError> {
        let mut command = self.command(words, folder);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| could_not_start(words, &error))?;
        self.started.push(child);
        Ok(())
    }

    /// Runs a program to its end, its deadline, or until `cancel` is set.
    pub(super) fn run(
        &mut self,
        words: &[String],
        folder: &Path,
        deadline: Instant,
        cancel: Option<&CancelFlag>,
    ) -> Result<Output, StepError> {
        let mut command = self.command(words, folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| could_not_start(words, &error))?;
        let stdout = child.stdout.take().map(read_on);
        let stderr = child.stderr.take().map(read_on);
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(error) => {
                    end(&mut child);
                    return Err(StepError::failed(format!("`{}`: {error}", words[0])));
                }
            }
            if cancel.is_some_and(CancelFlag::is_cancelled) {
                end(&mut child);
                return Err(StepError::Stopped);
            }
            if Instant::now() >= deadline {
                end(&mut child);
                return Err(StepError::failed(format!(
                    "`{}` did not end in time",
                    words.join(" ")
                )));
            }
            pause(NAP, &CancelFlag::default());
        };
        let text = |reader: Option<mpsc::Receiver<String>>| {
            reader.and_then(|reader| reader.recv_timeout(DRAIN).ok()).unwrap_or_default()
        };
        Ok(Output { code: status.code(), stdout: text(stdout), stderr: text(stderr) })
    }

    /// Takes over what others have started.
    pub(super) fn take_over(&mut self, mut others: Self) {
        self.started.append(&mut others.started);
    }

    /// Ends all that were started.
    pub(super) fn end(&mut self) {
        for mut child in self.started.drain(..).rev() {
            end(&mut child);
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends a program and all it started.
fn end(child: &mut Child) {
    // Until it is waited for, its id is nobody else's.
    #[cfg(unix)]
    if let Ok(group) = i32::try_from(child.id()) {
        use nix::sys::signal::{Signal, killpg};
        let _ = killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL);
    }
    // Whatever became of it, the program itself is ended below.
    #[cfg(windows)]
    let _ = Command::new("taskkill")
        .args(["/t", "/f", "/pid", &child.id().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads what a program writes, on a thread of its own, so that it never waits for us.
fn read_on(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut from = from;
        let _ = from.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
        // A program that finds nobody listening would fail.
        let _ = std::io::copy(&mut from, &mut std::io::sink());
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn could_not_start(words: &[String], error: &std::io::Error) -> StepError {
    let program = words.first().map_or("", String::as_str);
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    StepError::Failed {
        problem: format!("could not start `{program}`: {error}"),
        hint: missing.then(|| format!("install `{program}`, or correct its name")),
    }
}
