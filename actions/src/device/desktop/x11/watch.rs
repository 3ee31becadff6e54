//! Notices that the user takes the mouse or types, and the stop chord.
//!
//! The server tells every program that asks of every press and move, whatever window is in front
//! (`XInput` 2 raw events). What is not ours is the user's: while nothing is being performed that is
//! everything, and while something is, whatever did not come through XTEST. So it works with a real
//! mouse and with that of a remote desktop, in a container and in a virtual machine.
//!
//! Our own events are told apart without a clock. When an action is over and the server has done
//! all of it, the events it caused are before the answer to the next question this connection asks,
//! so all that was read by then are ours.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::Event;
use x11rb::protocol::xinput::{self, ConnectionExt as _};
use x11rb::protocol::xproto::ConnectionExt as _;

use super::connection::Connection;
use super::keyboard::read_keymap;
use crate::device::DeviceError;
use crate::device::desktop::backend::Watch;
use crate::device::desktop::{Failure, WatchOptions, keysym};
use crate::halt::{Halt, HaltCause, Reaction};
use crate::key::{Key, NamedKey};

/// How often the thread looks whether it is still wanted.
const BEAT: Duration = Duration::from_millis(100);
/// How far the pointer may be moved before it counts, in pixels: a desk that is knocked moves it,
/// too.
const KNOCK: i32 = 8;
/// The name `XInput` has for all pointers and keyboards that programs see.
pub(super) const ALL_MASTERS: u16 = 1;

/// A watch over one display; it ends when dropped.
pub(super) struct X11Watch {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Connection,
    options: WatchOptions,
    halt: Halt,
    is_over: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// The devices that stand for what programs send.
    xtest: Vec<u16>,
    /// Whether an action is being performed.
    acting: bool,
    /// Where the pointer was left.
    rest: (i16, i16),
    /// The keys that are down, as the events tell: by the time one is read, they may be up again.
    down: BTreeSet<u8>,
    /// For each key of the stop chord the keycodes that count as it.
    chord: Vec<Vec<u8>>,
}

impl X11Watch {
    /// Starts to watch a display; `None` if its server cannot tell.
    pub(super) fn start(
        display: &str,
        options: WatchOptions,
        halt: Halt,
    ) -> Result<Option<Self>, DeviceError> {
        let connection = Connection::open(Some(display))?;
        let fail = |failure: Failure| failure.while_asked(display, "watch the user's input");
        let Some(mut state) = prepare(&connection).map_err(fail)? else { return Ok(None) };
        state.chord = keycodes(&connection, options.chord.as_deref()).map_err(fail)?;
        let is_over = AtomicBool::new(false);
        let shared =
            Arc::new(Shared { connection, options, halt, is_over, state: Mutex::new(state) });
        let watched = Arc::clone(&shared);
        std::thread::spawn(move || {
            // A display that goes away is noticed by the device, and ends the watch.
            while !watched.is_over.load(Ordering::SeqCst) {
                if watched.look().is_err() {
                    break;
                }
            }
        });
        Ok(Some(Self { shared }))
    }
}

impl Watch for X11Watch {
    /// What comes through XTEST from now on is ours.
    fn begin(&self) -> Result<(), Failure> {
        let mut state = self.shared.locked();
        // What came before is the user's.
        self.shared.drain(&mut state)?;
        state.acting = true;
        Ok(())
    }

    /// It is over once the server has done all of it.
    fn end(&self) -> Result<(), Failure> {
        let mut state = self.shared.locked();
        state.rest = self.shared.pointer()?;
        self.shared.drain(&mut state)?;
        state.acting = false;
        Ok(())
    }
}

