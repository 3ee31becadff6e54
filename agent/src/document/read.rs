//! The HTML of a reply → the parts of a document, and a clean page of them.
//!
//! The tokens are read as browsers read them, so that entities, quotes and broken tags have their
//! usual meaning. What is made of them is less than a browser makes: parts with their texts and boxes.

use handsight_actions::{Fault, Frame, Mend, ModelBox, ParseError, read_box};
use html5gum::{DefaultEmitter, HtmlString, Spanned, StartTag, Token, Tokenizer};

use super::Element;
use super::page::{Page, is_known, is_void};

/// The most elements of a document; more are a model that repeats itself.
const MAX_ELEMENTS: usize = 10_000;

/// Deeper than any document; tags inside are left out.
const MAX_DEPTH: usize = 200;

/// What was read of a reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DocumentText {
    /// The parts, in the order of reading.
    pub elements: Vec<Element>,
    /// The whole as an HTML page, with the boxes in pixels of the picture.
    pub html: String,
    /// What had to be mended, for people.
    pub repairs: Vec<String>,
    /// Why some boxes cannot be used; their elements are without one.
    pub refused: Vec<ParseError>,
    /// Whether it breaks off before its end.
    pub is_cut_off: bool,
}

/// Why a reply is no document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// There is nothing in it.
    #[error("the reply is empty")]
    Empty,
    /// There is no tag in it.
    #[error("the reply has no HTML: expected `<html><body>…</body></html>`")]
    NoHtml,
}

/// Reads the document in a reply, in a code fence or not; `frame` is that of the picture.
///
/// # Errors
///
/// [`DocumentError`] if there is none.
pub fn read_document_html(reply: &str, frame: Frame) -> Result<DocumentText, DocumentError> {
    if reply.trim().is_empty() {
        return Err(DocumentError::Empty);
    }
    let start = start_of_html(reply).ok_or(DocumentError::NoHtml)?;
    let rest = &reply[start..];
    // A fence ends the document, if it is on a line of its own.
    let html = &rest[..rest.find("\n```").unwrap_or(rest.len())];
    let whole = html.rfind('<').filter(|&last| !html[last..].contains('>')).unwrap_or(html.len());
    let mut reader = Reader {
        base: start,
        frame,
        read: DocumentText { is_cut_off: whole < html.len(), ..DocumentText::default() },
        page: Page::default(),
        open: Vec::new(),
        skipping: None,
    };
    let html = hide_signs(&html[..whole]);
    let emitter = DefaultEmitter::<usize>::new_with_span();
    for token in Tokenizer::new_with_emitter(&html, emitter) {
        let Ok(token) = token;
        reader.token(token);
    }
    Ok(reader.finish())
}

/// Stands for a `<` that begins no tag. It is as long, so that every place stays where it is.
const SIGN: char = '\u{1}';

/// Hides every `<` that begins no tag: formulas are full of them.
fn hide_signs(html: &str) -> String {
    let mut hidden = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        hidden.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        hidden.push(if begins_tag(rest) { '<' } else { SIGN });
    }
    hidden + rest
}

/// Whether what follows a `<` makes a tag of it.
fn begins_tag(rest: &str) -> bool {
    let name = rest.strip_prefix('/').unwrap_or(rest);
    let length =
        name.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name[length..].starts_with(|c: char| c.is_whitespace() || matches!(c, '/' | '>'));
    let closes = rest.find('>').is_some_and(|end| rest.find('<').is_none_or(|next| end < next));
    rest.starts_with('!') || (is_name && closes)
}

/// Returns where the first tag of a reply is that a document can begin with.
fn start_of_html(reply: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += reply[at..].find('<')?;
        let rest = &reply[at + 1..];
        let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        let name = name.to_ascii_lowercase();
        if name == "html" || is_known(&name) || rest.starts_with("!DOCTYPE") {
            return Some(at);
        }
        at += 1;
    }
}

/// An open tag.
struct Open {
    name: String,
    /// Which element it is, if it is one.
    element: Option<usize>,
    /// Whether the page has it, too.
    is_on_page: bool,
}

