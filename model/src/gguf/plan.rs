//! Which tensors a pair of GGUF files has, in which type, and from which of the checkpoint's each is
//! made.
//!
//! # Source
//!
//! Names and layout: `conversion/qwenvl.py` of llama.cpp (revision 0c1e570): queries, keys and
//! values of the vision tower apart, one tensor per frame of the patch convolution; vectors and the
//! patch convolution in f32.

use std::ops::Range;

use candle_core::quantized::GgmlDType;

use super::mix;
use super::names::{PATCH_EMBED, QKV, SINGLE, TEXT_LAYER, VISION_BLOCK};
use super::tensor_type::TensorType;
use super::write::PlannedTensor;
use crate::error::ModelError;
use crate::qwen2_5_vl::config::Config;
use crate::weights::{StoredType, TensorInfo, TensorSource};

/// What matrices are written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GgufType {
    /// 4.5 bits a weight, but for what needs more.
    Q4K,
    /// 5.5 bits a weight, but for what needs more.
    Q5K,
    /// 6.6 bits a weight, but for what needs more.
    Q6K,
    /// 8.5 bits a weight, but for what needs more.
    Q8_0,
    /// 2 bytes a weight, as released.
    Bf16,
    /// 2 bytes a weight, finer than bf16, up to 65 504.
    F16,
}

impl GgufType {
    /// Every choice, the smallest first.
    pub const ALL: [Self; 6] = [Self::Q4K, Self::Q5K, Self::Q6K, Self::Q8_0, Self::Bf16, Self::F16];

    /// Returns the name in options and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q4K => "q4k",
            Self::Q5K => "q5k",
            Self::Q6K => "q6k",
            Self::Q8_0 => "q8_0",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// llama.cpp's numbers of the mixes of types in the language model's file and in the vision
    /// tower's.
    pub(crate) fn file_types(self) -> [u32; 2] {
        match self {
            Self::Q4K => [15, 7],
            Self::Q5K => [17, 7],
            Self::Q6K => [18, 7],
            Self::Q8_0 => [7, 7],
            Self::Bf16 => [32, 32],
            Self::F16 => [1, 1],
        }
    }
}

impl std::fmt::Display for GgufType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for GgufType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("`{text}` is none of q4k, q5k, q6k, q8_0, bf16, f16"))
    }
}

/// A tensor of the checkpoint and those it becomes.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) original: String,
    pub(crate) outputs: Vec<Output>,
}

/// A tensor of a file, and which elements of the original it has.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) tensor: PlannedTensor,
    pub(crate) elements: Elements,
}

/// Which elements of the original a tensor has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Elements {
    /// These, one after another.
    Range(Range<usize>),
    /// Of every so many runs of `len`, one.
    Frame { frame: usize, of: usize, len: usize },
}

/// Returns what the file of the language model and that of the vision tower are made of, in the
/// order in which they are written.
///
/// # Errors
///
/// [`ModelError::MissingTensor`], [`ModelError::TensorShape`], or [`ModelError::Config`] if the
/// weights are quantised already.
pub(crate) fn plan(
    source: &dyn TensorSource,
    config: &Config,
    kind: GgufType,
) -> Result<[Vec<Group>; 2], ModelError> {
    let planner = Planner { source, config, kind };
    let mut text = Vec::new();
    let mut vision = vec![planner.patch_embed()?];
    for (original, name) in SINGLE {
        if original == "lm_head.weight"
            && (config.text.tie_word_embeddings || !source.tensors().contains_key(original))
        {
            continue;
        }
        let part = if original.starts_with("visual.") { &mut vision } else { &mut text };
        part.push(planner.whole(original, name)?);
    }
    for layer in 0..config.text.num_hidden_layers {
        for (module, name) in TEXT_LAYER {
            let (original, name) =
                (format!("model.layers.{layer}.{module}"), format!("blk.{layer}.{name}"));
            planner.module(&original, &[&name], &mut text)?;
        }
    }
    for block in 0..config.vision.depth {
        for (module, name) in VISION_BLOCK {
            let original = format!("visual.blocks.{block}.{module}");
            let names = if name == "attn_qkv" { QKV.to_vec() } else { vec![name] };
            let names: Vec<_> = names.iter().map(|name| format!("v.blk.{block}.{name}")).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            planner.module(&original, &names, &mut vision)?;
        }
    }
    Ok([text, vision])
}

