//! A phone reached without any ADB server: its daemon over TCP, or over a USB cable.
//!
//! Each service has a connection of its own (on a cable, the only one begins anew with it), so nothing is
//! multiplexed and nothing waits for anything else. A daemon that wants to know who is there is answered with
//! the key that `adb` made for this user; one that wants TLS (wireless debugging of Android 11 and newer) is
//! refused with the reason, since an ADB server speaks it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::Sha1;

use super::client::Lapse;
use super::error::AdbError;
use super::link::{Link, Patience, ReadInTime};
#[cfg(feature = "usb")]
use super::usb::UsbLink;
use super::wire::{
    AUTH_PUBLIC_KEY, AUTH_SIGNATURE, AUTH_TOKEN, Command, MAX_PAYLOAD, Message, VERSION, text_of,
};

/// How long a connection to the phone may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// What this side can do; the shell protocol is all that is used.
const BANNER: &[u8] = b"host::features=shell_v2,cmd\0";
/// Our number of the only stream of a connection.
const OURS: u32 = 1;

/// A phone's daemon, and what opens its door.
#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    place: Place,
    /// The folder with `adbkey` and `adbkey.pub`.
    keys: Option<PathBuf>,
}

/// Where a daemon is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// `HOST:PORT`.
    Tcp(String),
    /// On a USB cable: the phone of this serial number, or the only one.
    Usb(Option<String>),
}

