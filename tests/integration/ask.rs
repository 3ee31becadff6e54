//! `handsight ask` as a user runs it. The checkpoint's weights are random, so what it says means
//! nothing, and how it says it is all that is looked at.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::program::Program;
use handsight_tests::wait::ANSWERING;
use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": { "x": { "type": "integer", "minimum": 0, "maximum": 9 } },
    "required": ["x"],
    "additionalProperties": false
}"#;

/// A binary in a folder with two pictures, an animation of 4 s, a folder of frames and a schema.
fn with_files() -> Binary {
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let dir = handsight.dir();
    RgbImage::from_pixel(112, 84, Rgb([255; 3])).save(dir.join("white.png")).unwrap();
    RgbImage::from_pixel(140, 56, Rgb([0; 3])).save(dir.join("black.png")).unwrap();
    let mut encoder = GifEncoder::new(File::create(dir.join("turns.gif")).unwrap());
    fs::create_dir(dir.join("frames")).unwrap();
    for level in 0..8 {
        let pixels = RgbaImage::from_pixel(56, 56, Rgba([level * 30, 0, 0, 255]));
        pixels.save(dir.join(format!("frames/{level}.png"))).unwrap();
        let frame = Frame::from_parts(pixels, 0, 0, Delay::from_numer_denom_ms(500, 1));
        encoder.encode_frame(frame).unwrap();
    }
    fs::write(dir.join("schema.json"), SCHEMA).unwrap();
    handsight
}

