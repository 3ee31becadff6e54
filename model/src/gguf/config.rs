//! The metadata of a pair of GGUF files as the JSON files of the checkpoint they were made from.
//!
//! That way a GGUF takes every default and every check of a checkpoint folder, and nothing else
//! needs to know of it.
//!
//! # Source
//!
//! The keys: `gguf-py/gguf/constants.py` and `conversion/qwenvl.py` of llama.cpp (revision
//! 0c1e570); the vision keys that may be absent: `clip.cpp`. Keys under `handsight.` are ours and
//! hold what the others have no place for.

use serde_json::{Map, Value as Json, json};

use super::value::{Metadata, Value};
use crate::error::ModelError;

/// What the metadata does not say but the tensors and the vocabulary do.
pub(crate) struct Known<'a> {
    /// Rows of the embedding.
    pub(crate) vocab_size: usize,
    /// Whether there is no lm head beside the embedding.
    pub(crate) tied: bool,
    /// Width inside the vision MLP: the shape of the tensor, which old files' metadata lack.
    pub(crate) vision_intermediate_size: usize,
    /// The id of a token by its name.
    pub(crate) id: &'a dyn Fn(&str) -> Option<u32>,
}

pub(crate) const ARCHITECTURE: &str = "qwen2vl";
pub(crate) const PROJECTOR: &str = "qwen2.5vl_merger";
/// Where the object `handsight` of `config.json` is kept, as JSON.
pub(crate) const OUR_CONFIG: &str = "handsight.config";
pub(crate) const TOKENS_PER_SECOND: &str = "handsight.vision.tokens_per_second";

/// Refuses what is not the language model of a Qwen2.5-VL.
pub(crate) fn check_language_model(text: &Metadata) -> Result<(), ModelError> {
    match text.required("general.architecture", "a text", Value::as_text)? {
        ARCHITECTURE => Ok(()),
        "clip" => Err(text.problem(
            "it is the vision part of a model (mmproj); name the file of the language model, and \
             this one beside it or as the mmproj",
        )),
        other => Err(text.problem(format!(
            "`general.architecture` is `{other}`, but only `{ARCHITECTURE}` is supported"
        ))),
    }
}

/// Refuses what is not the vision tower of a Qwen2.5-VL.
pub(crate) fn check_vision(vision: &Metadata) -> Result<(), ModelError> {
    let architecture = vision.required("general.architecture", "a text", Value::as_text)?;
    if architecture != "clip" {
        return Err(vision.problem(format!(
            "`general.architecture` is `{architecture}`, but an mmproj has `clip`"
        )));
    }
    let key = ["clip.vision.projector_type", "clip.projector_type"]
        .into_iter()
        .find(|key| vision.get(key).is_some())
        .unwrap_or("clip.projector_type");
    match vision.required(key, "a text", Value::as_text)? {
        PROJECTOR => Ok(()),
        other => {
            Err(vision
                .problem(format!("`{key}` is `{other}`, but only `{PROJECTOR}` is supported")))
        }
    }
}

/// Returns the text of `config.json`.
pub(crate) fn config_json(
    text: &Metadata,
    vision: &Metadata,
    known: &Known<'_>,
) -> Result<String, ModelError> {
    let count = |key: &str| count(text, &format!("{ARCHITECTURE}.{key}"));
    let number = |key: &str| number(text, &format!("{ARCHITECTURE}.{key}"));
    let heads = count("attention.head_count")?;
    let id = |name: &str| {
        let missing = || text.problem(format!("the vocabulary has no token `{name}`"));
        (known.id)(name).ok_or_else(missing)
    };
    let mut config = json!({
        "model_type": "qwen2_5_vl",
        "hidden_size": count("embedding_length")?,
        "intermediate_size": count("feed_forward_length")?,
        "num_hidden_layers": count("block_count")?,
        "num_attention_heads": heads,
        "num_key_value_heads": optional_count(text, "qwen2vl.attention.head_count_kv")?.unwrap_or(heads),
        "vocab_size": known.vocab_size,
        "max_position_embeddings": count("context_length")?,
        "rms_norm_eps": number("attention.layer_norm_rms_epsilon")?,
        "rope_theta": number("rope.freq_base")?,
        "rope_scaling": rope_scaling(text)?,
        "tie_word_embeddings": known.tied,
        "image_token_id": id("<|image_pad|>")?,
        "video_token_id": id("<|video_pad|>")?,
        "vision_start_token_id": id("<|vision_start|>")?,
        "vision_end_token_id": id("<|vision_end|>")?,
        "vision_config": vision_config(vision, known)?,
    });
    if let Some(ours) = text.optional(OUR_CONFIG, "a text", Value::as_text)? {
        let ours: Map<String, Json> = serde_json::from_str(ours)
            .map_err(|err| text.problem(format!("`{OUR_CONFIG}` is not a JSON object: {err}")))?;
        config["handsight"] = ours.into();
    }
    Ok(config.to_string())
}

