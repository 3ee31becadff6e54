//! Episodes on a fake device, told as one line each.

use std::time::Duration;

use handsight_actions::{
    Action, ActionSpace, Device, DeviceError, DeviceInfo, FakeDevice, FakeFault, FakeScreen, Guard,
    Halt, HaltCause, Observation, PixelPoint, Rect, Size, Status, Verb,
};
use handsight_model::CancelFlag;

use super::*;
use crate::policy::Decision;
use crate::policy::scripted::{ScriptedPolicy, ScriptedReply};
use crate::trace::TraceError;
use crate::user::Help;

const OK: Rect = Rect { x: 20, y: 60, width: 60, height: 24 };

fn device() -> FakeDevice {
    let form = FakeScreen::new("form")
        .field("Name", Rect { x: 20, y: 20, width: 160, height: 24 })
        .button("OK", OK, Some("done"));
    FakeDevice::new(Size { width: 320, height: 200 }, vec![form, FakeScreen::new("done")])
}

fn click(x: i32, y: i32) -> Action {
    Action::LeftClick { coordinate: PixelPoint { x, y } }
}

fn ok() -> Action {
    click(40, 70)
}

fn success() -> Action {
    Action::Terminate { status: Status::Success }
}

fn invalid(problem: &str) -> ScriptedReply {
    ScriptedReply::Invalid { reply: "hm".to_owned(), problem: problem.to_owned() }
}

fn act(action: Action) -> ScriptedReply {
    ScriptedReply::Act { thought: action.to_string(), action }
}

fn options() -> EpisodeOptions {
    EpisodeOptions { settle: SettleOptions::immediate(), ..EpisodeOptions::default() }
}

/// Says no to every right click.
struct NoRightClicks;

impl User for NoRightClicks {
    fn confirm(&mut self, decision: &Decision) -> bool {
        decision.action.verb() != Verb::RightClick
    }
}

/// Writes one word per event.
#[derive(Default)]
struct Story(Vec<String>);

impl EpisodeObserver for Story {
    fn on_event(&mut self, event: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        self.0.push(match event {
            EpisodeEvent::Started { .. } => "start".to_owned(),
            EpisodeEvent::StepStarted { step, .. } => format!("step {step}"),
            EpisodeEvent::Text { .. } => return Ok(()),
            EpisodeEvent::ReplyRefused { problem, .. } => format!("refused: {problem}"),
            EpisodeEvent::Decided { decision, .. } => decision.action.to_string(),
            EpisodeEvent::Acted { outcome, .. } => format!("{outcome:?}").to_lowercase(),
            EpisodeEvent::Stopped { episode, .. } => episode.stop_reason.as_str().to_owned(),
        });
        Ok(())
    }
}

/// Runs an episode and compares its story, from the first step on.
#[track_caller]
fn check(
    device: &mut dyn Device,
    replies: impl IntoIterator<Item = ScriptedReply>,
    options: &EpisodeOptions,
    expected: &[&str],
) -> Episode {
    let mut story = Story::default();
    let mut policy = ScriptedPolicy::new(replies);
    let mut controls = Controls {
        observer: &mut story,
        user: &mut NoRightClicks,
        halt: &Halt::default(),
        cancel: &CancelFlag::default(),
    };
    let episode = run_episode(device, &mut policy, "a goal", options, &mut controls).unwrap();
    assert_eq!(story.0[1..], *expected);
    episode
}

#[test]
fn acts_until_the_policy_claims_success() {
    let mut device = device();
    let story = ["step 1", "left_click (40, 70)", "performed", "step 2"];
    let end = ["terminate success", "claimed_success"];
    let episode =
        check(&mut device, [act(ok()), act(success())], &options(), &[&story[..], &end].concat());
    assert_eq!((episode.steps, device.screen()), (2, "done"));
}

#[test]
fn an_answer_ends_the_episode() {
    let answer = Action::Answer { text: "42".to_owned() };
    let story = ["step 1", "answer \"42\"", "claimed_success"];
    let episode = check(&mut device(), [act(answer)], &options(), &story);
    assert_eq!(episode.answer.as_deref(), Some("42"));
}

#[test]
fn budgets_end_the_episode() {
    let two_steps = EpisodeOptions { max_steps: 1, ..options() };
    let story = ["step 1", "left_click (40, 70)", "performed", "step_budget"];
    check(&mut device(), [act(ok()), act(ok())], &two_steps, &story);
    let no_time = EpisodeOptions { timeout: Duration::ZERO, ..options() };
    check(&mut device(), [act(ok())], &no_time, &["time_budget"]);
}

#[test]
fn an_unusable_reply_is_asked_again_and_then_given_up() {
    let good = [invalid("no action"), invalid("no number"), act(success())];
    let story = ["step 1", "refused: no action", "refused: no number"];
    let end = ["terminate success", "claimed_success"];
    check(&mut device(), good, &options(), &[&story[..], &end].concat());
    let bad = [invalid("no action"), invalid("no number"), invalid("no end"), act(ok())];
    let end = ["refused: no end", "invalid_replies"];
    check(&mut device(), bad, &options(), &[&story[..], &end].concat());
}

