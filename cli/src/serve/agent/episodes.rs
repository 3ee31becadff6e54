//! `/agent/episodes`: goals on a device that is the client's own. It sends a screenshot and gets what to do on
//! it; benchmarks with phones and desktops of their own are driven this way.
//!
//! A step that was begun is finished even if its client hangs up, so that a retry with the same `request_id`
//! gets that answer and not a second decision.

mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Method, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, post};
use handsight_actions::{DeviceKind, RelayOptions, SafetyPolicy};
use handsight_agent::{
    CancelFlag, EpisodeOptions, ModelOptions, ModelPolicy, PromptProfile, RelayedEpisode,
    SettleOptions, TraceRecorder, with_source,
};
use handsight_model::Engine;
use serde_json::{Value, json};

use self::wire::{Asked, Wanted, answer};
use super::super::Server;
use super::super::body::{blocking, read_json};
use super::super::error::{ApiError, json_response};
use super::super::ids;
use super::{Answer, empty, none, not_allowed};

/// The version of the protocol.
pub(super) const PROTOCOL: u32 = 1;

/// The most episodes that are open at once.
const MAX_EPISODES: usize = 16;

/// How long the client of an episode may send nothing.
const IDLE: Duration = Duration::from_secs(600);

/// The most time of an episode: its client has budgets of its own.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most bytes of a request that begins an episode.
const MAX_GOAL_BODY: usize = 1 << 16;

/// What episodes are decided by, and under which rules.
pub(crate) struct EpisodeRules {
    /// How the model is talked to about a desktop, and about a phone.
    pub(crate) desktop: PromptProfile,
    pub(crate) phone: PromptProfile,
    pub(crate) safety: SafetyPolicy,
    /// The folder in which each episode leaves a trace, if one is to.
    pub(crate) traces: Option<PathBuf>,
}

/// The episodes that are open.
pub(in super::super) struct Episodes {
    engine: Arc<Engine>,
    rules: EpisodeRules,
    open: Mutex<BTreeMap<String, Arc<Open>>>,
}

/// An episode that is open.
struct Open {
    described: Value,
    is_phone: bool,
    cancel: CancelFlag,
    used: Mutex<Instant>,
    turn: Arc<tokio::sync::Mutex<Turn>>,
}

/// Whose turn it is: one step at a time.
struct Turn {
    episode: RelayedEpisode,
    /// How many steps were answered.
    steps: u32,
    /// What the last request was called, and its answer.
    last: Option<(String, Value)>,
}

/// Returns what is answered below `/agent/episodes`.
pub(super) fn router() -> Router<Arc<Server>> {
    Router::new()
        .route("/agent/episodes", any(episodes))
        .route("/agent/episodes/{id}", any(episode))
        .route("/agent/episodes/{id}/step", post(step))
}

