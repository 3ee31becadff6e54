//! Secrets: a real application gets the value, and nothing that is written or shown has it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use fs_err as fs;
use handsight_actions::{
    Action, Device, DeviceError, Guard, PixelPoint, SafetyPolicy, SecretHand, SecretName, Secrets,
};
use handsight_agent::read_trace;
use handsight_tests::apps::{Form, Terminal};
use handsight_tests::binary::Binary;
use handsight_tests::fake_server::{FakeServer, Script};
use handsight_tests::page::Page;
use handsight_tests::program::Program;
use handsight_tests::wait::STARTING;
use handsight_tests::xserver::XServer;
use image::RgbImage;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{call, click, handsight, with_policy};

/// With all that JSON, shells and HTML escape.
const VALUE: &str = r#"c0rrect"h0rse\<b&ttery> Ü"#;

/// Writes a secrets file that only its owner can read.
fn with_secrets(handsight: &Binary, text: &str) -> PathBuf {
    handsight.write_private("secrets.yaml", text)
}

fn yaml(windows: &str) -> String {
    format!("secrets:\n  bank: {{value: {}, windows: {windows}}}\n", json!(VALUE))
}

/// Returns every file under a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The forms in which the value could be written down.
fn forms() -> Vec<String> {
    let json = json!(VALUE).to_string();
    let html = VALUE.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let base64 = base64::engine::general_purpose::STANDARD.encode(VALUE);
    let plain_part = "h0rse".to_owned();
    vec![VALUE.to_owned(), json[1..json.len() - 1].to_owned(), html, base64, plain_part]
}

#[track_caller]
fn check_absent(what: &str, bytes: &[u8]) {
    for form in forms() {
        let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
        assert!(!found, "{what} holds {form:?}");
    }
}

#[track_caller]
fn check_black(image: &RgbImage, [left, top, width, height]: [i32; 4]) {
    // Without the border of the field.
    for y in top + 4..top + height - 4 {
        for x in left + 4..left + width - 4 {
            let pixel = image.get_pixel(x.cast_unsigned(), y.cast_unsigned());
            assert_eq!(pixel.0, [0; 3], "{x} {y}");
        }
    }
}

/// Returns the pictures that a model was sent with one request.
fn pictures(body: &Value) -> Vec<RgbImage> {
    let mut found = Vec::new();
    let mut parts = vec![body];
    while let Some(part) = parts.pop() {
        match part {
            Value::String(text) => {
                if let Some((_, data)) = text.split_once(";base64,") {
                    let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
                    found.push(image::load_from_memory(&bytes).unwrap().into_rgb8());
                }
            }
            Value::Array(values) => parts.extend(values),
            Value::Object(fields) => parts.extend(fields.values()),
            _ => {}
        }
    }
    found
}

const PAGE: &str = "<body style='height:2000px'><p style='height:150px'>Bank<p><input id=pin size=34 autocomplete=off>\
    <p><input id=word type=password size=34 autocomplete=off>\
    <p><button id=save type=button>Save</button>";

