//! An OpenAI-compatible server around the engine. The only async code, and it only translates:
//! requests to what the scheduler takes, its events to answers.
//!
//! What comes from outside is bounded before it costs anything: connections, headers, bodies,
//! messages, images, pixels, memory, waiting requests. What is over a bound is refused with the
//! bound in the message, and nothing waits without end.

mod access;
pub(crate) mod agent;
mod answer;
mod body;
mod chat;
mod content;
pub(crate) mod error;
mod fields;
pub(crate) mod gate;
mod grammar;
mod ids;
mod jobs;
mod linger;
pub(crate) mod listen;
mod media;
mod metrics;
mod places;
mod request;
mod routes;
mod stream;
mod tokenize;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use handsight_model::chat::tools::{CALL_END, CALL_START};
use handsight_model::{CancelFlag, Engine, ModelError, Scheduler, SchedulerLimits};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::failure::{Exit, Failure};
use crate::interrupt::Signals;
use crate::plugin_http;
use crate::print::Printer;
use crate::session_thread::SessionThread;
pub(crate) use agent::EpisodeRules;
use body::Memory;
use error::ApiError;
use gate::Gate;
use grammar::Tags;
use media::MediaPolicy;
use metrics::Metrics;
use request::RequestLimits;

/// How the server is run.
pub(crate) struct ServeOptions {
    pub(crate) addr: SocketAddr,
    /// What requests call the model.
    pub(crate) name: String,
    /// What a request must carry, if anything.
    pub(crate) token: Option<String>,
    /// Names the server goes by.
    pub(crate) hosts: Vec<String>,
    /// The folder whose files requests may name.
    pub(crate) file_root: Option<PathBuf>,
    pub(crate) scheduler: SchedulerLimits,
    pub(crate) max_body_bytes: usize,
    /// Memory for requests that are read or wait.
    pub(crate) memory_bytes: usize,
    pub(crate) max_images: usize,
    pub(crate) max_image_pixels: u64,
    /// Tokens of an answer whose request does not say.
    pub(crate) default_max_tokens: usize,
    /// How long running answers may take when the server is asked to stop.
    pub(crate) drain: Duration,
    /// What goals on devices of clients are pursued under.
    pub(crate) episodes: EpisodeRules,
}

/// What a request may cost.
#[derive(Debug)]
struct Limits {
    body_bytes: usize,
    request: RequestLimits,
    media: MediaPolicy,
    default_max_tokens: usize,
}

/// All that requests share.
struct Server {
    name: String,
    fingerprint: String,
    /// When the server started, in seconds since 1970.
    created: i64,
    scheduler: Arc<Scheduler>,
    limits: Limits,
    gate: Gate,
    memory: Memory,
    /// Places for reading requests, which keeps a processor busy.
    readers: Semaphore,
    metrics: Arc<Metrics>,
    printer: Printer,
    /// The device for agents, if there is one.
    agent: Option<Arc<agent::AgentDesk>>,
    /// Goals on devices of clients.
    episodes: agent::Episodes,
    /// Becomes true when the server is asked to stop.
    stopping: watch::Receiver<bool>,
    /// Becomes true when answers that still run are to end at once.
    abort: watch::Receiver<bool>,
}

/// The most messages, tools and answers of one request.
const MAX_MESSAGES: usize = 2048;
const MAX_TOOLS: usize = 128;
const MAX_N: usize = 16;
const MAX_VIDEOS: usize = 8;

/// How many times the pixels of one image all images of a request may have.
const TOTAL_PIXELS: u64 = 4;

/// How long an answer that was ended may take to reach its client.
const FAREWELL: Duration = Duration::from_secs(5);

impl Server {
    fn engine(&self) -> &Engine {
        self.scheduler.engine()
    }

    fn check_model(&self, name: &str) -> Result<(), ApiError> {
        if name == self.name {
            return Ok(());
        }
        let name: String = name.chars().take(100).collect();
        let message = format!(
            "The model `{name}` does not exist or you do not have access to it. This server has \
             `{}`.",
            self.name
        );
        Err(ApiError::of_status(StatusCode::NOT_FOUND, message)
            .with_param("model")
            .with_code("model_not_found"))
    }

    /// Whether calls are marked by tokens of their own in this vocabulary.
    fn tags(&self) -> Tags {
        let tokenizer = self.engine().tokenizer();
        let has_both = [CALL_START, CALL_END].iter().all(|tag| tokenizer.id(tag).is_some());
        if has_both { Tags::Tokens } else { Tags::Spelt }
    }

    fn check_length(&self, tokens: usize, max_new_tokens: usize) -> Result<(), ApiError> {
        let limit = self.limits.request.context;
        if tokens.saturating_add(max_new_tokens) <= limit {
            return Ok(());
        }
        Err(ModelError::PromptTooLong { tokens, max_new_tokens, limit }.into())
    }
}

/// The device for agents, and what stops it and the server.
pub(crate) struct Agents {
    pub(crate) session: SessionThread,
    pub(crate) cancel: CancelFlag,
}

