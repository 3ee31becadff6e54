//! GGUF: the files in which llama.cpp keeps a model, one for the language model and one, `mmproj`,
//! for the vision tower.
//!
//! [`open`] makes of a pair of them what a checkpoint folder is made of: the texts of its JSON
//! files, a tokenizer and a source of tensors under their original names.

mod config;
mod container;
mod convert;
mod export;
#[cfg(test)]
mod hostile;
mod mix;
mod names;
mod plan;
mod source;
mod tensor_type;
mod tokenizer;
mod value;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fs_err as fs;

use crate::error::ModelError;
use crate::files;
use crate::tokenizer::Tokenizer;
use config::Known;
use container::Container;
pub use convert::{ConvertProgress, ConvertReport, convert};
pub use plan::GgufType;
use source::{GgufTensors, OpenFile};
use value::Value;

/// What a checkpoint folder would hold.
pub(crate) struct GgufCheckpoint {
    /// The text of `config.json`.
    pub(crate) config: String,
    /// The text of `preprocessor_config.json`.
    pub(crate) preprocessor: String,
    /// The text of `generation_config.json`.
    pub(crate) generation: String,
    /// The chat template, if the file has one that knows images.
    pub(crate) template: Option<String>,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) weights: GgufTensors,
    /// The files it was read from.
    pub(crate) files: Vec<PathBuf>,
}

/// Whether a path is that of a GGUF file, going by its name.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// Opens the language model at `path` with its vision tower: `mmproj`, or the one file beside it
/// with `mmproj` in its name.
///
/// # Errors
///
/// [`ModelError::Gguf`] naming the file and what in it cannot be used, or
/// [`ModelError::Mmproj`] if it is not clear which file has the vision tower.
pub(crate) fn open(path: &Path, mmproj: Option<&Path>) -> Result<GgufCheckpoint, ModelError> {
    let mut paths = parts(path)?;
    let mut files = paths.iter().map(|path| open_file(path)).collect::<Result<Vec<_>, _>>()?;
    config::check_language_model(&files[0].container.metadata)?;
    let mmproj = match mmproj {
        Some(mmproj) => mmproj.to_owned(),
        None => find_mmproj(path)?,
    };
    let vision = open_file(&mmproj)?;
    config::check_vision(&vision.container.metadata)?;
    paths.push(mmproj);
    files.push(vision);
    let (texts, tokenizer) = texts(&files)?;
    let hidden_size = files[0].container.metadata.get("qwen2vl.embedding_length");
    let hidden_size = hidden_size.and_then(Value::as_integer).unwrap_or(0) as usize;
    let weights = GgufTensors::new(files, hidden_size)?;
    let Texts { config, preprocessor, generation, template } = texts;
    Ok(GgufCheckpoint {
        config,
        preprocessor,
        generation,
        template,
        tokenizer,
        weights,
        files: paths,
    })
}

/// Everything that is made of the metadata.
struct Texts {
    config: String,
    preprocessor: String,
    generation: String,
    template: Option<String>,
}

/// `files` are those of the language model and, last, the vision tower.
fn texts(files: &[OpenFile]) -> Result<(Texts, Tokenizer), ModelError> {
    let (Some(text), Some(vision)) = (files.first(), files.last()) else {
        return Err(ModelError::Gguf { file: String::new(), problem: "no file".to_owned() });
    };
    let (text, vision) = (&text.container, &vision.container);
    let tokenizer = tokenizer::tokenizer(&text.metadata)?;
    let find = |name: &str| files.iter().find_map(|file| file.container.tensors.get(name));
    let rows = find("token_embd.weight").map(|place| place.shape[0]);
    let vocab_size = rows.ok_or_else(|| text.metadata.problem("it has no `token_embd.weight`"))?;
    let gate = vision.tensors.get("v.blk.0.ffn_gate.weight").map(|place| place.shape[0]);
    let id = |name: &str| tokenizer.id(name);
    let known = Known {
        vocab_size,
        tied: find("output.weight").is_none(),
        vision_intermediate_size: gate.unwrap_or(0),
        id: &id,
    };
    let template = "tokenizer.chat_template";
    let template = text.metadata.optional(template, "a text", Value::as_text)?;
    let texts = Texts {
        config: config::config_json(&text.metadata, &vision.metadata, &known)?,
        preprocessor: config::preprocessor_json(&vision.metadata)?,
        generation: config::generation_json(&text.metadata, &id)?,
        template: template.filter(|text| text.contains("image")).map(str::to_owned),
    };
    Ok((texts, tokenizer))
}

