//! Images and frames → `pixel_values`: resize to multiples of 28 px, normalise, cut into patches.
//!
//! # Source
//!
//! `Qwen2VLImageProcessor` (the PIL one) in `image_processing_qwen2_vl.py` of transformers 4.49.0.
//! Rounding, resampling and the order of patches are the same to the bit; see `resize.rs`.

pub mod resize;

use image::RgbImage;
use serde_json::Value;

use crate::error::ModelError;
use crate::qwen2_5_vl::vision::Grid;
use crate::request::PixelLimits;

/// How a checkpoint wants its images.
#[derive(Clone, Debug, PartialEq)]
pub struct Processor {
    /// The fewest pixels after resizing.
    pub min_pixels: u64,
    /// The most pixels after resizing.
    pub max_pixels: u64,
    /// Side of a patch in pixels.
    pub patch_size: u32,
    /// Frames per patch; a still image is repeated.
    pub temporal_patch_size: u32,
    /// Side of a merged patch in patches.
    pub merge_size: u32,
    /// Mean of each channel, of values 0..1.
    pub image_mean: [f32; 3],
    /// Standard deviation of each channel.
    pub image_std: [f32; 3],
}

impl Default for Processor {
    /// The values of the released checkpoints.
    fn default() -> Self {
        Self {
            min_pixels: 3136,
            max_pixels: 12_845_056,
            patch_size: 14,
            temporal_patch_size: 2,
            merge_size: 2,
            image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            image_std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        }
    }
}

/// One image or video, ready for the vision tower.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessedImage {
    /// `(p, 1176)`, row-major: per step of time, patches in groups of 2 × 2, each patch as (channel,
    /// frame, y, x).
    pub pixel_values: Vec<f32>,
    /// The patches of the image.
    pub grid: Grid,
}

/// No image side beyond this is read; it bounds memory before anything is allocated.
const MAX_SIDE: u32 = 32_768;

/// No limit on pixels beyond this is taken.
const MAX_PIXELS: u64 = (MAX_SIDE as u64) * (MAX_SIDE as u64);

const FILE: &str = "preprocessor_config.json";

impl Processor {
    /// Reads a `preprocessor_config.json`, either with `min_pixels` and `max_pixels` or with
    /// `size.shortest_edge` and `size.longest_edge` (which are pixel counts too).
    ///
    /// # Errors
    ///
    /// [`ModelError::Json`] or [`ModelError::Config`], naming the key and the value.
    pub fn from_json(json: &str) -> Result<Self, ModelError> {
        let root: Value = serde_json::from_str(json)
            .map_err(|source| ModelError::Json { file: FILE.to_owned(), source })?;
        let default = Self::default();
        let pixels = |key: &str, edge: &str, default: u64| -> Result<u64, ModelError> {
            let value = root.get(key).filter(|value| !value.is_null());
            let value = value.or_else(|| root.get("size").and_then(|size| size.get(edge)));
            value.map_or(Ok(default), |value| {
                value.as_u64().filter(|&n| n > 0).ok_or_else(|| wrong(key, value))
            })
        };
        let side = |key: &str, default: u32| -> Result<u32, ModelError> {
            root.get(key).map_or(Ok(default), |value| {
                let side = value.as_u64().and_then(|n| u32::try_from(n).ok());
                side.filter(|side| (1..=256).contains(side)).ok_or_else(|| wrong(key, value))
            })
        };
        let channels = |key: &str, default: [f32; 3]| -> Result<[f32; 3], ModelError> {
            root.get(key).map_or(Ok(default), |value| {
                serde_json::from_value(value.clone()).map_err(|_| wrong(key, value))
            })
        };
        Ok(Self {
            min_pixels: pixels("min_pixels", "shortest_edge", default.min_pixels)?,
            max_pixels: pixels("max_pixels", "longest_edge", default.max_pixels)?,
            patch_size: side("patch_size", default.patch_size)?,
            temporal_patch_size: side("temporal_patch_size", default.temporal_patch_size)?,
            merge_size: side("merge_size", default.merge_size)?,
            image_mean: channels("image_mean", default.image_mean)?,
            image_std: channels("image_std", default.image_std)?,
        })
    }

