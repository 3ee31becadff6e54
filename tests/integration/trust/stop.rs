//! What stops the hand, and how fast. The X server's own word on what is held is the judge.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fs_err as fs;
use handsight_actions::{
    Action, Device, DeviceError, Direction, Halt, HaltCause, HaltState, PixelPoint, Reaction,
    WatchOptions,
};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use handsight_tests::apps::Terminal;
use handsight_tests::binary::Binary;
use handsight_tests::fake_server::{FakeServer, Script};
use handsight_tests::page::Page;
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use handsight_tests::xserver::XServer;
use serde_json::{Value, json};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT};
use x11rb::protocol::xtest::ConnectionExt as _;

use super::{call, click, handsight};

/// What was promised.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Attempts to be that fast: other tests run on the same processors.
const ATTEMPTS: usize = 3;

fn sleep(time: Duration) {
    pause(time, &CancelFlag::default());
}

/// Moves the pointer as a user's mouse would, which is not the device under test.
fn move_mouse(server: &XServer, x: i16, y: i16) {
    let x11 = server.connection();
    x11.xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, server.root(), x, y, 0).unwrap();
    x11.flush().unwrap();
}

/// Presses and releases keys as a user would.
fn press(server: &XServer, keysyms: &[u32]) {
    let x11 = server.connection();
    let keymap = server.keymap().unwrap();
    let setup = x11.setup();
    let width = keymap.len() / usize::from(setup.max_keycode - setup.min_keycode + 1);
    let codes: Vec<u8> = keysyms
        .iter()
        .map(|keysym| {
            let row = keymap.chunks(width).position(|row| row[0] == *keysym).unwrap();
            setup.min_keycode + u8::try_from(row).unwrap()
        })
        .collect();
    for &code in &codes {
        x11.xtest_fake_input(KEY_PRESS_EVENT, code, 0, server.root(), 0, 0, 0).unwrap();
    }
    for &code in codes.iter().rev() {
        x11.xtest_fake_input(KEY_RELEASE_EVENT, code, 0, server.root(), 0, 0, 0).unwrap();
    }
    x11.flush().unwrap();
}

#[test]
fn a_press_that_lasts_is_let_go_of_at_once() {
    let server = XServer::start("320x200x24").unwrap();
    let mut fastest = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let halt = Halt::default();
        let mut device = server.device().unwrap().heeding(halt.clone());
        let press = Action::LongPress { coordinate: PixelPoint { x: 60, y: 50 }, time: 9.0 };
        let pressing =
            thread::spawn(move || device.perform(&press).map_err(|error| error.to_string()));
        wait_until("the button never went down", ANSWERING, || server.holds_button()).unwrap();
        let start = Instant::now();
        halt.stop(HaltCause::Command);
        while server.holds_button().unwrap() {
            assert!(start.elapsed() < ANSWERING, "the button is still held");
        }
        fastest = fastest.min(start.elapsed());
        let said = pressing.join().unwrap().unwrap_err();
        assert!(said.ends_with("was told to stop: another command asked for it"), "{said}");
    }
    assert!(fastest < AT_ONCE, "{fastest:?}");
    server.check_nothing_held().unwrap();
}

#[test]
fn a_text_that_is_being_typed_ends_at_once() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let terminal = Terminal::open(&server).unwrap();
    let mut stragglers = usize::MAX;
    for _ in 0..ATTEMPTS {
        let before = terminal.lines(0).unwrap().len();
        let halt = Halt::default();
        let mut device = server.device().unwrap().heeding(halt.clone());
        let text = "Aé\n".repeat(1000);
        let typing = thread::spawn(move || device.perform(&Action::Type { text }));
        wait_until("nothing is typed", ANSWERING, || Ok(terminal.lines(0)?.len() > before + 20))
            .unwrap();
        halt.pause(HaltCause::UserInput);
        sleep(AT_ONCE);
        server.check_nothing_held().unwrap();
        let then = terminal.lines(0).unwrap().len();
        let error = typing.join().unwrap().unwrap_err();
        assert!(
            matches!(error, DeviceError::Halted { cause: HaltCause::UserInput, .. }),
            "{error}"
        );
        sleep(AT_ONCE * 3);
        // A line that the terminal itself was slow with may come later.
        stragglers = stragglers.min(terminal.lines(0).unwrap().len() - then);
        assert!(then < before + 3000, "everything was typed");
    }
    assert_eq!(stragglers, 0, "something was sent later than promised");
    server.check_nothing_held().unwrap();
}

