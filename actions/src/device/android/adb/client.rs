//! Commands on one phone, through the ADB server or straight to its daemon.

use std::time::{Duration, Instant};

use super::direct::{Daemon, Stream};
use super::error::AdbError;
use super::host::{Server, request, short};
use super::link::{Link, Patience, ReadInTime};
use super::shell_protocol::{Kind, Packets, write_packet};
use crate::device::pause::pause_unless;
use crate::halt::Halt;

/// The most that a command may write.
const MOST_OUTPUT: usize = 8 * 1024 * 1024;
/// The most that a screenshot may be: 8192 × 8192 pixels of four bytes would be twice this.
const MOST_BYTES: usize = 128 * 1024 * 1024;

/// How long a phone that is gone is waited for.
const COMING_BACK: Duration = Duration::from_secs(8);
/// How often it is looked for meanwhile.
const BEAT: Duration = Duration::from_millis(250);
/// How long a connection of the server to a phone may take.
const CONNECTING: Duration = Duration::from_secs(10);

/// What a command wrote, and its exit code.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ShellOutput {
    pub(crate) stdout: Vec<u8>,
    /// Empty on phones that cannot keep the two apart.
    pub(crate) stderr: Vec<u8>,
    pub(crate) code: u8,
}

impl ShellOutput {
    /// Returns what was written to stdout.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns what the command has to say for itself, in one line.
    pub(crate) fn complaint(&self) -> String {
        const MOST: usize = 200;
        let said = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        let said = String::from_utf8_lossy(said);
        let words: Vec<&str> = said.split_whitespace().collect();
        words.join(" ").chars().take(MOST).collect()
    }
}

/// A command that did not come to its end.
#[derive(Debug)]
pub(crate) struct Lapse {
    /// Whether the phone may have carried out some or all of it.
    pub(crate) begun: bool,
    pub(crate) error: AdbError,
}

impl From<Lapse> for AdbError {
    fn from(lapse: Lapse) -> Self {
        lapse.error
    }
}

/// The way to a phone.
#[derive(Clone, Debug)]
enum Way {
    Server(Server),
    Daemon(Daemon),
}

/// An open service of a phone.
#[derive(Debug)]
pub(crate) enum Channel {
    Server(Link),
    Daemon(Stream),
}

impl ReadInTime for Channel {
    fn read(
        &mut self,
        buffer: &mut [u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<usize, AdbError> {
        match self {
            Self::Server(link) => link.read(buffer, patience, task),
            Self::Daemon(stream) => stream.read(buffer, patience, task),
        }
    }
}

impl Channel {
    /// Writes all of it.
    pub(crate) fn write_all(
        &mut self,
        bytes: &[u8],
        patience: &Patience<'_>,
        task: &str,
    ) -> Result<(), AdbError> {
        match self {
            Self::Server(link) => link.write_all(bytes, patience, task),
            Self::Daemon(stream) => stream.write_all(bytes, patience, task),
        }
    }
}

/// One phone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    way: Way,
    serial: String,
    has_shell_v2: bool,
    /// How long a command may take beyond what it does by the clock.
    most: Duration,
    halt: Halt,
}

impl Client {
    /// Takes a phone that a server knows.
    pub(crate) fn of(server: Server, serial: String, most: Duration) -> Result<Self, AdbError> {
        let features = server.ask(&format!("host-serial:{serial}:features"))?;
        Ok(Self::new(Way::Server(server), serial, &features, most))
    }

    /// Takes a phone whose daemon is at an address; somebody may have to accept a key there first.
    pub(crate) fn direct(daemon: Daemon, serial: &str, most: Duration) -> Result<Self, AdbError> {
        let banner = daemon.banner(&Patience::of(most))?;
        let features = banner.split(';').find_map(|part| part.strip_prefix("features="));
        let serial = serial.to_owned();
        Ok(Self::new(Way::Daemon(daemon), serial, features.unwrap_or_default(), most))
    }

