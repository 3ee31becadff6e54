//! A connection to an X server on which no wait is without end.
//!
//! x11rb waits for an answer for as long as the server takes. A server that was stopped, or a
//! machine that went to sleep at the other end of a tunnel, would hold the whole program, so the
//! socket is wrapped in one that gives up. A server that exits breaks the socket, which x11rb
//! reports by itself.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use x11rb::connection::Connection as _;
use x11rb::errors::{ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::xproto::{Screen, Window};
use x11rb::reexports::x11rb_protocol::parse_display::parse_display;
use x11rb::reexports::x11rb_protocol::xauth::get_auth;
use x11rb::rust_connection::{DefaultStream, PollMode, RustConnection, Stream};
use x11rb::utils::RawFdContainer;

use crate::device::desktop::Failure;
use crate::device::{DeviceError, Source};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection, and the screen of the display it is for.
pub(super) struct Connection {
    pub(super) x: RustConnection<ImpatientStream>,
    pub(super) root: Window,
    pub(super) screen: Screen,
    /// The display's name, such as `:0`.
    pub(super) display: String,
}

impl Connection {
    /// Connects to a display by its name, or to the one the environment names.
    pub(super) fn open(display: Option<&str>) -> Result<Self, DeviceError> {
        let fail = |display: &str, source: Source| {
            let display = display.to_owned();
            DeviceError::NoDisplay { display, source }
        };
        let parsed =
            parse_display(display).map_err(|err| fail(display.unwrap_or("default"), err.into()))?;
        let default = format!("{}:{}", parsed.host, parsed.display);
        let display = display.map_or(default, str::to_owned);
        let screen_number = usize::from(parsed.screen);
        let mut failed: Option<io::Error> = None;
        for address in parsed.connect_instruction() {
            let (stream, (family, peer)) = match DefaultStream::connect(&address) {
                Ok(connected) => connected,
                Err(err) => {
                    // The first address is the likeliest, so its error says most.
                    failed.get_or_insert(err);
                    continue;
                }
            };
            // Without a usable authority file the server may still let us in.
            let (name, data) =
                get_auth(family, &peer, parsed.display).ok().flatten().unwrap_or_default();
            let stream = ImpatientStream(stream);
            let x =
                RustConnection::connect_to_stream_with_auth_info(stream, screen_number, name, data)
                    .map_err(|err| fail(&display, err.into()))?;
            let screen = x.setup().roots[screen_number].clone();
            return Ok(Self { root: screen.root, screen, x, display });
        }
        let nowhere = || io::Error::new(io::ErrorKind::NotFound, "it names no address");
        Err(fail(&display, failed.unwrap_or_else(nowhere).into()))
    }

    /// Waits until the server has something to tell, but only so long.
    pub(super) fn wait_for_input(&self, limit: Duration) -> Result<(), Failure> {
        let limit = Timespec::try_from(limit).map_err(|error| Failure::Lost(error.into()))?;
        match poll(&mut [PollFd::new(&self.x.stream().0, PollFlags::IN)], Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(Failure::Lost(error.into())),
        }
    }

    /// Sends what is buffered and waits until the server has done it.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        x11rb::wrapper::ConnectionExt::sync(&self.x).map_err(Failure::from)
    }
}

/// A stream that waits only so long.
#[derive(Debug)]
pub(super) struct ImpatientStream(DefaultStream);

impl Stream for ImpatientStream {
    fn poll(&self, mode: PollMode) -> io::Result<()> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, mode.readable());
        flags.set(PollFlags::OUT, mode.writable());
        let patience = Timespec::try_from(PATIENCE).expect("five seconds fit");
        loop {
            match poll(&mut [PollFd::new(&self.0, flags)], Some(&patience)) {
                Ok(0) => {
                    let message = format!("no answer within {} s", PATIENCE.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(err) => return Err(err.into()),
            }
        }
    }

    fn read(&self, buffer: &mut [u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.0.read(buffer, fds)
    }

    fn write(&self, buffer: &[u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.0.write(buffer, fds)
    }
}

impl From<ConnectionError> for Failure {
    fn from(err: ConnectionError) -> Self {
        Self::Lost(err.into())
    }
}

impl From<ReplyError> for Failure {
    fn from(err: ReplyError) -> Self {
        match err {
            ReplyError::ConnectionError(err) => err.into(),
            err @ ReplyError::X11Error(_) => Self::Refused(err.into()),
        }
    }
}

impl From<ReplyOrIdError> for Failure {
    fn from(err: ReplyOrIdError) -> Self {
        match err {
            ReplyOrIdError::ConnectionError(err) => err.into(),
            err => Self::Refused(err.into()),
        }
    }
}
