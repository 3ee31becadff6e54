//! What is in a Hugging Face checkpoint folder, or in the one inside the binary.

use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::chat::{ChatTemplate, DEFAULT_TEMPLATE};
use crate::error::ModelError;
use crate::files;
use crate::gguf;
use crate::processor::Processor;
use crate::qwen2_5_vl::config::Config;
use crate::tokenizer::Tokenizer;
use crate::weights::{Awq, AwqConfig, Safetensors, TensorSource, weight_files};

/// A checkpoint's files, parsed; the tensors are not read yet.
pub(crate) struct Checkpoint {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) processor: Processor,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) template: ChatTemplate,
    pub(crate) stop_ids: Vec<u32>,
    pub(crate) weights: Box<dyn TensorSource>,
}

/// Where a checkpoint's weights are, to hash them when someone asks.
pub(crate) enum WeightBytes {
    Embedded(&'static [u8]),
    Files(Vec<PathBuf>),
}

const EMBEDDED_WEIGHTS: &[u8] = include_bytes!("../embedded/model.safetensors");
pub(crate) const EMBEDDED_TOKENIZER: &[u8] = include_bytes!("../embedded/tokenizer.json");

impl Checkpoint {
    /// Opens the checkpoint inside the binary.
    pub(crate) fn embedded() -> Result<(Self, WeightBytes), ModelError> {
        let texts = Texts {
            config: include_str!("../embedded/config.json").to_owned(),
            preprocessor: Some(include_str!("../embedded/preprocessor_config.json").to_owned()),
            generation: Some(include_str!("../embedded/generation_config.json").to_owned()),
            template_json: Some(include_str!("../embedded/chat_template.json").to_owned()),
            template_jinja: None,
            tokenizer_config: None,
        };
        let tokenizer = Tokenizer::from_json(EMBEDDED_TOKENIZER)?;
        let weights = Box::new(Safetensors::from_bytes(EMBEDDED_WEIGHTS.into())?);
        let checkpoint = Self::new("embedded".to_owned(), &texts, tokenizer, weights)?;
        Ok((checkpoint, WeightBytes::Embedded(EMBEDDED_WEIGHTS)))
    }

    /// Opens a checkpoint folder, or a language model in GGUF with the vision tower beside it.
    /// The tower may be named too: `mmproj`.
    pub(crate) fn open(
        path: &Path,
        mmproj: Option<&Path>,
    ) -> Result<(Self, WeightBytes), ModelError> {
        if gguf::is_gguf(path) { Self::open_gguf(path, mmproj) } else { Self::open_folder(path) }
    }

    fn open_folder(dir: &Path) -> Result<(Self, WeightBytes), ModelError> {
        let missing = |what| ModelError::MissingFile { dir: dir.to_owned(), what };
        let texts = Texts {
            config: read(dir, "config.json")?.ok_or_else(|| missing("config.json"))?,
            preprocessor: read(dir, "preprocessor_config.json")?,
            generation: read(dir, "generation_config.json")?,
            template_json: read(dir, "chat_template.json")?,
            template_jinja: read(dir, "chat_template.jinja")?,
            tokenizer_config: read(dir, "tokenizer_config.json")?,
        };
        let tokenizer = if let Some(json) = read(dir, "tokenizer.json")? {
            Tokenizer::from_json(json.as_bytes())?
        } else {
            let vocab = read(dir, "vocab.json")?
                .ok_or_else(|| missing("tokenizer.json, nor vocab.json and merges.txt"))?;
            let merges = read(dir, "merges.txt")?.ok_or_else(|| missing("merges.txt"))?;
            let config = texts.tokenizer_config.as_deref();
            Tokenizer::from_vocab_and_merges(&vocab, &merges, config)?
        };
        let weights = Safetensors::open(dir)?;
        let weights: Box<dyn TensorSource> = match AwqConfig::of(&texts.config)? {
            None => Box::new(weights),
            Some(awq) => Box::new(Awq::new(weights, awq)?),
        };
        let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
        let checkpoint = Self::new(name, &texts, tokenizer, weights)?;
        Ok((checkpoint, WeightBytes::Files(weight_files(dir)?)))
    }

    fn open_gguf(path: &Path, mmproj: Option<&Path>) -> Result<(Self, WeightBytes), ModelError> {
        let gguf = gguf::open(path, mmproj)?;
        let texts = Texts {
            config: gguf.config,
            preprocessor: Some(gguf.preprocessor),
            generation: Some(gguf.generation),
            template_json: None,
            template_jinja: gguf.template,
            tokenizer_config: None,
        };
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let checkpoint = Self::new(name, &texts, gguf.tokenizer, Box::new(gguf.weights));
        // What was made of the metadata is nobody's config.json.
        let checkpoint = checkpoint.map_err(|err| match err {
            ModelError::Config { problem, .. } => {
                ModelError::Gguf { file: path.display().to_string(), problem }
            }
            other => other,
        })?;
        Ok((checkpoint, WeightBytes::Files(gguf.files)))
    }

