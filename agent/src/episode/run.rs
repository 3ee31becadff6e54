//! The loop itself.

use std::time::{Duration, Instant};

use handsight_actions::secret::Redactor;
use handsight_actions::{
    Action, Device, DeviceError, DeviceInfo, HaltState, InvalidAction, Observation, Secrets,
    Status, Verb,
};

use super::repeat::RepeatDetector;
use super::{Controls, Episode, EpisodeEvent, EpisodeOptions};
use crate::error::{EpisodeError, with_source};
use crate::history::{StepSummary, forget_screenshots};
use crate::policy::{Decision, Policy, PolicyError, Progress, Turn};
use crate::settle::{SettleOptions, observe_still, pause};
use crate::trace::event::{Outcome, StopReason, Usage};
use crate::user::Help;

/// Runs an episode whose goal was checked.
pub(super) fn run(
    device: &mut dyn Device,
    policy: &mut dyn Policy,
    goal: &str,
    options: &EpisodeOptions,
    controls: &mut Controls<'_>,
) -> Result<Episode, EpisodeError> {
    let info = device.info();
    let secrets = device.secrets();
    let goal = &secrets.redact(goal);
    let name = policy.name();
    let mut running = Running {
        device,
        policy,
        goal,
        options,
        controls,
        start: Instant::now(),
        info,
        secrets,
        history: Vec::new(),
        said: None,
        repeats: RepeatDetector::default(),
        steps: 0,
        usage: Usage::default(),
    };
    let outcome = running.tell_started(&name).and_then(|()| running.steps());
    // Whatever happened, nothing stays pressed.
    let released = running.device.release_all();
    let mut stop = outcome?;
    if let (Err(error), None) = (released, &stop.error) {
        stop = Stop::device_lost(error);
    }
    running.finish(stop)
}

/// Why the loop ended.
struct Stop {
    reason: StopReason,
    error: Option<EpisodeError>,
    answer: Option<String>,
}

impl Stop {
    fn because(reason: StopReason) -> Self {
        Self { reason, error: None, answer: None }
    }

    fn device_lost(error: DeviceError) -> Self {
        let error = Some(EpisodeError::Device(error));
        Self { error, ..Self::because(StopReason::DeviceLost) }
    }
}

/// Either a value to go on with, or the end of the episode.
enum Flow<T> {
    Go(T),
    Stop(Stop),
}

/// The state of an episode.
struct Running<'a, 'c> {
    device: &'a mut dyn Device,
    policy: &'a mut dyn Policy,
    goal: &'a str,
    options: &'a EpisodeOptions,
    controls: &'a mut Controls<'c>,
    start: Instant,
    info: DeviceInfo,
    /// What must not stay in anything that is told, should a policy have read it from the screen.
    secrets: Secrets,
    history: Vec<StepSummary>,
    /// What the user said since the last step.
    said: Option<String>,
    repeats: RepeatDetector,
    steps: u32,
    usage: Usage,
}

impl Running<'_, '_> {
    /// Takes steps until one of them, or a budget, ends the episode.
    fn steps(&mut self) -> Result<Stop, EpisodeError> {
        loop {
            if let Some(stop) = self.out_of_budget() {
                return Ok(stop);
            }
            if let Flow::Stop(stop) = self.step()? {
                return Ok(stop);
            }
        }
    }

    /// Takes one step: observe, decide, act.
    fn step(&mut self) -> Result<Flow<()>, EpisodeError> {
        if !self.is_going() {
            return Ok(Flow::Stop(Stop::because(StopReason::Interrupted)));
        }
        let watched = observe_still(self.device, &self.options.settle, self.controls.cancel);
        let settled = match watched {
            Ok(settled) => settled,
            Err(error) => return Ok(Flow::Stop(Stop::device_lost(error))),
        };
        if self.controls.cancel.is_cancelled() {
            return Ok(Flow::Stop(Stop::because(StopReason::Interrupted)));
        }
        self.steps += 1;
        self.info.size = settled.observation.screenshot.size();
        self.said =
            self.controls.halt.take_said().map(|said| self.secrets.redact(&said).into_owned());
        let said = self.said.as_deref();
        let event = EpisodeEvent::StepStarted { step: self.steps, settled: &settled, said };
        self.controls.observer.on_event(&event)?;
        let observation = settled.observation;
        let decision = match self.decide(&observation)? {
            Flow::Go(decision) => decision,
            Flow::Stop(stop) => return Ok(Flow::Stop(stop)),
        };
        self.act(decision, observation)
    }

