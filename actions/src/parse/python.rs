//! A reader for calls in the form of Python: `click(start_box='(12,34)')`.
//!
//! It reads no expressions, only a name and literal arguments, and keeps the offset of each. Models
//! forget to escape a quote inside a text, so a quote ends a string only where an argument can end;
//! what is left of the line after the call must then be empty, or the text was cut in the wrong
//! place.

use super::error::{Fault, ParseError};
use super::lenient::{Node, Value};

/// A call, and where it lies in the reply.
#[derive(Debug)]
pub(super) struct PythonCall {
    /// The name, with the dots it is written with.
    pub(super) name: String,
    pub(super) offset: usize,
    pub(super) positional: Vec<Node>,
    pub(super) named: Vec<(String, Node)>,
    /// Where the call ends.
    pub(super) end: usize,
    pub(super) repairs: Vec<&'static str>,
    /// Whether the closing parenthesis was missing at the end of the text.
    pub(super) is_cut_off: bool,
}

impl PythonCall {
    /// Refuses a call that breaks off before its closing parenthesis.
    pub(super) fn must_be_whole(&self) -> Result<(), ParseError> {
        if !self.is_cut_off {
            return Ok(());
        }
        Err(ParseError::Call { offset: self.end, fault: Fault::CutOff { inside: "a call" } })
    }
}

/// Deeper than any argument, and shallow enough for the stack.
const MAX_DEPTH: usize = 6;
/// More arguments than any function has.
const MAX_ARGUMENTS: usize = 64;

/// Whether the text begins with a name and an opening parenthesis.
pub(super) fn begins_call(text: &str) -> bool {
    let name = name_length(text);
    name > 0 && text[name..].trim_start_matches([' ', '\t']).starts_with('(')
}

/// Reads the call that begins `text`; `offset` is where the text lies in the reply.
pub(super) fn read(text: &str, offset: usize) -> Result<PythonCall, ParseError> {
    let mut reader = Reader { text, at: 0, offset, repairs: Vec::new(), is_cut_off: false };
    let name = reader.name()?;
    let mut call = PythonCall {
        name,
        offset,
        positional: Vec::new(),
        named: Vec::new(),
        end: 0,
        repairs: Vec::new(),
        is_cut_off: false,
    };
    reader.arguments(&mut call)?;
    call.end = offset + reader.at;
    call.repairs = reader.repairs;
    call.is_cut_off = reader.is_cut_off;
    Ok(call)
}

/// How many bytes a dotted name takes.
fn name_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return 0;
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    offset: usize,
    repairs: Vec<&'static str>,
    is_cut_off: bool,
}

