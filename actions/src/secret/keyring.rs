//! The keyring of the desktop, where it can be had without bringing one along.
//!
//! On Linux and macOS that is a program: the crate for all systems (`keyring`) brings a D-Bus
//! implementation, and with it more code than the rest of this crate, or a C library to install. On
//! Windows it is a crate of nothing but the system's own calls.

#[cfg(windows)]
mod credential_manager;
#[cfg(not(windows))]
mod program;

use std::time::Duration;

#[cfg(windows)]
pub(super) use self::credential_manager::lookup;
#[cfg(not(windows))]
pub(super) use self::program::lookup;
use super::SecretName;

/// How long the user may take to unlock the keyring.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the keyring gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// There is no such program.
    #[error("there is no `{program}`")]
    NoProgram {
        /// The program.
        program: &'static str,
    },
    /// The program could not be started or read.
    #[error("`{program}` failed")]
    Failed {
        /// The program.
        program: &'static str,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The program says that something is wrong, such as that there is no keyring.
    #[error("`{program}` says: {message}")]
    Refused {
        /// The program.
        program: &'static str,
        /// The first line it wrote.
        message: String,
    },
    /// Nobody unlocked the keyring.
    #[error("`{program}` gave no answer in {} s", PATIENCE.as_secs())]
    Silent {
        /// The program.
        program: &'static str,
    },
    /// The Credential Manager of Windows did not answer with a value.
    #[error("the Credential Manager refused")]
    Manager {
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The value is no text.
    #[error("the value is no text")]
    NoText,
}

impl KeyringError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoProgram { program: "secret-tool" } => {
                "install it: `apt install libsecret-tools`, `dnf install libsecret`".to_owned()
            }
            Self::Refused { .. } => {
                "is a keyring running in this session, such as that of GNOME or KDE?".to_owned()
            }
            Self::Silent { .. } => "unlock the keyring first".to_owned(),
            Self::NoProgram { .. } | Self::Failed { .. } | Self::Manager { .. } | Self::NoText => {
                return None;
            }
        })
    }
}

/// Returns the command with which a user stores a value of this name.
pub(super) fn store_command(name: &SecretName) -> String {
    if cfg!(windows) {
        // It asks for the value; the name is the one that every program of the `keyring` crates gives.
        format!("`cmdkey /generic:{name}.handsight /user:{name} /pass`")
    } else if cfg!(target_os = "macos") {
        format!("`security add-generic-password -s handsight -a {name} -w`")
    } else {
        format!("`secret-tool store --label {name} service handsight name {name}`")
    }
}
