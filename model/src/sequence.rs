//! One request on its way through the decoder: which tokens come next, and when the answer is over.

use std::ops::Range;
use std::time::Instant;

use candle_core::Tensor;

use crate::answer_text::AnswerText;
use crate::constraint::TokenConstraint;
use crate::draft::Drafter;
use crate::engine::Engine;
use crate::error::ModelError;
use crate::kv_cache::KvCache;
use crate::prefix_cache::{PlaceKey, token_key};
use crate::prompt::{Picture, Prompt};
use crate::request::{
    CancelFlag, Completion, GenerateOptions, Request, Stats, StopReason, TokenInfo, TopToken,
};
use crate::sampler::{Sampled, Sampler};

/// A sequence of tokens that grows into an answer.
pub(crate) struct Sequence<'e> {
    engine: &'e Engine,
    options: GenerateOptions,
    cancel: CancelFlag,
    // the tokens so far, prompt and answer
    token_ids: Vec<u32>,
    keys: Vec<PlaceKey>,
    position_ids: Vec<[u32; 3]>,
    next_position: u32,
    pictures: Vec<Picture>,
    constant: usize,
    /// Tokens that have been through the decoder are in here; the others are pending.
    cache: KvCache,
    choice: Choice,
    /// Guesses what comes next, if anything may be guessed.
    drafter: Option<Drafter>,
    /// How many of the last tokens are guesses.
    guessed: usize,
    // the answer
    prefix: String,
    text: AnswerText,
    tokens: Vec<TokenInfo>,
    stop: Option<StopReason>,
    /// Whether it sits out the passes until another has run what they share.
    is_waiting: bool,
    stats: Stats,
    started: Instant,
}

/// The part of an answer for which room is made at once; a longer one grows into more.
const RESERVED_NEW_TOKENS: usize = 1024;

/// Returns for how many tokens a cache is to have room at once.
pub(crate) fn capacity(prompt_len: usize, max_new_tokens: usize) -> usize {
    prompt_len + max_new_tokens.min(RESERVED_NEW_TOKENS)
}

/// How the tokens of an answer are chosen.
pub(crate) struct Choice {
    pub(crate) sampler: Sampler,
    pub(crate) constraint: Option<TokenConstraint>,
}

impl<'e> Sequence<'e> {
    /// Starts a request whose `prompt` has its features and whose beginning is in `cache`.
    pub(crate) fn new(
        engine: &'e Engine,
        request: &Request,
        prompt: Prompt,
        cache: KvCache,
        choice: Choice,
        stats: Stats,
    ) -> Self {
        let options = request.options.clone();
        let Prompt { token_ids, keys, position_ids, next_position, pictures, constant } = prompt;
        Self {
            engine,
            cancel: CancelFlag::default(),
            token_ids,
            keys,
            position_ids,
            next_position,
            pictures,
            constant,
            cache,
            choice,
            drafter: engine.drafter(),
            guessed: 0,
            prefix: request.prefix.clone().unwrap_or_default(),
            text: AnswerText::new(&options.stop),
            tokens: Vec::new(),
            stop: None,
            is_waiting: false,
            stats,
            started: Instant::now(),
            options,
        }
    }

    /// Ends it when this flag is set.
    pub(crate) fn cancelled_by(mut self, cancel: &CancelFlag) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Forbids guesses: every token takes a pass of its own.
    pub(crate) fn without_drafts(self) -> Self {
        Self { drafter: None, ..self }
    }

    /// Returns why the answer is over, if it is.
    pub(crate) fn stop(&self) -> Option<StopReason> {
        self.stop
    }

    /// Returns the tokens of the answer so far.
    pub(crate) fn answer(&self) -> &[TokenInfo] {
        &self.tokens
    }

    /// Returns how many tokens of the prompt are its system turn.
    pub(crate) fn constant(&self) -> usize {
        self.constant
    }

    /// Returns what the prompt cost so far.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Asks it to end, as its request's flag does.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Returns the flag that ends it.
    pub(crate) fn cancel_flag(&self) -> CancelFlag {
        self.cancel.clone()
    }

    /// Ends the answer if it was cancelled or nothing may be generated.
    pub(crate) fn check_over(&mut self) {
        if self.stop.is_none() && self.cancel.is_cancelled() {
            self.stop = Some(StopReason::Cancelled);
        } else if self.stop.is_none() && self.tokens.len() >= self.options.max_new_tokens {
            self.stop = Some(StopReason::Length);
        }
    }

    /// Returns the names of its places, prompt and answer so far.
    pub(crate) fn keys(&self) -> &[PlaceKey] {
        &self.keys
    }

    /// Returns how many tokens have been through the decoder.
    pub(crate) fn held(&self) -> usize {
        self.cache.len()
    }

