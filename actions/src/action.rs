//! The vocabulary: everything that can be done to a screen, as one type.
//!
//! The verbs are the union of what the `computer_use` and `mobile_use` functions of Qwen2.5-VL can
//! express. Each variant has the fields its verb needs and no others, so there is no action whose
//! fields disagree. The serde form of this type is the public format of an action: in traces, in
//! scenario files, and as the answer a model is made to write.

mod validate;
mod verb;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::validate::InvalidAction;
pub use self::verb::{ActionSpace, Verb};
use crate::geometry::{PixelPoint, Point};
use crate::key::Key;

/// The longest text one action may carry, in characters.
pub const MAX_TEXT: u32 = 4000;
/// The most keys of one chord.
pub const MAX_KEYS: u32 = 6;
/// The most wheel notches of one scroll.
pub const MAX_NOTCHES: u32 = 50;
/// The longest wait, in seconds.
pub const MAX_WAIT: f64 = 60.0;
/// The longest press, in seconds; a press cannot be interrupted.
pub const MAX_PRESS: f64 = 10.0;

/// One thing to do to a screen, with its points in the space `P`.
///
/// `{"action": "left_click", "coordinate": [120, 44]}` is its JSON form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "action",
    rename_all = "snake_case",
    deny_unknown_fields,
    bound(deserialize = "P: Point")
)]
pub enum Action<P: Point = PixelPoint> {
    /// Clicks the left button, or taps with a finger.
    LeftClick {
        /// Where.
        coordinate: P,
    },
    /// Clicks the right button.
    RightClick {
        /// Where.
        coordinate: P,
    },
    /// Clicks the middle button.
    MiddleClick {
        /// Where.
        coordinate: P,
    },
    /// Clicks the left button twice.
    DoubleClick {
        /// Where.
        coordinate: P,
    },
    /// Clicks the left button three times.
    TripleClick {
        /// Where.
        coordinate: P,
    },
    /// Presses the left button or a finger, and lets go after a while.
    LongPress {
        /// Where.
        coordinate: P,
        /// For how long, in seconds.
        #[schemars(range(min = 0.0, max = MAX_PRESS))]
        time: f64,
    },
    /// Moves the pointer and presses nothing.
    MouseMove {
        /// Where to.
        coordinate: P,
    },
    /// Moves from one point to another with the left button held.
    Drag {
        /// Where the button goes down.
        coordinate: P,
        /// Where it comes up.
        coordinate2: P,
    },
    /// Moves a finger over the screen.
    Swipe {
        /// Where the finger touches.
        coordinate: P,
        /// Where it lets go.
        coordinate2: P,
    },
    /// Turns the mouse wheel.
    Scroll {
        /// Over which point; where the pointer is, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coordinate: Option<P>,
        /// Which way the view moves over the content.
        direction: Direction,
        /// How many notches of the wheel.
        #[schemars(range(min = 1, max = MAX_NOTCHES))]
        amount: u32,
    },
    /// Types a text into whatever has the focus.
    Type {
        /// The text; a line feed presses Enter and a tab presses Tab.
        #[schemars(length(min = 1, max = MAX_TEXT))]
        text: String,
    },
    /// Presses keys in order and lets them go in reverse.
    Key {
        /// The keys of the chord.
        #[schemars(length(min = 1, max = MAX_KEYS))]
        keys: Vec<Key>,
    },
    /// Presses a button of a phone's system.
    SystemButton {
        /// Which.
        button: SystemButton,
    },
    /// Brings an application to the front, starting it if it must be.
    OpenApp {
        /// Its name.
        #[schemars(length(min = 1, max = MAX_TEXT))]
        app: String,
    },
    /// Does nothing for a while.
    Wait {
        /// For how long, in seconds.
        #[schemars(range(min = 0.0, max = MAX_WAIT))]
        time: f64,
    },
    /// Gives the answer to a question the goal asked.
    Answer {
        /// The answer.
        #[schemars(length(min = 1, max = MAX_TEXT))]
        text: String,
    },
    /// Asks the user for help, or for what only they know or may do.
    CallUser {
        /// The question; if it is empty, the thought that comes with the action says it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        #[schemars(length(max = MAX_TEXT))]
        text: String,
    },
    /// Ends the episode.
    Terminate {
        /// How the goal fared, in the policy's own opinion.
        status: Status,
    },
}

/// Which way a scroll moves the view over the content.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards the top.
    Up,
    /// Towards the bottom.
    Down,
    /// Towards the left edge.
    Left,
    /// Towards the right edge.
    Right,
}

/// A button of a phone's system.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SystemButton {
    /// One screen back.
    Back,
    /// To the home screen.
    Home,
    /// The menu, or the recent applications.
    Menu,
    /// Enter of the on-screen keyboard.
    Enter,
}

