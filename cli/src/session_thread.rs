//! A session on a thread of its own: servers wait for its answers without blocking, and whoever waits no
//! more ends what they asked for.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use handsight_actions::{DeviceInfo, Halt, HaltCause, HaltState};
use handsight_agent::CancelFlag;
use handsight_scenarios::{Call, Event, Reply, Session, Tool, ToolError};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// The most calls that wait.
const MAX_WAITING: usize = 16;

/// How long the call that is under way may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// A session that several clients share; each call waits until those before it are over.
#[derive(Clone)]
pub(crate) struct SessionThread {
    jobs: mpsc::Sender<Job>,
    under_way: Arc<UnderWay>,
    tools: Arc<[Tool]>,
    info: Arc<DeviceInfo>,
}

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The session does not do it, or did not.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Too many wait already.
    #[error("{MAX_WAITING} calls wait already")]
    Busy,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}

impl CallError {
    /// Returns what kind of error it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Tool(error) => error.kind().as_str(),
            Self::Busy => "busy",
            Self::Ended => "unavailable",
        }
    }

    /// Returns what can be done about it, if anything.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Tool(error) => error.hint(),
            Self::Busy => Some("try again when some of them are over".to_owned()),
            Self::Ended => Some("start the server again".to_owned()),
        }
    }

    /// Returns the message with its causes and what can be done about it, for people.
    pub(crate) fn in_words(&self) -> String {
        let message = handsight_agent::with_source(self);
        match self.hint() {
            Some(hint) => format!("{message}\nhint: {hint}"),
            None => message,
        }
    }
}

/// What the session's thread is asked for.
enum Job {
    /// Something of the session.
    Call(Asked),
    /// To let go of everything and end.
    End(oneshot::Sender<()>),
}

/// One call on its way to the session.
struct Asked {
    id: u64,
    tool: Tool,
    arguments: Value,
    cancel: CancelFlag,
    events: mpsc::UnboundedSender<Event>,
    done: oneshot::Sender<Result<Reply, ToolError>>,
}

/// The call that the session is busy with, and what stops its input.
struct UnderWay {
    call: Mutex<Option<(u64, CancelFlag)>>,
    next: Mutex<u64>,
    halt: Halt,
}

impl UnderWay {
    fn call(&self) -> MutexGuard<'_, Option<(u64, CancelFlag)>> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, asked: &Asked) {
        *self.call() = Some((asked.id, asked.cancel.clone()));
    }

    /// Input that was paused for this call goes on for the next.
    fn end(&self) {
        let mut call = self.call();
        *call = None;
        if self.halt.state() == HaltState::Paused(HaltCause::Client) {
            self.halt.resume();
        }
    }

    /// Cancels a call, also in the middle of what it does to the device.
    fn cancel(&self, id: u64, flag: &CancelFlag) {
        let call = self.call();
        flag.cancel();
        if call.as_ref().is_some_and(|(under_way, _)| *under_way == id) {
            self.halt.pause(HaltCause::Client);
        }
    }

    fn next_id(&self) -> u64 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        *next
    }
}

/// Cancels a call that nobody waits for any more.
struct Waiting {
    id: u64,
    cancel: CancelFlag,
    under_way: Arc<UnderWay>,
    is_over: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.is_over {
            self.under_way.cancel(self.id, &self.cancel);
        }
    }
}

impl SessionThread {
    /// Moves a session to a thread of its own; `halt` is the switch that its device heeds.
    pub(crate) fn start(mut session: Session, halt: Halt) -> Self {
        let (jobs, mut waiting) = mpsc::channel::<Job>(MAX_WAITING);
        let under_way = UnderWay { call: Mutex::default(), next: Mutex::default(), halt };
        let under_way = Arc::new(under_way);
        let (tools, info) = (session.tools().into(), Arc::new(session.info()));
        let busy = Arc::clone(&under_way);
        std::thread::spawn(move || {
            let mut ended = None;
            while let Some(job) = waiting.blocking_recv() {
                let asked = match job {
                    Job::Call(asked) => asked,
                    Job::End(done) => {
                        ended = Some(done);
                        break;
                    }
                };
                busy.begin(&asked);
                let reply = answer(&mut session, &asked);
                busy.end();
                // Whoever asked may be gone.
                let _ = asked.done.send(reply);
            }
            // What is gone holds nothing.
            let _ = session.release_all();
            drop(session);
            if let Some(done) = ended {
                let _ = done.send(());
            }
        });
        Self { jobs, under_way, tools, info }
    }

    /// Returns the tools that make sense on the device.
    pub(crate) fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Returns what the device was when the session began.
    pub(crate) fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Calls a tool, and waits for what comes of it; `tell` hears of what happens meanwhile. A call whose
    /// future is dropped is cancelled.
    pub(crate) async fn call<F: Future<Output = ()>>(
        &self,
        tool: Tool,
        arguments: Value,
        mut tell: impl FnMut(Event) -> F,
    ) -> Result<Reply, CallError> {
        let (events, mut happened) = mpsc::unbounded_channel();
        let (done, mut reply) = oneshot::channel();
        let (id, cancel) = (self.under_way.next_id(), CancelFlag::default());
        let asked = Asked { id, tool, arguments, cancel: cancel.clone(), events, done };
        self.jobs.try_send(Job::Call(asked)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallError::Busy,
            mpsc::error::TrySendError::Closed(_) => CallError::Ended,
        })?;
        let under_way = Arc::clone(&self.under_way);
        let mut waiting = Waiting { id, cancel, under_way, is_over: false };
        let reply = loop {
            tokio::select! {
                biased;
                Some(event) = happened.recv() => tell(event).await,
                reply = &mut reply => break reply,
            }
        };
        waiting.is_over = true;
        reply.map_err(|_| CallError::Ended)?.map_err(CallError::Tool)
    }

    /// Ends the call that is under way and then the session, which lets go of everything. Waits for that,
    /// but not for ever.
    pub(crate) async fn end(&self) {
        if let Some((_, cancel)) = &*self.under_way.call() {
            cancel.cancel();
        }
        let (done, ended) = oneshot::channel();
        let end = async {
            if self.jobs.send(Job::End(done)).await.is_ok() {
                let _ = ended.await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, end).await;
    }
}

/// Does what a call asks for. A fault of ours ends the call and not the session.
fn answer(session: &mut Session, asked: &Asked) -> Result<Reply, ToolError> {
    let mut tell = |event| {
        // Whoever asked may be gone.
        let _ = asked.events.send(event);
    };
    let call = Call { cancel: &asked.cancel, tell: &mut tell };
    let answered =
        panic::catch_unwind(AssertUnwindSafe(|| session.call(asked.tool, &asked.arguments, call)));
    answered.unwrap_or_else(|_| {
        let problem = Failure::from_last_panic().messages().join(": ");
        Err(ToolError::Internal { problem })
    })
}
