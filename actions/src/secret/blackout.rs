//! Where a value may be seen, and what is shown instead.
//!
//! No system tells where the field is that has the keyboard, but the screen shows it: what changes
//! while a value is typed is where it can be read. That area, grown to the border of its field, is
//! black from then on. Where nothing changes in time, all of the window is.
//!
//! It stays black for the rest of the run, for nothing on a screen proves that a value is gone. The
//! pixels of the value itself are remembered, too: where they turn up again, because the window was
//! moved or the page scrolled, that place is black as well.

use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use memchr::memmem;

use crate::device::pause::pause;
use crate::geometry::Rect;

/// How long a program may take to show what was typed.
const SHOWING: Duration = Duration::from_millis(1500);

/// How often it is looked at meanwhile.
const BEAT: Duration = Duration::from_millis(40);

/// For how many looks in a row nothing more may change.
const STILL: u32 = 3;

/// The least width of one character that was typed, in pixels; the dots of a password field have
/// more. What is narrower is a cursor that blinks.
const NARROWEST: u32 = 3;

/// The most pixels that a text is asked to be wide: a field may be shorter than what is typed into it.
const WIDE_ENOUGH: u32 = 48;

/// How far to the right of a text its cursor is, which blinks and does not belong to it.
const CURSOR: u32 = 6;

/// The most areas: more secrets than this are not typed in one run.
const MOST: usize = 64;

/// The places at which values may be seen.
#[derive(Default)]
pub(super) struct Blackout(Vec<Mask>);

struct Mask {
    area: Rect,
    echo: Option<Echo>,
}

/// What a value looked like.
struct Echo {
    pixels: RgbImage,
    /// Where it was.
    at: Rect,
    /// The row that has the most in it, which is looked for first.
    row: u32,
}

impl Blackout {
    /// Paints over every place where a value may be seen.
    pub(super) fn apply(&self, image: &mut RgbImage) {
        let mut areas = Vec::new();
        for mask in &self.0 {
            areas.push(mask.area);
            let Some(echo) = &mask.echo else { continue };
            areas.extend(echo.find(image).map(|(x, y)| Rect {
                x: mask.area.x + x - echo.at.x,
                y: mask.area.y + y - echo.at.y,
                ..mask.area
            }));
        }
        for area in areas {
            for (_, _, pixel) in pixels_in(image, area) {
                *pixel = Rgb([0; 3]);
            }
        }
    }

    /// Hides an area.
    pub(super) fn hide_all(&mut self, area: Rect) {
        self.add(Mask { area, echo: None });
    }

    /// Adds the place where `characters` were typed into a window, seen before and after.
    fn add(&mut self, mask: Mask) {
        if self.0.len() == MOST {
            // The two oldest become one that covers both.
            let oldest = self.0.remove(0);
            self.0[0].area = union(oldest.area, self.0[0].area);
        }
        self.0.push(mask);
    }

    /// Watches a screen until what was typed into a window is seen, and hides it from then on.
    ///
    /// `before` is what the screen showed before, `look` shows it now.
    ///
    /// # Errors
    /// Those of `look`; all of the window is hidden then.
    pub(super) fn hide<E>(
        &mut self,
        before: &RgbImage,
        window: Rect,
        characters: usize,
        mut look: impl FnMut() -> Result<RgbImage, E>,
    ) -> Result<(), E> {
        let least = u32::try_from(characters).unwrap_or(u32::MAX).saturating_mul(NARROWEST);
        let least = least.min(WIDE_ENOUGH);
        let start = Instant::now();
        let (mut last, mut still) = (before.clone(), 0);
        let mut changed: Option<Rect> = None;
        let is_seen = |changed: Option<Rect>| changed.is_some_and(|area| area.width >= least);
        while start.elapsed() < SHOWING && !(is_seen(changed) && still >= STILL) {
            pause(BEAT);
            let now = match look() {
                Ok(now) if now.dimensions() == before.dimensions() => now,
                other => {
                    self.hide_all(window);
                    return other.map(drop);
                }
            };
            still = if difference(&last, &now, window).is_some() { 0 } else { still + 1 };
            let more = difference(before, &now, window);
            changed = match (changed, more) {
                (Some(changed), Some(more)) => Some(union(changed, more)),
                (changed, more) => changed.or(more),
            };
            last = now;
        }
        self.add(match changed.filter(|&changed| is_seen(Some(changed))) {
            Some(changed) => {
                Mask { area: field(&last, changed, window), echo: Echo::of(before, &last, changed) }
            }
            None => Mask { area: window, echo: None },
        });
        Ok(())
    }
}

