//! KDE Plasma with its own portal. What its release here (5.27) shares it says in a notification, and asks
//! nobody.

use std::collections::HashMap;
use std::process::Command;

use anyhow::Result;
use fs_err as fs;
use handsight_actions::{Action, DesktopDevice, Device as _, PixelPoint};
use zbus::zvariant::OwnedValue;

use crate::page::Desktop;
use crate::portal_session::{PortalSession, SOCKET};
use crate::wait::{STARTING, wait_until};

/// What `KWin` tells of a window: its name, its title, an icon, how well it fits, and more.
type Match = (String, String, String, i32, f64, HashMap<String, OwnedValue>);

/// A session, which ends when this is dropped.
pub struct Kde(PortalSession);

impl Kde {
    /// Starts a session with one monitor of 1280 by 720 pixels.
    ///
    /// # Errors
    ///
    /// Fails if `KWin`, its portal or `PipeWire` is not installed or does not start.
    pub fn start() -> Result<Self> {
        let session = PortalSession::start(
            "KDE",
            |home| {
                // Where the portal leaves its pictures: it makes no folder for them.
                fs::create_dir(home.join("Pictures"))?;
                // A copy has none of the rights that the file has, which not every machine can give.
                let kwin = home.join("kwin_wayland");
                fs::copy("/usr/bin/kwin_wayland", &kwin)?;
                let mut command = Command::new(kwin);
                command.args(["--virtual", "--width", "1280", "--height", "720"]);
                command.args(["--socket", SOCKET, "--no-lockscreen"]);
                Ok(command)
            },
            &[("QT_QPA_PLATFORM", "wayland")],
        )?;
        let kde = Self(session);
        wait_until("KWin does not answer", STARTING, || Ok(kde.windows("none").is_ok()))?;
        Ok(kde)
    }

    /// Connects the device under test.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be opened.
    pub fn device(&self) -> Result<DesktopDevice> {
        Ok(DesktopDevice::open(&self.0.options())?)
    }

    /// Returns the titles of the windows that have this in it.
    fn windows(&self, title: &str) -> Result<Vec<String>> {
        let said = self.0.connection().call_method(
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
        self.0.adopt(command)
    }
}

impl Desktop for Kde {
    const PLATFORM: &str = "wayland";

    fn command(&self, program: &str) -> Command {
        self.0.command(program)
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
