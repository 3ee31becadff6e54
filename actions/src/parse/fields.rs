//! The fields of an action, under any of the names models give them.

use super::Dialect;
use super::envelope::Call;
use super::error::{Fault, ParseError};
use super::lenient::{Node, Value};
use super::point::point;
use crate::action::{Action, Direction, MAX_NOTCHES, Status, SystemButton, Verb};
use crate::geometry::ModelPoint;
use crate::key::Key;

/// How many pixels one notch of the wheel scrolls, in `scroll` actions that count pixels.
pub(super) const PIXELS_PER_NOTCH: u32 = 120;
/// How long a wait or a press takes that says nothing of it, in seconds.
const DEFAULT_SECONDS: f64 = 1.0;
/// How far a scroll goes that says only which way, in notches.
const DEFAULT_NOTCHES: u32 = 5;

/// Other names for verbs, beside those of the dialects.
const VERB_ALIASES: &[(&str, Verb)] = &[
    ("click", Verb::LeftClick),
    ("tap", Verb::LeftClick),
    ("left_single", Verb::LeftClick),
    ("right_single", Verb::RightClick),
    ("left_double", Verb::DoubleClick),
    ("double_tap", Verb::DoubleClick),
    ("doubleclick", Verb::DoubleClick),
    ("rightclick", Verb::RightClick),
    ("leftclick", Verb::LeftClick),
    ("long_click", Verb::LongPress),
    ("long_tap", Verb::LongPress),
    ("longpress", Verb::LongPress),
    ("move", Verb::MouseMove),
    ("hover", Verb::MouseMove),
    ("left_click_drag", Verb::Drag),
    ("drag_and_drop", Verb::Drag),
    ("hscroll", Verb::Scroll),
    ("input", Verb::Type),
    ("input_text", Verb::Type),
    ("write", Verb::Type),
    ("press", Verb::Key),
    ("press_key", Verb::Key),
    ("hotkey", Verb::Key),
    ("open", Verb::OpenApp),
    ("launch", Verb::OpenApp),
    ("launch_app", Verb::OpenApp),
    ("sleep", Verb::Wait),
];

/// Reads the action in a call.
pub(super) fn action(
    call: &Call,
    dialect: Dialect,
    pointer: Option<ModelPoint>,
    repairs: &mut Vec<String>,
) -> Result<Action<ModelPoint>, ParseError> {
    let Value::Object(entries) = &call.arguments.value else {
        let found = call.arguments.value.kind().to_owned();
        let fault = Fault::Unexpected { expected: "an object", found };
        let offset = call.arguments.offset;
        return Err(ParseError::Field { offset, field: "arguments".to_owned(), fault });
    };
    let offset = call.arguments.offset;
    let mut fields = Fields { entries, seen: vec!["action"], offset, verb: String::new(), repairs };
    let node = call.arguments.get("action").or(call.outer_verb.as_ref());
    let Some(node) = node else {
        return Err(ParseError::MissingField {
            offset,
            verb: "an action".to_owned(),
            field: "action",
        });
    };
    let name = word(node, "action")?;
    let verb = verb(&name, node.offset, dialect, fields.repairs)?;
    fields.verb.clone_from(&name);
    let action = build(verb, &name, &mut fields, dialect, pointer)?;
    fields.note_unused();
    Ok(action)
}

fn verb(
    name: &str,
    offset: usize,
    dialect: Dialect,
    repairs: &mut Vec<String>,
) -> Result<Verb, ParseError> {
    let folded = name.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    let alias = || VERB_ALIASES.iter().find_map(|&(alias, verb)| (alias == folded).then_some(verb));
    let verb = Verb::from_name(&folded).or_else(alias);
    let verb = verb.ok_or_else(|| ParseError::UnknownVerb { offset, name: name.to_owned() })?;
    if name != dialect.verb_name(verb) {
        repairs.push(format!("`{name}` for `{}`", dialect.verb_name(verb)));
    }
    Ok(verb)
}