    fn new(
        name: String,
        texts: &Texts,
        tokenizer: Tokenizer,
        weights: Box<dyn TensorSource>,
    ) -> Result<Self, ModelError> {
        let config = Config::from_json(&texts.config)?;
        let processor = match &texts.preprocessor {
            Some(json) => Processor::from_json(json)?,
            None => Processor::default(),
        };
        let vision = &config.vision;
        if (processor.patch_size as usize, processor.merge_size as usize)
            != (vision.patch_size, vision.spatial_merge_size)
        {
            return Err(ModelError::Config {
                file: "preprocessor_config.json".to_owned(),
                problem: "patch_size or merge_size differs from config.json's".to_owned(),
            });
        }
        if tokenizer.len() > config.text.vocab_size {
            return Err(ModelError::Config {
                file: "config.json".to_owned(),
                problem: format!(
                    "vocab_size is {} but the tokenizer has {} tokens",
                    config.text.vocab_size,
                    tokenizer.len()
                ),
            });
        }
        let stop_ids = stop_ids(texts.generation.as_deref(), &tokenizer)?;
        let template = ChatTemplate::new(&texts.template()?)?;
        Ok(Self { name, config, processor, tokenizer, template, stop_ids, weights })
    }
}

impl WeightBytes {
    /// Returns a name that changes when the weights do, without reading gigabytes: of files it
    /// holds the path, the size, the time of the last change and the header.
    pub(crate) fn fingerprint(&self) -> Result<String, ModelError> {
        let files = match self {
            Self::Embedded(_) => return self.sha256(),
            Self::Files(files) => files,
        };
        let mut hasher = Sha256::new();
        for file in files {
            let read = |source| ModelError::Read { source };
            let metadata = fs::metadata(file).map_err(read)?;
            let modified = metadata.modified().map_err(read)?;
            hasher.update(format!("{} {} {modified:?}", file.display(), metadata.len()));
            let mut head = Vec::new();
            let opened = fs::File::open(file).map_err(read)?;
            opened.take(HEAD_LEN).read_to_end(&mut head).map_err(read)?;
            hasher.update(&head);
        }
        Ok(format!("{:x}", hasher.finalize()))
    }

    /// Returns the SHA-256 of the weights as hexadecimal digits.
    pub(crate) fn sha256(&self) -> Result<String, ModelError> {
        let mut hasher = Sha256::new();
        match self {
            Self::Embedded(bytes) => hasher.update(bytes),
            Self::Files(files) => {
                for file in files {
                    hash_file(file, &mut hasher).map_err(|source| ModelError::Read { source })?;
                }
            }
        }
        Ok(format!("{:x}", hasher.finalize()))
    }
}

/// How much of a weights file goes into its fingerprint, in bytes.
const HEAD_LEN: u64 = 1 << 16;

fn hash_file(file: &Path, hasher: &mut Sha256) -> std::io::Result<()> {
    let mut file = fs::File::open(file)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// The small files of a checkpoint.
struct Texts {
    config: String,
    preprocessor: Option<String>,
    generation: Option<String>,
    /// `chat_template.json`.
    template_json: Option<String>,
    /// `chat_template.jinja`.
    template_jinja: Option<String>,
    tokenizer_config: Option<String>,
}

impl Texts {
    /// The chat template: a file of its own, else the tokenizer's if it knows images (that of some
    /// releases is made for text alone), else the default.
    fn template(&self) -> Result<String, ModelError> {
        if let Some(jinja) = &self.template_jinja {
            return Ok(jinja.clone());
        }
        if let Some(json) = &self.template_json {
            if let Some(template) = template_in("chat_template.json", json)? {
                return Ok(template);
            }
        } else if let Some(json) = &self.tokenizer_config
            && let Some(template) = template_in("tokenizer_config.json", json)?
            && template.contains("image")
        {
            return Ok(template);
        }
        Ok(DEFAULT_TEMPLATE.to_owned())
    }
}

/// The value of `chat_template` in a JSON file, if it is a text.
pub(crate) fn template_in(file: &str, json: &str) -> Result<Option<String>, ModelError> {
    let root: Value = serde_json::from_str(json)
        .map_err(|source| ModelError::Json { file: file.to_owned(), source })?;
    Ok(root.get("chat_template").and_then(Value::as_str).map(str::to_owned))
}

/// The ids that end an answer: all of `eos_token_id`, or `<|im_end|>` and `<|endoftext|>`.
fn stop_ids(generation: Option<&str>, tokenizer: &Tokenizer) -> Result<Vec<u32>, ModelError> {
    const FILE: &str = "generation_config.json";
    let root: Value = match generation {
        None => Value::Null,
        Some(text) => serde_json::from_str(text)
            .map_err(|source| ModelError::Json { file: FILE.to_owned(), source })?,
    };
    let listed = match root.get("eos_token_id") {
        None | Some(Value::Null) => {
            let names = ["<|im_end|>", "<|endoftext|>"];
            return Ok(names.iter().filter_map(|name| tokenizer.id(name)).collect());
        }
        Some(Value::Array(ids)) => ids.as_slice(),
        Some(id) => std::slice::from_ref(id),
    };
    let as_id = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids: Option<Vec<u32>> = listed.iter().map(as_id).collect();
    ids.filter(|ids| ids.iter().all(|&id| (id as usize) < tokenizer.len())).ok_or_else(|| {
        let problem = "`eos_token_id` is not a list of token ids".to_owned();
        ModelError::Config { file: FILE.to_owned(), problem }
    })
}

/// The text of a file of the folder, or nothing if there is none.
fn read(dir: &Path, name: &str) -> Result<Option<String>, ModelError> {
    match files::read_text(&dir.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound && dir.is_dir() => Ok(None),
        Err(source) => Err(ModelError::Read { source }),
    }
}
