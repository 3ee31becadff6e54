//! The grammar of replies whose action is a call, made from the dialect's table of calls.

use std::fmt::Write;

use handsight_actions::{Dialect, Key, call_forms};

use super::{MAX_LINE, MAX_THOUGHT, Task, bounded, literal};

/// Returns the grammar of a whole reply.
pub(super) fn reply(dialect: Dialect, task: Task<'_>) -> String {
    let start = match dialect {
        Dialect::UiVenus => {
            "\"<think>\" THOUGHT \"</think>\\n<action>\" call \"</action>\\n<conclusion>\" THOUGHT \
             \"</conclusion>\""
        }
        Dialect::Pyautogui => "TALK? \"```python\\n\" call \"\\n```\"",
        _ => "\"Thought: \" LINE \"\\nAction: \" call",
    };
    let mut forms: Vec<&str> = Vec::new();
    for form in call_forms(dialect) {
        if task.offered.contains(form.verb) && !forms.contains(&form.template) {
            forms.push(form.template);
        }
    }
    let calls: Vec<_> = forms.iter().map(|form| alternative(form, dialect)).collect();
    let mut grammar = format!("start: {start}\ncall: {}\n", calls.join(" | "));
    // Only what is used may be there.
    let mut rules = vec![
        ("THOUGHT", format!("/[^<]{{1,{MAX_THOUGHT}}}/")),
        ("TALK", format!("/[^`]{{1,{MAX_THOUGHT}}}/")),
        ("LINE", format!("/[^\\n]{{1,{MAX_THOUGHT}}}/")),
        ("TEXT", format!("/([^'\\\\\\x00-\\x1f]|\\\\['\"\\\\nrt]){{1,{MAX_LINE}}}/")),
        ("CLICKS", "/-?[1-9][0-9]?/".to_owned()),
        ("SECONDS", "/[1-9]|[1-5][0-9]/".to_owned()),
        ("direction", "\"up\" | \"down\" | \"left\" | \"right\"".to_owned()),
        ("keys", keys(dialect)),
        ("key", key_names()),
        ("point", point(["x", "y"], task.box_tokens)),
        ("end", point(["x2", "y2"], task.box_tokens)),
        ("x", bounded(task.grid.width)),
        ("y", bounded(task.grid.height)),
        ("x2", bounded(task.grid.width)),
        ("y2", bounded(task.grid.height)),
    ];
    // A rule may call for one further down, so the order above is also that of use.
    rules.retain(|(name, rule)| {
        let is_used = mentions(&grammar, name);
        if is_used {
            let _ = writeln!(grammar, "{name}: {rule}");
        }
        is_used
    });
    grammar
}

/// Whether a rule's name stands somewhere as a word outside of quotes.
fn mentions(grammar: &str, name: &str) -> bool {
    let outside = |line: &str| -> String {
        let mut text = String::new();
        let mut quoted = false;
        let mut escaped = false;
        for c in line.chars() {
            match c {
                '"' if !escaped => quoted = !quoted,
                c if !quoted => text.push(c),
                _ => {}
            }
            escaped = c == '\\' && !escaped;
        }
        text
    };
    grammar.lines().any(|line| {
        let body = line.split_once(": ").map_or(line, |(_, body)| body);
        if body.starts_with('/') || body.starts_with("%json") {
            return false;
        }
        let words = outside(body);
        words.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == name)
    })
}

/// Returns one way to write a call: its text as literals, its holes as rules.
fn alternative(template: &str, dialect: Dialect) -> String {
    let template = match dialect {
        // Here a point may stand between two tokens of its own.
        Dialect::UiTars => template.replace("({x},{y})", "{point}").replace("({x2},{y2})", "{end}"),
        _ => template.to_owned(),
    };
    let mut written = String::new();
    let mut rest = template.as_str();
    while let Some(open) = rest.find('{') {
        let (plain, from) = rest.split_at(open);
        let close = from.find('}').expect("holes of the tables are closed");
        if !plain.is_empty() {
            let _ = write!(written, "{} ", literal(plain));
        }
        let rule = match &from[1..close] {
            "text" => "TEXT",
            "said" => "TEXT?",
            "clicks" => "CLICKS",
            "seconds" => "SECONDS",
            name => name,
        };
        let _ = write!(written, "{rule} ");
        rest = &from[close + 1..];
    }
    if !rest.is_empty() {
        written.push_str(&literal(rest));
    }
    written.trim_end().to_owned()
}

/// A point of UI-TARS, with or without the tokens it was trained to put around one.
fn point([x, y]: [&str; 2], box_tokens: bool) -> String {
    let bare = format!(r#""(" {x} "," {y} ")""#);
    if box_tokens { format!("{bare} | <|box_start|> {bare} <|box_end|>") } else { bare }
}

/// Up to three keys: in a list with quotes, or with blanks between them.
fn keys(dialect: Dialect) -> String {
    if dialect == Dialect::UiTars {
        return "key (\" \" key)? (\" \" key)?".to_owned();
    }
    "\"'\" key \"'\" (\", '\" key \"'\")? (\", '\" key \"'\")?".to_owned()
}

fn key_names() -> String {
    let escape = |name: String| name.replace('\\', "\\\\").replace('\'', "\\'");
    let names: Vec<_> = Key::offered().map(|key| literal(&escape(key.to_string()))).collect();
    names.join(" | ")
}
