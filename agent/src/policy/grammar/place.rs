//! The grammar of an answer that is nothing but a place.

use std::fmt::Write;

use handsight_actions::{AnswerForm, AnswerPiece, Coordinate, Size};
use serde_json::json;

use super::literal;

/// Control tokens that may stand around a place.
const BOX_TOKENS: [&str; 2] = ["<|box_start|>", "<|box_end|>"];

/// Returns the grammar of an answer of this form, with numbers inside `grid`, or of `not_found`.
///
/// A `<tool_call>` at the very start is taken for the token of that name, and box tokens may be there
/// or not, where the vocabulary has them.
pub(crate) fn place(
    form: &AnswerForm,
    not_found: Option<&str>,
    grid: Size,
    box_tokens: bool,
) -> String {
    let mut start = String::new();
    for piece in form.pieces() {
        match piece {
            AnswerPiece::Text(text) => start.push_str(&with_tokens(text, box_tokens)),
            AnswerPiece::Number(coordinate) => start.push_str(rule(*coordinate)),
        }
        start.push(' ');
    }
    if let Some(not_found) = not_found {
        let _ = write!(start, "| {}", literal(not_found));
    }
    // The right and bottom edges of a box are lines, and one past the last pixel.
    let edge = u32::from(form.is_box());
    let mut grammar = format!("start: {start}\n");
    let used = form.pieces().iter().filter_map(|piece| match piece {
        AnswerPiece::Number(coordinate) => Some(*coordinate),
        AnswerPiece::Text(_) => None,
    });
    for coordinate in used {
        let length = match coordinate {
            Coordinate::X | Coordinate::X2 => grid.width,
            Coordinate::Y | Coordinate::Y2 => grid.height,
        };
        let _ = writeln!(grammar, "{}: {}", rule(coordinate), bounded(length + edge));
    }
    grammar
}

/// Returns the grammar of a reply of which only the two coordinates are open; `before` and `after` are
/// what stands around them, brackets included.
pub(crate) fn coordinates(before: &str, separator: &str, after: &str, grid: Size) -> String {
    let (before, separator, after) = (literal(before), literal(separator), literal(after));
    let (x, y) = (bounded(grid.width), bounded(grid.height));
    format!("start: {before} x {separator} y {after}\nx: {x}\ny: {y}\n")
}

/// Returns the rule of a whole number below `length`.
pub(crate) fn bounded(length: u32) -> String {
    let last = length.saturating_sub(1);
    format!("%json {}", json!({ "type": "integer", "minimum": 0, "maximum": last }))
}

fn rule(coordinate: Coordinate) -> &'static str {
    match coordinate {
        Coordinate::X => "x",
        Coordinate::Y => "y",
        Coordinate::X2 => "x2",
        Coordinate::Y2 => "y2",
    }
}

/// Returns a text as literals of the grammar, with the tokens in it as tokens.
fn with_tokens(text: &str, box_tokens: bool) -> String {
    let mut written = String::new();
    let mut rest = text;
    if let Some(after) = rest.strip_prefix("<tool_call>") {
        written.push_str("<tool_call> ");
        rest = after;
    }
    while !rest.is_empty() {
        if let Some(token) = BOX_TOKENS.iter().find(|token| rest.starts_with(**token)) {
            if box_tokens {
                let _ = write!(written, "{token}? ");
            }
            rest = &rest[token.len()..];
            continue;
        }
        let next = BOX_TOKENS.iter().filter_map(|token| rest.find(token)).min();
        let (plain, after) = rest.split_at(next.unwrap_or(rest.len()));
        let _ = write!(written, "{} ", literal(plain));
        rest = after;
    }
    written.trim_end().to_owned()
}
