//! Request → prompt: its tokens, their positions, and the pictures behind the placeholders.
//!
//! First its [`Outline`], which costs little and tells how long it is; what is too long is refused
//! before a picture is resized.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::Tensor;
use image::RgbImage;
use sha2::{Digest, Sha256};

use crate::chat::tools::write_out;
use crate::chat::{ChatTemplate, Message, Part, Role};
use crate::error::ModelError;
use crate::prefix_cache::{PlaceKey, media_key, token_key};
use crate::processor::Processor;
use crate::qwen2_5_vl::config::Config;
use crate::qwen2_5_vl::rope::{Media, positions};
use crate::qwen2_5_vl::vision::Grid;
use crate::request::{ImageInput, PixelLimits, Request, VideoInput};
use crate::tokenizer::Tokenizer;
use crate::vision_cache::ContentHash;

/// A prompt ready to run, but for the features of its pictures.
pub(crate) struct Prompt {
    /// An image being one placeholder per merged patch.
    pub(crate) token_ids: Vec<u32>,
    /// The name of each place; see [`crate::prefix_cache`].
    pub(crate) keys: Vec<PlaceKey>,
    /// `[time, height, width]` of each token.
    pub(crate) position_ids: Vec<[u32; 3]>,
    /// The position of the first generated token.
    pub(crate) next_position: u32,
    /// The images and videos in the order of the prompt.
    pub(crate) pictures: Vec<Picture>,
    /// How many tokens are the system turn: what an agent's prompts have in common.
    pub(crate) constant: usize,
}

/// An image or a video in a prompt.
pub(crate) struct Picture {
    /// Its first token.
    pub(crate) start: usize,
    pub(crate) grid: Grid,
    pub(crate) content: ContentHash,
    /// As large as the model sees them.
    pub(crate) frames: Arc<[RgbImage]>,
    /// `(merged patches, c)`, once they are known.
    pub(crate) features: Option<Tensor>,
}

impl Picture {
    /// The token after its last.
    pub(crate) fn end(&self) -> usize {
        self.start + self.grid.merged_len()
    }
}

/// What a prompt is built with.
pub(crate) struct PromptBuilder<'a> {
    pub(crate) config: &'a Config,
    pub(crate) processor: &'a Processor,
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) template: &'a ChatTemplate,
}

/// An image or video as large as the model sees it, and its content's name.
type Shown = (ContentHash, Arc<[RgbImage]>);

/// A prompt as far as it is known without touching a pixel.
pub(crate) struct Outline {
    /// The images and videos in the order the messages show them.
    media: Vec<Media>,
    /// The tokens, each image and video being a single placeholder.
    compact: Vec<u32>,
}

impl Outline {
    /// Returns the patches of the largest image or video.
    pub(crate) fn largest_picture(&self) -> usize {
        self.media.iter().map(|media| media.grid.patch_len()).max().unwrap_or(0)
    }

    /// Tokens of the prompt.
    pub(crate) fn len(&self) -> usize {
        self.runs().map(|(_, n)| n).sum()
    }

    /// The tokens of the prompt.
    pub(crate) fn token_ids(&self) -> Vec<u32> {
        self.runs().flat_map(|(id, n)| std::iter::repeat_n(id, n)).collect()
    }

    /// Each token, and how many times it stands in a row.
    fn runs(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        let mut media = self.media.iter().peekable();
        self.compact.iter().map(move |&id| {
            let medium = media.next_if(|medium| medium.token_id == id);
            (id, medium.map_or(1, |medium| medium.grid.merged_len()))
        })
    }
}

