//! A scenario made of a recorded episode that came to a good end: it then runs without the model.

use std::path::Path;

use handsight_actions::{Action, DeviceKind, Key, PixelPoint};
use handsight_agent::trace::TracedStep;
use handsight_agent::trace::event::Decided;
use handsight_agent::{Outcome, StopReason, Trace, TraceError};
use image::RgbImage;

use crate::draft::{AtEnd, Draft, DraftError, DraftTarget, InFront};
use crate::scenario::Scenario;

/// Why an episode did not become a scenario.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FromTraceError {
    /// The episode did not end in success.
    #[error("the episode is no example to follow: {how}")]
    NoSuccess {
        /// How it ended.
        how: String,
    },
    /// Nothing was performed.
    #[error("the episode was a dry run, so nothing shows what its actions lead to")]
    DryRun,
    /// A person did a part of it.
    #[error("step {step} was done by the user, and the trace does not have what they did")]
    TakenOver {
        /// Which step.
        step: u32,
    },
    /// No step did anything.
    #[error("no step of the episode acted on the screen")]
    Nothing,
    /// A picture cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The scenario cannot be written.
    #[error(transparent)]
    Draft(#[from] DraftError),
}

impl FromTraceError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuccess { .. } | Self::DryRun | Self::Nothing => {
                Some("record an episode that reaches its goal with `run --trace`".to_owned())
            }
            Self::TakenOver { .. } => {
                Some("record what people do with `scenario record`".to_owned())
            }
            Self::Trace(error) => error.hint(),
            Self::Draft(error) => error.hint(),
        }
    }
}

/// Writes the scenario file of an episode, with anchors beside it made from its screenshots.
///
/// What was tried in vain is left out. That another application was in front at the end is checked, if that
/// is so; what else must be so is for a person to say, for an episode has only the policy's claim.
///
/// # Errors
///
/// [`FromTraceError`].
pub fn scenario_from_trace(trace: &Trace, path: &Path) -> Result<Scenario, FromTraceError> {
    check_success(trace)?;
    let mut draft = Draft::new(path, &trace.started.goal)?;
    let (device, time) = (&trace.started.device, trace.started.time.strftime("%Y-%m-%d"));
    draft.about(&format!("From an episode of {time} on {} ({}).", device.name, device.size));
    let in_front =
        |step: Option<&TracedStep>| step.and_then(|step| step.started.foreground_app.clone());
    let (first, last) = (in_front(trace.steps.first()), in_front(trace.steps.last()));
    if let Some(app) = &first {
        draft.about(&format!("It began with {app} in front."));
    }
    let mut steps = trace.steps.iter().peekable();
    while let Some(step) = steps.next() {
        let Some(decided) = performed(step, &mut draft)? else { continue };
        let screen = trace.picture(&step.started.screenshot)?;
        let then = steps.peek().and_then(|next| next.decided.as_ref());
        let is_done = |next: &&TracedStep| outcome(next) == Some(&Outcome::Performed);
        match (&decided.action, then.map(|then| &then.action)) {
            (Action::LeftClick { coordinate }, Some(Action::Type { text }))
                if steps.peek().is_some_and(is_done) =>
            {
                let into = target(&mut draft, decided, screen.as_ref(), *coordinate);
                draft.types(text, Some(into));
                steps.next();
            }
            _ => act(&mut draft, decided, screen.as_ref()),
        }
    }
    if draft.steps_count() == 0 {
        return Err(FromTraceError::Nothing);
    }
    let on_phone = trace.started.device.kind == DeviceKind::Android.to_string();
    if let Some(end) = AtEnd::of(first.map(InFront::App), last.map(InFront::App), on_phone) {
        draft.ends(&end);
    }
    Ok(draft.save()?)
}

