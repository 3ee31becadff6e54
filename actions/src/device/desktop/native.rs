//! macOS and Windows: capture through xcap, keyboard through enigo.
//!
//! Both systems take Unicode text directly, so enigo's typing is sound there.

use enigo::{Direction as Press, Enigo, Keyboard as _, Settings};
use image::RgbImage;

use super::backend::{Hand, Keyboard, Screen, Shown};
use super::mouse::EnigoHand;
use super::view::Found;
use super::{Failure, Monitor};
use crate::device::{AreaFault, DeviceError, Source};
use crate::geometry::{Area, DesktopPoint, MonitorLayout, Rect, Size};
use crate::halt::Halt;
use crate::key::{Key, NamedKey};

/// The monitors of the one desktop there is.
struct NativeScreen;

/// Checks that there is a desktop; there is but one, whatever name is asked for.
pub(super) fn connect(
    _: Option<&str>,
    _: &super::PortalOptions,
) -> Result<Box<dyn Screen>, DeviceError> {
    let no_display = |err: xcap::XCapError| DeviceError::NoDisplay {
        display: "default".to_owned(),
        source: err.into(),
    };
    // Without it macOS shows no windows but the wallpaper. It asks the user once.
    #[cfg(target_os = "macos")]
    if !objc2_core_graphics::CGPreflightScreenCaptureAccess()
        && !objc2_core_graphics::CGRequestScreenCaptureAccess()
    {
        let source = "macOS does not let this program record the screen".into();
        return Err(DeviceError::NoDisplay { display: "default".to_owned(), source });
    }
    // Until a process says that it knows of screens of high density, Windows tells it of smaller ones.
    // It can be said but once; the second device finds that done.
    #[cfg(windows)]
    let _ = enigo::set_dpi_awareness();
    xcap::Monitor::all().map_err(no_display)?;
    Ok(Box::new(NativeScreen))
}

impl Screen for NativeScreen {
    fn display(&self) -> &'static str {
        "default"
    }

    fn monitors(&self) -> Result<Vec<Monitor>, Failure> {
        let monitors = xcap::Monitor::all().map_err(refused)?;
        monitors.iter().map(|monitor| describe(monitor).map_err(refused)).collect()
    }

    fn capture(&mut self, area: Area, index: usize) -> Result<RgbImage, Failure> {
        let monitors = xcap::Monitor::all().map_err(refused)?;
        let gone = || Failure::Refused("the monitor was unplugged".into());
        let image = monitors.get(index).ok_or_else(gone)?.capture_image().map_err(refused)?;
        let (width, height) = image.dimensions();
        let samples: Vec<u8> =
            image.into_raw().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        let short = || Failure::Refused("the capture has too few pixels".into());
        let image = RgbImage::from_raw(width, height, samples).ok_or_else(short)?;
        let part = area.on_monitor();
        let whole = Rect::whole(Size { width, height });
        if part == whole {
            return Ok(image);
        }
        // A window that reaches onto another monitor would need a capture of both.
        let beyond = || Failure::Refused("it does not lie on one monitor".into());
        let part = whole.intersection(part).filter(|&seen| seen == part).ok_or_else(beyond)?;
        let (x, y) = (part.x.unsigned_abs(), part.y.unsigned_abs());
        Ok(image::imageops::crop_imm(&image, x, y, part.width, part.height).to_image())
    }

    fn windows(&self) -> Result<Vec<Found>, Failure> {
        let all = xcap::Window::all().map_err(refused)?;
        // A window that goes away while it is described is left out.
        let shown = all.iter().filter(|window| !window.is_minimized().unwrap_or(true));
        Ok(shown.filter_map(|window| describe_window(window).ok()).collect())
    }

    /// Checks that nothing lies on a window; there is no way to bring one up here.
    fn raise(&self, window: &Found) -> Result<bool, Failure> {
        let mut above = self.windows()?.into_iter().take_while(|other| other.id != window.id);
        // On macOS these two lie on the whole screen, and let everything through.
        let is_window = |other: &Found| !["Dock", "Window Server"].contains(&other.app.as_str());
        let lies_on = |other: &Found| other.area.intersection(window.area).is_some();
        match above.find(|other| is_window(other) && lies_on(other)) {
            None => Ok(false),
            Some(other) => {
                let by = if other.title.is_empty() { other.app } else { other.title };
                Err(AreaFault::Covered { window: window.title.clone(), by }.into())
            }
        }
    }

    /// Checks that keys reach a window.
    fn focus(&self, window: &Found) -> Result<(), Failure> {
        if focused_window()?.is_some_and(|focused| focused.id == window.id) {
            return Ok(());
        }
        Err(AreaFault::Unfocused { window: window.title.clone() }.into())
    }

    fn foreground_app(&self) -> Option<String> {
        focused_window().ok()?.map(|window| window.app)
    }

    /// Tells which window of Windows has the keyboard; macOS only tells the program. What is under a point
    /// is not told: menus and tooltips are not on the list of windows.
    fn window(&self, at: Option<DesktopPoint>) -> Option<Result<Option<Shown>, Failure>> {
        if at.is_some() || !cfg!(windows) {
            return None;
        }
        focused_window().transpose().map(|found| Ok(Some(found?.into())))
    }

    fn ping(&self) -> Result<(), Failure> {
        self.monitors().map(|_| ())
    }

    fn hand(&self) -> Result<Box<dyn Hand>, Source> {
        EnigoHand::open(None)
    }

    fn keyboard(&self) -> Result<Box<dyn Keyboard>, Failure> {
        let settings = Settings { release_keys_when_dropped: false, ..Settings::default() };
        let enigo = Enigo::new(&settings).map_err(refused)?;
        Ok(Box::new(NativeKeyboard { enigo, held: Vec::new(), halt: Halt::default() }))
    }
}

