//! A server that speaks the paths of the Hugging Face Hub, and can be told to misbehave.
//!
//! It is two servers, as the real one is: the hub, and a store on another port to which large files
//! are redirected. The store would answer anybody, and remembers who showed it a token.

mod answer;
mod repo;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub use repo::{Repo, RepoFile};

/// The token private repositories ask for.
pub const TOKEN: &str = "hf_a-secret-for-tests";

/// What is done wrong with an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Nothing follows so many bytes of the body, and the connection stays.
    Hang(usize),
    /// The last byte of the body is another one.
    Damage,
    /// The whole file is sent whatever was asked for.
    IgnoreRange,
    /// So many bytes more than there are, are promised.
    Promise(u64),
    /// After the file more and more bytes follow.
    Endless,
    /// This status, and no body.
    Status(u16, &'static str),
    /// A redirect to this address.
    Redirect(String),
    /// These headers in the place of the right ones.
    Header(&'static str, String),
    /// This body, of status 200.
    Body(Vec<u8>),
}

/// A fault and whom it hits.
#[derive(Clone, Debug)]
struct Plan {
    /// A part of the path; of the store, a part of the name of the file.
    path: String,
    /// How often; none: always.
    times: Option<usize>,
    fault: Fault,
}

/// One request, as it was answered.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Whether it went to the store rather than to the hub.
    pub store: bool,
    /// `GET` or `HEAD`.
    pub method: String,
    /// The path without what follows `?`; of the store, the name of the file.
    pub path: String,
    /// The first byte that was asked for, if not all were.
    pub start: Option<u64>,
    /// Whether a token was shown.
    pub token: bool,
    /// Bytes of the body that are sent; none if the client left before it had them.
    pub sent: usize,
}

#[derive(Default)]
struct State {
    repos: Vec<Repo>,
    plans: Vec<Plan>,
    hits: Vec<Hit>,
    /// A folder below which the hub answers, as some mirrors do.
    prefix: String,
    /// Whether listings name files and nothing else.
    terse: bool,
}

/// The server; it stops when it is dropped.
pub struct HubServer {
    state: Arc<Mutex<State>>,
    stopping: Arc<AtomicBool>,
    hub: SocketAddr,
    store: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl HubServer {
    /// Starts to serve.
    ///
    /// # Panics
    ///
    /// Panics if this machine has no loopback network.
    pub fn start() -> Self {
        let listen = || TcpListener::bind("127.0.0.1:0").expect("the loopback network is there");
        let (hub, store) = (listen(), listen());
        let address = |listener: &TcpListener| listener.local_addr().expect("it listens");
        let (hub_address, store_address) = (address(&hub), address(&store));
        let state = Arc::new(Mutex::new(State::default()));
        let stopping = Arc::new(AtomicBool::new(false));
        let threads = [(hub, false), (store, true)].map(|(listener, is_store)| {
            let server = Server { state: Arc::clone(&state), store: store_address, is_store };
            let stopping = Arc::clone(&stopping);
            std::thread::spawn(move || accept(&listener, &server, &stopping))
        });
        let (hub, store) = (hub_address, store_address);
        Self { state, stopping, hub, store, threads: threads.into() }
    }

    /// The address to give to clients as that of the hub.
    pub fn endpoint(&self) -> String {
        format!("http://{}{}", self.hub, self.locked().prefix)
    }

    /// Answers below this folder only, and lists nothing but names.
    pub fn become_mirror(&self, prefix: &str) {
        let mut state = self.locked();
        prefix.clone_into(&mut state.prefix);
        state.terse = true;
    }

    /// Serves a repository, in the place of one of that name and revision.
    pub fn put(&self, repo: Repo) {
        let mut state = self.locked();
        state.repos.retain(|known| known.name != repo.name || known.commit != repo.commit);
        for known in state.repos.iter_mut().filter(|known| known.name == repo.name) {
            known.revisions.retain(|revision| !repo.revisions.contains(revision));
        }
        state.repos.push(repo);
    }

    /// Does something wrong with the answers to a path that contains `path`, so many times.
    pub fn fail(&self, path: &str, times: usize, fault: Fault) {
        let plan = Plan { path: path.to_owned(), times: Some(times), fault };
        self.locked().plans.push(plan);
    }

    /// As [`HubServer::fail`], every time.
    pub fn fail_always(&self, path: &str, fault: Fault) {
        self.locked().plans.push(Plan { path: path.to_owned(), times: None, fault });
    }

    /// Does everything right again.
    pub fn mend(&self) {
        self.locked().plans.clear();
    }

    /// Returns the requests so far and forgets them.
    pub fn take_hits(&self) -> Vec<Hit> {
        std::mem::take(&mut self.locked().hits)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        for address in [self.hub, self.store] {
            // Wakes the thread that waits for a connection.
            drop(TcpStream::connect(address));
        }
        for thread in self.threads.drain(..) {
            // A thread that failed has nothing left to serve.
            let _ = thread.join();
        }
    }
}

/// One of the two servers.
#[derive(Clone)]
struct Server {
    state: Arc<Mutex<State>>,
    store: SocketAddr,
    is_store: bool,
}

fn accept(listener: &TcpListener, server: &Server, stopping: &AtomicBool) {
    for stream in listener.incoming() {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(stream), server) = (stream, server.clone()) else { continue };
        std::thread::spawn(move || {
            // A client that leaves is none of the server's business.
            let _ = server.serve(stream);
        });
    }
}

/// A request, as far as it matters.
struct Request {
    method: String,
    path: String,
    query: String,
    start: Option<u64>,
    token: Option<String>,
}

impl Request {
    fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(stream.take(64 << 10));
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (path, query) = (repo::decoded(path), query.to_owned());
        let mut request = Self { method, path, query, start: None, token: None };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(request) };
            match name.to_ascii_lowercase().as_str() {
                "range" => {
                    let range = value.trim().strip_prefix("bytes=").unwrap_or_default();
                    request.start = range.split('-').next().and_then(|start| start.parse().ok());
                }
                "authorization" => request.token = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
}

impl Server {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let request = Request::read(&stream)?;
        let (answer, index) = self.answer(&request);
        let sent = answer.send(&stream, request.method == "HEAD");
        if sent.is_err()
            && let Some(hit) = self.locked().hits.get_mut(index)
        {
            hit.sent = 0;
        }
        drop(stream);
        sent
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all of it, or as much as the other side takes.
fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)
}
