//! Windows in a session of sway: where they are, what lies on them, and what is refused since it would
//! reach another one.

use std::os::unix::net::UnixListener;
use std::process::Stdio;

use handsight_actions::{
    Action, AreaFault, DesktopDevice, DesktopOptions, DesktopWindow, Device, DeviceError,
    PixelPoint, Place, Rect, Scope, WindowAt, windows,
};
use handsight_tests::binary::Binary;
use handsight_tests::page::Desktop;
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, wait_until};
use handsight_tests::wayland::Wayland;
use image::imageops::crop_imm;

use super::click;

/// One output as usual, and one of high density to the right of it.
const OUTPUTS: [&str; 2] =
    ["resolution 800x600 position 0 0", "resolution 1280x960 position 800 0 scale 2"];

/// A window of a terminal, in which nothing happens.
fn open(session: &Wayland, title: &str) -> Program {
    let mut command = session.command("foot");
    command.args(["--title", title, "--override", "locked-title=yes", "sleep", "1000"]);
    let foot = Program::start(command.stderr(Stdio::null())).unwrap();
    session.wait_for_window(title).unwrap();
    foot
}

fn listed(session: &Wayland) -> Vec<DesktopWindow> {
    windows(Some(session.socket())).unwrap()
}

fn area(session: &Wayland, title: &str) -> Rect {
    listed(session).into_iter().find(|window| window.title == title).unwrap().area
}

/// Connects the device under test to the window of this title.
fn device_of(session: &Wayland, title: &str) -> Result<DesktopDevice, DeviceError> {
    let scope = Scope::Window(title.parse().unwrap());
    let display = Some(session.socket().to_owned());
    DesktopDevice::open(&DesktopOptions { scope, display, ..DesktopOptions::default() })
}

/// The title of the window that a press on a pixel of a device, or a key, would reach.
fn title(device: &mut impl Device, place: Place) -> Option<String> {
    match device.window(place).unwrap() {
        WindowAt::Window(window) => Some(window.title),
        WindowAt::Nothing => None,
        WindowAt::Unknown => panic!("it is not known"),
    }
}

fn point(x: i32, y: i32) -> Place {
    Place::Point(PixelPoint { x, y })
}

#[test]
fn windows_are_listed_with_their_places_and_the_one_under_a_point_is_known() {
    let session = Wayland::start_outputs(&OUTPUTS).unwrap();
    session.sway("focus output HEADLESS-2").unwrap();
    let _dense = open(&session, "Dense");
    session.sway("focus output HEADLESS-1").unwrap();
    let _left = open(&session, "Left");
    let _right = open(&session, "Right");
    let shown: Vec<_> =
        listed(&session).into_iter().map(|window| (window.title, window.monitor)).collect();
    let expected = [("Right", Some(0)), ("Left", Some(0)), ("Dense", Some(1))];
    assert_eq!(shown, expected.map(|(title, monitor)| (title.to_owned(), monitor)));
    assert_eq!(area(&session, "Left"), Rect { x: 0, y: 0, width: 400, height: 600 });
    assert_eq!(area(&session, "Dense"), Rect { x: 800, y: 0, width: 640, height: 480 });

    let mut device = session.device(0).unwrap();
    assert_eq!(title(&mut device, point(399, 300)).as_deref(), Some("Left"));
    assert_eq!(title(&mut device, point(400, 300)).as_deref(), Some("Right"));
    assert_eq!(title(&mut device, Place::Focus).as_deref(), Some("Right"));
    // It is so: a press on it gives it the keyboard.
    click(&mut device, PixelPoint { x: 399, y: 300 });
    wait_until("the press did not reach it", ANSWERING, || {
        Ok(title(&mut device, Place::Focus).as_deref() == Some("Left"))
    })
    .unwrap();
    // What floats lies above, frame and title included.
    session.sway("[title=Right] floating enable, border normal 4").unwrap();
    session.sway("[title=Right] resize set 300 200, move absolute position 50 100").unwrap();
    let inside = area(&session, "Right");
    let (x, y) = (inside.x, inside.y);
    for (at, expected) in [
        ([x + 5, y + 5], "Right"),
        ([x - 2, y + 50], "Right"),
        ([x + 50, y - 8], "Right"),
        ([x - 6, y + 50], "Left"),
    ] {
        let found = title(&mut device, point(at[0], at[1]));
        assert_eq!(found.as_deref(), Some(expected), "{at:?} beside {inside:?}");
    }
    session.sway("[title=Right] kill").unwrap();
    session.sway("[title=Left] kill").unwrap();
    wait_until("a window stayed", ANSWERING, || Ok(listed(&session).len() == 1)).unwrap();
    assert_eq!(title(&mut device, point(399, 300)), None);
}

