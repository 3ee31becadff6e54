//! An episode becomes a scenario, which then does the same without a model.

use std::process::Output;

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::program::Program;
use handsight_tests::wait::STARTING;
use handsight_tests::xserver::XServer;
use serde_json::Value;

use super::{handsight, old_trace};

const FORM: [&str; 8] = [
    "--forms",
    "--title=Profile",
    "--text=New Member",
    "--add-entry=User",
    "--add-entry=Password",
    "--ok-label=Save",
    "--width=420",
    "--height=300",
];

fn form(server: &XServer) -> Program {
    let mut command = server.command("zenity");
    command.args(FORM).stderr(std::process::Stdio::null());
    let program = Program::start(&mut command).unwrap();
    server.wait_for_window("Profile").unwrap();
    program
}

fn printed(mut form: Program) -> String {
    let output = form.wait(STARTING).unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn run(handsight: &Binary, server: &XServer, args: &[&str]) -> (i32, Value) {
    let mut command = handsight.command(args);
    server.adopt(&mut command);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let result = serde_json::from_slice(&stdout);
    let said = String::from_utf8_lossy(&stderr).into_owned();
    (status.code().unwrap(), result.unwrap_or_else(|error| panic!("{error}: {said}")))
}

#[test]
fn a_run_becomes_a_scenario_that_asks_no_model_and_knows_no_secret() {
    let server = XServer::start_managed("480x360x24").unwrap();
    let handsight = handsight();
    let secret = "secrets:\n  bank: {value: Xanadu, windows: [{title: Profile}]}\n";
    handsight.write_private("secrets.yaml", secret);
    let goal =
        r#"type "ann" into "User", type "{{secret:bank}}" into "Password", then click "Save""#;
    let first = form(&server);
    let args = [
        "run",
        goal,
        "--trace",
        "trace",
        "--secrets",
        "secrets.yaml",
        "--max-steps",
        "9",
        "--json",
    ];
    let (code, episode) = run(&handsight, &server, &args);
    assert_eq!(code, 0, "{episode:#}");
    assert_eq!(printed(first), "ann|Xanadu");

    let args = ["scenario", "from-trace", "trace", "-o", "form.yaml", "--json"];
    let (code, made) = run(&handsight, &server, &args);
    assert_eq!(code, 0, "{made:#}");
    let text = fs::read_to_string(handsight.dir().join("form.yaml")).unwrap();
    assert!(text.contains("{{secret:bank}}") && !text.contains("Xanadu"), "{text}");
    assert!(text.contains("- type: {text: ann, into: User}"), "{text}");

    let second = form(&server);
    let args = [
        "scenario",
        "run",
        "form.yaml",
        "--anchors",
        "strict",
        "--secrets",
        "secrets.yaml",
        "--json",
    ];
    let (code, replayed) = run(&handsight, &server, &args);
    assert_eq!((code, &replayed["model_calls"]), (0, &0.into()), "{text}\n{replayed:#}");
    assert_eq!(printed(second), "ann|Xanadu");
}

#[test]
fn an_old_trace_becomes_a_scenario_and_one_without_success_does_not() {
    let handsight = handsight();
    let dir = old_trace();
    let args = ["scenario", "from-trace", dir.to_str().unwrap(), "-o", "old.yaml"];
    assert!(handsight.snapshot(&args).starts_with("exit code: 0"));
    insta::assert_snapshot!(fs::read_to_string(handsight.dir().join("old.yaml")).unwrap(), @r#"
    # From an episode of 2025-11-22 on desktop :0 monitor 0 (480×360).
    # It began with Zenity in front.
    scenario: 'type "Ada" into "First Name", type "Paris" into "City", then click "Save"'
    steps:
      - type: {text: Ada, into: First Name}
      - type: {text: Paris, into: City}
      - click: Save
      - wait_for: {not: {app: {equals: Zenity}}}  # a proposal: it was gone at the end
      # Say here what else must be so at the end, such as
      # - expect: {file: {path: out.txt, text: saved}}
    "#);
    assert!(handsight.dir().join("old.anchors/anchors.yaml").exists());
    assert!(handsight.snapshot(&args).contains("error: `old.yaml` is there already"));

    let copy = handsight.dir().join("trace");
    fs::create_dir(&copy).unwrap();
    let text = fs::read_to_string(dir.join("trace.jsonl")).unwrap();
    fs::write(copy.join("trace.jsonl"), text.replace("claimed_success", "step_budget")).unwrap();
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "from-trace", "trace", "-o", "x.yaml"]), @r"
    exit code: 2
    --- stderr ---
    error: the episode is no example to follow: the step budget was used up
    hint: record an episode that reaches its goal with `run --trace`
    ");
}
