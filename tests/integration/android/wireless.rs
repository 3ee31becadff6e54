//! Phones on the network: through the ADB server's own words, and without any server.

use std::time::Duration;

use handsight_actions::{
    AndroidDevice, AndroidFault, AndroidOptions, Device, FakeAndroid, FakeAndroidOptions, FakeDoor,
};
use handsight_tests::adb::AdbServer;
use handsight_tests::binary::Binary;
use handsight_tests::wait::{STARTING, wait_until};
use insta::assert_snapshot;
use serde_json::json;

use super::{act, words};

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

#[test]
fn a_phone_is_connected_paired_and_let_go_of_from_the_command_line() {
    let (phone, adb) =
        (FakeAndroid::start(&FakeAndroidOptions::default()).unwrap(), AdbServer::start().unwrap());
    let place = phone.address().to_string();
    let handsight = handsight();
    let snapshot = |args: &[&str]| {
        let mut command = handsight.command(args);
        adb.adopt(&mut command);
        handsight.snapshot_of(&mut command).replace(&place, "[PHONE]")
    };
    assert_snapshot!(snapshot(&["devices", "connect", &place]), @r"
    exit code: 0
    --- stdout ---
    connected to [PHONE]
    ");
    assert_eq!(adb.run(&["-s", &place, "get-state"]).unwrap(), "device\n");
    assert!(
        snapshot(&["devices", "connect", &place, "--json"])
            .contains(r#""device":"android:[PHONE]""#)
    );
    assert_snapshot!(snapshot(&["devices", "disconnect", &place]), @r"
    exit code: 0
    --- stdout ---
    disconnected [PHONE]
    ");
    assert_snapshot!(snapshot(&["devices", "disconnect", &place]), @r"
    exit code: 3
    --- stderr ---
    error: the ADB server refused `disconnect [PHONE]`: no such device '[PHONE]'
    hint: `handsight devices` lists the phones
    ");
    assert_snapshot!(snapshot(&["devices", "connect", "127.0.0.1:1"]), @r"
    exit code: 3
    --- stderr ---
    error: the ADB server refused `connect 127.0.0.1:1`: failed to connect to '127.0.0.1:1': Connection refused
    hint: switch wireless debugging on in the developer options; the port is the one shown there
    ");
    // Debian's server is older than pairing, and says so; the digits are in no message.
    assert_snapshot!(snapshot(&["devices", "pair", &place, "123456"]), @r"
    exit code: 3
    --- stderr ---
    error: the ADB server refused `pair [PHONE]`: unknown host service
    hint: this ADB server is too old for it: install platform tools of version 30 or newer
    ");
}

/// Opens a phone without a server; `keys` are those of a user of `adb`.
fn direct(
    phone: &FakeAndroid,
    keys: Option<&AdbServer>,
) -> Result<AndroidDevice, handsight_actions::DeviceError> {
    AndroidDevice::open(&AndroidOptions {
        serial: Some(format!("tcp:{}", phone.address())),
        keys: keys.map(|adb| adb.home().join(".android")),
        patience: Duration::from_secs(3),
        ..AndroidOptions::default()
    })
}

#[test]
fn a_phone_is_seen_and_acted_on_without_any_server() {
    for sdk in [23, 34] {
        let options = FakeAndroidOptions { sdk, ..FakeAndroidOptions::default() };
        let phone = FakeAndroid::start(&options).unwrap();
        let mut device = direct(&phone, None).unwrap();
        assert_eq!(device.info().name, format!("android tcp:{}", phone.address()));
        assert_eq!(device.observe().unwrap().screenshot.image.dimensions(), (360, 640));
        act(&mut device, &json!({"action": "open_app", "app": "Profile"})).unwrap();
        let field = phone.find("first_name").unwrap();
        act(&mut device, &json!({"action": "left_click", "coordinate": field})).unwrap();
        act(&mut device, &json!({"action": "type", "text": "it's 100%s"})).unwrap();
        assert_eq!(phone.profile("first_name").as_deref(), Some("it's 100%s"), "{sdk}");
        // More than one payload, in both directions.
        let data: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        device.push("/sdcard/file", &data).unwrap();
        assert!(device.pull("/sdcard/file").unwrap() == data);
        // A connection that breaks is made anew where that is safe.
        phone.fail(AndroidFault::UnpluggedMidFrame);
        device.observe().unwrap();
        phone.disconnect();
        device.observe().unwrap();
        let hang = |acts| AndroidFault::Hang { command: "input keyevent".to_owned(), acts };
        phone.fail(hang(true));
        let unknown = act(&mut device, &json!({"action": "key", "keys": ["a"]})).unwrap_err();
        assert!(unknown.may_have_been_done(), "{}", words(&unknown));
        assert_eq!(phone.profile("first_name").as_deref(), Some("it's 100%sa"));
    }
}

#[test]
fn a_phone_that_asks_for_a_key_is_shown_that_of_adb() {
    let phone = |door| {
        FakeAndroid::start(&FakeAndroidOptions { door, ..FakeAndroidOptions::default() }).unwrap()
    };
    // A server makes the key soon after it has started.
    let adb = AdbServer::start().unwrap();
    let key = adb.home().join(".android/adbkey.pub");
    wait_until("the server made no key", STARTING, || Ok(key.is_file())).unwrap();
    let asks = phone(FakeDoor::Accepts);
    direct(&asks, Some(&adb)).unwrap().observe().unwrap();
    // Once accepted, the signature is enough.
    assert_eq!(asks.keys_accepted(), 1);
    let said = |phone: &FakeAndroid, keys| {
        let error = direct(phone, keys).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        words(&error).replace(&phone.address().to_string(), "[PHONE]")
    };
    assert!(
        said(&asks, None).starts_with("phone `[PHONE]` asks for a key"),
        "{}",
        said(&asks, None)
    );
    let closed = phone(FakeDoor::Unauthorized);
    assert_eq!(said(&closed, Some(&adb)), "phone `[PHONE]` is unauthorized");
    let tls = phone(FakeDoor::Tls);
    assert_eq!(said(&tls, Some(&adb)), "phone `[PHONE]` is only reachable with TLS");
    let silent = phone(FakeDoor::Offline);
    assert_eq!(said(&silent, None), "there was no end to `connect` within 3 s");
    let address = silent.address();
    drop(silent);
    let gone =
        AndroidOptions { serial: Some(format!("tcp:{address}")), ..AndroidOptions::default() };
    let error = AndroidDevice::open(&gone).unwrap_err();
    assert!(
        words(&error).starts_with(&format!("no phone answers on `{address}`: ")),
        "{}",
        words(&error)
    );
}
