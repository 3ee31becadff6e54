//! The pieces of a server's answer → a completion.

use std::fmt::Write;
use std::time::{Duration, Instant};

use handsight_model::{Completion, Stats, StopReason, TokenInfo, TopToken};
use serde_json::Value;

/// An answer while it comes in.
pub(super) struct Collector {
    start: Instant,
    first: Option<Duration>,
    /// The text in the pieces it came in, with what is known of each.
    pieces: Vec<TokenInfo>,
    /// Whether the probability of each piece is known.
    has_logprobs: bool,
    calls: Vec<Call>,
    stop: Option<StopReason>,
    stats: Stats,
}

/// A function's call, which a server took out of the text.
#[derive(Default)]
struct Call {
    name: String,
    arguments: String,
}

/// The most calls of one answer.
const MAX_CALLS: usize = 128;

/// What a piece of a stream did.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// It added so many pieces of text.
    Grew(usize),
    /// The answer is complete.
    Done,
    /// The server says that it failed.
    Failed(String),
}

impl Collector {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            first: None,
            pieces: Vec::new(),
            has_logprobs: true,
            calls: Vec::new(),
            stop: None,
            stats: Stats::default(),
        }
    }

    /// Takes the data of one event of a stream.
    ///
    /// # Errors
    ///
    /// What is wrong with it, if it is not of the API.
    pub(super) fn event(&mut self, data: &str) -> Result<Step, String> {
        if data.trim() == "[DONE]" {
            return Ok(Step::Done);
        }
        let chunk: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        self.take(&chunk, "delta")
    }

    /// Takes an answer that is no stream.
    ///
    /// # Errors
    ///
    /// What is wrong with it, if it is not of the API.
    pub(super) fn body(&mut self, json: &[u8]) -> Result<Step, String> {
        let root: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if root["choices"][0]["message"].is_object() || root.get("error").is_some() {
            return self.take(&root, "message");
        }
        Err("it has no `choices`".to_owned())
    }

    fn take(&mut self, root: &Value, message: &str) -> Result<Step, String> {
        if let Some(error) = root.get("error").filter(|error| !error.is_null()) {
            return Ok(Step::Failed(complaint(error)));
        }
        if !root.is_object() {
            return Err("it is no object".to_owned());
        }
        self.take_usage(&root["usage"]);
        let choice = &root["choices"][0];
        let before = self.pieces.len();
        let content = choice[message]["content"].as_str().unwrap_or_default();
        let logprobs = choice["logprobs"]["content"].as_array().map_or(&[][..], Vec::as_slice);
        self.take_text(content, logprobs);
        for call in choice[message]["tool_calls"].as_array().into_iter().flatten() {
            self.take_call(call)?;
        }
        match choice["finish_reason"].as_str() {
            None => {}
            Some("length") => self.stop = Some(StopReason::Length),
            Some("content_filter") => {
                return Ok(Step::Failed("its filter ended the answer".to_owned()));
            }
            // vLLM and SGLang tell which string ended the answer.
            Some(_) if choice["stop_reason"].is_string() || choice["matched_stop"].is_string() => {
                self.stop = Some(StopReason::StopString);
            }
            Some(_) => self.stop = Some(StopReason::Stop),
        }
        Ok(Step::Grew(self.pieces.len() - before))
    }

    /// Takes a piece of text. If it is of several tokens, each gets what it wrote of it, as far as
    /// that can be told.
    fn take_text(&mut self, content: &str, logprobs: &[Value]) {
        if content.is_empty() && logprobs.is_empty() {
            return;
        }
        self.first.get_or_insert_with(|| self.start.elapsed());
        let mut tokens: Vec<TokenInfo> = logprobs.iter().map(token).collect();
        if tokens.is_empty() {
            self.has_logprobs = false;
            tokens.push(TokenInfo::default());
        }
        let mut rest = content;
        let last = tokens.len() - 1;
        for (index, token) in tokens.iter_mut().enumerate() {
            let own = std::str::from_utf8(&token.bytes).ok().and_then(|own| rest.strip_prefix(own));
            match own {
                Some(after) if index < last => {
                    rest[..rest.len() - after.len()].clone_into(&mut token.text);
                    rest = after;
                }
                _ if index == last => rest.clone_into(&mut token.text),
                _ => {}
            }
        }
        self.pieces.append(&mut tokens);
    }

    fn take_call(&mut self, call: &Value) -> Result<(), String> {
        let index = call["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        let index = index.unwrap_or(self.calls.len());
        if index >= MAX_CALLS {
            return Err(format!("it makes more than {MAX_CALLS} calls"));
        }
        if index >= self.calls.len() {
            self.calls.resize_with(index + 1, Call::default);
        }
        let function = &call["function"];
        self.calls[index].name += function["name"].as_str().unwrap_or_default();
        self.calls[index].arguments += function["arguments"].as_str().unwrap_or_default();
        Ok(())
    }

    fn take_usage(&mut self, usage: &Value) {
        let count = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        if let Some(tokens) = count(&usage["prompt_tokens"]) {
            self.stats.prompt_tokens = tokens;
        }
        if let Some(tokens) = count(&usage["completion_tokens"]) {
            self.stats.completion_tokens = tokens;
        }
        if let Some(tokens) = count(&usage["prompt_tokens_details"]["cached_tokens"]) {
            self.stats.cached_tokens = tokens;
        }
    }

    /// Returns the last pieces of text.
    pub(super) fn latest(&self, count: usize) -> &[TokenInfo] {
        &self.pieces[self.pieces.len() - count..]
    }

    /// Whether the server said why the answer ended.
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_some()
    }

    /// Returns the answer; `image_tokens` is what the images were when they were sent.
    pub(super) fn finish(mut self, image_tokens: usize, cancelled: bool) -> Completion {
        let mut text: String = self.pieces.iter().map(|piece| piece.text.as_str()).collect();
        for Call { name, arguments } in &self.calls {
            // As the model wrote it, before the server took it out.
            let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            let name = Value::from(name.as_str());
            // A string takes every write.
            let _ = write!(
                text,
                "{separator}<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>"
            );
        }
        let first = self.first.unwrap_or_default();
        self.stats.image_tokens = image_tokens;
        self.stats.prefill = first;
        self.stats.decode = self.start.elapsed().saturating_sub(first);
        if self.stats.completion_tokens == 0 && self.has_logprobs {
            self.stats.completion_tokens = self.pieces.len();
        }
        let stop = match self.stop {
            _ if cancelled => StopReason::Cancelled,
            stop => stop.unwrap_or(StopReason::Stop),
        };
        let tokens = if self.has_logprobs { self.pieces } else { Vec::new() };
        Completion { text, tokens, stop, stats: self.stats }
    }
}

