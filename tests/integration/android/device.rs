//! Our device on the fake phone, through Debian's ADB server: the phone's own state is the judge.

use std::time::{Duration, Instant};

use handsight_actions::{
    Action, AndroidDevice, AndroidFault, AndroidOptions, Device, DeviceError, FakeAndroid,
    FakeAndroidOptions, FakeDoor, FakeLock, FakePixels, Guard, Halt, HaltCause, PixelPoint, Place,
    SafetyPolicy, Size, WindowAt,
};
use handsight_tests::adb::AdbServer;
use image::RgbImage;
use serde_json::json;

use super::{Connected, act, server, words};

/// Returns what the phone's own PNG shows.
fn png(connected: &Connected) -> RgbImage {
    let args = ["-s", &connected.serial, "exec-out", "screencap -p"];
    let bytes = connected.adb.output(&args).unwrap().stdout;
    image::load_from_memory(&bytes).unwrap().into_rgb8()
}

#[test]
fn a_screenshot_shows_what_the_phone_shows_whatever_its_pixels_are() {
    for (pixels, sdk, tolerance) in [
        (FakePixels::Rgba8888, 34, 0),
        (FakePixels::Rgbx8888, 27, 0),
        (FakePixels::Rgb888, 34, 0),
        (FakePixels::Bgra8888, 34, 0),
        // Five bits are not eight.
        (FakePixels::Rgb565, 27, 8),
    ] {
        let options =
            FakeAndroidOptions { pixels, sdk, density: 240, ..FakeAndroidOptions::default() };
        let connected = Connected::new(&options);
        let mut device = connected.device();
        let seen = device.observe().unwrap();
        let png = png(&connected);
        assert_eq!(seen.screenshot.image.dimensions(), png.dimensions(), "{pixels:?}");
        let pairs = seen.screenshot.image.as_raw().iter().zip(png.as_raw());
        let worst = pairs.map(|(left, right)| left.abs_diff(*right)).max().unwrap();
        assert!(worst <= tolerance, "{pixels:?}: {worst}");
        assert_eq!(seen.foreground_app.as_deref(), Some("com.android.launcher3"));
        assert!((seen.screenshot.scale - 1.5).abs() < 1e-9);
        assert_eq!(device.info().name, format!("android {}", connected.serial));
    }
}

#[test]
fn every_verb_does_on_the_phone_what_it_says() {
    let connected = Connected::plain();
    let phone = &connected.phone;
    let mut device = connected.device();
    let mut perform = |action: serde_json::Value| act(&mut device, &action).unwrap();
    let at = |name: &str| connected.find(name);

    perform(json!({"action": "left_click", "coordinate": at("Library")}));
    assert_eq!(phone.foreground(), "com.handsight.library/.LibraryActivity");
    perform(json!({"action": "long_press", "coordinate": at("Book 2"), "time": 0.6}));
    let marked = |name: &str| {
        let dump =
            connected.shell("uiautomator dump /sdcard/d.xml >/dev/null && cat /sdcard/d.xml");
        let node = dump.split('<').find(|node| node.contains(&format!("text=\"{name}\""))).unwrap();
        node.contains("selected=\"true\"")
    };
    assert!(marked("Book 2") && !marked("Book 1"));
    perform(json!({"action": "scroll", "direction": "down", "amount": 3}));
    assert!(
        phone.find("Book 2").is_none() && phone.find("Book 9").is_some(),
        "{:?}",
        phone.texts()
    );
    perform(json!({"action": "scroll", "coordinate": [180, 300], "direction": "up", "amount": 30}));
    assert!(phone.find("Book 1").is_some());
    let (from, to) = (at("Book 7"), at("Book 3"));
    perform(json!({"action": "swipe", "coordinate": from, "coordinate2": to}));
    assert!(phone.find("Book 1").is_none() && phone.find("Book 7").is_some());
    perform(json!({"action": "left_click", "coordinate": at("Book 7")}));
    perform(json!({"action": "double_click", "coordinate": at("picture")}));
    assert!(phone.find("Book 7 (liked)").is_some(), "{:?}", phone.texts());
    perform(json!({"action": "system_button", "button": "back"}));
    assert!(phone.find("Book 7 (liked)").is_none());
    perform(json!({"action": "system_button", "button": "home"}));
    assert_eq!(phone.foreground(), "com.android.launcher3/.Launcher");

    perform(json!({"action": "open_app", "app": "Board"}));
    let (from, to) = (at("Card"), PixelPoint { x: 250, y: 400 });
    perform(json!({"action": "drag", "coordinate": from, "coordinate2": to}));
    assert_eq!(at("Card"), to);

    perform(json!({"action": "open_app", "app": "profile"}));
    perform(json!({"action": "left_click", "coordinate": at("first_name")}));
    perform(json!({"action": "type", "text": "Ada\tParis"}));
    assert_eq!(phone.profile("first_name").as_deref(), Some("Ada"));
    assert_eq!(phone.profile("city").as_deref(), Some("Paris"));
    perform(json!({"action": "key", "keys": ["backspace"]}));
    assert_eq!(phone.profile("city").as_deref(), Some("Pari"));
    perform(json!({"action": "key", "keys": ["ctrl", "a"]}));
    perform(json!({"action": "type", "text": "Rome"}));
    assert_eq!(phone.profile("city").as_deref(), Some("Rome"));
    perform(json!({"action": "key", "keys": ["?"]}));
    assert_eq!(phone.profile("city").as_deref(), Some("Rome?"));
    perform(json!({"action": "system_button", "button": "menu"}));
    perform(json!({"action": "system_button", "button": "enter"}));
    let log = phone.inputs();
    assert_eq!(log[log.len() - 2..], ["input keyevent 187", "input keyevent 66"]);
}

