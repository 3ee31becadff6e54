//! The same in a Wayland session, where `wl-clipboard` is the user.

use std::io::Write as _;
use std::process::{Command, Stdio};

use handsight_actions::{Action, Device, DeviceError, Halt, HaltCause};
use handsight_tests::apps::{Form, Terminal};
use handsight_tests::binary::Binary;
use handsight_tests::page::{Desktop as _, Page};
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use handsight_tests::wayland::Wayland;
use serde_json::json;

use super::{long_text, text};

/// Returns what is pasted as this kind of content; nothing, if there is none.
fn pasted(session: &Wayland, args: &[&str]) -> Vec<u8> {
    let mut command = session.command("timeout");
    command.args(["20", "wl-paste", "--no-newline"]).args(args).stderr(Stdio::null());
    command.output().unwrap().stdout
}

/// Copies these bytes, as this kind of content.
fn copy(session: &Wayland, kind: &str, bytes: &[u8], args: &[&str]) -> Program {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = session.command("wl-copy");
    // In front of the shell, so that it ends with the test.
    command.args(["--foreground", "--type", kind]).args(args);
    let copied = Program::start_with(command.stderr(Stdio::null()), file.into()).unwrap();
    let args: Vec<&str> = ["--type", kind].iter().chain(args).copied().collect();
    wait_until("nothing was copied", ANSWERING, || Ok(pasted(session, &args) == bytes)).unwrap();
    copied
}

fn press(device: &mut impl Device, keys: &[&str]) {
    let action = serde_json::from_value(json!({ "action": "key", "keys": keys })).unwrap();
    device.perform(&action).unwrap();
}

#[test]
fn the_clipboard_is_a_capability() {
    let session = Wayland::start().unwrap();
    let mut device = session.device(0).unwrap();
    assert_eq!(device.clipboard().unwrap(), None);
    device.set_clipboard("Grüße\n中文").unwrap();
    assert_eq!(pasted(&session, &[]), "Grüße\n中文".as_bytes());
    assert_eq!(device.clipboard().unwrap().as_deref(), Some("Grüße\n中文"));
    let _user = copy(&session, "text/plain;charset=utf-8", b"later", &[]);
    assert_eq!(device.clipboard().unwrap().as_deref(), Some("later"));
}

#[test]
fn terminals_get_a_long_text_exactly_and_the_clipboard_is_untouched() {
    let session = Wayland::start().unwrap();
    let _user = copy(&session, "text/plain", "the user's — own".as_bytes(), &[]);
    let _selected = copy(&session, "text/plain", b"selected", &["--primary"]);
    let mut device = session.device(0).unwrap();
    for is_guest in [false, true] {
        let open = if is_guest { Terminal::open_x11 } else { |on: &_| Terminal::open_foot(on) };
        let terminal = open(&session).unwrap();
        device.perform(&text(&long_text())).unwrap();
        assert_eq!(terminal.lines(4).unwrap(), long_text());
        assert_eq!(pasted(&session, &[]), "the user's — own".as_bytes());
        assert_eq!(pasted(&session, &["--primary"]), b"selected");
    }
}

#[test]
fn a_form_and_a_page_get_long_texts_exactly_and_a_picture_comes_back() {
    let line = "José — 中文 🦀 \\ \"quoted\" ".repeat(20);
    let session = Wayland::start().unwrap();
    // More than a pipe holds.
    let picture: Vec<u8> =
        (0..400_000_u32).map(|at| (at.wrapping_mul(at) >> 7).to_le_bytes()[0]).collect();
    let _user = copy(&session, "image/png", &picture, &[]);
    let mut form = Form::open(&session, &["Name"], "Save").unwrap();
    let mut device = session.device(0).unwrap();
    let start = std::time::Instant::now();
    device.perform(&text(&line)).unwrap();
    println!("{} characters in {:?}", line.chars().count(), start.elapsed());
    assert!(pasted(&session, &["--type", "image/png"]) == picture, "the picture is another one");
    assert_eq!(device.clipboard().unwrap(), None);
    for key in ["tab", "tab", "enter"] {
        press(&mut device, &[key]);
    }
    let (status, printed) = form.outcome().unwrap();
    assert!(status.success());
    assert_eq!(printed, line);

    let page = "<textarea id=note rows=9 cols=60></textarea>";
    let page = Page::open(&session, page, [560, 400]).unwrap();
    device.perform(&Action::LeftClick { coordinate: page.middle("note").unwrap() }).unwrap();
    page.expect("the field has no focus", |page| page.focused.as_deref() == Some("note")).unwrap();
    let all = format!("{line}\nshort\n{line}");
    device.perform(&text(&all)).unwrap();
    page.expect("the text did not arrive", |page| page.text("note") == all).unwrap();
    assert!(pasted(&session, &["--type", "image/png"]) == picture, "the picture is another one");
}

#[test]
fn the_clipboard_comes_back_after_a_stop_too() {
    let session = Wayland::start().unwrap();
    let _user = copy(&session, "text/plain", b"mine", &[]);
    let _form = Form::open(&session, &["Name"], "Save").unwrap();
    let halt = Halt::default();
    let mut device = session.device(0).unwrap().heeding(halt.clone());
    let long = "long ".repeat(50);
    let done = std::thread::scope(|scope| {
        // As soon as it was taken; what is pasted into a button is waited for.
        scope.spawn(|| {
            let is_taken = || Ok(pasted(&session, &[]) != b"mine");
            wait_until("it was not taken", ANSWERING, is_taken).unwrap();
            halt.stop(HaltCause::Command);
        });
        device.perform(&text(&format!("{long}\t").repeat(15)))
    });
    assert!(matches!(done, Err(DeviceError::Halted { .. })), "{done:?}");
    assert_eq!(pasted(&session, &[]), b"mine");
}

/// Starts `handsight act` with a long text.
fn act(handsight: &Binary, session: &Wayland, text: &str) -> Command {
    let action = json!({ "action": "type", "text": text }).to_string();
    let mut command = handsight.command(&["act", &action]);
    session.adopt(command.stderr(Stdio::piped()));
    command
}

#[test]
fn the_clipboard_outlives_the_process_that_borrowed_it() {
    let session = Wayland::start().unwrap();
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let _form = Form::open(&session, &["Name"], "Save").unwrap();
    let mine =
        || wait_until("the clipboard is lost", ANSWERING, || Ok(pasted(&session, &[]) == b"mine"));
    let long = "long ".repeat(50);

    let mut user = copy(&session, "text/plain", b"mine", &[]);
    let done = Program::start(&mut act(&handsight, &session, &long)).unwrap().wait(STARTING);
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    user.kill();
    mine().unwrap();

    // Killed in the middle of a paste: the clipboard was taken, and nobody gave it back.
    let mut user = copy(&session, "text/plain", b"mine", &[]);
    let mut process = Program::start(&mut act(&handsight, &session, &long)).unwrap();
    wait_until("it took no clipboard", STARTING, || Ok(pasted(&session, &[]) == long.as_bytes()))
        .unwrap();
    process.kill();
    user.kill();
    mine().unwrap();

    // The keeper ends when something else is copied, and what is copied then stays.
    let _user = copy(&session, "text/plain", b"other", &[]);
    assert_eq!(pasted(&session, &[]), b"other");
}
