//! Text ↔ token ids: a byte-level BPE with the control tokens of the Qwen2.5 family.
//!
//! # Source
//!
//! `tokenizer.json` of the released checkpoints, or the same built from `vocab.json` and
//! `merges.txt` as `Qwen2TokenizerFast` of transformers 4.49.0 does.

use std::collections::HashMap;
use std::panic::{UnwindSafe, catch_unwind};
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior};

use crate::error::ModelError;

/// A tokenizer and what the model needs to know of it.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// A copy that takes control tokens in the text for text; made when first needed.
    literal: OnceLock<tokenizers::Tokenizer>,
    /// The bytes of every token; made when first needed.
    bytes: OnceLock<Vec<Box<[u8]>>>,
    control_tokens: Vec<String>,
    special_tokens: Vec<String>,
}

/// A token beside those that were learnt.
pub(crate) struct AddedEntry {
    pub(crate) id: u32,
    pub(crate) content: String,
    /// Whether it is a control token, which no text can name.
    pub(crate) special: bool,
}

type TokenizerError = Box<dyn std::error::Error + Send + Sync>;

fn error(file: &str) -> impl Fn(TokenizerError) -> ModelError + '_ {
    move |source| ModelError::Tokenizer { file: file.to_owned(), source }
}

impl Tokenizer {
    /// Builds the tokenizer of a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if it cannot be understood.
    pub fn from_json(json: &[u8]) -> Result<Self, ModelError> {
        let inner = read(json).map_err(error("tokenizer.json"))?;
        Ok(Self::new(inner))
    }

    /// Builds the tokenizer from the texts of `vocab.json`, `merges.txt` and, if there is one,
    /// `tokenizer_config.json`, whose `added_tokens_decoder` lists the control tokens. Without it
    /// they are those of the released checkpoints.
    ///
    /// # Errors
    ///
    /// [`ModelError::Json`] or [`ModelError::Tokenizer`], naming the file.
    pub fn from_vocab_and_merges(
        vocab: &str,
        merges: &str,
        tokenizer_config: Option<&str>,
    ) -> Result<Self, ModelError> {
        let vocab: HashMap<String, u32> = serde_json::from_str(vocab)
            .map_err(|source| ModelError::Json { file: "vocab.json".to_owned(), source })?;
        check_ids(&vocab).map_err(error("vocab.json"))?;
        let first_added = vocab.values().max().map_or(0, |id| id + 1);
        let merges = merges
            .lines()
            .filter(|line| !line.starts_with("#version") && !line.is_empty())
            .map(merge)
            .collect::<Result<Vec<_>, TokenizerError>>()
            .map_err(error("merges.txt"))?;
        let mut inner = byte_level(vocab.into_iter(), merges).map_err(error("merges.txt"))?;
        for (id, token) in added_tokens(tokenizer_config, first_added)? {
            add(&mut inner, id, token).map_err(error("tokenizer_config.json"))?;
        }
        Ok(Self::new(inner))
    }

    /// Builds the tokenizer from a list of all tokens by id, `added` ones included, and merges as
    /// in `merges.txt`. Added tokens with the name of one of the released tokenizer's are control
    /// tokens if that one is. `file` is named in errors.
    pub(crate) fn from_entries(
        file: &str,
        tokens: &[&str],
        merges: &[&str],
        added: Vec<AddedEntry>,
    ) -> Result<Self, ModelError> {
        let vocab = (0..).zip(tokens).map(|(id, token)| ((*token).to_owned(), id));
        let merges = merges.iter().map(|line| merge(line)).collect::<Result<Vec<_>, _>>();
        let mut inner = merges.and_then(|merges| byte_level(vocab, merges)).map_err(error(file))?;
        for AddedEntry { id, content, special } in added {
            let released = ADDED_TOKENS.iter().find(|(name, _)| *name == content);
            let special = released.map_or(special, |&(_, special)| special);
            add(&mut inner, id, added_token(&content, special)).map_err(error(file))?;
        }
        Ok(Self::new(inner))
    }

    fn new(inner: tokenizers::Tokenizer) -> Self {
        let added = inner.get_added_tokens_decoder();
        let control = added.values().filter(|token| is_control(token));
        let control_tokens = control.map(|token| token.content.clone()).collect();
        let special = added.values().filter(|token| token.special);
        let special_tokens = special.map(|token| token.content.clone()).collect();
        let (literal, bytes) = (OnceLock::new(), OnceLock::new());
        Self { inner, literal, bytes, control_tokens, special_tokens }
    }