/// Serves until a signal asks to stop, then lets running answers finish.
pub(crate) fn run(
    engine: Arc<Engine>,
    agents: Option<Agents>,
    options: ServeOptions,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let runtime = threads()?;
    let session = agents.as_ref().map(|agents| agents.session.clone());
    let outcome = runtime.block_on(async {
        let outcome = serve(engine, agents, options, printer).await;
        if let Some(session) = session {
            session.end().await;
        }
        outcome
    });
    // What clients left hanging must not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn serve(
    engine: Arc<Engine>,
    agents: Option<Agents>,
    options: ServeOptions,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let mut signals =
        Signals::new().map_err(|error| unavailable(error, "could not listen for signals"))?;
    let (stopping, is_stopping) = watch::channel(false);
    let (abort, is_aborted) = watch::channel(false);
    let (addr, drain) = (options.addr, options.drain);
    let (listener, bound) = bind(addr).await?;
    let cancel = agents.as_ref().map(|agents| agents.cancel.clone());
    let agent = agents.map(|agents| Arc::new(agent::AgentDesk::new(agents.session)));
    let server = Server::new(engine, options, printer, is_stopping, is_aborted);
    let server = Arc::new(Server { agent, ..server });
    let router = routes::router(&server);

    let url = format!("http://{bound}/v1");
    printer.result(&json!({ "url": url, "model": server.name }), &url)?;
    printer.note(&format!("serving `{}`; Ctrl-C stops", server.name));
    let stop = async {
        match &cancel {
            Some(cancel) => tokio::select! {
                () = signals.next() => {}
                () = plugin_http::set(cancel) => {}
            },
            None => signals.next().await,
        }
    };
    let open = listen::serve(&listener, router, stop).await;
    drop(listener);
    // Nobody waits for these but us.
    stopping.send_replace(true);
    let scheduler = Arc::clone(&server.scheduler);
    tokio::task::spawn_blocking(move || scheduler.drain(Duration::ZERO));
    printer.note(&format!(
        "stopping: running answers have {} s to finish; again to stop at once",
        drain.as_secs()
    ));
    let mut farewell = std::pin::pin!(open.shutdown());
    tokio::select! {
        () = &mut farewell => return Ok(Exit::Done),
        () = tokio::time::sleep(drain) => {}
        () = signals.next() => {}
    }
    abort.send_replace(true);
    server.episodes.end_all();
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
    Ok(Exit::Done)
}

impl Server {
    fn new(
        engine: Arc<Engine>,
        options: ServeOptions,
        printer: &Printer,
        stopping: watch::Receiver<bool>,
        abort: watch::Receiver<bool>,
    ) -> Self {
        let context = engine.context_limit().min(options.scheduler.max_tokens);
        let info = engine.info();
        let identity = format!("{} {} {}", env!("CARGO_PKG_VERSION"), info.name, info.parameters);
        let digest = Sha256::digest(identity);
        let fingerprint = digest.iter().take(5).fold(0, |id, &byte| id << 8 | u64::from(byte));
        // A request with more answers than there are places could never be taken.
        let places = options.scheduler.max_running + options.scheduler.max_queued;
        let request = RequestLimits {
            messages: MAX_MESSAGES,
            tools: MAX_TOOLS,
            n: MAX_N.min(places),
            context,
        };
        let media = MediaPolicy {
            file_root: options.file_root,
            max_images: options.max_images,
            max_videos: MAX_VIDEOS,
            max_image_pixels: options.max_image_pixels,
            max_total_pixels: options.max_image_pixels.saturating_mul(TOTAL_PIXELS),
        };
        let episodes = agent::Episodes::new(Arc::clone(&engine), options.episodes);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            name: options.name,
            fingerprint: format!("fp_{fingerprint:010x}"),
            created: jiff::Timestamp::now().as_second(),
            scheduler: Arc::new(Scheduler::new(engine, options.scheduler)),
            limits: Limits {
                body_bytes: options.max_body_bytes,
                request,
                media,
                default_max_tokens: options.default_max_tokens,
            },
            gate: Gate::new(options.token.as_deref(), &options.hosts),
            memory: Memory::new(options.memory_bytes),
            readers: Semaphore::new(cores),
            metrics: Arc::new(Metrics::new()),
            printer: printer.clone(),
            agent: None,
            episodes,
            stopping,
            abort,
        }
    }
}

pub(crate) fn unavailable(error: std::io::Error, what: &'static str) -> Failure {
    Failure::new(Exit::Unavailable, anyhow::Error::new(error).context(what))
}

/// Starts to listen, and tells where.
pub(crate) async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(addr).await;
    let listener = listener.map_err(|error| no_listener(error, addr))?;
    let bound = listener.local_addr();
    let bound = bound.map_err(|error| unavailable(error, "could not tell the address"))?;
    Ok((listener, bound))
}

/// Starts the threads of a server.
pub(crate) fn threads() -> Result<tokio::runtime::Runtime, Failure> {
    let threads =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    threads.map_err(|error| unavailable(error, "could not start the server's threads"))
}

fn no_listener(error: std::io::Error, addr: SocketAddr) -> Failure {
    let failure = |error| {
        Failure::new(
            Exit::Unavailable,
            anyhow::Error::new(error).context(format!("could not listen on {addr}")),
        )
    };
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            failure(error).with_hint("another program listens there: give another `--addr`")
        }
        std::io::ErrorKind::PermissionDenied => failure(error)
            .with_hint("ports below 1024 are for administrators: give another `--addr`"),
        _ => failure(error).with_hint("`--addr` has to be an address of this machine"),
    }
}
