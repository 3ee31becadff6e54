//! A pair of GGUF files as a source of tensors under their original names.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::quantized::GgmlDType;
use fs_err as fs;
use half::{bf16, f16};

use super::container::{Container, TensorPlace};
use super::names::{Part, Recipe, Stored, recipes};
use crate::error::ModelError;
use crate::huge_pages;
use crate::weights::{Data, Loaded, StoredTensor, StoredType, TensorInfo, TensorSource};

/// A GGUF file whose head has been read.
pub(crate) struct OpenFile {
    pub(crate) container: Container,
    /// Reads move its position, so they take turns.
    pub(crate) file: Mutex<fs::File>,
}

/// The tensors of one or more files.
pub(crate) struct GgufTensors {
    files: Vec<OpenFile>,
    tensors: BTreeMap<String, TensorInfo>,
    recipes: BTreeMap<String, Recipe>,
}

impl GgufTensors {
    /// Finds the model's tensors in these files. `hidden_size` is the width of the decoder.
    ///
    /// # Errors
    ///
    /// [`ModelError::Gguf`] if a tensor is in two files, or what does not fit together.
    pub(crate) fn new(files: Vec<OpenFile>, hidden_size: usize) -> Loaded<Self> {
        let mut stored = Stored::new();
        for (file, open) in files.iter().enumerate() {
            for (name, place) in &open.container.tensors {
                let part = Part { file, place: place.clone() };
                if stored.insert(name.clone(), part).is_some() {
                    let problem = format!("its tensor `{name}` is in another of the files too");
                    return Err(open.container.metadata.problem(problem));
                }
            }
        }
        let problem = |problem| match files.first() {
            Some(open) => open.container.metadata.problem(problem),
            None => ModelError::Gguf { file: String::new(), problem },
        };
        let recipes = recipes(&stored, hidden_size).map_err(problem)?;
        let tensors = recipes.iter().map(|(name, recipe)| (name.clone(), info(recipe))).collect();
        Ok(Self { files, tensors, recipes })
    }

