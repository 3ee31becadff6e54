//! What the environment says. The only file that reads it.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use handsight_model::hub::HubOptions;

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
    /// Where checkpoints are kept, from the variables every tool of the Hugging Face Hub reads.
    pub(crate) hub: HubOptions,
    /// The folder for what is made anew when it is gone: `handsight` in the user's cache folder.
    pub(crate) cache: Option<PathBuf>,
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
            hub: HubOptions { cache: hub_cache() },
            cache: user_caches().map(|caches| caches.join("handsight")),
        }
    }
}

/// Returns the folder of the Hugging Face cache: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else that
/// of the user's cache folder.
fn hub_cache() -> Option<PathBuf> {
    let folder = |name| variable(name).map(|path| without_tilde(Path::new(&path)));
    folder("HF_HUB_CACHE").or_else(|| folder("HUGGINGFACE_HUB_CACHE")).or_else(|| {
        let home = folder("HF_HOME");
        let home = home.or_else(|| user_caches().map(|caches| caches.join("huggingface")));
        home.map(|home| home.join("hub"))
    })
}

/// Returns the user's cache folder: `XDG_CACHE_HOME`, else `.cache` in the home folder.
fn user_caches() -> Option<PathBuf> {
    let named = variable("XDG_CACHE_HOME").map(|path| without_tilde(Path::new(&path)));
    named.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
}

/// Puts the home folder in the place of a leading `~`, which only shells replace.
fn without_tilde(path: &Path) -> PathBuf {
    let home = || std::env::home_dir().filter(|_| path.starts_with("~"));
    match (path.strip_prefix("~"), home()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
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
