//! The desktop device and real applications: what arrives is compared with what was meant, and
//! what is seen with the X server's own pixels.

mod area;
mod calibrate;
mod damage;
mod gnome;
mod kde;
mod portal;
mod sway;
mod wayland;

use std::time::Duration;

use handsight_actions::{Action, DesktopDevice, Device, Direction, Key, PixelPoint, Rect};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use handsight_tests::apps::{Form, Terminal};
use handsight_tests::binary::Binary;
use handsight_tests::page::Page;
use handsight_tests::wait::{ANSWERING, wait_until};
use handsight_tests::xserver::XServer;
use image::RgbImage;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateGCAux, Rectangle, SubwindowMode};
use x11rb::wrapper::ConnectionExt as _;

/// Capitals, every shifted symbol of a US keyboard, accents, CJK and an emoji.
const UNICODE: &str = "José 中文 😀 ~!@#$%^&*()_+{}|:<>?\"' ABC abc";

fn type_text(device: &mut DesktopDevice, text: &str) {
    device.perform(&Action::Type { text: text.to_owned() }).unwrap();
}

fn press(device: &mut DesktopDevice, chord: &str) {
    let keys = chord.split('+').map(|key| key.parse::<Key>().unwrap()).collect();
    device.perform(&Action::Key { keys }).unwrap();
}

fn click(device: &mut DesktopDevice, coordinate: PixelPoint) {
    device.perform(&Action::LeftClick { coordinate }).unwrap();
}

/// Fills the screen with boxes of all kinds of colours.
fn paint(server: &XServer) {
    let connection = server.connection();
    let gc = connection.generate_id().unwrap();
    let values = CreateGCAux::new().subwindow_mode(SubwindowMode::INCLUDE_INFERIORS);
    connection.create_gc(gc, server.root(), &values).unwrap();
    let mut color = 0x0012_3456_u32;
    for (x, y) in (0..40).flat_map(|x| (0..30).map(move |y| (x, y))) {
        color = color.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let values = x11rb::protocol::xproto::ChangeGCAux::new().foreground(color >> 8);
        connection.change_gc(gc, &values).unwrap();
        let rectangle = Rectangle { x: x * 17, y: y * 13, width: 17, height: 13 };
        connection.poly_fill_rectangle(server.root(), gc, &[rectangle]).unwrap();
    }
    connection.sync().unwrap();
}

/// Returns the largest difference of two pictures in any component of any pixel.
fn difference(left: &RgbImage, right: &RgbImage) -> u8 {
    assert_eq!(left.dimensions(), right.dimensions());
    let components = left.as_raw().iter().zip(right.as_raw());
    components.map(|(left, right)| left.abs_diff(*right)).max().unwrap()
}

#[test]
fn a_screenshot_has_the_servers_own_pixels() {
    let server = XServer::start("645x387x24").unwrap();
    paint(&server);
    let screenshot = server.device().unwrap().observe().unwrap().screenshot;
    assert_eq!(screenshot.image, server.pixels().unwrap());
    let distinct: std::collections::BTreeSet<_> =
        screenshot.image.pixels().map(|pixel| pixel.0).collect();
    assert!(distinct.len() > 900, "the screen was not painted");
}

#[test]
fn a_screen_of_16_bits_is_seen_in_its_own_colours() {
    let server = XServer::start("321x203x16").unwrap();
    paint(&server);
    let screenshot = server.device().unwrap().observe().unwrap().screenshot;
    // Five bits become eight by one of two roundings.
    assert!(difference(&screenshot.image, &server.pixels().unwrap()) <= 1);
}

#[test]
fn the_second_of_two_monitors_is_seen_and_clicked_where_it_is() {
    let server = XServer::start("640x400x24").unwrap();
    paint(&server);
    let rect = |x, width| Rect { x, y: 0, width, height: 400 };
    server.set_monitors(&[("left", rect(0, 400)), ("right", rect(400, 240))]).unwrap();
    let mut right = server.monitor(1).unwrap();
    let screenshot = right.observe().unwrap().screenshot;
    let whole = server.pixels().unwrap();
    let part = image::imageops::crop_imm(&whole, 400, 0, 240, 400).to_image();
    assert_eq!(screenshot.image, part);
    right.perform(&Action::MouseMove { coordinate: PixelPoint { x: 30, y: 70 } }).unwrap();
    assert_eq!(server.pointer().unwrap(), (430, 70));
    assert!(server.monitor(2).is_err());
}

#[test]
fn zenity_prints_the_text_that_was_typed() {
    let server = XServer::start_managed("560x420x24").unwrap();
    let form = Form::open(&server, &["Name", "City"], "Save").unwrap();
    check_form(form, &mut server.device().unwrap());
}