/// The object `rope_scaling`: sections, and YaRN if the file was made with it.
fn rope_scaling(text: &Metadata) -> Result<Json, ModelError> {
    const SECTIONS: &str = "qwen2vl.rope.dimension_sections";
    let sections = text.required(SECTIONS, "a list of counts", Value::as_integers)?;
    let sections = match sections[..] {
        [time, height, width] | [time, height, width, 0] => [time, height, width],
        _ => {
            return Err(text.problem(format!(
                "`{SECTIONS}` is {sections:?}, which is not time, height and width"
            )));
        }
    };
    let key = |name: &str| format!("{ARCHITECTURE}.rope.scaling.{name}");
    let kind = text.optional(&key("type"), "a text", Value::as_text)?;
    let Some(kind) = kind.filter(|kind| *kind != "none") else {
        return Ok(json!({"type": "mrope", "mrope_section": sections}));
    };
    let mut scaling = json!({"type": kind, "mrope_section": sections});
    for (name, original) in [
        ("factor", "factor"),
        ("yarn_beta_fast", "beta_fast"),
        ("yarn_beta_slow", "beta_slow"),
        ("attn_factor", "attention_factor"),
        ("yarn_attn_factor", "attention_factor"),
    ] {
        if let Some(number) = text.optional(&key(name), "a number", Value::as_number)? {
            scaling[original] = number.into();
        }
    }
    if let Some(context) = optional_count(text, &key("original_context_length"))? {
        scaling["original_max_position_embeddings"] = context.into();
    }
    Ok(scaling)
}

fn vision_config(vision: &Metadata, known: &Known<'_>) -> Result<Json, ModelError> {
    let count = |key: &str| count(vision, &format!("clip.vision.{key}"));
    let optional = |key: &str| optional_count(vision, &format!("clip.vision.{key}"));
    let depth = count("block_count")?;
    // Block i attends to the whole image if (i + 1) is a multiple of the pattern; 0 is all of them.
    let pattern = count("n_wa_pattern")?;
    let full: Vec<u64> = (0..depth.min(1 << 12))
        .filter(|block| pattern == 0 || (block + 1) % pattern == 0)
        .collect();
    let silu = vision.optional("clip.use_silu", "true or false", Value::as_bool)?;
    let mut config = json!({
        "depth": depth,
        "hidden_size": count("embedding_length")?,
        "hidden_act": if silu == Some(false) { "gelu" } else { "silu" },
        "intermediate_size": known.vision_intermediate_size,
        "num_heads": count("attention.head_count")?,
        "in_chans": 3,
        "out_hidden_size": count("projection_dim")?,
        "patch_size": count("patch_size")?,
        "fullatt_block_indexes": full,
    });
    for (key, original) in
        [("spatial_merge_size", "spatial_merge_size"), ("window_size", "window_size")]
    {
        if let Some(value) = optional(key)? {
            config[original] = value.into();
        }
    }
    let rate = vision.optional(TOKENS_PER_SECOND, "a number", Value::as_number)?;
    if let Some(rate) = rate {
        config["tokens_per_second"] = rate.into();
    }
    Ok(config)
}

/// Returns the text of `preprocessor_config.json`.
pub(crate) fn preprocessor_json(vision: &Metadata) -> Result<String, ModelError> {
    let mut config = json!({ "patch_size": count(vision, "clip.vision.patch_size")? });
    for (key, original) in [
        ("spatial_merge_size", "merge_size"),
        ("image_min_pixels", "min_pixels"),
        ("image_max_pixels", "max_pixels"),
    ] {
        if let Some(value) = optional_count(vision, &format!("clip.vision.{key}"))? {
            config[original] = value.into();
        }
    }
    for key in ["image_mean", "image_std"] {
        let full = format!("clip.vision.{key}");
        let three = |value: &Value| value.as_numbers().filter(|numbers| numbers.len() == 3);
        if let Some(numbers) = vision.optional(&full, "three numbers", three)? {
            config[key] = numbers.into();
        }
    }
    Ok(config.to_string())
}

/// Returns the text of `generation_config.json`: what ends an answer.
pub(crate) fn generation_json(
    text: &Metadata,
    id: &dyn Fn(&str) -> Option<u32>,
) -> Result<String, ModelError> {
    let listed = ["eos_token_id", "eot_token_id"]
        .iter()
        .map(|key| optional_count(text, &format!("tokenizer.ggml.{key}")))
        .collect::<Result<Vec<_>, _>>()?;
    let named = ["<|im_end|>", "<|endoftext|>"].iter().map(|name| id(name).map(u64::from));
    let mut ids: Vec<u64> = listed.into_iter().chain(named).flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(json!({ "eos_token_id": ids }).to_string())
}

fn count(metadata: &Metadata, key: &str) -> Result<u64, ModelError> {
    metadata.required(key, "a count", as_count)
}

fn optional_count(metadata: &Metadata, key: &str) -> Result<Option<u64>, ModelError> {
    metadata.optional(key, "a count", as_count)
}

/// A count, or one per layer if all are the same.
fn as_count(value: &Value) -> Option<u64> {
    let count = if value.count.is_none() {
        value.as_integer()
    } else {
        let counts = value.as_integers()?;
        counts.first().copied().filter(|first| counts.iter().all(|count| count == first))
    };
    count.and_then(|count| u64::try_from(count).ok())
}

fn number(metadata: &Metadata, key: &str) -> Result<f64, ModelError> {
    let finite = |value: &Value| value.as_number().filter(|number| number.is_finite());
    metadata.required(key, "a number", finite)
}
