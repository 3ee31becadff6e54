//! `response_format`, and what vLLM calls guided decoding: what the answer must look like.

use handsight_model::Constraint;
use serde_json::{Value, json};

use super::super::error::ApiError;
use super::super::fields::{Fields, wrong_type};
use super::one_of;

/// The most bytes of a schema, regular expression, grammar or list of choices.
const MAX_BYTES: usize = 1 << 18;

/// What the answer's text must look like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// As the model likes.
    Text,
    /// A JSON value of this schema.
    Json(Value),
    /// A text that matches.
    Regex(String),
    /// A text of a Lark grammar.
    Lark(String),
    /// One of these.
    Choice(Vec<String>),
}

impl Format {
    /// Takes the fields that shape the answer; at most one of them may.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ApiError> {
        let response_format = response_format(fields)?;
        let mut found: Vec<(String, Self)> = Vec::new();
        if response_format != Self::Text {
            found.push(("response_format".to_owned(), response_format));
        }
        for (name, key) in [
            ("guided_json", "json"),
            ("guided_regex", "regex"),
            ("guided_choice", "choice"),
            ("guided_grammar", "grammar"),
        ] {
            if let Some(value) = fields.take(name) {
                found.push((name.to_owned(), guided(name, key, value)?));
            }
        }
        if let Some(mut outputs) = fields.object("structured_outputs")? {
            for key in ["json", "regex", "choice", "grammar"] {
                if let Some(value) = outputs.take(key) {
                    let path = outputs.at(key);
                    let format = guided(&path, key, value)?;
                    found.push((path, format));
                }
            }
            if outputs.bool("json_object")? == Some(true) {
                found.push((outputs.at("json_object"), Self::Json(any_object())));
            }
            outputs.finish()?;
        }
        match found.len() {
            0 => Ok(Self::Text),
            1 => Ok(found.swap_remove(0).1),
            _ => {
                let (first, second) = (&found[0].0, &found[1].0);
                let message = format!("'{first}' and '{second}' cannot be used together.");
                let code = "invalid_parameter_combination";
                Err(ApiError::param(second.clone(), code, message))
            }
        }
    }

    /// Returns the constraint of an answer that is nothing but this.
    pub(crate) fn constraint(&self) -> Option<Constraint> {
        match self {
            Self::Text => None,
            Self::Json(schema) => Some(Constraint::JsonSchema(spaced(schema))),
            Self::Regex(regex) => Some(Constraint::Regex(regex.clone())),
            Self::Lark(grammar) => Some(Constraint::Lark(grammar.clone())),
            Self::Choice(texts) => {
                Some(Constraint::Lark(format!("start: {}\n", lark_choice(texts))))
            }
        }
    }
}

/// Writes a text as Lark does, which is as JSON does.
pub(crate) fn lark_string(text: &str) -> String {
    // The one character that JSON leaves as it is and Lark does not take.
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Writes a choice between texts.
pub(crate) fn lark_choice(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| lark_string(text)).collect();
    texts.join(" | ")
}

/// Asks for the spaces the checkpoints were trained on, and for no others: a model that may put any
/// space anywhere can do so for ever. A schema that sets its own is left alone.
pub(crate) fn spaced(schema: &Value) -> Value {
    let mut schema = match schema {
        Value::Object(object) => object.clone(),
        // `true` is a schema, too: any value.
        _ => serde_json::Map::new(),
    };
    schema.entry("x-guidance").or_insert_with(
        || json!({"whitespace_flexible": false, "item_separator": ", ", "key_separator": ": "}),
    );
    Value::Object(schema)
}

fn any_object() -> Value {
    json!({ "type": "object" })
}

fn response_format(fields: &mut Fields) -> Result<Format, ApiError> {
    let Some(mut format) = fields.object("response_format")? else { return Ok(Format::Text) };
    let kind = format.required_string("type")?;
    let format = match one_of(&format.at("type"), &kind, &["text", "json_object", "json_schema"])? {
        "text" => Format::Text,
        "json_object" => Format::Json(any_object()),
        _ => {
            let mut named =
                format.object("json_schema")?.ok_or_else(|| format.missing("json_schema"))?;
            named.required_string("name")?;
            // The schema is always followed to the letter.
            named.ignore(&["description", "strict"]);
            let schema = match named.take("schema") {
                Some(schema) => schema,
                None => any_object(),
            };
            let schema = checked(&named.at("schema"), schema)?;
            named.finish()?;
            Format::Json(schema)
        }
    };
    Ok(format)
}

fn guided(path: &str, key: &str, value: Value) -> Result<Format, ApiError> {
    let text = |value| match value {
        Value::String(text) if text.len() <= MAX_BYTES => Ok(text),
        Value::String(_) => Err(too_big(path)),
        other => Err(wrong_type(path, "a string", &other)),
    };
    match key {
        "regex" => text(value).map(Format::Regex),
        "grammar" => text(value).map(Format::Lark),
        "choice" => choices(path, value).map(Format::Choice),
        _ => {
            let schema = match value {
                Value::String(text) => serde_json::from_str(&text).map_err(|error| {
                    let message = format!("Invalid '{path}': not JSON ({error}).");
                    ApiError::param(path, "invalid_value", message)
                })?,
                schema => schema,
            };
            checked(path, schema).map(Format::Json)
        }
    }
}

fn choices(path: &str, value: Value) -> Result<Vec<String>, ApiError> {
    let expected = "an array of strings";
    let Value::Array(values) = value else { return Err(wrong_type(path, expected, &value)) };
    let texts: Vec<String> = values
        .into_iter()
        .map(|value| match value {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(path, expected, &other)),
        })
        .collect::<Result<_, _>>()?;
    if texts.is_empty() {
        let message = format!("Invalid '{path}': empty array. Expected at least one choice.");
        return Err(ApiError::param(path, "empty_array", message));
    }
    if texts.iter().map(String::len).sum::<usize>() > MAX_BYTES {
        return Err(too_big(path));
    }
    Ok(texts)
}

fn checked(path: &str, schema: Value) -> Result<Value, ApiError> {
    if !schema.is_object() && schema != Value::Bool(true) {
        return Err(wrong_type(path, "an object", &schema));
    }
    if schema.to_string().len() > MAX_BYTES {
        return Err(too_big(path));
    }
    Ok(schema)
}

fn too_big(path: &str) -> ApiError {
    let message = format!("Invalid '{path}': longer than {MAX_BYTES} bytes.");
    ApiError::param(path, "string_above_max_length", message)
}