#[test]
fn a_page_gets_the_value_and_no_file_picture_or_request_has_it() {
    let server = XServer::start_managed("560x420x24").unwrap();
    let page = Page::open(&server, PAGE, [560, 400]).unwrap();
    let at = |id: &str| page.middle(id).unwrap();
    let pin = page.rect("pin").unwrap();
    let type_it = call(&json!({ "action": "type", "text": "{{secret:bank}}" }));
    let answers = [
        click(at("pin")),
        type_it.clone(),
        click(at("word")),
        type_it,
        click(at("save")),
        call(&json!({ "action": "mouse_move", "coordinate": [at("save").x, at("save").y] })),
        call(&json!({ "action": "scroll", "pixels": -120 })),
    ];
    let script = Script {
        answers: answers.into_iter().collect(),
        answer: call(&json!({ "action": "terminate", "status": "success" })),
        ..Script::default()
    };
    let model = FakeServer::start(script);
    let handsight = handsight();
    with_secrets(&handsight, &yaml("[{title: Profile}]"));
    let url = model.url("test-model");
    let goal = "type {{secret:bank}} into both fields and press Save";
    let mut command = handsight.command(&["run", goal, "--model", &url, "--json"]);
    command.args(["--secrets", "secrets.yaml", "--trace", "trace"]).stderr(Stdio::piped());
    server.adopt(&mut command);
    let output = Program::start(&mut command).unwrap().wait(STARTING).unwrap();
    check_absent("stdout", &output.stdout);
    check_absent("stderr", &output.stderr);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");

    let state = page.expect("nothing was saved", |page| page.saw("click save")).unwrap();
    assert_eq!((state.text("pin"), state.text("word")), (VALUE, VALUE));
    // It is there to be seen, so the pictures would show it.
    let moved = page.rect("pin").unwrap();
    assert!(moved[1] < pin[1] && moved[1] > 0, "the page was not scrolled: {moved:?}");

    let report = handsight.command(&["trace", "report", "trace"]).output().unwrap();
    assert!(report.status.success());
    let files = files(&handsight.dir().join("trace"));
    assert!(files.iter().any(|path| path.extension().is_some_and(|end| end == "html")));
    for path in &files {
        check_absent(&path.display().to_string(), &fs::read(path).unwrap());
    }
    let trace = read_trace(&handsight.dir().join("trace")).unwrap();
    assert_eq!(trace.steps.len(), 8);
    let mut shown: Vec<RgbImage> = Vec::new();
    for step in &trace.steps[2..] {
        let name = format!("trace/images/{}.png", step.started.screenshot.sha256);
        shown.push(image::open(handsight.dir().join(name)).unwrap().into_rgb8());
    }
    let asked = model.asked();
    for body in &asked {
        check_absent("a request", body.to_string().as_bytes());
    }
    shown.extend(asked[2..].iter().flat_map(pictures));
    assert!(shown.len() >= 12, "{}", shown.len());
    for image in &shown {
        check_black(image, pin);
    }
    // The last picture was taken after the page had moved.
    for image in [&shown[5], shown.last().unwrap()] {
        check_black(image, moved);
    }
}

/// Returns a device of a display that may type the secret `bank` into windows of this application.
fn hand(server: &XServer, app: &str) -> Guard {
    let rule = serde_json::from_value(json!({ "app": app })).unwrap();
    let mut secrets = Secrets::default();
    secrets.grant(SecretName::new("bank").unwrap(), VALUE.into(), vec![rule]).unwrap();
    let hand = SecretHand::new(server.device().unwrap(), secrets);
    Guard::new(Box::new(hand), SafetyPolicy::default())
}

fn text(text: &str) -> Action<PixelPoint> {
    Action::Type { text: text.to_owned() }
}

#[test]
fn a_form_gets_the_value_exactly_and_every_pixel_of_it_is_black() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let mut form = Form::open(&server, &["Name", "Code"], "Save").unwrap();
    let mut hand = hand(&server, "Zenity");
    hand.perform(&text("José\t")).unwrap();
    hand.observe().unwrap();
    let before = server.still_pixels().unwrap();
    hand.perform(&text("{{secret:bank}}")).unwrap();
    let real = server.pixels().unwrap();
    let shown = hand.observe().unwrap().screenshot.image;
    let mut differ = 0;
    for (x, y, pixel) in real.enumerate_pixels() {
        if pixel != before.get_pixel(x, y) {
            differ += 1;
            assert_eq!(shown.get_pixel(x, y).0, [0; 3], "{x} {y}");
        }
    }
    assert!(differ > 200, "the value cannot be seen in the form at all");
    let blacked = shown.pixels().zip(real.pixels()).filter(|(shown, real)| shown != real).count();
    assert!(blacked < 640 * 480 / 16, "far more than the field is black: {blacked}");
    for key in ["tab", "tab", "enter"] {
        let press = serde_json::from_value(json!({ "action": "key", "keys": [key] })).unwrap();
        hand.perform(&press).unwrap();
    }
    let (status, printed) = form.outcome().unwrap();
    assert!(status.success());
    assert_eq!(printed, format!("José|{VALUE}"));
}

