//! Shows a scenario on the terminal while it runs.

use handsight_scenarios::{FoundBy, RunObserver, Scenario, ScenarioResult, Status, StepResult};

use crate::print::{Printer, Spinner, Style};

/// Prints each step on a line once it has ended.
///
/// Where several devices run at once, each line begins with its device.
pub(super) struct Show<'a> {
    printer: &'a Printer,
    spinner: Option<Spinner>,
    device: Option<&'a str>,
}

impl<'a> Show<'a> {
    /// `run` is which run it is of how many.
    pub(super) fn new(
        printer: &'a Printer,
        scenario: &Scenario,
        device: Option<&'a str>,
        run: (u32, u32),
    ) -> Self {
        let show = Self { printer, spinner: None, device };
        let title = printer.paint(Style::Bold, &scenario.title);
        let file = printer.paint(Style::Dim, &scenario.path.display().to_string());
        let run = match run {
            (_, 1) => String::new(),
            (run, all) => format!("  run {run} of {all}"),
        };
        show.line(&format!("{title}  {file}{run}"));
        show
    }

    /// Shows a device that a scenario has beside its own, by the name that it has for it.
    pub(super) fn beside(printer: &'a Printer, name: &'a str) -> Self {
        Self { printer, spinner: None, device: Some(name) }
    }

    fn line(&self, text: &str) {
        match self.device {
            Some(device) => {
                let device = self.printer.paint(Style::Cyan, device);
                self.printer.note(&format!("{device}  {text}"));
            }
            None => self.printer.note(text),
        }
    }

    /// Prints how the scenario ended.
    pub(super) fn ended(&mut self, result: &ScenarioResult) {
        self.spinner = None;
        let (style, word) = (style(result.status), result.status.as_str());
        let word = self.printer.paint(style, word);
        if let Some(drawn) = result.drawn_line() {
            self.line(&format!("  {}", self.printer.paint(Style::Dim, &drawn)));
        }
        self.line(&format!("{word} in {:.1} s, {}", result.seconds, result.calls_line()));
    }
}

impl RunObserver for Show<'_> {
    fn step_started(&mut self, title: &str, _: usize) {
        if self.device.is_some() {
            return;
        }
        match &self.spinner {
            Some(spinner) => spinner.message(title.to_owned()),
            None => self.spinner = Some(self.printer.spinner(title)),
        }
    }

    fn step_ended(&mut self, result: &StepResult, depth: usize) {
        self.spinner = None;
        let mark = match result.status {
            Status::Passed => "✓",
            Status::Healed => "~",
            Status::Failed | Status::Flaky => "✗",
            Status::Stopped => "■",
            Status::Skipped => "-",
        };
        let found = result.found_by.iter().map(|found| match found {
            FoundBy::Anchor => "by anchor",
            FoundBy::Model => "by the model",
            FoundBy::Point => "by point",
        });
        let mut about: Vec<String> = found.map(str::to_owned).collect();
        about.dedup();
        about.push(format!("{:.2} s", result.seconds));
        let mark = self.printer.paint(style(result.status), mark);
        let about = self.printer.paint(Style::Dim, &about.join(", "));
        let indent = "  ".repeat(depth + 1);
        self.line(&format!("{indent}{mark} {}  {about}", result.title));
        for change in &result.changes {
            self.line(&format!("{indent}  {change}"));
        }
        if let Some(problem) = &result.problem {
            let place = format!("{}:{}", result.file.display(), result.line);
            let place = self.printer.paint(Style::Dim, &place);
            self.line(&format!("{indent}  {problem}  {place}"));
            if let Some(hint) = &result.hint {
                self.line(&format!("{indent}  hint: {hint}"));
            }
        }
    }
}

fn style(status: Status) -> Style {
    match status {
        Status::Passed => Style::Green,
        Status::Skipped => Style::Dim,
        Status::Healed | Status::Stopped => Style::Yellow,
        Status::Failed | Status::Flaky => Style::Red,
    }
}
