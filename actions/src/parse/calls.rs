//! The dialects that write calls: where the call lies in a reply, and what surrounds it.
//!
//! UI-TARS writes `Thought: …` and `Action: click(…)`, UI-Venus puts the call between `<action>`
//! tags, `OpenCUA` writes lines of Python between code fences. What their names mean is in
//! [`ui_tars`](super::ui_tars), [`ui_venus`](super::ui_venus) and [`pyautogui`](super::pyautogui).

use super::Dialect;
use super::envelope::{Call, Found, OuterVerb, thinking_end, tidy_thought};
use super::error::{Fault, ParseError};
use super::lenient::{Node, Value};
use super::python::{self, PythonCall, begins_call};
use crate::action::Verb;

/// Finds the one action in a reply of a dialect of calls.
pub(super) fn find(reply: &str, dialect: Dialect) -> Result<Found, ParseError> {
    if dialect == Dialect::Pyautogui {
        return super::pyautogui::find(reply);
    }
    let mut place = match dialect {
        Dialect::UiVenus => between_tags(reply)?,
        _ => after_marker(reply)?,
    };
    let call = python::read(&reply[place.start..place.end], place.start)?;
    let rest = check_rest(reply, &call, place.end, &mut place.repairs)?;
    let is_cut_off = call.is_cut_off;
    let meaning = match dialect {
        Dialect::UiVenus => super::ui_venus::meaning(call)?,
        _ => super::ui_tars::meaning(call)?,
    };
    place.repairs.extend(meaning.repairs.iter().map(|repair| (*repair).to_owned()));
    Ok(Found {
        thought: with_said(place.thought, meaning.said),
        call: meaning.call,
        repairs: place.repairs,
        is_cut_off,
        next_call: rest,
    })
}

/// What a call means, in our own words.
pub(super) struct Meaning {
    pub(super) call: Call,
    /// What it says to the user besides, which is kept with the thought.
    pub(super) said: Option<String>,
    /// What had to be mended to read the call.
    pub(super) repairs: Vec<&'static str>,
}

/// Adds what the user is told to the thought.
pub(super) fn with_said(thought: String, said: Option<String>) -> String {
    match said {
        None => thought,
        Some(said) if thought.is_empty() => said,
        Some(said) => format!("{thought}\n{said}"),
    }
}

impl Meaning {
    /// Makes the meaning of a call whose name was understood; its arguments are the fields.
    pub(super) fn known(verb: Verb, call: PythonCall) -> Self {
        let verb = OuterVerb::Known { verb, name: call.name };
        let arguments = Node { offset: call.offset, value: Value::Object(call.named) };
        Self { call: Call { arguments, verb }, said: None, repairs: call.repairs }
    }

    /// Makes the meaning of a call whose name is not the dialect's, but may be one of ours.
    pub(super) fn unknown(call: PythonCall) -> Self {
        let word = Node { offset: call.offset, value: Value::String(call.name) };
        let arguments = Node { offset: call.offset, value: Value::Object(call.named) };
        let verb = OuterVerb::Word(word);
        Self { call: Call { arguments, verb }, said: None, repairs: call.repairs }
    }
}

/// Adds a field that the name of a call implies.
pub(super) fn imply(call: &mut PythonCall, field: &str, word: &str) {
    call.named.retain(|(name, _)| name != field);
    let node = Node { offset: call.offset, value: Value::String(word.to_owned()) };
    call.named.push((field.to_owned(), node));
}

/// Takes an argument that is told to the user and is no part of the action.
pub(super) fn take_said(call: &mut PythonCall) -> Option<String> {
    let at = call.named.iter().position(|(name, _)| name == "content")?;
    match call.named.remove(at).1.value {
        Value::String(said) if !said.trim().is_empty() => Some(said.trim().to_owned()),
        _ => None,
    }
}

/// Gives an argument without a name the one it can only have.
pub(super) fn name_positional(call: &mut PythonCall, name: &str) -> Result<(), ParseError> {
    let mut positional = std::mem::take(&mut call.positional).into_iter();
    let Some(first) = positional.next() else { return Ok(()) };
    if let Some(extra) = positional.next() {
        let found = format!("{} without a name", extra.value.kind());
        let fault = Fault::Unexpected { expected: "one argument", found };
        return Err(ParseError::Call { offset: extra.offset, fault });
    }
    if call.named.iter().any(|(known, _)| known == name) {
        let fault = Fault::Twice;
        return Err(ParseError::Field { offset: first.offset, field: name.to_owned(), fault });
    }
    call.repairs.push("an argument without a name");
    call.named.push((name.to_owned(), first));
    Ok(())
}

