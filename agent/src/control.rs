//! How other commands reach a run that is under way: a socket that stops, pauses and resumes it.
//!
//! Each process has one, named by its number, in a folder only its user may enter. A command is one
//! word on a line, after which may stand what the user wants to say to the model; the answer is a word, too:
//! what the run does now.

use std::io::{self, BufRead, BufReader, Read, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use handsight_actions::{Halt, HaltCause, HaltState};
#[cfg(windows)]
use uds_windows::{UnixListener, UnixStream};

/// How long a run may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest line, in bytes.
const MAX_LINE: u64 = 16 << 10;

/// What another command wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ControlCommand {
    /// The run ends; nothing more is sent.
    Stop,
    /// Nothing is sent until it is resumed.
    Pause,
    /// It goes on, if it was paused.
    Resume,
}

impl ControlCommand {
    /// Returns the word it is sent as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Stop, Self::Pause, Self::Resume].into_iter().find(|known| known.as_str() == word)
    }
}

/// Why runs cannot be reached, or this one not be made reachable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The folder or the socket in it cannot be made.
    #[error("could not open the control socket `{}`", .path.display())]
    Listen {
        /// The socket or the folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Others may enter the folder.
    #[error("`{}` can be entered by other users (mode {mode:o})", .path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The folder cannot be read.
    #[error("could not look for runs under way")]
    Read {
        /// What the operating system said; it names the folder.
        #[source]
        source: io::Error,
    },
}

/// The socket of this process; removed when dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
}

impl ControlSocket {
    /// Listens in `dir` for what is to become of `halt`.
    ///
    /// # Errors
    ///
    /// [`ControlError::Listen`] and [`ControlError::Open`].
    pub fn listen(dir: &Path, halt: &Halt) -> Result<Self, ControlError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| ControlError::Listen { path, source }
        };
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        builder.mode(0o700);
        builder.recursive(true).create(dir).map_err(fail(dir))?;
        // On Windows it is in a folder of the user's, and is as closed to others as that is.
        #[cfg(unix)]
        {
            let mode = fs_err::metadata(dir).map_err(fail(dir))?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(ControlError::Open { path: dir.to_owned(), mode });
            }
        }
        let path = dir.join(format!("{}.sock", std::process::id()));
        // A process of the same number that was killed may have left its own.
        let _ = fs_err::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(fail(&path))?;
        let halt = halt.clone();
        // It ends with the process: an accept cannot be interrupted, and costs nothing.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is its own business.
                let _ = serve(&stream, &halt);
            }
        });
        Ok(Self { path })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = fs_err::remove_file(&self.path);
    }
}

fn serve(mut stream: &UnixStream, halt: &Halt) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream).take(MAX_LINE).read_line(&mut line)?;
    let (word, said) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let command = ControlCommand::from_word(word);
    if command == Some(ControlCommand::Resume) {
        halt.say(said);
    }
    match command {
        Some(ControlCommand::Stop) => halt.stop(HaltCause::Command),
        Some(ControlCommand::Pause) => halt.pause(HaltCause::Command),
        Some(ControlCommand::Resume) => halt.resume(),
        None => return stream.write_all(b"unknown\n"),
    }
    let state = match halt.state() {
        HaltState::Going => "going",
        HaltState::Paused(_) => "paused",
        HaltState::Stopped(_) => "stopped",
    };
    stream.write_all(format!("{state}\n").as_bytes())
}

/// A run that was reached, and what it answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answered {
    /// The process.
    pub pid: u32,
    /// What it does now: `going`, `paused`, `stopped`, or why it did not say.
    pub state: String,
}

/// Sends a command to every run in `dir`, or to the one of this number; `said` is for the model, when a
/// run is resumed.
///
/// Sockets that nobody listens to any more are removed.
///
/// # Errors
///
/// [`ControlError::Read`] if the folder cannot be read; a folder that is not there has no runs.
pub fn send(
    dir: &Path,
    pid: Option<u32>,
    command: ControlCommand,
    said: Option<&str>,
) -> Result<Vec<Answered>, ControlError> {
    let entries = match fs_err::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ControlError::Read { source }),
    };
    let mut answered = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let is_socket = path.extension().is_some_and(|extension| extension == "sock");
        let Some(number) = number.filter(|_| is_socket) else { continue };
        if pid.is_some_and(|pid| pid != number) {
            continue;
        }
        match ask(&path, command, said) {
            Ok(state) => answered.push(Answered { pid: number, state }),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let _ = fs_err::remove_file(&path);
            }
            Err(error) => answered.push(Answered { pid: number, state: error.to_string() }),
        }
    }
    answered.sort_by_key(|answered| answered.pid);
    Ok(answered)
}

fn ask(path: &Path, command: ControlCommand, said: Option<&str>) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // One line it is, whatever was said.
    let said =
        said.map_or_else(String::new, |said| format!(" {}", said.replace(['\n', '\r'], " ")));
    stream.write_all(format!("{}{said}\n", command.as_str()).as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).take(MAX_LINE).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_reached_by_its_number_and_dead_ones_are_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("run");
        assert_eq!(send(&dir, None, ControlCommand::Stop, None).unwrap(), []);
        let halt = Halt::default();
        let socket = ControlSocket::listen(&dir, &halt).unwrap();
        let pid = std::process::id();
        drop(UnixListener::bind(dir.join("1.sock")).unwrap());
        let told = |command| {
            let answered = send(&dir, None, command, Some("both\nlines")).unwrap();
            assert_eq!(answered.iter().map(|answered| answered.pid).collect::<Vec<_>>(), [pid]);
            answered[0].state.clone()
        };
        assert_eq!(told(ControlCommand::Pause), "paused");
        assert_eq!(halt.state(), HaltState::Paused(HaltCause::Command));
        assert_eq!(halt.take_said(), None);
        assert_eq!(told(ControlCommand::Resume), "going");
        assert_eq!(halt.take_said().as_deref(), Some("both lines"));
        assert_eq!(send(&dir, Some(pid + 1), ControlCommand::Stop, None).unwrap(), []);
        assert_eq!(told(ControlCommand::Stop), "stopped");
        assert_eq!(told(ControlCommand::Resume), "stopped");
        assert!(!dir.join("1.sock").exists());
        drop(socket);
        assert_eq!(send(&dir, None, ControlCommand::Stop, None).unwrap(), []);
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = ControlSocket::listen(dir.path(), &Halt::default()).unwrap_err();
        assert!(matches!(error, ControlError::Open { mode: 0o755, .. }), "{error}");
    }

    #[test]
    fn nonsense_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("run");
        let halt = Halt::default();
        let _socket = ControlSocket::listen(&dir, &halt).unwrap();
        let path = dir.join(format!("{}.sock", std::process::id()));
        for bytes in [b"stopp\n".to_vec(), vec![0xff; 100], vec![b'x'; 100_000]] {
            let mut stream = UnixStream::connect(&path).unwrap();
            // It may hang up before all was sent.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
        }
        assert_eq!(halt.state(), HaltState::Going);
    }
}
