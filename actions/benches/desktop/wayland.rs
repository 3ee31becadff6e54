//! The Wayland backend in a session of sway that draws to nowhere, beside a program of others.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use divan::Bencher;
use handsight_actions::{Action, DesktopDevice, DesktopOptions, Device as _, PixelPoint};

const SCREENS: [&str; 2] = ["1280x720", "1920x1080"];

/// The user without rights, whom sway runs as where this runs as root: it refuses to.
const NOBODY: &str = "65534";

/// A compositor with one output.
struct Session {
    sway: Child,
    dir: PathBuf,
    name: String,
}

impl Session {
    fn start(screen: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("handsight-bench-{}", std::process::id()));
        fs_err::create_dir_all(&dir).expect("there is room");
        // The compositor may be another user.
        fs_err::set_permissions(&dir, Permissions::from_mode(0o777)).expect("it was just made");
        let config = dir.join("config");
        let lines = format!(
            "xwayland disable\noutput HEADLESS-1 resolution {screen}\nexec echo $WAYLAND_DISPLAY\n"
        );
        fs_err::write(&config, lines).expect("there is room");
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        let mut command = if is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sway"]);
            command
        } else {
            Command::new("sway")
        };
        command.arg("--config").arg(&config);
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("SWAYSOCK");
        command.env("XDG_RUNTIME_DIR", &dir).env("WLR_BACKENDS", "headless");
        command.env("WLR_LIBINPUT_NO_DEVICES", "1").env("WLR_RENDERER", "pixman");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut sway = command.spawn().expect("`make deps` installs sway");
        let mut name = String::new();
        let stdout = sway.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut name).expect("sway names its display");
        Self { sway, dir, name: name.trim().to_owned() }
    }

    fn device(&self) -> DesktopDevice {
        let display = Some(self.dir.join(&self.name).display().to_string());
        DesktopDevice::open(&DesktopOptions { display, ..DesktopOptions::default() })
            .expect("the session was started above")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _ = self.sway.kill();
        let _ = self.sway.wait();
        let _ = fs_err::remove_dir_all(&self.dir);
    }
}

/// What a policy gets: a picture in RGB, and the name of the program in front.
#[divan::bench(args = SCREENS)]
fn capture(bencher: Bencher<'_, '_>, screen: &str) {
    let session = Session::start(screen);
    let mut device = session.device();
    bencher.bench_local(|| device.observe());
}

/// A program that takes a screenshot the same way; most of it is its start.
#[divan::bench(args = SCREENS)]
fn capture_grim(bencher: Bencher<'_, '_>, screen: &str) {
    let session = Session::start(screen);
    bencher.bench_local(|| {
        let mut grim = Command::new("grim");
        grim.args(["-t", "ppm", "-"]).stdout(Stdio::null());
        grim.env("XDG_RUNTIME_DIR", &session.dir).env("WAYLAND_DISPLAY", &session.name);
        grim.status().expect("`make deps` installs grim")
    });
}

#[divan::bench]
fn move_pointer(bencher: Bencher<'_, '_>) {
    let session = Session::start(SCREENS[0]);
    let mut device = session.device();
    let mut x = 0;
    bencher.bench_local(|| {
        x = (x + 7) % 1000;
        device.perform(&Action::MouseMove { coordinate: PixelPoint { x, y: 100 } })
    });
}

#[divan::bench]
fn click(bencher: Bencher<'_, '_>) {
    let session = Session::start(SCREENS[0]);
    let mut device = session.device();
    let coordinate = PixelPoint { x: 100, y: 100 };
    bencher.bench_local(|| device.perform(&Action::LeftClick { coordinate }));
}

#[divan::bench]
fn type_10(bencher: Bencher<'_, '_>) {
    let session = Session::start(SCREENS[0]);
    let mut device = session.device();
    let action = Action::Type { text: "aaaaaaaaaa".to_owned() };
    bencher.bench_local(|| device.perform(&action));
}
