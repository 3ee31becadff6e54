//! Text a model wrote → action, and back.
//!
//! Models write almost the form they were asked for: a code fence around it, a trailing comma, a
//! box where a point was wanted, `arguments` as a string, no closing tag. What can only be meant
//! one way is read that way, and each such mend is noted. What could be meant two ways is refused
//! with the place and the reason, so that the policy can be asked again: a reply that is cut off
//! inside a number is no coordinate, and one that is not understood is neither a click nor the end
//! of the episode.
//!
//! All dialects share one reader of fields; they differ in the envelope and in which names count
//! as mends. Dialects of JSON have theirs in `envelope.rs`, dialects of calls in `calls.rs`.

mod answer;
mod calls;
mod envelope;
mod error;
mod fields;
mod forms;
mod lenient;
mod names;
mod places;
mod point;
mod print;
mod print_call;
mod pyautogui;
mod python;
mod told;
mod ui_tars;
mod ui_venus;

use serde::{Deserialize, Serialize};

pub use self::answer::{Answer, AnswerForm, AnswerPiece, Coordinate};
pub use self::error::{Fault, ParseError};
pub use self::forms::{CallForm, call_forms};
pub use self::places::{Mend, NamedPlace, PlaceList, Shape, ShapeKind, read_box, read_places};
pub use self::print::{print_action, python_json};
pub use self::told::{Told, told};
use crate::action::{Action, Verb};
use crate::geometry::ModelPoint;

/// The forms in which models write actions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Plain action JSON, the serde form of [`Action`].
    Json,
    /// Qwen's `<tool_call>` of the function `computer_use`.
    ComputerUse,
    /// Qwen's `<tool_call>` of the function `mobile_use`.
    MobileUse,
    /// GUI-Owl's `<tool_call>` of its own `computer_use`.
    OwlComputerUse,
    /// UI-TARS: `Action: click(start_box='(12,34)')`.
    UiTars,
    /// UI-Venus: `<action>Click(box=(12,34))</action>`.
    UiVenus,
    /// `OpenCUA`: a code block with `pyautogui.click(x=12, y=34)`.
    Pyautogui,
}

impl Dialect {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Json,
        Self::ComputerUse,
        Self::MobileUse,
        Self::OwlComputerUse,
        Self::UiTars,
        Self::UiVenus,
        Self::Pyautogui,
    ];

    /// Returns the name of the dialect's function, if it has one.
    pub fn tool(self) -> Option<&'static str> {
        match self {
            Self::ComputerUse | Self::OwlComputerUse => Some("computer_use"),
            Self::MobileUse => Some("mobile_use"),
            Self::Json | Self::UiTars | Self::UiVenus | Self::Pyautogui => None,
        }
    }

    /// Whether its actions are calls with arguments, and not JSON.
    pub fn is_calls(self) -> bool {
        matches!(self, Self::UiTars | Self::UiVenus | Self::Pyautogui)
    }

    /// Returns what the dialect calls a verb. A verb it has no word for keeps our own.
    pub fn verb_name(self, verb: Verb) -> &'static str {
        match (self, verb) {
            (Self::ComputerUse, Verb::Drag) => "left_click_drag",
            (Self::MobileUse | Self::OwlComputerUse, Verb::LeftClick) => "click",
            (Self::MobileUse, Verb::OpenApp) => "open",
            (Self::UiTars | Self::UiVenus | Self::Pyautogui, _) => {
                let form = call_forms(self).iter().find(|form| form.verb == verb);
                form.map_or(verb.as_str(), CallForm::name)
            }
            _ => verb.as_str(),
        }
    }
}

/// What was read from a model's reply.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedReply {
    /// What the model wrote before the action, without surrounding tags and blanks.
    pub thought: String,
    /// The action, in the pixels of the resized image; its values are not checked against a size.
    pub action: Action<ModelPoint>,
    /// What had to be mended to read it, for people; empty for a well-formed reply.
    pub repairs: Vec<String>,
}

/// Reads the action in a reply.
///
/// # Errors
/// Says what is wrong and where. A click without a coordinate is an error here; see
/// [`parse_action_with_pointer`].
pub fn parse_action(text: &str, dialect: Dialect) -> Result<ParsedReply, ParseError> {
    parse_action_with_pointer(text, dialect, None)
}

/// Reads the action in a reply, knowing where the last action left the pointer.
///
/// `computer_use` is documented to click, and to begin a drag, where the pointer is when it is
/// given no coordinate; `pointer` is that place, if it is known.
///
/// # Errors
/// Says what is wrong and where.
pub fn parse_action_with_pointer(
    text: &str,
    dialect: Dialect,
    pointer: Option<ModelPoint>,
) -> Result<ParsedReply, ParseError> {
    let found = if dialect.is_calls() {
        calls::find(text, dialect)
    } else {
        envelope::find(text, dialect)
    }?;
    // A reply that breaks off may have been going to name its coordinate.
    let pointer = pointer.filter(|_| !found.is_cut_off);
    let mut repairs = found.repairs;
    let call = found.call;
    let action = fields::action(&call, dialect, pointer, &mut repairs)?;
    // The first of several calls is the next thing to do, except that nothing comes after an end.
    if let (Action::Terminate { .. }, Some(offset)) = (&action, found.next_call) {
        return Err(ParseError::SecondAction { offset });
    }
    Ok(ParsedReply { thought: found.thought, action, repairs })
}

#[cfg(test)]
mod tests;
