//! One line on stderr for every request, and its place in the metrics. Nothing of what was asked or
//! answered is in either.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use handsight_model::Stats;

use super::Server;
use super::ids;
use super::metrics::Metrics;
use crate::print::Printer;

/// What is written down about a request when the last copy of this goes.
#[derive(Clone)]
pub(super) struct Access(Arc<Record>);

struct Record {
    id: String,
    method: Method,
    path: String,
    peer: Option<SocketAddr>,
    start: Instant,
    printer: Printer,
    metrics: Arc<Metrics>,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    status: Option<StatusCode>,
    prompt_tokens: usize,
    cached_tokens: usize,
    completion_tokens: usize,
    first_token: Option<Duration>,
    stream: StreamState,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum StreamState {
    /// The answer is not a stream.
    #[default]
    None,
    /// It has begun.
    Open,
    /// It was sent whole.
    Done,
    /// It ended with an error.
    Failed,
}

/// As much of a path as a line shows.
const MAX_PATH: usize = 120;

/// What nginx calls a client that did not wait for its answer.
const CLIENT_GONE: u16 = 499;

impl Access {
    pub(super) fn new(
        server: &Server,
        method: &Method,
        path: &str,
        peer: Option<SocketAddr>,
    ) -> Self {
        Self(Arc::new(Record {
            id: ids::fresh("req_"),
            method: method.clone(),
            path: path.chars().take(MAX_PATH).collect(),
            peer,
            start: Instant::now(),
            printer: server.printer.clone(),
            metrics: Arc::clone(&server.metrics),
            facts: Mutex::default(),
        }))
    }

    /// Returns the request's id.
    pub(super) fn id(&self) -> &str {
        &self.0.id
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head of the answer is ready.
    pub(super) fn answered(&self, status: StatusCode) {
        self.facts().status = Some(status);
    }

    /// The first token of the answer came.
    pub(super) fn first_token(&self) {
        let elapsed = self.0.start.elapsed();
        self.facts().first_token.get_or_insert(elapsed);
    }

    /// An answer is complete.
    pub(super) fn generated(&self, stats: &Stats) {
        let mut facts = self.facts();
        facts.prompt_tokens = stats.prompt_tokens;
        facts.cached_tokens = stats.cached_tokens;
        facts.completion_tokens += stats.completion_tokens;
    }

    /// The answer is a stream from here on.
    pub(super) fn streams(&self) {
        self.facts().stream = StreamState::Open;
    }

    /// The stream was sent to its end.
    pub(super) fn stream_done(&self) {
        self.facts().stream = StreamState::Done;
    }

    /// The stream ended with an error.
    pub(super) fn stream_failed(&self) {
        self.facts().stream = StreamState::Failed;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let facts = std::mem::take(&mut self.facts).into_inner();
        let facts = facts.unwrap_or_else(PoisonError::into_inner);
        let gone = facts.stream == StreamState::Open;
        let status = match facts.status {
            Some(status) if !gone => status.as_u16(),
            _ => CLIENT_GONE,
        };
        let elapsed = self.start.elapsed();
        self.metrics.request(&self.path, status, elapsed, facts.first_token);

        let now = jiff::Timestamp::now().strftime("%FT%TZ");
        let peer = self.peer.map_or("-".to_owned(), |peer| peer.ip().to_string());
        let seconds = elapsed.as_secs_f64();
        let mut line = format!(
            "{now} {} {peer} {} {} {status} {seconds:.3} s",
            self.id, self.method, self.path
        );
        if facts.prompt_tokens > 0 {
            let Facts { prompt_tokens, cached_tokens, completion_tokens, .. } = facts;
            // A string takes every write.
            let _ = write!(
                line,
                ", {prompt_tokens} prompt tokens ({cached_tokens} cached), {completion_tokens} \
                 generated"
            );
        }
        if facts.stream == StreamState::Failed {
            line += ", ended with an error";
        } else if status == CLIENT_GONE {
            line += ", the client went away";
        }
        self.printer.note(&line);
    }
}
