//! The grammar of answers that name many places: lists of boxes or points, and documents.

use handsight_actions::{ShapeKind, Size};

use super::{MAX_LINE, bounded};

/// Returns the grammar of a list of such places on `grid`, as Qwen2.5-VL writes it: in a code fence,
/// one entry a line.
pub(crate) fn places(kind: ShapeKind, grid: Size) -> String {
    let field = kind.field();
    // The right and bottom edges of a box are lines, and one past the last pixel.
    let (numbers, edge) = match kind {
        ShapeKind::Boxes => (r#"x ", " y ", " x ", " y"#, 1),
        ShapeKind::Points => (r#"x ", " y"#, 0),
    };
    let (x, y) = (bounded(grid.width + edge), bounded(grid.height + edge));
    format!(
        r#"start: "```json\n[\n" entry (",\n" entry)* "\n]\n```" | "```json\n[]\n```"
entry: "\t{{\"{field}\": [" {numbers} "], \"label\": \"" LABEL? "\"}}"
LABEL: /([^"\\\x00-\x1f\x7f]|\\["\\\/nt]){{1,{MAX_LINE}}}/
x: {x}
y: {y}
"#
    )
}

/// Returns the grammar of a document in HTML, whose boxes lie on `grid`. Nothing else is held to any
/// form: pages are too various.
pub(crate) fn document(grid: Size) -> String {
    let (x, y) = (bounded(grid.width + 1), bounded(grid.height + 1));
    format!(
        r#"start: "```html\n<html><body>" (TO_BOX x " " y " " x " " y "\"")* REST
TO_BOX: /(.|\n)*data-bbox="/ & ~/(.|\n)*data-bbox="(.|\n)+/
REST: ~/(.|\n)*data-bbox="(.|\n)*/ & /(.|\n)+/
x: {x}
y: {y}
"#
    )
}
