//! Functions the model may call, as the text it was trained on, and back.
//!
//! The released checkpoints' template knows neither tools nor tool turns, so both become plain text
//! of system, user and assistant turns *before* the template sees them.
//!
//! # Source
//!
//! The protocol text is `FN_CALL_TEMPLATE` of qwen-agent 0.0.34 (`fncall_prompts/nous_fncall_prompt.py`),
//! which the chat template in `tokenizer_config.json` of the released 7B checkpoint repeats; where
//! line breaks go around calls and responses follows that template.

use serde_json::{Map, Value};

use super::python_json::python_json;
use super::{Message, Part, Role, ToolCall};

/// What a conversation without a system turn is given, as the checkpoints' template does.
const DEFAULT_SYSTEM: &str = "You are a helpful assistant.";

const BEFORE_TOOLS: &str = "# Tools\n\n\
    You may call one or more functions to assist with the user query.\n\n\
    You are provided with function signatures within <tools></tools> XML tags:\n\
    <tools>";

const AFTER_TOOLS: &str = "\n</tools>\n\n\
    For each function call, return a json object with function name and arguments within \
    <tool_call></tool_call> XML tags:\n\
    <tool_call>\n\
    {\"name\": <function-name>, \"arguments\": <args-json-object>}\n\
    </tool_call>";

/// What opens a call in an answer.
pub const CALL_START: &str = "<tool_call>";

/// What closes a call in an answer.
pub const CALL_END: &str = "</tool_call>";

/// Returns the conversation with its tools, calls and results written out as text.
///
/// `tools` are the objects of the `OpenAI` API, `{"type": "function", "function": {…}}`. What comes
/// from outside stays a part of its own, so that a control token named in it can be told from one
/// that is meant. Without tools, calls and results the conversation comes back as it was.
pub fn write_out(messages: &[Message], tools: &[Value]) -> Vec<Message> {
    let mut written = Vec::with_capacity(messages.len() + 1);
    let mut rest = messages;
    if !tools.is_empty() {
        let mut content = match messages.split_first() {
            Some((first, others)) if first.role == Role::System => {
                rest = others;
                first.content.clone()
            }
            _ => vec![text(DEFAULT_SYSTEM)],
        };
        if !content.is_empty() {
            content.push(text("\n\n"));
        }
        content.push(text(BEFORE_TOOLS));
        for tool in tools {
            content.push(text("\n"));
            content.push(text(python_json(&in_training_order(tool))));
        }
        content.push(text(AFTER_TOOLS));
        written.push(Message::new(Role::System, content));
    }
    let mut in_results = false;
    for message in rest {
        let mut content = message.content.clone();
        let role = match message.role {
            Role::Tool => {
                let mut result = vec![text("<tool_response>\n")];
                result.append(&mut content);
                result.push(text("\n</tool_response>"));
                // Results that follow each other share one turn.
                if let (true, Some(turn)) = (in_results, written.last_mut()) {
                    turn.content.push(text("\n"));
                    turn.content.append(&mut result);
                    continue;
                }
                in_results = true;
                written.push(Message::new(Role::User, result));
                continue;
            }
            role => role,
        };
        in_results = false;
        for call in &message.tool_calls {
            let has_text = content.iter().any(|part| !is_empty_text(part));
            let start = if has_text { "\n<tool_call>\n" } else { "<tool_call>\n" };
            content.extend([text(start), text(call_json(call)), text("\n</tool_call>")]);
        }
        written.push(Message::new(role, content));
    }
    written
}

/// Returns the text of a call between its tags.
pub fn call_json(call: &ToolCall) -> String {
    let name = python_json(&Value::from(call.name.as_str()));
    format!(r#"{{"name": {name}, "arguments": {}}}"#, python_json(&call.arguments))
}

/// Returns the text of an answer without its calls, and the calls.
///
/// What stands between the tags but is not a call stays text.
pub fn split_answer(answer: &str) -> (String, Vec<ToolCall>) {
    let mut splitter = AnswerSplitter::default();
    let mut pieces = splitter.push(answer);
    pieces.extend(splitter.finish());
    let (mut content, mut calls) = (String::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Text(text) => content.push_str(&text),
            Piece::Call(call) => calls.push(call),
        }
    }
    (content, calls)
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Words.
    Text(String),
    /// A call.
    Call(ToolCall),
}

/// Splits an answer into text and calls while it is being written.
///
/// White space before a call belongs to the protocol and is left out.
#[derive(Debug, Default)]
pub struct AnswerSplitter {
    /// What cannot be handed out yet: what may become a tag, white space, an unfinished call.
    held: String,
    in_call: bool,
    /// Whether the last piece was a call, so that white space after it is none of the text.
    after_call: bool,
}

