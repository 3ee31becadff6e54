//! The size an image is resized to, and the resampling itself, both equal to the reference's to
//! the bit: coordinates depend on the first, and goldens on the second.
//!
//! # Source
//!
//! `smart_resize` in `image_processing_qwen2_vl.py` of transformers 4.49.0 (Python rounds ties to
//! even); `Resample.c` of Pillow 11 for 8-bit bicubic with antialiasing (a = −0.5, 22 fractional
//! bits, each row first, then each column, rounded to bytes in between). Pillow 13 may swap the two
//! passes to save work, which changes pixels by up to 25 levels where the filter overshoots; the
//! checkpoints were made with the fixed order.

use image::RgbImage;
use rayon::prelude::*;

/// Returns (height, width) as multiples of `factor` with a product between `min_pixels` and
/// `max_pixels`, near the given shape; `None` if one side is more than 200 times the other.
pub fn smart_resize(
    height: u32,
    width: u32,
    factor: u32,
    min_pixels: u64,
    max_pixels: u64,
) -> Option<(u32, u32)> {
    let (h, w, f) = (f64::from(height), f64::from(width), f64::from(factor));
    if h.max(w) / h.min(w) > 200.0 {
        return None;
    }
    let whole = |side: f64| (side / f).round_ties_even() * f;
    let (h_bar, w_bar) = (whole(h), whole(w));
    let (h_bar, w_bar) = if h_bar * w_bar > max_pixels as f64 {
        let beta = (h * w / max_pixels as f64).sqrt();
        let fit = |side: f64| f.max((side / beta / f).floor() * f);
        (fit(h), fit(w))
    } else if h_bar * w_bar < min_pixels as f64 {
        let beta = (min_pixels as f64 / (h * w)).sqrt();
        let fill = |side: f64| (side * beta / f).ceil() * f;
        (fill(h), fill(w))
    } else {
        (h_bar, w_bar)
    };
    Some((h_bar as u32, w_bar as u32))
}

/// Returns the image resampled to exactly `width` × `height`, the aspect ratio distorted if need
/// be.
///
/// # Panics
///
/// Panics if the result would not fit into memory's address space.
pub fn resize_bicubic(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (in_width, in_height) = (image.width() as usize, image.height() as usize);
    let (out_width, out_height) = (width as usize, height as usize);
    let columns = (in_width != out_width).then(|| {
        let taps = taps(in_width, out_width);
        let mut out = vec![0; in_height * out_width * 3];
        let rows = out.par_chunks_exact_mut(out_width * 3);
        rows.zip(image.as_raw().par_chunks_exact(in_width * 3))
            .for_each(|(out, row)| resample_row(out, row, &taps));
        out
    });
    let pixels = columns.as_deref().unwrap_or_else(|| image.as_raw());
    let pixels = if in_height == out_height {
        pixels.to_vec()
    } else {
        let taps = taps(in_height, out_height);
        let stride = out_width * 3;
        let mut out = vec![0; out_height * stride];
        out.par_chunks_exact_mut(stride)
            .zip(&taps)
            .for_each(|(out, taps)| resample_column(out, pixels, stride, taps));
        out
    };
    RgbImage::from_raw(width, height, pixels).expect("the buffer has width × height pixels")
}

/// The input positions one output position is mixed from.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Fractional bits of the weights; what is left of 32 bits after 8 for the value and 2 for the sum.
const PRECISION_BITS: u32 = 32 - 8 - 2;

fn taps(in_len: usize, out_len: usize) -> Vec<Taps> {
    let scale = in_len as f64 / out_len as f64;
    let filter_scale = scale.max(1.0);
    let support = 2.0 * filter_scale;
    (0..out_len)
        .map(|at| {
            let center = (at as f64 + 0.5) * scale;
            // The casts cut towards zero, as in C; a negative start is the image's edge.
            let first = (center - support + 0.5).max(0.0) as usize;
            let last = ((center + support + 0.5) as usize).min(in_len);
            let weights: Vec<f64> = (first..last)
                .map(|i| bicubic((i as f64 - center + 0.5) * (1.0 / filter_scale)))
                .collect();
            let sum: f64 = weights.iter().sum();
            let weights = weights.iter().map(|weight| fixed_point(weight / sum)).collect();
            Taps { first, weights }
        })
        .collect()
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Rounds half away from zero.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION_BITS);
    if weight < 0.0 { (scaled - 0.5) as i32 } else { (scaled + 0.5) as i32 }
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

