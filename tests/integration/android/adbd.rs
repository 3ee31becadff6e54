//! Our device on AOSP's own adbd, built for Linux: transport, framing, quoting and exit codes are those of
//! Android 10's daemon. What stands behind its commands is not Android: the scripts of
//! `tests/peers/adbd/shims` act on an X display.
//!
//! `make test-adbd` builds the daemon, names it with `HANDSIGHT_ADBD` and runs this.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fs_err as fs;
use handsight_actions::{AndroidDevice, AndroidOptions, Device, Place, WindowAt};
use handsight_tests::adb::{AdbServer, free_port};
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use handsight_tests::xserver::XServer;
use serde_json::json;

use super::{act, server, words};

/// A daemon on a port of its own, in front of an X display with a terminal.
struct Adbd {
    port: u16,
    home: tempfile::TempDir,
    _daemon: Program,
    _terminal: Program,
    _display: XServer,
}

impl Adbd {
    fn start(binary: &Path) -> Self {
        let display = XServer::start_managed("800x600x24").unwrap();
        let home = tempfile::TempDir::new().unwrap();
        let mut terminal = Command::new("xterm");
        terminal.args(["-fa", "DejaVu Sans Mono", "-fs", "10", "-maximized", "-e"]);
        terminal.args(["sh", "-c", "stty -echo; cat >typed"]).current_dir(home.path());
        display.adopt(&mut terminal);
        let terminal = Program::start(&mut terminal).unwrap();
        let port = free_port().unwrap();
        let shims = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/adbd/shims");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut all = vec![shims];
        all.extend(std::env::split_paths(&path));
        let mut daemon = Command::new(binary);
        daemon.env("ADBD_LISTEN", format!("tcp:localhost:{port}"));
        daemon.env("PATH", std::env::join_paths(all).unwrap()).env("HOME", home.path());
        daemon.current_dir(home.path());
        display.adopt(&mut daemon);
        let daemon = Program::start(&mut daemon).unwrap();
        wait_until("adbd did not listen", STARTING, || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
        })
        .unwrap();
        Self { port, home, _daemon: daemon, _terminal: terminal, _display: display }
    }

    fn typed(&self) -> String {
        fs::read_to_string(self.home.path().join("typed")).unwrap_or_default()
    }
}

/// What is true of the device whichever way it is reached.
fn check(adbd: &Adbd, device: &mut AndroidDevice, line: &str) {
    let seen = device.observe().unwrap();
    assert_eq!(seen.screenshot.image.dimensions(), (800, 600));
    let WindowAt::Window(window) = device.window(Place::Focus).unwrap() else { panic!() };
    assert_eq!(window.app, "XTerm");
    act(device, &json!({"action": "left_click", "coordinate": [400, 300]})).unwrap();
    act(device, &json!({"action": "type", "text": format!("{line}\n")})).unwrap();
    wait_until("the text did not arrive", ANSWERING, || {
        Ok(adbd.typed().ends_with(&format!("{line}\n")))
    })
    .unwrap();
    // The exit code and stderr are the daemon's own, whole.
    let refused = act(device, &json!({"action": "system_button", "button": "home"})).unwrap_err();
    let said = words(&refused);
    assert!(said.contains("exit code 255: Error: key 3 is not in this stand-in"), "{said}");
    let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = adbd.home.path().join("a file's data");
    device.push(path.to_str().unwrap(), &data).unwrap();
    assert!(fs::read(&path).unwrap() == data);
    assert!(device.pull(path.to_str().unwrap()).unwrap() == data);
    let said = words(&device.pull("/no/such/file").unwrap_err());
    assert!(said.contains("No such file"), "{said}");
}

#[test]
#[ignore = "needs AOSP's adbd, which `make test-adbd` builds first"]
fn aosps_own_daemon_on_linux_is_spoken_to_through_a_server_and_without_one() {
    let binary = std::env::var_os("HANDSIGHT_ADBD").map(PathBuf::from);
    let binary = binary.expect("HANDSIGHT_ADBD names the daemon that was built");
    let adbd = Adbd::start(&binary);
    let adb = AdbServer::start().unwrap();
    let serial = adb.connect(([127, 0, 0, 1], adbd.port).into()).unwrap();
    let patience = Duration::from_secs(20);
    let through = AndroidOptions {
        server: server(&adb),
        serial: Some(serial),
        patience,
        ..AndroidOptions::default()
    };
    let ascii: String = (' '..='~').collect();
    check(&adbd, &mut AndroidDevice::open(&through).unwrap(), &ascii);
    let serial = Some(format!("tcp:127.0.0.1:{}", adbd.port));
    let direct = AndroidOptions { serial, patience, ..AndroidOptions::default() };
    check(&adbd, &mut AndroidDevice::open(&direct).unwrap(), "it's 100%sure, \"$HOME\" `id` \\n");
}
