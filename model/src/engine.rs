//! A loaded checkpoint with everything around it: messages and images in, an answer out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use image::RgbImage;

use crate::chat::{ChatTemplate, Message, Part};
use crate::checkpoint::{Checkpoint, WeightBytes};
use crate::constraint::{Constraint, ConstraintCompiler};
use crate::error::ModelError;
use crate::generate::{
    CancelFlag, Decoder, GenerateOptions, Ids, Prompt, Stats, StopReason, TokenInfo,
};
use crate::processor::{ProcessedImage, Processor};
use crate::qwen2_5_vl::Qwen25Vl;
use crate::qwen2_5_vl::rope::positions;
use crate::qwen2_5_vl::vision::Grid;
use crate::tokenizer::Tokenizer;
use crate::weights::Loader;

/// Where the tensors live.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceKind {
    /// The processor, in f32.
    Cpu,
    /// An NVIDIA GPU by number; needs the cargo feature `cuda`.
    Cuda(usize),
    /// An Apple GPU by number; needs the cargo feature `metal`.
    Metal(usize),
}

/// What a checkpoint is.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct CheckpointInfo {
    /// `embedded`, or the name of the folder.
    pub name: String,
    /// Parameters stored in the weights.
    pub parameters: u64,
    /// Bytes that the weights take as they are stored.
    pub stored_bytes: u64,
    /// The prompt the checkpoint was trained on, if its config names one.
    pub prompt_profile: Option<String>,
    /// The most positions the model was made for.
    pub max_position_embeddings: usize,
}

/// A question to the model.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The conversation so far; the answer is the assistant's next turn.
    pub messages: &'a [Message],
    /// The images the messages refer to by index.
    pub images: &'a [RgbImage],
    /// The forced start of the answer, if any; it is part of the completion's text.
    pub prefix: Option<&'a str>,
    /// What the answer must look like, if anything.
    pub constraint: Option<&'a Constraint>,
    /// How the answer is generated.
    pub options: GenerateOptions,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// All of it, the forced prefix included.
    pub text: String,
    /// The generated tokens, without the prefix.
    pub tokens: Vec<TokenInfo>,
    /// Why it ended.
    pub stop: StopReason,
    /// What it cost.
    pub stats: Stats,
}

/// A model with its tokenizer, processor and chat template.
pub struct Engine {
    info: CheckpointInfo,
    processor: Processor,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    stop_ids: Vec<u32>,
    model: Qwen25Vl,
    weight_bytes: WeightBytes,
    weights_hash: OnceLock<String>,
    /// Made when the first constraint comes: it costs a pass over the vocabulary.
    compiler: OnceLock<ConstraintCompiler>,
}

impl Engine {
    /// Loads the small checkpoint inside the binary, on the CPU.
    ///
    /// # Errors
    ///
    /// [`ModelError`]; only damage to the binary can cause one.
    pub fn embedded() -> Result<Self, ModelError> {
        let (checkpoint, bytes) = Checkpoint::embedded()?;
        Self::new(checkpoint, bytes, DeviceKind::Cpu)
    }

    /// Loads a Hugging Face checkpoint folder.
    ///
    /// # Errors
    ///
    /// [`ModelError`], naming the file, tensor or value that cannot be used.
    pub fn load(dir: &Path, device: DeviceKind) -> Result<Self, ModelError> {
        let (checkpoint, bytes) = Checkpoint::open(dir)?;
        Self::new(checkpoint, bytes, device)
    }

    fn new(
        checkpoint: Checkpoint,
        weight_bytes: WeightBytes,
        device: DeviceKind,
    ) -> Result<Self, ModelError> {
        let Checkpoint { name, config, processor, tokenizer, template, stop_ids, weights } =
            checkpoint;
        let info = CheckpointInfo {
            name,
            parameters: weights.parameters(),
            stored_bytes: weights.stored_bytes(),
            prompt_profile: config.prompt_profile.clone(),
            max_position_embeddings: config.text.max_position_embeddings,
        };
        let model = Qwen25Vl::new(&config, &Loader::new(&*weights, open_device(device)?))?;
        Ok(Self {
            info,
            processor,
            tokenizer,
            template,
            stop_ids,
            model,
            weight_bytes,
            weights_hash: OnceLock::new(),
            compiler: OnceLock::new(),
        })
    }

    /// Returns what the checkpoint is.
    pub fn info(&self) -> &CheckpointInfo {
        &self.info
    }

