//! Where a checkpoint's tensors come from, under the names of the original release.
//!
//! A [`TensorSource`] knows every tensor's shape and how it is stored, and reads one at a time. It
//! says nothing of what becomes of them: the [`Loader`] turns what is read into the tensors and
//! [`Projection`](crate::projection::Projection)s of the run. Sources of other layouts rename, so
//! that the model knows one set of names.
//!
//! # Source
//!
//! The names: the released checkpoints; `model.language_model.*` and `model.visual.*` as saved by
//! transformers ≥ 4.52; `language_model.*` and `vision_tower.*` as saved by MLX.

mod awq;
pub(crate) mod form;
mod loader;
mod options;
mod safetensors;

use std::collections::BTreeMap;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use crate::error::ModelError;
use crate::huge_pages;
pub(crate) use awq::{Awq, AwqConfig};
pub(crate) use loader::Loader;
pub(crate) use options::LoadOptions;
pub use options::{Quantization, WeightDtype};
pub(crate) use safetensors::{Safetensors, weight_files};

/// What loading returns: an error names the file, tensor or value that cannot be used.
pub(crate) type Loaded<T> = Result<T, ModelError>;

/// The tensors of a checkpoint, not yet read.
pub(crate) trait TensorSource: Send + Sync {
    /// Returns every tensor by its original name.
    fn tensors(&self) -> &BTreeMap<String, TensorInfo>;

    /// Reads one tensor, as it is stored.
    ///
    /// # Errors
    ///
    /// [`ModelError::MissingTensor`], or what reading said.
    fn read(&self, name: &str) -> Loaded<StoredTensor>;

    /// Returns the bytes that reading a tensor takes for a moment, beside what is read.
    fn unpacking_bytes(&self, _name: &str) -> u64 {
        0
    }

    /// Returns the number of parameters stored.
    fn parameters(&self) -> u64 {
        self.tensors().values().map(TensorInfo::elements).sum()
    }

    /// Returns the bytes that all tensors take as they are stored.
    fn stored_bytes(&self) -> u64 {
        self.tensors().values().map(TensorInfo::stored_bytes).sum()
    }
}

/// What is known of a tensor before it is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TensorInfo {
    /// Sizes, the slowest dimension first: a matrix is `(out, in)`.
    pub(crate) shape: Vec<usize>,
    /// How the elements are stored.
    pub(crate) stored: StoredType,
}

impl TensorInfo {
    pub(crate) fn elements(&self) -> u64 {
        self.shape.iter().map(|&side| side as u64).product()
    }

    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored.bytes(self.elements())
    }
}

/// How a tensor's elements are stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StoredType {
    F32,
    F16,
    Bf16,
    /// Packed integers, which a source of quantised weights unpacks; never a tensor of the model.
    I32,
    /// Blocks of GGML's, along the last dimension.
    Ggml(GgmlDType),
}

impl StoredType {
    /// Returns the bytes that `elements` take.
    pub(crate) fn bytes(self, elements: u64) -> u64 {
        match self {
            Self::F32 | Self::I32 => 4 * elements,
            Self::F16 | Self::Bf16 => 2 * elements,
            Self::Ggml(dtype) => {
                elements.div_ceil(dtype.block_size() as u64) * dtype.type_size() as u64
            }
        }
    }
}

/// A tensor as it was read, in row-major order.
#[derive(Clone, Debug)]
pub(crate) struct StoredTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Data,
}

/// The elements of a tensor.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
    I32(Vec<i32>),
    Ggml {
        dtype: GgmlDType,
        /// Blocks, as GGUF has them.
        bytes: Vec<u8>,
    },
}

impl StoredTensor {
    /// Returns the elements in f32, without a copy if that is what they are.
    pub(crate) fn into_f32(self) -> Loaded<Vec<f32>> {
        let elements = self.shape.iter().product();
        self.data.into_f32(elements)
    }
}

