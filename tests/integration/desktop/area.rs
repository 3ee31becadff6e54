//! Which part of a desktop is seen and acted on. `xev` says where presses and keys arrived.

use handsight_actions::{
    Action, AreaFault, Device, DeviceError, Direction, Observation, PixelPoint, Rect,
};
use handsight_tests::binary::Binary;
use handsight_tests::event_window::EventWindow;
use handsight_tests::wait::{ANSWERING, wait_until};
use handsight_tests::xserver::XServer;
use image::RgbImage;
use serde_json::Value;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConnectionExt as _, EventMask, MapState, Window,
};
use x11rb::wrapper::ConnectionExt as _;

use super::{click, paint, type_text};

const LEFT: Rect = Rect { x: 0, y: 0, width: 400, height: 400 };
/// Lower than the other, and its right edge is not the screen's.
const RIGHT: Rect = Rect { x: 400, y: 50, width: 230, height: 340 };
/// What a window asks its manager for to be minimised.
const ICONIC: u32 = 3;
const PROBE: Rect = Rect { x: 50, y: 60, width: 200, height: 100 };
const OTHER: Rect = Rect { x: 150, y: 100, width: 220, height: 120 };

fn two_monitors() -> XServer {
    let server = XServer::start("640x400x24").unwrap();
    server.set_monitors(&[("left", LEFT), ("right", RIGHT)]).unwrap();
    server
}

fn crop(image: &RgbImage, area: Rect) -> RgbImage {
    let (x, y) = (area.x.unsigned_abs(), area.y.unsigned_abs());
    image::imageops::crop_imm(image, x, y, area.width, area.height).to_image()
}

/// Runs the binary on a display; returns its exit code and the JSON it printed.
fn handsight(server: &XServer, args: &[&str]) -> (i32, Value) {
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let mut command = handsight.command(args);
    server.adopt(command.arg("--json"));
    let output = command.output().unwrap();
    let said = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), said)
}

/// Takes a screenshot with the binary.
fn seen(server: &XServer, args: &[&str]) -> RgbImage {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("out.png");
    let mut all = vec!["screenshot", path.to_str().unwrap()];
    all.extend(args);
    let (code, said) = handsight(server, &all);
    assert_eq!(code, 0, "{said}");
    image::open(path).unwrap().into_rgb8()
}

fn fault(result: Result<impl Sized, DeviceError>) -> AreaFault {
    match result.err().unwrap() {
        DeviceError::Area { source, .. } => source,
        other => panic!("another error: {other:?}"),
    }
}

fn at(x: i32, y: i32) -> PixelPoint {
    PixelPoint { x, y }
}

#[test]
fn a_monitor_is_chosen_by_number_by_name_and_by_a_window_on_it() {
    let server = two_monitors();
    let area = Rect { x: 450, y: 100, width: 90, height: 60 };
    let window = EventWindow::open(&server, "Probe", area).unwrap();
    paint(&server);
    let expected = crop(&server.pixels().unwrap(), RIGHT);
    for monitor in ["1", "right", "window:Probe", "window:^Pr.be$"] {
        assert_eq!(seen(&server, &["--monitor", monitor]), expected, "{monitor}");
    }
    let number = format!("window:{:#x}", window.id());
    assert_eq!(seen(&server, &["--monitor", &number]), expected);
    for primary in [&["--monitor", "primary"][..], &[]] {
        assert_eq!(seen(&server, primary), crop(&server.pixels().unwrap(), LEFT));
    }
    let region = Rect { x: 400 + 30, y: 50 + 20, width: 55, height: 44 };
    let args = ["--monitor", "right", "--region", "30,20,55,44"];
    assert_eq!(seen(&server, &args), crop(&server.pixels().unwrap(), region));
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let server = two_monitors();
    let _one = EventWindow::open(&server, "Profile one", PROBE).unwrap();
    let _two = EventWindow::open(&server, "Profile two", OTHER).unwrap();
    let cases = [
        (&["--monitor", "2"][..], "there is no monitor `2`, only `left`, `right`"),
        (&["--monitor", "DP-1"], "there is no monitor `DP-1`, only `left`, `right`"),
        (
            &["--monitor", "window:Mail"],
            "there is no window `Mail`, only `Profile two`, `Profile one`",
        ),
        (
            &["--window", "Profile"],
            "`Profile` is found in the titles of 2 windows: `Profile two`, `Profile one`",
        ),
        (&["--region", "100,0,301,10"], "the region 100,0,301,10 does not lie within 400×400 px"),
    ];
    for (args, cause) in cases {
        let (code, said) = handsight(&server, &[&["screenshot", "out.png"], args].concat());
        assert_eq!(said["error"]["causes"][0], cause);
        assert!(said["error"]["hint"].is_string(), "{said}");
        assert_eq!(code, 2, "{said}");
    }
    let (_, listed) = handsight(&server, &["devices"]);
    let names: Vec<_> = listed["monitors"].as_array().unwrap().iter().map(|m| &m["name"]).collect();
    assert_eq!(names, ["left", "right"]);
    let windows = listed["windows"].as_array().unwrap();
    let titles: Vec<_> = windows.iter().map(|window| &window["title"]).collect();
    assert_eq!(titles, ["Profile two", "Profile one"]);
    assert_eq!(windows[1]["monitor"], 0);
    assert_eq!((&windows[1]["x"], &windows[1]["width"]), (&PROBE.x.into(), &PROBE.width.into()));
}

