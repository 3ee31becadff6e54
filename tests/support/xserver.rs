//! A virtual X server of one test, and what the server itself says of its screen and its keys.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use handsight_actions::{DesktopDevice, DesktopOptions, MonitorChoice, Rect, Scope};
use image::{Rgb, RgbImage};
use x11rb::connection::Connection;
use x11rb::protocol::randr::{ConnectionExt as _, MonitorInfo};
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt as _, ImageFormat, KeyButMask, Screen, Visualtype,
    Window,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::page::Desktop;
use crate::program::Program;
use crate::wait::{ANSWERING, STARTING, wait_for, wait_until};

/// What Xorg is told to use: a card in memory, and no keyboard or mouse of this machine.
const DUMMY: &str = r#"
Section "ServerFlags"
  Option "AutoAddDevices" "false"
  Option "AutoAddGPU" "false"
EndSection
Section "Device"
  Identifier "dummy"
  Driver "dummy"
  VideoRam 65536
EndSection
Section "Screen"
  Identifier "screen"
  Device "dummy"
  DefaultDepth 24
  SubSection "Display"
    Depth 24
    Virtual 2560 1600
  EndSubSection
EndSection
"#;

/// How many times a server is started anew: two that start at once can want the same number.
const ATTEMPTS: u32 = 3;

/// A display in memory, reached by nobody but this machine.
pub struct XServer {
    display: String,
    connection: RustConnection,
    screen: Screen,
    // Dropped in this order: the window manager before the server.
    manager: Option<Program>,
    server: Program,
}

impl XServer {
    /// Starts a server with one screen, such as `640x480x24`, and no window manager.
    ///
    /// # Errors
    ///
    /// Fails if the server is not installed or does not start.
    pub fn start(screen: &str) -> Result<Self> {
        Self::start_with(screen, &[])
    }

    /// Starts a server with further arguments, such as `-extension RANDR` to leave that one out.
    ///
    /// # Errors
    ///
    /// Fails if the server is not installed or does not start.
    pub fn start_with(screen: &str, args: &[&str]) -> Result<Self> {
        let mut started = Self::try_start(screen, args);
        for _ in 1..ATTEMPTS {
            if started.is_err() {
                started = Self::try_start(screen, args);
            }
        }
        started.context("no virtual display")
    }

    /// Starts a server with a window manager, as programs expect one.
    ///
    /// # Errors
    ///
    /// Fails if either is not installed or does not start.
    pub fn start_managed(screen: &str) -> Result<Self> {
        let mut server = Self::start(screen)?;
        let manager = Program::start(server.command("openbox").stderr(Stdio::null()))?;
        server.manager = Some(manager);
        // It says that it is there before it looks after windows, and lists them when it does.
        let list = server.atom("_NET_CLIENT_LIST_STACKING")?;
        wait_until("the window manager did not start", STARTING, || {
            let root = server.screen.root;
            let x11 = &server.connection;
            Ok(x11.get_property(false, root, list, AtomEnum::ANY, 0, 0)?.reply()?.type_ != 0)
        })?;
        Ok(server)
    }

