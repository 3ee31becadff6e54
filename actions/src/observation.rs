//! All a device can say about its screen at one moment.

use crate::screenshot::Screenshot;

/// What [`Device::observe`](crate::Device::observe) returns.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The screen's pixels.
    pub screenshot: Screenshot,
    /// The name of the application in front, where the device can tell.
    pub foreground_app: Option<String>,
}
