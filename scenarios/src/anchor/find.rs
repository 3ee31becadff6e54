//! Finding an anchor on a screenshot.
//!
//! Everything is looked at before anything is believed: every place where the target's pixels are,
//! and how far its surroundings agree with those that were remembered. Surroundings only confirm. They
//! do not decide between two places that look alike: what stands last in one row stands there because
//! the window was wide enough.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sides and places of a screen, and counts of its pixels, fit all of these types"
)]

use std::collections::BTreeSet;

use handsight_actions::{PixelPoint, Rect};
use image::{Rgb, RgbImage};

use super::picture::{self, edges, same};
use super::{Anchor, clip};

/// Pixels of the target that are looked at first; most places differ in one of the first few.
const PROBES: usize = 24;

/// How many of the target's pixels may differ, as a share of those at edges, and at most: a caret or an
/// underlined letter, but no other word.
const MAX_DIFFERENT: f64 = 0.02;
const MOST_DIFFERENT: usize = 32;

/// The least agreement of the row that the target is in, where most of what tells like things apart
/// stands, and of all its surroundings.
const MIN_ROW: f64 = 0.85;
const MIN_AROUND: f64 = 0.6;

/// The most places that are looked for, and the most that are compared: a target that is in more of
/// them tells nothing.
const MAX_PLACES: usize = 4096;
const MAX_COMPARED: usize = 256;

/// How far apart places are that are one: along a straight border the same pixels come again with
/// every step, and all of them are on the same thing.
const STEP: u32 = 2;

/// What is left of the surroundings where a target is at the edge of the screen must be this much.
const MIN_SEEN: f64 = 0.5;

/// What became of the search for an anchor.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Sighting {
    /// It is there, in one place alone.
    Found {
        /// Where to act, in pixels of the screenshot.
        point: PixelPoint,
        /// Its part of the screenshot.
        target: Rect,
        /// How far the surroundings agree, 0..1.
        agreement: f64,
    },
    /// Its pixels are there, but it may be something else that looks the same.
    Doubtful {
        /// In how many places.
        places: usize,
        /// How far the surroundings agree at the best of them, 0..1.
        agreement: f64,
    },
    /// Its pixels are nowhere.
    Absent,
}

pub(super) fn find(anchor: &Anchor, screen: &RgbImage) -> Sighting {
    let target = anchor.target_picture();
    let places = places(&target, screen);
    if places.len() > MAX_COMPARED {
        return Sighting::Doubtful { places: places.len(), agreement: 0.0 };
    }
    // One more that looks like it may be the one that is meant now.
    let things = if anchor.like_it > 1 { things(&anchor.core_picture(), screen) } else { 1 };
    if things != anchor.like_it {
        return Sighting::Doubtful { places: things, agreement: 0.0 };
    }
    let surroundings = Surroundings::of(anchor);
    let mut scored: Vec<((u32, u32), Agreement)> =
        places.iter().map(|&place| (place, surroundings.agreement(screen, place))).collect();
    // Of places that are as good, the one that is nearest to where it was comes first.
    let far = |(x, y): (u32, u32)| {
        (x as i32).abs_diff(anchor.target.x) + (y as i32).abs_diff(anchor.target.y)
    };
    scored.sort_by(|(at, a), (bt, b)| b.all.total_cmp(&a.all).then(far(*at).cmp(&far(*bt))));
    let Some(&((x, y), best)) = scored.first() else { return Sighting::Absent };
    let same_thing = connected(&places, (x, y));
    let believed = best.row >= MIN_ROW
        && best.all >= MIN_AROUND
        && places.iter().all(|place| same_thing.contains(place));
    if !believed {
        return Sighting::Doubtful { places: places.len(), agreement: best.all };
    }
    let target = Rect { x: x as i32, y: y as i32, ..anchor.target };
    let point = PixelPoint {
        x: anchor.point.x - anchor.target.x + target.x,
        y: anchor.point.y - anchor.target.y + target.y,
    };
    Sighting::Found { point, target, agreement: best.all }
}

/// Returns the corners of all places where a target's pixels are, at most [`MAX_PLACES`].
fn places(target: &RgbImage, screen: &RgbImage) -> Vec<(u32, u32)> {
    let (width, height) = target.dimensions();
    if width > screen.width() || height > screen.height() {
        return Vec::new();
    }
    let edges = edges(target);
    let at_edges = edges.iter().filter(|&&edge| edge).count();
    let may_differ = MOST_DIFFERENT.min((at_edges as f64 * MAX_DIFFERENT) as usize);
    let probes = probes(target, &edges);
    // A few probes may fall on what is allowed to differ.
    let may_miss = probes.len() / 8;
    let mut places = Vec::new();
    for y in 0..=screen.height() - height {
        for x in 0..=screen.width() - width {
            let mut missed = 0;
            let fits = probes.iter().all(|&(dx, dy, pixel)| {
                missed += usize::from(!same(pixel, *screen.get_pixel(x + dx, y + dy)));
                missed <= may_miss
            });
            if fits && is_at(target, screen, (x, y), may_differ) {
                places.push((x, y));
                if places.len() == MAX_PLACES {
                    return places;
                }
            }
        }
    }
    places
}

