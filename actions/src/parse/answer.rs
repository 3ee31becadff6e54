//! The form of an answer that is nothing but a place: `({x},{y})`, `[{x},{y},{x2},{y2}]`, or either
//! of them inside a call.
//!
//! The form is data, and serves twice: it is the grammar the answer must follow, and it is how the
//! answer is read. Blanks, the kind of quotes and box tokens do not matter when reading.

use std::borrow::Cow;

use super::envelope::thinking_end;
use super::error::ParseError;
use crate::geometry::{ModelBox, ModelPoint};

/// A text with holes for the numbers of a point or a box.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnswerForm {
    pieces: Vec<AnswerPiece>,
    /// As it was written, for messages.
    written: String,
}

/// A piece of a form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AnswerPiece {
    /// What is always the same.
    Text(String),
    /// A number.
    Number(Coordinate),
}

/// Which number of a point or box.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coordinate {
    /// From the left; of a box, its left edge.
    X,
    /// From the top; of a box, its top edge.
    Y,
    /// The right edge.
    X2,
    /// The bottom edge.
    Y2,
}

/// A place that was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// A point.
    Point(ModelPoint),
    /// A box.
    Box(ModelBox),
    /// Numbers below 0, with which some checkpoints say that there is no such thing.
    Nowhere,
}

