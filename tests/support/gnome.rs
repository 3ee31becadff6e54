//! A session of GNOME that draws to nowhere, with the desktop's own portal, and a person at it who answers
//! the questions on the screen.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use handsight_actions::{DesktopDevice, DesktopOptions, Device as _, PortalOptions};
use image::RgbImage;
use serde_json::Value;
use tempfile::TempDir;
use zbus::blocking::Connection;
use zbus::blocking::connection::Builder;

use crate::page::Desktop;
use crate::portal::start_bus;
use crate::program::Program;
use crate::wait::{ANSWERING, STARTING, wait_for, wait_until};

/// Where the question about the sharing has its switch and its button that agrees, in the releases that
/// were tested: 43 and 48. The windows are in the middle of a screen of 1280 by 720.
const QUESTIONS: [[[i32; 2]; 2]; 2] = [[[812, 448], [853, 249]], [[880, 283], [921, 149]]];
/// The colour of that button beside its text, and of the left end of a switch that is on.
const AGREEING: [u8; 3] = [0x35, 0x84, 0xE4];
/// Where the shell's own question, whether screenshots may be taken, has the button that agrees.
const ALLOW: [i32; 2] = [750, 450];

/// A session, which ends when this is dropped.
pub struct Gnome {
    // Dropped in this order.
    _shell: Program,
    _sound: [Program; 2],
    _buses: [Program; 2],
    dir: TempDir,
    bus: String,
    system_bus: String,
    socket: String,
    shell: Connection,
}

impl Gnome {
    /// Starts a session with one monitor of 1280 by 720 pixels.
    ///
    /// # Errors
    ///
    /// Fails if GNOME Shell, its portal or `PipeWire` is not installed or does not start.
    pub fn start() -> Result<Self> {
        let dir = TempDir::new()?;
        let home = dir.path();
        let (system, system_bus) = start_bus(home, "GNOME", &["--session"])?;
        let (session, bus) = start_bus(home, "GNOME", &["--session"])?;
        let command = |program: &str| adopted(Command::new(program), home, &bus, &system_bus);
        let quiet = |program: &str| {
            Program::start_group(command(program).stdout(Stdio::null()).stderr(Stdio::null()))
        };
        let sound = [quiet("pipewire")?, quiet("wireplumber")?];
        let mut command = command("gnome-shell");
        // The last lets the tests ask it for what is on its screen.
        command.args(["--headless", "--wayland", "--no-x11", "--unsafe-mode"]);
        command.args(["--virtual-monitor", "1280x720"]);
        let shell_program = Program::start_group(&mut command)?;
        let socket = home.join("wayland-0");
        wait_until("GNOME Shell did not start", STARTING, || Ok(socket.exists()))?;
        let shell = Builder::address(bus.as_str())?.build()?;
        let gnome = Self {
            _shell: shell_program,
            _sound: sound,
            _buses: [session, system],
            bus,
            system_bus,
            socket: socket.display().to_string(),
            shell,
            dir,
        };
        wait_until("GNOME Shell does not answer", STARTING, || {
            // It shows its overview at the end of its start.
            let is_starting = gnome.eval("Main.layoutManager._startingUp");
            Ok(is_starting.is_ok_and(|is_starting| is_starting == false))
        })?;
        // Services that start programs are to start them here.
        let names =
            HashMap::from([("WAYLAND_DISPLAY", "wayland-0"), ("XDG_SESSION_TYPE", "wayland")]);
        gnome.shell.call_method(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            Some("org.freedesktop.DBus"),
            "UpdateActivationEnvironment",
            &names,
        )?;
        // Whatever it has to say at first lies on what is tested.
        gnome.eval("Main.messageTray.bannerBlocked = true")?;
        wait_until("the overview stays", STARTING, || {
            gnome.eval("Main.overview.hide()")?;
            Ok(gnome.eval("Main.overview.visible")? == false)
        })?;
        Ok(gnome)
    }

    /// Returns the options of a device that keeps what the user allowed in a file of the session.
    pub fn options(&self) -> DesktopOptions {
        let memory = Some(self.dir.path().join("state/portal"));
        let portal = PortalOptions { bus: Some(self.bus.clone()), memory };
        DesktopOptions { display: Some(self.socket.clone()), portal, ..DesktopOptions::default() }
    }

    /// Connects the device under test, while the person agrees to all that is asked; returns it with
    /// how often that was.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be opened.
    pub fn device(&self) -> Result<(DesktopDevice, usize)> {
        let options = self.options();
        let opening = thread::spawn(move || {
            let mut device = DesktopDevice::open(&options)?;
            // The first picture is asked for, too.
            device.observe()?;
            Ok::<_, anyhow::Error>(device)
        });
        let asked = self.agree_until(|| opening.is_finished())?;
        let device = opening.join().map_err(|_| anyhow::anyhow!("the device panicked"))??;
        Ok((device, asked))
    }

