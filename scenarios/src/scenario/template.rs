//! Texts with `{{ expressions }}` in them, and the variables they can use.

use std::collections::BTreeMap;

use minijinja::{Environment, Error, UndefinedBehavior};
use serde_json::Value;

use super::random;

/// The most steps of an expression: enough for anything a person writes, and over in no time.
const FUEL: u64 = 100_000;

/// The longest text an expression may give, in bytes.
const MAX_RENDERED: usize = 1 << 20;

/// What a name of a secret begins with. Secrets are put in where text is typed, and never here.
const SECRET: &str = "secret:";

/// The variables of a scenario.
pub(crate) type Variables = BTreeMap<String, Value>;

/// A text that may hold `{{ expressions }}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Template {
    source: String,
}

/// An expression over variables, without braces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Expression {
    source: String,
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // A name that is misspelt must not become nothing.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_keep_trailing_newline(true);
    environment
}

/// Returns what is wrong with an expression, in a line.
fn problem(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// What is wrong with an expression in it.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let template = Self { source: source.to_owned() };
        let (hidden, _) = hide_secrets(source);
        environment().template_from_str(&hidden).map_err(|error| problem(&error))?;
        Ok(template)
    }

    /// Returns the text as it is written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Returns the names of variables it uses.
    pub(crate) fn names(&self) -> Vec<String> {
        let (hidden, _) = hide_secrets(&self.source);
        let environment = environment();
        let Ok(template) = environment.template_from_str(&hidden) else { return Vec::new() };
        template.undeclared_variables(false).into_iter().collect()
    }

    /// Returns the text with the values of its expressions; names of secrets stay as they are.
    ///
    /// # Errors
    ///
    /// What is wrong with an expression, such as a variable that is not there.
    pub(crate) fn render(&self, variables: &Variables) -> Result<String, String> {
        self.render_in(&environment(), variables)
    }

    fn render_in(
        &self,
        environment: &Environment<'_>,
        variables: &Variables,
    ) -> Result<String, String> {
        if !self.source.contains('{') {
            return Ok(self.source.clone());
        }
        let (hidden, secrets) = hide_secrets(&self.source);
        let text = environment
            .render_str(&hidden, variables)
            .map_err(|error| format!("in `{}`: {}", self.source, problem(&error)))?;
        if text.len() > MAX_RENDERED {
            return Err(format!("`{}` gives more than {MAX_RENDERED} bytes", self.source));
        }
        Ok(show_secrets(text, &secrets))
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let inner = source.trim();
        let inner = inner.strip_prefix("{{").and_then(|inner| inner.strip_suffix("}}"));
        let expression = Self { source: inner.unwrap_or(source).trim().to_owned() };
        environment().compile_expression(&expression.source).map_err(|error| problem(&error))?;
        Ok(expression)
    }

    /// Returns the expression as it is written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Returns the names of variables it uses.
    pub(crate) fn names(&self) -> Vec<String> {
        let environment = environment();
        let compiled = environment.compile_expression(&self.source);
        compiled.map_or_else(
            |_| Vec::new(),
            |compiled| compiled.undeclared_variables(false).into_iter().collect(),
        )
    }

    /// Returns its value.
    ///
    /// # Errors
    ///
    /// What is wrong with it, such as a variable that is not there.
    pub(crate) fn value(&self, variables: &Variables) -> Result<Value, String> {
        self.value_in(&environment(), variables)
    }

    fn value_in(
        &self,
        environment: &Environment<'_>,
        variables: &Variables,
    ) -> Result<Value, String> {
        let evaluated = environment
            .compile_expression(&self.source)
            .and_then(|compiled| compiled.eval(variables));
        let failed = |problem: String| format!("in `{}`: {problem}", self.source);
        let value = evaluated.map_err(|error| failed(problem(&error)))?;
        serde_json::to_value(&value).map_err(|error| failed(error.to_string()))
    }
}

/// Whether a value counts as true: as in Python, what is empty or zero does not.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(holds) => *holds,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Fills in the templates within a value: `vars` and `set` may use variables, too. A text that is one
/// expression and nothing else becomes the expression's value, whatever its type.
///
/// # Errors
///
/// What is wrong with an expression.
pub(crate) fn fill(value: &Value, variables: &Variables) -> Result<Value, String> {
    fill_in(&environment(), value, variables)
}