    /// Returns the ids of `text`; the names of control tokens in it become control tokens.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if the text cannot be encoded.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        encode(&self.inner, text)
    }

    /// Returns the ids of `text` that comes from a user or a screen: the names of control tokens in
    /// it stay text. Control tokens are those the checkpoint marks as special and all that are
    /// written as markup, like `<tool_call>`; tokens that are plain words are left as they are.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if the text cannot be encoded.
    pub fn encode_literal(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        if let Some(literal) = self.literal.get() {
            return encode(literal, text);
        }
        // `encode_special_tokens` passes over tokens that are marked special, so all are marked.
        let mut literal = self.inner.clone();
        let control = self.inner.get_added_tokens_decoder().into_values().filter(is_control);
        literal
            .add_special_tokens(control.map(|token| token.special(true)))
            .map_err(error("tokenizer.json"))?;
        literal.set_encode_special_tokens(true);
        encode(self.literal.get_or_init(|| literal), text)
    }

    /// The names of the control tokens.
    pub(crate) fn control_tokens(&self) -> &[String] {
        &self.control_tokens
    }

    /// The names of those of them that the checkpoint marks as special.
    pub(crate) fn special_tokens(&self) -> &[String] {
        &self.special_tokens
    }

    /// Returns whether `text` holds the name of a control token.
    pub fn names_control_token(&self, text: &str) -> bool {
        self.control_tokens.iter().any(|token| text.contains(token.as_str()))
    }

    /// Returns the text of `ids` without the control tokens.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if an id is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        self.inner.decode(ids, true).map_err(error("tokenizer.json"))
    }

    /// Returns the bytes a token adds to a text: none for a control token or an unknown id.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        let table = self.bytes.get_or_init(|| self.byte_table());
        table.get(id as usize).map_or(&[], |bytes| bytes)
    }

    fn byte_table(&self) -> Vec<Box<[u8]>> {
        let byte_of = byte_alphabet();
        let added = self.inner.get_added_tokens_decoder();
        (0..self.len() as u32)
            .map(|id| match (added.get(&id), self.inner.id_to_token(id)) {
                (Some(token), _) if token.special => Box::default(),
                (Some(token), _) => token.content.as_bytes().into(),
                (None, Some(token)) => {
                    let bytes = token.chars().map(|letter| byte_of.get(&letter).copied());
                    bytes.collect::<Option<Vec<u8>>>().unwrap_or_else(|| token.into_bytes()).into()
                }
                (None, None) => Box::default(),
            })
            .collect()
    }

    /// Returns the id of a token, by its exact name.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Returns the number of tokens, added ones included. Ids from here on are padding rows.
    pub fn len(&self) -> usize {
        let added = self.inner.get_added_tokens_decoder();
        let last_added = added.keys().max().map_or(0, |&id| id as usize + 1);
        self.inner.get_vocab_size(true).max(last_added)
    }

    /// Returns whether the vocabulary is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the tokenizer as the text of a `tokenizer.json`.
    pub(crate) fn to_json(&self) -> Result<String, ModelError> {
        self.inner.to_string(false).map_err(error("tokenizer.json"))
    }
}

/// Whether a token steers the model rather than say something.
///
/// `<tool_call>` is one though it is not marked as special: as text it survives decoding, but whoever
/// makes the model read it can feign a call. The embedded checkpoint's words are none.
fn is_control(token: &AddedToken) -> bool {
    token.special || (token.content.starts_with('<') && token.content.ends_with('>'))
}

fn encode(tokenizer: &tokenizers::Tokenizer, text: &str) -> Result<Vec<u32>, ModelError> {
    let encoding = tokenizer.encode_fast(text, false).map_err(error("tokenizer.json"))?;
    Ok(encoding.get_ids().to_vec())
}

/// The byte each letter of a byte-level vocabulary stands for: printable ones for themselves, the
/// others, in order, for the letters from U+0100 on.
fn byte_alphabet() -> HashMap<char, u8> {
    let is_printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut others = 0x100..;
    (0..=u8::MAX)
        .filter_map(|byte| {
            let code = if is_printable(byte) { u32::from(byte) } else { others.next()? };
            Some((char::from_u32(code)?, byte))
        })
        .collect()
}