#[test]
fn scrolls_and_drags_end_in_the_middle_and_nothing_begins() {
    let server = XServer::start("640x480x24").unwrap();
    let halt = Halt::default();
    let mut device = server.device().unwrap().heeding(halt.clone());
    halt.pause(HaltCause::Command);
    let (from, to) = (PixelPoint { x: 9, y: 9 }, PixelPoint { x: 90, y: 90 });
    let drag = Action::Drag { coordinate: from, coordinate2: to };
    let before = server.pointer().unwrap();
    assert!(matches!(device.perform(&drag), Err(DeviceError::Halted { .. })));
    assert_eq!(server.pointer().unwrap(), before);
    halt.resume();
    device.perform(&drag).unwrap();
    let scroll = Action::Scroll { coordinate: Some(from), direction: Direction::Down, amount: 50 };
    let scrolling = thread::spawn(move || device.perform(&scroll));
    wait_until("the scroll did not begin", ANSWERING, || Ok(server.pointer()? == (9, 9))).unwrap();
    halt.stop(HaltCause::Command);
    let start = Instant::now();
    assert!(matches!(scrolling.join().unwrap(), Err(DeviceError::Halted { .. })));
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    server.check_nothing_held().unwrap();
}

#[test]
fn the_users_hand_pauses_and_our_own_does_not() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let terminal = Terminal::open(&server).unwrap();
    let halt = Halt::default();
    let mut device = server.device().unwrap().heeding(halt.clone());
    assert!(device.watch_user(WatchOptions::default()).unwrap());
    let at = |x, y| PixelPoint { x, y };
    for round in 0..5 {
        let drag = Action::Drag { coordinate: at(300, 40), coordinate2: at(340, 80 + round) };
        let click = Action::DoubleClick { coordinate: at(100 + 20 * round, 100) };
        let text = Action::Type { text: "Grüße 中文\n".to_owned() };
        let scroll =
            Action::Scroll { coordinate: Some(at(50, 60)), direction: Direction::Up, amount: 3 };
        for action in [&drag, &click, &text, &scroll] {
            device.perform(action).unwrap();
        }
        device.observe().unwrap();
    }
    sleep(Duration::from_millis(300));
    assert_eq!(halt.state(), HaltState::Going);
    assert_eq!(terminal.lines(5).unwrap(), "Grüße 中文\n".repeat(5));

    // A desk that was knocked.
    move_mouse(&server, 53, 63);
    sleep(Duration::from_millis(300));
    assert_eq!(halt.state(), HaltState::Going);

    let taken = |what: &str| {
        wait_until(what, ANSWERING, || Ok(halt.is_set())).unwrap();
        assert_eq!(halt.state(), HaltState::Paused(HaltCause::UserInput), "{what}");
        halt.resume();
    };
    move_mouse(&server, 200, 200);
    taken("the mouse was moved");
    // Where the user left it is where it goes on from.
    sleep(Duration::from_millis(300));
    assert_eq!(halt.state(), HaltState::Going);
    press(&server, &[u32::from('x')]);
    taken("a key was pressed");
    device.perform(&Action::MouseMove { coordinate: at(9, 9) }).unwrap();
    sleep(Duration::from_millis(300));
    assert_eq!(halt.state(), HaltState::Going);
}

