//! Requests that mean harm, while somebody else asks for something.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handsight_tests::http::{Exchange, Reply, request};
use serde_json::{Value, json};

use super::files::{png, png_head, zeros};
use crate::serve::{Server, ask, with};

/// What is done to the server, and what must come of it.
struct Case {
    what: &'static str,
    attack: fn(&Server),
}

/// How long the neighbour may wait for a short answer, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much memory all of it may take beyond what the server has when it starts: requests may have
/// 256 MiB, and grammars are compiled beside them.
const MEMORY: u64 = 768 << 20;

const CHAT: &str = "/v1/chat/completions";

/// More clients than there are connections.
const CROWD: usize = 300;

fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.body);
    let error = &reply.json().unwrap()["error"];
    assert_eq!(error["code"].as_str().unwrap_or_default(), code, "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    assert!(reply.body.len() < 4000, "a message of {} bytes", reply.body.len());
}

fn image(png: &[u8]) -> Value {
    let url = format!("data:image/png;base64,{}", STANDARD.encode(png));
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn about(content: &Value) -> Value {
    with(ask(), &json!({"messages": [{"role": "user", "content": content}]}))
}

/// A picture of 32 million pixels in as many kilobytes.
fn dense() -> Vec<u8> {
    png(&[png_head(8192, 4095), (b"IDAT", zeros(32 << 20)), (b"IEND", vec![])])
}

/// Sends bytes that are no good request; the server may answer with this status, or hang up.
fn no_request(server: &Server, bytes: &[u8], status: u16) {
    if let Ok(exchange) = Exchange::send(&server.addr, bytes) {
        assert_eq!(exchange.head.status, status, "{:?}", exchange.head);
    }
}

/// Opens connections, sends so much on each and keeps them.
fn crowd(server: &Server, bytes: &[u8]) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect(&server.addr).unwrap();
        // Who was sent away already cannot be written to.
        let _ = stream.write_all(bytes);
        stream
    };
    (0..CROWD).map(open).collect()
}

/// Whether somebody who comes now is answered at once, although all places are taken.
fn a_newcomer_is_answered(server: &Server) {
    for _ in 0..3 {
        let start = Instant::now();
        assert_eq!(server.get("/healthz").status, 200);
        assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    }
}