#[test]
fn points_hold_on_a_screen_that_is_turned_or_has_another_size() {
    for captures_physical in [false, true] {
        let options = FakeAndroidOptions { captures_physical, ..FakeAndroidOptions::default() };
        let connected = Connected::new(&options);
        let mut device = connected.device();
        connected.shell("wm size 540x960; wm density 240");
        let shown = device.observe().unwrap().screenshot.size();
        let expected = if captures_physical { [360, 640] } else { [540, 960] };
        assert_eq!([shown.width, shown.height], expected);
        // Where `input` counts in 540 pixels, the screenshot may have 360.
        let seen = |name: &str, shown: Size, whole: i32| {
            let PixelPoint { x, y } = connected.find(name);
            let across = |value: i32| value * i32::try_from(shown.width).unwrap() / whole;
            PixelPoint { x: across(x), y: across(y) }
        };
        let coordinate = seen("Settings", shown, 540);
        device.perform(&Action::LeftClick { coordinate }).unwrap();
        assert_eq!(connected.phone.foreground(), "com.android.settings/.Settings");
        device.perform(&Action::LeftClick { coordinate: seen("Wi-Fi", shown, 540) }).unwrap();
        assert_eq!(connected.phone.setting("global", "wifi_on").as_deref(), Some("0"));

        connected.shell("wm size reset; wm density reset");
        connected.phone.rotate(1);
        let stale = device.perform(&Action::LeftClick { coordinate: PixelPoint { x: 9, y: 9 } });
        assert!(matches!(&stale, Err(error) if error.nothing_was_done()), "{stale:?}");
        let shown = device.observe().unwrap().screenshot.size();
        assert_eq!(shown, Size { width: 640, height: 360 });
        let coordinate = connected.find("Airplane mode");
        device.perform(&Action::LeftClick { coordinate }).unwrap();
        assert_eq!(connected.phone.setting("global", "airplane_mode_on").as_deref(), Some("1"));
    }
}

#[test]
fn a_screen_that_may_not_be_seen_is_never_handed_on() {
    let connected = Connected::plain();
    let mut device = connected.device();
    act(&mut device, &json!({"action": "open_app", "app": "Vault"})).unwrap();
    let said = |device: &mut AndroidDevice| words(&device.observe().unwrap_err());
    let secure = said(&mut device);
    assert!(secure.starts_with("`com.handsight.vault` on device"), "{secure}");
    // Looking is refused; leaving is not.
    act(&mut device, &json!({"action": "system_button", "button": "home"})).unwrap();
    device.observe().unwrap();
    connected.phone.lock(FakeLock::Swipe);
    let asleep = said(&mut device);
    assert!(asleep.ends_with("is off"), "{asleep}");
    act(&mut device, &json!({"action": "key", "keys": ["power"]})).unwrap();
    device.observe().unwrap();
    let above = |y| PixelPoint { x: 180, y };
    device.perform(&Action::Swipe { coordinate: above(600), coordinate2: above(200) }).unwrap();
    let seen = device.observe().unwrap();
    assert_eq!(seen.foreground_app.as_deref(), Some("com.android.launcher3"));
}

#[test]
fn half_a_frame_is_taken_again_and_never_handed_on() {
    let connected = Connected::plain();
    let mut device = connected.device();
    connected.phone.fail(AndroidFault::HalfFrame);
    let seen = device.observe().unwrap();
    assert_eq!(seen.screenshot.image, png(&connected));
    connected.phone.fail(AndroidFault::HalfFrame);
    connected.phone.fail(AndroidFault::HalfFrame);
    let said = words(&device.observe().unwrap_err());
    assert!(said.contains("460808 bytes instead of 921616"), "{said}");
}

