//! A desktop that is used through its portal: the genuine `xdg-desktop-portal`, and behind it what keeps
//! every event that it would hand to a desktop. The compositor is weston, which lets no program in by itself.
//!
//! What GNOME makes of the events is seen by the tests in `gnome`.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use handsight_actions::{
    Action, DesktopDevice, DesktopOptions, Device, DeviceError, Direction, PixelPoint, Place,
    PortalFault, PortalOptions, WindowAt,
};
use handsight_tests::binary::Binary;
use handsight_tests::portal::{Event, Portal, STREAM, User};
use handsight_tests::program::Program;
use handsight_tests::wayland::Wayland;
use handsight_tests::xserver::XServer;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use super::{click, press, type_text};

/// The size of the compositor's output, in its own units.
const UNITS: (i32, i32) = (1024, 640);

/// A session of pixels twice as dense as its units, and its portal.
struct Session {
    compositor: Wayland,
    _server: XServer,
    portal: Portal,
    picture: RgbImage,
}

impl Session {
    fn start() -> Self {
        Self::start_with(&["RemoteDesktop", "ScreenCast", "Screenshot", "Access"])
    }

    fn start_with(parts: &[&str]) -> Self {
        let picture = RgbImage::from_fn(2048, 1280, |x, y| {
            let [_, _, high, low] = (x * 1280 + y).to_be_bytes();
            Rgb([high, low, 7])
        });
        let server = XServer::start("2100x1400x24").unwrap();
        let compositor = Wayland::start_weston_on(&server, 2).unwrap();
        let portal = Portal::start_with(picture.clone(), UNITS, parts).unwrap();
        Self { compositor, _server: server, portal, picture }
    }

    fn options(&self) -> DesktopOptions {
        let bus = Some(self.portal.address().to_owned());
        DesktopOptions {
            display: Some(self.compositor.socket().to_owned()),
            portal: PortalOptions { bus, memory: Some(self.portal.memory()) },
            ..DesktopOptions::default()
        }
    }

    fn device(&self) -> DesktopDevice {
        DesktopDevice::open(&self.options()).unwrap()
    }

    fn fault(&self) -> PortalFault {
        match DesktopDevice::open(&self.options()).map(|_| ()) {
            Err(DeviceError::Portal { source, .. }) => source,
            other => panic!("{other:?}"),
        }
    }

    /// Returns a command in this session.
    fn command(&self, handsight: &Binary, args: &[&str]) -> std::process::Command {
        let mut command = handsight.command(args);
        self.compositor.adopt(&mut command);
        command.env("DBUS_SESSION_BUS_ADDRESS", self.portal.address());
        command
    }
}

/// The events of one key or button.
fn stroke(event: impl Fn(bool) -> Event) -> [Event; 2] {
    [event(true), event(false)]
}

#[test]
fn a_screenshot_is_the_portals_picture_and_leaves_no_file() {
    let session = Session::start();
    let mut device = session.device();
    let screenshot = device.observe().unwrap().screenshot;
    assert_eq!(screenshot.image, session.picture);
    assert!((screenshot.scale - 2.0).abs() < f64::EPSILON);
    device.observe().unwrap();
    let (asked, files) = session.portal.asked();
    // To share the screen, and once for all to take screenshots.
    assert_eq!((asked, files.len()), (2, 2));
    assert!(files.iter().all(|file| !file.exists()), "{files:?}");
    assert_eq!(device.window(Place::Focus).unwrap(), WindowAt::Unknown);
}

