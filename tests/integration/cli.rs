//! The command line: help, results, errors and exit codes, as a user sees them.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use fs_err as fs;
use handsight_tests::binary::Binary;
use image::RgbImage;
use insta::assert_snapshot;
use serde_json::Value;

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// A binary in a folder with the picture `white.png`.
fn with_picture() -> Binary {
    let handsight = handsight();
    let white = RgbImage::from_pixel(112, 84, image::Rgb([255; 3]));
    white.save(handsight.dir().join("white.png")).unwrap();
    handsight
}

/// A binary in a folder with a small checkpoint, `model`, that each test damages in its own way.
fn with_checkpoint() -> Binary {
    let handsight = with_picture();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny-qwen2_5_vl/flat-f32");
    let model = handsight.dir().join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    handsight
}

const GROUND: [&str; 5] = ["ground", "white.png", "Save", "--model", "model"];

#[test]
fn help_lists_the_commands() {
    assert_snapshot!(handsight().snapshot(&["--help"]), @"");
}

#[test]
fn help_of_run() {
    assert_snapshot!(handsight().snapshot(&["run", "--help"]), @"");
}

#[test]
fn help_of_ground() {
    assert_snapshot!(handsight().snapshot(&["ground", "--help"]), @"");
}

#[test]
fn help_of_act() {
    assert_snapshot!(handsight().snapshot(&["act", "--help"]), @"");
}

#[test]
fn help_of_screenshot() {
    assert_snapshot!(handsight().snapshot(&["screenshot", "--help"]), @"");
}

#[test]
fn help_of_devices() {
    assert_snapshot!(handsight().snapshot(&["devices", "--help"]), @"");
}

#[test]
fn help_of_doctor() {
    assert_snapshot!(handsight().snapshot(&["doctor", "--help"]), @"");
}

#[test]
fn help_of_schema() {
    assert_snapshot!(handsight().snapshot(&["schema", "--help"]), @"");
}

#[test]
fn help_of_demo() {
    assert_snapshot!(handsight().snapshot(&["demo", "--help"]), @"");
}

#[test]
fn help_of_trace() {
    assert_snapshot!(handsight().snapshot(&["trace", "--help"]), @"");
}

#[test]
fn help_is_there_at_once() {
    let handsight = handsight();
    let times = (0..10).map(|_| {
        let start = Instant::now();
        let output = handsight.command(&["--help"]).output().unwrap();
        assert!(output.status.success());
        start.elapsed()
    });
    let best = times.min().unwrap();
    assert!(best <= Duration::from_millis(20), "the best of ten took {best:?}");
}

#[test]
fn an_unknown_command_is_bad_usage() {
    assert_snapshot!(handsight().snapshot(&["fly"]), @"");
}

#[test]
fn a_missing_argument_is_bad_usage() {
    assert_snapshot!(handsight().snapshot(&["run"]), @"");
}

#[test]
fn an_option_out_of_range_is_bad_usage() {
    assert_snapshot!(handsight().snapshot(&["run", "x", "--max-steps", "0"]), @"");
    assert_snapshot!(handsight().snapshot(&["run", "x", "--timeout", "soon"]), @"");
    assert_snapshot!(handsight().snapshot(&["run", "x", "--device", "phone"]), @"");
}

#[test]
fn bad_usage_is_json_on_request() {
    assert_snapshot!(handsight().snapshot(&["ground", "--json"]), @"");
}

