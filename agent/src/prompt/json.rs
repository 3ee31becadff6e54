//! JSON with a space after each comma and colon, as Python's `json.dumps` writes it.
//!
//! The checkpoints were trained on prompts that Python wrote. Other spacing is other tokens.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// Returns `value` as Python's `json.dumps(value, ensure_ascii=False)` would write it.
pub(crate) fn python_json(value: &serde_json::Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, PythonSpacing);
    value.serialize(&mut serializer).expect("a JSON value can be written to memory");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

struct PythonSpacing;

impl Formatter for PythonSpacing {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spacing_and_characters_are_those_of_python() {
        let value = json!({"b": [1, 2.5, null], "a": {"é": "中 \"x\"\n"}, "c": []});
        assert_eq!(
            python_json(&value),
            r#"{"b": [1, 2.5, null], "a": {"é": "中 \"x\"\n"}, "c": []}"#
        );
    }
}
