//! What was typed after `devices`.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use handsight_actions::Size;

/// `devices`.
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DevicesCommand>,
}

/// The commands of `devices`.
#[derive(Debug, Subcommand)]
pub(crate) enum DevicesCommand {
    /// Be a phone that other programs can reach over ADB, to try things out on.
    FakeAndroid(FakeAndroidArgs),
}

/// `devices fake-android`.
#[derive(Debug, Args)]
pub(crate) struct FakeAndroidArgs {
    /// Where to listen, on this machine only; a port of 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6555", value_parser = parse_address)]
    pub(crate) addr: SocketAddr,

    /// The size of its screen, upright.
    #[arg(long, value_name = "WxH", default_value = "360x640", value_parser = parse_size)]
    pub(crate) size: Size,

    /// Pixels to an inch.
    #[arg(long, value_name = "N", default_value_t = 160, value_parser = clap::value_parser!(u32).range(72..=1000))]
    pub(crate) density: u32,

    /// Ask each client for a key, and accept it.
    #[arg(long)]
    pub(crate) auth: bool,
}

/// Reads an address that only this machine can reach: the fake obeys whoever connects.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "expected an address such as `127.0.0.1:6555`".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("only loopback addresses: the fake obeys whoever connects".to_owned())
    }
}

/// Reads a size that a phone can have.
fn parse_size(text: &str) -> Result<Size, String> {
    let side = |text: &str| text.parse().ok().filter(|side| (200..=4096).contains(side));
    let sides =
        text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    let (width, height) = sides.ok_or_else(|| {
        "expected a size such as `360x640`, each side from 200 to 4096".to_owned()
    })?;
    Ok(Size { width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fake_is_for_this_machine_only() {
        assert!(parse_address("127.0.0.1:0").is_ok());
        assert!(parse_address("[::1]:6555").is_ok());
        for bad in ["0.0.0.0:6555", "192.168.1.2:6555", "localhost:6555", "6555", ""] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_those_of_phones() {
        assert_eq!(parse_size("1080x2400"), Ok(Size { width: 1080, height: 2400 }));
        for bad in ["360", "360x", "0x640", "360x99999", "x", "-1x640"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