#[test]
fn without_a_display_everything_says_so() {
    let handsight = handsight();
    assert_snapshot!(handsight.snapshot(&["devices"]), @"");
    assert_snapshot!(handsight.snapshot(&["devices", "--json"]), @"");
    assert_snapshot!(handsight.snapshot(&["screenshot", "out.png"]), @"");
    assert_snapshot!(handsight.snapshot(&["run", "click \"OK\""]), @"");
    let act = ["act", r#"{"action":"key","keys":["enter"]}"#];
    assert_snapshot!(handsight.snapshot(&act), @"");
}

#[test]
fn a_display_that_is_not_there_is_named() {
    let handsight = handsight();
    let mut command = handsight.command(&["devices"]);
    assert_snapshot!(handsight.snapshot_of(command.env("DISPLAY", ":4711")), @"");
}

#[test]
fn wayland_without_x11_is_explained() {
    let handsight = handsight();
    let mut command = handsight.command(&["devices"]);
    assert_snapshot!(handsight.snapshot_of(command.env("WAYLAND_DISPLAY", "wayland-0")), @"");
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
    assert_snapshot!(act(r#"{"action":"left_click","coordinate":[111,83]}"#), @"");
    assert_snapshot!(act(r#"{"action":"left_click","coordinate":[112,0]}"#), @"");
    assert_snapshot!(act(r#"{"action":"left_click"}"#), @"");
    assert_snapshot!(act(r#"{"action":"explode"}"#), @"");
    assert_snapshot!(act(r#"{"action":"key","keys":["hyperspace"]}"#), @"");
    assert_snapshot!(act("click there"), @"");
    assert_snapshot!(act(r#"{"action":"open_app","app":"Clock"}"#), @"");
}

#[test]
fn an_action_is_json_on_request() {
    let action = r#"{"action":"scroll","direction":"down","amount":3}"#;
    let args = ["act", action, "--device", "still:white.png", "--json"];
    assert_snapshot!(with_picture().snapshot(&args), @"");
}

#[test]
fn a_screenshot_of_a_picture_is_that_picture() {
    let handsight = with_picture();
    let args = ["screenshot", "out.png", "--device", "still:white.png"];
    assert_snapshot!(handsight.snapshot(&args), @"");
    let copy = image::open(handsight.dir().join("out.png")).unwrap().into_rgb8();
    assert_eq!(copy.dimensions(), (112, 84));
    let args = ["screenshot", "no/such/folder.png", "--device", "still:white.png"];
    assert_snapshot!(handsight.snapshot(&args), @"");
    let args = ["screenshot", "out.png", "--device", "still:white.png", "--monitor", "1"];
    assert_snapshot!(handsight.snapshot(&args), @"");
}

#[test]
fn a_picture_that_cannot_be_read_is_named() {
    let handsight = with_picture();
    let png = fs::read(handsight.dir().join("white.png")).unwrap();
    fs::write(handsight.dir().join("half.png"), &png[..png.len() / 2]).unwrap();
    fs::write(handsight.dir().join("text.png"), "this is no picture").unwrap();
    fs::write(handsight.dir().join("empty.png"), "").unwrap();
    let ground = |file: &str| handsight.snapshot(&["ground", file, "Save"]);
    assert_snapshot!(ground("missing.png"), @"");
    assert_snapshot!(ground("half.png"), @"");
    assert_snapshot!(ground("text.png"), @"");
    assert_snapshot!(ground("empty.png"), @"");
    assert_snapshot!(ground("."), @"");
}

#[test]
fn a_picture_of_no_or_too_many_pixels_is_refused() {
    let handsight = with_picture();
    fs::write(handsight.dir().join("none.png"), png_header(0, 10)).unwrap();
    fs::write(handsight.dir().join("vast.png"), png_header(100_000, 100_000)).unwrap();
    RgbImage::new(100_000, 1).save(handsight.dir().join("long.png")).unwrap();
    let ground = |file: &str| handsight.snapshot(&["ground", file, "Save"]);
    assert_snapshot!(ground("none.png"), @"");
    assert_snapshot!(ground("vast.png"), @"");
    assert_snapshot!(ground("long.png"), @"");
}

/// A PNG file that claims a size and holds no pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut ihdr = b"IHDR".to_vec();
    ihdr.extend(width.to_be_bytes());
    ihdr.extend(height.to_be_bytes());
    ihdr.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(13u32.to_be_bytes());
    png.extend(&ihdr);
    png.extend(crc32(&ihdr).to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & !(crc & 1) + 1))
    })
}

#[test]
fn a_goal_or_description_nobody_means_is_refused() {
    let handsight = with_picture();
    let long = "x".repeat(100_000);
    let run = |goal: &str| handsight.snapshot(&["run", goal, "--device", "still:white.png"]);
    assert_snapshot!(run(" \n "), @"");
    assert_snapshot!(run(&long), @"");
    assert_snapshot!(handsight.snapshot(&["ground", "white.png", ""]), @"");
    assert_snapshot!(handsight.snapshot(&["ground", "white.png", &long]), @"");
}

#[test]
fn a_checkpoint_that_is_not_there_or_not_whole_is_named() {
    let handsight = with_checkpoint();
    let model = handsight.dir().join("model");
    assert_snapshot!(
        handsight.snapshot(&["ground", "white.png", "Save", "--model", "nowhere"]),
        @""
    );
    fs::remove_file(model.join("tokenizer.json")).unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @"");
}

#[test]
fn weights_that_were_cut_short_are_refused() {
    let handsight = with_checkpoint();
    let weights = handsight.dir().join("model/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @"");
    fs::write(&weights, [0xff; 64]).unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @"");
    fs::write(&weights, "").unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @"");
}

#[test]
fn a_config_that_contradicts_the_tensors_is_refused() {
    let handsight = with_checkpoint();
    let path = handsight.dir().join("model/config.json");
    let config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut wider = config.clone();
    wider["intermediate_size"] = (config["intermediate_size"].as_u64().unwrap() * 2).into();
    fs::write(&path, wider.to_string()).unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @"");
    fs::write(&path, "{\"hidden_size\":").unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @"");
}

#[test]
fn the_embedded_model_runs_on_the_cpu() {
    let args = ["ground", "white.png", "Save", "--compute", "cuda"];
    assert_snapshot!(with_picture().snapshot(&args), @"");
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

    assert_snapshot!(handsight.snapshot(&args[..8]), @"");
}

#[test]
fn a_trace_that_is_not_there_is_named() {
    let handsight = with_picture();
    assert_snapshot!(handsight.snapshot(&["trace", "show", "nowhere"]), @"");
    assert_snapshot!(handsight.snapshot(&["trace", "report", "nowhere"]), @"");
    let args =
        ["run", "click \"Save\"", "--device", "still:white.png", "--trace", "white.png/trace"];
    assert_snapshot!(handsight.snapshot(&args), @"");
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
    assert_snapshot!(handsight.snapshot(&["schema", "--width", "640"]), @"");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let handsight = handsight();
    let mut command = handsight.command(&["schema"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}
