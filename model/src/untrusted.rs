//! The readers of what comes from outside, each as a function of bytes: for fuzzing and for tests.
//!
//! Each takes what a file or a server could hold, does with it all that is done before a tensor is
//! computed, and returns how it went. None of them may panic, take long, or take memory out of
//! proportion to what it is given.

use std::io::Cursor;

use crate::checkpoint;
use crate::constraint::{Constraint, ConstraintCompiler};
use crate::error::ModelError;
pub use crate::gguf::{GgufSummary, parse_gguf};
use crate::media::MediaError;
use crate::media::video::VideoOptions;
use crate::processor::Processor;
use crate::qwen2_5_vl::config::Config;
use crate::request::{CancelFlag, VideoInput};
use crate::tokenizer::Tokenizer;
use crate::weights::{AwqConfig, Safetensors, TensorSource};

/// Opens a safetensors file from memory, reads every tensor of it and returns how many there are.
///
/// # Errors
///
/// [`ModelError::Weights`] for bytes that are not such a file.
pub fn safetensors(bytes: &[u8]) -> Result<usize, ModelError> {
    let file = Safetensors::from_bytes(bytes.to_vec().into())?;
    let names: Vec<&String> = file.tensors().keys().collect();
    for name in &names {
        file.read(name)?.into_f32()?;
    }
    Ok(names.len())
}

/// Reads the text of any of a checkpoint's small JSON files as each of them.
///
/// # Errors
///
/// What the reader of `config.json` says; the other readers' errors are as good.
pub fn configs(json: &str) -> Result<Config, ModelError> {
    let _ = Processor::from_json(json);
    let _ = AwqConfig::of(json);
    let _ = checkpoint::template_in("chat_template.json", json);
    let config = Config::from_json(json)?;
    // What is made of the numbers before a tensor is.
    let (text, vision) = (&config.text, &config.vision);
    let _ = (text.context_limit(), text.head_dim());
    let _ = (vision.head_dim(), vision.window_side(), vision.patch_len());
    let _ = text.yarn.map(|yarn| yarn.attention_factor());
    Ok(config)
}

/// Builds a tokenizer with everything that is made of one, encodes and decodes `text` with it, and
/// returns how many tokens the vocabulary has. The bytes are those of `tokenizer.json`, or of
/// `vocab.json`, `merges.txt` and `tokenizer_config.json` with a zero byte between them.
///
/// # Errors
///
/// [`ModelError::Tokenizer`] and others, naming the file.
pub fn tokenizer(bytes: &[u8], text: &str) -> Result<usize, ModelError> {
    let parts: Vec<_> = bytes.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
    let tokenizer = match &parts[..] {
        [vocab, merges, config, ..] => {
            Tokenizer::from_vocab_and_merges(vocab, merges, Some(config))?
        }
        [vocab, merges] => Tokenizer::from_vocab_and_merges(vocab, merges, None)?,
        _ => Tokenizer::from_json(bytes)?,
    };
    let len = tokenizer.len();
    let ids = tokenizer.encode(text)?;
    tokenizer.encode_literal(text)?;
    tokenizer.decode(&ids)?;
    for &id in &ids {
        let _ = tokenizer.token_bytes(id);
    }
    ConstraintCompiler::new(&tokenizer, len, &[])?;
    Ok(len)
}

/// Reads an animated GIF from memory.
///
/// # Errors
///
/// [`MediaError`], as for a file.
pub fn gif(bytes: &[u8], options: &VideoOptions) -> Result<VideoInput, MediaError> {
    crate::media::video::gif_from(
        "(memory)",
        &|| Ok(Cursor::new(bytes)),
        options,
        &CancelFlag::default(),
    )
}

/// Reads what a hub says is in a repository, and returns how many files that are.
///
/// # Errors
///
/// What is wrong with it.
#[cfg(feature = "hub")]
pub fn hub_listing(bytes: &[u8]) -> Result<usize, String> {
    crate::hub::count_listed(bytes)
}

/// Constraints over the embedded checkpoint's vocabulary.
pub struct Grammars {
    compiler: ConstraintCompiler,
    vocab_size: usize,
}

impl Grammars {
    /// Takes the vocabulary.
    ///
    /// # Errors
    ///
    /// None, as long as the embedded tokenizer is one.
    pub fn new() -> Result<Self, ModelError> {
        let tokenizer = Tokenizer::from_json(checkpoint::EMBEDDED_TOKENIZER)?;
        let vocab_size = tokenizer.len();
        let stop_ids: Vec<u32> = tokenizer.id("<|im_end|>").into_iter().collect();
        let compiler = ConstraintCompiler::new(&tokenizer, vocab_size, &stop_ids)?;
        Ok(Self { compiler, vocab_size })
    }

    /// Compiles a constraint, writes at most `steps` tokens that keep to it, chosen by `choose` from
    /// how many are allowed, and returns how many were written.
    ///
    /// # Errors
    ///
    /// [`ModelError::Constraint`] if it cannot be used.
    ///
    /// # Panics
    ///
    /// Panics if a token that was allowed is not taken.
    pub fn walk(
        &self,
        constraint: &Constraint,
        steps: usize,
        mut choose: impl FnMut(usize) -> usize,
    ) -> Result<usize, ModelError> {
        let mut answer = self.compiler.compile(constraint)?;
        for step in 0..steps {
            answer.forced_tokens()?;
            if answer.is_complete() {
                return Ok(step);
            }
            let mut logits = vec![0.0; self.vocab_size];
            answer.mask(&mut logits)?;
            let allowed: Vec<u32> = (0..)
                .zip(&logits)
                .filter(|(_, logit)| logit.is_finite())
                .map(|(id, _)| id)
                .collect();
            assert!(!allowed.is_empty(), "an answer that is not complete can go on");
            answer.consume(&[allowed[choose(allowed.len()) % allowed.len()]])?;
        }
        Ok(steps)
    }
}
