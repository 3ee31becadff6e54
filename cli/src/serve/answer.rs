//! What the engine generates → what the API answers with.
//!
//! One [`Choice`] takes the events of one answer. A stream sends its deltas as they come and a plain
//! answer collects them, so that both say the same.

use handsight_model::chat::python_json::python_json;
use handsight_model::chat::tools::{AnswerSplitter, Piece};
use handsight_model::{Completion, StopReason, TokenInfo, ToolCall};
use serde_json::{Value, json};

use super::ids;

/// One answer while it grows.
#[derive(Debug)]
pub(super) struct Choice {
    splitter: Option<AnswerSplitter>,
    wants_logprobs: bool,
    /// Whether the request named the function to call; that counts as an ordinary end.
    named: bool,
    /// Bytes of the answer's text taken so far.
    taken: usize,
    /// Logprobs that no delta has carried yet.
    logprobs: Vec<Value>,
    n_calls: usize,
}

/// What is new.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Delta {
    pub(super) content: String,
    pub(super) calls: Vec<Call>,
    /// Of the tokens since the last delta.
    pub(super) logprobs: Vec<Value>,
}

/// A call as the API tells it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) name: String,
    /// JSON text.
    pub(super) arguments: String,
}

/// What the answer to a request needs to know of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChoiceOptions {
    /// Whether calls are taken out of the text.
    pub(super) tools: bool,
    /// Whether the request named the function to call.
    pub(super) named: bool,
    pub(super) logprobs: bool,
}

impl Choice {
    pub(super) fn new(options: ChoiceOptions) -> Self {
        Self {
            splitter: options.tools.then(AnswerSplitter::default),
            wants_logprobs: options.logprobs,
            named: options.named,
            taken: 0,
            logprobs: Vec::new(),
            n_calls: 0,
        }
    }

    /// Takes a token; returns what became clear with it, if anything.
    pub(super) fn token(&mut self, token: &TokenInfo) -> Option<Delta> {
        if self.wants_logprobs {
            self.logprobs.push(logprob(token));
        }
        self.taken += token.text.len();
        if token.text.is_empty() {
            return None;
        }
        let pieces = match &mut self.splitter {
            Some(splitter) => splitter.push(&token.text),
            None => vec![Piece::Text(token.text.clone())],
        };
        self.delta(pieces)
    }

    /// Takes the end of the answer; returns what was held back, and the finish reason.
    pub(super) fn done(
        &mut self,
        answer: &Completion,
        prefix_len: usize,
    ) -> (Option<Delta>, &'static str) {
        let rest = answer.text.get(prefix_len + self.taken..).unwrap_or_default();
        let pieces = match &mut self.splitter {
            Some(splitter) => {
                let mut pieces = splitter.push(rest);
                pieces.extend(splitter.finish());
                pieces
            }
            None if rest.is_empty() => Vec::new(),
            None => vec![Piece::Text(rest.to_owned())],
        };
        let mut delta = self.delta(pieces).unwrap_or_default();
        delta.logprobs.append(&mut self.logprobs);
        let reason = match answer.stop {
            StopReason::Length => "length",
            _ if self.n_calls > 0 && !self.named => "tool_calls",
            _ => "stop",
        };
        (Some(delta).filter(|delta| *delta != Delta::default()), reason)
    }

    fn delta(&mut self, pieces: Vec<Piece>) -> Option<Delta> {
        if pieces.is_empty() {
            return None;
        }
        let mut delta = Delta { logprobs: std::mem::take(&mut self.logprobs), ..Delta::default() };
        for piece in pieces {
            match piece {
                Piece::Text(text) => delta.content.push_str(&text),
                Piece::Call(ToolCall { name, arguments }) => {
                    let arguments = match arguments {
                        Value::String(text) => text,
                        arguments => python_json(&arguments),
                    };
                    delta.calls.push(Call {
                        index: self.n_calls,
                        id: ids::fresh("call_"),
                        name,
                        arguments,
                    });
                    self.n_calls += 1;
                }
            }
        }
        Some(delta)
    }
}

impl Delta {
    /// Adds what came later.
    pub(super) fn append(&mut self, mut later: Self) {
        self.content.push_str(&later.content);
        self.calls.append(&mut later.calls);
        self.logprobs.append(&mut later.logprobs);
    }

    /// The whole answer as the API's `message`.
    pub(super) fn message(&self) -> Value {
        let content = if self.content.is_empty() && !self.calls.is_empty() {
            Value::Null
        } else {
            self.content.as_str().into()
        };
        let mut message = json!({
            "role": "assistant", "content": content, "refusal": null, "annotations": [],
        });
        if !self.calls.is_empty() {
            message["tool_calls"] = self.calls.iter().map(Call::whole).collect();
        }
        message
    }

