//! What is typed on a phone arrives as it was meant, and leaves the phone as it was.

use std::process::Stdio;
use std::time::Duration;

use handsight_actions::{
    AndroidDevice, AndroidFault, AndroidOptions, Device, FakeAndroidOptions, Halt, HaltCause,
    Namespace,
};
use handsight_tests::binary::Binary;
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, wait_until};
use serde_json::json;

use super::{Connected, act, words};

/// Accents, CJK, an emoji of two halves, signs of the shell and both ends of a line.
const UNICODE: &str = "José 中文 😀 \"$HOME\" `id` it's 100%s";
const LATIN: &str = "com.android.inputmethod.latin/.LatinIME";
const SENDER: &str = "com.android.adbkeyboard/.AdbIME";

/// Brings up an empty form with the focus in its first field.
fn focus(connected: &Connected, device: &mut AndroidDevice) {
    connected.shell("am force-stop com.handsight.profile");
    act(device, &json!({"action": "open_app", "app": "Profile"})).unwrap();
    let field = connected.find("first_name");
    act(device, &json!({"action": "left_click", "coordinate": field})).unwrap();
}

fn with_keyboard() -> Connected {
    Connected::new(&FakeAndroidOptions { adb_keyboard: true, ..FakeAndroidOptions::default() })
}

#[test]
fn every_printable_character_arrives() {
    for sdk in [23, 34] {
        let options = FakeAndroidOptions { sdk, ..FakeAndroidOptions::default() };
        let connected = Connected::new(&options);
        let mut device = connected.device();
        let all: String = (' '..='~').collect();
        let shuffled: String = (' '..='~').rev().step_by(3).chain(('!'..='~').step_by(2)).collect();
        let tricky = "100%s %d 50% sure %%s it's \"$HOME\" `id` \\n ;|&<>()*?[]{}~# -n --help";
        for text in [&*all, &*shuffled, tricky, "-5", " ", &all.repeat(5)] {
            focus(&connected, &mut device);
            act(&mut device, &json!({"action": "type", "text": text})).unwrap();
            assert_eq!(connected.phone.profile("first_name").as_deref(), Some(text), "{sdk}");
        }
    }
}

#[test]
fn what_cannot_be_typed_is_named_and_nothing_is_typed() {
    let connected = Connected::plain();
    let mut device = connected.device();
    focus(&connected, &mut device);
    let refused = act(&mut device, &json!({"action": "type", "text": "Zürich 中"})).unwrap_err();
    assert!(refused.nothing_was_done());
    let said = words(&refused);
    assert!(said.ends_with("has no way to type 'ü', '中'"), "{said}");
    assert!(refused.hint().is_some());
    assert_eq!(connected.phone.profile("first_name").as_deref(), Some(""));
}

#[test]
fn the_clipboard_types_all_characters_and_is_put_back() {
    let options = FakeAndroidOptions { clipboard_command: true, ..FakeAndroidOptions::default() };
    let connected = Connected::new(&options);
    let mut device = connected.device();
    connected.shell("cmd clipboard set 'the user'\\''s own'");
    focus(&connected, &mut device);
    let text = format!("{UNICODE}\t{UNICODE}");
    act(&mut device, &json!({"action": "type", "text": text})).unwrap();
    assert_eq!(connected.phone.profile("first_name").as_deref(), Some(UNICODE));
    assert_eq!(connected.phone.profile("city").as_deref(), Some(UNICODE));
    assert_eq!(connected.shell("cmd clipboard get"), "the user's own\n");
}

#[test]
fn a_keyboard_that_types_what_it_is_sent_is_switched_on_for_the_moment() {
    let connected = with_keyboard();
    let mut device = connected.device();
    focus(&connected, &mut device);
    let long = "Zürich 中文 😀 ".repeat(90);
    for text in [UNICODE, &long] {
        focus(&connected, &mut device);
        act(&mut device, &json!({"action": "type", "text": text})).unwrap();
        assert_eq!(connected.phone.profile("first_name").as_deref(), Some(text));
        assert_eq!(connected.phone.keyboard(), LATIN);
        assert_eq!(connected.shell("ime list -s"), format!("{LATIN}\n"));
        assert_eq!(connected.phone.file("/data/local/tmp/handsight-keyboard"), None);
    }
    // What ASCII can say needs no other keyboard.
    focus(&connected, &mut device);
    connected.phone.fail(AndroidFault::Fail {
        command: "ime".to_owned(),
        code: 1,
        message: "no".to_owned(),
    });
    act(&mut device, &json!({"action": "type", "text": "Ada"})).unwrap();
    assert_eq!(connected.phone.profile("first_name").as_deref(), Some("Ada"));
}

#[test]
fn a_keyboard_that_was_on_stays_on() {
    let connected = with_keyboard();
    connected.shell(&format!("ime enable {SENDER}"));
    let mut device = connected.device();
    focus(&connected, &mut device);
    act(&mut device, &json!({"action": "type", "text": "é"})).unwrap();
    assert_eq!(connected.phone.keyboard(), LATIN);
    assert!(connected.shell("ime list -s").contains(SENDER));
}

