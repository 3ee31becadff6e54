//! Debian's own `adb`: a server of its own for each test, and its client.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::program::Program;
use crate::wait::{STARTING, wait_until};

/// A running ADB server with keys and a port of its own; it ends when this is dropped.
#[derive(Debug)]
pub struct AdbServer {
    port: u16,
    home: TempDir,
    server: Option<Program>,
}

impl AdbServer {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// Fails if `adb` is not installed or does not start.
    pub fn start() -> Result<Self> {
        let home = TempDir::new()?;
        let mut adb = Self { port: free_port()?, home, server: None };
        adb.restart()?;
        Ok(adb)
    }

    /// Starts the server once more, on the same port and with the same keys.
    ///
    /// # Errors
    ///
    /// Fails if it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let mut command = self.command(&["nodaemon", "server"]);
        self.server = Some(Program::start(command.stderr(Stdio::null()))?);
        wait_until("the ADB server did not start", STARTING, || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok())
        })
    }

    /// Ends the server.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Returns the server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder with the server's keys, in `.android`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns a command of the client.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("adb");
        command.args(["-P", &self.port.to_string()]).args(args);
        self.adopt(&mut command);
        command
    }

    /// Makes a program use this server.
    pub fn adopt(&self, command: &mut Command) {
        for name in ["ANDROID_SERIAL", "ADB_SERVER_SOCKET", "ADB_VENDOR_KEYS", "ADB_TRACE"] {
            command.env_remove(name);
        }
        command.env("HOME", self.home.path());
        command.env("ANDROID_ADB_SERVER_PORT", self.port.to_string());
    }

    /// Runs the client, and returns what it wrote and its exit code.
    ///
    /// # Errors
    ///
    /// Fails if it does not end.
    pub fn output(&self, args: &[&str]) -> Result<Output> {
        let mut program = Program::start(self.command(args).stderr(Stdio::piped()))?;
        // A screenshot is more than a pipe holds, so it is read while the client runs.
        let mut stdout = program.take_stdout().context("the client has a stdout")?;
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes)
        });
        let output = program.wait(STARTING).with_context(|| format!("adb {}", args.join(" ")))?;
        let stdout = reading.join().ok().context("the reader panicked")??;
        Ok(Output { stdout, ..output })
    }

    /// Runs the client, and returns what it wrote on stdout.
    ///
    /// # Errors
    ///
    /// Fails if its exit code is not 0.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let output = self.output(args)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "adb {}: {text}{error}", args.join(" "));
        Ok(text)
    }

    /// Connects to a phone on this machine and returns its serial number.
    ///
    /// # Errors
    ///
    /// Fails if the phone does not let the server in.
    pub fn connect(&self, address: std::net::SocketAddr) -> Result<String> {
        let serial = address.to_string();
        wait_until("the ADB server did not reach the phone", STARTING, || {
            self.run(&["connect", &serial])?;
            let state = self.output(&["-s", &serial, "get-state"])?;
            let is_there = state.stdout == b"device\n";
            if !is_there {
                // A server that is about to connect again by itself would have it both ways.
                let _ = self.output(&["disconnect", &serial])?;
            }
            Ok(is_there)
        })?;
        Ok(serial)
    }
}

/// Returns a port that nobody listens on.
///
/// # Errors
///
/// Fails if there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
