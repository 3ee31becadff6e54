//! The tokenizer in GGUF metadata.
//!
//! # Source
//!
//! `get_vocab_base` in `conversion/base.py` of llama.cpp (revision 0c1e570), reversed. It marks
//! added tokens such as `<|fim_pad|>` as control tokens which are not, so names that the released
//! tokenizer has are what they are there.

use std::collections::HashSet;

use super::value::{Metadata, Value};
use crate::error::ModelError;
use crate::tokenizer::{AddedEntry, Tokenizer};

/// Kinds of tokens, numbered as in the file.
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
