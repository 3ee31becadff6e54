//! Long texts are pasted, into real applications, and the user's clipboard is theirs again.
//!
//! `xclip` is the user: a program of other hands that copies, and says what is on the clipboard.

mod wayland;

use std::process::{Command, Stdio};

use fs_err as fs;
use handsight_actions::{
    Action, Device, DeviceError, Halt, HaltCause, SecretHand, SecretName, Secrets,
};
use handsight_tests::apps::{Form, Terminal};
use handsight_tests::binary::Binary;
use handsight_tests::page::Page;
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use handsight_tests::xserver::XServer;
use serde_json::json;
use x11rb::protocol::xproto::ConnectionExt as _;

/// Nothing but keys of their own, so that typing would do, too; two lines are long enough to be
/// pasted.
fn long_text() -> String {
    let line = |word: &str| word.repeat(60);
    format!("{}\nshort {{}}\t\n{}\nend\n", line("Zürich 中文 "), line("a \\ \"b\" "))
}

fn text(text: &str) -> Action {
    Action::Type { text: text.to_owned() }
}

/// Runs `xclip` to its end and returns what it says.
fn xclip(server: &XServer, args: &[&str]) -> Vec<u8> {
    // What it says may be long, so it is read while it speaks.
    let mut command = server.command("timeout");
    command.args(["20", "xclip", "-selection", "clipboard"]).args(args);
    command.output().unwrap().stdout
}

/// Copies these bytes, as this kind of content.
fn copy(server: &XServer, kind: &str, bytes: &[u8]) -> Program {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("copied");
    fs::write(&file, bytes).unwrap();
    let before = owner(server);
    let mut command = server.command("xclip");
    // In front of the shell, so that it ends with the test.
    command.args(["-selection", "clipboard", "-quiet", "-t", kind, "-i"]).arg(&file);
    let copied = Program::start(command.stderr(Stdio::null())).unwrap();
    wait_until("nothing was copied", ANSWERING, || Ok(![0, before].contains(&owner(server))))
        .unwrap();
    copied
}

/// Returns the window that has the clipboard, 0 if none has.
fn owner(server: &XServer) -> u32 {
    let x = server.connection();
    let clipboard = x.intern_atom(false, b"CLIPBOARD").unwrap().reply().unwrap().atom;
    x.get_selection_owner(clipboard).unwrap().reply().unwrap().owner
}

#[test]
fn a_terminal_gets_a_long_text_exactly_and_the_clipboard_is_untouched() {
    let server = XServer::start_managed("700x420x24").unwrap();
    let _user = copy(&server, "UTF8_STRING", "the user's — own".as_bytes());
    let before = owner(&server);
    let terminal = Terminal::open(&server).unwrap();
    let mut device = server.device().unwrap();
    device.perform(&text(&long_text())).unwrap();
    assert_eq!(terminal.lines(4).unwrap(), long_text());
    // A terminal pastes the last selection, so what was copied need not be taken at all.
    assert_eq!(owner(&server), before);
    assert_eq!(xclip(&server, &["-o"]), "the user's — own".as_bytes());
    server.check_nothing_held().unwrap();
}

#[test]
fn a_form_and_a_page_get_long_texts_exactly_and_the_clipboard_comes_back() {
    let line = "José — 中文 \\ \"quoted\" ".repeat(20);
    let server = XServer::start_managed("900x600x24").unwrap();
    let _user = copy(&server, "UTF8_STRING", b"mine");
    let mut form = Form::open(&server, &["Name"], "Save").unwrap();
    let mut device = server.device().unwrap();
    let start = std::time::Instant::now();
    device.perform(&text(&line)).unwrap();
    println!("{} characters in {:?}", line.chars().count(), start.elapsed());
    assert_eq!(xclip(&server, &["-o"]), b"mine");
    for key in ["tab", "tab", "enter"] {
        let press = serde_json::from_value(json!({ "action": "key", "keys": [key] })).unwrap();
        device.perform(&press).unwrap();
    }
    let (status, printed) = form.outcome().unwrap();
    assert!(status.success());
    assert_eq!(printed, line.trim_end_matches('\n'));

    let page =
        Page::open(&server, "<textarea id=note rows=9 cols=60></textarea>", [560, 400]).unwrap();
    device.perform(&Action::LeftClick { coordinate: page.middle("note").unwrap() }).unwrap();
    page.expect("the field has no focus", |page| page.focused.as_deref() == Some("note")).unwrap();
    let all = format!("{line}\nshort\n{line}");
    device.perform(&text(&all)).unwrap();
    page.expect("the text did not arrive", |page| page.text("note") == all).unwrap();
    assert_eq!(xclip(&server, &["-o"]), b"mine");
    // What was selected is replaced, as it is by typing.
    let select = serde_json::from_value(json!({ "action": "key", "keys": ["ctrl", "a"] })).unwrap();
    device.perform(&select).unwrap();
    device.perform(&text(&line)).unwrap();
    page.expect("the text was not replaced", |page| page.text("note") == line).unwrap();
    server.check_nothing_held().unwrap();
}

#[test]
fn nothing_is_pasted_where_that_is_switched_off() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let _user = copy(&server, "UTF8_STRING", b"mine");
    let before = owner(&server);
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let policy = handsight.dir().join("never.yaml");
    fs::write(&policy, "mode: unrestricted\npaste: never\n").unwrap();
    let line = "no more than a paste would do ".repeat(8);
    for switch in [&["--no-paste"][..], &["--policy", policy.to_str().unwrap()]] {
        let mut form = Form::open(&server, &["Name"], "Save").unwrap();
        let mut command = act(&handsight, &server, &line);
        let output = Program::start(command.args(switch)).unwrap().wait(STARTING).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(owner(&server), before, "{switch:?}: the clipboard was taken");
        let mut device = server.device().unwrap();
        for key in ["tab", "tab", "enter"] {
            let press = json!({ "action": "key", "keys": [key] });
            device.perform(&serde_json::from_value(press).unwrap()).unwrap();
        }
        assert_eq!(form.outcome().unwrap().1, line);
    }
}

