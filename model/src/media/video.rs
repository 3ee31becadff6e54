//! Videos → the few frames a model is shown, and how far apart they are.
//!
//! Frames come as a list, from a folder, from an animated GIF, or from a video file through the
//! system's ffmpeg. What is read from a file is resized at once, so that memory holds what the model
//! sees and not what the camera saw.

pub mod sampling;

mod ffmpeg;
mod folder;
mod gif;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use image::RgbImage;
use std::io::{BufReader, Read};

pub(crate) use self::gif::read as gif_from;
pub use self::sampling::{Chosen, DEFAULT_FPS, FrameBudget, FrameChoice, MAX_FRAMES, Rate};
use super::MediaError;
use super::image::{DecodeLimits, is_gif};
use crate::processor::resize::resize_bicubic;
use crate::request::CancelFlag;
use crate::request::{PixelLimits, VideoInput};

/// How a video is read.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoOptions {
    /// Which frames to take.
    pub choice: FrameChoice,
    /// Frames a second of a list or folder, which cannot tell by itself. With it frames are chosen
    /// as from a video; without it all of them are taken, as two a second.
    pub source_fps: Option<f64>,
    /// The fewest pixels of a frame.
    pub min_pixels: Option<u64>,
    /// The most pixels of a frame; it only lowers what [`FrameBudget`] allows.
    pub max_pixels: Option<u64>,
    /// What a single frame may be before it is resized.
    pub frame_limits: DecodeLimits,
    /// How long reading may take.
    pub timeout: Duration,
    /// The program that decodes video files: a name to be found, or a path.
    pub ffmpeg: PathBuf,
    /// The program that says what a video file holds.
    pub ffprobe: PathBuf,
}

impl Default for VideoOptions {
    fn default() -> Self {
        Self {
            choice: FrameChoice::default(),
            source_fps: None,
            min_pixels: None,
            max_pixels: None,
            frame_limits: DecodeLimits { max_pixels: 1 << 26, ..DecodeLimits::default() },
            timeout: Duration::from_secs(600),
            ffmpeg: "ffmpeg".into(),
            ffprobe: "ffprobe".into(),
        }
    }
}

/// Reads a folder of frames, an animated GIF, or any video file ffmpeg understands.
///
/// # Errors
///
/// [`MediaError`], naming the file and what is wrong with it; [`MediaError::Cancelled`] soon after
/// `cancel` is set.
pub fn open(
    path: &Path,
    options: &VideoOptions,
    cancel: &CancelFlag,
) -> Result<VideoInput, MediaError> {
    let read = |source| MediaError::Read { source };
    if fs::metadata(path).map_err(read)?.is_dir() {
        return folder::open(path, options, cancel);
    }
    let mut start = Vec::new();
    fs::File::open(path).map_err(read)?.take(16).read_to_end(&mut start).map_err(read)?;
    if is_gif(&start) {
        let name = path.display().to_string();
        let open = || fs::File::open(path).map(BufReader::new).map_err(read);
        gif_from(&name, &open, options, cancel)
    } else {
        ffmpeg::open(path, options, cancel)
    }
}

/// Takes frames that are in memory; `name` stands for them in errors.
///
/// # Errors
///
/// [`MediaError::Sampling`] if there are none or too many, or they cannot be chosen as asked.
pub fn from_frames(
    name: &str,
    frames: &[Arc<RgbImage>],
    options: &VideoOptions,
) -> Result<VideoInput, MediaError> {
    let chosen = choose_listed(name, frames.len(), options)?;
    let frames = chosen.indices.iter().map(|&index| Arc::clone(&frames[index])).collect();
    fit(name, frames, chosen.fps, options)
}

/// Chooses from frames that are listed one by one.
fn choose_listed(name: &str, count: usize, options: &VideoOptions) -> Result<Chosen, MediaError> {
    if let Some(fps) = options.source_fps {
        return sampling::choose(name, count, fps, &options.choice);
    }
    let wrong = |problem| Err(MediaError::Sampling { name: name.to_owned(), problem });
    if options.choice != FrameChoice::default() {
        return wrong("how many frames it has a second is not known".to_owned());
    }
    match count {
        0 => wrong("it has no frames".to_owned()),
        1..=MAX_FRAMES => Ok(Chosen { indices: (0..count).collect(), fps: DEFAULT_FPS }),
        _ => wrong(format!("it has {count} of them and at most {MAX_FRAMES} can be taken")),
    }
}