    /// Returns the size, (width, height), to which an image is resized: the pixels in which the
    /// model speaks.
    ///
    /// # Errors
    ///
    /// [`ModelError::Image`] for an image without pixels, one too large, or one too long and thin.
    pub fn resized_size(&self, width: u32, height: u32) -> Result<(u32, u32), ModelError> {
        self.resized_size_within(width, height, PixelLimits::default())
    }

    /// As [`resized_size`](Self::resized_size), with limits for this image alone. A size asked for
    /// outright is rounded to whole patches and keeps the checkpoint's limits, as `qwen-vl-utils`
    /// does.
    ///
    /// # Errors
    ///
    /// As `resized_size`.
    pub fn resized_size_within(
        &self,
        width: u32,
        height: u32,
        limits: PixelLimits,
    ) -> Result<(u32, u32), ModelError> {
        let refuse = |problem| Err(ModelError::Image { width, height, problem });
        let (wanted_width, wanted_height) = limits.resized.unwrap_or((width, height));
        if width.min(height).min(wanted_width).min(wanted_height) == 0 {
            return refuse("it has no pixels");
        }
        if width.max(height).max(wanted_width).max(wanted_height) > MAX_SIDE {
            return refuse("a side is longer than 32768 px");
        }
        let asked = |limit: Option<u64>, default| match limits.resized {
            None => limit.unwrap_or(default),
            Some(_) => default,
        };
        let max_pixels = asked(limits.max_pixels, self.max_pixels);
        let min_pixels = asked(limits.min_pixels, self.min_pixels.min(max_pixels));
        if max_pixels == 0 || min_pixels > max_pixels || max_pixels > MAX_PIXELS {
            return refuse("its limits allow no size: min_pixels must be at most max_pixels");
        }
        let factor = self.patch_size * self.merge_size;
        match resize::smart_resize(wanted_height, wanted_width, factor, min_pixels, max_pixels) {
            Some((height, width)) => Ok((width, height)),
            None => refuse("one side is more than 200 times the other"),
        }
    }

    /// Returns the image resized, normalised and cut into patches.
    ///
    /// # Errors
    ///
    /// As [`resized_size`](Self::resized_size).
    pub fn process(&self, image: &RgbImage) -> Result<ProcessedImage, ModelError> {
        let resized = self.resize(image, PixelLimits::default())?;
        Ok(self.patchify(&[&resized]))
    }

    /// Returns the image as large as the model will see it.
    ///
    /// # Errors
    ///
    /// As [`resized_size_within`](Self::resized_size_within).
    pub fn resize(&self, image: &RgbImage, limits: PixelLimits) -> Result<RgbImage, ModelError> {
        let (width, height) = self.resized_size_within(image.width(), image.height(), limits)?;
        Ok(resize::resize_bicubic(image, width, height))
    }

    /// Returns the patches of an image or of a video's frames, which are all of one size.
    pub(crate) fn grid(&self, width: u32, height: u32, n_frames: usize) -> Grid {
        let patches = |side: u32| (side / self.patch_size) as usize;
        let time = n_frames.div_ceil(self.temporal_patch_size as usize);
        Grid { time, height: patches(height), width: patches(width) }
    }

