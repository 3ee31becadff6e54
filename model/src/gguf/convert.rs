//! Writes a checkpoint folder as a pair of GGUF files: the work behind `models quantize`.
//!
//! One tensor is in memory at a time. Both files are written under other names and renamed when they
//! are whole, so that no half of a model is ever found under its name.

use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use fs_err as fs;
use half::{bf16, f16};
use rayon::prelude::*;
use serde_json::{Map, Value as Json};

use super::export::{Entries, Extras, language_model, vision};
use super::plan::{Elements, GgufType, Group, Output, plan};
use super::write::{PlannedTensor, head, padded_len, tensor};
use super::{is_gguf, mmproj_name};
use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::files;
use crate::request::CancelFlag;
use crate::weights::TensorSource;

/// How far a conversion is.
#[derive(Clone, Copy, Debug)]
pub struct ConvertProgress<'a> {
    /// The tensor that was just written, by its name in the file.
    pub tensor: &'a str,
    /// Bytes written, of both files.
    pub done: u64,
    /// Bytes there will be.
    pub total: u64,
}

/// What a conversion wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConvertReport {
    /// The language model.
    pub language_model: PathBuf,
    /// The vision tower.
    pub mmproj: PathBuf,
    /// The sizes of both, in bytes.
    pub bytes: [u64; 2],
    /// What the weights took in the checkpoint, in bytes.
    pub stored_bytes: u64,
}

