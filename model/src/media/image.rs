//! Encoded images → RGB pixels, as people see them: upright, and over white where they are
//! transparent.
//!
//! # Source
//!
//! `to_rgb` in `vision_process.py` of qwen-vl-utils 0.0.14 for white behind transparency, rounded
//! as Pillow's `paste` does. The reference leaves the camera's orientation alone; here it is
//! applied, since coordinates are of use only on the picture people see.

use std::io::{Cursor, Read};
use std::path::Path;

use fs_err as fs;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};

use super::MediaError;

/// What an encoded image may be; checked on its header, before its pixels get memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecodeLimits {
    /// The most bytes of the file.
    pub max_bytes: u64,
    /// The longest side in pixels.
    pub max_side: u32,
    /// The most pixels.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    /// 256 MiB of file, sides of 32 768 px, 2²⁷ px.
    fn default() -> Self {
        Self { max_bytes: 256 << 20, max_side: 32_768, max_pixels: 1 << 27 }
    }
}

/// The kinds of images that are read, whatever else the decoders of this build could do.
const FORMATS: [ImageFormat; 5] =
    [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif];

/// The most bytes a pixel takes while it is decoded: four channels of 16 bits.
const BYTES_PER_PIXEL: u64 = 8;

/// What a decoder may use besides the pixels: palettes, metadata, a line or two.
const DECODER_EXTRA: u64 = 64 << 20;

/// Reads an image file. The format is told from the content, not from the name.
///
/// # Errors
///
/// [`MediaError`], naming the file.
pub fn open(path: &Path, limits: &DecodeLimits) -> Result<RgbImage, MediaError> {
    let file = fs::File::open(path).map_err(|source| MediaError::Read { source })?;
    let bytes = read_bounded(file, &path.display().to_string(), limits.max_bytes)?;
    decode(&path.display().to_string(), &bytes, limits)
}

/// Reads at most `max_bytes` bytes; `name` stands for them in the error if there are more.
///
/// # Errors
///
/// [`MediaError::Read`], or [`MediaError::TooManyBytes`] as soon as there is one too many.
pub fn read_bounded(reader: impl Read, name: &str, max_bytes: u64) -> Result<Vec<u8>, MediaError> {
    let mut bytes = Vec::new();
    reader
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| MediaError::Read { source })?;
    check_bytes(name, bytes.len() as u64, max_bytes)?;
    Ok(bytes)
}