/// Returns how many things on the screen have the pixels of a target.
pub(super) fn things(target: &RgbImage, screen: &RgbImage) -> usize {
    let mut left = places(target, screen);
    if left.len() == MAX_PLACES {
        return MAX_PLACES;
    }
    let mut count = 0;
    while let Some(&place) = left.first() {
        let same_thing = connected(&left, place);
        left.retain(|place| !same_thing.contains(place));
        count += 1;
    }
    count
}

/// Returns the places that can be reached from this one in small steps.
fn connected(places: &[(u32, u32)], from: (u32, u32)) -> BTreeSet<(u32, u32)> {
    let mut reached = BTreeSet::from([from]);
    let mut ends = vec![from];
    while let Some((x, y)) = ends.pop() {
        for &(other_x, other_y) in places {
            let near = x.abs_diff(other_x) <= STEP && y.abs_diff(other_y) <= STEP;
            if near && reached.insert((other_x, other_y)) {
                ends.push((other_x, other_y));
            }
        }
    }
    reached
}

/// Chooses the pixels to look at first: spread over the target, on edges where there are some, for
/// bare surfaces look alike.
fn probes(target: &RgbImage, edges: &[bool]) -> Vec<(u32, u32, Rgb<u8>)> {
    let width = target.width();
    let on_edges: Vec<usize> = (0..edges.len()).filter(|&at| edges[at]).collect();
    let chosen = if on_edges.is_empty() { (0..edges.len()).collect() } else { on_edges };
    let step = (chosen.len() / PROBES).max(1);
    let spread = chosen.iter().skip(step / 2).step_by(step).take(PROBES);
    spread
        .map(|&at| {
            let (x, y) = (at as u32 % width, at as u32 / width);
            (x, y, *target.get_pixel(x, y))
        })
        .collect()
}

/// Whether a target is at this place.
fn is_at(target: &RgbImage, screen: &RgbImage, (left, top): (u32, u32), may_differ: usize) -> bool {
    let mut differ = 0;
    target.enumerate_pixels().all(|(x, y, &pixel)| {
        differ += usize::from(!same(pixel, *screen.get_pixel(left + x, top + y)));
        differ <= may_differ
    })
}

/// What was around a target, for comparing.
struct Surroundings<'a> {
    picture: &'a RgbImage,
    edges: Vec<bool>,
    /// Where the target is in the picture.
    target: Rect,
}

/// How far surroundings agree, 0..1.
#[derive(Clone, Copy, Debug)]
struct Agreement {
    /// To the left and right of the target.
    row: f64,
    /// Everywhere.
    all: f64,
}

/// Pixels that were compared, and those that are the same.
#[derive(Clone, Copy, Default)]
struct Tally {
    same: usize,
    compared: usize,
}

impl Tally {
    fn add(&mut self, same: bool) {
        self.same += usize::from(same);
        self.compared += 1;
    }

    /// Returns the share of what is the same; where nothing was to be compared, nothing disagrees.
    fn share(self) -> f64 {
        if self.compared == 0 { 1.0 } else { self.same as f64 / self.compared as f64 }
    }
}

impl<'a> Surroundings<'a> {
    fn of(anchor: &'a Anchor) -> Self {
        let picture = &anchor.picture;
        Self { picture, edges: edges(picture), target: anchor.target_in_picture() }
    }

    /// Compares the surroundings with those of a target at this place.
    ///
    /// Only pixels at edges count, in what was or in what is: bare surfaces agree everywhere, and
    /// letters that came are as much of a change as letters that went.
    fn agreement(&self, screen: &RgbImage, (x, y): (u32, u32)) -> Agreement {
        let size = handsight_actions::Size { width: screen.width(), height: screen.height() };
        let (left, top) = (x as i32 - self.target.x, y as i32 - self.target.y);
        let (width, height) = self.picture.dimensions();
        let Some(seen) = clip(Rect { x: left, y: top, width, height }, size) else {
            return Agreement { row: 0.0, all: 0.0 };
        };
        let part = |width: u32, height: u32| f64::from(width) * f64::from(height);
        if part(seen.width, seen.height) < MIN_SEEN * part(width, height) {
            return Agreement { row: 0.0, all: 0.0 };
        }
        let now = picture::cut(screen, seen);
        let edges_now = edges(&now);
        let (mut row, mut all) = (Tally::default(), Tally::default());
        for (x, y, &pixel) in now.enumerate_pixels() {
            // The same pixel of the picture that was remembered.
            let (was_x, was_y) = (x as i32 + seen.x - left, y as i32 + seen.y - top);
            if self.target.contains(PixelPoint { x: was_x, y: was_y }) {
                continue;
            }
            let was_at = was_y as usize * width as usize + was_x as usize;
            let now_at = y as usize * now.width() as usize + x as usize;
            if !(self.edges[was_at] || edges_now[now_at]) {
                continue;
            }
            let same = same(pixel, *self.picture.get_pixel(was_x as u32, was_y as u32));
            all.add(same);
            let below = was_y - self.target.y;
            if (0..self.target.height as i32).contains(&below) {
                row.add(same);
            }
        }
        Agreement { row: row.share(), all: all.share() }
    }
}
