//! What `screencap` writes, as pixels.
//!
//! Without `-p` it writes a header of three words (width, height, format), since Android 9 a fourth
//! (colour space), and then the pixels, row by row, without padding. Which of the two it is follows
//! from the version and the length, so a frame that was cut off on the way is never taken for a whole
//! one.
//!
//! # Source
//! `frameworks/base/cmds/screencap/screencap.cpp`, `PixelFormat` of `hardware/libhardware`.

use image::RgbImage;

/// The longest side of a screen.
const LONGEST: u32 = 16_384;

/// Why bytes are no picture of a screen.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum FrameError {
    /// There was no picture at all; what was said instead.
    #[error("the phone sent no picture{}", if .0.is_empty() { String::new() } else { format!(": {}", .0) })]
    None(String),
    /// It ended too early, or went on too long.
    #[error("the picture has {got} bytes instead of {expected}")]
    Length { got: usize, expected: usize },
    /// The pixels are of a kind that is not read here.
    #[error("the pixels have the format {0}, which is not known")]
    Format(u32),
    /// It is no whole PNG.
    #[error("the picture is no whole PNG: {0}")]
    Png(String),
}

/// Reads a frame without compression, from a phone of this API level.
pub(crate) fn read_raw(bytes: &[u8], sdk: u32) -> Result<RgbImage, FrameError> {
    let word = |index: usize| {
        let bytes = bytes.get(index * 4..index * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
    };
    let head = (word(0), word(1), word(2));
    let (Some(width), Some(height), Some(format)) = head else { return Err(nothing(bytes)) };
    let is_side = |side: u32| (1..=LONGEST).contains(&side);
    if !is_side(width) || !is_side(height) {
        return Err(nothing(bytes));
    }
    let depth = match format {
        1 | 2 | 5 => 4,
        3 => 3,
        4 => 2,
        other => return Err(FrameError::Format(other)),
    };
    let area = width as usize * height as usize;
    let pixels = match bytes.len().checked_sub(area * depth) {
        Some(head) if head == 16 || (head == 12 && sdk < 28) => &bytes[head..],
        _ => return Err(FrameError::Length { got: bytes.len(), expected: 16 + area * depth }),
    };
    let mut rgb = vec![0; area * 3];
    let wanted = rgb.chunks_exact_mut(3).zip(pixels.chunks_exact(depth));
    match format {
        1..=3 => wanted.for_each(|(to, from)| to.copy_from_slice(&from[..3])),
        5 => wanted.for_each(|(to, from)| to.copy_from_slice(&[from[2], from[1], from[0]])),
        _ => wanted.for_each(|(to, from)| {
            let word = u16::from_le_bytes([from[0], from[1]]);
            to.copy_from_slice(&[
                wide(word >> 11, 5),
                wide(word >> 5 & 0x3f, 6),
                wide(word & 0x1f, 5),
            ]);
        }),
    }
    Ok(RgbImage::from_raw(width, height, rgb).expect("the length is that of the size"))
}

/// Spreads a component of so many bits over eight: the darkest stays black, the brightest white.
fn wide(value: u16, bits: u32) -> u8 {
    let most = (1_u32 << bits) - 1;
    u8::try_from((u32::from(value) * 255 + most / 2) / most).unwrap_or(u8::MAX)
}

/// Reads a frame that the phone compressed.
pub(crate) fn read_png(bytes: &[u8]) -> Result<RgbImage, FrameError> {
    if !bytes.starts_with(b"\x89PNG") {
        return Err(nothing(bytes));
    }
    let mut reader =
        image::ImageReader::with_format(std::io::Cursor::new(bytes), image::ImageFormat::Png);
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(LONGEST);
    limits.max_image_height = Some(LONGEST);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| FrameError::Png(error.to_string()))?;
    Ok(picture.into_rgb8())
}

/// What came instead of a picture, if it is a text.
fn nothing(bytes: &[u8]) -> FrameError {
    const MOST: usize = 160;
    let start = &bytes[..bytes.len().min(MOST)];
    let text = std::str::from_utf8(start).unwrap_or_default();
    let is_text = text.chars().all(|c| !c.is_control() || c.is_whitespace());
    let words: Vec<&str> = if is_text { text.split_whitespace().collect() } else { Vec::new() };
    FrameError::None(words.join(" "))
}

/// How much of a picture is entirely black.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Blackness {
    /// All of it.
    All,
    /// More than half of it.
    Much,
    /// Less.
    Little,
}

impl Blackness {
    /// Looks at a picture.
    pub(crate) fn of(image: &RgbImage) -> Self {
        let black = image.as_raw().chunks_exact(3).filter(|pixel| *pixel == [0; 3]).count();
        match image.as_raw().len() / 3 {
            all if black == all => Self::All,
            all if black * 2 > all => Self::Much,
            _ => Self::Little,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of two pixels, one above the other.
    fn frame(format: u32, header: usize, pixels: &[u8]) -> Vec<u8> {
        let words = [1, 2, format, 0];
        let head = words.iter().flat_map(|word: &u32| word.to_le_bytes()).take(header);
        head.chain(pixels.iter().copied()).collect()
    }

    #[test]
    fn every_format_becomes_the_same_colours() {
        let check = |format, pixels: &[u8]| {
            for (header, sdk) in [(12, 27), (16, 34)] {
                let image = read_raw(&frame(format, header, pixels), sdk).unwrap();
                assert_eq!(image.dimensions(), (1, 2));
                assert_eq!(image.as_raw(), &[255, 0, 0, 0, 0, 255], "{format}, {sdk}");
            }
        };
        check(1, &[255, 0, 0, 255, 0, 0, 255, 255]);
        check(2, &[255, 0, 0, 9, 0, 0, 255, 9]);
        check(3, &[255, 0, 0, 0, 0, 255]);
        check(4, &[0x00, 0xf8, 0x1f, 0x00]);
        check(5, &[0, 0, 255, 255, 255, 0, 0, 255]);
    }

    #[test]
    fn what_is_no_whole_frame_is_refused() {
        let whole = frame(1, 16, &[1; 8]);
        for cut in 12..whole.len() {
            let refused = read_raw(&whole[..cut], 34);
            assert!(matches!(refused, Err(FrameError::Length { .. })), "{cut}");
        }
        assert_eq!(read_raw(&frame(43, 16, &[1; 8]), 34), Err(FrameError::Format(43)));
        assert_eq!(read_raw(b"", 34), Err(FrameError::None(String::new())));
        let said = "Failed to take screenshot. Status: -1";
        assert_eq!(read_raw(said.as_bytes(), 34), Err(FrameError::None(said.to_owned())));
        let huge = [u32::MAX, 1, 1, 0].map(u32::to_le_bytes).concat();
        assert!(matches!(read_raw(&huge, 34), Err(FrameError::None(_))));
        assert!(matches!(read_png(b"\x89PNG\r\n"), Err(FrameError::Png(_))));
        assert!(matches!(read_png(b"sh: no"), Err(FrameError::None(said)) if said == "sh: no"));
    }

    #[test]
    fn blackness_counts_pixels() {
        let mut image = RgbImage::new(2, 2);
        assert_eq!(Blackness::of(&image), Blackness::All);
        image.put_pixel(0, 0, image::Rgb([0, 0, 1]));
        assert_eq!(Blackness::of(&image), Blackness::Much);
        image.put_pixel(1, 0, image::Rgb([1, 0, 0]));
        assert_eq!(Blackness::of(&image), Blackness::Little);
    }
}