/// Reads a `tokenizer.json` that nobody vouches for.
fn read(json: &[u8]) -> Result<tokenizers::Tokenizer, TokenizerError> {
    // What is no JSON at all is told better here.
    let Shape { model } = serde_json::from_slice(json)?;
    let prefix = model.continuing_subword_prefix.filter(|prefix| !prefix.is_empty());
    if let Some(prefix) = prefix.filter(|_| model.kind.is_none_or(|kind| kind == "BPE")) {
        // The library cuts merges by it without looking for the borders of characters.
        return Err(format!("a `continuing_subword_prefix`, `{prefix}`, is not supported").into());
    }
    let inner = guarded(|| tokenizers::Tokenizer::from_bytes(json))?;
    check_ids(&inner.get_vocab(true))?;
    Ok(inner)
}

/// What is looked at of a `tokenizer.json` before the library sees it.
#[derive(Deserialize)]
struct Shape {
    model: ShapeOfModel,
}

#[derive(Deserialize)]
struct ShapeOfModel {
    #[serde(rename = "type")]
    kind: Option<String>,
    continuing_subword_prefix: Option<String>,
}

/// Calls the library, which panics on some of what it cannot use.
fn guarded<T>(
    work: impl FnOnce() -> Result<T, TokenizerError> + UnwindSafe,
) -> Result<T, TokenizerError> {
    catch_unwind(work).map_err(|_| "its parts contradict each other")?
}

/// How far ids may lie beyond the number of tokens, as some vocabularies have holes. What is made of
/// a vocabulary has a place for every id up to the highest.
const MAX_HOLES: usize = 1 << 16;

fn check_ids(vocab: &HashMap<String, u32>) -> Result<(), TokenizerError> {
    let count = vocab.len();
    let most = 2 * count + MAX_HOLES;
    match vocab.iter().find(|(_, id)| **id as usize >= most) {
        None => Ok(()),
        Some((token, id)) => {
            Err(format!("the token `{token}` has the id {id}, but there are {count} tokens").into())
        }
    }
}

/// One line of `merges.txt`.
fn merge(line: &str) -> Result<(String, String), TokenizerError> {
    let pair = line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    pair.ok_or_else(|| format!("`{line}` is not a pair of tokens").into())
}

/// A byte-level BPE that cuts text as the released tokenizer does.
fn byte_level(
    vocab: impl Iterator<Item = (String, u32)>,
    merges: Vec<(String, String)>,
) -> Result<tokenizers::Tokenizer, TokenizerError> {
    let vocab: Vocab = vocab.collect();
    let bpe = guarded(|| BPE::builder().vocab_and_merges(vocab, merges).build())?;
    let split = SplitPattern::Regex(SPLIT_REGEX.to_owned());
    let split = Split::new(split, SplitDelimiterBehavior::Isolated, false)?;
    let bytes = ByteLevel::new(false, false, false);
    let mut inner = tokenizers::Tokenizer::new(bpe);
    inner.with_normalizer(Some(NFC))?;
    inner.with_pre_tokenizer(Some(Sequence::new(vec![split.into(), bytes.into()])));
    inner.with_decoder(Some(bytes));
    Ok(inner)
}

/// Adds a token, which must get this id.
fn add(
    inner: &mut tokenizers::Tokenizer,
    id: u32,
    token: AddedToken,
) -> Result<(), TokenizerError> {
    let content = token.content.clone();
    inner.add_tokens([token])?;
    if inner.token_to_id(&content) == Some(id) {
        Ok(())
    } else {
        Err(format!("the added token `{content}` cannot have the id {id}").into())
    }
}

fn added_token(content: &str, special: bool) -> AddedToken {
    AddedToken::from(content, special).normalized(false)
}

