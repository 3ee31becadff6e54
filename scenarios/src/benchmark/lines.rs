//! Files of one JSON object a line: read with a bound on every line, each error with its place.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// The longest line, in bytes: longer than a screenshot of 5K in base64.
pub(super) const MAX_LINE: u64 = 64 << 20;

/// Why a line could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// A line is longer than any that this program writes.
    #[error("`{}`, line {line}: longer than {MAX_LINE} bytes", file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
        /// The line's number, from 1.
        line: usize,
    },
    /// A line is not what it should be.
    #[error("`{}`, line {line}: {problem}", file.display())]
    Bad {
        /// The file.
        file: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// The lines of a file, numbered from 1.
pub(super) struct Lines<R> {
    file: PathBuf,
    reader: BufReader<R>,
    number: usize,
}

impl Lines<fs::File> {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self::new(path, fs::File::open(path)?))
    }
}

impl<R: Read> Lines<R> {
    pub(super) fn new(path: &Path, reader: R) -> Self {
        Self { file: path.to_owned(), reader: BufReader::new(reader), number: 0 }
    }

    /// Makes the error of the line that was read last.
    pub(super) fn bad(&self, problem: &dyn std::fmt::Display) -> LineError {
        LineError::Bad { file: self.file.clone(), line: self.number, problem: problem.to_string() }
    }
}

impl<R: Read> Iterator for Lines<R> {
    /// The line without its end, and whether it had one: the last line of a file that a kill has torn
    /// has none.
    type Item = Result<(usize, Vec<u8>, bool), LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        self.number += 1;
        match (&mut self.reader).take(MAX_LINE + 1).read_until(b'\n', &mut line) {
            Err(error) => Some(Err(error.into())),
            Ok(0) => None,
            Ok(_) if line.len() as u64 > MAX_LINE => {
                Some(Err(LineError::TooLong { file: self.file.clone(), line: self.number }))
            }
            Ok(_) => {
                let whole = line.pop_if(|last| *last == b'\n').is_some();
                Some(Ok((self.number, line, whole)))
            }
        }
    }
}
