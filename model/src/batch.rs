//! One pass through the decoder for several sequences, so that every weight is read once for all.

use candle_core::{DType, Tensor};

use crate::draft::MAX_ROWS;
use crate::error::ModelError;
use crate::qwen2_5_vl::{Qwen25Vl, Segment};
use crate::request::CancelFlag;
use crate::sequence::Sequence;

/// Prompt tokens that go through the decoder at once: all of a step's as a rule, since weights are taken
/// apart once for each such part.
pub(crate) const PREFILL_CHUNK: usize = 2048;

/// The same while others wait for their next token.
const SHARED_PREFILL_CHUNK: usize = 256;

/// Runs the pending tokens of the sequences, prompts in chunks, and returns for each sequence the
/// logits after its last token, if it got there, and after each token it guessed, `(1 + guesses, v)`.
///
/// Sequences that decode come first; what room is left in the pass goes to prompts, in order. Once all of
/// them are cancelled the pass ends after the layer it is in, and leaves them as they were.
///
/// # Errors
///
/// [`ModelError::Tensor`] if memory runs out; the sequences cannot go on then.
pub(crate) fn pass(
    model: &Qwen25Vl,
    sequences: &mut [&mut Sequence<'_>],
) -> Result<Vec<Option<Vec<Vec<f32>>>>, ModelError> {
    let mut lens = plan(sequences);
    guess(sequences, &mut lens);
    let mut embeddings = Vec::new();
    let mut position_ids = Vec::new();
    for (sequence, &len) in sequences.iter().zip(&lens).filter(|(_, len)| **len > 0) {
        let (rows, places) = sequence.next_rows(len)?;
        embeddings.push(rows);
        position_ids.extend_from_slice(places);
    }
    if embeddings.is_empty() {
        return Ok(vec![None; sequences.len()]);
    }
    let embeddings = Tensor::cat(&embeddings, 0)?; // (s, c)
    let running = sequences.iter().zip(&lens).filter(|(_, len)| **len > 0);
    let flags: Vec<CancelFlag> = running.map(|(sequence, _)| sequence.cancel_flag()).collect();
    let held: Vec<usize> = sequences.iter().map(|sequence| sequence.held()).collect();
    let is_cancelled = || flags.iter().all(CancelFlag::is_cancelled);
    let mut go_on = || if is_cancelled() { candle_core::bail!("cancelled") } else { Ok(()) };
    let mut segments: Vec<Segment<'_>> = sequences
        .iter_mut()
        .zip(&lens)
        .filter(|(_, len)| **len > 0)
        .map(|(sequence, &len)| Segment { cache: sequence.cache_mut(), len })
        .collect();
    let hidden = model.forward_while(&embeddings, &position_ids, &mut segments, &mut go_on); // (s, c)
    let hidden = match hidden {
        Err(_) if is_cancelled() => {
            // Some layers hold the keys and values of these tokens already.
            for (sequence, held) in sequences.iter_mut().zip(held) {
                sequence.cache_mut().truncate(held);
            }
            return Ok(vec![None; sequences.len()]);
        }
        hidden => hidden?,
    };

    // Only the last tokens of a sequence that has none pending need logits.
    let mut end = 0;
    let mut last_rows = Vec::new();
    let mut wanted = Vec::with_capacity(sequences.len());
    for (sequence, &len) in sequences.iter().zip(&lens) {
        end += len as u32;
        let is_complete = len > 0 && sequence.pending() == 0;
        let rows = if is_complete { sequence.wanted() } else { 0 };
        wanted.push(rows);
        last_rows.extend(end - rows as u32..end);
    }
    if last_rows.is_empty() {
        return Ok(vec![None; sequences.len()]);
    }
    let n = last_rows.len();
    let rows = Tensor::from_vec(last_rows, n, hidden.device())?;
    let logits = model.logits(&hidden.index_select(&rows, 0)?)?; // (n, v)
    let mut logits = logits.to_dtype(DType::F32)?.to_vec2::<f32>()?.into_iter();
    let of_each = wanted.into_iter().map(|rows| logits.by_ref().take(rows).collect::<Vec<_>>());
    Ok(of_each.map(|logits| (!logits.is_empty()).then_some(logits)).collect())
}

/// Lets sequences that decode guess what follows, if no prompt runs along: its many rows are computed
/// in another way than those of an answer.
fn guess(sequences: &mut [&mut Sequence<'_>], lens: &mut [usize]) {
    let rows: usize = lens.iter().sum();
    let running = lens.iter().filter(|&&len| len > 0).count().max(1);
    let is_prompt =
        |(sequence, &len): (&&mut Sequence<'_>, &usize)| len > 0 && !sequence.is_decoding();
    if sequences.iter().zip(lens.iter()).any(is_prompt) {
        return;
    }
    let room = MAX_ROWS.saturating_sub(rows) / running;
    for (sequence, len) in sequences.iter_mut().zip(lens).filter(|(_, len)| **len > 0) {
        *len += sequence.guess(room);
    }
}

/// How many of its pending tokens each sequence runs.
fn plan(sequences: &[&mut Sequence<'_>]) -> Vec<usize> {
    let decoding: usize =
        sequences.iter().filter(|sequence| sequence.is_decoding()).map(|s| s.pending()).sum();
    let chunk = if decoding > 0 { SHARED_PREFILL_CHUNK } else { PREFILL_CHUNK };
    let mut room = chunk;
    let share = |sequence: &&mut Sequence<'_>| {
        if sequence.is_waiting() {
            return 0;
        }
        if sequence.is_decoding() {
            return sequence.pending();
        }
        let len = sequence.pending().min(room);
        room -= len;
        len
    };
    sequences.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{GenerateOptions, Request};
    use crate::{Completion, Engine, Message, Role};

    fn asked(text: &str) -> Request {
        Request {
            messages: vec![Message::text(Role::User, text)],
            options: GenerateOptions { max_new_tokens: 4, ..GenerateOptions::default() },
            ..Request::default()
        }
    }

    fn answer(engine: &Engine) -> Completion {
        engine.generate(&asked("One?"), &mut |_| {}, &CancelFlag::default()).unwrap()
    }

    #[test]
    fn a_pass_whose_sequences_are_all_cancelled_ends_on_its_way_and_leaves_no_trace() {
        let engine = Engine::embedded().unwrap();
        let (gone, stays) = (CancelFlag::default(), CancelFlag::default());
        let mut first = engine.start(&asked("One?"), &gone, usize::MAX).unwrap();
        let mut second = engine.start(&asked("Two?"), &stays, usize::MAX).unwrap();
        gone.cancel();
        let alone = pass(engine.model(), &mut [&mut first]).unwrap();
        assert!(matches!(alone.as_slice(), [None]));
        assert_eq!(first.held(), 0);
        let kept = engine.finish(first);
        assert!(kept.tokens.is_empty());
        // What it began is not taken for the beginning of the same prompt.
        let fresh = answer(&Engine::embedded().unwrap());
        let again = answer(&engine);
        assert_eq!((again.text, again.stats.cached_tokens), (fresh.text, 0));

        // Whoever runs along with one that goes on is run to the end.
        let mut first = engine.start(&asked("Three?"), &gone, usize::MAX).unwrap();
        let both = pass(engine.model(), &mut [&mut first, &mut second]).unwrap();
        assert!(both.iter().all(Option::is_some));
    }
}