    /// Cuts frames whose sides are multiples of 28 px into patches; one frame is a still image. The
    /// last is repeated until the steps of time are full.
    ///
    /// # Panics
    ///
    /// Panics without a frame, or if their sizes differ.
    pub fn patchify(&self, frames: &[&RgbImage]) -> ProcessedImage {
        let (patch, merge) = (self.patch_size as usize, self.merge_size as usize);
        let (width, height) = frames[0].dimensions();
        assert!(frames.iter().all(|frame| frame.dimensions() == (width, height)), "one size");
        let grid = self.grid(width, height, frames.len());
        let temporal = self.temporal_patch_size as usize;
        let levels = self.levels();
        let mut pixel_values = Vec::with_capacity(grid.patch_len() * 3 * temporal * patch * patch);
        for time in 0..grid.time {
            let frame = |i: usize| frames[(time * temporal + i).min(frames.len() - 1)].as_raw();
            // Frames of one step that are the same one are cut once.
            let still = (1..temporal).all(|i| std::ptr::eq(frame(0), frame(i)));
            // Four consecutive rows of the result are one merged patch.
            for by in (0..grid.height).step_by(merge) {
                for bx in (0..grid.width).step_by(merge) {
                    let cells =
                        (by..by + merge).flat_map(|y| (bx..bx + merge).map(move |x| (y, x)));
                    for (y, x) in cells {
                        for (channel, level) in levels.iter().enumerate() {
                            let start = pixel_values.len();
                            for i in 0..temporal {
                                if i > 0 && still {
                                    pixel_values.extend_from_within(start..start + patch * patch);
                                    continue;
                                }
                                for py in y * patch..(y + 1) * patch {
                                    let first = (py * width as usize + x * patch) * 3;
                                    let row = &frame(i)[first..first + patch * 3];
                                    let values = row.iter().skip(channel).step_by(3);
                                    pixel_values
                                        .extend(values.map(|&value| level[usize::from(value)]));
                                }
                            }
                        }
                    }
                }
            }
        }
        ProcessedImage { pixel_values, grid }
    }

    /// The normalised value of every byte, per channel.
    fn levels(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            std::array::from_fn(|value| {
                // f64 until the end, as numpy does with a Python scale factor.
                let scaled = (value as f64 * (1.0 / 255.0)) as f32;
                (scaled - self.image_mean[channel]) / self.image_std[channel]
            })
        })
    }
}

fn wrong(key: &str, value: &Value) -> ModelError {
    ModelError::Config {
        file: FILE.to_owned(),
        problem: format!("`{key}` is `{value}`, which cannot be used"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_limits_are_read() {
        let old = Processor::from_json(r#"{"min_pixels": 3136, "max_pixels": 1003520}"#).unwrap();
        let new = r#"{"size": {"shortest_edge": 3136, "longest_edge": 1003520}}"#;
        assert_eq!(Processor::from_json(new).unwrap(), old);
        assert_eq!(old.max_pixels, 1_003_520);
    }

    #[test]
    fn patches_come_in_groups_of_four() {
        let image = RgbImage::from_fn(56, 56, |x, y| {
            let b = 40 * (x / 5 + y / 3);
            image::Rgb([7 * x + 3 * y, 5 * x + 11 * y, b].map(|v| (v % 256) as u8))
        });
        let processed = Processor::default().process(&image).unwrap();
        assert_eq!(processed.pixel_values.len(), 16 * 1176);
        let at = |row: usize, column: usize| processed.pixel_values[row * 1176 + column];
        for (row, column, expected) in [
            (0, 0, -1.792_26),
            (0, 1, -1.690_07),
            (1, 0, -0.361_62),
            (2, 0, -1.179_13),
            (4, 0, 1.069_03),
            (0, 196, -1.792_26),
            (0, 392, -1.752_1),
            (15, 1175, 0.453_71),
        ] {
            assert!((at(row, column) - expected).abs() < 1e-5, "({row}, {column})");
        }
        let sum: f64 = processed.pixel_values.iter().map(|&value| f64::from(value)).sum();
        assert!((sum - 3723.354).abs() < 0.01, "{sum}");
    }

    #[test]
    fn impossible_images_are_refused_before_anything_is_allocated() {
        for (width, height, expected) in [
            (0, 10, "an image of 0×10 px cannot be used: it has no pixels"),
            (100_000, 9, "an image of 100000×9 px cannot be used: a side is longer than 32768 px"),
            (
                2010,
                10,
                "an image of 2010×10 px cannot be used: one side is more than 200 times the other",
            ),
        ] {
            let err = Processor::default().resized_size(width, height).unwrap_err();
            assert_eq!(err.to_string(), expected);
        }
    }
}
