//! What was typed after `mcp` and `robot`.

use std::net::SocketAddr;

use clap::Args;

use super::{GateArgs, SessionArgs};

/// `mcp`.
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    #[command(flatten)]
    pub(crate) session: SessionArgs,

    /// Serve over HTTP here, at `/mcp`, instead of on stdin and stdout; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) addr: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) gate: GateArgs,
}

/// `robot`.
#[derive(Debug, Args)]
pub(crate) struct RobotArgs {
    #[command(flatten)]
    pub(crate) session: SessionArgs,

    /// Where to listen, on this machine only; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8270", value_parser = parse_loopback)]
    pub(crate) addr: SocketAddr,
}

/// Reads an address that only this machine can reach: whoever asks is obeyed.
fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "expected an address such as `127.0.0.1:8270`".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("only loopback addresses: Robot Framework sends no token".to_owned())
    }
}
