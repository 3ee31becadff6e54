//! A device that is an image file.
//!
//! It is for asking "what would you do on this screen": actions are checked as on a real device
//! and kept for the caller to report, and the screen never changes.

use std::io::{BufReader, Cursor};
use std::path::Path;

use image::{ImageReader, RgbImage};

use super::{Device, DeviceError, DeviceInfo, DeviceKind, admit};
use crate::action::{Action, ActionSpace};
use crate::geometry::PixelPoint;
use crate::observation::Observation;
use crate::screenshot::Screenshot;

/// A screen that is an image: actions are checked and kept, never performed.
#[derive(Clone, Debug)]
pub struct StillDevice {
    name: String,
    screenshot: Screenshot,
    action_space: ActionSpace,
    actions: Vec<Action<PixelPoint>>,
}

impl StillDevice {
    /// Reads an image file as the screen of a desktop. The format is told from the content.
    ///
    /// # Errors
    /// [`DeviceError::File`] or [`DeviceError::Image`] with the file's name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DeviceError> {
        let path = path.as_ref();
        let file = fs_err::File::open(path).map_err(DeviceError::File)?;
        let unreadable = |source| DeviceError::Image { path: path.to_owned(), source };
        let image = ImageReader::new(BufReader::new(file))
            .with_guessed_format()
            .map_err(|err| unreadable(err.into()))?
            .decode()
            .map_err(unreadable)?;
        Ok(Self::from_image(path.display().to_string(), image.into_rgb8()))
    }

    /// Reads an encoded image, such as one that came over a network, as the screen of a desktop.
    ///
    /// # Errors
    /// [`DeviceError::Image`] with `name` in the place of the file's name.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Result<Self, DeviceError> {
        let name = name.into();
        let unreadable = |source| DeviceError::Image { path: (&name).into(), source };
        let image = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|err| unreadable(err.into()))?
            .decode()
            .map_err(unreadable)?
            .into_rgb8();
        Ok(Self::from_image(name, image))
    }

    /// Takes pixels as the screen of a desktop.
    pub fn from_image(name: impl Into<String>, image: RgbImage) -> Self {
        Self {
            name: name.into(),
            screenshot: Screenshot::now(image, 1.0),
            action_space: ActionSpace::desktop(),
            actions: Vec::new(),
        }
    }

    /// Returns the device with other verbs, such as those of a phone.
    #[must_use]
    pub fn with_action_space(mut self, action_space: ActionSpace) -> Self {
        self.action_space = action_space;
        self
    }

    /// Returns the actions that were accepted so far.
    pub fn actions(&self) -> &[Action<PixelPoint>] {
        &self.actions
    }
}

impl Device for StillDevice {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            name: self.name.clone(),
            kind: DeviceKind::Still,
            size: self.screenshot.size(),
            scale: self.screenshot.scale,
            action_space: self.action_space.clone(),
        }
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        Ok(Observation { screenshot: self.screenshot.clone(), foreground_app: None })
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        admit(&self.info(), action)?;
        self.actions.push(action.clone());
        Ok(())
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_checked_and_kept() {
        let mut device = StillDevice::from_image("white", RgbImage::new(20, 10));
        let inside = Action::LeftClick { coordinate: PixelPoint { x: 19, y: 9 } };
        let outside = Action::LeftClick { coordinate: PixelPoint { x: 20, y: 9 } };
        device.perform(&inside).unwrap();
        assert!(matches!(device.perform(&outside), Err(DeviceError::Invalid { .. })));
        let phone_only = Action::OpenApp { app: "Clock".to_owned() };
        assert!(matches!(device.perform(&phone_only), Err(DeviceError::Unsupported { .. })));
        assert_eq!(device.actions(), [inside]);
    }

    #[test]
    fn what_is_no_image_is_an_error_that_names_it() {
        let err = StillDevice::open("no/such/file.png").unwrap_err();
        assert!(std::error::Error::source(&err).unwrap().to_string().contains("no/such/file.png"));
        let err = StillDevice::from_bytes("upload", b"hello").unwrap_err();
        assert_eq!(err.to_string(), "could not read the image `upload`");
    }
}
