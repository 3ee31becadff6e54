//! Shows an episode on the terminal while it runs, and keeps its steps for the result.

use std::time::Duration;

use handsight_actions::{Action, PixelPoint, Verb};
use handsight_agent::{
    Decision, Episode, EpisodeEvent, EpisodeObserver, Outcome, StopReason, TraceError,
};
use serde_json::{Value, json};

use crate::print::{Printer, Spinner, Style};

/// Widths of the columns of a step.
const THOUGHT_WIDTH: usize = 26;
const ACTION_WIDTH: usize = 24;

/// Prints each step on a line; on a terminal the line under way is written as the model writes it.
pub(crate) struct Live<'a> {
    printer: &'a Printer,
    spinner: Option<Spinner>,
    /// The reply so far, for the line under way.
    text: String,
    /// How long the decision took.
    decided_in: Duration,
    /// The steps so far, as `--json` prints them.
    pub(crate) steps: Vec<Value>,
}

impl<'a> Live<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        let (text, decided_in) = (String::new(), Duration::ZERO);
        Self { printer, spinner: None, text, decided_in, steps: Vec::new() }
    }

    /// Prints a line above the one under way.
    fn line(&self, line: &str) {
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| self.printer.note(line)),
            None => self.printer.note(line),
        }
    }

    fn under_way(&mut self, step: u32) {
        let text = format!("step {step}  {}", self.text.lines().next().unwrap_or_default());
        match &self.spinner {
            Some(spinner) => spinner.message(text),
            None => self.spinner = Some(self.printer.spinner(&text)),
        }
    }

    /// Ends a step: prints its line and keeps it.
    fn finish_step(&mut self, step: u32, decision: &Decision, outcome: Option<&Outcome>) {
        let line = StepLine {
            step,
            thought: &decision.thought,
            action: &decision.action,
            decide_ms: millis(self.decided_in),
            probability: decision.probability,
            outcome,
        };
        self.printer.note(&line.text(|style, text| self.printer.paint(style, text)));
        self.steps.push(json!({
            "step": step,
            "thought": decision.thought,
            "action": decision.action,
            "probability": decision.probability,
            "decide_ms": millis(self.decided_in),
            "outcome": outcome,
        }));
    }
}

impl EpisodeObserver for Live<'_> {
    fn on_event(&mut self, event: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        match *event {
            EpisodeEvent::Started { goal, device, policy, .. } => {
                let goal = goal.replace('\n', " ");
                self.printer.note(&format!(
                    "{} {goal}\n{}",
                    self.printer.paint(Style::Bold, "goal"),
                    self.printer.paint(Style::Dim, &format!("on {} with {policy}", device.name)),
                ));
            }
            EpisodeEvent::StepStarted { step, .. } => {
                self.text.clear();
                self.under_way(step);
            }
            EpisodeEvent::Text { step, text } => {
                self.text += text;
                self.under_way(step);
            }
            EpisodeEvent::ReplyRefused { step, problem, .. } => {
                self.text.clear();
                let refused = self.printer.paint(Style::Yellow, "refused:");
                self.line(&format!("step {step}  {refused} {problem}"));
            }
            EpisodeEvent::Decided { step, decision, took } => {
                // The line is done with, and a question may follow.
                self.spinner = None;
                self.decided_in = took;
                if matches!(decision.action.verb(), Verb::Terminate | Verb::Answer) {
                    self.finish_step(step, decision, None);
                }
            }
            EpisodeEvent::Acted { step, decision, outcome, .. } => {
                self.finish_step(step, decision, Some(outcome));
                self.spinner = Some(self.printer.spinner("waiting for the screen to be still"));
            }
            EpisodeEvent::Stopped { .. } => self.spinner = None,
            _ => {}
        }
        Ok(())
    }
}

/// One step, to be printed.
pub(crate) struct StepLine<'a> {
    pub(crate) step: u32,
    pub(crate) thought: &'a str,
    pub(crate) action: &'a Action<PixelPoint>,
    pub(crate) decide_ms: u64,
    pub(crate) probability: Option<f64>,
    /// What became of the action; `None` for one that ends the episode.
    pub(crate) outcome: Option<&'a Outcome>,
}

impl StepLine<'_> {
    /// Returns the line, its parts styled by `paint`.
    pub(crate) fn text(&self, paint: impl Fn(Style, &str) -> String) -> String {
        let thought = self.thought.lines().next().unwrap_or_default();
        let action = self.action.to_string();
        let mut line = format!(
            "{}  {thought:THOUGHT_WIDTH$} {} {action:ACTION_WIDTH$} {:>5} ms",
            paint(Style::Bold, &format!("step {}", self.step)),
            paint(Style::Dim, "→"),
            self.decide_ms,
        );
        if let Some(probability) = self.probability {
            line += &paint(Style::Dim, &format!("  p {probability:.2}"));
        }
        match self.outcome {
            None | Some(Outcome::Performed) => {}
            Some(Outcome::DryRun) => line += "  (not performed)",
            Some(Outcome::Declined) => line += "  (declined)",
            Some(Outcome::TakenOver) => line += "  (done by the user)",
            Some(Outcome::Unanswered) => line += "  (nobody is there)",
            Some(Outcome::Answered(said)) => {
                line += "  answered: ";
                line += said;
            }
            Some(outcome @ (Outcome::Failed(problem) | Outcome::Refused(problem))) => {
                let is_refused = matches!(outcome, Outcome::Refused(_));
                line += "  ";
                line += &paint(Style::Red, if is_refused { "refused:" } else { "failed:" });
                line += " ";
                line += problem;
            }
        }
        line
    }
}

/// Returns how an episode ended, in a line for people.
pub(crate) fn verdict(episode: &Episode, printer: &Printer) -> String {
    let reason = episode.stop_reason;
    let (style, word) = match reason {
        StopReason::ClaimedSuccess => (Style::Green, "done:"),
        _ => (Style::Red, "not done:"),
    };
    let steps = match episode.steps {
        1 => "1 step".to_owned(),
        steps => format!("{steps} steps"),
    };
    format!(
        "{} {} after {steps} in {:.1} s",
        printer.paint(style, word),
        reason.describe(),
        episode.elapsed.as_secs_f64()
    )
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_fits_on_a_line() {
        let action = Action::LeftClick { coordinate: PixelPoint { x: 212, y: 96 } };
        let line = |outcome: Option<&Outcome>| {
            let thought = "click \"First Name\"\nand more";
            let (decide_ms, probability) = (184, Some(0.974));
            let step =
                StepLine { step: 2, thought, action: &action, decide_ms, probability, outcome };
            step.text(|_, text| text.to_owned())
        };
        let performed =
            "step 2  click \"First Name\"         → left_click (212, 96)       184 ms  p 0.97";
        assert_eq!(line(Some(&Outcome::Performed)), performed);
        assert_eq!(line(None), performed);
        assert_eq!(line(Some(&Outcome::DryRun)), format!("{performed}  (not performed)"));
        let failed = Outcome::Failed("no such key".to_owned());
        assert_eq!(line(Some(&failed)), format!("{performed}  failed: no such key"));
    }
}
