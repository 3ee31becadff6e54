//! The host protocol: how a program asks a running ADB server for phones, and for streams to them.
//!
//! A request is four hexadecimal digits of length and a text; the answer begins with `OKAY` or
//! `FAIL`. After `host:transport:SERIAL` the connection belongs to that phone, and the next request
//! opens a service of its daemon.
//!
//! # Source
//! `SERVICES.TXT` and `OVERVIEW.TXT` of AOSP's `packages/modules/adb`.

use std::fmt;
use std::io;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::error::AdbError;
use super::link::{Link, Patience, ReadInTime as _};
use crate::device::pause::pause;

/// How long the server itself may take to answer.
const ANSWERING: Duration = Duration::from_secs(5);
/// How long a connection to the server may take.
const CONNECTING: Duration = Duration::from_secs(3);
/// How long the server may take to come up; the first start makes a key.
const STARTING: Duration = Duration::from_secs(20);
/// The longest answer of a server that is read.
const MOST_ANSWER: usize = 64 * 1024;

/// Where an ADB server listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdbAddress {
    host: String,
    port: u16,
}

impl Default for AdbAddress {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 5037 }
    }
}

impl fmt::Display for AdbAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A text that names no place an ADB server can be reached at.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no address of an ADB server; write `PORT`, `HOST:PORT` or `tcp:HOST:PORT`")]
pub struct BadAdbAddress {
    /// The text.
    pub text: String,
}

/// Reads `5037`, `host:5037`, `tcp:5037` or `tcp:host:5037`, as `ADB_SERVER_SOCKET` holds it.
impl FromStr for AdbAddress {
    type Err = BadAdbAddress;

    fn from_str(text: &str) -> Result<Self, BadAdbAddress> {
        let bad = || BadAdbAddress { text: text.to_owned() };
        let place = text.strip_prefix("tcp:").unwrap_or(text);
        let (host, port) = place.rsplit_once(':').unwrap_or(("127.0.0.1", place));
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(bad());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// One line of `adb devices -l`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Listed {
    pub(crate) serial: String,
    /// `device` for one that can be used, else a reason in the server's words.
    pub(crate) state: String,
    /// What the phone called itself when it connected.
    pub(crate) model: Option<String>,
}

/// A running ADB server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    address: AdbAddress,
}

impl Server {
    pub(crate) fn new(address: AdbAddress) -> Self {
        Self { address }
    }

    fn connect(&self) -> Result<Link, AdbError> {
        let place = (self.address.host.trim_matches(['[', ']']), self.address.port);
        Link::connect(place, CONNECTING)
            .map_err(|source| AdbError::NoServer { address: self.address.to_string(), source })
    }

