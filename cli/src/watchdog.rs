//! A second process that lets go of everything should this one be killed.
//!
//! A signal that cannot be caught leaves keys pressed: the X server does not know that the program
//! that pressed them is no more. So a child waits at the other end of a pipe, in a process group of
//! its own. When the pipe closes without a word, it lets go of everything, and ends.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use handsight_actions::Rescue;

use crate::failure::{Exit, Failure};

/// What is written before the pipe is closed when all is well.
const ALL_IS_WELL: u8 = b'.';

/// The child, as its parent holds it. Dropped, it tells the child that all is well.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// Starts the child for a display.
    pub(crate) fn start(program: &Path, display: &str) -> std::io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(program);
        command.args(["watchdog", display]).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // A child that is gone has nothing to be told.
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(&[ALL_IS_WELL]);
        }
        let _ = self.0.wait();
    }
}

/// What the child does.
pub(crate) fn watch(display: &str) -> Result<Exit, Failure> {
    let rescue = Rescue::prepare(display)?;
    let mut word = Vec::new();
    // A pipe that cannot be read has nobody at the other end.
    let _ = std::io::stdin().lock().take(1).read_to_end(&mut word);
    if word != [ALL_IS_WELL] {
        rescue.clean_up()?;
    }
    Ok(Exit::Done)
}
