//! `/v1/chat/completions`: the body → what is asked, checked.
//!
//! Parameters of the real API that cannot be followed are refused, unknown ones too; a few that do
//! not change the answer are accepted.
//!
//! # Source
//!
//! The reference of the chat completions API for names, bounds and defaults; vLLM's
//! `protocol.py` for its extensions (`top_k` … `guided_grammar`, `mm_processor_kwargs`).

mod format;
mod tools;

use handsight_model::{GenerateOptions, PixelLimits, Sampling};
use serde_json::Value;

use super::error::ApiError;
use super::fields::{Fields, not_one_of, too_long, wrong_type};
pub(super) use format::{Format, lark_choice, lark_string, spaced};
pub(super) use tools::{Tool, ToolChoice, Tools};

/// What one request may ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLimits {
    /// Messages in a conversation.
    pub(super) messages: usize,
    /// Functions the model may call.
    pub(super) tools: usize,
    /// Answers to one request.
    pub(super) n: usize,
    /// Tokens the model has room for.
    pub(super) context: usize,
}

/// The most stop strings, and the most bytes of one.
const MAX_STOP: usize = 4;
const MAX_STOP_BYTES: usize = 1024;

/// The most alternatives told beside each token.
const MAX_TOP_LOGPROBS: usize = 20;

/// A checked request.
#[derive(Clone, Debug)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    /// Not looked into yet.
    pub(super) messages: Vec<Value>,
    pub(super) tools: Tools,
    pub(super) format: Format,
    /// Whether and how the answer is streamed.
    pub(super) stream: Stream,
    pub(super) n: usize,
    pub(super) logprobs: bool,
    /// The most tokens, if the request says.
    pub(super) max_tokens: Option<usize>,
    pub(super) seed: Option<u64>,
    /// How tokens are drawn; the seed is that of the first answer.
    pub(super) options: GenerateOptions,
    pub(super) media: MediaOptions,
    /// Whether the last message is the beginning of the answer.
    pub(super) continue_final_message: bool,
}

/// How the answer is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stream {
    /// As one object.
    No,
    /// As events.
    Yes {
        /// Whether an event with the usage ends it.
        include_usage: bool,
    },
}

/// How images and videos are read, from `mm_processor_kwargs`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct MediaOptions {
    pub(super) limits: PixelLimits,
    /// Frames a second to take of a video.
    pub(super) fps: Option<f64>,
}

impl ChatRequest {
    /// Checks a body.
    pub(super) fn read(body: Value, limits: &RequestLimits) -> Result<Self, ApiError> {
        let mut fields = Fields::new("", body)?;
        let Some(model) = fields.string("model")? else {
            let error = ApiError::bad_request("you must provide a model parameter");
            return Err(error.with_param("model"));
        };
        let messages = messages(&mut fields, limits.messages)?;
        let tools = Tools::read(&mut fields, limits.tools)?;
        let format = Format::read(&mut fields)?;
        let stream = stream(&mut fields)?;
        let n = fields.count("n", 1, limits.n)?.unwrap_or(1);
        let (logprobs, top_logprobs) = logprobs(&mut fields)?;
        let max_tokens = max_tokens(&mut fields)?;
        #[expect(clippy::cast_sign_loss, reason = "every seed is as good as another")]
        let seed = fields.integer("seed", i64::MIN, i64::MAX)?.map(|seed| seed as u64);
        let options = GenerateOptions {
            sampling: sampling(&mut fields)?,
            stop: stop(&mut fields)?,
            // Far below the bounds the logits would no longer be numbers.
            repetition_penalty: penalty(&mut fields, "repetition_penalty", (0.01, 100.0), 1.0)?,
            presence_penalty: penalty(&mut fields, "presence_penalty", (-2.0, 2.0), 0.0)?,
            frequency_penalty: penalty(&mut fields, "frequency_penalty", (-2.0, 2.0), 0.0)?,
            ignore_eos: fields.bool("ignore_eos")?.unwrap_or(false),
            top_logprobs,
            ..GenerateOptions::default()
        };
        let media = media_options(&mut fields)?;
        let continue_final_message = fields.bool("continue_final_message")?.unwrap_or(false);
        let add_generation_prompt = fields.bool("add_generation_prompt")?;
        if add_generation_prompt == Some(continue_final_message) {
            let message = "Exactly one of 'add_generation_prompt' and 'continue_final_message' can \
                           be true.";
            return Err(ApiError::param("add_generation_prompt", "invalid_value", message));
        }
        neutral_only(&mut fields)?;
        fields.finish()?;
        Ok(Self {
            model,
            messages,
            tools,
            format,
            stream,
            n,
            logprobs,
            max_tokens,
            seed,
            options,
            media,
            continue_final_message,
        })
    }
}

