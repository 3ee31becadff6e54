//! Where values come from: the secrets file, the environment, the keyring of the desktop.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use super::file::{Entry, SecretsFile, Source};
use super::keyring::{self, KeyringError};
use super::{Bindings, SecretName, Secrets, UnfitValue};

/// Why a secret cannot be used. No message has a value in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read.
    #[error("could not read the secrets file")]
    Read {
        /// What the operating system said; it names the file.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("the secrets file `{}` can be read by others (mode {mode:o})", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is far longer than secrets are.
    #[error("the secrets file `{}` is longer than 1 MiB", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is no YAML of this form.
    #[error("secrets file `{}`, line {line}, column {column}: not understood", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
    },
    /// What the file says of one secret makes no sense.
    #[error("secrets file `{}`, `{name}`: {problem}", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The secret's name.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Nothing has a value of this name.
    #[error("there is no secret `{name}`")]
    Unknown {
        /// The name.
        name: SecretName,
    },
    /// The variable that is to have the value is not set.
    #[error("the secret `{name}` is to come from the variable `{variable}`, which is not set")]
    NoVariable {
        /// The name.
        name: SecretName,
        /// The variable.
        variable: String,
    },
    /// The keyring could not be asked.
    #[error("the secret `{name}` could not be read from the keyring")]
    Keyring {
        /// The name.
        name: SecretName,
        /// Why.
        #[source]
        source: KeyringError,
    },
    /// The value cannot be typed.
    #[error("the secret `{name}` cannot be used: {problem}")]
    Unfit {
        /// The name.
        name: SecretName,
        /// Why.
        problem: UnfitValue,
    },
}

impl SecretError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => "check the path of the secrets file".to_owned(),
            Self::Exposed { path, .. } => format!("`chmod 600 {}`", path.display()),
            Self::TooLong { .. } => "give the file with the secrets".to_owned(),
            Self::Syntax { .. } => {
                "it is to look like `secrets: {bank: VALUE, mail: {env: MAIL_PASSWORD, windows: \
                 [{app: firefox}]}}`"
                    .to_owned()
            }
            Self::Unknown { name } => format!(
                "set {}, name a file that has it with `--secrets`, or store it in the keyring: {}",
                variable(name),
                keyring::store_command(name),
            ),
            Self::NoVariable { variable, .. } => format!("set {variable}"),
            Self::Keyring { source, .. } => return source.hint(),
            Self::Entry { .. } | Self::Unfit { .. } => return None,
        })
    }
}

/// A secret that is known of, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its name.
    pub name: SecretName,
    /// Where its value comes from: `file`, `keyring`, or the variable.
    pub source: String,
    /// To how many kinds of window it is bound; to none if 0.
    pub windows: usize,
}

/// All places that values come from. Nothing is looked up in the keyring before it is needed.
#[derive(Debug, Default)]
pub struct Vault {
    file: SecretsFile,
    /// What the environment has, by the names of its variables.
    variables: BTreeMap<String, SecretString>,
}

/// What variables of secrets begin with.
const PREFIX: &str = "HANDSIGHT_SECRET_";

/// Returns the variable that has the value of this name.
fn variable(name: &SecretName) -> String {
    format!("{PREFIX}{}", name.as_str().to_ascii_uppercase().replace('-', "_"))
}

