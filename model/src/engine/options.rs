//! How a checkpoint is loaded and run: where, in which types, with how much memory.

use std::path::PathBuf;

use crate::device_map::DeviceMap;
use crate::weights::{Quantization, WeightDtype};

/// How a checkpoint is loaded and run.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineOptions {
    /// Where the weights live.
    pub devices: DeviceMap,
    /// The most memory this process may take on the CPU, in bytes; by default what is free. A
    /// checkpoint or a request that needs more is refused before it takes any.
    pub memory: Option<u64>,
    /// The vision tower's file of a language model in GGUF, if it is not the one beside it.
    pub mmproj: Option<PathBuf>,
    /// What dense weights are kept in; as they are stored if nothing is said, but that on the CPU
    /// small checkpoints are kept in f32.
    pub dtype: Option<WeightDtype>,
    /// What dense matrices are quantised to as they are loaded, if anything.
    pub quantize: Option<Quantization>,
    /// Whether all arithmetic on the CPU is in f32. Otherwise activations are rounded to 8 bits where
    /// weights are quantised, and in the vision tower of a quantised model, which is several times as
    /// fast.
    pub exact: bool,
    /// The most tokens of a prompt and its answer, if fewer or more than the model's own limit; at
    /// most its `max_position_embeddings`.
    pub max_context: Option<usize>,
    /// Memory for the keys and values of earlier prompts, in bytes; 0 remembers none.
    pub prefix_cache_bytes: usize,
    /// Memory for the features of earlier images, and for their windows, in bytes, half each; 0
    /// remembers none.
    pub vision_cache_bytes: usize,
    /// A folder that keeps the keys and values of system turns for the next process, if any does.
    pub prefix_dir: Option<PathBuf>,
    /// Whether the next tokens of an answer are guessed from earlier ones and checked several in one
    /// pass, where all of the decoder is on the CPU. Answers are the same either way.
    pub speculate: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            devices: DeviceMap::default(),
            memory: None,
            mmproj: None,
            dtype: None,
            quantize: None,
            exact: false,
            max_context: None,
            prefix_cache_bytes: 512 << 20,
            vision_cache_bytes: 256 << 20,
            prefix_dir: None,
            speculate: true,
        }
    }
}

impl EngineOptions {
    /// Names what the numbers depend on beside the weights.
    pub(super) fn fingerprint(&self) -> String {
        let defaults = Self::default();
        let numbers = Self {
            memory: None,
            max_context: None,
            prefix_cache_bytes: defaults.prefix_cache_bytes,
            vision_cache_bytes: defaults.vision_cache_bytes,
            prefix_dir: None,
            speculate: defaults.speculate,
            ..self.clone()
        };
        format!("{} {numbers:?}", env!("CARGO_PKG_VERSION"))
    }
}
