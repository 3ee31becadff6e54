//! The pixels of a display server → red, green and blue of 8 bits each.
//!
//! Those in shared memory are read from its file and not mapped: the copy is made in pieces that stay
//! in the processor's cache, costs little beside the conversion, and needs no `unsafe`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use image::RgbImage;

use crate::geometry::Size;

/// How much of shared memory is read at once: it should fit the second-level cache.
const PIECE: usize = 256 * 1024;

/// Reads the pixels of an image at the beginning of a file.
pub(super) fn read_rows(file: &File, format: PixelFormat, size: Size) -> io::Result<RgbImage> {
    let width = size.width as usize;
    let (stride, samples) = (format.stride(width), width * 3);
    let rows = (PIECE / stride.max(1)).max(1);
    let mut piece = vec![0; rows * stride];
    let mut image = RgbImage::new(size.width, size.height);
    let mut offset = 0;
    for pixels in image.chunks_mut((rows * samples).max(1)) {
        let length = pixels.len() / samples * stride;
        file.read_exact_at(&mut piece[..length], offset)?;
        format.convert_rows(&piece[..length], pixels, width);
        offset += length as u64;
    }
    Ok(image)
}

/// How the server lays out the pixels of a screen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PixelFormat {
    pub(super) bytes_per_pixel: usize,
    /// Rows are padded to a multiple of this many bytes.
    pub(super) row_align: usize,
    pub(super) is_big_endian: bool,
    /// Which bits of a pixel are red, green and blue.
    pub(super) masks: [u32; 3],
}

impl PixelFormat {
    /// Returns how many bytes a row of that many pixels takes.
    pub(super) fn stride(self, width: usize) -> usize {
        (width * self.bytes_per_pixel).next_multiple_of(self.row_align)
    }

    /// Converts the pixels of a whole image.
    pub(super) fn convert(self, bytes: &[u8], image: &mut RgbImage) {
        let width = image.width() as usize;
        self.convert_rows(bytes, image, width);
    }

    /// Converts rows of that many pixels.
    fn convert_rows(self, bytes: &[u8], rgb: &mut [u8], width: usize) {
        let rows = bytes.chunks_exact(self.stride(width).max(1));
        for (row, rgb) in rows.zip(rgb.chunks_exact_mut((width * 3).max(1))) {
            let pixels = row.chunks_exact(self.bytes_per_pixel).zip(rgb.chunks_exact_mut(3));
            // Nearly every server there is; the compiler makes it fast.
            if (Self { row_align: 4, ..self }) == USUAL {
                for (pixel, rgb) in pixels {
                    rgb.copy_from_slice(&[pixel[2], pixel[1], pixel[0]]);
                }
                continue;
            }
            for (pixel, rgb) in pixels {
                let value = self.value(pixel);
                for (sample, mask) in rgb.iter_mut().zip(self.masks) {
                    *sample = sample_of(value, mask);
                }
            }
        }
    }

    fn value(self, pixel: &[u8]) -> u32 {
        let join = |value: u32, &byte: &u8| value << 8 | u32::from(byte);
        if self.is_big_endian {
            pixel.iter().fold(0, join)
        } else {
            pixel.iter().rev().fold(0, join)
        }
    }
}

/// 32 bits to a pixel: blue, green, red and nothing.
const USUAL: PixelFormat = PixelFormat {
    bytes_per_pixel: 4,
    row_align: 4,
    is_big_endian: false,
    masks: [0xFF_0000, 0x00_FF00, 0x00_00FF],
};

/// Returns the bits under a mask, spread over 0 to 255.
fn sample_of(value: u32, mask: u32) -> u8 {
    if mask == 0 {
        return 0;
    }
    let most = u64::from(mask >> mask.trailing_zeros());
    let bits = u64::from((value & mask) >> mask.trailing_zeros());
    u8::try_from((bits * 255 + most / 2) / most).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: PixelFormat, bytes: &[u8], width: u32, expected: &[u8]) {
        let height = u32::try_from(expected.len()).unwrap() / 3 / width;
        let mut image = RgbImage::new(width, height);
        format.convert(bytes, &mut image);
        assert_eq!(image.as_raw(), expected);
    }

    #[test]
    fn usual_pixels_are_turned_round() {
        check(USUAL, &[1, 2, 3, 0, 4, 5, 6, 255], 2, &[3, 2, 1, 6, 5, 4]);
    }

    #[test]
    fn other_byte_orders_and_masks_give_the_same() {
        let big = PixelFormat { is_big_endian: true, ..USUAL };
        check(big, &[0, 3, 2, 1], 1, &[3, 2, 1]);
        let swapped = PixelFormat { masks: [0x00_00FF, 0x00_FF00, 0xFF_0000], ..USUAL };
        check(swapped, &[3, 2, 1, 0], 1, &[3, 2, 1]);
    }

    #[test]
    fn sixteen_bits_are_spread_and_rows_padded() {
        let format = PixelFormat {
            bytes_per_pixel: 2,
            row_align: 4,
            is_big_endian: false,
            masks: [0xF800, 0x07E0, 0x001F],
        };
        let rows = [0x00, 0xF8, 9, 9, 0xFF, 0xFF, 9, 9];
        check(format, &rows, 1, &[255, 0, 0, 255, 255, 255]);
        assert_eq!(sample_of(16 << 11, 0xF800), 132);
    }

    #[test]
    fn ten_bits_are_narrowed() {
        assert_eq!(sample_of(0x3FF, 0x3FF), 255);
        assert_eq!(sample_of(0x200, 0x3FF), 128);
    }
}
