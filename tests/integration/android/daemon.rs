//! The fake phone, judged by the real `adb`: client and server of Debian's package.

use std::time::{Duration, Instant};

use fs_err as fs;
use handsight_actions::{AndroidFault, FakeAndroid, FakeAndroidOptions, FakeDoor, FakePixels};
use handsight_tests::adb::AdbServer;

fn phone() -> FakeAndroid {
    FakeAndroid::start(&FakeAndroidOptions::default()).unwrap()
}

/// A phone behind a server of its own.
fn connected() -> (FakeAndroid, AdbServer, String) {
    let (phone, adb) = (phone(), AdbServer::start().unwrap());
    let serial = adb.connect(phone.address()).unwrap();
    (phone, adb, serial)
}

#[test]
fn adb_connects_lists_and_disconnects() {
    let (_phone, adb, serial) = connected();
    let listed = adb.run(&["devices", "-l"]).unwrap();
    let line = listed.lines().find(|line| line.starts_with(&serial)).unwrap();
    assert!(line.contains("device product:fake_phone model:Fake_Phone device:fake"), "{line}");
    assert_eq!(adb.run(&["-s", &serial, "get-state"]).unwrap(), "device\n");
    let features = adb.run(&["-s", &serial, "features"]).unwrap();
    assert!(features.contains("shell_v2"), "{features}");
    let again = adb.run(&["connect", &serial]).unwrap();
    assert_eq!(again, format!("already connected to {serial}\n"));
    assert_eq!(adb.run(&["disconnect", &serial]).unwrap(), format!("disconnected {serial}\n"));
    assert!(!adb.output(&["-s", &serial, "get-state"]).unwrap().status.success());
}

#[test]
fn adb_shell_hands_on_output_errors_and_exit_codes() {
    let (_phone, adb, serial) = connected();
    let shell = |command: &str| {
        let output = adb.output(&["-s", &serial, "shell", command]).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let own = |text: &str| text.to_owned();
    assert_eq!(shell("exit 7"), (7, own(""), own("")));
    assert_eq!(shell("echo out; echo err >&2; false"), (1, own("out\n"), own("err\n")));
    assert_eq!(shell("true && echo 'it'\\''s' || echo no"), (0, own("it's\n"), own("")));
    let (code, _, error) = shell("logcat -d");
    assert_eq!((code, error.contains("logcat: inaccessible or not found")), (127, true), "{error}");
    assert_eq!(shell("getprop ro.product.model").1, "Fake Phone\n");
    assert_eq!(
        shell("wm size 720x1280; wm size").1,
        "Physical size: 360x640\nOverride size: 720x1280\n"
    );
    // The client of `adb logcat` exports a variable and then runs it.
    let output = adb.output(&["-s", &serial, "logcat", "-d"]).unwrap();
    assert_eq!(output.status.code(), Some(127));
}

#[test]
fn adb_exec_out_brings_a_screenshot_unharmed() {
    let (phone, adb, serial) = connected();
    let capture = |command: &str| adb.output(&["-s", &serial, "exec-out", command]).unwrap().stdout;
    let png = image::load_from_memory(&capture("screencap -p")).unwrap().into_rgb8();
    assert_eq!(png.dimensions(), (360, 640));
    let raw = capture("screencap");
    assert_eq!(raw.len(), 16 + 360 * 640 * 4);
    assert_eq!(raw[..12], [104, 1, 0, 0, 128, 2, 0, 0, 1, 0, 0, 0]);
    for (bytes, pixel) in raw[16..].chunks_exact(4).zip(png.pixels()) {
        assert_eq!(bytes[..3], pixel.0);
    }
    phone.fail(AndroidFault::HalfFrame);
    assert_eq!(capture("screencap").len(), raw.len() / 2);
    assert_eq!(capture("screencap"), raw);
}

#[test]
fn adb_pushes_and_pulls_files() {
    let (phone, adb, serial) = connected();
    let (here, back) = (adb.home().join("file"), adb.home().join("back"));
    let data: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&here, &data).unwrap();
    let (here, back) = (here.to_str().unwrap(), back.to_str().unwrap());
    adb.run(&["-s", &serial, "push", here, "/sdcard/Download/big file.bin"]).unwrap();
    assert!(phone.file("/sdcard/Download/big file.bin").unwrap() == data);
    adb.run(&["-s", &serial, "pull", "/sdcard/Download/big file.bin", back]).unwrap();
    assert!(fs::read(back).unwrap() == data);
    // A folder as the target gets the file's own name, which takes a `stat`.
    adb.run(&["-s", &serial, "push", here, "/sdcard/"]).unwrap();
    assert!(phone.file("/sdcard/file").unwrap() == data);
    let refused = adb.output(&["-s", &serial, "push", here, "/system/file"]).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned()
        + &String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && said.contains("Permission denied"), "{said}");
    let missing = adb.output(&["-s", &serial, "pull", "/sdcard/nothing", back]).unwrap();
    assert!(!missing.status.success());
    assert!(adb.run(&["-s", &serial, "shell", "ls /sdcard"]).unwrap().contains("file\n"));
}

