//! The keyring behind a program: `secret-tool` of libsecret, `security` on macOS.
//!
//! It asks the user to unlock the keyring, and gets nothing but a name.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

use secrecy::SecretString;
use secrecy::zeroize::Zeroize as _;

use super::{KeyringError, PATIENCE};
use crate::secret::SecretName;

/// The most bytes of a value.
const MAX_BYTES: u64 = 1 << 16;

#[cfg(target_os = "macos")]
const PROGRAM: &str = "security";
#[cfg(not(target_os = "macos"))]
const PROGRAM: &str = "secret-tool";

#[cfg(target_os = "macos")]
fn arguments(name: &SecretName) -> Vec<&str> {
    vec!["find-generic-password", "-s", "handsight", "-a", name.as_str(), "-w"]
}

#[cfg(not(target_os = "macos"))]
fn arguments(name: &SecretName) -> Vec<&str> {
    vec!["lookup", "service", "handsight", "name", name.as_str()]
}

/// Returns the value of a name; `None` if the keyring has none.
pub(in crate::secret) fn lookup(name: &SecretName) -> Result<Option<SecretString>, KeyringError> {
    let failed = |source| KeyringError::Failed { program: PROGRAM, source };
    let mut command = Command::new(PROGRAM);
    command.args(arguments(name)).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => KeyringError::NoProgram { program: PROGRAM },
        _ => failed(source),
    })?;
    let answer = read(&mut child);
    if answer.is_err() {
        // It may have ended by itself; then there is nobody to end.
        let _ = child.kill();
    }
    let has_value = child.wait().map_err(failed)?.success();
    let (mut value, said) = answer?;
    if !has_value || value.is_empty() {
        value.zeroize();
        let message = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
        // Both programs have an exit code for "no such secret"; `secret-tool` says nothing then.
        let is_absent = message.is_empty() || message.contains("could not be found");
        if is_absent {
            return Ok(None);
        }
        return Err(KeyringError::Refused { program: PROGRAM, message });
    }
    // The line feed is the program's, not the value's.
    if value.last() == Some(&b'\n') {
        value.pop();
    }
    let text = String::from_utf8(value).map_err(|error| {
        error.into_bytes().zeroize();
        KeyringError::NoText
    })?;
    Ok(Some(text.into()))
}

/// Reads what a program writes to stdout and to stderr, until it has ended or for as long as a person
/// may take.
fn read(child: &mut Child) -> Result<(Vec<u8>, Vec<u8>), KeyringError> {
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (sender, answer) = channel();
    // A read cannot be given up; the thread ends with the program.
    std::thread::spawn(move || {
        let (mut value, mut said) = (Vec::new(), Vec::new());
        let read = stdout.take(MAX_BYTES).read_to_end(&mut value);
        let read = read.and_then(|_| stderr.take(MAX_BYTES).read_to_end(&mut said));
        let _ = sender.send(read.map(|_| (value, said)));
    });
    match answer.recv_timeout(PATIENCE) {
        Ok(answer) => answer.map_err(|source| KeyringError::Failed { program: PROGRAM, source }),
        Err(_) => Err(KeyringError::Silent { program: PROGRAM }),
    }
}