    /// Returns for how many tokens its cache is to have room.
    pub(crate) fn capacity(&self) -> usize {
        capacity(self.token_ids.len(), self.options.max_new_tokens)
    }

    /// Takes a copy of what another one holds of the `len` places with which both begin, if that is
    /// more than this one holds. Without memory for it, it runs them itself.
    pub(crate) fn borrow(&mut self, other: &Self, len: usize) {
        if len > self.held()
            && let Ok(copy) = other.cache.copy_prefix(len, self.capacity())
        {
            self.resume(copy);
        }
    }

    /// Goes on from a cache of the beginning of its prompt.
    pub(crate) fn resume(&mut self, cache: KvCache) {
        self.stats.cached_tokens = cache.len();
        self.cache = cache;
    }

    /// Takes it out of the passes, or back in.
    pub(crate) fn set_waiting(&mut self, is_waiting: bool) {
        self.is_waiting = is_waiting;
    }

    /// Returns whether it takes no part in the next pass.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Returns how many tokens wait to go through the decoder.
    pub(crate) fn pending(&self) -> usize {
        self.token_ids.len() - self.cache.len()
    }

    /// Adds guesses at what follows its pending tokens, `room` at the most, to go through the decoder
    /// with them; returns how many.
    pub(crate) fn guess(&mut self, room: usize) -> usize {
        // The last token of an answer never goes through the decoder.
        let left = (self.options.max_new_tokens - self.tokens.len()).saturating_sub(1);
        let room = room.min(left);
        let Some(drafter) = self.drafter.as_mut().filter(|_| room > 0 && self.guessed == 0) else {
            return 0;
        };
        let (prompt, answer) = self.token_ids.split_at(self.token_ids.len() - self.tokens.len());
        let guesses = drafter.guess(prompt, answer, room).to_vec();
        for id in guesses.into_iter().take_while(|&id| self.engine.can_be_said(id)) {
            self.position_ids.push([self.next_position + self.guessed as u32; 3]);
            self.token_ids.push(id);
            self.guessed += 1;
        }
        self.guessed
    }

    /// Returns after how many of its tokens the logits are wanted: the last one, and those guessed.
    pub(crate) fn wanted(&self) -> usize {
        1 + self.guessed
    }

