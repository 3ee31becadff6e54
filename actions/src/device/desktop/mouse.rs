//! The mouse, on every system through enigo.
//!
//! On X11 enigo's buttons, wheel and moves were measured to be exact, and with a delay of 4 ms in
//! the place of its 12 ms a click takes about 9 ms. Its keyboard is not used there: it corrupts
//! text (see the `x11` module).

use std::time::Duration;

use enigo::{Axis, Button, Coordinate, Direction as Press, Enigo, Mouse as _, Settings};

use crate::action::Direction;
use crate::device::Source;
use crate::device::pause::{pause, pause_unless};
use crate::geometry::DesktopPoint;
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
    enigo: Enigo,
    held: Vec<Button>,
    halt: Halt,
}

/// Input was halted; which is all that has to be known of it here.
#[derive(Debug, thiserror::Error)]
#[error("input was halted")]
struct Halted;

impl Mouse {
    /// Connects to the mouse; only X11 has displays to choose from.
    pub(super) fn open(display: Option<&str>) -> Result<Self, Source> {
        let settings = Settings {
            linux_delay: X11_DELAY,
            x11_display: display.map(str::to_owned),
            release_keys_when_dropped: false,
            ..Settings::default()
        };
        Ok(Self { enigo: Enigo::new(&settings)?, held: Vec::new(), halt: Halt::default() })
    }

    /// Looks at this switch before every move and press.
    pub(super) fn heed(&mut self, halt: Halt) {
        self.halt = halt;
    }

    fn check_going(&self) -> Result<(), Source> {
        if self.halt.is_set() { Err(Halted.into()) } else { Ok(()) }
    }

    /// Returns where the pointer is.
    pub(super) fn place(&self) -> Result<DesktopPoint, Source> {
        let (x, y) = self.enigo.location()?;
        Ok(DesktopPoint { x, y })
    }

    pub(super) fn move_to(&mut self, point: DesktopPoint) -> Result<(), Source> {
        self.check_going()?;
        Ok(self.enigo.move_mouse(point.x, point.y, Coordinate::Abs)?)
    }

    pub(super) fn click(
        &mut self,
        button: Button,
        times: u32,
        point: DesktopPoint,
    ) -> Result<(), Source> {
        self.move_to(point)?;
        for _ in 0..times {
            self.press(button)?;
            self.release(button)?;
        }
        Ok(())
    }

    /// Holds the left button down for a while.
    pub(super) fn hold(&mut self, point: DesktopPoint, time: Duration) -> Result<(), Source> {
        self.move_to(point)?;
        self.press(Button::Left)?;
        pause_unless(&self.halt, time);
        self.release(Button::Left)?;
        self.check_going()
    }

    pub(super) fn drag(&mut self, from: DesktopPoint, to: DesktopPoint) -> Result<(), Source> {
        self.move_to(from)?;
        self.press(Button::Left)?;
        for step in 1..=DRAG_STEPS {
            pause(DRAG_TEMPO);
            let part = |from: i32, to: i32| from + (to - from) * step / DRAG_STEPS;
            self.move_to(DesktopPoint { x: part(from.x, to.x), y: part(from.y, to.y) })?;
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
        let (notch, axis) = match direction {
            Direction::Up => (-1, Axis::Vertical),
            Direction::Down => (1, Axis::Vertical),
            Direction::Left => (-1, Axis::Horizontal),
            Direction::Right => (1, Axis::Horizontal),
        };
        for _ in 0..notches {
            self.check_going()?;
            self.enigo.scroll(notch, axis)?;
        }
        Ok(())
    }

    /// Lets go of every button we hold; it forgets them even if that fails.
    pub(super) fn release_all(&mut self) -> Result<(), Source> {
        let mut result = Ok(());
        for button in std::mem::take(&mut self.held) {
            result = result.and(self.enigo.button(button, Press::Release).map_err(Into::into));
        }
        result
    }

    fn press(&mut self, button: Button) -> Result<(), Source> {
        self.check_going()?;
        self.held.push(button);
        Ok(self.enigo.button(button, Press::Press)?)
    }

    fn release(&mut self, button: Button) -> Result<(), Source> {
        self.enigo.button(button, Press::Release)?;
        self.held.retain(|&held| held != button);
        Ok(())
    }
}
