//! Tools and format of a request → the one constraint the answer is decoded under.

use std::fmt::Write as _;

use handsight_model::Constraint;
use handsight_model::chat::python_json::python_json;
use handsight_model::chat::tools::{CALL_END, CALL_START};
use serde_json::{Value, json};

use super::request::{Format, Tool, ToolChoice, Tools, lark_choice, lark_string, spaced};

/// Whether the vocabulary has tokens for the tags around a call, or spells them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tags {
    Tokens,
    Spelt,
}

/// Returns what the answer must look like, if anything.
///
/// Where calls are required or strict the grammar has the schemas of the arguments in it, so that a
/// call cannot be malformed. Where the model may choose, nothing is decided for it.
pub(super) fn constraint(tools: &Tools, format: &Format, tags: Tags) -> Option<Constraint> {
    let offered = tools.offered();
    if offered.is_empty() {
        return format.constraint();
    }
    let (callable, answers): (Vec<&Tool>, bool) = match &tools.choice {
        ToolChoice::Named(name) => {
            (offered.iter().filter(|tool| tool.name == *name).collect(), false)
        }
        ToolChoice::Required => (offered.iter().collect(), false),
        ToolChoice::Auto | ToolChoice::None => (offered.iter().collect(), true),
    };
    let is_strict = !tools.parallel || callable.iter().any(|tool| tool.strict);
    if answers && !is_strict && *format == Format::Text {
        return None;
    }
    let mut grammar = String::new();
    if answers {
        let answer = match format {
            // Free text, and calls after it if the model likes.
            Format::Text => "text calls? | calls",
            _ => "text | calls",
        };
        // A string takes every write.
        let _ = writeln!(grammar, "start: {answer}\n{}", text_rule(format, tags));
    } else {
        grammar.push_str("start: calls\n");
    }
    let is_one = !tools.parallel || matches!(tools.choice, ToolChoice::Named(_));
    let several = if is_one { "" } else { r#" ("\n" call)*"# };
    let _ = writeln!(grammar, "calls: call{several}");
    let (start, end) = match tags {
        Tags::Tokens => (format!("{CALL_START} \"\\n\""), format!("\"\\n\" {CALL_END}")),
        Tags::Spelt => {
            (lark_string(&format!("{CALL_START}\n")), lark_string(&format!("\n{CALL_END}")))
        }
    };
    let names: Vec<String> = (0..callable.len()).map(|index| format!("call_{index}")).collect();
    let _ = writeln!(grammar, "call: {start} ({}) {end}", names.join(" | "));
    for (name, tool) in names.iter().zip(callable) {
        let before = format!(
            r#"{{"name": {}, "arguments": "#,
            python_json(&Value::from(tool.name.as_str()))
        );
        let schema = arguments_schema(&tool.parameters);
        let _ = writeln!(grammar, "{name}: {} args_{name} \"}}\"", lark_string(&before));
        let _ = writeln!(grammar, "args_{name}: %json {schema}");
    }
    Some(Constraint::Lark(grammar))
}

/// The rule of what the model may answer instead of a call.
fn text_rule(format: &Format, tags: Tags) -> String {
    match (format, tags) {
        (Format::Text, Tags::Tokens) => r"text: /(.|\n)+/".to_owned(),
        (Format::Text, Tags::Spelt) => {
            format!("text: TEXT\nTEXT: /(.|\\n)+/ & ~/(.|\\n)*{CALL_START}(.|\\n)*/")
        }
        (Format::Json(schema), _) => format!("text: %json {}", spaced(schema)),
        (Format::Regex(regex), _) => format!("text: {}", lark_regex(regex)),
        (Format::Lark(grammar), _) => format!("text: %lark {{\n{grammar}\n}}"),
        (Format::Choice(texts), _) => format!("text: {}", lark_choice(texts)),
    }
}

/// Writes a regular expression as Lark does, between slashes and on one line.
fn lark_regex(regex: &str) -> String {
    let mut written = String::from("/");
    let mut escaped = false;
    for char in regex.chars() {
        match char {
            '/' if !escaped => written.push_str("\\/"),
            '\n' => written.push_str(if escaped { "n" } else { "\\n" }),
            other => written.push(other),
        }
        escaped = !escaped && char == '\\';
    }
    written.push('/');
    written
}

/// The schema of a function's arguments, which are always an object.
fn arguments_schema(parameters: &Value) -> Value {
    let mut schema = spaced(parameters);
    let says_what = ["type", "$ref", "anyOf", "oneOf", "allOf"];
    if !says_what.iter().any(|key| schema.get(*key).is_some()) {
        schema["type"] = json!("object");
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use handsight_model::{CancelFlag, Engine, GenerateOptions, Message, Request, Role};

    fn tool(name: &str, parameters: Value, strict: bool) -> Tool {
        Tool { name: name.to_owned(), parameters, strict, definition: Value::Null }
    }

    fn tools(choice: ToolChoice, parallel: bool, strict: bool) -> Tools {
        let schema = json!({
            "properties": {"x": {"$ref": "#/$defs/small"}},
            "required": ["x"],
            "additionalProperties": false,
            "$defs": {"small": {"enum": [1, 2]}},
        });
        let list = vec![tool("f", schema, strict), tool("g\"/", json!({}), false)];
        Tools { list, choice, parallel }
    }

    /// What the embedded model writes under a constraint.
    fn written(engine: &Engine, constraint: Option<Constraint>) -> Result<String, String> {
        let request = Request {
            messages: vec![Message::text(Role::User, "hi")],
            constraint,
            options: GenerateOptions { max_new_tokens: 128, ..GenerateOptions::default() },
            ..Request::default()
        };
        let answer = engine.generate(&request, &mut |_| {}, &CancelFlag::default());
        answer.map(|answer| answer.text).map_err(|error| error.to_string())
    }

    #[test]
    fn where_the_model_may_choose_nothing_is_decided() {
        let auto = tools(ToolChoice::Auto, true, false);
        assert_eq!(constraint(&auto, &Format::Text, Tags::Tokens), None);
        let none = tools(ToolChoice::None, true, true);
        assert_eq!(constraint(&none, &Format::Text, Tags::Tokens), None);
    }

    #[test]
    fn a_named_function_is_called_once_with_its_schema() {
        let engine = Engine::embedded().unwrap();
        let named = tools(ToolChoice::Named("f".to_owned()), true, false);
        for tags in [Tags::Tokens, Tags::Spelt] {
            let text = written(&engine, constraint(&named, &Format::Text, tags)).unwrap();
            let call = |x: u8| {
                format!(
                    "<tool_call>\n{{\"name\": \"f\", \"arguments\": {{\"x\": {x}}}}}\n</tool_call>"
                )
            };
            assert!(text == call(1) || text == call(2), "{tags:?}: {text}");
        }
    }

    #[test]
    fn every_combination_is_a_grammar() {
        let formats = [
            Format::Text,
            Format::Json(json!({"type": "integer", "minimum": 0, "maximum": 3})),
            Format::Regex("a/b\\/c|\n".to_owned()),
            Format::Lark("start: \"a\" b\nb: \"}\" # a brace\n".to_owned()),
            Format::Choice(vec!["yes".to_owned(), "a \"b\"\n\u{7f}".to_owned()]),
        ];
        let engine = Engine::embedded().unwrap();
        let required = tools(ToolChoice::Required, true, false);
        let strict = tools(ToolChoice::Auto, false, true);
        for format in &formats {
            for tools in [&required, &strict] {
                for tags in [Tags::Tokens, Tags::Spelt] {
                    let constraint = constraint(tools, format, tags);
                    assert!(constraint.is_some());
                    let written = written(&engine, constraint.clone());
                    assert!(written.is_ok(), "{written:?}: {constraint:?}");
                }
            }
            let alone = Tools { list: vec![], choice: ToolChoice::None, parallel: true };
            assert_eq!(constraint(&alone, format, Tags::Tokens), format.constraint());
        }
    }
}
