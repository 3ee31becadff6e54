//! An animated GIF as a video, by its own clock.
//!
//! Every frame of a GIF says how long it is shown. The frames are laid on a line of equal ticks, as
//! long as all delays are multiples of, and each tick shows what a person would see then; that is a
//! video of constant rate, to be sampled as any other.

use std::io::{BufRead, Seek};

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder};

use super::{Fitter, MediaError, VideoOptions, sampling};
use crate::media::image::{blend, check_size, decoder_limits};
use crate::request::CancelFlag;
use crate::request::VideoInput;

/// The most frames of an animation.
const MAX_ANIMATION_FRAMES: usize = 50_000;

/// The most pixels that are decoded in all; it bounds the time.
const MAX_DECODED_PIXELS: u64 = 1 << 34;

/// What browsers show a frame for that asks for no time, or hardly any, in milliseconds.
const NO_DELAY: u64 = 100;
const HARDLY_ANY: u64 = 10;

/// Reads an animated GIF, which `open` opens as often as it has to be read.
pub(crate) fn read<R: BufRead + Seek>(
    name: &str,
    open: &dyn Fn() -> Result<R, MediaError>,
    options: &VideoOptions,
    cancel: &CancelFlag,
) -> Result<VideoInput, MediaError> {
    // The delays are spread over the file, and which frames to keep depends on all of them.
    let delays = delays(open()?, name, options, cancel)?;
    let clock = Clock::new(&delays);
    let chosen = sampling::choose(name, clock.ticks, clock.fps(), &options.choice)
        .map_err(|error| no_animation(error, name, delays.len()))?;

    let shown: Vec<usize> = chosen.indices.iter().map(|&tick| clock.frame_at(tick)).collect();
    let mut fitter = Fitter::new(name, shown.len(), options);
    let mut shown = shown.into_iter().peekable();
    each_frame(open()?, name, options, cancel, |index, frame| {
        if shown.peek() == Some(&index) {
            let picture = std::sync::Arc::new(blend(frame.buffer()));
            while shown.next_if_eq(&index).is_some() {
                fitter.push(std::sync::Arc::clone(&picture))?;
            }
        }
        Ok(shown.peek().is_some())
    })?;
    fitter.finish(chosen.fps)
}

/// Says of a GIF of one frame what it is.
fn no_animation(error: MediaError, name: &str, frames: usize) -> MediaError {
    if frames > 1 {
        return error;
    }
    let problem = "it has only one frame; give it as an image".to_owned();
    MediaError::Video { name: name.to_owned(), problem }
}

/// Returns how long each frame is shown, in milliseconds.
fn delays(
    file: impl BufRead + Seek,
    name: &str,
    options: &VideoOptions,
    cancel: &CancelFlag,
) -> Result<Vec<u64>, MediaError> {
    let mut delays = Vec::new();
    each_frame(file, name, options, cancel, |_, frame| {
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let delay = u64::from(numerator) / u64::from(denominator.max(1));
        delays.push(if delay <= HARDLY_ANY { NO_DELAY } else { delay });
        Ok(true)
    })?;
    Ok(delays)
}

/// Decodes frame after frame until `use_frame` says that it has enough.
fn each_frame(
    file: impl BufRead + Seek,
    name: &str,
    options: &VideoOptions,
    cancel: &CancelFlag,
    mut use_frame: impl FnMut(usize, &image::Frame) -> Result<bool, MediaError>,
) -> Result<(), MediaError> {
    let decoder = decoder(file, name, options)?;
    let (width, height) = decoder.dimensions();
    let affordable = MAX_DECODED_PIXELS / (u64::from(width) * u64::from(height)).max(1);
    for (index, frame) in decoder.into_frames().enumerate() {
        if cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        if index >= MAX_ANIMATION_FRAMES || index as u64 >= affordable {
            let problem = format!("it has more than {index} frames of {width}×{height} px");
            return Err(MediaError::Video { name: name.to_owned(), problem });
        }
        let frame = frame.map_err(|source| MediaError::Decode { name: name.to_owned(), source })?;
        if !use_frame(index, &frame)? {
            break;
        }
    }
    Ok(())
}

fn decoder<R: BufRead + Seek>(
    reader: R,
    name: &str,
    options: &VideoOptions,
) -> Result<GifDecoder<R>, MediaError> {
    let failed = |source| MediaError::Decode { name: name.to_owned(), source };
    let mut decoder = GifDecoder::new(reader).map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(name, width, height, &options.frame_limits)?;
    decoder.set_limits(decoder_limits(&options.frame_limits)).map_err(failed)?;
    Ok(decoder)
}