impl Vault {
    /// Takes a file, if there is one, and the variables of the environment that may have values:
    /// those called `HANDSIGHT_SECRET_…`, and those for which `variable` is asked by the file.
    pub fn new(
        file: Option<SecretsFile>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let file = file.unwrap_or_default();
        let asked: Vec<&str> = file
            .entries
            .values()
            .filter_map(|entry| match &entry.source {
                Source::Variable(variable) => Some(variable.as_str()),
                _ => None,
            })
            .collect();
        let variables = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) || asked.contains(&name.as_str()))
            .map(|(name, value)| (name, value.into()))
            .collect();
        Self { file, variables }
    }

    /// Lists what is known without asking the keyring.
    pub fn list(&self) -> Vec<Listed> {
        let in_file = self.file.entries.iter().map(|(name, entry)| Listed {
            name: name.clone(),
            source: match &entry.source {
                Source::File(_) => "file".to_owned(),
                Source::Variable(variable) => variable.clone(),
                Source::Anywhere if self.variables.contains_key(&variable(name)) => variable(name),
                Source::Keyring | Source::Anywhere => "keyring".to_owned(),
            },
            windows: entry.windows.len(),
        });
        let named: Vec<_> = self.file.entries.keys().map(variable).collect();
        let others = self.variables.keys().filter(|key| !named.contains(key)).filter_map(|key| {
            let name = SecretName::new(key.strip_prefix(PREFIX)?)?;
            Some(Listed { name, source: key.clone(), windows: 0 })
        });
        let mut all: Vec<_> = in_file.chain(others).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Gets the values of these names, which may be typed, and hides all others that are known.
    ///
    /// # Errors
    /// [`SecretError`] for the first that cannot be had.
    pub fn grant(&self, names: &[SecretName]) -> Result<Secrets, SecretError> {
        let mut secrets = Secrets::default();
        for name in names {
            let windows = self.file.entries.get(name).map(|entry| entry.windows.clone());
            let granted =
                secrets.grant(name.clone(), self.value(name)?, windows.unwrap_or_default());
            granted.map_err(|problem| SecretError::Unfit { name: name.clone(), problem })?;
        }
        for Listed { name, .. } in self.list() {
            if let Some(value) = self.value_at_hand(&name) {
                secrets.hide(name, value);
            }
        }
        Ok(secrets)
    }

    /// Returns what is known without asking the keyring, for recording what a person types.
    pub fn bindings(&self) -> Bindings {
        let entries = self.file.entries.iter();
        let bound = entries
            .filter(|(_, entry)| !entry.windows.is_empty())
            .map(|(name, entry)| (name.clone(), entry.windows.clone()));
        let mut secrets = Secrets::default();
        for Listed { name, .. } in self.list() {
            if let Some(value) = self.value_at_hand(&name) {
                secrets.hide(name, value);
            }
        }
        Bindings::new(bound.collect(), secrets)
    }

    fn value(&self, name: &SecretName) -> Result<SecretString, SecretError> {
        if let Some(value) = self.value_at_hand(name) {
            return Ok(value);
        }
        let source = self.file.entries.get(name).map(|entry| &entry.source);
        if let Some(Source::Variable(variable)) = source {
            let (name, variable) = (name.clone(), variable.clone());
            return Err(SecretError::NoVariable { name, variable });
        }
        let only_there = matches!(source, Some(Source::Keyring));
        match keyring::lookup(name) {
            Ok(Some(value)) => Ok(value),
            // A system without a keyring has no secret of that name in it.
            Ok(None) => Err(SecretError::Unknown { name: name.clone() }),
            Err(KeyringError::NoProgram { .. }) if !only_there => {
                Err(SecretError::Unknown { name: name.clone() })
            }
            Err(source) => Err(SecretError::Keyring { name: name.clone(), source }),
        }
    }

    /// Returns a value that is in the file or the environment.
    fn value_at_hand(&self, name: &SecretName) -> Option<SecretString> {
        match self.file.entries.get(name) {
            Some(Entry { source: Source::File(value), .. }) => Some(value.clone()),
            Some(Entry { source: Source::Variable(variable), .. }) => {
                self.variables.get(variable).cloned()
            }
            Some(Entry { source: Source::Keyring, .. }) => None,
            Some(Entry { source: Source::Anywhere, .. }) | None => {
                self.variables.get(&variable(name)).cloned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_where_the_file_says_and_from_variables_of_their_name() {
        let text = "secrets:
  bank: in the file
  mail: {env: MAIL, windows: [{app: Thunderbird}]}
  work: {windows: [{app: Citrix}]}
  none: {env: NOT_SET}
";
        let file = SecretsFile::parse(text, "secrets.yaml".as_ref()).unwrap();
        let variables = [
            ("MAIL", "from mail"),
            ("HANDSIGHT_SECRET_WORK", "from work"),
            ("HANDSIGHT_SECRET_BANK", "not this one"),
            ("HANDSIGHT_SECRET_MY_PIN", "4711"),
            ("PATH", "/usr/bin"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let vault = Vault::new(Some(file), variables);
        let listed: Vec<_> = vault
            .list()
            .into_iter()
            .map(|listed| format!("{} {} {}", listed.name, listed.source, listed.windows))
            .collect();
        let expected = [
            "bank file 0",
            "mail MAIL 1",
            "my_pin HANDSIGHT_SECRET_MY_PIN 0",
            "none NOT_SET 0",
            "work HANDSIGHT_SECRET_WORK 1",
        ];
        assert_eq!(listed, expected);
        let names = ["bank", "my-pin", "work"].map(|name| SecretName::new(name).unwrap());
        let secrets = vault.grant(&names).unwrap();
        assert_eq!(
            secrets.redact("from work, from mail, 4711, /usr/bin"),
            "{{secret:work}}, {{secret:mail}}, {{secret:my-pin}}, /usr/bin"
        );
        let none = SecretName::new("none").unwrap();
        let error = vault.grant(&[none]).unwrap_err();
        assert!(matches!(error, SecretError::NoVariable { .. }), "{error}");
    }
}
