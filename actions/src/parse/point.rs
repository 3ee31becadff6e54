//! Points as models write them: `[x, y]`, a box, a string of either, an object.

use super::error::{Fault, ParseError};
use super::lenient::{Node, Value};
use crate::geometry::ModelPoint;

/// Reads a point; a box is read as its centre.
pub(super) fn point(
    node: &Node,
    field: &str,
    repairs: &mut Vec<String>,
) -> Result<ModelPoint, ParseError> {
    let refuse = |fault| ParseError::Field { offset: node.offset, field: field.to_owned(), fault };
    let numbers = numbers(node, field, repairs).map_err(refuse)?;
    if numbers.iter().all(|n| (0.0..=1.0).contains(n)) && numbers.iter().any(|n| n.fract() != 0.0) {
        return Err(refuse(Fault::Fraction));
    }
    let (x, y) = match numbers[..] {
        [x, y] => (x, y),
        [left, top, right, bottom] => {
            if right < left || bottom < top {
                return Err(refuse(Fault::InsideOut));
            }
            repairs.push(format!("a box in `{field}`"));
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
            let inner = text.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']);
            inner.split(',').map(|part| spelled(part.trim(), text)).collect()
        }
        other => {
            Err(Fault::Unexpected { expected: "a point [x, y]", found: other.kind().to_owned() })
        }
    }
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