/// Makes all frames of one size, the one the model sees.
fn fit(
    name: &str,
    frames: Vec<Arc<RgbImage>>,
    fps: f64,
    options: &VideoOptions,
) -> Result<VideoInput, MediaError> {
    let mut fitter = Fitter::new(name, frames.len(), options);
    for frame in frames {
        fitter.push(frame)?;
    }
    fitter.finish(fps)
}

/// Takes frames one after another and keeps them at the size the model sees.
struct Fitter<'a> {
    name: &'a str,
    budget: FrameBudget,
    size: Option<(u32, u32)>,
    frames: Vec<Arc<RgbImage>>,
}

impl<'a> Fitter<'a> {
    fn new(name: &'a str, count: usize, options: &VideoOptions) -> Self {
        let budget = FrameBudget::of(count, options.min_pixels, options.max_pixels);
        Self { name, budget, size: None, frames: Vec::with_capacity(count.min(MAX_FRAMES)) }
    }

    /// Adds a frame. The first one decides on the size.
    fn push(&mut self, frame: impl Into<Arc<RgbImage>>) -> Result<(), MediaError> {
        let frame = frame.into();
        let (width, height) = if let Some(size) = self.size {
            size
        } else {
            let (width, height) = frame.dimensions();
            let size = self.budget.size(width, height).ok_or_else(|| MediaError::Video {
                name: self.name.to_owned(),
                problem: format!("frames of {width}×{height} px cannot be resized"),
            })?;
            *self.size.insert(size)
        };
        let fits = frame.dimensions() == (width, height);
        let frame = if fits { frame } else { Arc::new(resize_bicubic(&frame, width, height)) };
        self.frames.push(frame);
        Ok(())
    }

    fn finish(self, fps: f64) -> Result<VideoInput, MediaError> {
        let FrameBudget { min_pixels, max_pixels } = self.budget;
        let Some(resized) = self.size else {
            let (name, problem) = (self.name.to_owned(), "it has no frames".to_owned());
            return Err(MediaError::Video { name, problem });
        };
        let limits = PixelLimits {
            min_pixels: Some(min_pixels),
            max_pixels: Some(max_pixels),
            resized: Some(resized),
        };
        Ok(VideoInput { frames: self.frames, fps, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn frames(count: usize) -> Vec<Arc<RgbImage>> {
        let level = |index: usize| Rgb([index.to_le_bytes()[0]; 3]);
        (0..count).map(|index| Arc::new(RgbImage::from_pixel(640, 480, level(index)))).collect()
    }

    #[test]
    fn a_list_is_taken_whole_unless_its_rate_is_known() {
        let video = from_frames("list", &frames(7), &VideoOptions::default()).unwrap();
        assert_eq!((video.frames.len(), video.fps), (7, 2.0));
        assert_eq!(video.limits.resized, Some((644, 476)));
        assert_eq!(video.frames[6].dimensions(), (644, 476));

        let known = VideoOptions { source_fps: Some(10.0), ..VideoOptions::default() };
        let video = from_frames("list", &frames(40), &known).unwrap();
        let levels: Vec<u8> = video.frames.iter().map(|frame| frame.get_pixel(0, 0)[0]).collect();
        assert_eq!((levels, video.fps), (vec![0, 6, 11, 17, 22, 28, 33, 39], 2.0));
    }

    #[test]
    fn what_a_list_cannot_be_asked_for_is_an_error() {
        let check = |count, options: &VideoOptions, expected: &str| {
            let frame = Arc::new(RgbImage::new(28, 28));
            let err = from_frames("list", &vec![frame; count], options).unwrap_err();
            assert!(err.to_string().ends_with(expected), "{err}");
        };
        let plain = VideoOptions::default();
        check(0, &plain, "it has no frames");
        check(769, &plain, "it has 769 of them and at most 768 can be taken");
        let late = FrameChoice { start: Some(1.0), ..FrameChoice::default() };
        let late = VideoOptions { choice: late, ..plain.clone() };
        check(9, &late, "how many frames it has a second is not known");
        let err = from_frames("thin", &[Arc::new(RgbImage::new(2, 500))], &plain).unwrap_err();
        let expected = "`thin` cannot be used as a video: frames of 2×500 px cannot be resized";
        assert_eq!(err.to_string(), expected);
    }
}