    /// Reads the bytes in `range` of a part, counted from its first.
    fn bytes(&self, part: &Part, range: Range<u64>) -> Loaded<Vec<u8>> {
        let mut file = self.files[part.file].file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = huge_pages::zeroed((range.end - range.start) as usize);
        file.seek(SeekFrom::Start(part.place.start + range.start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|source| ModelError::Read { source })?;
        Ok(bytes)
    }

    fn whole(&self, part: &Part) -> Loaded<Vec<u8>> {
        self.bytes(part, 0..part.place.len)
    }
}

impl TensorSource for GgufTensors {
    fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    fn read(&self, name: &str) -> Loaded<StoredTensor> {
        let (Some(recipe), Some(info)) = (self.recipes.get(name), self.tensors.get(name)) else {
            return Err(ModelError::MissingTensor { name: name.to_owned() });
        };
        let shape = info.shape.clone();
        let data = match recipe {
            Recipe::Whole(part) => data(part.place.kind.dtype, self.whole(part)?),
            Recipe::Slice { part, first, count } => {
                let row = part.place.len / part.place.shape[0] as u64;
                let (first, count) = (*first as u64, *count as u64);
                let bytes = self.bytes(part, first * row..(first + count) * row)?;
                data(part.place.kind.dtype, bytes)
            }
            Recipe::Rows(parts) if alike(parts) => {
                let mut bytes = Vec::new();
                for part in parts {
                    bytes.append(&mut self.whole(part)?);
                }
                data(parts[0].place.kind.dtype, bytes)
            }
            Recipe::Rows(parts) => {
                let mut values = Vec::new();
                for part in parts {
                    values.append(&mut self.values(part)?);
                }
                Data::F32(values)
            }
            Recipe::Frames([first, second]) => {
                let frame = shape[3] * shape[4];
                Data::F32(alternate(&self.values(first)?, &self.values(second)?, frame))
            }
        };
        Ok(StoredTensor { shape, data })
    }
}

impl GgufTensors {
    /// All elements of a part in f32.
    fn values(&self, part: &Part) -> Loaded<Vec<f32>> {
        let TensorPlace { shape, kind, .. } = &part.place;
        let data = data(kind.dtype, self.whole(part)?);
        StoredTensor { shape: shape.clone(), data }.into_f32()
    }
}

/// What is known of a tensor from how it is made.
fn info(recipe: &Recipe) -> TensorInfo {
    match recipe {
        Recipe::Whole(part) => {
            TensorInfo { shape: part.place.shape.clone(), stored: stored(part.place.kind.dtype) }
        }
        Recipe::Slice { part, count, .. } => {
            let mut shape = part.place.shape.clone();
            shape[0] = *count;
            TensorInfo { shape, stored: stored(part.place.kind.dtype) }
        }
        Recipe::Rows(parts) => {
            let mut shape = parts[0].place.shape.clone();
            shape[0] = parts.iter().map(|part| part.place.shape[0]).sum();
            let first = stored(parts[0].place.kind.dtype);
            TensorInfo { shape, stored: if alike(parts) { first } else { StoredType::F32 } }
        }
        Recipe::Frames(parts) => {
            let mut shape = parts[0].place.shape.clone();
            shape.insert(2, parts.len());
            TensorInfo { shape, stored: StoredType::F32 }
        }
    }
}

fn alike(parts: &[Part]) -> bool {
    parts.iter().all(|part| part.place.kind == parts[0].place.kind)
}

fn stored(dtype: GgmlDType) -> StoredType {
    match dtype {
        GgmlDType::F32 => StoredType::F32,
        GgmlDType::F16 => StoredType::F16,
        GgmlDType::BF16 => StoredType::Bf16,
        blocks => StoredType::Ggml(blocks),
    }
}

fn data(dtype: GgmlDType, bytes: Vec<u8>) -> Data {
    match dtype {
        GgmlDType::F32 => Data::F32(elements(&bytes, f32::from_le_bytes)),
        GgmlDType::F16 => Data::F16(elements(&bytes, f16::from_le_bytes)),
        GgmlDType::BF16 => Data::Bf16(elements(&bytes, bf16::from_le_bytes)),
        dtype => Data::Ggml { dtype, bytes },
    }
}

fn elements<T, const N: usize>(bytes: &[u8], element: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (elements, _rest) = bytes.as_chunks::<N>();
    elements.iter().map(|bytes| element(*bytes)).collect()
}

/// Runs of `len` elements, in turn of the one and the other.
fn alternate(first: &[f32], second: &[f32], len: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(first.len() + second.len());
    for (a, b) in first.chunks_exact(len).zip(second.chunks_exact(len)) {
        values.extend_from_slice(a);
        values.extend_from_slice(b);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::open_file;
    use candle_core::Device;
    use std::path::Path;

    /// Golden: `gguf_wide_tensors`, the first 512 elements of every matrix of the decoder of
    /// `wide.gguf` as llama.cpp's Python package dequantises them; there is one of every type.
    #[test]
    fn every_type_is_dequantised_as_llama_cpp_does() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
        let golden = tests.join("golden/gguf_wide_tensors.safetensors");
        let golden = candle_core::safetensors::load(golden, &Device::Cpu).unwrap();
        let file = open_file(&tests.join("fixtures/gguf/wide.gguf")).unwrap();
        let places = file.container.tensors.clone();
        let source = GgufTensors::new(vec![file], 256).unwrap();
        let mut types = std::collections::BTreeSet::new();
        for (name, expected) in golden {
            let expected: Vec<f32> = expected.to_vec1().unwrap();
            let place = &places[&name];
            types.insert(place.kind.name);
            let part = Part { file: 0, place: place.clone() };
            let values = source.values(&part).unwrap();
            for (at, (value, expected)) in values.iter().zip(&expected).enumerate() {
                // The order of multiplying the scales differs.
                let near = (value - expected).abs() <= 1e-6 * expected.abs().max(1e-3);
                assert!(
                    near,
                    "{name} ({}), element {at}: {value}, not {expected}",
                    place.kind.name
                );
            }
        }
        let expected = [
            "BF16", "Q2_K", "Q3_K", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0",
        ];
        assert_eq!(types.into_iter().collect::<Vec<_>>(), expected);

        // One of the joined projections, cut out of the bytes, is the same as of the values.
        let joined = Part { file: 0, place: places["blk.0.attn_qkv.weight"].clone() };
        let values = source.values(&joined).unwrap();
        let name = "model.layers.0.self_attn.k_proj.weight";
        assert_eq!(source.tensors()[name].shape, [64, 256]);
        let cut = source.read(name).unwrap().into_f32().unwrap();
        assert_eq!(cut, values[256 * 256..(256 + 64) * 256]);
    }

    #[test]
    fn frames_alternate_within_each_channel() {
        assert_eq!(
            alternate(&[1., 2., 3., 4.], &[5., 6., 7., 8.], 2),
            [1., 2., 5., 6., 3., 4., 7., 8.]
        );
    }
}
