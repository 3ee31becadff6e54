//! Constrained decoding: which tokens may come next, and which must.
//!
//! The seam around llguidance, which does the work: a grammar and the vocabulary → a mask over
//! tokens at every step, and *forced tokens* where only one continuation is left.

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;
use toktrie::InferenceCapabilities;
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
}

/// Compiles constraints for one vocabulary.
pub(crate) struct ConstraintCompiler {
    factory: ParserFactory,
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
        let env = bytes.into_tok_env(Some(vocab_size)).map_err(problem)?;
        let capabilities = InferenceCapabilities { ff_tokens: true, ..Default::default() };
        let mut factory = ParserFactory::new(&env, capabilities, &[]).map_err(problem)?;
        factory.quiet();
        Ok(Self { factory })
    }

    /// Compiles a constraint for one generation.
    pub(crate) fn compile(&self, constraint: &Constraint) -> Result<TokenConstraint, ModelError> {
        let grammar = match constraint {
            Constraint::JsonSchema(schema) => TopLevelGrammar::from_json_schema(schema.clone()),
            Constraint::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
        };
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        match matcher.get_error() {
            Some(problem) => Err(ModelError::Constraint { problem }),
            None => Ok(TokenConstraint { matcher }),
        }
    }
}

/// A constraint somewhere inside an answer.
pub(crate) struct TokenConstraint {
    matcher: Matcher,
}

impl TokenConstraint {
    /// Takes the answer's next tokens.
    pub(crate) fn consume(&mut self, tokens: &[u32]) -> Result<(), ModelError> {
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
    pub(crate) fn forced_tokens(&mut self) -> Vec<u32> {
        self.matcher.consume_ff_tokens()
    }

    /// Returns whether nothing but a stop token may follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(problem)`")]
fn problem(err: anyhow::Error) -> ModelError {
    ModelError::Constraint { problem: format!("{err:#}") }
}
