//! An action becomes commands of the phone's shell.

use std::time::Duration;

use super::adb::client::ShellOutput;
use super::keycode;
use super::quote::quote;
use super::screen::Screen;
use super::text::typed;
use crate::action::{Direction, SystemButton};
use crate::geometry::{DesktopPoint, PixelPoint, Rect, Size};
use crate::key::{Key, NamedKey};

/// How long a finger takes for a swipe.
const SWIPE: Duration = Duration::from_millis(300);
/// How long for a scroll: slow enough that the list stops where the finger does.
const SCROLL: Duration = Duration::from_millis(500);
/// How long it takes to pick something up and carry it.
const DRAG: Duration = Duration::from_secs(1);
/// How far a notch of a wheel scrolls, in units of Android's layout.
const NOTCH: u32 = 64;
/// Most fingers' worth of scrolling for one action.
const MOST_SWIPES: i32 = 40;

/// One command, after which input can be halted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    pub(crate) command: String,
    /// How long it takes by what it does.
    pub(crate) takes: Duration,
}

impl Step {
    pub(crate) fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), takes: Duration::ZERO }
    }

    fn lasting(command: String, takes: Duration) -> Self {
        Self { command, takes }
    }
}

pub(crate) fn tap(at: DesktopPoint) -> Step {
    Step::new(format!("input tap {} {}", at.x, at.y))
}

/// Two taps, close enough to count as one double tap.
///
/// `input` takes from 20 ms to most of a second to start, and a double tap has to come within 300 ms
/// but not within 40. So the second starts a tenth of a second after the first, not after its end.
pub(crate) fn double_tap(at: DesktopPoint) -> Step {
    let tap = tap(at).command;
    Step::new(format!("{tap} & sleep 0.1; {tap} && wait"))
}

pub(crate) fn long_press(at: DesktopPoint, time: Duration) -> Step {
    finger("swipe", at, at, time)
}

pub(crate) fn swipe(from: DesktopPoint, to: DesktopPoint) -> Step {
    finger("swipe", from, to, SWIPE)
}

pub(crate) fn drag(from: DesktopPoint, to: DesktopPoint) -> Step {
    finger("draganddrop", from, to, DRAG)
}

fn finger(what: &str, from: DesktopPoint, to: DesktopPoint, time: Duration) -> Step {
    let millis = time.as_millis();
    let command = format!("input {what} {} {} {} {} {millis}", from.x, from.y, to.x, to.y);
    Step::lasting(command, time)
}

/// Scrolls with as many swipes as it takes.
///
/// Swipes stay off the edges, where they would open drawers and go back, and start at `at` if there
/// is room from there: what is under the finger is what scrolls.
pub(crate) fn scroll(
    at: Option<PixelPoint>,
    direction: Direction,
    amount: u32,
    screen: &Screen,
    screenshot: Size,
) -> Vec<Step> {
    let middle = Rect::whole(screenshot).center();
    let from = screen.place(at.unwrap_or(middle), screenshot);
    // The finger moves against the view.
    let (is_vertical, forward) = match direction {
        Direction::Up => (true, 1),
        Direction::Down => (true, -1),
        Direction::Left => (false, 1),
        Direction::Right => (false, -1),
    };
    let length = if is_vertical { screen.size.height } else { screen.size.width };
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    let (low, high) = (length / 8, length - length / 8);
    let mut start = if is_vertical { from.y } else { from.x }.clamp(low, high);
    let room = |start: i32| if forward > 0 { high - start } else { start - low };
    if room(start) < length / 4 {
        // Too close to the edge the finger moves to: the middle has room.
        start = length / 2;
    }
    let mut left = screen.dp(NOTCH).saturating_mul(i32::try_from(amount).unwrap_or(1)).max(1);
    let reach = room(start).max(1);
    let mut steps = Vec::new();
    for _ in 0..MOST_SWIPES {
        let distance = left.min(reach);
        let end = start + forward * distance;
        let (a, b) = if is_vertical {
            (DesktopPoint { x: from.x, y: start }, DesktopPoint { x: from.x, y: end })
        } else {
            (DesktopPoint { x: start, y: from.y }, DesktopPoint { x: end, y: from.y })
        };
        steps.push(finger("swipe", a, b, SCROLL));
        left -= distance;
        if left <= 0 {
            break;
        }
    }
    steps
}

pub(crate) fn system_button(button: SystemButton) -> Step {
    press(match button {
        SystemButton::Back => keycode::BACK,
        SystemButton::Home => keycode::HOME,
        SystemButton::Menu => keycode::APP_SWITCH,
        SystemButton::Enter => keycode::ENTER,
    })
}

pub(crate) fn press(key: u32) -> Step {
    Step::new(format!("input keyevent {key}"))
}

/// Why keys cannot be pressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoKeys {
    /// Phones have no such key.
    Key(Key),
    /// This version of Android presses no keys together.
    Together,
}