/// Decodes an image; `name` stands for it in errors. Of an animation it takes the first frame.
///
/// # Errors
///
/// [`MediaError`] if it is of an unknown kind, damaged, or beyond the limits.
pub fn decode(name: &str, bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, MediaError> {
    check_bytes(name, bytes.len() as u64, limits.max_bytes)?;
    let format = image::guess_format(bytes).ok().filter(|format| FORMATS.contains(format));
    let Some(format) = format else {
        return Err(MediaError::UnknownFormat { name: name.to_owned() });
    };
    let failed = |source| MediaError::Decode { name: name.to_owned(), source };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(decoder_limits(limits));
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(name, width, height, limits)?;
    // An orientation that cannot be read is none: the pixels are all right without it.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    image.apply_orientation(orientation);
    Ok(over_white(image))
}

/// Whether the bytes start as a GIF does.
pub(super) fn is_gif(start: &[u8]) -> bool {
    image::guess_format(start).is_ok_and(|format| format == ImageFormat::Gif)
}

/// Returns the limits a decoder of the image crate is given.
pub(super) fn decoder_limits(limits: &DecodeLimits) -> Limits {
    let mut decoder = Limits::default();
    decoder.max_image_width = Some(limits.max_side.max(1));
    decoder.max_image_height = Some(limits.max_side.max(1));
    decoder.max_alloc =
        Some(limits.max_pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(DECODER_EXTRA));
    decoder
}

/// Checks the size an image claims to have.
pub(super) fn check_size(
    name: &str,
    width: u32,
    height: u32,
    limits: &DecodeLimits,
) -> Result<(), MediaError> {
    let DecodeLimits { max_side, max_pixels, .. } = *limits;
    let pixels = u64::from(width) * u64::from(height);
    if width > max_side || height > max_side || pixels > max_pixels {
        let name = name.to_owned();
        return Err(MediaError::TooLarge { name, width, height, max_pixels, max_side });
    }
    Ok(())
}

fn check_bytes(name: &str, bytes: u64, limit: u64) -> Result<(), MediaError> {
    if bytes > limit {
        return Err(MediaError::TooManyBytes { name: name.to_owned(), bytes, limit });
    }
    Ok(())
}

/// Returns 8-bit RGB, with white behind what is transparent.
fn over_white(image: DynamicImage) -> RgbImage {
    if image.color().has_alpha() { blend(&image.into_rgba8()) } else { image.into_rgb8() }
}

/// Puts an image on white.
pub(super) fn blend(image: &RgbaImage) -> RgbImage {
    let mut pixels = Vec::with_capacity(image.as_raw().len() / 4 * 3);
    for &[r, g, b, alpha] in image.as_raw().as_chunks::<4>().0 {
        pixels.extend([r, g, b].map(|value| mixed_with_white(value, alpha)));
    }
    RgbImage::from_raw(image.width(), image.height(), pixels)
        .expect("every pixel of four bytes became one of three")
}

/// Divides by 255 as Pillow does, to the nearest.
fn mixed_with_white(value: u8, alpha: u8) -> u8 {
    let sum = u32::from(value) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 128;
    (((sum >> 8) + sum) >> 8).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;
    use image::codecs::png::PngEncoder;
    use image::{ExtendedColorType, ImageEncoder, Rgb, Rgba};

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn decoded(bytes: &[u8]) -> RgbImage {
        decode("picture", bytes, &DecodeLimits::default()).unwrap()
    }

    /// Red, green, blue, white: two by two, no two corners alike.
    fn corners() -> RgbImage {
        let colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
        RgbImage::from_fn(2, 2, |x, y| Rgb(colors[(2 * y + x) as usize]))
    }

    #[test]
    fn every_format_without_loss_gives_the_same_pixels() {
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::WebP] {
            let image = decoded(&encoded(&corners().into(), format));
            assert_eq!(image, corners(), "{format:?}");
        }
        let grey = RgbImage::from_pixel(16, 8, Rgb([90; 3]));
        let jpeg = decoded(&encoded(&grey.clone().into(), ImageFormat::Jpeg));
        assert_eq!(jpeg.dimensions(), (16, 8));
        assert!(jpeg.pixels().all(|pixel| pixel[0].abs_diff(90) < 3));
    }

    #[test]
    fn transparency_is_over_white_and_deep_or_grey_images_become_plain() {
        let half = RgbaImage::from_pixel(3, 1, Rgba([10, 200, 0, 128]));
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            // 10·128/255 + 255·127/255 = 132.02
            let pixel = *decoded(&encoded(&half.clone().into(), format)).get_pixel(0, 0);
            assert_eq!(pixel, Rgb([132, 227, 127]), "{format:?}");
        }
        let clear = RgbaImage::from_pixel(3, 1, Rgba([0, 0, 0, 0]));
        let pixel = *decoded(&encoded(&clear.into(), ImageFormat::Gif)).get_pixel(2, 0);
        assert_eq!(pixel, Rgb([255; 3]));

        let deep = image::ImageBuffer::from_pixel(1, 1, image::LumaA([0x8080u16, 0xffff]));
        let deep = DynamicImage::ImageLumaA16(deep);
        assert_eq!(*decoded(&encoded(&deep, ImageFormat::Png)).get_pixel(0, 0), Rgb([0x80; 3]));
    }

    /// An EXIF block with nothing but an orientation.
    fn exif(orientation: u8) -> Vec<u8> {
        let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        exif
    }

    #[test]
    fn a_camera_s_orientation_is_applied() {
        let check = |orientation, size, top_left, bottom_right| {
            let image = RgbImage::from_fn(32, 16, |x, y| match (x < 16, y < 8) {
                (true, true) => Rgb([255, 0, 0]),
                (false, true) => Rgb([0, 255, 0]),
                (true, false) => Rgb([0, 0, 255]),
                (false, false) => Rgb([255; 3]),
            });
            let mut jpeg = Vec::new();
            let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
            encoder.set_exif_metadata(exif(orientation)).unwrap();
            encoder.write_image(image.as_raw(), 32, 16, ExtendedColorType::Rgb8).unwrap();
            let mut png = Vec::new();
            let mut encoder = PngEncoder::new(&mut png);
            encoder.set_exif_metadata(exif(orientation)).unwrap();
            encoder.write_image(image.as_raw(), 32, 16, ExtendedColorType::Rgb8).unwrap();
            for bytes in [jpeg, png] {
                let upright = decoded(&bytes);
                let (width, height) = upright.dimensions();
                assert_eq!((width, height), size, "{orientation}");
                let near = |pixel: &Rgb<u8>, expected: [u8; 3]| {
                    pixel.0.iter().zip(expected).all(|(&value, e)| value.abs_diff(e) < 30)
                };
                assert!(near(upright.get_pixel(1, 1), top_left), "{orientation}");
                let last = upright.get_pixel(width - 2, height - 2);
                assert!(near(last, bottom_right), "{orientation}");
            }
        };
        check(1, (32, 16), [255, 0, 0], [255; 3]);
        check(2, (32, 16), [0, 255, 0], [0, 0, 255]);
        check(3, (32, 16), [255; 3], [255, 0, 0]);
        check(6, (16, 32), [0, 0, 255], [0, 255, 0]);
        check(8, (16, 32), [0, 255, 0], [0, 0, 255]);
        // Not an orientation at all.
        check(77, (32, 16), [255, 0, 0], [255; 3]);
    }

    #[test]
    fn a_bomb_is_refused_from_its_header() {
        // Valid headers that claim far more than they hold; memory for them would be gigabytes.
        let mut png = encoded(&corners().into(), ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let mut gif = encoded(&corners().into(), ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        let mut bmp = encoded(&corners().into(), ImageFormat::Bmp);
        bmp[18..26].copy_from_slice(&[0, 0, 1, 0, 0, 0, 1, 0]);
        for (bytes, expected) in [(png, "30000×30000 px"), (gif, ""), (bmp, "")] {
            let err = decode("bomb", &bytes, &DecodeLimits::default()).unwrap_err();
            let text = err.to_string();
            assert!(text.contains("`bomb`") && text.contains(expected), "{text}");
            assert!(matches!(err, MediaError::TooLarge { .. } | MediaError::Decode { .. }));
        }
        let small = DecodeLimits { max_pixels: 3, ..DecodeLimits::default() };
        let err = decode("four", &encoded(&corners().into(), ImageFormat::Png), &small);
        let expected = "`four` has 2×2 px, and at most 3 px with sides of at most 32768 are read";
        assert_eq!(err.unwrap_err().to_string(), expected);
        let small = DecodeLimits { max_bytes: 10, ..DecodeLimits::default() };
        let err = decode("long", &[0; 11], &small).unwrap_err();
        assert_eq!(err.to_string(), "`long` has 11 bytes and at most 10 are read");
    }

    /// The checksum of a chunk of a PNG.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 }
            })
        })
    }

    #[test]
    fn what_is_no_image_is_an_error_that_names_it() {
        let check = |bytes: &[u8], expected: &str| {
            let err = decode("upload", bytes, &DecodeLimits::default()).unwrap_err();
            assert_eq!(err.to_string(), expected);
        };
        check(b"", "`upload` is not a PNG, JPEG, WebP, BMP or GIF image");
        check(b"%PDF-1.7", "`upload` is not a PNG, JPEG, WebP, BMP or GIF image");
        // A kind the library knows and we do not.
        check(b"II*\0\x08\0\0\0", "`upload` is not a PNG, JPEG, WebP, BMP or GIF image");
        check(b"\x89PNG\r\n\x1a\n", "could not read the image `upload`");
        let whole = encoded(&corners().into(), ImageFormat::Png);
        check(&whole[..whole.len() - 20], "could not read the image `upload`");
        let missing = open(Path::new("no/such.png"), &DecodeLimits::default()).unwrap_err();
        let source = std::error::Error::source(&missing).unwrap().to_string();
        assert!(source.contains("no/such.png"), "{source}");
    }
}
