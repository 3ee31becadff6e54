//! What holds a server to the form of an answer, and the check whether it did.
//!
//! Many servers ignore fields they do not know, so that nothing tells whether a schema had any
//! effect but the answer itself. Each answer is therefore read and checked; it is never mended.

use handsight_model::Constraint;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::error::RemoteError;

/// The form in which a JSON Schema is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SchemaForm {
    /// `response_format` of the type `json_schema`: the API's own.
    JsonSchema,
    /// The field `guided_json` of older vLLM.
    GuidedJson,
    /// `response_format` of the type `json_object` with the schema beside it.
    JsonObject,
    /// It is not sent; answers are only checked.
    NotSent,
}

impl SchemaForm {
    /// Returns what errors call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JsonSchema => "response_format json_schema",
            Self::GuidedJson => "guided_json",
            Self::JsonObject => "response_format json_object",
            Self::NotSent => "not sent",
        }
    }

    /// Adds the schema to a request's body.
    pub(super) fn add_to(self, body: &mut Value, schema: &Value) {
        let schema = &without_false(schema);
        match self {
            Self::JsonSchema => {
                body["response_format"] = json!({
                    "type": "json_schema",
                    "json_schema": { "name": "answer", "strict": true, "schema": schema },
                });
            }
            Self::GuidedJson => body["guided_json"] = schema.clone(),
            Self::JsonObject => {
                body["response_format"] = json!({ "type": "json_object", "schema": schema });
            }
            Self::NotSent => {}
        }
    }
}

/// Returns the same schema without `"items": false` behind the items that are named one by one, which
/// llama.cpp refuses: the most items that there may be say the same.
fn without_false(schema: &Value) -> Value {
    match schema {
        Value::Array(schemas) => schemas.iter().map(without_false).collect(),
        Value::Object(fields) => {
            let named = fields.get("prefixItems").and_then(Value::as_array).map(Vec::len);
            let mut fields: serde_json::Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), without_false(value))).collect();
            if let Some(named) = named
                && fields.get("items") == Some(&Value::Bool(false))
            {
                fields.shift_remove("items");
                fields.entry("maxItems").or_insert_with(|| named.into());
            }
            fields.into()
        }
        other => other.clone(),
    }
}

/// Words that show that a server's complaint is about the form of the answer.
const FORM_WORDS: [&str; 6] =
    ["response_format", "json_schema", "guided", "schema", "grammar", "json_object"];

/// Whether a server refused a request because of the form it was asked to answer in.
pub(super) fn is_about_form(complaint: &str) -> bool {
    let complaint = complaint.to_lowercase();
    FORM_WORDS.iter().any(|word| complaint.contains(word))
}

/// The longest value that is repeated when an answer breaks a schema, in characters.
const MAX_PROBLEM_CHARS: usize = 300;

/// Checks answers.
pub(super) enum Checker {
    /// The answer is JSON that follows a schema.
    Json(Box<Validator>),
    /// The whole answer matches a regular expression.
    Text(Box<Validator>),
    /// Nothing is asked of the answer, or it cannot be checked here: a grammar is kept by our own
    /// server, and whoever wrote it reads the answer.
    Nothing,
}

impl Checker {
    /// Makes the checker of a constraint.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Schema`] if the schema or expression cannot be used.
    pub(super) fn new(constraint: Option<&Constraint>) -> Result<Self, RemoteError> {
        let validator = |schema: &Value| {
            let options = jsonschema::options().should_validate_formats(false);
            options
                .build(schema)
                .map(Box::new)
                .map_err(|error| RemoteError::Schema { problem: short(&error.to_string()) })
        };
        match constraint {
            Some(Constraint::JsonSchema(schema)) => Ok(Self::Json(validator(schema)?)),
            Some(Constraint::Regex(regex)) => {
                let schema = json!({ "type": "string", "pattern": format!("^(?:{regex})$") });
                Ok(Self::Text(validator(&schema)?))
            }
            Some(Constraint::Lark(_)) | None => Ok(Self::Nothing),
        }
    }

    /// Returns what is wrong with an answer, if anything.
    pub(super) fn problem(&self, answer: &str) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Json(validator) => match serde_json::from_str::<Value>(answer) {
                Err(error) => Some(format!("the answer is not JSON: {error}")),
                Ok(value) => first_problem(validator, &value),
            },
            Self::Text(validator) => {
                let matches = validator.is_valid(&Value::from(answer));
                (!matches).then(|| "the answer does not match the expression".to_owned())
            }
        }
    }

    /// Whether there is anything to check.
    pub(super) fn checks(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

fn first_problem(validator: &Validator, value: &Value) -> Option<String> {
    let error = validator.iter_errors(value).next()?;
    let place = error.instance_path().to_string();
    let place = if place.is_empty() { String::new() } else { format!(" at {place}") };
    Some(short(&format!("{error}{place}")))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_PROBLEM_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checker(constraint: &Constraint) -> Checker {
        Checker::new(Some(constraint)).unwrap()
    }

    #[test]
    fn an_answer_is_checked_and_never_mended() {
        let schema = json!({
            "type": "object",
            "properties": { "x": { "type": "integer", "maximum": 99 } },
            "required": ["x"],
            "additionalProperties": false,
        });
        let checker = checker(&Constraint::JsonSchema(schema));
        assert_eq!(checker.problem(" {\"x\": 99}\n"), None);
        for (answer, expected) in [
            ("{\"x\": 100}", "100 is greater than the maximum of 99 at /x"),
            ("{\"x\": 1, \"y\": 2}", "Additional properties are not allowed ('y' was unexpected)"),
            ("{}", "\"x\" is a required property"),
            ("```json\n{\"x\": 1}\n```", "the answer is not JSON: "),
            ("{\"x\": 1", "the answer is not JSON: "),
            ("", "the answer is not JSON: "),
        ] {
            let problem = checker.problem(answer).unwrap();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn a_list_that_is_closed_by_false_is_closed_by_its_length() {
        let point = json!({ "type": "integer" });
        let closed = json!({ "prefixItems": [point, point], "items": false, "minItems": 2 });
        let schema = json!({ "anyOf": [{ "properties": { "coordinate": closed } }] });
        let mut body = json!({});
        SchemaForm::GuidedJson.add_to(&mut body, &schema);
        let sent = &body["guided_json"]["anyOf"][0]["properties"]["coordinate"];
        let expected = json!({ "prefixItems": [point, point], "minItems": 2, "maxItems": 2 });
        assert_eq!(*sent, expected);
        for (list, is_good) in
            [(json!([1, 2]), true), (json!([1, 2, 3]), false), (json!([1]), false)]
        {
            for schema in [&closed, sent] {
                assert_eq!(jsonschema::is_valid(schema, &list), is_good, "{schema} {list}");
            }
        }
        let other = json!({ "items": false, "const": [false] });
        assert_eq!(without_false(&other), other);
    }

    #[test]
    fn the_whole_answer_must_match() {
        let checker = checker(&Constraint::Regex("yes|no".to_owned()));
        assert_eq!(checker.problem("no"), None);
        assert!(checker.problem("no way").is_some());
        assert!(checker.problem("oh yes").is_some());
    }

    #[test]
    fn a_schema_that_is_none_is_an_error() {
        for constraint in [
            Constraint::JsonSchema(json!({ "type": "animal" })),
            Constraint::JsonSchema(json!({ "$ref": "http://example.com/schema" })),
            Constraint::Regex("(".to_owned()),
        ] {
            let err = Checker::new(Some(&constraint)).err().unwrap();
            assert!(err.to_string().starts_with("the JSON Schema cannot be used: "), "{err}");
        }
    }
}