/// The time line of an animation.
struct Clock {
    /// Milliseconds of a tick.
    tick: u64,
    /// Ticks in all.
    ticks: usize,
    /// The tick at which each frame ends.
    ends: Vec<usize>,
}

impl Clock {
    fn new(delays: &[u64]) -> Self {
        let tick = delays.iter().copied().fold(0, greatest_common_divisor).max(1);
        let mut ticks = 0;
        let ends = delays.iter().map(|delay| {
            ticks += (delay / tick) as usize;
            ticks
        });
        let ends = ends.collect();
        Self { tick, ticks, ends }
    }

    fn fps(&self) -> f64 {
        1000.0 / self.tick as f64
    }

    /// Returns the index of the frame that is shown during a tick.
    fn frame_at(&self, tick: usize) -> usize {
        self.ends.partition_point(|&end| end <= tick)
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::image::DecodeLimits;
    use crate::media::video::{FrameChoice, open};
    use fs_err as fs;
    use image::codecs::gif::GifEncoder;
    use image::{Delay, Frame, Rgba, RgbaImage};
    use tempfile::TempDir;

    /// An animation whose frames are grey, each 16 levels lighter than the one before.
    fn animation(delays: &[u32]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join("a.gif")).unwrap();
        let mut encoder = GifEncoder::new(file);
        for (index, &delay) in delays.iter().enumerate() {
            let level = 16 * index.to_le_bytes()[0];
            let pixels = RgbaImage::from_pixel(112, 56, Rgba([level, level, level, 255]));
            let delay = Delay::from_numer_denom_ms(delay, 1);
            encoder.encode_frame(Frame::from_parts(pixels, 0, 0, delay)).unwrap();
        }
        dir
    }

    fn levels(dir: &TempDir, options: &VideoOptions) -> (Vec<u8>, f64) {
        let video = open(&dir.path().join("a.gif"), options, &CancelFlag::default()).unwrap();
        let level = |frame: &std::sync::Arc<image::RgbImage>| frame.get_pixel(3, 3)[0] / 16;
        (video.frames.iter().map(level).collect(), video.fps)
    }

    #[test]
    fn equal_delays_are_a_video_of_that_rate() {
        // 12 frames at 10 a second: 1.2 s, 2.4 frames wanted, 4 the fewest.
        let dir = animation(&[100; 12]);
        let (levels, fps) = levels(&dir, &VideoOptions::default());
        assert_eq!(levels, [0, 4, 7, 11]);
        assert!((fps - 4.0 / 1.2).abs() < 1e-9);
    }

    #[test]
    fn a_frame_that_is_shown_long_is_seen_long() {
        // One second, six seconds, one second; ticks of a second.
        let dir = animation(&[1000, 6000, 1000]);
        let (levels, fps) = levels(&dir, &VideoOptions::default());
        assert_eq!((levels, fps), (vec![0, 1, 1, 1, 1, 1, 1, 2], 1.0));
    }

    #[test]
    fn a_part_can_be_asked_for_and_no_delay_is_a_tenth_of_a_second() {
        let choice = FrameChoice { start: Some(0.2), end: Some(0.6), ..FrameChoice::default() };
        let options = VideoOptions { choice, ..VideoOptions::default() };
        assert_eq!(levels(&animation(&[0; 12]), &options).0, [2, 3, 5, 6]);
    }

    #[test]
    fn what_is_no_animation_is_an_error() {
        let check = |dir: &TempDir, options: &VideoOptions, expected: &str| {
            let path = dir.path().join("a.gif");
            let err = open(&path, options, &CancelFlag::default()).unwrap_err().to_string();
            assert!(err.contains("a.gif") && err.contains(expected), "{err}");
        };
        let plain = VideoOptions::default();
        check(&animation(&[100]), &plain, "it has only one frame; give it as an image");
        let frame_limits = DecodeLimits { max_pixels: 10, ..DecodeLimits::default() };
        let small = VideoOptions { frame_limits, ..plain.clone() };
        check(&animation(&[100; 4]), &small, "has 112×56 px");
        let dir = animation(&[100; 4]);
        let bytes = fs::read(dir.path().join("a.gif")).unwrap();
        fs::write(dir.path().join("a.gif"), &bytes[..bytes.len() / 2]).unwrap();
        check(&dir, &plain, "could not read the image");
    }
}
