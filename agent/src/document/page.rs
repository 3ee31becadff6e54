//! The page that is written anew: only tags and attributes that show something, every one closed.

use std::fmt::Write;

use handsight_actions::Rect;

/// The tags that are kept.
const KNOWN: &[&str] = &[
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "div",
    "span",
    "ul",
    "ol",
    "li",
    "table",
    "caption",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "th",
    "td",
    "img",
    "figure",
    "figcaption",
    "pre",
    "code",
    "b",
    "strong",
    "i",
    "em",
    "u",
    "s",
    "sub",
    "sup",
    "blockquote",
    "hr",
];

/// Those that start lines of their own, so that the page can be read as text.
const LINES: &[&str] = &[
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "div",
    "ul",
    "ol",
    "li",
    "table",
    "tr",
    "figure",
    "img",
    "pre",
    "blockquote",
    "hr",
];

const START: &str = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>";

/// Whether a tag of that name is kept.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// Whether a tag of that name has nothing inside, and is never closed.
pub(super) fn is_void(name: &str) -> bool {
    matches!(
        name,
        "img"
            | "hr"
            | "br"
            | "input"
            | "meta"
            | "link"
            | "wbr"
            | "col"
            | "area"
            | "base"
            | "embed"
            | "source"
            | "track"
    )
}

/// A page under way.
#[derive(Default)]
pub(super) struct Page {
    body: String,
}

impl Page {
    /// Adds a tag; `area` is in pixels of the picture, `numbers` are attributes that are numbers.
    pub(super) fn start(
        &mut self,
        name: &str,
        class: Option<&str>,
        area: Option<Rect>,
        numbers: &[(&str, Option<String>)],
    ) {
        if LINES.contains(&name) && !self.body.ends_with('\n') {
            self.body.push('\n');
        }
        let _ = write!(self.body, "<{name}");
        if let Some(class) = class {
            let _ = write!(self.body, " class=\"{}\"", escaped(class));
        }
        if let Some(Rect { x, y, width, height }) = area {
            let (right, bottom) =
                (x.saturating_add_unsigned(width), y.saturating_add_unsigned(height));
            let _ = write!(self.body, " data-bbox=\"{x} {y} {right} {bottom}\"");
        }
        for (name, number) in numbers {
            if let Some(number) = number.as_ref().and_then(|number| number.parse::<u16>().ok()) {
                let _ = write!(self.body, " {name}=\"{number}\"");
            }
        }
        self.body.push('>');
    }

    pub(super) fn end(&mut self, name: &str) {
        let _ = write!(self.body, "</{name}>");
    }

    pub(super) fn text(&mut self, text: &str) {
        self.body.push_str(&escaped(text));
    }

    pub(super) fn line_break(&mut self) {
        self.body.push_str("<br>");
    }

    pub(super) fn finish(self) -> String {
        format!("{START}\n{}\n</body></html>\n", self.body.trim())
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