fn messages(fields: &mut Fields, max: usize) -> Result<Vec<Value>, ApiError> {
    let messages = fields.array("messages")?.ok_or_else(|| fields.missing("messages"))?;
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, \
                       but got an empty array instead.";
        return Err(ApiError::param("messages", "empty_array", message));
    }
    if messages.len() > max {
        return Err(too_long("messages", max, messages.len()));
    }
    Ok(messages)
}

fn stream(fields: &mut Fields) -> Result<Stream, ApiError> {
    let streams = fields.bool("stream")?.unwrap_or(false);
    let Some(mut options) = fields.object("stream_options")? else {
        return Ok(if streams { Stream::Yes { include_usage: false } } else { Stream::No });
    };
    if !streams {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(ApiError::param("stream_options", "invalid_value", message));
    }
    let include_usage = options.bool("include_usage")?.unwrap_or(false);
    // The real API pads events against eavesdroppers that count bytes; there is nothing to pad here.
    options.ignore(&["include_obfuscation"]);
    options.refuse_unless("continuous_usage_stats", is_false, "usage is told at the end")?;
    options.finish()?;
    Ok(Stream::Yes { include_usage })
}

fn logprobs(fields: &mut Fields) -> Result<(bool, usize), ApiError> {
    let logprobs = fields.bool("logprobs")?.unwrap_or(false);
    let top = fields.count("top_logprobs", 0, MAX_TOP_LOGPROBS)?;
    match top {
        Some(top) if top > 0 && !logprobs => {
            let message =
                "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
            Err(ApiError::param("top_logprobs", "invalid_value", message))
        }
        top => Ok((logprobs, top.unwrap_or(0))),
    }
}

fn max_tokens(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    let newer = fields.count("max_completion_tokens", 1, usize::MAX)?;
    let older = fields.count("max_tokens", 1, usize::MAX)?;
    if newer.is_some() && older.is_some() {
        let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not \
                       supported.";
        return Err(ApiError::param("max_tokens", "invalid_parameter_combination", message));
    }
    Ok(newer.or(older))
}

/// Without a temperature the likeliest token is taken: so the checkpoints' own settings say, and a
/// click that depends on luck helps nobody.
fn sampling(fields: &mut Fields) -> Result<Sampling, ApiError> {
    let temperature = fields.number("temperature", 0.0, 2.0)?.unwrap_or(0.0);
    let top_p = fields.number("top_p", 0.0, 1.0)?.unwrap_or(1.0);
    // vLLM takes -1 and 0 for all of them.
    let top_k = fields.integer("top_k", -1, i64::from(u32::MAX))?.unwrap_or(-1);
    if temperature <= 0.0 || top_p <= 0.0 || top_k == 1 {
        return Ok(Sampling::Greedy);
    }
    let top_p = Some(top_p).filter(|&p| p < 1.0);
    let top_k = usize::try_from(top_k).ok().filter(|&k| k > 0);
    Ok(Sampling::Random { temperature, top_p, top_k, seed: 0 })
}

fn penalty(
    fields: &mut Fields,
    name: &str,
    (min, max): (f64, f64),
    default: f64,
) -> Result<f32, ApiError> {
    let penalty = fields.number(name, min, max)?.unwrap_or(default);
    #[expect(clippy::cast_possible_truncation, reason = "bounded, and a penalty is never exact")]
    Ok(penalty as f32)
}

fn stop(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let texts = match fields.take("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => vec![Value::String(text)],
        Some(Value::Array(texts)) => texts,
        Some(other) => return Err(wrong_type("stop", "a string or an array of strings", &other)),
    };
    if texts.len() > MAX_STOP {
        return Err(too_long("stop", MAX_STOP, texts.len()));
    }
    let check = |text| match text {
        Value::String(text) if text.is_empty() => Err(ApiError::param(
            "stop",
            "invalid_value",
            "Invalid 'stop': empty string. Expected a string with minimum length 1.",
        )),
        Value::String(text) if text.len() > MAX_STOP_BYTES => Err(ApiError::param(
            "stop",
            "string_above_max_length",
            format!("Invalid 'stop': string too long. Expected at most {MAX_STOP_BYTES} bytes."),
        )),
        Value::String(text) => Ok(text),
        other => Err(wrong_type("stop", "a string or an array of strings", &other)),
    };
    texts.into_iter().map(check).collect()
}

