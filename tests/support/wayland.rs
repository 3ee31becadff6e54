//! A Wayland session of one test: a real compositor that draws to nowhere, its `XWayland`, and programs
//! in it that say what reached them.

use std::fmt::Write as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use handsight_actions::{
    Action, DesktopDevice, DesktopOptions, Device as _, MonitorChoice, PixelPoint, Scope,
};
use image::RgbImage;
use serde_json::Value;
use tempfile::TempDir;

use crate::page::Desktop;
use crate::program::Program;
use crate::wait::{ANSWERING, STARTING, wait_for, wait_until};
use crate::xserver::XServer;

/// The user without rights, whom the compositor runs as when the tests run as root: it refuses to.
const NOBODY: u32 = 65534;

/// A compositor, which ends when this is dropped.
pub struct Wayland {
    compositor: Program,
    dir: TempDir,
    /// The X11 display of its own, if it has one.
    display: Option<String>,
    socket: String,
}

impl Wayland {
    /// Starts sway with one output of 800 by 600 pixels.
    ///
    /// # Errors
    ///
    /// Fails if sway or `XWayland` is not installed or does not start.
    pub fn start() -> Result<Self> {
        Self::start_outputs(&["resolution 800x600 position 0 0"])
    }

    /// Starts sway with outputs as they are written in its configuration, and waits until programs, also
    /// those for X11, can connect.
    ///
    /// # Errors
    ///
    /// Fails if sway or `XWayland` is not installed or does not start.
    pub fn start_outputs(outputs: &[&str]) -> Result<Self> {
        let dir = TempDir::new()?;
        let (config, names) = (dir.path().join("config"), dir.path().join("names"));
        let names_path = names.display();
        // The user of the tests may be another one than that of the compositor.
        let mut lines = format!(
            "xwayland force\ndefault_border none\nseat * hide_cursor 1\n\
             exec xhost +local: && echo $DISPLAY $WAYLAND_DISPLAY > {names_path}.new \
             && mv {names_path}.new {names_path}\n"
        );
        for (index, output) in outputs.iter().enumerate() {
            writeln!(lines, "output HEADLESS-{} {output}", index + 1)?;
        }
        fs::write(&config, lines)?;
        let mut command = as_user("sway", dir.path())?;
        command.arg("--config").arg(&config);
        command.env("WLR_BACKENDS", "headless").env("WLR_LIBINPUT_NO_DEVICES", "1");
        command.env("WLR_RENDERER", "pixman");
        command.env("WLR_HEADLESS_OUTPUTS", outputs.len().to_string());
        let sway = Program::start_group(&mut command)?;
        let said = wait_for("the compositor did not start", STARTING, || {
            Ok(fs::read_to_string(&names).ok())
        })?;
        let (display, socket) = said.trim().split_once(' ').context("it named no displays")?;
        let socket = dir.path().join(socket).display().to_string();
        let display = Some(display.to_owned());
        let session = Self { compositor: sway, dir, display, socket };
        // `swaymsg` finds the compositor by its process id, or by this.
        fs::hard_link(session.own_control()?, session.control())?;
        Ok(session)
    }

    /// Starts weston, which has none of the protocols of wlroots, as GNOME and KDE have none.
    ///
    /// # Errors
    ///
    /// Fails if weston is not installed or does not start.
    pub fn start_weston() -> Result<Self> {
        let dir = TempDir::new()?;
        let mut command = as_user("weston", dir.path())?;
        command.args(["--backend=headless-backend.so", "--socket=wayland-9", "--idle-time=0"]);
        Self::started(command, dir)
    }

    /// Starts weston in a window of an X server, whose keyboard it has: one output of 1024 by 640 units with
    /// so many pixels to each.
    ///
    /// # Errors
    ///
    /// Fails if weston is not installed or does not start.
    pub fn start_weston_on(server: &XServer, scale: u32) -> Result<Self> {
        let dir = TempDir::new()?;
        let mut command = as_user("weston", dir.path())?;
        command.args(["--backend=x11-backend.so", "--use-pixman", "--idle-time=0"]);
        command.args(["--width=1024", "--height=640", "--socket=wayland-9"]);
        command.arg(format!("--scale={scale}"));
        server.adopt(&mut command);
        Self::started(command, dir)
    }