    /// Returns the SHA-256 of the weights in hexadecimal; read from disk the first time.
    ///
    /// # Errors
    ///
    /// [`ModelError::Read`] if a weights file is gone.
    pub fn weights_hash(&self) -> Result<&str, ModelError> {
        if let Some(hash) = self.weights_hash.get() {
            return Ok(hash);
        }
        let hash = self.weight_bytes.sha256()?;
        Ok(self.weights_hash.get_or_init(|| hash))
    }

    /// Returns the size, (width, height), in whose pixels the model speaks of an image.
    ///
    /// # Errors
    ///
    /// [`ModelError::Image`] if such an image cannot be processed.
    pub fn resized_size(&self, width: u32, height: u32) -> Result<(u32, u32), ModelError> {
        self.processor.resized_size(width, height)
    }

    /// Returns the image processor.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// Returns the image processor, to change its pixel limits.
    pub fn processor_mut(&mut self) -> &mut Processor {
        &mut self.processor
    }

    /// Returns the tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the chat template.
    pub fn template(&self) -> &ChatTemplate {
        &self.template
    }

    /// Returns the model itself.
    pub fn model(&self) -> &Qwen25Vl {
        &self.model
    }

    /// Answers a request. `on_token` sees every token as it is generated, its text being the part
    /// of the answer that became whole with it.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the prompt does not fit, an image cannot be used, or the constraint is not
    /// a grammar.
    pub fn generate(
        &self,
        request: &Request<'_>,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, ModelError> {
        let mut stats = Stats::default();
        let order = image_order(request)?;

        let start = Instant::now();
        let images: HashMap<usize, ProcessedImage> = order
            .iter()
            .map(|&index| Ok((index, self.processor.process(&request.images[index])?)))
            .collect::<Result<_, ModelError>>()?;
        let images: Vec<&ProcessedImage> = order.iter().map(|index| &images[index]).collect();
        stats.preprocess = start.elapsed();

        let grids: Vec<Grid> = images.iter().map(|image| image.grid).collect();
        let prefix_ids = self.tokenizer.encode(request.prefix.unwrap_or_default())?;
        let mut token_ids = self.prompt_ids(request.messages, &grids)?;
        token_ids.extend(&prefix_ids);
        let places = positions(&token_ids, self.model.config().image_token_id, &grids, 0)?;
        self.check_length(&token_ids, request.options.max_new_tokens)?;
        stats.prompt_tokens = token_ids.len();
        stats.image_tokens = grids.iter().map(Grid::merged_len).sum();
        let mut constraint = match request.constraint {
            Some(constraint) => Some(self.compiler()?.compile(constraint)?),
            None => None,
        };
        if let Some(constraint) = &mut constraint {
            constraint.consume(&prefix_ids)?;
        }

        let start = Instant::now();
        let features = self.features(&images, &grids)?;
        stats.vision = start.elapsed();
        let prompt = Prompt {
            embeddings: self.model.embed(&token_ids, features.as_ref())?,
            token_ids,
            position_ids: places.ids,
            next_position: places.next,
        };

        let config = self.model.config();
        let never = [config.image_token_id, config.video_token_id];
        let ids = Ids { stop: &self.stop_ids, never: &never, vocab_len: self.tokenizer.len() };
        let mut stream = self.tokenizer.decode_stream();
        let mut show = |id, logprob, forced| {
            on_token(&TokenInfo { id, text: stream(id)?, logprob, forced });
            Ok(())
        };
        let options = &request.options;
        let decoder = Decoder { model: &self.model, options, ids, cancel };
        let generated = decoder.generate(&prompt, constraint, &mut show)?;
        stats.prefill = generated.prefill;
        stats.decode = generated.decode;
        stats.forward_passes = generated.forward_passes;
        stats.completion_tokens = generated.tokens.len();
        stats.forced_tokens = generated.tokens.iter().filter(|&&(.., forced)| forced).count();
        let all: Vec<u32> = generated.tokens.iter().map(|&(id, ..)| id).collect();
        let text =
            format!("{}{}", request.prefix.unwrap_or_default(), self.tokenizer.decode(&all)?);
        let tokens = generated
            .tokens
            .into_iter()
            .map(|(id, logprob, forced)| {
                Ok(TokenInfo { id, text: self.tokenizer.decode(&[id])?, logprob, forced })
            })
            .collect::<Result<_, ModelError>>()?;
        Ok(Completion { text, tokens, stop: generated.stop, stats })
    }

