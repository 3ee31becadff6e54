//! The grammar a reply must follow, so that decoding cannot leave the action space.
//!
//! Grammars are in llguidance's dialect of Lark. What they force costs no run of the model. They
//! are a help, not a check: a reply is parsed and validated as if it had been written freely.

use std::fmt::Write;

use handsight_actions::{ActionSpace, Size, Verb, action_schema, tool_schema};
use serde_json::{Value, json};

use crate::prompt::PromptProfile;

/// The longest label or text in a line of the embedded checkpoint, in characters.
const MAX_LINE: usize = 400;

/// The longest thought before a tool call, in characters.
const MAX_THOUGHT: usize = 1200;

/// Returns the grammar of a whole reply, with coordinates inside `frame`. `done` are the thoughts of
/// the steps so far.
pub(super) fn reply(
    profile: PromptProfile,
    goal: &str,
    done: &[&str],
    offered: &ActionSpace,
    frame: Size,
) -> String {
    match profile {
        PromptProfile::EmbeddedV1 => thought_and_action(&Pieces::of(goal, done), offered, frame),
        PromptProfile::ComputerUse | PromptProfile::MobileUse => {
            let schema = spaced(tool_schema(profile.dialect(), offered, frame));
            format!(
                "start: THOUGHT? <tool_call> \"\\n\" call \"\\n\" </tool_call>\n\
                 THOUGHT: /[^<]{{1,{MAX_THOUGHT}}}/\n\
                 call: %json {schema}\n"
            )
        }
    }
}

/// Returns the schema of a call, with coordinates inside `frame`, for a model that cannot be held to
/// a grammar; nothing for a profile whose replies are more than a call.
pub(crate) fn call_schema(
    profile: PromptProfile,
    offered: &ActionSpace,
    frame: Size,
) -> Option<Value> {
    match profile {
        PromptProfile::EmbeddedV1 => None,
        PromptProfile::ComputerUse | PromptProfile::MobileUse => {
            Some(tool_schema(profile.dialect(), offered, frame))
        }
    }
}

