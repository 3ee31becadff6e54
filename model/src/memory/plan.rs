//! What a checkpoint will take in memory, added up before anything is read.

use crate::batch::PREFILL_CHUNK;
use crate::device_map::DeviceKind;
use crate::placement::Placement;
use crate::qwen2_5_vl::config::{Config, TextConfig, VisionConfig};
use crate::weights::TensorSource;
use crate::weights::form::Forms;

/// What a checkpoint takes in memory: its weights, and what each request needs beside them.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct MemoryPlan {
    /// Bytes of weights on each device, in the order they are filled.
    pub weights: Vec<DeviceBytes>,
    /// Bytes that reading the weights takes beside them, for a moment.
    pub loading_bytes: u64,
    /// Bytes of keys and values for each token of a prompt and its answer.
    pub kv_bytes_per_token: u64,
    #[serde(skip)]
    sizes: Sizes,
}

/// Bytes on a device.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct DeviceBytes {
    /// The device's name.
    pub device: String,
    /// How many.
    pub bytes: u64,
}

/// The sizes of the model that a pass depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Sizes {
    /// Numbers for each patch of an image while it is encoded.
    per_patch: u64,
    /// Numbers for each token that goes through the decoder at once.
    per_token: u64,
    vocab_size: u64,
}

impl MemoryPlan {
    /// Adds up what is in the table of tensors.
    pub(crate) fn new(
        config: &Config,
        source: &dyn TensorSource,
        forms: Forms,
        placement: &Placement,
    ) -> Self {
        let devices = placement.devices();
        let weights = devices
            .map(|(open, bytes)| DeviceBytes { device: open.kind.to_string(), bytes })
            .collect();
        let loading = source.tensors().iter().map(|(name, info)| {
            let form = forms.on(placement.of(name).kind);
            form.loading_bytes(name, info) + source.unpacking_bytes(name)
        });
        let loading_bytes = loading.max().unwrap_or(0);
        let text = &config.text;
        let width = (2 * text.num_key_value_heads * text.head_dim()) as u64;
        let layers = (0..text.num_hidden_layers).map(|layer| {
            let name = format!("model.layers.{layer}.");
            width * forms.on(placement.of(&name).kind).compute(&name).size_in_bytes() as u64
        });
        let kv_bytes_per_token = layers.sum();
        Self { weights, loading_bytes, kv_bytes_per_token, sizes: Sizes::of(config) }
    }

    /// Returns the bytes of weights on all devices.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(|weights| weights.bytes).sum()
    }

    /// Returns the bytes of weights on the processor's own memory.
    pub fn cpu_weight_bytes(&self) -> u64 {
        let cpu = [DeviceKind::Cpu, DeviceKind::Pretended].map(|kind| kind.to_string());
        let on_cpu = self.weights.iter().filter(|weights| cpu.contains(&weights.device));
        on_cpu.map(|weights| weights.bytes).sum()
    }

    /// Returns about how many bytes a request takes while it runs: keys and values for `kv_tokens`,
    /// and what a pass of `prompt_tokens` computes, or, if that is more, encoding an image of
    /// `patches`.
    pub fn request_bytes(&self, kv_tokens: usize, prompt_tokens: usize, patches: usize) -> u64 {
        let Sizes { per_patch, per_token, vocab_size } = self.sizes;
        let chunk = prompt_tokens.min(PREFILL_CHUNK) as u64;
        let text = chunk.saturating_mul(per_token).saturating_add(4 * vocab_size);
        let vision = (patches as u64).saturating_mul(per_patch);
        let kept = (kv_tokens as u64).saturating_mul(self.kv_bytes_per_token);
        kept.saturating_add(4 * text.max(vision))
    }
}

impl Sizes {
    fn of(config: &Config) -> Self {
        let Config { vision, text, .. } = config;
        let VisionConfig { hidden_size, intermediate_size, .. } = *vision;
        // The residual twice and normed; queries, keys and values as they come; queries and keys by
        // heads; the attention; a little more for what is between; the MLP's inside. The pixels are
        // gone by then; of an image the windows are kept as well.
        let per_patch = 11 * hidden_size + intermediate_size;
        let TextConfig { hidden_size, intermediate_size, .. } = *text;
        let per_token = 10 * hidden_size + 2 * intermediate_size;
        Self {
            per_patch: per_patch as u64,
            per_token: per_token as u64,
            vocab_size: text.vocab_size as u64,
        }
    }
}
