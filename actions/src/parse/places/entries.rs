//! Places in JSON, or in what a model took for JSON.

use std::ops::Range;

use serde_json::Map;

use super::{Found, Reader, ShapeKind};
use crate::parse::error::{Fault, ParseError};
use crate::parse::lenient::{self, Node, Value};
use crate::parse::point::spelled_numbers;

/// What models call a box or a point, each kind's own names first.
const BOX_FIELDS: &[&str] =
    &["bbox_2d", "bbox", "box_2d", "box", "bounding_box", "bbox2d", "boxes"];
const POINT_FIELDS: &[&str] =
    &["point_2d", "point", "coordinate", "coordinates", "position", "point2d", "points"];

/// The corners of a place, each in a field of its own.
const CORNERS: &[[&str; 4]] = &[
    ["x1", "y1", "x2", "y2"],
    ["x_min", "y_min", "x_max", "y_max"],
    ["xmin", "ymin", "xmax", "ymax"],
];

/// What models call the label, likeliest first.
const LABELS: &[&str] =
    &["label", "name", "text", "text_content", "description", "class", "object"];

/// What a list of entries is called that has a name: it labels none of them.
const LISTS: &[&str] =
    &["objects", "items", "elements", "results", "detections", "annotations", "answer", "data"];

/// A text, and where it lies in the reply.
#[derive(Clone, Copy)]
struct Source<'a> {
    text: &'a str,
    base: usize,
}

impl Source<'_> {
    /// Returns where in the reply the first of these characters follows a node.
    fn end_of(self, node: &Node, closing: &[char]) -> usize {
        let rest = &self.text[node.offset - self.base..];
        node.offset + rest.find(closing).unwrap_or(rest.len())
    }
}

impl Reader {
    /// Reads all JSON in a text; `base` is where the text lies in the reply. Returns whether there is
    /// any that may be a list of places.
    pub(super) fn entries(&mut self, text: &str, base: usize) -> bool {
        let mut is_list = false;
        let mut at = 0;
        while let Some(open) = text[at..].find(['[', '{', '(']).map(|open| at + open) {
            let end = if begins_list(&text[open..]) {
                Some(self.list(text, open, base))
            } else {
                self.single(text, open, base)
            };
            is_list |= end.is_some();
            at = end.unwrap_or(open + 1);
        }
        is_list
    }

    /// Reads the one value that begins at `open`, and returns where it ends; nothing if it is no
    /// place, as a bracket in a sentence is not.
    fn single(&mut self, text: &str, open: usize, base: usize) -> Option<usize> {
        match lenient::read(&text[open..], base + open) {
            Ok(reading) => {
                let is_object = matches!(reading.node.value, Value::Object(_));
                if !is_object && plain_numbers(&reading.node).is_none_or(|n| n.len() < 2) {
                    return None;
                }
                self.list.is_cut_off |= reading.is_cut_off;
                self.mended(&reading.repairs);
                self.collect(&reading.node, "", Source { text, base });
                Some(reading.end - base)
            }
            Err(broken) if broken.is_json => {
                self.broken(broken.error);
                Some(next_entry(text, open + 1))
            }
            Err(_) => None,
        }
    }

    /// Reads the entries of the list that begins at `open`, and returns where it ends.
    fn list(&mut self, text: &str, open: usize, base: usize) -> usize {
        let mut at = open + 1;
        loop {
            at += blanks(&text[at..]);
            match text[at..].chars().next() {
                None => {
                    self.list.is_cut_off = true;
                    return at;
                }
                Some(']') => return at + 1,
                Some(_) => {}
            }
            match lenient::read(&text[at..], base + at) {
                Ok(reading) => {
                    self.list.is_cut_off |= reading.is_cut_off;
                    self.mended(&reading.repairs);
                    self.collect(&reading.node, "", Source { text, base });
                    at = reading.end - base;
                }
                Err(broken) => {
                    let is_cut_off = is_cut_off(&broken.error);
                    self.broken(broken.error);
                    if is_cut_off {
                        return text.len();
                    }
                    at = next_entry(text, at + 1);
                }
            }
        }
    }

    /// Notes what is wrong with an entry; one that the reply breaks off in is not wrong.
    fn broken(&mut self, error: ParseError) {
        if is_cut_off(&error) {
            self.list.is_cut_off = true;
        } else {
            self.refuse(error);
        }
    }

