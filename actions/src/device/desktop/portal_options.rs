//! How the desktop portal is used, as a caller says it.

use std::path::PathBuf;

/// How the desktop portal is used: what a Wayland session has for programs like this one whose compositor
/// does not let them in by itself, such as GNOME's and KDE's.
#[derive(Clone, Debug, Default)]
pub struct PortalOptions {
    /// The address of the session's message bus; the one that the environment names, if absent.
    pub bus: Option<String>,
    /// The file in which the portal's word is kept that the user allowed it. Without one, the user is
    /// asked each time.
    pub memory: Option<PathBuf>,
}
