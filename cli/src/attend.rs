//! The person at the terminal: asked before actions and for help, and when they took over.

use handsight_actions::{Halt, HaltCause, HaltState};
use handsight_agent::{CancelFlag, Decision, Help, User, user};

use crate::print::{Printer, Style};

/// Whoever sits at the terminal, or at another one with `handsight resume`.
pub(crate) struct AtTerminal<'a> {
    pub(crate) printer: &'a Printer,
    pub(crate) cancel: &'a CancelFlag,
    /// Whether every action is asked about.
    pub(crate) confirms: bool,
    /// Whether a question reaches a person.
    pub(crate) interactive: bool,
    /// Whether a call for help waits for `handsight resume` where there is no terminal.
    pub(crate) waits: bool,
}

/// What a person wants who was asked how to go on.
enum Wish {
    /// They typed nothing.
    GoOn,
    /// They said something.
    Say(String),
    /// The run is to end.
    End,
    /// It went on or ended while they were asked, by a signal or a command.
    Overtaken,
}

impl AtTerminal<'_> {
    /// Asks how to go on while input is paused.
    fn wish(&self, question: &str, halt: &Halt, cancel: &CancelFlag) -> Wish {
        let is_over = || !matches!(halt.state(), HaltState::Paused(_));
        let answer = self.printer.line(question, || cancel.is_cancelled() || is_over());
        match answer.as_deref().map(str::trim) {
            None => Wish::Overtaken,
            Some("") => Wish::GoOn,
            Some("q" | "Q" | "quit") => Wish::End,
            Some(said) => Wish::Say(said.to_owned()),
        }
    }

    /// Asks how to go on, and does so; returns whether the run goes on.
    fn goes_on(&self, question: &str, halt: &Halt, cancel: &CancelFlag) -> bool {
        match self.wish(question, halt, cancel) {
            Wish::GoOn => true,
            Wish::Say(said) => {
                halt.say(&said);
                true
            }
            Wish::End => false,
            Wish::Overtaken => user::wait_out(halt, cancel),
        }
    }
}

/// What is said where only another terminal can answer.
const FROM_ELSEWHERE: &str = "`handsight resume` lets it go on (`--say TEXT` tells the model something), `handsight stop` ends it";

impl User for AtTerminal<'_> {
    fn confirm(&mut self, decision: &Decision) -> bool {
        !self.confirms || self.printer.ask(&format!("perform {}?", decision.action), self.cancel)
    }

    fn help(&mut self, question: &str, halt: &Halt, cancel: &CancelFlag) -> Help {
        // What a model wrote is not to move the cursor about.
        let question: String =
            question.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let asks = self.printer.paint(Style::Yellow, "the model asks for help:");
        self.printer.note(&format!("{asks} {}", question.trim()));
        if !self.interactive && !self.waits {
            return Help::Nobody;
        }
        halt.pause(HaltCause::CallUser);
        let help = |goes_on| if goes_on { Help::Given } else { Help::Refused };
        if !self.interactive {
            self.printer.note(FROM_ELSEWHERE);
            return help(user::wait_out(halt, cancel));
        }
        let how = "your answer; Enter alone if you do it yourself; q ends the run";
        match self.wish(how, halt, cancel) {
            Wish::GoOn => {
                let how = "the screen is yours; Enter gives it back, q ends the run";
                help(self.goes_on(how, halt, cancel))
            }
            Wish::Say(said) => {
                halt.say(&said);
                Help::Given
            }
            Wish::End => Help::Refused,
            Wish::Overtaken => help(user::wait_out(halt, cancel)),
        }
    }

    /// Why it paused was said when it did.
    fn paused(&mut self, _: HaltCause, halt: &Halt, cancel: &CancelFlag) -> bool {
        if !self.interactive {
            self.printer.note(FROM_ELSEWHERE);
            return user::wait_out(halt, cancel);
        }
        let how = "Enter lets it go on, q ends it; or say what the model is to know";
        self.goes_on(how, halt, cancel)
    }
}