fn resample_row(out: &mut [u8], row: &[u8], taps: &[Taps]) {
    for (out, taps) in out.chunks_exact_mut(3).zip(taps) {
        let mut sums = [HALF; 3];
        let pixels = row[taps.first * 3..].chunks_exact(3);
        for (pixel, &weight) in pixels.zip(&taps.weights) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(value) * weight;
            }
        }
        out.copy_from_slice(&sums.map(to_byte));
    }
}

fn resample_column(out: &mut [u8], pixels: &[u8], stride: usize, taps: &Taps) {
    let mut sums = vec![HALF; stride];
    let rows = pixels[taps.first * stride..].chunks_exact(stride);
    for (row, &weight) in rows.zip(&taps.weights) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += i32::from(value) * weight;
        }
    }
    for (out, &sum) in out.iter_mut().zip(&sums) {
        *out = to_byte(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// width × height → width × height, within the limits of the released checkpoints.
    const SIZES: &[[(u32, u32); 2]] = &[
        [(1920, 1080), (1932, 1092)],
        [(2560, 1440), (2548, 1428)],
        [(3840, 2160), (3836, 2156)],
        [(5120, 2880), (4760, 2688)],
        [(1366, 768), (1372, 756)],
        [(1280, 720), (1288, 728)],
        [(1080, 2400), (1092, 2408)],
        [(1470, 956), (1456, 952)],
        [(1440, 900), (1428, 896)],
        [(854, 480), (840, 476)],
        [(640, 480), (644, 476)],
        [(100, 100), (112, 112)],
        [(28, 28), (56, 56)],
        [(14, 14), (56, 56)],
        [(1000, 10), (560, 28)],
    ];

    #[test]
    fn sizes_are_the_reference_s_with_ties_to_even() {
        for &[(width, height), expected] in SIZES {
            let (h, w) = smart_resize(height, width, 28, 3136, 12_845_056).unwrap();
            assert_eq!((w, h), expected, "{width}×{height}");
        }
        for ((width, height), expected) in
            [((1920, 1080), (1316, 728)), ((1080, 2400), (672, 1484)), ((2880, 1800), (1260, 784))]
        {
            let (h, w) = smart_resize(height, width, 28, 3136, 1280 * 784).unwrap();
            assert_eq!((w, h), expected, "{width}×{height}");
        }
        assert_eq!(smart_resize(10, 2010, 28, 3136, 12_845_056), None);
    }

    #[test]
    fn pixels_are_pillow_s() {
        check((100, 60), (112, 56), 2_407_151, [[0, 0, 0], [6, 4, 0], [12, 9, 0], [18, 13, 0]]);
        let first = [[4, 5, 0], [16, 14, 0], [29, 23, 7], [41, 32, 40]];
        check((200, 130), (112, 84), 3_565_658, first);
    }

    #[track_caller]
    fn check(from: (u32, u32), to: (u32, u32), sum: u64, first: [[u8; 3]; 4]) {
        let image = RgbImage::from_fn(from.0, from.1, |x, y| {
            let b = 40 * (x / 5 + y / 3);
            image::Rgb([7 * x + 3 * y, 5 * x + 11 * y, b].map(|v| (v % 256) as u8))
        });
        let resized = resize_bicubic(&image, to.0, to.1);
        let total: u64 = resized.as_raw().iter().map(|&value| u64::from(value)).sum();
        assert_eq!(total, sum);
        let start: Vec<_> = resized.pixels().take(4).map(|pixel| pixel.0).collect();
        assert_eq!(start, first);
    }
}