    /// Asks the policy until it gives an action that passes every check, or no more chances.
    fn decide(&mut self, observation: &Observation) -> Result<Flow<Decision>, EpisodeError> {
        let start = Instant::now();
        let mut feedback: Option<String> = None;
        let mut stuck = false;
        for attempt in 0..=self.options.max_reply_retries {
            let (reply, problem) = match self.ask(observation, feedback.as_deref(), attempt)? {
                Ok(decision) => {
                    let repeated = self.repeats.is_stuck(&observation.screenshot, &decision.action);
                    if repeated && stuck {
                        let stop = Stop::because(StopReason::NoProgress);
                        self.tell_refused(&decision.reply, REPEATED)?;
                        return Ok(Flow::Stop(stop));
                    }
                    stuck |= repeated;
                    match self.admit(&decision) {
                        Ok(()) if repeated => (decision.reply, REPEATED.to_owned()),
                        Ok(()) => return self.accept(decision, start.elapsed()).map(Flow::Go),
                        Err(problem) => (decision.reply, problem.to_string()),
                    }
                }
                Err(PolicyError::InvalidReply { reply, problem }) => (reply, problem),
                Err(PolicyError::Cancelled) => {
                    return Ok(Flow::Stop(Stop::because(StopReason::Interrupted)));
                }
                Err(error) => {
                    let mut stop = Stop::because(StopReason::PolicyFailed);
                    stop.error = Some(EpisodeError::Policy(error));
                    return Ok(Flow::Stop(stop));
                }
            };
            self.tell_refused(&reply, &problem)?;
            if let Some(stop) = self.out_of_time() {
                return Ok(Flow::Stop(stop));
            }
            feedback = Some(problem);
        }
        let reason = if stuck { StopReason::NoProgress } else { StopReason::InvalidReplies };
        Ok(Flow::Stop(Stop::because(reason)))
    }

    /// Asks the policy once. The outer error is the observer's, the inner one the policy's.
    fn ask(
        &mut self,
        observation: &Observation,
        feedback: Option<&str>,
        attempt: u32,
    ) -> Result<Result<Decision, PolicyError>, EpisodeError> {
        let turn = Turn {
            goal: self.goal,
            observation,
            history: &self.history,
            action_space: &self.info.action_space,
            feedback,
            said: self.said.as_deref(),
            attempt,
        };
        let (observer, step) = (&mut *self.controls.observer, self.steps);
        let mut redactor = Redactor::new(self.secrets.clone());
        let mut told = Ok(());
        let mut tell = |text: &str| {
            if told.is_ok() && !text.is_empty() {
                told = observer.on_event(&EpisodeEvent::Text { step, text });
            }
        };
        let mut progress = |Progress::Text(text): Progress<'_>| tell(&redactor.push(text));
        let decision = self.policy.decide(&turn, &mut progress, self.controls.cancel);
        tell(&redactor.finish());
        told?;
        Ok(match decision {
            Ok(decision) => Ok(decision.redacted(&self.secrets)),
            Err(PolicyError::InvalidReply { reply, problem }) => {
                let redact = |text: String| self.secrets.redact(&text).into_owned();
                Err(PolicyError::InvalidReply { reply: redact(reply), problem: redact(problem) })
            }
            Err(error) => Err(error),
        })
    }

    /// Checks an action against what the device offers and the screen it is meant for.
    fn admit(&mut self, decision: &Decision) -> Result<(), Refusal> {
        let verb = decision.action.verb();
        if verb.acts() && !self.info.action_space.contains(verb) {
            // The safety policy takes verbs away, too, and says so.
            if let Err(error @ DeviceError::Refused { .. }) = self.device.check(&decision.action) {
                return Err(Refusal::Forbidden(with_source(&error)));
            }
            return Err(Refusal::NotOffered(verb));
        }
        Ok(decision.action.validate(self.info.size)?)
    }

    /// Records an accepted decision.
    fn accept(&mut self, decision: Decision, took: Duration) -> Result<Decision, EpisodeError> {
        if let Some(usage) = &decision.usage {
            self.usage.add(usage);
        }
        self.tell(&EpisodeEvent::Decided { step: self.steps, decision: &decision, took })?;
        Ok(decision)
    }

