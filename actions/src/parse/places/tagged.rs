//! Places in tags: the tokens of Qwen-VL and Qwen2-VL, and the XML that the cookbooks ask for.

use std::ops::Range;

use serde_json::Map;

use super::{Found, Reader};
use crate::parse::ParseError;
use crate::parse::point::spelled_numbers;

/// Tags around the numbers of a box or point.
const TAGS: &[(&str, &str)] = &[
    ("<|box_start|>", "<|box_end|>"),
    ("<box>", "</box>"),
    ("<bbox>", "</bbox>"),
    ("<point>", "</point>"),
];

/// Tags around what is there, which stand before its place.
const LABELS: &[(&str, &str)] =
    &[("<|object_ref_start|>", "<|object_ref_end|>"), ("<ref>", "</ref>")];

impl Reader {
    /// Reads all tagged places in a text; `base` is where the text lies in the reply. Returns whether
    /// there is any.
    pub(super) fn tagged(&mut self, text: &str, base: usize) -> bool {
        let mut is_any = false;
        // Where the label of the next place may begin.
        let mut from = 0;
        let mut at = 0;
        while let Some(open) = text[at..].find('<').map(|open| at + open) {
            let rest = &text[open..];
            let tag = TAGS.iter().find(|(tag, _)| rest.starts_with(tag));
            at = if let Some((tag, close)) = tag {
                is_any = true;
                let start = open + tag.len();
                let Some(length) = text[start..].find(close) else {
                    self.list.is_cut_off = true;
                    return true;
                };
                let label = label(&text[from..open]);
                let end = start + length;
                self.spelled(&text[start..end], base + start..base + end, label);
                from = end + close.len();
                from
            } else if let Some(after) = xml_name(rest) {
                is_any = true;
                let Some(length) = rest.find('>') else {
                    self.list.is_cut_off = true;
                    return true;
                };
                self.xml(&rest[after..length], &rest[length + 1..], base + open + after);
                open + length + 1
            } else {
                open + 1
            };
        }
        is_any
    }

    fn spelled(&mut self, spelled: &str, span: Range<usize>, label: String) {
        let (field, offset) = ("box".to_owned(), span.start);
        match spelled_numbers(spelled) {
            Ok(numbers) => {
                self.take(Found { numbers, label, fields: Map::new(), span, offset, field });
            }
            Err(fault) => self.refuse(ParseError::Field { offset, field, fault }),
        }
    }

    /// Takes the points of `<points x1="…" y1="…" x2="…" y2="…" alt="…">phrase</points>`.
    fn xml(&mut self, attributes: &str, after: &str, base: usize) {
        let phrase = after.find("</point").map_or("", |end| after[..end].trim());
        let label = attribute(attributes, "alt").map_or(phrase, |(_, alt)| alt).to_owned();
        let mut number = 0;
        loop {
            // The only point of all has no number, or the number 1.
            let suffix = if number == 0 { String::new() } else { number.to_string() };
            let value = |axis: char| attribute(attributes, &format!("{axis}{suffix}"));
            match (value('x'), value('y')) {
                (Some((start, x)), Some((end, y))) => {
                    let span = base + start.min(end)..base + (start + x.len()).max(end + y.len());
                    self.spelled(&format!("{x} {y}"), span, label.clone());
                }
                _ if number > 0 => return,
                _ => {}
            }
            number += 1;
        }
    }
}

/// Returns the label that stands in its tags in a text; the last, if there are several.
fn label(text: &str) -> String {
    let mut labels = LABELS.iter().filter_map(|(open, close)| {
        let start = text.rfind(open)? + open.len();
        Some(text[start..].split(close).next().unwrap_or_default().trim().to_owned())
    });
    labels.next_back().unwrap_or_default()
}

/// Returns where the attributes of a tag of points begin, if it is one.
fn xml_name(text: &str) -> Option<usize> {
    let names = ["<points", "<point"];
    let name = names.iter().find(|name| text.starts_with(**name))?;
    text[name.len()..].starts_with(char::is_whitespace).then_some(name.len())
}

/// Returns the value of an attribute, and where it begins.
fn attribute<'t>(attributes: &'t str, name: &str) -> Option<(usize, &'t str)> {
    let mut rest = attributes;
    loop {
        let (own, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, next) = after[1..].split_once(quote)?;
        if own.trim() == name {
            return Some((attributes.len() - next.len() - 1 - value.len(), value));
        }
        rest = next;
    }
}
