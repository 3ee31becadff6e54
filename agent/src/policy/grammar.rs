//! The grammar a reply must follow, so that decoding cannot leave the action space.
//!
//! Grammars are in llguidance's dialect of Lark. What they force costs no run of the model. They
//! are a help, not a check: a reply is parsed and validated as if it had been written freely.

mod calls;
mod list;
mod place;

use std::fmt::Write;

use handsight_actions::{ActionSpace, Dialect, Key, Size, Verb, action_schema, tool_schema};
use serde_json::{Value, json};

pub(crate) use self::list::{document, places};
pub(crate) use self::place::{bounded, coordinates, place};
use crate::family::{AgentPrompt, Layout};
use crate::prompt::stand_in::{quoted, with_stand_ins};

/// The longest label or text in a line of the embedded checkpoint, in characters.
const MAX_LINE: usize = 400;

/// The longest thought before a tool call, in characters.
const MAX_THOUGHT: usize = 1200;

/// What a reply is to be about.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) goal: &'a str,
    /// The thoughts of the steps so far.
    pub(super) done: &'a [&'a str],
    pub(super) offered: &'a ActionSpace,
    /// The size of the grid that coordinates lie on.
    pub(super) grid: Size,
    /// Whether the checkpoint's vocabulary has tokens that stand around a box.
    pub(super) box_tokens: bool,
}

/// Returns the grammar of a whole reply.
pub(super) fn reply(agent: &AgentPrompt, task: Task<'_>) -> String {
    if agent.layout == Layout::Embedded {
        let shown = with_stand_ins(task.goal);
        let pieces = Pieces::of(task.goal, &shown, task.done);
        return thought_and_action(&pieces, task.offered, task.grid);
    }
    if agent.dialect.is_calls() {
        return calls::reply(agent.dialect, task);
    }
    let schema = spaced(tool_schema(agent.dialect, task.offered, task.grid));
    // Where it is asked to reason and conclude between tags, there is room for them.
    let (before, after) = if agent.user.says("<thinking>") {
        (
            "\"<thinking>\" THOUGHT \"</thinking>\\n\"",
            "\"\\n<conclusion>\" THOUGHT \"</conclusion>\"",
        )
    } else {
        ("THOUGHT?", "")
    };
    format!(
        "start: {before} <tool_call> \"\\n\" call \"\\n\" </tool_call> {after}\n\
         THOUGHT: /[^<]{{1,{MAX_THOUGHT}}}/\n\
         call: %json {schema}\n"
    )
}

/// Returns the schema of a call, with coordinates on `grid`, for a model that cannot be held to a
/// grammar; nothing for a dialect whose replies are no call in JSON.
pub(crate) fn call_schema(dialect: Dialect, offered: &ActionSpace, grid: Size) -> Option<Value> {
    dialect.tool().map(|_| tool_schema(dialect, offered, grid))
}

/// What a thought may put between its quotes: so small a model reads well, spells badly and loses
/// count, and neither a name nor a text to type should be its own invention.
enum Pieces<'a> {
    /// What the goal quotes, and the chords it says to press, as far as no step has used them yet;
    /// each as often as the goal has it. While there is any, the goal is not finished.
    Quoted { words: Vec<Word<'a>>, chords: Vec<&'a str> },
    /// A goal without quotes: any of its words that follow each other.
    Words(&'a str),
}

/// Something that a goal quotes.
struct Word<'a> {
    /// As it is read, and repeated in a thought.
    shown: &'a str,
    /// As it is typed; another only where it is a secret.
    typed: &'a str,
}

impl<'a> Pieces<'a> {
    fn of(goal: &'a str, shown: &'a str, done: &[&str]) -> Self {
        let words = quoted(shown).zip(quoted(goal));
        let mut words: Vec<_> = words.map(|(shown, typed)| Word { shown, typed }).collect();
        words
            .retain(|word| !word.typed.trim().is_empty() && !word.typed.contains(char::is_control));
        if words.is_empty() {
            return Self::Words(goal);
        }
        let mut chords: Vec<&str> = goal.split('"').step_by(2).flat_map(chords).collect();
        for thought in done {
            let used = thought.split('"').nth(1);
            if let Some(at) = words.iter().position(|word| Some(word.shown) == used) {
                words.remove(at);
            }
            let used = thought.strip_prefix("press ");
            if let Some(at) = chords.iter().position(|&chord| Some(chord) == used) {
                chords.remove(at);
            }
        }
        Self::Quoted { words, chords }
    }

    /// Returns what a thought may press, as a terminal; none if nothing is left to press.
    fn press(&self) -> Option<String> {
        match self {
            Self::Quoted { chords, .. } if chords.is_empty() => None,
            Self::Quoted { chords, .. } => {
                let lines = chords.iter().map(|chord| literal(&format!("press {chord}\n")));
                Some(format!("({})", lines.collect::<Vec<_>>().join(" | ")))
            }
            Self::Words(_) => Some("/press [A-Za-z0-9_+]{1,40}\\n/".to_owned()),
        }
    }

