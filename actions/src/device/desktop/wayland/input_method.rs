//! Writes what programs do not take from keys.
//!
//! Chromium cuts what a key writes to 16 bits, which makes another character of every emoji. Input methods
//! hand over text, and programs ask the compositor for one wherever text is written. So for those
//! characters we are one for a moment, unless the user has one already.

use std::time::{Duration, Instant};

use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop};
use wayland_protocols_misc::zwp_input_method_v2::client::zwp_input_method_manager_v2::ZwpInputMethodManagerV2;
use wayland_protocols_misc::zwp_input_method_v2::client::zwp_input_method_v2::{
    self, ZwpInputMethodV2,
};

use super::session::{Session, State};
use crate::device::desktop::Failure;
use crate::device::pause::pause;

/// How long a program may take to say that text is written in it, once there is an input method.
const JOINING: Duration = Duration::from_millis(250);
const BEAT: Duration = Duration::from_millis(5);
/// For how long a program must have told nothing of what it shows before it is handed a text: some
/// drop what crosses with that. And how long that is waited for.
const QUIET: Duration = Duration::from_millis(40);
const DRAWING: Duration = Duration::from_millis(400);

/// What the compositor told of us as an input method.
#[derive(Default)]
pub(super) struct Method {
    /// Whether text is written somewhere; what is told counts from the next `done`.
    is_active: bool,
    will_be_active: bool,
    /// Whether there is another input method.
    is_refused: bool,
    /// How often it said `done`.
    serial: u32,
}

/// An input method for a few characters.
pub(super) struct InputMethod(ZwpInputMethodV2);

impl InputMethod {
    /// Becomes the input method of where the keyboard is; `None` if nobody asks for one there.
    pub(super) fn join(session: &mut Session) -> Result<Option<Self>, Failure> {
        let Some(methods) = session.tools().methods.clone() else { return Ok(None) };
        session.state().method = Method::default();
        let (handle, seat) = (session.handle(), session.tools().seat.clone());
        let method = Self(methods.get_input_method(&seat, &handle, ()));
        let start = Instant::now();
        loop {
            session.sync()?;
            let told = &session.state().method;
            if told.is_active {
                return Ok(Some(method));
            }
            if told.is_refused || start.elapsed() >= JOINING {
                return Ok(None);
            }
            pause(BEAT);
        }
    }

    /// Writes a text.
    pub(super) fn write(&self, session: &mut Session, text: String) -> Result<(), Failure> {
        let start = Instant::now();
        let (mut serial, mut since) = (session.state().method.serial, start);
        while since.elapsed() < QUIET && start.elapsed() < DRAWING {
            pause(BEAT);
            session.sync()?;
            if session.state().method.serial != serial {
                (serial, since) = (session.state().method.serial, Instant::now());
            }
        }
        self.0.commit_string(text);
        self.0.commit(serial);
        session.sync()
    }
}

impl Drop for InputMethod {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

impl Dispatch<ZwpInputMethodV2, ()> for State {
    fn event(
        state: &mut Self,
        _: &ZwpInputMethodV2,
        event: zwp_input_method_v2::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zwp_input_method_v2::Event;
        let method = &mut state.method;
        match event {
            Event::Activate => method.will_be_active = true,
            Event::Deactivate => method.will_be_active = false,
            Event::Unavailable => method.is_refused = true,
            Event::Done => {
                method.serial = method.serial.wrapping_add(1);
                method.is_active = method.will_be_active;
            }
            _ => {}
        }
    }
}

delegate_noop!(State: ZwpInputMethodManagerV2);