#[test]
fn the_stop_keys_stop_for_good_and_other_input_may_be_ignored() {
    let server = XServer::start("320x200x24").unwrap();
    let halt = Halt::default();
    let mut device = server.device().unwrap().heeding(halt.clone());
    let chord = handsight_actions::Key::parse_chord("ctrl+alt+q").unwrap();
    let options = WatchOptions { chord: Some(chord), user_input: Reaction::Ignore };
    assert!(device.watch_user(options).unwrap());
    move_mouse(&server, 100, 100);
    press(&server, &[0xFFE3, u32::from('q')]);
    sleep(Duration::from_millis(300));
    assert_eq!(halt.state(), HaltState::Going);
    let start = Instant::now();
    // The right-hand Ctrl counts as well.
    press(&server, &[0xFFE4, 0xFFE9, u32::from('q')]);
    wait_until("the keys were not noticed", ANSWERING, || Ok(halt.is_set())).unwrap();
    println!("noticed after {:?}", start.elapsed());
    assert_eq!(halt.state(), HaltState::Stopped(HaltCause::Chord));
}

/// Starts an action of the binary and waits until it holds the button.
fn start_press(handsight: &Binary, server: &XServer) -> Program {
    let press = json!({ "action": "long_press", "coordinate": [60, 50], "time": 9.0 });
    let mut command = handsight.command(&["act", &press.to_string()]);
    server.adopt(command.stderr(Stdio::piped()));
    let act = Program::start(&mut command).unwrap();
    wait_until("the button never went down", STARTING, || server.holds_button()).unwrap();
    act
}

#[test]
fn signals_end_a_press_and_the_process() {
    for name in ["INT", "TERM", "HUP"] {
        let server = XServer::start("320x200x24").unwrap();
        let handsight = handsight();
        let mut act = start_press(&handsight, &server);
        act.signal(name).unwrap();
        let output = act.wait(Duration::from_secs(5)).unwrap();
        assert_eq!(output.status.code(), Some(130), "{name}");
        server.check_nothing_held().unwrap();
    }
}

#[test]
fn a_process_that_is_killed_leaves_nothing_pressed() {
    let server = XServer::start("320x200x24").unwrap();
    let handsight = handsight();
    let act = start_press(&handsight, &server);
    act.signal("KILL").unwrap();
    let soon = Duration::from_secs(3);
    wait_until("the button is still held", soon, || Ok(!server.holds_button()?)).unwrap();

    // In the middle of a text, with a key taught to every character of it.
    let keymap = server.keymap().unwrap();
    let text: String = ('一'..'万').chain('A'..='Z').collect();
    let typing = json!({ "action": "type", "text": text.repeat(40) });
    let mut command = handsight.command(&["act", &typing.to_string()]);
    server.adopt(command.stderr(Stdio::null()));
    let act = Program::start(&mut command).unwrap();
    wait_until("no key was taught", STARTING, || Ok(server.keymap()? != keymap)).unwrap();
    act.signal("KILL").unwrap();
    wait_until("the keyboard is not as it was", soon, || Ok(server.keymap()? == keymap)).unwrap();
    server.check_nothing_held().unwrap();
}

#[test]
fn a_panic_leaves_nothing_pressed_and_nothing_taught() {
    let server = XServer::start("320x200x24").unwrap();
    let keymap = server.keymap().unwrap();
    let mut device = server.device().unwrap();
    let panicking = thread::spawn(move || {
        device.perform(&Action::Type { text: "Ä中文".to_owned() }).unwrap();
        panic!("a fault, as it is meant to happen here");
    });
    assert!(panicking.join().is_err());
    server.check_nothing_held().unwrap();
    assert_eq!(server.keymap().unwrap(), keymap);
}

const PAGE: &str = "<button id=go type=button>Go</button>";

/// A run whose model waits for a while and then presses a button of a page.
struct Run {
    // Dropped first.
    process: Program,
    page: Page,
    server: XServer,
    handsight: Binary,
    _model: FakeServer,
}