#[test]
fn the_old_keyboard_comes_back_when_typing_fails_is_stopped_or_is_killed() {
    let connected = with_keyboard();
    let halt = Halt::default();
    let mut device = connected.device().heeding(halt.clone());
    focus(&connected, &mut device);
    let fail = |hangs: bool| {
        let command = "am broadcast".to_owned();
        connected.phone.fail(if hangs {
            AndroidFault::Hang { command, acts: false }
        } else {
            AndroidFault::Fail { command, code: 1, message: "no".to_owned() }
        });
    };
    let is_back = || {
        Ok(connected.phone.keyboard() == LATIN
            && connected.shell("ime list -s") == format!("{LATIN}\n"))
    };
    let is_switched = || Ok(connected.phone.keyboard() == SENDER);
    fail(false);
    assert!(act(&mut device, &json!({"action": "type", "text": "é"})).is_err());
    assert!(is_back().unwrap());

    fail(true);
    std::thread::scope(|scope| {
        let typing = scope.spawn(|| act(&mut device, &json!({"action": "type", "text": "é"})));
        wait_until("the keyboard was not switched", ANSWERING, is_switched).unwrap();
        halt.stop(HaltCause::Command);
        assert!(typing.join().unwrap().is_err());
    });
    wait_until("the keyboard did not come back after a stop", ANSWERING, is_back).unwrap();

    fail(true);
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let serial = format!("android:{}", connected.serial);
    let mut command =
        handsight.command(&["act", r#"{"action":"type","text":"é"}"#, "--device", &serial]);
    connected.adb.adopt(&mut command);
    let mut killed = Program::start(command.stderr(Stdio::null())).unwrap();
    wait_until("the keyboard was not switched", ANSWERING, is_switched).unwrap();
    killed.kill();
    wait_until("the keyboard did not come back after a kill", ANSWERING, is_back).unwrap();
}

/// A phone whose battery ran out in the middle has the note and the wrong keyboard.
#[test]
fn what_an_earlier_run_left_is_put_back_when_the_phone_is_opened() {
    let connected = with_keyboard();
    connected.shell(&format!(
        "echo '{LATIN} {SENDER} disabled' >/data/local/tmp/handsight-keyboard; ime enable {SENDER}; ime set {SENDER}"
    ));
    assert_eq!(connected.phone.keyboard(), SENDER);
    drop(connected.device());
    assert_eq!(connected.phone.keyboard(), LATIN);
    assert_eq!(connected.shell("ime list -s"), format!("{LATIN}\n"));
    assert_eq!(connected.phone.file("/data/local/tmp/handsight-keyboard"), None);
}

#[test]
fn a_phone_tells_its_views_settings_services_and_files() {
    let connected = Connected::new(&FakeAndroidOptions {
        captures_physical: true,
        ..FakeAndroidOptions::default()
    });
    let patience = Duration::from_secs(5);
    let mut device =
        AndroidDevice::open(&AndroidOptions { patience, ..connected.options() }).unwrap();
    focus(&connected, &mut device);
    act(&mut device, &json!({"action": "type", "text": "a<b> & \"c\""})).unwrap();
    connected.shell("wm size 720x1280");
    device.observe().unwrap();
    let tree = device.ui_tree().unwrap();
    let field = tree.find("first_name").unwrap();
    assert_eq!((field.text.as_str(), field.focused), ("a<b> & \"c\"", true));
    assert_eq!(field.package, "com.handsight.profile");
    assert_eq!(tree.find("newsletter").unwrap().checked, Some(false));
    // The screenshot has half the pixels in which views are counted.
    let button = tree.find("Save").unwrap().bounds;
    let seen = device.place_of(button);
    assert_eq!((seen.x * 2, seen.y * 2), (button.x, button.y));
    assert_eq!(connected.phone.file("/data/local/tmp/handsight-ui.xml"), None);

    assert_eq!(device.setting(Namespace::Global, "wifi_on").unwrap().as_deref(), Some("1"));
    assert_eq!(device.setting(Namespace::Global, "no such key").unwrap(), None);
    device.set_setting(Namespace::System, "volume; reboot", "it's 3").unwrap();
    let value = device.setting(Namespace::System, "volume; reboot").unwrap();
    assert_eq!(value.as_deref(), Some("it's 3"));
    assert!(device.dumpsys("battery").unwrap().contains("level: 87"));
    assert!(words(&device.dumpsys("nonsense").unwrap_err()).contains("Can't find service"));

    let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    device.push("/sdcard/Download/it's.bin", &data).unwrap();
    assert!(connected.phone.file("/sdcard/Download/it's.bin").unwrap() == data);
    assert!(device.pull("/sdcard/Download/it's.bin").unwrap() == data);
    device.push("/sdcard/empty", &[]).unwrap();
    assert!(device.pull("/sdcard/empty").unwrap().is_empty());
    let said = words(&device.pull("/sdcard/nothing").unwrap_err());
    assert!(said.ends_with("No such file or directory"), "{said}");
    let said = words(&device.push("/system/file", b"x").unwrap_err());
    assert!(said.ends_with("Permission denied"), "{said}");
}
