//! Opens the pictures and videos a question is about.

use std::io;
use std::path::Path;

use handsight_model::media::image::{DecodeLimits, decode, open, read_bounded};
use handsight_model::media::video::{self, FrameChoice, Rate, VideoOptions};
use handsight_model::{CancelFlag, PixelLimits, VideoInput};
use image::RgbImage;

use crate::failure::{Exit, Failure};

/// Reads a picture: a file, or stdin if it is called `-`.
pub(crate) fn image(name: &str) -> Result<RgbImage, Failure> {
    let limits = DecodeLimits::default();
    if name != "-" {
        return image_file(Path::new(name));
    }
    let bytes = read_bounded(io::stdin().lock(), "stdin", limits.max_bytes)?;
    if bytes.is_empty() {
        return Err(Failure::bad_input("there is no picture on stdin".to_owned())
            .with_hint("pipe one in, or name a file in the place of `-`"));
    }
    Ok(decode("stdin", &bytes, &limits)?)
}

/// Reads a picture from a file.
pub(crate) fn image_file(path: &Path) -> Result<RgbImage, Failure> {
    Ok(open(path, &DecodeLimits::default())?)
}

/// Reads the frames of a video file, an animated GIF or a folder.
///
/// `fps` is how many frames a second are taken; of a folder all are taken, and it is how many it
/// has.
pub(crate) fn video(
    path: &Path,
    limits: PixelLimits,
    fps: Option<f64>,
    cancel: &CancelFlag,
) -> Result<VideoInput, Failure> {
    let is_folder = path.is_dir();
    let rate = match (fps.filter(|_| !is_folder), Rate::default()) {
        (Some(fps), Rate::Fps { min_frames, max_frames, .. }) => {
            Rate::Fps { fps, min_frames, max_frames }
        }
        (_, rate) => rate,
    };
    let options = VideoOptions {
        choice: FrameChoice { rate, ..FrameChoice::default() },
        min_pixels: limits.min_pixels,
        max_pixels: limits.max_pixels,
        ..VideoOptions::default()
    };
    let video = video::open(path, &options, cancel).map_err(|error| {
        let failure = Failure::from(error);
        if failure.hint.is_some() || failure.exit == Exit::Interrupted {
            return failure;
        }
        failure.with_hint(
            "give a whole video file, an animated GIF, or a folder of PNG, JPEG, WebP, BMP or GIF \
             images",
        )
    })?;
    match fps {
        Some(fps) if is_folder => Ok(VideoInput { fps, ..video }),
        _ => Ok(video),
    }
}
