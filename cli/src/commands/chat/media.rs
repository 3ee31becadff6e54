//! Opens what is shown in a conversation.

use std::path::Path;
use std::sync::Arc;

use handsight_agent::{CancelFlag, Said, VisionModel};
use handsight_model::{ImageInput, PixelLimits};

use super::line::Piece;
use crate::failure::Failure;
use crate::open;

/// How large what is shown is seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Media {
    pub(super) limits: PixelLimits,
    /// The user's own limit, for frames of a video.
    pub(super) max_pixels: Option<u64>,
}

impl Media {
    /// Opens a picture or a video; nothing if the piece is words.
    pub(super) fn open(self, piece: &Piece, cancel: &CancelFlag) -> Result<Option<Said>, Failure> {
        let name = |path: &Path| path.display().to_string();
        match piece {
            Piece::Text(_) => Ok(None),
            Piece::Image(path) => {
                let pixels = Arc::new(open::image_file(path)?);
                let image = ImageInput { pixels, limits: self.limits };
                Ok(Some(Said::Image(image, name(path))))
            }
            Piece::Video(path) => {
                let limits = PixelLimits { max_pixels: self.max_pixels, ..PixelLimits::default() };
                let video = open::video(path, limits, None, cancel)?;
                Ok(Some(Said::Video(video, name(path))))
            }
        }
    }
}

/// Says what was opened, and how large the model sees it.
pub(super) fn told(said: &Said, model: &dyn VisionModel) -> Result<String, Failure> {
    Ok(match said {
        Said::Text(text) => text.clone(),
        Said::Image(image, name) => {
            let (width, height) = image.pixels.dimensions();
            let (w, h) = model.resized_size_within(width, height, image.limits)?;
            format!("picture {name}: {width}×{height}, seen at {w}×{h}")
        }
        Said::Video(video, name) => {
            let count = video.frames.len();
            format!("video {name}: {count} frames, {:.2} a second", video.fps)
        }
    })
}
