//! Programs that are started, and ended again whatever happens.

use std::io::{ErrorKind, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;

/// A program that was started and is ended when this is dropped, or on Ctrl-C.
pub(crate) struct Program {
    child: Arc<Mutex<Child>>,
    stdout: Option<ChildStdout>,
}

impl Program {
    /// Starts a program; `package` is the Debian package that has it.
    pub(crate) fn start(
        command: &mut Command,
        package: &str,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // In a group of its own, Ctrl-C reaches only us, and we end the program in our own order.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut child = command.spawn().map_err(|error| {
            let is_missing = error.kind() == ErrorKind::NotFound;
            let context = if is_missing {
                format!("`{name}` is not installed")
            } else {
                format!("could not start `{name}`")
            };
            Failure::new(Exit::Unavailable, anyhow::Error::new(error).context(context))
                .with_hint(format!("sudo apt-get install --no-install-recommends {package}"))
        })?;
        let stdout = child.stdout.take();
        let child = Arc::new(Mutex::new(child));
        let guarded = Arc::clone(&child);
        interrupt.before_exit(move || end(&mut locked(&guarded)));
        Ok(Self { child, stdout })
    }

    /// Returns how the program ended, if it has.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        locked(&self.child).try_wait().ok().flatten()
    }

    /// Takes what the program writes; the first caller gets it.
    #[cfg(target_os = "linux")]
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// Returns all that the program wrote; it must have ended.
    pub(crate) fn output(&mut self) -> String {
        let mut output = Vec::new();
        if let Some(mut stdout) = self.stdout.take() {
            // What could be read is what the program said.
            let _ = stdout.read_to_end(&mut output);
        }
        String::from_utf8_lossy(&output).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        end(&mut locked(&self.child));
    }
}

/// Ends a program and waits for it, so that its number is not used by another one meanwhile.
fn end(child: &mut Child) {
    if !matches!(child.try_wait(), Ok(Some(_))) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn locked(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}