/// Fills in a form of two fields.
fn check_form(mut form: Form, device: &mut DesktopDevice) {
    type_text(device, UNICODE);
    press(device, "tab");
    type_text(device, "Zürich");
    press(device, "ctrl+a");
    type_text(device, "Łódź 🎉");
    for key in ["tab", "tab", "enter"] {
        // Past the form's own Cancel.
        press(device, key);
    }
    let (status, printed) = form.outcome().unwrap();
    // The form separates its fields by `|`, of which the text has one itself.
    assert_eq!(printed, format!("{UNICODE}|Łódź 🎉"));
    assert!(status.success());
}

#[test]
fn a_terminal_gets_every_line_as_it_was_typed() {
    let server = XServer::start_managed("700x420x24").unwrap();
    let keymap = server.keymap().unwrap();
    let terminal = Terminal::open(&server).unwrap();
    let mut device = server.device().unwrap();
    let text = format!("{UNICODE}\nñ ø ß Ω Ж え 한 — “quoted” 🦀🎈\nlast\n");
    type_text(&mut device, &text);
    assert_eq!(terminal.lines(3).unwrap(), text);
    device.release_all().unwrap();
    assert_eq!(server.keymap().unwrap(), keymap, "the keyboard was left changed");
    server.check_nothing_held().unwrap();
}

#[test]
fn act_types_from_the_command_line_and_leaves_the_keyboard_as_it_was() {
    let server = XServer::start_managed("560x420x24").unwrap();
    let keymap = server.keymap().unwrap();
    let mut form = Form::open(&server, &["Name"], "OK").unwrap();
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let act = |action: serde_json::Value| {
        let action = action.to_string();
        let mut command = handsight.command(&["act", &action]);
        server.adopt(&mut command);
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{action}");
    };
    act(serde_json::json!({ "action": "type", "text": UNICODE }));
    assert_eq!(server.keymap().unwrap(), keymap, "the keyboard was left changed");
    for key in ["tab", "tab", "enter"] {
        act(serde_json::json!({ "action": "key", "keys": [key] }));
    }
    let (status, printed) = form.outcome().unwrap();
    assert_eq!(printed, UNICODE);
    assert!(status.success());
    server.check_nothing_held().unwrap();
}

/// Two fields.
const FIELDS: &str = "<p><input id=name size=60><p><textarea id=note rows=12 cols=60></textarea>";

#[test]
fn a_page_gets_text_and_chords_as_they_were_meant() {
    let server = XServer::start_managed("800x600x24").unwrap();
    let page = Page::open(&server, FIELDS, [780, 560]).unwrap();
    check_text(&page, &mut server.device().unwrap());
}

fn check_text(page: &Page, device: &mut DesktopDevice) {
    click(device, page.middle("name").unwrap());
    page.expect("the field has no focus", |page| page.focused.as_deref() == Some("name")).unwrap();
    type_text(device, UNICODE);
    let state =
        page.expect("the text is not in the field", |page| page.text("name") == UNICODE).unwrap();
    // What the layout has arrives as its own key, with the modifiers a person would hold.
    for key in ["shift+~", "shift+\"", "shift+A", "b", "c", "'", "shift+{", "shift+&"] {
        assert!(state.saw(&format!("keydown {key}")), "{key}: {:?}", state.events);
    }

    press(device, "ctrl+a");
    type_text(device, "Ada");
    let state =
        page.expect("the text was not replaced", |page| page.text("name") == "Ada").unwrap();
    assert!(state.saw("keydown ctrl+a"), "{:?}", state.events);

    let sentence = "The quick brown fox; 5 × 8 = 40 & Ünïcödé.\n";
    let long = sentence.repeat(500 / sentence.chars().count() + 1);
    assert!(long.chars().count() >= 500);
    press(device, "tab");
    page.expect("Tab did not move on", |page| page.focused.as_deref() == Some("note")).unwrap();
    type_text(device, &long);
    page.expect("the long text is not there", |page| page.text("note") == long).unwrap();
}

/// A line of words, and what can be clicked.
const WORDS: &str = "<p style='font: 24px sans-serif'>alpha <span id=word>bravo</span> charlie\
    <p><button id=save>Save</button> <input id=news type=checkbox>\
    <div id=area style='width:200px;height:100px;background:#def'></div>";

#[test]
fn a_page_gets_clicks_of_every_kind() {
    let server = XServer::start_managed("800x600x24").unwrap();
    let page = Page::open(&server, WORDS, [780, 560]).unwrap();
    let mut device = server.device().unwrap();
    check_clicks(&page, &mut device);
    server.check_nothing_held().unwrap();
}

fn check_clicks(page: &Page, device: &mut DesktopDevice) {
    click(device, page.middle("save").unwrap());
    page.expect("no click", |page| page.saw("click save")).unwrap();
    click(device, page.middle("news").unwrap());
    page.expect("not checked", |page| page.values["news"] == true).unwrap();

    let word = page.middle("word").unwrap();
    device.perform(&Action::DoubleClick { coordinate: word }).unwrap();
    page.expect("no word is selected", |page| page.selection == "bravo").unwrap();
    device.perform(&Action::TripleClick { coordinate: word }).unwrap();
    page.expect("no line is selected", |page| page.selection.trim() == "alpha bravo charlie")
        .unwrap();

    let area = page.middle("area").unwrap();
    device.perform(&Action::MiddleClick { coordinate: area }).unwrap();
    page.expect("no middle click", |page| page.saw("auxclick area")).unwrap();
    device.perform(&Action::RightClick { coordinate: area }).unwrap();
    page.expect("no right click", |page| page.saw("contextmenu area")).unwrap();
}

