//! What a checkpoint is, from its small files and the heads of its weights: nothing is loaded.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use fs_err as fs;
use serde_json::Value;

use super::HubError;
use super::cache::{INDEX, read_small, shards};

/// The largest head of a safetensors file that is read.
const MAX_HEAD_BYTES: u64 = 64 << 20;

/// What a checkpoint is made of.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ModelFacts {
    /// `config.json`, if there is one that can be understood.
    pub config: Option<Value>,
    /// How many numbers the weights hold, as they are stored.
    pub parameters: u64,
    /// Bytes of the weights' tensors by the type they are stored in, such as `BF16`.
    pub bytes_by_type: BTreeMap<String, u64>,
    /// The licence the model's card names.
    pub license: Option<String>,
    /// The files of the folder and their sizes in bytes, sorted.
    pub files: Vec<(String, u64)>,
}

impl ModelFacts {
    /// Reads a checkpoint folder, or notes the size of a file.
    ///
    /// # Errors
    ///
    /// If the folder or a weights file in it cannot be read.
    pub fn of(path: &Path) -> Result<Self, HubError> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            return Ok(Self {
                files: vec![(name.into_owned(), metadata.len())],
                ..Self::default()
            });
        }
        let mut facts = Self::default();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A link to nothing is a file that is not there.
            if let Ok(found) = fs::metadata(entry.path())
                && found.is_file()
            {
                facts.files.push((entry.file_name().to_string_lossy().into_owned(), found.len()));
            }
        }
        facts.files.sort();
        let config = read_small(&path.join("config.json"));
        facts.config = config.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        facts.license = read_small(&path.join("README.md")).and_then(|card| license(&card));
        let single = || ["model.safetensors".to_owned()].into();
        for shard in shards(&path.join(INDEX)).unwrap_or_else(single) {
            let shard = path.join(shard);
            if shard.is_file() {
                facts.count(&shard)?;
            }
        }
        Ok(facts)
    }

    /// Counts the tensors of a safetensors file.
    fn count(&mut self, path: &Path) -> Result<(), HubError> {
        let damaged = || {
            let problem = format!("`{}` is not a readable safetensors file", path.display());
            std::io::Error::new(std::io::ErrorKind::InvalidData, problem)
        };
        let mut file = fs::File::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEAD_BYTES {
            return Err(damaged().into());
        }
        let mut head = Vec::new();
        file.take(length).read_to_end(&mut head)?;
        let head: BTreeMap<String, Value> = serde_json::from_slice(&head).map_err(|_| damaged())?;
        for (name, tensor) in head {
            if name == "__metadata__" {
                continue;
            }
            let sides = tensor["shape"].as_array().into_iter().flatten().map(Value::as_u64);
            let count = sides.map(|side| side.unwrap_or(0)).fold(1, u64::saturating_mul);
            let offset = |index: usize| tensor["data_offsets"][index].as_u64().unwrap_or(0);
            let dtype = tensor["dtype"].as_str().unwrap_or("unknown").to_owned();
            self.parameters = self.parameters.saturating_add(count);
            let bytes = self.bytes_by_type.entry(dtype).or_default();
            *bytes = bytes.saturating_add(offset(1).saturating_sub(offset(0)));
        }
        Ok(())
    }
}

/// `license:` in the head of a model's card, with its name if it has one.
fn license(card: &[u8]) -> Option<String> {
    let card = String::from_utf8_lossy(card);
    let head = card.strip_prefix("---")?.split("\n---").next()?;
    let value = |key: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        let text: String = line.trim().trim_matches(['"', '\'']).chars().take(100).collect();
        (!text.is_empty() && !text.contains(char::is_control)).then_some(text)
    };
    match value("license")?.as_str() {
        "other" => value("license_name").or_else(|| Some("other".to_owned())),
        name => Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_that_of_the_card() {
        let of = |head: &str| license(format!("---\n{head}\n---\nlicense: no\n").as_bytes());
        assert_eq!(of("license: apache-2.0").as_deref(), Some("apache-2.0"));
        let named = "license: other\nlicense_name: qwen-research";
        assert_eq!(of(named).as_deref(), Some("qwen-research"));
        assert_eq!(of("tags: [x]"), None);
        assert_eq!(license(b"license: mit"), None);
    }

    #[test]
    fn tensors_are_counted_from_the_heads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded");
        let facts = ModelFacts::of(&folder).unwrap();
        let weights = facts.files.iter().find(|(name, _)| name == "model.safetensors").unwrap();
        let bytes: u64 = facts.bytes_by_type.values().sum();
        assert!(bytes < weights.1 && bytes > weights.1 / 10 * 9, "{bytes} of {}", weights.1);
        assert!(facts.parameters > 1_000_000);
        assert_eq!(facts.config.unwrap()["model_type"], "qwen2_5_vl");
    }

    #[test]
    fn a_lying_head_is_refused() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("model.safetensors");
        fs::write(&file, u64::MAX.to_le_bytes()).unwrap();
        let error = ModelFacts::of(dir.path()).unwrap_err();
        assert!(matches!(error, HubError::Cache { .. }), "{error}");
        fs::write(&file, [8, 0, 0, 0, 0, 0, 0, 0, b'{']).unwrap();
        assert!(ModelFacts::of(dir.path()).is_err());
    }
}
