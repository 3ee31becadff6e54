//! Tools that act: one action each, its targets found first where they are words.

use std::time::Duration;

use handsight_actions::{Action, DeviceKind, Key, PixelPoint, Verb};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use serde_json::{Map, Value, json};

use super::args::{Act, Acted};
use super::tool::{POINTS, default};
use super::{Reply, Session, Tool, ToolError};
use crate::scenario::file::Target;

impl Session {
    /// Performs an action that was given whole.
    pub(super) fn act(&mut self, args: Act, cancel: &CancelFlag) -> Result<Reply, ToolError> {
        let verb = args.action.verb();
        if verb.is_for_policies() {
            let problem =
                format!("`{verb}` is for what pursues a goal, and does nothing by itself");
            return Err(ToolError::Arguments { tool: "act", problem });
        }
        self.perform(args.action, cancel)
    }

    /// Performs an action of a kind, whose targets may be words.
    pub(super) fn verb(
        &mut self,
        verb: Verb,
        arguments: &Value,
        cancel: &CancelFlag,
    ) -> Result<Reply, ToolError> {
        let wrong = |problem| ToolError::Arguments { tool: verb.as_str(), problem };
        let mut fields = checked(verb, arguments).map_err(wrong)?;
        if let Some(into) = fields.shift_remove("into") {
            let coordinate = self.locate(verb, into, cancel)?;
            self.perform(Action::LeftClick { coordinate }, cancel)?;
        }
        for (argument, field) in POINTS {
            if let Some(target) = fields.shift_remove(argument) {
                let point = self.locate(verb, target, cancel)?;
                fields.insert(field.to_owned(), json!(point));
            }
        }
        if let Some(Value::String(chord)) = fields.get("keys") {
            let keys = Key::parse_chord(chord).map_err(|error| wrong(error.to_string()))?;
            fields.insert("keys".to_owned(), json!(keys));
        }
        fields.insert("action".to_owned(), json!(verb));
        let action = serde_json::from_value(Value::Object(fields));
        let action = action.map_err(|error| wrong(error.to_string()))?;
        self.perform(action, cancel)
    }

    /// Returns the point of a target.
    fn locate(
        &mut self,
        verb: Verb,
        target: Value,
        cancel: &CancelFlag,
    ) -> Result<PixelPoint, ToolError> {
        let wrong = |problem| ToolError::Arguments { tool: verb.as_str(), problem };
        match serde_json::from_value(target).map_err(|error| wrong(error.to_string()))? {
            // Some clients can send nothing but texts.
            Target::Words(words) => match serde_json::from_str::<[i32; 2]>(&words) {
                Ok([x, y]) => Ok(PixelPoint { x, y }),
                Err(_) => self.find(&words, cancel),
            },
            Target::Point(numbers) => match numbers[..] {
                [x, y] => Ok(PixelPoint { x, y }),
                _ => Err(wrong(format!("a point has two numbers, not {}", numbers.len()))),
            },
        }
    }

    fn perform(&mut self, action: Action, cancel: &CancelFlag) -> Result<Reply, ToolError> {
        if cancel.is_cancelled() {
            return Err(ToolError::Cancelled);
        }
        let done = self.device.perform(&action);
        let released = self.device.release_all();
        done?;
        released?;
        if let Action::Wait { time } = action
            && !pause(Duration::from_secs_f64(time), cancel)
        {
            return Err(ToolError::Cancelled);
        }
        let performed = self.device.info().kind != DeviceKind::Still;
        let text = if performed { action.to_string() } else { format!("{action}, only checked") };
        Reply::of(&Acted { action, performed }, text)
    }
}

/// Returns the arguments of an action with what is meant by those left out, if there are no others than
/// its schema has.
fn checked(verb: Verb, arguments: &Value) -> Result<Map<String, Value>, String> {
    let mut fields = match arguments {
        Value::Null => Map::new(),
        Value::Object(fields) => fields.clone(),
        other => return Err(format!("they are {other}, not an object")),
    };
    let schema = Tool::Verb(verb).arguments();
    let known: Vec<&String> =
        schema["properties"].as_object().map(|known| known.keys().collect()).unwrap_or_default();
    if let Some(unknown) = fields.keys().find(|name| !known.contains(name)) {
        let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        return Err(format!("there is no `{unknown}`, only {}", known.join(", ")));
    }
    // What is given as null is left out.
    fields.retain(|_, value| !value.is_null());
    for name in known {
        if !fields.contains_key(name)
            && let Some(value) = default(verb, name)
        {
            fields.insert(name.clone(), value);
        }
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let missing =
        required.iter().filter_map(Value::as_str).find(|name| !fields.contains_key(*name));
    match missing {
        Some(missing) => Err(format!("`{missing}` is missing")),
        None => Ok(fields),
    }
}
