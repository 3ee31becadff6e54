//! The apps of the fake phone.

mod board;
mod launcher;
mod library;
mod profile;
mod settings;
mod vault;

use std::collections::BTreeMap;

pub(super) use self::board::Board;
pub(super) use self::launcher::Launcher;
pub(super) use self::library::Library;
pub(super) use self::profile::Profile;
pub(super) use self::settings::Settings;
pub(super) use self::vault::Vault;
use super::files::Files;
use super::view::{Page, View};
use crate::geometry::PixelPoint;

/// What an app is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) package: &'static str,
    /// The class of its activity, whole.
    pub(super) activity: &'static str,
    /// What people call it.
    pub(super) label: &'static str,
}

impl Identity {
    /// Returns `package/.Activity` as Android shortens it.
    pub(super) fn component(&self) -> String {
        let class = self.activity.strip_prefix(self.package).unwrap_or(self.activity);
        format!("{}/{class}", self.package)
    }
}

/// How a view was pressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Press {
    Once,
    Twice,
    Long,
}

/// What apps share.
#[derive(Debug, Default)]
pub(super) struct World {
    /// By namespace and key.
    pub(super) settings: BTreeMap<(String, String), String>,
    pub(super) files: Files,
    /// The package an app asked to be brought to the front.
    pub(super) wanted: Option<&'static str>,
    /// The names of the apps, which the launcher shows.
    pub(super) icons: Vec<Identity>,
}

impl World {
    /// Returns a setting.
    pub(super) fn setting(&self, namespace: &str, key: &str) -> Option<&str> {
        self.settings.get(&(namespace.to_owned(), key.to_owned())).map(String::as_str)
    }

    /// Whether a setting is switched on.
    pub(super) fn is_on(&self, namespace: &str, key: &str) -> bool {
        self.setting(namespace, key) == Some("1")
    }

    pub(super) fn set(&mut self, namespace: &str, key: &str, value: &str) {
        self.settings.insert((namespace.to_owned(), key.to_owned()), value.to_owned());
    }
}

/// An app with one activity.
pub(super) trait App: Send {
    fn identity(&self) -> Identity;

    /// Whether its window may not be captured.
    fn is_secure(&self) -> bool {
        false
    }

    /// Returns what it shows.
    fn views(&self, page: &Page<'_>, world: &World) -> Vec<View>;

    /// A view of it was pressed.
    fn press(&mut self, id: &str, press: Press, world: &mut World);

    /// Returns the text of one of its fields.
    fn field(&mut self, _id: &str) -> Option<&mut String> {
        None
    }

    /// The finger moved the content this far, in pixels.
    fn scroll(&mut self, _pixels: i64, _page: &Page<'_>) {}

    /// A finger took something up in one place and put it down in another.
    fn drag(&mut self, _from: PixelPoint, _to: PixelPoint, _page: &Page<'_>) {}

    /// Goes back inside the app; `false` if it has nowhere to go back to.
    fn back(&mut self) -> bool {
        false
    }

    /// Forgets all but what is in files and settings, as a stopped app does.
    fn stop(&mut self);
}
