//! Requests on the engine, as streams of events. Whoever drops one cancels it.

use handsight_model::{CancelFlag, Event, Request, Sampling, Scheduler};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use super::error::ApiError;

/// The `n` answers to one request while they are generated.
///
/// Dropping it, as happens when the client goes away, stops all of them before their next token.
#[derive(Debug)]
pub(super) struct Jobs {
    /// Which answer, and what happened to it. Not bounded in itself, but by the answers' tokens.
    events: UnboundedReceiver<(usize, Event)>,
    cancel: CancelFlag,
    /// Becomes true when all work is to end at once.
    abort: watch::Receiver<bool>,
    running: usize,
}

impl Jobs {
    /// Queues `n` answers to one request; their seeds follow each other.
    pub(super) fn submit(
        scheduler: &Scheduler,
        request: &Request,
        n: usize,
        abort: watch::Receiver<bool>,
    ) -> Result<Self, ApiError> {
        let (send, events) = unbounded_channel();
        let cancel = CancelFlag::default();
        // From here on an error drops it, and so cancels what was queued before.
        let jobs = Self { events, cancel: cancel.clone(), abort, running: n };
        for index in 0..n {
            let mut request = request.clone();
            if let Sampling::Random { seed, .. } = &mut request.options.sampling {
                *seed = seed.wrapping_add(index as u64);
            }
            let send = send.clone();
            let on_event = move |event| {
                // A receiver that is gone has cancelled the generation already.
                let _ = send.send((index, event));
            };
            scheduler.submit(request, cancel.clone(), Box::new(on_event))?;
        }
        Ok(jobs)
    }

    /// Waits for the next event; nothing once all answers are done.
    pub(super) async fn next(&mut self) -> Result<Option<(usize, Event)>, ApiError> {
        if self.running == 0 {
            return Ok(None);
        }
        let next = tokio::select! {
            biased;
            _ = self.abort.wait_for(|abort| *abort) => return Err(ApiError::shutting_down()),
            next = self.events.recv() => next,
        };
        // The scheduler always says that an answer is done, unless it is gone itself.
        let (index, event) = next.ok_or_else(ApiError::shutting_down)?;
        if matches!(event, Event::Done(_)) {
            self.running -= 1;
        }
        Ok(Some((index, event)))
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
