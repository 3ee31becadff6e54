//! What the environment says. The only file that reads it.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

/// The environment, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// The X11 display, from `DISPLAY`.
    pub(crate) display: Option<String>,
    /// Whether `WAYLAND_DISPLAY` says that the session is a Wayland one.
    pub(crate) wayland: bool,
    /// Whether text for people may be coloured.
    pub(crate) color: bool,
    /// Whether stdin and stderr are a terminal, so that a question reaches a person.
    pub(crate) interactive: bool,
}

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn read() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        Self {
            display: variable("DISPLAY").map(|name| name.to_string_lossy().into_owned()),
            wayland: variable("WAYLAND_DISPLAY").is_some(),
            color: terminal && !dumb && variable("NO_COLOR").is_none(),
            interactive: terminal && std::io::stdin().is_terminal(),
        }
    }
}

/// Returns the folder for files that nobody is to keep.
pub(crate) fn temp_dir() -> PathBuf {
    std::env::temp_dir()
}

/// Returns a variable that is set to something.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
