//! Reads a JSON object field by field, with the real API's words for what is wrong.
//!
//! Every field that is read is taken out; what is left at the end nobody knows, and the real API
//! refuses it. `null` stands for a field that is not there.

use serde_json::{Map, Value};

use super::error::ApiError;

/// The fields of an object that have not been read yet.
#[derive(Debug)]
pub(super) struct Fields {
    /// Where the object is, such as `messages[0]`; empty for the whole body.
    path: String,
    object: Map<String, Value>,
}

impl Fields {
    /// Takes an object at `path`.
    pub(super) fn new(path: impl Into<String>, value: Value) -> Result<Self, ApiError> {
        let path = path.into();
        match value {
            Value::Object(object) => Ok(Self { path, object }),
            other => Err(wrong_type(&path, "an object", &other)),
        }
    }

    /// Returns where a field is, as errors name it.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a field of any type.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.object.shift_remove(name).filter(|value| !value.is_null())
    }

    /// Returns the error of a field that has to be there.
    pub(super) fn missing(&self, name: &str) -> ApiError {
        let path = self.at(name);
        let message = format!("Missing required parameter: '{path}'.");
        ApiError::param(path, "missing_required_parameter", message)
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(&self.at(name), "a string", &other)),
        }
    }

    pub(super) fn required_string(&mut self, name: &str) -> Result<String, ApiError> {
        self.string(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn bool(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(is)) => Ok(Some(is)),
            Some(other) => Err(wrong_type(&self.at(name), "a boolean", &other)),
        }
    }

    pub(super) fn array(&mut self, name: &str) -> Result<Option<Vec<Value>>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(other) => Err(wrong_type(&self.at(name), "an array", &other)),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, ApiError> {
        self.take(name).map(|value| Self::new(self.at(name), value)).transpose()
    }

    /// Takes a whole number between `min` and `max`, both included.
    pub(super) fn integer(
        &mut self,
        name: &str,
        min: i64,
        max: i64,
    ) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let path = self.at(name);
        let whole = value.as_i64().or_else(|| {
            // More than any limit is still a whole number.
            value.as_u64().map(|_| i64::MAX)
        });
        let Some(number) = whole else { return Err(wrong_type(&path, "an integer", &value)) };
        let (bound, code) = if number < min {
            (format!("below minimum value. Expected a value >= {min}"), "integer_below_min_value")
        } else if number > max {
            (format!("above maximum value. Expected a value <= {max}"), "integer_above_max_value")
        } else {
            return Ok(Some(number));
        };
        let message = format!("Invalid '{path}': integer {bound}, but got {value} instead.");
        Err(ApiError::param(path, code, message))
    }

    /// Takes a whole number that counts something, at most `max`.
    pub(super) fn count(
        &mut self,
        name: &str,
        min: usize,
        max: usize,
    ) -> Result<Option<usize>, ApiError> {
        let bound = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let number = self.integer(name, bound(min), bound(max))?;
        Ok(number.map(|number| usize::try_from(number).unwrap_or(max)))
    }

    /// Takes a number between `min` and `max`, both included.
    pub(super) fn number(
        &mut self,
        name: &str,
        min: f64,
        max: f64,
    ) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let path = self.at(name);
        let Some(number) = value.as_f64() else {
            return Err(wrong_type(&path, "a decimal", &value));
        };
        let (bound, code) = if number < min {
            (format!("below minimum value. Expected a value >= {min}"), "decimal_below_min_value")
        } else if number > max {
            (format!("above maximum value. Expected a value <= {max}"), "decimal_above_max_value")
        } else {
            return Ok(Some(number));
        };
        let message = format!("Invalid '{path}': decimal {bound}, but got {value} instead.");
        Err(ApiError::param(path, code, message))
    }

    /// Takes fields that change nothing here.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.object.shift_remove(*name);
        }
    }

    /// Refuses a field that is there and not `neutral`, so that it is not ignored in silence.
    pub(super) fn refuse_unless(
        &mut self,
        name: &str,
        is_neutral: impl Fn(&Value) -> bool,
        why: &str,
    ) -> Result<(), ApiError> {
        match self.take(name) {
            Some(value) if !is_neutral(&value) => Err(ApiError::unsupported(self.at(name), why)),
            _ => Ok(()),
        }
    }

    /// Refuses what nobody knows.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let Some(name) = self.object.keys().next() else { return Ok(()) };
        // Names come from outside: an error need not repeat a megabyte.
        let name: String = name.chars().take(100).collect();
        let path = self.at(&name);
        let message = format!("Unknown parameter: '{path}'.");
        Err(ApiError::param(path, "unknown_parameter", message))
    }
}