fn build(
    verb: Verb,
    name: &str,
    fields: &mut Fields<'_>,
    dialect: Dialect,
    pointer: Option<ModelPoint>,
) -> Result<Action<ModelPoint>, ParseError> {
    Ok(match verb {
        Verb::LeftClick => Action::LeftClick { coordinate: fields.place(pointer)? },
        Verb::RightClick => Action::RightClick { coordinate: fields.place(pointer)? },
        Verb::MiddleClick => Action::MiddleClick { coordinate: fields.place(pointer)? },
        Verb::DoubleClick => Action::DoubleClick { coordinate: fields.place(pointer)? },
        Verb::TripleClick => Action::TripleClick { coordinate: fields.place(pointer)? },
        Verb::LongPress => {
            Action::LongPress { coordinate: fields.place(pointer)?, time: fields.seconds()? }
        }
        Verb::MouseMove => Action::MouseMove { coordinate: fields.place(None)? },
        Verb::Drag => {
            let (coordinate, coordinate2) = fields.drag(name, dialect, pointer)?;
            Action::Drag { coordinate, coordinate2 }
        }
        Verb::Swipe => Action::Swipe {
            coordinate: fields.place(None)?,
            coordinate2: fields.point(END_NAMES)?.ok_or_else(|| fields.missing("coordinate2"))?,
        },
        Verb::Scroll => {
            let (direction, amount) = fields.scroll(name, dialect)?;
            Action::Scroll { coordinate: fields.point(PLACE_NAMES)?, direction, amount }
        }
        Verb::Type => Action::Type { text: fields.text("text", &["content", "value"])? },
        Verb::Key => Action::Key { keys: fields.keys(dialect)? },
        Verb::SystemButton => Action::SystemButton { button: fields.button(dialect)? },
        Verb::OpenApp => {
            let (own, other) = match dialect {
                Dialect::MobileUse => ("text", "app"),
                Dialect::Json | Dialect::ComputerUse => ("app", "text"),
            };
            Action::OpenApp { app: fields.text(own, &[other, "app_name", "name"])? }
        }
        Verb::Wait => Action::Wait { time: fields.seconds()? },
        Verb::Answer => Action::Answer { text: fields.text("text", &["content", "answer"])? },
        Verb::Terminate => Action::Terminate { status: fields.status()? },
    })
}

/// Names of the place an action acts on; the first is right, the others are mends.
const PLACE_NAMES: &[&str] =
    &["coordinate", "coordinates", "point", "point_2d", "position", "start_box", "bbox_2d", "bbox"];
/// Names of the place a drag or swipe ends at.
const END_NAMES: &[&str] = &["coordinate2", "coordinates2", "end_coordinate", "end_box"];
/// Names of the place a drag begins at, where `coordinate` is its end.
const START_NAMES: &[&str] = &["start_coordinate", "start_coordinates"];

