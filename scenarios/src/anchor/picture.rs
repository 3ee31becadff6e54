//! Pixels: cutting, edges, and when two of them are the same to the eye.

use handsight_actions::Rect;
use image::{Rgb, RgbImage};

/// How much a channel may differ between pixels that are taken to be the same.
pub(super) const SAME: u8 = 16;

/// How much a channel differs between neighbours at an edge.
const EDGE: u8 = 24;

/// Copies a part that lies inside a picture.
pub(super) fn cut(picture: &RgbImage, part: Rect) -> RgbImage {
    let corner = |edge: i32| u32::try_from(edge).unwrap_or(0);
    image::imageops::crop_imm(picture, corner(part.x), corner(part.y), part.width, part.height)
        .to_image()
}

/// Whether two pixels look the same.
pub(super) fn same(a: Rgb<u8>, b: Rgb<u8>) -> bool {
    distance(a, b) <= SAME
}

/// Returns the largest difference of a channel.
pub(super) fn distance(a: Rgb<u8>, b: Rgb<u8>) -> u8 {
    let [r, g, b] = [0, 1, 2].map(|channel| a.0[channel].abs_diff(b.0[channel]));
    r.max(g).max(b)
}

/// Returns for each pixel, row by row, whether it differs from the one to its right or below it:
/// where letters and borders are, and not where a surface is bare.
pub(super) fn edges(picture: &RgbImage) -> Vec<bool> {
    let (width, height) = picture.dimensions();
    let mut edges = Vec::with_capacity(width as usize * height as usize);
    for y in 0..height {
        for x in 0..width {
            let pixel = *picture.get_pixel(x, y);
            let differs = |x: u32, y: u32| {
                x < width && y < height && distance(pixel, *picture.get_pixel(x, y)) > EDGE
            };
            edges.push(differs(x + 1, y) || differs(x, y + 1));
        }
    }
    edges
}

/// Returns the mean colour of a part that lies inside a picture.
pub(super) fn mean(picture: &RgbImage, part: Rect) -> Rgb<u8> {
    let part = cut(picture, part);
    let count = u64::from(part.width()) * u64::from(part.height());
    let sum = part.pixels().fold([0_u64; 3], |sum, pixel| {
        [0, 1, 2].map(|channel| sum[channel] + u64::from(pixel.0[channel]))
    });
    Rgb(sum.map(|sum| u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)))
}
