//! Values and comments as a person would write them in YAML: on one line, without quotes where none are
//! needed.

use std::fmt::Write as _;

use serde_json::Value;

/// Returns a value in flow style.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) => quoted(text),
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let fields: Vec<String> =
                map.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// Returns a comment, on one line.
pub(super) fn comment(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("# {}", text.trim())
}

/// Whether a text is the same without quotes: words that YAML takes for nothing else.
fn is_plain(text: &str) -> bool {
    const TAKEN: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = |c: char| c.is_ascii_alphanumeric() || " _-+./".contains(c);
    begins
        && !text.ends_with(' ')
        && text.chars().all(plain)
        && !TAKEN.contains(&text.to_ascii_lowercase().as_str())
}

/// Returns a text in quotes.
fn quoted(text: &str) -> String {
    let is_odd =
        |c: char| c.is_control() || ['\'', '\\', '\u{2028}', '\u{2029}', '\u{feff}'].contains(&c);
    if text.contains('"') && !text.contains(is_odd) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            // YAML has no such characters but as escapes, and reads some as ends of lines.
            c if c.is_control() || ['\u{2028}', '\u{2029}', '\u{feff}'].contains(&c) => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
