//! What an episode tells of itself while it runs.

use std::time::Duration;

use handsight_actions::{DeviceInfo, Observation};

use super::{Episode, EpisodeOptions};
use crate::policy::Decision;
use crate::settle::Settled;
use crate::trace::TraceError;
use crate::trace::event::Outcome;

/// Something that happened in an episode.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EpisodeEvent<'a> {
    /// The episode begins.
    Started {
        /// The user's sentence.
        goal: &'a str,
        /// The device.
        device: &'a DeviceInfo,
        /// The policy's name.
        policy: &'a str,
        /// The limits and manners.
        options: &'a EpisodeOptions,
    },
    /// A step begins; the screen was observed.
    StepStarted {
        /// The step's number, from 1.
        step: u32,
        /// What was seen.
        settled: &'a Settled,
        /// What the user said since the last step, if anything.
        said: Option<&'a str>,
    },
    /// The policy wrote a piece of its reply.
    Text {
        /// The step's number, from 1.
        step: u32,
        /// The piece.
        text: &'a str,
    },
    /// A reply could not be used; the policy is asked again if it may be.
    ReplyRefused {
        /// The step's number, from 1.
        step: u32,
        /// The reply as it was written.
        reply: &'a str,
        /// Why.
        problem: &'a str,
    },
    /// The policy decided on an action that passed every check.
    Decided {
        /// The step's number, from 1.
        step: u32,
        /// The decision.
        decision: &'a Decision,
        /// How long it took, refused replies included.
        took: Duration,
    },
    /// Something became of the action. An action that ends the episode has no such event.
    Acted {
        /// The step's number, from 1.
        step: u32,
        /// The decision it was part of.
        decision: &'a Decision,
        /// What became of it.
        outcome: &'a Outcome,
        /// How long it took.
        took: Duration,
    },
    /// The episode ended; the device holds no key or button.
    Stopped {
        /// How.
        episode: &'a Episode,
        /// What the screen showed at the end, if it was observed once more.
        last: Option<&'a Observation>,
    },
}

/// Watches an episode: writes its trace, or prints it.
pub trait EpisodeObserver {
    /// Is told of one event.
    ///
    /// # Errors
    ///
    /// An observer that has to see everything, such as a recorder, fails when it cannot keep up.
    /// The episode then ends before anything more is done to the device.
    fn on_event(&mut self, event: &EpisodeEvent<'_>) -> Result<(), TraceError>;
}

/// Watches nothing.
impl EpisodeObserver for () {
    fn on_event(&mut self, _: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        Ok(())
    }
}

/// Two observers in one; the first is told first, and the second even if the first fails.
impl<A: EpisodeObserver, B: EpisodeObserver> EpisodeObserver for (A, B) {
    fn on_event(&mut self, event: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        let first = self.0.on_event(event);
        self.1.on_event(event)?;
        first
    }
}

/// An observer that may be absent.
impl<T: EpisodeObserver> EpisodeObserver for Option<T> {
    fn on_event(&mut self, event: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        self.as_mut().map_or(Ok(()), |observer| observer.on_event(event))
    }
}

/// A borrowed observer.
impl<T: EpisodeObserver + ?Sized> EpisodeObserver for &mut T {
    fn on_event(&mut self, event: &EpisodeEvent<'_>) -> Result<(), TraceError> {
        (**self).on_event(event)
    }
}
