//! Many requests on one engine: they queue, and the decode steps of all that run share one pass.
//!
//! One thread reads requests and encodes their images, another decodes, so that a large screenshot
//! does not hold up the answers of others. A request joins the running ones at the next pass and
//! leaves as soon as it is done or cancelled.

mod sharing;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::batch;
use crate::engine::{CacheCounts, Engine};
use crate::error::ModelError;
use crate::request::{CancelFlag, Completion, Request, Stats, StopReason, TokenInfo};
use crate::sequence::Sequence;
use sharing::Sharing;

/// How much a [`Scheduler`] takes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SchedulerLimits {
    /// The most requests that run at once.
    pub max_running: usize,
    /// The most that wait; one more is refused.
    pub max_queued: usize,
    /// The most tokens, prompts and answers together, of all that run: it bounds the memory of
    /// their keys and values.
    pub max_tokens: usize,
}

impl Default for SchedulerLimits {
    fn default() -> Self {
        Self { max_running: 4, max_queued: 64, max_tokens: 65_536 }
    }
}

/// What happens to a request.
#[derive(Debug)]
pub enum Event {
    /// Its prompt was read and its images were encoded.
    Started {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Those of them that were remembered from an earlier request.
        cached_tokens: usize,
    },
    /// A token was generated.
    Token(TokenInfo),
    /// It is over; nothing follows.
    Done(Box<Result<Completion, ModelError>>),
}

/// How a scheduler is doing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SchedulerStats {
    /// Requests that run now.
    pub running: usize,
    /// Requests that wait.
    pub queued: usize,
    /// Requests that were taken since the start.
    pub accepted: u64,
    /// Requests that were refused because too many waited.
    pub refused: u64,
    /// Requests that got a whole answer.
    pub completed: u64,
    /// Requests that were cancelled.
    pub cancelled: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Those of them that were remembered from an earlier request or taken from another one that ran.
    pub cached_tokens: u64,
    /// Tokens of prompts that went through the decoder.
    pub prefilled_tokens: u64,
    /// Tokens of all answers.
    pub completion_tokens: u64,
    /// Passes through the decoder.
    pub passes: u64,
    /// Sequences in all passes; divided by `passes`, how many shared one.
    pub sequences_in_passes: u64,
    /// How often earlier work was used again.
    pub caches: CacheCounts,
}

/// Runs many requests on one [`Engine`].
pub struct Scheduler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

type OnEvent = Box<dyn FnMut(Event) + Send>;

struct Job {
    request: Request,
    cancel: CancelFlag,
    on_event: OnEvent,
}

struct Shared {
    engine: Arc<Engine>,
    limits: SchedulerLimits,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Whether no more requests are taken.
    closed: bool,
    /// Whether those that run are to end at once.
    abort: bool,
    /// Tokens of all that run.
    tokens: usize,
    stats: SchedulerStats,
}

impl State {
    /// Takes the requests out of the queue that were cancelled while they waited.
    fn take_cancelled(&mut self) -> Vec<Job> {
        let queue = std::mem::take(&mut self.queue);
        let (gone, waiting): (Vec<Job>, Vec<Job>) =
            queue.into_iter().partition(|job| job.cancel.is_cancelled());
        self.queue = waiting.into();
        self.stats.cancelled += gone.len() as u64;
        gone
    }
}

