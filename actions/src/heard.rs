//! What a person does with mouse, finger and keyboard, as those who listen are told of it.

use std::time::Duration;

use crate::geometry::PixelPoint;
use crate::key::Key;

/// One thing that a person did.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// When, on the device's own clock.
    pub at: Duration,
    /// What.
    pub what: HeardInput,
}

/// What a person did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HeardInput {
    /// A button or a finger went down.
    Down {
        /// Which.
        button: HeardButton,
        /// Where, in pixels of the last screenshot; nowhere, if outside of it.
        point: Option<PixelPoint>,
    },
    /// It came up.
    Up {
        /// Which.
        button: HeardButton,
        /// Where.
        point: Option<PixelPoint>,
    },
    /// The wheel was turned by a notch.
    Wheel {
        /// Towards where the content is looked at.
        direction: crate::Direction,
        /// Where the pointer was.
        point: Option<PixelPoint>,
    },
    /// The pointer moved; only where it is by now is told.
    Moved(PixelPoint),
    /// A key was pressed, with these keys: modifiers first.
    Key {
        /// All keys that were down, the pressed one last.
        chord: Vec<Key>,
        /// What it writes, if it writes something.
        text: Option<char>,
    },
    /// A button of a phone's system was pressed.
    System(crate::SystemButton),
    /// A key was pressed that has no name here, such as a dead accent.
    Unknown,
}

/// A button of a mouse; a finger is the left one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HeardButton {
    /// The left one, or a finger.
    Left,
    /// The middle one.
    Middle,
    /// The right one.
    Right,
}
