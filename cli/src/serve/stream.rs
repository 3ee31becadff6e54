//! The answer as server-sent events: a role, what is new as it comes, a finish reason, `[DONE]`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use futures_util::stream::{Stream, unfold};
use handsight_model::Event;
use serde_json::{Value, json};

use super::access::Access;
use super::answer::{Choice, Delta};
use super::chat::{Envelope, Prepared, Usage};
use super::error::ApiError;
use super::jobs::Jobs;

/// How often a comment is sent while the model reads a long prompt: who went away is noticed, and
/// proxies do not give up.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A stream that is being sent.
struct Sending {
    jobs: Jobs,
    prepared: Prepared,
    choices: Vec<Choice>,
    usage: Usage,
    include_usage: bool,
    envelope: Envelope,
    access: Access,
    /// Events that are ready.
    ready: VecDeque<Bytes>,
    is_over: bool,
}

/// Returns the stream once the engine has taken the request; what it refuses is an error with a
/// status, not a stream.
pub(super) async fn response(
    mut jobs: Jobs,
    prepared: Prepared,
    include_usage: bool,
    envelope: Envelope,
    access: Access,
) -> Result<Response<Body>, ApiError> {
    let first = jobs.next().await?;
    let mut sending = Sending {
        jobs,
        choices: (0..prepared.n).map(|_| Choice::new(prepared.choice)).collect(),
        prepared,
        usage: Usage::default(),
        include_usage,
        envelope,
        access,
        ready: VecDeque::new(),
        is_over: false,
    };
    for index in 0..sending.prepared.n {
        sending.chunk(
            index,
            &json!({ "role": "assistant", "content": "", "refusal": null }),
            &Value::Null,
            None,
        );
    }
    if let Some((index, event)) = first {
        sending.take(index, event)?;
    }
    sending.access.streams();
    let events = unfold(sending, |mut sending| async move {
        let event = sending.next().await?;
        Some((Ok::<_, Infallible>(event), sending))
    });
    Ok(event_stream(events))
}

/// Returns an answer of server-sent events.
pub(super) fn event_stream(
    events: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    let set = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        // nginx would otherwise collect a stream before it hands it on.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Sending {
    /// Waits for the next bytes to send; nothing at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            match tokio::time::timeout(KEEP_ALIVE, self.jobs.next()).await {
                Err(_) => return Some(Bytes::from_static(b": keep-alive\n\n")),
                Ok(Ok(Some((index, event)))) => {
                    if let Err(error) = self.take(index, event) {
                        self.fail(&error);
                    }
                }
                Ok(Ok(None)) => self.end(),
                Ok(Err(error)) => self.fail(&error),
            }
        }
    }

    /// Turns what happened into events.
    fn take(&mut self, index: usize, event: Event) -> Result<(), ApiError> {
        match event {
            Event::Started { .. } => {}
            Event::Token(token) => {
                self.access.first_token();
                if let Some(delta) = self.choices[index].token(&token) {
                    self.delta(index, &delta);
                }
            }
            Event::Done(result) => {
                let answer = (*result)?;
                let prefix_len = self.prepared.prefix_len();
                let (rest, reason) = self.choices[index].done(&answer, prefix_len);
                if let Some(rest) = rest {
                    self.delta(index, &rest);
                }
                self.chunk(index, &json!({}), &Value::Null, Some(reason));
                self.usage.add(index, &answer.stats);
                self.access.generated(&answer.stats);
            }
        }
        Ok(())
    }

    /// Sends what is new of an answer. Logprobs go with the first event of it.
    fn delta(&mut self, index: usize, delta: &Delta) {
        let mut logprobs = delta.logprobs_value(self.prepared.choice.logprobs);
        let mut values = Vec::new();
        if !delta.content.is_empty() || delta.calls.is_empty() {
            values.push(json!({ "content": delta.content }));
        }
        for call in &delta.calls {
            values.extend(call.deltas().map(|call| json!({ "tool_calls": [call] })));
        }
        for value in values {
            self.chunk(index, &value, &logprobs.take(), None);
        }
    }

    fn chunk(&mut self, index: usize, delta: &Value, logprobs: &Value, reason: Option<&str>) {
        let choice = json!({
            "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason,
        });
        let mut chunk = self.envelope.object("chat.completion.chunk", &[choice]);
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        self.send(&chunk);
    }

    fn send(&mut self, value: &Value) {
        self.ready.push_back(Bytes::from(format!("data: {value}\n\n")));
    }

    fn end(&mut self) {
        if self.include_usage {
            let mut chunk = self.envelope.object("chat.completion.chunk", &[]);
            chunk["usage"] = self.usage.value();
            self.send(&chunk);
        }
        self.ready.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
        self.is_over = true;
        self.access.stream_done();
    }

    /// Tells the client that no more comes. The status was sent long ago.
    fn fail(&mut self, error: &ApiError) {
        self.send(&error.body());
        self.is_over = true;
        self.access.stream_failed();
    }
}