    fn new(way: Way, serial: String, features: &str, most: Duration) -> Self {
        let has_shell_v2 = features.split(',').any(|feature| feature.trim() == "shell_v2");
        Self { way, serial, has_shell_v2, most, halt: Halt::default() }
    }

    /// Stops at this switch from now on.
    pub(crate) fn heed(&mut self, halt: Halt) {
        self.halt = halt;
    }

    /// How long to wait for what only looks.
    pub(crate) fn looking(&self) -> Patience<'_> {
        Patience::of(self.most).until_stopped(&self.halt)
    }

    /// How long to wait for what acts for so long.
    pub(crate) fn acting(&self, takes: Duration) -> Patience<'_> {
        Patience::of(self.most + takes).until_halted(&self.halt)
    }

    pub(crate) fn serial(&self) -> &str {
        &self.serial
    }

    /// Opens a service of the phone's daemon.
    pub(crate) fn open(&self, service: &str, patience: &Patience<'_>) -> Result<Channel, Lapse> {
        let server = match &self.way {
            Way::Server(server) => server,
            Way::Daemon(daemon) => return daemon.open(service, patience).map(Channel::Daemon),
        };
        let before = |error| Lapse { begun: false, error };
        let mut link = server.transport(&self.serial, patience).map_err(before)?;
        request(&mut link, service, patience).map_err(|error| Lapse {
            // Only a refusal says for sure that nothing was begun.
            begun: !matches!(error, AdbError::Refused { .. }),
            error,
        })?;
        Ok(Channel::Server(link))
    }

    /// Runs a command line and waits for its end.
    pub(crate) fn shell(
        &self,
        command: &str,
        patience: &Patience<'_>,
    ) -> Result<ShellOutput, Lapse> {
        if !self.has_shell_v2 {
            return self.shell_v1(command, patience);
        }
        let service = format!("shell,v2,raw:{command}");
        let task = short(command);
        let mut link = self.open(&service, patience)?;
        let mut finish = || {
            // Nobody types into these commands; one that reads would wait for ever.
            let mut close = Vec::new();
            let _ = write_packet(&mut close, Kind::CloseStdin, &[]);
            link.write_all(&close, patience, &task)?;
            collect(&mut link, patience, &task)
        };
        finish().map_err(|error| Lapse { begun: true, error })
    }

    /// Starts a command that goes on, and returns what it writes as it does, and whether that comes in
    /// packets. It has a terminal, so that it does not keep lines to itself.
    pub(crate) fn follow(
        &self,
        command: &str,
        patience: &Patience<'_>,
    ) -> Result<(Channel, bool), Lapse> {
        let how = if self.has_shell_v2 { "shell,v2,TERM=dumb,pty:" } else { "shell:" };
        Ok((self.open(&format!("{how}{command}"), patience)?, self.has_shell_v2))
    }

    /// Phones before Android 7 know no exit codes, so the command line says its own.
    fn shell_v1(&self, command: &str, patience: &Patience<'_>) -> Result<ShellOutput, Lapse> {
        const END: &str = "handsight-exit-";
        // A line feed ends output that has none of its own.
        let all = self.exec(&format!("{command}\necho \"\n{END}$?\""), patience)?;
        let text = String::from_utf8_lossy(&all).into_owned();
        let found = text.rfind(END).and_then(|at| {
            let code = text[at + END.len()..].trim().parse().ok()?;
            Some((at, code))
        });
        let Some((at, code)) = found else {
            let problem = "the command was cut off before its exit code".to_owned();
            let error = AdbError::Protocol { task: short(command), problem };
            return Err(Lapse { begun: true, error });
        };
        let stdout = text[..at].trim_end_matches(['\r', '\n']).as_bytes().to_vec();
        Ok(ShellOutput { stdout, stderr: Vec::new(), code })
    }

    /// Runs a command line and returns all bytes it writes, unaltered.
    pub(crate) fn exec(&self, command: &str, patience: &Patience<'_>) -> Result<Vec<u8>, Lapse> {
        let mut link = self.open(&format!("exec:{command}"), patience)?;
        let task = short(command);
        let mut finish = || {
            let (mut all, mut buffer) = (Vec::new(), vec![0; 256 * 1024]);
            loop {
                let count = link.read(&mut buffer, patience, &task)?;
                if count == 0 {
                    return Ok(all);
                }
                if all.len() + count > MOST_BYTES {
                    return Err(AdbError::TooLong { task: task.clone(), limit: MOST_BYTES });
                }
                all.extend_from_slice(&buffer[..count]);
            }
        };
        finish().map_err(|error| Lapse { begun: true, error })
    }

    /// Runs a command line that only looks, and returns what it wrote to stdout.
    pub(crate) fn look(&self, command: &str) -> Result<String, AdbError> {
        Ok(self.glance(command)?.text())
    }

    /// Runs a command line that only looks.
    pub(crate) fn glance(&self, command: &str) -> Result<ShellOutput, AdbError> {
        self.again(|| Ok(self.shell(command, &self.looking())?))
    }

    /// Does something that may be done twice, and once more if the way to the phone broke.
    pub(crate) fn again<T>(&self, look: impl Fn() -> Result<T, AdbError>) -> Result<T, AdbError> {
        match look() {
            Err(error) if error.is_of_connection() => {
                self.revive()?;
                look()
            }
            looked => looked,
        }
    }

    /// Mends the way to the phone: starts the server, connects to an address, waits for a cable.
    pub(crate) fn revive(&self) -> Result<(), AdbError> {
        if let Way::Server(server) = &self.way {
            server.ensure()?;
        }
        let start = Instant::now();
        loop {
            match self.find() {
                Err(error) if error.is_of_connection() && start.elapsed() < COMING_BACK => {
                    pause_unless(&self.halt, BEAT);
                    if self.halt.is_set() {
                        return Err(error);
                    }
                }
                found => return found,
            }
        }
    }

    /// Looks whether the phone can be used.
    fn find(&self) -> Result<(), AdbError> {
        let patience = Patience::of(CONNECTING).until_stopped(&self.halt);
        let server = match &self.way {
            Way::Server(server) => server,
            Way::Daemon(daemon) => return daemon.banner(&patience).map(|_| ()),
        };
        if self.serial.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            // What it says is of no matter: whether the phone is there is asked next.
            let _ = server.ask_for(&format!("host:connect:{}", self.serial), &patience);
        }
        server.choose(Some(&self.serial)).map(|_| ())
    }
}

