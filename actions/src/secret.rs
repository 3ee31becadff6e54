//! Secrets by name: what is typed and never said.
//!
//! A goal, a model and every record say `{{secret:bank}}`; the value is known to one place only, the
//! [`SecretHand`], which stands between the guard and the device. It puts the value in as the last
//! thing before the keys go down, and blacks out the field it went to in every screenshot from then
//! on, so that nothing above it ever has the value: no policy, prompt, trace or message.
//!
//! ```
//! use handsight_actions::secret::{SecretHand, SecretName, Secrets};
//! use handsight_actions::{Action, Device, FakeDevice, FakeScreen, PixelPoint, Rect, Size};
//!
//! let form = FakeScreen::new("form").field("PIN", Rect { x: 20, y: 20, width: 160, height: 24 });
//! let device = FakeDevice::new(Size { width: 320, height: 200 }, vec![form]);
//! let mut secrets = Secrets::default();
//! secrets.grant(SecretName::new("pin").unwrap(), "90210".into(), Vec::new())?;
//! let mut hand = SecretHand::new(device, secrets);
//!
//! hand.perform(&Action::LeftClick { coordinate: PixelPoint { x: 30, y: 30 } })?;
//! hand.perform(&Action::Type { text: "{{secret:pin}}".to_owned() })?;
//! assert_eq!(hand.device().text("PIN"), Some("90210"));
//! assert_eq!(hand.secrets().redact("it says 90210"), "it says {{secret:pin}}");
//! let unknown = Action::Type { text: "{{secret:bank}}".to_owned() };
//! assert!(hand.perform(&unknown).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blackout;
mod file;
mod hand;
mod heard;
mod keyring;
mod text;
mod vault;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use secrecy::SecretString;

use secrecy::ExposeSecret as _;

pub use self::file::SecretsFile;
pub use self::hand::SecretHand;
pub use self::heard::{Bindings, Written};
pub use self::text::{MalformedSecret, Redactor, names_in, with_names};
pub use self::vault::{Listed, SecretError, Vault};
use crate::action::MAX_TEXT;
use crate::guard::rule::WindowRule;

/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// Values shorter than this are in too many innocent words to be looked for in texts.
const FINDABLE: usize = 4;

/// What a secret is called: letters, digits, `_` and `-`. Case does not count.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SecretName(String);

impl SecretName {
    /// Returns the name, if it is one.
    pub fn new(name: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_name = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed);
        is_name.then(|| Self(name.to_ascii_lowercase()))
    }

    /// Returns it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what stands for the value in a text.
    pub fn placeholder(&self) -> String {
        format!("{{{{secret:{}}}}}", self.0)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The values a run may need, and what is known of where each may be typed; clones share them.
///
/// Nothing prints a value, and the memory that held one is overwritten.
#[derive(Clone, Default)]
pub struct Secrets(Arc<BTreeMap<SecretName, Secret>>);

#[derive(Clone)]
struct Secret {
    value: SecretString,
    /// Where it may be typed; anywhere, if there is no rule.
    windows: Vec<WindowRule>,
    /// Whether the user named it for what is done now. The others are only kept out of records.
    granted: bool,
}

impl Secrets {
    /// Adds a secret that may be typed: into windows of these rules, or anywhere if there are none.
    ///
    /// # Errors
    /// [`UnfitValue`] says why no keyboard writes such a value, or why it cannot be kept apart.
    pub fn grant(
        &mut self,
        name: SecretName,
        value: SecretString,
        windows: Vec<WindowRule>,
    ) -> Result<(), UnfitValue> {
        UnfitValue::check(value.expose_secret())?;
        Arc::make_mut(&mut self.0).insert(name, Secret { value, windows, granted: true });
        Ok(())
    }

    /// Adds a value that is not to be typed now, only to be kept out of every record.
    pub fn hide(&mut self, name: SecretName, value: SecretString) {
        Arc::make_mut(&mut self.0).entry(name).or_insert(Secret {
            value,
            windows: Vec::new(),
            granted: false,
        });
    }

    /// Returns the names of those that may be typed.
    pub fn granted(&self) -> impl Iterator<Item = &SecretName> {
        self.0.iter().filter(|(_, secret)| secret.granted).map(|(name, _)| name)
    }

    /// Returns a secret that may be typed.
    fn of(&self, name: &SecretName) -> Option<&Secret> {
        self.0.get(name).filter(|secret| secret.granted)
    }

    /// Returns every value that can be told from other text, with its name.
    fn findable(&self) -> impl Iterator<Item = (&SecretName, &str)> {
        let values = self.0.iter().map(|(name, secret)| (name, secret.value.expose_secret()));
        values.filter(|(_, value)| value.chars().count() >= FINDABLE)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(SecretName::as_str)).finish()
    }
}

/// Why a value cannot be a secret. It says nothing of the value itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnfitValue {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is longer than what one action types.
    #[error("it is longer than the {MAX_TEXT} characters that can be typed at once")]
    TooLong,
    /// A line feed would press Enter without anybody having been asked about it.
    #[error("it has a control character, such as a line feed")]
    ControlCharacter,
}

impl UnfitValue {
    fn check(value: &str) -> Result<(), Self> {
        match value.chars().count() {
            0 => Err(Self::Empty),
            count if count > MAX_TEXT as usize => Err(Self::TooLong),
            _ if value.chars().any(char::is_control) => Err(Self::ControlCharacter),
            _ => Ok(()),
        }
    }
}

/// Why a text with a secret in it was not typed, in words for the model and for people.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretRefusal {
    /// What looks like a placeholder is none.
    #[error(transparent)]
    Malformed(#[from] MalformedSecret),
    /// Only what the user named is typed, whether there is another or not.
    #[error("the user named no secret `{name}` for this goal")]
    NotNamed {
        /// The name.
        name: SecretName,
    },
    /// The secret is for other windows.
    #[error("the secret `{name}` must not be typed into {window}")]
    Elsewhere {
        /// The name.
        name: SecretName,
        /// The window that has the keyboard.
        window: String,
    },
    /// The secret is for certain windows, and the device cannot tell where the keys go.
    #[error("the secret `{name}` is for certain windows, and this device cannot tell its windows")]
    UnknownWindow {
        /// The name.
        name: SecretName,
    },
    /// With the values in their places, the text is too long.
    #[error("with its secrets the text has more than the {MAX_TEXT} characters that are allowed")]
    TooLong,
    /// A phone types what is not ASCII through its clipboard, or a keyboard that others can listen to.
    #[error(
        "the secret `{name}` has characters that this device cannot type without its clipboard"
    )]
    OnlyPasted {
        /// The name.
        name: SecretName,
    },
    /// The device failed in the middle of it.
    #[error("the device failed while the secret `{name}` was typed; a part of it may be there")]
    Failed {
        /// The name.
        name: SecretName,
    },
    /// The keyboard lacks a character of the value.
    #[error("the keyboard of this device cannot write every character of the secret `{name}`")]
    Untypable {
        /// The name.
        name: SecretName,
    },
}
