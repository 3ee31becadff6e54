//! A device that somebody else has: what it shows is handed in, and what is to be done is handed out.
//!
//! Benchmarks keep their phones and desktops to themselves. They send a screenshot, do what they are told,
//! and say with the next screenshot how that went; so [`Device::perform`] is over when the next screenshot
//! is there. Nothing waits without end: somebody who says nothing for too long is gone.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{Device, DeviceError, DeviceInfo, DeviceKind, admit};
use crate::action::{Action, ActionSpace};
use crate::geometry::{PixelPoint, Rect, Size};
use crate::observation::{Observation, Place, Window, WindowAt};

/// What whoever has the device sends.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the screen shows now.
    pub observation: Observation,
    /// Why the action that was handed out before could not be performed, if it could not.
    pub problem: Option<String>,
}

/// What a [`RelayDevice`] is to the one who acts on it.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// Its name, for messages.
    pub name: String,
    /// Its kind.
    pub kind: DeviceKind,
    /// The size of its screen, until a screenshot says another.
    pub size: Size,
    /// The verbs it can perform.
    pub action_space: ActionSpace,
    /// How long whoever has it may say nothing.
    pub patience: Duration,
}

/// Is told of an action that is to be performed.
type HandOut = Box<dyn FnMut(&Action<PixelPoint>) + Send>;

/// A screen that is somewhere else, in somebody's hands.
pub struct RelayDevice {
    options: RelayOptions,
    seen: Receiver<Seen>,
    hand_out: HandOut,
    /// What came with the news of how the last action went.
    next: Option<Observation>,
    foreground_app: Option<String>,
}

impl RelayDevice {
    /// Returns a device, and what its screenshots are handed in by; `hand_out` is told what to do.
    ///
    /// Once the other end is dropped the device is gone.
    pub fn new(
        options: RelayOptions,
        hand_out: impl FnMut(&Action<PixelPoint>) + Send + 'static,
    ) -> (Self, Sender<Seen>) {
        let (sender, seen) = channel();
        let hand_out = Box::new(hand_out);
        (Self { options, seen, hand_out, next: None, foreground_app: None }, sender)
    }

    fn wait(&mut self) -> Result<Seen, RecvTimeoutError> {
        let seen = self.seen.recv_timeout(self.options.patience)?;
        self.options.size = seen.observation.screenshot.size();
        self.foreground_app.clone_from(&seen.observation.foreground_app);
        Ok(seen)
    }

    fn lost(&self, task: &'static str, source: RecvTimeoutError) -> DeviceError {
        let (device, source) = (self.options.name.clone(), source.into());
        DeviceError::Lost { device, task, source }
    }
}

impl Device for RelayDevice {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            name: self.options.name.clone(),
            kind: self.options.kind,
            size: self.options.size,
            scale: 1.0,
            action_space: self.options.action_space.clone(),
        }
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        match self.next.take() {
            Some(observation) => Ok(observation),
            None => match self.wait() {
                Ok(seen) => Ok(seen.observation),
                Err(source) => Err(self.lost("show its screen", source)),
            },
        }
    }

    /// Hands an action out, and waits until it is known how it went.
    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        let verb = action.verb();
        admit(&self.info(), action)?;
        if !verb.acts() {
            return Ok(());
        }
        (self.hand_out)(action);
        let seen = match self.wait() {
            Ok(seen) => seen,
            // Whoever took the action and left may well have done it.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(source) => return Err(self.lost("perform an action", source)),
        };
        self.next = Some(seen.observation);
        let device = self.options.name.clone();
        let failed = |problem| Err(DeviceError::Elsewhere { device, verb, problem });
        seen.problem.map_or(Ok(()), failed)
    }

    fn window(&mut self, _place: Place) -> Result<WindowAt, DeviceError> {
        let Some(app) = self.foreground_app.clone() else { return Ok(WindowAt::Unknown) };
        let Size { width, height } = self.options.size;
        let area = Rect { x: 0, y: 0, width, height };
        Ok(WindowAt::Window(Window { id: 0, app, title: String::new(), area }))
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl fmt::Debug for RelayDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayDevice").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::screenshot::Screenshot;

    fn seen(width: u32, problem: Option<&str>) -> Seen {
        let screenshot = Screenshot::now(RgbImage::new(width, 100), 1.0);
        let foreground_app = Some("com.android.settings".to_owned());
        let observation = Observation { screenshot, foreground_app };
        Seen { observation, problem: problem.map(str::to_owned) }
    }

    fn device() -> (RelayDevice, Sender<Seen>, Receiver<String>) {
        let (told, actions) = channel();
        let options = RelayOptions {
            name: "a phone".to_owned(),
            kind: DeviceKind::Android,
            size: Size { width: 50, height: 100 },
            action_space: ActionSpace::android(),
            patience: Duration::from_millis(50),
        };
        let hand_out = move |action: &Action<PixelPoint>| {
            let _ = told.send(action.to_string());
        };
        let (device, sender) = RelayDevice::new(options, hand_out);
        (device, sender, actions)
    }

    #[test]
    fn an_action_is_over_when_the_next_screenshot_is_there() {
        let (mut device, sender, actions) = device();
        sender.send(seen(50, None)).unwrap();
        assert_eq!(device.observe().unwrap().screenshot.size().width, 50);
        sender.send(seen(60, None)).unwrap();
        device.perform(&Action::LeftClick { coordinate: PixelPoint { x: 3, y: 4 } }).unwrap();
        assert_eq!(actions.try_recv().unwrap(), "left_click (3, 4)");
        // That screenshot is what is seen next, and waited for no second time.
        assert_eq!(device.observe().unwrap().screenshot.size().width, 60);
        assert_eq!(device.info().size.width, 60);
        let WindowAt::Window(window) = device.window(Place::Focus).unwrap() else { panic!() };
        assert_eq!(window.app, "com.android.settings");
    }

    #[test]
    fn what_went_wrong_elsewhere_is_an_error_that_is_survived() {
        let (mut device, sender, actions) = device();
        sender.send(seen(50, Some("adb: device offline"))).unwrap();
        let error = device.perform(&Action::Type { text: "a".to_owned() }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`type` failed on device `a phone`, which is elsewhere: adb: device offline"
        );
        assert!(error.may_have_been_done());
        assert_eq!(actions.try_iter().count(), 1);
        // What makes no sense is not even handed out.
        let outside = Action::LeftClick { coordinate: PixelPoint { x: 50, y: 0 } };
        assert!(matches!(device.perform(&outside), Err(DeviceError::Invalid { .. })));
        assert_eq!(actions.try_iter().count(), 0);
    }

    #[test]
    fn whoever_says_nothing_or_leaves_is_gone() {
        let (mut device, sender, _actions) = device();
        assert!(matches!(device.observe(), Err(DeviceError::Lost { .. })));
        let typing = Action::Type { text: "a".to_owned() };
        let error = device.perform(&typing).unwrap_err();
        assert!(matches!(error, DeviceError::Lost { .. }) && error.is_fatal());
        drop(sender);
        device.perform(&typing).unwrap();
        assert!(matches!(device.observe(), Err(DeviceError::Lost { .. })));
    }
}
