//! Marks on pictures: where an action goes, and which box is meant.
//!
//! Every mark is a red line between two white ones, so that it shows on any background.

use handsight_actions::{PixelPoint, Rect};
use image::{Rgb, RgbImage};

const INK: Rgb<u8> = Rgb([226, 29, 72]);
const HALO: Rgb<u8> = Rgb([255, 255, 255]);

/// Draws a ring with four ticks around `point`, leaving the point itself visible.
///
/// The mark grows with the picture, so that it is found at a glance on a large screen and hides
/// little of a small one. Parts outside the picture are cut off.
pub fn draw_crosshair(image: &mut RgbImage, point: PixelPoint) {
    let radius = mark_radius(image);
    let stroke = (radius / 7).max(1);
    for (color, extra) in [(HALO, stroke.max(1)), (INK, 0)] {
        draw_ring(image, point, radius, stroke + extra, color);
        for (dx, dy) in [(1, 0), (-1, 0), (0, 1), (0, -1)] {
            for distance in radius / 2 - extra..=radius * 2 + extra {
                let (x, y) = (point.x + dx * distance, point.y + dy * distance);
                fill_square(image, x, y, stroke / 2 + extra, color);
            }
        }
    }
}

/// Draws the outline of `area`, just outside it.
pub fn draw_box(image: &mut RgbImage, area: Rect) {
    let stroke = (mark_radius(image) / 7).max(1);
    let (width, height) = (as_signed(area.width), as_signed(area.height));
    for (color, extra) in [(HALO, stroke), (INK, 0)] {
        let half = stroke / 2 + extra;
        for x in area.x - 1..=area.x + width {
            fill_square(image, x, area.y - 1 - stroke / 2, half, color);
            fill_square(image, x, area.y + height + stroke / 2, half, color);
        }
        for y in area.y - 1..=area.y + height {
            fill_square(image, area.x - 1 - stroke / 2, y, half, color);
            fill_square(image, area.x + width + stroke / 2, y, half, color);
        }
    }
}

/// The radius of a mark on this picture, in pixels.
fn mark_radius(image: &RgbImage) -> i32 {
    as_signed(image.width().max(image.height()) / 90).clamp(7, 40)
}

/// Colours every pixel whose distance from the circle is at most half of `stroke`.
fn draw_ring(image: &mut RgbImage, center: PixelPoint, radius: i32, stroke: i32, color: Rgb<u8>) {
    let reach = radius + stroke;
    let (inner, outer) = (2 * radius - stroke, 2 * radius + stroke);
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            // Four times the squared distance, so that halves stay whole numbers.
            let distance = 4 * (dx * dx + dy * dy);
            if distance >= inner * inner && distance <= outer * outer {
                put(image, center.x + dx, center.y + dy, color);
            }
        }
    }
}

/// Colours the square of `2 * half + 1` pixels around a point.
fn fill_square(image: &mut RgbImage, x: i32, y: i32, half: i32, color: Rgb<u8>) {
    for dy in -half..=half {
        for dx in -half..=half {
            put(image, x + dx, y + dy, color);
        }
    }
}

/// Colours one pixel if it lies on the picture.
fn put(image: &mut RgbImage, x: i32, y: i32, color: Rgb<u8>) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
    if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
        *pixel = color;
    }
}

fn as_signed(length: u32) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_itself_stays_visible_and_the_ring_is_drawn() {
        let mut image = RgbImage::new(200, 200);
        draw_crosshair(&mut image, PixelPoint { x: 100, y: 100 });
        assert_eq!(*image.get_pixel(100, 100), Rgb([0, 0, 0]));
        assert_eq!(*image.get_pixel(107, 100), INK);
        assert!(image.pixels().any(|pixel| *pixel == HALO));
    }

    #[test]
    fn marks_at_the_edge_and_outside_do_not_panic() {
        let mut image = RgbImage::new(30, 20);
        for (x, y) in [(0, 0), (29, 19), (-50, 10), (1000, 1000)] {
            draw_crosshair(&mut image, PixelPoint { x, y });
        }
        draw_box(&mut image, Rect { x: -5, y: -5, width: 100, height: 100 });
    }

    #[test]
    fn a_box_leaves_what_it_frames_untouched() {
        let mut image = RgbImage::new(100, 100);
        let area = Rect { x: 20, y: 30, width: 40, height: 20 };
        draw_box(&mut image, area);
        for y in 30..50 {
            for x in 20..60 {
                let inset = x > 21 && x < 58 && y > 31 && y < 48;
                assert!(!inset || *image.get_pixel(x, y) == Rgb([0, 0, 0]), "({x}, {y})");
            }
        }
        assert_eq!(*image.get_pixel(40, 29), INK);
    }
}
