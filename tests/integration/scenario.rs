//! Scenarios, as a user runs them: real windows, the embedded model, and anchors that spare it.

mod anchors;
mod ci;
mod cookbook;
mod many;
mod record;
mod suite;

use std::process::{Command, Output};

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::xserver::XServer;
use serde_json::Value;

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// A form of GTK, whose own words say what arrived in it. `OPTIONS` is replaced.
const MEMBER: &str = r#"
scenario: a new member is saved
tags: [smoke]
vars: {first: Ada, city: Paris}
setup:
  - shell: rm -f out.txt
  - start:
      - sh
      - -c
      - >-
        GDK_BACKEND=x11 NO_AT_BRIDGE=1 exec zenity --forms --title=Profile --text="New Member"
        --add-entry="First Name" --add-entry=City --ok-label=Save --cancel-label=Cancel
        OPTIONS > out.txt
  - wait_for: {window: Profile}
steps:
  - type: {text: "{{ first }}", into: First Name}
  - type: {text: "{{ city }}", into: City}
  - click: Save
  - expect: {file: {path: out.txt, text: {equals: "{{ first }}|{{ city }}"}}}
"#;

fn run(handsight: &Binary, server: &XServer, args: &[&str]) -> (i32, Value) {
    let all = [&["scenario", "run", "member.yaml", "--json"], args].concat();
    let mut command = handsight.command(&all);
    server.adopt(&mut command);
    report_of(&mut command)
}

/// Returns the exit code and what was printed as JSON.
fn report_of(command: &mut Command) -> (i32, Value) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    let result = serde_json::from_slice(&stdout);
    let result = result.unwrap_or_else(|error| panic!("{error}: {errors}"));
    (status.code().unwrap(), result)
}

#[test]
fn the_second_run_needs_no_model_and_a_changed_window_is_healed() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let handsight = handsight();
    let write = |options: &str| {
        let text = MEMBER.replace("OPTIONS", options);
        fs::write(handsight.dir().join("member.yaml"), text).unwrap();
    };
    write("--width=420 --height=300");
    let (code, first) = run(&handsight, &server, &["--report", "report"]);
    assert_eq!((code, &first["passed"]), (0, &1.into()), "{first:#}");
    assert_eq!(first["model_calls"], 3);

    // As it was: by pixels alone, with other words, too, where the fields were empty.
    let (code, second) = run(&handsight, &server, &["--anchors", "strict"]);
    assert_eq!((code, &second["model_calls"]), (0, &0.into()), "{second:#}");

    // Another size: some targets are found by their pixels, the others by the model.
    write("--width=480 --height=340");
    let (code, third) = run(&handsight, &server, &[]);
    assert!([0, 5].contains(&code), "{third:#}");
    let (code, fourth) = run(&handsight, &server, &["--anchors", "strict"]);
    assert_eq!((code, &fourth["model_calls"]), (0, &0.into()), "{fourth:#}");

    // What it is for: a program that reads reports.
    let report = handsight.dir().join("report");
    let xml = fs::read_to_string(report.join("junit.xml")).unwrap();
    assert!(xml.contains("<testcase name=\"a new member is saved\""), "{xml}");
    assert!(fs::read_to_string(report.join("summary.md")).unwrap().contains("1 passed"));
}

#[test]
fn a_scenario_that_fails_says_where_and_ends_its_programs() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let handsight = handsight();
    let text = "
scenario: x
setup:
  - start: [sh, -c, echo $$ > pid; exec sleep 1000]
  - wait_for: {file: {path: pid, text: {matches: '[0-9]'}}}
steps:
  - click: [10, 10]
  - expect: {window: {equals: nothing such}}
";
    fs::write(handsight.dir().join("member.yaml"), text).unwrap();
    let (code, result) = run(&handsight, &server, &["--report", "report"]);
    assert_eq!((code, &result["failed"]), (1, &1.into()), "{result:#}");
    let problem = result["scenarios"][0]["steps"][3]["problem"].as_str().unwrap();
    assert!(problem.starts_with("expected the window is \"nothing such\""), "{problem}");
    let pid = fs::read_to_string(handsight.dir().join("pid")).unwrap();
    let is_alive = fs::exists(format!("/proc/{}", pid.trim())).unwrap();
    assert!(!is_alive, "a program was left behind");
    let xml = fs::read_to_string(handsight.dir().join("report/junit.xml")).unwrap();
    assert!(xml.contains("<failure") && xml.contains("member.yaml:8"), "{xml}");
}

#[test]
fn mistakes_are_found_before_anything_is_done() {
    let handsight = handsight();
    fs::write(
        handsight.dir().join("member.yaml"),
        "scenario: x\nvars: {name: Ada}\nsteps:\n  - type: '{{ nmae }}'\n",
    )
    .unwrap();
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "check", "member.yaml"]), @r"
    exit code: 2
    --- stderr ---
    error: scenario `member.yaml`, line 4, column 5: steps[0] uses `nmae`, which nothing sets; did you mean `name`?
    hint: `handsight schema scenario` describes all that a scenario can say
    ");
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "check", "none.yaml"]), @r"
    exit code: 2
    --- stderr ---
    error: could not read the scenario
      caused by: failed to open file `none.yaml`: No such file or directory (os error 2)
    hint: check the path of the scenario
    ");
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "run", "."]), @r"
    exit code: 2
    --- stderr ---
    error: scenario `./member.yaml`, line 4, column 5: steps[0] uses `nmae`, which nothing sets; did you mean `name`?
    hint: `handsight schema scenario` describes all that a scenario can say
    ");
}
