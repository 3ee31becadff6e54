//! Draws the fake phone's screen: flat shapes, and letters that people and models can read.

use std::sync::LazyLock;

use image::imageops::{FilterType, resize};
use image::{GrayImage, Rgb, RgbImage};

use super::view::{Kind, View};
use crate::geometry::Rect;

const PAPER: Rgb<u8> = Rgb([250, 250, 250]);
const INK: Rgb<u8> = Rgb([25, 25, 25]);
const FAINT: Rgb<u8> = Rgb([130, 130, 130]);
const EDGE: Rgb<u8> = Rgb([150, 150, 150]);
const ACCENT: Rgb<u8> = Rgb([30, 90, 220]);
const BUTTON: Rgb<u8> = Rgb([215, 222, 235]);
const KEYS: Rgb<u8> = Rgb([225, 225, 228]);
const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
const SELECTED: Rgb<u8> = Rgb([180, 205, 255]);

/// The height of a cell of the sheet of letters, which is the line height of the text.
const LINE: u32 = 20;
/// The width of a cell of the sheet.
const CELL: u32 = 20;
/// The sheet: `DejaVu Sans` at 16 pixels, drawn by `glyphs/make.py`.
static SHEET: LazyLock<GrayImage> = LazyLock::new(|| {
    let png = include_bytes!("glyphs/glyphs.png");
    image::load_from_memory(png).expect("the sheet is part of the binary").into_luma8()
});
/// How wide each letter of the sheet is.
#[rustfmt::skip]
const WIDTHS: [u8; 191] = [
    5, 6, 7, 13, 10, 15, 12, 4, 6, 6, 8, 13, 5, 6, 5, 5, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 5, 5, 13, 13, 13, 8,
    16, 11, 11, 11, 12, 10, 9, 12, 12, 5, 5, 10, 9, 14, 12, 13, 10, 13, 11, 10, 10, 12, 11, 16, 11, 10, 11, 6, 5, 6,
    13, 8, 8, 10, 10, 9, 10, 10, 6, 10, 10, 4, 4, 9, 4, 16, 10, 10, 10, 10, 7, 8, 6, 10, 9, 13, 9, 9, 8, 10, 5, 10,
    13, 5, 6, 10, 10, 10, 10, 5, 8, 8, 16, 8, 10, 13, 0, 16, 8, 8, 13, 6, 6, 8, 10, 10, 5, 8, 6, 8, 10, 16, 16, 16, 8,
    11, 11, 11, 11, 11, 11, 16, 11, 10, 10, 10, 10, 5, 5, 5, 5, 12, 12, 13, 13, 13, 13, 13, 13, 13, 12, 12, 12, 12, 10,
    10, 10, 10, 10, 10, 10, 10, 10, 16, 9, 10, 10, 10, 10, 4, 4, 4, 4, 10, 10, 10, 10, 10, 10, 10, 13, 10, 10, 10, 10,
    10, 9, 10, 9,
];

