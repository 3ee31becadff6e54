//! Robot Framework itself, and its `libdoc`, against `handsight robot`.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;

use fs_err as fs;
use handsight_tests::apps::Form;
use handsight_tests::fake_server::{FakeServer, Script};
use handsight_tests::xserver::XServer;
use serde_json::Value;

use super::{RULES, SCREEN, check_ends_with, handsight, on_display};
use crate::python;
use crate::serve::Server;

/// Fills in a form by points, by words and by a goal, and meets what may not be done.
const SUITE: &str = r#"
*** Settings ***
Library    Remote    %{HANDSIGHT}    AS    Hand

*** Test Cases ***
The Screen Is Seen
    ${seen}=    Hand.Take Screenshot
    Should Be Equal    ${seen}[window][title]    Profile
    Should Be Equal As Integers    ${seen}[width]    560
    ${devices}=    List Devices
    Should Be Equal As Integers    ${devices}[monitors][0][height]    420

What May Not Be Done Is A Failure
    Run Keyword And Expect Error    *the safety policy does not allow this `right_click`*
    ...    Right Click    [5, 5]
    Run Keyword And Expect Error    *lies outside*    Click    [640, 5]
    Run Keyword And Expect Error    *answers no questions*    Expect    all is well
    Run Keyword And Expect Error    *may not be run: it is not below that folder*
    ...    Run Scenario    ../x.yaml

A Scenario Runs
    ${vars}=    Create Dictionary    n=${2}
    ${result}=    Run Scenario    point.yaml    vars=${vars}
    Should Be Equal    ${result}[status]    passed
    Run Keyword And Expect Error    *expected n == 2*    Run Scenario    point.yaml

A Form Is Filled In
    Type Text    Eve & "Co" <x>    into=First Name
    Press Keys    ctrl+a
    Press Keys    backspace
    ${point}=    Find Target    City
    Click    ${point}
    Run Goal    type "Ada" into "First Name", type "Paris" into "City", then click "Save"
"#;

#[test]
fn a_suite_fills_in_a_form() {
    let server = XServer::start_managed(SCREEN).unwrap();
    let handsight = handsight();
    let dir = handsight.dir().to_owned();
    fs::write(dir.join("policy.yaml"), RULES).unwrap();
    fs::create_dir(dir.join("scenarios")).unwrap();
    let scenario =
        "scenario: x\nvars: {n: 1}\nsteps: [{hover: [9, 9]}, {expect: {that: n == 2}}]\n";
    fs::write(dir.join("scenarios/point.yaml"), scenario).unwrap();
    let mut form = Form::open(&server, &["First Name", "City"], "Save").unwrap();
    let args =
        ["robot", "--addr", "127.0.0.1:0", "--policy", "policy.yaml", "--scenarios", "scenarios"];
    let ours = on_display(&handsight, &server, &args);
    let mut served = Server::spawn_at(handsight, ours, "");

    let output = robot(&dir, &served, SUITE).output().unwrap();
    check_ends_with(&output, "", &served.log());
    assert_eq!(form.outcome().unwrap().1, "Ada|Paris");
    server.check_nothing_held().unwrap();
    let log = fs::read_to_string(dir.join("output.xml")).unwrap();
    assert!(
        log.contains("html=\"true\"") && log.contains("data:image/png;base64,"),
        "no screenshot"
    );

    check_libdoc(&dir, &served);
    stops(&dir, &mut served);
}

/// What `libdoc` makes of the library is what the registry says.
fn check_libdoc(dir: &Path, served: &Server) {
    let library = format!("Remote::http://{}", served.addr);
    let mut libdoc = Command::new(python());
    libdoc.args(["-m", "robot.libdoc", "--format", "json", &library, "doc.json"]).current_dir(dir);
    let output = libdoc.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let doc: Value = serde_json::from_slice(&fs::read(dir.join("doc.json")).unwrap()).unwrap();
    let keywords = doc["keywords"].as_array().unwrap();
    let tools: Vec<_> = handsight_scenarios::Tool::all().collect();
    assert_eq!(keywords.len(), tools.len());
    for tool in tools {
        let keyword = keywords.iter().find(|keyword| keyword["name"] == tool.keyword());
        let keyword = keyword.unwrap_or_else(|| panic!("no keyword for {tool:?}"));
        let described = keyword["doc"].as_str().unwrap();
        assert!(described.len() > 20, "{keyword}");
        let names = tool.arguments()["properties"].as_object().unwrap().len();
        let arguments = keyword["args"].as_array().unwrap();
        assert_eq!(arguments.len(), names, "{keyword}");
        assert!(arguments.iter().all(|argument| argument["type"].is_object()), "{keyword}");
    }
    let scroll = keywords.iter().find(|keyword| keyword["name"] == "Scroll").unwrap();
    let amount = &scroll["args"].as_array().unwrap()[2];
    assert_eq!((&amount["name"], &amount["defaultValue"]), (&"amount".into(), &"5".into()));
    assert_eq!(amount["type"]["name"], "int");
    assert!(doc["doc"].as_str().unwrap().contains("the Save button"), "{}", doc["doc"]);
}