/// Writes the checkpoint folder `input` as the language model `out` and, beside it, its vision
/// tower `mmproj-` and the name of `out`.
///
/// `progress` is told after every tensor; `cancel` is looked at as often.
///
/// # Errors
///
/// [`ModelError`] of the checkpoint, [`ModelError::Output`] if a file is there already or the disk
/// is too small, [`ModelError::Write`], [`ModelError::Cancelled`]. Nothing is left behind then.
pub fn convert(
    input: &Path,
    out: &Path,
    kind: GgufType,
    progress: &mut dyn FnMut(ConvertProgress<'_>),
    cancel: &CancelFlag,
) -> Result<ConvertReport, ModelError> {
    let paths = output_paths(input, out)?;
    let (checkpoint, _files) = Checkpoint::open(input, None)?;
    let extras = extras(input)?;
    let source = &*checkpoint.weights;
    let groups = plan(source, &checkpoint.config, kind)?;
    let [text_type, vision_type] = kind.file_types();
    let entries = [
        language_model(&checkpoint, &extras, text_type)?,
        vision(&checkpoint, &extras, vision_type)?,
    ];
    let heads = [file_head(&entries[0], &groups[0]), file_head(&entries[1], &groups[1])];
    let bytes = [file_len(&heads[0], &groups[0]), file_len(&heads[1], &groups[1])];
    let total = bytes.iter().sum();
    check_space(&paths[0], total)?;

    let mut done = 0;
    let mut wrote = |name: &str, len: u64| {
        done += len;
        progress(ConvertProgress { tensor: name, done, total });
    };
    let mut partial = Vec::new();
    for ((path, head), groups) in paths.iter().zip(&heads).zip(&groups) {
        let mut file = Partial::create(path)?;
        file.write(|out| out.write_all(head))?;
        wrote("", head.len() as u64);
        for group in groups {
            if cancel.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            write_group(source, group, &mut file, &mut wrote)?;
        }
        partial.push(file);
    }
    // The vision tower first: a language model that is there can be loaded.
    while let Some(file) = partial.pop() {
        file.finish()?;
    }
    let [language_model, mmproj] = paths;
    let stored_bytes = source.stored_bytes();
    Ok(ConvertReport { language_model, mmproj, bytes, stored_bytes })
}

/// The two files that will be there.
fn output_paths(input: &Path, out: &Path) -> Result<[PathBuf; 2], ModelError> {
    let refuse = |problem| Err(ModelError::Output { path: out.to_owned(), problem });
    if is_gguf(input) {
        return Err(ModelError::Gguf {
            file: input.display().to_string(),
            problem: "only a checkpoint folder can be converted".to_owned(),
        });
    }
    let Some(name) = out.file_name().filter(|_| is_gguf(out)) else {
        return refuse("its name does not end in `.gguf`".to_owned());
    };
    let paths = [out.to_owned(), out.with_file_name(mmproj_name(&name.to_string_lossy()))];
    match paths.iter().find(|path| path.exists()) {
        Some(path) => refuse(format!("`{}` is there already", path.display())),
        None => Ok(paths),
    }
}

fn extras(folder: &Path) -> Result<Extras, ModelError> {
    let read = |name: &str| -> Result<Map<String, Json>, ModelError> {
        let text = match files::read_text(&folder.join(name)) {
            Ok(text) => text,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
            Err(source) => return Err(ModelError::Read { source }),
        };
        let json = serde_json::from_str(&text);
        json.map_err(|source| ModelError::Json { file: name.to_owned(), source })
    };
    Ok(Extras { config: read("config.json")?, generation: read("generation_config.json")? })
}

fn outputs(groups: &[Group]) -> impl Iterator<Item = &PlannedTensor> {
    groups.iter().flat_map(|group| &group.outputs).map(|output| &output.tensor)
}

fn file_head(entries: &Entries, groups: &[Group]) -> Vec<u8> {
    head(entries, &outputs(groups).cloned().collect::<Vec<_>>())
}

fn file_len(head: &[u8], groups: &[Group]) -> u64 {
    head.len() as u64 + outputs(groups).map(|tensor| padded_len(tensor.len())).sum::<u64>()
}

fn check_space(out: &Path, needed: u64) -> Result<(), ModelError> {
    let dir = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let available = fs4::available_space(dir).map_err(|source| ModelError::Write { source })?;
    if available >= needed {
        return Ok(());
    }
    let problem = format!("{needed} bytes are needed, but {available} are free");
    Err(ModelError::Output { path: out.to_owned(), problem })
}

fn write_group(
    source: &dyn TensorSource,
    group: &Group,
    file: &mut Partial,
    wrote: &mut dyn FnMut(&str, u64),
) -> Result<(), ModelError> {
    let stored = source.read(&group.original)?;
    let found = stored.shape.clone();
    let values = stored.into_f32()?;
    for output in &group.outputs {
        let bytes = encode(&values, output)?;
        if bytes.len() as u64 != output.tensor.len() {
            let (name, expected) = (group.original.clone(), output.tensor.shape.clone());
            return Err(ModelError::TensorShape { name, expected, found });
        }
        file.write(|out| tensor(out, &bytes))?;
        wrote(&output.tensor.name, padded_len(bytes.len() as u64));
    }
    Ok(())
}

/// The bytes of a tensor in its type, from the elements of the original.
fn encode(values: &[f32], output: &Output) -> Result<Vec<u8>, ModelError> {
    let dtype = output.tensor.kind.dtype;
    let frame;
    let values = match output.elements.clone() {
        Elements::Range(range) => values.get(range).unwrap_or_default(),
        Elements::Frame { frame: number, of, len } => {
            frame = values.chunks_exact(len).skip(number).step_by(of).flatten().copied().collect();
            let frame: &Vec<f32> = &frame;
            frame
        }
    };
    let largest = if dtype == GgmlDType::F16 { f16::MAX.to_f32() } else { f32::MAX };
    if !values.par_iter().all(|value| value.abs() <= largest) {
        return Err(ModelError::Config {
            file: "the weights".to_owned(),
            problem: format!(
                "`{}` has a value that is not finite, or too large for its type",
                output.tensor.name
            ),
        });
    }
    Ok(match dtype {
        GgmlDType::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        GgmlDType::F16 => {
            values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()
        }
        GgmlDType::BF16 => {
            values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect()
        }
        blocks => {
            // A multiple of every block.
            const TASK: usize = 1 << 16;
            let tasks = values.par_chunks(TASK).map(|task| {
                let task = Tensor::from_slice(task, task.len(), &Device::Cpu)?;
                Ok(QTensor::quantize(&task, blocks)?.data()?.into_owned())
            });
            tasks.collect::<candle_core::Result<Vec<_>>>()?.concat()
        }
    })
}

/// A file that takes its name when it is whole, and goes when it does not get there.
struct Partial {
    out: Option<std::io::BufWriter<fs::File>>,
    /// Where it is until then.
    temporary: PathBuf,
    path: PathBuf,
}

impl Partial {
    fn create(path: &Path) -> Result<Self, ModelError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.partial", std::process::id()));
        let file = fs::File::create(&temporary).map_err(|source| ModelError::Write { source })?;
        let out = Some(std::io::BufWriter::with_capacity(1 << 20, file));
        Ok(Self { out, temporary, path: path.to_owned() })
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut std::io::BufWriter<fs::File>) -> std::io::Result<()>,
    ) -> Result<(), ModelError> {
        let written = self.out.as_mut().map_or(Ok(()), write);
        written.map_err(|source| ModelError::Write { source })
    }

    /// Makes the file durable and gives it its name.
    fn finish(mut self) -> Result<(), ModelError> {
        let failed = |source| ModelError::Write { source };
        if let Some(out) = self.out.take() {
            let file = out.into_inner().map_err(|err| failed(err.into_error()))?;
            file.sync_all().map_err(failed)?;
        }
        fs::rename(&self.temporary, &self.path).map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After `finish` there is nothing of this name.
        let _gone = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::open_file;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
    }

    /// What llama.cpp's converter made of the same folder: the same metadata, and every tensor the
    /// same to the byte, but for the merger, which we keep in 16 bits.
    #[test]
    fn a_converted_checkpoint_is_what_llama_cpp_makes_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("flat.gguf");
        let kind = GgufType::Q8_0;
        let folder = fixtures().join("tiny-qwen2_5_vl/flat-f32");
        let mut shown = Vec::new();
        let mut show = |progress: ConvertProgress<'_>| shown.push((progress.done, progress.total));
        let report = convert(&folder, &out, kind, &mut show, &CancelFlag::default()).unwrap();
        assert!(shown.is_sorted_by(|a, b| a.0 < b.0) && shown.iter().all(|p| p.1 == shown[0].1));
        assert_eq!(shown.last().map(|last| last.0), Some(report.bytes.iter().sum()));
        for (path, bytes) in [&report.language_model, &report.mmproj].into_iter().zip(report.bytes)
        {
            assert_eq!(fs::metadata(path).unwrap().len(), bytes, "{}", path.display());
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");

        for (ours, theirs, left_out) in [
            (&report.language_model, "flat-q8_0.gguf", vec!["general.name", "general.size_label"]),
            (&report.mmproj, "mmproj-flat-q8_0.gguf", vec!["general.name", "general.size_label"]),
        ] {
            let (ours_bytes, theirs) =
                (fs::read(ours).unwrap(), fixtures().join("gguf").join(theirs));
            let theirs_bytes = fs::read(&theirs).unwrap();
            let (ours, theirs) = (open_file(ours).unwrap(), open_file(&theirs).unwrap());
            let (ours, theirs) = (ours.container, theirs.container);
            for (key, value) in &theirs.metadata.entries {
                if !left_out.contains(&key.as_str()) {
                    assert_eq!(ours.metadata.get(key), Some(value), "{key}");
                }
            }
            assert_eq!(ours.tensors.len(), theirs.tensors.len());
            for (name, theirs) in &theirs.tensors {
                let ours = &ours.tensors[name];
                assert_eq!(ours.shape, theirs.shape, "{name}");
                if name.starts_with("mm.") && theirs.shape.len() > 1 {
                    assert_eq!((ours.kind.name, theirs.kind.name), ("F16", "Q8_0"), "{name}");
                    continue;
                }
                assert_eq!(ours.kind, theirs.kind, "{name}");
                let bytes = |all: &[u8], start: u64, len: u64| {
                    all[start as usize..][..len as usize].to_vec()
                };
                let same = bytes(&ours_bytes, ours.start, ours.len)
                    == bytes(&theirs_bytes, theirs.start, theirs.len);
                assert!(same, "the bytes of `{name}` differ");
            }
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let folder = fixtures().join("tiny-qwen2_5_vl/sharded-bf16");
        let run = |input: &Path, out: &str, cancel: &CancelFlag| {
            let result = convert(input, &dir.path().join(out), GgufType::Bf16, &mut |_| {}, cancel);
            result.unwrap_err().to_string()
        };
        let go = CancelFlag::default();
        let left = || fs::read_dir(dir.path()).unwrap().count();
        assert!(run(&folder, "model.bin", &go).ends_with("its name does not end in `.gguf`"));
        let stop = CancelFlag::default();
        stop.cancel();
        assert_eq!(run(&folder, "model.gguf", &stop), "interrupted");
        let message = run(&fixtures().join("gguf/wide.gguf"), "model.gguf", &go);
        assert!(message.ends_with("only a checkpoint folder can be converted"), "{message}");
        assert!(run(&fixtures(), "model.gguf", &go).contains("has no config.json"));
        assert!(run(&folder, "no/such/folder/model.gguf", &go).starts_with("could not write"));
        assert_eq!(left(), 0);
        fs::write(dir.path().join("mmproj-model.gguf"), "mine").unwrap();
        assert!(run(&folder, "model.gguf", &go).ends_with("mmproj-model.gguf` is there already"));
        assert_eq!(left(), 1);
    }

    #[test]
    fn a_value_that_the_type_cannot_hold_is_refused() {
        let kind = crate::gguf::tensor_type::TensorType::from_number(1).unwrap();
        let tensor = PlannedTensor { name: "t".to_owned(), shape: vec![1, 2], kind };
        let output = Output { tensor, elements: Elements::Range(0..2) };
        assert!(encode(&[1.0, -65_504.0], &output).is_ok());
        for bad in [70_000.0, f32::NAN, f32::NEG_INFINITY] {
            assert!(encode(&[1.0, bad], &output).is_err(), "{bad}");
        }
    }

    #[test]
    fn frames_are_taken_out_of_the_convolution() {
        let kind = crate::gguf::tensor_type::TensorType::from_number(0).unwrap();
        let tensor = PlannedTensor { name: "t".to_owned(), shape: vec![2, 3], kind };
        let output = Output { tensor, elements: Elements::Frame { frame: 1, of: 2, len: 3 } };
        let values: Vec<f32> = (0_u8..12).map(f32::from).collect();
        let expected: Vec<u8> =
            [3_f32, 4., 5., 9., 10., 11.].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(encode(&values, &output).unwrap(), expected);
    }
}
