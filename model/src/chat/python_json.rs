//! JSON as Python's `json.dumps(value, ensure_ascii=False)` writes it.
//!
//! The checkpoints were trained on such text: a space after every comma and colon, keys in the order
//! they came. Other spacing is other tokens.
//!
//! # Source
//!
//! `json/encoder.py` of Python 3.11, and `float.__repr__` for numbers.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// Returns `value` in Python's spelling.
pub fn python_json(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PythonFormatter);
    // A `Value` has string keys only, and a vector takes every byte: this cannot fail.
    let written = value.serialize(&mut serializer).ok();
    written.and_then(|()| String::from_utf8(bytes).ok()).unwrap_or_default()
}

struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(python_float(value).as_bytes())
    }
}

/// The shortest digits that read back as `value`, with an exponent below 1e-4 and from 1e16 on.
fn python_float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python 3.11 printed for `json.dumps(json.loads(text), ensure_ascii=False)`.
    const PYTHON: &[(&str, &str)] = &[
        (
            r#"{"b":1,"a":[1,2,{"c":null}],"d":{}}"#,
            r#"{"b": 1, "a": [1, 2, {"c": null}], "d": {}}"#,
        ),
        (r#"["<tag> & 'x'","é 中 🙂","\u007f"]"#, "[\"<tag> & 'x'\", \"é 中 🙂\", \"\u{7f}\"]"),
        (r#"["\"\\/\b\f\n\r\t\u0000\u001F"]"#, r#"["\"\\/\b\f\n\r\t\u0000\u001f"]"#),
        ("[1.0,0.5,-0.0,0.0001,0.00001,-2.5e-7]", "[1.0, 0.5, -0.0, 0.0001, 1e-05, -2.5e-07]"),
        (
            "[1e15,1e16,123456789012345680.0,1.5e300,18446744073709551615]",
            "[1000000000000000.0, 1e+16, 1.2345678901234568e+17, 1.5e+300, 18446744073709551615]",
        ),
        ("[[],{},\"\",true,false]", "[[], {}, \"\", true, false]"),
    ];

    #[test]
    fn it_is_spelt_as_python_spells_it() {
        for (text, expected) in PYTHON {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(&python_json(&value), expected, "{text}");
            assert_eq!(serde_json::from_str::<Value>(expected).unwrap(), value, "{text}");
        }
    }
}
