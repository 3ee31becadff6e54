//! safetensors files, and the one inside the binary.
//!
//! Tensors are read, not mapped: what was read once is all that stays in memory, and a file that
//! another process cuts short gives an error instead of ending this one. The header is believed only
//! where the file bears it out.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytemuck::Pod;
use fs_err as fs;
use half::vec::HalfBitsVecExt;
use safetensors::tensor::{Dtype, Metadata};
use serde::Deserialize;

use super::{Data, Loaded, StoredTensor, StoredType, TensorInfo, TensorSource, original_name};
use crate::error::ModelError;
use crate::files;
use crate::huge_pages;

/// The largest header read, as the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// The tensors of a folder's safetensors files.
pub(crate) struct Safetensors {
    files: Vec<Shard>,
    tensors: BTreeMap<String, TensorInfo>,
    places: HashMap<String, Place>,
}

struct Shard {
    /// As shown in errors.
    name: String,
    bytes: Mutex<Bytes>,
}

enum Bytes {
    File(fs::File),
    Memory(Cow<'static, [u8]>),
}

/// Where a tensor is.
struct Place {
    shard: usize,
    /// From the start of the file.
    start: u64,
    shape: Vec<usize>,
    dtype: Dtype,
}

impl Safetensors {
    /// Opens the safetensors files of a folder: those `model.safetensors.index.json` names, or
    /// `model.safetensors`.
    pub(crate) fn open(dir: &Path) -> Loaded<Self> {
        let mut all = Self { files: Vec::new(), tensors: BTreeMap::new(), places: HashMap::new() };
        for path in weight_files(dir)? {
            let file = files::open(&path).map_err(|source| ModelError::Read { source })?;
            all.add(path.display().to_string(), Bytes::File(file))?;
        }
        Ok(all)
    }

    /// Takes a safetensors file that is in memory, such as the one that is part of the binary.
    pub(crate) fn from_bytes(bytes: Cow<'static, [u8]>) -> Loaded<Self> {
        let mut all = Self { files: Vec::new(), tensors: BTreeMap::new(), places: HashMap::new() };
        all.add("(memory)".to_owned(), Bytes::Memory(bytes))?;
        Ok(all)
    }

    fn add(&mut self, name: String, mut bytes: Bytes) -> Loaded<()> {
        let unreadable = |source| ModelError::Weights { file: name.clone(), source };
        let (data_start, metadata) = read_header(&mut bytes).map_err(unreadable)?;
        for (stored_name, info) in metadata.tensors() {
            let original = original_name(&stored_name);
            if let Some(stored) = stored_type(info.dtype) {
                let known = TensorInfo { shape: original_shape(&original, &info.shape), stored };
                self.tensors.insert(original.clone(), known);
            }
            let place = Place {
                shard: self.files.len(),
                start: data_start + info.data_offsets.0 as u64,
                shape: info.shape.clone(),
                dtype: info.dtype,
            };
            if self.places.insert(original, place).is_some() {
                let problem = format!("the tensor `{stored_name}` is there twice");
                return Err(unreadable(problem.into()));
            }
        }
        self.files.push(Shard { name, bytes: Mutex::new(bytes) });
        Ok(())
    }