/// The answer to a request that was cancelled before it was read.
fn cancelled() -> Completion {
    let stats = Stats::default();
    Completion { text: String::new(), tokens: Vec::new(), stop: StopReason::Cancelled, stats }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until `ready` gives something.
    fn wait<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut state = self.state();
        loop {
            if let Some(value) = ready(&mut state) {
                return value;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells a request that it is over and counts it. It no longer runs.
    fn done(&self, on_event: &mut OnEvent, tokens: usize, result: Result<Completion, ModelError>) {
        self.change(|state| {
            state.stats.running -= 1;
            state.tokens -= tokens;
            let stats = &mut state.stats;
            match &result {
                Err(_) => stats.failed += 1,
                Ok(answer) if answer.stop == StopReason::Cancelled => stats.cancelled += 1,
                Ok(_) => stats.completed += 1,
            }
            if let Ok(answer) = &result {
                stats.prompt_tokens += answer.stats.prompt_tokens as u64;
                stats.cached_tokens += answer.stats.cached_tokens as u64;
                stats.completion_tokens += answer.stats.completion_tokens as u64;
            }
        });
        tell(on_event, Event::Done(Box::new(result)));
    }
}

impl Scheduler {
    /// Starts the two threads.
    ///
    /// Fewer tokens run at once than `limits` allow if there is not the memory for more.
    pub fn new(engine: Arc<Engine>, limits: SchedulerLimits) -> Self {
        let per_token = engine.memory_plan().kv_bytes_per_token.max(1);
        let fit = usize::try_from(engine.free_memory() / per_token).unwrap_or(usize::MAX);
        let limits = SchedulerLimits { max_tokens: limits.max_tokens.min(fit), ..limits };
        let shared = Arc::new(Shared {
            engine,
            limits,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let owned = shared.clone();
        let thread = thread::spawn(move || {
            // Never more than one waits between the threads: it holds features and a cache.
            let (send, receive) = mpsc::sync_channel(1);
            thread::scope(|scope| {
                scope.spawn(|| read_requests(&owned, send));
                decode(&owned, &receive);
            });
        });
        Self { shared, thread: Some(thread) }
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// Queues a request. `on_event` is called from the scheduler's threads, at last with
    /// [`Event::Done`]; it must not block, for all answers would wait for it.
    ///
    /// # Errors
    ///
    /// [`ModelError::Busy`] if too many wait, [`ModelError::ShuttingDown`] after
    /// [`drain`](Self::drain).
    pub fn submit(
        &self,
        request: Request,
        cancel: CancelFlag,
        on_event: Box<dyn FnMut(Event) + Send>,
    ) -> Result<(), ModelError> {
        let mut state = self.shared.state();
        if state.closed {
            return Err(ModelError::ShuttingDown);
        }
        // What runs leaves the queue at once, so a free place among the running counts too.
        let free = self.shared.limits.max_running.saturating_sub(state.stats.running);
        let places = self.shared.limits.max_queued + free;
        let gone = if state.queue.len() < places { Vec::new() } else { state.take_cancelled() };
        let queued = state.queue.len();
        let taken = if queued < places {
            state.stats.accepted += 1;
            state.queue.push_back(Job { request, cancel, on_event });
            Ok(())
        } else {
            state.stats.refused += 1;
            Err(ModelError::Busy { queued })
        };
        drop(state);
        self.shared.changed.notify_all();
        for mut job in gone {
            tell(&mut job.on_event, Event::Done(Box::new(Ok(cancelled()))));
        }
        taken
    }

    /// Returns how it is doing.
    pub fn stats(&self) -> SchedulerStats {
        let state = self.shared.state();
        let queued = state.queue.len();
        SchedulerStats { queued, caches: self.shared.engine.cache_counts(), ..state.stats }
    }

    /// Takes no more requests and waits until those it has are done, for at most `timeout`; returns
    /// whether they are.
    pub fn drain(&self, timeout: Duration) -> bool {
        self.shared.change(|state| state.closed = true);
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state();
        while state.stats.running > 0 || !state.queue.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Scheduler {
    /// Ends what still runs and waits for the threads.
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.closed = true;
            state.abort = true;
        });
        if let Some(thread) = self.thread.take() {
            // A panic of the threads was told to the requests it hit; there is no one else to tell.
            let _ = thread.join();
        }
    }
}

/// A request that runs.
struct Live<'e> {
    sequence: Sequence<'e>,
    /// In the order they came, from 0.
    id: u64,
    /// Tokens it counts for.
    tokens: usize,
    sharing: Sharing,
    on_event: OnEvent,
}

/// Reads request after request, as places get free, and hands them to the decoding thread.
fn read_requests<'e>(shared: &'e Shared, decoder: SyncSender<Live<'e>>) {
    for id in 0.. {
        let next = shared.wait(|state| {
            if state.abort || (state.closed && state.queue.is_empty()) {
                return Some(None);
            }
            if state.stats.running >= shared.limits.max_running {
                return None;
            }
            let job = state.queue.pop_front()?;
            state.stats.running += 1;
            Some(Some(job))
        });
        let Some(Job { request, cancel, mut on_event }) = next else { break };
        if cancel.is_cancelled() {
            shared.done(&mut on_event, 0, Ok(cancelled()));
            continue;
        }
        match read(shared, &request, &cancel) {
            Ok((sequence, tokens)) => {
                tell(&mut on_event, started(&sequence));
                let live = Live { sequence, id, tokens, sharing: Sharing::default(), on_event };
                if decoder.send(live).is_err() {
                    return;
                }
            }
            Err(error) => shared.done(&mut on_event, 0, Err(error)),
        }
    }
    // The decoding thread ends when it has answered what it was handed.
    drop(decoder);
    // What was still queued when the scheduler was dropped.
    let left: Vec<Job> = shared.state().queue.drain(..).collect();
    for mut job in left {
        tell(&mut job.on_event, Event::Done(Box::new(Err(ModelError::ShuttingDown))));
    }
}

/// Reads a request and waits until there is room for its tokens.
fn read<'e>(
    shared: &'e Shared,
    request: &Request,
    cancel: &CancelFlag,
) -> Result<(Sequence<'e>, usize), ModelError> {
    let limit = shared.limits.max_tokens;
    let sequence = guarded(|| shared.engine.start(request, cancel, limit))?;
    let tokens = sequence.stats().prompt_tokens + request.options.max_new_tokens;
    shared.wait(|state| {
        let has_room = state.tokens + tokens <= limit;
        (has_room || state.abort).then(|| state.tokens += tokens)
    });
    Ok((sequence, tokens))
}

fn started(sequence: &Sequence<'_>) -> Event {
    let stats = sequence.stats();
    Event::Started { prompt_tokens: stats.prompt_tokens, cached_tokens: stats.cached_tokens }
}

/// Decodes what runs, pass after pass, until the reading thread is gone and nothing is left.
fn decode<'e>(shared: &'e Shared, ready: &Receiver<Live<'e>>) {
    let mut live: Vec<Live<'e>> = Vec::new();
    let mut open = true;
    while open || !live.is_empty() {
        while open {
            let next = if live.is_empty() {
                ready.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                ready.try_recv()
            };
            match next {
                Ok(next) => live.push(next),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => open = false,
            }
        }
        let abort = shared.state().abort;
        for live in &mut live {
            if abort {
                live.sequence.cancel();
            }
            live.sequence.check_over();
        }
        sharing::settle(&shared.engine, &mut live);
        let (over, still): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|live| live.sequence.stop().is_some());
        for Live { sequence, tokens, mut on_event, .. } in over {
            shared.done(&mut on_event, tokens, Ok(shared.engine.finish(sequence)));
        }
        live = step(shared, still);
    }
}

