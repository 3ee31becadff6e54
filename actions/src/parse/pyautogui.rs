//! What the Python of `OpenCUA` means: one step is a few lines of `pyautogui` between code fences.
//!
//! Nothing is executed. The calls are read one by one, those that belong together are put together
//! (a move and a drag, a move and a click where the pointer then is), and what goes on after the
//! first action is left for the next step, which sees what became of it.
//!
//! # Source
//!
//! The prompts and the reader of `mm_agents/opencua_agent.py` in `xlang-ai/OSWorld`; the parameters
//! are those of `PyAutoGUI` 0.9.54.

use super::calls::{Meaning, imply, with_said};
use super::envelope::{Found, thinking_end};
use super::error::{Fault, ParseError};
use super::lenient::{Node, Value};
use super::python::{self, PythonCall, begins_call};
use crate::action::{MAX_NOTCHES, Verb};

const EXPECTED: &str = "a code block with one call, such as `pyautogui.click(x=12, y=34)`";
/// More lines than one step needs.
const MAX_CALLS: usize = 40;

/// Finds the one action in a reply.
pub(super) fn find(reply: &str) -> Result<Found, ParseError> {
    let mut repairs = Vec::new();
    let code = code(reply, &mut repairs).ok_or(ParseError::NoAction { expected: EXPECTED })?;
    let mut calls = calls(&reply[code.start..code.end], code.start)?;
    let Some(last) = calls.last() else {
        return Err(ParseError::NoAction { expected: EXPECTED });
    };
    // What is missing may be a second key, or a second click.
    last.must_be_whole()?;
    let (meaning, used) = first_meaning(&mut calls, &mut repairs)?;
    let next_call = calls.get(used).map(|call| call.offset);
    if next_call.is_some() {
        repairs.push("further actions were left out".to_owned());
    }
    repairs.extend(meaning.repairs.iter().map(|repair| (*repair).to_owned()));
    let thought = with_said(thought(&reply[..code.before]), meaning.said);
    Ok(Found { thought, call: meaning.call, repairs, is_cut_off: false, next_call })
}

/// Where the code is.
struct Code {
    /// Where what comes before it ends.
    before: usize,
    start: usize,
    end: usize,
}

/// The first code block that holds a call, or the lines that are calls.
fn code(reply: &str, repairs: &mut Vec<String>) -> Option<Code> {
    const FENCE: &str = "```";
    let from = thinking_end(reply);
    let mut at = from;
    while let Some(before) = reply[at..].find(FENCE).map(|found| at + found) {
        let after = before + FENCE.len();
        let language = reply[after..].find(|c: char| !c.is_ascii_alphanumeric());
        let start = after + language.unwrap_or(reply.len() - after);
        let closed = reply[start..].find(FENCE).map(|length| start + length);
        let end = closed.unwrap_or(reply.len());
        if first_line(&reply[start..end]).is_some() {
            if closed.is_none() {
                repairs.push("no closing code fence".to_owned());
            }
            return Some(Code { before, start, end });
        }
        at = (end + FENCE.len()).min(reply.len());
    }
    let start = from + first_line(&reply[from..])?;
    repairs.push("no code block".to_owned());
    Some(Code { before: start, start, end: start + code_lines(&reply[start..]) })
}

/// The names of the modules a line of code begins with.
const MODULES: [&str; 3] = ["pyautogui.", "computer.", "time."];

/// Returns how far the lines go on that are code; after them there is talk.
fn code_lines(text: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        if !bare.is_empty() && !MODULES.iter().any(|name| bare.starts_with(name)) {
            break;
        }
        at += line.len();
    }
    at
}

/// Returns where the first line begins that is a call of one of the modules.
fn first_line(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start();
        let is_call = MODULES.iter().any(|name| bare.starts_with(name));
        if is_call && begins_call(bare) {
            return Some(at + line.len() - bare.len());
        }
        at += line.len();
    }
    None
}

