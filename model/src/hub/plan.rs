//! Which files of a repository are fetched: those a checkpoint is loaded from, and no others.

use std::collections::BTreeSet;

use super::HubError;
use super::cache::{INDEX, has_extension};
use super::listing::Listing;
use super::name::{is_language_gguf, is_projector, split_part};

/// The small files, as far as a repository has them. README.md holds the licence.
const SMALL: &[&str] = &[
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "quantize_config.json",
    "quant_config.json",
    "chat_template.json",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "tiktoken.model",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "README.md",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    INDEX,
];

/// The weights where there is no index.
const SINGLE: &str = "model.safetensors";

/// The largest of the small files.
const MAX_SMALL_BYTES: u64 = 256 << 20;

/// What is fetched before the rest is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum First {
    /// All files are known.
    Everything(Vec<String>),
    /// The index and the small files; the index names the weights.
    Indexed(Vec<String>),
}

/// Chooses the files to fetch; `named` are those the user asked for, if any.
pub(super) fn choose(listing: &Listing, repo: &str, named: &[String]) -> Result<First, HubError> {
    let has = |name: &str| listing.file(name).is_some();
    let names = || listing.files.iter().map(|file| file.name.as_str());
    let language: Vec<&str> = names().filter(|name| is_language_gguf(name)).collect();
    if !named.is_empty() {
        if let Some(missing) = named.iter().find(|name| !has(name)) {
            let similar = language.into_iter().map(str::to_owned).collect();
            let (repo, file) = (repo.to_owned(), missing.clone());
            return Err(HubError::NoSuchFile { repo, file, similar });
        }
        let mut files: Vec<String> =
            named.iter().flat_map(|name| with_parts(listing, name)).collect();
        // A language model sees nothing without its projector.
        if named.iter().all(|name| is_language_gguf(name)) {
            files.extend(best_projector(names()));
        }
        return Ok(First::Everything(files));
    }
    let small = SMALL.iter().filter(|name| has(name)).map(|&name| name.to_owned());
    if has(INDEX) && has("config.json") {
        return Ok(First::Indexed(small.collect()));
    }
    if has(SINGLE) && has("config.json") {
        return Ok(First::Everything(small.chain([SINGLE.to_owned()]).collect()));
    }
    match language.as_slice() {
        [] => Err(HubError::NoWeights { repo: repo.to_owned() }),
        [only] => {
            let files = with_parts(listing, only).into_iter().chain(best_projector(names()));
            Ok(First::Everything(files.chain(small).collect()))
        }
        several => {
            let files = several.iter().map(|&file| file.to_owned()).collect();
            Err(HubError::Ambiguous { name: repo.to_owned(), files })
        }
    }
}

/// A file, and the others it was split into.
fn with_parts(listing: &Listing, name: &str) -> Vec<String> {
    let Some((stem, 1, count)) = split_part(name) else { return vec![name.to_owned()] };
    let is_part =
        |other: &&str| split_part(other).is_some_and(|(known, _, of)| (known, of) == (stem, count));
    let names = listing.files.iter().map(|file| file.name.as_str());
    names.filter(is_part).map(str::to_owned).collect()
}

/// Of the same projector in several types, the one closest to the original, which is bf16.
fn best_projector<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let rank = |name: &&str| {
        let name = name.to_lowercase();
        let types = ["bf16", "f16", "f32"];
        types.iter().position(|kind| name.contains(kind)).unwrap_or(types.len())
    };
    let is_gguf = |name: &&str| has_extension(name, "gguf") && is_projector(name);
    names.filter(is_gguf).min_by_key(rank).map(str::to_owned)
}

/// Checks that the weights an index names are in the repository, and returns their names.
pub(super) fn weights(
    listing: &Listing,
    shards: Option<BTreeSet<String>>,
) -> Result<Vec<String>, String> {
    let shards = shards.ok_or_else(|| format!("{INDEX} is not what was expected"))?;
    match shards.iter().find(|shard| listing.file(shard).is_none()) {
        Some(missing) => Err(format!("{INDEX} names `{missing}`, which it does not have")),
        None => Ok(shards.into_iter().collect()),
    }
}