    fn mended(&mut self, repairs: &[&str]) {
        for repair in repairs {
            // What is missing at the end is told of by itself.
            if *repair != "a missing closing brace" {
                self.note((*repair).to_owned());
            }
        }
    }

    /// Takes the places in a value. `label` is what it is called, if anything.
    fn collect(&mut self, node: &Node, label: &str, source: Source<'_>) {
        if let Some(numbers) = plain_numbers(node) {
            let span = span(node, source);
            let (field, offset) = (self.kind.field().to_owned(), node.offset);
            let (label, fields) = (label.to_owned(), Map::new());
            self.take(Found { numbers, label, fields, span, offset, field });
            return;
        }
        match &node.value {
            Value::Array(items) => {
                for item in items {
                    self.collect(item, label, source);
                }
            }
            Value::Object(fields) => self.object(node, fields, label, source),
            other => {
                let fault = Fault::Unexpected {
                    expected: "an entry with a place",
                    found: other.kind().to_owned(),
                };
                self.refuse(ParseError::Json { offset: node.offset, fault });
            }
        }
    }

    fn object(&mut self, node: &Node, fields: &[(String, Node)], outer: &str, source: Source<'_>) {
        let (first, second) = match self.kind {
            ShapeKind::Boxes => (BOX_FIELDS, POINT_FIELDS),
            ShapeKind::Points => (POINT_FIELDS, BOX_FIELDS),
        };
        let named = |names: &[&str]| {
            let is_place = |name: &&&str| node.get(name).is_some_and(holds_numbers);
            names.iter().find(is_place).map(|name| (*name).to_owned())
        };
        let label_field = LABELS.iter().find(|name| node.get(name).is_some_and(is_word));
        let label = label_field.and_then(|name| node.get(name)).map_or(outer.to_owned(), word);
        let place_field = named(first).or_else(|| named(second));
        let corners =
            CORNERS.iter().find(|names| names.iter().all(|name| node.get(name).is_some()));
        let is_point = node.get("x").is_some() && node.get("y").is_some();
        let own: &[&str] = match (corners, is_point) {
            (Some(corners), _) => corners,
            (None, true) => &["x", "y"],
            (None, false) => &[],
        };
        let rest = || {
            let is_rest = |(name, _): &&(String, Node)| {
                Some(name) != place_field.as_ref()
                    && !own.contains(&name.as_str())
                    && label_field != Some(&name.as_str())
            };
            let rest = fields.iter().filter(is_rest);
            rest.map(|(name, node)| (name.clone(), json(node))).collect::<Map<_, _>>()
        };
        if let Some(field) = &place_field {
            let value = node.get(field).expect("it was found there");
            self.numbers(value, field, &label, &rest(), source);
        } else if !own.is_empty() {
            let mut numbers = Vec::new();
            for name in own {
                match node.get(name).map(|node| &node.value) {
                    Some(Value::Number { value, .. }) => numbers.push(*value),
                    other => {
                        let found = other.map_or("nothing", Value::kind).to_owned();
                        let fault = Fault::Unexpected { expected: "a number", found };
                        let field = (*name).to_owned();
                        return self.refuse(ParseError::Field {
                            offset: node.offset,
                            field,
                            fault,
                        });
                    }
                }
            }
            let end = source.end_of(node, &['}']);
            let (span, offset, field) = (node.offset..end, node.offset, own.join(", "));
            self.take(Found { numbers, label, fields: rest(), span, offset, field });
        } else {
            self.by_name(node, fields, &label, source);
        }
    }

    /// Takes the places of an object that has none of its own: `{"objects": […]}` or
    /// `{"Save": [x1, y1, x2, y2]}`.
    fn by_name(&mut self, node: &Node, fields: &[(String, Node)], label: &str, source: Source<'_>) {
        let mut is_any = fields.is_empty();
        for (name, value) in fields {
            let holds_places = match &value.value {
                Value::Array(_) => true,
                Value::Object(inner) => !inner.is_empty(),
                _ => false,
            };
            if holds_places {
                is_any = true;
                let is_list = LISTS.contains(&name.as_str())
                    || BOX_FIELDS.contains(&name.as_str())
                    || POINT_FIELDS.contains(&name.as_str());
                self.collect(value, if is_list { label } else { name }, source);
            }
        }
        if !is_any {
            let wanted = self.kind.field();
            self.refuse(ParseError::PlacelessEntry { offset: node.offset, wanted });
        }
    }