struct Planner<'a> {
    source: &'a dyn TensorSource,
    config: &'a Config,
    kind: GgufType,
}

impl Planner<'_> {
    fn info(&self, original: &str) -> Result<&TensorInfo, ModelError> {
        let missing = || ModelError::MissingTensor { name: original.to_owned() };
        let info = self.source.tensors().get(original).ok_or_else(missing)?;
        match info.stored {
            StoredType::F32 | StoredType::F16 | StoredType::Bf16 => Ok(info),
            _ => Err(ModelError::Config {
                file: "the weights".to_owned(),
                problem: format!("`{original}` is quantised already"),
            }),
        }
    }

    /// `weight` and, if there is one, `bias` of a module, each cut into as many tensors of equal
    /// length as there are names.
    fn module(
        &self,
        original: &str,
        names: &[&str],
        groups: &mut Vec<Group>,
    ) -> Result<(), ModelError> {
        for suffix in ["weight", "bias"] {
            let original = format!("{original}.{suffix}");
            if suffix == "weight" || self.source.tensors().contains_key(&original) {
                let names: Vec<_> = names.iter().map(|name| format!("{name}.{suffix}")).collect();
                groups.push(self.cut(&original, &names)?);
            }
        }
        Ok(())
    }

    fn whole(&self, original: &str, name: &str) -> Result<Group, ModelError> {
        self.cut(original, &[name.to_owned()])
    }

    fn cut(&self, original: &str, names: &[String]) -> Result<Group, ModelError> {
        let info = self.info(original)?;
        let (rows, parts) = (info.shape.first().copied().unwrap_or(0), names.len());
        if rows == 0 || rows % parts != 0 {
            let expected = vec![parts];
            let (name, found) = (original.to_owned(), info.shape.clone());
            return Err(ModelError::TensorShape { name, expected, found });
        }
        let mut shape = info.shape.clone();
        shape[0] = rows / parts;
        let kind = self.tensor_type(original, &shape)?;
        let len: usize = shape.iter().product();
        let output = |(part, name): (usize, &String)| Output {
            tensor: PlannedTensor { name: name.clone(), shape: shape.clone(), kind },
            elements: Elements::Range(part * len..(part + 1) * len),
        };
        let outputs = names.iter().enumerate().map(output).collect();
        Ok(Group { original: original.to_owned(), outputs })
    }

    fn patch_embed(&self) -> Result<Group, ModelError> {
        let (original, names) = PATCH_EMBED;
        let vision = &self.config.vision;
        let side = vision.patch_size;
        let expected =
            vec![vision.hidden_size, vision.in_channels, vision.temporal_patch_size, side, side];
        let found = self.info(original)?.shape.clone();
        if found != expected || vision.temporal_patch_size != names.len() {
            return Err(ModelError::TensorShape { name: original.to_owned(), expected, found });
        }
        let shape = vec![vision.hidden_size, vision.in_channels, side, side];
        let kind = stored_as(GgmlDType::F32)?;
        let output = |(frame, name): (usize, &str)| Output {
            tensor: PlannedTensor { name: name.to_owned(), shape: shape.clone(), kind },
            elements: Elements::Frame { frame, of: names.len(), len: side * side },
        };
        let outputs = names.into_iter().enumerate().map(output).collect();
        Ok(Group { original: original.to_owned(), outputs })
    }

    fn tensor_type(&self, original: &str, shape: &[usize]) -> Result<TensorType, ModelError> {
        let [_, cols] = shape else { return stored_as(GgmlDType::F32) };
        let layers = self.config.text.num_hidden_layers;
        let dtype = match self.kind {
            GgufType::Bf16 => GgmlDType::BF16,
            GgufType::F16 => GgmlDType::F16,
            GgufType::Q4K => mix::dtype(GgmlDType::Q4K, original, *cols, layers),
            GgufType::Q5K => mix::dtype(GgmlDType::Q5K, original, *cols, layers),
            GgufType::Q6K => mix::dtype(GgmlDType::Q6K, original, *cols, layers),
            GgufType::Q8_0 => mix::dtype(GgmlDType::Q8_0, original, *cols, layers),
        };
        stored_as(dtype)
    }
}

fn stored_as(dtype: GgmlDType) -> Result<TensorType, ModelError> {
    let unknown =
        || ModelError::Gguf { file: String::new(), problem: format!("{dtype:?} cannot be stored") };
    TensorType::from_dtype(dtype).ok_or_else(unknown)
}