impl Echo {
    /// Returns what is new in an area, but for the cursor at its end.
    fn of(before: &RgbImage, after: &RgbImage, changed: Rect) -> Option<Self> {
        let inner = Rect { width: changed.width.checked_sub(CURSOR)?, ..changed };
        let at = difference(before, after, inner).filter(|at| at.width >= 2 * CURSOR)?;
        let pixels = image::imageops::crop_imm(
            after,
            at.x.try_into().ok()?,
            at.y.try_into().ok()?,
            at.width,
            at.height,
        );
        let pixels = pixels.to_image();
        let edges = |&row: &u32| {
            (1..at.width)
                .filter(|&x| pixels.get_pixel(x, row) != pixels.get_pixel(x - 1, row))
                .count()
        };
        let row = (0..at.height).max_by_key(edges)?;
        (edges(&row) > 1).then_some(Self { pixels, at, row })
    }

    /// Finds every place where it is, by its top left corner.
    fn find(&self, image: &RgbImage) -> impl Iterator<Item = (i32, i32)> {
        let (width, height) = image.dimensions();
        let stride = 3 * width as usize;
        let needle = row(&self.pixels, self.row, 0, self.at.width);
        let at = memmem::find_iter(image.as_raw(), needle);
        let places: Vec<_> = at
            .filter_map(|offset| {
                let (y, x) = (offset / stride, offset % stride);
                let y = u32::try_from(y).ok()?.checked_sub(self.row)?;
                let x = u32::try_from(x / 3).ok().filter(|_| x.is_multiple_of(3))?;
                let fits = x + self.at.width <= width && y + self.at.height <= height;
                let same = |line: u32| {
                    row(image, y + line, x, self.at.width)
                        == row(&self.pixels, line, 0, self.at.width)
                };
                (fits && (0..self.at.height).all(same))
                    .then_some((x.cast_signed(), y.cast_signed()))
            })
            .collect();
        places.into_iter()
    }
}

/// Returns the bytes of a part of a row.
fn row(image: &RgbImage, y: u32, x: u32, width: u32) -> &[u8] {
    let start = 3 * (y as usize * image.width() as usize + x as usize);
    &image.as_raw()[start..start + 3 * width as usize]
}

/// Returns the smallest area of `within` that holds every pixel that differs.
fn difference(before: &RgbImage, after: &RgbImage, within: Rect) -> Option<Rect> {
    let (left, top, right, bottom) = edges(after, within);
    let mut found: Option<(u32, u32, u32, u32)> = None;
    for y in top..bottom {
        let (old, new) = (row(before, y, left, right - left), row(after, y, left, right - left));
        if old == new {
            continue;
        }
        let differs = |&x: &u32| {
            let at = 3 * (x - left) as usize;
            old[at..at + 3] != new[at..at + 3]
        };
        let first = (left..right).find(differs)?;
        let last = (left..right).rev().find(differs)?;
        found = Some(match found {
            Some((l, t, r, _)) => (l.min(first), t, r.max(last + 1), y + 1),
            None => (first, y, last + 1, y + 1),
        });
    }
    found.map(|(left, top, right, bottom)| Rect {
        x: left.cast_signed(),
        y: top.cast_signed(),
        width: right - left,
        height: bottom - top,
    })
}

/// Grows an area to the border of the field that it is in: as far as all is of one colour, up and
/// down no further than it is high.
fn field(image: &RgbImage, text: Rect, window: Rect) -> Rect {
    let (left, top, right, bottom) = edges(image, window);
    let (mut l, mut t, mut r, mut b) = edges(image, text);
    let ground = commonest(image, (l, t, r, b));
    let is_plain = |x: u32, y: u32| *image.get_pixel(x, y) == ground;
    while l > left && (t..b).all(|y| is_plain(l - 1, y)) {
        l -= 1;
    }
    while r < right && (t..b).all(|y| is_plain(r, y)) {
        r += 1;
    }
    let most = b - t;
    let (highest, lowest) = (t.saturating_sub(most).max(top), (b + most).min(bottom));
    while t > highest && (l..r).all(|x| is_plain(x, t - 1)) {
        t -= 1;
    }
    while b < lowest && (l..r).all(|x| is_plain(x, b)) {
        b += 1;
    }
    Rect { x: l.cast_signed(), y: t.cast_signed(), width: r - l, height: b - t }
}

