//! The clipboard of a Wayland session: read, lent for a paste, and given back.
//!
//! A compositor of the wlroots family lets a program without a window read and set what was copied
//! (`wlr-data-control`). As on X11 the program that has a content hands it out each time it is asked, so
//! to lend the clipboard everything in it is fetched first, and handed out by us from then on.
//!
//! Nobody is told who asks. Clipboard managers ask as soon as something is copied, so they get a moment to
//! do so before the keys are pressed; what is asked for after that counts as the paste.

mod fetch;
mod offers;
mod owner;

use std::time::{Duration, Instant};

use wayland_client::Proxy as _;
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_device_v1::ZwlrDataControlDeviceV1;
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_manager_v1::ZwlrDataControlManagerV1;

use self::fetch::fetch;
pub(super) use self::offers::Offers;
use self::offers::Selection;
use self::owner::{BEAT, Owner};
use super::session::Session;
use crate::clipboard::{ClipboardKeeper, Clipping};
use crate::device::DeviceError;
use crate::device::desktop::Failure;
use crate::device::desktop::backend::Clipboard;
use crate::device::desktop::lend::{ENDING, wait_until_asked};
use crate::device::pause::pause;

/// How long clipboard managers get to look at what is lent.
const CURIOSITY: Duration = Duration::from_millis(60);

/// The version of the protocol from which on it knows the last selection.
const KNOWS_PRIMARY: u32 = 2;

/// The clipboard of a compositor.
pub(super) struct WaylandClipboard {
    /// The path of its socket.
    socket: String,
    /// What hands out contents; made when it is first needed.
    owner: Option<Owner>,
    keeper: Option<ClipboardKeeper>,
}

/// A connection that is told what was copied, and what it is set with.
struct Control {
    session: Session<()>,
    manager: ZwlrDataControlManagerV1,
    device: ZwlrDataControlDeviceV1,
}

impl Control {
    /// Connects; `None` if the compositor lets nobody at its clipboard.
    fn open(socket: &str) -> Result<Option<Self>, Failure> {
        let lost = |error: DeviceError| Failure::Lost(error.into());
        let mut session = Session::connect(socket).map_err(lost)?;
        let (manager, seat) = (session.bind::<ZwlrDataControlManagerV1>(2), session.seat());
        let (Some(manager), Some(seat)) = (manager, seat) else { return Ok(None) };
        let device = manager.get_data_device(&seat, &session.handle(), ());
        session.sync()?;
        Ok(Some(Self { session, manager, device }))
    }

    fn knows(&self, selection: Selection) -> bool {
        selection == Selection::Clipboard || self.manager.version() >= KNOWS_PRIMARY
    }
}

impl WaylandClipboard {
    pub(super) fn new(socket: &str) -> Self {
        Self { socket: socket.to_owned(), owner: None, keeper: None }
    }

    fn open(&self) -> Result<Control, Failure> {
        Control::open(&self.socket)?.ok_or_else(|| {
            let message =
                "the compositor lacks zwlr_data_control_manager_v1, with which it is reached";
            Failure::Refused(message.into())
        })
    }

    fn owner(&mut self) -> Result<&Owner, Failure> {
        let owner = match self.owner.take() {
            Some(owner) if owner.is_alive() => owner,
            _ => Owner::start(self.open()?),
        };
        Ok(self.owner.insert(owner))
    }
}

impl Clipboard for WaylandClipboard {
    fn keep_with(&mut self, keeper: ClipboardKeeper) {
        self.keeper = Some(keeper);
    }

    fn read(&mut self) -> Result<Option<String>, Failure> {
        let content = fetch(&mut self.open()?.session, Selection::Clipboard)?;
        Ok(content.and_then(|content| content.as_text().map(str::to_owned)))
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let content = Clipping::text(text);
        if let Some(keeper) = &mut self.keeper {
            keeper(&content);
        }
        self.owner()?.offer(Selection::Clipboard, Some(content))
    }

    /// Whatever happens, the user's contents are back when this returns. Where they cannot be read in
    /// full, nothing is lent, and the answer is no.
    fn lend(
        &mut self,
        text: &str,
        (_, in_terminal): (u64, bool),
        paste: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let Some(mut control) = Control::open(&self.socket)? else { return Ok(false) };
        let selection = if in_terminal { Selection::Primary } else { Selection::Clipboard };
        if !control.knows(selection) {
            return Ok(false);
        }
        let Some(before) = fetch(&mut control.session, selection)? else { return Ok(false) };
        drop(control);
        let before = Some(before).filter(|content| !content.is_empty());
        // What was selected is gone with the program anyway, what was copied must not be.
        if let (Some(keeper), Some(before), false) = (&mut self.keeper, &before, in_terminal) {
            keeper(before);
        }
        let owner = self.owner()?;
        owner.offer(selection, Some(Clipping::text(text)))?;
        pause(CURIOSITY);
        if !owner.holds(selection) {
            // A manager that takes over all that is copied: whoever pastes asks that one.
            return owner.offer(selection, before).map(|()| false);
        }
        owner.forget_asked();
        let asked = paste().map(|()| wait_until_asked(|| owner.asked()));
        // What was copied meanwhile stays.
        let is_held = owner.holds(selection);
        let restored = if is_held { owner.offer(selection, before) } else { Ok(()) };
        // Before anything is said of how it went.
        match asked.and_then(|asked| restored.map(|()| asked))? {
            false if !is_held => {
                let message = "another program took the clipboard before the text was pasted";
                Err(Failure::Refused(message.into()))
            }
            asked => Ok(asked),
        }
    }
}

/// Hands out what the user had copied until something else is copied, once nobody else does.
pub(super) fn keep(socket: &str, content: Clipping) -> Result<(), Failure> {
    let Some(mut control) = Control::open(socket)? else { return Ok(()) };
    let start = Instant::now();
    while control.session.state().offers.current(Selection::Clipboard).is_some() {
        if start.elapsed() >= ENDING {
            return Ok(());
        }
        pause(BEAT);
        control.session.sync()?;
    }
    let owner = Owner::start(control);
    owner.offer(Selection::Clipboard, Some(content))?;
    while owner.holds(Selection::Clipboard) {
        pause(BEAT);
    }
    Ok(())
}
