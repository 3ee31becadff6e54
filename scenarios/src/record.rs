//! Recording what a person does, as a scenario.
//!
//! The screen is looked at all the time, so that there is a picture of it from before each press: the
//! target as it looked then, and if the pointer changes it, as it looked before the pointer came.

mod frames;
mod naming;
mod person;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;
use std::time::Duration;

use handsight_actions::heard::{Heard, HeardInput};
use handsight_actions::secret::Bindings;
use handsight_actions::{Device, DeviceError, DeviceKind, Key, PixelPoint, Place};
use handsight_agent::CancelFlag;
use image::RgbImage;

use self::frames::Frames;
pub use self::naming::name_targets;
use self::person::Person;
pub use self::write::write_recording;
use crate::draft::AtEnd;

/// How long to listen between two looks at the screen.
const BETWEEN_LOOKS: Duration = Duration::from_millis(80);

/// The most that is recorded; a longer scenario is several.
const MAX_DEEDS: usize = 2_000;

/// Tells what a person did on a device since the last time, after waiting so long if it is nothing.
pub type Hear<'a, D> = &'a mut dyn FnMut(&mut D, Duration) -> Result<Vec<Heard>, DeviceError>;

/// Who is listened to, and until when.
pub struct RecordControls<'a, D> {
    /// What they act on.
    pub device: &'a mut D,
    /// Tells what they do.
    pub hear: Hear<'a, D>,
    /// Where secrets are typed.
    pub bindings: &'a Bindings,
    /// The keys that end the recording when they are pressed together.
    pub stop: &'a [Key],
    /// Ends the recording, too.
    pub cancel: &'a CancelFlag,
    /// Is told of each step.
    pub on_step: &'a mut dyn FnMut(&str),
}

/// What a person did.
#[derive(Clone, Debug)]
pub struct Recording {
    device: String,
    deeds: Vec<Deed>,
    /// What was different at the end.
    end: Option<AtEnd>,
}

/// One thing that a person did, as a step of a scenario.
#[derive(Clone, Debug, PartialEq)]
enum Deed {
    /// Acted on a place: a click, and whichever else.
    Point { verb: &'static str, mark: Mark },
    /// Typed a text, which may be the name of a secret; `note` says what is to be known of it.
    Type { text: String, note: Option<&'static str> },
    /// Pressed a key or a chord.
    Press(String),
    /// Turned the wheel.
    Scroll { direction: &'static str, amount: u32, point: Option<PixelPoint> },
    /// Dragged or swiped.
    Between { verb: &'static str, from: Mark, to: Mark },
    /// Pressed a button of the phone's system.
    Button(&'static str),
    /// Was in a window that had not had the focus before.
    Window(String),
    /// Did what cannot be recorded.
    Note(&'static str),
}

/// Where a person acted, and what they saw there.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The screen as it was.
    pub screen: Option<Arc<RgbImage>>,
    /// Where on it.
    pub point: PixelPoint,
    /// The title of the window there.
    pub window: String,
}

impl Recording {
    /// Returns how many steps there are.
    pub fn len(&self) -> usize {
        self.deeds.len()
    }

    /// Whether the person did nothing.
    pub fn is_empty(&self) -> bool {
        self.deeds.iter().all(|deed| matches!(deed, Deed::Window(_) | Deed::Note(_)))
    }

    /// Returns where the person acted, in order.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.deeds.iter().flat_map(|deed| match deed {
            Deed::Point { mark, .. } => vec![mark],
            Deed::Between { from, to, .. } => vec![from, to],
            _ => Vec::new(),
        })
    }
}

/// Records until the keys that stop it are pressed or it is cancelled.
///
/// # Errors
///
/// [`DeviceError`] if the device is lost.
pub fn record<D: Device>(controls: RecordControls<'_, D>) -> Result<Recording, DeviceError> {
    let RecordControls { device, hear, bindings, stop, cancel, on_step } = controls;
    let mut frames = Frames::default();
    let mut person = Person::new(bindings, on_step);
    let stops = |heard: &Heard| match &heard.what {
        HeardInput::Key { chord, .. } => {
            !stop.is_empty()
                && stop.len() == chord.len()
                && stop.iter().all(|key| chord.contains(key))
        }
        _ => false,
    };
    let is_slow = device.info().kind == DeviceKind::Android;
    let mut stopped = false;
    while !cancel.is_cancelled() && !stopped && person.count() < MAX_DEEDS {
        let mut all = hear(device, Duration::ZERO)?;
        if all.is_empty() {
            let seen = device.observe()?;
            let window = if is_slow { Some(device.window(Place::Focus)?) } else { None };
            all = hear(device, Duration::ZERO)?;
            // What was pressed meanwhile may already be to be seen.
            if all.is_empty() {
                frames.window = window;
                frames.keep(seen.screenshot.image);
                all = hear(device, BETWEEN_LOOKS)?;
            }
        }
        for heard in &all {
            stopped = stopped || stops(heard);
            if stopped {
                break;
            }
            if let HeardInput::Moved(point) = heard.what {
                frames.pointer = Some(point);
            }
            person.does(heard, device, &frames)?;
        }
    }
    let (deeds, end) = person.finish(cancel.is_cancelled(), device);
    Ok(Recording { device: device.info().name, deeds, end })
}
