//! The grammar a reply must follow, so that decoding cannot leave the action space.
//!
//! Grammars are in llguidance's dialect of Lark. What they force costs no run of the model. They
//! are a help, not a check: a reply is parsed and validated as if it had been written freely.

use handsight_actions::{ActionSpace, Size, Verb, action_schema, tool_schema};
use serde_json::{Value, json};

use crate::prompt::PromptProfile;

/// The longest thought of the embedded checkpoint, in characters: one line that repeats a label.
const MAX_LINE: usize = 400;

/// The longest thought before a tool call, in characters.
const MAX_THOUGHT: usize = 1200;

/// Returns the grammar of a whole reply, with coordinates inside `frame`.
pub(super) fn reply(profile: PromptProfile, offered: &ActionSpace, frame: Size) -> String {
    match profile {
        PromptProfile::EmbeddedV1 => {
            let schema = compact(action_schema(&embedded_verbs(offered), frame));
            format!(
                "start: THOUGHT \"\\n\" action\n\
                 THOUGHT: /[^\\x00-\\x1f\\x7f]{{1,{MAX_LINE}}}/\n\
                 action: %json {schema}\n"
            )
        }
        PromptProfile::ComputerUse | PromptProfile::MobileUse => {
            let schema = spaced(tool_schema(profile.dialect(), offered, frame));
            format!(
                "start: THOUGHT? <tool_call> \"\\n\" call \"\\n\" </tool_call>\n\
                 THOUGHT: /[^<]{{1,{MAX_THOUGHT}}}/\n\
                 call: %json {schema}\n"
            )
        }
    }
}

/// Returns the grammar of the embedded checkpoint's reply that starts with the line `thought`: a
/// click, or the word that there is nothing to click.
pub(crate) fn click_or_not_found(thought: &str, frame: Size) -> String {
    let click = action_schema(&ActionSpace::new([Verb::LeftClick]), frame);
    let not_found = json!({
        "type": "object",
        "properties": { "action": { "const": "terminate" }, "status": { "const": "failure" } },
        "required": ["action", "status"],
        "additionalProperties": false,
    });
    let action = compact(json!({ "anyOf": [click, not_found] }));
    format!("start: {} action\naction: %json {action}\n", literal(thought))
}

/// Returns the grammar of a reply of which only the two coordinates are open.
///
/// `before` and `after` are what stands around them; a `<tool_call>` at the very start is taken for
/// the token of that name.
pub(crate) fn coordinates(before: &str, separator: &str, after: &str, frame: Size) -> String {
    let side = |length: u32| json!({ "type": "integer", "minimum": 0, "maximum": length.saturating_sub(1) });
    let before = match before.strip_prefix("<tool_call>") {
        Some(rest) => format!("<tool_call> {}", literal(rest)),
        None => literal(before),
    };
    let (separator, after) = (literal(separator), literal(after));
    let (x, y) = (side(frame.width), side(frame.height));
    format!("start: {before} x {separator} y {after}\nx: %json {x}\ny: %json {y}\n")
}

/// Returns a text as a string of the grammar, which has the escapes of JSON.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns the verbs that are both offered and known to the embedded checkpoint.
fn embedded_verbs(offered: &ActionSpace) -> ActionSpace {
    let known = ActionSpace::new([
        Verb::LeftClick,
        Verb::RightClick,
        Verb::DoubleClick,
        Verb::Scroll,
        Verb::Type,
        Verb::Key,
    ]);
    // Ending the episode needs no device.
    ActionSpace::new(known.intersection(offered).iter().chain([Verb::Terminate]))
}

/// Adds the options for JSON without white space.
fn compact(schema: Value) -> Value {
    with_options(schema, ",", ":")
}

/// Adds the options for JSON as Python writes it.
fn spaced(schema: Value) -> Value {
    with_options(schema, ", ", ": ")
}

fn with_options(mut schema: Value, item_separator: &str, key_separator: &str) -> Value {
    schema["x-guidance"] = json!({
        "item_separator": item_separator,
        "key_separator": key_separator,
        "whitespace_flexible": false,
    });
    schema
}
