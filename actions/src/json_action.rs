//! Actions as AndroidWorld writes them: its `JSONAction`, in both directions.
//!
//! What its environment does with one is not always one action of ours: `input_text` taps, types and
//! presses Enter, so it is a sequence here. And not all of ours exist there: it has no drag, no key, no
//! wait but of one second. What maps, maps without loss, there and back; what does not is refused with the
//! reason, never bent into something near.
//!
//! ```
//! use handsight_actions::{Action, JsonAction, PixelPoint, Size};
//!
//! let screen = Size { width: 1080, height: 2400 };
//! let json = r#"{"action_type":"click","x":540,"y":1200}"#;
//! let actions = JsonAction::parse(json)?.to_actions(screen)?;
//! assert_eq!(actions, [Action::LeftClick { coordinate: PixelPoint { x: 540, y: 1200 } }]);
//! assert_eq!(JsonAction::of_actions(&actions, screen)?.to_json(), json);
//! # Ok::<(), handsight_actions::JsonActionError>(())
//! ```
//!
//! # Source
//! `android_world/env/json_action.py` (21c0bc0) and `actuation.py` (1903b2f) of
//! google-research/android_world. Forks of it (Mobile-Agent's) change what the same objects do.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::action::{Action, Direction, MAX_TEXT, Status, SystemButton, Verb};
use crate::geometry::{PixelPoint, Size};
use crate::key::{Key, NamedKey};

/// How long its `long_press` and its `wait` last, in seconds; it knows no other times.
const SECOND: f64 = 1.0;
/// How many notches its `scroll` is here: it moves the content by half the screen, 400 of Android's units
/// on most phones, of which a notch scrolls 64.
pub const SCROLL_NOTCHES: u32 = 6;

/// AndroidWorld's kinds of action.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "their names are AndroidWorld's")]
pub enum JsonActionType {
    Click,
    DoubleTap,
    Scroll,
    Swipe,
    InputText,
    NavigateHome,
    NavigateBack,
    KeyboardEnter,
    OpenApp,
    Status,
    Wait,
    LongPress,
    Answer,
    Unknown,
}

impl JsonActionType {
    fn name(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|name| Some(name.as_str()?.to_owned()))
            .unwrap_or_default()
    }
}

/// AndroidWorld's `JSONAction`, with its fields in its order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct JsonAction {
    /// The kind.
    pub action_type: JsonActionType,
    /// The number of a view, instead of a point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i64>,
    /// Pixels from the left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<i32>,
    /// Pixels from the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<i32>,
    /// What is typed or answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Which way a scroll or a swipe goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How the goal fared: `complete` or `infeasible`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal_status: Option<String>,
    /// The name of an app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// A key of Android; nothing in AndroidWorld presses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keycode: Option<String>,
    /// Whether the field is emptied first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_text: Option<bool>,
}

/// Why an action cannot be written in the other form.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonActionError {
    /// It is no `JSONAction`.
    #[error("this is no JSONAction: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
    /// AndroidWorld would not carry it out, or it depends on what is not in it.
    #[error("`{action_type}` cannot be carried out: {problem}")]
    NotPerformable {
        /// Its kind.
        action_type: String,
        /// Why not.
        problem: &'static str,
    },
    /// AndroidWorld has no such action.
    #[error("AndroidWorld has no action for {what}: {problem}")]
    NotExpressible {
        /// The actions, in words without their texts.
        what: String,
        /// What it lacks.
        problem: &'static str,
    },
}

/// The fields as agents write them: numbers may be texts, texts may be numbers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Loose {
    #[serde(default)]
    action_type: Option<String>,
    #[serde(default)]
    index: Option<Value>,
    #[serde(default)]
    x: Option<Value>,
    #[serde(default)]
    y: Option<Value>,
    #[serde(default)]
    text: Option<Value>,
    #[serde(default)]
    direction: Option<String>,
    #[serde(default)]
    goal_status: Option<String>,
    #[serde(default)]
    app_name: Option<String>,
    #[serde(default)]
    keycode: Option<String>,
    #[serde(default)]
    clear_text: Option<bool>,
}

