//! Rotary positions: three-axis ids for prompts that mix text and images (M-RoPE), and the tables
//! of cosines and sines for the text decoder and the vision tower.
//!
//! # Source
//!
//! `get_rope_index`, `apply_multimodal_rotary_pos_emb` and `Qwen2_5_VLVisionRotaryEmbedding` in
//! `modeling_qwen2_5_vl.py`, `_compute_yarn_parameters` in `modeling_rope_utils.py` of transformers
//! 4.49.0.

use std::f64::consts::TAU;

use candle_core::{Device, Result, Tensor};

use super::config::{TextConfig, Yarn};
use super::vision::Grid;
use crate::kernels;

/// The position of every token of a prompt, and where decoding resumes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Positions {
    /// `[time, height, width]` of each token.
    pub ids: Vec<[u32; 3]>,
    /// The position of the next token, on all three axes.
    pub next: u32,
}

/// An image or a video as it stands in a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Media {
    /// Its patches.
    pub grid: Grid,
    /// The token that stands for a merged patch of it.
    pub token_id: u32,
    /// How far apart two steps of time are, in positions; of no account for an image.
    ///
    /// For a video it is seconds per step × `tokens_per_second`.
    pub time_stride: f32,
}

impl Media {
    /// Returns an image of these patches.
    pub fn image(grid: Grid, token_id: u32) -> Self {
        Self { grid, token_id, time_stride: 0.0 }
    }

    /// The position of a step of time, counted from the video's start.
    fn time(&self, step: usize) -> u32 {
        (step as f32 * self.time_stride) as u32
    }
}

/// Why the tokens of a prompt could not be given positions.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PositionError {
    /// The placeholders of an image or video are fewer than its grid, or not in one run.
    #[error(
        "image {image} needs {expected} placeholder tokens in a row but the prompt has {found}"
    )]
    PlaceholderRun {
        /// Index among images and videos, from 0.
        image: usize,
        /// Tokens its grid calls for.
        expected: usize,
        /// Tokens found in a row where it should start.
        found: usize,
    },
    /// The prompt has a placeholder that belongs to no image or video.
    #[error("token {token} is an image placeholder but only {images} image(s) were given")]
    UnpairedPlaceholder {
        /// Index of the token, from 0.
        token: usize,
        /// How many images and videos were given.
        images: usize,
    },
}

/// Returns the M-RoPE position of every token, counting on from position `start`.
///
/// A text token advances all three axes together. The tokens of an image share one time and take
/// their row and column in the merged grid, counted from where the image starts; in a video, every
/// step of time lies `time_stride` after the one before. Text after it resumes one past the largest
/// position so far, on any axis. `media` has the images and videos in prompt order;
/// `is_placeholder` tells their tokens.
///
/// # Errors
///
/// [`PositionError`] if the placeholders and `media` disagree.
pub fn positions(
    token_ids: &[u32],
    is_placeholder: impl Fn(u32) -> bool,
    media: &[Media],
    start: u32,
) -> std::result::Result<Positions, PositionError> {
    let mut ids = Vec::with_capacity(token_ids.len());
    let mut next = start;
    let mut rest = media.iter().enumerate();
    while let Some(&token) = token_ids.get(ids.len()) {
        if !is_placeholder(token) {
            ids.push([next; 3]);
            next += 1;
            continue;
        }
        let Some((image, medium)) = rest.next() else {
            return Err(PositionError::UnpairedPlaceholder {
                token: ids.len(),
                images: media.len(),
            });
        };
        let grid = medium.grid;
        let expected = grid.merged_len();
        let run = token_ids[ids.len()..].iter().take(expected);
        let found = run.take_while(|&&id| id == medium.token_id).count();
        if found < expected {
            return Err(PositionError::PlaceholderRun { image, expected, found });
        }
        let (rows, columns) = (grid.height as u32 / 2, grid.width as u32 / 2);
        for step in 0..grid.time {
            let time = next + medium.time(step);
            for row in 0..rows {
                for column in 0..columns {
                    ids.push([time, next + row, next + column]);
                }
            }
        }
        next += (medium.time(grid.time.saturating_sub(1)) + 1).max(rows).max(columns);
    }
    match rest.next() {
        Some((image, medium)) => Err(PositionError::PlaceholderRun {
            image,
            expected: medium.grid.merged_len(),
            found: 0,
        }),
        None => Ok(Positions { ids, next }),
    }
}

