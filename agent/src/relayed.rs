//! An episode whose device somebody else has, and who asks for one decision at a time: benchmarks that keep
//! their phones and desktops to themselves.
//!
//! It is the same loop on a thread of its own, on a [`RelayDevice`] behind the same safety policy, so that
//! what is measured is what [`run_episode`] does.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use handsight_actions::{Guard, Halt, RelayDevice, RelayOptions, SafetyPolicy, Seen, Verb};
use handsight_model::CancelFlag;

use crate::episode::{Controls, EpisodeEvent, EpisodeObserver, EpisodeOptions, check_goal};
use crate::error::{EpisodeError, with_source};
use crate::policy::{Decision, Policy};
use crate::run_episode;
use crate::trace::event::{Outcome, StopReason};
use crate::trace::{TraceError, TraceRecorder};

/// An episode on somebody else's device. Dropping it ends it.
pub struct RelayedEpisode {
    feed: Sender<Seen>,
    told: Receiver<Told>,
    cancel: CancelFlag,
    stop: Option<RelayedStop>,
}

/// What came of one screenshot.
#[derive(Clone, Debug, Default)]
pub struct RelayedStep {
    /// What was decided, unless the episode ended before that.
    pub decision: Option<Decision>,
    /// How long it took to decide, refused replies included.
    pub took: Duration,
    /// Replies that could not be used, and why.
    pub refused: Vec<(String, String)>,
    /// Why the action is not to be performed, if it is not: the safety policy forbids it.
    pub forbidden: Option<String>,
    /// How the episode ended, if it did.
    pub stop: Option<RelayedStop>,
}

/// How an episode ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RelayedStop {
    /// Why.
    pub reason: StopReason,
    /// What failed, if something did.
    pub error: Option<String>,
    /// What can be done about it, if anything.
    pub hint: Option<String>,
    /// The answer, if the goal was a question.
    pub answer: Option<String>,
}

/// What the thread tells.
enum Told {
    Refused {
        reply: String,
        problem: String,
    },
    Decided {
        decision: Box<Decision>,
        took: Duration,
    },
    /// The action was handed out.
    HandedOut,
    /// The action became nothing, for this reason.
    NotDone(String),
    Stopped(RelayedStop),
}

impl RelayedEpisode {
    /// Begins an episode; it waits for the first screenshot.
    ///
    /// # Errors
    ///
    /// [`EpisodeError::EmptyGoal`] and [`EpisodeError::GoalTooLong`].
    pub fn begin(
        device: RelayOptions,
        safety: SafetyPolicy,
        policy: impl Policy + Send + 'static,
        goal: &str,
        options: EpisodeOptions,
        recorder: Option<TraceRecorder>,
    ) -> Result<Self, EpisodeError> {
        let goal = check_goal(goal)?.to_owned();
        let (tell, told) = channel();
        let handed_out = tell.clone();
        let (device, feed) = RelayDevice::new(device, move |_| {
            let _ = handed_out.send(Told::HandedOut);
        });
        let cancel = CancelFlag::default();
        let ended = cancel.clone();
        thread::spawn(move || {
            let (halt, mut policy, mut recorder) = (Halt::default(), policy, recorder);
            let mut device = Guard::new(Box::new(device), safety).heeding(halt.clone());
            let mut teller = Teller(tell.clone());
            let mut controls = Controls {
                observer: &mut (&mut recorder, &mut teller),
                user: &mut (),
                cancel: &ended,
                halt: &halt,
            };
            let run = run_episode(&mut device, &mut policy, &goal, &options, &mut controls);
            // Whoever asked may be gone.
            let _ = tell.send(Told::Stopped(match run {
                Ok(episode) => RelayedStop {
                    reason: episode.stop_reason,
                    error: episode.error.as_ref().map(|error| with_source(error)),
                    hint: episode.error.as_ref().and_then(EpisodeError::hint),
                    answer: episode.answer,
                },
                Err(error) => RelayedStop::failed(with_source(&error), error.hint()),
            }));
        });
        Ok(Self { feed, told, cancel, stop: None })
    }