    /// Does what was decided, unless it ends the episode or may not be done.
    fn act(
        &mut self,
        decision: Decision,
        observation: Observation,
    ) -> Result<Flow<()>, EpisodeError> {
        let mut stop = match &decision.action {
            Action::Terminate { status: Status::Success } => {
                return Ok(Flow::Stop(Stop::because(StopReason::ClaimedSuccess)));
            }
            Action::Terminate { status: Status::Failure } => {
                return Ok(Flow::Stop(Stop::because(StopReason::ClaimedFailure)));
            }
            Action::Answer { text } => {
                let stop = Stop::because(StopReason::ClaimedSuccess);
                return Ok(Flow::Stop(Stop { answer: Some(text.clone()), ..stop }));
            }
            _ => self.out_of_time(),
        };
        if let Some(stop) = stop {
            return Ok(Flow::Stop(stop));
        }
        if let Action::CallUser { text } = &decision.action
            && !self.options.dry_run
        {
            let question = if text.is_empty() { &decision.thought } else { text }.clone();
            return self.call_user(&question, decision, observation);
        }
        let begun = Instant::now();
        let outcome = match self.attempt(&decision) {
            Ok(outcome) => outcome,
            Err(error) => {
                let outcome = Outcome::Failed(error.to_string());
                stop = Some(Stop::device_lost(error));
                outcome
            }
        };
        let was_held = self.controls.halt.state() != HaltState::Going;
        if !self.is_going() {
            stop = Some(Stop::because(StopReason::Interrupted));
        } else if outcome == Outcome::Declined {
            // The user may have answered the question with Ctrl-C.
            let interrupted = self.controls.cancel.is_cancelled();
            let reason = if interrupted { StopReason::Interrupted } else { StopReason::Declined };
            stop = Some(Stop::because(reason));
        }
        let took = begun.elapsed();
        let step = self.steps;
        self.tell(&EpisodeEvent::Acted { step, decision: &decision, outcome: &outcome, took })?;
        // An action that was held back says nothing of what it does to the screen.
        if !was_held {
            self.repeats.record(&observation.screenshot, &decision.action);
        }
        self.remember(decision, observation, outcome);
        Ok(stop.map_or(Flow::Go(()), Flow::Stop))
    }

    /// Asks the user for help. The time it takes them is not counted.
    fn call_user(
        &mut self,
        question: &str,
        decision: Decision,
        observation: Observation,
    ) -> Result<Flow<()>, EpisodeError> {
        let begun = Instant::now();
        let Controls { user, halt, cancel, .. } = &mut *self.controls;
        let help = user.help(question, halt, cancel);
        halt.resume();
        let took = begun.elapsed();
        self.start += took;
        let ended = self.controls.halt.is_set() || self.controls.cancel.is_cancelled();
        let (outcome, stop) = match help {
            _ if ended => (Outcome::Declined, Some(StopReason::Interrupted)),
            Help::Refused => (Outcome::Declined, Some(StopReason::Interrupted)),
            Help::Nobody => (Outcome::Unanswered, Some(StopReason::NeedsUser)),
            Help::Given => (self.helped(), None),
        };
        let step = self.steps;
        self.tell(&EpisodeEvent::Acted { step, decision: &decision, outcome: &outcome, took })?;
        self.remember(decision, observation, outcome);
        Ok(stop.map_or(Flow::Go(()), |reason| Flow::Stop(Stop::because(reason))))
    }

    /// Returns what the user's help was. What they said is left for the next turn, as if it had been said
    /// then.
    fn helped(&self) -> Outcome {
        let halt = self.controls.halt;
        if let Some(said) = halt.take_said() {
            let said = self.secrets.redact(&said).into_owned();
            halt.say(&said);
            return Outcome::Answered(said);
        }
        halt.say(TAKEN_OVER);
        Outcome::TakenOver
    }

    /// Performs an action; the error is one the device does not survive.
    fn attempt(&mut self, decision: &Decision) -> Result<Outcome, DeviceError> {
        if self.options.dry_run && decision.action.verb() == Verb::Wait {
            return Ok(Outcome::DryRun);
        }
        if self.options.dry_run {
            return match self.device.check(&decision.action) {
                Ok(()) => Ok(Outcome::DryRun),
                Err(error) => outcome_of(error),
            };
        }
        if let Action::Wait { time } = decision.action {
            pause(Duration::from_secs_f64(time.max(0.0)), self.controls.cancel);
            return Ok(Outcome::Performed);
        }
        if !self.controls.user.confirm(decision) || self.controls.cancel.is_cancelled() {
            return Ok(Outcome::Declined);
        }
        self.device.intend(&decision.thought);
        match self.device.perform(&decision.action) {
            Ok(()) => Ok(Outcome::Performed),
            Err(error) => outcome_of(error),
        }
    }

    /// Waits while input is paused; returns whether the episode goes on.
    fn is_going(&mut self) -> bool {
        let Controls { user, halt, cancel, .. } = &mut *self.controls;
        match halt.state() {
            HaltState::Going => true,
            HaltState::Stopped(_) => false,
            HaltState::Paused(cause) => {
                let goes_on = user.paused(cause, halt, cancel);
                if goes_on {
                    halt.resume();
                }
                goes_on && !halt.is_set()
            }
        }
    }

