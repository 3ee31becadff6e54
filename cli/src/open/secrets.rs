//! Where secrets come from: the file that was named, else the user's own; the environment; the keyring.

use handsight_actions::secret::{SecretsFile, Vault, names_in};
use handsight_actions::{SecretName, Secrets};

use crate::args::SecretsArgs;
use crate::failure::Failure;
use crate::settings::{self, Environment};

/// Opens all places that values come from.
pub(crate) fn vault(args: &SecretsArgs, environment: &Environment) -> Result<Vault, Failure> {
    let own = || environment.config.as_ref().map(|folder| folder.join("secrets.yaml"));
    let path = args.file.clone().or_else(|| own().filter(|path| fs_err::metadata(path).is_ok()));
    let file = path.as_deref().map(SecretsFile::open).transpose()?;
    Ok(Vault::new(file, settings::variables()))
}

/// Gets the values of the secrets that a text of the user names.
pub(crate) fn named_in(
    text: &str,
    args: &SecretsArgs,
    environment: &Environment,
) -> Result<Secrets, Failure> {
    let names = names_in(text).map_err(|error| {
        Failure::bad_input(error.to_string())
            .with_hint("a secret is named like this: `{{secret:bank}}`")
    })?;
    named(&names, args, environment)
}

/// Gets the values of these secrets.
pub(crate) fn named(
    names: &[SecretName],
    args: &SecretsArgs,
    environment: &Environment,
) -> Result<Secrets, Failure> {
    Ok(vault(args, environment)?.grant(names)?)
}