#[test]
fn a_secret_of_one_application_reaches_no_other() {
    let server = XServer::start_managed("900x600x24").unwrap();
    let _form = Form::open(&server, &["Code"], "Save").unwrap();
    let terminal = Terminal::open(&server).unwrap();
    let mut hand = hand(&server, "Zenity");
    for leak in ["{{secret:bank}}\n", "{{SECRET:bank}}\n", "a {{secret:bank}} b\n", VALUE] {
        match hand.perform(&text(leak)) {
            Err(DeviceError::Secret { source, .. }) => {
                let said = source.to_string();
                assert_eq!(
                    said,
                    "the secret `bank` must not be typed into the window \"Terminal\" of \"XTerm\""
                );
            }
            // What is no placeholder is a text like any other.
            Ok(()) => assert_eq!(leak, "{{SECRET:bank}}\n"),
            Err(error) => panic!("{error}"),
        }
    }
    hand.perform(&text("end\n")).unwrap();
    assert_eq!(terminal.lines(2).unwrap(), "{{SECRET:bank}}\nend\n");
}

/// A session with GNOME's keyring in it: `secret-tool` and the keyring are those of the system.
#[test]
fn a_keyring_keeps_values_too() {
    const SESSION: &str = r#"
        printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
        printf %s "$VALUE" | secret-tool store --label=bank service handsight name bank || exit 9
        "$HANDSIGHT" secrets check bank && exec "$HANDSIGHT" act "$1""#;
    let server = XServer::start_managed("640x480x24").unwrap();
    let terminal = Terminal::open(&server).unwrap();
    let handsight = handsight();
    let command = handsight.command(&[]);
    let binary = command.get_program().to_owned();
    let mut session = std::process::Command::new("dbus-run-session");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    let act = json!({ "action": "type", "text": "{{secret:bank}}\n" }).to_string();
    session.args(["--", "sh", "-c", SESSION, "sh", &act]).current_dir(handsight.dir());
    session.env("VALUE", VALUE).env("HANDSIGHT", binary).env("HOME", handsight.dir());
    session.env("XDG_DATA_HOME", handsight.dir().join("data")).stderr(Stdio::piped());
    server.adopt(&mut session);
    let output = Program::start(&mut session).unwrap().wait(STARTING).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(terminal.lines(1).unwrap(), format!("{VALUE}\n"));
    check_absent("stdout", &output.stdout);
    check_absent("stderr", &output.stderr);
}