    /// Starts weston, and waits until programs can connect.
    fn started(mut command: Command, dir: TempDir) -> Result<Self> {
        let weston = Program::start_group(&mut command)?;
        let socket = dir.path().join("wayland-9");
        wait_until("the compositor did not start", STARTING, || Ok(socket.exists()))?;
        let socket = socket.display().to_string();
        Ok(Self { compositor: weston, dir, display: None, socket })
    }

    fn control(&self) -> PathBuf {
        self.dir.path().join("control")
    }

    /// The socket that sway listens on for commands, where programs look for it.
    fn own_control(&self) -> Result<PathBuf> {
        let paths = fs::read_dir(self.dir.path())?.map(|entry| Ok(entry?.path()));
        let is_control = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("sway-ipc"))
        };
        let found = paths.collect::<Result<Vec<_>>>()?.into_iter().find(is_control);
        found.context("sway listens for no commands")
    }

    /// Has programs not find the socket that sway listens on for commands; returns where it was.
    ///
    /// # Errors
    ///
    /// Fails if it is hidden already.
    pub fn hide_control(&self) -> Result<PathBuf> {
        let path = self.own_control()?;
        fs::remove_file(&path)?;
        Ok(path)
    }

    /// Returns the path of the compositor's socket.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// Makes a command run in this session.
    pub fn adopt(&self, command: &mut Command) {
        command.env_remove("DISPLAY");
        if let Some(display) = &self.display {
            command.env("DISPLAY", display);
        }
        command.env("WAYLAND_DISPLAY", &self.socket).env("XDG_SESSION_TYPE", "wayland");
    }

    /// Makes a command run as a program for X11 that happens to be in this session.
    pub fn adopt_x11(&self, command: &mut Command) {
        self.adopt(command);
        command.env_remove("WAYLAND_DISPLAY");
    }

    /// Connects the device under test to one output.
    ///
    /// # Errors
    ///
    /// Fails if the device cannot be opened.
    pub fn device(&self, monitor: usize) -> Result<DesktopDevice> {
        let scope = Scope::Monitor(MonitorChoice::Index(monitor));
        let display = Some(self.socket.clone());
        Ok(DesktopDevice::open(&DesktopOptions { scope, display, ..DesktopOptions::default() })?)
    }

    /// Gives sway a command, such as `output HEADLESS-1 scale 2`.
    ///
    /// # Errors
    ///
    /// Fails if sway does not do it.
    pub fn sway(&self, command: &str) -> Result<()> {
        self.swaymsg(&[command]).map(drop)
    }

    fn swaymsg(&self, args: &[&str]) -> Result<Value> {
        let mut command = self.command("swaymsg");
        command.arg("--socket").arg(self.control()).arg("--raw").args(args);
        let Output { status, stdout, .. } = Program::start(&mut command)?.wait(ANSWERING)?;
        ensure!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stdout));
        Ok(serde_json::from_slice(&stdout)?)
    }

    /// Returns the title of the window that has the keyboard.
    fn focused(&self) -> Result<Option<String>> {
        fn find(node: &Value) -> Option<&Value> {
            let children =
                ["nodes", "floating_nodes"].into_iter().filter_map(|kind| node[kind].as_array());
            if node["focused"] == true { Some(node) } else { children.flatten().find_map(find) }
        }
        let tree = self.swaymsg(&["-t", "get_tree"])?;
        Ok(find(&tree).and_then(|node| node["name"].as_str()).map(str::to_owned))
    }

    /// Shows a picture behind all windows of an output, pixel by pixel if it is as large.
    ///
    /// # Errors
    ///
    /// Fails if sway does not do it.
    pub fn show_picture(&self, output: &str, file: &Path) -> Result<()> {
        // The compositor may run as another user.
        let copy = self.dir.path().join(format!("{output}.png"));
        fs::copy(file, &copy)?;
        self.sway(&format!("output {output} bg {} stretch", copy.display()))
    }

    /// Ends the compositor.
    pub fn kill(&mut self) {
        self.compositor.kill();
    }

    /// Reads an output with grim, which is not ours.
    ///
    /// # Errors
    ///
    /// Fails if grim does.
    pub fn grim(&self, output: &str) -> Result<RgbImage> {
        let file = self.dir.path().join("grim.png");
        let mut command = self.command("grim");
        let done = Program::start(command.args(["-o", output]).arg(&file))?.wait(ANSWERING)?;
        ensure!(done.status.success(), "grim could not read {output}");
        Ok(image::open(&file)?.to_rgb8())
    }
}

