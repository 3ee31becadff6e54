//! GNOME with its own portal, and a person at it who answers the questions on the screen.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use handsight_actions::{DesktopDevice, Device as _};
use image::RgbImage;
use serde_json::Value;

use crate::page::Desktop;
use crate::portal_session::PortalSession;
use crate::wait::{ANSWERING, STARTING, wait_for, wait_until};

/// Where the question about the sharing has its switch and its button that agrees, in the releases that
/// were tested: 43 and 48. The windows are in the middle of a screen of 1280 by 720.
const QUESTIONS: [[[i32; 2]; 2]; 2] = [[[812, 448], [853, 249]], [[880, 283], [921, 149]]];
/// The colour of that button beside its text, and of the left end of a switch that is on.
const AGREEING: [u8; 3] = [0x35, 0x84, 0xE4];
/// Where the shell's own question, whether screenshots may be taken, has the button that agrees.
const ALLOW: [i32; 2] = [750, 450];

/// A session, which ends when this is dropped.
pub struct Gnome(PortalSession);

impl Gnome {
    /// Starts a session with one monitor of 1280 by 720 pixels.
    ///
    /// # Errors
    ///
    /// Fails if GNOME Shell, its portal or `PipeWire` is not installed or does not start.
    pub fn start() -> Result<Self> {
        let shell = |_home: &Path| {
            let mut command = Command::new("gnome-shell");
            // The last lets the tests ask it for what is on its screen.
            command.args(["--headless", "--wayland", "--no-x11", "--unsafe-mode"]);
            command.args(["--virtual-monitor", "1280x720"]);
            Ok(command)
        };
        let gnome = Self(PortalSession::start("GNOME", shell, &[])?);
        wait_until("GNOME Shell does not answer", STARTING, || {
            // It shows its overview at the end of its start.
            let is_starting = gnome.eval("Main.layoutManager._startingUp");
            Ok(is_starting.is_ok_and(|is_starting| is_starting == false))
        })?;
        // Whatever it has to say at first lies on what is tested.
        gnome.eval("Main.messageTray.bannerBlocked = true")?;
        wait_until("the overview stays", STARTING, || {
            gnome.eval("Main.overview.hide()")?;
            Ok(gnome.eval("Main.overview.visible")? == false)
        })?;
        Ok(gnome)
    }

    /// Connects the device under test, while the person agrees to all that is asked; returns it with
    /// how often that was.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be opened.
    pub fn device(&self) -> Result<(DesktopDevice, usize)> {
        let options = self.0.options();
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
        let said = self.0.connection().call_method(
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
        let file = self.0.home().join("shell.png");
        let said = self.0.connection().call_method(
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
        self.0.adopt(command)
    }

    /// Returns the folder of the user's pictures and everything else.
    pub fn home(&self) -> &Path {
        self.0.home()
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

impl Desktop for Gnome {
    const PLATFORM: &str = "wayland";

    fn command(&self, program: &str) -> Command {
        self.0.command(program)
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
