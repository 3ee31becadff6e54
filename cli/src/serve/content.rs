//! Messages of the API → the conversation the model is asked to go on with.

mod turns;

use std::sync::Arc;

use handsight_model::{ImageInput, Message, Part, PixelLimits, Role, VideoInput};
use serde_json::Value;

use super::error::ApiError;
use super::fields::{Fields, not_one_of, wrong_type};
use super::media::{Media, MediaPolicy, MediaSource};
use super::request::{MediaOptions, pixel_limits};
use turns::in_call_order;

/// What the model is to go on with.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    pub(super) messages: Vec<Message>,
    pub(super) images: Vec<ImageInput>,
    pub(super) videos: Vec<VideoInput>,
    /// The beginning of the answer, if the request gives it.
    pub(super) prefix: Option<String>,
}

/// An image or video that is not read yet.
#[derive(Debug)]
struct Pending {
    source: MediaSource,
    limits: PixelLimits,
}

/// What has been collected from the messages so far.
struct Collected<'a> {
    policy: &'a MediaPolicy,
    images: Vec<Pending>,
    videos: Vec<Pending>,
}

/// Where `detail: low` draws the line: what the real API shrinks such images to.
const LOW_DETAIL_PIXELS: u64 = 512 * 512;

impl Conversation {
    /// Reads messages, and then the images and videos in them.
    ///
    /// Everything is counted before anything is decoded.
    pub(super) fn read(
        messages: Vec<Value>,
        policy: &MediaPolicy,
        options: MediaOptions,
        continue_final_message: bool,
    ) -> Result<Self, ApiError> {
        let mut collected = Collected { policy, images: Vec::new(), videos: Vec::new() };
        let mut turns = Vec::with_capacity(messages.len());
        for (index, message) in messages.into_iter().enumerate() {
            turns.push(turn(&format!("messages[{index}]"), message, &mut collected)?);
        }
        let mut messages = in_call_order(turns)?;
        let prefix = if continue_final_message { Some(take_prefix(&mut messages)?) } else { None };

        let Collected { images, videos, .. } = collected;
        let mut media = Media::new(policy);
        let limits = |own: PixelLimits| PixelLimits {
            min_pixels: own.min_pixels.or(options.limits.min_pixels),
            max_pixels: own.max_pixels.or(options.limits.max_pixels),
            resized: own.resized,
        };
        let images = images
            .into_iter()
            .map(|Pending { source, limits: own }| {
                let pixels = Arc::new(media.image(&source)?);
                Ok(ImageInput { pixels, limits: limits(own) })
            })
            .collect::<Result<_, ApiError>>()?;
        let videos = videos
            .into_iter()
            .map(|Pending { source, limits: own }| media.video(&source, limits(own), options.fps))
            .collect::<Result<_, ApiError>>()?;
        Ok(Self { messages, images, videos, prefix })
    }
}

/// A message and what ties it to others.
struct Turn {
    /// Where it is, as errors name it.
    path: String,
    message: Message,
    /// The ids of the calls it makes.
    call_ids: Vec<String>,
    /// The id of the call it answers.
    answers: Option<String>,
}

fn turn(path: &str, value: Value, collected: &mut Collected<'_>) -> Result<Turn, ApiError> {
    let mut fields = Fields::new(path, value)?;
    let role = fields.required_string("role")?;
    let role = match role.as_str() {
        // Developers' messages take the place of system messages.
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => {
            let roles = ["system", "developer", "user", "assistant", "tool"];
            return Err(not_one_of(&fields.at("role"), other, &roles));
        }
    };
    let (tool_calls, call_ids) = match role {
        Role::Assistant => turns::calls(&mut fields)?,
        _ => (Vec::new(), Vec::new()),
    };
    let answers = match role {
        Role::Tool => Some(fields.required_string("tool_call_id")?),
        _ => None,
    };
    let content = match fields.take("content") {
        Some(content) => parts(&fields.at("content"), role, content, collected)?,
        None if role == Role::Assistant && !tool_calls.is_empty() => Vec::new(),
        None => return Err(fields.missing("content")),
    };
    // The checkpoints know no names of speakers; the others are what the API itself answers with.
    fields.ignore(&["name", "refusal", "annotations", "audio", "function_call"]);
    fields.ignore(&["reasoning", "reasoning_content"]);
    fields.finish()?;
    let message = Message { role, content, tool_calls };
    Ok(Turn { path: path.to_owned(), message, call_ids, answers })
}

fn parts(
    path: &str,
    role: Role,
    content: Value,
    collected: &mut Collected<'_>,
) -> Result<Vec<Part>, ApiError> {
    let values = match content {
        Value::String(text) => return Ok(vec![Part::Text { text }]),
        Value::Array(values) => values,
        other => {
            let expected = "one of a string or array of objects";
            return Err(wrong_type(path, expected, &other));
        }
    };
    let part = |(index, value)| part(&format!("{path}[{index}]"), role, value, collected);
    values.into_iter().enumerate().map(part).collect()
}

