//! What is refused, with which status, parameter and code; and that the server goes on.

use handsight_tests::http::request;
use serde_json::{Value, json};

use super::{Server, ask, with};

const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAfbLI3wAAAABJRU5ErkJggg==";

fn image(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn user(content: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

/// Fields of a request, and the status, parameter and code of the answer.
#[expect(clippy::too_many_lines, reason = "a table, one case after another")]
fn table() -> Vec<(Value, u16, &'static str, &'static str)> {
    let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let calls = json!({"role": "assistant", "tool_calls": [call]});
    let result = json!({"role": "tool", "tool_call_id": "2", "content": "x"});
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let bomb = "data:image/bmp;base64,Qk02AAAAAAAAADYAAAAoAAAAYOoAAGDqAAABABgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    vec![
        (json!({"model": "other"}), 404, "model", "model_not_found"),
        (json!({"model": 7}), 400, "model", "invalid_type"),
        (json!({"messages": null}), 400, "messages", "missing_required_parameter"),
        (json!({"messages": []}), 400, "messages", "empty_array"),
        (json!({"messages": [7]}), 400, "messages[0]", "invalid_type"),
        (
            json!({"messages": [{"role": "king", "content": "x"}]}),
            400,
            "messages[0].role",
            "invalid_value",
        ),
        (
            json!({"messages": [{"role": "user"}]}),
            400,
            "messages[0].content",
            "missing_required_parameter",
        ),
        (user(&json!(7)), 400, "messages[0].content", "invalid_type"),
        (
            user(&json!([{"type": "input_audio"}])),
            400,
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            user(&json!([{"type": "text", "text": "a", "odd": 1}])),
            400,
            "messages[0].content[0].odd",
            "unknown_parameter",
        ),
        (
            json!({"messages": vec![json!({"role": "user", "content": "x"}); 5000]}),
            400,
            "messages",
            "array_above_max_length",
        ),
        (json!({"messages": [result]}), 400, "messages[0].role", "invalid_value"),
        (json!({"messages": [calls, result]}), 400, "messages[1].tool_call_id", "invalid_value"),
        (
            json!({"messages": [calls, {"role": "user", "content": "x"}]}),
            400,
            "messages[0]",
            "invalid_value",
        ),
        (
            user(&json!([image("https://example.com/x.png")])),
            400,
            "messages[0].content[0].image_url.url",
            "invalid_image_url",
        ),
        (
            user(&json!([image("file:///etc/passwd")])),
            400,
            "messages[0].content[0].image_url.url",
            "invalid_image_url",
        ),
        (
            user(&json!([image("x")])),
            400,
            "messages[0].content[0].image_url.url",
            "invalid_image_url",
        ),
        (
            user(&json!([image("data:image/png,x")])),
            400,
            "messages[0].content[0].image_url.url",
            "invalid_image_url",
        ),
        (
            user(&json!([image("data:image/png;base64,%%%")])),
            400,
            "messages[0].content[0].image_url.url",
            "invalid_image",
        ),
        (
            user(&json!([image("data:image/png;base64,aGVsbG8=")])),
            400,
            "messages[0].content[0].image_url.url",
            "invalid_image",
        ),
        (user(&json!([image(bomb)])), 400, "messages[0].content[0].image_url.url", "invalid_image"),
        (
            user(&json!(vec![image(PNG); 10_000])),
            400,
            "messages[0].content[64].image_url.url",
            "too_many_images",
        ),
        (
            user(
                &json!([{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}]),
            ),
            400,
            "messages[0].content[0].video_url.url",
            "invalid_image",
        ),
        (user(&json!("x ".repeat(3000))), 400, "messages", "context_length_exceeded"),
        (user(&json!("x".repeat(1 << 20))), 400, "messages", "context_length_exceeded"),
        (json!({"max_tokens": 5000}), 400, "messages", "context_length_exceeded"),
        (json!({"max_tokens": 0}), 400, "max_tokens", "integer_below_min_value"),
        (json!({"max_tokens": 1.5}), 400, "max_tokens", "invalid_type"),
        (json!({"max_completion_tokens": 3}), 400, "max_tokens", "invalid_parameter_combination"),
        (json!({"temperature": -1}), 400, "temperature", "decimal_below_min_value"),
        (json!({"temperature": "hot"}), 400, "temperature", "invalid_type"),
        (json!({"top_p": 1.01}), 400, "top_p", "decimal_above_max_value"),
        (json!({"n": 17}), 400, "n", "integer_above_max_value"),
        (json!({"n": 0}), 400, "n", "integer_below_min_value"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), 400, "stop", "array_above_max_length"),
        (json!({"stop": ""}), 400, "stop", "invalid_value"),
        (json!({"top_logprobs": 2}), 400, "top_logprobs", "invalid_value"),
        (
            json!({"logprobs": true, "top_logprobs": 21}),
            400,
            "top_logprobs",
            "integer_above_max_value",
        ),
        (
            json!({"stream_options": {"include_usage": true}}),
            400,
            "stream_options",
            "invalid_value",
        ),
        (json!({"presence_penalty": 2.1}), 400, "presence_penalty", "decimal_above_max_value"),
        (json!({"frequency_penalty": -3}), 400, "frequency_penalty", "decimal_below_min_value"),
        (json!({"logit_bias": {"7": 1}}), 400, "logit_bias", "unsupported_parameter"),
        (json!({"audio": {}}), 400, "audio", "unsupported_parameter"),
        (json!({"functions": [{}]}), 400, "functions", "unsupported_parameter"),
        (json!({"no_such": 1}), 400, "no_such", "unknown_parameter"),
        (
            json!({"tools": [{"type": "function"}]}),
            400,
            "tools[0].function",
            "missing_required_parameter",
        ),
        (json!({"tools": [tool("no spaces")]}), 400, "tools[0].function.name", "invalid_value"),
        (json!({"tools": vec![tool("f"); 129]}), 400, "tools", "array_above_max_length"),
        (json!({"tool_choice": "auto"}), 400, "tool_choice", "invalid_value"),
        (
            json!({"tools": [tool("f")], "tool_choice": {"type": "function", "function": {"name": "g"}}}),
            400,
            "tool_choice",
            "invalid_value",
        ),
        (
            json!({"response_format": {"type": "yaml"}}),
            400,
            "response_format.type",
            "invalid_value",
        ),
        (
            json!({"response_format": {"type": "json_schema"}}),
            400,
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (json!({"guided_json": false}), 400, "guided_json", "invalid_type"),
        (json!({"guided_json": "{"}), 400, "guided_json", "invalid_value"),
        (json!({"guided_choice": []}), 400, "guided_choice", "empty_array"),
        (
            json!({"guided_regex": "a", "guided_choice": ["a"]}),
            400,
            "guided_choice",
            "invalid_parameter_combination",
        ),
        (json!({"guided_regex": "("}), 400, "", "invalid_constraint"),
        (json!({"guided_grammar": "start: nothing"}), 400, "", "invalid_constraint"),
        (
            json!({"guided_json": {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}}),
            400,
            "",
            "invalid_constraint",
        ),
        (
            json!({"mm_processor_kwargs": {"min_pixels": 9000, "max_pixels": 800}}),
            400,
            "mm_processor_kwargs.min_pixels",
            "invalid_value",
        ),
        (
            json!({"mm_processor_kwargs": {"odd": 1}}),
            400,
            "mm_processor_kwargs.odd",
            "unknown_parameter",
        ),
        (json!({"continue_final_message": true}), 400, "continue_final_message", "invalid_value"),
    ]
}

#[test]
fn what_cannot_be_followed_is_refused_with_its_place() {
    let server = Server::start(&[]);
    for stream in [false, true] {
        for (fields, status, param, code) in table() {
            let mut body = with(ask(), &with(json!({"stream": stream}), &fields));
            if stream && fields.get("stream_options").is_some() {
                body["stream"] = false.into();
            }
            let reply = server.post("/v1/chat/completions", &body);
            let shown: String = fields.to_string().chars().take(120).collect();
            assert_eq!(reply.status, status, "{shown}: {}", reply.body);
            let error = &reply.json().unwrap()["error"];
            assert_eq!(error["code"], code, "{shown}: {error}");
            assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{shown}: {error}");
            assert!(error["message"].as_str().unwrap().len() > 10, "{error}");
            assert_eq!(error["type"], "invalid_request_error");
        }
    }
    let answer = server.chat(&ask());
    assert!(answer["choices"][0]["message"]["content"].is_string());
    assert_eq!(server.metric("handsight_running"), 0);
    // Nothing of what was asked is in the log.
    assert!(!server.log().contains("Save"), "{}", server.log());
}

#[test]
fn what_is_no_request_is_refused() {
    let server = Server::start(&["--max-body-mb", "1"]);
    let check = |method, path, headers: &[(&str, &str)], body: Option<&str>, status: u16| {
        let reply = server.send(method, path, headers, body);
        assert_eq!(reply.status, status, "{method} {path} {headers:?}: {}", reply.body);
        assert!(reply.json().unwrap()["error"]["message"].is_string());
        assert!(reply.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    };
    let chat = "/v1/chat/completions";
    let deep = "[".repeat(100_000);
    check("POST", chat, &[], Some("{"), 400);
    check("POST", chat, &[], Some(""), 400);
    check("POST", chat, &[], Some(&deep), 400);
    check("POST", chat, &[], Some("[]"), 400);
    check("POST", chat, &[("content-type", "text/plain")], Some("{}"), 415);
    // More than what lies in buffers on the way: the answer arrives although nobody wants the rest.
    check("POST", chat, &[], Some(&" ".repeat(32 << 20)), 413);
    check("POST", chat, &[("content-type", "text/plain")], Some(&" ".repeat(32 << 20)), 415);
    check("POST", chat, &[("host", "evil.example")], Some("{}"), 403);
    check("GET", chat, &[], None, 405);
    check("GET", "/v1/nothing", &[], None, 404);
    check("GET", "/v1/models/other", &[], None, 404);
    check("POST", "/tokenize", &[], Some("{}"), 400);
    check("POST", "/tokenize", &[], Some(r#"{"prompt": "a", "model": "other"}"#), 404);
    check("POST", "/detokenize", &[], Some(r#"{"tokens": [99999999]}"#), 400);

    // Without a length, bytes are counted as they come.
    let mut chunked = request(
        "POST",
        chat,
        &[
            ("transfer-encoding", "chunked"),
            ("content-type", "application/json"),
            ("connection", "close"),
        ],
        None,
    );
    for _ in 0..64 {
        chunked.extend(format!("{:x}\r\n{}\r\n", 1 << 19, " ".repeat(1 << 19)).into_bytes());
    }
    chunked.extend(b"0\r\n\r\n");
    let reply = handsight_tests::http::Exchange::send(&server.addr, &chunked);
    assert_eq!(reply.unwrap().head.status, 413);
    for nonsense in [&b"\x00\x01\x02\r\n\r\n"[..], b"GET / HTTP/9.9\r\n\r\n", b"GET"] {
        let _ = handsight_tests::http::Exchange::send(&server.addr, nonsense);
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn only_the_token_opens_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs_err::write(&path, "hunter2-secret\n").unwrap();
    let server = Server::start(&["--token-file", path.to_str().unwrap()]);
    let status = |value: &str| {
        let reply = server.send("GET", "/v1/models", &[("authorization", value)], None);
        let error = reply.json().unwrap()["error"].clone();
        (reply.status, error["code"].as_str().map(str::to_owned))
    };
    assert_eq!(status("Bearer hunter2-secret"), (200, None));
    let wrong = (401, Some("invalid_api_key".to_owned()));
    assert_eq!(status("Bearer hunter2"), wrong);
    assert_eq!(status("Bearer hunter2-secret2"), wrong);
    let reply = server.get("/v1/models");
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(server.get("/metrics").status, 401);
    assert_eq!(server.get("/healthz").status, 200);
    assert!(!server.log().contains("hunter2"), "{}", server.log());
}