/// Presses keys, together if there are several.
pub(crate) fn keys(keys: &[Key], sdk: u32) -> Result<Step, NoKeys> {
    let shift = Key::Named(NamedKey::Shift);
    match keys {
        // A sign without a key of its own is typed, and so is a capital letter.
        [Key::Char(sign)] if keycode::of_key(keys[0]).is_none() && is_ascii(*sign) => {
            return Ok(Step::new(typed(&sign.to_string())));
        }
        [first, Key::Char(letter @ 'a'..='z')] if *first == shift => {
            return Ok(Step::new(typed(&letter.to_ascii_uppercase().to_string())));
        }
        _ => {}
    }
    let mut codes = Vec::new();
    for key in keys {
        codes.push(keycode::of_key(*key).ok_or(NoKeys::Key(*key))?.to_string());
    }
    match codes.len() {
        0 | 1 => Ok(Step::new(format!("input keyevent {}", codes.join(" ")))),
        _ if sdk >= 31 => Ok(Step::new(format!("input keycombination {}", codes.join(" ")))),
        _ => Err(NoKeys::Together),
    }
}

fn is_ascii(sign: char) -> bool {
    matches!(sign, ' '..='~')
}

/// Brings an app to the front as its icon does.
pub(crate) fn open_app(package: &str, activity: Option<&str>) -> Step {
    match activity {
        // 0x10200000: in a task of its own, or the one it has.
        Some(activity) => Step::new(format!(
            "am start -a android.intent.action.MAIN -c android.intent.category.LAUNCHER \
             -f 0x10200000 -n {}",
            quote(&format!("{package}/{activity}"))
        )),
        None => {
            Step::new(format!("monkey -p {} -c android.intent.category.LAUNCHER 1", quote(package)))
        }
    }
}

/// Whether a command failed; `am` of older phones says so and ends with 0.
pub(crate) fn has_failed(command: &str, output: &ShellOutput) -> bool {
    let says_error = || {
        let all = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        all.iter().any(|text| text.lines().any(|line| line.starts_with("Error")))
    };
    output.code != 0 || (command.starts_with("am ") && says_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen =
        Screen { size: Size { width: 1080, height: 2400 }, density: 480, degrees: 0, focus: None };

    #[track_caller]
    fn check_scroll(at: Option<PixelPoint>, direction: Direction, amount: u32, expected: &[&str]) {
        let steps = scroll(at, direction, amount, &SCREEN, SCREEN.size);
        let commands: Vec<_> = steps.iter().map(|step| step.command.as_str()).collect();
        assert_eq!(commands, expected);
    }

    #[test]
    fn a_scroll_is_swipes_against_the_view_and_off_the_edges() {
        check_scroll(None, Direction::Down, 2, &["input swipe 540 1200 540 816 500"]);
        check_scroll(None, Direction::Up, 1, &["input swipe 540 1200 540 1392 500"]);
        check_scroll(
            Some(PixelPoint { x: 100, y: 2300 }),
            Direction::Down,
            10,
            &["input swipe 100 2100 100 300 500", "input swipe 100 2100 100 1980 500"],
        );
        check_scroll(
            Some(PixelPoint { x: 100, y: 10 }),
            Direction::Down,
            1,
            &["input swipe 100 1200 100 1008 500"],
        );
        check_scroll(
            Some(PixelPoint { x: 1000, y: 700 }),
            Direction::Right,
            1,
            &["input swipe 945 700 753 700 500"],
        );
    }

    #[test]
    fn keys_are_pressed_or_typed() {
        let check = |chord: &str, sdk, expected: Result<&str, NoKeys>| {
            let pressed = keys(&Key::parse_chord(chord).unwrap(), sdk).map(|step| step.command);
            assert_eq!(pressed.as_deref(), expected.as_ref().map(|text| &**text), "{chord}");
        };
        check("enter", 34, Ok("input keyevent 66"));
        check("a", 34, Ok("input keyevent 29"));
        check("?", 34, Ok("input text '?'"));
        check("shift+a", 30, Ok("input text A"));
        check("ctrl+a", 34, Ok("input keycombination 113 29"));
        check("ctrl+a", 30, Err(NoKeys::Together));
        check("é", 34, Err(NoKeys::Key(Key::Char('é'))));
        check("f20", 34, Err(NoKeys::Key(Key::Function(20))));
    }

    #[test]
    fn am_says_error_and_ends_with_nothing() {
        let output = |text: &str, code| ShellOutput {
            stdout: text.as_bytes().to_vec(),
            code,
            ..ShellOutput::default()
        };
        let said = "Starting: Intent\nError type 3\n";
        assert!(has_failed("am start -n a/b", &output(said, 0)));
        assert!(!has_failed("am start -n a/b", &output("Starting: Intent\n", 0)));
        assert!(!has_failed("input text Error", &output("Error", 0)));
        assert!(has_failed("input tap 1 1", &output("", 255)));
    }
}
