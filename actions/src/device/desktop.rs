//! The desktop this process can reach. (being filled in)

use super::{Device, DeviceError, DeviceInfo};
use crate::action::Action;
use crate::geometry::{MonitorLayout, PixelPoint};
use crate::observation::Observation;

/// Which desktop, and which monitor of it.
#[derive(Clone, Debug, Default)]
pub struct DesktopOptions {
    /// The number of the monitor, from 0 as [`monitors`] lists them; the primary one, if absent.
    pub monitor: Option<usize>,
    /// The X11 display; the one the environment names, if absent. Other systems have but one.
    pub display: Option<String>,
}

/// One monitor of a desktop.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// The system's name for it, such as `DP-1`.
    pub name: String,
    /// Where it lies on the virtual desktop.
    pub layout: MonitorLayout,
    /// Whether the system calls it the primary one.
    pub is_primary: bool,
}

/// Lists the monitors of a desktop.
///
/// # Errors
/// [`DeviceError::NoDisplay`] where there is none.
pub fn monitors(_display: Option<&str>) -> Result<Vec<Monitor>, DeviceError> {
    Ok(Vec::new())
}

/// A monitor of a desktop, its mouse and its keyboard.
pub struct DesktopDevice {}

impl DesktopDevice {
    /// Connects to a desktop.
    ///
    /// # Errors
    /// Says what is missing: the display, an extension of it, or the monitor.
    pub fn open(_options: &DesktopOptions) -> Result<Self, DeviceError> {
        Ok(Self {})
    }
}

impl Device for DesktopDevice {
    fn info(&self) -> DeviceInfo {
        unimplemented!()
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        unimplemented!()
    }

    fn perform(&mut self, _action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        unimplemented!()
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        unimplemented!()
    }
}