#[test]
fn an_action_off_the_screen_or_not_offered_is_never_performed() {
    let space = ActionSpace::desktop().without(Verb::Scroll);
    let mut device = device().with_action_space(space);
    let scroll = Action::Scroll {
        coordinate: None,
        direction: handsight_actions::Direction::Down,
        amount: 3,
    };
    check(
        &mut device,
        [act(click(320, 10)), act(scroll), act(success())],
        &options(),
        &[
            "step 1",
            "refused: `left_click` at (320, 10) lies outside the 320×200 px screen",
            "refused: this device has no `scroll`",
            "terminate success",
            "claimed_success",
        ],
    );
    assert_eq!(device.actions(), []);
}

#[test]
fn the_policy_learns_why_its_reply_was_refused() {
    let mut policy = ScriptedPolicy::new([invalid("no action"), act(success())]);
    let cancel = CancelFlag::default();
    let mut controls =
        Controls { observer: &mut (), user: &mut (), cancel: &cancel, halt: &Halt::default() };
    run_episode(&mut device(), &mut policy, "a goal", &options(), &mut controls).unwrap();
    assert_eq!(policy.feedback(), ["no action"]);
}

#[test]
fn repeating_what_changes_nothing_gets_one_more_chance() {
    let nowhere = act(click(300, 190));
    let repeated = format!("refused: {}", run::REPEATED);
    let first = ["step 1", "left_click (300, 190)", "performed", "step 2", &repeated];
    let stubborn = [nowhere.clone(), nowhere.clone(), nowhere.clone()];
    check(
        &mut device(),
        stubborn,
        &options(),
        &[&first[..], &[repeated.as_str(), "no_progress"]].concat(),
    );
    let sensible = [nowhere.clone(), nowhere, act(success())];
    let end = ["terminate success", "claimed_success"];
    check(&mut device(), sensible, &options(), &[&first[..], &end].concat());
}

#[test]
fn a_dry_run_performs_nothing() {
    let mut device = device();
    let dry = EpisodeOptions { dry_run: true, ..options() };
    let story = ["step 1", "left_click (40, 70)", "dryrun", "step 2"];
    let end = ["terminate success", "claimed_success"];
    check(&mut device, [act(ok()), act(success())], &dry, &[&story[..], &end].concat());
    assert_eq!((device.actions().len(), device.screen()), (0, "form"));
}

#[test]
fn a_declined_action_is_not_performed() {
    let mut device = device();
    let declined = Action::RightClick { coordinate: PixelPoint { x: 40, y: 70 } };
    let story = ["step 1", "right_click (40, 70)", "declined", "declined"];
    check(&mut device, [act(declined)], &options(), &story);
    assert_eq!(device.actions(), []);
}

#[test]
fn a_lost_device_ends_the_episode_with_its_error() {
    let mut device = device().with_fault(FakeFault::LostAtAction(0));
    let mut policy = ScriptedPolicy::actions([ok()]);
    let cancel = CancelFlag::default();
    let mut controls =
        Controls { observer: &mut (), user: &mut (), cancel: &cancel, halt: &Halt::default() };
    let episode =
        run_episode(&mut device, &mut policy, "a goal", &options(), &mut controls).unwrap();
    assert_eq!(episode.stop_reason, StopReason::DeviceLost);
    let lost = matches!(episode.error, Some(EpisodeError::Device(DeviceError::Lost { .. })));
    assert!(lost, "{:?}", episode.error);
}

#[test]
fn a_policy_that_fails_ends_the_episode_with_its_error() {
    let episode = check(&mut device(), [], &options(), &["step 1", "policy_failed"]);
    assert!(matches!(episode.error, Some(EpisodeError::Policy(_))));
}

/// A fake device that counts how often it was told to let go.
struct Counting {
    inner: FakeDevice,
    released: usize,
}

impl Device for Counting {
    fn info(&self) -> DeviceInfo {
        self.inner.info()
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        self.inner.observe()
    }

    fn perform(&mut self, action: &Action) -> Result<(), DeviceError> {
        self.inner.perform(action)
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        self.released += 1;
        self.inner.release_all()
    }
}

#[test]
fn whatever_ends_an_episode_the_device_lets_go() {
    let mut device = Counting { inner: device(), released: 0 };
    check(&mut device, [ScriptedReply::Cancel], &options(), &["step 1", "interrupted"]);
    check(&mut device, [], &options(), &["step 1", "policy_failed"]);
    assert_eq!(device.released, 2);
}

/// An observer whose disk is full from the given event on.
struct FullDisk(usize);

impl EpisodeObserver for FullDisk {
    fn on_event(&mut self, _: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        self.0 = self
            .0
            .checked_sub(1)
            .ok_or_else(|| TraceError::Write { source: std::io::ErrorKind::StorageFull.into() })?;
        Ok(())
    }
}

