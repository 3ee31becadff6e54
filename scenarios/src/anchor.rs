//! Anchors: what the targets of a scenario looked like when they were last acted on.
//!
//! A step that names its target in words needs a model once. What the target looked like then, with
//! its surroundings, is kept beside the scenario; the next run finds it by pixels in milliseconds and
//! asks no model. A click on the wrong thing is worse than a question, so an anchor is only believed
//! where its pixels are there, in one place alone, and amid the surroundings it had.

mod change;
mod find;
mod picture;
mod store;

use handsight_actions::{PixelPoint, Rect, Size};
use image::RgbImage;

pub use self::change::Change;
pub use self::find::Sighting;
pub use self::store::{AnchorError, AnchorKey, Anchors};

/// The sizes of a target's picture that are tried, smallest first: as little as tells it apart, so
/// that what changes beside it changes nothing.
const TARGET_SIZES: [(u32, u32); 5] = [(48, 20), (80, 28), (128, 40), (200, 64), (400, 64)];

/// The size of the picture of a target that has others like it on the screen, such as the same button in
/// every row. Which of them it is stands somewhere around it, and where it stands tells nothing: rows are
/// sorted anew, cards flow into another line. So it is believed only while all around it is as it was.
const AMONG_OTHERS: (u32, u32) = (960, 240);

/// How far the surroundings reach beyond the target, in pixels to each side.
const AROUND: (u32, u32) = (120, 56);

/// One pixel of so many must be at an edge for a picture not to be a bare surface.
const MIN_STRUCTURE: usize = 100;

/// What a target looked like, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchor {
    /// The size of the screenshot it was seen on.
    pub screen: Size,
    /// Where it was acted on, in pixels of that screenshot.
    pub point: PixelPoint,
    /// The part of the screenshot that is the target.
    pub target: Rect,
    /// The target and what is around it.
    pub around: Rect,
    /// The pixels of `around`.
    pub picture: RgbImage,
    /// How many things on the screen looked like it, itself included.
    pub like_it: usize,
}

impl Anchor {
    /// Remembers what is at `point` of a screenshot; `area` is what it covers, if the model said.
    ///
    /// Returns nothing if it could not be found again: the surface is bare, or nothing that can be
    /// relied upon tells it from something else on the screen that looks the same.
    pub fn of(screen: &RgbImage, point: PixelPoint, area: Option<Rect>) -> Option<Self> {
        let core = core(screen, point)?;
        let like_it = find::things(&picture::cut(screen, core), screen);
        if like_it > 1 {
            return Self::told_apart(screen, point, (AMONG_OTHERS, (0, 0)), like_it);
        }
        let covered = area.map(|area| (area.width, area.height));
        let mut sizes = TARGET_SIZES.into_iter().filter(|size| {
            // A target is not cut through where its size is known, nor mostly its background.
            covered
                .is_none_or(|(width, height)| size.0 >= width.min(200) || size.1 >= height.min(64))
        });
        sizes.find_map(|wanted| Self::told_apart(screen, point, (wanted, AROUND), 1))
    }

    /// Remembers a target of this size, if it can be found again.
    fn told_apart(
        screen: &RgbImage,
        point: PixelPoint,
        (wanted, margin): ((u32, u32), (u32, u32)),
        like_it: usize,
    ) -> Option<Self> {
        let size = Size { width: screen.width(), height: screen.height() };
        let target = clip(centred(point, wanted), size)?;
        let around = clip(grown(target, margin), size)?;
        let picture = picture::cut(screen, around);
        let anchor = Self { screen: size, point, target, around, picture, like_it };
        let found = anchor.find(screen);
        let is_it = matches!(found, Sighting::Found { point: found, .. } if found == point);
        (is_it && is_structured(&anchor.target_picture())).then_some(anchor)
    }

    /// Returns the pixels of the target alone.
    fn target_picture(&self) -> RgbImage {
        picture::cut(&self.picture, self.target_in_picture())
    }

    /// Returns the pixels right around the point.
    fn core_picture(&self) -> RgbImage {
        let point = PixelPoint { x: self.point.x - self.around.x, y: self.point.y - self.around.y };
        core(&self.picture, point)
            .map_or_else(|| self.picture.clone(), |core| picture::cut(&self.picture, core))
    }

    /// Returns where the target is in `picture`.
    fn target_in_picture(&self) -> Rect {
        Rect { x: self.target.x - self.around.x, y: self.target.y - self.around.y, ..self.target }
    }

    /// Looks for the target on a screenshot.
    pub fn find(&self, screen: &RgbImage) -> Sighting {
        find::find(self, screen)
    }
}

/// Returns the least around a point that is more than a bare surface.
fn core(picture: &RgbImage, point: PixelPoint) -> Option<Rect> {
    let size = Size { width: picture.width(), height: picture.height() };
    let mut wanted = TARGET_SIZES.into_iter().map(|size| centred(point, size));
    wanted.find_map(|wanted| {
        clip(wanted, size).filter(|core| is_structured(&picture::cut(picture, *core)))
    })
}

/// Returns what is around a point of a screenshot, as far as it is on it.
pub(crate) fn cut_around(
    screen: &RgbImage,
    point: PixelPoint,
    size: (u32, u32),
) -> Option<RgbImage> {
    let whole = Size { width: screen.width(), height: screen.height() };
    clip(centred(point, size), whole).map(|part| picture::cut(screen, part))
}

/// Whether there is anything on a picture that could be recognised.
fn is_structured(picture: &RgbImage) -> bool {
    let edges = picture::edges(picture);
    let structured = edges.iter().filter(|&&edge| edge).count();
    structured * MIN_STRUCTURE >= edges.len()
}

/// Returns a rectangle of this size around a point.
fn centred(point: PixelPoint, (width, height): (u32, u32)) -> Rect {
    Rect {
        x: point.x.saturating_sub_unsigned(width / 2),
        y: point.y.saturating_sub_unsigned(height / 2),
        width,
        height,
    }
}

/// Returns a rectangle that reaches further to each side.
fn grown(rect: Rect, (x, y): (u32, u32)) -> Rect {
    Rect {
        x: rect.x.saturating_sub_unsigned(x),
        y: rect.y.saturating_sub_unsigned(y),
        width: rect.width.saturating_add(2 * x),
        height: rect.height.saturating_add(2 * y),
    }
}

/// Returns the part of a rectangle that is on a screen of this size.
fn clip(rect: Rect, size: Size) -> Option<Rect> {
    rect.intersection(Rect::whole(size))
}