#[test]
fn one_window_is_seen_and_used_at_any_scale_and_brought_up_from_another_workspace() {
    let session = Wayland::start_outputs(&OUTPUTS).unwrap();
    session.sway("focus output HEADLESS-2").unwrap();
    let _dense = open(&session, "Dense");
    let _other = open(&session, "Other");
    let mut monitor = session.device(1).unwrap();
    let mut device = device_of(&session, "Dense").unwrap();
    let seen = device.observe().unwrap().screenshot.image;
    assert_eq!(seen.dimensions(), (640, 960));
    let whole = monitor.observe().unwrap().screenshot.image;
    assert_eq!(seen, crop_imm(&whole, 0, 0, 640, 960).to_image());
    click(&mut device, PixelPoint { x: 639, y: 959 });
    assert_eq!(title(&mut device, Place::Focus).as_deref(), Some("Dense"));

    session.sway("workspace elsewhere").unwrap();
    let _third = open(&session, "Third");
    assert_eq!(title(&mut monitor, point(10, 10)).as_deref(), Some("Third"));
    let again = device.observe().unwrap().screenshot.image;
    assert_eq!(again, seen, "it was brought up");
    assert_eq!(title(&mut monitor, point(10, 10)).as_deref(), Some("Dense"));

    // What another one covers is not taken for it.
    session.sway("[title=Other] floating enable, move absolute position 820 20").unwrap();
    let covered = device.observe().unwrap_err();
    let is_covered = |error: &DeviceError| {
        matches!(
            error,
            DeviceError::Area {
                source: AreaFault::Unfocused { .. } | AreaFault::Covered { .. },
                ..
            }
        )
    };
    // Both are of programs of their own, so the one is no dialog of the other.
    assert!(is_covered(&covered), "{covered:?}");
    session.sway("[title=Dense] kill").unwrap();
    wait_until("the window stayed", ANSWERING, || {
        Ok(listed(&session).iter().all(|window| window.title != "Dense"))
    })
    .unwrap();
    let gone = device.observe().unwrap_err();
    assert!(
        matches!(&gone, DeviceError::Area { source: AreaFault::Gone { window }, .. } if window == "Dense"),
        "{gone:?}"
    );
}

#[test]
fn safety_rules_about_windows_hold_for_clicks() {
    let session = Wayland::start().unwrap();
    let _left = open(&session, "Mail");
    let _right = open(&session, "Bank");
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let rules = "mode: bounded\nallow:\n  actions: [left_click]\n  windows: [{title: Mail}]\n";
    fs_err::write(handsight.dir().join("rules.yaml"), rules).unwrap();
    let act = |x: u32| {
        let action = format!(r#"{{"action":"left_click","coordinate":[{x},300]}}"#);
        let mut command = handsight.command(&["act", &action, "--policy", "rules.yaml"]);
        session.adopt(&mut command);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = act(600);
    assert_ne!(code, Some(0));
    assert!(said.contains("Bank"), "{said}");
    let mut device = session.device(0).unwrap();
    assert_eq!(title(&mut device, Place::Focus).as_deref(), Some("Bank"));
    assert_eq!(act(200), (Some(0), String::new()));
    assert_eq!(title(&mut device, Place::Focus).as_deref(), Some("Mail"));
}

#[test]
fn without_sways_own_socket_no_window_is_guessed() {
    let session = Wayland::start().unwrap();
    let _window = open(&session, "Mail");
    let control = session.hide_control().unwrap();
    let mut device = session.device(0).unwrap();
    assert_eq!(device.window(point(5, 5)).unwrap(), WindowAt::Unknown);
    assert_eq!(title(&mut device, Place::Focus).as_deref(), Some("Mail"));
    let error = windows(Some(session.socket())).unwrap_err();
    let unknown = matches!(error, DeviceError::Area { source: AreaFault::WindowsUnknown, .. });
    assert!(unknown, "{error:?}");
    // Nor is another program believed that listens there.
    let _listener = UnixListener::bind(control).unwrap();
    let mut device = session.device(0).unwrap();
    assert_eq!(device.window(point(5, 5)).unwrap(), WindowAt::Unknown);
    device.perform(&Action::MouseMove { coordinate: PixelPoint { x: 1, y: 1 } }).unwrap();
}
