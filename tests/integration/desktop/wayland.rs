//! In a Wayland session: what arrives in programs of others, and what another one sees of the screen.
//!
//! The session is sway's, with outputs that differ in scale and place. What it lacks is told, and
//! nothing black is taken for the screen.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use handsight_actions::{
    Action, DesktopDevice, Device, DeviceError, Halt, HaltCause, PixelPoint, Place, WindowAt,
    monitors,
};
use handsight_tests::apps::{Form, Terminal};
use handsight_tests::binary::Binary;
use handsight_tests::page::Page;
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, wait_until};
use handsight_tests::wayland::{EventLog, Wayland};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use super::{UNICODE, click, press, type_text};

/// One output as usual, one of high density to the right of it and above, one on its side to the left.
const OUTPUTS: [&str; 3] = [
    "resolution 800x600 position 0 0",
    "resolution 1280x960 position 800 -200 scale 2",
    "resolution 600x400 position -900 30 transform 90",
];

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// Fills a picture with boxes of all kinds of colours.
fn boxes(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let mixed = (x / 7).wrapping_mul(2_654_435_761) ^ (y / 5).wrapping_mul(40_503_009);
        let [_, red, green, blue] = mixed.wrapping_mul(2_246_822_519).to_be_bytes();
        Rgb([red, green, blue])
    })
}

