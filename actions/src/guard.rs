//! What may be done to a screen, enforced between whatever decides and the device.
//!
//! A [`Guard`] is a [`Device`] that judges each action by a [`SafetyPolicy`] before the device it
//! holds hears of it. It stands below the model and below every interface, so nothing a model
//! writes, a page shows or a client asks for gets round it. The policy comes from a person's file
//! and is never changed by anything that is seen or said later.
//!
//! ```
//! use handsight_actions::{Action, Device, FakeDevice, FakeScreen, Guard, PixelPoint, SafetyPolicy, Size};
//!
//! let text = "
//! mode: bounded
//! allow:
//!   actions: [left_click]
//!   regions: [[0, 0, 100, 100]]
//! ";
//! let policy = SafetyPolicy::parse(text, "policy.yaml".as_ref())?;
//! let device = FakeDevice::new(Size { width: 320, height: 200 }, vec![FakeScreen::new("form")]);
//! let mut device = Guard::new(Box::new(device), policy);
//!
//! device.perform(&Action::LeftClick { coordinate: PixelPoint { x: 30, y: 30 } })?;
//! let outside = Action::LeftClick { coordinate: PixelPoint { x: 130, y: 30 } };
//! assert!(device.perform(&outside).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod file;
mod judge;
mod refusal;
pub mod rule;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use jiff::Zoned;
use jiff::civil::DateTime;

pub use self::file::{SafetyPolicy, SafetyPolicyError, policy_schema};
pub(crate) use self::judge::name as quoted;
use self::judge::{Deed, Scene, Verdict};
pub use self::refusal::Refusal;
use crate::action::{Action, ActionSpace};
use crate::device::{Device, DeviceError, DeviceInfo, admit};
use crate::fact::{Fact, FactSaid};
use crate::geometry::PixelPoint;
use crate::halt::{Halt, HaltState};
use crate::observation::{Observation, Place, WindowAt};
use crate::secret::Secrets;

/// How much of what was typed is kept for the rules about text, in characters. A text that is denied
/// is denied in pieces, too.
const REMEMBERED: usize = 4000;

/// What a person is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The action.
    pub action: &'a Action<PixelPoint>,
    /// Why whatever decided on it wants it done, in its own words.
    pub thought: Option<&'a str>,
    /// Why it is asked about.
    pub reason: &'a str,
}

/// What a person answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Approval {
    /// It may be done, this time.
    Yes,
    /// It may not.
    No,
    /// There is nobody to answer.
    Nobody,
}