impl Place {
    /// Reads `tcp:HOST:PORT`, `usb` and `usb:SERIAL`; anything else is the name of a phone to a server.
    pub(crate) fn parse(serial: &str) -> Option<Self> {
        match serial.split_once(':') {
            None if serial == "usb" => return Some(Self::Usb(None)),
            Some(("usb", serial)) => return Some(Self::Usb(Some(serial.to_owned()))),
            _ => {}
        }
        serial.strip_prefix("tcp:").map(|place| Self::Tcp(place.to_owned()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(place) => f.write_str(place),
            Self::Usb(None) => f.write_str("usb"),
            Self::Usb(Some(serial)) => write!(f, "usb:{serial}"),
        }
    }
}

/// A way on which messages go.
enum Wire {
    Tcp(Link),
    #[cfg(feature = "usb")]
    Usb(Box<UsbLink>),
}

impl ReadInTime for Wire {
    fn read(
        &mut self,
        buffer: &mut [u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<usize, AdbError> {
        match self {
            Self::Tcp(link) => link.read(buffer, patience, task),
            #[cfg(feature = "usb")]
            Self::Usb(link) => link.read(buffer, patience, task),
        }
    }
}

impl Wire {
    fn write_message(
        &mut self,
        bytes: &[u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<(), AdbError> {
        match self {
            Self::Tcp(link) => link.write_all(bytes, patience, task),
            #[cfg(feature = "usb")]
            Self::Usb(link) => link.write_message(bytes, patience, task),
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            #[cfg(feature = "usb")]
            Self::Usb(_) => "Usb",
        })
    }
}

/// The only stream of a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    link: Wire,
    theirs: u32,
    /// The longest payload the phone takes.
    most: usize,
    /// What has arrived and was not read.
    arrived: VecDeque<u8>,
    is_over: bool,
}

impl Daemon {
    pub(crate) fn new(place: Place, keys: Option<PathBuf>) -> Self {
        Self { place, keys }
    }

    /// Connects and returns the phone's own words on what it is, `device::…;features=…`.
    pub(crate) fn banner(&self, patience: &Patience<'_>) -> Result<String, AdbError> {
        Ok(self.greet(patience)?.2)
    }

    /// Opens a service on a connection of its own.
    pub(crate) fn open(&self, service: &str, patience: &Patience<'_>) -> Result<Stream, Lapse> {
        let before = |error| Lapse { begun: false, error };
        let (mut link, most, _) = self.greet(patience).map_err(before)?;
        let task = super::host::short(service);
        let name = format!("{service}\0");
        if name.len() > most {
            let problem = format!("a request of {} bytes is too long", name.len());
            return Err(before(AdbError::Protocol { task, problem }));
        }
        let open = Message::new(Command::Open, OURS, 0, name.into_bytes());
        let mut finish = || {
            send(&mut link, &open, patience, &task)?;
            receive(&mut link, patience, &task)
        };
        let answer = finish().map_err(|error| Lapse { begun: true, error })?;
        match answer.command {
            Command::Okay if answer.arg1 == OURS => Ok(Stream {
                link,
                theirs: answer.arg0,
                most,
                arrived: VecDeque::new(),
                is_over: false,
            }),
            Command::Close => {
                let said = "the phone has no such service".to_owned();
                Err(before(AdbError::Refused { service: task, said }))
            }
            other => {
                let problem = format!("it is {other:?}");
                Err(Lapse { begun: true, error: AdbError::Protocol { task, problem } })
            }
        }
    }

    /// Connects and is let in.
    fn greet(&self, patience: &Patience<'_>) -> Result<(Wire, usize, String), AdbError> {
        let task = "connect";
        let mut link = self.connect()?;
        let hello = Message::new(Command::Connect, VERSION, MAX_PAYLOAD, BANNER);
        send(&mut link, &hello, patience, task)?;
        let (mut signed, mut shown) = (false, false);
        loop {
            let message = match receive(&mut link, patience, task) {
                // Whoever looks at the phone has not accepted the key, or nobody looks.
                Err(AdbError::Timeout { .. } | AdbError::Broken { .. }) if shown => {
                    return Err(self.not_ready("unauthorized"));
                }
                message => message?,
            };
            match (message.command, message.arg0) {
                (Command::Connect, _) => {
                    let most = message.arg1.clamp(1024, MAX_PAYLOAD) as usize;
                    return Ok((link, most, text_of(&message.data)));
                }
                (Command::StartTls, _) => return Err(self.not_ready("only reachable with TLS")),
                (Command::Auth, AUTH_TOKEN) if !signed => {
                    signed = true;
                    let signature = self.sign(&message.data)?;
                    let answer = Message::new(Command::Auth, AUTH_SIGNATURE, 0, signature);
                    send(&mut link, &answer, patience, task)?;
                }
                (Command::Auth, AUTH_TOKEN) if !shown => {
                    shown = true;
                    let mut key = self.key("adbkey.pub")?.trim().to_owned().into_bytes();
                    key.push(0);
                    let answer = Message::new(Command::Auth, AUTH_PUBLIC_KEY, 0, key);
                    send(&mut link, &answer, patience, task)?;
                }
                (Command::Auth, _) => return Err(self.not_ready("unauthorized")),
                // Said to whoever had the cable before.
                #[cfg(feature = "usb")]
                (Command::Okay | Command::Write | Command::Close, _)
                    if matches!(link, Wire::Usb(_)) => {}
                (other, _) => {
                    let problem = format!("it is {other:?}");
                    return Err(AdbError::Protocol { task: task.to_owned(), problem });
                }
            }
        }
    }

    fn connect(&self) -> Result<Wire, AdbError> {
        match &self.place {
            Place::Tcp(place) => Link::connect(place, CONNECTING)
                .map(Wire::Tcp)
                .map_err(|source| AdbError::Unreachable { place: place.clone(), source }),
            #[cfg(feature = "usb")]
            Place::Usb(serial) => {
                UsbLink::open(serial.as_deref()).map(|link| Wire::Usb(Box::new(link)))
            }
            #[cfg(not(feature = "usb"))]
            Place::Usb(_) => {
                let without = "this program was built without the feature `usb`";
                let source = io::Error::new(io::ErrorKind::Unsupported, without);
                Err(AdbError::NoUsb { source })
            }
        }
    }

    fn not_ready(&self, state: &str) -> AdbError {
        AdbError::NotReady { serial: self.place.to_string(), state: state.to_owned() }
    }

    /// Signs what the phone sent, as a digest: that is ADB's way.
    fn sign(&self, token: &[u8]) -> Result<Vec<u8>, AdbError> {
        let key = self.key("adbkey")?;
        let bad = |problem: String| AdbError::NoKey { place: self.place.to_string(), problem };
        let key = RsaPrivateKey::from_pkcs8_pem(&key).map_err(|error| bad(error.to_string()))?;
        key.sign(Pkcs1v15Sign::new::<Sha1>(), token).map_err(|error| bad(error.to_string()))
    }

    fn key(&self, name: &str) -> Result<String, AdbError> {
        let bad = |problem: String| AdbError::NoKey { place: self.place.to_string(), problem };
        let folder =
            self.keys.as_deref().ok_or_else(|| bad("there is no home folder".to_owned()))?;
        let path: &Path = &folder.join(name);
        fs_err::read_to_string(path).map_err(|error| bad(error.to_string()))
    }
}

impl ReadInTime for Stream {
    fn read(
        &mut self,
        buffer: &mut [u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<usize, AdbError> {
        while self.arrived.is_empty() {
            if self.is_over {
                return Ok(0);
            }
            self.take(patience, task)?;
        }
        let count = self.arrived.read(buffer);
        count.map_err(|source| AdbError::Broken { task: task.to_owned(), source })
    }
}

impl Stream {
    /// Writes all of it.
    pub(crate) fn write_all(
        &mut self,
        bytes: &[u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<(), AdbError> {
        for piece in bytes.chunks(self.most) {
            if self.is_over {
                let source = io::ErrorKind::BrokenPipe.into();
                return Err(AdbError::Broken { task: task.to_owned(), source });
            }
            let write = Message::new(Command::Write, OURS, self.theirs, piece);
            send(&mut self.link, &write, patience, task)?;
            // The next piece may go when this one was taken.
            while !self.is_over && !self.take(patience, task)? {}
        }
        Ok(())
    }

    /// Takes the next message; returns whether it says that what was written has been taken.
    fn take(&mut self, patience: &Patience<'_>, task: &str) -> Result<bool, AdbError> {
        let message = receive(&mut self.link, patience, task)?;
        match message.command {
            Command::Okay => return Ok(true),
            Command::Write => {
                self.arrived.extend(&message.data);
                let taken = Message::new(Command::Okay, OURS, self.theirs, []);
                send(&mut self.link, &taken, patience, task)?;
            }
            Command::Close => self.is_over = true,
            other => {
                let problem = format!("it is {other:?}");
                return Err(AdbError::Protocol { task: task.to_owned(), problem });
            }
        }
        Ok(false)
    }
}

fn send(
    link: &mut Wire,
    message: &Message,
    patience: &Patience<'_>,
    task: &str,
) -> Result<(), AdbError> {
    let mut bytes = Vec::new();
    let written = message.write_to(&mut bytes);
    written.map_err(|source| AdbError::Broken { task: task.to_owned(), source })?;
    link.write_message(&bytes, patience, task)
}

fn receive(link: &mut Wire, patience: &Patience<'_>, task: &str) -> Result<Message, AdbError> {
    let mut failed = None;
    let reader = Patient { link, patience, task, failed: &mut failed };
    let read = Message::read_from(reader, MAX_PAYLOAD);
    read.map_err(|error| {
        failed.unwrap_or_else(|| match error.kind() {
            io::ErrorKind::InvalidData => {
                AdbError::Protocol { task: task.to_owned(), problem: error.to_string() }
            }
            _ => AdbError::Broken { task: task.to_owned(), source: error },
        })
    })
}

/// A link as something to read from, that keeps why it could not be read.
struct Patient<'a> {
    link: &'a mut Wire,
    patience: &'a Patience<'a>,
    task: &'a str,
    failed: &'a mut Option<AdbError>,
}

impl io::Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.link.read(buffer, self.patience, self.task).map_err(|error| {
            *self.failed = Some(error);
            io::ErrorKind::Other.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_from_serial_numbers() {
        let tcp = Place::Tcp("127.0.0.1:6555".to_owned());
        assert_eq!(Place::parse("tcp:127.0.0.1:6555"), Some(tcp));
        assert_eq!(Place::parse("emulator-5554"), None);
        assert_eq!(Place::parse("192.168.1.20:5555"), None);
        for serial in ["usb", "usb:8A1X0KQ7"] {
            let place = Place::parse(serial).unwrap();
            assert!(matches!(place, Place::Usb(_)));
            assert_eq!(place.to_string(), serial);
        }
    }
}
