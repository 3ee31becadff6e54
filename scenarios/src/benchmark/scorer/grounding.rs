//! Judging places: which point each scorer reads out of an answer, and which points it calls right.

use handsight_actions::{Rect, Size};
use handsight_agent::Counts;

use super::readers::{self, Claw};
use super::{Asked, Judged, Outcome, Scorer};
use crate::benchmark::answer::{Place, read_place};
use crate::benchmark::dataset::BoxForm;
use crate::benchmark::item::{Item, Target};
use crate::benchmark::prediction::{Click, Look, Prediction};
use crate::benchmark::region::{Box2, distance_to_box, in_box, in_polygon};

/// What a scorer reads out of an answer.
enum Read {
    /// A point, in shares of the picture's sides.
    At([f64; 2]),
    /// A point, in its pixels.
    Pixel([f64; 2]),
    /// That there is no such thing.
    Nowhere,
    /// Nothing it understands.
    Nothing,
}

pub(super) fn judge(scorer: Scorer, item: &Item, prediction: &Prediction, asked: Asked) -> Judged {
    let left_out = scorer == Scorer::Clawgui && item.target == Target::Refusal;
    let [width, height] = sides(item.size);
    let (point, pixel) = match read(scorer, item, prediction, asked) {
        Read::Nothing => {
            return Judged { outcome: Outcome::FormatError, left_out, ..Judged::default() };
        }
        Read::Nowhere => {
            let right = item.target == Target::Refusal;
            let outcome = if right { Outcome::Correct } else { Outcome::Wrong };
            return Judged { outcome, left_out, ..Judged::default() };
        }
        Read::At([x, y]) => ([x, y], [x * width, y * height]),
        Read::Pixel([x, y]) => ([x / width, y / height], [x, y]),
    };
    let right = match (&item.target, scorer) {
        (Target::Polygon(corners), Scorer::Strict | Scorer::Clawgui) => in_polygon(pixel, corners),
        (Target::Refusal, Scorer::Strict | Scorer::Clawgui) => false,
        // In pixels, as that judge compares: it is the one that cuts its points to whole ones.
        (Target::Box(area), Scorer::Clawgui) => in_box(pixel, *area),
        _ => in_box(point, unit_box(scorer, item, asked.boxes)),
    };
    let outcome = if right { Outcome::Correct } else { Outcome::Wrong };
    let distance = item.target.bounds();
    let distance = distance.map(|area| if right { 0.0 } else { distance_to_box(pixel, area) });
    Judged { outcome, left_out, point: Some(pixel), distance, detail: None }
}

/// Returns the share of the picture that a scorer calls right.
pub(super) fn random_floor(scorer: Scorer, item: &Item, boxes: BoxForm) -> f64 {
    let [width, height] = sides(item.size);
    match (&item.target, scorer) {
        (Target::Refusal, Scorer::Strict | Scorer::Clawgui) => 0.0,
        (Target::Polygon(_), Scorer::Strict | Scorer::Clawgui) => {
            item.target.area() / (width * height)
        }
        _ => {
            let [left, top, right, bottom] = unit_box(scorer, item, boxes);
            let length = |from: f64, to: f64| (to.min(1.0) - from.max(0.0)).max(0.0);
            length(left, right) * length(top, bottom)
        }
    }
}

/// Returns the box a scorer compares with, in shares of the sides.
fn unit_box(scorer: Scorer, item: &Item, form: BoxForm) -> Box2 {
    let [width, height] = sides(item.size);
    let share = |[left, top, right, bottom]: Box2| {
        [left / width, top / height, right / width, bottom / height]
    };
    let area = match &item.target {
        Target::Box(area) => *area,
        // The scripts that know no polygons take its first two corners for a box.
        Target::Polygon(corners) if scorer == Scorer::Sspro => match corners[..] {
            [first, second, ..] => [first[0], first[1], second[0], second[1]],
            _ => [0.0; 4],
        },
        _ => return [0.0; 4],
    };
    let [left, top, right, bottom] = area;
    match (scorer, form) {
        (Scorer::Vlmevalkit, BoxForm::Extent) => {
            let safe = |number: f64| if (number + 1.0).abs() < f64::EPSILON { 0.0 } else { number };
            share([left, top, left + (right - left) - 1.0, top + (bottom - top) - 1.0].map(safe))
        }
        (Scorer::Lmms, BoxForm::Extent) => share(guessed([left, top, right - left, bottom - top])),
        (Scorer::Lmms, _) if right <= 1.0 && bottom <= 1.0 => area,
        _ => share(area),
    }
}