impl AnswerSplitter {
    /// Takes the next part of the answer and returns what became clear with it.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        let mut pieces = Vec::new();
        while self.step(&mut pieces) {}
        pieces
    }

    /// Returns what is left when nothing more comes. A call that was not closed counts if it is
    /// whole otherwise.
    pub fn finish(&mut self) -> Vec<Piece> {
        let held = std::mem::take(&mut self.held);
        let mut pieces = Vec::new();
        if !self.in_call {
            let is_gap = self.after_call && held.trim().is_empty();
            push_text(&mut pieces, if is_gap { "" } else { &held });
        } else if let Some(call) = parse_call(&held, Closed::No) {
            pieces.push(Piece::Call(call));
        } else {
            push_text(&mut pieces, &format!("{CALL_START}{held}"));
        }
        *self = Self::default();
        pieces
    }

    /// Handles the next tag that is there, or else what cannot be part of one; returns whether
    /// there was a tag.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if self.in_call {
            let Some(end) = self.held.find(CALL_END) else { return false };
            let rest = self.held.split_off(end + CALL_END.len());
            let body = std::mem::replace(&mut self.held, rest);
            self.in_call = false;
            if let Some(call) = parse_call(&body[..end], Closed::Yes) {
                pieces.push(Piece::Call(call));
                self.after_call = true;
            } else {
                push_text(pieces, &format!("{CALL_START}{body}"));
                self.after_call = false;
            }
            return true;
        }
        if let Some(start) = self.held.find(CALL_START) {
            let rest = self.held.split_off(start + CALL_START.len());
            let before = std::mem::replace(&mut self.held, rest);
            push_text(pieces, before[..start].trim_end());
            self.in_call = true;
            return true;
        }
        let keep = tag_overlap(&self.held);
        let clear = self.held[..self.held.len() - keep].trim_end().len();
        if clear > 0 {
            let rest = self.held.split_off(clear);
            push_text(pieces, &std::mem::replace(&mut self.held, rest));
            self.after_call = false;
        }
        false
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if text.is_empty() {
        return;
    }
    if let Some(Piece::Text(last)) = pieces.last_mut() {
        last.push_str(text);
    } else {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// The length of the longest end of `text` with which an opening tag begins.
fn tag_overlap(text: &str) -> usize {
    (1..CALL_START.len()).rev().find(|&len| text.ends_with(&CALL_START[..len])).unwrap_or(0)
}

/// Whether the closing tag of a call came, so that its author thought it whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Closed {
    Yes,
    No,
}

/// Reads what stands between the tags, forgiving what models are known to get wrong: a comma too
/// many, brackets too few, arguments as a string.
fn parse_call(body: &str, closed: Closed) -> Option<ToolCall> {
    let value: Value = serde_json::from_str(body.trim())
        .ok()
        .or_else(|| serde_json::from_str(&mended(body.trim(), closed)?).ok())?;
    let Value::Object(mut object) = value else { return None };
    let Some(Value::String(name)) = object.remove("name") else { return None };
    let arguments = match object.remove("arguments") {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(Value::String(text)) => {
            serde_json::from_str(&text).ok().filter(Value::is_object).unwrap_or(text.into())
        }
        Some(arguments) => arguments,
    };
    Some(ToolCall { name, arguments })
}

/// Returns `json` without commas before closing brackets and, if its author thought it whole, with
/// the closing brackets that are missing; nothing if brackets do not match.
fn mended(json: &str, closed: Closed) -> Option<String> {
    let mut mended = String::with_capacity(json.len() + 4);
    let mut open = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    for char in json.chars() {
        if in_string {
            in_string = escaped || char != '"';
            escaped = !escaped && char == '\\';
        } else {
            match char {
                '"' => in_string = true,
                '{' => open.push('}'),
                '[' => open.push(']'),
                '}' | ']' => {
                    if open.pop() != Some(char) {
                        return None;
                    }
                    let len = mended.trim_end().len();
                    if mended[..len].ends_with(',') {
                        mended.truncate(len - 1);
                    }
                }
                _ => {}
            }
        }
        mended.push(char);
    }
    if in_string || (closed == Closed::No && !open.is_empty()) {
        return None;
    }
    mended.extend(open.into_iter().rev());
    Some(mended)
}

/// The order of keys the checkpoints were trained on; other keys keep theirs after these.
fn in_training_order(tool: &Value) -> Value {
    let Some(tool) = tool.as_object() else { return tool.clone() };
    let mut ordered = first_keys(tool, &["type", "function"]);
    if let Some(Value::Object(function)) = ordered.get_mut("function") {
        *function = first_keys(function, &["name", "description", "parameters"]);
    }
    Value::Object(ordered)
}

fn first_keys(object: &Map<String, Value>, first: &[&str]) -> Map<String, Value> {
    let named = first.iter().filter_map(|&key| object.get_key_value(key));
    let others = object.iter().filter(|(key, _)| !first.contains(&key.as_str()));
    named.chain(others).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn text(text: impl Into<String>) -> Part {
    Part::Text { text: text.into() }
}

fn is_empty_text(part: &Part) -> bool {
    matches!(part, Part::Text { text } if text.is_empty())
}

#[cfg(test)]
mod tests;
