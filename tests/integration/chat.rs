//! `handsight chat` as a user runs it: from a pipe, and on a terminal. The small checkpoint's words mean
//! nothing; how they come, and what is remembered, is all that is looked at.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::fake_server::{FakeServer, Fault, Script};
use handsight_tests::program::Program;
use handsight_tests::terminal::{CTRL_C, CTRL_D, Terminal};
use handsight_tests::wait::ANSWERING;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

fn with_pictures() -> Binary {
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let dir = handsight.dir();
    RgbImage::from_pixel(112, 84, Rgb([255; 3])).save(dir.join("white.png")).unwrap();
    RgbImage::from_pixel(140, 56, Rgb([0; 3])).save(dir.join("black one.png")).unwrap();
    handsight
}

fn tiny() -> String {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny-qwen2_5_vl/flat-f32");
    model.to_str().unwrap().to_owned()
}

/// A conversation with this model, of at most 12 tokens an answer.
fn chat(handsight: &Binary, model: &str, args: &[&str]) -> Command {
    let mut command = handsight.command(&["chat", "--model", model, "--max-tokens", "12"]);
    command.args(args);
    command
}

/// Pipes these lines in.
fn piped(command: &mut Command, lines: &[u8]) -> Output {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    // One that ends early does not read all of it.
    let _ = child.stdin.take().unwrap().write_all(lines);
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the answers of a conversation in JSON that ends well.
fn answers(handsight: &Binary, args: &[&str], lines: &str) -> Vec<Value> {
    let output = piped(chat(handsight, &tiny(), &["--json"]).args(args), lines.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(answer: &Value, name: &str) -> u64 {
    answer["usage"][name].as_u64().unwrap()
}

#[test]
fn a_later_turn_does_not_read_the_earlier_ones_again() {
    let handsight = with_pictures();
    let told =
        answers(&handsight, &["white.png"], "What is this?\nAnd now?\n\n/reset\nWhat is this?\n");
    let [first, second, third] = &told[..] else { panic!("{told:?}") };
    assert!(count(first, "image_tokens") > 0);
    let (before, answered) = (count(first, "prompt_tokens"), count(first, "completion_tokens"));
    assert!(count(second, "prompt_tokens") > before + answered);
    // All of the first prompt but, at most, the token that the answer's beginning may join.
    assert!(count(second, "cached_tokens") + 1 >= before, "{second}");
    assert_eq!(count(second, "image_tokens"), count(first, "image_tokens"));
    // After a reset the picture is gone, and what is said means something else.
    assert!(count(third, "prompt_tokens") < before && count(third, "image_tokens") == 0);
}

#[test]
fn what_was_remembered_is_told_and_changes_no_answer() {
    let handsight = with_pictures();
    let one = answers(&handsight, &["white.png"], "What is this?\nAnd now?\n");
    let output = piped(
        &mut chat(&handsight, &tiny(), &["white.png", "--stats"]),
        b"What is this?\nAnd now?\n",
    );
    let told = said(&output);
    let prompt = count(&one[1], "prompt_tokens");
    let cached = count(&one[1], "cached_tokens");
    let line = format!("prompt {prompt} tokens, {cached} of them remembered; first word after");
    assert!(told.contains(&line), "{told}");
    let text = |answer: &Value| {
        let text = answer["text"].as_str().unwrap();
        if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
    };
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text(&one[0]) + &text(&one[1]));
}

#[test]
fn pictures_are_shown_by_command_or_dropped_into_a_line() {
    let handsight = with_pictures();
    let by_command = answers(&handsight, &[], "/image black one.png\nWhat is it?\n");
    let dropped = answers(&handsight, &[], "'black one.png' What is it?\n");
    let alone = answers(&handsight, &[], "black\\ one.png\nWhat is it?\n");
    assert!(count(&by_command[0], "image_tokens") > 0);
    for told in [&dropped, &alone] {
        assert_eq!(told[0]["text"], by_command[0]["text"]);
        assert_eq!(count(&told[0], "prompt_tokens"), count(&by_command[0], "prompt_tokens"));
    }
    fs::create_dir(handsight.dir().join("frames")).unwrap();
    for name in ["frames/0.png", "frames/1.png"] {
        fs::copy(handsight.dir().join("white.png"), handsight.dir().join(name)).unwrap();
    }
    let film = answers(&handsight, &["--max-pixels", "50176"], "/video frames\nWhat happens?\n");
    assert!(count(&film[0], "image_tokens") > 0);
}

#[test]
fn a_conversation_is_saved_and_no_file_of_others_is_touched() {
    let handsight = with_pictures();
    let lines = "/image white.png\nWhat is this?\n/save talk.md\nAnd now?\n/save talk.md\n/save talk.json\n";
    let output = piped(
        chat(&handsight, &tiny(), &["--system", "Be brief."]).args(["--json"]),
        lines.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let answer: Value =
        serde_json::from_slice(output.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    let saved = fs::read_to_string(handsight.dir().join("talk.json")).unwrap();
    let saved: Value = serde_json::from_str(&saved).unwrap();
    let roles: Vec<_> = saved["messages"].as_array().unwrap().iter().map(|m| &m["role"]).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant"]);
    let content = &saved["messages"][1]["content"];
    assert_eq!(content[0], json!({ "type": "image", "path": "white.png" }));
    assert_eq!(content[1]["text"], "What is this?");
    assert_eq!(saved["messages"][2]["content"][0]["text"], answer["text"]);
    let page = fs::read_to_string(handsight.dir().join("talk.md")).unwrap();
    assert!(
        page.contains("**Instructions:** Be brief.\n\n**You:** `white.png` What is this?"),
        "{page}"
    );
    assert!(page.contains("**You:** And now?"), "{page}");

    fs::write(handsight.dir().join("mine.md"), "mine").unwrap();
    let output = piped(&mut chat(&handsight, &tiny(), &[]), b"/save mine.md\n");
    let told = said(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("mine.md") && told.contains("hint: name a file that is not there"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(handsight.dir().join("mine.md")).unwrap(), "mine");
}

#[test]
fn a_server_is_told_all_that_was_said() {
    let handsight = with_pictures();
    let server = FakeServer::start(Script { answer: "A window.".to_owned(), ..Script::default() });
    let output = piped(
        &mut chat(&handsight, &server.url("test-model"), &["white.png"]),
        b"What is this?\nAnd now?",
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "A window.\nA window.\n",
        "{}",
        said(&output)
    );
    let asked = server.asked();
    let messages = asked[1]["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[0], asked[0]["messages"][0]);
    assert!(messages[0]["content"][0]["image_url"]["url"].is_string());
    assert_eq!(messages[1], json!({ "role": "assistant", "content": "A window." }));
    assert_eq!(messages[2], json!({ "role": "user", "content": "And now?" }));
}

#[test]
fn the_first_fault_ends_a_conversation_from_a_pipe() {
    let handsight = with_pictures();
    let cases: [(&[u8], i32, &str); 7] = [
        (b"/image none.png\nWhat?\n", 2, "none.png"),
        (b"/video none.mp4\nWhat?\n", 2, "none.mp4"),
        (b"/draw\nWhat?\n", 2, "there is no command `/draw`"),
        (b"/image\nWhat?\n", 2, "`/image` needs the path"),
        (b"./none.png\nWhat?\n", 2, "there is no file `./none.png`"),
        (b"/save no/such/folder/x.md\nWhat?\n", 2, "folder that exists"),
        (b"W\xffat?\n", 2, "not UTF-8"),
    ];
    for (lines, exit, message) in cases {
        let output = piped(&mut chat(&handsight, &tiny(), &[]), lines);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(exit), "{told}");
        assert!(
            output.stdout.is_empty() && told.contains(message) && told.contains("hint: "),
            "{told}"
        );
        assert!(!told.contains("panicked"), "{told}");
    }
    let long = format!("What is {}?\n", "a ".repeat(5000));
    let output = piped(&mut chat(&handsight, &tiny(), &[]), long.as_bytes());
    let told = said(&output);
    assert!(output.status.code() == Some(2) && told.contains("4096"), "{told}");
    let embedded = handsight.command(&["chat"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(embedded.status.code(), Some(2));
    assert!(said(&embedded).contains("models pull qwen2.5-vl-3b"), "{}", said(&embedded));
}

#[test]
fn an_interrupt_ends_the_answer_and_with_it_a_pipe() {
    let handsight = with_pictures();
    let mut command = handsight.command(&["chat", "--model", &tiny(), "--max-tokens", "3900"]);
    command.args(["--temperature", "2", "--seed", "1"]);
    let questions = handsight.dir().join("questions");
    fs::write(&questions, "One?\nTwo?\n").unwrap();
    let mut run = Program::start_with(&mut command, File::open(questions).unwrap().into()).unwrap();
    let mut stdout = run.take_stdout().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    run.signal("INT").unwrap();
    assert_eq!(run.wait(ANSWERING).unwrap().status.code(), Some(130));
}

#[test]
fn on_a_terminal_faults_are_told_and_the_conversation_goes_on() {
    let handsight = with_pictures();
    let mut terminal = Terminal::start(&chat(&handsight, &tiny(), &[])).unwrap();
    let mut see = |keys: &str, text: &str| {
        terminal.press(keys).unwrap();
        terminal.wait_for(text).unwrap();
    };
    see("", "Ctrl-D leaves");
    see("/image none.png\r", "error:");
    see("/image white.png\r", "picture white.png: 112×84, seen at 112×84");
    see("What is this?\r", "cut off after 12 tokens");
    see("/help\r", "/save FILE");
    terminal.press(CTRL_D).unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
}

#[test]
fn on_a_terminal_ctrl_c_stops_the_answer_and_a_second_leaves() {
    let handsight = with_pictures();
    let faults = [Fault::Endless, Fault::Endless].into_iter().collect();
    let server =
        FakeServer::start(Script { faults, answer: "At last.".to_owned(), ..Script::default() });
    let program = chat(&handsight, &server.url("test-model"), &[]);
    let mut terminal = Terminal::start(&program).unwrap();
    let mut see = |keys: &str, text: &str| {
        terminal.press(keys).unwrap();
        terminal.wait_for(text).unwrap();
    };
    see("", "Ctrl-D leaves");
    see("Tell me all.\r", "xxxxxxxxxx");
    see(CTRL_C, "stopped");
    // What there was of the answer is part of the conversation, which goes on.
    see("Again.\r", "xxxxxxxxxx");
    see(CTRL_C, "stopped");
    see("More.\r", "At last.");
    // At the prompt, the first one says how to leave.
    see(&format!("half a line{CTRL_C}"), "once more");
    terminal.press(CTRL_C).unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(130));
    assert_eq!(server.asked()[2]["messages"].as_array().unwrap().len(), 5);

    let faults = [Fault::Endless].into_iter().collect();
    let server = FakeServer::start(Script { faults, ..Script::default() });
    let mut terminal = Terminal::start(&chat(&handsight, &server.url("test-model"), &[])).unwrap();
    terminal.wait_for("Ctrl-D leaves").unwrap();
    terminal.press("Tell me all.\r").unwrap();
    terminal.wait_for("xxxxxxxxxx").unwrap();
    terminal.press(CTRL_C).unwrap();
    terminal.wait_for("stopped").unwrap();
    terminal.press(CTRL_C).unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(130), "the second one did not leave");
}