impl Reader<'_> {
    fn name(&mut self) -> Result<String, ParseError> {
        let length = name_length(self.rest());
        if length == 0 {
            return Err(self.unexpected("the name of an action"));
        }
        let name = self.rest()[..length].to_owned();
        self.at += length;
        Ok(name)
    }

    fn arguments(&mut self, call: &mut PythonCall) -> Result<(), ParseError> {
        self.skip_blanks();
        if self.peek() != Some('(') {
            return Err(self.unexpected("`(`"));
        }
        self.at += 1;
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(')') => {
                    self.at += 1;
                    return Ok(());
                }
                // Nothing of an argument is there, so nothing of one is lost.
                None => {
                    self.cut_off();
                    return Ok(());
                }
                Some(_) => self.argument(call)?,
            }
            if call.positional.len() + call.named.len() > MAX_ARGUMENTS {
                return Err(self.broken(Fault::Depth));
            }
            self.skip_blanks();
            match self.peek() {
                Some(',') => self.at += 1,
                Some(')') => {
                    self.at += 1;
                    return Ok(());
                }
                None => {
                    self.cut_off();
                    return Ok(());
                }
                Some(_) => return Err(self.unexpected("`,` or `)`")),
            }
        }
    }

    fn cut_off(&mut self) {
        self.note("a missing closing parenthesis");
        self.is_cut_off = true;
    }

    fn argument(&mut self, call: &mut PythonCall) -> Result<(), ParseError> {
        let length = name_length(self.rest());
        let after = self.rest()[length..].trim_start_matches([' ', '\t']);
        if length == 0 || !after.starts_with('=') {
            let node = self.value(0)?;
            call.positional.push(node);
            return Ok(());
        }
        let name_at = self.offset + self.at;
        let name = self.name()?;
        if call.named.iter().any(|(known, _)| *known == name) {
            return Err(ParseError::Field { offset: name_at, field: name, fault: Fault::Twice });
        }
        self.skip_blanks();
        self.at += 1;
        let node = self.value(0)?;
        call.named.push((name, node));
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Node, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.broken(Fault::Depth));
        }
        self.skip_blanks();
        let offset = self.offset + self.at;
        let value = match self.peek() {
            Some(quote @ ('"' | '\'')) => Value::String(self.string(quote)?),
            Some('r' | 'f' | 'u') if self.rest()[1..].starts_with(['"', '\'']) => {
                self.at += 1;
                let quote = if self.peek() == Some('"') { '"' } else { '\'' };
                Value::String(self.string(quote)?)
            }
            Some('[') => self.sequence(']', depth)?,
            Some('(') => self.sequence(')', depth)?,
            Some('<') => self.tagged()?,
            Some('-' | '+' | '.' | '0'..='9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { offset, value })
    }

    fn sequence(&mut self, close: char, depth: usize) -> Result<Value, ParseError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(c) if c == close => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                None => return Err(self.broken(Fault::CutOff { inside: "a list" })),
                Some(_) if items.len() > MAX_ARGUMENTS => return Err(self.broken(Fault::Depth)),
                Some(_) => items.push(self.value(depth + 1)?),
            }
            self.skip_blanks();
            match self.peek() {
                Some(',') => self.at += 1,
                Some(c) if c == close => {}
                None => return Err(self.broken(Fault::CutOff { inside: "a list" })),
                Some(_) => return Err(self.unexpected("`,` or the end of the list")),
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<String, ParseError> {
        self.at += 1;
        let mut string = String::new();
        loop {
            match self.next() {
                None => return Err(self.broken(Fault::CutOff { inside: "a string" })),
                Some('\\') => self.escape(&mut string)?,
                Some(c) if c == quote => {
                    if self.ends_argument() {
                        return Ok(string);
                    }
                    self.note("an unescaped quote in a string");
                    string.push(c);
                }
                Some(c) => {
                    if c.is_control() {
                        self.note("a raw line break in a string");
                    }
                    string.push(c);
                }
            }
        }
    }

    /// Whether an argument can end here, so that the quote before was the end of a string.
    fn ends_argument(&self) -> bool {
        let rest = self.rest().trim_start();
        let Some(next) = rest.chars().next() else { return true };
        match next {
            ')' | ']' => true,
            ',' => {
                let after = rest[1..].trim_start();
                let name = name_length(after);
                after.starts_with(['"', '\'', '[', '(', '<', ')', ']', '-'])
                    || after.starts_with(|c: char| c.is_ascii_digit())
                    || (name > 0 && after[name..].trim_start().starts_with('='))
            }
            _ => false,
        }
    }

    /// Reads what follows a backslash as Python does: one it does not know stays as it is.
    fn escape(&mut self, string: &mut String) -> Result<(), ParseError> {
        match self.next() {
            None => return Err(self.broken(Fault::CutOff { inside: "a string" })),
            Some('n') => string.push('\n'),
            Some('r') => string.push('\r'),
            Some('t') => string.push('\t'),
            Some(c @ ('\\' | '\'' | '"')) => string.push(c),
            Some('u') => match self.unicode() {
                Some(c) => string.push(c),
                None => string.push_str("\\u"),
            },
            Some(c) => {
                string.push('\\');
                string.push(c);
            }
        }
        Ok(())
    }

    fn unicode(&mut self) -> Option<char> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        self.at += 4;
        Some(c)
    }

    /// Reads a place that lost the quotes around its tags.
    fn tagged(&mut self) -> Result<Value, ParseError> {
        const TAGS: [(&str, &str); 3] =
            [("<point>", "</point>"), ("<bbox>", "</bbox>"), ("<|box_start|>", "<|box_end|>")];
        for (open, close) in TAGS {
            if !self.rest().starts_with(open) {
                continue;
            }
            let Some(length) = self.rest().find(close) else {
                return Err(self.broken(Fault::CutOff { inside: "a point" }));
            };
            let inner = self.rest()[open.len()..length].to_owned();
            self.at += length + close.len();
            self.note("a point without quotes");
            return Ok(Value::String(inner));
        }
        Err(self.unexpected("a value"))
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let is_part = |c: char| matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E' | '_');
        let length = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        if length == self.rest().len() {
            return Err(self.broken(Fault::CutOff { inside: "a number" }));
        }
        let spelling = self.rest()[..length].to_owned();
        let value = spelling.parse().ok().filter(|value: &f64| value.is_finite());
        let value = value.ok_or_else(|| self.unexpected("a number"))?;
        self.at += length;
        Ok(Value::Number { value, spelling })
    }

    fn word(&mut self) -> Result<Value, ParseError> {
        let words = [
            ("None", Value::Null),
            ("True", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ];
        for (word, value) in words {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        if self.rest().is_empty() {
            return Err(self.broken(Fault::CutOff { inside: "an argument" }));
        }
        Err(self.unexpected("a value"))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn note(&mut self, repair: &'static str) {
        if !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
    }

    fn broken(&self, fault: Fault) -> ParseError {
        ParseError::Call { offset: self.offset + self.at, fault }
    }

    fn unexpected(&self, expected: &'static str) -> ParseError {
        let found = match self.peek() {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        self.broken(Fault::Unexpected { expected, found })
    }
}
