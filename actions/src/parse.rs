//! Text a model wrote → action. (being filled in)

use crate::action::Action;
use crate::geometry::ModelPoint;

/// The forms in which models write actions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Dialect {
    /// Plain action JSON, the serde form of [`Action`].
    Json,
    /// Qwen's `<tool_call>` of the function `computer_use`.
    ComputerUse,
    /// Qwen's `<tool_call>` of the function `mobile_use`.
    MobileUse,
}

/// What was read from a model's reply.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedReply {
    /// What the model wrote before the action, without surrounding tags and blanks.
    pub thought: String,
    /// The action, in the pixels of the resized image.
    pub action: Action<ModelPoint>,
    /// What had to be mended to read it, for people; empty for a well-formed reply.
    pub repairs: Vec<String>,
}

/// Why no action could be read from a reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There is nothing in the reply that looks like an action.
    #[error("no action found")]
    NoAction,
}

/// Reads the action in a reply.
///
/// # Errors
/// Says what is wrong and where.
pub fn parse_action(text: &str, dialect: Dialect) -> Result<ParsedReply, ParseError> {
    parse_action_with_pointer(text, dialect, None)
}

/// Reads the action in a reply, with the place the pointer is at.
///
/// # Errors
/// Says what is wrong and where.
pub fn parse_action_with_pointer(
    _text: &str,
    _dialect: Dialect,
    _pointer: Option<ModelPoint>,
) -> Result<ParsedReply, ParseError> {
    Err(ParseError::NoAction)
}

/// Writes an action as a model of that dialect would.
pub fn print_action(_action: &Action<ModelPoint>, _dialect: Dialect) -> String {
    String::new()
}
