//! The fields of an action, under any of the names models give them.

use super::Dialect;
use super::envelope::{Call, OuterVerb};
use super::error::{Fault, ParseError};
use super::lenient::{Node, Value};
use super::names::{Field, Names, names};
use super::point::point;
use crate::action::{Action, Direction, MAX_NOTCHES, Status, SystemButton, Verb};
use crate::geometry::ModelPoint;
use crate::key::Key;

/// How many pixels one notch of the wheel scrolls, in `scroll` actions that count pixels.
const PIXELS_PER_NOTCH: u32 = 120;
/// How long a wait or a press takes that says nothing of it, in seconds.
pub(super) const DEFAULT_SECONDS: f64 = 1.0;
/// How long UI-TARS means by a wait, in seconds.
pub(super) const UI_TARS_WAIT: f64 = 5.0;
/// How far a scroll goes that says only which way, in notches.
pub(super) const DEFAULT_NOTCHES: u32 = 5;

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
    ("ask_user", Verb::CallUser),
    ("interact", Verb::CallUser),
    ("take_over", Verb::CallUser),
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
    let seen = vec!["action"];
    let mut fields = Fields { entries, seen, offset, verb: String::new(), dialect, repairs };
    let node = match (call.arguments.get("action"), &call.verb) {
        (_, OuterVerb::Known { verb, name }) => {
            fields.verb.clone_from(name);
            let action = build(*verb, name, &mut fields, pointer)?;
            fields.note_unused();
            return Ok(action);
        }
        (Some(node), _) | (None, OuterVerb::Word(node)) => node,
        (None, OuterVerb::None) => {
            return Err(ParseError::MissingField {
                offset,
                verb: "an action".to_owned(),
                field: "action",
            });
        }
    };
    let name = word(node, "action")?;
    let verb = verb(&name, node.offset, dialect, fields.repairs)?;
    fields.verb.clone_from(&name);
    let action = build(verb, &name, &mut fields, pointer)?;
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
    pointer: Option<ModelPoint>,
) -> Result<Action<ModelPoint>, ParseError> {
    Ok(match verb {
        Verb::LeftClick => Action::LeftClick { coordinate: fields.place(pointer)? },
        Verb::RightClick => Action::RightClick { coordinate: fields.place(pointer)? },
        Verb::MiddleClick => Action::MiddleClick { coordinate: fields.place(pointer)? },
        Verb::DoubleClick => Action::DoubleClick { coordinate: fields.place(pointer)? },
        Verb::TripleClick => Action::TripleClick { coordinate: fields.place(pointer)? },
        Verb::LongPress => {
            let time = fields.seconds(DEFAULT_SECONDS)?;
            Action::LongPress { coordinate: fields.place(pointer)?, time }
        }
        Verb::MouseMove => Action::MouseMove { coordinate: fields.place(None)? },
        Verb::Drag => {
            let (coordinate, coordinate2) = fields.drag(name, pointer)?;
            Action::Drag { coordinate, coordinate2 }
        }
        Verb::Swipe => Action::Swipe {
            coordinate: fields.place(None)?,
            coordinate2: fields.point(Field::End)?.ok_or_else(|| fields.missing(Field::End))?,
        },
        Verb::Scroll => {
            let (direction, amount) = fields.scroll(name)?;
            Action::Scroll { coordinate: fields.point(Field::Place)?, direction, amount }
        }
        Verb::Type => Action::Type { text: fields.typed()? },
        Verb::Key => Action::Key { keys: fields.keys()? },
        Verb::SystemButton => Action::SystemButton { button: fields.button()? },
        Verb::OpenApp => Action::OpenApp { app: fields.text(Field::App)? },
        Verb::Wait => {
            let is_tars = fields.dialect == Dialect::UiTars;
            let default = if is_tars { UI_TARS_WAIT } else { DEFAULT_SECONDS };
            Action::Wait { time: fields.seconds(default)? }
        }
        Verb::Answer => Action::Answer { text: fields.text(Field::Answer)? },
        Verb::CallUser => Action::CallUser { text: fields.optional_text(Field::Answer)? },
        Verb::Terminate => Action::Terminate { status: fields.status()? },
    })
}

