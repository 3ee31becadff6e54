//! The windows of the demo: how to open one, what to do in it, and how to ask it what was done.

use std::time::{Duration, Instant};

use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;

use crate::args::DemoWindow;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::stage::{Page, Program, browser, on_display};

/// How long a window may take to close, or to send a form, after the last action.
const CLOSING: Duration = Duration::from_secs(3);

/// The page that is filled in.
const FORM: &str = include_str!("window/form.html");

/// What is said of a window that gave no outcome.
const NOTHING: &str = "no outcome: the window was not finished";

/// A window, a goal in it, and what it says itself once the goal is reached.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) goal: &'static str,
    /// What is claimed when the outcome is as expected.
    pub(super) claim: &'static str,
    /// The window's own words.
    pub(super) expected: &'static str,
    kind: DemoWindow,
}

/// Returns the case of a window.
pub(super) fn case(window: DemoWindow) -> &'static Case {
    match window {
        DemoWindow::Zenity => &ZENITY,
        DemoWindow::Chromium => &CHROMIUM,
    }
}

static ZENITY: Case = Case {
    name: "zenity",
    goal: "type \"Ada\" into \"First Name\", type \"Paris\" into \"City\", then click \"Save\"",
    claim: "the window printed \"Ada|Paris\" and exited with success",
    expected: "Ada|Paris",
    kind: DemoWindow::Zenity,
};

static CHROMIUM: Case = Case {
    name: "Chromium",
    goal: "type \"Ada\" into \"First Name\", type \"Paris\" into \"City\", check \"Newsletter\", \
           then click \"Save\"",
    claim: "the page sent \"first=Ada&city=Paris&newsletter=on\"",
    expected: "first=Ada&city=Paris&newsletter=on",
    kind: DemoWindow::Chromium,
};

impl Case {
    /// Opens the window.
    pub(super) fn open(&self, display: &str, interrupt: &Interrupt) -> Result<OpenWindow, Failure> {
        match self.kind {
            DemoWindow::Zenity => {
                let mut command = on_display("zenity", display);
                command.args(["--forms", "--title=Profile", "--text=New Member"]);
                command.args(["--add-entry=First Name", "--add-entry=City"]);
                command.args(["--ok-label=Save", "--cancel-label=Cancel"]);
                // As much of the screen as the windows cover that the embedded model knows.
                command.args(["--width=420", "--height=300"]);
                Ok(OpenWindow::Form(Program::start(&mut command, "zenity", interrupt)?))
            }
            DemoWindow::Chromium => {
                let page = Page::serve(FORM.to_owned())?;
                let browser = browser(&page, display, interrupt)?;
                Ok(OpenWindow::Page { _browser: browser, page })
            }
        }
    }
}

/// A window on the screen.
pub(super) enum OpenWindow {
    /// A dialog that prints its fields when it is closed with its button.
    Form(Program),
    /// A page whose form is sent to us, and the browser, which ends before its profile is removed.
    Page { _browser: Program, page: Page },
}

impl OpenWindow {
    /// Returns what the window itself says was done.
    pub(super) fn outcome(&mut self, cancel: &CancelFlag) -> String {
        let start = Instant::now();
        loop {
            if let Some(outcome) = self.outcome_now() {
                return outcome;
            }
            if start.elapsed() > CLOSING || !pause(Duration::from_millis(20), cancel) {
                return NOTHING.to_owned();
            }
        }
    }

    fn outcome_now(&mut self) -> Option<String> {
        match self {
            Self::Form(zenity) => {
                let status = zenity.status()?;
                let output = zenity.output();
                let output = output.trim_end_matches('\n');
                Some(match (status.success(), output) {
                    (true, output) => output.to_owned(),
                    (false, "") => format!("a window closed without its button ({status})"),
                    (false, output) => format!("{output} ({status})"),
                })
            }
            Self::Page { page, .. } => page.sent(),
        }
    }
}
