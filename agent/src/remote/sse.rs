//! Server-sent events: the `data:` lines of a stream, one JSON object each.

use std::io::{self, BufRead, Read};

/// The longest line; an event with the likeliest tokens takes a few kilobytes.
const MAX_LINE: u64 = 4 << 20;

/// Returns the data of the next event; nothing at the end of the stream.
///
/// # Errors
///
/// What reading says, or [`io::ErrorKind::InvalidData`] for a line that is too long or not UTF-8.
pub(super) fn next_event(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut data: Option<String> = None;
    loop {
        let mut line = Vec::new();
        let read = stream.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        let is_whole = line.ends_with(b"\n");
        if !is_whole && read as u64 == MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
        }
        let line = String::from_utf8(line)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
        let line = line.trim_end_matches(['\n', '\r']);
        // An event ends with an empty line; what follows the last one is incomplete.
        if read == 0 {
            return Ok(None);
        }
        if line.is_empty() {
            if data.is_some() {
                return Ok(data);
            }
            continue;
        }
        let Some(value) = line.strip_prefix("data:") else { continue };
        let value = value.strip_prefix(' ').unwrap_or(value);
        match &mut data {
            None => data = Some(value.to_owned()),
            Some(data) if (data.len() + value.len()) as u64 <= MAX_LINE => {
                data.push('\n');
                data.push_str(value);
            }
            Some(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an event is too long"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_end_with_an_empty_line() {
        let text =
            ": hello\r\nevent: x\r\ndata: {\"a\":\r\ndata:1}\r\n\r\n\n\ndata: [DONE]\n\ndata: half";
        let mut stream = text.as_bytes();
        assert_eq!(next_event(&mut stream).unwrap().as_deref(), Some("{\"a\":\n1}"));
        assert_eq!(next_event(&mut stream).unwrap().as_deref(), Some("[DONE]"));
        assert_eq!(next_event(&mut stream).unwrap(), None);
    }

    #[test]
    fn endless_lines_and_bytes_that_are_no_text_are_errors() {
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        assert_eq!(next_event(&mut endless).unwrap_err().to_string(), "a line is too long");
        let mut endless = io::BufReader::new(io::Cursor::new(
            format!("data: {}\n", "y".repeat(1000)).repeat(5000),
        ));
        assert_eq!(next_event(&mut endless).unwrap_err().to_string(), "an event is too long");
        let err = next_event(&mut &b"data: \xff\n\n"[..]).unwrap_err();
        assert_eq!(err.to_string(), "it is not UTF-8");
    }
}