/// The fields of one action, and which of them have been read.
struct Fields<'a> {
    entries: &'a [(String, Node)],
    seen: Vec<&'a str>,
    offset: usize,
    verb: String,
    dialect: Dialect,
    repairs: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    /// Returns the first field there is of these names; a null is no field.
    fn take(&mut self, Names { own, others }: Names) -> Option<(&'a str, &'a Node)> {
        for name in own.iter().chain(others) {
            let found = self.entries.iter().find(|(field, _)| field == name);
            let Some((field, node)) = found else { continue };
            self.seen.push(field);
            if node.value == Value::Null {
                continue;
            }
            if !own.contains(name) {
                self.repairs.push(format!("`{field}` for `{}`", own[0]));
            }
            return Some((field, node));
        }
        None
    }

    fn take_field(&mut self, field: Field) -> Option<(&'a str, &'a Node)> {
        self.take(names(self.dialect, field))
    }

    /// Returns the field of this one name.
    fn take_only(&mut self, name: &'static str) -> Option<(&'a str, &'a Node)> {
        let found = self.entries.iter().find(|(field, _)| field == name);
        let (field, node) = found?;
        self.seen.push(field);
        (node.value != Value::Null).then_some((field, node))
    }

    fn missing(&self, field: Field) -> ParseError {
        self.missing_only(names(self.dialect, field).own[0])
    }

    fn missing_only(&self, field: &'static str) -> ParseError {
        ParseError::MissingField { offset: self.offset, verb: self.verb.clone(), field }
    }

    fn note_unused(&mut self) {
        for (field, _) in self.entries {
            if !self.seen.contains(&field.as_str()) {
                self.repairs.push(format!("ignored the field `{field}`"));
            }
        }
    }

    fn point(&mut self, field: Field) -> Result<Option<ModelPoint>, ParseError> {
        let Some((field, node)) = self.take_field(field) else { return Ok(None) };
        // UI-TARS writes its points as strings.
        let is_string = self.dialect == Dialect::UiTars;
        point(node, field, is_string, self.repairs).map(Some)
    }

    /// Reads where to act; where the pointer is, if it is known and nothing else is said.
    fn place(&mut self, pointer: Option<ModelPoint>) -> Result<ModelPoint, ParseError> {
        if let Some(point) = self.point(Field::Place)? {
            return Ok(point);
        }
        let pointer = pointer.ok_or_else(|| self.missing(Field::Place))?;
        let name = names(self.dialect, Field::Place).own[0];
        self.repairs.push(format!("no `{name}`: where the pointer is"));
        Ok(pointer)
    }

    /// Reads both ends of a drag. With one point only, `left_click_drag` begins at the pointer.
    fn drag(
        &mut self,
        name: &str,
        pointer: Option<ModelPoint>,
    ) -> Result<(ModelPoint, ModelPoint), ParseError> {
        let start = self.point(Field::Start)?;
        let place = self.point(Field::Place)?;
        let end = self.point(Field::End)?;
        let from_pointer = matches!(self.dialect, Dialect::ComputerUse | Dialect::Pyautogui)
            || name == "left_click_drag";
        match (start, place, end) {
            (None, Some(start), Some(end))
            | (Some(start), Some(end), None)
            | (Some(start), None, Some(end)) => Ok((start, end)),
            (None, Some(end), None) if from_pointer => {
                let start = pointer.ok_or_else(|| self.missing(Field::Start))?;
                Ok((start, end))
            }
            (_, None, _) => Err(self.missing(Field::Place)),
            (_, Some(_), _) => Err(self.missing(Field::End)),
        }
    }

    fn scroll(&mut self, name: &str) -> Result<(Direction, u32), ParseError> {
        if let Some((field, node)) = self.take_only("pixels") {
            if !matches!(self.dialect, Dialect::ComputerUse | Dialect::OwlComputerUse) {
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
            let per_notch = pixels_per_notch(self.dialect);
            let notches = (pixels.abs() / f64::from(per_notch)).ceil();
            let expected = "a number of pixels other than 0";
            return Ok((
                direction,
                count(notches.min(f64::from(MAX_NOTCHES)), node, field, expected)?,
            ));
        }
        let (field, node) =
            self.take_only("direction").ok_or_else(|| self.missing_only("direction"))?;
        let word = word(node, field)?;
        let direction = match word.to_ascii_lowercase().as_str() {
            "up" => Direction::Up,
            "down" => Direction::Down,
            "left" => Direction::Left,
            "right" => Direction::Right,
            _ => return Err(unknown(node, field, word, "up, down, left, right")),
        };
        if matches!(self.dialect, Dialect::ComputerUse | Dialect::OwlComputerUse) {
            self.repairs.push("`direction` for `pixels`".to_owned());
        }
        let Some((field, node)) = self.take_field(Field::Amount) else {
            if !self.dialect.is_calls() {
                self.repairs.push(format!("no `amount`: {DEFAULT_NOTCHES}"));
            }
            return Ok((direction, DEFAULT_NOTCHES));
        };
        let amount = self.number(node, field)?;
        Ok((direction, count(amount, node, field, "a whole number of notches")?))
    }

    fn text(&mut self, field: Field) -> Result<String, ParseError> {
        let (field, node) = self.take_field(field).ok_or_else(|| self.missing(field))?;
        match &node.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number { spelling, .. } => {
                self.repairs.push(format!("a number in `{field}`"));
                Ok(spelling.clone())
            }
            other => Err(unexpected(node, field, "a string", other.kind())),
        }
    }

    /// Reads a text that may be missing; it is empty then.
    fn optional_text(&mut self, field: Field) -> Result<String, ParseError> {
        match self.take_field(field) {
            None => Ok(String::new()),
            Some((_, Node { value: Value::String(text), .. })) => Ok(text.clone()),
            Some((field, node)) => Err(unexpected(node, field, "a string", node.value.kind())),
        }
    }

    /// Reads what to type. GUI-Owl may ask for Enter after it, which a line feed is, and for the
    /// field to be emptied before, which takes an action of its own.
    fn typed(&mut self) -> Result<String, ParseError> {
        let mut text = self.text(Field::Text)?;
        if self.dialect != Dialect::OwlComputerUse {
            return Ok(text);
        }
        if let Some((field, node)) = self.take_only("clear")
            && self.flag(node, field)?
        {
            return Err(refused(node, field, Fault::Clear));
        }
        if let Some((field, node)) = self.take_only("enter")
            && self.flag(node, field)?
        {
            text.push('\n');
        }
        Ok(text)
    }

    /// Reads a yes or no that is written 1 or 0.
    fn flag(&mut self, node: &Node, field: &str) -> Result<bool, ParseError> {
        if let Value::Bool(flag) = node.value {
            return Ok(flag);
        }
        let value = self.number(node, field)?;
        for (number, flag) in [(0.0, false), (1.0, true)] {
            if (value - number).abs() < f64::EPSILON {
                return Ok(flag);
            }
        }
        Err(refused(node, field, Fault::Number { value, expected: "0 or 1" }))
    }

    fn keys(&mut self) -> Result<Vec<Key>, ParseError> {
        let (field, node) =
            self.take_field(Field::Keys).ok_or_else(|| self.missing(Field::Keys))?;
        if let (Dialect::UiTars, Value::String(chord)) = (self.dialect, &node.value) {
            return spaced_keys(chord, node, field, self.repairs);
        }
        let single = std::slice::from_ref(node);
        let items = match &node.value {
            Value::Array(items) => items.as_slice(),
            Value::String(_) | Value::Number { .. } => {
                if self.dialect != Dialect::MobileUse {
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

    fn button(&mut self) -> Result<SystemButton, ParseError> {
        let dialect = self.dialect;
        let (field, node) = self.take_only("button").ok_or_else(|| self.missing_only("button"))?;
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

    fn seconds(&mut self, default: f64) -> Result<f64, ParseError> {
        let Some((field, node)) = self.take_field(Field::Time) else {
            // The calls of these dialects are documented without a time.
            if !self.dialect.is_calls() {
                self.repairs.push(format!("no `time`: {default} s"));
            }
            return Ok(default);
        };
        self.number(node, field)
    }

    /// An episode's end is never guessed: the word must be one of the two.
    fn status(&mut self) -> Result<Status, ParseError> {
        let (field, node) = self.take_only("status").ok_or_else(|| self.missing_only("status"))?;
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

/// Reads keys with blanks between them; a plus between them is a mend.
fn spaced_keys(
    chord: &str,
    node: &Node,
    field: &str,
    repairs: &mut Vec<String>,
) -> Result<Vec<Key>, ParseError> {
    let mut keys = Vec::new();
    for name in chord.split_whitespace() {
        let parsed = Key::parse_chord(name).map_err(|err| refused(node, field, err.into()))?;
        if parsed.len() > 1 {
            repairs.push(format!("the chord `{name}` as one key"));
        }
        keys.extend(parsed);
    }
    Ok(keys)
}

/// Returns how many of a dialect's `pixels` one notch of the wheel scrolls.
pub(super) fn pixels_per_notch(dialect: Dialect) -> u32 {
    // GUI-Owl counts from -5 to 5, whatever the field's name says.
    if dialect == Dialect::OwlComputerUse { 1 } else { PIXELS_PER_NOTCH }
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
