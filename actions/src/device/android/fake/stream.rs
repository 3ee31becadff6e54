//! One stream of a connection, as the service behind it reads and writes it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::Connection;
use super::device::locked;
use crate::device::android::adb::wire::{Command, Message};

/// How much a peer may have sent that nobody has read, before it has to wait.
const HIGH_WATER: usize = 1024 * 1024;

/// What has become of a stream.
#[derive(Debug, Default)]
pub(super) struct StreamState {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    input: VecDeque<u8>,
    /// Whether the peer waits to be told that its bytes were taken.
    owes_okay: bool,
    /// Whether the peer has taken what was written last.
    ready: bool,
    closed: bool,
    /// After how many more bytes the whole connection breaks.
    breaks_after: Option<usize>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            input: VecDeque::new(),
            owes_okay: false,
            ready: true,
            closed: false,
            breaks_after: None,
        }
    }
}

impl StreamState {
    /// Takes bytes from the peer; returns whether they may be acknowledged at once.
    ///
    /// # Errors
    /// Fails if the peer sends on without waiting for that.
    pub(super) fn receive(&self, data: &[u8]) -> Result<bool, ()> {
        let mut inner = locked(&self.inner);
        if inner.owes_okay {
            return Err(());
        }
        inner.input.extend(data);
        inner.owes_okay = inner.input.len() > HIGH_WATER;
        self.changed.notify_all();
        Ok(!inner.owes_okay)
    }

    /// The peer took what was written.
    pub(super) fn taken(&self) {
        locked(&self.inner).ready = true;
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        locked(&self.inner).closed = true;
        self.changed.notify_all();
    }

    /// Breaks the connection once this many more bytes are written.
    pub(super) fn break_after(&self, bytes: usize) {
        locked(&self.inner).breaks_after = Some(bytes);
    }

    /// Whether the peer has hung up.
    pub(super) fn is_closed(&self) -> bool {
        locked(&self.inner).closed
    }

    /// Waits until the peer hangs up, or for so long.
    pub(super) fn wait_until_closed(&self, time: Duration) {
        let inner = locked(&self.inner);
        let waited = self.changed.wait_timeout_while(inner, time, |inner| !inner.closed);
        drop(waited);
    }

    fn wait_while(&self, wanted: impl Fn(&Inner) -> bool) -> MutexGuard<'_, Inner> {
        let inner = locked(&self.inner);
        let waited = self.changed.wait_while(inner, |inner| !inner.closed && wanted(inner));
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// One end of a stream; dropping it closes the stream.
pub(super) struct Stream {
    connection: Arc<Connection>,
    state: Arc<StreamState>,
    ours: u32,
    theirs: u32,
}

impl Stream {
    pub(super) fn new(
        connection: Arc<Connection>,
        state: Arc<StreamState>,
        ours: u32,
        theirs: u32,
    ) -> Self {
        Self { connection, state, ours, theirs }
    }

    fn send(&self, command: Command, data: &[u8]) -> io::Result<()> {
        self.connection.send(&Message::new(command, self.ours, self.theirs, data))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.state.wait_while(|inner| inner.input.is_empty());
        let count = inner.input.read(buffer)?;
        let okay = inner.owes_okay && inner.input.len() <= HIGH_WATER / 2;
        if okay {
            inner.owes_okay = false;
        }
        drop(inner);
        if okay {
            self.send(Command::Okay, &[])?;
        }
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.state.wait_while(|inner| !inner.ready);
        if inner.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        inner.ready = false;
        let mut length = bytes.len().min(self.connection.max_payload());
        let breaks = inner.breaks_after.is_some_and(|left| left <= length);
        if let Some(left) = &mut inner.breaks_after {
            length = length.min(*left);
            *left -= length;
        }
        drop(inner);
        self.send(Command::Write, &bytes[..length])?;
        if breaks {
            self.connection.shut_down();
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A peer that hung up needs no word of it, and one that is gone gets none.
        if self.connection.forget_stream(self.ours) {
            let _ = self.send(Command::Close, &[]);
        }
    }
}