/// The box that lmms-eval takes an extent for: whatever could be corners is taken for corners.
///
/// # Source
///
/// EvolvingLMMs-Lab/lmms-eval 6c3e853, `lmms_eval/tasks/screenspot_v2/utils.py`.
fn guessed([x, y, w, h]: [f64; 4]) -> Box2 {
    if w > x && h > y { [x, y, w, h] } else { [x, y, x + w, y + h] }
}

fn read(scorer: Scorer, item: &Item, prediction: &Prediction, asked: Asked) -> Read {
    let looks = match prediction.looks.as_slice() {
        [] => return Read::Nothing,
        [first, ..] if asked.first_look_only => std::slice::from_ref(first),
        looks => looks,
    };
    if scorer == Scorer::Strict && !asked.first_look_only {
        match prediction.click {
            Some(Click::At(pixel)) => return Read::Pixel(pixel),
            Some(Click::Nowhere) => return Read::Nowhere,
            None => {}
        }
    }
    // A closer look that cannot be read leaves the one before it.
    let mut read = Read::Nothing;
    for look in looks {
        match read_look(scorer, item, look, asked) {
            Read::Nothing => {}
            found => read = found,
        }
    }
    read
}

fn read_look(scorer: Scorer, item: &Item, look: &Look, asked: Asked) -> Read {
    let counts = asked.counts;
    let raw = look.raw.as_str();
    // Those who take numbers for pixels take them for pixels of what was shown, be it a part.
    let shown = look.part.map_or(item.size, |part| Size { width: part.width, height: part.height });
    let by_pixels = |[x, y]: [f64; 2]| {
        let [width, height] = sides(shown);
        let beyond = x > 1.0 || y > 1.0;
        let share = if beyond { [x / width, y / height] } else { [x, y] };
        Read::At(within(share, look, item.size))
    };
    let at = |point: [f64; 2]| Read::At(place_of(point, look, item.size, counts));
    let ours = || match read_place(raw) {
        Ok(Place::Nowhere) => Read::Nowhere,
        Ok(place) => place.click().map_or(Read::Nothing, at),
        Err(_) => Read::Nothing,
    };
    match scorer {
        // How an answer is read is left to each model's own wrapper there; only Qwen2.5-VL's is known.
        Scorer::Sspro if asked.calls => readers::sspro(raw).map_or(Read::Nothing, at),
        Scorer::Sspro => match ours() {
            Read::Nowhere => Read::At([-1.0, -1.0]),
            read => read,
        },
        Scorer::SeeclickMacro if counts == Counts::Unit => {
            readers::seeclick(raw).map_or(Read::Nothing, at)
        }
        Scorer::Vlmevalkit => readers::vlmevalkit(raw).map_or(Read::Nothing, by_pixels),
        Scorer::Lmms => readers::lmms(raw).map_or(Read::Nothing, by_pixels),
        Scorer::Clawgui => clawgui(item, look, shown, counts),
        _ => ours(),
    }
}

/// What ClawGUI's judges make of an answer: they take the pixels of the resized picture for the picture's.
fn clawgui(item: &Item, look: &Look, shown: Size, counts: Counts) -> Read {
    let with_refusals = item.tags.contains_key("target") || !matches!(item.target, Target::Box(_));
    let [width, height] = sides(shown);
    let [left, top] = look.part.map_or([0.0; 2], |part| [part.x.into(), part.y.into()]);
    match readers::clawgui(&look.raw, with_refusals) {
        None => Read::Nothing,
        Some(Claw::Refusal) => Read::Nowhere,
        Some(Claw::Point([x, y])) => {
            let [x, y] = match counts {
                Counts::ResizedPixels | Counts::OriginalPixels => [x, y],
                Counts::Thousandths => [x / 1000.0 * width, y / 1000.0 * height].map(f64::trunc),
                Counts::Unit => [x * width, y * height],
            };
            Read::Pixel([left + x, top + y])
        }
    }
}

/// Returns where a point of a look lies, in shares of the whole picture's sides.
pub fn place_of([x, y]: [f64; 2], look: &Look, whole: Size, counts: Counts) -> [f64; 2] {
    let shown = look.part.map_or(whole, |part| Size { width: part.width, height: part.height });
    let [across, down] = counts.sides(shown, look.resized);
    within([x / across, y / down], look, whole)
}

/// Returns where a point lies that is given in shares of what a look has seen.
fn within([x, y]: [f64; 2], look: &Look, whole: Size) -> [f64; 2] {
    let Some(Rect { x: left, y: top, width, height }) = look.part else { return [x, y] };
    let [across, down] = sides(whole);
    [
        (f64::from(left) + x * f64::from(width)) / across,
        (f64::from(top) + y * f64::from(height)) / down,
    ]
}

fn sides(size: Size) -> [f64; 2] {
    [f64::from(size.width), f64::from(size.height)]
}