/// Checks that the small files are small.
pub(super) fn check_small(name: &str, size: u64) -> Result<(), String> {
    if SMALL.contains(&name) && size > MAX_SMALL_BYTES {
        return Err(format!("`{name}` has {size} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::listing::RemoteFile;
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let file =
            |name: &&str| RemoteFile { name: (*name).to_owned(), size: Some(1), checksum: None };
        Listing { commit: "0".repeat(40), files: names.iter().map(file).collect() }
    }

    fn chosen(names: &[&str], named: &[&str]) -> Result<First, HubError> {
        let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
        choose(&listing(names), "org/vlm", &named)
    }

    #[test]
    fn only_what_a_checkpoint_is_loaded_from_is_fetched() {
        let names = [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "README.md",
            "pytorch_model.bin",
            "onnx/model.onnx",
            "assets/demo.mp4",
            ".gitattributes",
            "training_args.bin",
        ];
        let First::Everything(files) = chosen(&names, &[]).unwrap() else { panic!("no index") };
        assert_eq!(files, ["config.json", "tokenizer.json", "README.md", "model.safetensors"]);
        let indexed = ["config.json", INDEX, "a.safetensors", "stray.safetensors"];
        let expected = First::Indexed(vec!["config.json".to_owned(), INDEX.to_owned()]);
        assert_eq!(chosen(&indexed, &[]).unwrap(), expected);
        let shards = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(weights(&listing(&indexed), shards(&["a.safetensors"])).unwrap().len(), 1);
        assert!(weights(&listing(&indexed), shards(&["b.safetensors"])).is_err());
        assert!(weights(&listing(&indexed), None).is_err());
    }

    #[test]
    fn gguf_files_are_named_unless_there_is_one() {
        let one = ["README.md", "model-q4.gguf", "mmproj-f16.gguf"];
        let First::Everything(files) = chosen(&one, &[]).unwrap() else { panic!("no index") };
        assert_eq!(files, ["model-q4.gguf", "mmproj-f16.gguf", "README.md"]);
        let two = ["a.gguf", "b.gguf"];
        assert!(matches!(chosen(&two, &[]), Err(HubError::Ambiguous { .. })));
        assert_eq!(chosen(&two, &["b.gguf"]).unwrap(), First::Everything(vec!["b.gguf".into()]));
        let seeing = ["a.gguf", "b.gguf", "mmproj-F16.gguf", "mmproj-BF16.gguf", "mmproj-F32.gguf"];
        let expected = First::Everything(vec!["b.gguf".into(), "mmproj-BF16.gguf".into()]);
        assert_eq!(chosen(&seeing, &["b.gguf"]).unwrap(), expected);
        let error = chosen(&two, &["c.gguf"]).unwrap_err();
        assert!(error.hint().unwrap().contains("a.gguf, b.gguf"), "{error}");
    }

    #[test]
    fn a_split_file_is_fetched_with_its_parts() {
        let names = ["q4-00001-of-00002.gguf", "q4-00002-of-00002.gguf", "q8-00001-of-00002.gguf"];
        let expected = First::Everything(names[..2].iter().map(|&name| name.to_owned()).collect());
        assert_eq!(chosen(&names[..2], &[]).unwrap(), expected);
        assert_eq!(chosen(&names, &[names[0]]).unwrap(), expected);
        assert!(matches!(chosen(&names, &[]), Err(HubError::Ambiguous { .. })));
    }

    #[test]
    fn a_repository_without_weights_is_refused() {
        for names in [&["config.json", "pytorch_model.bin"][..], &["model.safetensors"], &[]] {
            assert!(matches!(chosen(names, &[]), Err(HubError::NoWeights { .. })), "{names:?}");
        }
        assert!(check_small("config.json", 1 << 40).is_err());
        assert!(check_small("model.safetensors", 1 << 40).is_ok());
    }
}
