//! What a request is answered with, rightly or not.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::repo::{Repo, RepoFile};
use super::{Fault, Hit, Plan, Request, Server, State, TOKEN, write};

/// An answer and how it is to be spoilt.
pub(super) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    promised: u64,
    cut: Option<usize>,
    hang: Option<usize>,
    endless: bool,
}

impl Answer {
    fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            promised: 0,
            cut: None,
            hang: None,
            endless: false,
        }
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn body(mut self, bytes: Vec<u8>) -> Self {
        self.body = bytes;
        self
    }

    /// How many bytes of the body go out to a client that takes them.
    fn length(&self, only_head: bool) -> usize {
        let length = self.body.len();
        if only_head { 0 } else { self.cut.or(self.hang).unwrap_or(length).min(length) }
    }

    /// Sends it.
    pub(super) fn send(&self, stream: &TcpStream, only_head: bool) -> io::Result<()> {
        let mut head =
            vec![format!("HTTP/1.1 {} Whatever", self.status), "Connection: close".to_owned()];
        head.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if !self.endless {
            head.push(format!("Content-Length: {}", self.body.len() as u64 + self.promised));
        }
        write(stream, format!("{}\r\n\r\n", head.join("\r\n")).as_bytes())?;
        if only_head {
            return Ok(());
        }
        write(stream, &self.body[..self.length(only_head)])?;
        if self.hang.is_some() {
            // Until the other side has had enough; a read ends when it leaves.
            stream.set_read_timeout(Some(Duration::from_secs(120)))?;
            let _ = io::Read::read(&mut &*stream, &mut [0]);
        }
        if self.endless {
            loop {
                write(stream, &[0; 4096])?;
            }
        }
        Ok(())
    }

    fn spoil(&mut self, fault: Fault) {
        match fault {
            Fault::Cut(count) => self.cut = Some(count),
            Fault::Hang(count) => self.hang = Some(count),
            Fault::Damage => {
                if let Some(last) = self.body.last_mut() {
                    *last ^= 1;
                }
            }
            Fault::Promise(count) => self.promised = count,
            Fault::Endless => self.endless = true,
            Fault::Status(status, header) => {
                *self = Self::new(status);
                if let Some((name, value)) = header.split_once(": ") {
                    self.headers.push((name.to_owned(), value.to_owned()));
                }
            }
            Fault::Redirect(to) => *self = Self::new(302).with("Location", to),
            Fault::Header(name, value) => {
                self.headers.retain(|(known, _)| known != name);
                self.headers.push((name.to_owned(), value));
            }
            Fault::Body(bytes) => *self = Self::new(200).body(bytes),
            Fault::IgnoreRange => {}
        }
    }
}

impl Server {
    /// Answers a request and notes it; returns the index of the note, too.
    pub(super) fn answer(&self, request: &Request) -> (Answer, usize) {
        let mut state = self.locked();
        let path = match (self.is_store, state.file_of_blob(request)) {
            (true, Some(file)) => file.name.clone(),
            _ => request.path.clone(),
        };
        let fault = state.next_fault(&path, self.is_store);
        let start = request.start.filter(|_| !matches!(fault, Some(Fault::IgnoreRange)));
        let mut answer = if self.is_store {
            state.answer_of_store(request, start)
        } else {
            state.answer_of_hub(request, start, self)
        };
        if let Some(fault) = fault {
            answer.spoil(fault);
        }
        state.hits.push(Hit {
            store: self.is_store,
            method: request.method.clone(),
            path,
            start: request.start,
            token: request.token.is_some(),
            sent: answer.length(request.method == "HEAD"),
        });
        (answer, state.hits.len() - 1)
    }
}

impl State {
    /// The fault that hits a path. Files that are redirected are hit in the store.
    fn next_fault(&mut self, path: &str, is_store: bool) -> Option<Fault> {
        let is_redirect = !is_store && path.contains("/resolve/") && is_in_store(path);
        let hits = |plan: &&mut Plan| {
            let goes_to_hub = matches!(
                plan.fault,
                Fault::Redirect(_) | Fault::Header(..) | Fault::Status(401 | 403 | 404, _)
            );
            plan.times != Some(0) && path.contains(&plan.path) && (goes_to_hub || !is_redirect)
        };
        let plan = self.plans.iter_mut().find(hits)?;
        plan.times = plan.times.map(|times| times - 1);
        Some(plan.fault.clone())
    }

    fn file_of_blob(&self, request: &Request) -> Option<&RepoFile> {
        let etag = request.path.strip_prefix("/blob/")?;
        self.repos.iter().flat_map(|repo| &repo.files).find(|file| file.etag() == etag)
    }

    fn answer_of_store(&self, request: &Request, start: Option<u64>) -> Answer {
        match self.file_of_blob(request) {
            Some(file) => part(&file.bytes, start).with("ETag", "\"of-the-store\""),
            None => Answer::new(403),
        }
    }

