//! A Wayland session as a user has it: a home, message buses, `PipeWire`, a compositor that draws to nowhere,
//! and the desktop's own portal, which the bus starts.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use handsight_actions::{DesktopOptions, PortalOptions};
use tempfile::TempDir;
use zbus::blocking::Connection;
use zbus::blocking::connection::Builder;

use crate::portal::start_bus;
use crate::program::Program;
use crate::wait::{STARTING, wait_until};

/// The name of the compositor's socket.
pub(crate) const SOCKET: &str = "wayland-0";

/// A session, which ends when this is dropped.
pub(crate) struct PortalSession {
    // Dropped in this order.
    _compositor: Program,
    _sound: [Program; 2],
    _buses: [Program; 2],
    dir: TempDir,
    desktop: &'static str,
    bus: String,
    system_bus: String,
    connection: Connection,
}

impl PortalSession {
    /// Starts the session of a desktop, whose compositor is this command, given a home. Services that the
    /// bus starts get `variables`, too.
    pub(crate) fn start(
        desktop: &'static str,
        compositor: impl FnOnce(&Path) -> Result<Command>,
        variables: &[(&'static str, &'static str)],
    ) -> Result<Self> {
        let dir = TempDir::new()?;
        let home = dir.path();
        let (system, system_bus) = start_bus(home, desktop, &["--session"])?;
        let (session, bus) = start_bus(home, desktop, &["--session"])?;
        let start = |command: Command| {
            let mut command = adopted(command, desktop, home, &bus, &system_bus);
            Program::start_group(command.stdout(Stdio::null()).stderr(Stdio::null()))
        };
        let sound = [start(Command::new("pipewire"))?, start(Command::new("wireplumber"))?];
        let compositor = start(compositor(home)?)?;
        let socket = home.join(SOCKET);
        wait_until("the compositor did not start", STARTING, || Ok(socket.exists()))?;
        let connection = Builder::address(bus.as_str())?.build()?;
        let mut names: HashMap<_, _> = variables.iter().copied().collect();
        names.extend([("WAYLAND_DISPLAY", SOCKET), ("XDG_SESSION_TYPE", "wayland")]);
        connection.call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus"),
            "UpdateActivationEnvironment",
            &names,
        )?;
        Ok(Self {
            _compositor: compositor,
            _sound: sound,
            _buses: [session, system],
            dir,
            desktop,
            bus,
            system_bus,
            connection,
        })
    }

    /// Returns the options of a device that keeps what the user allowed in a file of the session.
    pub(crate) fn options(&self) -> DesktopOptions {
        let memory = Some(self.home().join("state/portal"));
        let portal = PortalOptions { bus: Some(self.bus.clone()), memory };
        let display = Some(self.home().join(SOCKET).display().to_string());
        DesktopOptions { display, portal, ..DesktopOptions::default() }
    }

    /// Returns a command of the session, which shows its windows there.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.adopt(Command::new(program));
        command.env("WAYLAND_DISPLAY", self.home().join(SOCKET)).env("GDK_BACKEND", "wayland");
        if program == "chromium" {
            // Elsewhere nobody would tell where its window is.
            command.arg("--start-fullscreen");
        }
        command
    }

    /// Returns a command of the session.
    pub(crate) fn adopt(&self, command: Command) -> Command {
        adopted(command, self.desktop, self.home(), &self.bus, &self.system_bus)
    }

    /// Returns the folder of the user's pictures and everything else.
    pub(crate) fn home(&self) -> &Path {
        self.dir.path()
    }

    /// Returns a connection to the session's bus.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

fn adopted(
    mut command: Command,
    desktop: &str,
    home: &Path,
    bus: &str,
    system_bus: &str,
) -> Command {
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home);
    command.env("DBUS_SESSION_BUS_ADDRESS", bus).env("DBUS_SYSTEM_BUS_ADDRESS", system_bus);
    command.env("XDG_CURRENT_DESKTOP", desktop).env("XDG_SESSION_TYPE", "wayland");
    command.env("LC_ALL", "C.UTF-8");
    command
}
