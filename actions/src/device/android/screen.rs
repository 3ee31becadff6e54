//! What a phone says of its screen and of what is on it.

use super::adb::client::Client;
use super::adb::error::AdbError;
use crate::geometry::{Area, DesktopPoint, MonitorLayout, PixelPoint, Rect, Size};

/// The lines of `dumpsys window displays` that are read.
const DISPLAYS: &str = "dumpsys window displays | grep -F -e mDisplayId= -e init= -e mCurrentFocus= \
                        -e mFocusedApp= -e mCurrentRotation=";
/// Where phones before Android 10 keep the focus.
const WINDOWS: &str = "dumpsys window windows | grep -F -e mCurrentFocus= -e mFocusedApp=";

/// The main display of a phone, as it is turned now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Screen {
    /// The size in which `input` counts: that of `wm size`, as it is turned.
    pub(crate) size: Size,
    /// Pixels to an inch.
    pub(crate) density: u32,
    /// By how many degrees it is turned.
    pub(crate) degrees: u32,
    /// The window with the focus.
    pub(crate) focus: Option<Focus>,
}

/// A window.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Focus {
    /// The app's package.
    pub(crate) package: String,
    /// Its activity, or what the system calls a window of its own.
    pub(crate) activity: String,
}

impl Screen {
    /// Asks the phone.
    pub(crate) fn ask(client: &Client) -> Result<Self, AdbError> {
        let said = client.look(DISPLAYS)?;
        let mut screen = Self::read(&said).ok_or_else(|| AdbError::Protocol {
            task: "dumpsys window displays".to_owned(),
            problem: "it names no size of display 0".to_owned(),
        })?;
        if screen.focus.is_none() {
            screen.focus = read_focus(&client.look(WINDOWS)?);
        }
        Ok(screen)
    }

    fn read(text: &str) -> Option<Self> {
        let main = of_main_display(text);
        let words: Vec<&str> = main.split_whitespace().collect();
        let init = words.iter().position(|word| word.starts_with("init="))?;
        let size = |name: &str| {
            let word = words[init..].iter().find_map(|word| word.strip_prefix(name))?;
            let (width, height) = word.split_once('x')?;
            Some(Size { width: width.parse().ok()?, height: height.parse().ok()? })
        };
        // The density of an override stands after it and wins.
        let densities = words[init..].iter().take_while(|word| !word.starts_with("cur="));
        let density = densities.filter_map(|word| word.strip_suffix("dpi")?.parse().ok()).last();
        let size = size("cur=").or_else(|| size("init="))?;
        let turned = words.iter().find_map(|word| word.strip_prefix("mCurrentRotation="));
        Some(Self {
            size: Some(size).filter(|size| size.width > 0 && size.height > 0)?,
            density: density.filter(|density| *density > 0).unwrap_or(160),
            degrees: turned.map_or(0, degrees),
            focus: read_focus(&main),
        })
    }

    /// Pixels to one unit of Android's own layout.
    pub(crate) fn scale(&self) -> f64 {
        f64::from(self.density) / 160.0
    }

    /// Returns a length of Android's layout in the pixels in which `input` counts.
    pub(crate) fn dp(&self, length: u32) -> i32 {
        i32::try_from(u64::from(length) * u64::from(self.density) / 160).unwrap_or(i32::MAX)
    }

    /// Returns where `input` has to act for a pixel of a screenshot that is so large.
    ///
    /// The two differ on phones that capture the panel's own pixels whatever `wm size` says.
    pub(crate) fn place(&self, point: PixelPoint, screenshot: Size) -> DesktopPoint {
        self.display().to_desktop(point, screenshot)
    }

    /// Returns the part of a screenshot that a view takes.
    pub(crate) fn shown(&self, bounds: Rect, screenshot: Size) -> Rect {
        self.display().shown(bounds, screenshot)
    }

    /// To `input` the display is a desktop of one monitor.
    fn display(&self) -> Area {
        let origin = DesktopPoint { x: 0, y: 0 };
        Area::whole(MonitorLayout { origin, size: self.size, scale: 1.0 })
    }
}

