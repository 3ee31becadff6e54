//! The registry's tools as keywords: names, documentation, arguments and types, and their calls.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handsight_scenarios::{Effect, Reply, Tool};
use serde_json::{Map, Value, json};

use crate::session_thread::{CallError, SessionThread};

/// What `libdoc` shows first.
pub(super) const INTRODUCTION: &str = "Sees a screen and acts on it.\n\n\
    Targets are words, such as ``the Save button``, which a model finds, or points of the screenshot, such \
    as ``[120, 44]``. What has to be asked of a model fails where the model cannot tell; the model that is \
    part of the program finds things and pursues short goals, and answers no questions.\n\n\
    Whatever fails has a screenshot in the log. The safety policy of the server decides what may be done.";

/// What `libdoc` shows of the import.
pub(super) const IMPORT: &str = "Start the server with ``handsight robot``, and import it with \
    ``Library  Remote  http://127.0.0.1:8270  AS  Handsight``.";

/// Returns the tool of a keyword. As everywhere in Robot Framework, case, spaces and underscores do not
/// matter.
pub(super) fn find(tools: &[Tool], keyword: &str) -> Option<Tool> {
    tools.iter().copied().find(|tool| plain(tool.keyword()) == plain(keyword))
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_')).flat_map(char::to_lowercase).collect()
}

/// Returns all that Robot Framework asks of a keyword.
pub(super) fn information(tool: Tool) -> Value {
    json!({
        "args": arguments(tool),
        "types": types(tool),
        "tags": tags(tool),
        "doc": documentation(tool),
    })
}

/// Returns the arguments as Robot Framework writes them: `name`, or `name=default`.
pub(super) fn arguments(tool: Tool) -> Value {
    let schema = tool.arguments();
    let specs = names(&schema).into_iter().map(|name| {
        let field = &schema["properties"][&name];
        match field.get("default") {
            Some(Value::String(text)) => format!("{name}={text}"),
            // Variables are as they are written in a suite.
            Some(Value::Object(_)) => format!("{name}=&{{EMPTY}}"),
            Some(default) => format!("{name}={default}"),
            None if is_required(&schema, &name) => name,
            None => format!("{name}="),
        }
    });
    specs.collect()
}

/// Returns the types of the arguments, by which Robot Framework converts them.
pub(super) fn types(tool: Tool) -> Value {
    let schema = tool.arguments();
    let types = names(&schema).into_iter().map(|name| {
        let kind = match schema["properties"][&name]["type"].as_str() {
            Some("integer") => "int",
            Some("number") => "float",
            Some("boolean") => "bool",
            Some("object") => "dict",
            Some("array") => "list",
            Some(_) => "str",
            // One of several words.
            None if schema["properties"][&name].get("oneOf").is_some() => "str",
            // Words or a point, a chord or keys.
            None => "str | list",
        };
        (name, json!(kind))
    });
    Value::Object(types.collect())
}

pub(super) fn tags(tool: Tool) -> Value {
    json!([if tool.effect() == Effect::Acts { "acts" } else { "looks" }])
}

/// Returns what it does, its arguments and its result, in Robot Framework's own markup.
pub(super) fn documentation(tool: Tool) -> String {
    let (schema, result) = (tool.arguments(), tool.result());
    let mut text = tool.description();
    let table = |title: &str, schema: &Value, names: Vec<String>| {
        let rows = names.into_iter().map(|name| {
            let described = schema["properties"][&name]["description"].as_str().unwrap_or_default();
            format!("| ``{name}`` | {} |", described.replace('\n', " ").replace('|', "or"))
        });
        let rows: Vec<String> = rows.collect();
        if rows.is_empty() { String::new() } else { format!("\n\n{title}\n{}", rows.join("\n")) }
    };
    text += &table("Arguments:", &schema, names(&schema));
    let found = result["properties"].as_object();
    text += &table(
        "Returns a dictionary:",
        &result,
        found.into_iter().flat_map(Map::keys).cloned().collect(),
    );
    if !matches!(tool, Tool::Observe | Tool::Ask | Tool::Extract | Tool::ListDevices) {
        text += "\n\nFails if it is not so, or could not be done.";
    }
    text.replace('`', "``").replace("````", "``")
}

/// Returns the names of the arguments, those that must be given first.
fn names(schema: &Value) -> Vec<String> {
    let names = schema["properties"].as_object().into_iter().flat_map(Map::keys).cloned();
    let (mut required, optional): (Vec<_>, Vec<_>) =
        names.partition(|name| is_required(schema, name));
    required.extend(optional);
    required
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|required| required.contains(&json!(name)))
}

/// Puts positional and named arguments together as a tool takes them.
///
/// # Errors
///
/// Says what is wrong with them.
pub(super) fn put_together(
    tool: Tool,
    positional: Vec<Value>,
    named: Map<String, Value>,
) -> Result<Value, String> {
    let schema = tool.arguments();
    let names = names(&schema);
    if positional.len() > names.len() {
        return Err(format!(
            "`{}` takes {} arguments, and {} were given",
            tool.keyword(),
            names.len(),
            positional.len()
        ));
    }
    let mut arguments = Map::new();
    let positional = names.iter().cloned().zip(positional);
    for (name, value) in positional.chain(named) {
        if arguments.contains_key(&name) {
            return Err(format!("`{name}` was given twice"));
        }
        // Nothing is an empty text where it passed through XML-RPC.
        let is_left_out = value == json!("") && !is_required(&schema, &name);
        if !is_left_out {
            let value = understood(&schema["properties"][&name], value);
            arguments.insert(name, value);
        }
    }
    Ok(Value::Object(arguments))
}

