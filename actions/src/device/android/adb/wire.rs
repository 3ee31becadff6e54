//! Messages of the ADB transport, as a daemon on a phone and its client exchange them.
//!
//! A message is six little-endian words and a payload. Both ends are ours here, the client's and
//! the fake daemon's, and neither believes a length before it has looked at it.

use std::io::{self, Read, Write};

/// The version this side speaks; from it on, checksums are not looked at.
pub(crate) const VERSION: u32 = 0x0100_0001;
/// The largest payload this side takes or sends.
pub(crate) const MAX_PAYLOAD: u32 = 256 * 1024;
/// The most that a peer may send before it has heard what the other side takes.
pub(crate) const MAX_FIRST_PAYLOAD: u32 = 1024 * 1024;

/// `AUTH` carries bytes to be signed.
pub(crate) const AUTH_TOKEN: u32 = 1;
/// `AUTH` carries the signature.
pub(crate) const AUTH_SIGNATURE: u32 = 2;
/// `AUTH` carries a public key, for a person to accept on the phone.
pub(crate) const AUTH_PUBLIC_KEY: u32 = 3;

/// What a message asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    /// The first message of each side, with what it is and can do.
    Connect,
    /// A challenge or an answer to one.
    Auth,
    /// A wish to go on in TLS.
    StartTls,
    /// Opens a stream to a service.
    Open,
    /// The stream is open, or what was written has been taken.
    Okay,
    /// Bytes of a stream.
    Write,
    /// The stream is over, or could not be opened.
    Close,
}

impl Command {
    const ALL: [(Self, &'static [u8; 4]); 7] = [
        (Self::Connect, b"CNXN"),
        (Self::Auth, b"AUTH"),
        (Self::StartTls, b"STLS"),
        (Self::Open, b"OPEN"),
        (Self::Okay, b"OKAY"),
        (Self::Write, b"WRTE"),
        (Self::Close, b"CLSE"),
    ];

    fn word(self) -> u32 {
        let named = Self::ALL.iter().find(|(command, _)| *command == self);
        u32::from_le_bytes(*named.expect("every command is in the table").1)
    }

    fn of(word: u32) -> Option<Self> {
        let bytes = word.to_le_bytes();
        Self::ALL.iter().find(|(_, name)| **name == bytes).map(|(command, _)| *command)
    }
}

/// One message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) command: Command,
    pub(crate) arg0: u32,
    pub(crate) arg1: u32,
    pub(crate) data: Vec<u8>,
}

impl Message {
    pub(crate) fn new(command: Command, arg0: u32, arg1: u32, data: impl Into<Vec<u8>>) -> Self {
        Self { command, arg0, arg1, data: data.into() }
    }

    /// Writes the message in one piece, so that no peer waits for the second half of a packet.
    pub(crate) fn write_to(&self, mut out: impl Write) -> io::Result<()> {
        let length = u32::try_from(self.data.len()).map_err(io::Error::other)?;
        let sum = self.data.iter().fold(0_u32, |sum, &byte| sum.wrapping_add(byte.into()));
        let command = self.command.word();
        let mut bytes = Vec::with_capacity(24 + self.data.len());
        for word in [command, self.arg0, self.arg1, length, sum, !command] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.data);
        out.write_all(&bytes)?;
        out.flush()
    }

    /// Reads one message whose payload is at most `limit` long.
    ///
    /// # Errors
    /// What the connection says, or [`io::ErrorKind::InvalidData`] when this is no ADB message.
    pub(crate) fn read_from(mut from: impl Read, limit: u32) -> io::Result<Self> {
        let mut head = [0; 24];
        from.read_exact(&mut head)?;
        let word = |index: usize| {
            let bytes = head[index * 4..][..4].try_into().expect("four bytes were taken");
            u32::from_le_bytes(bytes)
        };
        let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
        let command = Command::of(word(0))
            .filter(|command| word(5) == !command.word())
            .ok_or_else(|| invalid(format!("0x{:08x} is no command of ADB", word(0))))?;
        let length = word(3);
        if length > limit {
            return Err(invalid(format!("a payload of {length} bytes, more than {limit}")));
        }
        let mut data = vec![0; length as usize];
        from.read_exact(&mut data)?;
        Ok(Self { command, arg0: word(1), arg1: word(2), data })
    }
}

/// Returns a text that a peer ended with a NUL, as some do.
pub(crate) fn text_of(data: &[u8]) -> String {
    let text = data.strip_suffix(b"\0").unwrap_or(data);
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_bytes_the_protocol_says() {
        let mut bytes = Vec::new();
        let message = Message::new(Command::Open, 1, 0, *b"exec:id\0");
        message.write_to(&mut bytes).unwrap();
        assert_eq!(bytes[..4], *b"OPEN");
        assert_eq!(bytes[12..16], [8, 0, 0, 0]);
        assert_eq!(bytes[20], !b'O');
        assert_eq!(Message::read_from(&*bytes, 100).unwrap(), message);
        assert_eq!(text_of(&message.data), "exec:id");
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_takes_memory() {
        let refused = |bytes: &[u8]| Message::read_from(bytes, 100).unwrap_err().to_string();
        assert_eq!(refused(&[b'x'; 24]), "0x78787878 is no command of ADB");
        let mut bytes = Vec::new();
        Message::new(Command::Write, 1, 1, vec![0; 101]).write_to(&mut bytes).unwrap();
        assert_eq!(refused(&bytes), "a payload of 101 bytes, more than 100");
        assert!(Message::read_from(&bytes[..23], 200).is_err());
        assert!(Message::read_from(&bytes[..100], 200).is_err());
    }
}
