//! Safety policies as a user writes, checks and meets them.

use std::time::Duration;

use fs_err as fs;
use handsight_actions::{
    Action, Device, DeviceError, PixelPoint, Place, Refusal, Window, WindowAt,
};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use handsight_tests::apps::{Form, Terminal};
use handsight_tests::page::Page;
use handsight_tests::wait::{ANSWERING, wait_for, wait_until};
use handsight_tests::xserver::XServer;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{guarded, handsight, with_policy};

#[test]
fn a_policy_is_checked_with_line_and_column() {
    let handsight = handsight();
    with_policy(&handsight, "mode: bounded\nallow:\n  actions: [left_click, typ]\n");
    assert_snapshot!(handsight.snapshot(&["policy", "check", "policy.yaml"]), @r"
    exit code: 2
    --- stderr ---
    error: safety policy `policy.yaml`, line 3, column 25: unknown variant `typ`, expected one of left_click, right_click, middle_click, double_click, triple_click, long_press, mouse_move, drag, swipe, scroll, type, key, system_button, open_app, wait, answer, call_user, terminate
    hint: `handsight schema policy` describes all that a safety policy can say
    ");
    with_policy(&handsight, "mode: bounded\nallow: {actions: [left_click]}\n");
    assert_snapshot!(handsight.snapshot(&["policy", "check", "policy.yaml"]), @r"
    exit code: 0
    --- stdout ---
    policy.yaml: fine, mode bounded
    ");
    assert_snapshot!(handsight.snapshot(&["policy", "check", "policy.yaml", "--json"]), @r#"
    exit code: 0
    --- stdout ---
    {"ok":true,"path":"policy.yaml","mode":"bounded"}
    "#);
    assert_snapshot!(handsight.snapshot(&["policy", "check", "none.yaml"]), @r"
    exit code: 2
    --- stderr ---
    error: could not read the safety policy
      caused by: failed to open file `none.yaml`: No such file or directory (os error 2)
    hint: check the path of the safety policy
    ");
    assert_snapshot!(handsight.snapshot(&["policy", "check"]), @r"
    exit code: 2
    --- stderr ---
    error: no safety policy was named, and the user has none
    hint: name the file to check
    ");
}

#[test]
fn the_policies_in_the_readme_are_fine() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let policies: Vec<_> = readme.split("```yaml\n").skip(1).collect();
    assert!(policies.len() >= 2);
    for policy in policies {
        let handsight = handsight();
        let text = policy.split_once("```").unwrap().0;
        // Scenarios are in YAML, too, and are to be as fine.
        if text.contains("\nscenario:") {
            fs::write(handsight.dir().join("readme.yaml"), text).unwrap();
            let checked = handsight.snapshot(&["scenario", "check", "readme.yaml"]);
            assert!(checked.contains("fine, 6 steps"), "{checked}");
            continue;
        }
        with_policy(&handsight, text);
        let checked = handsight.snapshot(&["policy", "check", "policy.yaml"]);
        assert!(checked.contains("fine, mode "), "{checked}");
    }
}

#[test]
fn the_schema_of_a_policy_is_a_schema() {
    let output = handsight().command(&["schema", "policy"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["title"], "SafetyPolicy");
    assert!(schema["properties"]["allow"].is_object());
}

#[test]
fn a_refused_action_is_bad_input_and_nothing_is_done() {
    let handsight = handsight();
    let picture = image::RgbImage::from_pixel(112, 84, image::Rgb([255; 3]));
    picture.save(handsight.dir().join("white.png")).unwrap();
    with_policy(&handsight, "{mode: unrestricted, deny: {regions: [[0, 0, 10, 10]]}}");
    let act = |more: &[&str]| {
        let click = r#"{"action":"left_click","coordinate":[4,5]}"#;
        let args = ["act", click, "--device", "still:white.png", "--policy", "policy.yaml"];
        handsight.snapshot(&[&args[..], more].concat())
    };
    assert_snapshot!(act(&[]), @r"
    exit code: 2
    --- stderr ---
    error: the safety policy does not allow this `left_click` on device `white.png`
      caused by: (4, 5) lies in a part of the screen that is off limits
    hint: change the safety policy if the action is to be allowed
    ");
    assert_eq!(act(&["--dry-run"]), act(&[]));
}

#[test]
fn the_users_own_policy_holds_where_none_is_named() {
    let handsight = handsight();
    let picture = image::RgbImage::from_pixel(112, 84, image::Rgb([255; 3]));
    picture.save(handsight.dir().join("white.png")).unwrap();
    let folder = handsight.dir().join("config/handsight");
    fs::create_dir_all(&folder).unwrap();
    let act = |more: &[&str]| {
        let press = r#"{"action":"key","keys":["enter"]}"#;
        let args = ["act", press, "--device", "still:white.png"];
        let mut command = handsight.command(&[&args[..], more].concat());
        command.output().unwrap().status.code()
    };
    assert_eq!(act(&[]), Some(0));
    fs::write(folder.join("policy.yaml"), "mode: observe").unwrap();
    assert_eq!(act(&[]), Some(2));
    // One that cannot be read allows nothing.
    fs::write(folder.join("policy.yaml"), "mode: whatever").unwrap();
    assert_eq!(act(&[]), Some(2));
    with_policy(&handsight, "mode: unrestricted");
    assert_eq!(act(&["--policy", "policy.yaml"]), Some(0));
    // What has to be confirmed is not done where nobody answers.
    with_policy(&handsight, "mode: confirm");
    assert_eq!(act(&["--policy", "policy.yaml"]), Some(1));
}

fn window(device: &mut dyn Device, place: Place) -> Option<Window> {
    match device.window(place).unwrap() {
        WindowAt::Window(window) => Some(window),
        WindowAt::Nothing => None,
        WindowAt::Unknown => panic!("an X server knows its windows"),
    }
}

#[test]
fn windows_are_told_apart_on_a_managed_display() {
    let server = XServer::start_managed("900x600x24").unwrap();
    let mut device = server.device().unwrap();
    let far = Place::Point(PixelPoint { x: 899, y: 599 });
    assert_eq!(window(&mut device, far), None);
    let _form = Form::open(&server, &["Name"], "Save").unwrap();
    let form = window(&mut device, Place::Focus).unwrap();
    assert_eq!((form.app.as_str(), form.title.as_str()), ("Zenity", "Profile"));
    // The point inside it, and the frame the window manager put around it.
    let inside = PixelPoint { x: form.area.x + 20, y: form.area.y + 20 };
    let title_bar = PixelPoint { x: form.area.x + 20, y: form.area.y - 8 };
    for point in [inside, title_bar] {
        assert_eq!(window(&mut device, Place::Point(point)).as_ref(), Some(&form), "{point}");
    }
    let _terminal = Terminal::open(&server).unwrap();
    let terminal = window(&mut device, Place::Focus).unwrap();
    assert_eq!((terminal.app.as_str(), terminal.title.as_str()), ("XTerm", "Terminal"));
    assert_ne!(terminal.id, form.id);
    assert_eq!(window(&mut device, far), None);
}

#[test]
fn windows_are_told_apart_without_a_window_manager() {
    let server = XServer::start("640x480x24").unwrap();
    let mut device = server.device().unwrap();
    assert_eq!(window(&mut device, Place::Focus), None);
    let mut command = server.command("xterm");
    command.args([
        "-fa",
        "DejaVu Sans Mono",
        "-fs",
        "10",
        "-title",
        "Alone",
        "-geometry",
        "40x10+0+0",
    ]);
    let _xterm = handsight_tests::program::Program::start(&mut command).unwrap();
    let at = Place::Point(PixelPoint { x: 30, y: 30 });
    wait_until("the window did not open", ANSWERING, || {
        Ok(window(&mut device, at).is_some_and(|window| window.title == "Alone"))
    })
    .unwrap();
    // Nobody gave it the focus, so keys go where the pointer is.
    server.warp_pointer(30, 30).unwrap();
    let found = window(&mut device, Place::Focus).unwrap();
    assert_eq!((found.app.as_str(), found.title.as_str()), ("XTerm", "Alone"));
}

#[test]
fn a_browsers_menu_belongs_to_its_window() {
    let server = XServer::start_managed("800x600x24").unwrap();
    let body = "<select id=pick><option>One<option>Two<option>Three</select>";
    let page = Page::open(&server, body, [780, 560]).unwrap();
    let rules = "{mode: bounded, allow: {actions: [left_click], windows: [{title: Profile, app: Chromium}]}}";
    let mut device = guarded(&server, rules);
    let [left, top, _, height] = page.rect("pick").unwrap();
    let middle = page.middle("pick").unwrap();
    device.perform(&Action::LeftClick { coordinate: middle }).unwrap();
    // The list hangs below the field, in a window of its own.
    pause(Duration::from_millis(500), &CancelFlag::default());
    let second = PixelPoint { x: left + 10, y: top + height + height * 3 / 2 };
    wait_for("the list did not take the click", ANSWERING, || {
        device.perform(&Action::LeftClick { coordinate: second }).map(Some).map_err(Into::into)
    })
    .unwrap();
    page.expect("nothing was chosen", |page| page.text("pick") != "One").unwrap();
}

#[test]
fn text_that_is_denied_does_not_reach_the_terminal() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let terminal = Terminal::open(&server).unwrap();
    let mut device =
        guarded(&server, "{mode: unrestricted, deny: {text: ['rm +-rf'], keys: [ctrl+c, ctrl+d]}}");
    let refused = |error: DeviceError| match error {
        DeviceError::Refused { source, .. } => source,
        error => panic!("{error}"),
    };
    device.perform(&Action::Type { text: "one\n".to_owned() }).unwrap();
    let deadly = Action::Type { text: "rm -rf /\n".to_owned() };
    assert!(matches!(refused(device.perform(&deadly).unwrap_err()), Refusal::DeniedText { .. }));
    let end: Action = serde_json::from_value(json!({"action":"key","keys":["ctrl","d"]})).unwrap();
    assert!(matches!(refused(device.perform(&end).unwrap_err()), Refusal::DeniedKeys { .. }));
    device.perform(&Action::Type { text: "two\n".to_owned() }).unwrap();
    assert_eq!(terminal.lines(2).unwrap(), "one\ntwo\n");
    server.check_nothing_held().unwrap();
}