    fn try_start(screen: &str, args: &[&str]) -> Result<Self> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", screen, "-nolisten", "tcp", "-noreset"]);
        command.args(args);
        Self::launch(&mut command)
    }

    fn launch(command: &mut Command) -> Result<Self> {
        let mut server = Program::start(command.stderr(Stdio::null()))?;
        let stdout = server.take_stdout().context("the server has no stdout")?;
        let (numbers, number) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            if BufReader::new(stdout).read_line(&mut line).is_ok() {
                // Nobody listens any more if it took too long.
                let _ = numbers.send(line);
            }
        });
        let line = number.recv_timeout(STARTING).context("the server did not start in time")?;
        let number: u32 =
            line.trim().parse().context("the server ended without naming its display")?;
        let display = format!(":{number}");
        let (connection, index) = x11rb::connect(Some(&display))?;
        let screen = connection.setup().roots[index].clone();
        Ok(Self { display, connection, screen, manager: None, server })
    }

    /// Starts an Xorg whose monitors are outputs of a graphics card that only pretends, each with one
    /// of the modes 1024x768, 800x600 and 640x480, and a place on the screen.
    ///
    /// # Errors
    ///
    /// Fails if the server is not installed or does not start.
    pub fn start_outputs(outputs: &[(&str, [i32; 2])]) -> Result<Self> {
        let config = tempfile::NamedTempFile::new()?;
        fs_err::write(config.path(), DUMMY)?;
        let mut command = Command::new("Xorg");
        command.args(["-displayfd", "1", "-nolisten", "tcp", "-noreset"]);
        command.args(["-novtswitch", "-sharevts", "-logfile", "/dev/null", "-config"]);
        command.arg(config.path());
        let server = Self::launch(&mut command)?;
        // An output that nothing is plugged into has no modes before it is given some.
        for (index, (mode, _)) in outputs.iter().enumerate().skip(1) {
            server.xrandr(&["--addmode", &format!("DUMMY{index}"), mode])?;
        }
        let mut layout = Vec::new();
        for (index, (mode, [x, y])) in outputs.iter().enumerate() {
            let (output, place) = (format!("DUMMY{index}"), format!("{x}x{y}"));
            layout
                .extend(["--output", &output, "--mode", mode, "--pos", &place].map(str::to_owned));
        }
        server.xrandr(&layout.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(server)
    }

    fn xrandr(&self, args: &[&str]) -> Result<()> {
        let mut command = self.command("xrandr");
        let done = Program::start(command.args(args).stderr(Stdio::piped()))?.wait(ANSWERING)?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// Returns the display's name, such as `:5`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Returns the test's own connection to the server.
    pub fn connection(&self) -> &RustConnection {
        &self.connection
    }

    /// Returns the window that holds all others.
    pub fn root(&self) -> Window {
        self.screen.root
    }

    /// Returns a command that runs on this display, untouched by the session the tests run in.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.adopt(&mut command);
        command
    }

    /// Makes a command run on this display.
    pub fn adopt(&self, command: &mut Command) {
        let session = ["WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "XMODIFIERS", "SESSION_MANAGER"];
        for name in session {
            command.env_remove(name);
        }
        command.env("DISPLAY", &self.display).env("LC_ALL", "C.UTF-8").env("GDK_BACKEND", "x11");
        command.env("GTK_IM_MODULE", "gtk-im-context-simple").env("NO_AT_BRIDGE", "1");
        command.env("FONTCONFIG_FILE", fonts());
    }

    /// Divides the screen into monitors of these names.
    ///
    /// # Errors
    ///
    /// Fails if the server refuses.
    pub fn set_monitors(&self, monitors: &[(&str, Rect)]) -> Result<()> {
        let root = self.screen.root;
        let resources = self.connection.randr_get_screen_resources(root)?.reply()?;
        for (index, (name, area)) in monitors.iter().enumerate() {
            let info = MonitorInfo {
                name: self.atom(name)?,
                primary: index == 0,
                automatic: false,
                x: area.x.try_into()?,
                y: area.y.try_into()?,
                width: area.width.try_into()?,
                height: area.height.try_into()?,
                width_in_millimeters: 100,
                height_in_millimeters: 100,
                // The first takes the place of the one that the server made of its output.
                outputs: resources.outputs.iter().copied().filter(|_| index == 0).collect(),
            };
            self.connection.randr_set_monitor(root, info)?.check()?;
        }
        Ok(())
    }

    /// Returns a window by its title.
    ///
    /// # Errors
    ///
    /// Fails if there is none in time.
    pub fn find_window(&self, title: &str) -> Result<Window> {
        let mut windows = Vec::new();
        let found = wait_for(&format!("there is no window `{title}`"), STARTING, || {
            windows = handsight_actions::windows(Some(&self.display))?;
            let found = windows.iter().find(|window| window.title == title);
            Ok(found.map(|window| window.id.try_into()).transpose()?)
        });
        found.with_context(|| format!("there are only {windows:?}"))
    }

    /// Moves and resizes a window, as its program or a user would.
    ///
    /// # Errors
    ///
    /// Fails if the server refuses.
    pub fn place_window(&self, window: Window, area: Rect) -> Result<()> {
        let values = ConfigureWindowAux::new().x(area.x).y(area.y);
        let values = values.width(area.width).height(area.height);
        self.connection.configure_window(window, &values)?.check()?;
        Ok(self.connection.sync()?)
    }

    /// Connects the device under test to this display.
    ///
    /// # Errors
    ///
    /// Fails if the device cannot be opened.
    pub fn device(&self) -> Result<DesktopDevice> {
        self.monitor(0)
    }

    /// Connects the device under test to one monitor of this display.
    ///
    /// # Errors
    ///
    /// Fails if the device cannot be opened.
    pub fn monitor(&self, index: usize) -> Result<DesktopDevice> {
        let display = Some(self.display.clone());
        let scope = Scope::Monitor(MonitorChoice::Index(index));
        Ok(DesktopDevice::open(&DesktopOptions { scope, display, ..DesktopOptions::default() })?)
    }

    /// Connects the device under test to one window of this display, named by its title.
    ///
    /// # Errors
    ///
    /// Fails if the device cannot be opened.
    pub fn window(&self, title: &str, region: Option<Rect>) -> Result<DesktopDevice> {
        let (display, scope) = (Some(self.display.clone()), Scope::Window(title.parse()?));
        Ok(DesktopDevice::open(&DesktopOptions {
            scope,
            region,
            display,
            ..DesktopOptions::default()
        })?)
    }

    /// Ends the server, as if the display had been pulled out.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Sends the window manager a signal, such as `STOP`, after which it looks at nothing.
    ///
    /// # Errors
    ///
    /// Fails if there is no window manager.
    pub fn signal_manager(&self, name: &str) -> Result<()> {
        self.manager.as_ref().context("there is no window manager")?.signal(name)
    }

    /// Reads the whole screen with the core protocol's own request.
    ///
    /// # Errors
    ///
    /// Fails if the server refuses, or has pixels that are not 16 or 32 bits long.
    pub fn pixels(&self) -> Result<RgbImage> {
        let root = &self.screen;
        let (width, height) = (root.width_in_pixels, root.height_in_pixels);
        let image = self
            .connection
            .get_image(ImageFormat::Z_PIXMAP, root.root, 0, 0, width, height, !0)?
            .reply()?;
        let setup = self.connection.setup();
        let format = setup.pixmap_formats.iter().find(|format| format.depth == image.depth);
        let bits =
            format.context("the server does not say how long its pixels are")?.bits_per_pixel;
        let unit = usize::from(bits / 8);
        ensure!(unit == 2 || unit == 4, "pixels of {bits} bits");
        let stride = (usize::from(width) * unit).next_multiple_of(4);
        let visual = self.visual()?;
        Ok(RgbImage::from_fn(width.into(), height.into(), |x, y| {
            let start = y as usize * stride + x as usize * unit;
            let bytes = image.data[start..start + unit].iter().rev();
            let pixel = bytes.fold(0, |pixel, &byte| pixel << 8 | u32::from(byte));
            Rgb([visual.red_mask, visual.green_mask, visual.blue_mask]
                .map(|mask| component(pixel, mask)))
        }))
    }

    /// Reads the whole screen when it has been the same for a while: the frame of a field that is entered
    /// or left fades for a fifth of a second.
    ///
    /// # Errors
    ///
    /// As [`XServer::pixels`]; fails too if the screen never rests.
    pub fn still_pixels(&self) -> Result<RgbImage> {
        const REST: Duration = Duration::from_millis(400);
        let mut last = (self.pixels()?, Instant::now());
        wait_for("the screen did not rest", ANSWERING, || {
            let now = self.pixels()?;
            if now != last.0 {
                last = (now, Instant::now());
            }
            Ok((last.1.elapsed() >= REST).then(|| last.0.clone()))
        })
    }

    fn visual(&self) -> Result<Visualtype> {
        let mut visuals = self.screen.allowed_depths.iter().flat_map(|depth| &depth.visuals);
        let visual = visuals.find(|visual| visual.visual_id == self.screen.root_visual);
        visual.copied().context("the screen has no visual")
    }

    /// Returns where the pointer is.
    ///
    /// # Errors
    ///
    /// Fails if the server does not answer.
    pub fn pointer(&self) -> Result<(i32, i32)> {
        let pointer = self.connection.query_pointer(self.screen.root)?.reply()?;
        Ok((pointer.root_x.into(), pointer.root_y.into()))
    }

    /// Whether a mouse button is held down.
    ///
    /// # Errors
    ///
    /// Fails if the server does not answer.
    pub fn holds_button(&self) -> Result<bool> {
        let pointer = self.connection.query_pointer(self.screen.root)?.reply()?;
        let buttons = KeyButMask::BUTTON1 | KeyButMask::BUTTON2 | KeyButMask::BUTTON3;
        Ok(pointer.mask.intersects(buttons))
    }

    /// Returns the codes of the keys that are held down.
    ///
    /// # Errors
    ///
    /// Fails if the server does not answer.
    pub fn held_keys(&self) -> Result<Vec<usize>> {
        let keys = self.connection.query_keymap()?.reply()?.keys;
        Ok((0..keys.len() * 8).filter(|key| keys[key / 8] >> (key % 8) & 1 == 1).collect())
    }

    /// Returns what every key writes.
    ///
    /// # Errors
    ///
    /// Fails if the server does not answer.
    pub fn keymap(&self) -> Result<Vec<u32>> {
        let setup = self.connection.setup();
        let count = setup.max_keycode - setup.min_keycode + 1;
        let keymap = self.connection.get_keyboard_mapping(setup.min_keycode, count)?.reply()?;
        Ok(keymap.keysyms)
    }

    /// Moves the pointer without the device under test.
    ///
    /// # Errors
    ///
    /// Fails if the server does not answer.
    pub fn warp_pointer(&self, x: i16, y: i16) -> Result<()> {
        self.connection.warp_pointer(x11rb::NONE, self.screen.root, 0, 0, 0, 0, x, y)?;
        Ok(self.connection.sync()?)
    }

    /// Waits until the window in front has this title, and the screen has stopped changing.
    ///
    /// # Errors
    ///
    /// Fails if there is no such window in time.
    pub fn wait_for_window(&self, title: &str) -> Result<()> {
        let what = format!("there is no window `{title}` in front");
        wait_until(&what, STARTING, || Ok(self.front_title()?.as_deref() == Some(title)))?;
        let mut last = self.pixels()?;
        let mut equal = 0;
        // Eight looks take less time than a caret takes to blink.
        wait_for("the window is never still", STARTING, || {
            let now = self.pixels()?;
            equal = if now == last { equal + 1 } else { 0 };
            last = now;
            Ok((equal == 8).then_some(()))
        })
    }

    fn front_title(&self) -> Result<Option<String>> {
        let (active, name) = (self.atom("_NET_ACTIVE_WINDOW")?, self.atom("_NET_WM_NAME")?);
        let Some(window) = self.window_in(self.screen.root, active)? else { return Ok(None) };
        for property in [name, AtomEnum::WM_NAME.into()] {
            let title =
                self.connection.get_property(false, window, property, AtomEnum::ANY, 0, 256)?;
            // The window may have gone in between, which is no title.
            if let Ok(title) = title.reply()
                && !title.value.is_empty()
            {
                return Ok(Some(String::from_utf8_lossy(&title.value).into_owned()));
            }
        }
        Ok(None)
    }

    fn window_in(&self, window: Window, property: u32) -> Result<Option<Window>> {
        let value = self
            .connection
            .get_property(false, window, property, AtomEnum::WINDOW, 0, 1)?
            .reply()?;
        let found = value.value32().and_then(|mut windows| windows.next());
        Ok(found.filter(|&window| window != x11rb::NONE))
    }

    fn atom(&self, name: &str) -> Result<u32> {
        Ok(self.connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }

    /// Says what is still held down, as an error.
    ///
    /// # Errors
    ///
    /// Fails if anything is.
    pub fn check_nothing_held(&self) -> Result<()> {
        let keys = self.held_keys()?;
        if !keys.is_empty() || self.holds_button()? {
            bail!("keys {keys:?} or a mouse button are still held down");
        }
        Ok(())
    }
}

impl Desktop for XServer {
    const PLATFORM: &str = "x11";

    fn command(&self, program: &str) -> Command {
        self.command(program)
    }

    fn wait_for_window(&self, title: &str) -> Result<()> {
        self.wait_for_window(title)
    }

    fn touch(&self, x: i32, y: i32) -> Result<()> {
        self.warp_pointer(x.try_into()?, y.try_into()?)
    }
}

/// Returns what says which fonts programs have: anchors are pixels, and a machine may have others, too.
pub fn fonts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fonts.conf")
}

/// Returns one component of a pixel, from 0 to 255.
fn component(pixel: u32, mask: u32) -> u8 {
    let most = mask >> mask.trailing_zeros();
    let value = (pixel & mask) >> mask.trailing_zeros();
    u8::try_from((value * 255 + most / 2) / most).expect("a component is at most its mask")
}