#[test]
fn a_window_is_seen_and_clicked_wherever_it_goes() {
    let server = two_monitors();
    let window = EventWindow::open(&server, "Probe", PROBE).unwrap();
    let mut device = server.window("Probe", None).unwrap();
    let places = [PROBE, Rect { x: 300, y: 213, ..PROBE }, Rect { x: 420, y: 60, ..PROBE }];
    for (index, place) in places.into_iter().enumerate() {
        // The device learns of it by itself: between two actions, and between action and screenshot.
        server.place_window(window.id(), place).unwrap();
        click(&mut device, at(20, 30));
        let press = window.wait_for_presses(index + 1).unwrap()[index];
        assert_eq!(press.inside, [20, 30]);
        assert_eq!(press.on_screen, [place.x + 20, place.y + 30]);
        let Observation { screenshot, .. } = device.observe().unwrap();
        assert_eq!(screenshot.image, crop(&server.pixels().unwrap(), place));
    }
    // From the left monitor to the right one, it is now smaller.
    let small = Rect { x: 410, y: 70, width: 150, height: 80 };
    server.place_window(window.id(), small).unwrap();
    let beyond = device.perform(&Action::LeftClick { coordinate: at(170, 30) });
    assert!(matches!(beyond, Err(DeviceError::Invalid { .. })), "{beyond:?}");
    assert_eq!(device.info().size.width, 150);
    click(&mut device, at(149, 79));
    let presses = window.wait_for_presses(4).unwrap();
    assert_eq!((presses.len(), presses[3].inside), (4, [149, 79]));
}

#[test]
fn a_region_of_a_window_counts_from_its_own_corner() {
    let server = two_monitors();
    let window = EventWindow::open(&server, "Probe", PROBE).unwrap();
    let region = Rect { x: 120, y: 35, width: 60, height: 50 };
    let mut device = server.window("Probe", Some(region)).unwrap();
    click(&mut device, at(0, 0));
    click(&mut device, at(59, 49));
    let presses = window.wait_for_presses(2).unwrap();
    assert_eq!([presses[0].inside, presses[1].inside], [[120, 35], [179, 84]]);
    let beyond = device.perform(&Action::LeftClick { coordinate: at(60, 10) });
    assert!(matches!(beyond, Err(DeviceError::Invalid { .. })), "{beyond:?}");
    // The window becomes too small for its region.
    server.place_window(window.id(), Rect { width: 150, ..PROBE }).unwrap();
    assert!(matches!(fault(device.observe()), AreaFault::NoRegion { .. }));
    assert_eq!(window.presses().len(), 2);
}

#[test]
fn a_scroll_without_a_point_stays_in_the_area() {
    let server = two_monitors();
    let window = EventWindow::open(&server, "Probe", PROBE).unwrap();
    let other = EventWindow::open(&server, "Other", Rect { x: 450, ..PROBE }).unwrap();
    let mut device = server.window("Probe", None).unwrap();
    let down = Action::Scroll { coordinate: None, direction: Direction::Down, amount: 1 };
    server.warp_pointer(470, 80).unwrap();
    device.perform(&down).unwrap();
    server.warp_pointer(60, 70).unwrap();
    device.perform(&down).unwrap();
    let presses = window.wait_for_presses(2).unwrap();
    assert_eq!([presses[0].inside, presses[1].inside], [[100, 50], [10, 10]]);
    assert_eq!(presses[0].button, 5);
    assert_eq!(other.presses(), []);
}

#[test]
fn a_window_under_another_comes_up_before_it_is_seen_or_clicked() {
    for managed in [false, true] {
        let size = "640x400x24";
        let server = if managed { XServer::start_managed(size) } else { XServer::start(size) };
        let server = server.unwrap();
        let window = EventWindow::open(&server, "Probe", PROBE).unwrap();
        let other = EventWindow::open(&server, "Other", OTHER).unwrap();
        let mut device = server.window("Probe", None).unwrap();
        // Where the other one lies on it.
        click(&mut device, at(150, 80));
        assert_eq!(window.wait_for_presses(1).unwrap()[0].inside, [150, 80]);
        // The keyboard comes with it.
        type_text(&mut device, "Ab1");
        window.wait_for_text("Ab1").unwrap();
        let mut over = server.window("Other", None).unwrap();
        type_text(&mut over, "z");
        other.wait_for_text("z").unwrap();
        click(&mut over, at(5, 5));
        other.wait_for_presses(1).unwrap();
        assert_eq!(window.presses().len(), 1);
        let seen = device.observe().unwrap().screenshot;
        let corner = server.find_window("Probe").unwrap();
        let x11 = server.connection();
        let place = x11.translate_coordinates(corner, server.root(), 0, 0).unwrap();
        let place = place.reply().unwrap();
        let place = Rect { x: place.dst_x.into(), y: place.dst_y.into(), ..PROBE };
        assert_eq!(seen.image, crop(&server.pixels().unwrap(), place));
    }
}

