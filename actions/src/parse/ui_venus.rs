//! What the calls of UI-Venus mean.
//!
//! # Source
//!
//! The action spaces and the reader of `models/navigation/utils.py` in `inclusionAI/UI-Venus`
//! (c6ce41f).

use super::calls::{Meaning, imply, name_positional, take_said};
use super::error::ParseError;
use super::lenient::Value;
use super::python::PythonCall;
use crate::action::Verb;

/// Returns what a call means.
pub(super) fn meaning(mut call: PythonCall) -> Result<Meaning, ParseError> {
    let verb = match call.name.as_str() {
        "Click" => Verb::LeftClick,
        "DoubleClick" => Verb::DoubleClick,
        "LongPress" => Verb::LongPress,
        "Hover" => Verb::MouseMove,
        "Drag" => Verb::Drag,
        "Scroll" => return Ok(scroll(call)),
        "Type" => return named(call, "content", Verb::Type),
        // What the user asked to be told.
        "CallUser" => return named(call, "content", Verb::Answer),
        "Launch" => return named(call, "app", Verb::OpenApp),
        "Hotkey" => return named(call, "keys", Verb::Key),
        "Wait" => Verb::Wait,
        "PressBack" => return Ok(button(call, "back")),
        "PressHome" => return Ok(button(call, "home")),
        "PressEnter" => return Ok(button(call, "enter")),
        "PressRecent" => return Ok(button(call, "menu")),
        "Finished" => {
            call.must_be_whole()?;
            name_positional(&mut call, "content")?;
            let said = take_said(&mut call);
            imply(&mut call, "status", "success");
            return Ok(Meaning { said, ..Meaning::known(Verb::Terminate, call) });
        }
        _ => return Ok(Meaning::unknown(call)),
    };
    named(call, "box", verb)
}

fn named(mut call: PythonCall, name: &str, verb: Verb) -> Result<Meaning, ParseError> {
    name_positional(&mut call, name)?;
    Ok(Meaning::known(verb, call))
}

/// A gesture if it has both points, else a turn of the wheel; an empty point is none.
fn scroll(mut call: PythonCall) -> Meaning {
    let is_empty = |value: &Value| match value {
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    };
    call.named.retain(|(_, node)| !is_empty(&node.value));
    let has = |field: &str| call.named.iter().any(|(name, _)| name == field);
    if has("start") && has("end") {
        call.named.retain(|(name, _)| name != "direction");
        return Meaning::known(Verb::Swipe, call);
    }
    Meaning::known(Verb::Scroll, call)
}

fn button(mut call: PythonCall, button: &str) -> Meaning {
    imply(&mut call, "button", button);
    Meaning::known(Verb::SystemButton, call)
}