/// A client can end the server, as those of Robot Framework can.
fn stops(dir: &Path, served: &mut Server) {
    let url = format!("http://{}", served.addr);
    let program = format!(
        "import xmlrpc.client as x; s = x.ServerProxy({url:?}); names = s.get_keyword_names(); \
         assert 'Click' in names, names; assert s.get_keyword_arguments('Click') == ['target']; \
         assert s.get_keyword_tags('click') == ['acts']; assert s.stop_remote_server() is True"
    );
    let output = Command::new(python()).args(["-c", &program]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(served.ended().status.code(), Some(0), "{}", served.log());
}

/// Returns a command that runs a suite against a server.
fn robot(dir: &Path, served: &Server, suite: &str) -> Command {
    fs::write(dir.join("suite.robot"), suite).unwrap();
    let mut command = Command::new(python());
    command.args(["-m", "robot", "--pythonpath", ".", "--log", "NONE", "--report", "NONE"]);
    command.args(["--consolecolors", "off", "suite.robot"]).current_dir(dir);
    command.env("HANDSIGHT", format!("http://{}", served.addr)).env("NO_PROXY", "*");
    command
}

/// Asks a model that says what it was told to say.
const QUESTIONS: &str = r#"
*** Settings ***
Library    Remote    %{HANDSIGHT}

*** Test Cases ***
Answers Are Values
    ${answer}=    Ask    What is the total?
    Should Be Equal    ${answer}    41.50
    ${schema}=    Evaluate    {"type": "object", "properties": {"total": {"type": "number"}}}
    ${value}=    Extract    the total    ${schema}
    Should Be Equal As Numbers    ${value}[total]    41.5
    Expect    the form is empty    at_least=0.8    within=0

What Does Not Hold Is A Failure
    Run Keyword And Expect Error    *does not hold: the model is 0 % sure*
    ...    Expect    the form is empty    within=0
"#;

#[test]
fn a_suite_asks_a_model_that_answers() {
    let answers = ["\"41.50\"", "{\"total\": 41.5}", "\"yes\"", "\"no\""];
    let answers: VecDeque<String> = answers.into_iter().map(str::to_owned).collect();
    let model = FakeServer::start(Script { answers, logprobs: false, ..Script::default() });
    let handsight = handsight();
    let dir = handsight.dir().to_owned();
    let picture = fs::read_dir(crate::root().join("fixtures/embedded_eval/img")).unwrap();
    let device = format!("still:{}", picture.into_iter().next().unwrap().unwrap().path().display());
    let url = model.url("test-model");
    let args = ["robot", "--addr", "127.0.0.1:0", "--device", &device, "--model", &url];
    let ours = handsight.command(&args);
    let served = Server::spawn_at(handsight, ours, "");
    let output = robot(&dir, &served, QUESTIONS).output().unwrap();
    check_ends_with(&output, "", &served.log());
    assert_eq!(model.asked().len(), 4);
}

#[test]
fn what_is_no_call_is_answered_with_the_reason() {
    let handsight = handsight();
    let picture = fs::read_dir(crate::root().join("fixtures/embedded_eval/img")).unwrap();
    let device = format!("still:{}", picture.into_iter().next().unwrap().unwrap().path().display());
    let ours = handsight.command(&["robot", "--addr", "127.0.0.1:0", "--device", &device]);
    let served = Server::spawn_at(handsight, ours, "");
    let ask = |kind: &str, host: &str, body: &str| {
        served.send("POST", "/", &[("Content-Type", kind), ("Host", host)], Some(body))
    };
    let broken = ask("text/xml", "localhost", "<methodCall>");
    assert_eq!(broken.status, 200);
    assert!(broken.body.contains("the call cannot be read"), "{}", broken.body);
    let unknown = "<methodCall><methodName>explode</methodName></methodCall>";
    assert!(ask("text/xml", "localhost", unknown).body.contains("no method `explode`"));
    let deep = "<value><array><data>".repeat(100_000);
    let deep = format!("<methodCall><methodName>x</methodName><params><param>{deep}");
    assert!(ask("text/xml", "localhost", &deep).body.contains("the call cannot be read"));
    // What a page in a browser could send.
    assert_eq!(ask("text/plain", "localhost", unknown).status, 415);
    assert_eq!(ask("text/xml", "evil.example", unknown).status, 403);
    let long = "x".repeat((4 << 20) + 1);
    assert_eq!(ask("text/xml", "localhost", &long).status, 413);
}
