//! Where the lines come from: an editor on a terminal, or a pipe.

use std::io::{self, BufRead, Read};

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Behavior, CompletionType, Config, Context, Editor, Helper};

use crate::failure::{Exit, Failure};

/// The longest line, in bytes: more than a context holds.
const MAX_LINE: u64 = 1 << 20;

/// What came next.
pub(super) enum Next {
    Line(String),
    /// Ctrl-C, while nothing was under way.
    Interrupted,
    End,
}

pub(super) enum Lines {
    Terminal(Box<Editor<Paths, MemHistory>>),
    Pipe,
}

impl Lines {
    /// Opens stdin, as a terminal or as a pipe.
    pub(super) fn open(terminal: bool) -> Result<Self, Failure> {
        if !terminal {
            return Ok(Self::Pipe);
        }
        // What is typed goes to the terminal even where answers go to a file.
        let config = Config::builder()
            .behavior(Behavior::PreferTerm)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = Editor::with_history(config, MemHistory::new()).map_err(unusable)?;
        editor.set_helper(Some(Paths(FilenameCompleter::new())));
        Ok(Self::Terminal(Box::new(editor)))
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    pub(super) fn next(&mut self) -> Result<Next, Failure> {
        match self {
            Self::Pipe => next_of_pipe(&mut io::stdin().lock()),
            Self::Terminal(editor) => match editor.readline("> ") {
                Ok(line) => {
                    // One that cannot be remembered can still be answered.
                    let _ = editor.add_history_entry(&line);
                    Ok(Next::Line(line))
                }
                Err(ReadlineError::Interrupted) => Ok(Next::Interrupted),
                Err(ReadlineError::Eof) => Ok(Next::End),
                Err(error) => Err(unusable(error)),
            },
        }
    }
}

/// Returns what makes the terminal as it was: while a line is edited it is in a mode of its own, in
/// which no process may leave it.
#[cfg(unix)]
pub(super) fn restorer() -> impl FnMut() + Send + 'static {
    use nix::sys::termios::{SetArg, tcgetattr, tcsetattr};
    let before = tcgetattr(io::stdin()).ok();
    move || {
        if let Some(before) = &before {
            // The process ends next, whether this worked or not.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

#[cfg(not(unix))]
pub(super) fn restorer() -> impl FnMut() + Send + 'static {
    || {}
}

fn unusable(error: ReadlineError) -> Failure {
    let error = anyhow::Error::new(error).context("could not read from the terminal");
    Failure::new(Exit::Unavailable, error).with_hint("pipe the questions in, one a line")
}

fn next_of_pipe(stdin: &mut impl BufRead) -> Result<Next, Failure> {
    let mut bytes = Vec::new();
    let read = stdin.take(MAX_LINE + 1).read_until(b'\n', &mut bytes).map_err(|error| {
        let error = anyhow::Error::new(error).context("could not read from stdin");
        Failure::new(Exit::BadInput, error)
    })?;
    if read == 0 {
        return Ok(Next::End);
    }
    if bytes.len() as u64 > MAX_LINE {
        let message = format!("a line on stdin has more than {MAX_LINE} bytes");
        return Err(Failure::bad_input(message).with_hint("ask one question a line"));
    }
    match String::from_utf8(bytes) {
        Ok(line) => Ok(Next::Line(line.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let message = format!("a line on stdin is not UTF-8 from its byte {at} on");
            Err(Failure::bad_input(message).with_hint("convert the questions to UTF-8"))
        }
    }
}

/// Completes the names of files.
pub(super) struct Paths(FilenameCompleter);

impl Completer for Paths {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        self.0.complete(line, at, context)
    }
}

impl Hinter for Paths {
    type Hint = String;
}

impl Highlighter for Paths {}
impl Validator for Paths {}
impl Helper for Paths {}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Vec<String> {
        let mut stdin = bytes;
        let mut lines = Vec::new();
        loop {
            match next_of_pipe(&mut stdin) {
                Ok(Next::Line(line)) => lines.push(line),
                Ok(_) => return lines,
                Err(failure) => {
                    lines.push(failure.messages()[0].clone());
                    return lines;
                }
            }
        }
    }

    #[test]
    fn a_pipe_is_read_line_by_line_within_bounds() {
        assert_eq!(told(b"one\r\n\ntwo"), ["one", "", "two"]);
        assert_eq!(told(b""), [""; 0]);
        assert_eq!(told(b"a\xffb\n"), ["a line on stdin is not UTF-8 from its byte 1 on"]);
        let long = vec![b'a'; (1 << 20) + 1];
        assert!(told(&long)[0].ends_with("has more than 1048576 bytes"));
    }
}
