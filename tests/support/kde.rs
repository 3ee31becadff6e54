//! A session of KDE Plasma that draws to nowhere, with the desktop's own portal. What its release here
//! (5.27) shares it says in a notification, and asks nobody.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use fs_err as fs;
use handsight_actions::{
    Action, DesktopDevice, DesktopOptions, Device as _, PixelPoint, PortalOptions,
};
use tempfile::TempDir;
use zbus::blocking::Connection;
use zbus::blocking::connection::Builder;
use zbus::zvariant::OwnedValue;

use crate::page::Desktop;
use crate::portal::start_bus;
use crate::program::Program;
use crate::wait::{STARTING, wait_until};

/// What KWin tells of a window: its name, its title, an icon, how well it fits, and more.
type Match = (String, String, String, i32, f64, HashMap<String, OwnedValue>);

/// A session, which ends when this is dropped.
pub struct Kde {
    // Dropped in this order.
    _compositor: Program,
    _sound: [Program; 2],
    _buses: [Program; 2],
    dir: TempDir,
    bus: String,
    system_bus: String,
    socket: String,
    desktop: Connection,
}

impl Kde {
    /// Starts a session with one monitor of 1280 by 720 pixels.
    ///
    /// # Errors
    ///
    /// Fails if `KWin`, its portal or `PipeWire` is not installed or does not start.
    pub fn start() -> Result<Self> {
        let dir = TempDir::new()?;
        let home = dir.path();
        // Where the portal leaves its pictures: it makes no folder for them.
        fs::create_dir(home.join("Pictures"))?;
        let (system, system_bus) = start_bus(home, "KDE", &["--session"])?;
        let (session, bus) = start_bus(home, "KDE", &["--session"])?;
        let start = |command: &mut Command| {
            Program::start_group(command.stdout(Stdio::null()).stderr(Stdio::null()))
        };
        let command = |program: &Path| adopted(Command::new(program), home, &bus, &system_bus);
        let sound = [
            start(&mut command(Path::new("pipewire")))?,
            start(&mut command(Path::new("wireplumber")))?,
        ];
        // A copy has none of the rights that the file has, which not every machine can give.
        let kwin = home.join("kwin_wayland");
        fs::copy("/usr/bin/kwin_wayland", &kwin)?;
        let mut compositor = command(&kwin);
        compositor.args(["--virtual", "--width", "1280", "--height", "720"]);
        let compositor = start(compositor.args(["--socket", "wayland-0", "--no-lockscreen"]))?;
        let socket = home.join("wayland-0");
        wait_until("KWin did not start", STARTING, || Ok(socket.exists()))?;
        let desktop = Builder::address(bus.as_str())?.build()?;
        // Services that start programs are to start them here.
        let names = HashMap::from([
            ("WAYLAND_DISPLAY", "wayland-0"),
            ("XDG_SESSION_TYPE", "wayland"),
            ("QT_QPA_PLATFORM", "wayland"),
        ]);
        desktop.call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus"),
            "UpdateActivationEnvironment",
            &names,
        )?;
        let kde = Self {
            _compositor: compositor,
            _sound: sound,
            _buses: [session, system],
            bus,
            system_bus,
            socket: socket.display().to_string(),
            desktop,
            dir,
        };
        wait_until("KWin does not answer", STARTING, || Ok(kde.windows("none").is_ok()))?;
        Ok(kde)
    }

    /// Connects the device under test.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be opened.
    pub fn device(&self) -> Result<DesktopDevice> {
        let memory = Some(self.dir.path().join("state/portal"));
        let portal = PortalOptions { bus: Some(self.bus.clone()), memory };
        let options = DesktopOptions {
            display: Some(self.socket.clone()),
            portal,
            ..DesktopOptions::default()
        };
        Ok(DesktopDevice::open(&options)?)
    }

    /// Returns the titles of the windows that have this in it.
    fn windows(&self, title: &str) -> Result<Vec<String>> {
        let said = self.desktop.call_method(
            Some("org.kde.KWin"),
            "/WindowsRunner",
            Some("org.kde.krunner1"),
            "Match",
            &title,
        )?;
        let matches: Vec<Match> = said.body().deserialize()?;
        Ok(matches.into_iter().map(|(_, title, ..)| title).collect())
    }

    /// Returns a command of the session.
    pub fn adopt(&self, command: Command) -> Command {
        adopted(command, self.dir.path(), &self.bus, &self.system_bus)
    }
}

fn adopted(mut command: Command, home: &Path, bus: &str, system_bus: &str) -> Command {
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home);
    command.env("DBUS_SESSION_BUS_ADDRESS", bus).env("DBUS_SYSTEM_BUS_ADDRESS", system_bus);
    command.env("XDG_CURRENT_DESKTOP", "KDE").env("XDG_SESSION_TYPE", "wayland");
    command.env("LC_ALL", "C.UTF-8");
    command
}

impl Desktop for Kde {
    const PLATFORM: &str = "wayland";

    fn command(&self, program: &str) -> Command {
        let mut command = self.adopt(Command::new(program));
        command.env("WAYLAND_DISPLAY", &self.socket).env("GDK_BACKEND", "wayland");
        if program == "chromium" {
            // Elsewhere nobody would tell where its window is.
            command.arg("--start-fullscreen");
        }
        command
    }

    fn wait_for_window(&self, title: &str) -> Result<()> {
        wait_until(&format!("there is no window `{title}`"), STARTING, || {
            Ok(self.windows(title)?.iter().any(|window| window.contains(title)))
        })
    }

    /// The session has no mouse but ours.
    fn touch(&self, x: i32, y: i32) -> Result<()> {
        let coordinate = PixelPoint { x, y };
        Ok(self.device()?.perform(&Action::MouseMove { coordinate })?)
    }
}