/// The fields of one action, and which of them have been read.
struct Fields<'a> {
    entries: &'a [(String, Node)],
    seen: Vec<&'a str>,
    offset: usize,
    verb: String,
    repairs: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    /// Returns the first field there is of these names; a null is no field.
    fn take(&mut self, names: &[&str]) -> Option<(&'a str, &'a Node)> {
        for (rank, name) in names.iter().enumerate() {
            let found = self.entries.iter().find(|(field, _)| field == name);
            let Some((field, node)) = found else { continue };
            self.seen.push(field);
            if node.value == Value::Null {
                continue;
            }
            if rank > 0 {
                self.repairs.push(format!("`{field}` for `{}`", names[0]));
            }
            return Some((field, node));
        }
        None
    }

    fn missing(&self, field: &'static str) -> ParseError {
        ParseError::MissingField { offset: self.offset, verb: self.verb.clone(), field }
    }

    fn note_unused(&mut self) {
        for (field, _) in self.entries {
            if !self.seen.contains(&field.as_str()) {
                self.repairs.push(format!("ignored the field `{field}`"));
            }
        }
    }

    fn point(&mut self, names: &[&str]) -> Result<Option<ModelPoint>, ParseError> {
        let Some((field, node)) = self.take(names) else { return Ok(None) };
        point(node, field, self.repairs).map(Some)
    }

    /// Reads where to act; where the pointer is, if it is known and nothing else is said.
    fn place(&mut self, pointer: Option<ModelPoint>) -> Result<ModelPoint, ParseError> {
        if let Some(point) = self.point(PLACE_NAMES)? {
            return Ok(point);
        }
        let pointer = pointer.ok_or_else(|| self.missing("coordinate"))?;
        self.repairs.push("no `coordinate`: where the pointer is".to_owned());
        Ok(pointer)
    }

    /// Reads both ends of a drag. With one point only, `left_click_drag` begins at the pointer.
    fn drag(
        &mut self,
        name: &str,
        dialect: Dialect,
        pointer: Option<ModelPoint>,
    ) -> Result<(ModelPoint, ModelPoint), ParseError> {
        let start = self.point(START_NAMES)?;
        let place = self.point(PLACE_NAMES)?;
        let end = self.point(END_NAMES)?;
        let from_pointer = dialect == Dialect::ComputerUse || name == "left_click_drag";
        match (start, place, end) {
            (None, Some(start), Some(end))
            | (Some(start), Some(end), None)
            | (Some(start), None, Some(end)) => Ok((start, end)),
            (None, Some(end), None) if from_pointer => {
                let start = pointer.ok_or_else(|| self.missing("start_coordinate"))?;
                Ok((start, end))
            }
            (_, None, _) => Err(self.missing("coordinate")),
            (_, Some(_), _) => Err(self.missing("coordinate2")),
        }
    }

    fn scroll(&mut self, name: &str, dialect: Dialect) -> Result<(Direction, u32), ParseError> {
        if let Some((field, node)) = self.take(&["pixels"]) {
            if dialect != Dialect::ComputerUse {
                self.repairs.push("`pixels` for `direction` and `amount`".to_owned());
            }
            let pixels = self.number(node, field)?;
            let is_across = name == "hscroll";
            let direction = match (is_across, pixels > 0.0) {
                (false, true) => Direction::Up,
                (false, false) => Direction::Down,
                (true, true) => Direction::Right,
                (true, false) => Direction::Left,
            };
            let notches = (pixels.abs() / f64::from(PIXELS_PER_NOTCH)).ceil();
            let expected = "a number of pixels other than 0";
            return Ok((
                direction,
                count(notches.min(f64::from(MAX_NOTCHES)), node, field, expected)?,
            ));
        }
        let (field, node) = self.take(&["direction"]).ok_or_else(|| self.missing("direction"))?;
        let word = word(node, field)?;
        let direction = match word.to_ascii_lowercase().as_str() {
            "up" => Direction::Up,
            "down" => Direction::Down,
            "left" => Direction::Left,
            "right" => Direction::Right,
            _ => return Err(unknown(node, field, word, "up, down, left, right")),
        };
        if dialect == Dialect::ComputerUse {
            self.repairs.push("`direction` for `pixels`".to_owned());
        }
        let Some((field, node)) = self.take(&["amount", "clicks", "notches"]) else {
            self.repairs.push(format!("no `amount`: {DEFAULT_NOTCHES}"));
            return Ok((direction, DEFAULT_NOTCHES));
        };
        let amount = self.number(node, field)?;
        Ok((direction, count(amount, node, field, "a whole number of notches")?))
    }

    fn text(&mut self, name: &'static str, aliases: &[&str]) -> Result<String, ParseError> {
        let names: Vec<_> = std::iter::once(name).chain(aliases.iter().copied()).collect();
        let (field, node) = self.take(&names).ok_or_else(|| self.missing(name))?;
        match &node.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number { spelling, .. } => {
                self.repairs.push(format!("a number in `{field}`"));
                Ok(spelling.clone())
            }
            other => Err(unexpected(node, field, "a string", other.kind())),
        }
    }

    fn keys(&mut self, dialect: Dialect) -> Result<Vec<Key>, ParseError> {
        let names: &[&str] = match dialect {
            Dialect::MobileUse => &["text", "keys", "key"],
            Dialect::Json | Dialect::ComputerUse => &["keys", "key", "text"],
        };
        let (field, node) = self.take(names).ok_or_else(|| self.missing("keys"))?;
        let single = std::slice::from_ref(node);
        let items = match &node.value {
            Value::Array(items) => items.as_slice(),
            Value::String(_) | Value::Number { .. } => {
                if dialect != Dialect::MobileUse {
                    self.repairs.push(format!("a string in `{field}`"));
                }
                single
            }
            other => return Err(unexpected(node, field, "an array of key names", other.kind())),
        };
        let mut keys = Vec::new();
        for item in items {
            let name = match &item.value {
                Value::String(name) => name,
                Value::Number { spelling, .. } => spelling,
                other => return Err(unexpected(item, field, "the name of a key", other.kind())),
            };
            let chord = Key::parse_chord(name).map_err(|err| refused(item, field, err.into()))?;
            if chord.len() > 1 && matches!(node.value, Value::Array(_)) {
                self.repairs.push(format!("the chord `{name}` as one key"));
            }
            keys.extend(chord);
        }
        Ok(keys)
    }

    fn button(&mut self, dialect: Dialect) -> Result<SystemButton, ParseError> {
        let (field, node) = self.take(&["button"]).ok_or_else(|| self.missing("button"))?;
        let word = word(node, field)?;
        let button = match word.to_ascii_lowercase().as_str() {
            "back" => SystemButton::Back,
            "home" => SystemButton::Home,
            "menu" => SystemButton::Menu,
            "enter" => SystemButton::Enter,
            _ => return Err(unknown(node, field, word, "back, home, menu, enter")),
        };
        if word != button_name(button, dialect) {
            self.repairs.push(format!("`{word}` for `{}`", button_name(button, dialect)));
        }
        Ok(button)
    }

    fn seconds(&mut self) -> Result<f64, ParseError> {
        let Some((field, node)) = self.take(&["time", "duration", "seconds"]) else {
            self.repairs.push(format!("no `time`: {DEFAULT_SECONDS} s"));
            return Ok(DEFAULT_SECONDS);
        };
        self.number(node, field)
    }

    /// An episode's end is never guessed: the word must be one of the two.
    fn status(&mut self) -> Result<Status, ParseError> {
        let (field, node) = self.take(&["status"]).ok_or_else(|| self.missing("status"))?;
        let word = word(node, field)?;
        match word.as_str() {
            "success" => Ok(Status::Success),
            "failure" => Ok(Status::Failure),
            "fail" | "failed" | "infeasible" => {
                self.repairs.push(format!("`{word}` for `failure`"));
                Ok(Status::Failure)
            }
            _ => Err(unknown(node, field, word, "success, failure")),
        }
    }

    fn number(&mut self, node: &Node, field: &str) -> Result<f64, ParseError> {
        match &node.value {
            Value::Number { value, .. } => Ok(*value),
            Value::String(text) => {
                let parsed = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
                let found = format!("the string {text:?}");
                let number = parsed.ok_or_else(|| {
                    refused(node, field, Fault::Unexpected { expected: "a number", found })
                })?;
                self.repairs.push(format!("a number as a string in `{field}`"));
                Ok(number)
            }
            other => Err(unexpected(node, field, "a number", other.kind())),
        }
    }
}