#[test]
fn outputs_are_listed_with_their_place_and_scale() {
    let session = Wayland::start_outputs(&OUTPUTS).unwrap();
    let found: Vec<_> = monitors(Some(session.socket()))
        .unwrap()
        .into_iter()
        .map(|monitor| {
            let layout = monitor.layout;
            let size = [layout.size.width, layout.size.height];
            (monitor.name, [layout.origin.x, layout.origin.y], size, monitor.scale)
        })
        .collect();
    let expected = [
        ("HEADLESS-1".to_owned(), [0, 0], [800, 600], 1.0),
        ("HEADLESS-2".to_owned(), [800, -200], [1280, 960], 2.0),
        ("HEADLESS-3".to_owned(), [-900, 30], [400, 600], 1.0),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_screenshot_has_the_pixels_that_another_program_sees() {
    let session = Wayland::start_outputs(&OUTPUTS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let sizes = [[800, 600], [1280, 960], [400, 600]];
    for (index, [width, height]) in sizes.into_iter().enumerate() {
        let name = format!("HEADLESS-{}", index + 1);
        let picture = boxes(width, height);
        let file = dir.path().join(format!("{name}.png"));
        picture.save(&file).unwrap();
        session.show_picture(&name, &file).unwrap();
        let mut device = session.device(index).unwrap();
        let mut seen = None;
        wait_until("the picture is not shown", ANSWERING, || {
            let image = device.observe()?.screenshot.image;
            let is_shown = image == picture;
            seen = Some(image);
            Ok(is_shown)
        })
        .unwrap();
        assert_eq!(seen.unwrap(), session.grim(&name).unwrap(), "{name}");
    }
    for transform in ["180", "270", "flipped", "flipped-90", "flipped-180", "flipped-270"] {
        session.sway(&format!("output HEADLESS-1 transform {transform}")).unwrap();
        let mut device = session.device(0).unwrap();
        wait_until("another program sees something else", ANSWERING, || {
            let expected = session.grim("HEADLESS-1")?;
            Ok(device.observe()?.screenshot.image == expected)
        })
        .unwrap();
    }
}

#[test]
fn clicks_arrive_on_their_pixel_whatever_the_scale_and_the_place() {
    let session = Wayland::start_outputs(&OUTPUTS).unwrap();
    let outputs = [
        (0, 1.0, "normal"),
        (1, 2.0, "normal"),
        (2, 1.0, "90"),
        (2, 1.0, "270"),
        (2, 1.0, "flipped-270"),
    ];
    for (index, scale, transform) in outputs {
        let name = format!("HEADLESS-{}", index + 1);
        session.sway(&format!("output {name} transform {transform}")).unwrap();
        session.sway(&format!("focus output {name}")).unwrap();
        let log = EventLog::open(&session).unwrap();
        let mut device = session.device(index).unwrap();
        let size = device.info().size;
        let (right, bottom) = (size.width.cast_signed() - 1, size.height.cast_signed() - 1);
        let points = [[0, 0], [101, 57], [right, 0], [0, bottom], [right, bottom], [333, 201]];
        for [x, y] in points {
            let before = log.lines().unwrap().len();
            click(&mut device, PixelPoint { x, y });
            let words = ["button: 272 (left)", "state: 0 (released)"];
            let place = log.pointer_at_press(before, &words).unwrap();
            let middle = [x, y].map(|value| (f64::from(value) + 0.5) / scale);
            // Wayland counts in parts of 256.
            let off = (place[0] - middle[0]).abs().max((place[1] - middle[1]).abs());
            assert!(off <= 1.0 / 256.0, "{index}: {place:?} and not {middle:?}");
        }
    }
}

#[test]
fn clicks_drags_and_the_wheel_arrive_as_they_were_meant() {
    let session = Wayland::start().unwrap();
    let mut device = session.device(0).unwrap();
    let page = Page::open(&session, super::BOX, [800, 600]).unwrap();
    super::check_drags_and_scrolls(&page, &mut device);
    drop(page);
    // Last: a menu takes what comes after it.
    let page = Page::open(&session, super::WORDS, [800, 600]).unwrap();
    super::check_clicks(&page, &mut device);
}

#[test]
fn a_page_gets_text_and_chords_as_they_were_meant() {
    let session = Wayland::start().unwrap();
    let page = Page::open(&session, super::FIELDS, [800, 600]).unwrap();
    super::check_text(&page, &mut session.device(0).unwrap());
}

#[test]
fn a_terminal_gets_every_line_as_it_was_typed() {
    let session = Wayland::start().unwrap();
    let terminal = Terminal::open_foot(&session).unwrap();
    let mut device = session.device(0).unwrap();
    // More characters than there are keys for.
    let many: String = ('一'..).take(300).collect();
    let text = format!("{UNICODE}\nñ ø ß Ω Ж え 한 — “quoted” 🦀🎈\n{many}\nlast\n");
    type_text(&mut device, &text);
    assert_eq!(terminal.lines(4).unwrap(), text);
}

#[test]
fn a_form_of_gtk_is_filled_in() {
    let session = Wayland::start().unwrap();
    let form = Form::open(&session, &["Name", "City"], "OK").unwrap();
    super::check_form(form, &mut session.device(0).unwrap());
}

#[test]
fn a_program_for_x11_gets_the_text_too() {
    let session = Wayland::start().unwrap();
    let terminal = Terminal::open_x11(&session).unwrap();
    let mut device = session.device(0).unwrap();
    let text = format!("{UNICODE}\nZürich 🦀\n");
    type_text(&mut device, &text);
    assert_eq!(terminal.lines(2).unwrap(), text);
}

/// Returns how often keys went down and came up.
fn presses(log: &EventLog) -> [usize; 2] {
    let lines = log.settled().unwrap();
    let count = |state: &str| {
        let is_key = |line: &&String| line.contains(" key: ");
        lines.iter().filter(is_key).filter(|line| line.contains(state)).count()
    };
    [count("(pressed)"), count("(released)")]
}

#[test]
fn chords_hold_their_modifiers_and_leave_none() {
    let session = Wayland::start().unwrap();
    let log = EventLog::open(&session).unwrap();
    let mut device = session.device(0).unwrap();
    for chord in ["ctrl+shift+t", "alt+f4", "meta+left", "shift+%", "é", "f24", "caps_lock"] {
        press(&mut device, chord);
    }
    press(&mut device, "caps_lock");
    type_text(&mut device, "aA");
    let [down, up] = presses(&log);
    assert!(down >= 16, "{:#?}", log.lines());
    assert_eq!(down, up);
    let lines = log.lines().unwrap().join("\n");
    for words in ["sym: T ", "sym: F4 ", "sym: Left ", "sym: percent ", "sym: eacute ", "sym: F24 "]
    {
        assert!(lines.contains(words), "{words}: {lines}");
    }
    let last = log.lines().unwrap().into_iter().rfind(|line| line.contains("depressed"));
    assert!(last.unwrap().contains("depressed: 00000000"), "{lines}");
}

#[test]
fn the_window_with_the_keyboard_is_known() {
    let session = Wayland::start().unwrap();
    let _terminal = Terminal::open_foot(&session).unwrap();
    let mut device = session.device(0).unwrap();
    let observation = device.observe().unwrap();
    assert_eq!(observation.foreground_app.as_deref(), Some("foot"));
    let WindowAt::Window(window) = device.window(Place::Focus).unwrap() else {
        panic!("no window has the keyboard");
    };
    assert_eq!((window.app.as_str(), window.title.as_str()), ("foot", "Terminal"));
}

#[test]
fn a_stop_ends_input_at_once_and_leaves_nothing_pressed() {
    let session = Wayland::start().unwrap();
    let terminal = EventLog::open(&session).unwrap();
    let halt = Halt::default();
    let mut device = session.device(0).unwrap().heeding(halt.clone());
    let typing = thread::spawn(move || {
        let text = "The quick brown fox jumps. ".repeat(140);
        let stopped = device.perform(&Action::Type { text });
        (stopped, Instant::now(), device)
    });
    terminal.expect(40, &[" key: ", "(pressed)"]).unwrap();
    let start = Instant::now();
    halt.stop(HaltCause::Command);
    let (stopped, end, _device) = typing.join().unwrap();
    assert!(matches!(stopped, Err(DeviceError::Halted { .. })), "{stopped:?}");
    let took = end - start;
    assert!(took <= Duration::from_millis(100), "{took:?}");
    let [down, up] = presses(&terminal);
    assert_eq!(down, up);
    assert!(down < 7000, "it went on to the end");
}

/// Starts `handsight act` in the middle of a long press.
fn start_press(session: &Wayland, log: &EventLog, handsight: &Binary) -> Program {
    let action = json!({ "action": "long_press", "coordinate": [50, 60], "time": 9.0 });
    let mut command = handsight.command(&["act", &action.to_string()]);
    session.adopt(command.stderr(Stdio::null()));
    let act = Program::start(&mut command).unwrap();
    log.expect(1, &["button: 272 (left)", "(pressed)"]).unwrap();
    act
}

#[test]
fn a_process_that_ends_or_is_killed_leaves_nothing_pressed() {
    for signal in ["TERM", "INT", "KILL"] {
        let session = Wayland::start().unwrap();
        let log = EventLog::open(&session).unwrap();
        // The user's own mouse, as far as the compositor knows: without one it forgets all buttons.
        let mut mouse = session.device(0).unwrap();
        mouse.perform(&Action::MouseMove { coordinate: PixelPoint { x: 9, y: 9 } }).unwrap();
        let handsight = handsight();
        let act = start_press(&session, &log, &handsight);
        act.signal(signal).unwrap();
        log.expect(1, &["button: 272 (left)", "(released)"]).unwrap();

        let text = json!({ "action": "type", "text": "Ab".repeat(1_900) });
        let mut command = handsight.command(&["act", &text.to_string()]);
        session.adopt(command.stderr(Stdio::null()));
        let act = Program::start(&mut command).unwrap();
        log.expect(20, &[" key: ", "(pressed)"]).unwrap();
        act.signal(signal).unwrap();
        let [down, up] = presses(&log);
        assert_eq!(down, up, "{signal}: {:#?}", log.lines());
    }
}

#[test]
fn the_commands_see_and_act_in_a_wayland_session() {
    let session = Wayland::start_outputs(&OUTPUTS).unwrap();
    let handsight = handsight();
    let run = |args: &[&str]| {
        let mut command = handsight.command(args);
        session.adopt(&mut command);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listed: Value = serde_json::from_str(&run(&["devices", "--json"])).unwrap();
    assert_eq!(listed["display"], session.socket());
    assert_eq!(listed["monitors"][1]["name"], "HEADLESS-2");
    assert_eq!(listed["monitors"][1]["scale"], 2.0);
    run(&["screenshot", "out.png", "--monitor", "HEADLESS-2", "--region", "10,20,300,200"]);
    let image = image::open(handsight.dir().join("out.png")).unwrap().to_rgb8();
    assert_eq!(image.dimensions(), (300, 200));

    session.sway("focus output HEADLESS-1").unwrap();
    let terminal = Terminal::open_foot(&session).unwrap();
    run(&["act", r#"{"action":"left_click","coordinate":[300,200]}"#]);
    run(&["act", &json!({ "action": "type", "text": format!("{UNICODE}\n") }).to_string()]);
    assert_eq!(terminal.lines(1).unwrap(), format!("{UNICODE}\n"));
}

#[test]
fn what_a_session_lacks_is_said() {
    let handsight = handsight();
    let click = r#"{"action":"left_click","coordinate":[1,1]}"#;
    let fails = |adopt: &dyn Fn(&mut std::process::Command), words: &[&str]| {
        for args in [&["devices"][..], &["screenshot", "out.png"], &["act", click]] {
            let mut command = handsight.command(args);
            adopt(&mut command);
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
            for word in words {
                assert!(said.contains(word), "{args:?}: {said}");
            }
        }
        assert!(!handsight.dir().join("out.png").exists());
    };
    let sway = Wayland::start().unwrap();
    let black =
        [" is that of XWayland, on which nothing of the screen", "hint: log in to an X11 session"];
    fails(&|command| sway.adopt_x11(command), &black);
    let weston = Wayland::start_weston().unwrap();
    let lacks = [
        "the compositor of Wayland display `wayland-9` lacks zwlr_screencopy_manager_v1 (to see the screen)",
        "zwlr_virtual_pointer_manager_v1 (to use the pointer)",
        "zwp_virtual_keyboard_manager_v1 (to type)",
        "caused by: the session's message bus, on which its desktop portal would be, cannot be reached",
        "hint: run this from within the desktop session",
    ];
    fails(&|command| weston.adopt(command), &lacks);
}

#[test]
fn a_compositor_that_ends_is_told_as_lost() {
    let mut session = Wayland::start().unwrap();
    let mut device: DesktopDevice = session.device(0).unwrap();
    device.observe().unwrap();
    session.kill();
    let lost = device.observe().unwrap_err();
    assert!(matches!(lost, DeviceError::Lost { .. }), "{lost}");
}