    /// Takes the next screenshot, and returns what was decided on it; blocks until then.
    ///
    /// An episode that is over stays so, with the same end.
    pub fn step(&mut self, seen: Seen) -> RelayedStep {
        let mut step = RelayedStep { stop: self.stop.clone(), ..RelayedStep::default() };
        if step.stop.is_some() {
            return step;
        }
        // If nobody takes it, the reason is among what was told.
        let _ = self.feed.send(seen);
        loop {
            match self.told.recv() {
                Ok(Told::Refused { reply, problem }) => step.refused.push((reply, problem)),
                Ok(Told::Decided { decision, took }) => {
                    let verb = decision.action.verb();
                    (step.decision, step.took) = (Some(*decision), took);
                    if verb == Verb::Wait {
                        return step;
                    }
                }
                Ok(Told::HandedOut) => return step,
                // Else it is about the action of the last step, which was handed out.
                Ok(Told::NotDone(why)) if step.decision.is_some() => {
                    step.forbidden = Some(why);
                    return step;
                }
                Ok(Told::NotDone(_)) => {}
                Ok(Told::Stopped(stop)) => return self.stopped(step, stop),
                Err(_) => {
                    let stop = RelayedStop::failed("the episode broke off".to_owned(), None);
                    return self.stopped(step, stop);
                }
            }
        }
    }

    fn stopped(&mut self, step: RelayedStep, stop: RelayedStop) -> RelayedStep {
        self.stop = Some(stop.clone());
        RelayedStep { stop: Some(stop), ..step }
    }

    /// Returns what ends the episode, also while it decides.
    pub fn cancel(&self) -> &CancelFlag {
        &self.cancel
    }

    /// Returns how it ended, if that is known.
    pub fn stop(&self) -> Option<&RelayedStop> {
        self.stop.as_ref()
    }
}

