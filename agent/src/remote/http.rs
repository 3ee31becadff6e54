//! One request to a server and its answer, read on a thread of its own so that whoever waits can be
//! cancelled. Every size and every wait has a limit.

use std::io::{self, BufReader, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use handsight_model::CancelFlag;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, Timeout};

use super::address::Address;
use super::error::RemoteError;
use super::key::ApiKey;
use super::{retry, sse};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How soon a cancelling is noticed.
const POLL: Duration = Duration::from_millis(30);

/// The most that is read of an answer, with the likeliest tokens of each place.
const MAX_ANSWER: u64 = 32 << 20;

/// The most that is read of an error.
const MAX_ERROR: u64 = 64 << 10;

/// Pieces of an answer that may lie ready.
const MAX_READY: usize = 64;

/// A server, and what opens it.
pub(super) struct Client {
    agent: Agent,
    address: Address,
    key: Option<ApiKey>,
}

/// When an answer has to be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    end: Instant,
    after: Duration,
}

impl Deadline {
    pub(super) fn new(after: Duration) -> Self {
        Self { end: Instant::now() + after, after }
    }

    /// Returns the time that is left.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

/// A part of an answer.
#[derive(Debug)]
pub(super) enum Piece {
    /// How the request went; always the first.
    Head(Head),
    /// The data of one event of a stream.
    Event(String),
    /// All of an answer that is no stream.
    Body(Vec<u8>),
}

/// What stands before an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    /// How long the server wants not to be asked again.
    pub(super) retry_after: Option<Duration>,
}

/// What came of waiting.
#[derive(Debug)]
pub(super) enum Next {
    Piece(Piece),
    /// There is no more.
    Over,
    /// The cancel flag was set.
    Cancelled,
}

/// A request under way. Dropping it ends the connection with its next piece.
pub(super) struct Exchange<'a> {
    server: &'a str,
    pieces: Receiver<Result<Piece, Trouble>>,
    deadline: Deadline,
}

/// Why a request came to nothing.
#[derive(Debug)]
enum Trouble {
    Unreachable(String),
    Timeout,
    CutOff,
    TooLong(u64),
    Unreadable(String),
}

impl Client {
    pub(super) fn new(address: Address, key: Option<ApiKey>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A key must not follow a redirection to who knows where.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("handsight/", env!("CARGO_PKG_VERSION")));
        // What stays on this machine does not go through a proxy.
        let config = if address.is_loopback() { config.proxy(None) } else { config };
        Self { agent: config.build().new_agent(), address, key }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Takes the key out of a text, should the server repeat it.
    pub(super) fn redact(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.redact(text))
    }

    /// Asks for a resource, or posts JSON to it.
    pub(super) fn start(
        &self,
        resource: &str,
        json: Option<Vec<u8>>,
        deadline: Deadline,
    ) -> Exchange<'_> {
        let (sender, pieces) = mpsc::sync_channel(MAX_READY);
        let (agent, url) = (self.agent.clone(), self.address.of(resource));
        let authorization = self.key.as_ref().map(ApiKey::header);
        let left = deadline.left();
        thread::spawn(move || {
            let response = send(&agent, &url, json.as_deref(), authorization.as_deref(), left);
            let read = response.map_err(|error| trouble(&error));
            if let Err(trouble) = read.and_then(|response| read_answer(response, &sender)) {
                // Whoever waited may have gone.
                let _ = sender.send(Err(trouble));
            }
        });
        Exchange { server: self.address.server(), pieces, deadline }
    }
}