#[test]
fn the_desktop_is_told_of_what_was_meant_and_nothing_else() {
    let session = Session::start();
    let mut device = session.device();
    let at = |x: f64, y: f64| Event::Moved(STREAM, x, y);
    let (left, right) = (|down| Event::Button(0x110, down), |down| Event::Button(0x111, down));
    let key = |keysym| move |down| Event::Key(keysym, down);

    click(&mut device, PixelPoint { x: 0, y: 0 });
    let expected = [&[at(0.25, 0.25)][..], &stroke(left)].concat();
    assert_eq!(session.portal.take(expected.len()).unwrap(), expected);
    let corner = PixelPoint { x: 2047, y: 1279 };
    device.perform(&Action::RightClick { coordinate: corner }).unwrap();
    let expected = [&[at(1023.75, 639.75)][..], &stroke(right)].concat();
    assert_eq!(session.portal.take(expected.len()).unwrap(), expected);

    let (from, to) = (PixelPoint { x: 100, y: 100 }, PixelPoint { x: 420, y: 260 });
    device.perform(&Action::Drag { coordinate: from, coordinate2: to }).unwrap();
    let events = session.portal.take(19).unwrap();
    assert_eq!(events[..2], [at(50.25, 50.25), left(true)]);
    assert_eq!(events[events.len() - 2..], [at(210.25, 130.25), left(false)]);
    let moves = events.iter().filter(|event| matches!(event, Event::Moved(..))).count();
    assert_eq!((moves, events.len()), (17, 19));

    let coordinate = Some(to);
    for (direction, turned) in [
        (Direction::Down, Event::Turned(0, 1)),
        (Direction::Up, Event::Turned(0, -1)),
        (Direction::Right, Event::Turned(1, 1)),
        (Direction::Left, Event::Turned(1, -1)),
    ] {
        device.perform(&Action::Scroll { coordinate, direction, amount: 2 }).unwrap();
        let events = session.portal.take(3).unwrap();
        assert_eq!(events, [at(210.25, 130.25), turned, turned]);
    }

    type_text(&mut device, "aB!\n\t");
    let keysyms = [0x61, 0x42, 0x21, 0xFF0D, 0xFF09];
    let expected: Vec<Event> = keysyms.into_iter().flat_map(|sym| stroke(key(sym))).collect();
    assert_eq!(session.portal.take(expected.len()).unwrap(), expected);
    press(&mut device, "ctrl+shift+f5");
    let [ctrl, shift, f5] = [0xFFE3, 0xFFE1, 0xFFC2].map(key);
    let expected = [ctrl(true), shift(true), f5(true), f5(false), shift(false), ctrl(false)];
    assert_eq!(session.portal.take(expected.len()).unwrap(), expected);
}

#[test]
fn what_no_key_writes_is_refused_before_anything_is_typed() {
    let session = Session::start();
    let mut device = session.device();
    let typed = device.perform(&Action::Type { text: "plain ž".to_owned() });
    assert!(matches!(typed, Err(DeviceError::NotOnLayout { character: 'ž', .. })), "{typed:?}");
    let chord =
        device.perform(&Action::Key { keys: vec!["ctrl".parse().unwrap(), "ß".parse().unwrap()] });
    assert!(matches!(chord, Err(DeviceError::NotOnLayout { character: 'ß', .. })), "{chord:?}");
    assert_eq!(session.portal.take(0).unwrap(), []);
}

#[test]
fn the_users_no_is_told_as_such() {
    let session = Session::start();
    session.portal.set_user(User::Declines);
    assert!(matches!(session.fault(), PortalFault::Declined { .. }));
    session.portal.set_user(User::Withholds);
    let fault = session.fault();
    let withheld = PortalFault::Withheld { withheld: "the pointer and the keyboard" };
    assert_eq!(fault.to_string(), withheld.to_string());
    session.portal.set_user(User::ForbidsScreenshots);
    let mut device = session.device();
    let refused = device.observe().map(|_| ()).unwrap_err();
    let hint = refused.hint().unwrap_or_default();
    assert!(hint.contains("privacy settings"), "{refused:?}: {hint}");
}

#[test]
fn a_monitor_that_is_not_shared_is_not_used() {
    let session = Session::start();
    let portal = Portal::start(session.picture.clone(), UNITS).unwrap();
    portal.set_position((5000, 0));
    let mut options = session.options();
    options.portal.bus = Some(portal.address().to_owned());
    let mut device = DesktopDevice::open(&options).unwrap();
    let unshared = device.observe().map(|_| ()).unwrap_err();
    let is_it = matches!(
        &unshared,
        DeviceError::Portal { source: PortalFault::Unshared { shared: 1, .. }, .. }
    );
    assert!(is_it, "{unshared:?}");
    let coordinate = PixelPoint { x: 3, y: 3 };
    assert!(device.perform(&Action::LeftClick { coordinate }).is_err());
    assert_eq!(portal.take(0).unwrap(), []);
}

