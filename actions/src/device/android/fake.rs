//! A fake phone that speaks the transport of ADB, for tests and for developing against.
//!
//! It is a fake and not a mock: behind the protocol is a small Android with state. Its apps can be
//! opened, their fields filled in, its settings changed, its screen turned and locked; what
//! `screencap`, `uiautomator` and `dumpsys` say follows from that state. It also breaks on demand, in
//! the ways real phones do. That it speaks ADB as others do is tested with Debian's own `adb`.
//!
//! ```no_run
//! use handsight_actions::{FakeAndroid, FakeAndroidOptions};
//!
//! let phone = FakeAndroid::start(&FakeAndroidOptions::default())?;
//! println!("adb connect {}", phone.address());
//! # Ok::<(), std::io::Error>(())
//! ```

mod apps;
mod auth;
mod commands;
mod connection;
mod device;
mod files;
mod fingers;
mod paint;
mod service;
mod sh;
mod stream;
mod sync;
mod system;
mod view;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::apps::{App as _, Profile};
use self::device::Shared;
pub use self::system::Lock as FakeLock;
use crate::geometry::Size;

/// What a [`FakeAndroid`] is like when it is switched on.
#[derive(Clone, Debug)]
pub struct FakeAndroidOptions {
    /// Where it listens; a port of 0 takes a free one. Nobody else should reach it: it obeys.
    pub address: SocketAddr,
    /// The size of its screen, upright.
    pub size: Size,
    /// Pixels to an inch.
    pub density: u32,
    /// The version of Android by its API level.
    pub sdk: u32,
    /// What `ro.product.model` says.
    pub model: String,
    /// The charge of its battery, in percent.
    pub battery: u8,
    /// Which of its clients it lets in.
    pub door: FakeDoor,
    /// The format of `screencap`'s pixels.
    pub pixels: FakePixels,
    /// Whether `screencap` shows the panel's own pixels, whatever `wm size` says.
    pub captures_physical: bool,
    /// Whether a keyboard is installed that types what it is sent, though not enabled.
    pub adb_keyboard: bool,
    /// Whether `cmd clipboard` works, as it does on few phones.
    pub clipboard_command: bool,
}

impl Default for FakeAndroidOptions {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            size: Size { width: 360, height: 640 },
            density: 160,
            sdk: 34,
            model: "Fake Phone".to_owned(),
            battery: 87,
            door: FakeDoor::Open,
            pixels: FakePixels::Rgba8888,
            captures_physical: false,
            adb_keyboard: false,
            clipboard_command: false,
        }
    }
}

impl FakeAndroidOptions {
    /// Whether it knows version 2 of the shell protocol, as phones do since Android 7.
    fn has_shell_v2(&self) -> bool {
        self.sdk >= 24
    }

    /// Returns the version of Android as people call it.
    fn release(&self) -> &'static str {
        match self.sdk {
            ..=23 => "6",
            24 | 25 => "7",
            26 | 27 => "8",
            28 => "9",
            29 => "10",
            30 => "11",
            31 | 32 => "12",
            33 => "13",
            _ => "14",
        }
    }
}

/// Which of its clients a [`FakeAndroid`] lets in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FakeDoor {
    /// All.
    Open,
    /// Those whose key somebody accepts on the phone, which somebody always does.
    Accepts,
    /// Nobody accepts a key.
    Unauthorized,
    /// It listens and never answers.
    Offline,
    /// It wants TLS, as phones do since Android 11 over Wi-Fi, and then cannot speak it.
    Tls,
}

/// The format of the pixels that `screencap` writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FakePixels {
    /// 32 bits: red, green, blue, alpha.
    Rgba8888,
    /// 32 bits: red, green, blue, nothing.
    Rgbx8888,
    /// 24 bits.
    Rgb888,
    /// 16 bits.
    Rgb565,
    /// 32 bits: blue, green, red, alpha.
    Bgra8888,
}

/// A way for a [`FakeAndroid`] to fail once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AndroidFault {
    /// The next `screencap` writes half of its bytes and ends as if all was well.
    HalfFrame,
    /// The connection breaks in the middle of the next `screencap`.
    UnpluggedMidFrame,
    /// The next command that begins so never ends.
    Hang {
        /// How it begins: `input tap`, for example.
        command: String,
        /// Whether it does what it was asked before it hangs.
        acts: bool,
    },
    /// The next command that begins so does nothing and fails.
    Fail {
        /// How it begins.
        command: String,
        /// Its exit code.
        code: u8,
        /// What it writes on stderr.
        message: String,
    },
}