/// Returns a text as what it was meant to be, where the schema wants something else.
fn understood(schema: &Value, value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    let wants_text = schema["type"] == "string";
    let parsed = || serde_json::from_str::<Value>(text.trim()).ok();
    let meant = match schema["type"].as_str() {
        _ if wants_text => None,
        Some(_) => parsed(),
        // Words, or a list.
        None => parsed().filter(Value::is_array),
    };
    meant.unwrap_or(value)
}

/// Calls a keyword's tool, and returns what Robot Framework expects of `run_keyword`.
pub(super) async fn run(session: &SessionThread, tool: Tool, arguments: Value) -> Value {
    let mut told = Vec::new();
    let tell = |event: handsight_scenarios::Event| {
        told.push(event.message);
        std::future::ready(())
    };
    let answered = session.call(tool, arguments, tell).await;
    let mut output: String = told.iter().map(|line| info(line)).collect();
    match answered {
        Ok(Reply { unmet: None, value, text, image }) => {
            output += &info(&text);
            output += &image.map(|png| shown(&png)).unwrap_or_default();
            json!({ "status": "PASS", "output": output, "return": returned(tool, value) })
        }
        Ok(Reply { unmet: Some(problem), .. }) => {
            failed(&problem, &(output + &last_look(session).await))
        }
        Err(error) => {
            let look = match error {
                CallError::Tool(_) => last_look(session).await,
                CallError::Busy | CallError::Ended => String::new(),
            };
            failed(&error.in_words(), &(output + &look))
        }
    }
}

/// Returns a message for the log. What a model or a screen says begins no line of it, where Robot Framework
/// would look for a level, or for HTML.
fn info(text: &str) -> String {
    format!("*INFO* {}\n", text.replace(['\n', '\r'], "\n "))
}

/// Returns the part of a result that a suite goes on with.
fn returned(tool: Tool, mut value: Value) -> Value {
    match tool {
        Tool::Ask => value["answer"].take(),
        Tool::Extract => value["value"].take(),
        Tool::Ground => value["point"].take(),
        _ => value,
    }
}

pub(super) fn failed(problem: &str, output: &str) -> Value {
    // A message that begins like this would be shown as HTML.
    let problem = if problem.starts_with('*') { format!(" {problem}") } else { problem.to_owned() };
    json!({ "status": "FAIL", "output": output, "error": problem, "traceback": "", "return": "" })
}

/// Returns what the screen shows, for the log of what failed; nothing if that cannot be had.
async fn last_look(session: &SessionThread) -> String {
    let seen = session.call(Tool::Observe, Value::Null, |_| std::future::ready(())).await;
    seen.ok().and_then(|reply| reply.image).map(|png| shown(&png)).unwrap_or_default()
}

/// Returns a picture as Robot Framework's log shows it.
fn shown(png: &[u8]) -> String {
    let data = STANDARD.encode(png);
    format!("*HTML* <img src=\"data:image/png;base64,{data}\" style=\"max-width: 100%\">\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_types_are_those_of_the_schema() {
        let scroll = find(&Tool::all().collect::<Vec<_>>(), "scroll").unwrap();
        assert_eq!(arguments(scroll), json!(["direction", "target=", "amount=5"]));
        let types = types(scroll);
        assert_eq!(types, json!({ "direction": "str", "target": "str | list", "amount": "int" }));
        assert_eq!(arguments(Tool::RunGoal), json!(["goal", "max_steps=20", "timeout=600.0"]));
        assert_eq!(arguments(Tool::Observe), json!([]));
    }

    #[test]
    fn nothing_that_is_said_becomes_html() {
        assert_eq!(info("a\n*HTML* <b>"), "*INFO* a\n *HTML* <b>\n");
        assert_eq!(failed("*HTML* <b>", "")["error"], " *HTML* <b>");
    }

    #[test]
    fn texts_become_what_the_schema_wants() {
        let tools: Vec<Tool> = Tool::all().collect();
        let check = |keyword, positional: Value, named: Value, expected: Value| {
            let (Value::Array(positional), Value::Object(named)) = (positional, named) else {
                panic!("they are a list and a dictionary")
            };
            let tool = find(&tools, keyword).unwrap();
            assert_eq!(put_together(tool, positional, named), Ok(expected), "{keyword}");
        };
        check("Click", json!(["Save"]), json!({}), json!({ "target": "Save" }));
        check("click", json!(["[120, 44]"]), json!({}), json!({ "target": [120, 44] }));
        let scrolled = json!({ "direction": "down", "amount": 3 });
        check("scroll", json!(["down", ""]), json!({ "amount": "3" }), scrolled);
        check("Type_Text", json!(["12"]), json!({}), json!({ "text": "12" }));
        let extract = json!({ "question": "x", "schema": { "type": "number" } });
        check("extract", json!(["x", "{\"type\": \"number\"}"]), json!({}), extract);
        let twice = put_together(
            Tool::Ask,
            vec![json!("x")],
            Map::from_iter([("question".to_owned(), json!("y"))]),
        );
        assert_eq!(twice, Err("`question` was given twice".to_owned()));
        let many = put_together(Tool::Ask, vec![json!("x"), json!("y")], Map::new());
        assert_eq!(many, Err("`Ask` takes 1 arguments, and 2 were given".to_owned()));
    }
}
