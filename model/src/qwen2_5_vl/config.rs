//! `config.json`, in every shape in which it is found.
//!
//! Three layouts exist: flat (the original release), nested under `text_config` (transformers
//! ≥ 4.52) and transformers 5 (`rope_parameters` instead of `rope_theta` and `rope_scaling`). They
//! are read into one [`Config`]; keys are looked up under `text_config` first, then at the root.
//!
//! # Source
//!
//! `configuration_qwen2_5_vl.py` of transformers 4.49.0, 4.57.1 and 5.x.

use serde_json::{Map, Value};

use crate::error::ModelError;

/// The sizes and constants of one checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The text decoder.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// The id of `<|image_pad|>`.
    pub image_token_id: u32,
    /// The id of `<|video_pad|>`.
    pub video_token_id: u32,
    /// The id of `<|vision_start|>`.
    pub vision_start_token_id: u32,
    /// The prompt the checkpoint was trained on, if its config names one
    /// (`handsight.prompt_profile`).
    pub prompt_profile: Option<String>,
}

/// The text decoder: a dense Qwen2.5 with M-RoPE.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Rows of the embedding, padding rows included.
    pub vocab_size: usize,
    /// The most positions the model was made for.
    pub max_position_embeddings: usize,
    /// Added to the variance in `RmsNorm`.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How many of the `head_dim / 2` frequencies turn by time, height and width.
    pub mrope_section: [usize; 3],
    /// How the rotary frequencies are slowed down for a longer context, if they are.
    pub yarn: Option<Yarn>,
    /// Whether the lm head is the embedding.
    pub tie_word_embeddings: bool,
}

/// The longest prompt, with its answer, for which the released checkpoints are advertised as they
/// are; with YaRN it grows by the factor.
const RELEASED_CONTEXT: usize = 32_768;

/// YaRN: a context longer than the model was trained on.
///
/// # Source
///
/// Peng et al. 2023, "YaRN: Efficient Context Window Extension of Large Language Models".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yarn {
    /// How many times longer.
    pub factor: f64,
    /// The context the model was trained on, if it is not `max_position_embeddings`. As in the
    /// reference, it bounds the context but not the ramp of frequencies, which goes by
    /// `max_position_embeddings`.
    pub original_max_position_embeddings: Option<usize>,
    /// Frequencies with more turns in the original context are left alone.
    pub beta_fast: f64,
    /// Frequencies with fewer turns are slowed by the whole factor.
    pub beta_slow: f64,
    /// Multiplies the rotated queries and keys; by default 0.1 ln(factor) + 1.
    pub attention_factor: Option<f64>,
}

impl Yarn {
    /// Returns what cosines and sines are multiplied with.
    pub fn attention_factor(&self) -> f32 {
        self.attention_factor.unwrap_or_else(|| 0.1 * self.factor.ln() + 1.0) as f32
    }
}

impl TextConfig {
    /// Returns the most tokens of a prompt and its answer together.
    pub fn context_limit(&self) -> usize {
        match &self.yarn {
            Some(yarn) => {
                let original = yarn.original_max_position_embeddings;
                (yarn.factor * original.unwrap_or(self.max_position_embeddings) as f64) as usize
            }
            None => self.max_position_embeddings.min(RELEASED_CONTEXT),
        }
    }

    /// Returns the width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}

/// The vision tower.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Vision blocks.
    pub depth: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Colour channels.
    pub in_channels: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Frames per patch.
    pub temporal_patch_size: usize,
    /// Side of a merged patch in patches.
    pub spatial_merge_size: usize,
    /// Side of an attention window in pixels.
    pub window_size: usize,
    /// The blocks that attend to the whole image.
    pub fullatt_block_indexes: Vec<usize>,
    /// Rotary positions to a second of video.
    pub tokens_per_second: f64,
    /// Width of the features handed to the text decoder.
    pub out_hidden_size: usize,
}

impl VisionConfig {
    /// Returns the width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Returns the side of an attention window in merged patches.
    pub fn window_side(&self) -> usize {
        self.window_size / self.spatial_merge_size / self.patch_size
    }

    /// Returns how many patches are merged into one.
    pub fn merge_unit(&self) -> usize {
        self.spatial_merge_size * self.spatial_merge_size
    }

    /// Returns the length of one row of `pixel_values`.
    pub fn patch_len(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }
}

const FILE: &str = "config.json";

