//! Lets go of everything on an X display from a connection of its own.
//!
//! It is for when the thread that holds a key does not answer, and for when its process is no more:
//! a server keeps what a killed program pressed. Only what was pressed by programs is let go of: a
//! key under a user's finger belongs to another keyboard.

use std::time::Duration;

use x11rb::protocol::xproto::{BUTTON_RELEASE_EVENT, ConnectionExt as _, KEY_RELEASE_EVENT};
use x11rb::protocol::xtest::ConnectionExt as _;

use super::connection::Connection;
use super::keyboard::{read_keymap, teach};
use crate::device::DeviceError;
use crate::device::desktop::{Failure, keysym};
use crate::device::pause::pause;

/// The lowest code a key can have, and the highest number of a button that can be held.
const FIRST_KEYCODE: u8 = 8;
const LAST_BUTTON: u8 = 5;
/// The bit of the pointer's state that says whether the first button is held.
const FIRST_BUTTON_BIT: u8 = 8;
/// How often a dead program's display is looked at, and how often it must be found in order: the
/// server may still have had requests of it to do.
const LOOKS: u32 = 6;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// A connection that is kept ready to let go of what another one holds.
pub(in crate::device::desktop) struct X11Rescue {
    connection: Connection,
    /// The keys that wrote nothing when it was made.
    spares: Vec<u8>,
}

impl X11Rescue {
    /// Connects to a display, before anything is pressed on it.
    pub(in crate::device::desktop) fn prepare(display: &str) -> Result<Self, DeviceError> {
        let connection = Connection::open(Some(display))?;
        let keymap = read_keymap(&connection)
            .map_err(|failure| failure.while_asked(display, "read its keyboard"))?;
        let spares = keymap.spares();
        Ok(Self { connection, spares })
    }

    /// Lets go of every key and button.
    pub(in crate::device::desktop) fn release(&self) -> Result<(), DeviceError> {
        let done = self.release_held();
        done.map_err(|failure| failure.while_asked(&self.connection.display, "release its keys"))
    }

    /// Lets go of all that a dead program held, until nothing comes after it, and undoes what it
    /// taught the keyboard.
    pub(in crate::device::desktop) fn clean_up(&self) -> Result<(), DeviceError> {
        for _ in 0..LOOKS {
            self.release()?;
            pause(BETWEEN_LOOKS);
        }
        let done = self.forget_taught();
        done.map_err(|failure| failure.while_asked(&self.connection.display, "mend its keyboard"))
    }

    fn release_held(&self) -> Result<(), Failure> {
        let x = &self.connection.x;
        let root = self.connection.root;
        let release = |kind: u8, detail: u8| {
            x.xtest_fake_input(kind, detail, x11rb::CURRENT_TIME, root, 0, 0, 0).map(drop)
        };
        let held = u16::from(x.query_pointer(root)?.reply()?.mask);
        for button in 1..=LAST_BUTTON {
            if held >> (FIRST_BUTTON_BIT + button - 1) & 1 == 1 {
                release(BUTTON_RELEASE_EVENT, button)?;
            }
        }
        let down = x.query_keymap()?.reply()?.keys;
        for keycode in FIRST_KEYCODE..=u8::MAX {
            if down[usize::from(keycode / 8)] >> (keycode % 8) & 1 == 1 {
                release(KEY_RELEASE_EVENT, keycode)?;
            }
        }
        self.connection.sync()
    }

    fn forget_taught(&self) -> Result<(), Failure> {
        let taught = read_keymap(&self.connection)?.leftovers();
        for keycode in taught.into_iter().filter(|keycode| self.spares.contains(keycode)) {
            teach(&self.connection, keycode, keysym::NONE)?;
        }
        self.connection.sync()
    }
}
