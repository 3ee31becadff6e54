//! The service that copies files.

use std::io::{self, Read, Write};

use super::device::Phone;
use super::files::FileError;
use super::stream::Stream;

/// The longest piece of a file, in either direction.
const PIECE: usize = 64 * 1024;
/// The longest path, with the mode that follows it.
const MOST_PATH: usize = 1040;
/// The mode bits of a regular file and of a folder.
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// Serves requests until the client has no more.
pub(super) fn serve(phone: &Phone, mut stream: Stream) -> io::Result<()> {
    loop {
        let (id, length) = match header(&mut stream) {
            Ok(header) => header,
            // A client may go without a word.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        if &id == b"QUIT" {
            return Ok(());
        }
        if length > MOST_PATH {
            return fail(&mut stream, "path too long");
        }
        let mut path = vec![0; length];
        stream.read_exact(&mut path)?;
        let path = String::from_utf8_lossy(&path).into_owned();
        match &id {
            b"STAT" => stat(phone, &mut stream, &path)?,
            b"LIST" => list(phone, &mut stream, &path)?,
            b"RECV" => receive(phone, &mut stream, &path)?,
            b"SEND" => send(phone, &mut stream, &path)?,
            _ => return fail(&mut stream, "unknown request"),
        }
    }
}

fn header(stream: &mut Stream) -> io::Result<([u8; 4], usize)> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let [a, b, c, d, rest @ ..] = head;
    Ok(([a, b, c, d], u32::from_le_bytes(rest) as usize))
}

fn reply(stream: &mut Stream, id: [u8; 4], words: &[u32], data: &[u8]) -> io::Result<()> {
    let mut bytes = id.to_vec();
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(data);
    stream.write_all(&bytes)
}

fn fail(stream: &mut Stream, message: &str) -> io::Result<()> {
    reply(stream, *b"FAIL", &[size(message.len())], message.as_bytes())
}

/// Returns mode, size and time of what is at a path; zeroes for nothing.
fn facts(phone: &Phone, path: &str) -> [u32; 3] {
    let system = phone.lock();
    let files = &system.world.files;
    match files.read(path) {
        Ok(file) => [REGULAR | file.mode, size(file.data.len()), file.modified],
        Err(FileError::Directory) => [FOLDER | 0o771, 4096, 0],
        Err(_) => [0; 3],
    }
}

fn stat(phone: &Phone, stream: &mut Stream, path: &str) -> io::Result<()> {
    reply(stream, *b"STAT", &facts(phone, path), &[])
}

fn list(phone: &Phone, stream: &mut Stream, path: &str) -> io::Result<()> {
    let names: Vec<String> =
        phone.lock().world.files.list(path).into_iter().map(|(name, _)| name).collect();
    for name in names {
        let [mode, length, time] = facts(phone, &format!("{path}/{name}"));
        reply(stream, *b"DENT", &[mode, length, time, size(name.len())], name.as_bytes())?;
    }
    reply(stream, *b"DONE", &[0; 4], &[])
}

fn receive(phone: &Phone, stream: &mut Stream, path: &str) -> io::Result<()> {
    let data = match phone.read_file(path) {
        Ok(data) => data,
        Err(problem) => return fail(stream, &problem.to_string()),
    };
    for piece in data.chunks(PIECE) {
        reply(stream, *b"DATA", &[size(piece.len())], piece)?;
    }
    reply(stream, *b"DONE", &[0], &[])
}

fn send(phone: &Phone, stream: &mut Stream, path_and_mode: &str) -> io::Result<()> {
    let (path, mode) = path_and_mode.rsplit_once(',').unwrap_or((path_and_mode, "420"));
    let mode = mode.parse().unwrap_or(0o644);
    let mut data = Vec::new();
    loop {
        let (id, length) = header(stream)?;
        match &id {
            b"DATA" if length <= PIECE => {
                let start = data.len();
                // What is more than any phone's storage is read and thrown away, to be refused.
                data.resize(start + length, 0);
                stream.read_exact(&mut data[start..])?;
                if data.len() > 65 * 1024 * 1024 {
                    data.truncate(65 * 1024 * 1024);
                }
            }
            b"DATA" => return fail(stream, "oversize data message"),
            b"DONE" => {
                let written = {
                    let mut system = phone.lock();
                    let written = system.world.files.write(path, data, mode);
                    system.world.files.touch(path, u32::try_from(length).unwrap_or(u32::MAX));
                    written
                };
                return match written {
                    Ok(()) => reply(stream, *b"OKAY", &[0], &[]),
                    Err(problem) => fail(stream, &format!("couldn't create file: {problem}")),
                };
            }
            _ => return fail(stream, "invalid data message"),
        }
    }
}

fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