    /// Returns the token ids of a prompt, an image being one placeholder per merged patch.
    ///
    /// Text that names control tokens stays text: a screen or a goal cannot end its turn.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the template refuses the messages.
    pub fn prompt_ids(&self, messages: &[Message], grids: &[Grid]) -> Result<Vec<u32>, ModelError> {
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

        let image_token_id = self.model.config().image_token_id;
        let mut token_ids = Vec::with_capacity(compact.len());
        let mut grids = grids.iter();
        for id in compact {
            let is_image = id == image_token_id;
            let repeat = if is_image { grids.next().map_or(1, Grid::merged_len) } else { 1 };
            token_ids.extend(std::iter::repeat_n(id, repeat));
        }
        Ok(token_ids)
    }

    /// Puts a mark in the place of every text that names a control token.
    fn without_control_tokens<'m>(
        &self,
        messages: &'m [Message],
    ) -> (Cow<'m, [Message]>, Vec<String>) {
        let is_literal = |text: &str| {
            self.tokenizer.names_control_token(text) || text.contains([LITERAL_START, LITERAL_END])
        };
        let texts = messages.iter().flat_map(|message| &message.content);
        if !texts.into_iter().any(|part| matches!(part, Part::Text { text } if is_literal(text))) {
            return (Cow::Borrowed(messages), Vec::new());
        }
        let mut messages = messages.to_vec();
        let mut literals = Vec::new();
        for part in messages.iter_mut().flat_map(|message| &mut message.content) {
            if let Part::Text { text } = part
                && is_literal(text)
            {
                let mark = format!("{LITERAL_START}{}{LITERAL_END}", literals.len());
                literals.push(std::mem::replace(text, mark));
            }
        }
        (Cow::Owned(messages), literals)
    }

    fn check_length(&self, token_ids: &[u32], max_new_tokens: usize) -> Result<(), ModelError> {
        let limit = self.info.max_position_embeddings;
        let tokens = token_ids.len();
        if tokens + max_new_tokens > limit {
            return Err(ModelError::PromptTooLong { tokens, max_new_tokens, limit });
        }
        Ok(())
    }

    fn features(
        &self,
        images: &[&ProcessedImage],
        grids: &[Grid],
    ) -> Result<Option<Tensor>, ModelError> {
        if images.is_empty() {
            return Ok(None);
        }
        let patch_len = self.model.config().vision.patch_len();
        let rows: usize = grids.iter().map(Grid::patch_len).sum();
        let values = images.iter().flat_map(|image| image.pixel_values.iter().copied()).collect();
        let pixel_values: Tensor =
            Tensor::from_vec::<_, f32>(values, (rows, patch_len), self.model.device())?;
        Ok(Some(self.model.image_features(&pixel_values, grids)?))
    }

    fn compiler(&self) -> Result<&ConstraintCompiler, ModelError> {
        if let Some(compiler) = self.compiler.get() {
            return Ok(compiler);
        }
        let vocab_size = self.model.config().text.vocab_size;
        let compiler = ConstraintCompiler::new(&self.tokenizer, vocab_size, &self.stop_ids)?;
        Ok(self.compiler.get_or_init(|| compiler))
    }

    /// Returns how long it takes to compute the mask of the first token under `constraint`; for
    /// benches.
    ///
    /// # Errors
    ///
    /// [`ModelError::Constraint`] if it is not a grammar.
    #[doc(hidden)]
    pub fn time_first_mask(&self, constraint: &Constraint) -> Result<Duration, ModelError> {
        let mut constraint = self.compiler()?.compile(constraint)?;
        let mut logits = vec![0.0; self.model.config().text.vocab_size];
        let start = Instant::now();
        constraint.mask(&mut logits)?;
        Ok(start.elapsed())
    }
}

/// Marks around the number of a text that is encoded on its own; private-use characters, and a text
/// that holds one is itself marked.
const LITERAL_START: char = '\u{F8FE}';
const LITERAL_END: char = '\u{F8FF}';

/// The indices of the images in the order the messages show them.
fn image_order(request: &Request<'_>) -> Result<Vec<usize>, ModelError> {
    let count = request.images.len();
    let parts = request.messages.iter().flat_map(|message| &message.content);
    parts
        .filter_map(|part| match part {
            Part::Image { image } if *image < count => Some(Ok(*image)),
            Part::Image { image } => Some(Err(ModelError::UnknownImage { index: *image, count })),
            Part::Text { .. } => None,
        })
        .collect()
}

fn open_device(device: DeviceKind) -> Result<Device, ModelError> {
    let (name, opened) = match device {
        DeviceKind::Cpu => return Ok(Device::Cpu),
        DeviceKind::Cuda(index) => (format!("cuda:{index}"), Device::new_cuda(index)),
        DeviceKind::Metal(index) => (format!("metal:{index}"), Device::new_metal(index)),
    };
    opened.map_err(|source| ModelError::Device { device: name, source })
}
