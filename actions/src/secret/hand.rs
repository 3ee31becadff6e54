//! The device that puts values in the places of their names.

use std::fmt;

use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroize as _;

use super::blackout::Blackout;
use super::text::{Piece, pieces};
use super::{SecretName, SecretRefusal, Secrets};
use crate::action::{Action, MAX_TEXT};
use crate::clipboard::PASTE_FROM;
use crate::device::{Device, DeviceError, DeviceInfo, DeviceKind};
use crate::fact::{Fact, FactSaid};
use crate::geometry::{PixelPoint, Rect};
use crate::guard::quoted;
use crate::observation::{Observation, Place, WindowAt};

/// A device that types secrets by their names, and shows none of them.
///
/// It stands right above the device it holds, and below the guard: what judges, asks, decides and
/// records has the name only.
pub struct SecretHand<D = Box<dyn Device>> {
    device: D,
    secrets: Secrets,
    blackout: Blackout,
}

impl<D: Device> SecretHand<D> {
    /// Puts secrets into the hand of a device.
    pub fn new(device: D, secrets: Secrets) -> Self {
        Self { device, secrets, blackout: Blackout::default() }
    }

    /// Returns the device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Says whether every secret of a text may be typed where the keys go now.
    fn admit(&mut self, pieces: &[Piece<'_>]) -> Result<(), DeviceError> {
        let mut length = 0;
        let mut window = None;
        for piece in pieces {
            let name = match piece {
                Piece::Plain(text) => {
                    length += text.chars().count();
                    continue;
                }
                Piece::Secret(name) => name,
            };
            let Some(secret) = self.secrets.of(name) else {
                return Err(self.refused(SecretRefusal::NotNamed { name: name.clone() }));
            };
            let value = secret.value.expose_secret();
            if !value.is_ascii() && self.device.info().kind == DeviceKind::Android {
                return Err(self.refused(SecretRefusal::OnlyPasted { name: name.clone() }));
            }
            length += value.chars().count();
            if secret.windows.is_empty() {
                continue;
            }
            let at = match &window {
                Some(at) => at,
                None => window.insert(self.device.window(Place::Focus)?),
            };
            if let Err(refusal) = self.secrets.admits(name, at) {
                return Err(self.refused(refusal));
            }
        }
        if length > MAX_TEXT as usize {
            return Err(self.refused(SecretRefusal::TooLong));
        }
        Ok(())
    }

    fn type_pieces(&mut self, pieces: &[Piece<'_>]) -> Result<(), DeviceError> {
        for piece in pieces {
            match piece {
                Piece::Plain(text) => {
                    self.device.perform(&Action::Type { text: (*text).to_owned() })?;
                }
                Piece::Secret(name) => self.type_secret(name)?,
            }
        }
        Ok(())
    }

    /// Types one value, and hides where it went.
    fn type_secret(&mut self, name: &SecretName) -> Result<(), DeviceError> {
        let before = self.device.observe()?.screenshot;
        let window = self.device.window(Place::Focus)?;
        // What was typed before it may have moved the focus.
        if let Err(refusal) = self.secrets.admits(name, &window) {
            return Err(self.refused(refusal));
        }
        let value = match self.secrets.of(name) {
            Some(secret) => secret.value.expose_secret().to_owned(),
            None => return Err(self.refused(SecretRefusal::NotNamed { name: name.clone() })),
        };
        let count = value.chars().count();
        let typed = self.type_value(value);
        // A part of it may be there even if it failed.
        let area = match &window {
            WindowAt::Window(window) => window.area,
            WindowAt::Nothing | WindowAt::Unknown => Rect::whole(before.size()),
        };
        let device = &mut self.device;
        let look = || device.observe().map(|observation| observation.screenshot.image);
        let hidden = self.blackout.hide(&before.image, area, count, look);
        typed.map_err(|error| self.without_value(name, error))?;
        hidden?;
        // A dialog that came up meanwhile may have got a part of it.
        match (&window, self.device.window(Place::Focus)?) {
            (WindowAt::Window(before), WindowAt::Window(now)) if before.id != now.id => {
                self.blackout.hide_all(now.area);
            }
            _ => {}
        }
        Ok(())
    }

    /// Types a value, in pieces so short that none is pasted: a clipboard can be read by every program.
    fn type_value(&mut self, mut value: String) -> Result<(), DeviceError> {
        let mut done = Ok(());
        let mut rest = value.as_str();
        while !rest.is_empty() && done.is_ok() {
            let end = rest.char_indices().nth(PASTE_FROM - 1).map_or(rest.len(), |(at, _)| at);
            let mut action = Action::Type { text: rest[..end].to_owned() };
            rest = &rest[end..];
            done = self.device.perform(&action);
            if let Action::Type { text } = &mut action {
                text.zeroize();
            }
        }
        value.zeroize();
        done
    }

    /// Returns an error that says nothing of the value it came up with.
    fn without_value(&self, name: &SecretName, error: DeviceError) -> DeviceError {
        match error {
            DeviceError::NoSuchKey { .. }
            | DeviceError::NoSpareKey { .. }
            | DeviceError::NotOnLayout { .. }
            | DeviceError::Invalid { .. } => {
                self.refused(SecretRefusal::Untypable { name: name.clone() })
            }
            error @ (DeviceError::Lost { .. }
            | DeviceError::Halted { .. }
            | DeviceError::Unsupported { .. }
            | DeviceError::Refused { .. }
            | DeviceError::Secret { .. }) => error,
            // What the layers below say may quote what they were to type.
            _ => self.refused(SecretRefusal::Failed { name: name.clone() }),
        }
    }

    fn refused(&self, source: SecretRefusal) -> DeviceError {
        DeviceError::Secret { device: self.device.info().name, source }
    }
}

impl Secrets {
    /// Says whether a secret may be typed into a window.
    fn admits(&self, name: &SecretName, window: &WindowAt) -> Result<(), SecretRefusal> {
        let rules = self.of(name).map_or(&[][..], |secret| &secret.windows);
        let elsewhere = |window: String| SecretRefusal::Elsewhere { name: name.clone(), window };
        match window {
            _ if rules.is_empty() => Ok(()),
            WindowAt::Unknown => Err(SecretRefusal::UnknownWindow { name: name.clone() }),
            WindowAt::Nothing => Err(elsewhere("no window at all".to_owned())),
            WindowAt::Window(window) if rules.iter().any(|rule| rule.is_exactly(window)) => Ok(()),
            WindowAt::Window(window) => Err(elsewhere(format!("the window {}", quoted(window)))),
        }
    }
}

impl<D: Device> Device for SecretHand<D> {
    fn info(&self) -> DeviceInfo {
        self.device.info()
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        let mut observation = self.device.observe()?;
        self.blackout.apply(&mut observation.screenshot.image);
        Ok(observation)
    }

    fn check(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        if let Action::Type { text } = action {
            let pieces = pieces(text).map_err(|error| self.refused(error.into()))?;
            self.admit(&pieces)?;
        }
        self.device.check(action)
    }

    fn intend(&mut self, reason: &str) {
        self.device.intend(reason);
    }

    fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    fn window(&mut self, place: Place) -> Result<WindowAt, DeviceError> {
        self.device.window(place)
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        let Action::Type { text } = action else { return self.device.perform(action) };
        // A value that was read from the screen is no less a secret for being written out.
        let text = self.secrets.redact(text);
        let pieces = pieces(&text).map_err(|error| self.refused(error.into()))?;
        if !pieces.iter().any(|piece| matches!(piece, Piece::Secret(_))) {
            return self.device.perform(action);
        }
        self.admit(&pieces)?;
        // A picture takes no text, and keeps what it is told.
        if self.device.info().kind == DeviceKind::Still {
            return self.device.perform(&Action::Type { text: text.into_owned() });
        }
        self.type_pieces(&pieces)
    }

    fn clipboard(&mut self) -> Result<Option<String>, DeviceError> {
        self.device.clipboard()
    }

    fn set_clipboard(&mut self, text: &str) -> Result<(), DeviceError> {
        self.device.set_clipboard(text)
    }

    fn fact(&mut self, fact: &Fact) -> Result<FactSaid, DeviceError> {
        Ok(self.device.fact(fact)?.redacted(&self.secrets))
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        self.device.release_all()
    }
}

impl<D> fmt::Debug for SecretHand<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretHand").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::fake::{FakeDevice, FakeScreen};
    use crate::geometry::Size;
    use crate::guard::rule::WindowRule;

    fn hand(windows: Vec<WindowRule>) -> SecretHand<FakeDevice> {
        let field = Rect { x: 20, y: 20, width: 160, height: 24 };
        let form = FakeScreen::new("form").field("PIN", field);
        let mut device = FakeDevice::new(Size { width: 320, height: 200 }, vec![form]);
        device.perform(&Action::LeftClick { coordinate: PixelPoint { x: 30, y: 30 } }).unwrap();
        let mut secrets = Secrets::default();
        let name = SecretName::new("bank").unwrap();
        secrets.grant(name, "hunter2".into(), windows).unwrap();
        SecretHand::new(device, secrets)
    }

    fn text(text: &str) -> Action<PixelPoint> {
        Action::Type { text: text.to_owned() }
    }

    #[test]
    fn the_device_gets_the_value_and_nobody_sees_it() {
        let mut hand = hand(Vec::new());
        let before = hand.observe().unwrap().screenshot;
        hand.check(&text("my {{secret:bank}}!")).unwrap();
        hand.perform(&text("my {{secret:bank}}!")).unwrap();
        assert_eq!(hand.device().text("PIN"), Some("my hunter2!"));
        let shown = hand.observe().unwrap().screenshot;
        let real = hand.device.observe().unwrap().screenshot;
        assert_ne!(real.image, before.image);
        for (x, y, pixel) in shown.image.enumerate_pixels() {
            let was = before.image.get_pixel(x, y);
            let is_plain_text = x < 60;
            assert!(is_plain_text || pixel == was || pixel.0 == [0; 3], "{x} {y} {pixel:?}");
        }
    }

    #[test]
    fn what_may_not_be_typed_is_not_and_the_reason_is_no_value() {
        let mut hand = hand(Vec::new());
        let mut refused = |action: &str| {
            let error = hand.perform(&text(action)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"));
            match error {
                DeviceError::Secret { source, .. } => source.to_string(),
                error => panic!("{error}"),
            }
        };
        assert_eq!(refused("{{secret:mail}}"), "the user named no secret `mail` for this goal");
        assert!(refused("{{secret:}}").contains("needs a name"));
        let long = format!("{}{{{{secret:bank}}}}", "x".repeat(3994));
        assert!(refused(&long).contains("more than the 4000 characters"));
        assert_eq!(hand.device().text("PIN"), Some(""));
    }

    #[test]
    fn a_secret_for_certain_windows_goes_nowhere_else() {
        let rule: WindowRule = serde_json::from_str(r#"{"app": "Bank"}"#).unwrap();
        let mut hand = hand(vec![rule]);
        // Also when it is written out, as a model would that read it from the screen.
        for action in ["{{secret:bank}}", "hunter2"] {
            let error = hand.perform(&text(action)).unwrap_err();
            let DeviceError::Secret { source, .. } = error else { panic!("{error}") };
            assert!(matches!(source, SecretRefusal::Elsewhere { .. }), "{source}");
        }
        assert_eq!(hand.device().text("PIN"), Some(""));
    }
}
