//! The command line: help, results, errors and exit codes, as a user sees them.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop where the tests would")]

mod help;
mod refusals;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::wait::{STARTING, wait_until};
use image::RgbImage;
use insta::assert_snapshot;
use serde_json::Value;

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// A committed file or folder that tests read.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A binary in a folder with the picture `white.png`.
fn with_picture() -> Binary {
    let handsight = handsight();
    let white = RgbImage::from_pixel(112, 84, image::Rgb([255; 3]));
    white.save(handsight.dir().join("white.png")).unwrap();
    handsight
}

#[test]
fn the_doctor_says_what_fails_and_how_to_mend_it() {
    let handsight = handsight();
    let output = handsight.command(&["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let result = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap().clone()
    };
    assert_eq!(result("display")["result"], "failed");
    assert!(result("display")["hint"].as_str().unwrap().contains("Xvfb"));
    assert_eq!(result("capture")["result"], "skipped");
    assert_eq!(result("trace")["result"], "passed");
    assert_eq!(fs::read_dir(handsight.dir()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn an_action_is_checked_against_the_picture() {
    let handsight = with_picture();
    let act = |json: &str| handsight.snapshot(&["act", json, "--device", "still:white.png"]);
    assert_snapshot!(act(r#"{"action":"left_click","coordinate":[111,83]}"#), @r"
    exit code: 0
    --- stdout ---
    left_click (111, 83)  (checked, not performed)
    ");
    assert_snapshot!(act(r#"{"action":"left_click","coordinate":[112,0]}"#), @r"
    exit code: 2
    --- stderr ---
    error: device `white.png` refused the action
      caused by: `left_click` at (112, 0) lies outside the 112×84 px screen
    ");
    assert_snapshot!(act(r#"{"action":"left_click"}"#), @r#"
    exit code: 2
    --- stderr ---
    error: the action cannot be used
      caused by: missing field `coordinate`
    hint: an action looks like {"action":"left_click","coordinate":[120,44]}; `handsight schema` describes all of them
    "#);
    assert_snapshot!(act(r#"{"action":"explode"}"#), @r#"
    exit code: 2
    --- stderr ---
    error: the action cannot be used
      caused by: unknown variant `explode`, expected one of `left_click`, `right_click`, `middle_click`, `double_click`, `triple_click`, `long_press`, `mouse_move`, `drag`, `swipe`, `scroll`, `type`, `key`, `system_button`, `open_app`, `wait`, `answer`, `call_user`, `terminate` at line 1 column 19
    hint: an action looks like {"action":"left_click","coordinate":[120,44]}; `handsight schema` describes all of them
    "#);
    assert_snapshot!(act(r#"{"action":"key","keys":["hyperspace"]}"#), @r#"
    exit code: 2
    --- stderr ---
    error: the action cannot be used
      caused by: `hyperspace` is not the name of a key
    hint: an action looks like {"action":"left_click","coordinate":[120,44]}; `handsight schema` describes all of them
    "#);
    assert_snapshot!(act("click there"), @r#"
    exit code: 2
    --- stderr ---
    error: the action cannot be used
      caused by: expected value at line 1 column 1
    hint: an action looks like {"action":"left_click","coordinate":[120,44]}; `handsight schema` describes all of them
    "#);
    assert_snapshot!(act(r#"{"action":"open_app","app":"Clock"}"#), @r"
    exit code: 2
    --- stderr ---
    error: device `white.png` cannot perform `open_app`
    ");
}

#[test]
fn an_action_is_json_on_request() {
    let action = r#"{"action":"scroll","direction":"down","amount":3}"#;
    let args = ["act", action, "--device", "still:white.png", "--json"];
    assert_snapshot!(with_picture().snapshot(&args), @r#"
    exit code: 0
    --- stdout ---
    {"action":{"action":"scroll","direction":"down","amount":3},"device":"white.png","performed":false}
    "#);
}

#[test]
fn a_screenshot_of_a_picture_is_that_picture() {
    let handsight = with_picture();
    let args = ["screenshot", "out.png", "--device", "still:white.png"];
    assert_snapshot!(handsight.snapshot(&args), @r"
    exit code: 0
    --- stdout ---
    out.png  112×84
    ");
    let copy = image::open(handsight.dir().join("out.png")).unwrap().into_rgb8();
    assert_eq!(copy.dimensions(), (112, 84));
    let args = ["screenshot", "no/such/folder.png", "--device", "still:white.png"];
    assert_snapshot!(handsight.snapshot(&args), @r"
    exit code: 2
    --- stderr ---
    error: failed to create file `no/such/folder.png`: No such file or directory (os error 2)
    hint: name a file in a folder that exists
    ");
    let args = ["screenshot", "out.png", "--device", "still:white.png", "--monitor", "1"];
    assert_snapshot!(handsight.snapshot(&args), @r"
    exit code: 2
    --- stderr ---
    error: a picture has no monitors, windows or regions
    hint: leave out `--monitor`, `--window` and `--region`
    ");
}

#[test]
fn a_run_on_a_picture_is_recorded_and_can_be_read_back() {
    let handsight = with_picture();
    let mut args = vec!["run", "click \"Save\"", "--device", "still:white.png", "--max-steps", "1"];
    args.extend(["--trace", "trace", "--json"]);
    let output = handsight.command(&args).output().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{result}");
    assert_eq!(result["goal"], "click \"Save\"");

    let output = handsight.command(&["trace", "show", "trace", "--json"]).output().unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["started"]["goal"], "click \"Save\"");
    assert_eq!(shown["stopped"]["stop_reason"], result["stop_reason"]);

    let output = handsight.command(&["trace", "report", "trace"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let path = String::from_utf8(output.stdout).unwrap();
    let page = fs::read_to_string(handsight.dir().join(path.trim())).unwrap();
    assert!(page.contains("click"), "the report does not tell of the goal");

    assert_snapshot!(handsight.snapshot(&args[..8]), @r"
    exit code: 2
    --- stderr ---
    error: `trace` already holds a trace
    hint: name a folder that does not exist yet
    ");
}

#[test]
fn the_schema_is_json_and_bounded_on_request() {
    let handsight = handsight();
    let schema = |args: &[&str]| -> Value {
        let output = handsight.command(args).output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(schema(&["schema"])["title"], "Action");
    let bounded = schema(&["schema", "action", "--width", "640", "--height", "480"]);
    assert!(bounded.to_string().contains("\"maximum\":479"), "{bounded}");
    assert_eq!(schema(&["schema", "computer-use"])["function"]["name"], "computer_use");
    assert_snapshot!(handsight.snapshot(&["schema", "--width", "640"]), @r"
    exit code: 2
    --- stderr ---
    error: the following required arguments were not provided:
      --height <PIXELS>

    Usage: handsight schema --width <PIXELS> --height <PIXELS> [KIND]

    For more information, try '--help'.
    ");
}

#[test]
fn an_interrupt_ends_a_run_and_leaves_its_trace_whole() {
    let handsight = with_picture();
    let mut command = handsight.command(&["run", "click \"Save\"", "--device", "still:white.png"]);
    // A model that was never trained writes on and on, so there is time to interrupt it.
    command.args(["--trace", "trace", "--model"]).arg(fixture("tiny-qwen2_5_vl/flat-f32"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let trace = handsight.dir().join("trace/trace.jsonl");
    let has_begun =
        || Ok(fs::read_to_string(&trace).is_ok_and(|text| text.contains("step_started")));
    wait_until("the first step did not begin", STARTING, has_begun).unwrap();
    let number = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &number]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));

    let output = handsight.command(&["trace", "show", "trace", "--json"]).output().unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["stopped"]["stop_reason"], "interrupted");
    assert_eq!(shown["torn"], false);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let handsight = handsight();
    let mut command = handsight.command(&["schema"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}
