//! Tools that take several steps: a goal that the model pursues, and a scenario.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use handsight_actions::{Halt, HaltCause, HaltState};
use handsight_agent::episode::check_goal;
use handsight_agent::settle::pause;
use handsight_agent::{
    CancelFlag, Controls, Episode, EpisodeEvent, EpisodeObserver, EpisodeOptions, Help, Outcome,
    StopReason, TraceError, TraceRecorder, User, run_episode,
};

use super::args::{GoalRun, GoalStep, RunGoal, RunScenario};
use super::{Call, Event, Reply, Session, ToolError};
use crate::eyes::{LoadedModel, ModelEyes};
use crate::result::{ScenarioResult, Status, StepResult};
use crate::runner::{RunControls, RunObserver, RunOptions, run_scenario};
use crate::scenario::Scenario;
use crate::scenario::condition::beside;

/// How often it is looked whether a pause is over.
const BEAT: Duration = Duration::from_millis(20);

/// Whoever is told, by several at once.
type Teller<'a> = RefCell<&'a mut (dyn FnMut(Event) + Send)>;

impl Session {
    pub(super) fn run_goal(&mut self, args: &RunGoal, call: Call<'_>) -> Result<Reply, ToolError> {
        let in_bounds =
            (1..=1000).contains(&args.max_steps) && (1.0..=86_400.0).contains(&args.timeout);
        if !in_bounds {
            let problem = "`max_steps` is from 1 to 1000, and `timeout` from 1 to 86400".to_owned();
            return Err(ToolError::Arguments { tool: "run_goal", problem });
        }
        check_goal(&args.goal)?;
        let trace = self.next_trace();
        let LoadedModel { policy, profile } = self.model.get()?;
        profile.check_acts()?;
        let timeout = Duration::from_secs_f64(args.timeout);
        let options = EpisodeOptions {
            max_steps: args.max_steps,
            timeout,
            settle: self.options.settle,
            images_in_history: profile.images_in_history(),
            ..EpisodeOptions::default()
        };
        let mut recorder = trace.as_deref().map(TraceRecorder::create).transpose()?;
        let tell = RefCell::new(call.tell);
        let mut steps = Steps { tell: &tell, of: args.max_steps, taken: Vec::new() };
        let mut user = Away { tell: &tell, until: Instant::now() + timeout };
        let mut controls = Controls {
            observer: &mut (&mut recorder, &mut steps),
            user: &mut user,
            cancel: call.cancel,
            halt: &self.options.halt,
        };
        let episode = run_episode(&mut *self.device, policy, &args.goal, &options, &mut controls)?;
        goal_reply(episode, steps.taken, trace)
    }

    /// Returns the folder for the trace of the next goal, if there are to be traces.
    fn next_trace(&mut self) -> Option<PathBuf> {
        let folder = self.options.traces.as_ref()?;
        loop {
            self.goals += 1;
            let trace = folder.join(format!("goal-{:04}", self.goals));
            if !trace.exists() {
                return Some(trace);
            }
        }
    }

    pub(super) fn run_scenario(
        &mut self,
        args: RunScenario,
        call: Call<'_>,
    ) -> Result<Reply, ToolError> {
        let scenario = self.open_scenario(&args.file)?;
        let options = RunOptions {
            settle: self.options.settle,
            vars: args.vars,
            env: self.options.env.clone(),
            ..RunOptions::default()
        };
        let tell = RefCell::new(call.tell);
        let mut user = Away { tell: &tell, until: Instant::now() + scenario.timeout };
        let controls = Controls {
            observer: &mut (),
            user: &mut user,
            cancel: call.cancel,
            halt: &self.options.halt,
        };
        let settle = self.options.settle;
        let mut eyes = ModelEyes { model: &mut self.model, settle, controls };
        let of = u64::try_from(scenario.steps_count()).ok();
        let mut observer = ScenarioSteps { tell: &tell, of, begun: 0 };
        let controls = RunControls {
            device: &mut *self.device,
            eyes: &mut eyes,
            observer: &mut observer,
            pictures: None,
            cancel: call.cancel,
        };
        let result = run_scenario(&scenario, &options, controls)?;
        let unmet = problem(&result);
        let status = result.status.as_str();
        let text = match &unmet {
            Some(problem) => format!("{}: {problem}", result.scenario),
            None => format!("{}: {status} in {:.1} s", result.scenario, result.seconds),
        };
        Ok(Reply { unmet: unmet.map(|_| text.clone()), ..Reply::of(&result, text)? })
    }

    /// Opens a scenario of the folder that may be run from.
    fn open_scenario(&self, file: &str) -> Result<Scenario, ToolError> {
        let refused =
            |problem| ToolError::NotAllowed { file: file.chars().take(200).collect(), problem };
        let folder = self.options.scenarios.as_ref();
        let folder = folder.ok_or_else(|| refused("no folder of scenarios was named"))?;
        let path = beside(folder, file).map_err(|_| refused("it is not below that folder"))?;
        // A link may lead out of the folder, and what is not there leads nowhere.
        let is_inside = fs_err::canonicalize(folder).and_then(|folder| {
            Ok(!path.exists() || fs_err::canonicalize(&path)?.starts_with(folder))
        });
        if !is_inside.unwrap_or(false) {
            return Err(refused("it leads out of that folder"));
        }
        Ok(Scenario::open(&path)?)
    }
}

