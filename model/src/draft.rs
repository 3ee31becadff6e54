//! Draft tokens: what an answer will say next, guessed from what was said before.
//!
//! A pass through the decoder takes little longer for a few tokens than for one, since it waits for
//! the weights. So tokens that probably follow go through it as well, and those the model would have
//! chosen itself are kept: one pass for several tokens, and the same answer. An agent's actions
//! repeat, in their wording at least, so its last answers and its prompt are good places to guess from.
//!
//! # Source
//!
//! Leviathan et al., Fast Inference from Transformers via Speculative Decoding, 2023; the guessing
//! from a text at hand: Saxena, Prompt Lookup Decoding, 2023.

use std::collections::VecDeque;
use std::sync::Arc;

/// The most tokens that go through the decoder together when some are guessed: few enough for the
/// same arithmetic as one takes (see `Projection`), so that no bit differs.
pub(crate) const MAX_ROWS: usize = 8;

/// Answers that are remembered.
const MAX_ANSWERS: usize = 16;

/// Tokens that are remembered of one answer.
const MAX_ANSWER_LEN: usize = 1024;

/// The longest run of last tokens that is looked for; a longer one says hardly more.
const MAX_RUN: usize = 8;

/// The shortest run of last tokens that is evidence.
const MIN_RUN: usize = 2;

/// After so many passes at the most, guessing is tried again.
const MAX_PAUSE: usize = 15;

/// The last answers, the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentAnswers(VecDeque<Arc<[u32]>>);

impl RecentAnswers {
    /// Remembers an answer.
    pub(crate) fn push(&mut self, answer: impl Iterator<Item = u32>) {
        let answer: Arc<[u32]> = answer.take(MAX_ANSWER_LEN).collect();
        if answer.is_empty() {
            return;
        }
        self.0.retain(|other| *other != answer);
        self.0.push_front(answer);
        self.0.truncate(MAX_ANSWERS);
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Guesses the next tokens of one answer.
#[derive(Debug)]
pub(crate) struct Drafter {
    earlier: RecentAnswers,
    /// How many tokens are worth guessing, by how the last guesses went.
    most: usize,
    /// Passes until the next guess, and how many those were the last time.
    pause: usize,
    last_pause: usize,
}

impl Drafter {
    /// Guesses from these answers, and from the prompt.
    pub(crate) fn new(earlier: RecentAnswers) -> Self {
        Self { earlier, most: MAX_ROWS / 2, pause: 0, last_pause: 0 }
    }

    /// Returns what probably follows `answer`, at most `room` tokens.
    pub(crate) fn guess<'a>(
        &'a mut self,
        prompt: &'a [u32],
        answer: &[u32],
        room: usize,
    ) -> &'a [u32] {
        if self.pause > 0 {
            self.pause -= 1;
            return &[];
        }
        let found = self.continuation(prompt, answer).unwrap_or_default();
        &found[..found.len().min(room).min(self.most)]
    }

    /// Takes notice of how many of the last guesses were right.
    pub(crate) fn learn(&mut self, guessed: usize, right: usize) {
        if guessed == 0 {
            return;
        }
        self.most = if right == guessed { 2 * self.most } else { right.max(1) }.min(MAX_ROWS);
        self.last_pause = if right > 0 { 0 } else { (2 * self.last_pause + 1).min(MAX_PAUSE) };
        self.pause = self.last_pause;
    }

    /// What followed the same beginning, or else the same last tokens, the last time.
    fn continuation<'a>(&'a self, prompt: &'a [u32], answer: &[u32]) -> Option<&'a [u32]> {
        let earlier = || self.earlier.0.iter().map(|earlier| &**earlier);
        let longer = earlier().find_map(|earlier| earlier.strip_prefix(answer));
        if longer.is_some_and(|rest| !rest.is_empty()) {
            return longer;
        }
        (MIN_RUN..=MAX_RUN.min(answer.len())).rev().find_map(|run| {
            let last = &answer[answer.len() - run..];
            earlier().chain([prompt]).find_map(|text| after(text, last))
        })
    }
}

/// What follows the last place in `text` where `run` stands.
fn after<'a>(text: &'a [u32], run: &[u32]) -> Option<&'a [u32]> {
    let mut ends = (run.len()..text.len()).rev();
    ends.find(|&end| text[..end].ends_with(run)).map(|end| &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafter(answers: &[&[u32]]) -> Drafter {
        let mut recent = RecentAnswers::default();
        for answer in answers {
            recent.push(answer.iter().copied());
        }
        Drafter::new(recent)
    }

    #[test]
    fn what_began_alike_is_guessed_first_then_what_has_the_same_last_tokens() {
        let mut drafter = drafter(&[&[1, 2, 3, 4, 5], &[7, 2, 3, 9, 9, 9, 9, 9]]);
        let prompt = [0, 8, 8, 6, 6];
        assert_eq!(drafter.guess(&prompt, &[1, 2], 7), [3, 4, 5]);
        assert_eq!(
            drafter.guess(&prompt, &[2, 2, 3], 3),
            [9, 9, 9],
            "the newest, as there is room"
        );
        assert_eq!(drafter.guess(&prompt, &[1, 8, 8], 7), [6, 6], "from the prompt");
        assert!(drafter.guess(&prompt, &[1, 8], 7).is_empty(), "one token is no evidence");
        assert_eq!(drafter.guess(&prompt, &[], 7), [7, 2, 3, 9], "the last answer, for a start");
    }

    #[test]
    fn guesses_get_longer_while_they_are_right_and_rare_while_they_are_wrong() {
        let answer: Vec<u32> = (0..40).collect();
        let mut drafter = drafter(&[&answer]);
        let len = |drafter: &mut Drafter| drafter.guess(&[], &[0, 1], 20).len();
        assert_eq!(len(&mut drafter), 4);
        drafter.learn(4, 4);
        assert_eq!(len(&mut drafter), MAX_ROWS);
        drafter.learn(8, 0);
        let lens: Vec<usize> = (0..2).map(|_| len(&mut drafter)).collect();
        assert_eq!(lens, [0, 1], "after one pass it tries with one");
        drafter.learn(1, 0);
        let lens: Vec<usize> = (0..4).map(|_| len(&mut drafter)).collect();
        assert_eq!(lens, [0, 0, 0, 1]);
        drafter.learn(1, 1);
        assert_eq!(len(&mut drafter), 2);
    }

    #[test]
    fn old_answers_go() {
        let mut recent = RecentAnswers::default();
        recent.push([].into_iter());
        for answer in 0..20 {
            recent.push([answer; 2000].into_iter());
        }
        recent.push([5; 2000].into_iter());
        assert_eq!(recent.0.len(), MAX_ANSWERS);
        assert_eq!((recent.0[0][0], recent.0[0].len()), (5, MAX_ANSWER_LEN));
        assert_eq!(recent.0.iter().filter(|answer| answer[0] == 5).count(), 1);
    }
}
