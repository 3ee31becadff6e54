//! Asking a policy again on the screens of a trace: what it would do differently.
//!
//! Each step is asked on its own, with the history that the trace has, so that one early difference does
//! not make everything after it differ. No device is needed: it is a test of a model, a prompt or a
//! quantisation against what was once done.

use std::time::Duration;

use handsight_actions::{Action, ActionSpace, Observation, PixelPoint, Screenshot};
use handsight_model::CancelFlag;
use serde::Serialize;

use crate::history::{StepSummary, forget_screenshots};
use crate::policy::{Policy, PolicyError, Turn};
use crate::trace::event::{Decided, Outcome};
use crate::trace::{Trace, TraceError, TracedStep};

/// How a trace is asked about again.
#[derive(Clone, Copy, Debug)]
pub struct RedecideOptions {
    /// How far a point may be from where it was and still count as the same, in pixels.
    pub within: f64,
    /// How many earlier screenshots the policy may look back at.
    pub images_in_history: usize,
}

/// How two decisions differ.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// They do not.
    None,
    /// The same verb at another place.
    Place,
    /// The same verb with other words, keys or numbers.
    Arguments,
    /// Another verb.
    Verb,
    /// There is no usable action now.
    NoAction,
}

impl Difference {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Place => "place",
            Self::Arguments => "arguments",
            Self::Verb => "verb",
            Self::NoAction => "no_action",
        }
    }
}

/// What a policy decides now on one step of a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Redecision {
    /// The step's number, from 1.
    pub step: u32,
    /// What was done then.
    pub then: Action<PixelPoint>,
    /// What would be done now, if anything.
    pub now: Option<Action<PixelPoint>>,
    /// Why, in the policy's own words.
    pub thought: String,
    /// Why there is no usable action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How the two differ.
    pub difference: Difference,
    /// How far their points are apart, in pixels of the screenshot; the further pair of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// How long the decision took.
    #[serde(serialize_with = "milliseconds")]
    pub decide_ms: Duration,
}

fn milliseconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Why a trace could not be asked about again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedecideError {
    /// The trace or a picture of it cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The policy cannot decide at all.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// There is nothing to compare with.
    #[error("the trace has no step with a decision whose screenshot is still there")]
    Nothing,
}

impl RedecideError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Trace(error) => error.hint(),
            Self::Policy(error) => error.hint(),
            Self::Nothing => Some("give the folder of an episode that took a step".to_owned()),
        }
    }
}

/// Asks a policy what it would do on each screen of a trace; `on_step` is told of each answer.
///
/// Steps without a decision or a screenshot are left out.
///
/// # Errors
///
/// [`RedecideError`]; a reply that cannot be used is an answer, not an error.
pub fn redecide(
    trace: &Trace,
    policy: &mut dyn Policy,
    options: &RedecideOptions,
    mut on_step: impl FnMut(&Redecision),
    cancel: &CancelFlag,
) -> Result<Vec<Redecision>, RedecideError> {
    let space = match trace.started.device.kind.as_str() {
        "android" => ActionSpace::android(),
        "fake" => ActionSpace::all(),
        _ => ActionSpace::desktop(),
    };
    let mut history: Vec<StepSummary> = Vec::new();
    let mut all = Vec::new();
    for step in &trace.steps {
        let Some(decided) = &step.decided else { continue };
        let Some(image) = trace.picture(&step.started.screenshot)? else { continue };
        let screenshot = Screenshot::now(image, trace.started.device.scale);
        let foreground_app = step.started.foreground_app.clone();
        let observation = Observation { screenshot, foreground_app };
        let turn = Turn {
            goal: &trace.started.goal,
            observation: &observation,
            history: &history,
            action_space: &space,
            feedback: None,
            said: step.started.said.as_deref(),
            attempt: 0,
        };
        let begun = std::time::Instant::now();
        let decision = policy.decide(&turn, &mut |_| {}, cancel);
        let answer = match decision {
            Ok(now) => Ok((now.action, now.thought)),
            Err(PolicyError::InvalidReply { problem, .. }) => Err(problem),
            Err(error) => return Err(error.into()),
        };
        let mut redecision = compare(decided, answer, options.within);
        redecision.decide_ms = begun.elapsed();
        on_step(&redecision);
        all.push(redecision);
        history.push(remembered(step, decided, observation));
        forget_screenshots(&mut history, options.images_in_history);
    }
    if all.is_empty() { Err(RedecideError::Nothing) } else { Ok(all) }
}