/// A question to the small checkpoint.
fn ask(handsight: &Binary, args: &[&str]) -> Command {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny-qwen2_5_vl/flat-f32");
    let mut command = handsight.command(&["ask", "--model", model.to_str().unwrap()]);
    command.args(args);
    command
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Asks, and returns the answer's object.
fn answer(handsight: &Binary, args: &[&str]) -> Value {
    let output = ask(handsight, args).arg("--json").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(code(&output), Some(0), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Asks in vain, and returns the message with its hint.
fn refusal(command: &mut Command, exit: i32) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(code(&output), Some(exit), "{told}");
    assert!(output.stdout.is_empty(), "something was answered");
    assert!(told.contains("error: ") && told.contains("hint: "), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    told
}

#[test]
fn an_answer_tells_what_was_seen_and_what_it_cost() {
    let handsight = with_files();
    let asked = ["white.png", "black.png", "What is this?", "--max-tokens", "5"];
    let told = answer(&handsight, &asked);
    assert_eq!(told["images"].as_array().unwrap().len(), 2);
    assert_eq!(told["images"][1]["path"], "black.png");
    assert_eq!(told["images"][1]["original"], json!({"width": 140, "height": 56}));
    for side in ["width", "height"] {
        assert_eq!(told["images"][1]["resized"][side].as_u64().unwrap() % 28, 0);
    }
    assert_eq!(told["stop"], "length");
    assert_eq!(told["usage"]["completion_tokens"], 5);
    let probability = told["probability"].as_f64().unwrap();
    assert!(probability > 0.0 && probability < 1.0, "{probability}");
    assert!(told.get("value").is_none(), "there is no schema");

    // The same in words, with one picture on stdin: people get the text alone.
    let mut command = ask(&handsight, &["-", "black.png", "What is this?", "--max-tokens", "5"]);
    let picture = File::open(handsight.dir().join("white.png")).unwrap();
    let output = command.stdin(picture).output().unwrap();
    assert_eq!(code(&output), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.trim_end_matches('\n'), told["text"].as_str().unwrap().trim_end_matches('\n'));
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("cut off after 5 tokens"), "{notes}");
}

#[test]
fn an_answer_follows_a_schema_or_an_expression() {
    let handsight = with_files();
    let told = answer(&handsight, &["white.png", "Which digit?", "--schema", "schema.json"]);
    let digit = told["value"]["x"].as_u64().unwrap();
    assert!(digit <= 9 && told["stop"] == "stop", "{told}");
    assert_eq!(told["text"], format!("{{\"x\": {digit}}}"));

    // A draw is repeatable with a seed. The options may stand before the question.
    let drawn = |seed: &str| {
        let asked =
            ["--regex", "(yes|no), [0-9]{6}", "--temperature", "1", "--seed", seed, "Is it?"];
        answer(&handsight, &asked)["text"].as_str().unwrap().to_owned()
    };
    let first = drawn("3");
    let (word, digits) = first.split_once(", ").unwrap();
    assert!(["yes", "no"].contains(&word) && digits.len() == 6, "{first}");
    assert_eq!(drawn("3"), first);
    assert!(["4", "5", "6"].iter().any(|seed| drawn(seed) != first), "the seed changes nothing");

    // What was cut off is no value, and the exit code says so.
    let cut = ["Which digit?", "--schema", "schema.json", "--max-tokens", "2", "--json"];
    let output = ask(&handsight, &cut).output().unwrap();
    assert_eq!(code(&output), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["value"], &told["stop"]), (&Value::Null, &json!("length")));
}

#[test]
fn videos_are_animations_or_folders() {
    let handsight = with_files();
    let seen = |video: &str, more: &[&str]| {
        let asked = ["What happens?", "--max-tokens", "2", "--video", video];
        let told = answer(&handsight, &[&asked[..], more].concat());
        let tokens = told["usage"]["image_tokens"].as_u64().unwrap();
        assert!(tokens > 0);
        (told["videos"][0]["frames"].as_u64().unwrap(), told["videos"][0]["fps"].as_f64().unwrap())
    };
    let small = ["--max-pixels", "50176"];
    assert_eq!(seen("turns.gif", &small), (8, 2.0));
    let (frames, fps) = seen("turns.gif", &["--max-pixels", "50176", "--fps", "1"]);
    assert!(frames == 4 && fps < 1.5, "{frames} frames at {fps}");
    assert_eq!(seen("frames", &small), (8, 2.0));
    assert_eq!(seen("frames", &["--max-pixels", "50176", "--fps", "5"]), (8, 5.0));
}

#[test]
fn an_interrupt_ends_the_answer() {
    let handsight = with_files();
    let long = ["What?", "--regex", "[a-z]{3800}", "--max-tokens", "3900"];
    let mut run = Program::start(&mut ask(&handsight, &long)).unwrap();
    let mut stdout = run.take_stdout().unwrap();
    // It has begun to answer.
    stdout.read_exact(&mut [0]).unwrap();
    run.signal("INT").unwrap();
    assert_eq!(code(&run.wait(ANSWERING).unwrap()), Some(130));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(rest.len() < 3800 && rest.ends_with('\n'), "{} bytes", rest.len());
}

#[test]
fn the_embedded_model_says_that_it_cannot_answer() {
    let handsight = with_files();
    for args in [&["ask", "white.png", "What?"][..], &["ask", "What?", "--model", "embedded"]] {
        let told = refusal(&mut handsight.command(args), 2);
        assert!(told.contains("cannot answer questions"), "{told}");
        assert!(told.contains("handsight models pull qwen2.5-vl-3b"), "{told}");
    }
}

#[test]
fn what_cannot_be_used_is_said_with_a_hint() {
    let handsight = with_files();
    fs::write(handsight.dir().join("list.json"), "[1]").unwrap();
    fs::write(handsight.dir().join("torn.json"), "{\"type\":").unwrap();
    fs::write(handsight.dir().join("empty.gif"), "GIF89a").unwrap();
    fs::create_dir(handsight.dir().join("nothing")).unwrap();
    let cases: [(&[&str], &str); 11] = [
        (&["none.png", "What?"], "none.png"),
        (&["schema.json", "What?"], "is not a PNG"),
        (&["white.png"], "there is no question"),
        (&["white.png", " "], "the question is empty"),
        (&["-", "-", "What?"], "stdin has one picture"),
        (&["-", "What?"], "no picture on stdin"),
        (&["What?", "--schema", "torn.json"], "is not JSON"),
        (&["What?", "--schema", "list.json"], "no JSON Schema"),
        (&["What?", "--regex", "("], "unclosed group"),
        (&["What?", "--video", "empty.gif"], "empty.gif"),
        (&["What?", "--video", "nothing"], "no images"),
    ];
    for (args, message) in cases {
        let told = refusal(&mut ask(&handsight, args), 2);
        assert!(told.contains(message), "{args:?}: {told}");
    }
    fs::write(handsight.dir().join("clip.mp4"), "not a film").unwrap();
    let mut command = ask(&handsight, &["What?", "--video", "clip.mp4"]);
    let told = refusal(command.env("PATH", handsight.dir()), 3);
    assert!(told.contains("install ffmpeg"), "{told}");
}

#[test]
fn options_out_of_range_are_bad_usage() {
    let handsight = with_files();
    let both = ["What?", "--schema", "schema.json", "--regex", "a"];
    let cases: [&[&str]; 6] = [
        &[],
        &["What?", "--temperature", "3"],
        &["What?", "--max-tokens", "0"],
        &["What?", "--fps", "1"],
        &["What?", "--stop", ""],
        &both,
    ];
    for args in cases {
        assert_eq!(code(&ask(&handsight, args).output().unwrap()), Some(2), "{args:?}");
    }
}