/// How an episode ended, in the policy's own opinion.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The goal is reached.
    Success,
    /// The goal cannot be reached.
    Failure,
}

impl Direction {
    /// Returns its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

impl SystemButton {
    /// Returns its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Back => "back",
            Self::Home => "home",
            Self::Menu => "menu",
            Self::Enter => "enter",
        }
    }
}

impl Status {
    /// Returns its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl<P: Point> Action<P> {
    /// Returns what kind of action it is.
    pub fn verb(&self) -> Verb {
        match self {
            Self::LeftClick { .. } => Verb::LeftClick,
            Self::RightClick { .. } => Verb::RightClick,
            Self::MiddleClick { .. } => Verb::MiddleClick,
            Self::DoubleClick { .. } => Verb::DoubleClick,
            Self::TripleClick { .. } => Verb::TripleClick,
            Self::LongPress { .. } => Verb::LongPress,
            Self::MouseMove { .. } => Verb::MouseMove,
            Self::Drag { .. } => Verb::Drag,
            Self::Swipe { .. } => Verb::Swipe,
            Self::Scroll { .. } => Verb::Scroll,
            Self::Type { .. } => Verb::Type,
            Self::Key { .. } => Verb::Key,
            Self::SystemButton { .. } => Verb::SystemButton,
            Self::OpenApp { .. } => Verb::OpenApp,
            Self::Wait { .. } => Verb::Wait,
            Self::Answer { .. } => Verb::Answer,
            Self::CallUser { .. } => Verb::CallUser,
            Self::Terminate { .. } => Verb::Terminate,
        }
    }

    /// Returns where it acts first, if it acts on a point.
    pub fn point(&self) -> Option<P> {
        self.points()[0]
    }

    /// Returns where it leaves the pointer, if it moves it.
    pub fn last_point(&self) -> Option<P> {
        let [first, second] = self.points();
        second.or(first)
    }

    /// Returns its points, those it has first.
    pub fn points(&self) -> [Option<P>; 2] {
        match *self {
            Self::LeftClick { coordinate }
            | Self::RightClick { coordinate }
            | Self::MiddleClick { coordinate }
            | Self::DoubleClick { coordinate }
            | Self::TripleClick { coordinate }
            | Self::LongPress { coordinate, .. }
            | Self::MouseMove { coordinate } => [Some(coordinate), None],
            Self::Drag { coordinate, coordinate2 } | Self::Swipe { coordinate, coordinate2 } => {
                [Some(coordinate), Some(coordinate2)]
            }
            Self::Scroll { coordinate, .. } => [coordinate, None],
            Self::Type { .. }
            | Self::Key { .. }
            | Self::SystemButton { .. }
            | Self::OpenApp { .. }
            | Self::Wait { .. }
            | Self::Answer { .. }
            | Self::CallUser { .. }
            | Self::Terminate { .. } => [None, None],
        }
    }

    /// Returns the same action with every point passed through `map`.
    pub fn map_points<Q: Point>(self, mut map: impl FnMut(P) -> Q) -> Action<Q> {
        match self {
            Self::LeftClick { coordinate } => Action::LeftClick { coordinate: map(coordinate) },
            Self::RightClick { coordinate } => Action::RightClick { coordinate: map(coordinate) },
            Self::MiddleClick { coordinate } => Action::MiddleClick { coordinate: map(coordinate) },
            Self::DoubleClick { coordinate } => Action::DoubleClick { coordinate: map(coordinate) },
            Self::TripleClick { coordinate } => Action::TripleClick { coordinate: map(coordinate) },
            Self::LongPress { coordinate, time } => {
                Action::LongPress { coordinate: map(coordinate), time }
            }
            Self::MouseMove { coordinate } => Action::MouseMove { coordinate: map(coordinate) },
            Self::Drag { coordinate, coordinate2 } => {
                Action::Drag { coordinate: map(coordinate), coordinate2: map(coordinate2) }
            }
            Self::Swipe { coordinate, coordinate2 } => {
                Action::Swipe { coordinate: map(coordinate), coordinate2: map(coordinate2) }
            }
            Self::Scroll { coordinate, direction, amount } => {
                Action::Scroll { coordinate: coordinate.map(map), direction, amount }
            }
            Self::Type { text } => Action::Type { text },
            Self::Key { keys } => Action::Key { keys },
            Self::SystemButton { button } => Action::SystemButton { button },
            Self::OpenApp { app } => Action::OpenApp { app },
            Self::Wait { time } => Action::Wait { time },
            Self::Answer { text } => Action::Answer { text },
            Self::CallUser { text } => Action::CallUser { text },
            Self::Terminate { status } => Action::Terminate { status },
        }
    }
}

