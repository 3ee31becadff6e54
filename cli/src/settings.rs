//! What the environment says. The only file that reads it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use handsight_agent::{Address, ApiKey};
use handsight_model::hub::{HubOptions, Token};

/// The environment, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// The X11 display, from `DISPLAY`.
    pub(crate) display: Option<String>,
    /// The socket of the session's Wayland compositor, if it is such a session: `WAYLAND_DISPLAY`, in
    /// `XDG_RUNTIME_DIR` unless it is a whole path.
    pub(crate) wayland: Option<String>,
    /// Whether text for people may be coloured.
    pub(crate) color: bool,
    /// Whether stdin and stderr are a terminal, so that a question reaches a person.
    pub(crate) interactive: bool,
    /// Where checkpoints are kept, from the variables every tool of the Hugging Face Hub reads.
    pub(crate) hub: HubOptions,
    /// The folder for what is made anew when it is gone: `handsight` in the user's cache folder.
    pub(crate) cache: Option<PathBuf>,
    /// The folder for what lives as long as the user's session: sockets of runs under way.
    pub(crate) runtime: Option<PathBuf>,
    /// The folder for what is kept though nobody wrote it: `handsight` in the user's state folder.
    pub(crate) state: Option<PathBuf>,
    /// This program's own file.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux has a watchdog to start")
    )]
    pub(crate) program: Option<PathBuf>,
    /// The folder for what the user wrote: `handsight` in their configuration folder.
    pub(crate) config: Option<PathBuf>,
    /// The keys of model servers.
    pub(crate) keys: Keys,
    /// Where phones are, from the variables `adb` reads.
    pub(crate) adb: Adb,
    /// What requests to our own server must carry, from `HANDSIGHT_API_KEY`.
    pub(crate) api_key: Option<Secret>,
}

/// Where phones are, and which is meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adb {
    /// The ADB server, and the variable that names it: `ADB_SERVER_SOCKET`, or
    /// `ANDROID_ADB_SERVER_ADDRESS` and `ANDROID_ADB_SERVER_PORT`.
    pub(crate) server: Option<(&'static str, String)>,
    /// The serial number in `ANDROID_SERIAL`.
    pub(crate) serial: Option<String>,
    /// The folder with the key that `adb` made for this user.
    pub(crate) keys: Option<PathBuf>,
}

/// What opens model servers; neither can be printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// `HANDSIGHT_API_KEY`, for whatever server the user names.
    handsight: Option<ApiKey>,
    /// `OPENAI_API_KEY`, which many programs read: only for where nobody can listen.
    openai: Option<ApiKey>,
}

impl Keys {
    /// Returns the key for a server.
    pub(crate) fn of(&self, address: &Address) -> Option<ApiKey> {
        let shared = || self.openai.clone().filter(|_| address.is_private());
        self.handsight.clone().or_else(shared)
    }
}

/// A text that no message and no log may hold.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// Returns it, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[secret]")
    }
}

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn read() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        Self {
            display: variable("DISPLAY").map(|name| name.to_string_lossy().into_owned()),
            wayland: wayland(),
            color: terminal && !dumb && variable("NO_COLOR").is_none() && shows_color(),
            interactive: terminal && std::io::stdin().is_terminal(),
            hub: hub(),
            cache: user_caches().map(|caches| caches.join("handsight")),
            runtime: runtime(),
            state: user_state().map(|folder| folder.join("handsight")),
            program: std::env::current_exe().ok(),
            config: user_configuration().map(|folder| folder.join("handsight")),
            keys: Keys { handsight: key("HANDSIGHT_API_KEY"), openai: key("OPENAI_API_KEY") },
            adb: adb(),
            api_key: text_variable("HANDSIGHT_API_KEY").map(Secret),
        }
    }
}

/// Returns the socket of the Wayland compositor, as every program of its session finds it.
fn wayland() -> Option<String> {
    let name = folder("WAYLAND_DISPLAY")?;
    let socket = folder("XDG_RUNTIME_DIR").unwrap_or_else(|| PathBuf::from("/")).join(name);
    Some(socket.to_string_lossy().into_owned())
}

/// Returns what the environment says of phones; as for `adb`, a socket wins over a port.
fn adb() -> Adb {
    let port = || {
        let (host, port) = (text("ANDROID_ADB_SERVER_ADDRESS"), text("ANDROID_ADB_SERVER_PORT"));
        let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
        port.map(|port| ("ANDROID_ADB_SERVER_PORT", format!("{host}:{port}")))
    };
    let socket = text("ADB_SERVER_SOCKET").map(|socket| ("ADB_SERVER_SOCKET", socket));
    let keys = at_home(".android");
    Adb { server: socket.or_else(port), serial: text("ANDROID_SERIAL"), keys }
}

