//! A checkpoint as a pair of GGUF files: what metadata they have, and which tensors in which type.
//!
//! # Source
//!
//! The metadata, its order and the names: what `convert_hf_to_gguf.py` of llama.cpp (revision
//! 0c1e570) writes for this architecture. Beyond that the pixel limits are written, under the keys
//! other models of llama.cpp use, and what only we know under `handsight.`.

use serde_json::{Map, Value as Json};

use super::config::{ARCHITECTURE, OUR_CONFIG, PROJECTOR, TOKENS_PER_SECOND};
use super::tokenizer::vocabulary;
use super::value::Value;
use crate::checkpoint::Checkpoint;
use crate::error::ModelError;

/// The metadata of one file.
pub(crate) type Entries = Vec<(String, Value)>;

/// What a checkpoint folder says beyond what a [`Checkpoint`] holds.
pub(crate) struct Extras {
    /// `config.json`.
    pub(crate) config: Map<String, Json>,
    /// `generation_config.json`.
    pub(crate) generation: Map<String, Json>,
}

/// The keys every file has: what it is, `kind` being `model` or `mmproj`.
fn general(checkpoint: &Checkpoint, extras: &Extras, architecture: &str, kind: &str) -> Entries {
    let mut entries = Entries::new();
    let mut add = |key: &str, value| entries.push((format!("general.{key}"), value));
    add("architecture", Value::text(architecture));
    add("type", Value::text(kind));
    for (key, original) in [
        ("sampling.top_k", "top_k"),
        ("sampling.top_p", "top_p"),
        ("sampling.temp", "temperature"),
        ("sampling.penalty_repeat", "repetition_penalty"),
    ] {
        match extras.generation.get(original).filter(|value| value.is_number()) {
            Some(value) if original == "top_k" => {
                if let Some(count) = value.as_i64().and_then(|count| i32::try_from(count).ok()) {
                    add(key, Value::i32(count));
                }
            }
            Some(value) => add(key, Value::f32(value.as_f64().unwrap_or_default() as f32)),
            None => {}
        }
    }
    add("name", Value::text(&checkpoint.name));
    entries
}

/// The metadata of the language model. `file_type` is llama.cpp's number of the mix of types.
pub(crate) fn language_model(
    checkpoint: &Checkpoint,
    extras: &Extras,
    file_type: u32,
) -> Result<Entries, ModelError> {
    let text = &checkpoint.config.text;
    let mut entries = general(checkpoint, extras, ARCHITECTURE, "model");
    let mut add = |key: &str, value| entries.push((format!("{ARCHITECTURE}.{key}"), value));
    add("block_count", count(text.num_hidden_layers));
    add("context_length", count(text.max_position_embeddings));
    add("embedding_length", count(text.hidden_size));
    add("feed_forward_length", count(text.intermediate_size));
    add("attention.head_count", count(text.num_attention_heads));
    add("attention.head_count_kv", count(text.num_key_value_heads));
    if let Some(yarn) = &text.yarn {
        add("rope.scaling.type", Value::text("yarn"));
        add("rope.scaling.factor", Value::f32(yarn.factor as f32));
        if let Some(original) = yarn.original_max_position_embeddings {
            add("rope.scaling.original_context_length", count(original));
        }
        add("rope.scaling.yarn_beta_fast", Value::f32(yarn.beta_fast as f32));
        add("rope.scaling.yarn_beta_slow", Value::f32(yarn.beta_slow as f32));
        if let Some(factor) = yarn.attention_factor {
            add("rope.scaling.yarn_attn_factor", Value::f32(factor as f32));
        }
    }
    let [time, height, width] =
        text.mrope_section.map(|section| i32::try_from(section).unwrap_or_default());
    add("rope.dimension_sections", Value::i32s(&[time, height, width, 0]));
    add("rope.freq_base", Value::f32(text.rope_theta as f32));
    add("attention.layer_norm_rms_epsilon", Value::f32(text.rms_norm_eps as f32));
    entries.extend(numbers(file_type));
    if let Some(ours) = extras.config.get("handsight") {
        entries.push((OUR_CONFIG.to_owned(), Value::text(&ours.to_string())));
    }
    entries.extend(tokenizer(checkpoint)?);
    Ok(entries)
}

