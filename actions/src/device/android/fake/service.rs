//! The services of the fake phone's daemon.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::device::Phone;
use super::sh::{Done, Shell};
use super::stream::Stream;
use super::{commands, fingers, sync};
use crate::device::android::adb::shell_protocol::{Kind, Packets, write_packet};

/// The longest line an interactive shell reads.
const MOST_LINE: usize = 64 * 1024;

/// A service a client can open.
#[derive(Debug)]
pub(super) enum Service {
    /// A command, or an interactive shell if there is none.
    Shell { command: String, protocol: bool },
    /// A command whose output is not touched.
    Exec(String),
    /// The screen's pixels.
    Framebuffer,
    /// Files.
    Sync,
    /// A refusal in words.
    Says(&'static str),
}

/// Returns the service of that name, if there is one.
pub(super) fn find(name: &str) -> Option<Service> {
    if let Some(command) = name.strip_prefix("exec:") {
        return Some(Service::Exec(command.to_owned()));
    }
    if let Some((options, command)) = name.split_once(':') {
        let mut options = options.split(',');
        if options.next() == Some("shell") {
            let protocol = options.any(|option| option == "v2");
            return Some(Service::Shell { command: command.to_owned(), protocol });
        }
    }
    match name {
        "framebuffer:" => Some(Service::Framebuffer),
        "sync:" => Some(Service::Sync),
        "root:" => Some(Service::Says("adbd cannot run as root in production builds\n")),
        _ => None,
    }
}

impl Service {
    /// Serves until it is done or the client hangs up.
    pub(super) fn run(self, phone: &Phone, mut stream: Stream) -> io::Result<()> {
        match self {
            Self::Shell { command, protocol: false } if command.is_empty() => {
                interactive(phone, stream)
            }
            Self::Shell { command, protocol: true } if command.is_empty() => {
                interactive_in_packets(phone, stream)
            }
            Self::Shell { command, protocol } if command == fingers::FOLLOW => {
                fingers::follow(phone, &mut stream, protocol)
            }
            Self::Exec(command) | Self::Shell { command, protocol: false } => {
                let done = Shell::new(phone).line(&command);
                stream.write_all(&done.out)?;
                stream.write_all(&done.err)
            }
            Self::Shell { command, protocol: true } => {
                let done = Shell::new(phone).line(&command);
                answer(&mut stream, &done)?;
                write_packet(&mut stream, Kind::Exit, &[done.code])
            }
            Self::Framebuffer => framebuffer(phone, stream),
            Self::Sync => sync::serve(phone, stream),
            Self::Says(text) => stream.write_all(text.as_bytes()),
        }
    }
}

/// Writes what a command wrote, in packets of a size every client takes.
fn answer(stream: &mut Stream, done: &Done) -> io::Result<()> {
    for (kind, bytes) in [(Kind::Stdout, &done.out), (Kind::Stderr, &done.err)] {
        for piece in bytes.chunks(32 * 1024) {
            write_packet(&mut *stream, kind, piece)?;
        }
    }
    Ok(())
}

/// A shell that reads lines until there are no more.
fn interactive(phone: &Phone, stream: Stream) -> io::Result<()> {
    let mut shell = Shell::new(phone);
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let read = reader.by_ref().take(MOST_LINE as u64).read_line(&mut line)?;
        if read == 0 {
            return Ok(());
        }
        let done = shell.line(&line);
        let stream = reader.get_mut();
        stream.write_all(&done.out)?;
        stream.write_all(&done.err)?;
        if done.exited {
            return Ok(());
        }
    }
}

fn interactive_in_packets(phone: &Phone, mut stream: Stream) -> io::Result<()> {
    let mut shell = Shell::new(phone);
    let (mut packets, mut typed, mut code) = (Packets::default(), Vec::new(), 0);
    let mut buffer = [0; 4096];
    'open: loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        packets.push(&buffer[..count]);
        while let Some((kind, data)) = packets.next()? {
            let is_over = kind == Kind::CloseStdin;
            if kind == Kind::Stdin {
                typed.extend_from_slice(data);
            }
            while let Some(end) = typed.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = typed.drain(..=end).collect();
                let done = shell.line(&String::from_utf8_lossy(&line));
                code = done.code;
                answer(&mut stream, &done)?;
                if done.exited {
                    break 'open;
                }
            }
            if is_over || typed.len() > MOST_LINE {
                break 'open;
            }
        }
    }
    write_packet(&mut stream, Kind::Exit, &[code])
}

/// Sends the screen as the service of old does: a header that names the bits, then the pixels.
fn framebuffer(phone: &Phone, mut stream: Stream) -> io::Result<()> {
    use super::FakePixels::{Bgra8888, Rgb565, Rgb888, Rgba8888, Rgbx8888};
    let (image, pixels) = {
        let system = phone.lock();
        (system.capture(), system.options.pixels)
    };
    // Bits of a pixel, then offset and length of red, blue, green and alpha: in that order.
    let layout: [u32; 9] = match pixels {
        Rgba8888 => [32, 0, 8, 16, 8, 8, 8, 24, 8],
        Rgbx8888 => [32, 0, 8, 16, 8, 8, 8, 24, 0],
        Rgb888 => [24, 0, 8, 16, 8, 8, 8, 24, 0],
        Rgb565 => [16, 11, 5, 0, 5, 5, 6, 0, 0],
        Bgra8888 => [32, 16, 8, 0, 8, 8, 8, 24, 8],
    };
    let mut body = Vec::new();
    commands::screen::append_pixels(&mut body, &image, pixels);
    let size = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut head = vec![1, layout[0], size, image.width(), image.height()];
    head.extend_from_slice(&layout[1..]);
    let head: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).collect();
    stream.write_all(&head)?;
    stream.write_all(&body)
}