/// A fake phone, listening for ADB until it is dropped.
#[derive(Debug)]
pub struct FakeAndroid {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl FakeAndroid {
    /// Switches a phone on.
    ///
    /// # Errors
    /// Fails if the address cannot be had.
    pub fn start(options: &FakeAndroidOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(options.clone()));
        let serving = Arc::clone(&shared);
        let accepting =
            thread::Builder::new().name("fake-android".to_owned()).spawn(move || {
                for stream in listener.incoming() {
                    if serving.is_off() {
                        break;
                    }
                    if let Ok(stream) = stream {
                        connection::accept(&serving, stream);
                    }
                }
            })?;
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes it fail once more.
    pub fn fail(&self, fault: AndroidFault) {
        self.shared.faults().push_back(fault);
    }

    /// Pulls the cable: every connection breaks, and new ones are closed at once.
    pub fn unplug(&self) {
        self.shared.plugged.store(false, Ordering::SeqCst);
        self.shared.hang_up();
    }

    /// Puts the cable back.
    pub fn plug_in(&self) {
        self.shared.plugged.store(true, Ordering::SeqCst);
    }

    /// Breaks every connection; new ones work.
    pub fn disconnect(&self) {
        self.shared.hang_up();
    }

    /// Locks the screen in this way and turns it off, or turns it on if it is `Open`.
    pub fn lock(&self, lock: FakeLock) {
        let mut system = self.shared.system();
        system.lock = lock;
        system.set_awake(lock == FakeLock::Open);
    }

    /// Turns the phone by this many quarters.
    pub fn rotate(&self, quarters: u32) {
        self.shared.system().world.set("system", "user_rotation", &(quarters % 4).to_string());
    }

    /// A person's finger goes down in one place, moves to another and comes up after so long.
    pub fn touch(&self, from: crate::PixelPoint, to: crate::PixelPoint, time: Duration) {
        let mut system = self.shared.system();
        fingers::touch(&mut system, from, to, time);
        system.swipe(from, to, time);
    }

    /// Returns the app in front, as `package/.Activity`.
    pub fn foreground(&self) -> String {
        self.shared.system().front_app().identity().component()
    }

    /// Returns what is in a field of the app `Profile`: `first_name` or `city`.
    pub fn profile(&self, field: &str) -> Option<String> {
        let package = Profile::default().identity().package;
        self.shared.system().field(package, field)
    }

    /// Returns the id of the text field that has the focus.
    pub fn focus(&self) -> Option<String> {
        self.shared.system().focused().map(str::to_owned)
    }

    /// Returns a setting.
    pub fn setting(&self, namespace: &str, key: &str) -> Option<String> {
        self.shared.system().world.setting(namespace, key).map(str::to_owned)
    }

    /// Returns the on-screen keyboard in use.
    pub fn keyboard(&self) -> String {
        self.shared.system().keyboard.clone()
    }

    /// Returns a file.
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.system().world.files.read(path).ok().map(|file| file.data.clone())
    }

    /// Returns the middle of the view with this id or text that is on the screen now.
    pub fn find(&self, name: &str) -> Option<crate::PixelPoint> {
        let system = self.shared.system();
        let views = system.app_views();
        let views = views.iter().flat_map(|view| std::iter::once(view).chain(&view.children));
        let mut found = views.filter(|view| view.id == name || view.text == name);
        found.next().map(|view| view.bounds.center())
    }

    /// Returns the texts on the screen, in order.
    pub fn texts(&self) -> Vec<String> {
        let system = self.shared.system();
        let views = system.app_views();
        let views = views.iter().flat_map(|view| std::iter::once(view).chain(&view.children));
        views.map(|view| view.text.clone()).filter(|text| !text.is_empty()).collect()
    }

    /// Returns how many keys were accepted.
    pub fn keys_accepted(&self) -> usize {
        device::locked(&self.shared.keys).len()
    }

    /// Returns the `input` commands so far.
    pub fn inputs(&self) -> Vec<String> {
        self.shared.system().log.clone()
    }
}

impl Drop for FakeAndroid {
    fn drop(&mut self) {
        self.shared.switch_off();
        // The thread waits for somebody to connect, so somebody does.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(accepting) = self.accepting.take().filter(|_| woken) {
            let _ = accepting.join();
        }
    }
}