#[test]
fn a_click_arrives_whole_even_if_the_window_manager_is_slow() {
    let server = XServer::start_managed("560x420x24").unwrap();
    let body = "<button id=save>Save</button><p style='margin-top:200px'>Elsewhere";
    let page = Page::open(&server, body, [540, 380]).unwrap();
    let mut device = server.device().unwrap();
    let save = page.middle("save").unwrap();
    let elsewhere = PixelPoint { x: save.x + 90, y: save.y + 150 };
    // The window manager holds back the press, and with it all that comes after.
    server.signal_manager("STOP").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pause(Duration::from_millis(300), &CancelFlag::default());
            server.signal_manager("CONT").unwrap();
        });
        click(&mut device, save);
        device.perform(&Action::MouseMove { coordinate: elsewhere }).unwrap();
    });
    page.expect("the click became a drag", |page| page.saw("click save")).unwrap();
}

/// A slider, a box to be dragged, and far more room than is shown.
const BOX: &str = "<input id=range type=range min=0 max=100 value=0 style='width:300px'>\
    <div id=box style='position:absolute;left:40px;top:120px;width:60px;height:60px;\
    background:#c33'></div><div style='width:3000px;height:6000px'></div><script>\
    let grip = null;\
    box.onmousedown = (e) => { grip = [e.clientX - box.offsetLeft, e.clientY - box.offsetTop]; \
    e.preventDefault(); };\
    addEventListener('mousemove', (e) => { if (grip) { box.style.left = e.clientX - grip[0] + 'px';\
    box.style.top = e.clientY - grip[1] + 'px'; } });\
    addEventListener('mouseup', () => { grip = null; });</script>";

#[test]
fn a_page_is_dragged_and_scrolled_as_far_as_was_meant() {
    let server = XServer::start_managed("800x600x24").unwrap();
    let page = Page::open(&server, BOX, [780, 560]).unwrap();
    let mut device = server.device().unwrap();
    check_drags_and_scrolls(&page, &mut device);
    server.check_nothing_held().unwrap();
}

fn check_drags_and_scrolls(page: &Page, device: &mut DesktopDevice) {
    let from = page.middle("box").unwrap();
    let to = PixelPoint { x: from.x + 203, y: from.y + 101 };
    device.perform(&Action::Drag { coordinate: from, coordinate2: to }).unwrap();
    wait_until("the box was not moved by as much as the pointer", ANSWERING, || {
        Ok(page.middle("box")? == to)
    })
    .unwrap();

    // It did not jump: pages take the first moves as the start of a drag, and ignore those that leap.
    let state = page.settled().unwrap();
    let moves: Vec<_> = state.events.iter().filter(|event| event.starts_with("drag ")).collect();
    // The browser tells those of one frame as one.
    assert!(moves.len() >= 4, "{moves:?}");

    let [left, top, width, height] = page.rect("range").unwrap();
    let y = top + height / 2;
    let ends = [left + 8, left + width - 8].map(|x| PixelPoint { x, y });
    device.perform(&Action::Drag { coordinate: ends[0], coordinate2: ends[1] }).unwrap();
    page.expect("the slider is not at its end", |page| page.text("range") == "100").unwrap();

    let mut scroll = |direction, amount| {
        device.perform(&Action::Scroll { coordinate: Some(to), direction, amount }).unwrap();
        page.settled().unwrap().scroll
    };
    let [_, far] = scroll(Direction::Down, 3);
    assert!(far >= 90, "three notches moved the page by {far}");
    assert_eq!(scroll(Direction::Down, 6), [0, 3 * far]);
    assert_eq!(scroll(Direction::Up, 9), [0, 0]);
    let [far, _] = scroll(Direction::Right, 2);
    assert!(far >= 60, "two notches moved the page by {far}");
    assert_eq!(scroll(Direction::Left, 2), [0, 0]);
}

#[test]
fn a_long_press_holds_the_button_just_as_long() {
    let server = XServer::start("320x200x24").unwrap();
    let mut device = server.device().unwrap();
    let coordinate = PixelPoint { x: 60, y: 50 };
    let pressing = std::thread::spawn(move || {
        device.perform(&Action::LongPress { coordinate, time: 1.0 }).unwrap();
        device
    });
    wait_until("the button never went down", Duration::from_secs(1), || server.holds_button())
        .unwrap();
    let mut device = pressing.join().unwrap();
    server.check_nothing_held().unwrap();
    assert_eq!(server.pointer().unwrap(), (60, 50));
    device.release_all().unwrap();
}