/// Sends the window manager a message about a window.
fn tell_manager(server: &XServer, window: Window, message: &str, data: [u32; 5]) {
    let x11 = server.connection();
    let kind = x11.intern_atom(false, message.as_bytes()).unwrap().reply().unwrap().atom;
    let event = ClientMessageEvent::new(32, window, kind, data);
    let mask = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
    x11.send_event(false, server.root(), mask, event).unwrap();
    x11.sync().unwrap();
}

#[test]
fn a_window_that_stays_under_another_is_left_alone() {
    let server = XServer::start_managed("640x400x24").unwrap();
    let window = EventWindow::open(&server, "Probe", PROBE).unwrap();
    let other = EventWindow::open(&server, "Other", OTHER).unwrap();
    let x11 = server.connection();
    let atom = |name: &[u8]| x11.intern_atom(false, name).unwrap().reply().unwrap().atom;
    let (state, above) = (atom(b"_NET_WM_STATE"), atom(b"_NET_WM_STATE_ABOVE"));
    tell_manager(&server, other.id(), "_NET_WM_STATE", [1, above, 0, 1, 0]);
    wait_until("the other window is not kept above", ANSWERING, || {
        let states = x11.get_property(false, other.id(), state, AtomEnum::ATOM, 0, 9)?.reply()?;
        Ok(states.value32().is_some_and(|mut states| states.any(|state| state == above)))
    })
    .unwrap();
    let mut device = server.window("Probe", None).unwrap();
    let pointer = server.pointer().unwrap();
    let clicked = device.perform(&Action::LeftClick { coordinate: at(5, 5) });
    let (title, by) = ("Probe".to_owned(), "Other".to_owned());
    let covered = AreaFault::Covered { window: title, by };
    assert_eq!(fault(clicked), covered);
    assert_eq!(fault(device.observe()), covered);
    assert_eq!((window.presses(), other.presses()), (vec![], vec![]));
    assert_eq!(server.pointer().unwrap(), pointer);
}

#[test]
fn a_minimised_window_comes_up_and_a_closed_one_is_gone() {
    let server = XServer::start_managed("640x400x24").unwrap();
    let mut window = EventWindow::open(&server, "Probe", PROBE).unwrap();
    let mut device = server.window("Probe", None).unwrap();
    tell_manager(&server, window.id(), "WM_CHANGE_STATE", [ICONIC, 0, 0, 0, 0]);
    let x11 = server.connection();
    wait_until("the window was not minimised", ANSWERING, || {
        let attributes = x11.get_window_attributes(window.id())?.reply()?;
        Ok(attributes.map_state != MapState::VIEWABLE)
    })
    .unwrap();
    click(&mut device, at(12, 34));
    assert_eq!(window.wait_for_presses(1).unwrap()[0].inside, [12, 34]);
    window.close();
    wait_until("the window is still there", ANSWERING, || {
        Ok(server.window("Probe", None).is_err())
    })
    .unwrap();
    let gone = AreaFault::Gone { window: "Probe".to_owned() };
    assert_eq!(fault(device.observe()), gone);
    let clicked = device.perform(&Action::LeftClick { coordinate: at(12, 34) });
    assert!(clicked.as_ref().is_err_and(DeviceError::is_fatal));
    assert_eq!(fault(clicked), gone);
}

#[test]
fn a_window_that_lies_partly_off_the_screen_is_refused() {
    let server = two_monitors();
    let window = EventWindow::open(&server, "Probe", PROBE).unwrap();
    let mut device = server.window("Probe", None).unwrap();
    // Past the left edge, and in the corner under the right monitor where nothing is shown.
    for (x, y) in [(-30, 60), (440, 350), (500, 0)] {
        let area = Rect { x, y, ..PROBE };
        server.place_window(window.id(), area).unwrap();
        let pointer = server.pointer().unwrap();
        let off = AreaFault::OffScreen { window: "Probe".to_owned(), area };
        assert_eq!(fault(device.observe()), off);
        assert_eq!(fault(device.perform(&Action::LeftClick { coordinate: at(90, 90) })), off);
        assert_eq!(server.pointer().unwrap(), pointer);
    }
    // Over the seam between the two it is shown in whole.
    let seam = Rect { x: 350, y: 120, ..PROBE };
    server.place_window(window.id(), seam).unwrap();
    let screenshot = device.observe().unwrap().screenshot;
    assert_eq!(screenshot.image, crop(&server.pixels().unwrap(), seam));
    click(&mut device, at(190, 90));
    let presses = window.wait_for_presses(1).unwrap();
    assert_eq!((presses.len(), presses[0].on_screen), (1, [540, 210]));
}
