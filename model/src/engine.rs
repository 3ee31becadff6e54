//! A loaded checkpoint with everything around it: messages and images in, an answer out.

mod logits;
mod options;
mod pictures;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::batch;
use crate::chat::{ChatTemplate, Message};
use crate::checkpoint::{Checkpoint, WeightBytes};
use crate::constraint::{Constraint, ConstraintCompiler};
use crate::draft::{Drafter, RecentAnswers};
use crate::error::ModelError;
use crate::kernels::Scratch;
use crate::kv_cache::KvCache;
use crate::memory::{MemoryPlan, available_memory, resident_memory};
use crate::placement::Placement;
use crate::prefix_cache::PrefixCache;
use crate::prefix_store::PrefixStore;
use crate::processor::Processor;
use crate::prompt::{Prompt, PromptBuilder};
use crate::qwen2_5_vl::Qwen25Vl;
use crate::qwen2_5_vl::config::Config;
use crate::qwen2_5_vl::rope::Media;
use crate::request::{CancelFlag, Completion, Request, Stats, TokenInfo};
use crate::sampler::Sampler;
use crate::sequence::{self, Choice, Sequence};
use crate::tokenizer::Tokenizer;
use crate::vision_cache::VisionCache;
use crate::weights::form::Forms;
use crate::weights::{LoadOptions, Loader, TensorSource};
pub use options::EngineOptions;

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

/// How often earlier work was used again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheCounts {
    /// Prompts that began like an earlier one.
    pub prefix_hits: u64,
    /// Prompts that did not.
    pub prefix_misses: u64,
    /// Images that had been encoded before.
    pub vision_hits: u64,
    /// Images that had not.
    pub vision_misses: u64,
    /// Windows of such images that were as in an earlier one.
    pub window_hits: u64,
    /// Windows of such images that were not.
    pub window_misses: u64,
}

/// A model with its tokenizer, processor and chat template.
///
/// It can be shared between threads; [`crate::Scheduler`] runs many requests on it at once.
pub struct Engine {
    info: CheckpointInfo,
    processor: Processor,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    stop_ids: Vec<u32>,
    model: Qwen25Vl,
    context_limit: usize,
    memory_plan: MemoryPlan,
    /// The most memory the process may take, if that was said.
    memory: Option<u64>,
    weight_bytes: WeightBytes,
    weights_hash: OnceLock<String>,
    /// Made when the first constraint comes: it costs a pass over the vocabulary.
    compiler: OnceLock<ConstraintCompiler>,
    prefixes: Mutex<PrefixCache>,
    images: Mutex<VisionCache>,
    store: Option<PrefixStore>,
    /// Whether next tokens are guessed.
    speculates: bool,
    answers: Mutex<RecentAnswers>,
}

/// Changes the logits after a sequence's last token, and after each guess.
type ChangeLogits<'a> = dyn FnMut(&Sequence<'_>, &mut [Vec<f32>]) -> Result<(), ModelError> + 'a;

impl Engine {
    /// Loads the small checkpoint inside the binary, on the CPU.
    ///
    /// # Errors
    ///
    /// [`ModelError`]; only damage to the binary can cause one.
    pub fn embedded() -> Result<Self, ModelError> {
        let (checkpoint, bytes) = Checkpoint::embedded()?;
        Self::new(checkpoint, bytes, &EngineOptions::default())
    }

    /// Loads a Hugging Face checkpoint folder, or the `.gguf` file of a language model with the
    /// vision tower (`mmproj`) beside it.
    ///
    /// # Errors
    ///
    /// [`ModelError`], naming the file, tensor or value that cannot be used.
    pub fn load(path: &Path, options: &EngineOptions) -> Result<Self, ModelError> {
        let (checkpoint, bytes) = Checkpoint::open(path, options.mmproj.as_deref())?;
        Self::new(checkpoint, bytes, options)
    }

