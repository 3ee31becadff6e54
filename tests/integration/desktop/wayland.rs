//! In a Wayland session nothing black is taken for the screen.

use handsight_tests::binary::Binary;
use handsight_tests::wayland::Wayland;

#[test]
fn a_wayland_session_is_named_as_what_is_in_the_way() {
    let session = Wayland::start().unwrap();
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let click = r#"{"action":"left_click","coordinate":[1,1]}"#;
    for args in [&["devices"][..], &["screenshot", "out.png"], &["act", click]] {
        let mut command = handsight.command(args);
        session.adopt(&mut command);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains(" is that of XWayland, on which nothing of the screen"), "{said}");
        assert!(said.contains("hint: log in to an X11 session"), "{said}");
    }
    assert!(!handsight.dir().join("out.png").exists());
}
