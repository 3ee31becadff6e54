//! The clipboard of an X display: read, lent for a paste, and given back.
//!
//! An X server keeps no copy of what was copied: the program that has it hands it out each time it is
//! asked. To paste a text we take the place of that program, so everything it had is fetched first,
//! and handed out by us from then on. [`keep`] does so after this process has ended.
//!
//! There are two clipboards: that of Ctrl+C, and the last selection, which terminals paste. The second is
//! taken for terminals only: a field whose selection is taken forgets what was selected in it.

mod fetch;
mod owner;

use std::time::{Duration, Instant};

use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _};

use self::owner::Owner;
use super::connection::Connection;
use crate::clipboard::{ClipboardKeeper, Clipping};
use crate::device::DeviceError;
use crate::device::desktop::Failure;
use crate::device::desktop::backend::Clipboard;
use crate::device::desktop::lend::{ENDING, wait_until_asked};
use crate::device::pause::pause;

/// How often it is looked.
const BEAT: Duration = Duration::from_millis(5);

/// The two selections of a display.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Selections {
    pub(super) clipboard: u32,
    pub(super) primary: u32,
}

impl Selections {
    fn of(connection: &Connection) -> Result<Self, Failure> {
        let clipboard = connection.x.intern_atom(false, b"CLIPBOARD")?.reply()?.atom;
        Ok(Self { clipboard, primary: AtomEnum::PRIMARY.into() })
    }
}

/// The clipboard of a display.
pub(super) struct X11Clipboard {
    display: String,
    /// What hands out contents; made when it is first needed.
    owner: Option<Owner>,
    keeper: Option<ClipboardKeeper>,
}

impl X11Clipboard {
    pub(super) fn new(display: &str) -> Self {
        Self { display: display.to_owned(), owner: None, keeper: None }
    }

    fn owner(&mut self) -> Result<&Owner, Failure> {
        let owner = match self.owner.take() {
            Some(owner) if owner.is_alive() => owner,
            _ => Owner::start(connect(&self.display)?)?,
        };
        Ok(self.owner.insert(owner))
    }
}

impl Clipboard for X11Clipboard {
    fn keep_with(&mut self, keeper: ClipboardKeeper) {
        self.keeper = Some(keeper);
    }

    fn read(&mut self) -> Result<Option<String>, Failure> {
        let connection = connect(&self.display)?;
        let selections = Selections::of(&connection)?;
        let content = fetch::fetch(&connection, selections.clipboard)?;
        Ok(content.and_then(|content| content.as_text().map(str::to_owned)))
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let content = Clipping::text(text);
        if let Some(keeper) = &mut self.keeper {
            keeper(&content);
        }
        let owner = self.owner()?;
        let clipboard = owner.selections().clipboard;
        owner.offer(clipboard, Some(content))
    }

    /// Whatever happens, the user's contents are back when this returns. Where they cannot be read in
    /// full, nothing is lent, and the answer is no.
    fn lend(
        &mut self,
        text: &str,
        (window, in_terminal): (u64, bool),
        paste: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let Ok(window) = u32::try_from(window) else { return Ok(false) };
        let connection = connect(&self.display)?;
        let Selections { clipboard, primary } = Selections::of(&connection)?;
        let selection = if in_terminal { primary } else { clipboard };
        let Some(before) = fetch::fetch(&connection, selection)? else { return Ok(false) };
        let before = Some(before).filter(|content| !content.is_empty());
        // What was selected is gone with the program anyway, what was copied must not be.
        if let (Some(keeper), Some(before), false) = (&mut self.keeper, &before, in_terminal) {
            keeper(before);
        }
        let owner = self.owner()?;
        owner.forget_asked();
        let taken = owner.offer(selection, Some(Clipping::text(text)));
        let asked = taken.and_then(|()| paste()).map(|()| wait_until_asked(|| owner.asked(window)));
        // Before anything is said of how it went.
        let restored = owner.offer(selection, before);
        asked.and_then(|asked| restored.map(|()| asked))
    }
}

fn connect(display: &str) -> Result<Connection, Failure> {
    Connection::open(Some(display)).map_err(|error| Failure::Lost(error.into()))
}

/// Hands out what the user had copied until something else is copied, once nobody else does.
///
/// # Errors
/// [`DeviceError::NoDisplay`] and [`DeviceError::Lost`] when the display is gone.
pub(in crate::device::desktop) fn keep(
    display: &str,
    content: Clipping,
) -> Result<(), DeviceError> {
    let fail = |failure: Failure| failure.while_asked(display, "keep the clipboard");
    let connection = Connection::open(Some(display))?;
    let clipboard = Selections::of(&connection).map_err(fail)?.clipboard;
    let has_owner = || -> Result<bool, Failure> {
        Ok(connection.x.get_selection_owner(clipboard)?.reply()?.owner != x11rb::NONE)
    };
    let start = Instant::now();
    while has_owner().map_err(fail)? {
        if start.elapsed() >= ENDING {
            return Ok(());
        }
        pause(BEAT);
    }
    let owner = Owner::start(Connection::open(Some(display))?).map_err(fail)?;
    owner.offer(clipboard, Some(content)).map_err(fail)?;
    owner.wait_until_replaced();
    Ok(())
}