#[expect(clippy::too_many_lines, reason = "a table, one case after another")]
fn cases() -> Vec<Case> {
    vec![
        Case {
            what: "ten thousand images in one request",
            attack: |server| {
                let small = png(&[png_head(1, 1), (b"IDAT", zeros(4)), (b"IEND", vec![])]);
                let body = about(&json!(vec![image(&small); 10_000]));
                assert!(body.to_string().len() < 4 << 20, "it is the number that is too large");
                let reply = server.post(CHAT, &body);
                assert_eq!(reply.status, 400, "{}", reply.body);
            },
        },
        Case {
            what: "images of 2000 million pixels together",
            attack: |server| {
                let reply = server.post(CHAT, &about(&json!(vec![image(&dense()); 60])));
                refused(&reply, 400, "invalid_image");
            },
        },
        Case {
            what: "an image with four gigabytes of colour profile",
            attack: |server| {
                let profile = [b"x\0\0".to_vec(), zeros(4 << 30)].concat();
                let chunks = [
                    png_head(64, 64),
                    (b"iCCP", profile),
                    (b"IDAT", zeros(1 << 20)),
                    (b"IEND", vec![]),
                ];
                let reply = server.post(CHAT, &about(&json!([image(&png(&chunks))])));
                // The picture itself is sound; who refuses it is right, too.
                assert!([200, 400].contains(&reply.status), "{}", reply.body);
            },
        },
        Case {
            what: "a schema that matches nothing",
            attack: |server| {
                let schema = json!({"allOf": [{"const": 1}, {"const": 2}]});
                let reply = server.post(CHAT, &with(ask(), &json!({"guided_json": schema})));
                refused(&reply, 400, "invalid_constraint");
            },
        },
        Case {
            what: "a schema that is made of itself",
            attack: |server| {
                let circle = json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]});
                let reply = server.post(CHAT, &with(ask(), &json!({"guided_json": circle})));
                refused(&reply, 400, "invalid_constraint");
                // A tree of trees is sound, and an answer may have any depth.
                let tree = json!({"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}},
                    "$ref": "#/$defs/t"});
                let reply = server.post(CHAT, &with(ask(), &json!({"guided_json": tree})));
                assert_eq!(reply.status, 200, "{}", reply.body);
            },
        },
        Case {
            what: "constraints of a million states",
            attack: |server| {
                for field in [
                    json!({"guided_regex": "((a{1000}){1000}){1000}"}),
                    json!({"guided_regex": "(a{60000}){60000}"}),
                ] {
                    let reply = server.post(CHAT, &with(ask(), &field));
                    refused(&reply, 400, "invalid_constraint");
                }
            },
        },
        Case {
            what: "grammars that are ambiguous in every way",
            attack: |server| {
                for field in [
                    json!({"guided_grammar": "start: start start | \"a\" | \"\""}),
                    json!({"guided_regex": "(a|a|aa)*(a|aa)*b?"}),
                    json!({"guided_json": {"type": "string", "minLength": 1 << 20}}),
                    json!({"guided_grammar": format!("start: {}", "\"a\" ".repeat(50_000))}),
                    // A million states, which are made as the answer reaches them.
                    json!({"guided_json": {"type": "string", "pattern": "^(.{1000}){1000}$"}}),
                ] {
                    let body = with(with(ask(), &field), &json!({"max_tokens": 200}));
                    let reply = server.post(CHAT, &body);
                    // An answer, or an error of the grammar: but soon.
                    assert!([200, 400].contains(&reply.status), "{field}: {}", reply.body);
                }
            },
        },
        Case {
            what: "a body that is not UTF-8",
            attack: |server| {
                let mut bytes = request("POST", CHAT, &[("content-length", "14")], None);
                let end = bytes.len() - 2;
                bytes.splice(end..end, b"content-type: application/json\r\n".iter().copied());
                bytes.extend(b"{\"model\":\"\xff\xfe\"}");
                let reply = Exchange::send(&server.addr, &bytes).unwrap().finish().unwrap();
                refused(&reply, 400, "");
            },
        },
        Case {
            what: "arguments of a call nested a hundred thousand times",
            attack: |server| {
                let function = json!({"name": "f", "arguments": "[".repeat(100_000)});
                let call = json!({"id": "1", "type": "function", "function": function});
                let messages = json!([{"role": "user", "content": "x"},
                    {"role": "assistant", "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "1", "content": "x"}]);
                let reply = server.post(CHAT, &with(ask(), &json!({"messages": messages})));
                assert_eq!(reply.status, 400, "{}", reply.body);
            },
        },
        Case {
            what: "lengths that cannot be",
            attack: |server| {
                for (name, value, status) in [
                    ("content-length", "1152921504606846976", 413),
                    ("content-length", "18446744073709551616", 400),
                    ("content-length", "-1", 400),
                    ("content-length", "5, 6", 400),
                ] {
                    let head = [(name, value), ("content-type", "application/json")];
                    no_request(server, &request("POST", CHAT, &head, None), status);
                }
                let head = [("transfer-encoding", "chunked"), ("content-type", "application/json")];
                for chunk in ["ffffffffffffffff\r\n{", "10000000000000000\r\n{", "-1\r\n", "x\r\n"]
                {
                    let mut bytes = request("POST", CHAT, &head, None);
                    bytes.extend(chunk.as_bytes());
                    let mut stream = TcpStream::connect(&server.addr).unwrap();
                    stream.write_all(&bytes).unwrap();
                    stream.shutdown(std::net::Shutdown::Write).unwrap();
                    let mut answer = Vec::new();
                    let _ = stream.read_to_end(&mut answer);
                    let answer = String::from_utf8_lossy(&answer);
                    assert!(answer.is_empty() || answer.contains(" 400 "), "{chunk}: {answer}");
                }
            },
        },
        Case {
            what: "headers without end",
            attack: |server| {
                let long = "x".repeat(1 << 20);
                no_request(server, &request("GET", "/healthz", &[("x-long", &long)], None), 431);
                let many: Vec<_> = (0..5000).map(|i| (format!("x-{i}"), i.to_string())).collect();
                let many: Vec<_> = many.iter().map(|(name, value)| (&**name, &**value)).collect();
                no_request(server, &request("GET", "/healthz", &many, None), 431);
                no_request(server, &request("GET", &format!("/{long}"), &[], None), 431);
            },
        },
        Case {
            what: "many clients that never finish their headers",
            attack: |server| {
                let held = crowd(server, b"GET /healthz HTTP/1.1\r\nhost: local");
                a_newcomer_is_answered(server);
                drop(held);
            },
        },
        Case {
            what: "many clients that never send what they announce",
            attack: |server| {
                let head = [("content-length", "90"), ("content-type", "application/json")];
                let mut bytes = request("POST", CHAT, &head, None);
                bytes.push(b'{');
                let held = crowd(server, &bytes);
                a_newcomer_is_answered(server);
                drop(held);
            },
        },
        Case {
            what: "many clients that ask and do not go away",
            attack: |server| {
                let held = crowd(server, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n");
                a_newcomer_is_answered(server);
                drop(held);
            },
        },
    ]
}

/// Says that an attack is over, also if it fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn requests_that_mean_harm_harm_nobody() {
    let server = Server::start(&[
        "--max-body-mb",
        "8",
        "--max-request-memory-mb",
        "256",
        "--max-queued",
        "8",
    ]);
    assert_eq!(server.post(CHAT, &ask()).status, 200);
    let before = server.program.peak_memory().unwrap().unwrap_or(0);
    for case in cases() {
        let is_over = AtomicBool::new(false);
        let start = Instant::now();
        let waits = std::thread::scope(|scope| {
            let neighbour = scope.spawn(|| {
                let mut waits = Vec::new();
                while !is_over.load(Ordering::Relaxed) || waits.is_empty() {
                    let start = Instant::now();
                    let reply = server.post(CHAT, &ask());
                    assert_eq!(reply.status, 200, "beside {}: {}", case.what, reply.body);
                    waits.push(start.elapsed());
                }
                waits
            });
            let end = End(&is_over);
            (case.attack)(&server);
            drop(end);
            neighbour.join().unwrap()
        });
        let longest = waits.iter().max().unwrap();
        assert!(*longest < PATIENCE, "{}: a neighbour waited {longest:?}", case.what);
        let peak = server.program.peak_memory().unwrap().unwrap_or(0);
        let more = peak.saturating_sub(before);
        assert!(more < MEMORY, "{}: {} MiB more than at first", case.what, more >> 20);
        eprintln!(
            "{}: {:?}, {} answers to a neighbour, the slowest in {longest:?}; {} MiB more",
            case.what,
            start.elapsed(),
            waits.len(),
            more >> 20,
        );
    }
    assert!(
        !server.log().contains("panicked") && !server.log().contains(" 500 "),
        "{}",
        server.log()
    );
}
