//! The Android backend on the fake phone: through Debian's ADB server, straight to its daemon, and beside
//! Debian's `adb`.
//!
//! The phone is a program on the same machine, which answers at once: this measures the way to it, and
//! nothing of Android.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use divan::Bencher;
use handsight_actions::{
    Action, AndroidDevice, AndroidOptions, Device as _, FakeAndroid, FakeAndroidOptions,
    PixelPoint, Size,
};

/// The ways to the phone.
const WAYS: [&str; 2] = ["server", "direct"];

/// A fake phone, and an ADB server of its own where it takes one.
struct Phone {
    fake: FakeAndroid,
    server: Option<(Child, u16, PathBuf)>,
}

impl Phone {
    fn start(way: &str) -> Self {
        let size = Size { width: 1080, height: 2400 };
        let options = FakeAndroidOptions { size, density: 420, ..FakeAndroidOptions::default() };
        let fake = FakeAndroid::start(&options).expect("a port is free");
        let mut phone = Self { fake, server: None };
        if way == "server" {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
            let port = port.expect("a port is free").port();
            let home = std::env::temp_dir().join(format!("handsight-bench-{port}"));
            fs_err::create_dir_all(&home).expect("there is room");
            let mut command = Command::new("adb");
            command.args(["-P", &port.to_string(), "nodaemon", "server"]).env("HOME", &home);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let server = command.spawn().expect("`make deps` installs adb");
            phone.server = Some((server, port, home));
            while TcpStream::connect(("127.0.0.1", port)).is_err() {}
            let address = phone.fake.address().to_string();
            phone.adb(&["connect", &address]);
            phone.adb(&["wait-for-device"]);
        }
        phone
    }

    /// Runs the client of the server.
    fn adb(&self, args: &[&str]) {
        let (_, port, home) = self.server.as_ref().expect("it was started with one");
        let mut command = Command::new("adb");
        command.args(["-P", &port.to_string()]).args(args).env("HOME", home);
        let done = command.stdout(Stdio::null()).status().expect("`make deps` installs adb");
        assert!(done.success(), "adb {args:?}");
    }

    fn device(&self) -> AndroidDevice {
        let address = self.fake.address();
        let mut options = AndroidOptions::default();
        match &self.server {
            Some((_, port, _)) => {
                options.server = port.to_string().parse().expect("it is a port");
                options.serial = Some(address.to_string());
            }
            None => options.serial = Some(format!("tcp:{address}")),
        }
        AndroidDevice::open(&options).expect("the phone was started above")
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        if let Some((server, _, home)) = &mut self.server {
            // One that has ended needs no end.
            let _ = server.kill();
            let _ = server.wait();
            let _ = fs_err::remove_dir_all(home);
        }
    }
}

/// Does something with the device, for each way to the phone.
fn measure(bencher: Bencher<'_, '_>, way: &str, action: Option<&Action>) {
    let phone = Phone::start(way);
    let mut device = phone.device();
    bencher.bench_local(|| match action {
        Some(action) => device.perform(action),
        None => device.observe().map(drop),
    });
}

/// Does something with Debian's client.
fn measure_adb(bencher: Bencher<'_, '_>, args: &[&str]) {
    let phone = Phone::start("server");
    bencher.bench_local(|| phone.adb(args));
}

#[divan::bench(args = WAYS)]
fn capture(bencher: Bencher<'_, '_>, way: &str) {
    measure(bencher, way, None);
}

#[divan::bench]
fn capture_adb(bencher: Bencher<'_, '_>) {
    measure_adb(bencher, &["exec-out", "screencap"]);
}

#[divan::bench(args = WAYS)]
fn tap(bencher: Bencher<'_, '_>, way: &str) {
    let coordinate = PixelPoint { x: 100, y: 900 };
    measure(bencher, way, Some(&Action::LeftClick { coordinate }));
}

#[divan::bench]
fn tap_adb(bencher: Bencher<'_, '_>) {
    measure_adb(bencher, &["shell", "input tap 100 900"]);
}

#[divan::bench(args = WAYS)]
fn type_10(bencher: Bencher<'_, '_>, way: &str) {
    measure(bencher, way, Some(&Action::Type { text: "aaaaaaaaaa".to_owned() }));
}

#[divan::bench]
fn type_10_adb(bencher: Bencher<'_, '_>) {
    measure_adb(bencher, &["shell", "input text aaaaaaaaaa"]);
}
