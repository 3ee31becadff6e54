//! The one device, who holds it, and the runs under way on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use handsight_scenarios::Tool;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::super::error::ApiError;
use super::super::ids;
use super::events::Events;
use super::{none, refusal, result};
use crate::session_thread::SessionThread;

/// How long a session may do nothing before another may take its place.
const IDLE: Duration = Duration::from_secs(600);

/// The most runs whose results a session keeps.
const MAX_RUNS: usize = 256;

/// The device, and the session that holds it.
pub(crate) struct Desk {
    thread: SessionThread,
    open: Mutex<Option<Open>>,
}

/// A session that is open.
struct Open {
    id: String,
    /// When it was begun, in seconds since 1970.
    created: i64,
    used: Instant,
    runs: BTreeMap<String, Run>,
    events: Arc<Events>,
}

/// A run, under way or over.
struct Run {
    tool: Tool,
    state: RunState,
    task: Option<AbortHandle>,
}

enum RunState {
    Running,
    Done(Value),
    Failed(Value),
    Cancelled,
}

impl Open {
    fn is_busy(&self) -> bool {
        self.runs.values().any(|run| matches!(run.state, RunState::Running))
    }

    /// Ends all that is under way in it.
    fn close(self) {
        for (id, run) in &self.runs {
            if let (RunState::Running, Some(task)) = (&run.state, &run.task) {
                task.abort();
                self.events.tell("run", &json!({ "run": id, "status": "cancelled" }));
            }
        }
        self.events.end();
    }
}

impl Run {
    fn described(&self, id: &str) -> Value {
        let (status, result, error) = match &self.state {
            RunState::Running => ("running", None, None),
            RunState::Done(result) => ("done", Some(result), None),
            RunState::Failed(error) => ("failed", None, Some(error)),
            RunState::Cancelled => ("cancelled", None, None),
        };
        json!({
            "run": id,
            "tool": self.tool.name(),
            "status": status,
            "result": result,
            "error": error,
        })
    }
}

impl Desk {
    pub(crate) fn new(thread: SessionThread) -> Self {
        Self { thread, open: Mutex::default() }
    }

    pub(crate) fn thread(&self) -> &SessionThread {
        &self.thread
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session, if none holds the device.
    pub(super) fn begin(&self) -> Result<Value, ApiError> {
        let mut open = self.open();
        if let Some(held) = open.as_ref()
            && (held.is_busy() || held.used.elapsed() < IDLE)
        {
            let message = "Another session holds the device; end it first, or wait until it has done \
                           nothing for ten minutes.";
            return Err(
                ApiError::of_status(StatusCode::CONFLICT, message).with_code("session_open")
            );
        }
        if let Some(idle) = open.take() {
            idle.close();
        }
        let begun = Open {
            id: ids::fresh("session_"),
            created: jiff::Timestamp::now().as_second(),
            used: Instant::now(),
            runs: BTreeMap::new(),
            events: Events::new(),
        };
        let described = self.describe(&begun);
        *open = Some(begun);
        Ok(described)
    }

    fn describe(&self, open: &Open) -> Value {
        let info = self.thread.info();
        let tools: Vec<&str> = self.thread.tools().iter().map(|tool| tool.name()).collect();
        let runs: Vec<Value> = open.runs.iter().map(|(id, run)| run.described(id)).collect();
        json!({
            "session": open.id,
            "created": open.created,
            "device": info.name,
            "width": info.size.width,
            "height": info.size.height,
            "tools": tools,
            "runs": runs,
        })
    }

    /// Returns the session that is open, if one is.
    pub(super) fn described(&self) -> Option<Value> {
        self.open().as_ref().map(|open| self.describe(open))
    }

    /// Does something with a session, which is used by that.
    fn with<T>(&self, id: &str, act: impl FnOnce(&mut Open) -> T) -> Result<T, ApiError> {
        match self.open().as_mut().filter(|open| open.id == id) {
            Some(open) => {
                open.used = Instant::now();
                Ok(act(open))
            }
            None => Err(none("session", id)),
        }
    }

    /// Returns a session.
    pub(super) fn of(&self, id: &str) -> Result<Value, ApiError> {
        self.with(id, |open| self.describe(open))
    }

    /// Notes that a session was used, if it is still there.
    pub(super) fn touch(&self, id: &str) {
        let _ = self.with(id, |_| ());
    }

    pub(super) fn events(&self, id: &str) -> Result<Arc<Events>, ApiError> {
        self.with(id, |open| Arc::clone(&open.events))
    }

    /// Ends a session and all that is under way in it.
    pub(super) fn end(&self, id: &str) -> Result<(), ApiError> {
        let mut open = self.open();
        match open.take_if(|open| open.id == id) {
            Some(ended) => {
                ended.close();
                Ok(())
            }
            None => Err(none("session", id)),
        }
    }

    /// Begins a run, which goes on by itself.
    pub(super) fn run(
        self: &Arc<Self>,
        id: &str,
        tool: Tool,
        arguments: Value,
    ) -> Result<Value, ApiError> {
        let (desk, session) = (Arc::clone(self), id.to_owned());
        self.with(id, |open| {
            if open.runs.len() >= MAX_RUNS {
                let message = format!("A session has at most {MAX_RUNS} runs; begin another one.");
                return Err(ApiError::busy(message));
            }
            let run = ids::fresh("run_");
            let (name, events) = (run.clone(), Arc::clone(&open.events));
            let task = tokio::spawn(async move {
                let tell = |event| {
                    let event = serde_json::to_value(event).unwrap_or_default();
                    events.tell("step", &json!({ "run": name, "event": event }));
                    std::future::ready(())
                };
                let state = match desk.thread.call(tool, arguments, tell).await {
                    Ok(reply) => RunState::Done(result(reply)),
                    Err(error) => RunState::Failed(refusal(&error).body()["error"].take()),
                };
                desk.ended(&session, &name, state);
            });
            let begun = Run { tool, state: RunState::Running, task: Some(task.abort_handle()) };
            let described = begun.described(&run);
            open.events.tell("run", &json!({ "run": run, "status": "running" }));
            open.runs.insert(run, begun);
            Ok(described)
        })?
    }

    /// Notes what came of a run.
    fn ended(&self, session: &str, run: &str, state: RunState) {
        let noted = self.with(session, |open| {
            let events = Arc::clone(&open.events);
            open.runs.get_mut(run).map(|ended| {
                (ended.state, ended.task) = (state, None);
                (events, ended.described(run))
            })
        });
        // A session that was ended has no use for it.
        if let Ok(Some((events, described))) = noted {
            events.tell("run", &described);
        }
    }

    /// Returns a run.
    pub(super) fn run_of(&self, id: &str, run: &str) -> Result<Value, ApiError> {
        let described = |open: &mut Open| open.runs.get(run).map(|found| found.described(run));
        self.with(id, described)?.ok_or_else(|| none("run", run))
    }

    /// Cancels a run, if it is not over.
    pub(super) fn cancel(&self, id: &str, run: &str) -> Result<(), ApiError> {
        let cancelled = self.with(id, |open| {
            let found = open.runs.get_mut(run)?;
            if let (RunState::Running, Some(task)) = (&found.state, found.task.take()) {
                task.abort();
                found.state = RunState::Cancelled;
                let described = found.described(run);
                open.events.tell("run", &described);
            }
            Some(())
        })?;
        cancelled.ok_or_else(|| none("run", run))
    }
}