#[test]
fn an_end_of_the_sharing_is_the_end_of_the_device() {
    let session = Session::start();
    let mut device = session.device();
    click(&mut device, PixelPoint { x: 9, y: 9 });
    session.portal.stop_sharing().unwrap();
    let start = Instant::now();
    let lost = loop {
        let done = device.perform(&Action::MouseMove { coordinate: PixelPoint { x: 1, y: 1 } });
        match done {
            // The portal needs a moment to pass it on.
            Ok(()) => assert!(start.elapsed() < Duration::from_secs(5), "it still goes on"),
            Err(error) => break error,
        }
    };
    assert!(matches!(lost, DeviceError::Lost { .. }), "{lost:?}");
    assert!(device.observe().is_err());
}

#[test]
fn a_process_that_ends_or_is_killed_ends_its_session() {
    for signal in ["TERM", "KILL"] {
        let session = Session::start();
        let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
        let action = json!({ "action": "long_press", "coordinate": [50, 60], "time": 9.0 });
        let mut command = session.command(&handsight, &["act", &action.to_string()]);
        let act = Program::start(command.stderr(Stdio::null())).unwrap();
        session.portal.expect(Event::Button(0x110, true)).unwrap();
        act.signal(signal).unwrap();
        // With the session a desktop lets go of what was held in it.
        let events = session.portal.expect(Event::Closed).unwrap();
        let released = events.contains(&Event::Button(0x110, false));
        assert_eq!(released, signal == "TERM", "{events:?}");
    }
}

#[test]
fn the_commands_see_and_act_through_a_portal() {
    let session = Session::start();
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let run = |args: &[&str]| {
        let output = session.command(&handsight, args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listed: Value = serde_json::from_str(&run(&["devices", "--json"])).unwrap();
    assert_eq!(listed["monitors"][0]["scale"], 2.0);
    assert_eq!(session.portal.asked().0, 0, "a list is no reason to ask the user");
    run(&["screenshot", "out.png", "--region", "10,20,300,200"]);
    let image = image::open(handsight.dir().join("out.png")).unwrap().to_rgb8();
    let part = image::imageops::crop_imm(&session.picture, 10, 20, 300, 200).to_image();
    assert_eq!(image, part);
    run(&["act", r#"{"action":"type","text":"a"}"#]);
    let typed = session.portal.expect(Event::Key(0x61, false)).unwrap();
    assert!(typed.contains(&Event::Key(0x61, true)), "{typed:?}");
}

#[test]
fn what_a_portal_lacks_is_said() {
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let compositor = Wayland::start_weston().unwrap();
    let fails = |bus: &str, words: &[&str]| {
        for args in [&["devices"][..], &["screenshot", "out.png"]] {
            let mut command = handsight.command(args);
            compositor.adopt(&mut command);
            let output = command.env("DBUS_SESSION_BUS_ADDRESS", bus).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
            for word in words {
                assert!(said.contains(word), "{args:?}: {said}");
            }
        }
        assert!(!handsight.dir().join("out.png").exists());
    };
    let lacks = "the compositor of Wayland display `wayland-9` lacks zwlr_screencopy_manager_v1";
    let nowhere = handsight.dir().join("nothing");
    let no_bus =
        "the session's message bus, on which its desktop portal would be, cannot be reached";
    let hint = "hint: run this from within the desktop session";
    fails(&format!("unix:path={}", nowhere.display()), &[lacks, no_bus, hint]);
    let (_bus, _dir, address) = Portal::start_without().unwrap();
    let none = "no desktop portal (`org.freedesktop.portal.Desktop`) runs in the session";
    fails(&address, &[lacks, none, "hint: install `xdg-desktop-portal`"]);
    // As on wlroots, whose portal shows the screen but takes no input.
    let session = Session::start_with(&["ScreenCast", "Screenshot", "Access"]);
    let part = "lacks org.freedesktop.portal.RemoteDesktop, which it takes to use the pointer";
    fails(session.portal.address(), &[lacks, part, "hint: on GNOME install"]);
    // What listens there is no bus, and says nothing.
    let socket = handsight.dir().join("silent");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let _ = fs::metadata(&socket).unwrap();
    fails(&format!("unix:path={}", socket.display()), &[lacks, "it says nothing"]);
}