impl Data {
    fn into_f32(self, elements: usize) -> Loaded<Vec<f32>> {
        const TASK: usize = 1 << 16; // a multiple of every block
        if let Self::F32(values) = self {
            return Ok(values);
        }
        let mut values = huge_pages::zeroed(elements);
        let tasks = values.par_chunks_mut(TASK).enumerate();
        tasks.try_for_each(|(task, out)| self.widen(task * TASK, out))?;
        Ok(values)
    }

    /// Returns `elements` in bf16, without a copy if that is what they are.
    pub(crate) fn into_bf16(self, elements: usize) -> Loaded<Vec<bf16>> {
        match self {
            Self::Bf16(values) => Ok(values),
            data => Ok(data.into_f32(elements)?.into_par_iter().map(bf16::from_f32).collect()),
        }
    }

    /// Returns `elements` in f16, without a copy if that is what they are.
    pub(crate) fn into_f16(self, elements: usize) -> Loaded<Vec<f16>> {
        match self {
            Self::F16(values) => Ok(values),
            data => Ok(data.into_f32(elements)?.into_par_iter().map(f16::from_f32).collect()),
        }
    }

    /// Writes the elements from `start` in f32 until `out` is full. Of quantised elements, `start`
    /// must be the start of a block and `out` take whole blocks.
    pub(crate) fn widen(&self, start: usize, out: &mut [f32]) -> candle_core::Result<()> {
        let range = start..start + out.len();
        match self {
            Self::F32(values) => out.copy_from_slice(&values[range]),
            Self::F16(values) => values[range].convert_to_f32_slice(out),
            Self::Bf16(values) => values[range].convert_to_f32_slice(out),
            Self::I32(values) => {
                for (out, &value) in out.iter_mut().zip(&values[range]) {
                    *out = value as f32;
                }
            }
            Self::Ggml { dtype, bytes } => {
                let place = |element| element / dtype.block_size() * dtype.type_size();
                // Copied: blocks must be aligned, which those within a tensor need not be.
                let blocks = bytes[place(range.start)..place(range.end)].to_vec();
                let storage = QStorage::from_data(blocks.into(), &Device::Cpu, *dtype)?;
                let tensor = QTensor::new(storage, out.len())?.dequantize(&Device::Cpu)?;
                out.copy_from_slice(&tensor.to_vec1::<f32>()?);
            }
        }
        Ok(())
    }
}

/// Returns the name a tensor has in the original release.
pub(crate) fn original_name(stored: &str) -> String {
    const PREFIXES: &[(&str, &str)] = &[
        ("model.visual.", "visual."),
        ("model.language_model.", "model."),
        ("language_model.lm_head.", "lm_head."),
        ("language_model.model.", "model."),
        ("language_model.", "model."),
        ("vision_tower.", "visual."),
    ];
    PREFIXES
        .iter()
        .find_map(|(from, to)| stored.strip_prefix(from).map(|rest| format!("{to}{rest}")))
        .unwrap_or_else(|| stored.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_of_names_becomes_the_original_one() {
        for (stored, expected) in [
            ("visual.blocks.0.norm1.weight", "visual.blocks.0.norm1.weight"),
            ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
            ("model.visual.merger.ln_q.weight", "visual.merger.ln_q.weight"),
            ("model.language_model.norm.weight", "model.norm.weight"),
            ("language_model.norm.weight", "model.norm.weight"),
            ("language_model.model.norm.weight", "model.norm.weight"),
            ("language_model.lm_head.weight", "lm_head.weight"),
            ("vision_tower.merger.mlp.0.bias", "visual.merger.mlp.0.bias"),
            ("lm_head.weight", "lm_head.weight"),
        ] {
            assert_eq!(original_name(stored), expected);
        }
    }

    #[test]
    fn stored_bytes_count_whole_blocks() {
        let info = |shape: &[usize], stored| TensorInfo { shape: shape.to_vec(), stored };
        assert_eq!(info(&[3, 5], StoredType::Bf16).stored_bytes(), 30);
        assert_eq!(info(&[2, 64], StoredType::Ggml(GgmlDType::Q8_0)).stored_bytes(), 4 * 34);
        assert_eq!(info(&[2, 256], StoredType::Ggml(GgmlDType::Q4K)).stored_bytes(), 2 * 144);
    }
}