impl Exchange<'_> {
    /// Waits for the next piece.
    pub(super) fn next(&self, cancel: &CancelFlag) -> Result<Next, RemoteError> {
        loop {
            if cancel.is_cancelled() {
                return Ok(Next::Cancelled);
            }
            let left = self.deadline.left();
            match self.pieces.recv_timeout(left.min(POLL)) {
                Ok(Ok(piece)) => return Ok(Next::Piece(piece)),
                Ok(Err(trouble)) => return Err(self.error(trouble)),
                Err(RecvTimeoutError::Disconnected) => return Ok(Next::Over),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(self.error(Trouble::Timeout));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn error(&self, trouble: Trouble) -> RemoteError {
        let server = self.server.to_owned();
        match trouble {
            Trouble::Unreachable(problem) => RemoteError::Unreachable { server, problem },
            Trouble::Timeout => RemoteError::Timeout { server, after: self.deadline.after },
            Trouble::CutOff => RemoteError::CutOff { server },
            Trouble::TooLong(limit) => RemoteError::TooLong { server, limit },
            Trouble::Unreadable(problem) => RemoteError::Unreadable { server, problem },
        }
    }
}

fn send(
    agent: &Agent,
    url: &str,
    json: Option<&[u8]>,
    authorization: Option<&str>,
    left: Duration,
) -> Result<Response<Body>, ureq::Error> {
    let accept = ("Accept", "text/event-stream, application/json");
    let authorization = authorization.map(|value| ("Authorization", value));
    let headers = std::iter::once(accept).chain(authorization);
    match json {
        None => {
            let mut request = agent.get(url).config().timeout_global(Some(left)).build();
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.call()
        }
        Some(json) => {
            let mut request = agent.post(url).config().timeout_global(Some(left)).build();
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.header("Content-Type", "application/json").send(json)
        }
    }
}

/// Reads an answer and sends it on piece by piece; ends early when nobody waits any more.
fn read_answer(
    response: Response<Body>,
    pieces: &SyncSender<Result<Piece, Trouble>>,
) -> Result<(), Trouble> {
    let status = response.status().as_u16();
    let is_stream = header(response.headers(), "content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"));
    let retry_after = header(response.headers(), "retry-after").and_then(retry::retry_after);
    let is_good = (200..300).contains(&status);
    let head = Head { status, retry_after };
    if pieces.send(Ok(Piece::Head(head))).is_err() {
        return Ok(());
    }
    let limit = if is_good { MAX_ANSWER } else { MAX_ERROR };
    let body = response.into_body().into_with_config().limit(u64::MAX).reader();
    if !is_good {
        // The start of what the server says is enough.
        let mut text = Vec::new();
        let _ = body.take(limit).read_to_end(&mut text);
        let _ = pieces.send(Ok(Piece::Body(text)));
        return Ok(());
    }
    let mut body = BufReader::new(Bounded { inner: body, left: limit });
    if !is_stream {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(|error| read_trouble(&error, limit))?;
        let _ = pieces.send(Ok(Piece::Body(bytes)));
        return Ok(());
    }
    while let Some(event) =
        sse::next_event(&mut body).map_err(|error| read_trouble(&error, limit))?
    {
        if pieces.send(Ok(Piece::Event(event))).is_err() {
            break;
        }
    }
    Ok(())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads up to a limit; more is an error, not the end.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(read)
    }
}

/// Tells what kind of failure kept a request from being answered.
fn trouble(error: &ureq::Error) -> Trouble {
    match error {
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => Trouble::Unreachable(format!(
            "there was no connection within {} s",
            CONNECT_TIMEOUT.as_secs()
        )),
        ureq::Error::Timeout(_) => Trouble::Timeout,
        ureq::Error::Protocol(problem) => Trouble::Unreadable(problem.to_string()),
        ureq::Error::LargeResponseHeader(..) => Trouble::Unreadable("its head is too long".into()),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Trouble::CutOff,
        error => Trouble::Unreachable(error.to_string()),
    }
}

/// Tells what kind of failure ended an answer.
fn read_trouble(error: &io::Error, limit: u64) -> Trouble {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    match (inner, error.kind()) {
        (Some(ureq::Error::Timeout(_)), _) | (_, io::ErrorKind::TimedOut) => Trouble::Timeout,
        (_, io::ErrorKind::FileTooLarge) => Trouble::TooLong(limit),
        (None, io::ErrorKind::InvalidData) => Trouble::Unreadable(error.to_string()),
        _ => Trouble::CutOff,
    }
}