/// Returns the colour that most pixels of an area have: what a text stands on.
fn commonest(image: &RgbImage, (left, top, right, bottom): (u32, u32, u32, u32)) -> Rgb<u8> {
    let mut counts = std::collections::HashMap::new();
    for y in top..bottom {
        for x in left..right {
            *counts.entry(image.get_pixel(x, y).0).or_insert(0_u32) += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|&(colour, count)| (count, colour));
    Rgb(most.map_or([255; 3], |(colour, _)| colour))
}

/// Returns the left, top, right and bottom edge of an area on an image.
fn edges(image: &RgbImage, area: Rect) -> (u32, u32, u32, u32) {
    let (width, height) = image.dimensions();
    let clamp = |start: i32, length: u32, most: u32| {
        let end = i64::from(start) + i64::from(length);
        let on = |at: i64| u32::try_from(at.clamp(0, most.into())).unwrap_or(most);
        (on(start.into()), on(end))
    };
    let ((left, right), (top, bottom)) =
        (clamp(area.x, area.width, width), clamp(area.y, area.height, height));
    (left, top, right, bottom)
}

fn pixels_in(image: &mut RgbImage, area: Rect) -> impl Iterator<Item = (u32, u32, &mut Rgb<u8>)> {
    let (left, top, right, bottom) = edges(image, area);
    let rows = image.enumerate_rows_mut().skip(top as usize).take((bottom - top) as usize);
    rows.flat_map(move |(_, row)| row.skip(left as usize).take((right - left) as usize))
}

fn union(a: Rect, b: Rect) -> Rect {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    let end = |start: i32, length: u32| i64::from(start) + i64::from(length);
    let side = |from: i32, one: i64, other: i64| {
        u32::try_from(one.max(other) - i64::from(from)).unwrap_or(u32::MAX)
    };
    Rect {
        x,
        y,
        width: side(x, end(a.x, a.width), end(b.x, b.width)),
        height: side(y, end(a.y, a.height), end(b.y, b.height)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Rgb<u8> = Rgb([0; 3]);
    const WINDOW: Rect = Rect { x: 10, y: 10, width: 180, height: 80 };

    fn paint(image: &mut RgbImage, area: Rect, colour: [u8; 3]) {
        for (_, _, pixel) in pixels_in(image, area) {
            *pixel = Rgb(colour);
        }
    }

    /// A grey window with a white field that has a border.
    fn form(at: i32) -> RgbImage {
        let mut image = RgbImage::from_pixel(200, 100, Rgb([90; 3]));
        paint(&mut image, WINDOW, [200; 3]);
        paint(&mut image, Rect { x: at, y: 30, width: 120, height: 20 }, [50; 3]);
        paint(&mut image, Rect { x: at + 1, y: 31, width: 118, height: 18 }, [255; 3]);
        image
    }

    /// Something like letters.
    fn write(image: &mut RgbImage, left: i32) {
        for letter in 0..8 {
            let x = left + 7 * letter;
            paint(image, Rect { x, y: 36, width: 2, height: 8 }, [0, 0, 40]);
            let height = 2 + u32::try_from(letter).unwrap() % 3;
            paint(image, Rect { x: x + 2, y: 38, width: 3, height }, [90, 0, 40]);
        }
    }

    fn hidden(before: &RgbImage, after: &RgbImage) -> Blackout {
        let mut blackout = Blackout::default();
        blackout.hide::<()>(before, WINDOW, 8, || Ok(after.clone())).unwrap();
        blackout
    }

    #[test]
    fn the_field_is_black_and_the_rest_is_not() {
        let before = form(20);
        let mut after = before.clone();
        write(&mut after, 24);
        let blackout = hidden(&before, &after);
        let mut shown = after.clone();
        blackout.apply(&mut shown);
        for (x, y, pixel) in shown.enumerate_pixels() {
            let inside = (21..139).contains(&x) && (31..49).contains(&y);
            let expected = if inside { BLACK } else { *before.get_pixel(x, y) };
            assert_eq!(*pixel, expected, "{x} {y}");
        }
    }

    #[test]
    fn a_value_that_moves_is_hidden_where_it_goes() {
        let before = form(20);
        let mut after = before.clone();
        write(&mut after, 24);
        let blackout = hidden(&before, &after);
        let mut moved = form(60);
        write(&mut moved, 64);
        blackout.apply(&mut moved);
        for x in 61..179 {
            assert_eq!(*moved.get_pixel(x, 40), BLACK, "{x}");
        }
        assert_ne!(*moved.get_pixel(185, 40), BLACK);
    }

    #[test]
    fn where_nothing_is_seen_the_whole_window_is_black() {
        let before = form(20);
        let mut cursor = before.clone();
        paint(&mut cursor, Rect { x: 24, y: 34, width: 1, height: 12 }, [0; 3]);
        let mut shown = before.clone();
        hidden(&before, &cursor).apply(&mut shown);
        assert_eq!(*shown.get_pixel(12, 12), BLACK);
        assert_eq!(*shown.get_pixel(185, 85), BLACK);
        assert_eq!(*shown.get_pixel(5, 5), Rgb([90; 3]));
    }
}
