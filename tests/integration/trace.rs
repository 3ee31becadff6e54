//! Traces that were recorded long ago: read, asked about again, and made into scenarios.

mod from_trace;

use std::path::{Path, PathBuf};

use fs_err as fs;
use handsight_tests::binary::Binary;
use serde_json::Value;

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// A trace of the first version of the format: a form of GTK filled in by the embedded model.
fn old_trace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/traces/form-v1")
}

fn redecide(handsight: &Binary, args: &[&str]) -> (i32, Value) {
    let dir = old_trace();
    let all = [&["trace", "redecide", "--json", dir.to_str().unwrap()], args].concat();
    let output = handsight.command(&all).output().unwrap();
    let result = serde_json::from_slice(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), result.unwrap_or_else(|error| panic!("{error}: {said}")))
}

#[test]
fn the_embedded_model_decides_as_it_did_when_the_trace_was_recorded() {
    let (code, result) = redecide(&handsight(), &["--fail-on-difference"]);
    assert_eq!(code, 0, "{result:#}");
    let steps = result["steps"].as_array().unwrap();
    assert_eq!(result["same"], steps.len());
    let furthest = result["furthest"].as_f64().unwrap();
    assert!(furthest <= 1.0, "{furthest}");
}

#[test]
fn a_model_that_decides_otherwise_is_found_out_step_by_step() {
    use handsight_tests::fake_server::{FakeServer, Script};
    let trace = handsight_agent::read_trace(&old_trace()).unwrap();
    // Always the same click, a few pixels beside the first one.
    let action = trace.steps[0].decided.as_ref().unwrap().action.clone();
    let at = action.point().unwrap();
    let call = serde_json::json!({
        "name": "computer_use",
        "arguments": {"action": "left_click", "coordinate": [at.x + 30, at.y]},
    });
    let server = FakeServer::start(Script { answer: call.to_string(), ..Script::default() });
    let model = server.url("test-model");
    let handsight = handsight();
    let (code, result) = redecide(&handsight, &["--model", &model]);
    assert_eq!(code, 0, "differences fail on request only");
    let steps = result["steps"].as_array().unwrap();
    assert_eq!(steps[0]["difference"], "place", "{result:#}");
    let distance = steps[0]["distance"].as_f64().unwrap();
    assert!((distance - 30.0).abs() <= 4.0, "{distance}");
    let verbs = steps.iter().filter(|step| step["difference"] == "verb").count();
    assert_eq!(result["differences"]["verb"], verbs);
    assert!(verbs >= 2, "{result:#}");
    let (code, result) =
        redecide(&handsight, &["--model", &model, "--within", "60", "--fail-on-difference"]);
    assert_eq!((code, &result["steps"][0]["difference"]), (1, &"none".into()), "{result:#}");
}

#[test]
fn a_damaged_picture_is_named() {
    let handsight = handsight();
    let copy = handsight.dir().join("trace");
    fs::create_dir_all(copy.join("images")).unwrap();
    fs::copy(old_trace().join("trace.jsonl"), copy.join("trace.jsonl")).unwrap();
    for entry in fs::read_dir(old_trace().join("images")).unwrap() {
        let name = entry.unwrap().file_name();
        fs::write(copy.join("images").join(name), b"no picture").unwrap();
    }
    let said = handsight.snapshot(&["trace", "redecide", "trace"]);
    assert!(
        said.starts_with("exit code: 2\n") && said.contains("of the trace cannot be used"),
        "{said}"
    );
}