/// Returns the window that has the keyboard, if it is one of those that are listed.
fn focused_window() -> Result<Option<Found>, Failure> {
    let all = xcap::Window::all().map_err(refused)?;
    let focused = all.iter().find(|window| window.is_focused().unwrap_or(false));
    Ok(focused.and_then(|window| describe_window(window).ok()))
}

/// Where a window is, in the units of the desktop.
fn describe_window(window: &xcap::Window) -> Result<Found, xcap::XCapError> {
    let (width, height) = (window.width()?, window.height()?);
    Ok(Found {
        id: window.id()?,
        app: window.app_name()?,
        title: window.title()?,
        area: Rect { x: window.x()?, y: window.y()?, width, height },
    })
}

/// xcap measures in points on macOS and in physical pixels on Windows, and so does enigo.
fn describe(monitor: &xcap::Monitor) -> Result<Monitor, xcap::XCapError> {
    let scale = f64::from(monitor.scale_factor()?);
    let units = if cfg!(target_os = "macos") { scale } else { 1.0 };
    let physical = |length: u32| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a monitor's side times a scale of a few"
        )]
        let pixels = (f64::from(length) * units).round() as u32;
        pixels
    };
    Ok(Monitor {
        name: monitor.name()?,
        layout: MonitorLayout {
            origin: DesktopPoint { x: monitor.x()?, y: monitor.y()? },
            size: Size { width: physical(monitor.width()?), height: physical(monitor.height()?) },
            scale: units,
        },
        scale,
        is_primary: monitor.is_primary()?,
    })
}

/// How many characters are typed between two looks at the switch that stops input.
const PIECE: usize = 16;

/// The keyboard, and which of its keys we hold.
struct NativeKeyboard {
    enigo: Enigo,
    held: Vec<enigo::Key>,
    halt: Halt,
}

impl NativeKeyboard {
    fn check_going(&self) -> Result<(), Failure> {
        if self.halt.is_set() { Err(Failure::Refused("input was halted".into())) } else { Ok(()) }
    }

    fn write_plain(&mut self, text: &str) -> Result<(), Failure> {
        // In pieces, so that no more than one is typed after input was halted.
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(PIECE) {
            self.check_going()?;
            self.enigo.text(&piece.iter().collect::<String>()).map_err(refused)?;
        }
        Ok(())
    }
}

