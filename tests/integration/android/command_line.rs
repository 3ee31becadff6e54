//! A phone from the command line, as a user has it.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fs_err as fs;
use handsight_actions::{FakeAndroid, FakeAndroidOptions, FakeDoor, Size};
use handsight_agent::read_trace;
use handsight_tests::adb::free_port;
use handsight_tests::binary::Binary;
use handsight_tests::fake_server::{FakeServer, Script};
use handsight_tests::program::Program;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Connected;

/// How long a whole episode may take on a busy machine.
const EPISODE: Duration = Duration::from_secs(120);

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// A command that finds the phone.
fn command(handsight: &Binary, connected: &Connected, args: &[&str]) -> Command {
    let mut command = handsight.command(args);
    connected.adb.adopt(&mut command);
    command
}

fn run(handsight: &Binary, connected: &Connected, args: &[&str]) -> Output {
    let mut command = command(handsight, connected, args);
    Program::start(command.stderr(Stdio::piped())).unwrap().wait(EPISODE).unwrap()
}

fn parsed(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn phones_are_listed_with_what_they_are_or_why_not() {
    let connected = Connected::plain();
    let options =
        FakeAndroidOptions { door: FakeDoor::Unauthorized, ..FakeAndroidOptions::default() };
    let closed = FakeAndroid::start(&options).unwrap();
    connected.adb.output(&["connect", &closed.address().to_string()]).unwrap();
    connected.phone.rotate(1);
    let handsight = handsight();
    let listed = parsed(&run(&handsight, &connected, &["devices", "--json"]));
    let phones = listed["phones"].as_array().unwrap();
    let phone = |serial: &str| phones.iter().find(|phone| phone["serial"] == serial).unwrap();
    let mut open = phone(&connected.serial).clone();
    for field in ["serial", "device"] {
        open[field] = Value::from("");
    }
    assert_snapshot!(open.to_string(), @r#"{"device":"","serial":"","state":"device","hint":null,"model":"Fake Phone","android":"14","sdk":34,"width":640,"height":360,"density":160,"orientation":"landscape","rotation":90,"battery":87,"foreground":"com.android.launcher3"}"#);
    let shut = phone(&closed.address().to_string());
    assert_eq!(shut["state"], "unauthorized");
    assert!(shut["hint"].as_str().unwrap().contains("accept this computer's key"), "{shut}");
    let text = run(&handsight, &connected, &["devices"]);
    let text = String::from_utf8(text.stdout).unwrap();
    let line = "  Fake Phone  Android 14  640×360 landscape  160 dpi  battery 87 %";
    assert!(text.contains(&format!("android:{}{line}", connected.serial)), "{text}");
}

#[test]
fn a_phone_is_seen_and_acted_on_from_the_command_line() {
    let connected = Connected::plain();
    let handsight = handsight();
    let device = format!("android:{}", connected.serial);
    let shot =
        run(&handsight, &connected, &["screenshot", "phone.png", "--device", "android", "--json"]);
    let shot = parsed(&shot);
    assert_eq!((&shot["width"], &shot["height"]), (&Value::from(360), &Value::from(640)));
    let seen = image::open(handsight.dir().join("phone.png")).unwrap().into_rgb8();
    assert_eq!(seen.dimensions(), (360, 640));

    let open = r#"{"action":"open_app","app":"Settings"}"#;
    let acted = parsed(&run(&handsight, &connected, &["act", open, "--device", &device, "--json"]));
    assert_eq!(acted["performed"], true, "{acted}");
    assert_eq!(connected.phone.foreground(), "com.android.settings/.Settings");
    let at = connected.find("Wi-Fi");
    let tap = format!(r#"{{"action":"left_click","coordinate":[{},{}]}}"#, at.x, at.y);
    let tried = ["act", &tap, "--device", &device, "--dry-run"];
    assert!(run(&handsight, &connected, &tried).status.success());
    assert_eq!(connected.phone.setting("global", "wifi_on").as_deref(), Some("1"));
    assert!(run(&handsight, &connected, &["act", &tap, "--device", &device]).status.success());
    assert_eq!(connected.phone.setting("global", "wifi_on").as_deref(), Some("0"));

    let astray = ["doctor", "--device", &device, "--monitor", "0"];
    assert_eq!(run(&handsight, &connected, &astray).status.code(), Some(2));
    let before = connected.phone.texts();
    let doctor = run(&handsight, &connected, &["doctor", "--device", &device, "--json"]);
    let report = parsed(&doctor);
    assert_eq!(report["ok"], true, "{report}");
    let names: Vec<_> =
        report["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["phone", "capture", "app", "input", "model", "trace"]);
    assert_eq!(connected.phone.texts(), before);
}

/// Has the binary pursue a goal on the phone; returns its result and what it told people.
fn pursue(connected: &Connected, goal: &str, model: &str) -> (Value, String) {
    let handsight = handsight();
    let device = format!("android:{}", connected.serial);
    let mut args = vec!["run", goal, "--device", &device, "--model", model, "--max-steps", "12"];
    args.extend(["--trace", "trace", "--json"]);
    let output = run(&handsight, connected, &args);
    let steps = String::from_utf8_lossy(&output.stderr).into_owned();
    let result = parsed(&output);
    let trace = read_trace(&handsight.dir().join("trace")).unwrap();
    assert_eq!(trace.started.device.name, format!("android {}", connected.serial));
    assert!(trace.stopped.is_some() && !trace.torn, "{steps}");
    (result, steps)
}

fn saved(connected: &Connected) -> String {
    let file = connected.phone.file("/sdcard/Documents/profile.txt");
    String::from_utf8(file.unwrap_or_default()).unwrap()
}

/// What the embedded checkpoint can do on the fake phone; fields below their labels it misses.
#[test]
fn the_embedded_model_reaches_a_goal_on_a_phone() {
    let connected = Connected::plain();
    connected.shell("am start -n com.handsight.profile/.ProfileActivity");
    let goal = "check \"Newsletter\", then click \"Save\"";
    let (result, steps) = pursue(&connected, goal, "embedded");
    assert_eq!(saved(&connected), "first_name=\ncity=\nnewsletter=true\n", "{steps}");
    assert_eq!(result["stop_reason"], "claimed_success", "{steps}");
}

#[test]
fn a_model_on_a_server_is_asked_as_for_a_phone_and_fills_in_its_form() {
    // Sides of 28 times a whole number: the model counts in the screen's own pixels.
    let size = Size { width: 364, height: 644 };
    let connected = Connected::new(&FakeAndroidOptions { size, ..FakeAndroidOptions::default() });
    connected.shell("am start -n com.handsight.profile/.ProfileActivity");
    let tap = |name: &str| json!({"action": "click", "coordinate": connected.find(name)});
    let actions = [
        json!({"action": "open", "text": "Profile"}),
        tap("first_name"),
        json!({"action": "type", "text": "Ada & Eve"}),
        tap("city"),
        json!({"action": "type", "text": "St. John's"}),
        tap("save"),
    ];
    connected.shell("input keyevent HOME");
    let call =
        |arguments: &Value| json!({"name": "mobile_use", "arguments": arguments}).to_string();
    let server = FakeServer::start(Script {
        answers: actions.iter().map(call).collect(),
        answer: call(&json!({"action": "terminate", "status": "success"})),
        ..Script::default()
    });
    let (result, steps) = pursue(&connected, "save my profile", &server.url("test-model"));
    assert_eq!(result["stop_reason"], "claimed_success", "{result}\n{steps}");
    let expected = "first_name=Ada & Eve\ncity=St. John's\nnewsletter=false\n";
    assert_eq!(saved(&connected), expected, "{steps}");
    let asked = server.asked();
    assert!(asked[0].to_string().contains("mobile_use"), "{}", asked[0]);
}

#[test]
fn without_a_server_or_adb_it_is_said_what_is_missing() {
    let handsight = handsight();
    let port = free_port().unwrap();
    let empty = handsight.dir().join("empty");
    fs::create_dir(&empty).unwrap();
    let snapshot = |args: &[&str]| {
        let mut command = handsight.command(args);
        command.env("ANDROID_ADB_SERVER_PORT", port.to_string()).env("PATH", &empty);
        for name in ["ANDROID_SERIAL", "ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_ADDRESS"] {
            command.env_remove(name);
        }
        handsight.snapshot_of(&mut command).replace(&port.to_string(), "[PORT]")
    };
    assert_snapshot!(snapshot(&["screenshot", "x.png", "--device", "android"]), @r"
    exit code: 3
    --- stderr ---
    error: no ADB server answers on `127.0.0.1:[PORT]`, and there is no program `adb` to start it with
    hint: install adb (Debian's package `adb`, or Android's platform tools)
    ");
    // Whatever is plugged in where this runs.
    let said = snapshot(&["screenshot", "x.png", "--device", "android:usb:of-no-phone"]);
    assert!(said.starts_with("exit code: 3\n--- stderr ---\nerror: "), "{said}");
    let missing = "no phone `usb:of-no-phone` is connected";
    let unlisted = "the USB devices of this machine cannot be listed";
    assert!(said.contains(missing) || said.contains(unlisted), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
    assert_snapshot!(snapshot(&["screenshot", "x.png", "--device", "android", "--monitor", "1"]), @r"
    exit code: 2
    --- stderr ---
    error: a phone has no monitors, windows or regions
    hint: leave out `--monitor`, `--window` and `--region`
    ");
    let mut wrong = handsight.command(&["screenshot", "x.png", "--device", "android"]);
    wrong.env("ADB_SERVER_SOCKET", "localfilesystem:/tmp/adb");
    assert_snapshot!(handsight.snapshot_of(&mut wrong), @r"
    exit code: 2
    --- stderr ---
    error: ADB_SERVER_SOCKET cannot be used
      caused by: `localfilesystem:/tmp/adb` is no address of an ADB server; write `PORT`, `HOST:PORT` or `tcp:HOST:PORT`
    ");
}

#[test]
fn a_server_that_is_absent_is_started_once() {
    let phone = FakeAndroid::start(&FakeAndroidOptions::default()).unwrap();
    let mut adb = handsight_tests::adb::AdbServer::start().unwrap();
    adb.kill();
    let handsight = handsight();
    let mut command = handsight.command(&["screenshot", "x.png", "--device", "android"]);
    adb.adopt(&mut command);
    let said = handsight.snapshot_of(&mut command);
    assert!(said.contains("no phone is connected to the ADB server on"), "{said}");
    let serial = adb.connect(phone.address()).unwrap();
    let mut command = handsight.command(&["screenshot", "x.png", "--device", "android"]);
    adb.adopt(&mut command);
    let said = handsight.snapshot_of(&mut command);
    adb.run(&["kill-server"]).unwrap();
    assert!(said.starts_with("exit code: 0"), "{serial}: {said}");
}