    fn data(&self, name: &str, place: &Place) -> Loaded<Data> {
        let shard = &self.files[place.shard];
        let unreadable = |source| ModelError::Weights { file: shard.name.clone(), source };
        let elements = place.shape.iter().product();
        // A panic elsewhere cannot leave a file in a state that matters: every read seeks first.
        let mut bytes = shard.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let data = match place.dtype {
            Dtype::F32 => bytes.read_vec(place.start, elements).map(Data::F32),
            Dtype::I32 => bytes.read_vec(place.start, elements).map(Data::I32),
            Dtype::F16 => bytes
                .read_vec::<u16>(place.start, elements)
                .map(|values| Data::F16(values.reinterpret_into())),
            Dtype::BF16 => bytes
                .read_vec::<u16>(place.start, elements)
                .map(|values| Data::Bf16(values.reinterpret_into())),
            other => {
                let problem = format!("tensor `{name}` has elements of type {other}");
                return Err(unreadable(problem.into()));
            }
        };
        data.map_err(|err| unreadable(err.into()))
    }
}

impl TensorSource for Safetensors {
    fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    fn read(&self, name: &str) -> Loaded<StoredTensor> {
        let missing = || ModelError::MissingTensor { name: name.to_owned() };
        let place = self.places.get(name).ok_or_else(missing)?;
        let data = self.data(name, place)?;
        if original_shape(name, &place.shape) == place.shape {
            return Ok(StoredTensor { shape: place.shape.clone(), data });
        }
        let values = StoredTensor { shape: place.shape.clone(), data }.into_f32()?;
        channels_first(values, &place.shape)
    }
}

const PATCH_EMBED: &str = "visual.patch_embed.proj.weight";

/// The shape a tensor has in the original release: MLX keeps the channels of the patch convolution
/// last.
fn original_shape(name: &str, shape: &[usize]) -> Vec<usize> {
    match *shape {
        [c, t, h, w, 3] if name == PATCH_EMBED => vec![c, 3, t, h, w],
        _ => shape.to_vec(),
    }
}

/// `(out, t, h, w, 3)` → `(out, 3, t, h, w)`
fn channels_first(values: Vec<f32>, shape: &[usize]) -> Loaded<StoredTensor> {
    let tensor = candle_core::Tensor::from_vec(values, shape, &candle_core::Device::Cpu)?;
    let tensor = tensor.permute([0, 4, 1, 2, 3])?.contiguous()?;
    let shape = tensor.dims().to_vec();
    Ok(StoredTensor { shape, data: Data::F32(tensor.flatten_all()?.to_vec1()?) })
}

fn stored_type(dtype: Dtype) -> Option<StoredType> {
    match dtype {
        Dtype::F32 => Some(StoredType::F32),
        Dtype::F16 => Some(StoredType::F16),
        Dtype::BF16 => Some(StoredType::Bf16),
        Dtype::I32 => Some(StoredType::I32),
        _ => None,
    }
}

impl Bytes {
    fn len(&self) -> std::io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `buffer` from `start`.
    fn read_at(&mut self, start: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::File(file) => {
                file.seek(SeekFrom::Start(start))?;
                file.read_exact(buffer)
            }
            Self::Memory(bytes) => {
                let from = usize::try_from(start).ok().and_then(|start| bytes.get(start..));
                let mut from = from.ok_or(std::io::ErrorKind::UnexpectedEof)?;
                from.read_exact(buffer)
            }
        }
    }