/// The error of a value of another type than expected.
pub(super) fn wrong_type(path: &str, expected: &str, found: &Value) -> ApiError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let subject = if path.is_empty() { "the request body".to_owned() } else { format!("'{path}'") };
    let message =
        format!("Invalid type for {subject}: expected {expected}, but got {found} instead.");
    ApiError {
        param: Some(path.to_owned()).filter(|path| !path.is_empty()),
        ..ApiError::bad_request(message)
    }
    .with_code("invalid_type")
}

/// The error of an array with more elements than are taken.
pub(super) fn too_long(path: &str, max: usize, found: usize) -> ApiError {
    let message = format!(
        "Invalid '{path}': array too long. Expected an array with maximum length {max}, but got an \
         array with length {found} instead."
    );
    ApiError::param(path, "array_above_max_length", message)
}

/// The error of a value that is none of a few.
pub(super) fn not_one_of(path: &str, found: &str, values: &[&str]) -> ApiError {
    let found: String = found.chars().take(100).collect();
    let values = values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ");
    let message = format!("Invalid value: '{found}'. Supported values are: {values}.");
    ApiError::param(path, "invalid_value", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_say_where_and_what_was_expected() {
        let mut fields = Fields::new(
            "",
            json!({"n": 17, "t": 2.5, "s": 7, "big": 1e300, "u": u64::MAX, "x": null, "odd": 1}),
        )
        .unwrap();
        let message = |error: ApiError| (error.message, error.param.unwrap(), error.code.unwrap());
        let check = |error: ApiError, expected: (&str, &str, &str)| {
            let (text, param, code) = message(error);
            assert_eq!((text.as_str(), param.as_str(), code), expected);
        };
        check(
            fields.count("n", 1, 16).unwrap_err(),
            (
                "Invalid 'n': integer above maximum value. Expected a value <= 16, but got 17 instead.",
                "n",
                "integer_above_max_value",
            ),
        );
        check(
            fields.number("t", 0.0, 2.0).unwrap_err(),
            (
                "Invalid 't': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
                "t",
                "decimal_above_max_value",
            ),
        );
        check(
            fields.string("s").unwrap_err(),
            (
                "Invalid type for 's': expected a string, but got an integer instead.",
                "s",
                "invalid_type",
            ),
        );
        assert_eq!(fields.integer("big", 0, 9).unwrap_err().code, Some("invalid_type"));
        assert_eq!(fields.integer("u", 0, 9).unwrap_err().code, Some("integer_above_max_value"));
        assert_eq!(fields.string("x").unwrap(), None);
        check(
            fields.finish().unwrap_err(),
            ("Unknown parameter: 'odd'.", "odd", "unknown_parameter"),
        );
        let error = Fields::new("", json!([])).unwrap_err();
        assert_eq!(
            error.message,
            "Invalid type for the request body: expected an object, but got an array instead."
        );
    }

    #[test]
    fn paths_name_inner_fields() {
        let mut fields = Fields::new("messages[2]", json!({"name": "x"})).unwrap();
        let error = fields.required_string("role").unwrap_err();
        assert_eq!(error.message, "Missing required parameter: 'messages[2].role'.");
        assert_eq!(fields.at("content"), "messages[2].content");
    }
}