fn check_success(trace: &Trace) -> Result<(), FromTraceError> {
    match &trace.stopped {
        Some(stopped) if stopped.stop_reason == StopReason::ClaimedSuccess => {}
        Some(stopped) => {
            let how = stopped.stop_reason.describe().to_owned();
            return Err(FromTraceError::NoSuccess { how });
        }
        None => {
            let how = "its recording stops in the middle".to_owned();
            return Err(FromTraceError::NoSuccess { how });
        }
    }
    if trace.started.dry_run { Err(FromTraceError::DryRun) } else { Ok(()) }
}

fn outcome(step: &TracedStep) -> Option<&Outcome> {
    step.acted.as_ref().map(|acted| &acted.outcome)
}

/// Returns what a step did, if it did something; what it did in vain is noted.
fn performed<'a>(
    step: &'a TracedStep,
    draft: &mut Draft,
) -> Result<Option<&'a Decided>, FromTraceError> {
    let Some(decided) = &step.decided else { return Ok(None) };
    match outcome(step) {
        Some(Outcome::Performed) => return Ok(Some(decided)),
        Some(Outcome::TakenOver) => {
            return Err(FromTraceError::TakenOver { step: step.started.step });
        }
        Some(Outcome::Failed(problem) | Outcome::Refused(problem)) => {
            draft.comment(&format!("Left out: {}, for {problem}.", decided.action));
        }
        Some(Outcome::Answered(_)) => {
            draft.comment("Here the user was asked, and answered.");
        }
        _ => {}
    }
    Ok(None)
}

fn act(draft: &mut Draft, decided: &Decided, screen: Option<&RgbImage>) {
    let on = |draft: &mut Draft, verb: &str, point: PixelPoint| {
        let target = target(draft, decided, screen, point);
        draft.on(verb, &target);
    };
    match &decided.action {
        Action::LeftClick { coordinate } => on(draft, "click", *coordinate),
        Action::RightClick { coordinate } => on(draft, "right_click", *coordinate),
        Action::MiddleClick { coordinate } => on(draft, "middle_click", *coordinate),
        Action::DoubleClick { coordinate } => on(draft, "double_click", *coordinate),
        Action::TripleClick { coordinate } => on(draft, "triple_click", *coordinate),
        Action::LongPress { coordinate, .. } => on(draft, "long_press", *coordinate),
        Action::MouseMove { coordinate } => on(draft, "hover", *coordinate),
        Action::Drag { coordinate, coordinate2 } | Action::Swipe { coordinate, coordinate2 } => {
            let words = words_of(decided);
            let from =
                draft.target(&format!("{words}, where it begins"), screen, *coordinate, None);
            let to = draft.target(&format!("{words}, where it ends"), screen, *coordinate2, None);
            draft.between(decided.action.verb().as_str(), from, to);
        }
        Action::Scroll { coordinate, direction, amount } => {
            draft.scrolls(direction.as_str(), *amount, *coordinate);
        }
        Action::Type { text } => draft.types(text, None),
        Action::Key { keys } => {
            draft.says("press", &Key::write_chord(keys));
        }
        Action::OpenApp { app } => draft.says("open", app),
        Action::SystemButton { button } => draft.says("button", button.as_str()),
        Action::Wait { time } => draft.waits(*time),
        Action::Answer { .. } | Action::CallUser { .. } | Action::Terminate { .. } => {}
    }
}

fn target(
    draft: &mut Draft,
    decided: &Decided,
    screen: Option<&RgbImage>,
    point: PixelPoint,
) -> DraftTarget {
    draft.target(&words_of(decided), screen, point, None)
}

/// Returns what a policy called what it acted on: the label it quotes, or else all of its thought.
fn words_of(decided: &Decided) -> String {
    let thought = decided.thought.lines().next().unwrap_or_default().trim();
    let quoted = thought.split_once('"').and_then(|(_, rest)| rest.split_once('"'));
    match quoted.map(|(label, _)| label.trim()) {
        Some(label) if !label.is_empty() => label.to_owned(),
        _ if thought.is_empty() => format!("what step {} acted on", decided.step),
        _ => thought.trim_end_matches('.').to_owned(),
    }
}
