//! A second, closer look: the surroundings of a point, cut out of the picture and asked about again.
//!
//! The embedded checkpoint finds the right place on a large picture and the right pixel only on a
//! small one; others are shown a smaller picture at first where that is asked for. A cut-out costs a
//! fraction of the first look, and its answer is mapped back through the same typed geometry.

use handsight_actions::{PixelPoint, Rect, Size};
use handsight_model::{CancelFlag, PixelLimits};
use image::RgbImage;
use image::imageops::crop_imm;

use super::{Grounding, GroundingError, ground_once};
use crate::prompt::PromptProfile;
use crate::vision_model::VisionModel;

/// How much of the picture the second look of the embedded checkpoint sees: whole merged patches, so
/// nothing is resized.
const CUT_OUT: Size = Size { width: 252, height: 168 };

/// The same of other checkpoints.
const LARGE_CUT_OUT: Size = Size { width: 448, height: 448 };

/// How sure the first look must be of what it saw for a second look that does not see it to be
/// ignored: what is clicked is not always beside its name, and the second look sees less.
pub(super) const SURE: f64 = 0.7;

/// Returns how much of a picture is looked at again after a first look within `limits`, if any.
pub(super) fn cut_out(profile: &PromptProfile, limits: PixelLimits) -> Option<Size> {
    if profile.is_embedded() {
        return Some(CUT_OUT);
    }
    (limits != profile.limits_to_ground()).then_some(LARGE_CUT_OUT)
}

/// Returns where the thing is, as seen from closer by, in pixels of the whole picture, or that it is
/// not there; nothing if the picture is too small for a closer look.
pub(super) fn look_closer(
    model: &dyn VisionModel,
    profile: &PromptProfile,
    image: &RgbImage,
    description: &str,
    (first, cut_out): (PixelPoint, Size),
    cancel: &CancelFlag,
) -> Result<Option<Grounding>, GroundingError> {
    let (width, height) = image.dimensions();
    let part = surroundings(first, cut_out, Size { width, height });
    if part.width * part.height * 2 > width * height {
        return Ok(None);
    }
    let (x, y) = (part.x.unsigned_abs(), part.y.unsigned_abs());
    let cut_out = crop_imm(image, x, y, part.width, part.height).to_image();
    let limits = profile.limits_to_ground();
    let closer = ground_once(model, profile, &cut_out, limits, description, cancel)?;
    let point = part.place(closer.point);
    Ok(Some(Grounding { point, looked_at: Some(part), ..closer }))
}

/// Returns the cut-out of some size around `point`, moved to lie inside the picture.
fn surroundings(point: PixelPoint, cut_out: Size, picture: Size) -> Rect {
    let along = |at: i32, length: u32, picture: u32| {
        let length = length.min(picture);
        let last = picture - length;
        let start = at.max(0).unsigned_abs().saturating_sub(length / 2).min(last);
        (i32::try_from(start).unwrap_or(i32::MAX), length)
    };
    let (x, width) = along(point.x, cut_out.width, picture.width);
    let (y, height) = along(point.y, cut_out.height, picture.height);
    Rect { x, y, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_out_lies_inside_the_picture_and_around_the_point() {
        let picture = Size { width: 640, height: 480 };
        let check = |x, y, expected: [i32; 2]| {
            let part = surroundings(PixelPoint { x, y }, CUT_OUT, picture);
            assert_eq!([part.x, part.y], expected);
            assert_eq!([part.width, part.height], [252, 168]);
            assert!(part.contains(PixelPoint { x, y }));
        };
        check(320, 240, [194, 156]);
        check(3, 479, [0, 312]);
        check(639, 0, [388, 0]);
        let small =
            surroundings(PixelPoint { x: 5, y: 5 }, CUT_OUT, Size { width: 100, height: 480 });
        assert_eq!(small, Rect { x: 0, y: 0, width: 100, height: 168 });
    }
}