/// The most pixels a request may ask an image to be resized to: 2²⁶, as in [`super::content`].
const MAX_PIXELS: usize = 1 << 26;

fn media_options(fields: &mut Fields) -> Result<MediaOptions, ApiError> {
    let Some(mut kwargs) = fields.object("mm_processor_kwargs")? else {
        return Ok(MediaOptions::default());
    };
    let limits = pixel_limits(&mut kwargs)?;
    let fps = kwargs.number("fps", 0.01, 60.0)?;
    kwargs.finish()?;
    Ok(MediaOptions { limits, fps })
}

/// Reads `min_pixels` and `max_pixels`, here or beside an image.
pub(super) fn pixel_limits(fields: &mut Fields) -> Result<PixelLimits, ApiError> {
    let min_pixels = fields.count("min_pixels", 1, MAX_PIXELS)?.map(|count| count as u64);
    let max_pixels = fields.count("max_pixels", 1, MAX_PIXELS)?.map(|count| count as u64);
    if let (Some(min), Some(max)) = (min_pixels, max_pixels)
        && min > max
    {
        let path = fields.at("min_pixels");
        let message = format!("Invalid '{path}': {min} is more than the 'max_pixels' of {max}.");
        return Err(ApiError::param(path, "invalid_value", message));
    }
    Ok(PixelLimits { min_pixels, max_pixels, resized: None })
}

fn is_false(value: &Value) -> bool {
    value == &Value::Bool(false)
}

fn is_zero(value: &Value) -> bool {
    value.as_f64() == Some(0.0)
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Parameters that are taken only if they ask for nothing.
fn neutral_only(fields: &mut Fields) -> Result<(), ApiError> {
    // They name the request or its sender, or steer a data centre; the answer is the same.
    fields.ignore(&[
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "request_id",
        "safety_identifier",
        "service_tier",
        "user",
        "guided_decoding_backend",
        "priority",
    ]);
    fields.refuse_unless("logit_bias", is_empty, "tokens cannot be biased")?;
    fields.refuse_unless("store", is_false, "answers are not stored")?;
    let text_only = |value: &Value| *value == serde_json::json!(["text"]);
    fields.refuse_unless("modalities", text_only, "answers are text")?;
    let medium = |value: &Value| value == "medium";
    fields.refuse_unless("verbosity", medium, "the model knows no such setting")?;
    let none = |value: &Value| value == "none";
    fields.refuse_unless("reasoning_effort", none, "the model does not reason apart")?;
    for name in ["audio", "prediction", "web_search_options", "moderation"] {
        fields.refuse_unless(name, |_| false, "the model has no such ability")?;
    }
    let tools = "it is deprecated; use 'tools' and 'tool_choice'";
    fields.refuse_unless("functions", is_empty, tools)?;
    fields.refuse_unless("function_call", none, tools)?;

    let vllm = "this extension of vLLM is not known here";
    fields.refuse_unless("min_p", is_zero, vllm)?;
    fields.refuse_unless("min_tokens", is_zero, vllm)?;
    for name in ["stop_token_ids", "bad_words", "chat_template_kwargs", "logits_processors"] {
        fields.refuse_unless(name, is_empty, vllm)?;
    }
    for name in ["use_beam_search", "echo", "include_stop_str_in_output", "add_special_tokens"] {
        fields.refuse_unless(name, is_false, vllm)?;
    }
    let is_true = |value: &Value| value == &Value::Bool(true);
    for name in ["skip_special_tokens", "spaces_between_special_tokens"] {
        fields.refuse_unless(name, is_true, vllm)?;
    }
    Ok(())
}

/// Reads one of a few names.
pub(super) fn one_of<'v>(
    path: &str,
    found: &str,
    values: &'v [&'v str],
) -> Result<&'v str, ApiError> {
    let value = values.iter().copied().find(|&value| value == found);
    value.ok_or_else(|| not_one_of(path, found, values))
}
