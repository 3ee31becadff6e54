//! HTTP as bytes on a socket: a client that a test can make rude, slow or absent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How long an answer may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: String,
}

impl Reply {
    /// Returns a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    ///
    /// Fails if it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// A request that was sent, its answer being read.
#[derive(Debug)]
pub struct Exchange {
    reader: BufReader<TcpStream>,
    /// What the head of the answer said.
    pub head: Reply,
    is_chunked: bool,
}

impl Exchange {
    /// Sends a request as it is, and reads the head of the answer.
    ///
    /// # Errors
    ///
    /// Fails if nobody listens at `addr`, or the answer is not HTTP.
    pub fn send(addr: &str, request: &[u8]) -> Result<Self> {
        let mut stream =
            TcpStream::connect(addr).with_context(|| format!("no server at {addr}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request)?;
        let mut reader = BufReader::new(stream);
        let status = line(&mut reader)?;
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = code.with_context(|| format!("not HTTP: {status:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = line(&mut reader)?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let head = Reply { status, headers, body: String::new() };
        let is_chunked = head.header("transfer-encoding") == Some("chunked");
        Ok(Self { reader, head, is_chunked })
    }

    /// Returns the data of the next server-sent event; nothing at the end of the answer.
    ///
    /// # Errors
    ///
    /// Fails if the connection breaks.
    pub fn event(&mut self) -> Result<Option<String>> {
        loop {
            let Some(chunk) = self.chunk()? else { return Ok(None) };
            // The server writes each event at once.
            if let Some(data) = chunk.strip_prefix("data: ") {
                return Ok(Some(data.trim_end().to_owned()));
            }
            if !chunk.starts_with(':') {
                bail!("not an event: {chunk:?}");
            }
        }
    }

    /// Reads the rest of the answer.
    ///
    /// # Errors
    ///
    /// Fails if the connection breaks.
    pub fn finish(mut self) -> Result<Reply> {
        let mut body = String::new();
        if self.is_chunked {
            while let Some(chunk) = self.chunk()? {
                body.push_str(&chunk);
            }
        } else {
            let len = self.head.header("content-length").unwrap_or("0").parse()?;
            self.reader.by_ref().take(len).read_to_string(&mut body)?;
        }
        Ok(Reply { body, ..self.head })
    }

    fn chunk(&mut self) -> Result<Option<String>> {
        let len = line(&mut self.reader)?;
        let len = usize::from_str_radix(&len, 16).with_context(|| format!("no length: {len:?}"))?;
        let mut chunk = vec![0; len + 2];
        self.reader.read_exact(&mut chunk)?;
        chunk.truncate(len);
        Ok(if len == 0 { None } else { Some(String::from_utf8(chunk)?) })
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        bail!("the connection was closed");
    }
    Ok(line.trim_end().to_owned())
}

/// Writes a request. A body is announced as JSON.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
    let mut lines = vec![format!("{method} {path} HTTP/1.1"), "connection: close".to_owned()];
    if !has("host") {
        lines.push("host: localhost".to_owned());
    }
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if let Some(body) = body {
        if !has("content-type") {
            lines.push("content-type: application/json".to_owned());
        }
        lines.push(format!("content-length: {}", body.len()));
    }
    format!("{}\r\n\r\n{}", lines.join("\r\n"), body.unwrap_or_default()).into_bytes()
}