/// What a thought may put between its quotes: so small a model reads well, spells badly and loses
/// count, and neither a name nor a text to type should be its own invention.
enum Pieces<'a> {
    /// What the goal quotes and no step has used yet, each as often as the goal has it. While there
    /// is any, the goal is not finished.
    Quoted(Vec<&'a str>),
    /// A goal without quotes: any of its words that follow each other.
    Words(&'a str),
}

impl<'a> Pieces<'a> {
    fn of(goal: &'a str, done: &[&str]) -> Self {
        let mut quoted: Vec<&str> = goal.split('"').skip(1).step_by(2).collect();
        quoted.retain(|piece| !piece.trim().is_empty() && !piece.contains(char::is_control));
        if quoted.is_empty() {
            return Self::Words(goal);
        }
        for thought in done {
            let used = thought.split('"').nth(1);
            if let Some(at) = quoted.iter().position(|&piece| Some(piece) == used) {
                quoted.remove(at);
            }
        }
        Self::Quoted(quoted)
    }

    /// Returns the terminals `WORDS` and, for `type`, the rule of a text in a thought and again in
    /// the action; none if there is nothing left.
    fn rules(&self) -> Option<String> {
        let action = "\"\n{\"action\":\"type\",\"text\":\"";
        match self {
            Self::Quoted(pieces) if pieces.is_empty() => None,
            Self::Quoted(pieces) => {
                let words: Vec<_> = pieces.iter().map(|piece| literal(piece)).collect();
                let texts: Vec<_> = pieces
                    .iter()
                    .map(|piece| {
                        let text = literal(piece);
                        let text = &text[1..text.len() - 1];
                        literal(&format!("type \"{piece}{action}{text}\"}}"))
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
            Self::Quoted(pieces) => pieces.is_empty(),
            Self::Words(_) => true,
        }
    }
}

/// Returns the grammar of the embedded checkpoint's reply: a line, and the action that line speaks
/// of. Where a widget is named, the action may also say that there is none of that name.
fn thought_and_action(pieces: &Pieces<'_>, offered: &ActionSpace, frame: Size) -> String {
    let failure = [terminate("failure")];
    let mut lines: Vec<(Verb, &str, &[Value])> = vec![
        (Verb::Key, "/press [A-Za-z0-9_+]{1,40}\\n/", &[]),
        (Verb::Scroll, "/scroll (up|down|left|right)\\n/", &[]),
    ];
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

/// Returns the grammar of a reply of which only the two coordinates are open.
///
/// `before` and `after` are what stands around them, brackets included; a `<tool_call>` at the very
/// start is taken for the token of that name.
pub(crate) fn coordinates(before: &str, separator: &str, after: &str, frame: Size) -> String {
    let side = |length: u32| {
        let last = length.saturating_sub(1);
        json!({ "type": "integer", "minimum": 0, "maximum": last })
    };
    let before = match before.strip_prefix("<tool_call>") {
        Some(rest) => format!("<tool_call> {}", literal(rest)),
        None => literal(before),
    };
    let (separator, after) = (literal(separator), literal(after));
    let (x, y) = (side(frame.width), side(frame.height));
    format!("start: {before} x {separator} y {after}\nx: %json {x}\ny: %json {y}\n")
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
mod tests {
    use super::*;
    use handsight_actions::{Dialect, parse_action};
    use handsight_model::{
        CancelFlag, Constraint, Engine, GenerateOptions, Message, Request, Sampling, StopReason,
    };

    const FRAME: Size = Size { width: 308, height: 196 };

    /// Lets the embedded checkpoint, which was trained on one of these forms at most, write by
    /// `grammar`, and returns what it wrote.
    fn write(grammar: String, prefix: &str, seed: u64) -> (String, StopReason) {
        let engine = Engine::embedded().unwrap();
        let temperature = 1.0;
        let request = Request {
            messages: vec![Message::image_and_text(0, "click \"Save\"")],
            images: vec![image::RgbImage::new(FRAME.width, FRAME.height).into()],
            prefix: Some(prefix.to_owned()),
            constraint: Some(Constraint::Lark(grammar)),
            options: GenerateOptions {
                max_new_tokens: 200,
                sampling: Sampling::Random { temperature, top_p: None, top_k: None, seed },
                ..GenerateOptions::default()
            },
            ..Request::default()
        };
        let written = engine.generate(&request, &mut |_| {}, &CancelFlag::default()).unwrap();
        (written.text, written.stop)
    }

    /// Checks that whatever is written by `grammar` is a valid action.
    #[track_caller]
    fn check(grammar: &str, prefix: &str, after: &str, dialect: Dialect) {
        for seed in 0..4 {
            let (text, stop) = write(grammar.to_owned(), prefix, seed);
            assert_eq!(stop, StopReason::Stop, "{text}");
            let parsed = parse_action(&format!("{text}{after}"), dialect);
            let parsed = parsed.unwrap_or_else(|error| panic!("{error} in {text}"));
            assert!(parsed.repairs.is_empty(), "{:?} in {text}", parsed.repairs);
            parsed.action.validate(FRAME).unwrap();
        }
    }

    fn offered() -> ActionSpace {
        ActionSpace::new([Verb::LeftClick, Verb::Scroll, Verb::Terminate])
    }

    #[test]
    fn a_line_and_its_action_are_what_the_embedded_checkpoint_must_write() {
        let goal = "double click \"Save As\" then type \"Zoë 中文 c:\\d\" into \"Name\"";
        let reply = |done: &[&str]| {
            reply(PromptProfile::EmbeddedV1, goal, done, &ActionSpace::desktop(), FRAME)
        };
        for line in ["", "click \"Save As\"\n", "double click \"", "type \"Zoë", "press Ctrl+S\n"]
        {
            check(&reply(&[]), line, "", Dialect::Json);
        }
        let (text, _) = write(reply(&[]), "scroll down\n", 0);
        assert!(text.contains("\"action\":\"scroll\""), "{text}");
        let (text, _) = write(reply(&[]), "type \"Z", 0);
        let typed = "type \"Zoë 中文 c:\\d\"\n{\"action\":\"type\",\"text\":\"Zoë 中文 c:\\\\d\"}";
        assert_eq!(text, typed);
    }

    #[test]
    fn what_the_goal_quotes_is_used_once_and_before_the_end() {
        let goal = "click \"Next\", click \"Next\", then click \"OK\"";
        let pieces = |done: &[&str]| match Pieces::of(goal, done) {
            Pieces::Quoted(pieces) => pieces.join(" "),
            Pieces::Words(_) => panic!("the goal has quotes"),
        };
        assert_eq!(pieces(&[]), "Next Next OK");
        assert_eq!(pieces(&["click \"Next\"", "scroll down"]), "Next OK");
        let all = ["click \"Next\"", "click \"OK\"", "click \"Next\""];
        assert_eq!(pieces(&all), "");
        let grammar = |done: &[&str]| {
            reply(PromptProfile::EmbeddedV1, goal, done, &ActionSpace::desktop(), FRAME)
        };
        let start = grammar(&all[..2]).lines().next().unwrap().to_owned();
        assert!(start.contains("left_click") && !start.contains("finished"), "{start}");
        let (text, _) = write(grammar(&all), "f", 0);
        assert_eq!(text, "finished\n{\"action\":\"terminate\",\"status\":\"success\"}");
    }

    #[test]
    fn a_goal_without_quotes_lends_any_of_its_words() {
        let goal = "open Save As";
        let grammar = reply(PromptProfile::EmbeddedV1, goal, &[], &ActionSpace::desktop(), FRAME);
        for line in ["click \"Save As\"\n", "click \"As\"\n", "type \"", "finished\n"] {
            check(&grammar, line, "", Dialect::Json);
        }
    }

    #[test]
    fn tool_calls_are_what_the_cookbook_checkpoints_must_write() {
        for profile in [PromptProfile::ComputerUse, PromptProfile::MobileUse] {
            let grammar = reply(profile, "click Save", &[], &offered(), FRAME);
            check(&grammar, "<tool_call>\n", "", profile.dialect());
        }
    }

    #[test]
    fn only_coordinates_are_open_when_a_point_is_forced() {
        let thought = "say \"é\"\n{\"action\":\"left_click\",\"coordinate\":";
        let grammar = coordinates(&format!("{thought}["), ",", "]}", FRAME);
        check(&grammar, thought, "", Dialect::Json);
        let call = "<tool_call>\n{\"name\": \"computer_use\", \"arguments\": \
                    {\"action\": \"left_click\", \"coordinate\": [";
        let grammar = coordinates(call, ", ", "]}}", FRAME);
        check(&grammar, call, "\n</tool_call>", Dialect::ComputerUse);
    }

    #[test]
    fn a_click_or_nothing_is_the_choice_when_something_is_looked_for() {
        let grammar = click_or_not_found("click \"Save\"\n", FRAME);
        check(&grammar, "click \"Save\"\n", "", Dialect::Json);
    }
}