    /// Adds a finished step to what the policy is shown.
    fn remember(&mut self, decision: Decision, observation: Observation, outcome: Outcome) {
        let error = match outcome {
            Outcome::Failed(error) | Outcome::Refused(error) => Some(error),
            Outcome::Performed
            | Outcome::DryRun
            | Outcome::Declined
            | Outcome::Answered(_)
            | Outcome::TakenOver
            | Outcome::Unanswered => None,
        };
        self.history.push(StepSummary {
            thought: decision.thought,
            action: decision.action,
            reply: decision.reply,
            screenshot: Some(observation.screenshot),
            error,
            said: self.said.take(),
        });
        forget_screenshots(&mut self.history, self.options.images_in_history);
    }

    /// Returns why no further step may begin, if so.
    fn out_of_budget(&self) -> Option<Stop> {
        let steps = self.steps >= self.options.max_steps;
        self.out_of_time().or_else(|| steps.then(|| Stop::because(StopReason::StepBudget)))
    }

    /// Returns why nothing further may be done, if so.
    fn out_of_time(&self) -> Option<Stop> {
        if self.controls.cancel.is_cancelled() {
            return Some(Stop::because(StopReason::Interrupted));
        }
        let over = self.start.elapsed() >= self.options.timeout;
        over.then(|| Stop::because(StopReason::TimeBudget))
    }

    fn tell(&mut self, event: &EpisodeEvent<'_>) -> Result<(), EpisodeError> {
        Ok(self.controls.observer.on_event(event)?)
    }

    fn tell_started(&mut self, policy: &str) -> Result<(), EpisodeError> {
        let (goal, device, options) = (self.goal, &self.info, self.options);
        let event = EpisodeEvent::Started { goal, device, policy, options };
        Ok(self.controls.observer.on_event(&event)?)
    }

    fn tell_refused(&mut self, reply: &str, problem: &str) -> Result<(), EpisodeError> {
        self.tell(&EpisodeEvent::ReplyRefused { step: self.steps, reply, problem })
    }

    /// Looks at the screen a last time and tells the observer how it ended.
    fn finish(mut self, stop: Stop) -> Result<Episode, EpisodeError> {
        let mut last = None;
        let acted_last = matches!(stop.reason, StopReason::StepBudget | StopReason::TimeBudget);
        if acted_last && self.steps > 0 {
            // Only for the record: the last step's action may have changed the screen.
            let options = SettleOptions { limit: Duration::from_secs(1), ..self.options.settle };
            let watched = observe_still(self.device, &options, self.controls.cancel);
            last = watched.ok().map(|settled| settled.observation);
        }
        let episode = Episode {
            stop_reason: stop.reason,
            error: stop.error,
            answer: stop.answer,
            steps: self.steps,
            elapsed: self.start.elapsed(),
            usage: self.usage,
        };
        self.tell(&EpisodeEvent::Stopped { episode: &episode, last: last.as_ref() })?;
        Ok(episode)
    }
}

/// What the policy is told when it repeats itself.
pub(super) const REPEATED: &str = "the same action on the same screen changed nothing the last time; choose \
                        another action, or terminate with status failure";

/// What the policy is told when the user did not answer in words.
const TAKEN_OVER: &str = "I did something on the screen myself; look at it again";

/// What the policy is told of an action during which the user took over.
const HALTED: &str = "a part of it may have been done, and the screen may have changed since";

/// Why a well-formed action is not tried.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("this device has no `{0}`")]
    NotOffered(Verb),
    #[error("{0}")]
    Forbidden(String),
    #[error(transparent)]
    Invalid(#[from] InvalidAction),
}

/// Returns what became of an action that was not done; the error is one the device does not survive.
fn outcome_of(error: DeviceError) -> Result<Outcome, DeviceError> {
    match error {
        DeviceError::Declined { .. } => Ok(Outcome::Declined),
        DeviceError::Halted { .. } => {
            Ok(Outcome::Failed(format!("{}: {HALTED}", with_source(&error))))
        }
        DeviceError::Refused { .. } | DeviceError::Secret { .. } => {
            Ok(Outcome::Refused(with_source(&error)))
        }
        error if is_survived(&error) => Ok(Outcome::Failed(with_source(&error))),
        error => Err(error),
    }
}

/// Whether the episode goes on: nothing was done, or nobody knows what was, and the screen will show.
fn is_survived(error: &DeviceError) -> bool {
    error.nothing_was_done() || error.may_have_been_done()
}