impl PromptBuilder<'_> {
    /// Reads a request, its forced prefix included, but for its pixels.
    pub(crate) fn outline(&self, request: &Request) -> Result<Outline, ModelError> {
        let parts = request.messages.iter().flat_map(|message| &message.content);
        let media = parts.filter_map(|part| match *part {
            Part::Text { .. } => None,
            Part::Image { image } => Some(self.image_media(request, image)),
            Part::Video { video } => Some(self.video_media(request, video)),
        });
        let media = media.collect::<Result<Vec<_>, _>>()?;
        let has_tools =
            |message: &Message| message.role == Role::Tool || !message.tool_calls.is_empty();
        let mut compact = if request.tools.is_empty() && !request.messages.iter().any(has_tools) {
            self.compact_ids(&request.messages)?
        } else {
            self.compact_ids(&write_out(&request.messages, &request.tools))?
        };
        compact.extend(self.tokenizer.encode(request.prefix.as_deref().unwrap_or_default())?);
        Ok(Outline { media, compact })
    }

    /// Builds the prompt of a request from its outline.
    pub(crate) fn build(&self, request: &Request, outline: &Outline) -> Result<Prompt, ModelError> {
        let token_ids = outline.token_ids();
        let is_placeholder =
            |id| id == self.config.image_token_id || id == self.config.video_token_id;
        let places = positions(&token_ids, is_placeholder, &outline.media, 0)?;

        let mut keys: Vec<PlaceKey> = token_ids.iter().map(|&id| token_key(id)).collect();
        let mut pictures = Vec::with_capacity(outline.media.len());
        let mut from = 0;
        let shown = self.shown(request)?;
        for (&Media { grid, .. }, (content, frames)) in outline.media.iter().zip(shown) {
            let rest = token_ids[from..].iter();
            let start = from + rest.take_while(|&&id| !is_placeholder(id)).count();
            from = start + grid.merged_len();
            for (patch, key) in keys[start..from].iter_mut().enumerate() {
                *key = media_key(content, patch);
            }
            pictures.push(Picture { start, grid, content, frames, features: None });
        }
        let (position_ids, next_position) = (places.ids, places.next);
        // The second turn starts where the constant part ends; a picture in it would end it sooner.
        let turn = self.tokenizer.id("<|im_start|>");
        let turns = token_ids.iter().enumerate().filter(|&(_, &id)| Some(id) == turn);
        let constant = turns.map(|(at, _)| at).nth(1).unwrap_or(0);
        let first_picture = pictures.first().map_or(constant, |picture: &Picture| picture.start);
        let constant = constant.min(first_picture);
        Ok(Prompt { token_ids, keys, position_ids, next_position, pictures, constant })
    }

    /// The images and videos in the order the messages show them, resized.
    fn shown(&self, request: &Request) -> Result<Vec<Shown>, ModelError> {
        let mut images = HashMap::new();
        let mut videos = HashMap::new();
        let parts = request.messages.iter().flat_map(|message| &message.content);
        parts
            .filter_map(|part| match *part {
                Part::Text { .. } => None,
                Part::Image { image } => Some(self.image(request, image, &mut images)),
                Part::Video { video } => Some(self.video(request, video, &mut videos)),
            })
            .collect()
    }

    fn image(
        &self,
        request: &Request,
        index: usize,
        done: &mut HashMap<usize, Shown>,
    ) -> Result<Shown, ModelError> {
        if let Some(done) = done.get(&index) {
            return Ok(done.clone());
        }
        let input = image_input(request, index)?;
        let frames: Arc<[RgbImage]> =
            Arc::new([self.processor.resize(&input.pixels, input.limits)?]);
        let fresh = (content_hash(&frames, 0.0), frames);
        done.insert(index, fresh.clone());
        Ok(fresh)
    }

    /// The places an image takes in the prompt.
    fn image_media(&self, request: &Request, index: usize) -> Result<Media, ModelError> {
        let input = image_input(request, index)?;
        let (width, height) = input.pixels.dimensions();
        let (width, height) = self.processor.resized_size_within(width, height, input.limits)?;
        let grid = self.processor.grid(width, height, 1);
        Ok(Media::image(grid, self.config.image_token_id))
    }

    fn video(
        &self,
        request: &Request,
        index: usize,
        done: &mut HashMap<usize, Shown>,
    ) -> Result<Shown, ModelError> {
        if let Some(done) = done.get(&index) {
            return Ok(done.clone());
        }
        let input = video_input(request, index)?;
        let frames: Arc<[RgbImage]> = self.frames(input)?.into();
        // The times are part of what the decoder sees: they turn its positions.
        let fresh = (content_hash(&frames, input.fps), frames);
        done.insert(index, fresh.clone());
        Ok(fresh)
    }

    /// The places a video takes in the prompt, if it can be used.
    fn video_media(&self, request: &Request, index: usize) -> Result<Media, ModelError> {
        let input = video_input(request, index)?;
        let (width, height) = check_video(input)?;
        let limits = self.frame_limits(input);
        let (width, height) = self.processor.resized_size_within(width, height, limits)?;
        let grid = self.processor.grid(width, height, input.frames.len());
        let seconds_per_step = f64::from(self.processor.temporal_patch_size) / input.fps;
        let time_stride = seconds_per_step as f32 * self.config.vision.tokens_per_second as f32;
        Ok(Media { grid, token_id: self.config.video_token_id, time_stride })
    }

    /// The frames of a video, resized.
    fn frames(&self, video: &VideoInput) -> Result<Vec<RgbImage>, ModelError> {
        let limits = self.frame_limits(video);
        video.frames.iter().map(|frame| self.processor.resize(frame, limits)).collect()
    }

    /// What is left open of a video's limits, taken from the checkpoint's.
    fn frame_limits(&self, video: &VideoInput) -> PixelLimits {
        let max = video.limits.max_pixels.unwrap_or(self.processor.max_pixels);
        PixelLimits { max_pixels: Some(max), ..video.limits }
    }

    /// Returns the token ids of a prompt, a picture being one placeholder per merged patch.
    ///
    /// Text that names control tokens stays text: a screen or a goal cannot end its turn.
    pub(crate) fn token_ids(
        &self,
        messages: &[Message],
        media: &[Media],
    ) -> Result<Vec<u32>, ModelError> {
        let compact = self.compact_ids(messages)?;
        Ok(Outline { media: media.to_vec(), compact }.token_ids())
    }

    /// The token ids of a prompt, a picture being a single placeholder.
    fn compact_ids(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        let (messages, literals) = self.without_control_tokens(messages);
        let prompt = self.template.render(&messages, true)?;
        let mut compact = Vec::new();
        let mut rest = prompt.as_str();
        while let Some((before, after)) = rest.split_once(LITERAL_START) {
            compact.extend(self.tokenizer.encode(before)?);
            let (index, after) = after.split_once(LITERAL_END).unwrap_or((after, ""));
            if let Some(literal) = index.parse().ok().and_then(|i: usize| literals.get(i)) {
                compact.extend(self.tokenizer.encode_literal(literal)?);
            }
            rest = after;
        }
        compact.extend(self.tokenizer.encode(rest)?);
        Ok(compact)
    }

    /// Puts a mark in the place of every text that names a control token.
    fn without_control_tokens<'m>(
        &self,
        messages: &'m [Message],
    ) -> (Cow<'m, [Message]>, Vec<String>) {
        let literal: Vec<Vec<bool>> =
            messages.iter().map(|message| self.literal_parts(message)).collect();
        if !literal.iter().flatten().any(|&is_literal| is_literal) {
            return (Cow::Borrowed(messages), Vec::new());
        }
        let mut messages = messages.to_vec();
        let mut literals = Vec::new();
        let parts = messages.iter_mut().flat_map(|message| &mut message.content);
        for (part, is_literal) in parts.zip(literal.into_iter().flatten()) {
            if let Part::Text { text } = part
                && is_literal
            {
                let mark = format!("{LITERAL_START}{}{LITERAL_END}", literals.len());
                literals.push(std::mem::replace(text, mark));
            }
        }
        (Cow::Owned(messages), literals)
    }

    /// Tells which parts of a message have to be encoded on their own: those that name a control
    /// token, alone or with their neighbours, since nothing will stand between them.
    ///
    /// What whoever runs the model writes, and what the model wrote itself, may have the tags of tool
    /// calls in it, as transformers has it; what comes from users and screens may not.
    fn literal_parts(&self, message: &Message) -> Vec<bool> {
        let names = match message.role {
            Role::System | Role::Assistant => self.tokenizer.special_tokens(),
            Role::User | Role::Tool => self.tokenizer.control_tokens(),
        };
        let mut literal = vec![false; message.content.len()];
        let (mut run, mut starts) = (String::new(), Vec::new());
        for (index, part) in message.content.iter().enumerate() {
            if let Part::Text { text } = part {
                starts.push((run.len(), index));
                run.push_str(text);
                literal[index] = text.contains([LITERAL_START, LITERAL_END]);
            }
            let is_last = index + 1 == message.content.len();
            if is_last || !matches!(part, Part::Text { .. }) {
                for name in names {
                    for (at, _) in run.match_indices(name.as_str()) {
                        let end = at + name.len();
                        let ends = starts.iter().skip(1).map(|&(start, _)| start);
                        let ends = ends.chain([run.len()]);
                        for (&(start, index), stop) in starts.iter().zip(ends) {
                            literal[index] |= start < end && at < stop;
                        }
                    }
                }
                run.clear();
                starts.clear();
            }
        }
        literal
    }
}

