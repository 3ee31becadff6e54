//! The examples of the crates, run as they stand there.

use fs_err as fs;
use handsight_actions::{Action, DesktopOptions, Device as _, DeviceError, PixelPoint};
use handsight_agent::StopReason;
use handsight_tests::program::Program;
use handsight_tests::wait::ANSWERING;
use handsight_tests::xserver::XServer;

#[path = "../../agent/examples/click.rs"]
#[expect(dead_code, reason = "`main` is for the command line")]
mod click;
#[path = "../../scenarios/examples/custom_check.rs"]
#[expect(dead_code, reason = "`main` is for the command line")]
mod custom_check;
#[path = "../../agent/examples/custom_device.rs"]
#[expect(dead_code, reason = "`main` is for the command line")]
mod custom_device;

#[test]
fn ten_lines_act_on_a_screen() {
    let server = XServer::start_managed("480x360x24").unwrap();
    let mut command = server.command("zenity");
    command.args(["--entry", "--title=Profile", "--text=First Name", "--entry-text=Ada"]);
    command.args(["--ok-label=Save", "--width=320"]).stderr(std::process::Stdio::null());
    let mut entry = Program::start(&mut command).unwrap();
    server.wait_for_window("Profile").unwrap();
    let desktop =
        DesktopOptions { display: Some(server.display().to_owned()), ..DesktopOptions::default() };
    assert!(click::click("Save", &desktop).unwrap());
    let output = entry.wait(ANSWERING).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Ada\n");
    assert!(!click::click("Save", &desktop).unwrap(), "there is nothing on the screen now");
}

#[test]
fn a_device_of_ones_own_takes_part_in_episodes() {
    let mut lamp = custom_device::Lamp::default();
    let before = lamp.observe().unwrap().screenshot.fingerprint();
    let episode = custom_device::switch_on(&mut lamp).unwrap();
    assert_eq!((episode.stop_reason, lamp.is_lit), (StopReason::ClaimedSuccess, true));
    assert_ne!(lamp.observe().unwrap().screenshot.fingerprint(), before);
    let outside = Action::LeftClick { coordinate: PixelPoint { x: 160, y: 0 } };
    assert!(matches!(lamp.perform(&outside), Err(DeviceError::Invalid { .. })));
    let text = Action::Type { text: "on".to_owned() };
    assert!(matches!(lamp.perform(&text), Err(DeviceError::Unsupported { .. })));
}

#[test]
fn a_check_of_ones_own_is_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let (check, _) = custom_check::run("Paris", &folder.path().join("right")).unwrap();
    assert!(check.passed() && check.found.is_none(), "{check:?}");
    let (check, report) = custom_check::run("Oslo", &folder.path().join("wrong")).unwrap();
    assert!(!check.passed() && (check.score - 0.5).abs() < 1e-9, "{check:?}");
    let page = fs::read_to_string(report).unwrap();
    assert!(page.contains("the form is filled in") && page.contains("Oslo"), "{page}");
}