fn open_file(path: &Path) -> Result<OpenFile, ModelError> {
    let file = files::open(path).map_err(|source| ModelError::Read { source })?;
    let len = file.metadata().map_err(|source| ModelError::Read { source })?.len();
    let name = path.display().to_string();
    let container = container::read(std::io::BufReader::new(&file), len, &name)?;
    Ok(OpenFile { container, file: Mutex::new(file) })
}

/// The files of a language model: `path`, or all of `…-00001-of-00003.gguf` if it is one of those.
fn parts(path: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((stem, count)) = split_name(&name) else { return Ok(vec![path.to_owned()]) };
    let part = |number| path.with_file_name(format!("{stem}-{number:05}-of-{count:05}.gguf"));
    let parts: Vec<_> = (1..=count).map(part).collect();
    match parts.iter().find(|part| !part.is_file()) {
        None => Ok(parts),
        Some(missing) => Err(ModelError::Gguf {
            file: path.display().to_string(),
            problem: format!("its part `{}` is not beside it", missing.display()),
        }),
    }
}

/// The stem and the number of parts in the name of one part.
fn split_name(name: &str) -> Option<(&str, u32)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let number = |digits: &str| -> Option<u32> {
        let plain = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (part, count) = (number(part)?, number(count)?);
    (1..=count).contains(&part).then_some((stem, count))
}

/// The vision tower's file beside the language model at `path`: `mmproj-NAME` for `NAME`, or else
/// the only one with `mmproj` in its name.
fn find_mmproj(path: &Path) -> Result<PathBuf, ModelError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Some(name) = path.file_name() {
        let own = dir.join(mmproj_name(&name.to_string_lossy()));
        if own.is_file() {
            return Ok(own);
        }
    }
    let mut candidates = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| ModelError::Read { source })? {
        let entry = entry.map_err(|source| ModelError::Read { source })?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if name.contains("mmproj") && is_gguf(Path::new(&name)) {
            candidates.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    candidates.sort_unstable();
    match candidates.as_slice() {
        [only] => Ok(dir.join(only)),
        _ => Err(ModelError::Mmproj { file: path.display().to_string(), candidates }),
    }
}

/// The name of the vision tower's file that belongs to a language model of this name.
pub(crate) fn mmproj_name(language_model: &str) -> String {
    format!("mmproj-{language_model}")
}

/// What a GGUF file says it holds; for fuzzing and for tests.
#[doc(hidden)]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GgufSummary {
    pub keys: usize,
    pub tensors: usize,
}

