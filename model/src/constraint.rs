//! Constrained decoding: which tokens may come next, and which must.
//!
//! The seam around llguidance, which does the work: a grammar and the vocabulary → a mask over
//! tokens at every step, and *forced tokens* where only one continuation is left.
//!
//! Forced bytes become tokens here and not in llguidance. It takes back at most four tokens where a
//! longer token might begin earlier, which is right for large vocabularies; ours has tokens like
//! `{"action":"left_click","coordinate":`, and a model that is handed the bytes `{`, `"`, `a` … instead
//! has never seen such a text.

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;
use toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv};
use toktrie_hf_tokenizers::ByteTokenizer;

use crate::error::ModelError;
use crate::tokenizer::Tokenizer;

/// What an answer must look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// A JSON value of this schema. `x-guidance` in the schema sets separators.
    JsonSchema(Value),
    /// A Lark grammar, as llguidance reads it; `%json { … }` embeds a schema.
    Lark(String),
    /// A regular expression the whole answer matches.
    Regex(String),
}

/// Compiles constraints for one vocabulary.
pub(crate) struct ConstraintCompiler {
    factory: ParserFactory,
    /// Tokenizes as the model was trained.
    tok_env: TokEnv,
}

impl ConstraintCompiler {
    /// `vocab_size` is the number of logits; ids past the tokenizer's are never allowed.
    pub(crate) fn new(
        tokenizer: &Tokenizer,
        vocab_size: usize,
        stop_ids: &[u32],
    ) -> Result<Self, ModelError> {
        let json = tokenizer.to_json()?;
        let mut bytes = ByteTokenizer::from_json_bytes(json.as_bytes()).map_err(problem)?;
        if !stop_ids.is_empty() {
            bytes.set_eos_tokens(stop_ids);
        }
        let tok_env = bytes.into_tok_env(Some(vocab_size)).map_err(problem)?;
        // An environment that does not claim to tokenize canonically keeps llguidance from forcing.
        let masks_only: TokEnv = Arc::new(ApproximateTokEnv::new(tok_env.tok_trie().clone()));
        let capabilities = InferenceCapabilities::default();
        let mut factory = ParserFactory::new(&masks_only, capabilities, &[]).map_err(problem)?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.max_lexer_states = MAX_LEXER_STATES;
        // The grammar and the tokens so far; an error should be a sentence.
        limits.verbose_errors = false;
        Ok(Self { factory, tok_env })
    }

    /// Compiles a constraint for one generation.
    pub(crate) fn compile(&self, constraint: &Constraint) -> Result<TokenConstraint, ModelError> {
        check_size(constraint)?;
        let grammar = match constraint {
            Constraint::JsonSchema(schema) => TopLevelGrammar::from_json_schema(schema.clone()),
            Constraint::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
            Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
        };
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        match matcher.get_error() {
            Some(problem) => Err(ModelError::Constraint { problem: sentence(&problem) }),
            None => Ok(TokenConstraint { matcher, tok_env: self.tok_env.clone(), last: None }),
        }
    }
}

/// A constraint somewhere inside an answer.
pub(crate) struct TokenConstraint {
    matcher: Matcher,
    tok_env: TokEnv,
    /// The answer's last token so far.
    last: Option<u32>,
}

impl TokenConstraint {
    /// Takes the answer's next tokens.
    pub(crate) fn consume(&mut self, tokens: &[u32]) -> Result<(), ModelError> {
        self.last = tokens.last().copied().or(self.last);
        self.matcher.consume_tokens(tokens).map_err(problem)
    }

