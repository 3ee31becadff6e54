//! placeholder
use serde_json::Value;

use crate::action::ActionSpace;
use crate::geometry::Size;
use crate::parse::Dialect;

/// Returns the schema of the tool call object of a dialect, for constrained decoding.
pub fn tool_schema(_dialect: Dialect, _space: &ActionSpace, _bounds: Size) -> Value {
    Value::Null
}

/// Returns the function signature of a dialect for the prompt.
pub fn tool_signature(_dialect: Dialect, _resolution: Size) -> Value {
    Value::Null
}
