//! The tokenizer in GGUF metadata.
//!
//! # Source
//!
//! `get_vocab_base` in `conversion/base.py` of llama.cpp (revision 0c1e570), in both directions. It
//! marks added tokens such as `<|fim_pad|>` as control tokens which are not, so names that the
//! released tokenizer has are what they are there.

use std::collections::HashSet;

use serde::Deserialize;

use super::value::{Metadata, Value};
use crate::error::ModelError;
use crate::tokenizer::{AddedEntry, Tokenizer};

/// Kinds of tokens, numbered as in the file.
pub(crate) const NORMAL: i64 = 1;
pub(crate) const CONTROL: i64 = 3;
pub(crate) const USER_DEFINED: i64 = 4;
pub(crate) const UNUSED: i64 = 5;

/// Builds the tokenizer a language model's metadata describes.
///
/// # Errors
///
/// [`ModelError::Gguf`] naming the key, or [`ModelError::Tokenizer`].
pub(crate) fn tokenizer(text: &Metadata) -> Result<Tokenizer, ModelError> {
    for (key, supported) in [("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", "qwen2")] {
        let value = text.required(key, "a text", Value::as_text)?;
        if value != supported {
            let problem = format!("`{key}` is `{value}`, but only `{supported}` is supported");
            return Err(text.problem(problem));
        }
    }
    let texts = |key: &str| text.required(key, "a list of texts", Value::as_texts);
    let tokens = texts("tokenizer.ggml.tokens")?;
    let merges = texts("tokenizer.ggml.merges")?;
    let kinds = "tokenizer.ggml.token_type";
    let kinds = text.required(kinds, "a list of whole numbers", Value::as_integers)?;
    if kinds.len() != tokens.len() {
        return Err(text.problem(format!(
            "the vocabulary has {} tokens but {} types of tokens",
            tokens.len(),
            kinds.len()
        )));
    }
    // What comes after the last token in use only fills the embedding up.
    let used = kinds.iter().rposition(|&kind| kind != UNUSED).map_or(0, |last| last + 1);
    let mut seen = HashSet::with_capacity(used);
    if let Some(twice) = tokens[..used].iter().find(|token| !seen.insert(**token)) {
        return Err(text.problem(format!("the token `{twice}` is in the vocabulary twice")));
    }
    let added = (0..).zip(tokens[..used].iter().zip(&kinds)).filter_map(|(id, (token, &kind))| {
        let special = match kind {
            CONTROL => true,
            USER_DEFINED => false,
            _ => return None,
        };
        Some(AddedEntry { id, content: (*token).to_owned(), special })
    });
    Tokenizer::from_entries(&text.file, &tokens[..used], &merges, added.collect())
}

/// A tokenizer as GGUF metadata has it.
pub(crate) struct Vocabulary {
    /// By id, as many as the embedding has rows.
    pub(crate) tokens: Vec<String>,
    pub(crate) kinds: Vec<i32>,
    /// Two tokens to the entry, with a space between.
    pub(crate) merges: Vec<String>,
}

/// Returns all of a tokenizer, filled up to `size` tokens.
///
/// # Errors
///
/// [`ModelError::Tokenizer`] if it is not a byte-level BPE.
pub(crate) fn vocabulary(tokenizer: &Tokenizer, size: usize) -> Result<Vocabulary, ModelError> {
    let json = tokenizer.to_json()?;
    parse_json(&json, size).map_err(|problem| ModelError::Tokenizer {
        file: "tokenizer.json".to_owned(),
        source: problem,
    })
}

fn parse_json(
    json: &str,
    size: usize,
) -> Result<Vocabulary, Box<dyn std::error::Error + Send + Sync>> {
    let Json { model, added_tokens } = serde_json::from_str(json)?;
    let mut tokens: Vec<_> = (0..size).map(|id| format!("[PAD{id}]")).collect();
    let mut kinds = vec![UNUSED as i32; size];
    let mut set = |id: u32, token: String, kind: i64| -> Result<(), String> {
        let beyond = format!("the token `{token}` has the id {id}, beyond the {size} there are");
        let place = (id as usize) < size;
        place
            .then(|| {
                tokens[id as usize] = token;
                kinds[id as usize] = kind as i32;
            })
            .ok_or(beyond)
    };
    for (token, id) in model.vocab {
        set(id, token, NORMAL)?;
    }
    for AddedToken { id, content, special } in added_tokens {
        // As llama.cpp's converter: what looks like a control token is marked as one.
        let looks_special = content.starts_with("<|") && content.ends_with("|>");
        set(id, content, if special || looks_special { CONTROL } else { USER_DEFINED })?;
    }
    let merges = model.merges.into_iter().map(|merge| match merge {
        Merge::Line(line) => line,
        Merge::Pair([first, second]) => format!("{first} {second}"),
    });
    Ok(Vocabulary { merges: merges.collect(), tokens, kinds })
}

#[derive(Deserialize)]
struct Json {
    model: Model,
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct Model {
    vocab: std::collections::HashMap<String, u32>,
    merges: Vec<Merge>,
}

/// Releases of the tokenizers library differ in how they write them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Line(String),
    Pair([String; 2]),
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    special: bool,
}
