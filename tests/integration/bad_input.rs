//! What is wrong with the machine rather than with the words: each case gives one clear message,
//! the right exit code, and loses nothing that was recorded.

use std::os::unix::fs::symlink;
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

/// Checks that an episode told of a picture it could not record, and kept all before it.
fn check_stopped_for_space(handsight: &Binary, output: &Output, hint: &str) {
    let error = error(output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error["exit_code"], 1);
    let message = "the episode was stopped because it could no longer be recorded";
    assert_eq!(error["message"], message);
    let causes = error["causes"].to_string();
    assert!(causes.contains("could not write the trace"), "{causes}");
    assert!(causes.contains("trace/images/"), "the file is not named: {causes}");
    assert_eq!(error["hint"], format!("{hint}; the trace is complete up to this point"));

    let trace = read_trace(&handsight.dir().join("trace")).unwrap();
    assert_eq!(trace.started.goal, GOAL);
    assert!(trace.steps.is_empty() && !trace.torn, "half of something was kept");
    let images = fs::read_dir(handsight.dir().join("trace/images")).unwrap();
    assert_eq!(images.count(), 0, "half a picture was left behind");
    let shown = handsight.command(&["trace", "show", "trace"]).output().unwrap();
    assert_eq!(shown.status.code(), Some(0));
}

const GOAL: &str = "click \"Save\"";

/// `run` on a picture, recording into the folder that is named last.
const RUN: [&str; 8] =
    ["run", GOAL, "--device", "still:noise.png", "--json", "--max-steps", "1", "--trace"];

#[test]
fn a_full_disk_stops_the_episode_and_keeps_what_was_recorded() {
    let handsight = handsight();
    save_noise(&handsight.dir().join("noise.png"), 112);
    // Pictures are named by what is in them, so a first trace tells the name in the second.
    output(handsight.command(&RUN).arg("first"));
    let first = fs::read_dir(handsight.dir().join("first/images")).unwrap().next().unwrap();
    let name = first.unwrap().file_name().into_string().unwrap();
    let images = handsight.dir().join("trace/images");
    fs::create_dir_all(&images).unwrap();
    symlink("/dev/full", images.join(format!("{name}.partial"))).unwrap();
    let output = output(handsight.command(&RUN).arg("trace"));
    check_stopped_for_space(&handsight, &output, "free some space");
}

#[test]
fn a_limit_on_files_stops_the_episode_and_keeps_what_was_recorded() {
    let handsight = handsight();
    save_noise(&handsight.dir().join("noise.png"), 112);
    // Room for the first lines, and not for a picture of 36 KiB.
    let output = output(with_little_space(&handsight, 8, &RUN).arg("trace"));
    check_stopped_for_space(&handsight, &output, "allow larger files, see `ulimit -f`");
}

#[test]
fn a_screenshot_that_finds_no_space_is_no_success() {
    let handsight = handsight();
    save_noise(&handsight.dir().join("noise.png"), 112);
    let check = |output: &Output, name: &str| {
        let error = error(output);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.to_string().contains(name), "the file is not named: {error}");
        assert_eq!(error["hint"], "free some space");
    };
    let args = ["screenshot", "--device", "still:noise.png", "--json"];
    check(&output(with_little_space(&handsight, 8, &args).arg("out.png")), "out.png");
    assert!(!handsight.dir().join("out.png").exists(), "half a picture was left behind");
    check(&output(handsight.command(&args).arg("/dev/full")), "/dev/full");
    assert!(Path::new("/dev/full").exists(), "the device was taken for a picture");
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
    let device = format!("desktop {}", server.display());
    let message = format!("what was chosen of device `{device}` cannot be observed");
    assert_eq!(error["message"], message);
    assert_eq!(error["causes"][0], "there is no monitor `3`, only `screen`");
    assert_eq!(error["hint"], "give the name of one of those, or its number, from 0");
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
    output(handsight.command(&RUN).arg("trace"));
    let events = handsight.dir().join("trace/trace.jsonl");
    let first = fs::read(&events).unwrap();
    let again = output(handsight.command(&RUN).arg("trace"));
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(error(&again)["message"], "`trace` already holds a trace");
    assert_eq!(fs::read(&events).unwrap(), first);
}
