//! KDE Plasma through its own portal: what arrives in programs.
//!
//! It takes packages of some 200 MB, so `make test-kde` runs it and `make test` does not.

use std::process::Stdio;

use handsight_actions::{Device, PixelPoint};
use handsight_tests::binary::Binary;
use handsight_tests::kde::Kde;
use handsight_tests::page::Page;
use handsight_tests::program::Program;
use serde_json::json;

use super::FIELDS;
use super::gnome::{check_form, check_text};

#[test]
#[ignore = "needs KDE Plasma, which `make test-kde` installs first"]
fn kde_is_seen_and_used_through_its_own_portal() {
    let kde = Kde::start().unwrap();
    let mut device = kde.device().unwrap();
    let page = Page::open(&kde, super::BOX, [1280, 720]).unwrap();
    super::check_drags_and_scrolls(&page, &mut device);
    drop(page);
    let page = Page::open(&kde, FIELDS, [1280, 720]).unwrap();
    check_text(&page, &mut device);
    let seen = device.observe().unwrap().screenshot.image;
    assert_eq!(seen.dimensions(), (1280, 720));
    drop(page);
    let page = Page::open(&kde, super::WORDS, [1280, 720]).unwrap();
    super::check_clicks(&page, &mut device);
    drop(page);
    check_form(&kde, &mut device);
}

/// A page that says whether a button is down.
const BUTTONS: &str = "<div id=box style='width:200px;height:200px'></div><input id=log><script>\
    addEventListener('mousedown', () => log.value = 'down');\
    addEventListener('mouseup', () => log.value = 'up');</script>";

#[test]
#[ignore = "needs KDE Plasma, which `make test-kde` installs first"]
fn kde_lets_go_of_what_a_killed_process_held() {
    for signal in ["KILL", "TERM"] {
        let kde = Kde::start().unwrap();
        let page = Page::open(&kde, BUTTONS, [1280, 720]).unwrap();
        let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
        let at: PixelPoint = page.middle("box").unwrap();
        let action = json!({ "action": "long_press", "coordinate": [at.x, at.y], "time": 9.5 });
        let mut command = kde.adopt(handsight.command(&["act", &action.to_string()]));
        command.env("WAYLAND_DISPLAY", "wayland-0").stderr(Stdio::null());
        let act = Program::start(&mut command).unwrap();
        page.expect("no button is held", |page| page.text("log") == "down").unwrap();
        act.signal(signal).unwrap();
        page.expect("the button stays down", |page| page.text("log") == "up").unwrap();
    }
}
