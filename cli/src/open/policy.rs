//! The safety policy that holds: the file that was named, else the user's own, else none.

use std::path::PathBuf;

use handsight_actions::clipboard::Pasting;
use handsight_actions::guard::file::Mode;
use handsight_actions::{Approval, Device, Guard, Key, Question, SafetyPolicy, WatchOptions};

use crate::args::PolicyArgs;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::print::{Printer, Style};
use crate::settings::Environment;

/// Returns the file whose rules hold, if there is one.
pub(crate) fn file(args: &PolicyArgs, environment: &Environment) -> Option<PathBuf> {
    let own = || environment.config.as_ref().map(|folder| folder.join("policy.yaml"));
    // Anything of that name counts, readable or not: a policy that cannot be read is no licence.
    args.file.clone().or_else(|| own().filter(|path| fs_err::symlink_metadata(path).is_ok()))
}

/// Reads the rules that hold.
pub(crate) fn read(args: &PolicyArgs, environment: &Environment) -> Result<SafetyPolicy, Failure> {
    let mut policy = match file(args, environment) {
        Some(path) => SafetyPolicy::open(&path)?,
        None => SafetyPolicy::default(),
    };
    if args.no_paste {
        policy.paste = Pasting::Never;
    }
    Ok(policy)
}

/// The keys that stop a run unless the rules name others.
pub(crate) const STOP_CHORD: &str = "ctrl+alt+shift+escape";

/// Returns how the user is watched under these rules.
pub(crate) fn watch(policy: &SafetyPolicy) -> WatchOptions {
    let chord = match &policy.stop.chord {
        Some(chord) => chord.keys().to_vec(),
        None => Key::parse_chord(STOP_CHORD).expect("these are keys"),
    };
    WatchOptions { chord: Some(chord), user_input: policy.stop.user_input }
}

/// Puts a device behind the rules; what they ask about is asked on the terminal.
pub(crate) fn guard(
    device: Box<dyn Device>,
    policy: SafetyPolicy,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Guard {
    if policy.mode == Mode::Observe {
        printer.note("the safety policy only lets the screen be looked at");
    }
    let (printer, cancel) = (printer.clone(), interrupt.cancel.clone());
    Guard::new(device, policy).heeding(interrupt.halt.clone()).asking(
        move |question: &Question<'_>| {
            if let Some(thought) = question.thought.filter(|thought| !thought.is_empty()) {
                printer.note(&printer.paint(Style::Dim, &format!("it is meant to: {thought}")));
            }
            let asked = format!("perform {}? ({})", question.action, question.reason);
            if printer.ask(&asked, &cancel) { Approval::Yes } else { Approval::No }
        },
    )
}