/// The action as people read it: `left_click (120, 44)`, `key ctrl+s`, `type "José"`.
impl<P: Point> fmt::Display for Action<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verb())?;
        let [first, second] = self.points();
        if let Some(point) = first {
            write!(f, " {point}")?;
        }
        if let Some(point) = second {
            write!(f, " → {point}")?;
        }
        match self {
            Self::LongPress { time, .. } | Self::Wait { time } => write!(f, " {time} s"),
            Self::Scroll { direction, amount, .. } => {
                write!(f, " {} {amount}", direction.as_str())
            }
            Self::CallUser { text } if text.is_empty() => Ok(()),
            Self::Type { text } | Self::Answer { text } | Self::CallUser { text } => {
                write!(f, " {text:?}")
            }
            Self::Key { keys } => write!(f, " {}", Key::write_chord(keys)),
            Self::SystemButton { button } => write!(f, " {}", button.as_str()),
            Self::OpenApp { app } => write!(f, " {app:?}"),
            Self::Terminate { status } => write!(f, " {}", status.as_str()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::ModelPoint;

    #[track_caller]
    fn check(json: &str, people: &str) {
        let action: Action = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&action).unwrap(), json);
        assert_eq!(action.to_string(), people);
        let verb = serde_json::to_value(&action).unwrap()["action"].clone();
        assert_eq!(verb, action.verb().as_str());
    }

    #[test]
    fn every_verb_has_one_json_form() {
        check(r#"{"action":"left_click","coordinate":[120,44]}"#, "left_click (120, 44)");
        check(r#"{"action":"right_click","coordinate":[0,0]}"#, "right_click (0, 0)");
        check(r#"{"action":"middle_click","coordinate":[1,2]}"#, "middle_click (1, 2)");
        check(r#"{"action":"double_click","coordinate":[1,2]}"#, "double_click (1, 2)");
        check(r#"{"action":"triple_click","coordinate":[1,2]}"#, "triple_click (1, 2)");
        check(
            r#"{"action":"long_press","coordinate":[1,2],"time":1.5}"#,
            "long_press (1, 2) 1.5 s",
        );
        check(r#"{"action":"mouse_move","coordinate":[1,2]}"#, "mouse_move (1, 2)");
        check(
            r#"{"action":"drag","coordinate":[1,2],"coordinate2":[3,4]}"#,
            "drag (1, 2) → (3, 4)",
        );
        check(
            r#"{"action":"swipe","coordinate":[1,2],"coordinate2":[3,4]}"#,
            "swipe (1, 2) → (3, 4)",
        );
        check(r#"{"action":"scroll","direction":"down","amount":5}"#, "scroll down 5");
        check(
            r#"{"action":"scroll","coordinate":[7,8],"direction":"left","amount":1}"#,
            "scroll (7, 8) left 1",
        );
        check(r#"{"action":"type","text":"José 中文"}"#, r#"type "José 中文""#);
        check(r#"{"action":"key","keys":["ctrl","s"]}"#, "key ctrl+s");
        check(r#"{"action":"system_button","button":"back"}"#, "system_button back");
        check(r#"{"action":"open_app","app":"Clock"}"#, r#"open_app "Clock""#);
        check(r#"{"action":"wait","time":2.0}"#, "wait 2 s");
        check(r#"{"action":"answer","text":"42"}"#, r#"answer "42""#);
        check(r#"{"action":"call_user"}"#, "call_user");
        check(r#"{"action":"call_user","text":"Which?"}"#, r#"call_user "Which?""#);
        check(r#"{"action":"terminate","status":"success"}"#, "terminate success");
    }

    #[test]
    fn fields_of_other_verbs_are_refused() {
        let refused = |json: &str| assert!(serde_json::from_str::<Action>(json).is_err(), "{json}");
        refused(r#"{"action":"left_click"}"#);
        refused(r#"{"action":"left_click","coordinate":[1,2],"text":"x"}"#);
        refused(r#"{"action":"left_click","coordinate":[1,2,3,4]}"#);
        refused(r#"{"action":"terminate"}"#);
        refused(r#"{"action":"terminate","status":"Success!"}"#);
        refused(r#"{"action":"explode"}"#);
        refused(r#"{"coordinate":[1,2]}"#);
    }

    #[test]
    fn points_can_change_their_space() {
        let drag = Action::Drag {
            coordinate: ModelPoint { x: 1, y: 2 },
            coordinate2: ModelPoint { x: 3, y: 4 },
        };
        assert_eq!(drag.last_point(), Some(ModelPoint { x: 3, y: 4 }));
        let doubled = drag.map_points(|p| PixelPoint { x: 2 * p.x, y: 2 * p.y });
        assert_eq!(doubled.to_string(), "drag (2, 4) → (6, 8)");
    }
}
