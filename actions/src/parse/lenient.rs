//! A JSON reader for what models write.
//!
//! It keeps the offset of every value, for messages, and accepts a few slips that leave no doubt:
//! trailing commas, doubled braces, single quotes, tuples, line breaks in strings, and braces missing
//! at the very end. A text that ends inside a string, a number or an array is refused, because what
//! is missing may change the value that is there.

use super::error::{Fault, ParseError};

/// A value, and where in the reply it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) offset: usize,
    pub(super) value: Value,
}

/// A JSON value; fields keep their order and numbers their spelling.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number { value: f64, spelling: String },
    String(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Value {
    /// Names its type, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number { .. } => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl Node {
    /// Returns the field of that name, if this is an object that has it.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Value::Object(fields) = &self.value else { return None };
        fields.iter().find_map(|(key, node)| (key == name).then_some(node))
    }
}

/// What was read of a text.
pub(super) struct Reading {
    pub(super) node: Node,
    /// Where the value ends.
    pub(super) end: usize,
    pub(super) repairs: Vec<&'static str>,
    /// Whether closing braces were missing at the end.
    pub(super) is_cut_off: bool,
}

/// Why a text could not be read.
pub(super) struct Broken {
    pub(super) error: ParseError,
    /// Whether enough was read to tell that it was meant as JSON: a brace and a field's name.
    pub(super) is_json: bool,
}

/// Reads the value that begins `text`; `offset` is where the text lies in the reply.
pub(super) fn read(text: &str, offset: usize) -> Result<Reading, Broken> {
    let mut reader =
        Reader { text, at: 0, offset, repairs: Vec::new(), is_cut_off: false, fields: 0 };
    match reader.value(0) {
        Ok(node) => Ok(Reading {
            node,
            end: offset + reader.at,
            repairs: reader.repairs,
            is_cut_off: reader.is_cut_off,
        }),
        Err(error) => Err(Broken { error, is_json: reader.fields > 0 }),
    }
}

/// Deeper than any action, and shallow enough for the stack.
const MAX_DEPTH: usize = 24;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    offset: usize,
    repairs: Vec<&'static str>,
    is_cut_off: bool,
    fields: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.broken(Fault::Depth));
        }
        self.skip_blanks();
        let offset = self.offset + self.at;
        let value = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.array(']', depth)?,
            Some('(') => {
                self.note("a tuple");
                self.array(')', depth)?
            }
            Some(quote @ ('"' | '\'')) => Value::String(self.string(quote)?),
            Some('-' | '0'..='9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { offset, value })
    }

    fn object(&mut self, depth: usize) -> Result<Value, ParseError> {
        self.at += 1;
        self.skip_blanks();
        if self.peek() == Some('{') {
            self.note("doubled braces");
            if depth > MAX_DEPTH {
                return Err(self.broken(Fault::Depth));
            }
            let inner = self.object(depth + 1)?;
            self.skip_blanks();
            if self.peek() == Some('}') {
                self.at += 1;
            }
            return Ok(inner);
        }
        let mut fields: Vec<(String, Node)> = Vec::new();
        loop {
            self.skip_blanks();
            let quote = match self.peek() {
                Some('}') => {
                    if !fields.is_empty() {
                        self.note("a trailing comma");
                    }
                    self.at += 1;
                    return Ok(Value::Object(fields));
                }
                Some(quote @ ('"' | '\'')) => quote,
                None => return Err(self.broken(Fault::CutOff { inside: "an object" })),
                Some(_) => return Err(self.unexpected("a field's name in quotes")),
            };
            let name_at = self.at;
            let name = self.string(quote)?;
            if fields.iter().any(|(known, _)| *known == name) {
                let offset = self.offset + name_at;
                return Err(ParseError::Field { offset, field: name, fault: Fault::Twice });
            }
            self.skip_blanks();
            if self.peek() != Some(':') {
                return Err(self.unexpected("`:`"));
            }
            self.at += 1;
            self.fields += 1;
            let node = self.value(depth + 1)?;
            fields.push((name, node));
            self.skip_blanks();
            match self.peek() {
                Some(',') => self.at += 1,
                Some('}') => {
                    self.at += 1;
                    return Ok(Value::Object(fields));
                }
                None => {
                    self.note("a missing closing brace");
                    self.is_cut_off = true;
                    return Ok(Value::Object(fields));
                }
                Some(_) => return Err(self.unexpected("`,` or `}`")),
            }
        }
    }

    fn array(&mut self, close: char, depth: usize) -> Result<Value, ParseError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(c) if c == close => {
                    if !items.is_empty() {
                        self.note("a trailing comma");
                    }
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                None => return Err(self.broken(Fault::CutOff { inside: "an array" })),
                Some(_) => items.push(self.value(depth + 1)?),
            }
            self.skip_blanks();
            match self.peek() {
                Some(',') => self.at += 1,
                Some(c) if c == close => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                None => return Err(self.broken(Fault::CutOff { inside: "an array" })),
                Some(_) if close == ')' => return Err(self.unexpected("`,` or `)`")),
                Some(_) => return Err(self.unexpected("`,` or `]`")),
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<String, ParseError> {
        if quote == '\'' {
            self.note("single quotes");
        }
        self.at += 1;
        let mut string = String::new();
        loop {
            match self.next() {
                None => return Err(self.broken(Fault::CutOff { inside: "a string" })),
                Some(c) if c == quote => return Ok(string),
                Some('\\') => string.push(self.escape()?),
                Some(c) => {
                    if c.is_control() {
                        self.note("a raw line break in a string");
                    }
                    string.push(c);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let start = self.at - 1;
        let escaped = match self.next() {
            Some(c @ ('"' | '\\' | '/' | '\'')) => Some(c),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('u') => self.unicode_escape(),
            None => return Err(self.broken(Fault::CutOff { inside: "a string" })),
            Some(_) => None,
        };
        let bad = || ParseError::Json { offset: self.offset + start, fault: Fault::Escape };
        escaped.ok_or_else(bad)
    }

    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        let rest = self.text.get(self.at..)?;
        self.at += rest.strip_prefix("\\u").map(|_| 2)?;
        let second = self.hex4()?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + second)
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let rest = &self.text[self.at..];
        let is_part = |c: char| matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if length == rest.len() {
            return Err(self.broken(Fault::CutOff { inside: "a number" }));
        }
        let spelling = &rest[..length];
        // A number beyond all numbers would be lost when it is written again.
        let value = spelling.parse().ok().filter(|value: &f64| value.is_finite());
        let value = value.ok_or_else(|| self.unexpected("a number"))?;
        let spelling = spelling.to_owned();
        self.at += length;
        Ok(Value::Number { value, spelling })
    }

    fn word(&mut self) -> Result<Value, ParseError> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("None", Value::Null),
            ("True", Value::Bool(true)),
            ("False", Value::Bool(false)),
        ];
        let rest = &self.text[self.at..];
        for (word, value) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        if rest.is_empty() {
            return Err(self.broken(Fault::CutOff { inside: "an object" }));
        }
        Err(self.unexpected("a value"))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn note(&mut self, repair: &'static str) {
        if !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
    }

    fn broken(&self, fault: Fault) -> ParseError {
        ParseError::Json { offset: self.offset + self.at, fault }
    }

    fn unexpected(&self, expected: &'static str) -> ParseError {
        let found = match self.peek() {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        self.broken(Fault::Unexpected { expected, found })
    }
}
