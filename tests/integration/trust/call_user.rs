//! The model asks for help: on a terminal, from another one, and where nobody is.

use std::process::{Command, Stdio};

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::fake_server::{FakeServer, Script};
use handsight_tests::program::Program;
use handsight_tests::terminal::Terminal;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use serde_json::{Value, json};

use super::{call, handsight};

/// A run on a picture whose model asks first, and ends then.
struct Run {
    handsight: Binary,
    model: FakeServer,
}

impl Run {
    fn new(first: &[Value]) -> Self {
        let handsight = handsight();
        let picture = image::RgbImage::from_pixel(112, 84, image::Rgb([255; 3]));
        picture.save(handsight.dir().join("white.png")).unwrap();
        let script = Script {
            answers: first.iter().map(call).collect(),
            answer: call(&json!({ "action": "terminate", "status": "success" })),
            ..Script::default()
        };
        Self { handsight, model: FakeServer::start(script) }
    }

    fn asking() -> Self {
        Self::new(&[json!({ "action": "call_user", "text": "Which colour?" })])
    }

    fn command(&self, more: &[&str]) -> Command {
        let url = self.model.url("test-model");
        let args = ["run", "paint it", "--device", "still:white.png", "--model", &url];
        self.handsight.command(&[&args[..], more].concat())
    }

    /// Returns what the model was sent last.
    fn last_asked(&self) -> String {
        self.model.asked().last().unwrap().to_string()
    }
}

#[test]
fn an_answer_on_the_terminal_reaches_the_model() {
    let run = Run::asking();
    let mut terminal = Terminal::start(&run.command(&["--trace", "trace"])).unwrap();
    terminal.wait_for("the model asks for help:").unwrap();
    terminal.wait_for("Which colour?").unwrap();
    terminal.wait_for("q ends the run").unwrap();
    terminal.press("dark blue\n").unwrap();
    terminal.wait_for("answered: dark blue").unwrap();
    terminal.wait_for("done:").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    assert_eq!(run.model.asked().len(), 2);
    assert!(run.last_asked().contains("The user says: dark blue"), "{}", run.last_asked());
    let trace = fs::read_to_string(run.handsight.dir().join("trace/trace.jsonl")).unwrap();
    assert!(trace.contains(r#""outcome":{"answered":"dark blue"}"#), "{trace}");
    assert!(trace.contains(r#""said":"dark blue""#), "{trace}");
}

#[test]
fn the_user_can_do_it_themselves_or_end_the_run() {
    let run = Run::asking();
    let mut terminal = Terminal::start(&run.command(&[])).unwrap();
    terminal.wait_for("q ends the run").unwrap();
    terminal.press("\n").unwrap();
    terminal.wait_for("the screen is yours").unwrap();
    terminal.press("\n").unwrap();
    terminal.wait_for("(done by the user)").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    let asked = run.last_asked();
    assert!(asked.contains("The user says: I did something on the screen myself"), "{asked}");

    let run = Run::asking();
    let mut terminal = Terminal::start(&run.command(&[])).unwrap();
    terminal.wait_for("q ends the run").unwrap();
    terminal.press("q\n").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(130));
    assert_eq!(run.model.asked().len(), 1);
}

#[test]
fn ctrl_z_takes_the_screen_at_any_moment() {
    let run = Run::new(&[json!({ "action": "wait", "time": 3.0 })]);
    let mut terminal = Terminal::start(&run.command(&[])).unwrap();
    wait_until("the model was not asked", STARTING, || Ok(!run.model.asked().is_empty())).unwrap();
    terminal.press("\u{1a}").unwrap();
    terminal.wait_for("paused:").unwrap();
    terminal.wait_for("the user pressed Ctrl-Z").unwrap();
    terminal.wait_for("Enter lets it go on").unwrap();
    terminal.press("mind the gap\n").unwrap();
    terminal.wait_for("done:").unwrap();
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    assert!(run.last_asked().contains("The user says: mind the gap"), "{}", run.last_asked());
}

#[test]
fn where_nobody_is_the_run_ends_and_says_so() {
    let run = Run::asking();
    let output = run.command(&["--json"]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("the model asks for help: Which colour?"), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["stop_reason"], "needs_user");
    assert_eq!(result["steps"][0]["outcome"], "unanswered");
}

#[test]
fn another_terminal_can_answer() {
    let run = Run::asking();
    let said = fs::File::create(run.handsight.dir().join("stderr.txt")).unwrap();
    let mut command = run.command(&["--json", "--wait-for-user"]);
    command.stderr(said.into_parts().0);
    let mut process = Program::start(&mut command).unwrap();
    let said = || fs::read_to_string(run.handsight.dir().join("stderr.txt"));
    wait_until("it did not ask", STARTING, || Ok(said()?.contains("handsight resume"))).unwrap();
    let resume = ["resume", "--say", "dark blue,\nplease"];
    let resumed = run.handsight.command(&resume).output().unwrap();
    let text = String::from_utf8_lossy(&resumed.stdout).into_owned();
    assert!(resumed.status.success() && text.contains("is going"), "{text}");
    let output = process.wait(ANSWERING).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said().unwrap());
    let asked = run.last_asked();
    assert!(asked.contains("The user says: dark blue, please"), "{asked}");
}