    /// Starts the server with the program `adb` if none answers.
    pub(crate) fn ensure(&self) -> Result<(), AdbError> {
        let is_here = ["127.0.0.1", "localhost", "::1", "[::1]"].contains(&&*self.address.host);
        match self.connect() {
            Err(AdbError::NoServer { .. }) if is_here => self.start(),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    fn start(&self) -> Result<(), AdbError> {
        let address = || self.address.to_string();
        let not_started = |said: String| AdbError::NotStarted { address: address(), said };
        // The server that is left behind would keep a pipe open, so there is none.
        let spawned = Command::new("adb")
            .args(["-P", &self.address.port.to_string(), "start-server"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(AdbError::NoProgram { address: address() });
            }
            Err(error) => return Err(not_started(error.to_string())),
        };
        let start = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if start.elapsed() < STARTING => pause(Duration::from_millis(20)),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(not_started(format!("it did not end in {} s", STARTING.as_secs())));
                }
                Err(error) => return Err(not_started(error.to_string())),
            }
        };
        match self.connect() {
            Ok(_) => Ok(()),
            Err(_) => Err(not_started(status.to_string())),
        }
    }

    /// Asks the server something, and returns its answer.
    pub(crate) fn ask(&self, service: &str) -> Result<String, AdbError> {
        self.ask_for(service, &Patience::of(ANSWERING))
    }

    /// As [`Self::ask`], of something that may take longer.
    pub(crate) fn ask_for(
        &self,
        service: &str,
        patience: &Patience<'_>,
    ) -> Result<String, AdbError> {
        let mut link = self.connect()?;
        request(&mut link, service, patience)?;
        let bytes = counted(&mut link, patience, service)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Lists the phones.
    pub(crate) fn list(&self) -> Result<Vec<Listed>, AdbError> {
        Ok(self.ask("host:devices-l")?.lines().filter_map(listed).collect())
    }

    /// Returns the phone of that serial number, or the only one that can be used.
    pub(crate) fn choose(&self, serial: Option<&str>) -> Result<Listed, AdbError> {
        let all = self.list()?;
        let serials = |phones: &[Listed]| phones.iter().map(|phone| phone.serial.clone()).collect();
        let phone = if let Some(serial) = serial {
            all.iter().find(|phone| phone.serial == serial).cloned().ok_or_else(|| {
                AdbError::NoSuchPhone { serial: serial.to_owned(), known: serials(&all) }
            })?
        } else {
            let ready: Vec<&Listed> = all.iter().filter(|phone| phone.state == "device").collect();
            match (&ready[..], &all[..]) {
                ([only], _) => (*only).clone(),
                ([], [only]) => only.clone(),
                ([], []) => {
                    return Err(AdbError::NoPhone { address: self.address.to_string() });
                }
                _ => return Err(AdbError::SeveralPhones { serials: serials(&all) }),
            }
        };
        if phone.state != "device" {
            return Err(AdbError::NotReady { serial: phone.serial, state: phone.state });
        }
        Ok(phone)
    }

    /// Returns a connection that belongs to a phone.
    pub(crate) fn transport(
        &self,
        serial: &str,
        patience: &Patience<'_>,
    ) -> Result<Link, AdbError> {
        let mut link = self.connect()?;
        let asked = request(&mut link, &format!("host:transport:{serial}"), patience);
        asked.map_err(|error| match error {
            AdbError::Refused { said, .. } => why_refused(serial, &said, self),
            error => error,
        })?;
        Ok(link)
    }
}

/// Finds out what a refused transport means.
fn why_refused(serial: &str, said: &str, server: &Server) -> AdbError {
    let serial = serial.to_owned();
    for state in ["unauthorized", "offline", "authorizing", "connecting"] {
        if said.contains(state) {
            return AdbError::NotReady { serial, state: state.to_owned() };
        }
    }
    let known = server.list().unwrap_or_default();
    AdbError::NoSuchPhone { serial, known: known.into_iter().map(|phone| phone.serial).collect() }
}

/// Sends a request and reads whether it is granted.
pub(crate) fn request(
    link: &mut Link,
    service: &str,
    patience: &Patience<'_>,
) -> Result<(), AdbError> {
    let text = format!("{:04x}{service}", service.len());
    if service.len() > 0xffff {
        let problem = format!("a request of {} bytes is too long", service.len());
        return Err(AdbError::Protocol { task: short(service), problem });
    }
    link.write_all(text.as_bytes(), patience, &short(service))?;
    let mut status = [0; 4];
    link.read_exact(&mut status, patience, &short(service))?;
    match &status {
        b"OKAY" => Ok(()),
        b"FAIL" => {
            let said = counted(link, patience, service)?;
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            Err(AdbError::Refused { service: short(service), said })
        }
        other => {
            let problem = format!("it begins with `{}`", other.escape_ascii());
            Err(AdbError::Protocol { task: short(service), problem })
        }
    }
}

