//! Points as models write them: `[x, y]`, a box, a string of either, an object.

use super::error::{Fault, ParseError};
use super::lenient::{Node, Value};
use crate::geometry::ModelPoint;

/// Reads a point; a box is read as its centre. `is_string` says that points are meant to be strings.
pub(super) fn point(
    node: &Node,
    field: &str,
    is_string: bool,
    repairs: &mut Vec<String>,
) -> Result<ModelPoint, ParseError> {
    let refuse = |fault| ParseError::Field { offset: node.offset, field: field.to_owned(), fault };
    let numbers = match &node.value {
        Value::String(text) if is_string => spelled_numbers(text),
        _ => numbers(node, field, repairs),
    };
    let numbers = numbers.map_err(refuse)?;
    if numbers.iter().all(|n| (0.0..=1.0).contains(n)) && numbers.iter().any(|n| n.fract() != 0.0) {
        return Err(refuse(Fault::Fraction));
    }
    let (x, y) = match numbers[..] {
        [x, y] => (x, y),
        [left, top, right, bottom] => {
            if right < left || bottom < top {
                return Err(refuse(Fault::InsideOut));
            }
            if !is_string {
                repairs.push(format!("a box in `{field}`"));
            }
            (f64::midpoint(left, right), f64::midpoint(top, bottom))
        }
        _ => return Err(refuse(Fault::Count { count: numbers.len() })),
    };
    let x = pixel(x).map_err(refuse)?;
    let y = pixel(y).map_err(refuse)?;
    Ok(ModelPoint { x, y })
}

/// Returns the numbers of a point or box in whichever wrapping they come.
fn numbers(node: &Node, field: &str, repairs: &mut Vec<String>) -> Result<Vec<f64>, Fault> {
    match &node.value {
        Value::Array(items) => match items.as_slice() {
            [only] if matches!(only.value, Value::Array(_) | Value::String(_)) => {
                repairs.push(format!("`{field}` nested in an array"));
                numbers(only, field, repairs)
            }
            items => items.iter().map(|item| number(item, field, repairs)).collect(),
        },
        Value::Object(_) => {
            let (Some(x), Some(y)) = (node.get("x"), node.get("y")) else {
                return Err(Fault::Unexpected {
                    expected: "a point [x, y]",
                    found: "an object without `x` and `y`".to_owned(),
                });
            };
            repairs.push(format!("an object in `{field}`"));
            Ok(vec![number(x, field, repairs)?, number(y, field, repairs)?])
        }
        Value::String(text) => {
            repairs.push(format!("a string in `{field}`"));
            spelled_numbers(text)
        }
        other => {
            Err(Fault::Unexpected { expected: "a point [x, y]", found: other.kind().to_owned() })
        }
    }
}

/// Reads the numbers of a point or box that is written as text, with or without its tags.
pub(super) fn spelled_numbers(text: &str) -> Result<Vec<f64>, Fault> {
    const TAGS: [&str; 6] =
        ["<|box_start|>", "<|box_end|>", "<point>", "</point>", "<bbox>", "</bbox>"];
    let mut inner = text.to_owned();
    for tag in TAGS {
        inner = inner.replace(tag, " ");
    }
    let is_between = |c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | '[' | ']');
    let parts = inner.split(is_between).filter(|part| !part.is_empty());
    parts.map(|part| spelled(part, text)).collect()
}

fn number(node: &Node, field: &str, repairs: &mut Vec<String>) -> Result<f64, Fault> {
    match &node.value {
        Value::Number { value, .. } => Ok(*value),
        Value::String(text) => {
            let number = spelled(text.trim(), text)?;
            repairs.push(format!("a number as a string in `{field}`"));
            Ok(number)
        }
        other => Err(Fault::Unexpected { expected: "a number", found: other.kind().to_owned() }),
    }
}

/// Reads plain decimal digits; `inf`, `1e3` and the like are no pixels.
fn spelled(part: &str, whole: &str) -> Result<f64, Fault> {
    let is_plain = part.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    let parsed = if is_plain { part.parse().ok() } else { None };
    let bad = || Fault::Unexpected { expected: "a number", found: format!("{whole:?}") };
    parsed.ok_or_else(bad)
}

/// Returns the pixel a coordinate lies in. Models mean the pixel they name, so 12.6 is pixel 12.
fn pixel(value: f64) -> Result<i32, Fault> {
    if (0.0..=f64::from(i32::MAX)).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked just above")]
        return Ok(value as i32);
    }
    Err(Fault::NoPixel { value })
}
