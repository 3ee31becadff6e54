//! What was typed after `scenario`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use handsight_scenarios::AnchorMode;
use serde_json::Value;

use super::{ModelArgs, PolicyArgs, SecretsArgs, TargetArgs};

/// `scenario`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArgs {
    #[command(subcommand)]
    pub(crate) command: ScenarioCommand,
}

/// The commands of `scenario`.
#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// Run scenarios: from their anchors where nothing has changed, with the model where it has.
    Run(Box<ScenarioRunArgs>),
    /// Check scenarios without doing anything, and say where they are wrong.
    Check(ScenarioFiles),
}

/// Which scenarios.
#[derive(Debug, Args)]
pub(crate) struct ScenarioFiles {
    /// Files, and folders of `.yaml` files; names that begin with `_` are parts of others.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) paths: Vec<PathBuf>,

    /// Only scenarios with one of these tags.
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(crate) tags: Vec<String>,
}

/// `scenario run`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioRunArgs {
    #[command(flatten)]
    pub(crate) files: ScenarioFiles,

    /// Replaces a variable of the scenarios; values are texts, or JSON.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub(crate) vars: Vec<(String, Value)>,

    /// What becomes of the anchors, the pictures by which targets are found again.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Anchoring::Use)]
    pub(crate) anchors: Anchoring,

    /// Write a page for people, `report.html`, and `result.json`, `junit.xml` and `summary.md` into
    /// this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,

    /// End with 0 when scenarios passed only after healing, too.
    #[arg(long)]
    pub(crate) accept_healed: bool,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    #[command(flatten)]
    pub(crate) policy: PolicyArgs,

    #[command(flatten)]
    pub(crate) secrets: SecretsArgs,
}

/// What becomes of anchors, as it was typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Anchoring {
    /// Find targets by them; the model finds what has changed, and they are renewed.
    Use,
    /// The model finds every target, and all are made anew.
    Refresh,
    /// What they do not find is a failure.
    Strict,
    /// There are none.
    Off,
}

impl From<Anchoring> for AnchorMode {
    fn from(anchoring: Anchoring) -> Self {
        match anchoring {
            Anchoring::Use => Self::Use,
            Anchoring::Refresh => Self::Refresh,
            Anchoring::Strict => Self::Strict,
            Anchoring::Off => Self::Off,
        }
    }
}

/// Reads `name=value`. What is JSON, but no text, becomes that: `count=3`, `rows=["a"]`.
fn parse_variable(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected `name=value`")?;
    let is_name = name.chars().all(|char| char.is_alphanumeric() || char == '_');
    if name.is_empty() || !is_name {
        return Err(format!("`{name}` is no name of a variable"));
    }
    let parsed = serde_json::from_str(value).ok().filter(|value: &Value| !value.is_string());
    Ok((name.to_owned(), parsed.unwrap_or_else(|| Value::String(value.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_have_types() {
        let check = |text, value: Value| {
            assert_eq!(parse_variable(text), Ok(("a".to_owned(), value)), "{text}");
        };
        check("a=Ada", json!("Ada"));
        check("a=", json!(""));
        check("a=3", json!(3));
        check("a=[1, \"b\"]", json!([1, "b"]));
        check("a=b=c", json!("b=c"));
        for bad in ["a", "=1", "a b=1"] {
            assert!(parse_variable(bad).is_err(), "{bad}");
        }
    }
}
