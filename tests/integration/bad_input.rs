//! What is wrong with the machine rather than with the words: each case gives one clear message,
//! the right exit code, and loses nothing that was recorded.

use std::path::Path;
use std::process::{Command, Output};

use fs_err as fs;
use handsight_agent::read_trace;
use handsight_tests::binary::Binary;
use handsight_tests::xserver::XServer;
use image::RgbImage;
use serde_json::Value;

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// Runs a command and returns its output, after checking that it did not crash.
fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked") && !stderr.contains("a fault in"), "{stderr}");
    assert!(output.status.code().is_some(), "it was killed: {:?}", output.status);
    output
}

/// Returns the error that a command prints with `--json`.
fn error(output: &Output) -> Value {
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    result["error"].clone()
}

/// Writes a picture that does not compress.
fn save_noise(path: &Path, side: u32) {
    let mut state = 1_u32;
    let noise = RgbImage::from_fn(side, side, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb([state >> 8, state >> 16, state >> 24].map(|byte| (byte & 0xff) as u8))
    });
    noise.save(path).unwrap();
}

/// A command of which no file may grow beyond this many KiB, as on a full disk.
fn with_little_space(handsight: &Binary, kib: u32, args: &[&str]) -> Command {
    let whole = handsight.command(args);
    // Without the signal a write beyond the limit fails, as it does on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script, "bash"]).arg(whole.get_program()).args(whole.get_args());
    command.current_dir(handsight.dir()).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

#[test]
fn a_full_disk_stops_the_episode_and_keeps_what_was_recorded() {
    let handsight = handsight();
    save_noise(&handsight.dir().join("noise.png"), 112);
    let args =
        ["run", "click \"Save\"", "--device", "still:noise.png", "--trace", "trace", "--json"];
    // Room for the first lines, and not for a picture of 36 KiB.
    let output = output(&mut with_little_space(&handsight, 8, &args));
    let error = error(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error["exit_code"], 1);
    let message = "the episode was stopped because it could no longer be recorded";
    assert_eq!(error["message"], message);
    let causes = error["causes"].to_string();
    assert!(causes.contains("could not write the trace"), "{causes}");
    assert!(causes.contains("trace/images/"), "the file is not named: {causes}");
    assert_eq!(
        error["hint"],
        "allow larger files, see `ulimit -f`; the trace is complete up to this point"
    );

    let trace = read_trace(&handsight.dir().join("trace")).unwrap();
    assert_eq!(trace.started.goal, "click \"Save\"");
    assert!(trace.steps.is_empty() && !trace.torn, "half of something was kept");
    let shown = handsight.command(&["trace", "show", "trace"]).output().unwrap();
    assert_eq!(shown.status.code(), Some(0));
}

#[test]
fn a_screenshot_that_finds_no_space_is_no_success() {
    let handsight = handsight();
    save_noise(&handsight.dir().join("noise.png"), 112);
    let args = ["screenshot", "out.png", "--device", "still:noise.png", "--json"];
    let output = output(&mut with_little_space(&handsight, 8, &args));
    let error = error(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.to_string().contains("out.png"), "the file is not named: {error}");
    assert_eq!(error["hint"], "free some space");
    assert!(!handsight.dir().join("out.png").exists(), "half a picture was left behind");
}

#[test]
fn a_display_without_input_says_which_extension_it_lacks() {
    let server = XServer::start_with("320x200x24", &["-extension", "XTEST"]).unwrap();
    let handsight = handsight();
    let mut command = handsight.command(&["devices", "--json"]);
    server.adopt(&mut command);
    let output = output(&mut command);
    let error = error(&output);
    assert_eq!(output.status.code(), Some(3), "{error}");
    let message = format!(
        "display `{}` lacks the XTEST extension, which mouse and keyboard input needs",
        server.display()
    );
    assert_eq!(error["message"], message);
    assert_eq!(error["hint"], "start the display server with XTEST enabled");
}

#[test]
fn a_display_without_randr_is_one_monitor() {
    let server = XServer::start_with("320x200x24", &["-extension", "RANDR"]).unwrap();
    let handsight = handsight();
    let mut command = handsight.command(&["screenshot", "out.png"]);
    server.adopt(&mut command);
    assert_eq!(output(&mut command).status.code(), Some(0));
    let picture = image::open(handsight.dir().join("out.png")).unwrap().into_rgb8();
    assert_eq!(picture, server.pixels().unwrap());
}

#[test]
fn a_display_without_shared_memory_is_seen_all_the_same() {
    let server = XServer::start_with("320x200x24", &["-extension", "MIT-SHM"]).unwrap();
    let handsight = handsight();
    let mut command = handsight.command(&["screenshot", "out.png"]);
    server.adopt(&mut command);
    assert_eq!(output(&mut command).status.code(), Some(0));
    let picture = image::open(handsight.dir().join("out.png")).unwrap().into_rgb8();
    assert_eq!(picture, server.pixels().unwrap());
}

#[test]
fn a_monitor_that_is_not_there_is_bad_input() {
    let server = XServer::start("320x200x24").unwrap();
    let handsight = handsight();
    let mut command = handsight.command(&["screenshot", "out.png", "--monitor", "3", "--json"]);
    server.adopt(&mut command);
    let output = output(&mut command);
    let error = error(&output);
    assert_eq!(output.status.code(), Some(2), "{error}");
    let message = format!("there is no monitor 3 on display `{}`, which has 1", server.display());
    assert_eq!(error["message"], message);
    assert_eq!(error["hint"], "the only monitor is number 0");
    assert!(!handsight.dir().join("out.png").exists());
}

#[test]
fn a_point_off_the_screen_moves_nothing() {
    let server = XServer::start("320x200x24").unwrap();
    server.warp_pointer(7, 9).unwrap();
    let handsight = handsight();
    let click = r#"{"action":"left_click","coordinate":[320,10]}"#;
    let mut command = handsight.command(&["act", click, "--json"]);
    server.adopt(&mut command);
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(2), "{}", error(&output));
    assert_eq!(server.pointer().unwrap(), (7, 9));
}

#[test]
fn a_trace_is_never_written_over_another() {
    let handsight = handsight();
    save_noise(&handsight.dir().join("noise.png"), 56);
    let args = ["run", "click \"Save\"", "--device", "still:noise.png", "--trace", "trace"];
    output(handsight.command(&args).args(["--max-steps", "1"]));
    let events = handsight.dir().join("trace/trace.jsonl");
    let first = fs::read(&events).unwrap();
    let again = output(handsight.command(&args).arg("--json"));
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(error(&again)["message"], "`trace` already holds a trace");
    assert_eq!(fs::read(&events).unwrap(), first);
}
