//! Lists of boxes or points as models write them.
//!
//! Qwen2.5-VL answers `[{"bbox_2d": [x1, y1, x2, y2], "label": "…"}, …]`, mostly in a code fence, and
//! its kin write the same in a dozen ways: one object, objects in a row, bare lists of numbers, Python
//! tuples, other names for the fields, boxes in tags. A list that breaks off is good up to its last
//! whole entry. An entry that cannot be meant is refused by itself, with its place and the reason, and
//! the others stand.

mod entries;
mod tagged;

use std::ops::Range;

use super::envelope::thinking_end;
use super::error::{Fault, ParseError};
use super::point::spelled_numbers;
use crate::geometry::{ModelBox, ModelPoint, Size};

/// The most places of one reply; more are a model that repeats itself.
const MAX_PLACES: usize = 4096;

/// What kind of place is asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ShapeKind {
    /// Boxes around things.
    Boxes,
    /// One point on each.
    Points,
}

impl ShapeKind {
    /// Returns the field that Qwen2.5-VL writes such a place into.
    pub fn field(self) -> &'static str {
        match self {
            Self::Boxes => "bbox_2d",
            Self::Points => "point_2d",
        }
    }
}

/// A box or a point.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Shape {
    /// A box, its corners in order and on the grid.
    Box(ModelBox),
    /// A point on the grid.
    Point(ModelPoint),
}

/// A place that was named, and what is said to be there.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPlace {
    /// Where it is.
    pub shape: Shape,
    /// What is there; empty if the reply does not say.
    pub label: String,
    /// What else its entry says.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// The bytes of the reply that hold its numbers.
    pub span: Range<usize>,
}

/// What was read of a reply that lists places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlaceList {
    /// The places, in the order of the reply.
    pub places: Vec<NamedPlace>,
    /// What had to be mended, for people; empty for a well-formed reply.
    pub repairs: Vec<String>,
    /// Why other entries cannot be used.
    pub refused: Vec<ParseError>,
    /// Whether the reply breaks off before the list ends.
    pub is_cut_off: bool,
}

/// Reads the places in a reply; `grid` is the size of the space they lie in.
///
/// # Errors
///
/// [`ParseError::Empty`] for an empty reply, and [`ParseError::NoPlace`] for one that is no list of
/// places at all. An empty list is none.
pub fn read_places(reply: &str, kind: ShapeKind, grid: Size) -> Result<PlaceList, ParseError> {
    let start = thinking_end(reply);
    let text = &reply[start..];
    if text.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    let mut reader = Reader { kind, grid, list: PlaceList::default(), repeated: 0 };
    let is_list = reader.tagged(text, start) || reader.entries(text, start);
    if !is_list {
        let expected = match kind {
            ShapeKind::Boxes => r#"[{"bbox_2d": [x1, y1, x2, y2], "label": "…"}]"#,
            ShapeKind::Points => r#"[{"point_2d": [x, y], "label": "…"}]"#,
        };
        return Err(ParseError::NoPlace { expected: expected.to_owned() });
    }
    if reader.repeated > 0 {
        reader.note(format!("left out {} repetitions", reader.repeated));
    }
    Ok(reader.list)
}

struct Reader {
    kind: ShapeKind,
    grid: Size,
    list: PlaceList,
    repeated: usize,
}

/// A place whose numbers are not checked yet.
struct Found {
    numbers: Vec<f64>,
    label: String,
    fields: serde_json::Map<String, serde_json::Value>,
    span: Range<usize>,
    /// Where the value begins that holds them.
    offset: usize,
    /// What the reply calls the numbers.
    field: String,
}

impl Reader {
    /// Takes a place if it can be meant; else notes why not.
    fn take(&mut self, found: Found) {
        let Found { numbers, label, fields, span, offset, field } = found;
        match self.shape(&numbers, &label) {
            Err(fault) => self.refuse(ParseError::Field { offset, field, fault }),
            Ok(shape) => {
                let places = &self.list.places;
                if places.iter().any(|place| place.shape == shape && place.label == label) {
                    self.repeated += 1;
                } else if places.len() == MAX_PLACES {
                    self.note(format!("left out all after the first {MAX_PLACES}"));
                } else {
                    self.list.places.push(NamedPlace { shape, label, fields, span });
                }
            }
        }
    }

    fn refuse(&mut self, error: ParseError) {
        if self.list.refused.len() < MAX_PLACES {
            self.list.refused.push(error);
        }
    }

