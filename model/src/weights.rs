//! safetensors → tensors, under the names of the original release.
//!
//! Checkpoints are memory-mapped (the only `unsafe` here) or borrowed from the binary, and converted
//! to the dtype of the run as they are read. Other layouts of names are renamed, so that the model
//! knows one.
//!
//! # Source
//!
//! `spec` of the names: the released checkpoints; `model.language_model.*` and `model.visual.*` as
//! saved by transformers ≥ 4.52; `language_model.*` and `vision_tower.*` as saved by MLX.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::safetensors::{Load, MmapedSafetensors, SliceSafetensors};
use candle_core::{DType, Device, Error, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use fs_err as fs;
use serde::Deserialize;

use crate::error::ModelError;

/// The tensors of a checkpoint, not yet read.
pub(crate) struct Weights {
    source: Source,
    /// Original name → name in the files.
    stored_names: HashMap<String, String>,
}

enum Source {
    Files(MmapedSafetensors),
    Embedded(SliceSafetensors<'static>),
}

impl Weights {
    /// Opens the safetensors files of a folder: those `model.safetensors.index.json` names, or
    /// `model.safetensors`.
    pub(crate) fn open(dir: &Path) -> std::result::Result<Self, ModelError> {
        let files = weight_files(dir)?;
        for file in &files {
            // Opened one by one first, so that an error can name the file.
            map(std::slice::from_ref(file)).map_err(|source| ModelError::Weights {
                file: file.display().to_string(),
                source: Box::new(source),
            })?;
        }
        let mapped = map(&files)?;
        let names = mapped.tensors().into_iter().map(|(name, _)| name).collect();
        Ok(Self::new(Source::Files(mapped), names))
    }

    /// Borrows a safetensors file that is part of the binary.
    pub(crate) fn embedded(bytes: &'static [u8]) -> std::result::Result<Self, ModelError> {
        let slice = SliceSafetensors::new(bytes).map_err(|source| ModelError::Weights {
            file: "(embedded)".to_owned(),
            source: Box::new(source),
        })?;
        let names = slice.tensors().into_iter().map(|(name, _)| name).collect();
        Ok(Self::new(Source::Embedded(slice), names))
    }

    fn new(source: Source, names: Vec<String>) -> Self {
        let stored_names =
            names.into_iter().map(|stored| (original_name(&stored), stored)).collect();
        Self { source, stored_names }
    }

    /// Returns the number of parameters stored.
    pub(crate) fn parameters(&self) -> u64 {
        let count = |shape: &[usize]| shape.iter().map(|&side| side as u64).product::<u64>();
        match &self.source {
            Source::Files(files) => {
                files.tensors().iter().map(|(_, view)| count(view.shape())).sum()
            }
            Source::Embedded(slice) => {
                slice.tensors().iter().map(|(_, view)| count(view.shape())).sum()
            }
        }
    }

    /// Returns a builder that reads tensors by their original names.
    pub(crate) fn into_var_builder(self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self), dtype, device.clone())
    }

    fn read(&self, name: &str, device: &Device) -> Result<Tensor> {
        let missing = || Error::CannotFindTensor { path: name.to_owned() };
        let stored = self.stored_names.get(name).ok_or_else(missing)?;
        let tensor = match &self.source {
            Source::Files(files) => files.get(stored)?.load(device)?,
            Source::Embedded(slice) => slice.get(stored)?.load(device)?,
        };
        // MLX keeps the channels of the patch convolution last.
        match *tensor.dims() {
            [_, _, _, _, 3] if name == PATCH_EMBED => tensor.permute([0, 4, 1, 2, 3])?.contiguous(),
            _ => Ok(tensor),
        }
    }
}

const PATCH_EMBED: &str = "visual.patch_embed.proj.weight";

impl SimpleBackend for Weights {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, dev: &Device) -> Result<Tensor> {
        let tensor = self.read(name, dev)?;
        if *tensor.shape() == shape {
            tensor.to_dtype(dtype)
        } else {
            let got = tensor.shape().clone();
            Err(Error::UnexpectedShape { msg: name.to_owned(), expected: shape, got })
        }
    }

    fn get_unchecked(&self, name: &str, dtype: DType, dev: &Device) -> Result<Tensor> {
        self.read(name, dev)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.stored_names.contains_key(name)
    }
}

/// Turns what goes wrong while the model is built into an error that names the tensor.
pub(crate) fn build_error(err: Error) -> ModelError {
    match err {
        Error::CannotFindTensor { path } => ModelError::MissingTensor { name: path },
        Error::UnexpectedShape { msg, expected, got } => ModelError::TensorShape {
            name: msg,
            expected: expected.into_dims(),
            found: got.into_dims(),
        },
        other => ModelError::Tensor(other),
    }
}

/// Returns the name a tensor has in the original release.
fn original_name(stored: &str) -> String {
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

#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

/// Returns the safetensors files of a checkpoint folder, in order of name.
pub(crate) fn weight_files(dir: &Path) -> std::result::Result<Vec<PathBuf>, ModelError> {
    const INDEX: &str = "model.safetensors.index.json";
    let index = dir.join(INDEX);
    if !index.exists() {
        let single = dir.join("model.safetensors");
        let missing = || ModelError::MissingFile { dir: dir.to_owned(), what: "model.safetensors" };
        return single.exists().then(|| vec![single]).ok_or_else(missing);
    }
    let text = fs::read_to_string(&index).map_err(|source| ModelError::Read { source })?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|source| ModelError::Json { file: INDEX.to_owned(), source })?;
    let mut names: Vec<_> = index.weight_map.into_values().collect();
    names.sort_unstable();
    names.dedup();
    for name in &names {
        // A shard is a file beside its index, never a path out of the folder.
        if Path::new(name).components().count() != 1 || !dir.join(name).is_file() {
            return Err(ModelError::Config {
                file: INDEX.to_owned(),
                problem: format!("it names the shard `{name}`, which is not in the folder"),
            });
        }
    }
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

#[expect(unsafe_code, reason = "mapping a file is the only way to load it without a copy")]
fn map(files: &[PathBuf]) -> Result<MmapedSafetensors> {
    // SAFETY: the mapping is read only. Another process that truncates a weights file while we run
    // would crash us; that is the documented price of not copying gigabytes.
    unsafe { MmapedSafetensors::multi(files) }
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
    fn a_truncated_file_and_a_stray_shard_are_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("model.safetensors"), [0xff; 20]).unwrap();
        let err = Weights::open(dir.path()).err().unwrap().to_string();
        assert!(err.starts_with("weights file `") && err.contains("model.safetensors"), "{err}");
        let index = r#"{"weight_map": {"a": "../other.safetensors"}}"#;
        fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
        let err = Weights::open(dir.path()).err().unwrap().to_string();
        assert!(err.contains("`../other.safetensors`, which is not in the folder"), "{err}");
    }
}
