//! The shell of the fake phone: enough of `sh` for what programs send over ADB.
//!
//! Quotes, variables, `$?`, lists with `;`, `&&` and `||`, pipes and redirections work as in mksh, and a
//! command in the background ends before the next begins; anything else is a syntax error, never
//! something silently taken as text.

mod parse;

use std::collections::HashMap;

use self::parse::{Chain, Part, Redirect, Stage, Target, Word, parse};
use super::commands::{self, Output};
use super::device::Phone;

/// How many commands one line may run: a bound on what a client can ask for at once.
const MOST_COMMANDS: usize = 10_000;

/// A shell with its variables.
pub(super) struct Shell<'a> {
    phone: &'a Phone,
    variables: HashMap<String, String>,
    /// The exit code of the last command.
    last: u8,
    run: usize,
}

/// What a command line wrote, and how it ended.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    pub(super) code: u8,
    /// Whether the line said `exit`.
    pub(super) exited: bool,
}

impl<'a> Shell<'a> {
    pub(super) fn new(phone: &'a Phone) -> Self {
        Self { phone, variables: HashMap::new(), last: 0, run: 0 }
    }

    /// Runs a command line.
    pub(super) fn line(&mut self, line: &str) -> Done {
        let mut done = Done::default();
        match parse(line) {
            Ok(chains) => {
                for chain in &chains {
                    let goes_on = match chain.after {
                        Chain::ALWAYS => true,
                        wanted => (self.last == 0) == wanted.is_success(),
                    };
                    if goes_on && self.pipeline(&chain.stages, &mut done) {
                        done.exited = true;
                        break;
                    }
                }
            }
            Err(problem) => {
                done.err = format!("/system/bin/sh: syntax error: {problem}\n").into_bytes();
                self.last = 1;
            }
        }
        done.code = self.last;
        done
    }

    /// Runs commands whose output is the next one's input; returns whether the shell is to end.
    fn pipeline(&mut self, stages: &[Stage], done: &mut Done) -> bool {
        let mut input = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            let is_last = index + 1 == stages.len();
            self.run += 1;
            if self.run > MOST_COMMANDS {
                done.err.extend_from_slice(b"/system/bin/sh: too many commands\n");
                self.last = 126;
                return true;
            }
            let words: Vec<String> =
                stage.words.iter().filter_map(|word| self.expand(word)).collect();
            for (name, value) in &stage.assignments {
                let value = self.expand(value).unwrap_or_default();
                self.variables.insert(name.clone(), value);
            }
            if let Some(exit) = self.exit(&words) {
                self.last = exit;
                return true;
            }
            let output = self.command(&words, &stage.redirects, input);
            self.last = output.code;
            done.err.extend_from_slice(&output.err);
            input = output.out;
            if is_last {
                done.out.append(&mut input);
            }
        }
        false
    }

    /// Returns the code of `exit`, if that is the command.
    fn exit(&self, words: &[String]) -> Option<u8> {
        match words {
            [exit] if exit == "exit" => Some(self.last),
            [exit, code] if exit == "exit" => {
                // As in every shell, only the lowest byte counts.
                Some(code.parse::<i64>().map_or(2, |code| code.to_le_bytes()[0]))
            }
            _ => None,
        }
    }

    fn command(&mut self, words: &[String], redirects: &[Redirect], input: Vec<u8>) -> Output {
        let words = match words {
            [exec, rest @ ..] if exec == "exec" && !rest.is_empty() => rest,
            words => words,
        };
        let mut input = input;
        for redirect in redirects {
            if let Target::Input(path) = &redirect.target {
                let path = self.expand(path).unwrap_or_default();
                match self.phone.read_file(&path) {
                    Ok(data) => input = data,
                    Err(problem) => return Output::error(1, &format!("sh: {path}: {problem}")),
                }
            }
        }
        let output = match words {
            [] => Output::default(),
            [export, assignments @ ..] if export == "export" => {
                for assignment in assignments {
                    if let Some((name, value)) = assignment.split_once('=') {
                        self.variables.insert(name.to_owned(), value.to_owned());
                    }
                }
                Output::default()
            }
            words => commands::run(self.phone, words, &input),
        };
        self.redirect(output, redirects)
    }

    /// Sends what was written where the command line says.
    fn redirect(&mut self, output: Output, redirects: &[Redirect]) -> Output {
        // Where each of the two goes now: `None` is where it goes by itself.
        let mut ends: [End; 2] = [End::Own(0), End::Own(1)];
        for redirect in redirects {
            let end = match &redirect.target {
                Target::Input(_) => continue,
                Target::Same(other) => ends[*other].clone(),
                Target::File { path, append } => {
                    let path = self.expand(path).unwrap_or_default();
                    End::File { path, append: *append }
                }
            };
            ends[redirect.stream] = end;
        }
        let mut result = Output { code: output.code, ..Output::default() };
        for (bytes, end) in [output.out, output.err].into_iter().zip(ends) {
            match end {
                End::Own(0) => result.out.extend_from_slice(&bytes),
                End::Own(_) => result.err.extend_from_slice(&bytes),
                End::File { path, .. } if path == "/dev/null" => {}
                End::File { path, append } => {
                    if let Err(problem) = self.phone.write_file(&path, &bytes, append) {
                        let message = format!("/system/bin/sh: can't create {path}: {problem}\n");
                        result.err.extend_from_slice(message.as_bytes());
                        result.code = 1;
                    }
                }
            }
        }
        result
    }

    /// Returns the text of a word; nothing for an unquoted variable that is empty.
    fn expand(&self, word: &Word) -> Option<String> {
        let mut text = String::new();
        for part in &word.parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Variable(name) if name == "?" => text.push_str(&self.last.to_string()),
                Part::Variable(name) => {
                    text.push_str(self.variables.get(name).map_or("", String::as_str));
                }
            }
        }
        (word.quoted || !text.is_empty()).then_some(text)
    }
}

/// Where what a command writes ends up.
#[derive(Clone, Debug)]
enum End {
    Own(usize),
    File { path: String, append: bool },
}
