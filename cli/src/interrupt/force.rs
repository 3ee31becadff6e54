//! Lets go of everything on an X display from a connection of its own.
//!
//! It is for the moment when the thread that holds a key does not answer any more. Only what was
//! pressed by programs is let go of: a key under a user's finger belongs to another keyboard.

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{BUTTON_RELEASE_EVENT, ConnectionExt as _, KEY_RELEASE_EVENT};
use x11rb::protocol::xtest::ConnectionExt as _;

/// The lowest code a key can have, and the highest number of a button that can be held.
const FIRST_KEYCODE: u8 = 8;
const LAST_BUTTON: u8 = 5;

/// The bit of the pointer's state that says whether the first button is held.
const FIRST_BUTTON_BIT: u8 = 8;

/// Lets go of every key and button.
pub(super) fn release_everything(display: &str) -> anyhow::Result<()> {
    let (connection, screen) = x11rb::connect(Some(display))?;
    let root = connection.setup().roots[screen].root;
    let release = |kind: u8, detail: u8| {
        connection.xtest_fake_input(kind, detail, x11rb::CURRENT_TIME, root, 0, 0, 0).map(drop)
    };
    let held = u16::from(connection.query_pointer(root)?.reply()?.mask);
    for button in 1..=LAST_BUTTON {
        if held >> (FIRST_BUTTON_BIT + button - 1) & 1 == 1 {
            release(BUTTON_RELEASE_EVENT, button)?;
        }
    }
    let down = connection.query_keymap()?.reply()?.keys;
    for keycode in FIRST_KEYCODE..=u8::MAX {
        if down[usize::from(keycode / 8)] >> (keycode % 8) & 1 == 1 {
            release(KEY_RELEASE_EVENT, keycode)?;
        }
    }
    // A reply means that all before it was done.
    connection.get_input_focus()?.reply()?;
    Ok(())
}