struct Reader {
    /// Where the HTML begins in the reply.
    base: usize,
    frame: Frame,
    read: DocumentText,
    page: Page,
    open: Vec<Open>,
    /// The tag whose content is left out, as that of `script` is.
    skipping: Option<String>,
}

impl Reader {
    fn token(&mut self, token: Token<usize>) {
        if let Some(name) = &self.skipping {
            if matches!(&token, Token::EndTag(tag) if *tag.name == name.as_bytes()) {
                self.skipping = None;
            }
            return;
        }
        match token {
            Token::StartTag(tag) => self.start(&tag),
            Token::EndTag(tag) => self.end(&text(&tag.name)),
            Token::String(string) => self.text(&text(&string)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }

    fn start(&mut self, tag: &StartTag<usize>) {
        let name = text(&tag.name);
        match name.as_str() {
            "script" | "style" | "title" | "head" | "template" => {
                self.skipping = Some(name);
                return;
            }
            "html" | "body" => {
                if !self.open.iter().any(|open| open.name == name) {
                    self.open.push(Open { name, element: None, is_on_page: false });
                }
                return;
            }
            "br" => return self.text_as_is("\n"),
            _ => {}
        }
        if self.open.len() >= MAX_DEPTH {
            return;
        }
        self.close_implied(&name);
        let attribute = |wanted: &str| tag.attributes.get(wanted.as_bytes());
        let class = attribute("class").map(|class| text(class)).filter(|class| !class.is_empty());
        let model_box = attribute("data-bbox").and_then(|value| self.area(value));
        let has_box = attribute("data-bbox").is_some();
        let is_cell = self.open.iter().any(|open| open.name == "table");
        let is_part = matches!(
            name.as_str(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "p" | "li" | "table" | "pre" | "caption"
        );
        let mut element = None;
        if (has_box || is_part) && !is_cell && self.read.elements.len() < MAX_ELEMENTS {
            element = Some(self.read.elements.len());
            self.read.elements.push(Element {
                tag: name.clone(),
                class: class.clone(),
                area: model_box.map(|area| self.frame.box_to_pixels(area)),
                model_box,
                ..Element::default()
            });
        }
        if is_cell {
            self.cell(&name);
        }
        let is_on_page = is_known(&name);
        if is_on_page {
            let area = model_box.map(|area| self.frame.box_to_pixels(area));
            let spans = ["colspan", "rowspan"].map(|name| (name, attribute(name).map(|n| text(n))));
            self.page.start(&name, class.as_deref(), area, &spans);
        }
        if !is_void(&name) {
            self.open.push(Open { name, element, is_on_page });
        }
    }

    /// Begins a row or a cell of the innermost table that is an element.
    fn cell(&mut self, name: &str) {
        let Some(rows) = self.table().map(|table| &mut table.rows) else { return };
        match name {
            "tr" => rows.push(Vec::new()),
            "td" | "th" => {
                if rows.is_empty() {
                    rows.push(Vec::new());
                }
                if let Some(row) = rows.last_mut() {
                    row.push(String::new());
                }
            }
            _ => {}
        }
    }

    fn table(&mut self) -> Option<&mut Element> {
        let open =
            self.open.iter().rev().find(|open| open.name == "table" && open.element.is_some());
        open.and_then(|open| open.element).map(|index| &mut self.read.elements[index])
    }

    /// Closes what the start of such a tag closes without saying so.
    fn close_implied(&mut self, name: &str) {
        let closes: &[&str] = match name {
            "li" => &["li"],
            "tr" => &["td", "th", "tr"],
            "td" | "th" => &["td", "th"],
            "p" | "div" | "table" | "ul" | "ol" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6"
            | "pre" => &["p"],
            _ => return,
        };
        let bounds = ["ul", "ol", "table", "div"];
        let within = self.open.iter().rposition(|open| bounds.contains(&open.name.as_str()));
        let from = within.map_or(0, |index| index + 1);
        let at = self.open[from..].iter().position(|open| closes.contains(&open.name.as_str()));
        if let Some(at) = at {
            self.close_to(from + at);
        }
    }

    fn end(&mut self, name: &str) {
        // A closing tag of nothing is left out.
        if let Some(at) = self.open.iter().rposition(|open| open.name == name) {
            self.close_to(at);
        }
    }

    fn close_to(&mut self, at: usize) {
        for open in self.open.drain(at..).rev() {
            if open.is_on_page {
                self.page.end(&open.name);
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.page.text(text);
        if self.target().is_none() && !text.trim().is_empty() {
            self.begin_unmarked();
        }
        if let Some(into) = self.target() {
            push_words(into, text);
        }
    }

    /// Makes an element of the innermost tag, which has text and neither a box nor a meaning.
    fn begin_unmarked(&mut self) {
        if self.read.elements.len() == MAX_ELEMENTS {
            return;
        }
        let shown = self.open.iter().rev().find(|open| open.is_on_page);
        let tag = shown.map_or("body", |open| &open.name).to_owned();
        if let Some(open) = self.open.last_mut() {
            open.element = Some(self.read.elements.len());
        }
        self.read.elements.push(Element { tag, ..Element::default() });
    }

    fn text_as_is(&mut self, text: &str) {
        self.page.line_break();
        if let Some(into) = self.target().filter(|into| !into.is_empty()) {
            into.push_str(text);
        }
    }

    /// Returns what text belongs to: the innermost element, or the cell of a table.
    fn target(&mut self) -> Option<&mut String> {
        let innermost = self.open.iter().rev().find_map(|open| open.element);
        let in_cell = self
            .open
            .iter()
            .rev()
            .find(|open| matches!(open.name.as_str(), "td" | "th") || open.element.is_some());
        let is_cell = in_cell.is_some_and(|open| open.element.is_none());
        let element = &mut self.read.elements[innermost?];
        if is_cell && let Some(cell) = element.rows.last_mut().and_then(|row| row.last_mut()) {
            return Some(cell);
        }
        Some(&mut element.text)
    }

    /// Reads a box; what is wrong with it is noted.
    fn area(&mut self, value: &Spanned<HtmlString, usize>) -> Option<ModelBox> {
        let spelled = text(value);
        match read_box(&spelled, self.frame.model) {
            Ok((area, mends)) => {
                for mend in mends {
                    self.note(match mend {
                        Mend::Swapped => format!("swapped corners of `{spelled}`"),
                        Mend::CutAtEdge => format!("cut `{spelled}` off at the edge of the image"),
                    });
                }
                Some(area)
            }
            Err(fault) => {
                self.refuse(self.base + value.span.start, fault);
                None
            }
        }
    }

    fn refuse(&mut self, offset: usize, fault: Fault) {
        if self.read.refused.len() < MAX_ELEMENTS {
            let field = "data-bbox".to_owned();
            self.read.refused.push(ParseError::Field { offset, field, fault });
        }
    }

    fn note(&mut self, repair: String) {
        if !self.read.repairs.contains(&repair) && self.read.repairs.len() < MAX_ELEMENTS {
            self.read.repairs.push(repair);
        }
    }

    fn finish(mut self) -> DocumentText {
        let is_open = |name: &str| self.open.iter().any(|open| open.name == name);
        self.read.is_cut_off |= is_open("html") || is_open("body");
        self.close_to(0);
        for element in &mut self.read.elements {
            let cells = element.rows.iter_mut().flatten();
            for text in std::iter::once(&mut element.text).chain(cells) {
                text.truncate(text.trim_end().len());
            }
        }
        self.read.html = self.page.finish();
        self.read
    }
}

/// Adds text with every run of blanks as one.
fn push_words(into: &mut String, text: &str) {
    if text.starts_with(char::is_whitespace)
        && !into.is_empty()
        && !into.ends_with(char::is_whitespace)
    {
        into.push(' ');
    }
    let mut is_first = true;
    for word in text.split_whitespace() {
        if !is_first {
            into.push(' ');
        }
        is_first = false;
        into.push_str(word);
    }
    if !is_first && text.ends_with(char::is_whitespace) {
        into.push(' ');
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(SIGN, "<")
}

#[cfg(test)]
mod tests;