/// Keeps what is said of display 0; an emulator or a foldable may have others before it.
fn of_main_display(text: &str) -> String {
    let mut is_main = true;
    let lines = text.lines().filter(|line| {
        let id = line.split_once("mDisplayId=").map(|(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits
        });
        let names_display = line.trim_start().starts_with("Display:");
        if let Some(id) = id.filter(|_| names_display) {
            is_main = id == "0";
        }
        is_main
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Reads `ROTATION_90`, or the number of quarters of older phones.
fn degrees(word: &str) -> u32 {
    match word.strip_prefix("ROTATION_") {
        Some(degrees) => degrees.parse().unwrap_or(0),
        None => word.parse::<u32>().map_or(0, |quarters| quarters % 4 * 90),
    }
}

/// Reads who has the focus: a window, or else the app that gets what windows leave.
fn read_focus(text: &str) -> Option<Focus> {
    let named = |name: &str| text.lines().rev().find_map(|line| line.trim().strip_prefix(name));
    let window = named("mCurrentFocus=").filter(|record| !record.starts_with("null"));
    let app = named("mFocusedApp=").and_then(component);
    if let Some(record) = window {
        if let Some(focus) = component(record) {
            return Some(focus);
        }
        let name = record.trim_end_matches('}').rsplit(' ').next().unwrap_or_default();
        let is_system = ["NotificationShade", "StatusBar", "Keyguard", "VolumeDialog"];
        if app.is_none() || is_system.iter().any(|system| name.starts_with(system)) {
            let package = "com.android.systemui".to_owned();
            return Some(Focus { package, activity: name.to_owned() });
        }
    }
    app
}

/// Finds `package/activity` in a record such as `Window{5a1 u0 com.example/com.example.Main}`.
fn component(record: &str) -> Option<Focus> {
    let word = record.split([' ', '{', '}']).find(|word| word.contains('/'))?;
    let (package, activity) = word.split_once('/')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._$".contains(c);
    (!package.is_empty() && package.chars().all(is_name))
        .then(|| Focus { package: package.to_owned(), activity: activity.to_owned() })
}

/// Returns the package of the window in front, if it forbids to be captured.
pub(crate) fn secure_window(dump: &str) -> Option<String> {
    let focus = read_focus(dump)?;
    let mut package = String::new();
    for line in dump.lines().map(str::trim) {
        if line.starts_with("Window #") {
            package = component(line).map_or_else(String::new, |window| window.package);
        } else if package == focus.package
            && let Some((_, flags)) = line.split_once("fl=")
            && is_secure(flags)
        {
            return Some(package);
        }
    }
    None
}

/// Reads flags of a window: names since Android 9, one number before.
fn is_secure(flags: &str) -> bool {
    const FLAG_SECURE: u32 = 0x2000;
    let end = flags.find(['}', '=']).unwrap_or(flags.len());
    let mut words = flags[..end].split_whitespace();
    let number = flags.strip_prefix("#").and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
        u32::from_str_radix(&digits, 16).ok()
    });
    number.map_or_else(|| words.any(|word| word == "SECURE"), |bits| bits & FLAG_SECURE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_read_as_android_tells_it() {
        let check = |text: &str, expected: &str| {
            let screen = Screen::read(text).map(|screen| {
                let focus =
                    screen.focus.map(|focus| format!("{}|{}", focus.package, focus.activity));
                let focus = focus.unwrap_or_default();
                format!("{} {}dpi {}° {focus}", screen.size, screen.density, screen.degrees)
            });
            assert_eq!(screen.as_deref().unwrap_or("nothing"), expected);
        };
        check(
            "  Display: mDisplayId=0 (organized)\n    init=1080x2400 420dpi mMinSizeOfResizeableTaskDp=220 \
             cur=2400x1080 app=2274x1080 rng=1080x1017-2274x2211\n  \
             mCurrentFocus=Window{d0b u0 com.android.chrome/com.google.android.apps.chrome.Main}\n  \
             mFocusedApp=ActivityRecord{1 u0 com.android.chrome/.Main t12}\n    \
             mCurrentRotation=ROTATION_90",
            "2400×1080 420dpi 90° com.android.chrome|com.google.android.apps.chrome.Main",
        );
        check(
            "  Display: mDisplayId=2\n init=10x10 1dpi cur=10x10\n mCurrentFocus=null\n  \
             Display: mDisplayId=0\n  init=1080x1920 480dpi base=720x1280 320dpi cur=720x1280 app=1x1\n  \
             mCurrentFocus=null\n  mFocusedApp=AppWindowToken{1 token=Token{2 ActivityRecord{3 u0 a.b/.C t1}}}",
            "720×1280 320dpi 0° a.b|.C",
        );
        check(
            "init=480x800 240dpi cur=480x800\n mCurrentFocus=Window{1 u0 NotificationShade}\n \
             mFocusedApp=ActivityRecord{3 u0 a.b/.C t1}",
            "480×800 240dpi 0° com.android.systemui|NotificationShade",
        );
        check(
            "init=480x800 240dpi cur=480x800\n mCurrentFocus=Window{1 u0 PopupWindow:5f}\n \
             mFocusedApp=ActivityRecord{3 u0 a.b/.C t1}",
            "480×800 240dpi 0° a.b|.C",
        );
        check("init=0x0 0dpi cur=0x0", "nothing");
        check("Can't find service: window", "nothing");
    }

    #[test]
    fn a_secure_window_is_found_by_its_flags() {
        let dump = |flags: &str| {
            format!(
                "  Window #0 Window{{1 u0 StatusBar}}:\n    mAttrs={{(0,0) fl=NOT_FOCUSABLE SECURE}}\n  \
                 Window #1 Window{{2 u0 a.b/a.b.C}}:\n    mAttrs={{(0,0)(fillxfill) ty=1 {flags}\n      \
                 pfl=NO_SECURE}}\n  mCurrentFocus=Window{{2 u0 a.b/a.b.C}}"
            )
        };
        let check = |flags, is_secure: bool| {
            let package = secure_window(&dump(flags));
            assert_eq!(package.as_deref(), is_secure.then_some("a.b"), "{flags}");
        };
        check("fl=LAYOUT_IN_SCREEN SECURE LAYOUT_INSET_DECOR", true);
        check("fl=LAYOUT_IN_SCREEN LAYOUT_INSET_DECOR", false);
        check("fl=#81812100 wanim=0x1", true);
        check("fl=#81810100 wanim=0x1", false);
    }
}
