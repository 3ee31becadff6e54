//! Finds the action's JSON in a reply, and the thought before it.
//!
//! Only text after a closed thinking block is searched, and only an object that is plainly an
//! action counts. Nothing inside a broken object is ever tried on its own: a `terminate` quoted
//! inside a mangled call must not end the episode.

use super::Dialect;
use super::error::{Fault, ParseError};
use super::lenient::{self, Node, Value};
use crate::action::Verb;

/// An action's JSON, and what surrounds it.
pub(super) struct Found {
    pub(super) thought: String,
    pub(super) call: Call,
    pub(super) repairs: Vec<String>,
    /// Whether the reply ends before its braces are closed.
    pub(super) is_cut_off: bool,
    /// Where the next tool call begins, if there is one.
    pub(super) next_call: Option<usize>,
}

/// The fields of an action, apart from what they were wrapped in.
pub(super) struct Call {
    /// The object that holds the fields.
    pub(super) arguments: Node,
    /// The verb, where it stands outside of the fields.
    pub(super) verb: OuterVerb,
}

/// A verb that stands outside of the fields.
pub(super) enum OuterVerb {
    /// It is among the fields.
    None,
    /// A word.
    Word(Node),
    /// A word that was understood already.
    Known { verb: Verb, name: String },
}

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// A stretch of the reply that may hold an action.
struct Region<'a> {
    start: usize,
    text: &'a str,
}

/// Finds the one action in a reply.
pub(super) fn find(reply: &str, dialect: Dialect) -> Result<Found, ParseError> {
    let start = thinking_end(reply);
    let mut repairs = Vec::new();
    let opened = reply[start..].find(OPEN).map(|at| start + at);
    if dialect.tool().is_some() && opened.is_none() {
        repairs.push(format!("no `{OPEN}` tag"));
    }
    let (thought_end, region) = match opened {
        Some(tag) => (tag, tag_region(reply, tag + OPEN.len(), &mut repairs)),
        None => (start, Region { start, text: &reply[start..] }),
    };
    let object = first_action(&region, dialect)?;
    repairs.extend(object.repairs.iter().map(|repair| (*repair).to_owned()));

    let thought_end = if opened.is_some() { thought_end } else { object.node.offset };
    check_rest(&region, object.end, &mut repairs)?;
    let region_end = region.start + region.text.len();
    let next_call = opened.and_then(|_| Some(region_end + reply[region_end..].find(OPEN)?));
    if next_call.is_some() {
        repairs.push("further tool calls were left out".to_owned());
    }
    let call = unwrap_call(object.node, dialect, &mut repairs)?;
    Ok(Found {
        thought: tidy_thought(&reply[..thought_end]),
        call,
        repairs,
        is_cut_off: object.is_cut_off,
        next_call,
    })
}

/// Returns where the last closed thinking block ends.
pub(super) fn thinking_end(reply: &str) -> usize {
    let end = |tag: &str| reply.rfind(tag).map_or(0, |at| at + tag.len());
    end("</think>").max(end("</thinking>"))
}

/// Returns what lies between the tags; without a closing tag, all that is left.
fn tag_region<'a>(reply: &'a str, start: usize, repairs: &mut Vec<String>) -> Region<'a> {
    let rest = &reply[start..];
    let length = match (rest.find(CLOSE), rest.find(OPEN)) {
        (Some(close), open) if open.is_none_or(|open| close < open) => close,
        (_, open) => {
            repairs.push(format!("no `{CLOSE}` tag"));
            open.unwrap_or(rest.len())
        }
    };
    Region { start, text: &rest[..length] }
}

/// Reads the first object of a region that is an action.
fn first_action(region: &Region<'_>, dialect: Dialect) -> Result<lenient::Reading, ParseError> {
    let mut at = 0;
    while let Some(brace) = region.text[at..].find('{').map(|brace| at + brace) {
        match lenient::read(&region.text[brace..], region.start + brace) {
            Ok(reading) if is_action(&reading.node) => return Ok(reading),
            Ok(reading) => at = reading.end - region.start,
            Err(broken) if broken.is_json => return Err(broken.error),
            // A brace in a sentence.
            Err(_) => at = brace + 1,
        }
    }
    let expected = match dialect {
        Dialect::Json => "one JSON object with the field `action`",
        _ => "`<tool_call>` with a JSON object that has `name` and `arguments`",
    };
    Err(ParseError::NoAction { expected })
}

fn is_action(node: &Node) -> bool {
    ["action", "arguments", "parameters"].iter().any(|name| node.get(name).is_some())
}