/// Reads the packets of a command until the one with its exit code.
fn collect(
    link: &mut Channel,
    patience: &Patience<'_>,
    task: &str,
) -> Result<ShellOutput, AdbError> {
    let mut output = ShellOutput::default();
    let (mut packets, mut buffer) = (Packets::default(), vec![0; 64 * 1024]);
    loop {
        let count = link.read(&mut buffer, patience, task)?;
        if count == 0 {
            let source = std::io::ErrorKind::UnexpectedEof.into();
            return Err(AdbError::Broken { task: task.to_owned(), source });
        }
        packets.push(&buffer[..count]);
        loop {
            let next = packets.next().map_err(|problem| AdbError::Protocol {
                task: task.to_owned(),
                problem: problem.to_string(),
            })?;
            match next {
                None => break,
                Some((Kind::Stdout, data)) => output.stdout.extend_from_slice(data),
                Some((Kind::Stderr, data)) => output.stderr.extend_from_slice(data),
                Some((Kind::Exit, data)) => {
                    output.code = data.first().copied().unwrap_or(u8::MAX);
                    return Ok(output);
                }
                Some(_) => {}
            }
        }
        if output.stdout.len() + output.stderr.len() > MOST_OUTPUT {
            return Err(AdbError::TooLong { task: task.to_owned(), limit: MOST_OUTPUT });
        }
    }
}