#[test]
fn apps_are_opened_by_what_people_call_them() {
    let connected = Connected::plain();
    let mut device = connected.device();
    for (name, foreground) in [
        ("Settings", "com.android.settings/.Settings"),
        ("com.handsight.board", "com.handsight.board/.BoardActivity"),
        ("the Library", "com.handsight.library/.LibraryActivity"),
        ("Profil", "com.handsight.profile/.ProfileActivity"),
    ] {
        act(&mut device, &json!({"action": "open_app", "app": name})).unwrap();
        assert_eq!(connected.phone.foreground(), foreground, "{name}");
    }
    let refused = act(&mut device, &json!({"action": "open_app", "app": "Netflix"})).unwrap_err();
    assert!(refused.nothing_was_done());
    assert!(words(&refused).ends_with("has no app `Netflix`"), "{}", words(&refused));
    assert!(refused.hint().unwrap().contains("com.handsight.library"), "{:?}", refused.hint());
}

#[test]
fn rules_about_apps_hold_on_a_phone() {
    let connected = Connected::plain();
    let rules = "mode: bounded\nallow:\n  actions: [left_click, open_app]\n  windows: \
                 [{app: com\\.android\\.launcher3}, {app: com\\.handsight\\.profile}]\n";
    let policy = SafetyPolicy::parse(rules, "policy.yaml".as_ref()).unwrap();
    let mut device = Guard::new(Box::new(connected.device()), policy);
    let WindowAt::Window(window) = device.window(Place::Focus).unwrap() else { panic!() };
    assert_eq!(
        (window.app.as_str(), window.title.as_str()),
        ("com.android.launcher3", "com.android.launcher3.Launcher")
    );
    let mut tap =
        |name: &str| device.perform(&Action::LeftClick { coordinate: connected.find(name) });
    tap("Profile").unwrap();
    tap("Newsletter").unwrap();
    connected.shell("am start -n com.android.settings/.Settings");
    let refused = tap("Wi-Fi").unwrap_err();
    assert!(matches!(refused, DeviceError::Refused { .. }), "{}", words(&refused));
    assert_eq!(connected.phone.setting("global", "wifi_on").as_deref(), Some("1"));
}

#[test]
fn input_that_is_halted_ends_at_once_even_if_the_phone_hangs() {
    let connected = Connected::plain();
    let halt = Halt::default();
    let mut device = connected.device().heeding(halt.clone());
    connected.phone.fail(AndroidFault::Hang { command: "input tap".to_owned(), acts: false });
    let coordinate = connected.find("Library");
    let stopped = std::thread::spawn(move || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(400) {
            std::thread::yield_now();
        }
        halt.stop(HaltCause::Command);
        Instant::now()
    });
    let ended = device.perform(&Action::LeftClick { coordinate }).unwrap_err();
    let after = stopped.join().unwrap().elapsed();
    assert!(matches!(ended, DeviceError::Halted { .. }), "{}", words(&ended));
    assert!(after < Duration::from_millis(100), "{after:?}");
    let inputs = connected.phone.inputs().len();
    let again = device.perform(&Action::LeftClick { coordinate }).unwrap_err();
    assert!(matches!(again, DeviceError::Halted { .. }));
    assert_eq!(connected.phone.inputs().len(), inputs);
}

#[test]
fn a_phone_that_cannot_be_used_is_explained() {
    let open = |options: &AndroidOptions| {
        let error = AndroidDevice::open(options).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        words(&error)
    };
    let adb = AdbServer::start().unwrap();
    let any = AndroidOptions { server: server(&adb), ..AndroidOptions::default() };
    assert!(open(&any).starts_with("no phone is connected to the ADB server on `127.0.0.1:"));
    let options =
        FakeAndroidOptions { door: FakeDoor::Unauthorized, ..FakeAndroidOptions::default() };
    let closed = FakeAndroid::start(&options).unwrap();
    let address = closed.address().to_string();
    adb.output(&["connect", &address]).unwrap();
    assert_eq!(open(&any), format!("phone `{address}` is unauthorized"));

    let phones = [Connected::plain(), Connected::plain()];
    let first = &phones[0];
    first.adb.connect(phones[1].phone.address()).unwrap();
    let unnamed = AndroidOptions { server: server(&first.adb), ..AndroidOptions::default() };
    let said = open(&unnamed);
    assert!(said.starts_with("2 phones are connected: 127.0.0.1:"), "{said}");
    let other = AndroidOptions { serial: Some("nobody".to_owned()), ..unnamed };
    let said = open(&other);
    assert!(said.starts_with("no phone `nobody` is connected; there is 127.0.0.1:"), "{said}");
}