/// A picture to draw on, and how large its letters are.
pub(super) struct Canvas {
    image: RgbImage,
    /// Pixels to an inch.
    density: u32,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32, density: u32) -> Self {
        Self { image: RgbImage::from_pixel(width, height, PAPER), density }
    }

    pub(super) fn into_image(self) -> RgbImage {
        self.image
    }

    fn dp(&self, length: u32) -> u32 {
        (length * self.density / 160).max(1)
    }

    /// Fills a rectangle with black.
    pub(super) fn black_out(&mut self, rect: Rect) {
        self.fill(rect, Rgb([0, 0, 0]));
    }

    /// Draws views and what is in them.
    pub(super) fn draw(&mut self, views: &[View]) {
        for view in views {
            self.view(view);
            self.draw(&view.children);
        }
    }

    fn view(&mut self, view: &View) {
        let rect = view.bounds;
        match &view.kind {
            Kind::Label | Kind::Title => self.text(rect, &view.text, INK),
            Kind::List => {}
            Kind::Panel => self.fill(rect, if view.id == "keys" { KEYS } else { INK }),
            Kind::Button | Kind::Letter => {
                self.boxed(rect, EDGE, if view.kind == Kind::Letter { WHITE } else { BUTTON });
                self.middle(rect, &view.text, INK);
            }
            Kind::Field { focused, selected, hint } => {
                let edge = if *focused { ACCENT } else { EDGE };
                self.boxed(rect, edge, if *selected { SELECTED } else { WHITE });
                let inner = inset(rect, self.dp(6));
                if view.text.is_empty() {
                    self.text(inner, hint, FAINT);
                } else {
                    self.text(inner, &view.text, INK);
                }
            }
            Kind::Check { on } => {
                let side = self.dp(16);
                let mark = Rect { width: side, height: side, ..inset(rect, self.dp(4)) };
                self.boxed(mark, INK, if *on { ACCENT } else { WHITE });
                let shift = side + self.dp(12);
                self.text(right_of(rect, shift), &view.text, INK);
            }
            Kind::Switch { on } => {
                self.text(rect, &view.text, INK);
                let (width, height) = (self.dp(36), self.dp(18));
                let x = rect.x.saturating_add_unsigned(rect.width.saturating_sub(width));
                let y = rect.y.saturating_add_unsigned(rect.height.saturating_sub(height) / 2);
                self.boxed(Rect { x, y, width, height }, EDGE, if *on { ACCENT } else { WHITE });
            }
            Kind::Row { marked } => {
                self.boxed(rect, EDGE, if *marked { SELECTED } else { WHITE });
                self.text(right_of(rect, self.dp(16)), &view.text, INK);
            }
            Kind::Icon => {
                let side = self.dp(48);
                let x = rect.x.saturating_add_unsigned(rect.width.saturating_sub(side) / 2);
                self.fill(Rect { x, width: side, height: side, ..rect }, ACCENT);
                let below = self.dp(52);
                let name = Rect {
                    y: rect.y.saturating_add_unsigned(below),
                    height: rect.height.saturating_sub(below),
                    ..rect
                };
                self.middle(Rect { height: self.dp(LINE), ..name }, &view.text, INK);
            }
            Kind::Picture { liked } => self.boxed(rect, EDGE, if *liked { ACCENT } else { BUTTON }),
            Kind::Card => {
                self.boxed(rect, EDGE, SELECTED);
                self.middle(rect, &view.text, INK);
            }
        }
    }

    fn boxed(&mut self, rect: Rect, edge: Rgb<u8>, inside: Rgb<u8>) {
        self.fill(rect, edge);
        self.fill(inset(rect, self.dp(1)), inside);
    }

    /// Writes a line that starts at the left edge, half-way down.
    fn text(&mut self, rect: Rect, text: &str, color: Rgb<u8>) {
        let (right, height) = (rect.x.saturating_add_unsigned(rect.width), self.dp(LINE));
        let mut x = rect.x;
        let y = rect.y.saturating_add_unsigned(rect.height.saturating_sub(height) / 2);
        for character in text.chars() {
            let width = self.dp(advance(character));
            if x.saturating_add_unsigned(width) > right {
                break;
            }
            self.glyph(character, x, y, color);
            x = x.saturating_add_unsigned(width);
        }
    }

    fn middle(&mut self, rect: Rect, text: &str, color: Rgb<u8>) {
        let width: u32 = text.chars().map(|character| self.dp(advance(character))).sum();
        self.text(right_of(rect, rect.width.saturating_sub(width) / 2), text, color);
    }

    fn glyph(&mut self, character: char, x: i32, y: i32, color: Rgb<u8>) {
        let glyph = glyph(character);
        let (width, height) = (self.dp(CELL), self.dp(LINE));
        let glyph = if (width, height) == glyph.dimensions() {
            glyph
        } else {
            resize(&glyph, width, height, FilterType::Triangle)
        };
        for (column, row, coverage) in glyph.enumerate_pixels() {
            let at = (x.saturating_add_unsigned(column), y.saturating_add_unsigned(row));
            let (Ok(x), Ok(y)) = (u32::try_from(at.0), u32::try_from(at.1)) else { continue };
            if let Some(pixel) = self.image.get_pixel_mut_checked(x, y) {
                let alpha = u32::from(coverage.0[0]);
                for (below, ink) in pixel.0.iter_mut().zip(color.0) {
                    let mixed = u32::from(*below) * (255 - alpha) + u32::from(ink) * alpha;
                    *below = u8::try_from(mixed / 255).expect("a mean of two bytes");
                }
            }
        }
    }

    /// Fills the part of a rectangle that lies on the screen.
    fn fill(&mut self, rect: Rect, color: Rgb<u8>) {
        let end = |start: i32, length: u32| start.saturating_add_unsigned(length);
        let clip = |value: i32, limit: u32| u32::try_from(value).unwrap_or(0).min(limit);
        let (width, height) = self.image.dimensions();
        for y in clip(rect.y, height)..clip(end(rect.y, rect.height), height) {
            for x in clip(rect.x, width)..clip(end(rect.x, rect.width), width) {
                self.image.put_pixel(x, y, color);
            }
        }
    }
}

fn inset(rect: Rect, by: u32) -> Rect {
    Rect {
        x: rect.x.saturating_add_unsigned(by),
        y: rect.y.saturating_add_unsigned(by),
        width: rect.width.saturating_sub(2 * by),
        height: rect.height.saturating_sub(2 * by),
    }
}

fn right_of(rect: Rect, by: u32) -> Rect {
    Rect { x: rect.x.saturating_add_unsigned(by), width: rect.width.saturating_sub(by), ..rect }
}

/// Returns the cell of a character on the sheet.
fn cell(character: char) -> Option<u32> {
    match u32::from(character) {
        code @ 0x20..=0x7E => Some(code - 0x20),
        code @ 0xA0..=0xFF => Some(code - 0xA0 + 0x5F),
        _ => None,
    }
}

fn advance(character: char) -> u32 {
    cell(character).map_or(16, |cell| WIDTHS[cell as usize].into())
}

/// Returns a letter; a character the sheet lacks becomes marks that spell its code point, so that
/// a screen with another text is always another picture.
fn glyph(character: char) -> GrayImage {
    if let Some(cell) = cell(character) {
        return image::imageops::crop_imm(&*SHEET, cell * CELL, 0, CELL, LINE).to_image();
    }
    GrayImage::from_fn(CELL, LINE, |x, y| {
        let (column, row) = (x.wrapping_sub(2) / 3, y.wrapping_sub(4) / 2);
        let is_mark = x >= 2 && y >= 4 && column < 4 && row < 6;
        let bit = is_mark && u32::from(character) >> (row * 4 + column) & 1 == 1;
        image::Luma([u8::from(bit) * 255])
    })
}