impl AnswerForm {
    /// Reads a form.
    ///
    /// # Errors
    /// Says what is wrong with it: `{x}` and `{y}` must be there once, `{x2}` and `{y2}` both or
    /// neither, and text must follow the last of them.
    pub fn read(form: &str) -> Result<Self, String> {
        const HOLES: [(&str, Coordinate); 4] = [
            ("{x}", Coordinate::X),
            ("{y}", Coordinate::Y),
            ("{x2}", Coordinate::X2),
            ("{y2}", Coordinate::Y2),
        ];
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = form;
        while let Some(c) = rest.chars().next() {
            if let Some((hole, coordinate)) = HOLES.iter().find(|(hole, _)| rest.starts_with(hole))
            {
                if !plain.is_empty() {
                    pieces.push(AnswerPiece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(AnswerPiece::Number(*coordinate));
                rest = &rest[hole.len()..];
            } else {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        if plain.trim().is_empty() {
            return Err("must end with text, so that a number cannot be cut off".to_owned());
        }
        pieces.push(AnswerPiece::Text(plain));
        let count = |coordinate| {
            pieces.iter().filter(|piece| **piece == AnswerPiece::Number(coordinate)).count()
        };
        let counts = HOLES.map(|(_, coordinate)| count(coordinate));
        if !matches!(counts, [1, 1, 0, 0] | [1, 1, 1, 1]) {
            return Err(
                "needs `{x}` and `{y}` once each, and `{x2}` and `{y2}` both or neither".to_owned()
            );
        }
        let touching = pieces
            .windows(2)
            .any(|pair| matches!(pair, [AnswerPiece::Number(_), AnswerPiece::Number(_)]));
        if touching {
            return Err("has two numbers with nothing between them".to_owned());
        }
        Ok(Self { pieces, written: form.to_owned() })
    }

    /// Returns its pieces in order.
    pub fn pieces(&self) -> &[AnswerPiece] {
        &self.pieces
    }

    /// Returns what comes before the first number.
    pub fn prefix(&self) -> &str {
        match &self.pieces[0] {
            AnswerPiece::Text(text) => text,
            AnswerPiece::Number(_) => "",
        }
    }

    /// Whether it is a box and not a point.
    pub fn is_box(&self) -> bool {
        self.pieces.contains(&AnswerPiece::Number(Coordinate::X2))
    }

    /// Reads the last place in a reply that is written in this form.
    ///
    /// # Errors
    /// If there is none. What lies outside the picture is not checked here.
    pub fn find(&self, reply: &str) -> Result<Answer, ParseError> {
        let reply = &without_box_tokens(reply);
        let from = thinking_end(reply);
        let places = reply[from..].char_indices().filter(|(_, c)| !c.is_whitespace());
        let found = places.filter_map(|(at, _)| self.match_at(&reply[from + at..])).next_back();
        // A number below 0 is not a pixel, whichever of them it is.
        if let Some(numbers) = found {
            let [x, y, x2, y2] = numbers;
            if numbers.iter().any(|number| *number < 0) {
                return Ok(Answer::Nowhere);
            }
            if !self.is_box() {
                return Ok(Answer::Point(ModelPoint { x, y }));
            }
            // Corners can only be meant one way.
            return Ok(Answer::Box(ModelBox {
                left: x.min(x2),
                top: y.min(y2),
                right: x.max(x2),
                bottom: y.max(y2),
            }));
        }
        Err(ParseError::NoPlace { expected: self.written.clone() })
    }

    /// Returns the numbers of a reply that begins with this form; those of a point are twice there.
    fn match_at(&self, text: &str) -> Option<[i32; 4]> {
        let mut rest = text;
        let mut numbers: [Option<i32>; 4] = [None; 4];
        for piece in &self.pieces {
            match piece {
                AnswerPiece::Text(expected) => {
                    rest = skip_text(rest, &without_box_tokens(expected))?;
                }
                AnswerPiece::Number(coordinate) => {
                    let (number, after) = read_number(rest.trim_start())?;
                    numbers[*coordinate as usize] = Some(number);
                    rest = after;
                }
            }
        }
        let [x, y, x2, y2] = numbers;
        Some([x?, y?, x2.or(x)?, y2.or(y)?])
    }
}

/// Control tokens around a place are there or not, as the server that decoded the answer likes it.
fn without_box_tokens(text: &str) -> Cow<'_, str> {
    if !text.contains("<|box_") {
        return text.into();
    }
    text.replace("<|box_start|>", "").replace("<|box_end|>", "").into()
}

/// Returns what follows a text, with blanks anywhere and either kind of quotes.
fn skip_text<'t>(text: &'t str, expected: &str) -> Option<&'t str> {
    let mut rest = text;
    for wanted in expected.chars().filter(|c| !c.is_whitespace()) {
        rest = rest.trim_start();
        let found = rest.chars().next()?;
        let is_quote = |c: char| matches!(c, '\'' | '"');
        if found != wanted && !(is_quote(found) && is_quote(wanted)) {
            return None;
        }
        rest = &rest[found.len_utf8()..];
    }
    Some(rest)
}

/// Reads a decimal number and drops its fraction: 12.6 lies in pixel 12.
fn read_number(text: &str) -> Option<(i32, &str)> {
    let sign = usize::from(text.starts_with('-'));
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = sign + digits(&text[sign..]);
    let number = text[..whole].parse().ok()?;
    let rest = &text[whole..];
    match rest.strip_prefix('.') {
        Some(fraction) if digits(fraction) > 0 => Some((number, &fraction[digits(fraction)..])),
        _ => Some((number, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(form: &str, reply: &str, expected: &str) {
        let form = AnswerForm::read(form).unwrap();
        let found = match form.find(reply) {
            Ok(Answer::Point(point)) => point.to_string(),
            Ok(Answer::Box(area)) => format!("{:?}", <[i32; 4]>::from(area)),
            Ok(Answer::Nowhere) => "nowhere".to_owned(),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(found, expected, "{reply}");
    }

    #[test]
    fn points_and_boxes_are_found_in_their_form() {
        check("({x},{y})", "(197, 525)", "(197, 525)");
        check("({x},{y})", "The button is at (197.6,525).", "(197, 525)");
        check("({x},{y})", "<think>(1,2) or (3,4)?</think>(5,6)", "(5, 6)");
        check("({x},{y})", "not (1,2) but ( 3 , 4 )", "(3, 4)");
        check("({x},{y})", "(-1,-1)", "nowhere");
        let token = "<|box_start|>({x},{y})<|box_end|>";
        check(token, "(1,2)", "(1, 2)");
        check(token, "<|box_start|>(1,2)<|box_end|>", "(1, 2)");
        check("[{x},{y},{x2},{y2}]", "[10, 20, 30, 40]", "[10, 20, 30, 40]");
        check("[{x},{y},{x2},{y2}]", "[30, 40, 10, 20]", "[10, 20, 30, 40]");
        check("[{x},{y},{x2},{y2}]", "[-1,-1,-1,-1]", "nowhere");
        check(
            "pyautogui.click(x={x}, y={y})",
            "```python\npyautogui.click(x=12,y=34)\n```",
            "(12, 34)",
        );
        let holo = r#"{"action": "click_absolute", "x": {x}, "y": {y}}"#;
        check(holo, r#"{"action": "click_absolute", "x": 342, "y": 345}"#, "(342, 345)");
        check(holo, "{'action':'click_absolute','x':342,'y':345}", "(342, 345)");
        check(
            holo,
            "```json\n{\n  \"action\": \"click_absolute\",\n  \"x\": 342,\n  \"y\": 345\n}\n```",
            "(342, 345)",
        );
    }

    #[test]
    fn what_is_no_place_or_half_of_one_is_refused() {
        let none = |form: &str| format!("error: the reply names no place: expected `{form}`");
        for reply in
            ["", "(", "(12", "(12,", "(12, 3", "[12, 3]", "(a, b)", "(99999999999, 3)", "(--1,2)"]
        {
            check("({x},{y})", reply, &none("({x},{y})"));
        }
        check("[{x},{y},{x2},{y2}]", "[1,2]", &none("[{x},{y},{x2},{y2}]"));
    }

    #[test]
    fn a_form_must_say_where_its_numbers_end() {
        let refused = |form: &str| assert!(AnswerForm::read(form).is_err(), "{form}");
        for form in [
            "",
            "{x}",
            "({x})",
            "({x},{y}",
            "({x},{x},{y})",
            "({x}{y})",
            "({x},{y},{x2})",
            "({x}, {y} ",
        ] {
            refused(form);
        }
        assert_eq!(AnswerForm::read("at ({x},{y})").unwrap().prefix(), "at (");
        assert!(AnswerForm::read("[{x},{y},{x2},{y2}]").unwrap().is_box());
    }

    proptest! {
        #[test]
        fn no_reply_makes_the_reader_panic(reply in "[ -~é(0-9,)\\n]{0,80}") {
            for form in ["({x},{y})", "[{x},{y},{x2},{y2}]", "a {x} é {y} b"] {
                let _ = AnswerForm::read(form).unwrap().find(&reply);
            }
        }
    }
}
