//! Which frames of a video the model sees, and how large each may be.
//!
//! # Source
//!
//! `smart_nframes`, `calculate_video_frame_range` and the pixel limits of `fetch_video` in
//! `vision_process.py` of qwen-vl-utils 0.0.14. Indices are spaced in 32-bit floats, as
//! `torch.linspace` does it.

use super::MediaError;
use crate::processor::resize::smart_resize;

/// How many frames are taken of one second, if nothing else is asked for.
pub const DEFAULT_FPS: f64 = 2.0;

/// The most frames, whatever is asked for.
pub const MAX_FRAMES: usize = 768;

/// Frames come in pairs: two of them make one patch.
const FRAME_FACTOR: usize = 2;

/// The fewest frames when they are chosen by time.
const MIN_FRAMES: usize = 4;

/// A merged patch: 28 px square.
const FACTOR: u32 = 28;
const TOKEN_PIXELS: u64 = (FACTOR * FACTOR) as u64;

/// The fewest and most pixels of a frame.
const MIN_FRAME_PIXELS: u64 = 128 * TOKEN_PIXELS;
const MAX_FRAME_PIXELS: f64 = (768 * TOKEN_PIXELS) as f64;

/// What all frames together may have: nine tenths of 128 000 tokens.
const TOTAL_PIXELS: f64 = 128_000.0 * TOKEN_PIXELS as f64 * 0.9;

/// Which frames to take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameChoice {
    /// How many, by time or outright.
    pub rate: Rate,
    /// Where to begin, in seconds; at the start by default.
    pub start: Option<f64>,
    /// Where to end, in seconds; at the end by default.
    pub end: Option<f64>,
}

/// How many frames to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// So many a second, within bounds.
    Fps {
        /// Frames a second.
        fps: f64,
        /// The fewest; rounded up to a multiple of 2.
        min_frames: usize,
        /// The most; rounded down to a multiple of 2.
        max_frames: usize,
    },
    /// So many in all; rounded to a multiple of 2.
    Frames(usize),
}

impl Default for Rate {
    fn default() -> Self {
        Self::Fps { fps: DEFAULT_FPS, min_frames: MIN_FRAMES, max_frames: MAX_FRAMES }
    }
}

/// The frames that were chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Their indices in the video, from 0, in order; short videos repeat none.
    pub indices: Vec<usize>,
    /// Frames a second among the chosen ones; what the model's clock runs by.
    pub fps: f64,
}

/// Chooses frames of a video with `total` frames, `video_fps` of them a second; `name` stands for
/// it in errors.
///
/// # Errors
///
/// [`MediaError::Sampling`] if there are too few frames, or times and rates make no sense.
pub fn choose(
    name: &str,
    total: usize,
    video_fps: f64,
    choice: &FrameChoice,
) -> Result<Chosen, MediaError> {
    let wrong = |problem| Err(MediaError::Sampling { name: name.to_owned(), problem });
    if total == 0 {
        return wrong("it has no frames".to_owned());
    }
    if !(video_fps.is_finite() && video_fps > 0.0) {
        return wrong(format!("it has {video_fps} frames a second"));
    }
    let duration = total as f64 / video_fps;
    let frame = |seconds: f64| seconds.clamp(0.0, duration) * video_fps;
    let first = choice.start.map_or(0, |start| frame(start).ceil() as usize);
    let last = choice.end.map_or(total - 1, |end| (frame(end).floor() as usize).min(total - 1));
    let is_cut = choice.start.is_some() || choice.end.is_some();
    if is_cut && first >= last {
        let seconds = |time: Option<f64>, default| format!("{:.2} s", time.unwrap_or(default));
        return wrong(format!(
            "there is nothing between {} and {} of its {duration:.2} s",
            seconds(choice.start, 0.0),
            seconds(choice.end, duration),
        ));
    }
    let available = last - first + 1;
    let count = match choice.rate {
        Rate::Frames(count) => {
            // Ties to even, as Python rounds.
            let pairs = (count as f64 / FRAME_FACTOR as f64).round_ties_even() as usize;
            pairs.saturating_mul(FRAME_FACTOR)
        }
        Rate::Fps { fps, .. } if !(fps.is_finite() && fps > 0.0) => {
            return wrong(format!("{fps} frames a second were asked for"));
        }
        Rate::Fps { fps, min_frames, max_frames } => {
            let min_frames = min_frames.min(MAX_FRAMES).next_multiple_of(FRAME_FACTOR);
            let max_frames = even(max_frames.min(MAX_FRAMES).min(available));
            let wanted = available as f64 / video_fps * fps;
            let bounded = wanted.max(min_frames as f64).min(max_frames as f64);
            even(bounded.min(available as f64) as usize)
        }
    };
    let most = available.min(MAX_FRAMES);
    if !(FRAME_FACTOR..=most).contains(&count) {
        return wrong(format!("{count} were to be taken, but {FRAME_FACTOR} to {most} can be"));
    }
    let indices = spaced(first, last, count);
    let fps = count as f64 / available as f64 * video_fps;
    Ok(Chosen { indices, fps })
}