/// Returns a step of the trace as the policy was reminded of it then.
fn remembered(step: &TracedStep, decided: &Decided, observation: Observation) -> StepSummary {
    let error = match step.acted.as_ref().map(|acted| &acted.outcome) {
        Some(Outcome::Failed(error) | Outcome::Refused(error)) => Some(error.clone()),
        _ => None,
    };
    StepSummary {
        thought: decided.thought.clone(),
        action: decided.action.clone(),
        reply: decided.reply.clone(),
        screenshot: Some(observation.screenshot),
        error,
        said: step.started.said.clone(),
    }
}

fn compare(
    then: &Decided,
    now: Result<(Action<PixelPoint>, String), String>,
    within: f64,
) -> Redecision {
    let (now, thought, problem) = match now {
        Ok((action, thought)) => (Some(action), thought, None),
        Err(problem) => (None, String::new(), Some(problem)),
    };
    let distance = now.as_ref().and_then(|now| distance(&then.action, now));
    let difference = match &now {
        None => Difference::NoAction,
        Some(now) if now.verb() != then.action.verb() => Difference::Verb,
        Some(now) if without_places(now) != without_places(&then.action) => Difference::Arguments,
        Some(_) if distance.is_some_and(|distance| distance > within) => Difference::Place,
        Some(_) => Difference::None,
    };
    Redecision {
        step: then.step,
        then: then.action.clone(),
        now,
        thought,
        problem,
        difference,
        distance,
        decide_ms: Duration::ZERO,
    }
}

fn without_places(action: &Action<PixelPoint>) -> Action<PixelPoint> {
    action.clone().map_points(|_| PixelPoint { x: 0, y: 0 })
}

/// Returns how far the points of two actions are apart, if both have them.
fn distance(then: &Action<PixelPoint>, now: &Action<PixelPoint>) -> Option<f64> {
    let pairs = then.points().into_iter().zip(now.points());
    let apart = pairs.filter_map(|(then, now)| {
        let (then, now) = (then?, now?);
        Some(f64::from(then.x - now.x).hypot(f64::from(then.y - now.y)))
    });
    apart.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use handsight_actions::{FakeDevice, FakeScreen, Halt, Rect, Size, Status};

    use crate::policy::scripted::{ScriptedPolicy, ScriptedReply};
    use crate::{Controls, EpisodeOptions, SettleOptions, TraceRecorder, read_trace, run_episode};

    fn click(x: i32, y: i32) -> Action {
        Action::LeftClick { coordinate: PixelPoint { x, y } }
    }

    fn typed(text: &str) -> Action {
        Action::Type { text: text.to_owned() }
    }

    #[test]
    fn each_step_is_compared_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let field = Rect { x: 20, y: 20, width: 160, height: 24 };
        let form = FakeScreen::new("form").field("Name", field);
        let mut device = FakeDevice::new(Size { width: 320, height: 200 }, vec![form]);
        let success = Action::Terminate { status: Status::Success };
        let done = [click(40, 30), typed("Ada"), typed("Bo"), success.clone()];
        let mut recorder = TraceRecorder::create(dir.path()).unwrap();
        let cancel = CancelFlag::default();
        let mut controls = Controls {
            observer: &mut recorder,
            user: &mut (),
            cancel: &cancel,
            halt: &Halt::default(),
        };
        let options =
            EpisodeOptions { settle: SettleOptions::immediate(), ..EpisodeOptions::default() };
        let mut policy = ScriptedPolicy::actions(done);
        run_episode(&mut device, &mut policy, "goal", &options, &mut controls).unwrap();

        let trace = read_trace(dir.path()).unwrap();
        let act = |action: Action| ScriptedReply::Act { thought: String::new(), action };
        let mut told = 0;
        let mut ask = |replies: [ScriptedReply; 4], within: f64| {
            let mut policy = ScriptedPolicy::new(replies);
            let options = RedecideOptions { within, images_in_history: 0 };
            redecide(&trace, &mut policy, &options, |_| told += 1, &cancel).unwrap()
        };
        let invalid =
            ScriptedReply::Invalid { reply: "hm".to_owned(), problem: "no action".to_owned() };
        let others = || [act(click(43, 34)), act(typed("Eve")), invalid.clone(), act(click(1, 1))];
        let found = ask(others(), 4.0);
        let differences: Vec<_> = found.iter().map(|step| step.difference).collect();
        let expected =
            [Difference::Place, Difference::Arguments, Difference::NoAction, Difference::Verb];
        assert_eq!(differences, expected);
        assert_eq!((found[0].distance, found[1].distance), (Some(5.0), None));
        assert_eq!(found[2].problem.as_deref(), Some("no action"));
        assert_eq!(ask(others(), 5.0)[0].difference, Difference::None);
        assert_eq!(told, 8);
    }
}
