//! The state of the fake phone: what is on, in front, focused and locked, and what fingers and keys
//! change about it.

mod input;
mod scene;

use std::time::Instant;

use super::FakeAndroidOptions;
use super::apps::{App, Board, Launcher, Library, Profile, Settings, Vault, World};
use crate::geometry::Size;

/// How the screen is locked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lock {
    /// Not at all.
    Open,
    /// A swipe or `wm dismiss-keyguard` opens it.
    Swipe,
    /// Only its owner can open it.
    Secure,
}

/// The size and orientation of the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Display {
    /// The size of the panel, upright.
    pub(super) physical: Size,
    /// What `wm size` was told, if anything.
    pub(super) size_override: Option<Size>,
    pub(super) physical_density: u32,
    pub(super) density_override: Option<u32>,
}

impl Display {
    /// Returns the size apps see, upright.
    pub(super) fn upright(&self) -> Size {
        self.size_override.unwrap_or(self.physical)
    }

    pub(super) fn density(&self) -> u32 {
        self.density_override.unwrap_or(self.physical_density)
    }
}

/// An on-screen keyboard that `ime list -a` shows.
#[derive(Clone, Debug)]
pub(super) struct Keyboard {
    pub(super) id: &'static str,
    pub(super) enabled: bool,
}

/// The keyboard the phone came with.
pub(super) const LATIN: &str = "com.android.inputmethod.latin/.LatinIME";
/// The keyboard that types what it is sent.
pub(super) const ADB_KEYBOARD: &str = "com.android.adbkeyboard/.AdbIME";

/// The phone.
pub(super) struct System {
    pub(super) options: FakeAndroidOptions,
    pub(super) display: Display,
    pub(super) awake: bool,
    pub(super) lock: Lock,
    pub(super) world: World,
    apps: Vec<Box<dyn App>>,
    /// The apps that were opened, the one in front last; the home screen, number 0, is below all.
    stack: Vec<usize>,
    /// The text field that has the focus, by its id.
    focus: Option<String>,
    selected: bool,
    keyboard_up: bool,
    pub(super) keyboards: Vec<Keyboard>,
    pub(super) keyboard: String,
    pub(super) clipboard: String,
    last_tap: Option<(String, Instant)>,
    /// A finger that `input motionevent` put down and nobody lifted.
    pub(super) finger: Option<crate::geometry::PixelPoint>,
    /// The commands that changed something, for tests to read.
    pub(super) log: Vec<String>,
    /// What the kernel has told of fingers.
    pub(super) fingers: Vec<String>,
}

impl System {
    pub(super) fn new(options: FakeAndroidOptions) -> Self {
        let apps: Vec<Box<dyn App>> = vec![
            Box::new(Launcher),
            Box::new(Profile::default()),
            Box::new(Settings),
            Box::new(Library::default()),
            Box::new(Board::default()),
            Box::new(Vault),
        ];
        let icons = apps.iter().skip(1).map(|app| app.identity()).collect();
        let mut world = World { icons, ..World::default() };
        world.set("global", "wifi_on", "1");
        world.set("global", "airplane_mode_on", "0");
        world.set("system", "accelerometer_rotation", "0");
        world.set("system", "user_rotation", "0");
        world.set("secure", "default_input_method", LATIN);
        let mut keyboards = vec![Keyboard { id: LATIN, enabled: true }];
        if options.adb_keyboard {
            keyboards.push(Keyboard { id: ADB_KEYBOARD, enabled: false });
        }
        Self {
            display: Display {
                physical: options.size,
                size_override: None,
                physical_density: options.density,
                density_override: None,
            },
            options,
            awake: true,
            lock: Lock::Open,
            world,
            apps,
            stack: Vec::new(),
            focus: None,
            selected: false,
            keyboard_up: false,
            keyboards,
            keyboard: LATIN.to_owned(),
            clipboard: String::new(),
            last_tap: None,
            finger: None,
            log: Vec::new(),
            fingers: Vec::new(),
        }
    }

    pub(super) fn front(&self) -> usize {
        self.stack.last().copied().unwrap_or(0)
    }

    pub(super) fn front_app(&self) -> &dyn App {
        &*self.apps[self.front()]
    }

    pub(super) fn apps(&self) -> impl Iterator<Item = &dyn App> {
        self.apps.iter().map(|app| &**app)
    }

    /// Returns how the screen is turned, in quarters.
    pub(super) fn rotation(&self) -> u32 {
        let setting = self.world.setting("system", "user_rotation");
        setting.and_then(|text| text.parse().ok()).filter(|turns| *turns < 4).unwrap_or(0)
    }

    /// Returns the size of the screen as it is turned.
    pub(super) fn size(&self) -> Size {
        turned(self.display.upright(), self.rotation())
    }

    /// Brings an app to the front; `false` if there is no such package.
    pub(super) fn open(&mut self, package: &str) -> bool {
        let Some(index) = self.apps.iter().position(|app| app.identity().package == package) else {
            return false;
        };
        self.leave();
        if index == 0 {
            self.stack.clear();
        } else {
            self.stack.retain(|open| *open != index);
            self.stack.push(index);
        }
        true
    }

    /// Ends an app, as `am force-stop` does.
    pub(super) fn stop(&mut self, package: &str) {
        if let Some(index) = self.apps.iter().position(|app| app.identity().package == package) {
            self.apps[index].stop();
            if self.front() == index {
                self.leave();
            }
            self.stack.retain(|open| *open != index);
        }
    }

    fn leave(&mut self) {
        self.focus = None;
        self.selected = false;
        self.keyboard_up = false;
        self.last_tap = None;
    }

    pub(super) fn keyboard_is_up(&self) -> bool {
        self.keyboard_up
    }

    /// Returns the text of a field of an app, whether it is in front or not.
    pub(super) fn field(&mut self, package: &str, id: &str) -> Option<String> {
        let mut apps = self.apps.iter_mut();
        let app = apps.find(|app| app.identity().package == package)?;
        app.field(id).map(|text| text.clone())
    }

    /// Returns the id of the field that has the focus.
    pub(super) fn focused(&self) -> Option<&str> {
        self.focus.as_deref()
    }

    /// Remembers a command that changed something.
    pub(super) fn record(&mut self, words: &[String]) {
        const MOST: usize = 10_000;
        if self.log.len() < MOST {
            self.log.push(words.join(" "));
        }
    }
}

/// Turns a size by quarters.
pub(super) fn turned(size: Size, quarters: u32) -> Size {
    if quarters.is_multiple_of(2) { size } else { Size { width: size.height, height: size.width } }
}