/// Rounds down to whole pairs.
fn even(count: usize) -> usize {
    count / FRAME_FACTOR * FRAME_FACTOR
}

/// Returns `count` indices from `first` to `last`, evenly spaced.
fn spaced(first: usize, last: usize, count: usize) -> Vec<usize> {
    let (start, end) = (first as f32, last as f32);
    let step = (end - start) / (count - 1) as f32;
    let at = |i: usize| {
        // From whichever end is nearer, so that both ends are exact.
        if i < count / 2 { start + step * i as f32 } else { end - step * (count - 1 - i) as f32 }
    };
    (0..count).map(|i| (at(i).round_ties_even() as usize).clamp(first, last)).collect()
}

/// What a video's frames are resized to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameBudget {
    /// The fewest pixels of a frame.
    pub min_pixels: u64,
    /// The most pixels of a frame.
    pub max_pixels: u64,
}

impl FrameBudget {
    /// Returns the budget of each of `count` frames. What is asked for can lower the most, not
    /// raise it.
    pub fn of(count: usize, min_pixels: Option<u64>, max_pixels: Option<u64>) -> Self {
        let min_pixels = min_pixels.unwrap_or(MIN_FRAME_PIXELS);
        let pairs = count.next_multiple_of(FRAME_FACTOR).max(FRAME_FACTOR) as f64;
        let share = TOTAL_PIXELS / pairs * FRAME_FACTOR as f64;
        let least = (min_pixels as f64 * 1.05) as u64;
        let limit = (MAX_FRAME_PIXELS.min(share) as u64).max(least);
        Self { min_pixels, max_pixels: max_pixels.map_or(limit, |most| most.min(limit)) }
    }

