//! Steps that act on the screen, and finding what they act on.

use std::time::Duration;

use handsight_actions::{Action, Direction, PixelPoint, Screenshot, Verb};
use handsight_agent::settle::{observe_still, pause};

use super::{AnchorMode, Notes, Renewed, Run, StepError};
use crate::anchor::{Anchor, AnchorKey, Change, Sighting};
use crate::eyes::Found;
use crate::result::FoundBy;
use crate::scenario::step::{LONG_PRESS, Target, chord};
use crate::scenario::template::Template;

/// How long to wait before a target that is not there is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Run<'_, '_> {
    /// Looks at the screen once it is still.
    pub(super) fn look(&mut self) -> Result<Screenshot, StepError> {
        let mut settle = self.options.settle;
        settle.limit = settle.limit.min(self.time_left());
        let settled = observe_still(self.controls.device, &settle, &self.cancel)?;
        if self.is_cancelled() {
            return Err(StepError::Stopped);
        }
        Ok(settled.observation.screenshot)
    }

    pub(super) fn perform(&mut self, action: &Action) -> Result<(), StepError> {
        self.go_on()?;
        Ok(self.controls.device.perform(action)?)
    }

    pub(super) fn render(&self, text: &Template) -> Result<String, StepError> {
        Ok(text.render(&self.variables)?)
    }

    /// Clicks, presses or points at a target.
    pub(super) fn point(
        &mut self,
        verb: Verb,
        target: &Target,
        notes: &mut Notes,
    ) -> Result<(), StepError> {
        let coordinate = self.find(target, notes)?;
        let action = match verb {
            Verb::DoubleClick => Action::DoubleClick { coordinate },
            Verb::TripleClick => Action::TripleClick { coordinate },
            Verb::MiddleClick => Action::MiddleClick { coordinate },
            Verb::RightClick => Action::RightClick { coordinate },
            Verb::LongPress => Action::LongPress { coordinate, time: LONG_PRESS },
            Verb::MouseMove => Action::MouseMove { coordinate },
            _ => Action::LeftClick { coordinate },
        };
        self.perform(&action)
    }

    pub(super) fn type_text(
        &mut self,
        text: &Template,
        into: Option<&Target>,
        notes: &mut Notes,
    ) -> Result<(), StepError> {
        let text = self.render(text)?;
        if let Some(target) = into {
            self.point(Verb::LeftClick, target, notes)?;
            self.look()?;
        }
        // An expression that gives nothing has nothing to type.
        if text.is_empty() { Ok(()) } else { self.perform(&Action::Type { text }) }
    }

    pub(super) fn press(&mut self, keys: &Template) -> Result<(), StepError> {
        let keys = chord(&self.render(keys)?)?;
        self.perform(&Action::Key { keys })
    }

    pub(super) fn scroll(
        &mut self,
        direction: Direction,
        amount: u32,
        over: Option<&Target>,
        notes: &mut Notes,
    ) -> Result<(), StepError> {
        let coordinate = over.map(|target| self.find(target, notes)).transpose()?;
        self.perform(&Action::Scroll { coordinate, direction, amount })
    }

    pub(super) fn between(
        &mut self,
        verb: Verb,
        (from, to): (&Target, &Target),
        notes: &mut Notes,
    ) -> Result<(), StepError> {
        let (coordinate, coordinate2) = (self.find(from, notes)?, self.find(to, notes)?);
        self.perform(&match verb {
            Verb::Swipe => Action::Swipe { coordinate, coordinate2 },
            _ => Action::Drag { coordinate, coordinate2 },
        })
    }

    /// Finds a target: by its anchor if it has one, otherwise by the model.
    fn find(&mut self, target: &Target, notes: &mut Notes) -> Result<PixelPoint, StepError> {
        let (words, nth) = match target {
            Target::Point(point) => {
                notes.found_by.push(FoundBy::Point);
                // Nothing has to be looked for, but a report shows where it was.
                if self.controls.pictures.is_some() {
                    let screen = self.look()?;
                    self.keep_picture(notes, &screen, Some(*point));
                }
                return Ok(*point);
            }
            Target::Words { words, nth } => (self.render(words)?, *nth),
        };
        let key = AnchorKey { target: words, nth };
        let remembered = match self.options.anchors {
            AnchorMode::Use | AnchorMode::Strict => self.anchors.looks(&key).to_vec(),
            AnchorMode::Refresh | AnchorMode::Off => Vec::new(),
        };
        let mut screen = self.look()?;
        if let Some(first) = remembered.first() {
            let (index, sighting) = self.await_anchor(&remembered, &mut screen)?;
            if let Sighting::Found { point, .. } = sighting {
                notes.found_by.push(FoundBy::Anchor);
                self.keep_picture(notes, &screen, Some(point));
                self.seen.entry(key).or_default().insert(index);
                return Ok(point);
            }
            if self.options.anchors == AnchorMode::Strict {
                return Err(not_by_anchor(&key.target, sighting));
            }
            // In a loop a new look is no change of an old one.
            let is_first = !self.seen.contains_key(&key);
            return self.find_by_model(key, &screen, is_first.then_some(first), notes);
        }
        if self.options.anchors == AnchorMode::Strict {
            return Err(StepError::Failed {
                problem: format!("there is no anchor for {:?}", key.target),
                hint: Some("run once with `--anchors use`, which makes it".to_owned()),
            });
        }
        self.find_by_model(key, &screen, None, notes)
    }

    /// Looks for the looks of a target until one is there or patience ends: the screen may not have
    /// come yet. Returns which it was, or what became of the first.
    fn await_anchor(
        &mut self,
        looks: &[Anchor],
        screen: &mut Screenshot,
    ) -> Result<(usize, Sighting), StepError> {
        let patience = match self.options.anchors {
            // Nobody else can be asked.
            AnchorMode::Strict => 3 * self.options.patience,
            _ => self.options.patience,
        };
        let patience = patience.min(self.time_left());
        let start = std::time::Instant::now();
        loop {
            let mut sightings = Vec::new();
            for (index, anchor) in looks.iter().enumerate() {
                let sighting = anchor.find(&screen.image);
                if matches!(sighting, Sighting::Found { .. }) {
                    return Ok((index, sighting));
                }
                sightings.push(sighting);
            }
            if start.elapsed() >= patience {
                return Ok((0, sightings.swap_remove(0)));
            }
            pause(LOOK_AGAIN, &self.cancel);
            *screen = self.look()?;
        }
    }

    fn find_by_model(
        &mut self,
        key: AnchorKey,
        screen: &Screenshot,
        remembered: Option<&Anchor>,
        notes: &mut Notes,
    ) -> Result<PixelPoint, StepError> {
        self.model_calls += 1;
        let found = self.controls.eyes.find(&screen.image, &key.target)?;
        let Some(Found { point, area }) = found else {
            return Err(StepError::failed(format!("{:?} is not on the screen", key.target)));
        };
        notes.found_by.push(FoundBy::Model);
        self.keep_picture(notes, screen, Some(point));
        if let Some(anchor) = remembered {
            let change = Change::between(anchor, &screen.image, point);
            notes.changes.push(format!("{:?} {change}", key.target));
        }
        if self.options.anchors != AnchorMode::Off
            && let Some(anchor) = Anchor::of(&screen.image, point, area)
        {
            self.renewed.push(Renewed { key, anchor, begun: self.steps.len() });
        }
        Ok(point)
    }
}

fn not_by_anchor(target: &str, sighting: Sighting) -> StepError {
    let problem = match sighting {
        Sighting::Doubtful { places: 1, .. } => {
            format!("what looks like {target:?} is not where it was, or is something else")
        }
        Sighting::Doubtful { places, .. } => {
            format!("{places} places look like {target:?} and none of them more than the others")
        }
        _ => format!("{target:?} does not look as it did"),
    };
    let hint = Some("`--anchors use` asks the model for it and remembers the new look".to_owned());
    StepError::Failed { problem, hint }
}
