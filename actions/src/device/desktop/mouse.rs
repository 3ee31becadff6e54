//! The mouse: what a click, a drag and a scroll are made of, and what of it is held.
//!
//! What moves the pointer is the system's [`Hand`]: enigo's, but on Wayland. On X11 enigo's buttons,
//! wheel and moves were measured to be exact, and with a delay of 4 ms in the place of its 12 ms a
//! click takes about 9 ms. Its keyboard is not used there: it corrupts text (see the `x11` module).

use std::time::Duration;

use enigo::{Axis, Button, Coordinate, Direction as Press, Enigo, Mouse as _, Settings};

use super::backend::{Hand, Spot};
use crate::action::Direction;
use crate::device::Source;
use crate::device::pause::{pause, pause_unless};
use crate::geometry::{DesktopPoint, MonitorPoint};
use crate::halt::Halt;

/// How long enigo lets each press and release last on X11, in milliseconds.
const X11_DELAY: u32 = 4;
/// Into how many moves a drag is cut. Web pages take the first as its start and ignore jumps.
const DRAG_STEPS: i32 = 16;
/// How long each of them takes.
const DRAG_TEMPO: Duration = Duration::from_millis(8);
/// How long a drag rests once it has begun, and before it is dropped: it is offered to the program below
/// the pointer, whose answer takes a moment, and a drop before that is none (Chromium, file managers).
const DRAG_REST: [Duration; 2] = [Duration::from_millis(150), Duration::from_millis(350)];

/// The mouse of a desktop, and which of its buttons we hold.
pub(super) struct Mouse {
    hand: Box<dyn Hand>,
    held: Vec<Button>,
    /// Where it was moved last.
    spot: Option<Spot>,
    halt: Halt,
}

/// Input was halted; which is all that has to be known of it here.
#[derive(Debug, thiserror::Error)]
#[error("input was halted")]
struct Halted;

impl Mouse {
    pub(super) fn new(hand: Box<dyn Hand>) -> Self {
        Self { hand, held: Vec::new(), spot: None, halt: Halt::default() }
    }

    /// Looks at this switch before every move and press.
    pub(super) fn heed(&mut self, halt: Halt) {
        self.halt = halt;
    }

    fn check_going(&self) -> Result<(), Source> {
        if self.halt.is_set() { Err(Halted.into()) } else { Ok(()) }
    }

    /// Returns where the pointer is, where that is to be known.
    pub(super) fn place(&self) -> Result<Option<DesktopPoint>, Source> {
        self.hand.place()
    }

    /// Returns where it was moved last.
    pub(super) fn spot(&self) -> Option<Spot> {
        self.spot
    }

    pub(super) fn move_to(&mut self, spot: Spot) -> Result<(), Source> {
        self.check_going()?;
        self.hand.move_to(spot)?;
        self.spot = Some(spot);
        Ok(())
    }

    pub(super) fn click(&mut self, button: Button, times: u32, spot: Spot) -> Result<(), Source> {
        self.move_to(spot)?;
        for _ in 0..times {
            self.press(button)?;
            pause(self.hand.tempo());
            self.release(button)?;
            pause(self.hand.tempo());
        }
        Ok(())
    }

    /// Holds the left button down for a while.
    pub(super) fn hold(&mut self, spot: Spot, time: Duration) -> Result<(), Source> {
        self.move_to(spot)?;
        self.press(Button::Left)?;
        pause_unless(&self.halt, time);
        self.release(Button::Left)?;
        self.check_going()
    }

    pub(super) fn drag(&mut self, from: Spot, to: Spot) -> Result<(), Source> {
        self.move_to(from)?;
        self.press(Button::Left)?;
        for step in 1..=DRAG_STEPS {
            pause(DRAG_TEMPO);
            self.move_to(from.towards(to, step))?;
            match step {
                1 => pause_unless(&self.halt, DRAG_REST[0]),
                DRAG_STEPS => pause_unless(&self.halt, DRAG_REST[1]),
                _ => {}
            }
        }
        self.release(Button::Left)?;
        self.check_going()
    }

    pub(super) fn scroll(&mut self, direction: Direction, notches: u32) -> Result<(), Source> {
        for _ in 0..notches {
            self.check_going()?;
            self.hand.turn(direction)?;
            pause(self.hand.tempo());
        }
        Ok(())
    }

    /// Lets go of every button we hold; it forgets them even if that fails.
    pub(super) fn release_all(&mut self) -> Result<(), Source> {
        let mut result = Ok(());
        for button in std::mem::take(&mut self.held) {
            result = result.and(self.hand.release(button));
        }
        result
    }

    fn press(&mut self, button: Button) -> Result<(), Source> {
        self.check_going()?;
        self.held.push(button);
        self.hand.press(button)
    }

    fn release(&mut self, button: Button) -> Result<(), Source> {
        self.hand.release(button)?;
        self.held.retain(|&held| held != button);
        Ok(())
    }
}

impl Spot {
    /// Returns the place after this many of a drag's steps to another on the same monitor.
    fn towards(self, to: Self, step: i32) -> Self {
        let part = |from: i32, to: i32| from + (to - from) * step / DRAG_STEPS;
        let (from, to_point) = (self.desktop, to.desktop);
        let desktop = DesktopPoint { x: part(from.x, to_point.x), y: part(from.y, to_point.y) };
        let (from, to_pixel) = (self.pixel, to.pixel);
        let pixel = MonitorPoint { x: part(from.x, to_pixel.x), y: part(from.y, to_pixel.y) };
        Self { desktop, pixel, ..to }
    }
}

/// enigo's hand.
pub(super) struct EnigoHand(Enigo);

impl EnigoHand {
    /// Connects to the mouse; only X11 has displays to choose from.
    pub(super) fn open(display: Option<&str>) -> Result<Box<dyn Hand>, Source> {
        let settings = Settings {
            linux_delay: X11_DELAY,
            x11_display: display.map(str::to_owned),
            release_keys_when_dropped: false,
            ..Settings::default()
        };
        Ok(Box::new(Self(Enigo::new(&settings)?)))
    }
}

impl Hand for EnigoHand {
    fn place(&self) -> Result<Option<DesktopPoint>, Source> {
        let (x, y) = self.0.location()?;
        Ok(Some(DesktopPoint { x, y }))
    }

    fn move_to(&mut self, spot: Spot) -> Result<(), Source> {
        let DesktopPoint { x, y } = spot.desktop;
        Ok(self.0.move_mouse(x, y, Coordinate::Abs)?)
    }

    fn press(&mut self, button: Button) -> Result<(), Source> {
        Ok(self.0.button(button, Press::Press)?)
    }

    fn release(&mut self, button: Button) -> Result<(), Source> {
        Ok(self.0.button(button, Press::Release)?)
    }

    fn turn(&mut self, direction: Direction) -> Result<(), Source> {
        let (notch, axis) = match direction {
            Direction::Up => (-1, Axis::Vertical),
            Direction::Down => (1, Axis::Vertical),
            Direction::Left => (-1, Axis::Horizontal),
            Direction::Right => (1, Axis::Horizontal),
        };
        Ok(self.0.scroll(notch, axis)?)
    }
}
