//! A pointer of our own, which is placed on an output by the pixel.

use std::time::Duration;

use enigo::Button;
use wayland_client::delegate_noop;
use wayland_client::protocol::wl_output::Transform;
use wayland_client::protocol::wl_pointer::{Axis, AxisSource, ButtonState};
use wayland_client::protocol::wl_seat::Capability;
use wayland_protocols_wlr::virtual_pointer::v1::client::zwlr_virtual_pointer_v1::ZwlrVirtualPointerV1;

use super::session::{Session, State, now};
use super::{Shared, locked};
use crate::action::Direction;
use crate::device::Source;
use crate::device::desktop::Failure;
use crate::device::desktop::backend::{Hand, Spot};
use crate::geometry::DesktopPoint;

/// How far a notch of the wheel scrolls, in logical pixels, as the wheels of real mice do.
const NOTCH: f64 = 15.0;
/// For how long a press lasts, and after how long the next may follow.
const TEMPO: Duration = Duration::from_millis(4);

/// The pointer, which is made when it is first moved.
pub(super) struct WaylandHand {
    session: Shared,
    pointer: Option<Pointer>,
}

/// A number, and the length it is a part of.
type Part = [u32; 2];

/// A pointer on one output.
struct Pointer {
    pointer: ZwlrVirtualPointerV1,
    output: u32,
}

impl WaylandHand {
    pub(super) fn new(session: Shared) -> Self {
        Self { session, pointer: None }
    }

    /// Has the pointer do something that belongs together, and waits until it is done.
    fn send(&self, what: impl FnOnce(&ZwlrVirtualPointerV1)) -> Result<(), Source> {
        // One that was never moved has nothing pressed.
        let Some(Pointer { pointer, .. }) = &self.pointer else { return Ok(()) };
        what(pointer);
        pointer.frame();
        locked(&self.session).sync().map_err(Failure::into_source)
    }

    fn button(&self, button: Button, state: ButtonState) -> Result<(), Source> {
        let code = code(button).ok_or("there is no such button")?;
        self.send(|pointer| pointer.button(now(), code, state))
    }
}

/// Returns a place of an output as the output is wired, each number with the length it is a part of.
///
/// A pointer that belongs to an output is taken to be turned with it, as a touchscreen is.
fn unturned(across: Part, down: Part, transform: Transform) -> (Part, Part) {
    let from_end = |[value, length]: Part| [length.saturating_sub(value), length];
    match transform {
        Transform::_90 => (down, from_end(across)),
        Transform::_180 => (from_end(across), from_end(down)),
        Transform::_270 => (from_end(down), across),
        Transform::Flipped => (from_end(across), down),
        Transform::Flipped90 => (down, across),
        Transform::Flipped180 => (across, from_end(down)),
        Transform::Flipped270 => (from_end(down), from_end(across)),
        _ => (across, down),
    }
}

impl Pointer {
    fn on(session: &mut Session, monitor: usize) -> Result<Self, Failure> {
        let gone = || Failure::Refused("the output was unplugged".into());
        let placed = session.outputs().nth(monitor).ok_or_else(gone)?;
        let (output, global) = (placed.output.clone(), placed.global);
        session.introduce(Capability::Pointer, |tools, handle| {
            let (seat, output) = (Some(&tools.seat), Some(&output));
            let pointers = &tools.pointers;
            let pointer = pointers.create_virtual_pointer_with_output(seat, output, handle, ());
            Ok(Self { pointer, output: global })
        })
    }
}

impl Hand for WaylandHand {
    /// No compositor tells.
    fn place(&self) -> Result<Option<DesktopPoint>, Source> {
        Ok(None)
    }

    fn move_to(&mut self, spot: Spot) -> Result<(), Source> {
        let (size, transform) = {
            let mut session = locked(&self.session);
            let placed = session.outputs().nth(spot.monitor).ok_or("the output was unplugged")?;
            let (global, size, transform) = (placed.global, placed.size(), placed.transform);
            if self.pointer.as_ref().is_none_or(|pointer| pointer.output != global) {
                let new = Pointer::on(&mut session, spot.monitor).map_err(Failure::into_source)?;
                if let Some(old) = self.pointer.replace(new) {
                    old.pointer.destroy();
                }
            }
            (size, transform)
        };
        // The middle of the pixel, in halves of one.
        let half = |value: i32| u32::try_from(value).map(|value| 2 * value + 1);
        let (x, y) = (half(spot.pixel.x)?, half(spot.pixel.y)?);
        let ([x, width], [y, height]) =
            unturned([x, 2 * size.width], [y, 2 * size.height], transform);
        self.send(|pointer| pointer.motion_absolute(now(), x, y, width, height))
    }

    fn press(&mut self, button: Button) -> Result<(), Source> {
        self.button(button, ButtonState::Pressed)
    }

    fn release(&mut self, button: Button) -> Result<(), Source> {
        self.button(button, ButtonState::Released)
    }

    fn turn(&mut self, direction: Direction) -> Result<(), Source> {
        let (axis, notch) = match direction {
            Direction::Up => (Axis::VerticalScroll, -1),
            Direction::Down => (Axis::VerticalScroll, 1),
            Direction::Left => (Axis::HorizontalScroll, -1),
            Direction::Right => (Axis::HorizontalScroll, 1),
        };
        self.send(|pointer| {
            pointer.axis_source(AxisSource::Wheel);
            pointer.axis_discrete(now(), axis, NOTCH * f64::from(notch), notch);
        })
    }

    fn tempo(&self) -> Duration {
        TEMPO
    }
}

/// The kernel's numbers for the buttons that are pressed: left, right and middle.
pub(super) const BUTTONS: [u32; 3] = [0x110, 0x111, 0x112];

pub(super) fn code(button: Button) -> Option<u32> {
    let [left, right, middle] = BUTTONS;
    match button {
        Button::Left => Some(left),
        Button::Right => Some(right),
        Button::Middle => Some(middle),
        _ => None,
    }
}

delegate_noop!(State: ZwlrVirtualPointerV1);
