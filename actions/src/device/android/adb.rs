//! The ADB protocol.

pub(crate) mod client;
pub(crate) mod direct;
pub(crate) mod error;
pub(crate) mod host;
pub(crate) mod link;
pub(crate) mod shell_protocol;
pub(crate) mod sync;
#[cfg(feature = "usb")]
pub(crate) mod usb;
pub(crate) mod wire;
