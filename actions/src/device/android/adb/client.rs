//! Commands on one phone, through the ADB server.

use std::time::Duration;

use super::error::AdbError;
use super::host::{Server, request, short};
use super::link::{Link, Patience};
use super::shell_protocol::{Kind, Packets, write_packet};

/// The most that a command may write.
const MOST_OUTPUT: usize = 8 * 1024 * 1024;
/// The most that a screenshot may be: 8192 × 8192 pixels of four bytes would be twice this.
const MOST_BYTES: usize = 128 * 1024 * 1024;

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

/// One phone behind a server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    server: Server,
    serial: String,
    has_shell_v2: bool,
}

impl Client {
    /// Finds the phone, or the only one.
    pub(crate) fn find(server: Server, serial: Option<&str>) -> Result<Self, AdbError> {
        let serial = server.choose(serial)?.serial;
        Self::of(server, serial)
    }

    /// Takes a phone that is known to be there.
    pub(crate) fn of(server: Server, serial: String) -> Result<Self, AdbError> {
        let features = server.ask(&format!("host-serial:{serial}:features"))?;
        let has_shell_v2 = features.split(',').any(|feature| feature.trim() == "shell_v2");
        Ok(Self { server, serial, has_shell_v2 })
    }

    pub(crate) fn serial(&self) -> &str {
        &self.serial
    }

    /// Opens a service of the phone's daemon.
    fn open(&self, service: &str, patience: &Patience<'_>) -> Result<Link, Lapse> {
        let before = |error| Lapse { begun: false, error };
        let mut link = self.server.transport(&self.serial, patience).map_err(before)?;
        request(&mut link, service, patience).map_err(|error| Lapse {
            // Only a refusal says for sure that nothing was begun.
            begun: !matches!(error, AdbError::Refused { .. }),
            error,
        })?;
        Ok(link)
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
    pub(crate) fn look(&self, command: &str, most: Duration) -> Result<String, AdbError> {
        Ok(self.shell(command, &Patience::of(most))?.text())
    }
}

/// Reads the packets of a command until the one with its exit code.
fn collect(link: &mut Link, patience: &Patience<'_>, task: &str) -> Result<ShellOutput, AdbError> {
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