#[test]
fn nothing_is_performed_that_cannot_be_recorded() {
    for events in 0..4 {
        let mut device = Counting { inner: device(), released: 0 };
        let mut policy = ScriptedPolicy::actions([ok(), success()]);
        let mut controls = Controls {
            observer: &mut FullDisk(events),
            user: &mut (),
            cancel: &CancelFlag::default(),
            halt: &Halt::default(),
        };
        let error =
            run_episode(&mut device, &mut policy, "a goal", &options(), &mut controls).unwrap_err();
        assert!(matches!(error, EpisodeError::Record(_)), "{error:?}");
        assert!(error.hint().unwrap().contains("free some space"));
        assert_eq!((device.inner.actions().len(), device.released), (0, 1), "{events} events");
    }
}

#[test]
fn a_goal_must_be_a_sentence() {
    let goal = |text: &str| check_goal(text).map(str::to_owned).map_err(|err| err.to_string());
    assert_eq!(goal("  click \"OK\"\n"), Ok("click \"OK\"".to_owned()));
    assert_eq!(goal(" \n"), Err("the goal is empty".to_owned()));
    let long = "x".repeat(100_000);
    let message = "the goal has 100000 characters and at most 4000 are allowed";
    assert_eq!(goal(&long), Err(message.to_owned()));
}

/// Lets the device go on after so many pauses, and then no more.
struct Patient(u32);

impl User for Patient {
    fn paused(&mut self, cause: HaltCause, _: &Halt, _: &CancelFlag) -> bool {
        assert_eq!(cause, HaltCause::UserInput);
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

/// Takes the mouse while the policy decides.
struct Busy<'h>(ScriptedPolicy, &'h Halt);

impl Policy for Busy<'_> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn decide(
        &mut self,
        turn: &crate::policy::Turn<'_>,
        progress: &mut dyn FnMut(crate::policy::Progress<'_>),
        cancel: &CancelFlag,
    ) -> Result<Decision, crate::policy::PolicyError> {
        self.1.pause(HaltCause::UserInput);
        self.0.decide(turn, progress, cancel)
    }
}

#[test]
fn a_paused_device_is_waited_for_and_a_stale_action_is_not_done() {
    let halt = Halt::default();
    let policy = handsight_actions::SafetyPolicy::default();
    let mut guard = Guard::new(Box::new(device()), policy).heeding(halt.clone());
    let mut policy = Busy(ScriptedPolicy::actions([ok(), ok(), ok()]), &halt);
    let mut story = Story::default();
    let mut controls = Controls {
        observer: &mut story,
        user: &mut Patient(3),
        cancel: &CancelFlag::default(),
        halt: &halt,
    };
    let episode =
        run_episode(&mut guard, &mut policy, "a goal", &options(), &mut controls).unwrap();
    assert_eq!((episode.stop_reason, episode.steps), (StopReason::Interrupted, 3));
    let failed = story.0.iter().filter(|line| line.contains("told to stop")).count();
    assert_eq!(failed, 3, "{:?}", story.0);
    assert!(halt.is_set());
}

#[test]
fn a_stopped_device_ends_the_episode() {
    let halt = Halt::default();
    halt.stop(HaltCause::Chord);
    let mut policy = ScriptedPolicy::actions([ok()]);
    let mut controls =
        Controls { observer: &mut (), user: &mut (), cancel: &CancelFlag::default(), halt: &halt };
    let mut device = device();
    let episode =
        run_episode(&mut device, &mut policy, "a goal", &options(), &mut controls).unwrap();
    assert_eq!((episode.stop_reason, episode.steps), (StopReason::Interrupted, 0));
    assert_eq!(device.actions(), []);
}

/// A user who says this when asked for help.
struct Helper(Option<&'static str>);

impl User for Helper {
    fn help(&mut self, question: &str, halt: &Halt, _: &CancelFlag) -> Help {
        assert_eq!(question, "Which?");
        halt.pause(HaltCause::CallUser);
        halt.say(self.0.unwrap_or_default());
        Help::Given
    }
}

#[test]
fn a_call_for_help_is_answered_taken_over_or_in_vain() {
    let run = |user: &mut dyn User| {
        let mut story = Story::default();
        let call = Action::CallUser { text: "Which?".to_owned() };
        let mut policy = ScriptedPolicy::actions([call, ok(), success()]);
        let (cancel, halt) = (CancelFlag::default(), Halt::default());
        let mut controls = Controls { observer: &mut story, user, cancel: &cancel, halt: &halt };
        let mut device = device();
        run_episode(&mut device, &mut policy, "a goal", &options(), &mut controls).unwrap();
        assert!(!halt.is_set());
        story.0[2..5].join("; ")
    };
    let call = "call_user \"Which?\"";
    assert_eq!(run(&mut Helper(Some("this"))), format!("{call}; answered(\"this\"); step 2"));
    assert_eq!(run(&mut Helper(None)), format!("{call}; takenover; step 2"));
    assert_eq!(run(&mut ()), format!("{call}; unanswered; needs_user"));
}
