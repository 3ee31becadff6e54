//! The pictures of a prompt on their way through the vision tower, but for what is known of them.

use candle_core::{Device, Tensor};

use super::{Engine, lock};
use crate::error::ModelError;
use crate::kernels::Scratch;
use crate::prompt::{Picture, Prompt};
use crate::request::CancelFlag;
use crate::vision_cache::{Windows, byte_len};

impl Engine {
    /// Encodes the pictures that are not wholly among the first `cached` tokens.
    ///
    /// Cancelled on the way, it leaves the rest undone: the sequence will not run.
    pub(super) fn encode_pictures(
        &self,
        prompt: &mut Prompt,
        cached: usize,
        cancel: &CancelFlag,
    ) -> Result<(), ModelError> {
        for picture in &mut prompt.pictures {
            if picture.end() <= cached {
                continue;
            }
            picture.features = lock(&self.images).features.get(&picture.content);
            if picture.features.is_none() {
                let Some(features) = self.encode(picture, cancel)? else { return Ok(()) };
                let size = byte_len(&features);
                lock(&self.images).features.put(picture.content, features.clone(), size);
                picture.features = Some(features);
            }
        }
        Ok(())
    }

    /// Runs a picture through the vision tower; nothing if cancelled.
    fn encode(&self, picture: &Picture, cancel: &CancelFlag) -> Result<Option<Tensor>, ModelError> {
        let frames: Vec<_> = picture.frames.iter().collect();
        let processed = self.processor.patchify(&frames);
        let shape = (processed.grid.patch_len(), self.model.config().vision.patch_len());
        let pixel_values: Tensor = Tensor::from_vec(processed.pixel_values, shape, &Device::Cpu)?;
        let mut go_on = || {
            if cancel.is_cancelled() {
                candle_core::bail!("cancelled");
            }
            Ok(())
        };
        let encoded = if picture.frames.len() == 1 && self.model.visual().windowed_depth() > 0 {
            self.encode_windows(picture, pixel_values, &mut go_on)
        } else {
            let mut go_on = |_block: usize, _output: &dyn Fn() -> candle_core::Result<_>| go_on();
            self.model.visual().forward_with(pixel_values, &[picture.grid], &mut go_on)
        };
        match encoded {
            Ok(features) => {
                Scratch::release();
                Ok(Some(features))
            }
            Err(_) if cancel.is_cancelled() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a still image through the vision tower, but for what an earlier one has in common with it.
    fn encode_windows(
        &self,
        picture: &Picture,
        pixel_values: Tensor,
        go_on: &mut dyn FnMut() -> candle_core::Result<()>,
    ) -> candle_core::Result<Tensor> {
        let Picture { grid, frames, .. } = picture;
        let config = &self.model.config().vision;
        let side = config.window_side() * config.spatial_merge_size * config.patch_size;
        let earlier = lock(&self.images).windows.get(grid);
        let changed = earlier.as_ref().map(|earlier| earlier.changed(frames, side as u32));
        let earlier = earlier.as_ref().map(|earlier| &earlier.hidden).zip(changed.as_deref());
        let visual = self.model.visual();
        let (features, hidden) = visual.forward_windows(pixel_values, *grid, earlier, go_on)?;
        let all = grid.windows(config);
        let run = changed.map_or(all, |changed| changed.len());
        let windows = Windows { frames: frames.clone(), hidden };
        let size = windows.byte_len();
        let mut images = lock(&self.images);
        images.window_counts.0 += (all - run) as u64;
        images.window_counts.1 += run as u64;
        images.windows.put(*grid, windows, size);
        Ok(features)
    }
}