impl Config {
    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Json`] or [`ModelError::Config`], naming the key and the value.
    pub fn from_json(json: &str) -> Result<Self, ModelError> {
        let root: Map<String, Value> = serde_json::from_str(json)
            .map_err(|source| ModelError::Json { file: FILE.to_owned(), source })?;
        let keys = Keys { nested: root.get("text_config").and_then(Value::as_object), root: &root };
        keys.check_model_type()?;
        let text = text_config(&keys)?;
        let vision = vision_config(&root, text.hidden_size)?;
        let token = |name: &str, default: u32| -> Result<u32, ModelError> {
            keys.get(name).map_or(Ok(default), |value| {
                value
                    .as_u64()
                    .and_then(|id| u32::try_from(id).ok())
                    .ok_or_else(|| wrong(name, value, "a token id"))
            })
        };
        let config = Self {
            image_token_id: token("image_token_id", 151_655)?,
            video_token_id: token("video_token_id", 151_656)?,
            vision_start_token_id: token("vision_start_token_id", 151_652)?,
            prompt_profile: root
                .get("handsight")
                .and_then(|ours| ours.get("prompt_profile"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            text,
            vision,
        };
        config.check()?;
        Ok(config)
    }

    /// Checks what must divide or add up for the tensors to have a shape at all.
    fn check(&self) -> Result<(), ModelError> {
        let Self { text, vision, .. } = self;
        let head_dim = text.hidden_size / text.num_attention_heads.max(1);
        let rules: [(bool, &str); 8] = [
            (
                text.num_attention_heads > 0 && text.hidden_size % text.num_attention_heads == 0,
                "hidden_size must be a multiple of num_attention_heads",
            ),
            (
                text.num_key_value_heads > 0
                    && text.num_attention_heads % text.num_key_value_heads == 0,
                "num_attention_heads must be a multiple of num_key_value_heads",
            ),
            (
                text.mrope_section.iter().sum::<usize>() * 2 == head_dim,
                "mrope_section must add up to half the head dimension",
            ),
            (
                vision.num_heads > 0 && vision.hidden_size % (4 * vision.num_heads) == 0,
                "vision hidden_size must be a multiple of 4 × num_heads",
            ),
            (
                vision.patch_size > 0
                    && vision.spatial_merge_size > 0
                    && vision.temporal_patch_size > 0,
                "patch sizes must not be 0",
            ),
            (
                vision.patch_size * vision.spatial_merge_size > 0
                    && vision.window_size % (vision.patch_size * vision.spatial_merge_size).max(1)
                        == 0
                    && vision.window_size > 0,
                "window_size must be a multiple of patch_size × spatial_merge_size",
            ),
            (
                vision.out_hidden_size == text.hidden_size,
                "vision out_hidden_size must equal the text hidden_size",
            ),
            (vision.in_channels == 3, "in_channels must be 3"),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, problem)) => Err(problem_in_config(problem.to_owned())),
            None => Ok(()),
        }
    }
}

fn text_config(keys: &Keys<'_>) -> Result<TextConfig, ModelError> {
    let num_attention_heads = keys.count("num_attention_heads")?;
    let (rope_theta, mrope_section, yarn) = rope(keys)?;
    Ok(TextConfig {
        hidden_size: keys.count("hidden_size")?,
        intermediate_size: keys.count("intermediate_size")?,
        num_hidden_layers: keys.count("num_hidden_layers")?,
        num_attention_heads,
        num_key_value_heads: keys.count_or("num_key_value_heads", num_attention_heads)?,
        vocab_size: keys.count("vocab_size")?,
        max_position_embeddings: keys.count_or("max_position_embeddings", 128_000)?,
        // The default of the Python class is 1e-5, which is wrong for every released checkpoint.
        rms_norm_eps: keys.number_or("rms_norm_eps", 1e-6)?,
        rope_theta,
        mrope_section,
        yarn,
        tie_word_embeddings: keys
            .root
            .get("tie_word_embeddings")
            .or_else(|| keys.get("tie_word_embeddings"))
            .and_then(Value::as_bool)
            .unwrap_or(false),
    })
}

/// Reads base, sections and scaling from `rope_parameters`, or from `rope_theta` and
/// `rope_scaling`.
fn rope(keys: &Keys<'_>) -> Result<(f64, [usize; 3], Option<Yarn>), ModelError> {
    let block = keys.get("rope_parameters").or_else(|| keys.get("rope_scaling"));
    let theta = block
        .and_then(|block| block.get("rope_theta"))
        .or_else(|| keys.get("rope_theta"))
        .map_or(Ok(1e6), |value| {
            value
                .as_f64()
                .filter(|theta| *theta > 1.0)
                .ok_or_else(|| wrong("rope_theta", value, "a number above 1"))
        })?;
    let Some(block) = block.and_then(Value::as_object) else {
        return Ok((theta, [16, 24, 24], None));
    };
    let mut yarn = None;
    for key in ["rope_type", "type"] {
        match block.get(key).and_then(Value::as_str) {
            None | Some("mrope" | "default") => {}
            Some("yarn") => yarn = Some(yarn_scaling(&Keys { nested: None, root: block })?),
            Some(other) => {
                return Err(problem_in_config(format!(
                    "rope type `{other}` is not supported, only `mrope`, `default` and `yarn`"
                )));
            }
        }
    }
    let section = match block.get("mrope_section") {
        None => [16, 24, 24],
        Some(value) => serde_json::from_value(value.clone())
            .ok()
            .filter(|section: &[usize; 3]| section.iter().all(|&part| part as u64 <= MAX_COUNT))
            .ok_or_else(|| wrong("mrope_section", value, "three counts"))?,
    };
    Ok((theta, section, yarn))
}

fn yarn_scaling(keys: &Keys<'_>) -> Result<Yarn, ModelError> {
    let yarn = Yarn {
        factor: keys.number_or("factor", 0.0)?,
        original_max_position_embeddings: keys
            .get("original_max_position_embeddings")
            .filter(|value| !value.is_null())
            .map(|value| as_count("original_max_position_embeddings", value))
            .transpose()?,
        beta_fast: keys.number_or("beta_fast", 32.0)?,
        beta_slow: keys.number_or("beta_slow", 1.0)?,
        attention_factor: keys
            .get("attention_factor")
            .filter(|value| !value.is_null())
            .map(|_| keys.number_or("attention_factor", 1.0))
            .transpose()?,
    };
    let sane = (1.0..=64.0).contains(&yarn.factor)
        && yarn.original_max_position_embeddings != Some(0)
        && yarn.beta_slow > 0.0
        && yarn.beta_fast >= yarn.beta_slow;
    let problem = || problem_in_config(format!("the YaRN scaling {yarn:?} cannot be used"));
    sane.then_some(yarn).ok_or_else(problem)
}

/// Reads `vision_config`. Some releases leave out most fields; these are the values they mean.
fn vision_config(
    root: &Map<String, Value>,
    text_hidden_size: usize,
) -> Result<VisionConfig, ModelError> {
    let empty = Map::new();
    let block = root.get("vision_config").and_then(Value::as_object).unwrap_or(&empty);
    let keys = Keys { nested: None, root: block };
    let fullatt_block_indexes = match block.get("fullatt_block_indexes") {
        None => vec![7, 15, 23, 31],
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| wrong("fullatt_block_indexes", value, "a list of block numbers"))?,
    };
    if let Some(act) = block.get("hidden_act").and_then(Value::as_str)
        && act != "silu"
    {
        return Err(problem_in_config(format!("vision hidden_act `{act}` is not `silu`")));
    }
    let in_channels = keys.count_or("in_chans", keys.count_or("in_channels", 3)?)?;
    Ok(VisionConfig {
        depth: keys.count_or("depth", 32)?,
        hidden_size: keys.count_or("hidden_size", 1280)?,
        intermediate_size: keys.count_or("intermediate_size", 3420)?,
        num_heads: keys.count_or("num_heads", 16)?,
        in_channels,
        patch_size: keys.count_or("patch_size", 14)?,
        temporal_patch_size: keys.count_or("temporal_patch_size", 2)?,
        spatial_merge_size: keys.count_or("spatial_merge_size", 2)?,
        window_size: keys.count_or("window_size", 112)?,
        fullatt_block_indexes,
        // The default of the Python class is 4, which is wrong for every released checkpoint.
        tokens_per_second: keys.number_or("tokens_per_second", 2.0)?,
        out_hidden_size: keys.count_or("out_hidden_size", text_hidden_size)?,
    })
}

/// Keys looked up under `text_config` first, then at the root.
struct Keys<'a> {
    nested: Option<&'a Map<String, Value>>,
    root: &'a Map<String, Value>,
}

impl<'a> Keys<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.nested.and_then(|nested| nested.get(name)).or_else(|| self.root.get(name))
    }

    fn check_model_type(&self) -> Result<(), ModelError> {
        match self.root.get("model_type").and_then(Value::as_str) {
            None | Some("qwen2_5_vl" | "qwen2_5_vl_text") => Ok(()),
            Some(other) => Err(problem_in_config(format!(
                "model_type is `{other}`, but only `qwen2_5_vl` is supported"
            ))),
        }
    }

    fn count(&self, name: &str) -> Result<usize, ModelError> {
        match self.get(name) {
            None => Err(problem_in_config(format!("`{name}` is missing"))),
            Some(value) => as_count(name, value),
        }
    }

    fn count_or(&self, name: &str, default: usize) -> Result<usize, ModelError> {
        self.get(name).map_or(Ok(default), |value| as_count(name, value))
    }

    fn number_or(&self, name: &str, default: f64) -> Result<f64, ModelError> {
        self.get(name).map_or(Ok(default), |value| {
            value.as_f64().ok_or_else(|| wrong(name, value, "a number"))
        })
    }
}

/// No size in a configuration comes near this; a larger one is damage, not ambition.
const MAX_COUNT: u64 = 1 << 24;

fn as_count(name: &str, value: &Value) -> Result<usize, ModelError> {
    value
        .as_u64()
        .filter(|&count| count <= MAX_COUNT)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| wrong(name, value, "a count"))
}

fn wrong(name: &str, value: &Value, wanted: &str) -> ModelError {
    problem_in_config(format!("`{name}` is `{value}`, not {wanted}"))
}

fn problem_in_config(problem: String) -> ModelError {
    ModelError::Config { file: FILE.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#""hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 700"#;
    const VISION: &str = r#""vision_config": {"depth": 2, "hidden_size": 64, "num_heads": 4,
        "intermediate_size": 100, "out_hidden_size": 64, "fullatt_block_indexes": [1]}"#;

    #[test]
    fn all_three_layouts_mean_the_same() {
        let flat = format!(
            r#"{{{TEXT}, {VISION}, "rope_theta": 50.0, "model_type": "qwen2_5_vl",
                "rope_scaling": {{"type": "mrope", "mrope_section": [2, 3, 3]}}}}"#
        );
        let nested = format!(
            r#"{{"text_config": {{{TEXT}, "rope_theta": 50.0, "rope_scaling": {{"rope_type":
                "default", "type": "default", "mrope_section": [2, 3, 3]}}}}, {VISION}}}"#
        );
        let five = format!(
            r#"{{"text_config": {{{TEXT}, "rope_parameters": {{"rope_theta": 50.0,
                "rope_type": "default", "mrope_section": [2, 3, 3]}}}}, {VISION}}}"#
        );
        let expected = Config::from_json(&flat).unwrap();
        assert_eq!(expected.text.mrope_section, [2, 3, 3]);
        assert_eq!(Config::from_json(&nested).unwrap(), expected);
        assert_eq!(Config::from_json(&five).unwrap(), expected);
    }

    #[test]
    fn what_does_not_add_up_is_refused_with_the_key() {
        check(r#"{"hidden_size": 64}"#, "`config.json`: `num_attention_heads` is missing");
        check(
            &format!(r#"{{{TEXT}, {VISION}, "rope_scaling": {{"mrope_section": [2, 3, 4]}}}}"#),
            "`config.json`: mrope_section must add up to half the head dimension",
        );
        check(
            &format!(r#"{{{TEXT}, {VISION}, "rope_scaling": {{"type": "dynamic"}}}}"#),
            "`config.json`: rope type `dynamic` is not supported, only `mrope`, `default` and `yarn`",
        );
        check(
            &format!(
                r#"{{{TEXT}, {VISION}, "rope_scaling": {{"mrope_section": [{}, 3, 3]}}}}"#,
                1_u64 << 63
            ),
            "`config.json`: `mrope_section` is `[9223372036854775808,3,3]`, not three counts",
        );
        check(
            r#"{"model_type": "llama"}"#,
            "`config.json`: model_type is `llama`, but only `qwen2_5_vl` is supported",
        );
        check("{", "`config.json` of the checkpoint is not what was expected");
    }

    #[track_caller]
    fn check(json: &str, expected: &str) {
        assert_eq!(Config::from_json(json).unwrap_err().to_string(), expected);
    }
}