fn part(
    path: &str,
    role: Role,
    value: Value,
    collected: &mut Collected<'_>,
) -> Result<Part, ApiError> {
    let mut fields = Fields::new(path, value)?;
    let kind = fields.required_string("type")?;
    // Screens come from users, and from tools that look.
    let may_show = matches!(role, Role::User | Role::Tool);
    let part = match kind.as_str() {
        "text" => Part::Text { text: fields.required_string("text")? },
        "refusal" if role == Role::Assistant => {
            Part::Text { text: fields.required_string("refusal")? }
        }
        "image_url" if may_show => Part::Image { image: collected.image(&mut fields)? },
        "video_url" if may_show => Part::Video { video: collected.video(&mut fields)? },
        other => {
            let kinds: &[&str] =
                if may_show { &["text", "image_url", "video_url"] } else { &["text"] };
            return Err(not_one_of(&fields.at("type"), other, kinds));
        }
    };
    fields.finish()?;
    Ok(part)
}

impl Collected<'_> {
    /// Takes `image_url` and returns the image's index.
    fn image(&mut self, fields: &mut Fields) -> Result<usize, ApiError> {
        let mut image = fields.object("image_url")?.ok_or_else(|| fields.missing("image_url"))?;
        let mut limits = own_limits(fields)?;
        let detail = image.string("detail")?;
        if let Some(detail) = detail {
            let details = ["auto", "low", "high", "original"];
            let detail = super::request::one_of(&image.at("detail"), &detail, &details)?;
            if detail == "low" {
                let most = limits.max_pixels.unwrap_or(LOW_DETAIL_PIXELS).min(LOW_DETAIL_PIXELS);
                limits.max_pixels = Some(most);
            }
        }
        let (path, url) = (image.at("url"), image.required_string("url")?);
        image.finish()?;
        let max = self.policy.max_images;
        if self.images.len() >= max {
            let message = format!("Too many images: a request may hold at most {max} of them.");
            return Err(ApiError::param(path, "too_many_images", message));
        }
        let source = MediaSource::of(path, url, self.policy)?;
        self.images.push(Pending { source, limits });
        Ok(self.images.len() - 1)
    }

    /// Takes `video_url` and returns the video's index.
    fn video(&mut self, fields: &mut Fields) -> Result<usize, ApiError> {
        let mut video = fields.object("video_url")?.ok_or_else(|| fields.missing("video_url"))?;
        let limits = own_limits(fields)?;
        let (path, url) = (video.at("url"), video.required_string("url")?);
        video.finish()?;
        let max = self.policy.max_videos;
        if self.videos.len() >= max {
            let message = format!("Too many videos: a request may hold at most {max} of them.");
            return Err(ApiError::param(path, "too_many_videos", message));
        }
        let source = MediaSource::of(path, url, self.policy)?;
        self.videos.push(Pending { source, limits });
        Ok(self.videos.len() - 1)
    }
}

/// The most pixels of a side that an image may be resized to.
const MAX_SIDE: usize = 32_768;

/// The limits given beside an image, as the model's own tools name them.
fn own_limits(fields: &mut Fields) -> Result<PixelLimits, ApiError> {
    let limits = pixel_limits(fields)?;
    let height = fields.count("resized_height", 1, MAX_SIDE)?;
    let width = fields.count("resized_width", 1, MAX_SIDE)?;
    let resized = match (width, height) {
        (None, None) => None,
        (Some(width), Some(height)) => {
            let side = |side| u32::try_from(side).unwrap_or(u32::MAX);
            Some((side(width), side(height)))
        }
        _ => {
            let message = "'resized_width' and 'resized_height' have to be given together.";
            return Err(ApiError::param(fields.at("resized_width"), "invalid_value", message));
        }
    };
    Ok(PixelLimits { resized, ..limits })
}

/// Takes the last message, which the answer goes on with, out of the conversation.
fn take_prefix(messages: &mut Vec<Message>) -> Result<String, ApiError> {
    let wrong = || {
        let message = "'continue_final_message' needs the last message to be the assistant's, with \
                       text and no calls.";
        ApiError::param("continue_final_message", "invalid_value", message)
    };
    let last = messages.pop().filter(|last| last.role == Role::Assistant).ok_or_else(wrong)?;
    if !last.tool_calls.is_empty() || messages.is_empty() {
        return Err(wrong());
    }
    let texts = last.content.into_iter().map(|part| match part {
        Part::Text { text } => Ok(text),
        _ => Err(wrong()),
    });
    texts.collect()
}
