//! A request in the words of the OpenAI API, with the fields each server adds to it.

use std::fmt::Write;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handsight_model::chat::ToolCall;
use handsight_model::processor::Processor;
use handsight_model::{
    Constraint, ImageInput, Message, ModelError, Part, Request, Role, Sampling, VideoInput,
};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use serde_json::{Value, json};

use super::schema::SchemaForm;
use super::server::ServerKind;

/// Fields a server may refuse and that can be left out without changing what is answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct LeftOut {
    /// No count of tokens then comes with a stream.
    pub(super) stream_options: bool,
    /// No probabilities then come with an answer.
    pub(super) logprobs: bool,
    /// The limit of tokens goes by its newer name.
    pub(super) max_tokens: bool,
}

impl LeftOut {
    /// Notes a field that a server complains about; returns whether it was new.
    pub(super) fn learn(&mut self, complaint: &str) -> bool {
        let before = *self;
        // The newer name has the older one in it nowhere, and is only named to replace it.
        self.max_tokens |= complaint.contains("max_completion_tokens");
        self.stream_options |= complaint.contains("stream_options");
        self.logprobs |= complaint.contains("logprobs");
        *self != before
    }
}

/// What the images and videos of a request are on the wire.
#[derive(Clone, Debug, Default)]
pub(super) struct Pictures {
    images: Vec<String>,
    videos: Vec<(String, f64)>,
    /// What all of them take of the prompt.
    pub(super) tokens: usize,
}

impl Pictures {
    /// Resizes what a request shows as its model wants it and encodes it without loss. The server's
    /// own resizing then finds nothing to do, and points are in pixels that are known here.
    ///
    /// # Errors
    ///
    /// [`ModelError::Image`] if one cannot be resized, or [`ModelError::UnknownImage`] and its like if
    /// the messages refer to one that is not there.
    pub(super) fn of(request: &Request, processor: &Processor) -> Result<Self, ModelError> {
        check_references(request)?;
        let mut pictures = Self::default();
        for ImageInput { pixels, limits } in &request.images {
            let resized = processor.resize(pixels, *limits)?;
            pictures.tokens += tokens(&resized, processor);
            pictures.images.push(data_url("image/png", [&png(&resized)]));
        }
        for VideoInput { frames, fps, limits } in &request.videos {
            let mut encoded = Vec::with_capacity(frames.len());
            for (index, frame) in frames.iter().enumerate() {
                let resized = processor.resize(frame, *limits)?;
                // Two frames share their tokens.
                pictures.tokens += if index % 2 == 0 { tokens(&resized, processor) } else { 0 };
                encoded.push(png(&resized));
            }
            // The name of the type is what servers look for; the pictures speak for themselves.
            pictures.videos.push((data_url("video/jpeg", &encoded), *fps));
        }
        Ok(pictures)
    }
}

/// Checks that the messages refer to nothing that is not there.
fn check_references(request: &Request) -> Result<(), ModelError> {
    for part in request.messages.iter().flat_map(|message| &message.content) {
        match *part {
            Part::Image { image } if image >= request.images.len() => {
                return Err(ModelError::UnknownImage { index: image, count: request.images.len() });
            }
            Part::Video { video } if video >= request.videos.len() => {
                return Err(ModelError::UnknownVideo { index: video, count: request.videos.len() });
            }
            Part::Text { .. } | Part::Image { .. } | Part::Video { .. } => {}
        }
    }
    Ok(())
}

/// Returns what a resized picture takes of a prompt.
fn tokens(image: &RgbImage, processor: &Processor) -> usize {
    let side = processor.patch_size * processor.merge_size;
    (image.width() / side) as usize * (image.height() / side) as usize
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive);
    let (width, height) = image.dimensions();
    encoder
        .write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8)
        .expect("an image of some pixels is written to memory");
    bytes.into_inner()
}

/// Returns a data URL of one or more encoded pictures.
fn data_url<'a>(kind: &str, pictures: impl IntoIterator<Item = &'a Vec<u8>>) -> String {
    let mut url = format!("data:{kind};base64");
    for picture in pictures {
        url.push(',');
        STANDARD.encode_string(picture, &mut url);
    }
    url
}

/// Everything a body is made of.
pub(super) struct Ask<'a> {
    pub(super) request: &'a Request,
    pub(super) pictures: &'a Pictures,
    pub(super) model: &'a str,
    pub(super) server: ServerKind,
    pub(super) form: SchemaForm,
    pub(super) left_out: LeftOut,
    /// The last answer to this very request, and what was wrong with it.
    pub(super) refused: Option<(&'a str, &'a str)>,
}

