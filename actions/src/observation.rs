//! All a device can say about its screen at one moment, and about the windows on it.

use crate::geometry::{PixelPoint, Rect};
use crate::screenshot::Screenshot;

/// What [`Device::observe`](crate::Device::observe) returns.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The screen's pixels.
    pub screenshot: Screenshot,
    /// The name of the application in front, where the device can tell.
    pub foreground_app: Option<String>,
}

/// Somewhere that input can go to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Where keys arrive.
    Focus,
    /// Where a press at this point of the screenshot arrives.
    Point(PixelPoint),
}

/// What a device says of the window at a place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WindowAt {
    /// There is this window.
    Window(Window),
    /// There is no window, only the bare screen.
    Nothing,
    /// The device has no means to tell.
    Unknown,
}

/// A window of an application, or an application that fills the screen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    /// What the device knows it by for as long as it is open.
    pub id: u64,
    /// The application: the class of an X11 window, the `app_id` of a Wayland one, the package of an
    /// Android application.
    pub app: String,
    /// What its title bar says, if anything.
    pub title: String,
    /// Where it is, in pixels of the screenshot, which it may reach beyond; all of the screenshot where
    /// the device has no means to tell.
    pub area: Rect,
}