    /// The API's `logprobs` of a choice.
    pub(super) fn logprobs_value(&self, wanted: bool) -> Value {
        if wanted { json!({ "content": self.logprobs, "refusal": null }) } else { Value::Null }
    }
}

impl Call {
    /// The call as part of a whole message.
    fn whole(&self) -> Value {
        json!({
            "id": self.id,
            "type": "function",
            "function": { "name": self.name, "arguments": self.arguments },
        })
    }

    /// The call as the deltas of a stream: its head, and then its arguments.
    pub(super) fn deltas(&self) -> [Value; 2] {
        [
            json!({
                "index": self.index,
                "id": self.id,
                "type": "function",
                "function": { "name": self.name, "arguments": "" },
            }),
            json!({ "index": self.index, "function": { "arguments": self.arguments } }),
        ]
    }
}

/// A token as the API tells of it.
fn logprob(token: &TokenInfo) -> Value {
    let top: Vec<Value> = token.top.iter().map(|top| entry(&top.bytes, top.logprob)).collect();
    let mut entry = entry(&token.bytes, token.logprob);
    entry["top_logprobs"] = top.into();
    entry
}

fn entry(bytes: &[u8], logprob: f32) -> Value {
    // JSON has no infinity; the real API says -9999 for what cannot come.
    let logprob = if logprob.is_finite() { logprob.max(-9999.0) } else { -9999.0 };
    json!({ "token": token_text(bytes), "logprob": logprob, "bytes": bytes })
}

/// A token's text, or its bytes as `\xe4\xb8` where they are a part of a character only.
fn token_text(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut text = String::with_capacity(4 * bytes.len());
    for byte in bytes {
        // A string takes every write.
        let _ = write!(text, "\\x{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use handsight_model::{Stats, TopToken};

    fn token(bytes: &[u8], text: &str) -> TokenInfo {
        TokenInfo {
            bytes: bytes.to_owned(),
            text: text.to_owned(),
            logprob: -0.5,
            ..TokenInfo::default()
        }
    }

    fn completion(text: &str, stop: StopReason) -> Completion {
        Completion { text: text.to_owned(), tokens: vec![], stop, stats: Stats::default() }
    }

    #[test]
    fn deltas_add_up_to_the_message_and_every_token_is_told_once() {
        let options = ChoiceOptions { tools: true, named: false, logprobs: true };
        let mut choice = Choice::new(options);
        let pieces = [
            "I ",
            "click.",
            "\n<tool",
            "_call>{\"name\": \"f\", \"argu",
            "ments\": {\"x\": [1,2]}}",
            "</tool_call>",
        ];
        let mut whole = Delta::default();
        for piece in pieces {
            if let Some(delta) = choice.token(&token(piece.as_bytes(), piece)) {
                whole.append(delta);
            }
        }
        let (rest, reason) = choice.done(&completion(&pieces.concat(), StopReason::Stop), 0);
        whole.append(rest.unwrap_or_default());
        assert_eq!(reason, "tool_calls");
        assert_eq!(whole.logprobs.len(), pieces.len());
        let message = whole.message();
        assert_eq!(message["content"], "I click.");
        let function = &message["tool_calls"][0]["function"];
        assert_eq!(*function, json!({"name": "f", "arguments": "{\"x\": [1, 2]}"}));
        let id = message["tool_calls"][0]["id"].as_str().unwrap();
        assert!(id.starts_with("call_"), "{id}");
    }

    #[test]
    fn what_the_engine_held_back_comes_with_the_end() {
        let options = ChoiceOptions { tools: false, named: false, logprobs: false };
        let mut choice = Choice::new(options);
        assert_eq!(choice.token(&token(b"ab", "a")).unwrap().content, "a");
        let (rest, reason) = choice.done(&completion("prefix-ab", StopReason::Length), 7);
        assert_eq!((rest.unwrap().content.as_str(), reason), ("b", "length"));
    }

    #[test]
    fn logprobs_have_the_bytes_and_no_infinity() {
        let mut token = token(&[0xe4, 0xb8], "");
        token.top = vec![TopToken { id: 1, bytes: b"x".to_vec(), logprob: f32::NEG_INFINITY }];
        let value = logprob(&token);
        assert_eq!(value["token"], "\\xe4\\xb8");
        assert_eq!(value["bytes"], json!([0xe4, 0xb8]));
        assert_eq!(
            value["top_logprobs"][0],
            json!({"token": "x", "logprob": -9999.0, "bytes": [120]})
        );
    }
}