#[test]
fn adb_types_into_an_app_of_the_phone() {
    let (phone, adb, serial) = connected();
    let shell = |command: &str| adb.run(&["-s", &serial, "shell", command]).unwrap();
    let started = shell("am start -n com.handsight.profile/.ProfileActivity");
    assert!(started.starts_with("Starting: Intent"), "{started}");
    assert_eq!(phone.foreground(), "com.handsight.profile/.ProfileActivity");
    let tap = |name: &str| {
        let at = phone.find(name).unwrap();
        shell(&format!("input tap {} {}", at.x, at.y));
    };
    tap("first_name");
    shell("input text 'Ada%sL'");
    tap("city");
    shell("input text Paris; input keyevent KEYCODE_DEL");
    tap("newsletter");
    tap("Save");
    let saved = String::from_utf8(phone.file("/sdcard/Documents/profile.txt").unwrap()).unwrap();
    assert_eq!(saved, "first_name=Ada L\ncity=Pari\nnewsletter=true\n");
    assert_eq!(shell("cat /sdcard/Documents/profile.txt"), saved);
    let refused = adb.output(&["-s", &serial, "shell", "input text é"]).unwrap();
    assert_eq!(refused.status.code(), Some(255));
    let dump = shell("uiautomator dump /sdcard/d.xml && cat /sdcard/d.xml");
    assert!(
        dump.contains("text=\"Ada L\" resource-id=\"com.handsight.profile:id/first_name\""),
        "{dump}"
    );
}

#[test]
fn a_key_that_is_accepted_opens_the_door_the_next_time_too() {
    let options = FakeAndroidOptions { door: FakeDoor::Accepts, ..FakeAndroidOptions::default() };
    let phone = FakeAndroid::start(&options).unwrap();
    let mut adb = AdbServer::start().unwrap();
    let serial = phone.address().to_string();
    // The client gives up before the person at the phone has read the question.
    let first = adb.run(&["connect", &serial]);
    adb.run(&["-s", &serial, "wait-for-device"]).unwrap();
    assert_eq!(adb.run(&["-s", &serial, "shell", "echo in"]).unwrap(), "in\n", "{first:?}");
    adb.restart().unwrap();
    // Its signature is enough the second time: whoever is not known yet is asked for a key.
    assert_eq!(phone.keys_accepted(), 1);
    let second = adb.run(&["connect", &serial]);
    adb.run(&["-s", &serial, "wait-for-device"]).unwrap();
    assert_eq!(phone.keys_accepted(), 1, "{second:?}");
    assert_eq!(adb.run(&["-s", &serial, "shell", "echo in"]).unwrap(), "in\n");
}

#[test]
fn adb_says_what_a_closed_door_is() {
    let state = |door| {
        let options = FakeAndroidOptions { door, ..FakeAndroidOptions::default() };
        let phone = FakeAndroid::start(&options).unwrap();
        let adb = AdbServer::start().unwrap();
        let output = adb.output(&["connect", &phone.address().to_string()]).unwrap();
        let listed = adb.run(&["devices"]).unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &listed
    };
    let said = state(FakeDoor::Unauthorized);
    assert!(said.contains("\tunauthorized"), "{said}");
    let said = state(FakeDoor::Tls);
    assert!(!said.contains("\tdevice"), "{said}");
}

#[test]
fn a_cable_that_is_pulled_ends_what_runs() {
    let (phone, adb, serial) = connected();
    let start = Instant::now();
    phone.fail(AndroidFault::UnpluggedMidFrame);
    let output = adb.output(&["-s", &serial, "exec-out", "screencap"]).unwrap();
    assert!(output.stdout.len() < 16 + 360 * 640 * 4, "{} bytes", output.stdout.len());
    phone.unplug();
    assert!(!adb.output(&["-s", &serial, "shell", "true"]).unwrap().status.success());
    phone.plug_in();
    adb.connect(phone.address()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn adb_client_reads_the_frame_buffer() {
    let options =
        FakeAndroidOptions { pixels: FakePixels::Rgba8888, ..FakeAndroidOptions::default() };
    let phone = FakeAndroid::start(&options).unwrap();
    let adb = AdbServer::start().unwrap();
    let serial = adb.connect(phone.address()).unwrap();
    let png = adb.output(&["-s", &serial, "exec-out", "screencap -p"]).unwrap().stdout;
    let png = image::load_from_memory(&png).unwrap().into_rgba8();
    let server = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, adb.port());
    let mut device = adb_client::server_device::ADBServerDevice::new(serial, Some(server));
    let bytes = adb_client::ADBDeviceExt::framebuffer_bytes(&mut device).unwrap();
    assert!(image::load_from_memory(&bytes).unwrap().into_rgba8() == png);
}