impl Drop for X11Watch {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

/// Asks for the events, and where things are now.
fn prepare(connection: &Connection) -> Result<Option<State>, Failure> {
    let x = &connection.x;
    if x.extension_information(xinput::X11_EXTENSION_NAME)?.is_none() {
        return Ok(None);
    }
    let version = x.xinput_xi_query_version(2, 2)?.reply()?;
    if (version.major_version, version.minor_version) < (2, 1) {
        return Ok(None);
    }
    let devices = x.xinput_xi_query_device(0_u16)?.reply()?.infos;
    let xtest = devices
        .iter()
        .filter(|device| String::from_utf8_lossy(&device.name).contains("XTEST"))
        .map(|device| device.deviceid)
        .collect();
    let events = xinput::XIEventMask::RAW_KEY_PRESS
        | xinput::XIEventMask::RAW_KEY_RELEASE
        | xinput::XIEventMask::RAW_BUTTON_PRESS
        | xinput::XIEventMask::RAW_MOTION;
    let mask = xinput::EventMask { deviceid: ALL_MASTERS, mask: vec![events] };
    x.xinput_xi_select_events(connection.root, &[mask])?.check()?;
    let pointer = x.query_pointer(connection.root)?.reply()?;
    let rest = (pointer.root_x, pointer.root_y);
    Ok(Some(State { xtest, acting: false, rest, down: BTreeSet::new(), chord: Vec::new() }))
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for events for one beat, and looks at them.
    fn look(&self) -> Result<(), Failure> {
        self.connection.wait_for_input(BEAT)?;
        self.drain(&mut self.locked())
    }

    fn drain(&self, state: &mut State) -> Result<(), Failure> {
        let mut moved = false;
        while let Some(event) = self.connection.x.poll_for_event()? {
            match event {
                Event::XinputRawKeyPress(event) => {
                    state.down.extend(u8::try_from(event.detail));
                    if state.is_chord_down() {
                        self.halt.stop(HaltCause::Chord);
                    } else if !is_ours(state, event.sourceid) {
                        self.react();
                    }
                }
                Event::XinputRawKeyRelease(event) => {
                    state.down.retain(|&code| u32::from(code) != event.detail);
                }
                Event::MappingNotify(_) => {
                    let chord = self.options.chord.as_deref();
                    state.chord = keycodes(&self.connection, chord)?;
                }
                Event::XinputRawButtonPress(event) if !is_ours(state, event.sourceid) => {
                    self.react();
                }
                Event::XinputRawMotion(event) => moved |= !is_ours(state, event.sourceid),
                _ => {}
            }
        }
        // While an action moves the pointer, nobody knows where it would be without the user.
        if moved && !state.acting && !self.halt.is_set() {
            let (x, y) = self.pointer()?;
            let off = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs();
            if off(x, state.rest.0).max(off(y, state.rest.1)) > KNOCK {
                self.react();
            }
        }
        if self.halt.is_set() && !state.acting {
            // When it goes on, it goes on from where the user left the pointer.
            state.rest = self.pointer()?;
        }
        Ok(())
    }

    fn react(&self) {
        match self.options.user_input {
            Reaction::Pause => self.halt.pause(HaltCause::UserInput),
            Reaction::Stop => self.halt.stop(HaltCause::UserInput),
            Reaction::Ignore => {}
        }
    }

    fn pointer(&self) -> Result<(i16, i16), Failure> {
        let pointer = self.connection.x.query_pointer(self.connection.root)?.reply()?;
        Ok((pointer.root_x, pointer.root_y))
    }
}

impl State {
    /// Whether all keys of the stop chord are down, whoever pressed them.
    fn is_chord_down(&self) -> bool {
        let is_down = |codes: &Vec<u8>| codes.iter().any(|code| self.down.contains(code));
        !self.chord.is_empty() && self.chord.iter().all(is_down)
    }
}

/// Returns for each key of a chord the keycodes that count as it.
fn keycodes(connection: &Connection, chord: Option<&[Key]>) -> Result<Vec<Vec<u8>>, Failure> {
    let Some(chord) = chord else { return Ok(Vec::new()) };
    let keymap = read_keymap(connection)?;
    Ok(chord.iter().map(|&key| keymap.all_keys(&keysyms(key))).collect())
}

/// Whether a device's event was caused by us.
fn is_ours(state: &State, source: u16) -> bool {
    state.acting && state.xtest.contains(&source)
}

/// Returns what the keys that count as this one write.
fn keysyms(key: Key) -> Vec<u32> {
    match key {
        Key::Function(number) => vec![keysym::of_function(number)],
        Key::Named(NamedKey::Space) => vec![u32::from(' ')],
        Key::Char(character) => vec![keysym::of_char(character)],
        Key::Named(_) => keysym::of_key(key).to_vec(),
    }
}