/// Asks a person.
type Approver = Box<dyn FnMut(&Question<'_>) -> Approval + Send>;

/// A clock: time since some moment, and the time of day.
type Clock = Box<dyn FnMut() -> (Duration, DateTime) + Send>;

/// A device on which only what a safety policy allows is done.
pub struct Guard {
    device: Box<dyn Device>,
    policy: SafetyPolicy,
    approver: Approver,
    clock: Clock,
    /// When actions were done, oldest first; as many as the largest limit needs.
    done: VecDeque<Duration>,
    typed: String,
    thought: Option<String>,
    halt: Halt,
}

impl Guard {
    /// Puts a device behind a safety policy. What has to be asked about is refused, until
    /// [`Guard::asking`] says whom to ask.
    pub fn new(device: Box<dyn Device>, policy: SafetyPolicy) -> Self {
        let start = Instant::now();
        Self {
            device,
            policy,
            approver: Box::new(|_| Approval::Nobody),
            clock: Box::new(move || (start.elapsed(), Zoned::now().datetime())),
            done: VecDeque::new(),
            typed: String::new(),
            thought: None,
            halt: Halt::default(),
        }
    }

    /// Returns the guard with a switch that stops all input.
    #[must_use]
    pub fn heeding(mut self, halt: Halt) -> Self {
        self.halt = halt;
        self
    }

    /// Returns the guard with somebody to ask.
    #[must_use]
    pub fn asking(
        mut self,
        approver: impl FnMut(&Question<'_>) -> Approval + Send + 'static,
    ) -> Self {
        self.approver = Box::new(approver);
        self
    }

    #[cfg(test)]
    fn with_clock(mut self, clock: impl FnMut() -> (Duration, DateTime) + Send + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Judges an action: `Ok` holds the reason to ask a person first, if there is one.
    fn judge(&mut self, action: &Action<PixelPoint>) -> Result<Option<&'static str>, DeviceError> {
        let deed = Deed::of(action);
        let windows = if deed.acts() && self.policy.knows_windows() {
            self.windows(&deed)?
        } else {
            Vec::new()
        };
        let scene = Scene { windows: &windows, typed: &self.typed };
        let verdict = self.policy.judge(&deed, self.thought.as_deref(), scene);
        let verdict = match verdict {
            Verdict::Refused(refusal) => Err(refusal),
            verdict if !deed.acts() => Ok(verdict),
            verdict => self.in_time().map(|()| verdict),
        };
        match verdict {
            Ok(Verdict::Ask(reason)) => Ok(Some(reason)),
            Ok(_) => Ok(None),
            Err(source) => Err(self.refused(action, source)),
        }
    }

    fn windows(&mut self, deed: &Deed) -> Result<Vec<WindowAt>, DeviceError> {
        let mut places: Vec<_> = deed.ends().into_iter().map(Place::Point).collect();
        if deed.is_typed() || places.is_empty() {
            places.push(Place::Focus);
        }
        places.into_iter().map(|place| self.device.window(place)).collect()
    }

    /// Says whether the limits and the hours allow one more action now.
    fn in_time(&mut self) -> Result<(), Refusal> {
        if self.policy.limits.is_empty() && self.policy.hours.is_empty() {
            return Ok(());
        }
        let (now, of_day) = (self.clock)();
        let hours = &self.policy.hours;
        if !hours.is_empty() && !hours.iter().any(|hours| hours.contains(of_day)) {
            return Err(Refusal::OffHours);
        }
        for limit in &self.policy.limits {
            let Some(back) = self.done.len().checked_sub(limit.actions as usize) else { continue };
            let wait = (self.done[back] + limit.per).saturating_sub(now);
            if !wait.is_zero() {
                let (actions, per) = (limit.actions, limit.per);
                return Err(Refusal::TooFast { actions, per, wait });
            }
        }
        Ok(())
    }

    /// Remembers an action for the rules about text and the limits.
    fn remember(&mut self, action: &Action<PixelPoint>) {
        let deed = Deed::of(action);
        if !deed.acts() {
            return;
        }
        if let Some(text) = deed.text {
            self.typed += &text;
            let extra = self.typed.chars().count().saturating_sub(REMEMBERED);
            self.typed = self.typed.chars().skip(extra).collect();
        }
        let most = self.policy.limits.iter().map(|limit| limit.actions as usize).max().unwrap_or(0);
        if most > 0 {
            self.done.push_back((self.clock)().0);
        }
        while self.done.len() > most {
            self.done.pop_front();
        }
    }

    fn check_going(&self) -> Result<(), DeviceError> {
        match self.halt.state() {
            HaltState::Going => Ok(()),
            HaltState::Paused(cause) | HaltState::Stopped(cause) => {
                Err(DeviceError::Halted { device: self.device.info().name, cause })
            }
        }
    }

    fn refused(&self, action: &Action<PixelPoint>, source: Refusal) -> DeviceError {
        DeviceError::Refused { device: self.device.info().name, verb: action.verb(), source }
    }
}

impl Device for Guard {
    /// The verbs are those that can be allowed, so that a model is not offered the others.
    fn info(&self) -> DeviceInfo {
        let mut info = self.device.info();
        let offered = info.action_space.iter().filter(|&verb| self.policy.offers(verb));
        info.action_space = ActionSpace::new(offered);
        info
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        self.device.observe()
    }

    fn check(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        self.judge(action)?;
        self.device.check(action)
    }

    fn intend(&mut self, reason: &str) {
        self.thought = Some(reason.to_owned());
        self.device.intend(reason);
    }

    fn secrets(&self) -> Secrets {
        self.device.secrets()
    }

    fn window(&mut self, place: Place) -> Result<WindowAt, DeviceError> {
        self.device.window(place)
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        let reason = self.judge(action)?;
        // Nobody is asked about what cannot be done.
        admit(&self.device.info(), action)?;
        if let Some(reason) = reason {
            let thought = self.thought.as_deref();
            match (self.approver)(&Question { action, thought, reason }) {
                Approval::Yes => {}
                Approval::No => {
                    let device = self.device.info().name;
                    return Err(DeviceError::Declined { device, verb: action.verb() });
                }
                Approval::Nobody => return Err(self.refused(action, Refusal::NobodyToAsk)),
            }
            // The answer took a while, in which another window may have come up.
            self.judge(action)?;
        }
        if Deed::of(action).acts() {
            self.check_going()?;
        }
        // A reason is for one action.
        self.thought = None;
        // It counts even if it fails half done.
        self.remember(action);
        self.device.perform(action)
    }

    fn clipboard(&mut self) -> Result<Option<String>, DeviceError> {
        self.device.clipboard()
    }

    /// It is a way to type, and allowed or not as that is.
    fn set_clipboard(&mut self, text: &str) -> Result<(), DeviceError> {
        let typing = Action::Type { text: text.to_owned() };
        match self.judge(&typing)? {
            Some(_) => Err(self.refused(&typing, Refusal::NobodyToAsk)),
            None => self.device.set_clipboard(text),
        }
    }

    fn fact(&mut self, fact: &Fact) -> Result<FactSaid, DeviceError> {
        self.device.fact(fact)
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        self.device.release_all()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("policy", &self.policy).finish_non_exhaustive()
    }
}