    /// Sets the logits of tokens that may not come next to −∞. A stop token may come once the
    /// answer is complete.
    pub(crate) fn mask(&mut self, logits: &mut [f32]) -> Result<(), ModelError> {
        let mask = self.matcher.compute_mask_or_eos().map_err(problem)?;
        for (id, logit) in (0..).zip(logits) {
            if !mask.is_allowed(id) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Takes and returns the tokens that must come next, if there is only one way to go on.
    ///
    /// Where a longer token might still begin, the choice is left to the model and the mask.
    pub(crate) fn forced_tokens(&mut self) -> Result<Vec<u32>, ModelError> {
        let forced = self.matcher.compute_ff_bytes();
        if forced.is_empty() {
            return Ok(Vec::new());
        }
        let before: Vec<u32> = self.last.into_iter().collect();
        let trie = self.tok_env.tok_trie();
        let mut bytes = trie.decode_raw(&before);
        bytes.extend_from_slice(&forced);
        let (mut tokens, _n_fixed) = self.tok_env.tokenize_bytes_marker(&bytes);
        if !tokens.starts_with(&before) {
            return Ok(Vec::new());
        }
        tokens.drain(..before.len());
        if !self.completes(&tokens) {
            tokens.truncate(self.settled(&tokens));
        }
        // A text that spells a control token is written letter by letter, by the mask.
        let valid = self.matcher.validate_tokens(&tokens).map_err(problem)?;
        tokens.truncate(valid);
        self.consume(&tokens)?;
        Ok(tokens)
    }

    /// Whether the answer is over after `tokens`, so that no longer token can begin among them.
    fn completes(&self, tokens: &[u32]) -> bool {
        let mut after = self.matcher.deep_clone();
        after.consume_tokens(tokens).is_ok() && after.is_stopped()
    }

    /// How many of `tokens` stay as they are whatever follows: those before the first byte at which
    /// a token begins that is longer than what is left.
    fn settled(&self, tokens: &[u32]) -> usize {
        let trie = self.tok_env.tok_trie();
        let bytes = trie.decode_raw(tokens);
        let open = (0..bytes.len()).find(|&start| trie.has_extensions(&bytes[start..]));
        let Some(open) = open else { return tokens.len() };
        let mut end = 0;
        let is_settled = |&&token: &&u32| {
            end += trie.token_len(token);
            end <= open
        };
        tokens.iter().take_while(is_settled).count()
    }

    /// Returns whether nothing but a stop token may follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(problem)`")]
fn problem(err: anyhow::Error) -> ModelError {
    ModelError::Constraint { problem: sentence(&format!("{err:#}")) }
}

/// The longest grammar, regular expression or schema, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// The deepest nesting of a schema: compiling it recurses.
const MAX_DEPTH: usize = 128;

/// The most states of the lexer, of one or two kilobytes each. llguidance bounds its other work by
/// itself: a grammar that needs more is refused, or ends the answer with an error.
const MAX_LEXER_STATES: usize = 50_000;

/// Refuses what is too large to hand on.
fn check_size(constraint: &Constraint) -> Result<(), ModelError> {
    let refuse = |problem| Err(ModelError::Constraint { problem });
    let mut size = 0_usize;
    match constraint {
        Constraint::Lark(text) | Constraint::Regex(text) => size = text.len(),
        Constraint::JsonSchema(schema) => {
            let mut rest = vec![(schema, 1)];
            while let Some((value, depth)) = rest.pop()
                && size <= MAX_SIZE
            {
                if depth > MAX_DEPTH {
                    return refuse(format!("the schema nests more than {MAX_DEPTH} levels deep"));
                }
                size += 2;
                match value {
                    Value::String(text) => size += text.len(),
                    Value::Array(items) => rest.extend(items.iter().map(|item| (item, depth + 1))),
                    Value::Object(members) => {
                        size += members.keys().map(|key| key.len() + 4).sum::<usize>();
                        rest.extend(members.values().map(|member| (member, depth + 1)));
                    }
                    _ => {}
                }
            }
        }
    }
    if size > MAX_SIZE {
        return refuse(format!("it is longer than {} KiB", MAX_SIZE >> 10));
    }
    Ok(())
}

/// The most of a message that is shown; some repeat the grammar.
const MAX_MESSAGE: usize = 300;

/// What llguidance says, in a sentence: without the state it adds for its developers.
fn sentence(message: &str) -> String {
    let message = message.split("\n<").next().unwrap_or_default().trim();
    if message.contains("NoExtension") {
        return "nothing can match it, or nothing can follow what was written".to_owned();
    }
    let message = match message.strip_prefix("panic: ") {
        Some(fault) => format!("it is beyond the grammar engine ({fault})"),
        None => message.to_owned(),
    };
    let end = message.char_indices().nth(MAX_MESSAGE).map_or(message.len(), |(at, _)| at);
    format!("{}{}", &message[..end], if end < message.len() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The embedded vocabulary has whole beginnings of actions as tokens.
    fn tokenizer() -> Tokenizer {
        Tokenizer::from_json(include_bytes!("../embedded/tokenizer.json")).unwrap()
    }

    fn compile(tokenizer: &Tokenizer, grammar: &str) -> TokenConstraint {
        let stop = [tokenizer.id("<|im_end|>").unwrap()];
        let compiler = ConstraintCompiler::new(tokenizer, tokenizer.len(), &stop).unwrap();
        compiler.compile(&Constraint::Lark(grammar.to_owned())).unwrap()
    }

    const CLICK: &str = r#"{"action":"left_click","coordinate":"#;

    #[test]
    fn what_is_forced_is_tokenized_as_in_training() {
        let tokenizer = tokenizer();
        let grammar = format!("start: \"finished\\n\" {}", Value::from(CLICK));
        let mut constraint = compile(&tokenizer, &grammar);
        let forced = constraint.forced_tokens().unwrap();
        assert_eq!(forced, tokenizer.encode(&format!("finished\n{CLICK}")).unwrap());
        assert!(constraint.is_complete());
    }

    #[test]
    fn a_choice_between_long_tokens_is_left_to_the_model() {
        let tokenizer = tokenizer();
        let fail = r#"{"action":"terminate","status":"failure"}"#;
        let grammar =
            format!("start: \"finished\\n\" ({} | {})", Value::from(CLICK), Value::from(fail));
        let mut constraint = compile(&tokenizer, &grammar);
        // Both go on with `{"action":"`, but not with the tokens of these bytes.
        assert_eq!(constraint.forced_tokens().unwrap(), tokenizer.encode("finished\n").unwrap());
        let mut logits = vec![0.0; tokenizer.len()];
        constraint.mask(&mut logits).unwrap();
        for text in [CLICK, fail] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(ids.len(), 1, "{text} is one token");
            assert!(logits[ids[0] as usize] == 0.0, "{text} may come next");
        }
        constraint.consume(&tokenizer.encode(CLICK).unwrap()).unwrap();
        assert!(constraint.is_complete());
    }

    #[test]
    fn a_grammar_that_is_none_is_an_error() {
        let tokenizer = tokenizer();
        let compiler = ConstraintCompiler::new(&tokenizer, tokenizer.len(), &[]).unwrap();
        let err = compiler.compile(&Constraint::Lark("start: nothing".to_owned())).err().unwrap();
        assert!(err.to_string().starts_with("constrained decoding failed: "), "{err}");
    }

    /// What `constraint` fails with, at once or on the way to forty letters.
    #[track_caller]
    fn check_fails(constraint: &Constraint, expected: &str) {
        let tokenizer = tokenizer();
        let stop = [tokenizer.id("<|im_end|>").unwrap()];
        let compiler = ConstraintCompiler::new(&tokenizer, tokenizer.len(), &stop).unwrap();
        let write = || -> Result<(), ModelError> {
            let mut constraint = compiler.compile(constraint)?;
            let letter = tokenizer.encode("a")?;
            for _ in 0..40 {
                constraint.forced_tokens()?;
                let mut logits = vec![0.0; tokenizer.len()];
                constraint.mask(&mut logits)?;
                constraint.consume(&letter)?;
            }
            Ok(())
        };
        let shown: String = format!("{constraint:?}").chars().take(100).collect();
        let message = match write() {
            Ok(()) => "no error".to_owned(),
            Err(err) => err.to_string(),
        };
        assert!(message.contains(expected), "{shown}: {message}");
        assert!(message.len() < 1000 && !message.contains("backtrace"), "{message}");
    }

    fn schema(json: &str) -> Constraint {
        Constraint::JsonSchema(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn what_nothing_can_match_is_an_error() {
        let nothing = "nothing can match it, or nothing can follow what was written";
        check_fails(&schema("false"), "schema is false");
        check_fails(&schema(r#"{"enum": []}"#), "Unsatisfiable schema");
        check_fails(
            &schema(r#"{"allOf": [{"type": "string"}, {"type": "null"}]}"#),
            "Unsatisfiable",
        );
        check_fails(&schema(r##"{"$ref": "#"}"##), nothing);
        check_fails(&schema(r##"{"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}"##), nothing);
        check_fails(
            &schema(r##"{"allOf": [{"$ref": "#"}, {"$ref": "#"}]}"##),
            "circular references",
        );
        check_fails(&Constraint::Regex(r"[^\s\S]".to_owned()), nothing);
        check_fails(&Constraint::Lark("start: start \"a\"".to_owned()), nothing);
    }

    #[test]
    fn what_needs_too_many_states_is_an_error() {
        check_fails(
            &Constraint::Regex("((a{1000}){1000}){1000}".to_owned()),
            "too many expressions",
        );
        check_fails(&Constraint::Regex("(a{60000}){60000}".to_owned()), "too many expressions");
        let branches = r#"{"anyOf": [{"properties": {"p": {}}}, {"properties": {"q": {}}}]},"#;
        let all = format!(r#"{{"allOf": [{}{{}}]}}"#, branches.repeat(20));
        check_fails(&schema(&all), "schema too large");
        let lark = format!("start: {}", "\"a\" ".repeat(100_000));
        check_fails(&Constraint::Lark(lark), "beyond the grammar engine");
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_an_error() {
        check_fails(&Constraint::Regex("a".repeat(MAX_SIZE + 1)), "longer than 1024 KiB");
        check_fails(&Constraint::Lark("a".repeat(MAX_SIZE + 1)), "longer than 1024 KiB");
        let names: Vec<Value> = (0..100_000).map(|i| format!("choice {i}").into()).collect();
        let wide = serde_json::json!({ "enum": names });
        check_fails(&Constraint::JsonSchema(wide), "longer than 1024 KiB");
        let mut deep = serde_json::json!({ "type": "null" });
        for _ in 0..MAX_DEPTH {
            deep = Value::Array(vec![deep]);
        }
        check_fails(&Constraint::JsonSchema(deep), "nests more than 128 levels");
        check_fails(
            &Constraint::Lark(format!("start: {}", "(".repeat(50_000))),
            "too deeply nested",
        );
        check_fails(&Constraint::Regex("(".repeat(50_000)), "invalid regex");
    }

    #[test]
    fn a_grammar_reaches_nothing_outside() {
        check_fails(&schema(r#"{"$ref": "file:///etc/passwd"}"#), "Only absolute");
        check_fails(&schema(r#"{"$ref": "http://127.0.0.1/schema.json"}"#), "Only absolute");
        let import = "%import \"/etc/passwd\"\nstart: \"a\"".to_owned();
        check_fails(&Constraint::Lark(import), "Expected name");
    }
}
