//! Lines from the terminal, read only when something was asked.
//!
//! A read cannot be interrupted. It gets a thread, which reads one line for each question; a
//! question that is given up leaves it reading, and the next one takes that line only if it comes
//! after it was asked. What was typed before a question is no answer to it.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

struct Reader {
    wanted: Sender<()>,
    lines: Receiver<io::Result<String>>,
    /// Whether the thread reads on behalf of a question that was given up.
    is_reading: bool,
}

static READER: OnceLock<Mutex<Reader>> = OnceLock::new();

/// Asks with `print` and reads a line, looking every `tick` whether to give up; `None` at the end of the
/// input, too. Questions of several threads are asked one after another.
pub(super) fn line(
    print: impl FnOnce(),
    tick: Duration,
    give_up: impl Fn() -> bool,
) -> Option<String> {
    let reader = READER.get_or_init(|| Mutex::new(start()));
    let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
    print();
    if reader.is_reading && reader.lines.try_recv().is_ok() {
        reader.is_reading = false;
    }
    if !reader.is_reading {
        reader.wanted.send(()).ok()?;
    }
    reader.is_reading = true;
    while !give_up() {
        match reader.lines.recv_timeout(tick) {
            Ok(line) => {
                reader.is_reading = false;
                // Nothing at all, not even an empty line, is the end of the input.
                return line.ok().filter(|line| !line.is_empty());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

fn start() -> Reader {
    let (wanted, wants) = channel();
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        while wants.recv().is_ok() {
            let mut line = String::new();
            let read = io::stdin().read_line(&mut line);
            if sender.send(read.map(|_| line)).is_err() {
                break;
            }
        }
    });
    Reader { wanted, lines, is_reading: false }
}