    /// Returns whether the prompt has gone through the decoder.
    pub(crate) fn is_decoding(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Returns the embeddings, `(n, c)`, and positions of the next `n` pending tokens.
    pub(crate) fn next_rows(&self, n: usize) -> Result<(Tensor, &[[u32; 3]]), ModelError> {
        let start = self.cache.len();
        let rows = start..start + n;
        let features = self.features(&rows)?;
        let model = self.engine.model();
        let embeddings = model.embed(&self.token_ids[rows.clone()], features.as_ref())?;
        Ok((embeddings, &self.position_ids[rows]))
    }

    /// Returns the cache, for the pass of the rows given by [`next_rows`](Self::next_rows).
    pub(crate) fn cache_mut(&mut self) -> &mut KvCache {
        &mut self.cache
    }

    /// The features of the placeholders among these tokens.
    fn features(&self, rows: &Range<usize>) -> Result<Option<Tensor>, ModelError> {
        let mut parts = Vec::new();
        for picture in &self.pictures {
            let (from, to) = (picture.start.max(rows.start), picture.end().min(rows.end));
            if let Some(features) = picture.features.as_ref().filter(|_| from < to) {
                parts.push(features.narrow(0, from - picture.start, to - from)?);
            }
        }
        Ok(if parts.is_empty() { None } else { Some(Tensor::cat(&parts, 0)?) })
    }

    /// Takes the logits after the last pending token, and after each guess, and chooses what comes next.
    ///
    /// `on_token` sees every new token.
    pub(crate) fn advance(
        &mut self,
        logits: Vec<Vec<f32>>,
        on_token: &mut dyn FnMut(&TokenInfo),
    ) -> Result<(), ModelError> {
        let known = self.token_ids.len() - self.guessed;
        let guesses = self.token_ids.split_off(known);
        self.position_ids.truncate(known);
        self.guessed = 0;
        if self.tokens.is_empty() {
            self.stats.prefill = self.started.elapsed();
            self.started = Instant::now();
            let forced = self.forced()?;
            if !forced.is_empty() {
                self.extend(forced, on_token);
                return Ok(());
            }
        } else {
            self.stats.forward_passes += 1;
        }
        let mut right = 0; // guesses that came true, each with logits after it
        for (at, logits) in logits.into_iter().enumerate() {
            if at < right {
                continue; // after a token that the grammar forced
            }
            let Some(sampled) = self.sample(logits)? else {
                self.stop = Some(StopReason::Stop);
                self.show_rest(on_token);
                break;
            };
            let mut tokens = vec![self.token(sampled, false)];
            tokens.extend(self.forced()?);
            let new = tokens.len();
            self.extend(tokens, on_token);
            let rest = guesses[at..].iter().zip(&self.token_ids[known + at..]);
            let same = rest.take_while(|(guess, token)| guess == token).count();
            right = at + same.min(new);
            if same < new || self.stop.is_some() {
                break;
            }
        }
        self.stats.draft_tokens += guesses.len();
        self.stats.accepted_draft_tokens += right;
        if let Some(drafter) = &mut self.drafter {
            drafter.learn(guesses.len(), right);
        }
        self.cache.truncate(known + right);
        Ok(())
    }

    /// Chooses a token; nothing if the model ends its answer.
    fn sample(&mut self, mut logits: Vec<f32>) -> Result<Option<Sampled>, ModelError> {
        self.engine.mask_impossible(&mut logits, self.options.ignore_eos);
        if let Some(constraint) = &mut self.choice.constraint {
            constraint.mask(&mut logits)?;
        }
        let sampled = self.choice.sampler.sample(logits, &self.token_ids, self.tokens.len())?;
        if self.engine.stop_ids().contains(&sampled.id) {
            return Ok(None);
        }
        if let Some(constraint) = &mut self.choice.constraint {
            constraint.consume(&[sampled.id])?;
        }
        Ok(Some(sampled))
    }

    /// The tokens the grammar leaves no choice about.
    fn forced(&mut self) -> Result<Vec<TokenInfo>, ModelError> {
        let ids = self
            .choice
            .constraint
            .as_mut()
            .map_or(Ok(Vec::new()), TokenConstraint::forced_tokens)?;
        let sampled = |id| Sampled { id, logprob: 0.0, top: Vec::new() };
        Ok(ids.into_iter().map(|id| self.token(sampled(id), true)).collect())
    }

    fn token(&self, sampled: Sampled, forced: bool) -> TokenInfo {
        let bytes = |id| self.engine.tokenizer().token_bytes(id).to_vec();
        let top = sampled.top.into_iter();
        TokenInfo {
            id: sampled.id,
            text: String::new(),
            bytes: bytes(sampled.id),
            logprob: sampled.logprob,
            forced,
            top: top.map(|(id, logprob)| TopToken { id, bytes: bytes(id), logprob }).collect(),
        }
    }

    /// Adds tokens to the answer until it is over.
    fn extend(&mut self, tokens: Vec<TokenInfo>, on_token: &mut dyn FnMut(&TokenInfo)) {
        let complete = self.choice.constraint.as_ref().is_some_and(TokenConstraint::is_complete);
        let room = self.options.max_new_tokens - self.tokens.len();
        let n = tokens.len();
        for (i, mut token) in tokens.into_iter().take(room).enumerate() {
            self.token_ids.push(token.id);
            self.keys.push(token_key(token.id));
            self.position_ids.push([self.next_position; 3]);
            self.next_position += 1;
            let shown = self.text.push(&token.bytes);
            token.text = shown.text;
            let at_end = self.tokens.len() + 1 == self.options.max_new_tokens;
            self.stop = match () {
                () if shown.stopped => Some(StopReason::StopString),
                () if complete && i + 1 == n => Some(StopReason::Stop),
                () if at_end => Some(StopReason::Length),
                () => None,
            };
            if self.stop.is_some() && !shown.stopped {
                token.text.push_str(&self.text.finish());
            }
            on_token(&token);
            self.tokens.push(token);
            if self.stop.is_some() {
                break;
            }
        }
    }

    /// Shows text that was held back, with the token that ends the answer.
    fn show_rest(&mut self, on_token: &mut dyn FnMut(&TokenInfo)) {
        let rest = self.text.finish();
        if let Some(last) = self.tokens.last_mut().filter(|_| !rest.is_empty()) {
            last.text.push_str(&rest);
            let id = self.engine.stop_ids().first().copied().unwrap_or_default();
            on_token(&TokenInfo { id, text: rest, ..TokenInfo::default() });
        }
    }

    /// Returns the answer, and the places that are in the cache, with it, to remember them.
    pub(crate) fn finish(mut self) -> (Completion, Vec<PlaceKey>, KvCache) {
        if !self.tokens.is_empty() {
            self.stats.decode = self.started.elapsed();
        }
        self.stats.completion_tokens = self.tokens.len();
        self.stats.forced_tokens = self.tokens.iter().filter(|token| token.forced).count();
        let texts: String = self.tokens.iter().map(|token| token.text.as_str()).collect();
        let completion = Completion {
            text: format!("{}{texts}", self.prefix),
            tokens: self.tokens,
            stop: self.stop.unwrap_or(StopReason::Cancelled),
            stats: self.stats,
        };
        self.keys.truncate(self.cache.len());
        (completion, self.keys, self.cache)
    }
}
