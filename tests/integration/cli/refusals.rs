//! Arguments, files and displays that cannot be used: what is said, and the exit code.

use fs_err as fs;
use handsight_tests::binary::Binary;
use image::RgbImage;
use insta::assert_snapshot;
use serde_json::Value;

use super::{fixture, handsight, with_picture};

/// A binary in a folder with a small checkpoint, `model`, that each test damages in its own way.
fn with_checkpoint() -> Binary {
    let handsight = with_picture();
    let model = handsight.dir().join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(fixture("tiny-qwen2_5_vl/flat-f32")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    handsight
}

const GROUND: [&str; 5] = ["ground", "white.png", "Save", "--model", "model"];

#[test]
fn an_unknown_command_is_bad_usage() {
    assert_snapshot!(handsight().snapshot(&["fly"]), @r"
    exit code: 2
    --- stderr ---
    error: unrecognized subcommand 'fly'

    Usage: handsight [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn a_missing_argument_is_bad_usage() {
    assert_snapshot!(handsight().snapshot(&["run"]), @r"
    exit code: 2
    --- stderr ---
    error: the following required arguments were not provided:
      <GOAL>

    Usage: handsight run <GOAL>

    For more information, try '--help'.
    ");
}

#[test]
fn an_option_out_of_range_is_bad_usage() {
    assert_snapshot!(handsight().snapshot(&["run", "x", "--max-steps", "0"]), @r"
    exit code: 2
    --- stderr ---
    error: invalid value '0' for '--max-steps <N>': 0 is not in 1..=1000

    For more information, try '--help'.
    ");
    assert_snapshot!(handsight().snapshot(&["run", "x", "--timeout", "soon"]), @r"
    exit code: 2
    --- stderr ---
    error: invalid value 'soon' for '--timeout <TIME>': expected a number of seconds

    For more information, try '--help'.
    ");
    assert_snapshot!(handsight().snapshot(&["run", "x", "--device", "phone"]), @r"
    exit code: 2
    --- stderr ---
    error: invalid value 'phone' for '--device <DEVICE>': expected `desktop`, `android`, `android:SERIAL` or `still:FILE`

    For more information, try '--help'.
    ");
}

#[test]
fn bad_usage_is_json_on_request() {
    assert_snapshot!(handsight().snapshot(&["ground", "--json"]), @r#"
    exit code: 2
    --- stdout ---
    {"error":{"message":"the following required arguments were not provided: <IMAGE> <DESCRIPTION>","causes":[],"hint":"`handsight --help` lists the commands and their options","exit_code":2}}
    "#);
}

#[test]
fn without_a_display_everything_says_so() {
    let handsight = handsight();
    assert_snapshot!(handsight.snapshot(&["devices"]), @r"
    exit code: 3
    --- stderr ---
    error: could not connect to display `default`
      caused by: $DISPLAY variable not set and no value was provided explicitly
    hint: start a desktop session, or a virtual one with `Xvfb :99 -screen 0 1280x720x24`, and name it with DISPLAY
    ");
    assert_snapshot!(handsight.snapshot(&["devices", "--json"]), @r#"
    exit code: 3
    --- stdout ---
    {"error":{"message":"could not connect to display `default`","causes":["$DISPLAY variable not set and no value was provided explicitly"],"hint":"start a desktop session, or a virtual one with `Xvfb :99 -screen 0 1280x720x24`, and name it with DISPLAY","exit_code":3}}
    "#);
    assert_snapshot!(handsight.snapshot(&["screenshot", "out.png"]), @r"
    exit code: 3
    --- stderr ---
    error: could not connect to display `default`
      caused by: $DISPLAY variable not set and no value was provided explicitly
    hint: start a desktop session, or a virtual one with `Xvfb :99 -screen 0 1280x720x24`, and name it with DISPLAY
    ");
    assert_snapshot!(handsight.snapshot(&["run", "click \"OK\""]), @r"
    exit code: 3
    --- stderr ---
    error: could not connect to display `default`
      caused by: $DISPLAY variable not set and no value was provided explicitly
    hint: start a desktop session, or a virtual one with `Xvfb :99 -screen 0 1280x720x24`, and name it with DISPLAY
    ");
    let act = ["act", r#"{"action":"key","keys":["enter"]}"#];
    assert_snapshot!(handsight.snapshot(&act), @r"
    exit code: 3
    --- stderr ---
    error: could not connect to display `default`
      caused by: $DISPLAY variable not set and no value was provided explicitly
    hint: start a desktop session, or a virtual one with `Xvfb :99 -screen 0 1280x720x24`, and name it with DISPLAY
    ");
}

#[test]
fn a_display_that_is_not_there_is_named() {
    let handsight = handsight();
    let mut command = handsight.command(&["devices"]);
    assert_snapshot!(handsight.snapshot_of(command.env("DISPLAY", ":4711")), @r"
    exit code: 3
    --- stderr ---
    error: could not connect to display `:4711`
      caused by: No such file or directory (os error 2)
    hint: start a desktop session, or a virtual one with `Xvfb :99 -screen 0 1280x720x24`, and name it with DISPLAY
    ");
}

#[test]
fn a_wayland_session_that_is_over_is_named() {
    let handsight = handsight();
    let mut command = handsight.command(&["devices"]);
    command.env("XDG_RUNTIME_DIR", "/no/such/folder").env("WAYLAND_DISPLAY", "wayland-0");
    assert_snapshot!(handsight.snapshot_of(&mut command), @r"
    exit code: 3
    --- stderr ---
    error: could not connect to display `/no/such/folder/wayland-0`
      caused by: No such file or directory (os error 2)
    hint: log in again, or name the socket of a running compositor with WAYLAND_DISPLAY or an X11 display with DISPLAY
    ");
}

#[test]
fn a_picture_that_cannot_be_read_is_named() {
    let handsight = with_picture();
    let png = fs::read(handsight.dir().join("white.png")).unwrap();
    fs::write(handsight.dir().join("half.png"), &png[..png.len() / 2]).unwrap();
    fs::write(handsight.dir().join("text.png"), "this is no picture").unwrap();
    fs::write(handsight.dir().join("empty.png"), "").unwrap();
    let ground = |file: &str| handsight.snapshot(&["ground", file, "Save"]);
    assert_snapshot!(ground("missing.png"), @r"
    exit code: 2
    --- stderr ---
    error: could not open a screenshot
      caused by: failed to open file `missing.png`: No such file or directory (os error 2)
    hint: check the path of the picture
    ");
    assert_snapshot!(ground("half.png"), @r"
    exit code: 2
    --- stderr ---
    error: could not read the image `half.png`
      caused by: unexpected end of file
    hint: give a whole PNG, JPEG, WebP, BMP or GIF file of a screen's size
    ");
    assert_snapshot!(ground("text.png"), @r"
    exit code: 2
    --- stderr ---
    error: could not read the image `text.png`
      caused by: The image format could not be determined
    hint: give a whole PNG, JPEG, WebP, BMP or GIF file of a screen's size
    ");
    assert_snapshot!(ground("empty.png"), @r"
    exit code: 2
    --- stderr ---
    error: could not read the image `empty.png`
      caused by: The image format could not be determined
    hint: give a whole PNG, JPEG, WebP, BMP or GIF file of a screen's size
    ");
    assert_snapshot!(ground("."), @r"
    exit code: 2
    --- stderr ---
    error: could not read the image `.`
      caused by: failed to read from file `.`: Is a directory (os error 21)
    hint: give a whole PNG, JPEG, WebP, BMP or GIF file of a screen's size
    ");
}

#[test]
fn a_picture_of_no_or_too_many_pixels_is_refused() {
    let handsight = with_picture();
    fs::write(handsight.dir().join("none.png"), png_header(0, 10)).unwrap();
    fs::write(handsight.dir().join("vast.png"), png_header(100_000, 100_000)).unwrap();
    RgbImage::new(100_000, 1).save(handsight.dir().join("long.png")).unwrap();
    let ground = |file: &str| handsight.snapshot(&["ground", file, "Save"]);
    assert_snapshot!(ground("none.png"), @r"
    exit code: 2
    --- stderr ---
    error: could not read the image `none.png`
      caused by: Format error decoding Png: Invalid image dimensions
      caused by: Invalid image dimensions
    hint: give a whole PNG, JPEG, WebP, BMP or GIF file of a screen's size
    ");
    assert_snapshot!(ground("vast.png"), @r"
    exit code: 2
    --- stderr ---
    error: could not read the image `vast.png`
      caused by: unexpected end of file
    hint: give a whole PNG, JPEG, WebP, BMP or GIF file of a screen's size
    ");
    assert_snapshot!(ground("long.png"), @r"
    exit code: 2
    --- stderr ---
    error: the model could not decide
      caused by: an image of 100000×1 px cannot be used: a side is longer than 32768 px
    ");
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
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn a_goal_or_description_nobody_means_is_refused() {
    let handsight = with_picture();
    let long = "x".repeat(100_000);
    let run = |goal: &str| handsight.snapshot(&["run", goal, "--device", "still:white.png"]);
    assert_snapshot!(run(" \n "), @r#"
    exit code: 2
    --- stderr ---
    error: the goal is empty
    hint: say what to do, for example `click "Save"`
    "#);
    assert_snapshot!(run(&long), @r"
    exit code: 2
    --- stderr ---
    error: the goal has 100000 characters and at most 4000 are allowed
    hint: split the work into several goals and run them one after another
    ");
    assert_snapshot!(handsight.snapshot(&["ground", "white.png", ""]), @r"
    exit code: 2
    --- stderr ---
    error: the description is empty
    hint: describe one thing, for example `the Save button`
    ");
    assert_snapshot!(handsight.snapshot(&["ground", "white.png", &long]), @r"
    exit code: 2
    --- stderr ---
    error: the description has 100000 characters and at most 400 are allowed
    hint: describe one thing, for example `the Save button`
    ");
}

#[test]
fn a_checkpoint_that_is_not_there_or_not_whole_is_named() {
    let handsight = with_checkpoint();
    let model = handsight.dir().join("model");
    assert_snapshot!(
        handsight.snapshot(&["ground", "white.png", "Save", "--model", "nowhere"]),
        @r"
    exit code: 3
    --- stderr ---
    error: there is no model `nowhere`
    hint: give `--model` the folder of a checkpoint, `embedded`, or a name that `handsight models list` shows
    "
    );
    fs::remove_file(model.join("tokenizer.json")).unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @r"
    exit code: 3
    --- stderr ---
    error: checkpoint `model` has no tokenizer.json, nor vocab.json and merges.txt
    hint: a checkpoint folder holds config.json, *.safetensors and tokenizer.json (or vocab.json and merges.txt)
    ");
}

#[test]
fn weights_that_were_cut_short_are_refused() {
    let handsight = with_checkpoint();
    let weights = handsight.dir().join("model/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @r"
    exit code: 3
    --- stderr ---
    error: weights file `model/model.safetensors` is not a readable safetensors file
      caused by: its tensors take 1085184 bytes, but 538016 are there
    hint: the download may be incomplete: fetch the checkpoint again
    ");
    fs::write(&weights, [0xff; 64]).unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @r"
    exit code: 3
    --- stderr ---
    error: weights file `model/model.safetensors` is not a readable safetensors file
      caused by: it says its header has 18446744073709551615 bytes, of 64 in all
    hint: the download may be incomplete: fetch the checkpoint again
    ");
    fs::write(&weights, "").unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @r"
    exit code: 3
    --- stderr ---
    error: weights file `model/model.safetensors` is not a readable safetensors file
      caused by: failed to fill whole buffer
    hint: the download may be incomplete: fetch the checkpoint again
    ");
}

#[test]
fn a_config_that_contradicts_the_tensors_is_refused() {
    let handsight = with_checkpoint();
    let path = handsight.dir().join("model/config.json");
    let config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut wider = config.clone();
    wider["intermediate_size"] = (config["intermediate_size"].as_u64().unwrap() * 2).into();
    fs::write(&path, wider.to_string()).unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @r"
    exit code: 3
    --- stderr ---
    error: tensor `model.layers.0.mlp.gate_proj.weight` has shape [96, 64] but config.json calls for [192, 64]
    hint: config.json and the weights must come from the same checkpoint
    ");
    fs::write(&path, "{\"hidden_size\":").unwrap();
    assert_snapshot!(handsight.snapshot(&GROUND), @r"
    exit code: 3
    --- stderr ---
    error: `config.json` of the checkpoint is not what was expected
      caused by: EOF while parsing a value at line 1 column 15
    hint: take the file from the checkpoint again; only Qwen2.5-VL checkpoints are read
    ");
}

#[test]
fn the_embedded_model_runs_on_the_cpu() {
    let args = ["ground", "white.png", "Save", "--compute", "cuda"];
    assert_snapshot!(with_picture().snapshot(&args), @r"
    exit code: 2
    --- stderr ---
    error: the embedded model runs on the CPU only
    hint: leave out `--compute`, or name a checkpoint folder with `--model`
    ");
}

#[test]
fn a_trace_that_is_not_there_is_named() {
    let handsight = with_picture();
    assert_snapshot!(handsight.snapshot(&["trace", "show", "nowhere"]), @r"
    exit code: 2
    --- stderr ---
    error: `nowhere` holds no trace: there is no trace.jsonl in it
    hint: give the folder that was named when the episode was recorded
    ");
    assert_snapshot!(handsight.snapshot(&["trace", "report", "nowhere"]), @r"
    exit code: 2
    --- stderr ---
    error: could not read what to report on
      caused by: `nowhere` holds no trace: there is no trace.jsonl in it
    hint: give the folder that was named when the episode was recorded
    ");
    let args =
        ["run", "click \"Save\"", "--device", "still:white.png", "--trace", "white.png/trace"];
    assert_snapshot!(handsight.snapshot(&args), @r"
    exit code: 2
    --- stderr ---
    error: could not write the trace
      caused by: failed to create directory `white.png/trace/images`: Not a directory (os error 20)
    hint: give `--trace` a folder that can be written to
    ");
}
