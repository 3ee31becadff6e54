//! A folder of images as a video: its frames in the order people number them.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{Fitter, MediaError, VideoOptions, choose_listed};
use crate::media::image;
use crate::request::CancelFlag;
use crate::request::VideoInput;

/// The most files a folder may have before it is not taken for a video.
const MAX_FILES: usize = 100_000;

/// The endings of images; other files of the folder are not frames.
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "bmp", "gif"];

/// Reads the images of a folder as frames.
pub(super) fn open(
    path: &Path,
    options: &VideoOptions,
    cancel: &CancelFlag,
) -> Result<VideoInput, MediaError> {
    let name = path.display().to_string();
    let files = frame_files(path, &name)?;
    if files.is_empty() {
        let problem = format!("the folder has no images ({})", ENDINGS.join(", "));
        return Err(MediaError::Video { name, problem });
    }
    let chosen = choose_listed(&name, files.len(), options)?;
    let mut fitter = Fitter::new(&name, chosen.indices.len(), options);
    for &index in &chosen.indices {
        if cancel.is_cancelled() {
            return Err(MediaError::Cancelled);
        }
        fitter.push(image::open(&files[index], &options.frame_limits)?)?;
    }
    fitter.finish(chosen.fps)
}

/// Returns the image files of a folder in natural order.
fn frame_files(path: &Path, name: &str) -> Result<Vec<PathBuf>, MediaError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|source| MediaError::Read { source })? {
        let file = entry.map_err(|source| MediaError::Read { source })?.path();
        let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
            files.push(file);
        }
        if files.len() > MAX_FILES {
            let problem = format!("the folder has more than {MAX_FILES} images");
            return Err(MediaError::Video { name: name.to_owned(), problem });
        }
    }
    files.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(files)
}

/// Orders names as people do: `frame 2` before `frame 10`. Names that differ in leading zeros only
/// are ordered as text, so that the order is always the same.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(l), Some(r)) = (left.chars().next(), right.chars().next()) {
        let order = if l.is_ascii_digit() && r.is_ascii_digit() {
            let (number, rest) = split_number(left);
            let (other, other_rest) = split_number(right);
            (left, right) = (rest, other_rest);
            number.len().cmp(&other.len()).then_with(|| number.cmp(other))
        } else {
            (left, right) = (&left[l.len_utf8()..], &right[r.len_utf8()..]);
            l.cmp(&r)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Splits the digits at the start of a text from the rest, and drops their leading zeros.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{Rgb, RgbImage};

    #[test]
    fn numbers_are_ordered_by_value() {
        let mut names =
            ["b1", "a10", "a9", "a", "a010", "a1b2", "a1b10", "10", "9", "é2", "é10", "a2"];
        names.sort_by(|a, b| natural(a, b));
        let expected =
            ["9", "10", "a", "a1b2", "a1b10", "a2", "a9", "a010", "a10", "b1", "é2", "é10"];
        assert_eq!(names, expected);
    }

    #[test]
    fn frames_come_in_natural_order_and_other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for index in [10u8, 9, 2] {
            let frame = RgbImage::from_pixel(112, 56, Rgb([index; 3]));
            frame.save(dir.path().join(format!("frame {index}.png"))).unwrap();
        }
        fs::write(dir.path().join("notes.txt"), "not a frame").unwrap();
        fs::write(dir.path().join("._frame 1.png"), "not a frame either").unwrap();
        let options = VideoOptions::default();
        let video = open(dir.path(), &options, &CancelFlag::default()).unwrap();
        let levels: Vec<u8> = video.frames.iter().map(|frame| frame.get_pixel(0, 0)[0]).collect();
        assert_eq!((levels, video.fps), (vec![2, 9, 10], 2.0));

        let cancel = CancelFlag::default();
        cancel.cancel();
        let err = open(dir.path(), &options, &cancel).unwrap_err();
        assert!(matches!(err, MediaError::Cancelled));
        let empty = tempfile::tempdir().unwrap();
        let err = open(empty.path(), &options, &CancelFlag::default()).unwrap_err();
        assert!(err.to_string().contains("the folder has no images"), "{err}");
        // A broken frame is named.
        fs::write(dir.path().join("frame 3.png"), "no image").unwrap();
        let err = open(dir.path(), &options, &CancelFlag::default()).unwrap_err();
        assert!(err.to_string().contains("frame 3.png"), "{err}");
    }
}
