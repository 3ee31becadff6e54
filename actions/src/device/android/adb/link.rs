//! A connection on which nothing waits for ever.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::error::AdbError;
use crate::halt::{Halt, HaltState};

/// How soon a wait notices that it is over or that input was halted.
pub(super) const NAP: Duration = Duration::from_millis(10);

/// How long an answer may take, and what ends the wait sooner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    start: Instant,
    most: Duration,
    halt: Option<&'a Halt>,
    ends_on_pause: bool,
}

impl<'a> Patience<'a> {
    /// Waits so long, whatever happens.
    pub(crate) fn of(most: Duration) -> Self {
        Self { start: Instant::now(), most, halt: None, ends_on_pause: false }
    }

    /// Waits until everything is stopped for good: right for looking, which a pause allows.
    pub(crate) fn until_stopped(self, halt: &'a Halt) -> Self {
        Self { halt: Some(halt), ends_on_pause: false, ..self }
    }

    /// Waits until input is stopped or paused: right for acting.
    pub(crate) fn until_halted(self, halt: &'a Halt) -> Self {
        Self { halt: Some(halt), ends_on_pause: true, ..self }
    }

    /// Returns how long is left.
    ///
    /// # Errors
    /// [`AdbError::Timeout`] or [`AdbError::Halted`] when the wait is over.
    pub(super) fn left(&self, task: &str) -> Result<Duration, AdbError> {
        let halted = match self.halt.map(Halt::state) {
            Some(HaltState::Stopped(_)) => true,
            Some(HaltState::Paused(_)) => self.ends_on_pause,
            Some(HaltState::Going) | None => false,
        };
        if halted {
            return Err(AdbError::Halted { task: task.to_owned() });
        }
        let left = self.most.saturating_sub(self.start.elapsed());
        if left.is_zero() {
            return Err(AdbError::Timeout { task: task.to_owned(), after: self.most });
        }
        Ok(left)
    }
}

/// A TCP connection whose every read and write has an end.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
}

impl Link {
    /// Wraps a connection; small packets are sent at once.
    pub(crate) fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(NAP))?;
        stream.set_write_timeout(Some(NAP))?;
        Ok(Self { stream })
    }

    /// Connects to the first of the places of a name that answers; each may take so long.
    pub(crate) fn connect(places: impl ToSocketAddrs, limit: Duration) -> std::io::Result<Self> {
        let mut last = std::io::Error::from(ErrorKind::AddrNotAvailable);
        for place in places.to_socket_addrs()? {
            match TcpStream::connect_timeout(&place, limit).and_then(Self::new) {
                Ok(link) => return Ok(link),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Writes all of it.
    pub(crate) fn write_all(
        &mut self,
        mut bytes: &[u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<(), AdbError> {
        while !bytes.is_empty() {
            patience.left(task)?;
            match self.stream.write(bytes) {
                Err(error) if is_not_yet(error.kind()) => {}
                Ok(count) => bytes = &bytes[count..],
                Err(source) => return Err(AdbError::Broken { task: task.to_owned(), source }),
            }
        }
        Ok(())
    }
}

/// What bytes can be read from, though not for longer than somebody is patient.
pub(crate) trait ReadInTime {
    /// Reads what is there, waiting for something; 0 bytes are the end.
    fn read(
        &mut self,
        buffer: &mut [u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<usize, AdbError>;

    /// Reads exactly so many bytes.
    fn read_exact(
        &mut self,
        buffer: &mut [u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<(), AdbError> {
        let mut done = 0;
        while done < buffer.len() {
            let count = self.read(&mut buffer[done..], patience, task)?;
            if count == 0 {
                let source = ErrorKind::UnexpectedEof.into();
                return Err(AdbError::Broken { task: task.to_owned(), source });
            }
            done += count;
        }
        Ok(())
    }
}

impl ReadInTime for Link {
    fn read(
        &mut self,
        buffer: &mut [u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<usize, AdbError> {
        loop {
            patience.left(task)?;
            match self.stream.read(buffer) {
                Err(error) if is_not_yet(error.kind()) => {}
                Ok(count) => return Ok(count),
                Err(source) => return Err(AdbError::Broken { task: task.to_owned(), source }),
            }
        }
    }
}

fn is_not_yet(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::halt::HaltCause;

    /// A connection to somebody who says nothing.
    fn silence() -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Link::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
        (link, listener.accept().unwrap().0)
    }

    #[test]
    fn a_wait_ends_in_time_or_when_input_is_halted() {
        let (mut link, _other) = silence();
        let start = Instant::now();
        let patience = Patience::of(Duration::from_millis(60));
        let ended = link.read(&mut [0; 4], &patience, "x");
        assert!(matches!(ended, Err(AdbError::Timeout { .. })), "{ended:?}");
        assert!(start.elapsed() >= Duration::from_millis(60));

        let halt = Halt::default();
        halt.pause(HaltCause::Command);
        let acting = Patience::of(Duration::from_secs(60)).until_halted(&halt);
        let ended = link.read(&mut [0; 4], &acting, "x");
        assert!(matches!(ended, Err(AdbError::Halted { .. })), "{ended:?}");
        let looking = Patience::of(Duration::from_millis(60)).until_stopped(&halt);
        let ended = link.read(&mut [0; 4], &looking, "x");
        assert!(matches!(ended, Err(AdbError::Timeout { .. })), "{ended:?}");
        halt.stop(HaltCause::Signal);
        let looking = Patience::of(Duration::from_secs(60)).until_stopped(&halt);
        let ended = link.read(&mut [0; 4], &looking, "x");
        assert!(matches!(ended, Err(AdbError::Halted { .. })), "{ended:?}");
    }
}