/// The keys of the tokenizer and the chat template.
fn tokenizer(checkpoint: &Checkpoint) -> Result<Entries, ModelError> {
    let tokenizer = &checkpoint.tokenizer;
    let vocabulary = vocabulary(tokenizer, checkpoint.config.text.vocab_size)?;
    let mut entries = Entries::new();
    let mut add = |key: &str, value| entries.push((format!("tokenizer.{key}"), value));
    add("ggml.model", Value::text("gpt2"));
    add("ggml.pre", Value::text("qwen2"));
    add("ggml.tokens", Value::texts(vocabulary.tokens.iter().map(String::as_str)));
    add("ggml.token_type", Value::i32s(&vocabulary.kinds));
    add("ggml.merges", Value::texts(vocabulary.merges.iter().map(String::as_str)));
    let end = checkpoint.stop_ids.first().copied().or_else(|| tokenizer.id("<|im_end|>"));
    let padding = tokenizer.id("<|endoftext|>");
    for (key, id) in
        [("eos_token_id", end), ("padding_token_id", padding), ("bos_token_id", padding)]
    {
        if let Some(id) = id {
            add(&format!("ggml.{key}"), Value::u32(id));
        }
    }
    add("ggml.add_bos_token", Value::bool(false));
    add("ggml.add_eos_token", Value::bool(false));
    add("chat_template", Value::text(checkpoint.template.source()));
    Ok(entries)
}

/// The metadata of the vision tower.
pub(crate) fn vision(
    checkpoint: &Checkpoint,
    extras: &Extras,
    file_type: u32,
) -> Result<Entries, ModelError> {
    let (vision, processor) = (&checkpoint.config.vision, &checkpoint.processor);
    let mut entries = general(checkpoint, extras, "clip", "mmproj");
    let mut add = |key: &str, value| entries.push((format!("clip.{key}"), value));
    add("has_vision_encoder", Value::bool(true));
    add("vision.projection_dim", count(vision.out_hidden_size));
    add("vision.image_size", Value::u32(560));
    add("vision.patch_size", count(vision.patch_size));
    add("vision.embedding_length", count(vision.hidden_size));
    add("vision.feed_forward_length", count(vision.intermediate_size));
    add("vision.block_count", count(vision.depth));
    add("vision.attention.head_count", count(vision.num_heads));
    add("vision.image_mean", Value::f32s(&processor.image_mean));
    add("vision.image_std", Value::f32s(&processor.image_std));
    add("vision.image_min_pixels", pixels(processor.min_pixels));
    add("vision.image_max_pixels", pixels(processor.max_pixels));
    add("projector_type", Value::text(PROJECTOR));
    add("use_silu", Value::bool(true));
    add("vision.n_wa_pattern", count(pattern(&vision.fullatt_block_indexes, vision.depth)?));
    add("vision.window_size", count(vision.window_size));
    add("vision.spatial_merge_size", count(vision.spatial_merge_size));
    add("vision.attention.layer_norm_epsilon", Value::f32(1e-6));
    entries.extend(numbers(file_type));
    if (vision.tokens_per_second - 2.0).abs() > f64::EPSILON {
        let rate = Value::f32(vision.tokens_per_second as f32);
        entries.push((TOKENS_PER_SECOND.to_owned(), rate));
    }
    Ok(entries)
}

fn numbers(file_type: u32) -> Entries {
    /// The revision of the block formats.
    const QUANTIZATION_VERSION: u32 = 2;
    vec![
        ("general.file_type".to_owned(), Value::u32(file_type)),
        ("general.quantization_version".to_owned(), Value::u32(QUANTIZATION_VERSION)),
    ]
}

fn count(value: usize) -> Value {
    Value::u32(value as u32)
}

fn pixels(value: u64) -> Value {
    Value::u32(u32::try_from(value).unwrap_or(u32::MAX))
}

/// Every how many blocks one attends to the whole image; the format knows nothing else.
fn pattern(full: &[usize], depth: usize) -> Result<usize, ModelError> {
    let pattern = full.first().map_or(depth, |first| *first) + 1;
    let expected = (0..depth).filter(|block| (block + 1) % pattern == 0);
    if expected.eq(full.iter().copied()) {
        return Ok(pattern);
    }
    Err(ModelError::Config {
        file: "config.json".to_owned(),
        problem: format!(
            "fullatt_block_indexes is {full:?}, but GGUF can only say every how many blocks"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_says_which_blocks_see_everything() {
        assert_eq!(pattern(&[7, 15, 23, 31], 32).unwrap(), 8);
        assert_eq!(pattern(&[2, 5], 6).unwrap(), 3);
        assert_eq!(pattern(&[1], 3).unwrap(), 2);
        assert_eq!(pattern(&[0, 1, 2], 3).unwrap(), 1);
        assert_eq!(pattern(&[], 3).unwrap(), 4);
        let err = pattern(&[1, 2], 4).unwrap_err().to_string();
        assert!(err.contains("fullatt_block_indexes is [1, 2]"), "{err}");
    }
}