impl Ask<'_> {
    /// Returns the body of the request.
    pub(super) fn body(&self) -> Value {
        let options = &self.request.options;
        let mut body = json!({
            "model": self.model,
            "messages": self.messages(),
            "stream": true,
        });
        let limit = if self.left_out.max_tokens { "max_completion_tokens" } else { "max_tokens" };
        body[limit] = options.max_new_tokens.into();
        if !self.left_out.stream_options {
            body["stream_options"] = json!({ "include_usage": true });
        }
        if !self.left_out.logprobs {
            body["logprobs"] = true.into();
            if options.top_logprobs > 0 {
                body["top_logprobs"] = options.top_logprobs.into();
            }
        }
        self.add_sampling(&mut body);
        if !options.stop.is_empty() {
            body["stop"] = options.stop.clone().into();
        }
        if options.ignore_eos && self.server.takes_extensions() {
            body["ignore_eos"] = true.into();
        }
        if !self.request.tools.is_empty() {
            body["tools"] = self.request.tools.clone().into();
        }
        self.add_constraint(&mut body);
        if let [(_, fps)] = self.pictures.videos[..] {
            // Without it the model's clock would run at two frames a second.
            body["mm_processor_kwargs"] = json!({ "fps": fps });
        }
        body
    }

    fn add_sampling(&self, body: &mut Value) {
        let options = &self.request.options;
        match options.sampling {
            Sampling::Greedy => body["temperature"] = 0.into(),
            Sampling::Random { temperature, top_p, top_k, seed } => {
                body["temperature"] = temperature.into();
                body["seed"] = seed.into();
                if let Some(top_p) = top_p {
                    body["top_p"] = top_p.into();
                }
                if let Some(top_k) = top_k.filter(|_| self.server.takes_extensions()) {
                    body["top_k"] = top_k.into();
                }
            }
        }
        if let Some(field) = self.server.repetition_field() {
            body[field] = f64::from(options.repetition_penalty).into();
        }
    }

    fn add_constraint(&self, body: &mut Value) {
        match &self.request.constraint {
            Some(Constraint::JsonSchema(schema)) => self.form.add_to(body, schema),
            Some(Constraint::Regex(regex)) => {
                if let Some(field) = self.server.regex_field() {
                    body[field] = regex.as_str().into();
                }
            }
            Some(Constraint::Lark(grammar)) => body["guided_grammar"] = grammar.as_str().into(),
            None => {}
        }
        // A grammar begins with the prefix, so that it need not be sent.
        if self.sends_prefix() {
            body["add_generation_prompt"] = false.into();
            body["continue_final_message"] = true.into();
        }
    }

    /// Whether the forced start of the answer is sent as a message of its own.
    fn sends_prefix(&self) -> bool {
        let has_grammar = matches!(self.request.constraint, Some(Constraint::Lark(_)));
        self.request.prefix.is_some() && !has_grammar
    }

    fn messages(&self) -> Vec<Value> {
        let mut calls = 0;
        let mut messages: Vec<Value> =
            self.request.messages.iter().map(|message| self.message(message, &mut calls)).collect();
        if let Some((answer, problem)) = self.refused {
            messages.push(json!({ "role": "assistant", "content": answer }));
            let complaint = format!(
                "That answer cannot be used: {problem}. Answer again, with the JSON alone."
            );
            messages.push(json!({ "role": "user", "content": complaint }));
        }
        if let Some(prefix) = self.request.prefix.as_ref().filter(|_| self.sends_prefix()) {
            messages.push(json!({ "role": "assistant", "content": prefix }));
        }
        messages
    }

    /// Returns a message; `calls` numbers the calls, whose ids tie a function's result to its call.
    fn message(&self, message: &Message, calls: &mut usize) -> Value {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let mut json = json!({ "role": role, "content": self.content(&message.content) });
        if message.role == Role::Tool {
            json["tool_call_id"] = call_id(calls.saturating_sub(1)).into();
        }
        if !message.tool_calls.is_empty() {
            let ours = message.tool_calls.iter().map(|ToolCall { name, arguments }| {
                *calls += 1;
                let function = json!({ "name": name, "arguments": arguments.to_string() });
                json!({ "id": call_id(*calls - 1), "type": "function", "function": function })
            });
            json["tool_calls"] = ours.collect();
        }
        json
    }

    /// Text alone is a string, which every server takes; the rest is a list of parts.
    fn content(&self, parts: &[Part]) -> Value {
        if let [Part::Text { text }] = parts {
            return text.as_str().into();
        }
        let parts = parts.iter().map(|part| match part {
            Part::Text { text } => json!({ "type": "text", "text": text }),
            Part::Image { image } => {
                json!({ "type": "image_url", "image_url": { "url": self.pictures.images[*image] } })
            }
            Part::Video { video } => {
                json!({ "type": "video_url", "video_url": { "url": self.pictures.videos[*video].0 } })
            }
        });
        parts.collect()
    }
}