/// Reads four hexadecimal digits, and so many bytes.
fn counted(link: &mut Link, patience: &Patience<'_>, service: &str) -> Result<Vec<u8>, AdbError> {
    let mut digits = [0; 4];
    link.read_exact(&mut digits, patience, &short(service))?;
    let length = std::str::from_utf8(&digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .filter(|length| *length <= MOST_ANSWER)
        .ok_or_else(|| {
            let problem = format!("`{}` is no length", digits.escape_ascii());
            AdbError::Protocol { task: short(service), problem }
        })?;
    let mut bytes = vec![0; length];
    link.read_exact(&mut bytes, patience, &short(service))?;
    Ok(bytes)
}

/// Returns as much of a request as a message shows; what a user types is none of it.
pub(crate) fn short(service: &str) -> String {
    const MOST: usize = 48;
    const TYPED: [&str; 3] = ["input text ", "clipboard set ", "--es msg "];
    let line = service.lines().next().unwrap_or_default();
    let typed = TYPED.iter().filter_map(|word| Some(line.find(word)? + word.len() - 1));
    let end = typed.min().unwrap_or(line.len());
    let mut text: String = line[..end].chars().take(MOST).collect();
    if text.len() < service.len() {
        text.push('…');
    }
    text
}

/// Reads a line of `host:devices-l`.
fn listed(line: &str) -> Option<Listed> {
    const FIELDS: [&str; 5] = ["usb:", "product:", "model:", "device:", "transport_id:"];
    let (serial, rest) = line.trim().split_once(char::is_whitespace)?;
    let is_field = |word: &&str| FIELDS.iter().any(|field| word.starts_with(field));
    let state: Vec<&str> = rest.split_whitespace().take_while(|word| !is_field(word)).collect();
    let model = rest.split_whitespace().find_map(|word| word.strip_prefix("model:"));
    Some(Listed {
        serial: serial.to_owned(),
        state: state.join(" "),
        model: model.map(|model| model.replace('_', " ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_adb_reads_them() {
        let check = |text: &str, read: Option<&str>| {
            let address = text.parse::<AdbAddress>().ok().map(|address| address.to_string());
            assert_eq!(address.as_deref(), read, "{text}");
        };
        check("5038", Some("127.0.0.1:5038"));
        check("tcp:5038", Some("127.0.0.1:5038"));
        check("tcp:box:5038", Some("box:5038"));
        check("10.0.0.2:1", Some("10.0.0.2:1"));
        check("tcp:[::1]:5037", Some("[::1]:5037"));
        for bad in ["", "0", "tcp:", "localfilesystem:/tmp/adb", "a b:1", ":1", "70000"] {
            check(bad, None);
        }
    }

    #[test]
    fn lines_of_the_list_are_read_whatever_the_state() {
        let read = |line: &str| {
            let phone = listed(line)?;
            Some(format!("{}|{}|{}", phone.serial, phone.state, phone.model.unwrap_or_default()))
        };
        let check = |line, expected: Option<&str>| assert_eq!(read(line).as_deref(), expected);
        check(
            "emulator-5554          device product:sdk model:Pixel_6 device:emu transport_id:1",
            Some("emulator-5554|device|Pixel 6"),
        );
        check("127.0.0.1:6555   unauthorized transport_id:2", Some("127.0.0.1:6555|unauthorized|"));
        check(
            "???????????? no permissions (missing udev rules?); see [http://x/y] usb:1-1",
            Some("????????????|no permissions (missing udev rules?); see [http://x/y]|"),
        );
        check("", None);
    }

    #[test]
    fn what_is_typed_is_in_no_message() {
        assert_eq!(short("shell,v2,raw:input text 'hunter2'"), "shell,v2,raw:input text…");
        assert_eq!(short("cmd clipboard set hunter2"), "cmd clipboard set…");
        assert_eq!(short("am broadcast -a B --es msg aHVudGVyMg=="), "am broadcast -a B --es msg…");
        assert_eq!(short("host:version"), "host:version");
        assert!(short(&"x".repeat(500)).len() < 60);
    }
}
