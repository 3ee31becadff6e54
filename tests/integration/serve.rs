//! `handsight serve` over real HTTP: what it answers, what it refuses, and how it bears a crowd.

mod answers;
mod client;
mod crowd;
mod media;
mod refusals;

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};
use std::sync::mpsc;

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::http::{Exchange, Reply, request};
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use serde_json::{Value, json};

/// A running server, ended when this is dropped.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) addr: String,
    binary: Binary,
}

impl Server {
    /// Starts a server of the embedded model on a free port.
    pub(crate) fn start(args: &[&str]) -> Self {
        let binary = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
        let mut all = vec!["serve", "--addr", "127.0.0.1:0"];
        all.extend(args);
        let mut command = binary.command(&all);
        command.env_remove("HANDSIGHT_API_KEY");
        Self::spawn(binary, command)
    }

    fn spawn(binary: Binary, command: std::process::Command) -> Self {
        Self::spawn_at(binary, command, "/v1")
    }

    /// Starts a server that says its URL, which ends like this.
    pub(crate) fn spawn_at(binary: Binary, mut command: std::process::Command, path: &str) -> Self {
        let log = fs::File::create(binary.dir().join("log")).unwrap();
        let mut program = Program::start(command.stderr(Stdio::from(log.into_parts().0))).unwrap();
        let stdout = program.take_stdout().unwrap();
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = send.send(line);
        });
        let url = receive.recv_timeout(STARTING).unwrap();
        let addr = url.trim().strip_prefix("http://").and_then(|url| url.strip_suffix(path));
        let log = || fs::read_to_string(binary.dir().join("log")).unwrap();
        let addr = addr.unwrap_or_else(|| panic!("no URL but {url:?}; {}", log())).to_owned();
        Self { program, addr, binary }
    }

    /// Returns the folder it runs in.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.binary.dir()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.binary.dir().join("log")).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], Some(&body.to_string()))
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Reply {
        let bytes = request(method, path, headers, body);
        Exchange::send(&self.addr, &bytes).unwrap().finish().unwrap()
    }

    /// Asks for an answer and returns it.
    fn chat(&self, body: &Value) -> Value {
        let reply = self.post("/v1/chat/completions", body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json().unwrap()
    }

    /// Asks for a stream and returns it at its first event.
    fn stream(&self, body: &Value) -> Exchange {
        let mut body = body.clone();
        body["stream"] = true.into();
        let bytes = request("POST", "/v1/chat/completions", &[], Some(&body.to_string()));
        let mut exchange = Exchange::send(&self.addr, &bytes).unwrap();
        assert_eq!(exchange.head.status, 200, "{:?}", exchange.head);
        assert!(exchange.event().unwrap().unwrap().contains("\"role\":\"assistant\""));
        exchange
    }

    /// Returns a number of `/metrics`.
    fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        // A status that never came has no line.
        let missing = || if name.contains("status=") { "0" } else { panic!("no {name} in {text}") };
        line.unwrap_or_else(missing).parse().unwrap()
    }

    fn wait_for_metric(&self, name: &str, value: u64) {
        let what = format!("{name} is {value}");
        wait_until(&what, ANSWERING, || Ok(self.metric(name) == value)).unwrap();
    }

    /// Waits until the server has ended by itself.
    pub(crate) fn ended(&mut self) -> Output {
        self.program.wait(STARTING).unwrap()
    }
}

/// A question whose answer is short.
pub(crate) fn ask() -> Value {
    json!({
        "model": "embedded",
        "messages": [{"role": "user", "content": "click \"Save\""}],
        "max_tokens": 12,
    })
}

/// A question whose answer takes so many tokens.
fn long(tokens: usize) -> Value {
    with(ask(), &json!({"ignore_eos": true, "max_tokens": tokens}))
}

/// Returns an object with the fields of another put over its own.
pub(crate) fn with(mut value: Value, fields: &Value) -> Value {
    for (name, field) in fields.as_object().unwrap() {
        value[name] = field.clone();
    }
    value
}

/// What is new in the chunks of a stream from here on, up to `[DONE]`.
fn chunks(exchange: &mut Exchange) -> Vec<Value> {
    let mut chunks = Vec::new();
    loop {
        let event = exchange.event().unwrap().expect("a stream ends with [DONE]");
        if event == "[DONE]" {
            assert_eq!(exchange.event().unwrap(), None);
            return chunks;
        }
        chunks.push(serde_json::from_str(&event).unwrap());
    }
}

/// The text of the chunks of one answer.
fn text_of(chunks: &[Value], index: usize) -> String {
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
    let own = choices.filter(|choice| choice["index"] == index);
    own.filter_map(|choice| choice["delta"]["content"].as_str()).collect()
}
