//! A program that is read from, and ended when it takes too long, when nobody waits any more, or
//! when all is said.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::super::{MediaError, VideoOptions};
use crate::request::CancelFlag;

/// How soon a cancelling is noticed.
const POLL: Duration = Duration::from_millis(50);

/// How long a program that was ended has to say its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is kept of what a program complains about.
const MAX_COMPLAINT_BYTES: u64 = 64 << 10;
const MAX_COMPLAINT_CHARS: usize = 300;

/// `CREATE_NEW_PROCESS_GROUP`: Ctrl-C does not reach it.
#[cfg(windows)]
const NEW_PROCESS_GROUP: u32 = 0x200;

/// One video being read.
pub(super) struct Job<'a> {
    pub(super) name: &'a str,
    pub(super) options: &'a VideoOptions,
    pub(super) cancel: &'a CancelFlag,
    pub(super) deadline: Instant,
}

/// A running program whose output is read on a thread of its own.
pub(super) struct Running<T> {
    child: Child,
    results: Receiver<T>,
    complaint: Receiver<String>,
}

impl<T: Send + 'static> Running<T> {
    /// Starts a program; `read` turns what it writes into results. Two of them may lie ready.
    pub(super) fn start(
        job: &Job<'_>,
        program: &Path,
        arguments: &[OsString],
        read: impl FnOnce(ChildStdout, SyncSender<T>) + Send + 'static,
    ) -> Result<Self, MediaError> {
        let mut command = Command::new(program);
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // In a group of its own, Ctrl-C reaches only us, and we end the program in our own order.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut command, NEW_PROCESS_GROUP);
        let mut child = command.spawn().map_err(|source| MediaError::NoProgram {
            name: job.name.to_owned(),
            program: program.display().to_string(),
            source,
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (result_sender, results) = mpsc::sync_channel(2);
        let (complaint_sender, complaint) = mpsc::sync_channel(1);
        if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
            thread::spawn(move || read(stdout, result_sender));
            thread::spawn(move || {
                // Whoever waits may have gone.
                let _ = complaint_sender.send(last_line(stderr));
            });
        }
        Ok(Self { child, results, complaint })
    }

    /// Waits for the next result; nothing once there are no more.
    pub(super) fn next(&self, job: &Job<'_>) -> Result<Option<T>, MediaError> {
        loop {
            match self.results.recv_timeout(POLL) {
                Ok(result) => return Ok(Some(result)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if job.cancel.is_cancelled() {
                return Err(MediaError::Cancelled);
            }
            if Instant::now() >= job.deadline {
                let (name, after) = (job.name.to_owned(), job.options.timeout);
                return Err(MediaError::Timeout { name, after });
            }
        }
    }

    /// Ends the program and returns what it complained about, as the end of a sentence.
    pub(super) fn complaint(mut self, job: &Job<'_>) -> String {
        // A reason it gives by itself is better than none, and it has nothing left to do.
        let said = self.complaint.recv_timeout(LAST_WORDS);
        end(&mut self.child);
        let line = said.unwrap_or_default();
        let line = line.rsplit_once(&format!("{}: ", job.name)).map_or(&*line, |(_, rest)| rest);
        let line: String = line.trim().chars().take(MAX_COMPLAINT_CHARS).collect();
        if line.is_empty() { line } else { format!(": {line}") }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a program and waits for it, so that nothing of it is left.
fn end(child: &mut Child) {
    if !matches!(child.try_wait(), Ok(Some(_))) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Reads to the end, so that the program is never held up, and returns the last line of the start.
fn last_line(mut stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    let _ = stderr.by_ref().take(MAX_COMPLAINT_BYTES).read_to_end(&mut text);
    let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}