    /// Reads little-endian numbers, whose count the header was checked for.
    fn read_vec<T: Pod>(&mut self, start: u64, elements: usize) -> std::io::Result<Vec<T>> {
        let mut values = huge_pages::zeroed(elements);
        self.read_at(start, bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }
}

/// Reads the header and returns it with where the data starts. Everything in it has been checked
/// against the length of the file: the tensors fill it without gaps or overlaps.
fn read_header(
    bytes: &mut Bytes,
) -> Result<(u64, Metadata), Box<dyn std::error::Error + Send + Sync>> {
    let file_len = bytes.len()?;
    let mut len = [0; 8];
    bytes.read_at(0, &mut len)?;
    let header_len = u64::from_le_bytes(len);
    if header_len > MAX_HEADER.min(file_len - 8) {
        let problem = format!("it says its header has {header_len} bytes, of {file_len} in all");
        return Err(problem.into());
    }
    let mut header = vec![0; usize::try_from(header_len)?];
    bytes.read_at(8, &mut header)?;
    let metadata: Metadata = serde_json::from_slice(&header)?;
    let data_start = 8 + header_len;
    let expected = data_start.checked_add(metadata.data_len() as u64);
    if expected != Some(file_len) {
        let data = metadata.data_len();
        let problem =
            format!("its tensors take {data} bytes, but {} are there", file_len - data_start);
        return Err(problem.into());
    }
    Ok((data_start, metadata))
}

#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

/// Returns the safetensors files of a checkpoint folder, in order of name.
pub(crate) fn weight_files(dir: &Path) -> Loaded<Vec<PathBuf>> {
    const INDEX: &str = "model.safetensors.index.json";
    let index = dir.join(INDEX);
    if !index.exists() {
        let single = dir.join("model.safetensors");
        let missing = || ModelError::MissingFile { dir: dir.to_owned(), what: "model.safetensors" };
        return single.exists().then(|| vec![single]).ok_or_else(missing);
    }
    let text = files::read_text(&index).map_err(|source| ModelError::Read { source })?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a file with this header and `data` bytes after it, and says why it cannot be opened.
    fn refusal(header: &str, data: usize) -> String {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        refusal_of(&bytes)
    }

    fn refusal_of(bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
        let err = Safetensors::open(dir.path()).err().expect("it must be refused");
        let ModelError::Weights { file, source } = err else { panic!("{err}") };
        assert!(file.ends_with("model.safetensors"), "{file}");
        source.to_string()
    }

    #[test]
    fn a_header_that_lies_is_refused_before_anything_is_allocated() {
        let tensor = |shape: &str, from: u64, to: u64| {
            format!(
                r#"{{"a": {{"dtype": "BF16", "shape": {shape}, "data_offsets": [{from}, {to}]}}}}"#
            )
        };
        let huge = 1_u64 << 60;
        for (header, data, expected) in [
            (tensor("[4]", 0, 8), 6, "its tensors take 8 bytes, but 6 are there"),
            (tensor("[4]", 0, 8), 9, "its tensors take 8 bytes, but 9 are there"),
            (tensor("[5]", 0, 8), 8, "invalid shape"),
            (tensor("[4]", 8, 16), 16, "offset"),
            (tensor("[4]", 8, 0), 8, "offset"),
            (tensor(&format!("[{}]", huge / 2), 0, huge), 8, "bytes, but 8 are there"),
            (tensor(&format!("[{huge}, {huge}]"), 0, 8), 8, "overflow"),
            (tensor("[-1]", 0, 8), 8, "invalid value"),
            ("[]".to_owned(), 0, "invalid type"),
            ("{".to_owned(), 0, "EOF"),
        ] {
            let problem = refusal(&header, data);
            assert!(problem.contains(expected), "{header}: {problem}");
        }
        let mut lying = (huge).to_le_bytes().to_vec();
        lying.extend([b'{'; 8]);
        assert_eq!(
            refusal_of(&lying),
            format!("it says its header has {huge} bytes, of 16 in all")
        );
        assert!(refusal_of(&[0; 4]).contains("fill whole buffer"));
    }

    #[test]
    fn a_stray_shard_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let index = r#"{"weight_map": {"a": "../other.safetensors"}}"#;
        fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
        let err = Safetensors::open(dir.path()).err().unwrap().to_string();
        assert!(err.contains("`../other.safetensors`, which is not in the folder"), "{err}");
    }

    #[test]
    fn a_tensor_of_another_type_is_refused_when_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let header = r#"{"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 2]);
        fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
        let source = Safetensors::open(dir.path()).unwrap();
        let err = source.read("a").err().unwrap();
        let ModelError::Weights { source, .. } = err else { panic!("{err}") };
        assert_eq!(source.to_string(), "tensor `a` has elements of type F8_E4M3");
    }

    #[test]
    fn a_file_cut_short_while_it_is_used_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let header = r#"{"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0x00, 0x3c, 0x00, 0xc0]);
        fs::write(&path, &bytes).unwrap();
        let source = Safetensors::open(dir.path()).unwrap();
        assert_eq!(source.parameters(), 2);
        assert_eq!(source.stored_bytes(), 4);
        assert_eq!(source.read("a").unwrap().into_f32().unwrap(), [1.0, -2.0]);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(20).unwrap();
        assert!(matches!(source.read("a"), Err(ModelError::Weights { .. })));
    }
}