impl Desktop for Wayland {
    const PLATFORM: &str = "wayland";

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.adopt(&mut command);
        command.env("LC_ALL", "C.UTF-8").env("GDK_BACKEND", "wayland").env("NO_AT_BRIDGE", "1");
        command
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("GTK_IM_MODULE", "gtk-im-context-simple");
        command
    }

    fn wait_for_window(&self, title: &str) -> Result<()> {
        let what = format!("there is no window `{title}` in front");
        wait_until(&what, STARTING, || Ok(self.focused()?.is_some_and(|name| name.contains(title))))
    }

    /// The session has no mouse but ours.
    fn touch(&self, x: i32, y: i32) -> Result<()> {
        let coordinate = PixelPoint { x, y };
        Ok(self.device(0)?.perform(&Action::MouseMove { coordinate })?)
    }
}

/// A window that fills an output and writes down every event that reaches it: `wev`.
pub struct EventLog {
    _wev: Program,
    file: tempfile::NamedTempFile,
}

impl EventLog {
    /// Opens the window where the keyboard is.
    ///
    /// # Errors
    ///
    /// Fails if wev is not installed or does not show its window.
    pub fn open(session: &Wayland) -> Result<Self> {
        let file = tempfile::NamedTempFile::new()?;
        // What goes to a file is held back for long otherwise.
        let mut command = session.command("stdbuf");
        command.args(["-oL", "sh", "-c", "exec wev > \"$1\"", "sh"]).arg(file.path());
        let wev = Program::start(command.stderr(Stdio::null()))?;
        session.wait_for_window("wev")?;
        Ok(Self { _wev: wev, file })
    }

    /// Returns all lines so far.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub fn lines(&self) -> Result<Vec<String>> {
        let text = String::from_utf8_lossy(&fs::read(self.file.path())?).into_owned();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Waits for so many lines that have all of these words, and returns all there are.
    ///
    /// # Errors
    ///
    /// Fails if they do not come, and says what came.
    pub fn expect(&self, count: usize, words: &[&str]) -> Result<Vec<String>> {
        let has = |line: &String| words.iter().all(|word| line.contains(word));
        let found = wait_for(&format!("{words:?} did not happen"), ANSWERING, || {
            let found: Vec<String> = self.lines()?.into_iter().filter(has).collect();
            Ok((found.len() >= count).then_some(found))
        });
        found.with_context(|| format!("{:#?}", self.lines()))
    }

    /// Waits for a line that has all of these words after so many others, and returns where in the
    /// window the pointer was then.
    ///
    /// # Errors
    ///
    /// Fails if it does not come.
    pub fn pointer_at_press(&self, after: usize, words: &[&str]) -> Result<[f64; 2]> {
        let place = |line: &String| {
            let (x, y) = line.split_once("x, y: ")?.1.split_once(", ")?;
            Some([x.trim().parse().ok()?, y.trim().parse().ok()?])
        };
        let is_it = |line: &String| words.iter().all(|word| line.contains(word));
        let found = wait_for(&format!("{words:?} did not happen"), ANSWERING, || {
            let lines = self.lines()?;
            let at = lines.iter().skip(after).position(is_it).map(|at| after + at);
            Ok(at.and_then(|at| lines[..at].iter().rev().find_map(place)))
        });
        found.with_context(|| format!("{:#?}", self.lines()))
    }

    /// Waits until nothing has come for a while.
    ///
    /// # Errors
    ///
    /// Fails if there is no end.
    pub fn settled(&self) -> Result<Vec<String>> {
        const QUIET: Duration = Duration::from_millis(400);
        let (mut last, mut since) = (Vec::new(), std::time::Instant::now());
        wait_for("events never end", ANSWERING, || {
            let now = self.lines()?;
            if now != last {
                (last, since) = (now, std::time::Instant::now());
            }
            Ok((since.elapsed() >= QUIET).then(|| last.clone()))
        })
    }
}

/// Returns a command for a compositor, which may not run as root.
fn as_user(program: &str, home: &Path) -> Result<Command> {
    let mut command = if is_root()? {
        chown(home, Some(NOBODY), Some(NOBODY))?;
        let id = NOBODY.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", program]);
        command
    } else {
        Command::new(program)
    };
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("SWAYSOCK");
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home).stderr(Stdio::null());
    Ok(command)
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output()?;
    Ok(output.stdout.trim_ascii() == b"0")
}
