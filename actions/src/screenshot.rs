//! The pixels of a screen at one moment.

use std::time::SystemTime;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _, ImageError, RgbImage};

use crate::geometry::Size;

/// What a screen showed: its pixels, its scale and when.
#[derive(Clone, Debug)]
pub struct Screenshot {
    /// The pixels, 8 bits each of red, green and blue.
    pub image: RgbImage,
    /// Pixels to one unit of the system's own layout: 2 on most screens of high density.
    pub scale: f64,
    /// When the pixels were read.
    pub taken_at: SystemTime,
}

impl Screenshot {
    /// Wraps pixels that were read just now.
    pub fn now(image: RgbImage, scale: f64) -> Self {
        Self { image, scale, taken_at: SystemTime::now() }
    }

    /// Returns its size in pixels.
    pub fn size(&self) -> Size {
        Size { width: self.image.width(), height: self.image.height() }
    }

    /// Returns it as a PNG file, which is made quickly rather than small.
    ///
    /// # Errors
    /// An image without pixels is none.
    pub fn to_png(&self) -> Result<Vec<u8>, ImageError> {
        let (mut png, Size { width, height }) = (Vec::new(), self.size());
        PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
            .write_image(self.image.as_raw(), width, height, ExtendedColorType::Rgb8)?;
        Ok(png)
    }

    /// Returns a number that is the same for the same pixels and, but for chance, no others.
    ///
    /// It is stable between runs and machines, and quick enough to ask of every screenshot. It is
    /// no defence against somebody who builds two screens with one fingerprint on purpose.
    pub fn fingerprint(&self) -> u64 {
        let size = (u64::from(self.image.width()) << 32) | u64::from(self.image.height());
        let (words, rest) = self.image.as_raw().as_chunks::<8>();
        let mut tail = [0; 8];
        tail[..rest.len()].copy_from_slice(rest);
        let words = words.iter().chain([&tail]).map(|&word| u64::from_le_bytes(word));
        words.fold(mix(0, size), mix)
    }
}

/// Folds a word into a hash; for one `word` it is a bijection of `hash`, and the other way round,
/// so a single changed word always changes the result.
fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (product ^ (product >> 32)).rotate_left(23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn blank(width: u32, height: u32) -> Screenshot {
        Screenshot::now(RgbImage::new(width, height), 1.0)
    }

    #[test]
    fn one_pixel_or_the_shape_changes_the_fingerprint() {
        let screenshot = blank(7, 5);
        assert_eq!(screenshot.fingerprint(), blank(7, 5).fingerprint());
        assert_ne!(screenshot.fingerprint(), blank(5, 7).fingerprint());
        for (x, y) in [(0, 0), (3, 2), (6, 4)] {
            let mut changed = blank(7, 5);
            changed.image.put_pixel(x, y, Rgb([0, 0, 1]));
            assert_ne!(screenshot.fingerprint(), changed.fingerprint());
        }
    }

    #[test]
    fn the_fingerprint_is_the_same_everywhere() {
        let mut screenshot = blank(2, 2);
        screenshot.image.put_pixel(1, 1, Rgb([1, 2, 3]));
        assert_eq!(format!("{:016x}", screenshot.fingerprint()), "83c53bb311acae03");
    }
}
