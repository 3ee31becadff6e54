//! What a checkpoint counts in when it names a place, and the boxes it names.
//!
//! Three families of checkpoints read the same picture and write three different numbers for the
//! same button. Which of them a checkpoint writes is known beforehand, from its family, and becomes
//! part of the [`Frame`]; from there on there is one conversion for all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Frame, ModelPoint, Rect, Size, clamp};

/// What a checkpoint counts in when it names a place.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grid {
    /// Pixels of the resized image it was shown, as Qwen2.5-VL and most of its kin do.
    ResizedPixels,
    /// Thousandths of each side, 0 and 1000 being the edges, as Qwen2-VL and Qwen3-VL do.
    Thousandths,
    /// Pixels of the picture before it was resized.
    OriginalPixels,
}

impl Grid {
    /// Returns the frame of a screenshot that was shown to the model `resized`.
    pub fn frame(self, screenshot: Size, resized: Size) -> Frame {
        let model = match self {
            Self::ResizedPixels => resized,
            // Both ends are named, so there are 1001 numbers on each side.
            Self::Thousandths => Size { width: 1001, height: 1001 },
            Self::OriginalPixels => screenshot,
        };
        Frame { screenshot, model }
    }
}

/// A box on the grid the model speaks in, by two of its corners.
///
/// Its JSON form is `[left, top, right, bottom]`. The right and bottom edges are lines, so a box
/// from 0 to 28 is as wide as 28 pixels.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(from = "[i32; 4]", into = "[i32; 4]")]
pub struct ModelBox {
    /// The left edge.
    pub left: i32,
    /// The top edge.
    pub top: i32,
    /// The right edge; not left of the left one.
    pub right: i32,
    /// The bottom edge; not above the top one.
    pub bottom: i32,
}

impl ModelBox {
    /// Returns the point at the middle.
    pub fn center(self) -> ModelPoint {
        let middle = |from: i32, to: i32| i32::midpoint(from, to);
        ModelPoint { x: middle(self.left, self.right), y: middle(self.top, self.bottom) }
    }

    /// Whether it lies on a grid of this size, to the last line.
    pub fn is_inside(self, grid: Size) -> bool {
        let within = |from: i32, to: i32, length: u32| {
            from >= 0 && from <= to && u32::try_from(to).is_ok_and(|to| to <= length)
        };
        within(self.left, self.right, grid.width) && within(self.top, self.bottom, grid.height)
    }
}

impl From<[i32; 4]> for ModelBox {
    fn from([left, top, right, bottom]: [i32; 4]) -> Self {
        Self { left, top, right, bottom }
    }
}

impl From<ModelBox> for [i32; 4] {
    fn from(area: ModelBox) -> Self {
        [area.left, area.top, area.right, area.bottom]
    }
}

impl Frame {
    /// Returns the pixels of the screenshot that a box covers, be it only in part.
    ///
    /// What lies outside the grid is cut off, and there is always one pixel left.
    pub fn box_to_pixels(self, area: ModelBox) -> Rect {
        let (grid, pixels) = (self.model, self.screenshot);
        let (x, width) = span(area.left, area.right, grid.width, pixels.width);
        let (y, height) = span(area.top, area.bottom, grid.height, pixels.height);
        Rect { x, y, width, height }
    }
}