impl Keyboard for NativeKeyboard {
    fn heed(&mut self, halt: Halt) {
        self.halt = halt;
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        // With a line feed it would begin two lines.
        let text = text.replace('\r', "");
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['\n', '\t']) {
            let (plain, after) = rest.split_at(at);
            self.write_plain(plain)?;
            let key = if after.starts_with('\n') { enigo::Key::Return } else { enigo::Key::Tab };
            self.enigo.key(key, Press::Click).map_err(refused)?;
            rest = &after[1..];
        }
        self.write_plain(rest)
    }

    fn chord(&mut self, keys: &[Key]) -> Result<(), Failure> {
        let known = |&key: &Key| native_key(key).ok_or(Failure::NoSuchKey(key));
        let keys = keys.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        self.check_going()?;
        for key in keys {
            self.held.push(key);
            self.enigo.key(key, Press::Press).map_err(refused)?;
        }
        self.release_all()
    }

    fn release_all(&mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        while let Some(key) = self.held.pop() {
            result = result.and(self.enigo.key(key, Press::Release).map_err(refused));
        }
        result
    }
}

fn refused(err: impl Into<Source>) -> Failure {
    Failure::Refused(err.into())
}

/// The key right of the space bar.
#[cfg(windows)]
const ALT_GR: enigo::Key = enigo::Key::RMenu;
#[cfg(not(windows))]
const ALT_GR: enigo::Key = enigo::Key::Alt;

/// Returns enigo's name for a key, if the system has such a key.
fn native_key(key: Key) -> Option<enigo::Key> {
    use enigo::Key as Native;
    Some(match key {
        Key::Char(character) => Native::Unicode(character),
        Key::Function(number) => function_key(number)?,
        Key::Named(name) => match name {
            NamedKey::Ctrl => Native::Control,
            NamedKey::Alt => Native::Alt,
            NamedKey::AltGr => ALT_GR,
            NamedKey::Shift => Native::Shift,
            NamedKey::Meta => Native::Meta,
            NamedKey::Enter => Native::Return,
            NamedKey::Escape => Native::Escape,
            NamedKey::Tab => Native::Tab,
            NamedKey::Space => Native::Space,
            NamedKey::Backspace => Native::Backspace,
            NamedKey::Delete => Native::Delete,
            NamedKey::Home => Native::Home,
            NamedKey::End => Native::End,
            NamedKey::PageUp => Native::PageUp,
            NamedKey::PageDown => Native::PageDown,
            NamedKey::Up => Native::UpArrow,
            NamedKey::Down => Native::DownArrow,
            NamedKey::Left => Native::LeftArrow,
            NamedKey::Right => Native::RightArrow,
            NamedKey::CapsLock => Native::CapsLock,
            NamedKey::VolumeUp => Native::VolumeUp,
            NamedKey::VolumeDown => Native::VolumeDown,
            NamedKey::VolumeMute => Native::VolumeMute,
            other => return platform_key(other),
        },
    })
}

/// Returns enigo's name for a key that only one of the two systems has.
#[cfg(windows)]
fn platform_key(name: NamedKey) -> Option<enigo::Key> {
    use enigo::Key as Native;
    Some(match name {
        NamedKey::Insert => Native::Insert,
        NamedKey::NumLock => Native::Numlock,
        NamedKey::ScrollLock => Native::Scroll,
        NamedKey::PrintScreen => Native::PrintScr,
        NamedKey::Pause => Native::Pause,
        NamedKey::ContextMenu => Native::Apps,
        NamedKey::Clear => Native::Clear,
        _ => return None,
    })
}

#[cfg(not(windows))]
fn platform_key(name: NamedKey) -> Option<enigo::Key> {
    (name == NamedKey::Power).then_some(enigo::Key::Power)
}

fn function_key(number: u8) -> Option<enigo::Key> {
    use enigo::Key as Native;
    let keys = [
        Native::F1,
        Native::F2,
        Native::F3,
        Native::F4,
        Native::F5,
        Native::F6,
        Native::F7,
        Native::F8,
        Native::F9,
        Native::F10,
        Native::F11,
        Native::F12,
    ];
    keys.get(usize::from(number).checked_sub(1)?).copied()
}