    fn new(
        checkpoint: Checkpoint,
        weight_bytes: WeightBytes,
        options: &EngineOptions,
    ) -> Result<Self, ModelError> {
        let Checkpoint { name, config, processor, tokenizer, template, stop_ids, weights } =
            checkpoint;
        let max_position_embeddings = config.text.max_position_embeddings;
        let context_limit = match options.max_context {
            None => config.text.context_limit(),
            Some(limit) => limit.min(max_position_embeddings.max(config.text.context_limit())),
        };
        let store = match &options.prefix_dir {
            None => None,
            Some(dir) => {
                let fingerprint = weight_bytes.fingerprint()? + &options.fingerprint();
                Some(PrefixStore::new(dir.clone(), fingerprint))
            }
        };
        let info = CheckpointInfo {
            name,
            parameters: weights.parameters(),
            stored_bytes: weights.stored_bytes(),
            prompt_profile: config.prompt_profile.clone(),
            max_position_embeddings,
        };
        let (forms, placement, memory_plan) = plan(&config, &*weights, options)?;
        let model = Qwen25Vl::new(&config, &Loader::new(&*weights, forms, &placement))?;
        // Elsewhere the sums of one row may be taken in another order when there are more.
        let mut layers = 0..config.text.num_hidden_layers;
        let on_cpu = layers.all(|layer| model.layer_place(layer).device.is_cpu());
        let speculates = options.speculate && on_cpu;
        Ok(Self {
            info,
            processor,
            tokenizer,
            template,
            stop_ids,
            model,
            context_limit,
            memory_plan,
            memory: options.memory,
            weight_bytes,
            weights_hash: OnceLock::new(),
            compiler: OnceLock::new(),
            prefixes: Mutex::new(PrefixCache::new(options.prefix_cache_bytes)),
            images: Mutex::new(VisionCache::new(options.vision_cache_bytes)),
            store,
            speculates,
            answers: Mutex::default(),
        })
    }

    /// Returns what [`load`](Self::load) would take in memory, from the headers of the files.
    ///
    /// # Errors
    ///
    /// As `load`.
    pub fn memory_plan_of(path: &Path, options: &EngineOptions) -> Result<MemoryPlan, ModelError> {
        let (checkpoint, _) = Checkpoint::open(path, options.mmproj.as_deref())?;
        let (_, _, memory_plan) = plan(&checkpoint.config, &*checkpoint.weights, options)?;
        Ok(memory_plan)
    }

    /// Returns what the checkpoint and its requests take in memory.
    pub fn memory_plan(&self) -> &MemoryPlan {
        &self.memory_plan
    }