    fn note(&mut self, repair: String) {
        if !self.list.repairs.contains(&repair) && self.list.repairs.len() < MAX_PLACES {
            self.list.repairs.push(repair);
        }
    }

    /// Makes a place of its numbers.
    fn shape(&mut self, numbers: &[f64], label: &str) -> Result<Shape, Fault> {
        let is_part = |n: &f64| (0.0..=1.0).contains(n);
        if numbers.iter().all(is_part) && numbers.iter().any(|n| n.fract() != 0.0) {
            return Err(Fault::Fraction);
        }
        match (self.kind, numbers) {
            (ShapeKind::Points, &[x, y]) => self.point(x, y),
            (ShapeKind::Points, &[left, top, right, bottom]) => {
                self.note("a box in the place of a point".to_owned());
                self.point(f64::midpoint(left, right), f64::midpoint(top, bottom))
            }
            (ShapeKind::Boxes, &[left, top, right, bottom]) => {
                self.area([left, top, right, bottom], label)
            }
            (ShapeKind::Boxes, [_, _]) => Err(Fault::Unexpected {
                expected: "a box [x1, y1, x2, y2]",
                found: "a point".to_owned(),
            }),
            _ => Err(Fault::Count { count: numbers.len() }),
        }
    }

    fn point(&self, x: f64, y: f64) -> Result<Shape, Fault> {
        // Models mean the pixel they name, so 12.6 is pixel 12.
        let point = ModelPoint { x: whole(x.floor()), y: whole(y.floor()) };
        if self.grid.contains(point) {
            return Ok(Shape::Point(point));
        }
        Err(Fault::Outside { place: format!("({x}, {y})"), size: self.grid })
    }

    fn area(&mut self, numbers: [f64; 4], label: &str) -> Result<Shape, Fault> {
        let (area, mends) = area(numbers, self.grid)?;
        let of = if label.is_empty() { String::new() } else { format!(" of {label:?}") };
        for mend in mends {
            self.note(match mend {
                Mend::Swapped => format!("swapped corners{of}"),
                Mend::CutAtEdge => {
                    format!("cut the box{of} off at the edge of the {} image", self.grid)
                }
            });
        }
        Ok(Shape::Box(area))
    }
}

/// What was wrong with a box and could only be meant one way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mend {
    /// Its corners were the wrong way round.
    Swapped,
    /// It reached over the edge.
    CutAtEdge,
}

/// Reads a box that is written as four numbers, such as `10 20 30 40`; `grid` is the size of the space
/// it lies in.
///
/// # Errors
///
/// [`Fault`] if it is none, or does not lie there.
pub fn read_box(text: &str, grid: Size) -> Result<(ModelBox, Vec<Mend>), Fault> {
    match spelled_numbers(text)?[..] {
        [left, top, right, bottom] => area([left, top, right, bottom], grid),
        ref numbers => Err(Fault::Count { count: numbers.len() }),
    }
}

/// Makes a box of two corners, in whichever order they come.
fn area(numbers: [f64; 4], grid: Size) -> Result<(ModelBox, Vec<Mend>), Fault> {
    let [x1, y1, x2, y2] = numbers;
    let mut mends = Vec::new();
    if x1 > x2 || y1 > y2 {
        mends.push(Mend::Swapped);
    }
    let (left, right, top, bottom) = (x1.min(x2), x1.max(x2), y1.min(y2), y1.max(y2));
    let (width, height) = (f64::from(grid.width), f64::from(grid.height));
    if right <= 0.0 || bottom <= 0.0 || left >= width || top >= height {
        let place = format!("[{x1}, {y1}, {x2}, {y2}]");
        return Err(Fault::Outside { place, size: grid });
    }
    if left < 0.0 || top < 0.0 || right > width || bottom > height {
        mends.push(Mend::CutAtEdge);
    }
    let area = ModelBox {
        left: whole(left.max(0.0).floor()),
        top: whole(top.max(0.0).floor()),
        right: whole(right.min(width).ceil()),
        bottom: whole(bottom.min(height).ceil()),
    };
    if area.left >= area.right || area.top >= area.bottom {
        return Err(Fault::Flat);
    }
    Ok((area, mends))
}

/// Returns a number without a fraction; one that no image has becomes one of those it never has.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as the doc says")]
fn whole(value: f64) -> i32 {
    value as i32
}

#[cfg(test)]
mod tests;