#[test]
fn secrets_are_listed_and_checked_without_their_values() {
    let handsight = handsight();
    let text = "secrets:\n  bank: hunter2\n  mail: {env: MAIL, windows: [{app: Mail}]}\n";
    with_secrets(&handsight, text);
    let run = |args: &[&str]| {
        let mut command = handsight.command(args);
        // So that no keyring of the machine takes part.
        command.env("HANDSIGHT_SECRET_PIN", "4711").env("PATH", "");
        handsight.snapshot_of(&mut command)
    };
    let file = ["--secrets", "secrets.yaml"];
    assert_snapshot!(run(&[&["secrets", "list"], &file[..]].concat()), @r"
    exit code: 0
    --- stdout ---
    bank  file, any window
    mail  MAIL, certain windows
    pin   HANDSIGHT_SECRET_PIN, any window
    ");
    assert_snapshot!(run(&[&["secrets", "list", "--json"], &file[..]].concat()), @r#"
    exit code: 0
    --- stdout ---
    {"secrets":[{"name":"bank","source":"file","bound":false},{"name":"mail","source":"MAIL","bound":true},{"name":"pin","source":"HANDSIGHT_SECRET_PIN","bound":false}]}
    "#);
    assert_snapshot!(run(&[&["secrets", "check", "bank", "pin"], &file[..]].concat()), @r"
    exit code: 0
    --- stdout ---
    bank, pin: can be typed
    ");
    assert_snapshot!(run(&[&["secrets", "check"], &file[..]].concat()), @r"
    exit code: 2
    --- stderr ---
    error: the secret `mail` is to come from the variable `MAIL`, which is not set
    hint: set MAIL
    ");
    assert_snapshot!(run(&["secrets", "check", "no"]), @r"
    exit code: 2
    --- stderr ---
    error: there is no secret `no`
    hint: set HANDSIGHT_SECRET_NO, name a file that has it with `--secrets`, or store it in the keyring: `secret-tool store --label no service handsight name no`
    ");
    assert_snapshot!(run(&["secrets", "check", "no such"]), @r"
    exit code: 2
    --- stderr ---
    error: `no such` is no name of a secret
    hint: a name has letters, digits, `_` and `-` only
    ");
    let goal = "type {{secret:mail}}";
    assert_snapshot!(run(&[&["run", goal], &file[..]].concat()), @r"
    exit code: 2
    --- stderr ---
    error: the secret `mail` is to come from the variable `MAIL`, which is not set
    hint: set MAIL
    ");
    assert_snapshot!(run(&["run", "type {{secret:}}"]), @r"
    exit code: 2
    --- stderr ---
    error: `{{secret:` needs a name of letters, digits, `_` or `-`, and `}}` after it
    hint: a secret is named like this: `{{secret:bank}}`
    ");
    fs::set_permissions(
        handsight.dir().join("secrets.yaml"),
        std::os::unix::fs::PermissionsExt::from_mode(0o640),
    )
    .unwrap();
    assert_snapshot!(run(&[&["secrets", "list"], &file[..]].concat()), @r"
    exit code: 2
    --- stderr ---
    error: the secrets file `secrets.yaml` can be read by others (mode 640)
    hint: `chmod 600 secrets.yaml`
    ");
    with_secrets(&handsight, "secrets:\n  bank: [hunter2]\n");
    assert_snapshot!(run(&[&["secrets", "list"], &file[..]].concat()), @r"
    exit code: 2
    --- stderr ---
    error: secrets file `secrets.yaml`, line 2, column 3: not understood
    hint: it is to look like `secrets: {bank: VALUE, mail: {env: MAIL_PASSWORD, windows: [{app: firefox}]}}`
    ");
}

#[test]
fn a_policy_can_forbid_secrets_and_asks_about_them() {
    let handsight = handsight();
    let picture = RgbImage::from_pixel(112, 84, image::Rgb([255; 3]));
    picture.save(handsight.dir().join("white.png")).unwrap();
    let act = |rules: &str| {
        with_policy(&handsight, rules);
        let action = r#"{"action":"type","text":"{{secret:pin}}"}"#;
        let args = ["act", action, "--device", "still:white.png", "--policy", "policy.yaml"];
        handsight.snapshot_of(handsight.command(&args).env("HANDSIGHT_SECRET_PIN", "4711"))
    };
    assert_snapshot!(act("{mode: unrestricted, deny: {text: ['[{]secret:']}}"), @r"
    exit code: 2
    --- stderr ---
    error: the safety policy does not allow this `type` on device `white.png`
      caused by: the text holds something that must not be typed (`[{]secret:`)
    hint: change the safety policy if the action is to be allowed
    ");
    let asked = act("{mode: confirm}").replace("[y/N] ", "[y/N]");
    assert_snapshot!(asked, @r#"
    exit code: 1
    --- stderr ---
    perform type "{{secret:pin}}"? (it types a secret) [y/N]
    error: the user declined this `type` on device `white.png`
    "#);
    assert_snapshot!(act("{mode: bounded, allow: {actions: [type], text: ['[a-z]*']}}"), @r"
    exit code: 2
    --- stderr ---
    error: the safety policy does not allow this `type` on device `white.png`
      caused by: the text is not of an allowed form
    hint: change the safety policy if the action is to be allowed
    ");
    assert_snapshot!(act("{mode: bounded, allow: {actions: [type], text: ['[{]{2}secret:pin}}']}}"), @r#"
    exit code: 0
    --- stdout ---
    type "{{secret:pin}}"  (checked, not performed)
    "#);
}