/// Looks at what follows the action in its region: a second one there is refused.
fn check_rest(
    region: &Region<'_>,
    end: usize,
    repairs: &mut Vec<String>,
) -> Result<(), ParseError> {
    let rest = Region { start: end, text: &region.text[end - region.start..] };
    if let Ok(second) = first_action(&rest, Dialect::Json) {
        return Err(ParseError::SecondAction { offset: second.node.offset });
    }
    let tail = rest.text.trim().trim_matches('`').trim();
    if tail.chars().any(|c| c != '}') {
        repairs.push("text after the action".to_owned());
    } else if !tail.is_empty() {
        repairs.push("one closing brace too many".to_owned());
    }
    Ok(())
}

/// Takes a call apart into verb and fields.
fn unwrap_call(
    object: Node,
    dialect: Dialect,
    repairs: &mut Vec<String>,
) -> Result<Call, ParseError> {
    let is_call = object.get("arguments").or_else(|| object.get("parameters")).is_some();
    if !is_call {
        if dialect.tool().is_some() {
            repairs.push("fields without a function around them".to_owned());
        }
        return Ok(Call { arguments: object, verb: OuterVerb::None });
    }
    let Value::Object(fields) = object.value else {
        unreachable!("only objects have fields");
    };
    let (mut name, mut arguments, mut outer_verb) = (None, None, OuterVerb::None);
    for (field, node) in fields {
        match field.as_str() {
            "name" => name = Some(node),
            "arguments" | "parameters" => arguments = Some(node),
            "action" => outer_verb = OuterVerb::Word(node),
            _ => repairs.push(format!("ignored the field `{field}`")),
        }
    }
    let arguments = arguments.expect("a call has arguments");
    let arguments = unquote(arguments, repairs)?;
    let Some(name) = name else {
        repairs.push("a call without a name".to_owned());
        return Ok(Call { arguments, verb: outer_verb });
    };
    let Value::String(tool) = &name.value else {
        let fault = Fault::Unexpected { expected: "a string", found: name.value.kind().to_owned() };
        return Err(ParseError::Field { offset: name.offset, field: "name".to_owned(), fault });
    };
    let known = [Dialect::ComputerUse, Dialect::MobileUse].map(Dialect::tool);
    if dialect.tool() != Some(tool) {
        if known.contains(&Some(tool)) {
            repairs.push(format!("a call of `{tool}`"));
        } else if matches!(outer_verb, OuterVerb::None) && arguments.get("action").is_none() {
            // Some models take the verb for the function's name.
            repairs.push("the action as the function's name".to_owned());
            outer_verb = OuterVerb::Word(name);
        } else {
            let expected = dialect.tool().unwrap_or("computer_use");
            return Err(ParseError::UnknownTool {
                offset: name.offset,
                name: tool.clone(),
                expected,
            });
        }
    }
    Ok(Call { arguments, verb: outer_verb })
}

/// Reads arguments that were written as a string of JSON.
fn unquote(arguments: Node, repairs: &mut Vec<String>) -> Result<Node, ParseError> {
    let offset = arguments.offset;
    let field = |fault| ParseError::Field { offset, field: "arguments".to_owned(), fault };
    match arguments.value {
        Value::Object(_) => Ok(arguments),
        Value::String(json) => {
            repairs.push("`arguments` as a string".to_owned());
            let reading = lenient::read(&json, offset + 1).map_err(|broken| broken.error)?;
            repairs.extend(reading.repairs.iter().map(|repair| (*repair).to_owned()));
            if reading.is_cut_off {
                return Err(field(Fault::CutOff { inside: "the string" }));
            }
            match reading.node.value {
                Value::Object(_) => Ok(reading.node),
                ref other => Err(field(Fault::Unexpected {
                    expected: "an object",
                    found: format!("a string of {}", other.kind()),
                })),
            }
        }
        ref other => {
            Err(field(Fault::Unexpected { expected: "an object", found: other.kind().to_owned() }))
        }
    }
}

/// Drops thinking tags, code fences and blanks from the text before an action.
pub(super) fn tidy_thought(text: &str) -> String {
    let mut thought = text.to_owned();
    for tag in ["<think>", "</think>", "<thinking>", "</thinking>"] {
        thought = thought.replace(tag, "");
    }
    let mut thought = thought.trim();
    for fence in ["```json", "```JSON", "```", "[", "Action:"] {
        thought = thought.strip_suffix(fence).unwrap_or(thought).trim_end();
    }
    thought.to_owned()
}