/// Returns a word without blanks around it.
fn word(node: &Node, field: &str) -> Result<String, ParseError> {
    match &node.value {
        Value::String(word) => Ok(word.trim().to_owned()),
        other => Err(unexpected(node, field, "a string", other.kind())),
    }
}

/// Returns what the dialect calls a system button.
pub(super) fn button_name(button: SystemButton, dialect: Dialect) -> &'static str {
    match (dialect, button) {
        (Dialect::MobileUse, SystemButton::Back) => "Back",
        (Dialect::MobileUse, SystemButton::Home) => "Home",
        (Dialect::MobileUse, SystemButton::Menu) => "Menu",
        (Dialect::MobileUse, SystemButton::Enter) => "Enter",
        _ => button.as_str(),
    }
}

/// Returns a whole number from 1; how large it may be is for validation to say.
fn count(value: f64, node: &Node, field: &str, expected: &'static str) -> Result<u32, ParseError> {
    if value >= 1.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was just checked to be a whole number in range"
        )]
        return Ok(value as u32);
    }
    Err(refused(node, field, Fault::Number { value, expected }))
}

fn refused(node: &Node, field: &str, fault: Fault) -> ParseError {
    ParseError::Field { offset: node.offset, field: field.to_owned(), fault }
}

fn unexpected(node: &Node, field: &str, expected: &'static str, found: &str) -> ParseError {
    refused(node, field, Fault::Unexpected { expected, found: found.to_owned() })
}

fn unknown(node: &Node, field: &str, word: String, known: &'static str) -> ParseError {
    refused(node, field, Fault::Word { word, known })
}
