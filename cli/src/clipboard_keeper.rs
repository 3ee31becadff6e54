//! A second process that gives the user's clipboard back when this one has ended.
//!
//! What was copied is handed out by the program that has it for as long as that runs. After a paste
//! that is this program, so before it takes the clipboard it gives a child what is in it. The child
//! waits at the other end of a pipe; when that closes, however this process ended, it hands the content
//! out until something else is copied.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use handsight_actions::clipboard::{ClipboardKeeper, Clipping};
use handsight_actions::keep_clipboard;

use crate::failure::{Exit, Failure};

/// Returns what starts the child for each new content.
pub(crate) fn keeper(program: PathBuf, display: String) -> ClipboardKeeper {
    let mut kept: Option<(Clipping, Kept)> = None;
    Box::new(move |content| {
        // After a paste it is still what it was.
        if kept.as_ref().is_none_or(|(before, _)| before != content) {
            // Without the child only the end of this process is not provided for.
            kept = start(&program, &display, content).ok().map(|kept| (content.clone(), kept));
        }
    })
}

/// A child, and the pipe that it waits at.
struct Kept {
    pipe: Option<ChildStdin>,
    child: Child,
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It goes on without this process; one that has ended already leaves no trace.
        let _ = self.child.try_wait();
    }
}

fn start(program: &Path, display: &str, content: &Clipping) -> std::io::Result<Kept> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    command.args(["keep-clipboard", display]).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut pipe = child.stdin.take();
    if let Some(pipe) = &mut pipe {
        let bytes = content.to_bytes();
        pipe.write_all(&(bytes.len() as u64).to_le_bytes())?;
        pipe.write_all(&bytes)?;
        pipe.flush()?;
    }
    Ok(Kept { pipe, child })
}

/// What the child does.
pub(crate) fn keep(display: &str) -> Result<Exit, Failure> {
    let mut input = std::io::stdin().lock();
    let mut length = [0; 8];
    let content = input.read_exact(&mut length).and_then(|()| {
        let mut bytes = Vec::new();
        input.by_ref().take(u64::from_le_bytes(length)).read_to_end(&mut bytes)?;
        Ok(Clipping::from_bytes(&bytes))
    });
    // Less than all of it is nothing: its parent ended before it took the clipboard.
    let Ok(Some(content)) = content else { return Ok(Exit::Done) };
    // A pipe that cannot be read has nobody at the other end.
    let _ = input.read_to_end(&mut Vec::new());
    keep_clipboard(display, content)?;
    Ok(Exit::Done)
}