/// Runs one pass and returns the requests that go on; those that failed are told.
fn step<'e>(shared: &'e Shared, mut live: Vec<Live<'e>>) -> Vec<Live<'e>> {
    if live.is_empty() {
        return live;
    }
    let model = shared.engine.model();
    let before: Vec<usize> = live.iter().map(|live| live.sequence.held()).collect();
    let together = guarded(|| {
        let mut sequences: Vec<_> = live.iter_mut().map(|live| &mut live.sequence).collect();
        batch::pass(model, &mut sequences)
    });
    let results: Vec<Result<Option<Vec<Vec<f32>>>, ModelError>> = if let Ok(logits) = together {
        logits.into_iter().map(Ok).collect()
    } else {
        // One of them broke the pass: each alone, so that the others go on.
        let again = live.iter_mut().zip(&before).map(|(live, &len)| {
            live.sequence.cache_mut().truncate(len);
            guarded(|| Ok(batch::pass(model, &mut [&mut live.sequence])?.pop().flatten()))
        });
        again.collect()
    };
    let ran = live.iter().zip(&before).map(|(live, &before)| {
        let n = live.sequence.held().saturating_sub(before) as u64;
        (n, if live.sequence.is_decoding() { 0 } else { n })
    });
    let ran: Vec<(u64, u64)> = ran.filter(|&(n, _)| n > 0).collect();
    shared.change(|state| {
        state.stats.passes += 1;
        state.stats.sequences_in_passes += ran.len() as u64;
        state.stats.prefilled_tokens += ran.iter().map(|&(_, prefilled)| prefilled).sum::<u64>();
    });
    let mut still = Vec::with_capacity(live.len());
    for (mut live, logits) in live.into_iter().zip(results) {
        let Live { sequence, on_event, .. } = &mut live;
        let advanced = logits.and_then(|logits| match logits {
            None => Ok(()),
            Some(logits) => guarded(|| {
                sequence.advance(logits, &mut |token| tell(on_event, Event::Token(token.clone())))
            }),
        });
        match advanced {
            Ok(()) => still.push(live),
            Err(error) => shared.done(&mut live.on_event, live.tokens, Err(error)),
        }
    }
    still
}

/// Turns a panic into an error: the other requests go on.
fn guarded<T>(work: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(ModelError::Internal { problem: panic_text(panic.as_ref()).to_owned() })
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

/// Tells a request; if its listener panics, the others do not suffer.
fn tell(on_event: &mut OnEvent, event: Event) {
    let _ = catch_unwind(AssertUnwindSafe(|| on_event(event)));
}