impl Run {
    fn start(wait: f64, rules: &str) -> Self {
        let server = XServer::start_managed("560x420x24").unwrap();
        let page = Page::open(&server, PAGE, [560, 400]).unwrap();
        let answers = [
            call(&json!({ "action": "wait", "time": wait })),
            click(page.middle("go").unwrap()),
            click(page.middle("go").unwrap()),
        ];
        let script = Script {
            answers: answers.into_iter().collect(),
            answer: call(&json!({ "action": "terminate", "status": "success" })),
            ..Script::default()
        };
        let model = FakeServer::start(script);
        let handsight = handsight();
        super::with_policy(&handsight, rules);
        let mut command =
            handsight.command(&["run", "press Go", "--model", &model.url("test-model"), "--json"]);
        command.args(["--policy", "policy.yaml"]);
        let said = fs::File::create(handsight.dir().join("stderr.txt")).unwrap();
        server.adopt(command.stderr(said.into_parts().0));
        let run = Program::start(&mut command).unwrap();
        wait_until("the model was not asked", STARTING, || Ok(!model.asked().is_empty())).unwrap();
        // It waits now, and the answer has arrived.
        sleep(Duration::from_millis(700));
        Self { process: run, page, server, handsight, _model: model }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.handsight.dir().join("stderr.txt")).unwrap()
    }

    fn expect_said(&self, words: &str) {
        wait_until(words, ANSWERING, || Ok(self.said().contains(words))).unwrap();
    }

    fn command(&self, name: &str) -> Command {
        self.handsight.command(&[name])
    }

    fn stop_reason(&mut self) -> (Option<i32>, Value) {
        let output = self.process.wait(ANSWERING).unwrap();
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), result["stop_reason"].clone())
    }
}

#[test]
fn a_run_pauses_for_the_user_and_goes_on_when_told() {
    let mut run = Run::start(3.0, "mode: unrestricted");
    move_mouse(&run.server, 500, 300);
    run.expect_said("paused: the user moved the mouse or typed");
    sleep(Duration::from_secs(4));
    assert!(!run.page.settled().unwrap().saw("click go"), "it went on by itself");
    let resumed = run.command("resume").output().unwrap();
    assert!(String::from_utf8_lossy(&resumed.stdout).contains("is going"), "{resumed:?}");
    run.page.expect("it did not go on", |page| page.saw("click go")).unwrap();
    assert_eq!(run.stop_reason(), (Some(0), json!("claimed_success")));
}

#[test]
fn another_command_pauses_and_stops_a_run() {
    let mut run = Run::start(30.0, "mode: unrestricted");
    let pid_of = |output: &[u8]| {
        let value: Value = serde_json::from_slice(output).unwrap();
        (value["runs"][0]["pid"].as_u64().unwrap(), value["runs"][0]["state"].clone())
    };
    let paused = run.command("pause").arg("--json").output().unwrap();
    let (pid, state) = pid_of(&paused.stdout);
    assert_eq!(state, "paused");
    let stopped = run.command("stop").args(["--json", "--pid", &pid.to_string()]).output().unwrap();
    assert_eq!(pid_of(&stopped.stdout), (pid, json!("stopped")));
    assert_eq!(run.stop_reason(), (Some(130), json!("interrupted")));
    assert!(run.said().contains("another command asked for it"), "{}", run.said());
    // Nothing is left of it.
    let nobody = run.command("stop").output().unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no run is under way"));
}

#[test]
fn the_stop_file_and_the_stop_keys_end_a_run() {
    let mut run = Run::start(30.0, "{mode: unrestricted, stop: {file: halt}}");
    fs::write(run.handsight.dir().join("halt"), "").unwrap();
    assert_eq!(run.stop_reason(), (Some(130), json!("interrupted")));
    assert!(run.said().contains("the stop file is there"), "{}", run.said());
    drop(run);

    let mut run = Run::start(30.0, "mode: unrestricted");
    // Ctrl, Alt, Shift and Escape.
    press(&run.server, &[0xFFE3, 0xFFE9, 0xFFE1, 0xFF1B]);
    assert_eq!(run.stop_reason(), (Some(130), json!("interrupted")));
    assert!(run.said().contains("the stop keys were pressed"), "{}", run.said());
    run.server.check_nothing_held().unwrap();
}