impl JsonAction {
    fn new(action_type: JsonActionType) -> Self {
        Self {
            action_type,
            index: None,
            x: None,
            y: None,
            text: None,
            direction: None,
            goal_status: None,
            app_name: None,
            keycode: None,
            clear_text: None,
        }
    }

    fn at(action_type: JsonActionType, point: PixelPoint) -> Self {
        Self { x: Some(point.x), y: Some(point.y), ..Self::new(action_type) }
    }

    /// Reads an object, as tolerantly as AndroidWorld does and no more.
    ///
    /// # Errors
    /// [`JsonActionError::Malformed`] where AndroidWorld refuses it, too.
    pub fn parse(text: &str) -> Result<Self, JsonActionError> {
        let malformed = |problem: String| JsonActionError::Malformed { problem };
        let loose: Loose =
            serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let kind = Value::from(loose.action_type.as_deref().unwrap_or("none"));
        let action_type = serde_json::from_value(kind).map_err(|_| {
            malformed(format!(
                "there is no action type `{}`",
                loose.action_type.unwrap_or_default()
            ))
        })?;
        let index = loose.index.map(|value| whole(&value, "index")).transpose()?;
        let pixel = |value: Option<Value>, field| -> Result<Option<i32>, JsonActionError> {
            let Some(value) = value else { return Ok(None) };
            let far = |_| malformed(format!("`{field}` is {value}, on no screen"));
            Ok(Some(i32::try_from(whole(&value, field)?).map_err(far)?))
        };
        let (x, y) = (pixel(loose.x, "x")?, pixel(loose.y, "y")?);
        if index.is_some() && (x.is_some() || y.is_some()) {
            return Err(malformed("it has an `index` and a point".to_owned()));
        }
        let direction = loose.direction.filter(|direction| !direction.is_empty());
        let direction = direction.map(|direction| {
            serde_json::from_value(Value::from(direction.as_str()))
                .map_err(|_| malformed(format!("`{direction}` is no direction")))
        });
        if let Some(keycode) = loose.keycode.as_deref().filter(|code| !code.starts_with("KEYCODE_"))
        {
            return Err(malformed(format!("`{keycode}` is no keycode")));
        }
        let text = loose.text.map(|text| match text {
            Value::String(text) => text,
            other => other.to_string(),
        });
        Ok(Self {
            index,
            x,
            y,
            text,
            direction: direction.transpose()?,
            goal_status: loose.goal_status,
            app_name: loose.app_name,
            keycode: loose.keycode,
            clear_text: loose.clear_text,
            ..Self::new(action_type)
        })
    }

    /// Returns it as AndroidWorld writes it: compact, without what is absent.
    ///
    /// # Panics
    /// Never: all of its fields are texts and numbers.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }

    /// Returns what it does, on a screen of this size.
    ///
    /// # Errors
    /// [`JsonActionError::NotPerformable`] for what AndroidWorld would do nothing about, and for what
    /// counts views rather than pixels.
    pub fn to_actions(&self, screen: Size) -> Result<Vec<Action>, JsonActionError> {
        use JsonActionType as Kind;
        let lacks = |problem| JsonActionError::NotPerformable {
            action_type: self.action_type.name(),
            problem,
        };
        if self.index.is_some() {
            return Err(lacks("an `index` counts views, which are not in it; give `x` and `y`"));
        }
        let point = || {
            let point = self.x.zip(self.y).map(|(x, y)| PixelPoint { x, y });
            point.ok_or_else(|| lacks("it needs `x` and `y`"))
        };
        let text = || {
            let text = self.text.clone().filter(|text| !text.is_empty());
            text.ok_or_else(|| lacks("it needs a `text`"))
        };
        let direction = || self.direction.ok_or_else(|| lacks("it needs a `direction`"));
        Ok(vec![match self.action_type {
            Kind::Click => Action::LeftClick { coordinate: point()? },
            Kind::DoubleTap => Action::DoubleClick { coordinate: point()? },
            Kind::LongPress => Action::LongPress { coordinate: point()?, time: SECOND },
            Kind::InputText => {
                return Ok(typing(point()?, &text()?, self.clear_text == Some(true)));
            }
            Kind::Scroll => {
                Action::Scroll { coordinate: None, direction: direction()?, amount: SCROLL_NOTCHES }
            }
            Kind::Swipe => {
                let [coordinate, coordinate2] = swipe(direction()?, screen);
                Action::Swipe { coordinate, coordinate2 }
            }
            Kind::NavigateHome => Action::SystemButton { button: SystemButton::Home },
            Kind::NavigateBack => Action::SystemButton { button: SystemButton::Back },
            Kind::KeyboardEnter => Action::SystemButton { button: SystemButton::Enter },
            Kind::OpenApp => {
                let app = self.app_name.clone().filter(|app| !app.is_empty());
                Action::OpenApp { app: app.ok_or_else(|| lacks("it needs an `app_name`"))? }
            }
            Kind::Wait => Action::Wait { time: SECOND },
            Kind::Answer => Action::Answer { text: text()? },
            Kind::Status => Action::Terminate {
                status: match self.goal_status.as_deref() {
                    Some("complete") => Status::Success,
                    Some("infeasible") => Status::Failure,
                    _ => {
                        return Err(lacks(
                            "its `goal_status` is neither `complete` nor `infeasible`",
                        ));
                    }
                },
            },
            Kind::Unknown => return Err(lacks("it says that nothing was understood")),
        }])
    }

    /// Returns what AndroidWorld calls these actions, on a screen of this size.
    ///
    /// # Errors
    /// [`JsonActionError::NotExpressible`] says what it lacks.
    pub fn of_actions(actions: &[Action], screen: Size) -> Result<Self, JsonActionError> {
        use JsonActionType as Kind;
        let lacks = |problem| JsonActionError::NotExpressible { what: in_words(actions), problem };
        let action = match actions {
            [action] => action,
            [Action::LeftClick { coordinate }, rest @ ..] => {
                let (text, clears) = typed(rest).ok_or_else(|| {
                    lacks("only a click, and a text that ends with Enter after it, are one action")
                })?;
                let clear_text = clears.then_some(true);
                return Ok(Self {
                    text: Some(text),
                    clear_text,
                    ..Self::at(Kind::InputText, *coordinate)
                });
            }
            _ => return Err(lacks("it does one thing at a time")),
        };
        Ok(match action {
            Action::LeftClick { coordinate } => Self::at(Kind::Click, *coordinate),
            Action::DoubleClick { coordinate } => Self::at(Kind::DoubleTap, *coordinate),
            Action::LongPress { coordinate, time } if is_second(*time) => {
                Self::at(Kind::LongPress, *coordinate)
            }
            Action::LongPress { .. } => return Err(lacks("its long press lasts one second")),
            Action::Swipe { coordinate, coordinate2 } => {
                let all = [Direction::Up, Direction::Down, Direction::Left, Direction::Right];
                let is_it = |way: &Direction| swipe(*way, screen) == [*coordinate, *coordinate2];
                let direction = all.into_iter().find(is_it);
                let direction = direction.ok_or_else(|| {
                    lacks("its swipes go over the middle of the screen, from edge to edge")
                })?;
                Self { direction: Some(direction), ..Self::new(Kind::Swipe) }
            }
            Action::Scroll { coordinate: Some(_), .. } => {
                return Err(lacks("it scrolls from the middle of the screen only"));
            }
            Action::Scroll { direction, amount: SCROLL_NOTCHES, .. } => {
                Self { direction: Some(*direction), ..Self::new(Kind::Scroll) }
            }
            Action::Scroll { .. } => {
                return Err(lacks("it scrolls by half a screen, 6 notches, only"));
            }
            Action::Type { .. } => {
                return Err(lacks("it types only after a tap: give both, and Enter at the end"));
            }
            Action::SystemButton { button } => Self::new(match button {
                SystemButton::Home => Kind::NavigateHome,
                SystemButton::Back => Kind::NavigateBack,
                SystemButton::Enter => Kind::KeyboardEnter,
                SystemButton::Menu => return Err(lacks("it has no button for recent apps")),
            }),
            Action::OpenApp { app } => {
                Self { app_name: Some(app.clone()), ..Self::new(Kind::OpenApp) }
            }
            Action::Wait { time } if is_second(*time) => Self::new(Kind::Wait),
            Action::Wait { .. } => return Err(lacks("it waits for one second only")),
            Action::Answer { text } => Self { text: Some(text.clone()), ..Self::new(Kind::Answer) },
            Action::Terminate { status } => {
                let status = match status {
                    Status::Success => "complete",
                    Status::Failure => "infeasible",
                };
                Self { goal_status: Some(status.to_owned()), ..Self::new(Kind::Status) }
            }
            Action::RightClick { .. }
            | Action::MiddleClick { .. }
            | Action::TripleClick { .. }
            | Action::MouseMove { .. }
            | Action::Drag { .. }
            | Action::CallUser { .. }
            | Action::Key { .. } => return Err(lacks("there is nothing like it")),
        })
    }
}