/// A stretch of the reply that begins with the call.
struct Place {
    thought: String,
    start: usize,
    end: usize,
    repairs: Vec<String>,
}

/// The first `Action:` that a call follows; without one, a line that is nothing but a call.
fn after_marker(reply: &str) -> Result<Place, ParseError> {
    const MARKER: &str = "Action:";
    const EXPECTED: &str = "`Action:` and one call, such as `click(start_box='(12,34)')`";
    let from = thinking_end(reply);
    let mut at = from;
    while let Some(found) = reply[at..].find(MARKER).map(|found| at + found) {
        let after = found + MARKER.len();
        let start = after + blanks(&reply[after..]);
        if begins_call(&reply[start..]) {
            let thought = thought_of(&reply[..found]);
            return Ok(Place { thought, start, end: reply.len(), repairs: Vec::new() });
        }
        at = after;
    }
    let start = lone_call(&reply[from..]).map(|start| from + start);
    let start = start.ok_or(ParseError::NoAction { expected: EXPECTED })?;
    let repairs = vec![format!("no `{MARKER}`")];
    Ok(Place { thought: thought_of(&reply[..start]), start, end: reply.len(), repairs })
}

/// What lies between `<action>` and its closing tag.
fn between_tags(reply: &str) -> Result<Place, ParseError> {
    const OPEN: &str = "<action>";
    const CLOSE: &str = "</action>";
    const EXPECTED: &str = "`<action>` and one call, such as `Click(box=(12,34))`";
    let from = thinking_end(reply);
    let mut repairs = Vec::new();
    let Some(tag) = reply[from..].find(OPEN).map(|tag| from + tag) else {
        let start = lone_call(&reply[from..]).map(|start| from + start);
        let start = start.ok_or(ParseError::NoAction { expected: EXPECTED })?;
        repairs.push(format!("no `{OPEN}` tag"));
        return Ok(Place {
            thought: thought_of(&reply[..start]),
            start,
            end: reply.len(),
            repairs,
        });
    };
    let after = tag + OPEN.len();
    let start = after + blanks(&reply[after..]);
    let end = if let Some(length) = reply[start..].find(CLOSE) {
        start + length
    } else {
        repairs.push(format!("no `{CLOSE}` tag"));
        reply.len()
    };
    Ok(Place { thought: thought_of(&reply[..tag]), start, end, repairs })
}

/// Returns where a line begins that is a call of a single word.
fn lone_call(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at + blanks(line);
        if begins_call(&text[start..]) && !text[start..].starts_with("pyautogui") {
            return Some(start);
        }
        at += line.len();
    }
    None
}

/// Looks at what follows a call, and returns where a further one begins.
///
/// Text in the same line means that the call did not end where it seemed to.
fn check_rest(
    reply: &str,
    call: &PythonCall,
    end: usize,
    repairs: &mut Vec<String>,
) -> Result<Option<usize>, ParseError> {
    let rest = &reply[call.end..end];
    let line = rest.split('\n').next().unwrap_or_default();
    let same_line = line.trim().trim_matches('`').trim();
    if !same_line.is_empty() && !same_line.starts_with('#') && !same_line.starts_with("<|im_end|>")
    {
        let found = format!("{:?}", same_line.chars().next().unwrap_or_default());
        let fault = Fault::Unexpected { expected: "the end of the line", found };
        let offset = call.end + line.len() - line.trim_start().len();
        return Err(ParseError::Call { offset, fault });
    }
    let below = &rest[line.len()..];
    let stripped = below.replace("Action:", "       ");
    if let Some(start) = lone_call(&stripped) {
        repairs.push("further actions were left out".to_owned());
        return Ok(Some(call.end + line.len() + start));
    }
    if !below.trim().trim_matches('`').trim().is_empty() {
        repairs.push("text after the action".to_owned());
    }
    Ok(None)
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Returns what was written before an action, without the words that announce it.
fn thought_of(text: &str) -> String {
    let text = tidy_thought(text);
    let bare = text.trim_start().strip_prefix("Thought:").unwrap_or(&text);
    bare.trim().to_owned()
}
