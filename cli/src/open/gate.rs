//! The token that a server asks for, and whether it may listen without one.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use fs_err as fs;

use crate::args::GateArgs;
use crate::failure::{Exit, Failure};
use crate::settings::Environment;

/// The longest token that is taken for one.
const MAX_TOKEN: usize = 4096;

/// Returns the token that requests must carry. Beyond this machine there has to be one, unless the user
/// wants none.
pub(crate) fn token(
    addr: SocketAddr,
    args: &GateArgs,
    environment: &Environment,
) -> Result<Option<String>, Failure> {
    let token = match &args.token_file {
        Some(path) => Some(read_token(path)?),
        None => environment.api_key.as_ref().map(|key| key.reveal().to_owned()),
    };
    if !addr.ip().is_loopback() && token.is_none() && !args.insecure {
        let message = format!("on {} anyone who reaches this machine could ask", addr.ip());
        return Err(Failure::bad_input(message).with_hint(
            "set a token with `--token-file` or HANDSIGHT_API_KEY; `--insecure` does without one",
        ));
    }
    Ok(token)
}

/// Reads the token, which is one line of visible characters.
fn read_token(path: &Path) -> Result<String, Failure> {
    let unread = |error| Failure::new(Exit::BadInput, error);
    let mut text = String::new();
    // One byte more than a token and a line end may have.
    let most = MAX_TOKEN as u64 + 3;
    fs::File::open(path).map_err(unread)?.take(most).read_to_string(&mut text).map_err(unread)?;
    let token = text.trim();
    let is_token = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_empty() || token.len() > MAX_TOKEN || !is_token(token) {
        let message = format!("`{}` holds no token", path.display());
        return Err(Failure::bad_input(message)
            .with_hint("write one line of ASCII letters, digits and signs into it"));
    }
    Ok(token.to_owned())
}
