//! Writes an episode into a trace as it happens.

use std::path::Path;
use std::time::Duration;

use handsight_model::Stats;
use jiff::Timestamp;

use super::event::{
    Acted, Decided, EpisodeStarted, EpisodeStopped, ReplyRefused, StepStarted, TraceEvent,
    TracedDevice, Usage,
};
use super::{TRACE_VERSION, TraceError, TraceWriter};
use crate::episode::{Episode, EpisodeEvent, EpisodeObserver};
use crate::error::with_source;

/// An observer that records.
#[derive(Debug)]
pub struct TraceRecorder {
    writer: TraceWriter,
}

impl TraceRecorder {
    /// Starts a trace in `dir`.
    ///
    /// # Errors
    ///
    /// Those of [`TraceWriter::create`].
    pub fn create(dir: &Path) -> Result<Self, TraceError> {
        Ok(Self { writer: TraceWriter::create(dir)? })
    }

    /// Returns the trace's folder.
    pub fn dir(&self) -> &Path {
        self.writer.dir()
    }

    /// Turns what happened into a line of the trace; `None` for what is not recorded.
    fn line(&mut self, event: &EpisodeEvent<'_>) -> Result<Option<TraceEvent>, TraceError> {
        let time = Timestamp::now();
        Ok(Some(match *event {
            EpisodeEvent::Started { goal, device, policy, options } => {
                TraceEvent::EpisodeStarted(EpisodeStarted {
                    version: TRACE_VERSION,
                    time,
                    handsight: env!("CARGO_PKG_VERSION").to_owned(),
                    goal: goal.to_owned(),
                    device: TracedDevice {
                        name: device.name.clone(),
                        kind: device.kind.to_string(),
                        size: device.size,
                        scale: device.scale,
                    },
                    policy: policy.to_owned(),
                    max_steps: options.max_steps,
                    timeout_s: options.timeout.as_secs_f64(),
                    dry_run: options.dry_run,
                })
            }
            EpisodeEvent::StepStarted { step, settled, said } => {
                TraceEvent::StepStarted(StepStarted {
                    step,
                    time,
                    screenshot: self.writer.add_screenshot(&settled.observation.screenshot)?,
                    foreground_app: settled.observation.foreground_app.clone(),
                    still: settled.still,
                    settle_ms: millis(settled.waited),
                    said: said.map(str::to_owned),
                })
            }
            EpisodeEvent::Text { .. } => return Ok(None),
            EpisodeEvent::ReplyRefused { step, reply, problem } => {
                let (reply, problem) = (reply.to_owned(), problem.to_owned());
                TraceEvent::ReplyRefused(ReplyRefused { step, time, reply, problem })
            }
            EpisodeEvent::Decided { step, decision, took } => TraceEvent::Decided(Decided {
                step,
                time,
                thought: decision.thought.clone(),
                action: decision.action.clone(),
                model_point: decision.model_point,
                frame: decision.frame,
                looked_at: decision.looked_at,
                probability: decision.probability,
                reply: decision.reply.clone(),
                repairs: decision.repairs.clone(),
                decide_ms: millis(took),
                usage: decision.usage,
            }),
            EpisodeEvent::Acted { step, outcome, took, .. } => {
                let outcome = outcome.clone();
                TraceEvent::Acted(Acted { step, time, outcome, act_ms: millis(took) })
            }
            EpisodeEvent::Stopped { episode, last } => {
                let screenshot =
                    last.map(|last| self.writer.add_screenshot(&last.screenshot)).transpose()?;
                TraceEvent::EpisodeStopped(stopped(episode, time, screenshot))
            }
        }))
    }
}

impl EpisodeObserver for TraceRecorder {
    fn on_event(&mut self, event: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        let Some(line) = self.line(event)? else { return Ok(()) };
        self.writer.append(&line)?;
        // Once at the end is enough against a crash of the machine; a killed process loses nothing.
        if matches!(line, TraceEvent::EpisodeStopped(_)) { self.writer.sync() } else { Ok(()) }
    }
}

/// Returns the last line of a trace.
fn stopped(
    episode: &Episode,
    time: Timestamp,
    screenshot: Option<super::event::ImageRef>,
) -> EpisodeStopped {
    EpisodeStopped {
        time,
        stop_reason: episode.stop_reason,
        error: episode.error.as_ref().map(|error| with_source(error)),
        answer: episode.answer.clone(),
        screenshot,
        steps: episode.steps,
        elapsed_ms: millis(episode.elapsed),
        usage: episode.usage,
    }
}

impl From<&Stats> for Usage {
    fn from(stats: &Stats) -> Self {
        let ms = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            prompt_tokens: stats.prompt_tokens as u64,
            image_tokens: stats.image_tokens as u64,
            cached_tokens: stats.cached_tokens as u64,
            completion_tokens: stats.completion_tokens as u64,
            forced_tokens: stats.forced_tokens as u64,
            forward_passes: stats.forward_passes as u64,
            preprocess_ms: ms(stats.preprocess),
            vision_ms: ms(stats.vision),
            prefill_ms: ms(stats.prefill),
            decode_ms: ms(stats.decode),
        }
    }
}

/// Returns whole milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
