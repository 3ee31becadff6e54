//! Action → the text a model of a dialect would write.
//!
//! It is used for histories and for training data, so the spacing is that of the original: Python's
//! `json.dumps` inside tool calls, compact for plain JSON.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value, json};

use super::Dialect;
use super::fields::{button_name, pixels_per_notch};
use crate::action::{Action, Direction};
use crate::geometry::ModelPoint;
use crate::key::Key;

/// Writes an action as a model of that dialect would.
///
/// What a dialect has no way to say is written with our own names, which reading accepts in every
/// dialect: a drag's `start_coordinate` in `computer_use`, a `right_click` in `mobile_use`.
pub fn print_action(action: &Action<ModelPoint>, dialect: Dialect) -> String {
    if dialect.is_calls() {
        return super::print_call::print_call(action, dialect);
    }
    let Some(tool) = dialect.tool() else {
        return json!(action).to_string();
    };
    let arguments = arguments(action, dialect);
    let call = json!({ "name": tool, "arguments": arguments });
    format!("<tool_call>\n{}\n</tool_call>", python_json(&call))
}

/// Returns the `arguments` of the dialect's function.
fn arguments(action: &Action<ModelPoint>, dialect: Dialect) -> Value {
    let mut fields = match json!(action) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.insert("action".to_owned(), dialect.verb_name(action.verb()).into());
    match (dialect, action) {
        (Dialect::ComputerUse, Action::Drag { coordinate, coordinate2 }) => {
            fields.shift_remove("coordinate2");
            fields.shift_remove("coordinate");
            fields.insert("start_coordinate".to_owned(), json!(coordinate));
            fields.insert("coordinate".to_owned(), json!(coordinate2));
        }
        (
            Dialect::ComputerUse | Dialect::OwlComputerUse,
            Action::Scroll { direction, amount, .. },
        ) => {
            fields.shift_remove("direction");
            fields.shift_remove("amount");
            let pixels = i64::from(*amount) * i64::from(pixels_per_notch(dialect));
            let (verb, pixels) = match direction {
                Direction::Up => ("scroll", pixels),
                Direction::Down => ("scroll", -pixels),
                Direction::Left => ("hscroll", -pixels),
                Direction::Right => ("hscroll", pixels),
            };
            fields.insert("action".to_owned(), verb.into());
            fields.insert("pixels".to_owned(), pixels.into());
        }
        (Dialect::OwlComputerUse, Action::Type { text }) => {
            let (text, enter) = match text.strip_suffix('\n') {
                Some(text) => (text, 1),
                None => (text.as_str(), 0),
            };
            fields.insert("text".to_owned(), text.into());
            fields.insert("clear".to_owned(), 0.into());
            fields.insert("enter".to_owned(), enter.into());
        }
        (Dialect::MobileUse, Action::Key { keys }) => {
            fields.shift_remove("keys");
            fields.insert("text".to_owned(), Key::write_chord(keys).into());
        }
        (Dialect::MobileUse, Action::OpenApp { app }) => {
            fields.shift_remove("app");
            fields.insert("text".to_owned(), app.as_str().into());
        }
        (Dialect::MobileUse, Action::SystemButton { button }) => {
            fields.insert("button".to_owned(), button_name(*button, dialect).into());
        }
        (_, Action::Wait { time } | Action::LongPress { time, .. }) => {
            fields.insert("time".to_owned(), seconds(*time));
        }
        _ => {}
    }
    Value::Object(fields)
}

/// Whole seconds are written without a fraction, as the models do.
fn seconds(time: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and equality is checked")]
    let whole = time as i64;
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "exact for whole seconds")]
    if whole as f64 == time { whole.into() } else { time.into() }
}

/// Writes JSON as Python's `json.dumps(value, ensure_ascii=False)` does: the checkpoints were trained
/// on prompts that Python wrote, and other spacing is other tokens.
///
/// # Panics
///
/// Never: a JSON value can always be written to memory.
pub fn python_json(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, PythonFormatter);
    value.serialize(&mut serializer).expect("writing to memory does not fail");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// `", "` between items and `": "` after names.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