/// An image of a request, by index.
fn image_input(request: &Request, index: usize) -> Result<&ImageInput, ModelError> {
    let count = request.images.len();
    request.images.get(index).ok_or(ModelError::UnknownImage { index, count })
}

/// A video of a request, by index.
fn video_input(request: &Request, index: usize) -> Result<&VideoInput, ModelError> {
    let count = request.videos.len();
    request.videos.get(index).ok_or(ModelError::UnknownVideo { index, count })
}

/// Returns the size of a video's frames, if it is a video.
fn check_video(video: &VideoInput) -> Result<(u32, u32), ModelError> {
    let refuse = |problem| Err(ModelError::Video { frames: video.frames.len(), problem });
    let Some(first) = video.frames.first() else { return refuse("it has no frames") };
    if video.frames.len() > MAX_FRAMES {
        return refuse("it has more than 768 frames");
    }
    if video.frames.iter().any(|frame| frame.dimensions() != first.dimensions()) {
        return refuse("its frames differ in size");
    }
    if !(0.001..=1000.0).contains(&video.fps) {
        return refuse("its frames per second are not between 0.001 and 1000");
    }
    Ok(first.dimensions())
}

/// The most frames of a video; it bounds memory before anything is resized.
const MAX_FRAMES: usize = 768;

/// Marks around the number of a text that is encoded on its own; private-use characters, and a text
/// that holds one is itself marked.
const LITERAL_START: char = '\u{F8FE}';
const LITERAL_END: char = '\u{F8FF}';

/// Names pictures by their pixels, sizes and, for a video, times.
fn content_hash(frames: &[RgbImage], fps: f64) -> ContentHash {
    let mut hasher = Sha256::new();
    hasher.update(fps.to_le_bytes());
    hasher.update(frames.len().to_le_bytes());
    for frame in frames {
        hasher.update(frame.width().to_le_bytes());
        hasher.update(frame.height().to_le_bytes());
        hasher.update(frame.as_raw());
    }
    let digest = hasher.finalize();
    let (first, _) = digest.split_at(16);
    first.iter().fold(0, |hash, &byte| hash << 8 | ContentHash::from(byte))
}

#[cfg(test)]
mod tests;
