//! The shell protocol, version 2: what a command writes, apart for stdout and stderr, and its exit
//! code, in packets of one stream.

use std::io::{self, Write};

/// The kinds of packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Stdin,
    Stdout,
    Stderr,
    Exit,
    CloseStdin,
    /// The size of a terminal's window and whatever a later version may add: of no matter here.
    Other,
}

impl Kind {
    fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Stdin,
            1 => Self::Stdout,
            2 => Self::Stderr,
            3 => Self::Exit,
            4 => Self::CloseStdin,
            _ => Self::Other,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Stdin => 0,
            Self::Stdout => 1,
            Self::Stderr => 2,
            Self::Exit => 3,
            Self::CloseStdin => 4,
            Self::Other => u8::MAX,
        }
    }
}

/// The longest packet there can be: no peer sends more than a payload of the transport.
const MAX_PACKET: usize = 1024 * 1024;

/// Writes one packet.
pub(crate) fn write_packet(mut out: impl Write, kind: Kind, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(5 + data.len());
    bytes.push(kind.byte());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(data);
    out.write_all(&bytes)
}

/// Takes packets out of bytes that arrive in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    bytes: Vec<u8>,
    start: usize,
}

impl Packets {
    /// Adds bytes that arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next whole packet.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for a length that no packet has.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Kind, &[u8])>> {
        let rest = &self.bytes[self.start..];
        let Some((head, body)) = rest.split_first_chunk::<5>() else { return Ok(None) };
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > MAX_PACKET {
            let problem = format!("a shell packet of {length} bytes, more than {MAX_PACKET}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let Some(data) = body.get(..length) else { return Ok(None) };
        self.start += 5 + length;
        Ok(Some((Kind::of(head[0]), data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_whole_however_they_were_cut() {
        let mut bytes = Vec::new();
        write_packet(&mut bytes, Kind::Stdout, b"out").unwrap();
        write_packet(&mut bytes, Kind::Stderr, b"").unwrap();
        write_packet(&mut bytes, Kind::Exit, &[7]).unwrap();
        for size in 1..bytes.len() {
            let mut packets = Packets::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                packets.push(piece);
                while let Some((kind, data)) = packets.next().unwrap() {
                    found.push((kind, data.to_vec()));
                }
            }
            let expected =
                [(Kind::Stdout, b"out".to_vec()), (Kind::Stderr, vec![]), (Kind::Exit, vec![7])];
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_length_from_outside_is_bounded() {
        let mut packets = Packets::default();
        packets.push(&[1, 255, 255, 255, 255]);
        assert!(packets.next().is_err());
    }
}