/// Puts together what came of a goal.
fn goal_reply(
    mut episode: Episode,
    steps: Vec<GoalStep>,
    trace: Option<PathBuf>,
) -> Result<Reply, ToolError> {
    if let Some(error) = episode.error.take() {
        return Err(error.into());
    }
    let reason = episode.stop_reason;
    let claimed = reason == StopReason::ClaimedSuccess;
    let text = match &episode.answer {
        Some(answer) => answer.clone(),
        None if episode.steps == 1 => format!("{} after 1 step", reason.describe()),
        None => format!("{} after {} steps", reason.describe(), episode.steps),
    };
    let unmet = (!claimed).then(|| format!("the goal was not reached: {}", reason.describe()));
    let run = GoalRun {
        claimed,
        stop_reason: reason.as_str().to_owned(),
        answer: episode.answer,
        steps,
        seconds: episode.elapsed.as_secs_f64(),
        trace: trace.map(|trace| trace.display().to_string()),
    };
    Ok(Reply { unmet, ..Reply::of(&run, text)? })
}

/// Says why a scenario did not pass, if it did not.
fn problem(result: &ScenarioResult) -> Option<String> {
    match result.status {
        Status::Passed | Status::Healed | Status::Skipped => return None,
        Status::Stopped => return Some("it was interrupted".to_owned()),
        Status::Failed | Status::Flaky => {}
    }
    let failed = result.failure().and_then(|step| Some((step, step.problem.as_ref()?)));
    Some(match failed {
        Some((StepResult { title, file, line, .. }, problem)) => {
            format!("{title:?} failed: {problem} ({}:{line})", file.display())
        }
        None => "it failed".to_owned(),
    })
}

/// Tells of the steps of a goal, and keeps them.
struct Steps<'a, 't> {
    tell: &'a Teller<'t>,
    of: u32,
    taken: Vec<GoalStep>,
}

impl Steps<'_, '_> {
    fn tell(&self, step: u32, message: String) {
        (self.tell.borrow_mut())(Event { step: step.into(), of: Some(self.of.into()), message });
    }
}

impl EpisodeObserver for Steps<'_, '_> {
    fn on_event(&mut self, event: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        match *event {
            EpisodeEvent::Decided { step, decision, .. } => {
                let words = decision.thought.lines().next().unwrap_or_default();
                self.tell(step, format!("{words} → {}", decision.action));
                self.taken.push(GoalStep {
                    step,
                    thought: decision.thought.clone(),
                    action: decision.action.clone(),
                    outcome: None,
                });
            }
            EpisodeEvent::ReplyRefused { step, problem, .. } => {
                self.tell(step, format!("a reply was refused: {problem}"));
            }
            EpisodeEvent::Acted { step, outcome, .. } => {
                let words = in_words(outcome);
                if *outcome != Outcome::Performed {
                    self.tell(step, words.clone());
                }
                if let Some(last) = self.taken.last_mut() {
                    last.outcome = Some(words);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Performed => "performed".to_owned(),
        Outcome::DryRun => "checked".to_owned(),
        Outcome::Declined => "declined".to_owned(),
        Outcome::Answered(said) => format!("answered: {said}"),
        Outcome::TakenOver => "done by the user".to_owned(),
        Outcome::Unanswered => "nobody is there to help".to_owned(),
        Outcome::Refused(reason) => format!("refused: {reason}"),
        Outcome::Failed(reason) => format!("failed: {reason}"),
    }
}

/// Tells of the steps of a scenario.
struct ScenarioSteps<'a, 't> {
    tell: &'a Teller<'t>,
    of: Option<u64>,
    begun: u64,
}

impl RunObserver for ScenarioSteps<'_, '_> {
    fn step_started(&mut self, title: &str, _: usize) {
        self.begun += 1;
        // Loops take their steps more than once.
        let of = self.of.filter(|&of| self.begun <= of);
        (self.tell.borrow_mut())(Event { step: self.begun, of, message: title.to_owned() });
    }

    fn step_ended(&mut self, result: &StepResult, _: usize) {
        if let Some(problem) = &result.problem {
            let message = format!("{} failed: {problem}", result.title);
            (self.tell.borrow_mut())(Event { step: self.begun, of: None, message });
        }
    }
}

/// Nobody at the screen whom this session could ask: `handsight resume` ends a pause, or time does.
struct Away<'a, 't> {
    tell: &'a Teller<'t>,
    until: Instant,
}

impl Away<'_, '_> {
    fn tell(&self, message: String) {
        (self.tell.borrow_mut())(Event { step: 0, of: None, message });
    }
}

impl User for Away<'_, '_> {
    fn help(&mut self, question: &str, _: &Halt, _: &CancelFlag) -> Help {
        self.tell(format!("the model asks for help: {question}"));
        Help::Nobody
    }

    fn paused(&mut self, cause: HaltCause, halt: &Halt, cancel: &CancelFlag) -> bool {
        self.tell(format!(
            "paused: {cause}; `handsight resume` lets it go on, `handsight stop` ends it"
        ));
        while Instant::now() < self.until && pause(BEAT, cancel) {
            match halt.state() {
                HaltState::Going => return true,
                HaltState::Stopped(_) => return false,
                HaltState::Paused(_) => {}
            }
        }
        false
    }
}