    /// Takes the place, or the several places, in a field that is named after one.
    fn numbers(
        &mut self,
        value: &Node,
        field: &str,
        label: &str,
        fields: &Map<String, serde_json::Value>,
        source: Source<'_>,
    ) {
        let refuse =
            |fault| ParseError::Field { offset: value.offset, field: field.to_owned(), fault };
        let numbers = match &value.value {
            Value::String(spelled) => {
                self.note(format!("a string in `{field}`"));
                spelled_numbers(spelled)
            }
            Value::Array(items)
                if items.iter().any(|item| matches!(item.value, Value::Array(_))) =>
            {
                // [[x1, y1], [x2, y2]] is one box by its corners; other lists hold several places.
                let pairs: Option<Vec<_>> = items.iter().map(plain_numbers).collect();
                match (self.kind, pairs) {
                    (ShapeKind::Boxes, Some(pairs))
                        if pairs.len() == 2 && pairs.iter().all(|pair| pair.len() == 2) =>
                    {
                        Ok(pairs.concat())
                    }
                    _ => {
                        for item in items {
                            self.numbers(item, field, label, fields, source);
                        }
                        return;
                    }
                }
            }
            Value::Object(inner) => return self.object(value, inner, label, source),
            _ => plain_numbers(value).ok_or_else(|| Fault::Unexpected {
                expected: "a list of numbers",
                found: value.value.kind().to_owned(),
            }),
        };
        match numbers {
            Ok(numbers) => {
                let (label, offset, field) = (label.to_owned(), value.offset, field.to_owned());
                let (fields, span) = (fields.clone(), span(value, source));
                self.take(Found { numbers, label, fields, span, offset, field });
            }
            Err(fault) => self.refuse(refuse(fault)),
        }
    }
}

/// Whether the reply breaks off inside a value.
fn is_cut_off(error: &ParseError) -> bool {
    matches!(error, ParseError::Json { fault: Fault::CutOff { .. }, .. })
}

/// Whether a text begins a list of entries, as opposed to the four numbers of a box.
fn begins_list(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('[') else { return false };
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with(['{', '[', '(', ']', '"', '\''])
}

/// How many bytes of blanks and commas a text begins with.
fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches(|c: char| c.is_whitespace() || c == ',').len()
}

/// Returns where the next entry, or the end of the list, may be.
fn next_entry(text: &str, from: usize) -> usize {
    let mut from = from;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].find('{').map_or(text.len(), |at| from + at)
}

/// Returns the numbers of a list that is nothing but numbers.
fn plain_numbers(node: &Node) -> Option<Vec<f64>> {
    let Value::Array(items) = &node.value else { return None };
    if items.is_empty() {
        return None;
    }
    let number = |item: &Node| match &item.value {
        Value::Number { value, .. } => Some(*value),
        _ => None,
    };
    items.iter().map(number).collect()
}

/// Whether a field named after a place can hold one.
fn holds_numbers(node: &Node) -> bool {
    match &node.value {
        Value::Array(items) => !items
            .iter()
            .any(|item| matches!(&item.value, Value::Object(_) | Value::Bool(_) | Value::Null)),
        Value::String(_) => true,
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}

fn is_word(node: &Node) -> bool {
    matches!(node.value, Value::String(_) | Value::Number { .. } | Value::Bool(_) | Value::Null)
}

/// Returns a label as text.
fn word(node: &Node) -> String {
    match &node.value {
        Value::String(text) => text.clone(),
        Value::Number { spelling, .. } => spelling.clone(),
        Value::Bool(value) => value.to_string(),
        _ => String::new(),
    }
}

/// Returns the bytes of the reply between the brackets of a list of numbers.
fn span(node: &Node, source: Source<'_>) -> Range<usize> {
    let bracket = usize::from(matches!(node.value, Value::Array(_)));
    node.offset + bracket..source.end_of(node, &[']', ')'])
}

/// Returns a value as plain JSON.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number { value, spelling } => match spelling.parse::<i64>() {
            Ok(integer) => integer.into(),
            Err(_) => (*value).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, node)| (name.clone(), json(node)))
            .collect::<Map<_, _>>()
            .into(),
    }
}
