//! What is written down of a text that a person typed: where a secret goes, only its name.

use secrecy::ExposeSecret as _;

use super::{SecretName, Secrets};
use crate::guard::rule::WindowRule;
use crate::observation::WindowAt;

/// What is known of secrets to somebody who listens to a keyboard.
#[derive(Debug, Default)]
pub struct Bindings {
    /// The windows that each is for, of those that are for certain ones.
    bound: Vec<(SecretName, Vec<WindowRule>)>,
    /// All values at hand.
    secrets: Secrets,
}

/// What stands for a typed text in a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Written {
    /// The text, with the names of secrets in the places of their values.
    Text(String),
    /// A secret, by its name alone, since the window is for secrets.
    Secret {
        /// Which.
        name: SecretName,
        /// Whether the text was its value; otherwise it is the only one, or the first, that goes there.
        is_value: bool,
    },
}

impl Bindings {
    pub(super) fn new(bound: Vec<(SecretName, Vec<WindowRule>)>, secrets: Secrets) -> Self {
        Self { bound, secrets }
    }

    /// Returns what to write down in the place of a text that was typed into a window.
    ///
    /// Nothing that was typed into a window that a secret is for is ever written down in clear.
    pub fn written(&self, text: &str, window: &WindowAt) -> Written {
        let has_value = |name: &&SecretName| {
            self.secrets.0.get(*name).is_some_and(|secret| secret.value.expose_secret() == text)
        };
        if let Some(name) = self.names_for(window).find(has_value) {
            return Written::Secret { name: name.clone(), is_value: true };
        }
        match self.names_for(window).next() {
            Some(name) => Written::Secret { name: name.clone(), is_value: false },
            None => Written::Text(self.secrets.redact(text).into_owned()),
        }
    }

    /// Whether a window is one that a secret is for.
    pub fn is_for_secrets(&self, window: &WindowAt) -> bool {
        self.names_for(window).next().is_some()
    }

    /// Returns the secrets that a window is for.
    fn names_for(&self, window: &WindowAt) -> impl Iterator<Item = &SecretName> {
        let is_here = move |rule: &WindowRule| match window {
            WindowAt::Window(window) => rule.is_exactly(window),
            WindowAt::Nothing | WindowAt::Unknown => false,
        };
        let here = self.bound.iter().filter(move |(_, rules)| rules.iter().any(is_here));
        here.map(|(name, _)| name)
    }

    /// Returns a text, such as a title, without the values that are known.
    pub fn redact(&self, text: &str) -> String {
        self.secrets.redact(text).into_owned()
    }
}
