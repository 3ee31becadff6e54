//! The ADB protocol.

pub(crate) mod shell_protocol;
pub(crate) mod wire;