    /// Returns the terminals `WORDS` and, for `type`, the rule of a text in a thought and again in
    /// the action; none if there is nothing left.
    fn rules(&self) -> Option<String> {
        let action = "\"\n{\"action\":\"type\",\"text\":\"";
        match self {
            Self::Quoted { words, .. } if words.is_empty() => None,
            Self::Quoted { words: pieces, .. } => {
                let words: Vec<_> = pieces.iter().map(|piece| literal(piece.shown)).collect();
                let texts: Vec<_> = pieces
                    .iter()
                    .map(|Word { shown, typed }| {
                        let text = literal(typed);
                        let text = &text[1..text.len() - 1];
                        literal(&format!("type \"{shown}{action}{text}\"}}"))
                    })
                    .collect();
                Some(format!("type: {}\nWORDS: {}\n", texts.join(" | "), words.join(" | ")))
            }
            Self::Words(goal) => {
                let escaped = literal(goal);
                let escaped = words("ESCAPED", &escaped[1..escaped.len() - 1]);
                let rule = format!(r#"type: "type \"" WORDS {} ESCAPED "\"}}""#, literal(action));
                Some(format!("{rule}\n{escaped}{}", words("WORDS", goal)))
            }
        }
    }

    /// Whether the goal may be finished.
    fn may_be_done(&self) -> bool {
        match self {
            Self::Quoted { words, chords } => words.is_empty() && chords.is_empty(),
            Self::Words(_) => true,
        }
    }
}

/// Returns the chords that a part of a goal outside its quotes says to press.
fn chords(part: &str) -> impl Iterator<Item = &str> {
    let words = part.split_whitespace().map(|word| word.trim_end_matches([',', '.', ';']));
    let pairs = words.clone().zip(words.skip(1));
    let pressed = pairs.filter(|(verb, _)| verb.eq_ignore_ascii_case("press"));
    pressed.map(|(_, chord)| chord).filter(|chord| Key::parse_chord(chord).is_ok())
}

/// Returns the grammar of the embedded checkpoint's reply: a line, and the action that line speaks
/// of. Where a widget is named, the action may also say that there is none of that name.
fn thought_and_action(pieces: &Pieces<'_>, offered: &ActionSpace, frame: Size) -> String {
    let failure = [terminate("failure")];
    let press = pieces.press();
    let mut lines: Vec<(Verb, &str, &[Value])> =
        vec![(Verb::Scroll, "/scroll (up|down|left|right)\\n/", &[])];
    lines.extend(press.as_deref().map(|press| (Verb::Key, press, &[][..])));
    let mut choices: Vec<&str> = Vec::new();
    let mut rules = String::new();
    if let Some(words) = pieces.rules() {
        lines.push((Verb::LeftClick, r#""click \"" WORDS "\"\n""#, &failure));
        lines.push((Verb::DoubleClick, r#""double click \"" WORDS "\"\n""#, &failure));
        lines.push((Verb::RightClick, r#""right click \"" WORDS "\"\n""#, &failure));
        if offered.contains(Verb::Type) {
            choices.push("type");
        }
        rules.push_str(&words);
    }
    if pieces.may_be_done() {
        choices.push("finished");
        let done = compact(terminate("success"));
        let _ = writeln!(rules, "finished: \"finished\\n\" %json {done}");
    }
    for (verb, line, otherwise) in lines {
        if !offered.contains(verb) {
            continue;
        }
        let mut actions = vec![action_schema(&ActionSpace::new([verb]), frame)];
        actions.extend_from_slice(otherwise);
        let action = compact(json!({ "anyOf": actions }));
        choices.push(verb.as_str());
        let _ = writeln!(rules, "{verb}: {line} %json {action}");
    }
    format!("start: {}\n{rules}", choices.join(" | "))
}

/// Returns a terminal that matches some whole words of `text` that follow each other.
fn words(name: &str, text: &str) -> String {
    let some = format!("/[^\\s\"]([^\"\\x00-\\x1f\\x7f]{{0,{MAX_LINE}}}[^\\s\"])?/");
    format!("{name}: %regex {} & {some}\n", json!({ "substring_words": text }))
}

/// Returns the schema of the action that ends the episode with this status.
fn terminate(status: &str) -> Value {
    json!({
        "type": "object",
        "properties": { "action": { "const": "terminate" }, "status": { "const": status } },
        "required": ["action", "status"],
        "additionalProperties": false,
    })
}

/// Returns the grammar of the embedded checkpoint's reply that starts with the line `thought`: a
/// click, or the word that there is nothing to click.
pub(crate) fn click_or_not_found(thought: &str, frame: Size) -> String {
    let click = action_schema(&ActionSpace::new([Verb::LeftClick]), frame);
    let action = compact(json!({ "anyOf": [click, terminate("failure")] }));
    format!("start: {} action\naction: %json {action}\n", literal(thought))
}

/// Returns a text as a string of the grammar, which has the escapes of JSON.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

/// Adds the options for JSON without white space.
fn compact(schema: Value) -> Value {
    with_options(schema, ",", ":")
}

/// Adds the options for JSON as Python writes it.
fn spaced(schema: Value) -> Value {
    with_options(schema, ", ", ": ")
}

fn with_options(mut schema: Value, item_separator: &str, key_separator: &str) -> Value {
    schema["x-guidance"] = json!({
        "item_separator": item_separator,
        "key_separator": key_separator,
        "whitespace_flexible": false,
    });
    schema
}

#[cfg(test)]
mod tests;
