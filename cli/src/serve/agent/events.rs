//! What happens in a session, kept for a while and told as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::stream::unfold;
use serde_json::Value;
use tokio::sync::watch;

use super::super::stream::event_stream;

/// The most events that are kept for who comes late.
const KEPT: usize = 1024;

/// How often a comment is sent while nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The events of a session; each has a number, from 1.
pub(super) struct Events {
    kept: Mutex<VecDeque<(u64, Bytes)>>,
    /// The number of the last one; `None` when there will be no more.
    last: watch::Sender<Option<u64>>,
}

impl Events {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), last: watch::Sender::new(Some(0)) })
    }

    /// Tells everybody who listens.
    pub(super) fn tell(&self, kind: &str, data: &Value) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = *self.last.borrow() else { return };
        let number = last + 1;
        let event = format!("id: {number}\nevent: {kind}\ndata: {data}\n\n");
        kept.push_back((number, event.into()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        drop(kept);
        self.last.send_replace(Some(number));
    }

    /// Says that nothing more will happen.
    pub(super) fn end(&self) {
        self.last.send_replace(None);
    }

    fn after(&self, number: u64) -> Option<(u64, Bytes)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(kept, _)| *kept > number).cloned()
    }
}

/// A listener, and what it heard last.
struct Listener {
    events: Arc<Events>,
    news: watch::Receiver<Option<u64>>,
    heard: u64,
    stopping: watch::Receiver<bool>,
}

impl Listener {
    /// Waits for the next bytes to send; nothing at the end.
    async fn next(&mut self) -> Option<Bytes> {
        // What comes while this looks is news afterwards.
        let is_over = self.news.borrow_and_update().is_none();
        if let Some((number, event)) = self.events.after(self.heard) {
            self.heard = number;
            return Some(event);
        }
        if is_over || *self.stopping.borrow() {
            return None;
        }
        tokio::select! {
            changed = self.news.changed() => changed.ok().map(|()| Bytes::new()),
            _ = self.stopping.changed() => None,
            () = tokio::time::sleep(KEEP_ALIVE) => Some(Bytes::from_static(b": keep-alive\n\n")),
        }
    }
}

/// Returns the events after a number, as they come.
pub(super) fn stream(
    events: Arc<Events>,
    heard: u64,
    stopping: watch::Receiver<bool>,
) -> Response<Body> {
    let news = events.last.subscribe();
    let listener = Listener { events, news, heard, stopping };
    let stream = unfold(listener, |mut listener| async move {
        loop {
            let bytes = listener.next().await?;
            if !bytes.is_empty() {
                return Some((Ok::<_, Infallible>(bytes), listener));
            }
        }
    });
    event_stream(stream)
}
