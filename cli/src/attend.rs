//! The person at the terminal: asked before actions, and when they took over.

use handsight_actions::{Halt, HaltCause, HaltState};
use handsight_agent::{CancelFlag, Decision, User, user};

use crate::print::Printer;

/// Whoever sits at the terminal.
pub(crate) struct AtTerminal<'a> {
    printer: &'a Printer,
    cancel: &'a CancelFlag,
    /// Whether every action is asked about.
    confirms: bool,
    /// Whether a question reaches a person.
    interactive: bool,
}

impl<'a> AtTerminal<'a> {
    pub(crate) fn new(
        printer: &'a Printer,
        cancel: &'a CancelFlag,
        confirms: bool,
        interactive: bool,
    ) -> Self {
        Self { printer, cancel, confirms, interactive }
    }
}

impl User for AtTerminal<'_> {
    fn confirm(&mut self, decision: &Decision) -> bool {
        !self.confirms || self.printer.ask(&format!("perform {}?", decision.action), self.cancel)
    }

    /// Why it paused was said when it did.
    fn paused(&mut self, _: HaltCause, halt: &Halt, cancel: &CancelFlag) -> bool {
        if !self.interactive {
            self.printer.note("`handsight resume` lets it go on, `handsight stop` ends it");
            return user::wait_out(halt, cancel);
        }
        let question = "Enter lets it go on, q ends it";
        let is_over = || !matches!(halt.state(), HaltState::Paused(_));
        let answer = self.printer.line(question, || cancel.is_cancelled() || is_over());
        match answer {
            Some(line) => !matches!(line.trim().to_lowercase().as_str(), "q" | "quit" | "n" | "no"),
            None => user::wait_out(halt, cancel),
        }
    }
}