/// As [`fill`], where expressions may draw by a seed, each variable for itself.
///
/// # Errors
///
/// What is wrong with an expression.
pub(crate) fn fill_drawing(
    value: &Value,
    variables: &Variables,
    (seed, variable): (u64, &str),
) -> Result<Value, String> {
    let mut environment = environment();
    random::allow_draws(&mut environment, seed, variable);
    fill_in(&environment, value, variables)
}

fn fill_in(
    environment: &Environment<'_>,
    value: &Value,
    variables: &Variables,
) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => {
            let inner = text.trim();
            let single = inner.strip_prefix("{{").and_then(|inner| inner.strip_suffix("}}"));
            match single.filter(|inner| !inner.contains("}}") && !inner.trim().starts_with(SECRET))
            {
                Some(_) => Expression::parse(text)?.value_in(environment, variables)?,
                None => Value::String(Template::parse(text)?.render_in(environment, variables)?),
            }
        }
        Value::Array(list) => list
            .iter()
            .map(|value| fill_in(environment, value, variables))
            .collect::<Result<_, _>>()?,
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(name, value)| Ok((name.clone(), fill_in(environment, value, variables)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}

/// Replaces `{{secret:name}}` by what no text has, so that it is not taken for an expression.
fn hide_secrets(source: &str) -> (String, Vec<String>) {
    let (mut hidden, mut secrets) = (String::with_capacity(source.len()), Vec::new());
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("{{") {
        hidden += before;
        match after.split_once("}}") {
            Some((inner, after)) if inner.trim().starts_with(SECRET) => {
                hidden += &marker(secrets.len());
                secrets.push(format!("{{{{{}}}}}", inner.trim()));
                rest = after;
            }
            _ => {
                hidden += "{{";
                rest = after;
            }
        }
    }
    hidden += rest;
    (hidden, secrets)
}

fn show_secrets(mut text: String, secrets: &[String]) -> String {
    for (index, secret) in secrets.iter().enumerate() {
        text = text.replace(&marker(index), secret);
    }
    text
}

/// A character of the private use area on each side of a number.
fn marker(index: usize) -> String {
    format!("\u{F8F0}{index}\u{F8F1}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn variables() -> Variables {
        [("name", json!("Ada")), ("count", json!(3)), ("rows", json!(["a", "b"]))]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    #[test]
    fn texts_take_values_in() {
        let check = |source: &str, expected: &str| {
            let rendered = Template::parse(source).unwrap().render(&variables());
            assert_eq!(rendered.as_deref(), Ok(expected), "{source}");
        };
        check("plain {text}", "plain {text}");
        check("Hello {{ name }}!\n", "Hello Ada!\n");
        check("{{ name|upper }}{{ count + 1 }}", "ADA4");
        check("{{secret:bank}} {{ name }} {{ secret:x }}", "{{secret:bank}} Ada {{secret:x}}");
        check("<b>", "<b>");
    }

    #[test]
    fn what_is_missing_or_endless_is_an_error() {
        let check = |source: &str, expected: &str| {
            let error = Template::parse(source).and_then(|text| text.render(&variables()));
            let error = error.unwrap_err();
            assert!(error.contains(expected), "{source}: {error}");
        };
        check("{{ nane }}", "undefined");
        check("{{ name", "syntax error");
        check(
            "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}",
            "fuel",
        );
        check("{{ name.x.y }}", "undefined");
    }

    #[test]
    fn names_are_told() {
        assert_eq!(Template::parse("{{ name }} {{secret:bank}}").unwrap().names(), ["name"]);
        assert_eq!(Expression::parse("count > 3").unwrap().names(), ["count"]);
    }

    #[test]
    fn expressions_keep_their_type() {
        let value = |source| fill(&json!(source), &variables()).unwrap();
        assert_eq!(value("{{ rows }}"), json!(["a", "b"]));
        assert_eq!(value("{{ count + 1 }}"), json!(4));
        assert_eq!(value("{{ count }} rows"), json!("3 rows"));
        assert_eq!(value("{{secret:bank}}"), json!("{{secret:bank}}"));
        assert!(is_true(
            &Expression::parse("count > 2 and name == 'Ada'").unwrap().value(&variables()).unwrap()
        ));
    }
}