    /// Returns the bytes that requests may still take on the CPU.
    pub fn free_memory(&self) -> u64 {
        let taken = resident_memory().unwrap_or(self.memory_plan.cpu_weight_bytes());
        let allowed = self.memory.map_or(u64::MAX, |memory| memory.saturating_sub(taken));
        allowed.min(available_memory())
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

    /// Returns the most tokens of a prompt and its answer together.
    pub fn context_limit(&self) -> usize {
        self.context_limit
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

    /// Returns how often earlier work was used again since the checkpoint was loaded.
    pub fn cache_counts(&self) -> CacheCounts {
        let (prefix_hits, prefix_misses) = lock(&self.prefixes).counts();
        let images = lock(&self.images);
        let (vision_hits, vision_misses) = images.features.counts();
        let (window_hits, window_misses) = images.window_counts;
        CacheCounts {
            prefix_hits,
            prefix_misses,
            vision_hits,
            vision_misses,
            window_hits,
            window_misses,
        }
    }

    /// Forgets all earlier prompts and pictures; what is on disk stays.
    pub fn forget(&self) {
        lock(&self.prefixes).clear();
        lock(&self.answers).clear();
        lock(&self.images).clear();
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
        request: &Request,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, ModelError> {
        self.complete(self.start(request, cancel, usize::MAX)?, on_token)
    }

    /// Runs a sequence to its end.
    pub(crate) fn complete(
        &self,
        sequence: Sequence<'_>,
        on_token: &mut dyn FnMut(&TokenInfo),
    ) -> Result<Completion, ModelError> {
        self.complete_with(sequence, &mut |_, _| Ok(()), on_token)
    }

    /// As [`complete`](Self::complete), with logits that `change` may have changed before a token is chosen.
    pub(crate) fn complete_with(
        &self,
        mut sequence: Sequence<'_>,
        change: &mut ChangeLogits<'_>,
        on_token: &mut dyn FnMut(&TokenInfo),
    ) -> Result<Completion, ModelError> {
        loop {
            sequence.check_over();
            if sequence.stop().is_some() {
                break;
            }
            if let [Some(logits)] = batch::pass(&self.model, &mut [&mut sequence])?.as_mut_slice() {
                change(&sequence, logits)?;
                sequence.advance(std::mem::take(logits), on_token)?;
            }
        }
        Ok(self.finish(sequence))
    }

    /// Reads a request: everything up to the decoder.
    ///
    /// Prompt and answer may have at most `max_tokens`, and no more than the model's own limit. What
    /// is refused is refused before a picture is touched.
    pub(crate) fn start(
        &self,
        request: &Request,
        cancel: &CancelFlag,
        max_tokens: usize,
    ) -> Result<Sequence<'_>, ModelError> {
        let max_new_tokens = request.options.max_new_tokens;
        request.options.check()?;
        let builder = self.prompt_builder();
        let outline = builder.outline(request)?;
        let limit = self.context_limit.min(max_tokens);
        let tokens = outline.len();
        if tokens.saturating_add(max_new_tokens) > limit {
            return Err(ModelError::PromptTooLong { tokens, max_new_tokens, limit });
        }
        let patches = outline.largest_picture();
        let capacity = sequence::capacity(tokens, max_new_tokens);
        self.make_room(self.memory_plan.request_bytes(capacity, tokens, patches))?;
        let mut constraint = match &request.constraint {
            Some(constraint) => Some(self.compiler()?.compile(constraint)?),
            None => None,
        };
        if let Some(constraint) = &mut constraint {
            let prefix = request.prefix.as_deref().unwrap_or_default();
            constraint.consume(&self.tokenizer.encode(prefix)?)?;
        }

        let start = Instant::now();
        let mut prompt = builder.build(request, &outline)?;
        let mut stats = Stats { preprocess: start.elapsed(), ..Stats::default() };
        stats.prompt_tokens = prompt.token_ids.len();
        stats.image_tokens = prompt.pictures.iter().map(|picture| picture.grid.merged_len()).sum();
        let cache = self.remembered(&prompt, max_new_tokens)?;
        stats.cached_tokens = cache.len();
        let start = Instant::now();
        self.encode_pictures(&mut prompt, cache.len(), cancel)?;
        stats.vision = start.elapsed();
        let choice = Choice { sampler: Sampler::new(&request.options), constraint };
        Ok(Sequence::new(self, request, prompt, cache, choice, stats).cancelled_by(cancel))
    }

    /// Sees that a request can take so many bytes, if need be by forgetting earlier ones.
    fn make_room(&self, needed: u64) -> Result<(), ModelError> {
        if needed <= self.free_memory() {
            return Ok(());
        }
        self.forget();
        let free = self.free_memory();
        if needed <= free { Ok(()) } else { Err(ModelError::RequestMemory { needed, free }) }
    }

    /// Ends a sequence and remembers what it has been through.
    pub(crate) fn finish(&self, sequence: Sequence<'_>) -> Completion {
        let constant = sequence.constant();
        let (completion, keys, cache) = sequence.finish();
        if let Some(store) = self.store.as_ref().filter(|_| constant <= keys.len()) {
            // A full disk costs the next process time, and this answer nothing.
            let _ = store.save(&keys[..constant], &cache);
        }
        lock(&self.prefixes).put(keys, cache);
        if self.speculates {
            lock(&self.answers).push(completion.tokens.iter().map(|token| token.id));
        }
        Scratch::release();
        completion
    }

    /// Returns a cache with the longest beginning of the prompt that is remembered, and room for the
    /// rest.
    fn remembered(&self, prompt: &Prompt, max_new_tokens: usize) -> Result<KvCache, ModelError> {
        let capacity = sequence::capacity(prompt.token_ids.len(), max_new_tokens);
        let remembered = lock(&self.prefixes).take(&prompt.keys, capacity)?;
        let mut cache = remembered.unwrap_or_else(|| self.model.new_cache());
        if let Some(store) = self.store.as_ref().filter(|_| cache.len() < prompt.constant) {
            let constant = &prompt.keys[..prompt.constant];
            let empty = self.model.new_cache();
            let place = |layer| self.model.layer_place(layer).clone();
            cache = store.load(constant, empty, capacity, place).unwrap_or(cache);
        }
        cache.reserve(capacity);
        Ok(cache)
    }

    /// Looks whether more of a sequence's prompt is remembered by now than when it was read.
    pub(crate) fn remember_more(&self, sequence: &mut Sequence<'_>) {
        let (capacity, held) = (sequence.capacity(), sequence.held());
        let more = lock(&self.prefixes).take_longer(sequence.keys(), capacity, held);
        // Without memory for a copy it runs its prompt itself.
        if let Ok(Some(mut cache)) = more {
            cache.reserve(capacity);
            sequence.resume(cache);
        }
    }

    /// Returns the token ids of a prompt, a picture being one placeholder per merged patch.
    ///
    /// Text that names control tokens stays text: a screen or a goal cannot end its turn.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the template refuses the messages.
    pub fn prompt_ids(
        &self,
        messages: &[Message],
        media: &[Media],
    ) -> Result<Vec<u32>, ModelError> {
        self.prompt_builder().token_ids(messages, media)
    }

    /// Returns the token ids of a request's prompt: its messages with tools and pictures, and the
    /// forced beginning of the answer. No picture is resized for it.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if a picture cannot be used or the template refuses the messages.
    pub fn prompt_tokens(&self, request: &Request) -> Result<Vec<u32>, ModelError> {
        let builder = self.prompt_builder();
        Ok(builder.outline(request)?.token_ids())
    }

    /// Returns how many tokens the prompt of a request has; see [`prompt_tokens`](Self::prompt_tokens).
    ///
    /// # Errors
    ///
    /// As `prompt_tokens`.
    pub fn prompt_len(&self, request: &Request) -> Result<usize, ModelError> {
        Ok(self.prompt_builder().outline(request)?.len())
    }

    fn prompt_builder(&self) -> PromptBuilder<'_> {
        PromptBuilder {
            config: self.model.config(),
            processor: &self.processor,
            tokenizer: &self.tokenizer,
            template: &self.template,
        }
    }

    /// Returns what guesses the next tokens of an answer.
    pub(crate) fn drafter(&self) -> Option<Drafter> {
        self.speculates.then(|| Drafter::new(lock(&self.answers).clone()))
    }

    /// Returns whether a token can stand in an answer: it is no placeholder, nor the end.
    pub(crate) fn can_be_said(&self, id: u32) -> bool {
        let config = self.model.config();
        ![config.image_token_id, config.video_token_id].contains(&id)
            && !self.stop_ids.contains(&id)
    }

    /// The ids any of which ends an answer.
    pub(crate) fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// Takes padding rows and placeholders out of the choice, and the end of the answer if it is not
    /// to end.
    pub(crate) fn mask_impossible(&self, logits: &mut [f32], ignore_eos: bool) {
        logits.get_mut(self.tokenizer.len()..).unwrap_or_default().fill(f32::NEG_INFINITY);
        let config = self.model.config();
        let placeholders = [config.image_token_id, config.video_token_id];
        let ends = if ignore_eos { self.stop_ids.as_slice() } else { &[] };
        for &id in placeholders.iter().chain(ends) {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
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

/// Decides where everything goes and what it takes, before a tensor is read.
fn plan(
    config: &Config,
    weights: &dyn TensorSource,
    options: &EngineOptions,
) -> Result<(Forms, Placement, MemoryPlan), ModelError> {
    let EngineOptions { dtype, quantize, exact, memory, .. } = *options;
    let forms = Forms::new(weights, LoadOptions { dtype, quantize, exact });
    let placement = Placement::new(weights, forms, options.devices.open(memory)?)?;
    let memory_plan = MemoryPlan::new(config, weights, forms, &placement);
    let (needed, free) = (
        memory_plan.cpu_weight_bytes() + memory_plan.loading_bytes,
        memory.unwrap_or_else(available_memory),
    );
    if needed > free {
        return Err(ModelError::Memory { needed, free });
    }
    Ok((forms, placement, memory_plan))
}

/// A cache behind a poisoned lock is still whole: nothing in it is left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
