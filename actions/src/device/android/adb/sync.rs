//! The service that copies files to a phone and back.
//!
//! # Source
//! `SYNC.TXT` of AOSP's `packages/modules/adb`: `SEND` and `RECV` of version 1, which every phone has.

use super::client::{Channel, Client};
use super::error::AdbError;
use super::link::{Patience, ReadInTime as _};

/// The longest piece of a file, in either direction.
const PIECE: usize = 64 * 1024;
/// The longest path.
const MOST_PATH: usize = 1024;
/// The largest file that is fetched.
const MOST_FILE: usize = 256 * 1024 * 1024;

/// A conversation about files.
struct Sync<'a> {
    link: Channel,
    patience: &'a Patience<'a>,
    task: String,
}

/// Writes a file of the phone.
pub(crate) fn push(
    client: &Client,
    path: &str,
    data: &[u8],
    patience: &Patience<'_>,
) -> Result<(), AdbError> {
    let mut sync = Sync::open(client, format!("push {path}"), path, patience)?;
    // A regular file that its group may write.
    sync.send(*b"SEND", format!("{path},{}", 0o100_664).as_bytes())?;
    for piece in data.chunks(PIECE) {
        sync.send(*b"DATA", piece)?;
    }
    // The time is what stands where a length does; the phone's own clock need not agree with ours.
    sync.link.write_all(b"DONE\0\0\0\0", patience, &sync.task)?;
    match sync.receive()? {
        (id, _) if &id == b"OKAY" => sync.quit(),
        (_, length) => Err(sync.refused(length)),
    }
}

/// Reads a file of the phone.
pub(crate) fn pull(
    client: &Client,
    path: &str,
    patience: &Patience<'_>,
) -> Result<Vec<u8>, AdbError> {
    let mut sync = Sync::open(client, format!("pull {path}"), path, patience)?;
    sync.send(*b"RECV", path.as_bytes())?;
    let mut data = Vec::new();
    loop {
        let (id, length) = sync.receive()?;
        match &id {
            b"DATA" if length <= PIECE => {
                if data.len() + length > MOST_FILE {
                    return Err(AdbError::TooLong { task: sync.task, limit: MOST_FILE });
                }
                let start = data.len();
                data.resize(start + length, 0);
                sync.link.read_exact(&mut data[start..], patience, &sync.task)?;
            }
            b"DONE" => {
                sync.quit()?;
                return Ok(data);
            }
            _ => return Err(sync.refused(length)),
        }
    }
}

impl<'a> Sync<'a> {
    fn open(
        client: &Client,
        task: String,
        path: &str,
        patience: &'a Patience<'a>,
    ) -> Result<Self, AdbError> {
        if path.is_empty() || path.len() > MOST_PATH || path.contains('\0') {
            let problem = "there is no such path on any phone".to_owned();
            return Err(AdbError::Protocol { task, problem });
        }
        Ok(Self { link: client.open("sync:", patience)?, patience, task })
    }

    /// Sends an id, a length and so many bytes.
    fn send(&mut self, id: [u8; 4], data: &[u8]) -> Result<(), AdbError> {
        let length = u32::try_from(data.len()).expect("pieces and paths are short");
        let mut bytes = id.to_vec();
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(data);
        self.link.write_all(&bytes, self.patience, &self.task)
    }

    /// Reads an id and the number that follows it.
    fn receive(&mut self) -> Result<([u8; 4], usize), AdbError> {
        let mut head = [0; 8];
        self.link.read_exact(&mut head, self.patience, &self.task)?;
        let [a, b, c, d, length @ ..] = head;
        Ok(([a, b, c, d], u32::from_le_bytes(length) as usize))
    }

    /// Reads what the phone says instead.
    fn refused(&mut self, length: usize) -> AdbError {
        let mut said = vec![0; length.min(PIECE)];
        match self.link.read_exact(&mut said, self.patience, &self.task) {
            Ok(()) => AdbError::Refused {
                service: self.task.clone(),
                said: String::from_utf8_lossy(&said).trim().to_owned(),
            },
            Err(error) => error,
        }
    }

    fn quit(&mut self) -> Result<(), AdbError> {
        self.send(*b"QUIT", &[])
    }
}
