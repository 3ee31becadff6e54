//! Hands out contents to programs that ask for them, from a thread of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, PropMode,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

use super::super::connection::Connection;
use super::Selections;
use crate::clipboard::Clipping;
use crate::device::desktop::Failure;
use crate::device::pause::pause;

/// How often the thread looks whether it is still wanted.
const BEAT: Duration = Duration::from_millis(50);

/// A window that has selections; they are nobody's when it is dropped.
pub(super) struct Owner {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Connection,
    window: Window,
    selections: Selections,
    targets: Atom,
    is_over: AtomicBool,
    is_dead: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is handed out, by selection.
    offers: HashMap<Atom, Clipping>,
    /// When a content was last handed out, by the program that asked: others, such as clipboard
    /// managers, ask whenever something is copied.
    asked: HashMap<u32, Instant>,
}

impl Owner {
    /// Starts the thread.
    pub(super) fn start(connection: Connection) -> Result<Self, Failure> {
        let x = &connection.x;
        let window = x.generate_id()?;
        let (class, aux) = (WindowClass::INPUT_ONLY, CreateWindowAux::new());
        x.create_window(0, window, connection.root, 0, 0, 1, 1, 0, class, 0, &aux)?;
        let targets = x.intern_atom(false, b"TARGETS")?.reply()?.atom;
        let selections = Selections::of(&connection)?;
        connection.sync()?;
        let (is_over, is_dead) = (AtomicBool::new(false), AtomicBool::new(false));
        let state = Mutex::default();
        let shared =
            Arc::new(Shared { connection, window, selections, targets, is_over, is_dead, state });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            while !served.is_over.load(Ordering::SeqCst) {
                if served.serve().is_err() {
                    break;
                }
            }
            served.is_dead.store(true, Ordering::SeqCst);
        });
        Ok(Self { shared })
    }

    pub(super) fn selections(&self) -> Selections {
        self.shared.selections
    }

    /// Whether it still hands anything out.
    pub(super) fn is_alive(&self) -> bool {
        !self.shared.is_dead.load(Ordering::SeqCst)
    }

    /// Hands out a content from now on, or nothing.
    pub(super) fn offer(&self, selection: Atom, content: Option<Clipping>) -> Result<(), Failure> {
        let Shared { connection, window, .. } = &*self.shared;
        let is_something = content.is_some();
        {
            let mut state = self.shared.locked();
            match content {
                Some(content) => drop(state.offers.insert(selection, content)),
                None => drop(state.offers.remove(&selection)),
            }
        }
        let x = &connection.x;
        if is_something {
            x.set_selection_owner(*window, selection, x11rb::CURRENT_TIME)?;
        } else if x.get_selection_owner(selection)?.reply()?.owner == *window {
            x.set_selection_owner(x11rb::NONE, selection, x11rb::CURRENT_TIME)?;
        }
        connection.sync()
    }

    /// Returns when a content was last handed out to the program of a window.
    pub(super) fn asked(&self, window: Window) -> Option<Instant> {
        self.shared.locked().asked.get(&self.shared.program(window)).copied()
    }

    pub(super) fn forget_asked(&self) {
        self.shared.locked().asked.clear();
    }

    /// Waits until other programs have all that was offered.
    pub(super) fn wait_until_replaced(&self) {
        while self.is_alive() && !self.shared.locked().offers.is_empty() {
            pause(BEAT);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let x = &self.shared.connection.x;
        // Whoever waits for the selection to be free need not wait for the thread.
        let gone = x.destroy_window(self.shared.window);
        let _ = gone.map(|_| x.flush());
    }
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what the names of all windows of a program begin with.
    fn program(&self, window: Window) -> u32 {
        window & !self.connection.x.setup().resource_id_mask
    }

    /// Answers what was asked, and waits a while for more.
    fn serve(&self) -> Result<(), Failure> {
        while let Some(event) = self.connection.x.poll_for_event()? {
            match event {
                Event::SelectionRequest(request) => self.answer(&request)?,
                // A clear that is about an offer before the last one is no clear of this one.
                Event::SelectionClear(clear) if clear.owner == self.window => {
                    let x = &self.connection.x;
                    let owner = x.get_selection_owner(clear.selection)?.reply()?.owner;
                    if owner != self.window {
                        self.locked().offers.remove(&clear.selection);
                    }
                }
                _ => {}
            }
        }
        self.connection.wait_for_input(BEAT / 5)
    }

    fn answer(&self, request: &SelectionRequestEvent) -> Result<(), Failure> {
        let x = &self.connection.x;
        // Old programs leave it to us where it goes.
        let property =
            if request.property == x11rb::NONE { request.target } else { request.property };
        let content = self.locked().offers.get(&request.selection).cloned();
        let mut given = false;
        if let Some(content) = content {
            if request.target == self.targets {
                let mut atoms = vec![self.targets];
                for form in content.forms() {
                    atoms.push(self.atom(&form.target)?);
                }
                let to = request.requestor;
                x.change_property32(PropMode::REPLACE, to, property, AtomEnum::ATOM, &atoms)?;
                given = true;
            } else {
                let name = x.get_atom_name(request.target)?.reply()?.name;
                let form = content.forms().iter().find(|form| form.target.as_bytes() == name);
                // What is too long for the server in one piece is not given.
                let most = x.maximum_request_bytes().saturating_sub(64);
                if let Some(form) = form.filter(|form| form.bytes.len() <= most) {
                    let kind = self.atom(&form.kind)?;
                    let to = request.requestor;
                    x.change_property8(PropMode::REPLACE, to, property, kind, &form.bytes)?;
                    given = true;
                    let program = self.program(request.requestor);
                    self.locked().asked.insert(program, Instant::now());
                }
            }
        }
        let told = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: if given { property } else { x11rb::NONE },
        };
        x.send_event(false, request.requestor, EventMask::NO_EVENT, told)?;
        // A program that asked and went away is no failure.
        match self.connection.sync() {
            Err(Failure::Refused(_)) => Ok(()),
            done => done,
        }
    }

    fn atom(&self, name: &str) -> Result<Atom, Failure> {
        Ok(self.connection.x.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }
}
