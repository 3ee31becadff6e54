//! Whether an action makes sense on a screen of a given size.
//!
//! serde checks an action's shape; this checks its values. Devices call it before they move
//! anything, so whatever wrote the action, its point is on the screen and its text is not empty.

use super::{Action, MAX_KEYS, MAX_NOTCHES, MAX_PRESS, MAX_TEXT, MAX_WAIT, Verb};
use crate::geometry::{Point, Size};

/// Why an action cannot be performed on a screen of this size.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAction {
    /// It points outside the screen.
    #[error("`{verb}` at ({x}, {y}) lies outside the {screen} px screen")]
    OffScreen {
        /// The action's verb.
        verb: Verb,
        /// The point, from the screen's top-left corner.
        x: i32,
        /// See `x`.
        y: i32,
        /// The screen.
        screen: Size,
    },
    /// A text or a list of keys has nothing in it.
    #[error("`{verb}` has an empty `{field}`")]
    Empty {
        /// The action's verb.
        verb: Verb,
        /// The field's name in JSON.
        field: &'static str,
    },
    /// A text, a list of keys or a count is too large.
    #[error("`{field}` of `{verb}` is {found}, more than the {limit} allowed")]
    TooMany {
        /// The action's verb.
        verb: Verb,
        /// The field's name in JSON.
        field: &'static str,
        /// Characters, keys or notches there are.
        found: usize,
        /// The most there may be.
        limit: u32,
    },
    /// A scroll by nothing.
    #[error("`scroll` has an `amount` of 0")]
    NoScroll,
    /// A time that is negative, too long or no number.
    #[error("`time` of `{verb}` is {time} s, not between 0 and {limit} s")]
    Time {
        /// The action's verb.
        verb: Verb,
        /// The time, in seconds.
        time: f64,
        /// The most there may be, in seconds.
        limit: f64,
    },
    /// A text has a character no key writes, such as a bell or an escape.
    #[error("`text` of `{verb}` has the control character {character:?} at character {index}")]
    ControlCharacter {
        /// The action's verb.
        verb: Verb,
        /// The character.
        character: char,
        /// How many characters come before it.
        index: usize,
    },
}

impl<P: Point> Action<P> {
    /// Checks the action's values against a screen of this size, in the space of its points.
    ///
    /// # Errors
    /// Says the first thing that is wrong.
    pub fn validate(&self, screen: Size) -> Result<(), InvalidAction> {
        let verb = self.verb();
        for point in self.points().into_iter().flatten() {
            if !screen.contains(point) {
                let (x, y) = point.xy();
                return Err(InvalidAction::OffScreen { verb, x, y, screen });
            }
        }
        let count = |field, found: usize, limit: u32| match found {
            0 => Err(InvalidAction::Empty { verb, field }),
            _ if found > limit as usize => {
                Err(InvalidAction::TooMany { verb, field, found, limit })
            }
            _ => Ok(()),
        };
        let within = |time: f64, limit: f64| {
            let is_within = (0.0..=limit).contains(&time);
            if is_within { Ok(()) } else { Err(InvalidAction::Time { verb, time, limit }) }
        };
        match self {
            Self::LongPress { time, .. } => within(*time, MAX_PRESS),
            Self::Wait { time } => within(*time, MAX_WAIT),
            Self::Scroll { amount: 0, .. } => Err(InvalidAction::NoScroll),
            Self::Scroll { amount, .. } => count("amount", *amount as usize, MAX_NOTCHES),
            Self::Type { text } => {
                count("text", text.chars().count(), MAX_TEXT)?;
                typable(verb, text)
            }
            Self::CallUser { text } if text.is_empty() => Ok(()),
            Self::Answer { text } | Self::CallUser { text } => {
                count("text", text.chars().count(), MAX_TEXT)
            }
            Self::OpenApp { app } => count("app", app.trim().chars().count(), MAX_TEXT),
            Self::Key { keys } => count("keys", keys.len(), MAX_KEYS),
            Self::LeftClick { .. }
            | Self::RightClick { .. }
            | Self::MiddleClick { .. }
            | Self::DoubleClick { .. }
            | Self::TripleClick { .. }
            | Self::MouseMove { .. }
            | Self::Drag { .. }
            | Self::Swipe { .. }
            | Self::SystemButton { .. }
            | Self::Terminate { .. } => Ok(()),
        }
    }
}

/// A line feed and a tab have their keys; the other control characters have none.
fn typable(verb: Verb, text: &str) -> Result<(), InvalidAction> {
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.chars().enumerate().find(|&(_, character)| control(character)) {
        Some((index, character)) => Err(InvalidAction::ControlCharacter { verb, character, index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::PixelPoint;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let action: Action<PixelPoint> = serde_json::from_str(json).unwrap();
        let actual = match action.validate(Size { width: 100, height: 50 }) {
            Ok(()) => "ok".to_owned(),
            Err(err) => err.to_string(),
        };
        assert_eq!(actual, expected, "{json}");
    }

    #[test]
    fn points_must_be_on_the_screen() {
        check(r#"{"action":"left_click","coordinate":[99,49]}"#, "ok");
        check(
            r#"{"action":"left_click","coordinate":[100,49]}"#,
            "`left_click` at (100, 49) lies outside the 100×50 px screen",
        );
        check(
            r#"{"action":"drag","coordinate":[1,1],"coordinate2":[1,-1]}"#,
            "`drag` at (1, -1) lies outside the 100×50 px screen",
        );
        check(
            r#"{"action":"scroll","coordinate":[0,50],"direction":"up","amount":1}"#,
            "`scroll` at (0, 50) lies outside the 100×50 px screen",
        );
    }

    #[test]
    fn counts_and_times_have_bounds() {
        check(r#"{"action":"type","text":""}"#, "`type` has an empty `text`");
        check(r#"{"action":"key","keys":[]}"#, "`key` has an empty `keys`");
        check(r#"{"action":"open_app","app":"  "}"#, "`open_app` has an empty `app`");
        check(
            r#"{"action":"scroll","direction":"up","amount":0}"#,
            "`scroll` has an `amount` of 0",
        );
        check(
            r#"{"action":"scroll","direction":"up","amount":51}"#,
            "`amount` of `scroll` is 51, more than the 50 allowed",
        );
        check(r#"{"action":"wait","time":-1}"#, "`time` of `wait` is -1 s, not between 0 and 60 s");
        check(
            r#"{"action":"key","keys":["a","b","c","d","e","f","g"]}"#,
            "`keys` of `key` is 7, more than the 6 allowed",
        );
        let long = "x".repeat(4001);
        check(
            &format!(r#"{{"action":"type","text":"{long}"}}"#),
            "`text` of `type` is 4001, more than the 4000 allowed",
        );
    }

    #[test]
    fn text_is_what_keys_can_write() {
        check(r#"{"action":"type","text":"a\tb\n中😀"}"#, "ok");
        check(
            r#"{"action":"type","text":"ab\u001b"}"#,
            r"`text` of `type` has the control character '\u{1b}' at character 2",
        );
    }
}
