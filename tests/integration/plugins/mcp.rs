//! The official client for Python against `handsight mcp`, on both transports and in both lifecycles.

use std::collections::VecDeque;

use fs_err as fs;
use handsight_tests::apps::Form;
use handsight_tests::fake_server::{FakeServer, Script};
use handsight_tests::xserver::XServer;
use serde_json::json;

use super::{RULES, SCREEN, check_ends_with, handsight, on_display, script};
use crate::serve::Server;

const FIELDS: [&str; 2] = ["First Name", "City"];

#[test]
fn a_client_fills_in_a_form_over_stdio() {
    let server = XServer::start_managed(SCREEN).unwrap();
    let handsight = handsight();
    fs::write(handsight.dir().join("policy.yaml"), RULES).unwrap();
    for mode in ["auto", "legacy"] {
        let mut form = Form::open(&server, &FIELDS, "Save").unwrap();
        let ours = on_display(&handsight, &server, &["mcp", "--policy", "policy.yaml"]);
        let mut client = script("mcp_client.py", &ours);
        client.args(["form", mode]).arg(ours.get_program()).args(ours.get_args());
        let output = client.output().unwrap();
        check_ends_with(&output, &format!("ok form {mode}\n"), "");
        assert_eq!(form.outcome().unwrap().1, "Ada|Paris", "{mode}");
    }
    server.check_nothing_held().unwrap();
}

#[test]
fn a_client_fills_in_a_form_over_http_and_others_are_not_let_in() {
    let server = XServer::start_managed(SCREEN).unwrap();
    let handsight = handsight();
    fs::write(handsight.dir().join("policy.yaml"), RULES).unwrap();
    let args = ["mcp", "--policy", "policy.yaml", "--addr", "127.0.0.1:0"];
    let mut ours = on_display(&handsight, &server, &args);
    ours.env("HANDSIGHT_API_KEY", "s3cret");
    let served = Server::spawn_at(handsight, ours, "/mcp");
    for mode in ["auto", "legacy"] {
        let mut form = Form::open(&server, &FIELDS, "Save").unwrap();
        let url = format!("http://{}/mcp", served.addr);
        let plain = super::handsight();
        let mut client = script("mcp_client.py", &plain.command(&[]));
        let output = client.args(["form", mode, &url, "s3cret"]).output().unwrap();
        check_ends_with(&output, &format!("ok form {mode}\n"), &served.log());
        assert_eq!(form.outcome().unwrap().1, "Ada|Paris", "{mode}");
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    let status = |headers: &[(&str, &str)]| {
        let accept = ("Accept", "application/json, text/event-stream");
        served.send("POST", "/mcp", &[headers, &[accept]].concat(), Some(&ping)).status
    };
    let bearer = ("Authorization", "Bearer s3cret");
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("Authorization", "Bearer s3cre")]), 401);
    // A page whose name was made to lead here, and a page that asks from a browser.
    assert_eq!(status(&[bearer, ("Host", "evil.example")]), 403);
    assert_eq!(status(&[bearer, ("Origin", "http://evil.example")]), 403);
    assert!(!served.log().contains("s3cret"));
}

#[test]
fn a_model_that_answers_is_asked() {
    let answers = ["\"41.50\"", "{\"total\": 41.5}", "\"yes\"", "\"no\""];
    let answers: VecDeque<String> = answers.into_iter().map(str::to_owned).collect();
    let model = FakeServer::start(Script { answers, logprobs: false, ..Script::default() });
    let handsight = handsight();
    let picture = crate::root().join("fixtures/embedded_eval/img");
    let picture = fs::read_dir(picture).unwrap().next().unwrap().unwrap().path();
    let (device, url) = (format!("still:{}", picture.display()), model.url("test-model"));
    let ours = handsight.command(&["mcp", "--device", &device, "--model", &url]);
    let mut client = script("mcp_client.py", &ours);
    client.args(["answers", "auto"]).arg(ours.get_program()).args(ours.get_args());
    let output = client.output().unwrap();
    check_ends_with(&output, "ok answers auto\n", "");
    assert_eq!(model.asked().len(), 4);
}