    /// Returns the size, (width, height), of a frame within the budget; `None` if one side is more
    /// than 200 times the other or there are no pixels.
    pub fn size(self, width: u32, height: u32) -> Option<(u32, u32)> {
        if width == 0 || height == 0 {
            return None;
        }
        let (height, width) =
            smart_resize(height, width, FACTOR, self.min_pixels, self.max_pixels)?;
        Some((width.max(FACTOR), height.max(FACTOR)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(total: usize, fps: f64, choice: &FrameChoice) -> Chosen {
        choose("clip", total, fps, choice).unwrap()
    }

    #[test]
    fn frames_are_those_of_the_reference() {
        let plain = FrameChoice::default();
        let clip = chosen(300, 30.0, &plain);
        assert_eq!(clip.indices.len(), 20);
        assert_eq!(clip.indices[..8], [0, 16, 31, 47, 63, 79, 94, 110]);
        assert!((clip.fps - 2.0).abs() < 1e-12);
        let clip = chosen(17, 30.0, &plain);
        assert_eq!(clip.indices, [0, 5, 11, 16]);
        assert!((clip.fps - 7.05882).abs() < 1e-5);
        assert_eq!(chosen(7, 24.0, &plain).indices.len(), 4);
        let clip = chosen(100_000, 30.0, &plain);
        assert_eq!(clip.indices.len(), 768);
        assert!((clip.fps - 0.2304).abs() < 1e-12);
        let clip = chosen(95, 29.97, &plain);
        assert_eq!(clip.indices, [0, 19, 38, 56, 75, 94]);
        assert!((clip.fps - 1.89284).abs() < 1e-5);
    }

    #[test]
    fn a_number_of_frames_and_a_part_can_be_asked_for() {
        let part = FrameChoice { rate: Rate::Frames(5), start: Some(1.0), end: Some(2.5) };
        // Half to even: 5 / 2 → 2. Frames 30 to 75.
        let clip = chosen(300, 30.0, &part);
        assert_eq!(clip.indices, [30, 45, 60, 75]);
        assert!((clip.fps - 4.0 / 46.0 * 30.0).abs() < 1e-12);
        let rate = Rate::Fps { fps: 1.0, min_frames: 7, max_frames: 9 };
        let clip = chosen(300, 30.0, &FrameChoice { rate, ..FrameChoice::default() });
        assert_eq!(clip.indices.len(), 8);
        // Times beyond the end are its end.
        let late = FrameChoice { start: Some(9.0), end: Some(99.0), ..FrameChoice::default() };
        assert_eq!(*chosen(300, 30.0, &late).indices.last().unwrap(), 299);
    }

    #[test]
    fn what_cannot_be_chosen_is_an_error_with_the_values() {
        let check = |total, fps, choice: &FrameChoice, expected: &str| {
            let err = choose("clip", total, fps, choice).unwrap_err().to_string();
            let start = "the frames of `clip` cannot be chosen: ";
            assert_eq!(err.strip_prefix(start), Some(expected));
        };
        let plain = FrameChoice::default();
        check(0, 30.0, &plain, "it has no frames");
        check(9, 0.0, &plain, "it has 0 frames a second");
        check(9, f64::NAN, &plain, "it has NaN frames a second");
        check(1, 30.0, &plain, "0 were to be taken, but 2 to 1 can be");
        let many = FrameChoice { rate: Rate::Frames(12), ..plain.clone() };
        check(10, 30.0, &many, "12 were to be taken, but 2 to 10 can be");
        let many = FrameChoice { rate: Rate::Frames(usize::MAX), ..plain.clone() };
        assert!(choose("clip", usize::MAX, 30.0, &many).is_err());
        let back = FrameChoice { start: Some(3.0), end: Some(2.0), ..plain.clone() };
        check(300, 30.0, &back, "there is nothing between 3.00 s and 2.00 s of its 10.00 s");
        let rate = Rate::Fps { fps: -1.0, min_frames: 4, max_frames: 8 };
        check(300, 30.0, &FrameChoice { rate, ..plain }, "-1 frames a second were asked for");
    }

    #[test]
    fn budgets_are_those_of_the_reference() {
        let max = |count| FrameBudget::of(count, None, None).max_pixels;
        assert_eq!([max(4), max(300), max(768)], [602_112, 602_112, 235_200]);
        assert_eq!(FrameBudget::of(4, None, Some(200_000)).max_pixels, 200_000);
        assert_eq!(FrameBudget::of(4, None, Some(9_000_000)).max_pixels, 602_112);
        assert_eq!(FrameBudget::of(4, Some(1_000_000), None).max_pixels, 1_050_000);
        assert_eq!(FrameBudget::of(4, None, None).size(1920, 1080), Some((1008, 560)));
        assert_eq!(FrameBudget::of(4, None, None).size(0, 5), None);
    }
}