/// Cosines and sines of the rotation angles, one row per token.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    /// `(s, d / 2)`.
    pub cos: Tensor,
    /// `(s, d / 2)`.
    pub sin: Tensor,
}

impl RotaryTable {
    /// Shows cosines and sines of a table on the CPU.
    pub(crate) fn with_values<T>(&self, show: impl FnOnce([&[f32]; 2]) -> T) -> Result<T> {
        kernels::with_values(&self.cos, |cos| {
            kernels::with_values(&self.sin, |sin| show([cos, sin]))
        })?
    }

    /// Brings the table to a device; one that is there already is not copied.
    pub(crate) fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(Self { cos: self.cos.to_device(device)?, sin: self.sin.to_device(device)? })
    }

    /// Returns the table for text-decoder positions.
    ///
    /// Frequency `j` turns by the axis whose section holds `j`: time, then height, then width.
    ///
    /// # Errors
    ///
    /// Fails if the tensors cannot be placed on `device`.
    pub fn text(ids: &[[u32; 3]], config: &TextConfig, device: &Device) -> Result<Self> {
        let half = config.head_dim() / 2;
        let axis: Vec<usize> =
            (0..3).flat_map(|axis| std::iter::repeat_n(axis, config.mrope_section[axis])).collect();
        let inv_freq = inverse_frequencies(half, config.head_dim(), config.rope_theta);
        let (inv_freq, scale) = match &config.yarn {
            None => (inv_freq, 1.0),
            Some(yarn) => (yarn_frequencies(&inv_freq, yarn, config), yarn.attention_factor()),
        };
        let angles: Vec<f32> = ids
            .iter()
            .flat_map(|id| (0..half).map(|j| id[axis[j]] as f32 * inv_freq[j]).collect::<Vec<_>>())
            .collect();
        Self::from_angles(&angles, ids.len(), half, scale, device)
    }

    /// Returns the table for the vision tower: the first half of the angles turns by the patch's
    /// row, the second by its column.
    ///
    /// # Errors
    ///
    /// Fails if the tensors cannot be placed on `device`.
    pub fn vision(patches: &[[u32; 2]], head_dim: usize, device: &Device) -> Result<Self> {
        let quarter = head_dim / 4;
        let inv_freq = inverse_frequencies(quarter, head_dim / 2, 10_000.0);
        let angles: Vec<f32> = patches
            .iter()
            .flat_map(|patch| {
                patch.iter().flat_map(|&at| inv_freq.iter().map(move |f| at as f32 * f))
            })
            .collect();
        Self::from_angles(&angles, patches.len(), 2 * quarter, 1.0, device)
    }

    fn from_angles(
        angles: &[f32],
        rows: usize,
        columns: usize,
        scale: f32,
        device: &Device,
    ) -> Result<Self> {
        let cos = angles.iter().map(|angle| angle.cos() * scale).collect();
        let sin = angles.iter().map(|angle| angle.sin() * scale).collect();
        Ok(Self {
            cos: Tensor::from_vec::<_, f32>(cos, (rows, columns), device)?,
            sin: Tensor::from_vec::<_, f32>(sin, (rows, columns), device)?,
        })
    }
}

/// `theta^(-2j / dim)` in f32, as the reference computes it.
fn inverse_frequencies(count: usize, dim: usize, theta: f64) -> Vec<f32> {
    (0..count).map(|j| 1.0 / (theta as f32).powf((2 * j) as f32 / dim as f32)).collect()
}

