//! Programs a test starts, and ends by their own id whatever happens.

use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::wait::wait_for;

/// A running program, which ends when this is dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    /// Whether the program leads a group of processes, which all end with it.
    leads_group: bool,
}

impl Program {
    /// Starts a program; what it writes to stdout and stderr can be read when it has ended.
    ///
    /// # Errors
    ///
    /// A program that is not installed is an error that says how to install it.
    pub fn start(command: &mut Command) -> Result<Self> {
        Self::spawn(command, Stdio::null(), false)
    }

    /// Starts a program that reads this.
    ///
    /// # Errors
    ///
    /// As [`Program::start`].
    pub fn start_with(command: &mut Command, stdin: Stdio) -> Result<Self> {
        Self::spawn(command, stdin, false)
    }

    /// Starts a program that starts others, such as a browser.
    ///
    /// # Errors
    ///
    /// As [`Program::start`].
    pub fn start_group(command: &mut Command) -> Result<Self> {
        Self::spawn(command.process_group(0).stderr(Stdio::null()), Stdio::null(), true)
    }

    fn spawn(command: &mut Command, stdin: Stdio, leads_group: bool) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(stdin).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| {
            let is_missing = error.kind() == ErrorKind::NotFound;
            let context = if is_missing {
                format!("`{name}` is not installed; `make deps` installs what the tests need")
            } else {
                format!("could not start `{name}`")
            };
            anyhow::Error::new(error).context(context)
        })?;
        Ok(Self { name, child, leads_group })
    }

    /// Takes what the program writes; nobody else can read it then.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Returns the most memory the program has had at once, in bytes, where the system tells.
    ///
    /// # Errors
    ///
    /// Fails if it has ended.
    pub fn peak_memory(&self) -> Result<Option<u64>> {
        let path = format!("/proc/{}/status", self.child.id());
        if !std::path::Path::new("/proc").is_dir() {
            return Ok(None);
        }
        let status = fs_err::read_to_string(path)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        Ok(kib.map(|kib| kib << 10))
    }

    /// Whether the program has not ended.
    ///
    /// # Errors
    ///
    /// Fails if the system does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends a signal by its name, such as `INT`.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be sent.
    pub fn signal(&self, name: &str) -> Result<()> {
        send(name, &self.child.id().to_string()).map(drop)
    }

    /// Ends the program and waits until it is gone.
    pub fn kill(&mut self) {
        // Until it is waited for, its id is nobody else's. A program that has ended is no failure.
        if self.leads_group {
            let _ = send("KILL", &format!("-{}", self.child.id()));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until the program has ended by itself, and returns what it wrote.
    ///
    /// # Errors
    ///
    /// Fails if it does not end in time.
    pub fn wait(&mut self, limit: Duration) -> Result<Output> {
        let what = format!("`{}` did not end", self.name);
        let status: ExitStatus = wait_for(&what, limit, || Ok(self.child.try_wait()?))?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_end(&mut stdout)?;
        }
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_end(&mut stderr)?;
        }
        Ok(Output { status, stdout, stderr })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process, or to a group of them if `target` begins with a hyphen.
fn send(signal: &str, target: &str) -> Result<ExitStatus> {
    // The shell has `kill` built in, and its standard library does not.
    let script = "kill -s \"$1\" -- \"$2\" 2>/dev/null";
    let status = Command::new("sh").args(["-c", script, "sh", signal, target]).status();
    status.with_context(|| format!("could not send SIG{signal} to {target}"))
}