/// Returns what the environment says of the Hugging Face Hub, in the variables its own tools read.
fn hub() -> HubOptions {
    let home = folder("HF_HOME");
    // Its own tools keep it there on every system.
    let caches = || folder("XDG_CACHE_HOME").or_else(|| at_home(".cache"));
    let home = home.or_else(|| caches().map(|caches| caches.join("huggingface")));
    let in_home = |name| home.as_ref().map(|home: &PathBuf| home.join(name));
    let cache = folder("HF_HUB_CACHE").or_else(|| folder("HUGGINGFACE_HUB_CACHE"));
    let certificates = folder("REQUESTS_CA_BUNDLE").or_else(|| folder("SSL_CERT_FILE"));
    let defaults = HubOptions::default();
    HubOptions {
        cache: cache.or_else(|| in_home("hub")),
        endpoint: text("HF_ENDPOINT").unwrap_or(defaults.endpoint),
        token: text("HF_TOKEN").map(|token| Token::new(&token)),
        token_file: folder("HF_TOKEN_PATH").or_else(|| in_home("token")),
        certificates,
        offline: is_on("HF_HUB_OFFLINE"),
        patience: seconds("HF_HUB_DOWNLOAD_TIMEOUT").unwrap_or(defaults.patience),
    }
}

/// Returns a variable that is a text.
fn text(name: &str) -> Option<String> {
    variable(name).map(|value| value.to_string_lossy().into_owned())
}

/// Returns a variable that is a path.
fn folder(name: &str) -> Option<PathBuf> {
    variable(name).map(|path| without_tilde(Path::new(&path)))
}

/// Returns whether a variable is switched on, as the tools of the hub understand it.
fn is_on(name: &str) -> bool {
    let value = text(name).unwrap_or_default().to_uppercase();
    matches!(value.as_str(), "1" | "ON" | "YES" | "TRUE")
}

/// Returns a variable that is a number of seconds, from 1 to a day.
fn seconds(name: &str) -> Option<Duration> {
    const DAY: f64 = 24.0 * 3600.0;
    let seconds: f64 = text(name)?.trim().parse().ok()?;
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.clamp(1.0, DAY)))
}

/// Returns a folder in the home folder.
fn at_home(path: &str) -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(path))
}

/// Returns the user's cache folder: `XDG_CACHE_HOME`, else `.cache` in the home folder; on Windows the
/// folder for what stays on the machine.
fn user_caches() -> Option<PathBuf> {
    user_folder("XDG_CACHE_HOME", "LOCALAPPDATA", ".cache")
}

/// Returns the user's state folder: `XDG_STATE_HOME`, else `.local/state` in the home folder; on Windows
/// the folder for what stays on the machine.
fn user_state() -> Option<PathBuf> {
    user_folder("XDG_STATE_HOME", "LOCALAPPDATA", ".local/state")
}

/// Returns the folder for sockets: in `XDG_RUNTIME_DIR`, else beside what is cached.
fn runtime() -> Option<PathBuf> {
    let cached = || user_caches().map(|caches| caches.join("handsight").join("run"));
    folder("XDG_RUNTIME_DIR").map(|folder| folder.join("handsight")).or_else(cached)
}

/// Returns the user's configuration folder: `XDG_CONFIG_HOME`, else `.config` in the home folder; on
/// Windows the folder that goes where the user logs in.
fn user_configuration() -> Option<PathBuf> {
    user_folder("XDG_CONFIG_HOME", "APPDATA", ".config")
}

/// Returns the folder that a variable of the XDG specification names, else the system's own.
fn user_folder(xdg: &str, windows: &str, home: &str) -> Option<PathBuf> {
    let own = if cfg!(windows) { folder(windows) } else { None };
    folder(xdg).or(own).or_else(|| at_home(home))
}

/// Returns whether the terminal takes colours; a console of Windows is asked to.
fn shows_color() -> bool {
    anstyle_query::windows::enable_ansi_colors().unwrap_or(true)
}

/// Puts the home folder in the place of a leading `~`, which only shells replace.
pub(crate) fn without_tilde(path: &Path) -> PathBuf {
    let home = || std::env::home_dir().filter(|_| path.starts_with("~"));
    match (path.strip_prefix("~"), home()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// Returns every variable whose name and value are texts: any of them may have a secret.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Returns the environment, but for what by its name opens something.
pub(crate) fn harmless_variables() -> BTreeMap<String, String> {
    const SECRETS: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];
    let opens = |name: &str| SECRETS.iter().any(|secret| name.to_uppercase().contains(secret));
    variables().filter(|(name, _)| !opens(name)).collect()
}

/// Returns the folder for files that nobody is to keep.
pub(crate) fn temp_dir() -> PathBuf {
    std::env::temp_dir()
}

/// Returns the key in a variable.
fn key(name: &str) -> Option<ApiKey> {
    variable(name).and_then(|value| ApiKey::new(value.to_str()?))
}

/// Returns a variable that is set to some text.
fn text_variable(name: &str) -> Option<String> {
    variable(name)?.into_string().ok()
}

/// Returns a variable that is set to something.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