    fn answer_of_hub(&self, request: &Request, start: Option<u64>, server: &Server) -> Answer {
        let Some(path) = request.path.strip_prefix(&self.prefix) else { return Answer::new(404) };
        let knows_token = request.token.as_deref() == Some(&format!("Bearer {TOKEN}"));
        let api = path.strip_prefix("/api/models/").and_then(|rest| rest.split_once("/revision/"));
        if let Some((name, revision)) = api {
            return match self.find(name, revision, knows_token) {
                Ok(repo) => {
                    let details = request.query.contains("blobs=") && !self.terse;
                    Answer::new(200).body(listing(repo, details).to_string().into_bytes())
                }
                Err(refusal) => refusal,
            };
        }
        let cached = path.strip_prefix("/api/resolve-cache/models/");
        let resolved = match cached {
            Some(rest) => rest.match_indices('/').nth(1).map(|(at, _)| rest.split_at(at)),
            None => path.trim_start_matches('/').split_once("/resolve"),
        };
        let Some((name, rest)) = resolved else { return Answer::new(404) };
        let Some((revision, file)) = rest[1..].split_once('/') else { return Answer::new(404) };
        let repo = match self.find(name, revision, knows_token) {
            Ok(repo) => repo,
            Err(refusal) => return refusal,
        };
        if repo.gated && !knows_token {
            return Answer::new(403)
                .with("X-Error-Code", "GatedRepo")
                .with("X-Error-Message", "Access to this model is restricted");
        }
        let Some(file) = repo.files.iter().find(|known| known.name == file) else {
            return Answer::new(404).with("X-Error-Code", "EntryNotFound");
        };
        self.resolve(repo, file, start, cached.is_some(), server)
    }

    fn resolve(
        &self,
        repo: &Repo,
        file: &RepoFile,
        start: Option<u64>,
        is_cached: bool,
        server: &Server,
    ) -> Answer {
        let etag = format!("\"{}\"", file.etag());
        if file.is_large() {
            let place = format!("http://{}/blob/{}?Signature=abc", server.store, file.etag());
            return Answer::new(302)
                .with("Location", place)
                .with("X-Repo-Commit", &repo.commit)
                .with("X-Linked-Etag", etag)
                .with("X-Linked-Size", file.bytes.len().to_string());
        }
        // The real hub answers so for some small files.
        if file.name == "tokenizer_config.json" && !is_cached {
            let (prefix, name, commit) = (&self.prefix, &repo.name, &repo.commit);
            let place = format!("{prefix}/api/resolve-cache/models/{name}/{commit}/{}", file.name);
            return Answer::new(307).with("Location", place).with("X-Repo-Commit", commit);
        }
        part(&file.bytes, start).with("X-Repo-Commit", &repo.commit).with("ETag", etag)
    }

    fn find(&self, name: &str, revision: &str, knows_token: bool) -> Result<&Repo, Answer> {
        let mut of_name = self.repos.iter().filter(|repo| repo.name == name).peekable();
        let is_hidden = of_name.peek().is_none_or(|repo| repo.private && !knows_token);
        if is_hidden {
            // As of a repository that does not exist, so that nobody can tell.
            let status = if knows_token { 404 } else { 401 };
            return Err(Answer::new(status).with("X-Error-Code", "RepoNotFound"));
        }
        let is_it = |repo: &&Repo| {
            repo.commit == revision || repo.revisions.iter().any(|known| known == revision)
        };
        let missing = || Answer::new(404).with("X-Error-Code", "RevisionNotFound");
        of_name.find(is_it).ok_or_else(missing)
    }
}

/// Whether a file lies in the store, by its path on the hub.
fn is_in_store(path: &str) -> bool {
    RepoFile { name: path.to_owned(), bytes: Vec::new() }.is_large()
}

fn part(bytes: &[u8], start: Option<u64>) -> Answer {
    let total = bytes.len();
    match start.and_then(|start| usize::try_from(start).ok()) {
        None => Answer::new(200).with("Accept-Ranges", "bytes").body(bytes.to_vec()),
        Some(start) if start < total => Answer::new(206)
            .with("Content-Range", format!("bytes {start}-{}/{total}", total - 1))
            .body(bytes[start..].to_vec()),
        Some(_) => Answer::new(416).with("Content-Range", format!("bytes */{total}")),
    }
}

fn listing(repo: &Repo, details: bool) -> Value {
    let sibling = |file: &RepoFile| {
        let mut sibling = json!({ "rfilename": file.name });
        if details {
            sibling["size"] = file.bytes.len().into();
            sibling["blobId"] = if file.is_large() { "f".repeat(40) } else { file.etag() }.into();
        }
        if details && file.is_large() {
            let (sha256, size) = (file.etag(), file.bytes.len());
            sibling["lfs"] = json!({ "sha256": sha256, "size": size, "pointerSize": 134 });
        }
        sibling
    };
    json!({
        "_id": "0123456789abcdef01234567",
        "id": repo.name,
        "modelId": repo.name,
        "sha": repo.commit,
        "private": repo.private,
        "gated": if repo.gated { json!("auto") } else { json!(false) },
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": repo.files.iter().map(sibling).collect::<Vec<_>>(),
    })
}
