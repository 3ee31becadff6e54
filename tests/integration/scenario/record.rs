//! Recording: another process plays the person, in real windows, and what was recorded does the same.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fs_err as fs;
use handsight_actions::{
    Action, DesktopDevice, DesktopOptions, Device as _, FakeAndroid, FakeAndroidOptions, Key,
    PixelPoint,
};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use handsight_tests::adb::AdbServer;
use handsight_tests::binary::Binary;
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use handsight_tests::xserver::XServer;
use serde_json::Value;

use super::handsight;

/// How long a person takes between two things.
const UNHURRIED: Duration = Duration::from_millis(400);

/// How long names may take on a busy machine.
const NAMING: Duration = Duration::from_secs(120);

/// A person at a display.
struct Person(DesktopDevice);

impl Person {
    fn at(server: &XServer) -> Self {
        let display = Some(server.display().to_owned());
        let options = DesktopOptions { display, ..DesktopOptions::default() };
        Self(DesktopDevice::open(&options).unwrap())
    }

    fn does(&mut self, action: &Action) {
        pause(UNHURRIED, &CancelFlag::default());
        self.0.perform(action).unwrap();
    }

    fn clicks(&mut self, at: PixelPoint) {
        // A hand moves before it presses.
        self.does(&Action::MouseMove { coordinate: PixelPoint { x: at.x - 60, y: at.y - 40 } });
        self.does(&Action::LeftClick { coordinate: at });
    }

    fn types(&mut self, text: &str) {
        self.does(&Action::Type { text: text.to_owned() });
    }

    fn presses(&mut self, chord: &str) {
        self.does(&Action::Key { keys: Key::parse_chord(chord).unwrap() });
    }
}

/// A form, and where its fields and its button are.
struct Form {
    program: Program,
    places: [PixelPoint; 3],
}

impl Form {
    fn open(server: &XServer, handsight: &Binary) -> Self {
        let mut command = server.command("zenity");
        command.args(["--forms", "--title=Profile", "--text=New Member", "--add-entry=First Name"]);
        command.args(["--add-entry=City", "--ok-label=Save", "--width=420", "--height=300"]);
        let program = Program::start(command.stderr(Stdio::null())).unwrap();
        server.wait_for_window("Profile").unwrap();
        pause(UNHURRIED, &CancelFlag::default());
        let mut shot = handsight.command(&["screenshot", "form.png"]);
        server.adopt(&mut shot);
        assert!(shot.output().unwrap().status.success());
        let places = ["First Name", "City", "Save"].map(|name| {
            let output =
                handsight.command(&["ground", "form.png", name, "--json"]).output().unwrap();
            let found: Value = serde_json::from_slice(&output.stdout).unwrap();
            let pixel = |axis: &str| found[axis].as_i64().unwrap().try_into().unwrap();
            PixelPoint { x: pixel("x"), y: pixel("y") }
        });
        Self { program, places }
    }