/// Reads the calls of a stretch of code; imports and comments are skipped.
fn calls(code: &str, offset: usize) -> Result<Vec<PythonCall>, ParseError> {
    let mut calls = Vec::new();
    let mut at = 0;
    loop {
        let rest = &code[at..];
        at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', ';']).len();
        let rest = &code[at..];
        if rest.is_empty() {
            return Ok(calls);
        }
        if ["#", "import ", "from "].iter().any(|start| rest.starts_with(start)) {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        if !begins_call(rest) {
            let found = format!("{:?}", rest.chars().next().unwrap_or_default());
            let fault = Fault::Unexpected { expected: "a call of `pyautogui`", found };
            return Err(ParseError::Call { offset: offset + at, fault });
        }
        let call = python::read(rest, offset + at)?;
        at = call.end - offset;
        let line = code[at..].split('\n').next().unwrap_or_default().trim_start();
        if !line.is_empty() && !line.starts_with(['#', ';', '\r']) {
            let found = format!("{:?}", line.chars().next().unwrap_or_default());
            let fault = Fault::Unexpected { expected: "the end of the line", found };
            return Err(ParseError::Call { offset: call.end, fault });
        }
        calls.push(call);
        if calls.len() > MAX_CALLS {
            return Err(ParseError::SecondAction { offset: offset + at });
        }
    }
}

/// Returns what the first action is, and how many calls it took.
fn first_meaning(
    calls: &mut [PythonCall],
    repairs: &mut Vec<String>,
) -> Result<(Meaning, usize), ParseError> {
    let (first, others) = calls.split_first_mut().expect("there is at least one call");
    if !is_move(first) {
        return Ok((meaning(first, None, repairs)?, 1));
    }
    let from = place(first)?;
    let Some(second) = others.first_mut() else {
        return Ok((meaning(first, None, repairs)?, 1));
    };
    match short_name(second) {
        "dragTo" | "drag_to" => Ok((meaning(second, from, repairs)?, 2)),
        "click" | "doubleClick" | "tripleClick" | "rightClick" | "middleClick" | "scroll"
        | "hscroll" | "vscroll" | "triple_click"
            if place(second)?.is_none() =>
        {
            second.named.extend(from.map(|node| ("coordinate".to_owned(), node)));
            Ok((meaning(second, None, repairs)?, 2))
        }
        _ => Ok((meaning(first, None, repairs)?, 1)),
    }
}

fn is_move(call: &PythonCall) -> bool {
    matches!(short_name(call), "moveTo" | "move_to")
}

fn short_name(call: &PythonCall) -> &str {
    call.name.rsplit('.').next().unwrap_or(&call.name)
}

/// Returns what one call means; `from` is where a drag begins, if that was said.
fn meaning(
    call: &mut PythonCall,
    from: Option<Node>,
    repairs: &mut Vec<String>,
) -> Result<Meaning, ParseError> {
    let offset = call.offset;
    let name = call.name.clone();
    let unknown = || ParseError::UnknownVerb { offset, name: name.clone() };
    let verb = match short_name(call).to_owned().as_str() {
        "click" => return click(call),
        "doubleClick" => Verb::DoubleClick,
        "tripleClick" | "triple_click" => Verb::TripleClick,
        "rightClick" => Verb::RightClick,
        "middleClick" => Verb::MiddleClick,
        "moveTo" | "move_to" => Verb::MouseMove,
        "dragTo" | "drag_to" => {
            let end = take_place(call)?;
            let drag = |name: &str, node: Option<Node>| node.map(|node| (name.to_owned(), node));
            let fields = [drag("start_coordinate", from), drag("coordinate", end)];
            return Ok(with_fields(call, Verb::Drag, fields.into_iter().flatten().collect()));
        }
        "scroll" | "vscroll" => return scroll(call, ["up", "down"], repairs),
        "hscroll" => return scroll(call, ["right", "left"], repairs),
        "write" | "typewrite" => return Ok(write(call)),
        "press" => return press(call, repairs),
        "hotkey" => return Ok(hotkey(call)),
        "sleep" => return Ok(wait(call, "seconds")),
        "wait" => return Ok(wait(call, "time")),
        "terminate" => return Ok(terminate(call)),
        _ if call.name.starts_with("computer.") => {
            // Our own words, as they are printed where PyAutoGUI has none.
            let name = call.name.trim_start_matches("computer.").to_owned();
            let read = std::mem::take(&mut call.named);
            let own = PythonCall {
                name,
                named: read,
                positional: Vec::new(),
                repairs: Vec::new(),
                ..*call
            };
            return Ok(Meaning::unknown(own));
        }
        _ => return Err(unknown()),
    };
    let fields = take_place(call)?.map(|node| ("coordinate".to_owned(), node));
    Ok(with_fields(call, verb, fields.into_iter().collect()))
}

/// Makes the meaning of a call with these fields alone; what else it was given, such as how fast to
/// move, is of no account here.
fn with_fields(call: &mut PythonCall, verb: Verb, fields: Vec<(String, Node)>) -> Meaning {
    let repairs = std::mem::take(&mut call.repairs);
    let name = call.name.clone();
    Meaning::known(
        verb,
        PythonCall { name, named: fields, positional: Vec::new(), repairs, ..*call },
    )
}

/// Takes the argument at this place or of this name.
fn take(call: &mut PythonCall, index: usize, name: &str) -> Option<Node> {
    if let Some(at) = call.named.iter().position(|(known, _)| known == name) {
        return Some(call.named.remove(at).1);
    }
    let node = call.positional.get_mut(index)?;
    Some(Node { offset: node.offset, value: std::mem::replace(&mut node.value, Value::Null) })
        .filter(|node| node.value != Value::Null)
}

/// Returns the point of a call as `[x, y]`, without taking it.
fn place(call: &PythonCall) -> Result<Option<Node>, ParseError> {
    place_from(call, usize::from(is_scroll(call)))
}

fn take_place(call: &mut PythonCall) -> Result<Option<Node>, ParseError> {
    if let Some(at) = call.named.iter().position(|(name, _)| name == "coordinate") {
        return Ok(Some(call.named.remove(at).1));
    }
    place(call)
}

fn is_scroll(call: &PythonCall) -> bool {
    matches!(short_name(call), "scroll" | "hscroll" | "vscroll")
}

fn place_from(call: &PythonCall, first: usize) -> Result<Option<Node>, ParseError> {
    let named =
        |name: &str| call.named.iter().find_map(|(known, node)| (known == name).then_some(node));
    let x = named("x").or_else(|| call.positional.get(first));
    let y = named("y").or_else(|| call.positional.get(first + 1));
    match (x, y) {
        (Some(x), _) if matches!(x.value, Value::Array(_)) => Ok(Some(x.clone())),
        (Some(x), Some(y)) => {
            let value = Value::Array(vec![x.clone(), y.clone()]);
            Ok(Some(Node { offset: x.offset, value }))
        }
        (None, None) => Ok(None),
        (x, _) => {
            let field = if x.is_none() { "x" } else { "y" };
            Err(ParseError::MissingField { offset: call.offset, verb: call.name.clone(), field })
        }
    }
}

/// A click of whichever button, as often as is said.
fn click(call: &mut PythonCall) -> Result<Meaning, ParseError> {
    let place = take_place(call)?;
    let times = whole(take(call, 2, "clicks").as_ref());
    let button = match take(call, 4, "button").map(|node| node.value) {
        None => "left".to_owned(),
        Some(Value::String(name)) => name,
        Some(other) => other.kind().to_owned(),
    };
    let verb = match (button.as_str(), times) {
        ("left" | "primary", Some(1)) => Verb::LeftClick,
        ("left" | "primary", Some(2)) => Verb::DoubleClick,
        ("left" | "primary", Some(3)) => Verb::TripleClick,
        ("right" | "secondary", Some(1)) => Verb::RightClick,
        ("middle", Some(1)) => Verb::MiddleClick,
        _ => {
            let expected = "one to three clicks of the left button, or one of another";
            let found = match times {
                Some(times) => format!("{times} of `{button}`"),
                None => "another number of clicks".to_owned(),
            };
            let fault = Fault::Unexpected { expected, found };
            return Err(ParseError::Call { offset: call.offset, fault });
        }
    };
    let fields = place.map(|node| ("coordinate".to_owned(), node));
    Ok(with_fields(call, verb, fields.into_iter().collect()))
}

/// Returns a small whole number; 1 if there is none.
fn whole(node: Option<&Node>) -> Option<u32> {
    match node.map(|node| &node.value) {
        None => Some(1),
        Some(Value::Number { spelling, .. }) => spelling.trim_end_matches(".0").parse().ok(),
        Some(_) => None,
    }
}

/// A turn of the wheel: `forward` one way if positive, the other if negative.
fn scroll(
    call: &mut PythonCall,
    [forward, back]: [&str; 2],
    repairs: &mut Vec<String>,
) -> Result<Meaning, ParseError> {
    let place = take_place(call)?;
    let offset = call.offset;
    let clicks = take(call, 0, "clicks").or_else(|| take(call, 0, "amount"));
    let clicks = clicks.ok_or_else(|| ParseError::MissingField {
        offset,
        verb: call.name.clone(),
        field: "clicks",
    })?;
    let Value::Number { value, .. } = clicks.value else {
        let found = clicks.value.kind().to_owned();
        let fault = Fault::Unexpected { expected: "a number", found };
        return Err(ParseError::Field { offset: clicks.offset, field: "clicks".to_owned(), fault });
    };
    let most = f64::from(MAX_NOTCHES);
    let notches = value.abs().min(most);
    if value.abs() > most {
        repairs.push(format!("{MAX_NOTCHES} notches for {}", value.abs()));
    }
    let number = Value::Number { value: notches, spelling: notches.to_string() };
    let mut fields = vec![("amount".to_owned(), Node { offset: clicks.offset, value: number })];
    fields.extend(place.map(|node| ("coordinate".to_owned(), node)));
    let mut scroll = PythonCall {
        name: call.name.clone(),
        named: fields,
        positional: Vec::new(),
        repairs: std::mem::take(&mut call.repairs),
        ..*call
    };
    imply(&mut scroll, "direction", if value > 0.0 { forward } else { back });
    Ok(Meaning::known(Verb::Scroll, scroll))
}

fn write(call: &mut PythonCall) -> Meaning {
    let text = ["message", "text", "content"].iter().find_map(|name| {
        let at = call.named.iter().position(|(known, _)| known == name)?;
        Some(call.named.remove(at).1)
    });
    let text = text.or_else(|| take(call, 0, "message"));
    let fields = text.map(|node| ("message".to_owned(), node));
    with_fields(call, Verb::Type, fields.into_iter().collect())
}

/// One press of one key: several in a row are several steps.
fn press(call: &mut PythonCall, repairs: &mut Vec<String>) -> Result<Meaning, ParseError> {
    let keys = ["keys", "key"].iter().find_map(|name| {
        let at = call.named.iter().position(|(known, _)| known == name)?;
        Some(call.named.remove(at).1)
    });
    let keys = keys.or_else(|| take(call, 0, "keys"));
    if let Some(presses) = take(call, 1, "presses") {
        match whole(Some(&presses)) {
            Some(1) => {}
            Some(times @ 2..) => repairs.push(format!("one press for {times}")),
            _ => {
                let found = presses.value.kind().to_owned();
                let fault = Fault::Unexpected { expected: "a number from 1", found };
                let field = "presses".to_owned();
                return Err(ParseError::Field { offset: presses.offset, field, fault });
            }
        }
    }
    let one = keys.map(|node| match node.value {
        Value::Array(mut items) if !items.is_empty() => {
            if items.len() > 1 {
                repairs.push(format!("one press for {}", items.len()));
                items.truncate(1);
            }
            Node { offset: node.offset, value: Value::Array(items) }
        }
        _ => Node { offset: node.offset, value: Value::Array(vec![node]) },
    });
    let fields = one.map(|node| ("keys".to_owned(), node));
    Ok(with_fields(call, Verb::Key, fields.into_iter().collect()))
}

fn hotkey(call: &mut PythonCall) -> Meaning {
    let mut positional = std::mem::take(&mut call.positional);
    let listed = call.named.iter().position(|(name, _)| name == "keys" || name == "args");
    let keys = match listed {
        Some(at) => call.named.remove(at).1,
        None if positional.len() == 1 && matches!(positional[0].value, Value::Array(_)) => {
            positional.remove(0)
        }
        None => {
            positional.extend(
                std::mem::take(&mut call.named)
                    .into_iter()
                    .filter_map(|(name, node)| name.starts_with("key").then_some(node)),
            );
            Node { offset: call.offset, value: Value::Array(positional) }
        }
    };
    with_fields(call, Verb::Key, vec![("keys".to_owned(), keys)])
}

fn wait(call: &mut PythonCall, name: &str) -> Meaning {
    let time = take(call, 0, name);
    let fields = time.map(|node| ("time".to_owned(), node));
    with_fields(call, Verb::Wait, fields.into_iter().collect())
}

fn terminate(call: &mut PythonCall) -> Meaning {
    let said = take(call, 1, "answer").and_then(|node| match node.value {
        Value::String(answer) if !answer.trim().is_empty() => Some(answer.trim().to_owned()),
        _ => None,
    });
    let status = take(call, 0, "status");
    let fields = status.map(|node| ("status".to_owned(), node));
    Meaning { said, ..with_fields(call, Verb::Terminate, fields.into_iter().collect()) }
}

/// Returns the thought: the section of that name, or else all that comes before the code.
fn thought(text: &str) -> String {
    let text = super::envelope::tidy_thought(text);
    let text = text.trim_end().trim_end_matches("## Code:").trim_end_matches("Code:").trim();
    let after = |heading: &str| text.find(heading).map(|at| at + heading.len());
    let start = after("## Thought:").or_else(|| after("Thought:")).unwrap_or(0);
    let rest = &text[start..];
    let end = ["\n## Action", "\nAction:"].iter().find_map(|heading| rest.find(heading));
    rest[..end.unwrap_or(rest.len())].trim().to_owned()
}