/// Reads what is told of one token.
fn token(entry: &Value) -> TokenInfo {
    let top = entry["top_logprobs"].as_array().map_or(&[][..], Vec::as_slice).iter();
    let top = top.map(|top| TopToken { id: 0, bytes: bytes(top), logprob: logprob(top) });
    TokenInfo {
        bytes: bytes(entry),
        logprob: logprob(entry),
        top: top.collect(),
        ..TokenInfo::default()
    }
}

/// Returns the bytes of a token; servers that leave them out give its text.
fn bytes(entry: &Value) -> Vec<u8> {
    let bytes = entry["bytes"]
        .as_array()
        .map(|bytes| bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect());
    bytes.unwrap_or_else(|| entry["token"].as_str().unwrap_or_default().as_bytes().to_vec())
}

#[expect(clippy::cast_possible_truncation, reason = "a logarithm of a probability is small")]
fn logprob(entry: &Value) -> f32 {
    entry["logprob"].as_f64().unwrap_or(f64::NEG_INFINITY) as f32
}

/// Returns what an error object says.
fn complaint(error: &Value) -> String {
    let message = error.get("message").unwrap_or(error);
    message.as_str().map_or_else(|| message.to_string(), str::to_owned)
}

/// Returns what the body of an error says, whatever its form.
pub(super) fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let Ok(root) = serde_json::from_str::<Value>(&text) else {
        return text.trim().to_owned();
    };
    let error = root.get("error").or_else(|| root.get("detail")).unwrap_or(&root);
    complaint(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn collected(events: &[Value]) -> Completion {
        let mut collector = Collector::new();
        for event in events {
            collector.event(&event.to_string()).unwrap();
        }
        collector.finish(0, false)
    }

    fn delta(content: &str, tokens: &[(&str, f64)]) -> Value {
        let entry = |(token, logprob): &(&str, f64)| json!({ "token": token, "logprob": logprob });
        let entries: Vec<Value> = tokens.iter().map(entry).collect();
        let logprobs = if tokens.is_empty() { Value::Null } else { json!({ "content": entries }) };
        json!({ "choices": [{ "delta": { "content": content }, "logprobs": logprobs }] })
    }

    #[test]
    fn texts_and_probabilities_of_tokens_stay_together() {
        let usage = json!({ "choices": [], "usage": { "prompt_tokens": 40, "completion_tokens": 4,
            "prompt_tokens_details": { "cached_tokens": 32 } } });
        let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] });
        let events = [
            json!({ "choices": [{ "delta": { "role": "assistant", "content": "" } }] }),
            delta("[1", &[("[", -0.5), ("1", -0.25)]),
            // Two tokens that are a character only together.
            delta("", &[("\u{fffd}", -1.0)]),
            delta("é]", &[("\u{fffd}]", 0.0)]),
            end,
            usage,
        ];
        let completion = collected(&events);
        assert_eq!(completion.text, "[1é]");
        let tokens: Vec<_> =
            completion.tokens.iter().map(|token| (token.text.as_str(), token.logprob)).collect();
        assert_eq!(tokens, [("[", -0.5), ("1", -0.25), ("", -1.0), ("é]", 0.0)]);
        let stats = &completion.stats;
        assert_eq!(
            (stats.prompt_tokens, stats.cached_tokens, stats.completion_tokens),
            (40, 32, 4)
        );
    }

    #[test]
    fn without_all_probabilities_there_are_no_tokens() {
        let completion = collected(&[delta("a", &[("a", -0.5)]), delta("b", &[])]);
        assert_eq!((completion.text.as_str(), completion.tokens.len()), ("ab", 0));
    }

    #[test]
    fn calls_a_server_took_out_are_put_back() {
        let part = |call: Value| json!({ "choices": [{ "delta": { "tool_calls": [call] } }] });
        let completion = collected(&[
            delta("I click.", &[]),
            part(json!({ "index": 0, "id": "x", "function": { "name": "f", "arguments": "" } })),
            part(json!({ "index": 0, "function": { "arguments": "{\"a\":" } })),
            part(json!({ "index": 0, "function": { "arguments": " 1}" } })),
            json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }] }),
        ]);
        let expected =
            "I click.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
        assert_eq!(completion.text, expected);
        let far = part(json!({ "index": 1_000_000_000, "function": { "name": "f" } }));
        assert!(Collector::new().event(&far.to_string()).is_err());
    }

    #[test]
    fn the_reason_of_an_end_is_told() {
        let reason = |choice: Value| collected(&[json!({ "choices": [choice] })]).stop;
        assert_eq!(reason(json!({ "finish_reason": "length" })), StopReason::Length);
        assert_eq!(reason(json!({ "finish_reason": "stop" })), StopReason::Stop);
        let by_string = json!({ "finish_reason": "stop", "stop_reason": "END" });
        assert_eq!(reason(by_string), StopReason::StopString);
        // vLLM gives the id of a token here.
        let by_token = json!({ "finish_reason": "stop", "stop_reason": 151_645 });
        assert_eq!(reason(by_token), StopReason::Stop);
        let mut collector = Collector::new();
        let failed = collector.event(r#"{"error": {"message": "out of memory", "code": 500}}"#);
        assert_eq!(failed, Ok(Step::Failed("out of memory".to_owned())));
        assert_eq!(collector.event(" [DONE]"), Ok(Step::Done));
        assert!(collector.event("<html>").is_err() && collector.event("7").is_err());
    }

    #[test]
    fn an_answer_may_come_in_one_piece() {
        let mut collector = Collector::new();
        let body = br#"{"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}"#;
        assert_eq!(collector.body(body), Ok(Step::Grew(1)));
        assert!(collector.is_over());
        assert_eq!(collector.finish(3, false).text, "yes");
        for bad in ["", "[]", "{}", "<html>", r#"{"choices": []}"#] {
            assert!(Collector::new().body(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