/// Reads a whole number that may stand in quotes.
fn whole(value: &Value, field: &str) -> Result<i64, JsonActionError> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_i64(),
    };
    let problem = format!("`{field}` is {value}, not a whole number");
    number.ok_or(JsonActionError::Malformed { problem })
}

fn is_second(time: f64) -> bool {
    (time - SECOND).abs() < f64::EPSILON
}

/// The tap, the text and the Enter of `input_text`.
fn typing(coordinate: PixelPoint, text: &str, clears: bool) -> Vec<Action> {
    let mut actions = vec![Action::LeftClick { coordinate }];
    if clears {
        // What is typed takes the place of what is selected.
        actions.push(Action::Key { keys: select_all() });
    }
    actions.push(Action::Type { text: format!("{text}\n") });
    actions
}

/// What was typed after a tap, and whether the field was emptied first.
fn typed(actions: &[Action]) -> Option<(String, bool)> {
    let (text, clears) = match actions {
        [Action::Type { text }] => (text, false),
        [Action::Key { keys }, Action::Type { text }] if *keys == select_all() => (text, true),
        _ => return None,
    };
    let text = text.strip_suffix('\n').filter(|text| !text.is_empty())?;
    (text.chars().count() < MAX_TEXT as usize).then(|| (text.to_owned(), clears))
}

fn select_all() -> Vec<Key> {
    vec![NamedKey::Ctrl.into(), Key::Char('a')]
}

/// Returns where a swipe begins and ends. The names of left and right are those of the scroll it inverts.
fn swipe(direction: Direction, screen: Size) -> [PixelPoint; 2] {
    let middle = |length: u32| i32::try_from(length / 2).unwrap_or(i32::MAX);
    // Its far ends lie one pixel beyond the screen, where no finger is.
    let last = |length: u32| i32::try_from(length.saturating_sub(1)).unwrap_or(i32::MAX);
    let (x, y) = (middle(screen.width), middle(screen.height));
    let (right, bottom) = (last(screen.width), last(screen.height));
    let ends = match direction {
        Direction::Down => [[x, 0], [x, bottom]],
        Direction::Up => [[x, bottom], [x, 0]],
        Direction::Left => [[0, y], [right, y]],
        Direction::Right => [[right, y], [0, y]],
    };
    ends.map(PixelPoint::from)
}

/// The verbs of actions: their texts may be secret.
fn in_words(actions: &[Action]) -> String {
    let verbs: Vec<&str> = actions.iter().map(Action::verb).map(Verb::as_str).collect();
    if verbs.is_empty() { "nothing".to_owned() } else { verbs.join(", ") }
}

#[cfg(test)]
mod tests;