/// How text is cut before BPE; every digit stands alone.
const SPLIT_REGEX: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The added tokens of the released checkpoints, in order of id, and whether they are control
/// tokens.
const ADDED_TOKENS: [(&str, bool); 22] = [
    ("<|endoftext|>", true),
    ("<|im_start|>", true),
    ("<|im_end|>", true),
    ("<|object_ref_start|>", true),
    ("<|object_ref_end|>", true),
    ("<|box_start|>", true),
    ("<|box_end|>", true),
    ("<|quad_start|>", true),
    ("<|quad_end|>", true),
    ("<|vision_start|>", true),
    ("<|vision_end|>", true),
    ("<|vision_pad|>", true),
    ("<|image_pad|>", true),
    ("<|video_pad|>", true),
    ("<tool_call>", false),
    ("</tool_call>", false),
    ("<|fim_prefix|>", false),
    ("<|fim_middle|>", false),
    ("<|fim_suffix|>", false),
    ("<|fim_pad|>", false),
    ("<|repo_name|>", false),
    ("<|file_sep|>", false),
];

fn added_tokens(
    tokenizer_config: Option<&str>,
    first: u32,
) -> Result<Vec<(u32, AddedToken)>, ModelError> {
    const FILE: &str = "tokenizer_config.json";
    let config: Value = match tokenizer_config {
        None => Value::Null,
        Some(text) => serde_json::from_str(text)
            .map_err(|source| ModelError::Json { file: FILE.to_owned(), source })?,
    };
    let Some(listed) = config.get("added_tokens_decoder").and_then(Value::as_object) else {
        let tokens = (first..).zip(ADDED_TOKENS);
        return Ok(tokens
            .map(|(id, (content, special))| (id, added_token(content, special)))
            .collect());
    };
    let mut tokens = Vec::new();
    for (id, entry) in listed {
        let content = entry.get("content").and_then(Value::as_str);
        let (Ok(id), Some(content)) = (id.parse(), content) else {
            let problem = format!("added token `{id}` has no id or no content");
            return Err(ModelError::Config { file: FILE.to_owned(), problem });
        };
        let special = entry.get("special").and_then(Value::as_bool).unwrap_or(false);
        tokens.push((id, added_token(content, special)));
    }
    tokens.sort_unstable_by_key(|&(id, _)| id);
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMBEDDED: &str = include_str!("../embedded/tokenizer.json");

    #[track_caller]
    fn check(tokenizer: Result<Tokenizer, ModelError>, file: &str, expected: &str) {
        let Err(ModelError::Tokenizer { file: named, source }) = tokenizer else {
            panic!("it must be refused");
        };
        assert_eq!(named, file);
        assert!(source.to_string().contains(expected), "{source}");
    }

    #[test]
    fn what_is_no_tokenizer_is_refused_without_a_panic() {
        let json = |json: &str| Tokenizer::from_json(json.as_bytes());
        check(json("{"), "tokenizer.json", "EOF while parsing");
        check(json("[]"), "tokenizer.json", "invalid length 0");
        let (none, some) = ("_prefix\": null", "_prefix\": \"é\"");
        let prefixed = EMBEDDED.replacen(none, some, 1);
        check(json(&prefixed), "tokenizer.json", "a `continuing_subword_prefix`, `é`");
        let deep = format!("{{\"unknown\":{}", "[".repeat(100_000));
        check(json(&deep), "tokenizer.json", "EOF while parsing");
        let places = EMBEDDED.match_indices("\"type\"").map(|(at, _)| at).collect::<Vec<_>>();
        assert!(places.len() > 3, "there are parts to break");
        for at in places {
            let broken = format!("{}\"type\":7,\"was\"{}", &EMBEDDED[..at], &EMBEDDED[at + 6..]);
            assert!(json(&broken).is_err(), "at {at}");
        }
    }

    #[test]
    fn ids_far_beyond_the_tokens_there_are_get_no_memory() {
        let last = u32::MAX;
        let vocab = format!(r#"{{"a": {last}}}"#);
        let expected = "the token `a` has the id 4294967295, but there are 1 tokens";
        check(Tokenizer::from_vocab_and_merges(&vocab, "", None), "vocab.json", expected);
        let json = format!(r#"{{"model": {{"type": "BPE", "vocab": {vocab}, "merges": []}}}}"#);
        check(Tokenizer::from_json(json.as_bytes()), "tokenizer.json", expected);
    }

    #[test]
    fn merges_of_nothing_are_refused_without_a_panic() {
        let vocab = r#"{"a": 0, "b": 1}"#;
        for (merges, expected) in [("a", "`a` is not a pair"), ("a c", "out of vocabulary")] {
            check(Tokenizer::from_vocab_and_merges(vocab, merges, None), "merges.txt", expected);
        }
    }
}
