//! Places for connections, and who loses one when all are taken.
//!
//! A client that sends its request letter by letter, or does not read its answer, holds a connection
//! for as long as it is let. One place is not worth much, but two hundred such clients would be the
//! whole server. So when somebody new comes and no place is left, whoever has kept the server waiting
//! for longest goes; clients for whom the server works never do.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long the server waits for a client before its place may go to another.
const GRACE: Duration = Duration::from_millis(250);

/// All places.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    count: usize,
    taken: Mutex<Vec<Arc<Seat>>>,
    /// Told whenever a place becomes free.
    freed: Notify,
}

/// A place that is taken; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    seat: Arc<Seat>,
    shared: Arc<Shared>,
}

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Seat {
    /// Since when the server waits for the client; none while the client waits for the server.
    waiting: Mutex<Option<Instant>>,
    leave: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Shared { count, taken: Mutex::default(), freed: Notify::new() }))
    }

    /// Waits for a place, and has somebody leave if there is none.
    pub(super) async fn take(&self) -> Place {
        loop {
            if let Some(place) = self.try_take() {
                return place;
            }
            let freed = self.0.freed.notified();
            self.dismiss();
            // Who may not leave yet may do so in a moment.
            let _ = tokio::time::timeout(GRACE, freed).await;
        }
    }

    fn try_take(&self) -> Option<Place> {
        let mut taken = lock(&self.0.taken);
        if taken.len() >= self.0.count {
            return None;
        }
        let seat = Arc::new(Seat { waiting: Mutex::new(None), leave: Notify::new() });
        seat.waits_for_client();
        taken.push(Arc::clone(&seat));
        Some(Place { seat, shared: Arc::clone(&self.0) })
    }

    /// Has the client leave that the server has waited for longest.
    fn dismiss(&self) {
        let taken = lock(&self.0.taken);
        let waiting = taken.iter().filter_map(|seat| Some((*lock(&seat.waiting).as_ref()?, seat)));
        let longest = waiting.min_by_key(|(since, _)| *since);
        if let Some((_, seat)) = longest.filter(|(since, _)| since.elapsed() >= GRACE) {
            seat.leave.notify_one();
        }
    }
}

impl Place {
    pub(super) fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.seat)
    }

    /// Waits until the place is needed for another.
    pub(super) async fn dismissed(&self) {
        self.seat.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.shared.taken).retain(|seat| !Arc::ptr_eq(seat, &self.seat));
        self.shared.freed.notify_one();
    }
}

impl Seat {
    /// From here on the server waits for the client.
    pub(super) fn waits_for_client(&self) {
        *lock(&self.waiting) = Some(Instant::now());
    }

    /// From here on the client waits for the server.
    pub(super) fn works(&self) {
        *lock(&self.waiting) = None;
    }
}

/// A body that tells who waits for whom.
#[derive(Debug)]
pub(super) struct Watched<B> {
    body: B,
    seat: Arc<Seat>,
    of: Of,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Of {
    /// The server waits until it is there.
    Request,
    /// The client waits for the next piece of it, and the server until that was sent.
    Answer,
}

impl<B: Body> Watched<B> {
    pub(super) fn request(body: B, seat: Arc<Seat>) -> Self {
        if body.is_end_stream() {
            seat.works();
        }
        Self { body, seat, of: Of::Request }
    }

    pub(super) fn answer(body: B, seat: Arc<Seat>) -> Self {
        Self { body, seat, of: Of::Answer }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match (self.of, &polled) {
            (Of::Request, Poll::Ready(Some(Ok(_)))) if self.body.is_end_stream() => {
                self.seat.works();
            }
            (Of::Request, Poll::Ready(None)) | (Of::Answer, Poll::Pending) => self.seat.works(),
            (Of::Answer, Poll::Ready(_)) => self.seat.waits_for_client(),
            (Of::Request, _) => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        match self.of {
            // Refused before it was read, perhaps: the answer comes.
            Of::Request => self.seat.works(),
            Of::Answer => self.seat.waits_for_client(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes every place there is and says of each whether the server works for it.
    async fn full(works: &[bool]) -> (Places, Vec<Place>) {
        let places = Places::new(works.len());
        let mut taken = Vec::new();
        for works in works {
            let place = places.take().await;
            if *works {
                place.seat().works();
            }
            taken.push(place);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (places, taken)
    }

    #[tokio::test]
    async fn who_keeps_the_server_waiting_longest_goes_first() {
        let (places, mut taken) = full(&[true, false, false]).await;
        let start = Instant::now();
        let new = tokio::spawn(async move { places.take().await });
        tokio::select! {
            () = taken[0].dismissed() => panic!("the server works for it"),
            () = taken[1].dismissed() => {}
            () = taken[2].dismissed() => panic!("another waits longer"),
        }
        assert!(start.elapsed() >= GRACE / 2, "{:?}", start.elapsed());
        drop(taken.remove(1));
        drop(new.await.unwrap());
    }

    #[tokio::test]
    async fn nobody_goes_for_whom_the_server_works() {
        let (places, mut taken) = full(&[true, true]).await;
        let new = tokio::spawn(async move { places.take().await });
        tokio::time::sleep(2 * GRACE).await;
        assert!(!new.is_finished());
        drop(taken.pop());
        drop(new.await.unwrap());
    }
}
