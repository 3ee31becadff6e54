//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use handsight_model::{Event, Part, Request, Sampling, Stats};
use serde_json::{Value, json};

use super::access::Access;
use super::answer::{Choice, ChoiceOptions, Delta};
use super::body::{Reserved, blocking, read_json};
use super::content::Conversation;
use super::error::{ApiError, json_response};
use super::grammar;
use super::jobs::Jobs;
use super::request::{ChatRequest, Stream, ToolChoice};
use super::{Server, ids, stream};

/// A request as the engine takes it, and what its answer has to look like.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) request: Request,
    pub(super) n: usize,
    pub(super) stream: Stream,
    pub(super) choice: ChoiceOptions,
    /// The memory of its images, until the answer is there.
    pub(super) _memory: Reserved,
}

/// What every object of one answer says.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) model: String,
    pub(super) fingerprint: String,
}

/// Answers a chat request.
pub(super) async fn completions(
    State(server): State<Arc<Server>>,
    Extension(access): Extension<Access>,
    request: HttpRequest,
) -> Response<Body> {
    answer(server, access, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(
    server: Arc<Server>,
    access: Access,
    request: HttpRequest,
) -> Result<Response<Body>, ApiError> {
    let body = read_json(request, server.limits.body_bytes, &server.memory).await?;
    let place = server.readers.acquire().await.map_err(|_| ApiError::shutting_down())?;
    let reader = Arc::clone(&server);
    let prepared = blocking(move || Prepared::new(&reader, body)).await??;
    drop(place);
    let abort = server.abort.clone();
    let jobs = Jobs::submit(&server.scheduler, &prepared.request, prepared.n, abort)?;
    let envelope = Envelope {
        id: ids::fresh("chatcmpl-"),
        created: jiff::Timestamp::now().as_second(),
        model: server.name.clone(),
        fingerprint: server.fingerprint.clone(),
    };
    match prepared.stream {
        Stream::No => whole(jobs, &prepared, &envelope, &access).await,
        Stream::Yes { include_usage } => {
            stream::response(jobs, prepared, include_usage, envelope, access).await
        }
    }
}

impl Prepared {
    /// Checks a body and turns it into what the engine takes. Takes a while.
    pub(super) fn new(server: &Server, body: Value) -> Result<Self, ApiError> {
        let chat = ChatRequest::read(body, &server.limits.request)?;
        server.check_model(&chat.model)?;
        let conversation = Conversation::read(
            chat.messages,
            &server.limits.media,
            chat.media,
            chat.continue_final_message,
        )?;
        let memory = server.memory.reserve(bytes_of(&conversation))?;
        check_text(&conversation, server.limits.request.context)?;
        let tags = server.tags();
        let constraint = grammar::constraint(&chat.tools, &chat.format, tags);
        let mut options = chat.options;
        if let Sampling::Random { seed, .. } = &mut options.sampling {
            *seed = chat.seed.unwrap_or_else(ids::random);
        }
        let offered = chat.tools.offered();
        let choice = ChoiceOptions {
            tools: !offered.is_empty(),
            named: matches!(chat.tools.choice, ToolChoice::Named(_)),
            logprobs: chat.logprobs,
        };
        let mut request = Request {
            messages: conversation.messages,
            images: conversation.images,
            videos: conversation.videos,
            tools: offered.iter().map(|tool| tool.definition.clone()).collect(),
            prefix: conversation.prefix,
            constraint,
            options,
        };
        let prompt = server.engine().prompt_len(&request)?;
        let room = server.limits.request.context.saturating_sub(prompt);
        request.options.max_new_tokens =
            chat.max_tokens.unwrap_or_else(|| room.min(server.limits.default_max_tokens).max(1));
        server.check_length(prompt, request.options.max_new_tokens)?;
        Ok(Self { request, n: chat.n, stream: chat.stream, choice, _memory: memory })
    }

    /// Bytes of the answer that the request gave.
    pub(super) fn prefix_len(&self) -> usize {
        self.request.prefix.as_ref().map_or(0, String::len)
    }
}

fn bytes_of(conversation: &Conversation) -> usize {
    let images = conversation.images.iter().map(|image| image.pixels.as_raw().len());
    let frames = conversation.videos.iter().flat_map(|video| &video.frames);
    images.sum::<usize>() + frames.map(|frame| frame.as_raw().len()).sum::<usize>()
}

/// The most bytes of text for each token of context: no token of the checkpoints stands for more.
const BYTES_PER_TOKEN: usize = 128;

/// Refuses what cannot fit before time is spent on cutting it into tokens.
fn check_text(conversation: &Conversation, context: usize) -> Result<(), ApiError> {
    let parts = conversation.messages.iter().flat_map(|message| &message.content);
    let texts = parts.map(|part| match part {
        Part::Text { text } => text.len(),
        _ => 0,
    });
    let bytes: usize = texts.sum();
    if bytes <= context.saturating_mul(BYTES_PER_TOKEN) {
        return Ok(());
    }
    let message = format!(
        "This model's maximum context length is {context} tokens. However, your messages hold \
         {bytes} bytes of text, which are more tokens than that."
    );
    Err(ApiError::param("messages", "context_length_exceeded", message))
}

/// Waits for all answers and sends them as one object.
async fn whole(
    mut jobs: Jobs,
    prepared: &Prepared,
    envelope: &Envelope,
    access: &Access,
) -> Result<Response<Body>, ApiError> {
    let mut choices: Vec<(Choice, Delta, Option<&str>)> =
        (0..prepared.n).map(|_| (Choice::new(prepared.choice), Delta::default(), None)).collect();
    let mut usage = Usage::default();
    while let Some((index, event)) = jobs.next().await? {
        let Some((choice, whole, reason)) = choices.get_mut(index) else { continue };
        match event {
            Event::Started { .. } => {}
            Event::Token(token) => {
                access.first_token();
                whole.append(choice.token(&token).unwrap_or_default());
            }
            Event::Done(result) => {
                let answer = (*result)?;
                let (rest, why) = choice.done(&answer, prepared.prefix_len());
                whole.append(rest.unwrap_or_default());
                *reason = Some(why);
                usage.add(index, &answer.stats);
                access.generated(&answer.stats);
            }
        }
    }
    let choices = choices.iter().enumerate();
    let choices: Vec<Value> = choices
        .map(|(index, (_, whole, reason))| {
            json!({
                "index": index,
                "message": whole.message(),
                "logprobs": whole.logprobs_value(prepared.choice.logprobs),
                "finish_reason": reason,
            })
        })
        .collect();
    let mut body = envelope.object("chat.completion", &choices);
    body["usage"] = usage.value();
    Ok(json_response(StatusCode::OK, &body))
}

impl Envelope {
    /// Returns an answer or a chunk of one.
    pub(super) fn object(&self, object: &str, choices: &[Value]) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "service_tier": "default",
            "system_fingerprint": self.fingerprint,
        })
    }
}

/// Tokens of all answers to one request; the prompt counts once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    prompt: usize,
    cached: usize,
    completion: usize,
}

impl Usage {
    /// Adds an answer. What was remembered is told of the first, which started from nothing.
    pub(super) fn add(&mut self, index: usize, stats: &Stats) {
        self.prompt = stats.prompt_tokens;
        self.completion += stats.completion_tokens;
        if index == 0 {
            self.cached = stats.cached_tokens;
        }
    }

    pub(super) fn value(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": { "cached_tokens": self.cached, "audio_tokens": 0 },
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    }
}