    /// Agrees to everything until this is so; returns how often that was.
    ///
    /// # Errors
    ///
    /// Fails if it is not so in time.
    pub fn agree_until(&self, is_over: impl Fn() -> bool) -> Result<usize> {
        let mut asked = 0;
        wait_until("what was asked for does not end", STARTING, || {
            asked += usize::from(self.agree()?);
            Ok(is_over())
        })?;
        Ok(asked)
    }

    /// Agrees to what is asked on the screen, if anything is; says whether it did.
    fn agree(&self) -> Result<bool> {
        // The shell's own question.
        if self.eval("Main.modalCount")? != 0 {
            let_them_draw();
            self.eval(&clicked(ALLOW))?;
            let gone = || Ok(self.eval("Main.modalCount")? == 0);
            wait_until("the question stays", ANSWERING, gone)?;
            return Ok(true);
        }
        let is_blue = |image: &RgbImage, x: i32, y: i32| {
            let pixel = image.get_pixel(x.unsigned_abs(), y.unsigned_abs());
            pixel.0.iter().zip(AGREEING).all(|(seen, meant)| seen.abs_diff(meant) < 24)
        };
        let image = self.screenshot()?;
        let shown = QUESTIONS.iter().find(|[_, [x, y]]| is_blue(&image, x - 32, *y));
        let Some([switch, share]) = shown else { return Ok(false) };
        // The first click of a new mouse may be lost.
        wait_until("the switch stays off", ANSWERING, || {
            let [x, y] = *switch;
            if is_blue(&self.screenshot()?, x, y) {
                return Ok(true);
            }
            self.eval(&clicked(*switch))?;
            let_them_draw();
            Ok(false)
        })?;
        self.eval(&clicked(*share))?;
        let_them_draw();
        Ok(true)
    }

    /// Has the shell run a script, and returns what it came to.
    ///
    /// # Errors
    ///
    /// Fails if the shell does not, or the script fails.
    pub fn eval(&self, script: &str) -> Result<Value> {
        let said = self.shell.call_method(
            Some("org.gnome.Shell"),
            "/org/gnome/Shell",
            Some("org.gnome.Shell"),
            "Eval",
            &script,
        )?;
        let (done, text): (bool, String) = said.body().deserialize()?;
        ensure!(done, "{script}: {text}");
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// Returns the pixels of the screen as the shell itself saves them.
    ///
    /// # Errors
    ///
    /// Fails if the shell does.
    pub fn screenshot(&self) -> Result<RgbImage> {
        let file = self.dir.path().join("shell.png");
        let said = self.shell.call_method(
            Some("org.gnome.Shell.Screenshot"),
            "/org/gnome/Shell/Screenshot",
            Some("org.gnome.Shell.Screenshot"),
            "Screenshot",
            &(false, false, file.display().to_string()),
        )?;
        let (done, _): (bool, String) = said.body().deserialize()?;
        ensure!(done, "the shell took no screenshot");
        Ok(image::open(&file)?.to_rgb8())
    }

    /// Returns a command of the session.
    pub fn adopt(&self, command: Command) -> Command {
        adopted(command, self.dir.path(), &self.bus, &self.system_bus)
    }

    /// Returns the folder of the user's pictures and everything else.
    pub fn home(&self) -> &Path {
        self.dir.path()
    }
}

/// Gives programs the time they take to show a question, or what was clicked.
fn let_them_draw() {
    let start = std::time::Instant::now();
    let _ = wait_for("", Duration::from_millis(700), || {
        Ok((start.elapsed() > Duration::from_millis(600)).then_some(()))
    });
}

/// A script that clicks.
fn clicked([x, y]: [i32; 2]) -> String {
    format!(
        "{{ const {{ Clutter, GLib }} = imports.gi; \
         const seat = Clutter.get_default_backend().get_default_seat(); \
         global.tester ??= seat.create_virtual_device(Clutter.InputDeviceType.POINTER_DEVICE); \
         const now = () => GLib.get_monotonic_time(); \
         global.tester.notify_absolute_motion(now(), {x}, {y}); \
         global.tester.notify_button(now(), 1, Clutter.ButtonState.PRESSED); \
         global.tester.notify_button(now(), 1, Clutter.ButtonState.RELEASED); 1 }}"
    )
}

fn adopted(mut command: Command, home: &Path, bus: &str, system_bus: &str) -> Command {
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home);
    command.env("DBUS_SESSION_BUS_ADDRESS", bus).env("DBUS_SYSTEM_BUS_ADDRESS", system_bus);
    command.env("XDG_CURRENT_DESKTOP", "GNOME").env("XDG_SESSION_TYPE", "wayland");
    command.env("LC_ALL", "C.UTF-8");
    command
}

impl Desktop for Gnome {
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
        wait_until(&format!("there is no window `{title}` in front"), STARTING, || {
            let front = self.eval("global.display.focus_window?.title ?? ''")?;
            Ok(front.as_str().is_some_and(|front| front.contains(title)))
        })
    }

    fn touch(&self, x: i32, y: i32) -> Result<()> {
        let script = clicked([x, y]);
        let moved = script.split_once("global.tester.notify_button").context("it has buttons")?.0;
        self.eval(&format!("{moved} 1 }}")).map(drop)
    }
}
