//! What a model would have said at every token of an answer that is given: to compare models.

use candle_core::{DType, Tensor};

use super::Engine;
use crate::error::ModelError;
use crate::request::{CancelFlag, Request};
use crate::sequence;

/// Tokens that go through the decoder at once.
const CHUNK: usize = 1024;

impl Engine {
    /// Returns the logits before each token of `answer`, and none after the last: one row of the
    /// vocabulary each. Neither the request's constraint nor its penalties have changed them.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the prompt does not fit or an image cannot be used,
    /// [`ModelError::Cancelled`] if it was cancelled.
    pub fn answer_logits(
        &self,
        request: &Request,
        answer: &[u32],
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let builder = self.prompt_builder();
        let outline = builder.outline(request)?;
        let (tokens, max_new_tokens, limit) = (outline.len(), answer.len(), self.context_limit);
        if tokens + max_new_tokens > limit {
            return Err(ModelError::PromptTooLong { tokens, max_new_tokens, limit });
        }
        let capacity = sequence::capacity(tokens, max_new_tokens);
        let patches = outline.largest_picture();
        self.make_room(self.memory_plan.request_bytes(capacity, tokens, patches))?;
        let mut prompt = builder.build(request, &outline)?;
        self.encode_pictures(&mut prompt, 0, cancel)?;
        if cancel.is_cancelled() {
            return Err(ModelError::Cancelled);
        }

        let features = prompt.pictures.iter().filter_map(|picture| picture.features.as_ref());
        let features: Vec<&Tensor> = features.collect();
        let features = (!features.is_empty()).then(|| Tensor::cat(&features, 0)).transpose()?;
        let (mut ids, mut positions) = (prompt.token_ids, prompt.position_ids);
        // The last token of the answer leads to none that is asked for.
        let read = &answer[..answer.len().saturating_sub(1)];
        ids.extend_from_slice(read);
        positions.extend((prompt.next_position..).take(read.len()).map(|at| [at; 3]));
        let embeddings = self.model.embed(&ids, features.as_ref())?; // (s, c)

        let mut cache = self.model.new_cache();
        cache.reserve(ids.len());
        let mut rows = Vec::with_capacity(answer.len());
        for start in (0..ids.len()).step_by(CHUNK) {
            if cancel.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            let end = ids.len().min(start + CHUNK);
            let chunk = embeddings.narrow(0, start, end - start)?;
            let hidden = self.model.forward(&chunk, &positions[start..end], &mut cache)?;
            let first = (tokens - 1).max(start);
            if first < end && !answer.is_empty() {
                let hidden = hidden.narrow(0, first - start, end - first)?.contiguous()?;
                rows.extend(self.model.logits(&hidden)?.to_dtype(DType::F32)?.to_vec2::<f32>()?);
            }
        }
        Ok(rows)
    }
}