fn call_id(number: usize) -> String {
    let mut id = String::from("call_");
    // A string takes every write.
    let _ = write!(id, "{number}");
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use handsight_model::GenerateOptions;

    fn body(request: &Request, server: ServerKind) -> Value {
        let pictures = Pictures::of(request, &Processor::default()).unwrap();
        let ask = Ask {
            request,
            pictures: &pictures,
            model: "m",
            server,
            form: SchemaForm::JsonSchema,
            left_out: LeftOut::default(),
            refused: None,
        };
        ask.body()
    }

    #[test]
    fn images_go_out_at_the_size_the_model_sees() {
        let request = Request {
            messages: vec![
                Message::text(Role::System, "Be brief."),
                Message::image_and_text(0, "What is it?"),
            ],
            images: vec![RgbImage::from_pixel(100, 60, image::Rgb([7, 8, 9])).into()],
            ..Request::default()
        };
        let body = body(&request, ServerKind::Vllm);
        assert_eq!(body["messages"][0]["content"], "Be brief.");
        let parts = &body["messages"][1]["content"];
        assert_eq!(parts[1], json!({ "type": "text", "text": "What is it?" }));
        let url = parts[0]["image_url"]["url"].as_str().unwrap();
        let png = STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let sent = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!(sent.dimensions(), (112, 56));
        // The checkpoint's own 1.05 would change digits.
        assert_eq!(body["repetition_penalty"], 1.0);
        let pictures = Pictures::of(&request, &Processor::default()).unwrap();
        assert_eq!(pictures.tokens, 8);
        let err = Pictures::of(&Request { images: vec![], ..request }, &Processor::default());
        assert!(matches!(err, Err(ModelError::UnknownImage { index: 0, count: 0 })));
    }

    #[test]
    fn a_plain_server_is_sent_only_what_is_in_the_api() {
        let sampling =
            Sampling::Random { temperature: 0.5, top_p: Some(0.9), top_k: Some(4), seed: 3 };
        let options = GenerateOptions {
            max_new_tokens: 9,
            sampling,
            stop: vec!["END".to_owned()],
            top_logprobs: 2,
            ignore_eos: true,
            ..GenerateOptions::default()
        };
        let schema = json!({ "type": "object" });
        let request = Request {
            messages: vec![Message::text(Role::User, "hello")],
            constraint: Some(Constraint::JsonSchema(schema.clone())),
            options,
            ..Request::default()
        };
        let expected = json!({
            "model": "m",
            "messages": [{ "role": "user", "content": "hello" }],
            "stream": true,
            "max_tokens": 9,
            "stream_options": { "include_usage": true },
            "logprobs": true,
            "top_logprobs": 2,
            "temperature": 0.5,
            "seed": 3,
            "top_p": 0.9,
            "stop": ["END"],
            "response_format": {
                "type": "json_schema",
                "json_schema": { "name": "answer", "strict": true, "schema": schema },
            },
        });
        assert_eq!(body(&request, ServerKind::Other), expected);
        let extended = body(&request, ServerKind::Sglang);
        assert_eq!((&extended["top_k"], &extended["ignore_eos"]), (&json!(4), &json!(true)));
    }

    #[test]
    fn a_server_s_complaint_teaches_what_to_leave_out() {
        let mut left_out = LeftOut::default();
        assert!(left_out.learn("Unrecognized request argument supplied: stream_options"));
        assert!(!left_out.learn("the same again: stream_options"));
        assert!(
            left_out.learn("logprobs is not supported for models created with logits_all=False")
        );
        let newer = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                     'max_completion_tokens' instead.";
        assert!(left_out.learn(newer) && !left_out.learn("anything else"));
        let request = Request::default();
        let pictures = Pictures::default();
        let ask = Ask {
            request: &request,
            pictures: &pictures,
            model: "m",
            server: ServerKind::Other,
            form: SchemaForm::NotSent,
            left_out,
            refused: Some(("{", "it is not JSON")),
        };
        let body = ask.body();
        let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["model", "messages", "stream", "max_completion_tokens", "temperature"]);
        assert_eq!(body["messages"][0], json!({ "role": "assistant", "content": "{" }));
        assert!(body["messages"][1]["content"].as_str().unwrap().contains("it is not JSON"));
    }
}
