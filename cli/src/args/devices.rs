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
    /// Connect to a phone on the network.
    Connect {
        /// Where it is; the port is 5555 if none is given.
        #[arg(value_name = "HOST[:PORT]", value_parser = parse_place)]
        place: String,
    },
    /// Make a phone on the network trust this computer, by the six digits it shows.
    Pair {
        /// What the phone shows beside the digits.
        #[arg(value_name = "HOST:PORT", value_parser = parse_whole_place)]
        place: String,
        /// The digits.
        #[arg(value_parser = parse_code)]
        code: String,
    },
    /// Let go of a phone on the network.
    Disconnect {
        /// Where it is; the port is 5555 if none is given.
        #[arg(value_name = "HOST[:PORT]", value_parser = parse_place)]
        place: String,
    },
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

/// Reads where a phone is, by name or number.
fn parse_place(text: &str) -> Result<String, String> {
    let whole = if text.contains(':') { text.to_owned() } else { format!("{text}:5555") };
    parse_whole_place(&whole)
}

/// Reads where a phone is, with the port.
fn parse_whole_place(text: &str) -> Result<String, String> {
    let wrong = || "expected an address such as `192.168.1.20:5555`".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
    let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
    if host.is_empty() || !host.chars().all(is_host) || !is_port {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

/// Reads the digits a phone shows.
fn parse_code(text: &str) -> Result<String, String> {
    let is_code = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_code
        .then(|| text.to_owned())
        .ok_or_else(|| "expected the six digits on the phone".to_owned())
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
    fn phones_are_at_addresses_and_codes_have_six_digits() {
        assert_eq!(parse_place("192.168.1.2").as_deref(), Ok("192.168.1.2:5555"));
        assert_eq!(parse_place("phone.local:37001").as_deref(), Ok("phone.local:37001"));
        for bad in ["", ":5555", "phone:0", "phone:70000", "a b", "host:1:shell:reboot\n:5"] {
            assert!(parse_place(bad).is_err(), "{bad}");
        }
        assert!(parse_whole_place("192.168.1.2").is_err());
        assert!(parse_code("123456").is_ok());
        for bad in ["12345", "1234567", "12345a", ""] {
            assert!(parse_code(bad).is_err(), "{bad}");
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
