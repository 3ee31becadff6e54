//! A server with the OpenAI API that says what it is told to, and remembers what it was asked.
//!
//! It is no mock of our client: it reads HTTP and JSON as any server does, keeps a key, a list of
//! models and a queue of faults, and holds an answer to a schema only if that comes in a field it
//! understands.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

/// What the server does with one request, before it is well again.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It answers with this status, headers and body.
    Status(u16, Vec<(String, String)>, String),
    /// It writes these bytes instead of HTTP and closes the connection.
    Garbage(Vec<u8>),
    /// It sends a head that promises events, these bytes, and closes the connection.
    Stream(String),
    /// It goes on sending events for as long as they are read.
    Endless,
    /// It never answers.
    Silence,
}

/// What the server is and how it answers.
#[derive(Clone, Debug)]
pub struct Script {
    /// The owner of its models, which tells servers apart.
    pub owner: String,
    /// The names of its models.
    pub models: Vec<String>,
    /// The key it wants, if any.
    pub key: Option<String>,
    /// The fields in which it understands a schema: of the body, or the `type` of `response_format`.
    pub understands: Vec<String>,
    /// The fields it refuses.
    pub refuses: Vec<String>,
    /// What it answers when it is held to a schema it understands, or sent none.
    pub answer: String,
    /// What it answers before that, one each.
    pub answers: VecDeque<String>,
    /// What it answers when a schema was sent in a way it does not understand.
    pub free_answer: String,
    /// What it says a prompt counts.
    pub prompt_tokens: u64,
    /// Whether it tells probabilities.
    pub logprobs: bool,
    /// What goes wrong first.
    pub faults: VecDeque<Fault>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            owner: "vllm".to_owned(),
            models: vec!["test-model".to_owned()],
            key: None,
            understands: vec!["json_schema".to_owned()],
            refuses: Vec::new(),
            answer: "hello".to_owned(),
            answers: VecDeque::new(),
            free_answer: "Sure! Here it is.".to_owned(),
            prompt_tokens: 5000,
            logprobs: true,
            faults: VecDeque::new(),
        }
    }
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET /v1/models`, for example.
    pub line: String,
    /// The value of the header `Authorization`.
    pub authorization: Option<String>,
    /// The body, or null.
    pub body: Value,
}

#[derive(Debug)]
struct State {
    script: Script,
    seen: Vec<Seen>,
    /// Connections that are to be left without an answer.
    silent: Vec<TcpStream>,
}

/// A running server; it ends with the test's process.
#[derive(Clone, Debug)]
pub struct FakeServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl FakeServer {
    /// Starts a server on a free port.
    ///
    /// # Panics
    ///
    /// Panics if no port can be had.
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("the port is known");
        let state = State { script, seen: Vec::new(), silent: Vec::new() };
        let server = Self { address, state: Arc::new(Mutex::new(state)) };
        let accepting = server.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let server = accepting.clone();
                // A client that goes away is no fault of the server.
                thread::spawn(move || server.serve(connection));
            }
        });
        server
    }

    /// Returns the address for `--model`.
    pub fn url(&self, model: &str) -> String {
        format!("http://{}/v1#{model}", self.address)
    }

    /// Returns what it was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Returns the bodies of the chat requests so far.
    pub fn asked(&self) -> Vec<Value> {
        let chats = self.seen().into_iter().filter(|seen| seen.line.contains("chat/completions"));
        chats.map(|seen| seen.body).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        let seen = read_request(&mut reader)?;
        let is_chat = seen.line.contains("chat/completions");
        let (fault, script) = {
            let mut state = self.state();
            state.seen.push(seen.clone());
            let fault = if is_chat { state.script.faults.pop_front() } else { None };
            let mut script = state.script.clone();
            if is_chat && let Some(answer) = state.script.answers.pop_front() {
                script.answer = answer;
            }
            (fault, script)
        };
        let mut out = connection;
        match fault {
            Some(Fault::Status(status, headers, body)) => {
                respond(&mut out, status, &headers, &body)
            }
            Some(Fault::Garbage(bytes)) => out.write_all(&bytes).ok(),
            Some(Fault::Stream(text)) => {
                out.write_all(STREAM_HEAD.as_bytes()).ok()?;
                out.write_all(text.as_bytes()).ok()
            }
            Some(Fault::Endless) => {
                out.write_all(STREAM_HEAD.as_bytes()).ok()?;
                let event =
                    event(&json!({ "choices": [{ "delta": { "content": "x".repeat(1000) } }] }));
                while out.write_all(event.as_bytes()).is_ok() {}
                None
            }
            Some(Fault::Silence) => {
                self.state().silent.push(out);
                None
            }
            None => answer(&mut out, &seen, &script),
        }
    }
}

const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn read_request(reader: &mut impl BufRead) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Seen { line, authorization, body })
}

fn respond(
    out: &mut TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) -> Option<()> {
    let mut head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        // A string takes every write.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    out.write_all(format!("{head}\r\n{body}").as_bytes()).ok()
}

fn refuse(out: &mut TcpStream, status: u16, message: &str) -> Option<()> {
    let body = json!({ "error": { "message": message, "type": "invalid_request_error" } });
    respond(out, status, &[], &body.to_string())
}

/// Answers as a healthy server does.
fn answer(out: &mut TcpStream, seen: &Seen, script: &Script) -> Option<()> {
    let expected = script.key.as_ref().map(|key| format!("Bearer {key}"));
    if expected.is_some() && seen.authorization != expected {
        let given = seen.authorization.clone().unwrap_or_default();
        return refuse(out, 401, &format!("Incorrect API key provided: {given}"));
    }
    if seen.line == "GET /v1/models" {
        let models = script.models.iter();
        let models =
            models.map(|id| json!({ "id": id, "object": "model", "owned_by": script.owner }));
        let list = json!({ "object": "list", "data": models.collect::<Vec<_>>() });
        return respond(out, 200, &[], &list.to_string());
    }
    if seen.line != "POST /v1/chat/completions" {
        return refuse(out, 404, "Not Found");
    }
    let body = &seen.body;
    let format = body["response_format"]["type"].as_str();
    let refused = script
        .refuses
        .iter()
        .find(|field| body.get(field.as_str()).is_some() || format == Some(field.as_str()));
    if let Some(field) = refused {
        let field = if format == Some(field.as_str()) { "response_format" } else { field };
        return refuse(out, 400, &format!("Unknown parameter: '{field}'."));
    }
    let sends_schema = format.is_some() || body.get("guided_json").is_some();
    let is_held = script
        .understands
        .iter()
        .any(|field| format == Some(field.as_str()) || body.get(field.as_str()).is_some());
    let text = if sends_schema && !is_held { &script.free_answer } else { &script.answer };
    out.write_all(STREAM_HEAD.as_bytes()).ok()?;
    let wants_logprobs = script.logprobs && body["logprobs"] == true;
    for character in text.chars() {
        let token = character.to_string();
        let logprobs = wants_logprobs.then(|| {
            json!({ "content": [{ "token": token, "bytes": token.as_bytes(), "logprob": -0.5 }] })
        });
        let choice = json!({ "index": 0, "delta": { "content": token }, "logprobs": logprobs });
        out.write_all(event(&json!({ "choices": [choice] })).as_bytes()).ok()?;
    }
    let last = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
    let usage = json!({ "choices": [], "usage": {
        "prompt_tokens": script.prompt_tokens, "completion_tokens": text.chars().count() } });
    let end = format!("{}{}data: [DONE]\n\n", event(&last), event(&usage));
    out.write_all(end.as_bytes()).ok()
}
