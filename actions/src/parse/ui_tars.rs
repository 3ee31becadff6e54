//! What the calls of UI-TARS mean.
//!
//! # Source
//!
//! The action spaces of `codes/ui_tars/prompt.py` and the reader of `codes/ui_tars/action_parser.py`
//! in `bytedance/UI-TARS` (058f4b8), and the operators of `bytedance/UI-TARS-desktop` (5e5d27f).
//! The reader there turns what it does not know into nothing; here it is an error.

use super::calls::{Meaning, imply, name_positional, take_said};
use super::error::ParseError;
use super::lenient::Value;
use super::python::PythonCall;
use crate::action::Verb;

/// Returns what a call means.
pub(super) fn meaning(mut call: PythonCall) -> Result<Meaning, ParseError> {
    let verb = match call.name.as_str() {
        "click" | "left_single" => Verb::LeftClick,
        "left_double" => Verb::DoubleClick,
        "right_single" => Verb::RightClick,
        "hover" => Verb::MouseMove,
        "long_press" => Verb::LongPress,
        "drag" | "select" => Verb::Drag,
        "swipe" => Verb::Swipe,
        // With two points it is the gesture of a finger.
        "scroll" if has(&call, &["end_box", "end_point"]) => {
            call.named.retain(|(name, _)| name != "direction");
            Verb::Swipe
        }
        "scroll" => Verb::Scroll,
        "hotkey" => return hotkey(call),
        "type" => {
            name_positional(&mut call, "content")?;
            return Ok(Meaning::known(Verb::Type, call));
        }
        "open_app" => {
            name_positional(&mut call, "app_name")?;
            return Ok(Meaning::known(Verb::OpenApp, call));
        }
        "wait" => Verb::Wait,
        "press_back" => return Ok(button(call, "back")),
        "press_home" => return Ok(button(call, "home")),
        "press_enter" => return Ok(button(call, "enter")),
        "finished" => return end(call, "success"),
        // The model cannot do it alone; why, its thought says.
        "call_user" => {
            name_positional(&mut call, "content")?;
            return Ok(Meaning::known(Verb::CallUser, call));
        }
        // These hold a key down across several actions, which nothing here can do.
        "press" | "keydown" | "release" | "keyup" => {
            return Err(ParseError::UnknownVerb { offset: call.offset, name: call.name });
        }
        _ => return Ok(Meaning::unknown(call)),
    };
    name_positional(&mut call, "start_box")?;
    Ok(Meaning::known(verb, call))
}

/// A chord; the back button of a phone is written as one, too.
fn hotkey(mut call: PythonCall) -> Result<Meaning, ParseError> {
    name_positional(&mut call, "key")?;
    let is_back = call.named.iter().any(|(name, node)| {
        name == "key" && matches!(&node.value, Value::String(key) if key.trim() == "back")
    });
    if is_back {
        call.named.retain(|(name, _)| name != "key");
        return Ok(button(call, "back"));
    }
    Ok(Meaning::known(Verb::Key, call))
}

fn button(mut call: PythonCall, button: &str) -> Meaning {
    imply(&mut call, "button", button);
    Meaning::known(Verb::SystemButton, call)
}

fn end(mut call: PythonCall, status: &str) -> Result<Meaning, ParseError> {
    call.must_be_whole()?;
    name_positional(&mut call, "content")?;
    let said = take_said(&mut call);
    imply(&mut call, "status", status);
    Ok(Meaning { said, ..Meaning::known(Verb::Terminate, call) })
}

fn has(call: &PythonCall, names: &[&str]) -> bool {
    call.named.iter().any(|(name, _)| names.contains(&name.as_str()))
}
