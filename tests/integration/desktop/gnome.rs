//! GNOME through its own portal: what arrives in programs, and what the shell itself shows.
//!
//! It takes packages of some 200 MB, so `make test-gnome` runs it and `make test` does not.

use std::process::Stdio;

use handsight_actions::{Action, DesktopDevice, Device, DeviceError, PixelPoint};
use handsight_tests::apps::{Form, Terminal};
use handsight_tests::binary::Binary;
use handsight_tests::gnome::Gnome;
use handsight_tests::page::{Desktop, Page};
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, wait_until};
use serde_json::json;

use super::{FIELDS, click, press, type_text};

/// All that a US keyboard writes.
const ASCII: &str = "The quick brown fox; ~!@#$%^&*()_+{}|:<>?\"' `-=[]\\,./ 0123456789 ABC abc";

pub(super) fn check_text(page: &Page, device: &mut DesktopDevice) {
    click(device, page.middle("name").unwrap());
    page.expect("the field has no focus", |page| page.focused.as_deref() == Some("name")).unwrap();
    type_text(device, ASCII);
    let state =
        page.expect("the text is not in the field", |page| page.text("name") == ASCII).unwrap();
    for key in ["shift+~", "shift+\"", "shift+A", "b", "c", "'", "shift+{", "shift+&"] {
        assert!(state.saw(&format!("keydown {key}")), "{key}: {:?}", state.events);
    }
    press(device, "ctrl+a");
    type_text(device, "Ada");
    let state =
        page.expect("the text was not replaced", |page| page.text("name") == "Ada").unwrap();
    assert!(state.saw("keydown ctrl+a"), "{:?}", state.events);
    press(device, "tab");
    page.expect("Tab did not move on", |page| page.focused.as_deref() == Some("note")).unwrap();
    let long = format!("{ASCII}\n").repeat(20);
    type_text(device, &long);
    page.expect("the long text is not there", |page| page.text("note") == long).unwrap();
    let none = device.perform(&Action::Type { text: "a中".to_owned() });
    assert!(matches!(none, Err(DeviceError::NotOnLayout { character: '中', .. })), "{none:?}");
    assert_eq!(page.settled().unwrap().text("note"), long, "a part of it was typed");
}

/// Fills in a form of two fields with what the layout has.
pub(super) fn check_form(desktop: &impl Desktop, device: &mut DesktopDevice) {
    let mut form = Form::open(desktop, &["Name", "City"], "OK").unwrap();
    type_text(device, "Ada");
    press(device, "tab");
    type_text(device, "Paris!");
    for key in ["tab", "tab", "enter"] {
        press(device, key);
    }
    assert_eq!(form.outcome().unwrap().1, "Ada|Paris!");
}

#[test]
#[ignore = "needs GNOME, which `make test-gnome` installs first"]
fn gnome_is_seen_and_used_through_its_own_portal() {
    let gnome = Gnome::start().unwrap();
    let (mut device, asked) = gnome.device().unwrap();
    assert_eq!(asked, 2, "to share the screen, and to take screenshots");
    let kept = gnome.home().join("state/portal").exists();
    drop(device);
    let (again, asked) = gnome.device().unwrap();
    device = again;
    // Portals before version 2 of `RemoteDesktop` remember nothing.
    assert_eq!(asked, usize::from(!kept));

    let page = Page::open(&gnome, super::BOX, [1280, 720]).unwrap();
    super::check_drags_and_scrolls(&page, &mut device);
    drop(page);
    let page = Page::open(&gnome, FIELDS, [1280, 720]).unwrap();
    check_text(&page, &mut device);
    let seen = device.observe().unwrap().screenshot.image;
    wait_until("the shell shows another screen than was seen", ANSWERING, || {
        let shown = gnome.screenshot()?;
        // Its clock may have gone on, and the cursor blinks.
        let same = seen.pixels().zip(shown.pixels()).filter(|(seen, shown)| seen == shown).count();
        Ok(shown.dimensions() == seen.dimensions() && same * 1000 >= 1280 * 720 * 995)
    })
    .unwrap();
    let left: Vec<_> = std::fs::read_dir(gnome.home()).unwrap().flatten().collect();
    let left =
        left.iter().filter(|file| file.file_name().to_string_lossy().starts_with("Screenshot"));
    assert_eq!(left.count(), 0, "screenshots are left in the user's folder");
    drop(page);
    let page = Page::open(&gnome, super::WORDS, [1280, 720]).unwrap();
    super::check_clicks(&page, &mut device);
    drop(page);

    check_form(&gnome, &mut device);
    let terminal = Terminal::open_foot(&gnome).unwrap();
    let text = format!("{ASCII}\n").repeat(5);
    type_text(&mut device, &text);
    assert_eq!(terminal.lines(5).unwrap(), text);
}

#[test]
#[ignore = "needs GNOME, which `make test-gnome` installs first"]
fn gnome_lets_go_of_what_a_killed_process_held() {
    for signal in ["TERM", "KILL"] {
        let gnome = Gnome::start().unwrap();
        let page = Page::open(&gnome, super::BOX, [1280, 720]).unwrap();
        let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
        let at: PixelPoint = page.middle("box").unwrap();
        let action = json!({ "action": "long_press", "coordinate": [at.x, at.y], "time": 9.5 });
        let mut command = gnome.adopt(handsight.command(&["act", &action.to_string()]));
        command.env("WAYLAND_DISPLAY", "wayland-0").stderr(Stdio::null());
        let act = Program::start(&mut command).unwrap();
        let is_held = || {
            // The mask of the first button.
            let mods = gnome.eval("global.get_pointer()[2] & 256")?;
            Ok::<_, anyhow::Error>(mods != 0)
        };
        gnome.agree_until(|| is_held().unwrap_or(false)).unwrap();
        act.signal(signal).unwrap();
        wait_until("the button stays down", ANSWERING, || Ok(!is_held()?)).unwrap();
    }
}
