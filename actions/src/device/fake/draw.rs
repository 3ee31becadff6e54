//! Draws a fake screen: flat rectangles, and texts as rows of small marks.
//!
//! There is no font: a picture need only be different when the screen is, and the same when it is
//! not, so each character becomes a block of marks that spells its code point.

use image::{Rgb, RgbImage};

use super::screen::{FakeScreen, Widget, WidgetKind};
use crate::geometry::Rect;

const BACKGROUND: Rgb<u8> = Rgb([240, 240, 240]);
const EDGE: Rgb<u8> = Rgb([90, 90, 90]);
const FOCUSED_EDGE: Rgb<u8> = Rgb([30, 90, 220]);
const BUTTON: Rgb<u8> = Rgb([205, 215, 230]);
const FIELD: Rgb<u8> = Rgb([255, 255, 255]);
const SELECTED: Rgb<u8> = Rgb([180, 205, 255]);
const INK: Rgb<u8> = Rgb([20, 20, 20]);
/// The side of a mark; a character is three marks wide and seven high.
const MARK: u32 = 2;

pub(super) fn screen(image: &mut RgbImage, screen: &FakeScreen, focus: Option<usize>) {
    let whole = Rect { x: 0, y: 0, width: image.width(), height: image.height() };
    fill(image, whole, BACKGROUND);
    text(image, Rect { x: 0, y: 0, height: 18, ..whole }, &screen.name);
    for (index, widget) in screen.widgets.iter().enumerate() {
        draw_widget(image, widget, focus == Some(index));
    }
}

fn draw_widget(image: &mut RgbImage, widget: &Widget, has_focus: bool) {
    let rect = widget.rect;
    fill(image, rect, if has_focus { FOCUSED_EDGE } else { EDGE });
    let inner = Rect {
        x: rect.x + 1,
        y: rect.y + 1,
        width: rect.width.saturating_sub(2),
        height: rect.height.saturating_sub(2),
    };
    let (color, shown) = match &widget.kind {
        WidgetKind::Button { .. } => (BUTTON, &widget.label),
        WidgetKind::Field { text, selected: true } => (SELECTED, text),
        WidgetKind::Field { text, selected: false } => (FIELD, text),
    };
    fill(image, inner, color);
    text(image, inner, shown);
}

/// Writes as many characters as fit on one line.
fn text(image: &mut RgbImage, within: Rect, text: &str) {
    let columns = within.width.saturating_sub(4) / (4 * MARK);
    for (column, character) in (0..columns).zip(text.chars()) {
        let left = 2 + column * 4 * MARK;
        for bit in (0..21).filter(|bit| u32::from(character) >> bit & 1 == 1) {
            let mark = Rect {
                x: within.x.saturating_add_unsigned(left + bit % 3 * MARK),
                y: within.y.saturating_add_unsigned(2 + bit / 3 * MARK),
                width: MARK,
                height: MARK,
            };
            fill(image, mark, INK);
        }
    }
}

/// Fills the part of a rectangle that lies on the image.
fn fill(image: &mut RgbImage, rect: Rect, color: Rgb<u8>) {
    let end = |start: i32, length: u32| start.saturating_add_unsigned(length);
    let clip = |value: i32, limit: u32| u32::try_from(value).unwrap_or(0).min(limit);
    let (width, height) = image.dimensions();
    for y in clip(rect.y, height)..clip(end(rect.y, rect.height), height) {
        for x in clip(rect.x, width)..clip(end(rect.x, rect.width), width) {
            image.put_pixel(x, y, color);
        }
    }
}
