//! The `handsight` binary, run as a user runs it.
//!
//! Cargo tells only an integration test where the binary is, so each of them passes that on:
//!
//! ```ignore
//! let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
//! insta::assert_snapshot!(handsight.snapshot(&["--version"]), @"…");
//! ```
//!
//! That binary is `cli/src/main.rs`, built once more by this package: Cargo builds a binary for
//! the tests of its own package only.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use tempfile::TempDir;

/// The binary, and an empty folder it runs in.
#[derive(Debug)]
pub struct Binary {
    path: &'static str,
    dir: TempDir,
}

impl Binary {
    /// Takes the binary at `path`.
    ///
    /// # Panics
    ///
    /// Panics if no folder for temporary files can be made.
    pub fn new(path: &'static str) -> Self {
        Self { path, dir: TempDir::new().expect("a folder for temporary files exists") }
    }

    /// Returns the folder the binary runs in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file beside the binary that only its owner can read, as secrets must be.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn write_private(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        // One that is there keeps the permissions it has.
        let _ = fs::remove_file(&path);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.expect("the folder can be written to");
        path
    }

    /// Returns a command of these arguments, without a display and with a plain environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.path);
        command.args(args).current_dir(self.dir.path());
        let unset = ["DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "NO_COLOR", "COLUMNS"];
        // What the user of this machine has pulled is not what the tests are about.
        let of_the_hub =
            ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE"];
        let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        for name in unset.into_iter().chain(of_the_hub).chain(proxies) {
            command.env_remove(name);
        }
        // Nor is the safety policy that the user has.
        command.env("XDG_CONFIG_HOME", self.dir.path().join("config"));
        command.env("XDG_RUNTIME_DIR", self.dir.path().join("runtime"));
        command.env("HF_HOME", self.dir.path().join("huggingface"));
        command
    }

    /// Runs these arguments and returns the exit code, stdout and stderr as one text.
    ///
    /// What differs from run to run or from machine to machine is replaced: the folder by `[DIR]`,
    /// times by `[MS]` and `[S]`.
    pub fn snapshot(&self, args: &[&str]) -> String {
        self.snapshot_of(&mut self.command(args))
    }

    /// As [`Binary::snapshot`], of a command that was made with [`Binary::command`].
    ///
    /// # Panics
    ///
    /// Panics if the binary cannot be started.
    pub fn snapshot_of(&self, command: &mut Command) -> String {
        let output = command.output().expect("the binary was built");
        self.text(&output)
    }

    fn text(&self, output: &Output) -> String {
        let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
        let mut text = format!("exit code: {code}\n");
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let written = String::from_utf8_lossy(bytes);
            if !written.is_empty() {
                text = format!("{text}--- {name} ---\n{}\n", written.trim_end());
            }
        }
        without_times(&text.replace(&self.dir.path().display().to_string(), "[DIR]"))
    }
}

/// Replaces the numbers before ` ms` and ` s` and after `_ms":`.
fn without_times(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for index in 1..words.len() {
            let unit = words[index].trim_end_matches([',', ';']);
            let name = match unit {
                "ms" => "[MS]",
                "s" => "[S]",
                _ => continue,
            };
            if words[index - 1].parse::<f64>().is_ok() {
                name.clone_into(&mut words[index - 1]);
            }
        }
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_are_replaced() {
        let text = "(12, 7)  p 0.97  on 640×480  31 ms\nafter 2 steps in 1.5 s\nit is s";
        let expected = "(12, 7)  p 0.97  on 640×480  [MS] ms\nafter 2 steps in [S] s\nit is s";
        assert_eq!(without_times(text), expected);
    }
}