/// Returns the first of `pixels` pixels and how many of them lie between two lines of a grid.
fn span(from: i32, to: i32, grid: u32, pixels: u32) -> (i32, u32) {
    let (grid, length) = (i64::from(grid.max(1)), i64::from(pixels));
    let first = clamp((i64::from(from) * length).div_euclid(grid), pixels);
    let end = -(i64::from(to) * -length).div_euclid(grid);
    let count = end.clamp(0, length) - i64::from(first);
    (first, u32::try_from(count.max(1)).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Point;
    use proptest::prelude::*;

    const SCREENSHOT: Size = Size { width: 1920, height: 1080 };
    const RESIZED: Size = Size { width: 1932, height: 1092 };

    #[test]
    fn every_grid_knows_where_the_middle_and_the_corners_are() {
        let check = |grid: Grid, model: [i32; 2], expected: [i32; 2]| {
            let frame = grid.frame(SCREENSHOT, RESIZED);
            let pixel = frame.to_pixels(ModelPoint::from(model));
            assert_eq!(<[i32; 2]>::from(pixel), expected, "{grid:?}");
            assert!(frame.model.contains(ModelPoint::from(model)));
        };
        check(Grid::ResizedPixels, [966, 546], [960, 540]);
        check(Grid::ResizedPixels, [1931, 1091], [1919, 1079]);
        check(Grid::Thousandths, [500, 500], [960, 540]);
        check(Grid::Thousandths, [0, 0], [0, 0]);
        check(Grid::Thousandths, [1000, 1000], [1919, 1079]);
        check(Grid::OriginalPixels, [1919, 7], [1919, 7]);
    }

    #[test]
    fn boxes_cover_what_they_touch() {
        let check = |area: [i32; 4], expected: [i64; 4]| {
            let rect = Grid::ResizedPixels.frame(SCREENSHOT, RESIZED).box_to_pixels(area.into());
            let rect: [i64; 4] =
                [rect.x.into(), rect.y.into(), rect.width.into(), rect.height.into()];
            assert_eq!(rect, expected, "{area:?}");
        };
        check([0, 0, 1932, 1092], [0, 0, 1920, 1080]);
        check([966, 546, 1932, 1092], [960, 540, 960, 540]);
        check([10, 10, 20, 20], [9, 9, 11, 11]);
        check([-50, -50, -10, -10], [0, 0, 1, 1]);
        check([5000, 5000, 6000, 6000], [1919, 1079, 1, 1]);
        check([40, 40, 40, 40], [39, 39, 1, 1]);
        let twice = Grid::OriginalPixels.frame(SCREENSHOT, RESIZED);
        let rect = twice.box_to_pixels(ModelBox::from([3, 4, 10, 20]));
        assert_eq!(rect, Rect { x: 3, y: 4, width: 7, height: 16 });
    }

    #[test]
    fn a_box_has_its_corners_in_order_and_on_the_grid() {
        let inside = |area: [i32; 4]| ModelBox::from(area).is_inside(RESIZED);
        assert!(inside([0, 0, 1932, 1092]) && inside([5, 5, 5, 5]));
        assert!(!inside([0, 0, 1933, 1092]) && !inside([-1, 0, 5, 5]) && !inside([9, 0, 5, 5]));
        assert_eq!(ModelBox::from([10, 20, 31, 40]).center(), ModelPoint { x: 20, y: 30 });
    }

    proptest! {
        #[test]
        fn a_box_lies_on_the_screenshot_and_around_its_middle(
            x in 0..1932i32, y in 0..1092i32, width in 0..1932i32, height in 0..1092i32,
        ) {
            let frame = Grid::ResizedPixels.frame(SCREENSHOT, RESIZED);
            let area = ModelBox::from([x, y, (x + width).min(1932), (y + height).min(1092)]);
            let rect = frame.box_to_pixels(area);
            prop_assert!(rect.x >= 0 && rect.y >= 0);
            prop_assert!(rect.x.unsigned_abs() + rect.width <= 1920);
            prop_assert!(rect.y.unsigned_abs() + rect.height <= 1080);
            let (x, y) = frame.to_pixels(area.center()).xy();
            let near = |at: i32, from: i32, length: u32| {
                (from - 1..=from + i32::try_from(length).unwrap()).contains(&at)
            };
            prop_assert!(near(x, rect.x, rect.width) && near(y, rect.y, rect.height));
        }

        #[test]
        fn no_box_makes_the_conversion_panic(area in any::<[i32; 4]>()) {
            let _ = Grid::Thousandths.frame(SCREENSHOT, RESIZED).box_to_pixels(area.into());
            let _ = ModelBox::from(area).center();
        }
    }
}
