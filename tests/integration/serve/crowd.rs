//! Many clients: who goes away frees a place, who comes too many waits or is refused, and all may
//! finish when the server is asked to stop.

use std::io::Write as _;
use std::net::TcpStream;

use handsight_tests::http::{Exchange, request};
use handsight_tests::wait::{ANSWERING, wait_until};
use serde_json::json;

use super::{Server, ask, chunks, long, text_of, with};

#[test]
fn a_client_that_goes_away_frees_its_place_and_disturbs_nobody() {
    let server = Server::start(&["--max-running", "2"]);
    let question =
        with(long(60), &json!({"messages": [{"role": "user", "content": "type \"a\""}]}));
    let alone = text_of(&chunks(&mut server.stream(&question)), 0);

    let leaving = server.stream(&long(3000));
    let mut staying = server.stream(&question);
    assert_eq!(server.metric("handsight_running"), 2);
    drop(leaving);
    assert_eq!(text_of(&chunks(&mut staying), 0), alone);
    server.wait_for_metric("handsight_generations_cancelled_total", 1);
    server.wait_for_metric("handsight_running", 0);

    // One that waits for a whole answer may go away, too.
    let body = long(3000).to_string();
    let bytes = request("POST", "/v1/chat/completions", &[], Some(&body));
    let waiting = send_only(&server, &bytes);
    server.wait_for_metric("handsight_running", 1);
    drop(waiting);
    server.wait_for_metric("handsight_generations_cancelled_total", 2);
    server.wait_for_metric("handsight_running", 0);
    assert_eq!(server.log().matches("the client went away").count(), 2, "{}", server.log());
}

#[test]
fn who_comes_too_many_waits_or_is_refused() {
    let server = Server::start(&["--max-running", "1", "--max-queued", "1"]);
    let running = server.stream(&long(3000));
    let body = with(ask(), &json!({"stream": true})).to_string();
    let bytes = request("POST", "/v1/chat/completions", &[], Some(&body));
    let impatient = send_only(&server, &bytes);
    server.wait_for_metric("handsight_queued", 1);

    let refused = server.post("/v1/chat/completions", &ask());
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json().unwrap()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(server.metric("handsight_generations_refused_total"), 1);
    // More answers than there are places could never be given.
    let never = server.post("/v1/chat/completions", &with(ask(), &json!({"n": 3})));
    assert_eq!(never.status, 400, "{}", never.body);

    // Who goes away while waiting makes room for others.
    drop(impatient);
    let gone = r#"handsight_requests_total{path="/v1/chat/completions",status="499"}"#;
    server.wait_for_metric(gone, 1);
    let mut waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| Exchange::send(&server.addr, &bytes).unwrap());
        server.wait_for_metric("handsight_generations_cancelled_total", 1);
        assert_eq!(server.metric("handsight_queued"), 1);
        drop(running);
        waiting.join().unwrap()
    });
    assert_eq!(waiting.head.status, 200);
    assert!(!chunks(&mut waiting).is_empty());
    assert_eq!(server.chat(&ask())["object"], "chat.completion");
}

/// Sends a request and does not wait for the answer.
fn send_only(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&server.addr).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

#[test]
fn one_request_with_too_large_images_does_not_take_the_memory_of_others() {
    let server = Server::start(&["--max-body-mb", "4", "--max-request-memory-mb", "16"]);
    // A body that says it is large and never comes holds its share of the memory.
    let head = |len: usize| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: \
             application/json\r\ncontent-length: {len}\r\n\r\n"
        )
    };
    let mut holding = Vec::new();
    wait_until("the memory is taken", ANSWERING, || {
        // One may be refused itself while another request is answered.
        holding.push(send_only(&server, head(4 << 20).as_bytes()));
        Ok(server.post("/v1/chat/completions", &ask()).status == 429)
    })
    .unwrap();
    drop(holding);
    wait_until("the memory is free", ANSWERING, || {
        Ok(server.post("/v1/chat/completions", &ask()).status == 200)
    })
    .unwrap();
}

#[test]
fn asked_to_stop_it_lets_running_answers_finish() {
    let mut server = Server::start(&["--drain", "60s"]);
    let mut running = server.stream(&long(200));
    server.program.signal("TERM").unwrap();
    wait_until("new requests are refused", ANSWERING, || {
        Ok(Exchange::send(&server.addr, &request("GET", "/healthz", &[], None)).is_err())
    })
    .unwrap();
    let chunks = chunks(&mut running);
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    let output = server.ended();
    assert_eq!(output.status.code(), Some(0), "{}", server.log());
}

#[test]
fn answers_that_take_too_long_to_finish_end_with_an_error() {
    let mut server = Server::start(&["--drain", "0.1s"]);
    let mut running = server.stream(&long(3000));
    server.program.signal("INT").unwrap();
    let mut last = String::new();
    while let Some(event) = running.event().unwrap() {
        last = event;
    }
    assert!(last.contains("\"shutting_down\""), "{last}");
    let output = server.ended();
    assert_eq!(output.status.code(), Some(0), "{}", server.log());
}
