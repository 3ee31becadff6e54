//! Rotary positions: three-axis ids for prompts that mix text and images (M-RoPE), and the tables
//! of cosines and sines for the text decoder and the vision tower.
//!
//! # Source
//!
//! `get_rope_index` (image branch), `apply_multimodal_rotary_pos_emb` and
//! `Qwen2_5_VLVisionRotaryEmbedding` in `modeling_qwen2_5_vl.py` of transformers 4.49.0. Video is
//! not covered.

use candle_core::{Device, Result, Tensor};

use super::vision::Grid;

/// The position of every token of a prompt, and where decoding resumes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Positions {
    /// `[time, height, width]` of each token.
    pub ids: Vec<[u32; 3]>,
    /// The position of the next token, on all three axes.
    pub next: u32,
}

/// Why the tokens of a prompt could not be given positions.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PositionError {
    /// An image's placeholders are fewer than its grid, or not in one run.
    #[error(
        "image {image} needs {expected} placeholder tokens in a row but the prompt has {found}"
    )]
    PlaceholderRun {
        /// Index of the image, from 0.
        image: usize,
        /// Tokens its grid calls for.
        expected: usize,
        /// Tokens found in a row where the image should start.
        found: usize,
    },
    /// The prompt has a placeholder that belongs to no image.
    #[error("token {token} is an image placeholder but only {images} image(s) were given")]
    UnpairedPlaceholder {
        /// Index of the token, from 0.
        token: usize,
        /// How many images were given.
        images: usize,
    },
}

/// Returns the M-RoPE position of every token, counting on from position `start`.
///
/// A text token advances all three axes together. The tokens of an image share one time and take
/// their row and column in the merged grid, counted from where the image starts; text after it
/// resumes one past the largest position so far. `token_ids` holds one `image_token_id` per merged
/// patch; `grids` has one grid per image, in prompt order.
///
/// # Errors
///
/// [`PositionError`] if the placeholders and `grids` disagree.
pub fn positions(
    token_ids: &[u32],
    image_token_id: u32,
    grids: &[Grid],
    start: u32,
) -> std::result::Result<Positions, PositionError> {
    let mut ids = Vec::with_capacity(token_ids.len());
    let mut next = start;
    let mut images = grids.iter().enumerate();
    while let Some(&token) = token_ids.get(ids.len()) {
        if token != image_token_id {
            ids.push([next; 3]);
            next += 1;
            continue;
        }
        let Some((image, grid)) = images.next() else {
            return Err(PositionError::UnpairedPlaceholder {
                token: ids.len(),
                images: grids.len(),
            });
        };
        let expected = grid.merged_len();
        let run = token_ids[ids.len()..].iter().take(expected);
        let found = run.take_while(|&&id| id == image_token_id).count();
        if found < expected {
            return Err(PositionError::PlaceholderRun { image, expected, found });
        }
        let (rows, columns) = (grid.height as u32 / 2, grid.width as u32 / 2);
        for row in 0..rows {
            for column in 0..columns {
                ids.push([next, next + row, next + column]);
            }
        }
        next += rows.max(columns);
    }
    match images.next() {
        Some((image, grid)) => {
            Err(PositionError::PlaceholderRun { image, expected: grid.merged_len(), found: 0 })
        }
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
    /// Returns the table for text-decoder positions.
    ///
    /// Frequency `j` turns by the axis whose section holds `j`: time, then height, then width.
    ///
    /// # Errors
    ///
    /// Fails if the tensors cannot be placed on `device`.
    pub fn text(
        ids: &[[u32; 3]],
        head_dim: usize,
        theta: f64,
        section: [usize; 3],
        device: &Device,
    ) -> Result<Self> {
        let half = head_dim / 2;
        let axis: Vec<usize> =
            (0..3).flat_map(|axis| std::iter::repeat_n(axis, section[axis])).collect();
        let inv_freq = inverse_frequencies(half, head_dim, theta);
        let angles: Vec<f32> = ids
            .iter()
            .flat_map(|id| (0..half).map(|j| id[axis[j]] as f32 * inv_freq[j]).collect::<Vec<_>>())
            .collect();
        Self::from_angles(&angles, ids.len(), half, device)
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
        Self::from_angles(&angles, patches.len(), 2 * quarter, device)
    }

    fn from_angles(angles: &[f32], rows: usize, columns: usize, device: &Device) -> Result<Self> {
        let cos = angles.iter().map(|angle| angle.cos()).collect();
        let sin = angles.iter().map(|angle| angle.sin()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    const IMG: u32 = 151_655;

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
        let token_ids: Vec<_> = tokens.chars().map(|c| if c == 'i' { IMG } else { 1 }).collect();
        let grids: Vec<_> =
            grids.iter().map(|&(height, width)| Grid { time: 1, height, width }).collect();
        let actual = match positions(&token_ids, IMG, &grids, 0) {
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
