//! Phones that are reached over the network: connecting, pairing and letting go of them.
//!
//! The server does it; what it answers is text for people, in which success is told by its first words.

use std::time::Duration;

use super::adb::error::AdbError;
use super::adb::host::{AdbAddress, Server};
use super::adb::link::Patience;
use crate::halt::Halt;

/// How long a phone may take to let somebody in.
const CONNECTING: Duration = Duration::from_secs(20);

/// What an ADB server can be asked to do about a phone on the network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wireless<'a> {
    /// Connects to the phone at `HOST:PORT`.
    Connect(&'a str),
    /// Makes the phone at `HOST:PORT` trust this computer, by the six digits it shows.
    Pair {
        /// Where the dialog of the phone says.
        place: &'a str,
        /// The digits.
        code: &'a str,
    },
    /// Lets go of the phone at `HOST:PORT`.
    Disconnect(&'a str),
}

/// Asks an ADB server, which is started if it is absent, and returns what it says of its success.
///
/// # Errors
/// [`AdbError::Refused`] with the server's words where the phone could not be reached or said no.
pub fn wireless(
    address: &AdbAddress,
    task: &Wireless<'_>,
    halt: &Halt,
) -> Result<String, AdbError> {
    let server = Server::new(address.clone());
    server.ensure()?;
    let (service, name) = match task {
        Wireless::Connect(place) => (format!("host:connect:{place}"), format!("connect {place}")),
        // The digits open the phone: they are in no message.
        Wireless::Pair { place, code } => {
            (format!("host:pair:{code}:{place}"), format!("pair {place}"))
        }
        Wireless::Disconnect(place) => {
            (format!("host:disconnect:{place}"), format!("disconnect {place}"))
        }
    };
    let patience = Patience::of(CONNECTING).until_stopped(halt);
    let said = server.ask_for(&service, &patience).map_err(|error| match error {
        AdbError::Refused { said, .. } => AdbError::Refused { service: name.clone(), said },
        AdbError::Timeout { after, .. } => AdbError::Timeout { task: name.clone(), after },
        error => error,
    })?;
    let said = said.trim().to_owned();
    let worked = ["connected to", "already connected", "disconnected", "Successfully paired"];
    if worked.iter().any(|words| said.starts_with(words)) {
        return Ok(said);
    }
    Err(AdbError::Refused { service: name, said })
}
