//! What a device tells of its state beside its pixels, for checks.

use crate::secret::Secrets;

/// What is asked of a device.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fact {
    /// The views on the screen of a phone.
    Views,
    /// A setting of a phone.
    Setting {
        /// Where it is: `system`, `secure` or `global`.
        namespace: String,
        /// Its name there.
        key: String,
    },
}

/// What a device says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FactSaid {
    /// It has no means to tell.
    Unknown,
    /// The views, those that lie in others after them.
    Views(Vec<ViewSaid>),
    /// A text, or that there is none.
    Text(Option<String>),
}

/// One view.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ViewSaid {
    /// Its id, such as `com.example:id/save`; empty if it has none.
    pub id: String,
    /// What is written on it, or read aloud instead.
    pub text: String,
    /// Its class, such as `android.widget.EditText`.
    pub class: String,
    /// Whether it can be used at all.
    pub enabled: bool,
    /// Whether keys go to it.
    pub focused: bool,
    /// Whether it is on, if it is something that can be on or off.
    pub checked: Option<bool>,
}

impl FactSaid {
    /// Puts the names of secrets in the places of their values.
    #[must_use]
    pub(crate) fn redacted(mut self, secrets: &Secrets) -> Self {
        let redact = |text: &mut String| *text = secrets.redact(text).into_owned();
        match &mut self {
            Self::Unknown | Self::Text(None) => {}
            Self::Text(Some(text)) => redact(text),
            Self::Views(views) => views.iter_mut().for_each(|view| redact(&mut view.text)),
        }
        self
    }
}
