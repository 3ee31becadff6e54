//! The one switch that stops all input.
//!
//! Whoever wants the hand to stop sets it: a signal, a command, a key chord, a person who takes the
//! mouse. Devices look at it before every press and in every pause, so within some tens of
//! milliseconds nothing more is sent and nothing stays pressed. What is paused goes on when it is
//! told to; what is stopped never does.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Deserialize;

const GOING: u8 = 0;
const PAUSED: u8 = 1;
const STOPPED: u8 = 2;

/// A switch that stops or pauses input; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Halt(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    state: AtomicU8,
    cause: Mutex<Option<HaltCause>>,
    said: Mutex<Vec<String>>,
}

/// Who or what halted input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HaltCause {
    /// Ctrl-C, or another signal that ends a process.
    Signal,
    /// `handsight stop` or `handsight pause`.
    Command,
    /// The stop file is there.
    File,
    /// The stop chord was pressed.
    Chord,
    /// The user moved the mouse, pressed a button or typed.
    UserInput,
    /// The user asked for it on the terminal.
    Terminal,
    /// The model asked the user for help.
    CallUser,
    /// The program that asked for something does not want it any more.
    Client,
}

impl fmt::Display for HaltCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signal => "it was interrupted",
            Self::Command => "another command asked for it",
            Self::File => "the stop file is there",
            Self::Chord => "the stop keys were pressed",
            Self::UserInput => "the user moved the mouse or typed",
            Self::Terminal => "the user pressed Ctrl-Z",
            Self::CallUser => "the model asks for help",
            Self::Client => "whoever asked for it cancelled it",
        })
    }
}

/// What becomes of input when the user moves the mouse or types.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// It is paused.
    #[default]
    Pause,
    /// It is stopped for good.
    Stop,
    /// Nothing.
    Ignore,
}

/// Whether input may be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HaltState {
    /// It may.
    Going,
    /// Not until somebody says so.
    Paused(HaltCause),
    /// Never again.
    Stopped(HaltCause),
}

impl Halt {
    /// Stops all input for good.
    pub fn stop(&self, cause: HaltCause) {
        self.set(STOPPED, cause);
    }

    /// Stops all input until [`Halt::resume`]; what is stopped for good stays so.
    pub fn pause(&self, cause: HaltCause) {
        self.set(PAUSED, cause);
    }

    /// Lets input go on if it was paused.
    pub fn resume(&self) {
        let mut cause = self.0.cause.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.state.load(Ordering::SeqCst) == PAUSED {
            *cause = None;
            self.0.state.store(GOING, Ordering::SeqCst);
        }
    }

    /// Leaves word for whatever decides on the input, from the user.
    pub fn say(&self, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push(text.to_owned());
        }
    }

    /// Takes what the user said since it was taken last, if anything.
    pub fn take_said(&self) -> Option<String> {
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = std::mem::take(&mut *said);
        (!said.is_empty()).then(|| said.join("\n"))
    }

    /// Whether input may not be sent now.
    pub fn is_set(&self) -> bool {
        self.0.state.load(Ordering::SeqCst) != GOING
    }

    /// Returns whether input may be sent, and why not.
    pub fn state(&self) -> HaltState {
        let cause = self.0.cause.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.0.state.load(Ordering::SeqCst), *cause) {
            (PAUSED, Some(cause)) => HaltState::Paused(cause),
            (STOPPED, Some(cause)) => HaltState::Stopped(cause),
            _ => HaltState::Going,
        }
    }

    /// The first cause of a state is the one that is kept.
    fn set(&self, state: u8, why: HaltCause) {
        let mut cause = self.0.cause.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.state.load(Ordering::SeqCst) < state {
            *cause = Some(why);
            self.0.state.store(state, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_and_a_stop_does_not() {
        let halt = Halt::default();
        let other = halt.clone();
        assert_eq!(halt.state(), HaltState::Going);
        other.pause(HaltCause::UserInput);
        other.pause(HaltCause::Command);
        assert_eq!(halt.state(), HaltState::Paused(HaltCause::UserInput));
        halt.resume();
        assert!(!other.is_set());
        halt.pause(HaltCause::UserInput);
        halt.stop(HaltCause::Signal);
        halt.pause(HaltCause::Command);
        halt.resume();
        assert_eq!(halt.state(), HaltState::Stopped(HaltCause::Signal));
    }
}
