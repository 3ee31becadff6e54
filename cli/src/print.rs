//! The only printing: data on stdout, everything for people on stderr.

mod input;
mod progress;

pub(crate) use progress::Progress;

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use handsight_model::CancelFlag;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::settings::Environment;

/// How often a spinner turns, and how soon an interrupt is noticed while a question is open.
const TICK: Duration = Duration::from_millis(80);

/// Prints, in the way the user asked for.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    json: bool,
    color: bool,
}

/// A weight or colour of text on a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Bold,
    Dim,
    Green,
    Red,
    Yellow,
    Cyan,
}

impl Printer {
    /// Makes a printer.
    pub(crate) fn new(json: bool, environment: &Environment) -> Self {
        Self { json, color: environment.color }
    }

    /// Returns whether data is to be JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Prints the result of a command: `value` with `--json`, else `text`.
    pub(crate) fn result(&self, value: &impl Serialize, text: &str) -> Result<(), Failure> {
        if !self.json {
            return if text.is_empty() {
                Ok(())
            } else {
                self.bytes(format!("{text}\n").as_bytes())
            };
        }
        let mut line =
            serde_json::to_vec(value).map_err(|err| Failure::new(Exit::NotAchieved, err))?;
        line.push(b'\n');
        self.bytes(&line)
    }

    /// Writes bytes to stdout.
    #[expect(clippy::unused_self, reason = "a printer is what allows printing")]
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            // Whoever reads this has read enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                let error = anyhow::Error::new(error).context("could not write to stdout");
                Err(Failure::new(Exit::NotAchieved, error))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Tells people something on a line of its own.
    #[expect(clippy::unused_self, reason = "a printer is what allows printing")]
    pub(crate) fn note(&self, text: &str) {
        // There is nowhere left to report that stderr cannot be written to.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Prints why a command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        let messages = failure.messages();
        if self.json {
            let error = json!({
                "message": messages.first(),
                "causes": messages.get(1..).unwrap_or_default(),
                "hint": failure.hint,
                "exit_code": failure.exit.code(),
            });
            // A failure of printing the failure has nowhere to go.
            let _ = self.result(&json!({ "error": error }), "");
            return;
        }
        let mut lines = messages.iter();
        if let Some(message) = lines.next() {
            self.note(&format!("{} {message}", self.paint(Style::Red, "error:")));
        }
        for cause in lines {
            self.note(&format!("  caused by: {cause}"));
        }
        if let Some(hint) = &failure.hint {
            self.note(&format!("{} {hint}", self.paint(Style::Cyan, "hint:")));
        }
    }

    /// Prints help, or what is wrong with the arguments.
    pub(crate) fn usage(&self, error: &clap::Error) {
        if !self.json {
            // As above.
            let _ = error.print();
            return;
        }
        let text = error.to_string();
        let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
        let message = lines.collect::<Vec<_>>().join(" ");
        self.failure(
            &Failure::bad_input(message.trim_start_matches("error: ").to_owned())
                .with_hint("`handsight --help` lists the commands and their options"),
        );
    }

    /// Returns text in a style, if this is a terminal that shows it.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => 1,
            Style::Dim => 2,
            Style::Red => 31,
            Style::Green => 32,
            Style::Yellow => 33,
            Style::Cyan => 36,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Shows that something is going on until the spinner is dropped. Only a terminal sees it.
    #[expect(clippy::unused_self, reason = "a printer is what allows printing")]
    pub(crate) fn spinner(&self, message: &str) -> Spinner {
        let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}");
        let bar = ProgressBar::new_spinner()
            .with_style(style.expect("the template is well-formed"))
            .with_message(message.to_owned());
        bar.enable_steady_tick(TICK);
        Spinner(bar)
    }

    /// Shows how much of `total` bytes is done. Only a terminal sees it.
    #[expect(clippy::unused_self, reason = "a printer is what allows printing")]
    pub(crate) fn progress(&self, message: &str, total: u64) -> Progress {
        Progress::new(message, total)
    }

    /// Asks a question on the terminal; only `y` or `yes` agrees.
    ///
    /// An end of the input or an interrupt is a no.
    pub(crate) fn ask(&self, question: &str, cancel: &CancelFlag) -> bool {
        let question = format!("{} [y/N] ", self.paint(Style::Bold, question));
        let answer = input::line(|| prompt(&question), TICK, || cancel.is_cancelled());
        if answer.is_none() {
            self.note("");
        }
        answer.is_some_and(|line| matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a line on the terminal; `None` at the end of the input, and when it is given up.
    pub(crate) fn line(&self, question: &str, give_up: impl Fn() -> bool) -> Option<String> {
        let question = format!("{}: ", self.paint(Style::Bold, question));
        let answer = input::line(|| prompt(&question), TICK, give_up);
        if answer.is_none() {
            self.note("");
        }
        answer
    }
}

/// Writes what stands before an answer.
fn prompt(question: &str) {
    // There is nowhere left to report that stderr cannot be written to.
    let _ = write!(io::stderr().lock(), "{question}");
}

/// Something going on, as a terminal shows it.
#[derive(Debug)]
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    /// Says what is going on now.
    pub(crate) fn message(&self, message: impl Into<String>) {
        self.0.set_message(message.into());
    }

    /// Runs something that prints, with the spinner out of its way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
