//! Plots as SVG: bars with their intervals, and how sure against how right.

#![expect(clippy::cast_precision_loss, reason = "a page has few rows")]

use std::fmt::Write as _;

use super::{interval, percent};
use crate::benchmark::curve::Point;
use crate::benchmark::summary::{Calibrated, Cell};
use crate::report::html::text::escape;

/// The most letters of a bar's name that are shown.
const LONGEST_NAME: usize = 44;

/// Returns the end of a name that is too long, where names of runs differ.
fn shortened(name: &str) -> String {
    let count = name.chars().count();
    if count <= LONGEST_NAME {
        return name.to_owned();
    }
    ['…'].into_iter().chain(name.chars().skip(count + 1 - LONGEST_NAME)).collect()
}

/// Returns bars with whiskers, one under another.
pub(super) fn bars(cells: &[Cell]) -> String {
    const ROW: f64 = 26.0;
    const WIDTH: f64 = 360.0;
    // A letter is about as wide, in the page's own face.
    const LETTER: f64 = 7.6;
    let longest = cells.iter().map(|cell| cell.name.chars().count().min(LONGEST_NAME)).max();
    let left = (longest.unwrap_or(0) as f64 * LETTER + 14.0).max(150.0);
    let (width, height) = (left + WIDTH + 230.0, ROW * cells.len() as f64 + 4.0);
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"accuracy with \
         intervals\">"
    );
    for (index, cell) in cells.iter().enumerate() {
        let y = ROW * index as f64 + 4.0;
        let (low, high) = cell.interval;
        let x = |share: f64| left + share * WIDTH;
        let middle = y + 9.0;
        let few = if cell.few { " few" } else { "" };
        let _ = write!(
            svg,
            "<g class=\"bar{few}\"><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}<title>{}</title></text>\
             <rect x=\"{left}\" y=\"{y}\" width=\"{:.1}\" height=\"18\" rx=\"3\"/>\
             <path d=\"M{:.1} {middle}H{:.1}M{:.1} {}v8M{:.1} {}v8\"/>\
             <text x=\"{}\" y=\"{}\">{} <tspan class=\"soft\">{} n {}</tspan></text></g>",
            left - 8.0,
            y + 14.0,
            escape(&shortened(&cell.name)),
            escape(&cell.name),
            cell.accuracy * WIDTH,
            x(low),
            x(high),
            x(low),
            middle - 4.0,
            x(high),
            middle - 4.0,
            x(1.0) + 8.0,
            y + 14.0,
            percent(cell.accuracy),
            interval(cell.interval),
            cell.n,
        );
    }
    svg + "</svg>"
}

/// Returns figures against the median of image tokens, each with its interval.
pub(super) fn curve(points: &[Point]) -> String {
    const LEFT: f64 = 46.0;
    const TOP: f64 = 14.0;
    const WIDTH: f64 = 560.0;
    const HEIGHT: f64 = 240.0;
    let most = points.iter().map(|point| point.image_tokens).fold(1.0, f64::max) * 1.1;
    let x = |tokens: f64| LEFT + tokens / most * WIDTH;
    let y = |share: f64| TOP + (1.0 - share) * HEIGHT;
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 740 300\" role=\"img\" aria-label=\"accuracy against image \
         tokens\"><path class=\"axis\" d=\"M{LEFT} {TOP}V{0}H{1}\"/>",
        y(0.0),
        LEFT + WIDTH
    );
    for share in [0.0, 0.5, 1.0] {
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.0} %</text>",
            LEFT - 6.0,
            y(share) + 4.0,
            share * 100.0
        );
    }
    let mut line = String::new();
    for (index, point) in points.iter().enumerate() {
        let (at_x, at_y) = (x(point.image_tokens), y(point.cell.accuracy));
        let (low, high) = point.cell.interval;
        let _ = write!(line, "{}{at_x:.1} {at_y:.1}", if index == 0 { "M" } else { "L" });
        let _ = write!(
            svg,
            "<path class=\"whisker\" d=\"M{at_x:.1} {:.1}V{:.1}\"/><circle cx=\"{at_x:.1}\" \
             cy=\"{at_y:.1}\" r=\"4\"><title>{}: {}</title></circle><text x=\"{at_x:.1}\" y=\"{}\" \
             text-anchor=\"middle\">{:.0}</text>",
            y(low),
            y(high),
            escape(&point.name),
            percent(point.cell.accuracy),
            y(0.0) + 16.0,
            point.image_tokens,
        );
    }
    let _ = write!(
        svg,
        "<path class=\"line\" d=\"{line}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">image tokens \
         of an item, median</text></svg>",
        LEFT + WIDTH / 2.0,
        y(0.0) + 36.0
    );
    svg
}

/// Returns how often answers were right against how sure the model was of their digits.
pub(super) fn reliability(bins: &[Calibrated]) -> String {
    const SIDE: f64 = 260.0;
    const LEFT: f64 = 40.0;
    let (x, y) = (|share: f64| LEFT + share * SIDE, |share: f64| 10.0 + (1.0 - share) * SIDE);
    let mut svg = format!(
        "<svg class=\"plot square\" viewBox=\"0 0 320 310\" role=\"img\" aria-label=\"reliability\">\
         <path class=\"axis\" d=\"M{0} {1}V{2}H{3}M{0} {2}L{3} {1}\"/>",
        x(0.0),
        y(1.0),
        y(0.0),
        x(1.0)
    );
    for share in [0.0, 0.5, 1.0] {
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{share}</text>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{share}</text>",
            x(share),
            y(0.0) + 18.0,
            LEFT - 6.0,
            y(share) + 4.0
        );
    }
    let mut line = String::new();
    for (index, bin) in bins.iter().enumerate() {
        let (at_x, at_y) = (x(bin.said), y(bin.cell.accuracy));
        let _ = write!(line, "{}{at_x:.1} {at_y:.1}", if index == 0 { "M" } else { "L" });
        let radius = (f64::from(bin.cell.n).sqrt() / 2.0).clamp(2.0, 9.0);
        let (low, high) = bin.cell.interval;
        let _ = write!(
            svg,
            "<path class=\"whisker\" d=\"M{at_x:.1} {:.1}V{:.1}\"/>\
             <circle cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"{radius:.1}\"><title>said {}, right {} of \
             {}</title></circle>",
            y(low),
            y(high),
            percent(bin.said),
            bin.cell.correct,
            bin.cell.n
        );
    }
    let _ = write!(
        svg,
        "<path class=\"line\" d=\"{line}\"/><text x=\"{}\" y=\"306\" text-anchor=\"middle\">probability \
         of the digits → share that is right</text></svg>",
        x(0.5)
    );
    svg
}