    fn printed(mut self) -> String {
        let output = self.program.wait(ANSWERING).unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

/// Starts to record, and waits until it listens.
fn recorder(handsight: &Binary, server: &XServer, args: &[&str]) -> Program {
    let all = [&["scenario", "record", "-o", "form.yaml", "--json"], args].concat();
    let mut command = handsight.command(&all);
    server.adopt(&mut command);
    start(handsight, command)
}

/// Starts a recorder, and waits until it listens.
fn start(handsight: &Binary, mut command: Command) -> Program {
    let log = handsight.dir().join("log");
    let program =
        Program::start(command.stderr(fs::File::create(&log).unwrap().into_file())).unwrap();
    wait_until("the recorder does not listen", STARTING, || {
        Ok(fs::read_to_string(&log)?.contains("recording "))
    })
    .unwrap();
    program
}

fn end(program: &mut Program, handsight: &Binary) -> String {
    pause(UNHURRIED, &CancelFlag::default());
    program.signal("INT").unwrap();
    let output = program.wait(NAMING).unwrap();
    let log = fs::read_to_string(handsight.dir().join("log")).unwrap();
    assert_eq!(output.status.code(), Some(0), "{log}");
    fs::read_to_string(handsight.dir().join("form.yaml")).unwrap()
}

fn replay(handsight: &Binary, server: &XServer, args: &[&str]) -> (i32, Value) {
    let all = [&["scenario", "run", "form.yaml", "--anchors", "strict", "--json"], args].concat();
    let mut command = handsight.command(&all);
    server.adopt(&mut command);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    let result = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (status.code().unwrap(), result)
}

#[test]
fn what_a_person_does_is_recorded_and_does_the_same_again() {
    let server = XServer::start_managed("480x360x24").unwrap();
    let handsight = handsight();
    let form = Form::open(&server, &handsight);
    let mut recorder = recorder(&handsight, &server, &[]);
    let mut person = Person::at(&server);
    let [name, city, save] = form.places;
    person.clicks(name);
    person.types("Ada");
    person.clicks(city);
    person.types("Paris");
    person.presses("ctrl+a");
    person.types("Oslo & Sød");
    person.clicks(save);
    assert_eq!(form.printed(), "Ada|Oslo & Sød");
    let text = end(&mut recorder, &handsight);
    let steps: Vec<&str> = text.lines().filter(|line| line.starts_with("  - ")).collect();
    assert_eq!(steps.len(), 7, "{text}");
    assert_eq!(steps[0], "  - wait_for: {window: {equals: Profile}}", "{text}");
    assert!(steps[1].starts_with("  - type: {text: Ada, into: "), "{text}");
    assert!(steps[2].starts_with("  - type: {text: Paris, into: "), "{text}");
    assert_eq!(steps[3], "  - press: ctrl+a", "{text}");
    assert_eq!(steps[4], "  - type: \"Oslo & Sød\"", "{text}");
    assert!(steps[6].contains("{not: {window: {equals: Profile}}}  # a proposal"), "{text}");
    assert!(handsight.snapshot(&["scenario", "check", "form.yaml"]).starts_with("exit code: 0"));

    let again = Form::open(&server, &handsight);
    let (code, result) = replay(&handsight, &server, &[]);
    assert_eq!((code, &result["model_calls"]), (0, &0.into()), "{text}\n{result:#}");
    assert_eq!(again.printed(), "Ada|Oslo & Sød");
}

#[test]
fn a_secret_is_recorded_by_its_name_and_the_chord_ends_it() {
    let server = XServer::start_managed("480x360x24").unwrap();
    let handsight = handsight();
    let secret = "secrets:\n  bank: {value: c0rrect-h0rse, windows: [{title: Profile}]}\n";
    handsight.write_private("secrets.yaml", secret);
    let form = Form::open(&server, &handsight);
    let args = ["--secrets", "secrets.yaml", "--no-model"];
    let mut recorder = recorder(&handsight, &server, &args);
    let mut person = Person::at(&server);
    let [_, city, save] = form.places;
    person.clicks(city);
    person.types("c0rrect-h0rse");
    person.clicks(save);
    assert_eq!(form.printed(), "|c0rrect-h0rse");
    person.presses("ctrl+alt+shift+escape");
    let output = recorder.wait(ANSWERING).unwrap();
    let log = fs::read_to_string(handsight.dir().join("log")).unwrap();
    assert_eq!(output.status.code(), Some(0), "{log}");
    let text = fs::read_to_string(handsight.dir().join("form.yaml")).unwrap();
    assert!(text.contains("{{secret:bank}}") && !text.contains("escape"), "{text}");
    for said in [&text, &log, &String::from_utf8(output.stdout).unwrap()] {
        assert!(!said.contains("h0rse"), "{said}");
    }
    let again = Form::open(&server, &handsight);
    let (code, result) = replay(&handsight, &server, &["--secrets", "secrets.yaml"]);
    assert_eq!(code, 0, "{text}\n{result:#}");
    assert_eq!(again.printed(), "|c0rrect-h0rse");
}

#[test]
fn fingers_on_a_phone_are_recorded_and_do_the_same_again() {
    let phone = FakeAndroid::start(&FakeAndroidOptions::default()).unwrap();
    let adb = AdbServer::start().unwrap();
    let serial = adb.connect(phone.address()).unwrap();
    let handsight = handsight();
    let device = format!("android:{serial}");
    let args = ["scenario", "record", "-o", "form.yaml", "--device", &device, "--no-model"];
    let mut command = handsight.command(&args);
    adb.adopt(&mut command);
    let mut recorder = start(&handsight, command);
    let touch = |name: &str| {
        // Longer than a look at the screen takes.
        pause(Duration::from_millis(1500), &CancelFlag::default());
        let at = phone.find(name).unwrap();
        phone.touch(at, at, Duration::from_millis(60));
    };
    touch("Settings");
    touch("Wi-Fi");
    pause(Duration::from_millis(1500), &CancelFlag::default());
    let text = end(&mut recorder, &handsight);
    assert_eq!(phone.setting("global", "wifi_on").as_deref(), Some("0"), "{text}");
    assert_eq!(text.matches("- click: ").count(), 2, "{text}");
    assert_eq!(text.matches("- wait_for: {window: ").count(), 2, "{text}");

    let back = "settings put global wifi_on 1; input keyevent HOME";
    adb.run(&["-s", &serial, "shell", back]).unwrap();
    let args = ["scenario", "run", "form.yaml", "--anchors", "strict", "--device", &device];
    let mut command = handsight.command(&args);
    adb.adopt(&mut command);
    let said = handsight.snapshot_of(&mut command);
    assert!(said.starts_with("exit code: 0"), "{text}\n{said}");
    assert_eq!(phone.setting("global", "wifi_on").as_deref(), Some("0"), "{said}");
}

#[test]
fn what_cannot_be_recorded_is_said_first() {
    let handsight = handsight();
    fs::write(handsight.dir().join("form.yaml"), "").unwrap();
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "record", "-o", "form.yaml"]), @r"
    exit code: 2
    --- stderr ---
    error: `form.yaml` is there already
    hint: name a file that does not exist yet
    ");
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "record", "-o", "x.yaml", "--device", "still:a.png"]), @r"
    exit code: 2
    --- stderr ---
    error: nobody acts on a picture
    hint: record on `desktop` or `android`
    ");
}