/// Reads the head of a GGUF file from memory, and what a model is made of as far as it is there:
/// the tokenizer, the configuration and the places of all tensors. For fuzzing: whatever the bytes,
/// it returns, and takes memory in proportion to them.
///
/// # Errors
///
/// [`ModelError::Gguf`] for bytes that are not such a file.
#[doc(hidden)]
pub fn parse_gguf(bytes: &[u8]) -> Result<GgufSummary, ModelError> {
    let Container { metadata, tensors } = container::read(bytes, bytes.len() as u64, "(memory)")?;
    let summary = GgufSummary { keys: metadata.entries.len(), tensors: tensors.len() };
    if metadata.get("tokenizer.ggml.model").is_some() {
        let tokenizer = tokenizer::tokenizer(&metadata)?;
        let id = |name: &str| tokenizer.id(name);
        let known =
            Known { vocab_size: tokenizer.len(), tied: true, vision_intermediate_size: 1, id: &id };
        crate::qwen2_5_vl::config::Config::from_json(&config::config_json(
            &metadata, &metadata, &known,
        )?)?;
        crate::processor::Processor::from_json(&config::preprocessor_json(&metadata)?)?;
        config::generation_json(&metadata, &id)?;
    }
    let part = |place| names::Part { file: 0, place };
    let stored = tensors.into_iter().map(|(name, place)| (name, part(place))).collect();
    let problem = |problem| metadata.problem(problem);
    names::recipes(&stored, 64).map_err(problem)?;
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::TensorSource;
    use write::PlannedTensor;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/gguf").join(name)
    }

    /// Large models come in parts, as `llama-gguf-split` cuts them: the first has the metadata, each
    /// has some of the tensors.
    #[test]
    fn a_model_in_parts_is_the_model() {
        let dir = tempfile::tempdir().unwrap();
        let whole = open_file(&fixture("flat-f32.gguf")).unwrap().container;
        let bytes = fs::read(fixture("flat-f32.gguf")).unwrap();
        let mut names: Vec<_> = whole.tensors.keys().collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        let part = |number: usize| dir.path().join(format!("m-0000{number}-of-00002.gguf"));
        for (number, names) in (1..).zip(names.chunks(names.len().div_ceil(2))) {
            let planned = |name: &&String| {
                let place = &whole.tensors[*name];
                let (shape, kind) = (place.shape.clone(), place.kind);
                PlannedTensor { name: (*name).clone(), shape, kind }
            };
            let planned: Vec<_> = names.iter().map(planned).collect();
            let metadata = if number == 1 { whole.metadata.entries.clone() } else { Vec::new() };
            let mut file = write::head(&metadata, &planned);
            for name in names {
                let place = &whole.tensors[*name];
                let elements = &bytes[place.start as usize..][..place.len as usize];
                write::tensor(&mut file, elements).unwrap();
            }
            fs::write(part(number), file).unwrap();
        }
        let mmproj = fixture("mmproj-flat-f32.gguf");
        let expected = open(&fixture("flat-f32.gguf"), Some(&mmproj)).unwrap();
        for number in [1, 2] {
            let parts = open(&part(number), Some(&mmproj)).unwrap();
            assert_eq!(parts.files, [part(1), part(2), mmproj.clone()]);
            assert_eq!(parts.config, expected.config);
            assert_eq!(parts.weights.tensors(), expected.weights.tensors());
            for name in ["lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"] {
                let read = |gguf: &GgufCheckpoint| gguf.weights.read(name).unwrap().into_f32();
                assert_eq!(read(&parts).unwrap(), read(&expected).unwrap(), "{name}");
            }
        }
        fs::copy(part(1), part(2)).unwrap();
        let err = open(&part(1), Some(&mmproj)).err().unwrap().to_string();
        assert!(err.contains("is in another of the files too"), "{err}");
        fs::remove_file(part(2)).unwrap();
        let err = open(&part(1), Some(&mmproj)).err().unwrap().to_string();
        assert!(err.ends_with("m-00002-of-00002.gguf` is not beside it"), "{err}");
    }

    #[test]
    fn parts_are_known_by_their_names() {
        assert_eq!(split_name("qwen-72b-q8_0-00002-of-00003.gguf"), Some(("qwen-72b-q8_0", 3)));
        for other in [
            "qwen.gguf",
            "qwen-00004-of-00003.gguf",
            "qwen-2-of-3.gguf",
            "qwen-00000-of-00003.gguf",
            "qwen-+0001-of-00003.gguf",
            "qwen-00001-of-00003.bin",
        ] {
            assert_eq!(split_name(other), None, "{other}");
        }
    }
}
