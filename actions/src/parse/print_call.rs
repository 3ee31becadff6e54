//! Action → the call a model of a dialect of calls would write.

use std::fmt::Write;

use serde_json::{Value, json};

use super::fields::{DEFAULT_NOTCHES, DEFAULT_SECONDS, UI_TARS_WAIT};
use super::names::{Field, names};
use super::{CallForm, Dialect, call_forms};
use crate::action::{Action, Direction};
use crate::geometry::ModelPoint;
use crate::key::Key;

/// Writes an action in the form its dialect has for it, or else with our own words.
pub(super) fn print_call(action: &Action<ModelPoint>, dialect: Dialect) -> String {
    let forms = call_forms(dialect).iter().filter(|form| form.verb == action.verb());
    let mut printed = forms.filter_map(|form| fill(form, action, dialect));
    printed.next().unwrap_or_else(|| in_own_words(action, dialect))
}

/// Fills the holes of a form; nothing if the form cannot say all of the action.
fn fill(form: &CallForm, action: &Action<ModelPoint>, dialect: Dialect) -> Option<String> {
    let template = form.template;
    let has = |hole: &str| template.contains(hole);
    match action {
        Action::SystemButton { button } if form.button != Some(*button) => return None,
        Action::CallUser { text } if !text.is_empty() => return None,
        Action::Terminate { status } if form.status != Some(*status) => return None,
        Action::Scroll { coordinate, amount, .. } => {
            let says_amount = has("{clicks}") || *amount == DEFAULT_NOTCHES;
            if coordinate.is_some() != has("{x}") || !says_amount {
                return None;
            }
        }
        Action::Wait { time } | Action::LongPress { time, .. } if !has("{seconds}") => {
            let is_tars_wait = dialect == Dialect::UiTars && matches!(action, Action::Wait { .. });
            let default = if is_tars_wait { UI_TARS_WAIT } else { DEFAULT_SECONDS };
            if (time - default).abs() > f64::EPSILON {
                return None;
            }
        }
        _ => {}
    }
    let mut call = template.replace("{said}", "");
    let [first, second] = action.points();
    for (point, holes) in [(first, ["{x}", "{y}"]), (second, ["{x2}", "{y2}"])] {
        if let Some(point) = point {
            call = call.replace(holes[0], &point.x.to_string());
            call = call.replace(holes[1], &point.y.to_string());
        }
    }
    match action {
        Action::Type { text } | Action::Answer { text } | Action::OpenApp { app: text } => {
            call = call.replace("{text}", &escape(text));
        }
        Action::Key { keys } => call = call.replace("{keys}", &key_list(keys, dialect)),
        Action::Scroll { direction, amount, .. } => {
            call = call.replace("{direction}", direction.as_str());
            let clicks = i64::from(*amount);
            let clicks = match direction {
                Direction::Up | Direction::Right => clicks,
                Direction::Down | Direction::Left => -clicks,
            };
            call = call.replace("{clicks}", &clicks.to_string());
            if matches!(direction, Direction::Left | Direction::Right) && has("{clicks}") {
                call = call.replace(".scroll(", ".hscroll(");
            }
        }
        Action::Wait { time } => call = call.replace("{seconds}", &time.to_string()),
        _ => {}
    }
    Some(call)
}

/// Writes our own verb and fields as a call, with points in the dialect's way.
fn in_own_words(action: &Action<ModelPoint>, dialect: Dialect) -> String {
    let module = if dialect == Dialect::Pyautogui { "computer." } else { "" };
    let mut arguments = String::new();
    let fields = json!(action);
    let fields = fields.as_object().into_iter().flatten();
    for (field, value) in fields.filter(|(field, _)| *field != "action") {
        let name = match field.as_str() {
            "coordinate" => names(dialect, Field::Place).own[0],
            "coordinate2" => names(dialect, Field::End).own[0],
            "text" => names(dialect, Field::Answer).own[0],
            "app" => names(dialect, Field::App).own[0],
            own => own,
        };
        let gap = if arguments.is_empty() { "" } else { ", " };
        let _ = write!(arguments, "{gap}{name}={}", literal(value, dialect));
    }
    format!("{module}{}({arguments})", action.verb())
}

fn literal(value: &Value, dialect: Dialect) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| literal(item, dialect)).collect();
            let items = items.join(",");
            if dialect == Dialect::UiTars { format!("'({items})'") } else { format!("({items})") }
        }
        Value::String(text) => format!("'{}'", escape(text)),
        other => other.to_string(),
    }
}

/// Writes keys as the inside of a list, or with blanks between them.
fn key_list(keys: &[Key], dialect: Dialect) -> String {
    let names = keys.iter().map(|key| escape(&key.to_string()));
    if dialect == Dialect::UiTars {
        return names.collect::<Vec<_>>().join(" ");
    }
    names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

/// Writes a text so that it can stand between single quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c => escaped.push(c),
        }
    }
    escaped
}