/// Slows the frequencies down for a longer context: those that turn less than `beta_slow` times in
/// `max_position_embeddings` by the whole factor, those that turn more than `beta_fast` times not at
/// all.
fn yarn_frequencies(inv_freq: &[f32], yarn: &Yarn, config: &TextConfig) -> Vec<f32> {
    let dim = config.head_dim() as f64;
    // The frequency, as an index, that turns `turns` times in the context.
    let index_of = |turns: f64| {
        let context = config.max_position_embeddings as f64;
        dim * (context / (turns * TAU)).ln() / (2.0 * config.rope_theta.ln())
    };
    let low = index_of(yarn.beta_fast).floor().max(0.0);
    let high = index_of(yarn.beta_slow).ceil().min(dim - 1.0);
    let width = if (high - low).abs() < f64::EPSILON { 0.001 } else { high - low };
    let slowed = |(j, freq): (usize, &f32)| {
        let ramp = ((j as f32 - low as f32) / width as f32).clamp(0.0, 1.0);
        let kept = 1.0 - ramp;
        freq / yarn.factor as f32 * (1.0 - kept) + freq * kept
    };
    inv_freq.iter().enumerate().map(slowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMG: u32 = 151_655;
    const VID: u32 = 151_656;

    #[test]
    fn text_advances_all_axes_together() {
        check("ttt", &[], "t 0 1 2 | h 0 1 2 | w 0 1 2 | next 3");
    }

    #[test]
    fn images_spread_over_rows_and_columns() {
        check(
            "tttiiiiiitt",
            &[(4, 6)],
            "t 0 1 2 3 3 3 3 3 3 6 7 | h 0 1 2 3 3 3 4 4 4 6 7 | w 0 1 2 3 4 5 3 4 5 6 7 | next 8",
        );
        check(
            "ttiiiitiiiiiiiitt",
            &[(4, 4), (4, 8)],
            "t 0 1 2 2 2 2 4 5 5 5 5 5 5 5 5 9 10 | h 0 1 2 2 3 3 4 5 5 5 5 6 6 6 6 9 10 | \
             w 0 1 2 3 2 3 4 5 6 7 8 5 6 7 8 9 10 | next 11",
        );
    }

    #[test]
    fn a_video_advances_with_its_seconds() {
        let video = |time, time_stride| Media {
            grid: Grid { time, height: 4, width: 4 },
            token_id: VID,
            time_stride,
        };
        check_media(
            "ttvvvvvvvvvvvvtt",
            &[video(3, 2.0)],
            "t 0 1 2 2 2 2 4 4 4 4 6 6 6 6 7 8 | h 0 1 2 2 3 3 2 2 3 3 2 2 3 3 7 8 | \
             w 0 1 2 3 2 3 2 3 2 3 2 3 2 3 7 8 | next 9",
        );
        // Half a second per step is one position; 1.0101 s rounds down to 0 2 4.
        check_media(
            "ttvvvvvvvvvvvvvvvvtt",
            &[video(4, 1.0)],
            "t 0 1 2 2 2 2 3 3 3 3 4 4 4 4 5 5 5 5 6 7 | \
             h 0 1 2 2 3 3 2 2 3 3 2 2 3 3 2 2 3 3 6 7 | \
             w 0 1 2 3 2 3 2 3 2 3 2 3 2 3 2 3 2 3 6 7 | next 8",
        );
        let times = |stride| (0..3).map(|step| video(3, stride).time(step)).collect::<Vec<_>>();
        assert_eq!(times(1.0101 * 2.0), [0, 2, 4]);
    }

    #[test]
    fn placeholders_and_grids_must_agree() {
        check(
            "titi",
            &[(2, 4)],
            "image 0 needs 2 placeholder tokens in a row but the prompt has 1",
        );
        check("i", &[], "token 0 is an image placeholder but only 0 image(s) were given");
        check("t", &[(2, 2)], "image 0 needs 1 placeholder tokens in a row but the prompt has 0");
    }

    /// `tokens` spells a prompt, `t` for text and `i` for an image placeholder.
    #[track_caller]
    fn check(tokens: &str, grids: &[(usize, usize)], expected: &str) {
        let media: Vec<_> = grids
            .iter()
            .map(|&(height, width)| Media::image(Grid { time: 1, height, width }, IMG))
            .collect();
        check_media(tokens, &media, expected);
    }

    /// As `check`, `v` being a video placeholder.
    #[track_caller]
    fn check_media(tokens: &str, media: &[Media], expected: &str) {
        let id = |c| match c {
            'i' => IMG,
            'v' => VID,
            _ => 1,
        };
        let token_ids: Vec<_> = tokens.chars().map(id).collect();
        let actual = match positions(&token_ids, |id| id == IMG || id == VID, media, 0) {
            Ok(Positions { ids, next }) => {
                let axis =
                    |i: usize| ids.iter().map(|id| id[i].to_string()).collect::<Vec<_>>().join(" ");
                format!("t {} | h {} | w {} | next {next}", axis(0), axis(1), axis(2))
            }
            Err(err) => err.to_string(),
        };
        assert_eq!(actual, expected);
    }
}
