//! `tools`, `tool_choice` and `parallel_tool_calls`.

use serde_json::{Map, Value, json};

use super::super::error::ApiError;
use super::super::fields::{Fields, too_long, wrong_type};
use super::one_of;

/// A function the model may call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// The JSON Schema of its arguments.
    pub(crate) parameters: Value,
    /// Whether the arguments have to follow the schema even where the model may choose.
    pub(crate) strict: bool,
    /// The object the model is shown.
    pub(crate) definition: Value,
}

/// Whether the model calls functions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ToolChoice {
    /// It does not.
    None,
    /// It may.
    Auto,
    /// It calls one or more.
    Required,
    /// It calls this one.
    Named(String),
}

/// The functions of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tools {
    pub(crate) list: Vec<Tool>,
    pub(crate) choice: ToolChoice,
    /// Whether one answer may hold several calls.
    pub(crate) parallel: bool,
}

impl Tools {
    /// Takes the fields that have to do with tools.
    pub(crate) fn read(fields: &mut Fields, max: usize) -> Result<Self, ApiError> {
        let values = fields.array("tools")?.unwrap_or_default();
        if values.len() > max {
            return Err(too_long("tools", max, values.len()));
        }
        let list: Vec<Tool> = values
            .into_iter()
            .enumerate()
            .map(|(index, value)| Tool::read(&format!("tools[{index}]"), value))
            .collect::<Result<_, _>>()?;
        let choice = choice(fields, &list)?;
        let parallel = fields.bool("parallel_tool_calls")?;
        if parallel.is_some() && list.is_empty() {
            let message = "'parallel_tool_calls' is only allowed when 'tools' are specified.";
            return Err(ApiError::param("parallel_tool_calls", "invalid_value", message));
        }
        Ok(Self { list, choice, parallel: parallel.unwrap_or(true) })
    }

    /// The functions the model may call in this answer.
    pub(crate) fn offered(&self) -> &[Tool] {
        if self.choice == ToolChoice::None { &[] } else { &self.list }
    }
}

impl Tool {
    fn read(path: &str, value: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::new(path, value)?;
        let kind = fields.required_string("type")?;
        one_of(&fields.at("type"), &kind, &["function"])?;
        let mut function = fields.object("function")?.ok_or_else(|| fields.missing("function"))?;
        fields.finish()?;
        let name = function.required_string("name")?;
        check_name(&function.at("name"), &name)?;
        let description = function.string("description")?;
        let parameters = function.take("parameters");
        if let Some(other) = parameters.as_ref().filter(|value| !value.is_object()) {
            return Err(wrong_type(&function.at("parameters"), "an object", other));
        }
        let strict = function.bool("strict")?.unwrap_or(false);
        function.finish()?;

        // What the model is shown has only what it was trained on.
        let mut shown = Map::new();
        shown.insert("name".to_owned(), name.as_str().into());
        if let Some(description) = description {
            shown.insert("description".to_owned(), description.into());
        }
        if let Some(parameters) = &parameters {
            shown.insert("parameters".to_owned(), parameters.clone());
        }
        let definition = json!({ "type": "function", "function": shown });
        let parameters = parameters.unwrap_or_else(|| json!({ "type": "object" }));
        Ok(Self { name, parameters, strict, definition })
    }
}

/// The real API's rule for names.
fn check_name(path: &str, name: &str) -> Result<(), ApiError> {
    let is_allowed = |char: char| char.is_ascii_alphanumeric() || "_-".contains(char);
    if (1..=64).contains(&name.len()) && name.chars().all(is_allowed) {
        return Ok(());
    }
    let message = format!(
        "Invalid '{path}': expected 1 to 64 of the characters a-z, A-Z, 0-9, underscore and hyphen."
    );
    Err(ApiError::param(path, "invalid_value", message))
}

fn choice(fields: &mut Fields, tools: &[Tool]) -> Result<ToolChoice, ApiError> {
    let param = "tool_choice";
    let Some(value) = fields.take(param) else {
        return Ok(if tools.is_empty() { ToolChoice::None } else { ToolChoice::Auto });
    };
    let choice = match value {
        Value::String(text) => match one_of(param, &text, &["none", "auto", "required"])? {
            "none" => return Ok(ToolChoice::None),
            "auto" => ToolChoice::Auto,
            _ => ToolChoice::Required,
        },
        Value::Object(_) => {
            let mut named = Fields::new(param, value)?;
            let kind = named.required_string("type")?;
            one_of(&named.at("type"), &kind, &["function"])?;
            let mut function =
                named.object("function")?.ok_or_else(|| named.missing("function"))?;
            ToolChoice::Named(function.required_string("name")?)
        }
        other => return Err(wrong_type(param, "a string or an object", &other)),
    };
    if tools.is_empty() {
        let message = "'tool_choice' is only allowed when 'tools' are specified.";
        return Err(ApiError::param(param, "invalid_value", message));
    }
    if let ToolChoice::Named(name) = &choice
        && !tools.iter().any(|tool| tool.name == *name)
    {
        let name: String = name.chars().take(100).collect();
        let message = format!("Tool choice '{name}' not found in 'tools' parameter.");
        return Err(ApiError::param(param, "invalid_value", message));
    }
    Ok(choice)
}