#[test]
fn a_picture_of_any_size_comes_back_too() {
    let server = XServer::start_managed("640x480x24").unwrap();
    // More than fits into one answer of a program.
    let picture: Vec<u8> =
        (0..1_500_000_u32).map(|at| (at.wrapping_mul(at) >> 7).to_le_bytes()[0]).collect();
    let _user = copy(&server, "image/png", &picture);
    let mut form = Form::open(&server, &["Name"], "Save").unwrap();
    let mut device = server.device().unwrap();
    device.perform(&text(&"long ".repeat(50))).unwrap();
    assert_eq!(device.clipboard().unwrap(), None);
    assert!(xclip(&server, &["-t", "image/png", "-o"]) == picture, "the picture is another one");
    let press = json!({ "action": "key", "keys": ["enter"] });
    device.perform(&serde_json::from_value(press).unwrap()).unwrap();
    drop(device);
    let _ = form.outcome();
}

#[test]
fn the_clipboard_is_a_capability() {
    let server = XServer::start("320x200x24").unwrap();
    let mut device = server.device().unwrap();
    assert_eq!(device.clipboard().unwrap(), None);
    device.set_clipboard("Grüße\n中文").unwrap();
    assert_eq!(xclip(&server, &["-o"]), "Grüße\n中文".as_bytes());
    assert_eq!(device.clipboard().unwrap().as_deref(), Some("Grüße\n中文"));
    let _user = copy(&server, "UTF8_STRING", b"later");
    wait_until("it was not replaced", ANSWERING, || {
        Ok(device.clipboard()?.as_deref() == Some("later"))
    })
    .unwrap();
}

#[test]
fn the_clipboard_comes_back_after_an_error_too() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let _user = copy(&server, "UTF8_STRING", b"mine");
    let _form = Form::open(&server, &["Name"], "Save").unwrap();
    let halt = Halt::default();
    let mut device = server.device().unwrap().heeding(halt.clone());
    let before = owner(&server);
    let stopping = std::thread::spawn({
        let halt = halt.clone();
        let display = server.display().to_owned();
        move || {
            // As soon as it was taken.
            let x = x11rb::rust_connection::RustConnection::connect(Some(&display)).unwrap().0;
            let clipboard = x.intern_atom(false, b"CLIPBOARD").unwrap().reply().unwrap().atom;
            let owner = || x.get_selection_owner(clipboard).unwrap().reply().unwrap().owner;
            while owner() == before {}
            halt.stop(HaltCause::Command);
        }
    });
    let long = "long ".repeat(50);
    // It is stopped before, in the middle of or after the keys; whichever it is, it ends well.
    let done = device.perform(&text(&format!("{long}\n{long}\n{long}")));
    assert!(matches!(done, Err(DeviceError::Halted { .. })), "{done:?}");
    stopping.join().unwrap();
    assert_eq!(xclip(&server, &["-o"]), b"mine");
    server.check_nothing_held().unwrap();
}

#[test]
fn a_secret_is_never_on_the_clipboard() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let _user = copy(&server, "UTF8_STRING", b"mine");
    let before = owner(&server);
    let mut form = Form::open(&server, &["Name"], "Save").unwrap();
    let value = "s3cret-".repeat(60);
    let mut secrets = Secrets::default();
    secrets.grant(SecretName::new("key").unwrap(), value.as_str().into(), Vec::new()).unwrap();
    let mut hand = SecretHand::new(server.device().unwrap(), secrets);
    hand.perform(&text("{{secret:key}}")).unwrap();
    assert_eq!(owner(&server), before, "the clipboard was taken");
    for key in ["tab", "tab", "enter"] {
        let press = serde_json::from_value(json!({ "action": "key", "keys": [key] })).unwrap();
        hand.perform(&press).unwrap();
    }
    let (_, printed) = form.outcome().unwrap();
    assert_eq!(printed, value);
}

/// Starts `handsight act` with a long text.
fn act(handsight: &Binary, server: &XServer, text: &str) -> Command {
    let action = json!({ "action": "type", "text": text }).to_string();
    let mut command = handsight.command(&["act", &action]);
    server.adopt(command.stderr(Stdio::piped()));
    command
}

#[test]
fn the_clipboard_outlives_the_process_that_borrowed_it() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let _form = Form::open(&server, &["Name"], "Save").unwrap();
    let mine = || {
        wait_until("the clipboard is lost", ANSWERING, || Ok(xclip(&server, &["-o"]) == b"mine"))
    };
    let long = "long ".repeat(50);

    let _user = copy(&server, "UTF8_STRING", b"mine");
    let before = owner(&server);
    let output =
        Program::start(&mut act(&handsight, &server, &long)).unwrap().wait(STARTING).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_ne!(owner(&server), before, "nothing was pasted");
    mine().unwrap();

    // Killed in the middle of a paste: the clipboard was taken, and nobody gave it back.
    let _user = copy(&server, "UTF8_STRING", b"mine");
    let before = owner(&server);
    let mut process = Program::start(&mut act(&handsight, &server, &long)).unwrap();
    wait_until("it took no clipboard", STARTING, || Ok(owner(&server) != before)).unwrap();
    process.kill();
    mine().unwrap();

    // The keeper ends when something else is copied, and what is copied then stays.
    let _user = copy(&server, "UTF8_STRING", b"mine");
    mine().unwrap();
}