async fn episodes(
    State(server): State<Arc<Server>>,
    method: Method,
    request: Request,
) -> Response<Body> {
    let answer = async {
        match method {
            Method::GET => {
                let open: Vec<Value> =
                    server.episodes.open().values().map(|open| open.described()).collect();
                Ok(json_response(StatusCode::OK, &json!({ "episodes": open })))
            }
            Method::POST => {
                let body = read_json(request, MAX_GOAL_BODY, &server.memory).await?;
                let begun = server.episodes.begin(&server, &Wanted::read(body)?)?;
                Ok(json_response(StatusCode::CREATED, &begun))
            }
            method => Err(not_allowed(&method)),
        }
    };
    let answer: Answer = answer.await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn episode(
    State(server): State<Arc<Server>>,
    method: Method,
    Path(id): Path<String>,
) -> Response<Body> {
    let answer = match method {
        Method::GET => {
            server.episodes.of(&id).map(|open| json_response(StatusCode::OK, &open.described()))
        }
        Method::DELETE => server.episodes.end(&id).map(|()| empty()),
        method => Err(not_allowed(&method)),
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn step(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    let answered = async {
        let open = server.episodes.of(&id)?;
        if *server.stopping.borrow() {
            return Err(ApiError::shutting_down());
        }
        let body = read_json(request, server.limits.body_bytes, &server.memory).await?;
        let place = server.readers.acquire().await.map_err(|_| ApiError::shutting_down())?;
        let reader = Arc::clone(&server);
        let asked = blocking(move || Asked::read(body, &reader.limits.media)).await??;
        drop(place);
        // The pixels stay until the step is answered.
        let memory = server.memory.reserve(asked.bytes())?;
        let task = tokio::spawn(async move {
            let turn = Arc::clone(&open.turn).lock_owned().await;
            let answer = blocking(move || {
                let (mut turn, _memory) = (turn, memory);
                turn.take(asked, &open)
            });
            answer.await?
        });
        let answer = task.await.map_err(|_| ApiError::shutting_down())??;
        Ok(json_response(StatusCode::OK, &answer))
    };
    let answered: Answer = answered.await;
    answered.unwrap_or_else(IntoResponse::into_response)
}

impl Episodes {
    pub(in super::super) fn new(engine: Arc<Engine>, rules: EpisodeRules) -> Self {
        Self { engine, rules, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Open>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, id: &str) -> Result<Arc<Open>, ApiError> {
        let open = self.open().get(id).map(Arc::clone).ok_or_else(|| none("episode", id))?;
        open.touch();
        Ok(open)
    }

    fn end(&self, id: &str) -> Result<(), ApiError> {
        let ended = self.open().remove(id).ok_or_else(|| none("episode", id))?;
        ended.cancel.cancel();
        Ok(())
    }

    /// Ends all of them, also those that are deciding.
    pub(in super::super) fn end_all(&self) {
        for open in std::mem::take(&mut *self.open()).values() {
            open.cancel.cancel();
        }
    }

    fn begin(&self, server: &Server, wanted: &Wanted) -> Result<Value, ApiError> {
        let mut open = self.open();
        // What nobody has asked after for long has been left behind.
        open.retain(|_, open| open.is_in_use());
        if open.len() >= MAX_EPISODES {
            let message = format!("{MAX_EPISODES} episodes are open already; end one first.");
            return Err(ApiError::busy(message));
        }
        let id = ids::fresh("episode_");
        let is_phone = wanted.kind == DeviceKind::Android;
        let profile = if is_phone { &self.rules.phone } else { &self.rules.desktop }.clone();
        let refused = |error: &dyn std::error::Error, hint: Option<String>| {
            let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            ApiError::bad_request(format!("{}{hint}", with_source(error))).with_code("bad_input")
        };
        profile.check_acts().map_err(|error| refused(&error, error.hint()))?;
        let device = RelayOptions {
            name: wanted.device_name(),
            kind: wanted.kind,
            size: wanted.size,
            action_space: wanted.action_space.clone(),
            patience: IDLE,
        };
        let options = EpisodeOptions {
            max_steps: wanted.max_steps,
            timeout: LONGEST,
            settle: SettleOptions::immediate(),
            images_in_history: profile.images_in_history(),
            ..EpisodeOptions::default()
        };
        let trace = self.rules.traces.as_ref().map(|folder| folder.join(&id));
        let recorder = trace.as_deref().map(TraceRecorder::create).transpose();
        let recorder = recorder.map_err(|error| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            ApiError::of_status(status, with_source(&error)).with_code("trace")
        })?;
        let prompt = profile.as_str().to_owned();
        let how = ModelOptions { seed: wanted.seed, ..ModelOptions::default() };
        let policy = ModelPolicy::new(Arc::clone(&self.engine), profile, how);
        let safety = self.rules.safety.clone();
        let episode =
            RelayedEpisode::begin(device, safety, policy, &wanted.goal, options, recorder)
                .map_err(|error| refused(&error, error.hint()))?;
        let described = json!({
            "episode": id,
            "protocol": PROTOCOL,
            "created": jiff::Timestamp::now().as_second(),
            "benchmark": wanted.benchmark,
            "task": wanted.task,
            "platform": wanted.platform(),
            "goal": wanted.goal,
            "max_steps": wanted.max_steps,
            "seed": wanted.seed,
            "actions": wanted.action_space,
            "model": {
                "id": server.name,
                "fingerprint": server.fingerprint,
                "parameters": self.engine.info().parameters,
                "prompt": prompt,
                "handsight": env!("CARGO_PKG_VERSION"),
            },
            "trace": trace,
            "deciding": false,
        });
        let begun = Open {
            described: described.clone(),
            is_phone,
            cancel: episode.cancel().clone(),
            used: Mutex::new(Instant::now()),
            turn: Arc::new(tokio::sync::Mutex::new(Turn { episode, steps: 0, last: None })),
        };
        open.insert(id, Arc::new(begun));
        Ok(described)
    }
}

impl Open {
    fn used(&self) -> MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.used() = Instant::now();
    }

    /// Returns what it is, and whether the model decides at the moment.
    fn described(&self) -> Value {
        let mut described = self.described.clone();
        described["deciding"] = self.turn.try_lock().is_err().into();
        described
    }

    fn is_in_use(&self) -> bool {
        self.turn.try_lock().is_err() || self.used().elapsed() < IDLE
    }
}

impl Turn {
    /// Answers one step; blocks while the model decides.
    fn take(&mut self, asked: Asked, open: &Open) -> Result<Value, ApiError> {
        if let (Some((id, answer)), Some(asked)) = (&self.last, &asked.request_id)
            && id == asked
        {
            return Ok(answer.clone());
        }
        let conflict = |message: String, code| {
            Err(ApiError::of_status(StatusCode::CONFLICT, message).with_code(code))
        };
        if let Some(stop) = self.episode.stop() {
            let message = format!("The episode is over: {}.", stop.reason.describe());
            return conflict(message, "episode_over");
        }
        if let Some(step) = asked.step.filter(|step| *step != self.steps) {
            let message = format!("Step {step} was sent, and step {} is due.", self.steps);
            return conflict(message, "wrong_step");
        }
        let size = asked.seen.observation.screenshot.size();
        let request_id = asked.request_id.unwrap_or_else(|| ids::fresh("request_"));
        let step = self.episode.step(asked.seen);
        let mut reply = answer(step, size, open.is_phone);
        reply["episode"] = open.described["episode"].clone();
        reply["step"] = self.steps.into();
        reply["request_id"] = request_id.clone().into();
        reply["model"] = open.described["model"].clone();
        self.steps += 1;
        self.last = Some((request_id, reply.clone()));
        open.touch();
        Ok(reply)
    }
}