impl Drop for RelayedEpisode {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl RelayedStop {
    fn failed(error: String, hint: Option<String>) -> Self {
        Self { reason: StopReason::PolicyFailed, error: Some(error), hint, answer: None }
    }
}

/// Tells whoever asked for a step what becomes of it.
struct Teller(Sender<Told>);

impl EpisodeObserver for Teller {
    fn on_event(&mut self, event: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        let told = match *event {
            EpisodeEvent::ReplyRefused { reply, problem, .. } => {
                Told::Refused { reply: reply.to_owned(), problem: problem.to_owned() }
            }
            EpisodeEvent::Decided { decision, took, .. } => {
                Told::Decided { decision: Box::new(decision.clone()), took }
            }
            EpisodeEvent::Acted {
                outcome: Outcome::Refused(why) | Outcome::Failed(why), ..
            } => Told::NotDone(why.clone()),
            _ => return Ok(()),
        };
        // Whoever asked may be gone.
        let _ = self.0.send(told);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use handsight_actions::{
        Action, ActionSpace, DeviceKind, Observation, PixelPoint, Screenshot, Size, Status,
    };
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::policy::scripted::{ScriptedPolicy, ScriptedReply};
    use crate::settle::{SettleOptions, pause};

    /// A screenshot of its own.
    fn seen(shade: u8, problem: Option<&str>) -> Seen {
        let image = RgbImage::from_pixel(40, 60, Rgb([shade; 3]));
        let screenshot = Screenshot::now(image, 1.0);
        let observation = Observation { screenshot, foreground_app: None };
        Seen { observation, problem: problem.map(str::to_owned) }
    }

    fn begin(
        policy: ScriptedPolicy,
        max_steps: u32,
        safety: &str,
        recorder: Option<TraceRecorder>,
    ) -> RelayedEpisode {
        let device = RelayOptions {
            name: "a phone".to_owned(),
            kind: DeviceKind::Android,
            size: Size { width: 40, height: 60 },
            action_space: ActionSpace::android(),
            patience: Duration::from_secs(60),
        };
        let settle = SettleOptions::immediate();
        let options = EpisodeOptions { max_steps, settle, ..EpisodeOptions::default() };
        let safety = SafetyPolicy::parse(safety, "policy.yaml".as_ref()).unwrap();
        RelayedEpisode::begin(device, safety, policy, "do it", options, recorder).unwrap()
    }

    /// Rules that forbid nothing.
    const FREE: &str = "mode: unrestricted";

    fn click(x: i32) -> Action {
        Action::LeftClick { coordinate: PixelPoint { x, y: 1 } }
    }

    fn told(step: &RelayedStep) -> (String, Option<StopReason>) {
        let action = step.decision.as_ref().map(|decision| decision.action.to_string());
        (action.unwrap_or_default(), step.stop.as_ref().map(|stop| stop.reason))
    }

    #[test]
    fn each_screenshot_gets_its_decision_until_the_policy_is_done() {
        let policy = ScriptedPolicy::actions([
            click(1),
            Action::Wait { time: 0.0 },
            Action::Answer { text: "42".to_owned() },
        ]);
        let mut episode = begin(policy, 9, FREE, None);
        assert_eq!(told(&episode.step(seen(0, None))).0, "left_click (1, 1)");
        assert_eq!(told(&episode.step(seen(10, None))).0, "wait 0 s");
        let last = episode.step(seen(20, None));
        assert_eq!(told(&last), ("answer \"42\"".to_owned(), Some(StopReason::ClaimedSuccess)));
        assert_eq!(last.stop.unwrap().answer.as_deref(), Some("42"));
        // What is over stays over.
        assert_eq!(told(&episode.step(seen(30, None))).1, Some(StopReason::ClaimedSuccess));
    }

    #[test]
    fn what_is_refused_or_forbidden_is_told_and_never_handed_out() {
        let bad =
            ScriptedReply::Invalid { reply: "hm".to_owned(), problem: "no action".to_owned() };
        let act = |action: Action| ScriptedReply::Act { thought: String::new(), action };
        let policy = ScriptedPolicy::new([
            bad,
            act(Action::Swipe {
                coordinate: PixelPoint { x: 1, y: 1 },
                coordinate2: PixelPoint { x: 1, y: 50 },
            }),
            act(Action::Terminate { status: Status::Success }),
        ]);
        let rules = "{mode: unrestricted, deny: {regions: [[0, 0, 40, 10]]}}";
        let mut episode = begin(policy, 9, rules, None);
        let step = episode.step(seen(0, None));
        assert_eq!(step.refused, [("hm".to_owned(), "no action".to_owned())]);
        assert!(step.forbidden.as_ref().unwrap().contains("safety policy"), "{step:?}");
        assert_eq!(told(&episode.step(seen(1, None))).1, Some(StopReason::ClaimedSuccess));
    }

    #[test]
    fn a_policy_that_fails_and_a_budget_end_it_with_the_reason() {
        let mut episode = begin(ScriptedPolicy::actions([click(1)]), 9, FREE, None);
        episode.step(seen(0, None));
        let step = episode.step(seen(10, Some("offline")));
        assert_eq!(told(&step), (String::new(), Some(StopReason::PolicyFailed)));
        assert!(step.stop.unwrap().error.unwrap().contains("the script has only 1 replies"));

        let policy = ScriptedPolicy::actions([click(1), click(2)]);
        let mut episode = begin(policy, 1, FREE, None);
        episode.step(seen(0, None));
        assert_eq!(told(&episode.step(seen(10, None))).1, Some(StopReason::StepBudget));
    }

    #[test]
    fn a_failure_elsewhere_is_told_to_the_policy() {
        let dir = tempfile::tempdir().unwrap();
        let recorder = TraceRecorder::create(&dir.path().join("trace")).unwrap();
        let policy = ScriptedPolicy::actions([click(1), click(2)]);
        let mut episode = begin(policy, 9, FREE, Some(recorder));
        episode.step(seen(0, None));
        episode.step(seen(10, Some("offline")));
        // Whoever leaves has ended it; nothing failed.
        drop(episode);
        let ended = || {
            let trace = crate::trace::read_trace(&dir.path().join("trace")).unwrap();
            trace.stopped.as_ref().map(|stopped| stopped.stop_reason)
        };
        let beat = || pause(Duration::from_millis(10), &CancelFlag::default());
        for _ in (0..1000).take_while(|_| ended().is_none()) {
            beat();
        }
        assert_eq!(ended(), Some(StopReason::Interrupted));
        let trace = crate::trace::read_trace(&dir.path().join("trace")).unwrap();
        let acted = trace.steps[0].acted.as_ref().unwrap();
        let Outcome::Failed(why) = &acted.outcome else { panic!("{acted:?}") };
        assert!(why.ends_with("elsewhere: offline"), "{why}");
    }
}
