//! Calls and their results: the API pairs them by id, the model by order.

use handsight_model::{Message, Role, ToolCall};
use serde_json::{Map, Value};

use super::super::error::ApiError;
use super::super::fields::{Fields, too_long};
use super::super::request::one_of;
use super::Turn;

/// The most calls of one message.
const MAX_CALLS: usize = 128;

/// Takes `tool_calls`; returns the calls and their ids.
pub(super) fn calls(fields: &mut Fields) -> Result<(Vec<ToolCall>, Vec<String>), ApiError> {
    let values = fields.array("tool_calls")?.unwrap_or_default();
    if values.len() > MAX_CALLS {
        return Err(too_long(&fields.at("tool_calls"), MAX_CALLS, values.len()));
    }
    let path = fields.at("tool_calls");
    let both = values
        .into_iter()
        .enumerate()
        .map(|(index, value)| call(&format!("{path}[{index}]"), value))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(both.into_iter().unzip())
}

fn call(path: &str, value: Value) -> Result<(ToolCall, String), ApiError> {
    let mut fields = Fields::new(path, value)?;
    let id = fields.required_string("id")?;
    let kind = fields.required_string("type")?;
    one_of(&fields.at("type"), &kind, &["function"])?;
    let mut function = fields.object("function")?.ok_or_else(|| fields.missing("function"))?;
    // Clients hand back what streaming gave them, position and all.
    fields.ignore(&["index"]);
    fields.finish()?;
    let name = function.required_string("name")?;
    let arguments = function.required_string("arguments")?;
    function.finish()?;
    let arguments = if arguments.trim().is_empty() {
        Value::Object(Map::new())
    } else {
        // What is not JSON was written by a model all the same, and it may see its mistake.
        serde_json::from_str(&arguments).unwrap_or(Value::String(arguments))
    };
    Ok((ToolCall { name, arguments }, id))
}

/// Returns the messages with every call's result after it, in the order of the calls.
///
/// Neither a result without a call nor a call without a result is a conversation.
pub(super) fn in_call_order(turns: Vec<Turn>) -> Result<Vec<Message>, ApiError> {
    let mut messages = Vec::with_capacity(turns.len());
    let mut turns = turns.into_iter().peekable();
    while let Some(turn) = turns.next() {
        if turn.message.role == Role::Tool {
            let message = "Invalid parameter: messages with role 'tool' must be a response to a \
                           preceding message with 'tool_calls'.";
            return Err(ApiError::param(format!("{}.role", turn.path), "invalid_value", message));
        }
        messages.push(turn.message);
        if turn.call_ids.is_empty() {
            continue;
        }
        let mut results: Vec<Option<Message>> = vec![None; turn.call_ids.len()];
        while let Some(result) = turns.next_if(|next| next.message.role == Role::Tool) {
            let id = result.answers.unwrap_or_default();
            let open = turn.call_ids.iter().zip(&mut results);
            let open = open.filter(|(call_id, slot)| **call_id == id && slot.is_none());
            let Some(slot) = open.map(|(_, slot)| slot).next() else {
                let id = shown(&id);
                let message = format!(
                    "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of \
                     previous message."
                );
                let param = format!("{}.tool_call_id", result.path);
                return Err(ApiError::param(param, "invalid_value", message));
            };
            *slot = Some(result.message);
        }
        let missing: Vec<String> = turn
            .call_ids
            .iter()
            .zip(&results)
            .filter(|(_, result)| result.is_none())
            .map(|(id, _)| shown(id))
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "An assistant message with 'tool_calls' must be followed by tool messages \
                 responding to each 'tool_call_id'. The following tool_call_ids did not have \
                 response messages: {}",
                missing.join(", ")
            );
            return Err(ApiError::param(turn.path, "invalid_value", message));
        }
        messages.extend(results.into_iter().flatten());
    }
    Ok(messages)
}

/// An id as far as an error repeats it.
fn shown(id: &str) -> String {
    id.chars().take(100).collect()
}
