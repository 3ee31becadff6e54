//! The Credential Manager of Windows, which has no program that tells a value.

use keyring_core::Error;
use keyring_core::api::CredentialStoreApi as _;
use secrecy::SecretString;
use secrecy::zeroize::Zeroize as _;
use windows_native_keyring_store::Store;

use super::KeyringError;
use crate::secret::SecretName;

/// Returns the value of a name; `None` if the keyring has none.
pub(in crate::secret) fn lookup(name: &SecretName) -> Result<Option<SecretString>, KeyringError> {
    let entry = Store::new().and_then(|store| store.build("handsight", name.as_str(), None));
    match entry.and_then(|entry| entry.get_password()) {
        Ok(value) => Ok(Some(value.into())),
        Err(Error::NoEntry) => Ok(None),
        Err(Error::BadEncoding(mut value) | Error::BadDataFormat(mut value, _)) => {
            value.zeroize();
            Err(KeyringError::NoText)
        }
        Err(error) => Err(KeyringError::Manager { source: error.into() }),
    }
}
