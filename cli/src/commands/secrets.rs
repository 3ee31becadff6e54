//! `secrets`: lists and checks secrets, by their names.

use handsight_actions::SecretName;
use handsight_actions::secret::{Listed, Vault};
use serde_json::json;

use crate::args::SecretsCommand;
use crate::failure::{Exit, Failure};
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    command: &SecretsCommand,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match command {
        SecretsCommand::List { secrets } => {
            list(&open::secrets::vault(secrets, environment)?, printer)
        }
        SecretsCommand::Check { names, secrets } => {
            check(names, &open::secrets::vault(secrets, environment)?, printer)
        }
    }
}

fn list(vault: &Vault, printer: &Printer) -> Result<Exit, Failure> {
    let listed = vault.list();
    let width = listed.iter().map(|listed| listed.name.as_str().len()).max().unwrap_or(0);
    let line = |Listed { name, source, windows }: &Listed| {
        let bound = if *windows == 0 { "any window" } else { "certain windows" };
        format!("{:width$}  {source}, {bound}", name.as_str())
    };
    let mut text: Vec<_> = listed.iter().map(line).collect();
    if text.is_empty() {
        text.push("no secrets in a file or the environment".to_owned());
    }
    let secrets: Vec<_> = listed
        .iter()
        .map(|listed| {
            let (name, bound) = (listed.name.as_str(), listed.windows > 0);
            json!({ "name": name, "source": listed.source, "bound": bound })
        })
        .collect();
    printer.result(&json!({ "secrets": secrets }), &text.join("\n"))?;
    Ok(Exit::Done)
}

fn check(names: &[String], vault: &Vault, printer: &Printer) -> Result<Exit, Failure> {
    let mut checked: Vec<SecretName> = Vec::new();
    for name in names {
        let wrong = || {
            Failure::bad_input(format!("`{name}` is no name of a secret"))
                .with_hint("a name has letters, digits, `_` and `-` only")
        };
        checked.push(SecretName::new(name).ok_or_else(wrong)?);
    }
    if names.is_empty() {
        checked = vault.list().into_iter().map(|listed| listed.name).collect();
    }
    vault.grant(&checked)?;
    let names: Vec<_> = checked.iter().map(SecretName::as_str).collect();
    let text = match names.as_slice() {
        [] => "no secrets in a file or the environment".to_owned(),
        names => format!("{}: can be typed", names.join(", ")),
    };
    printer.result(&json!({ "ok": true, "names": names }), &text)?;
    Ok(Exit::Done)
}
