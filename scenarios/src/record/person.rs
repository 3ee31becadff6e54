//! Presses and releases become clicks, texts and chords.

use std::time::Duration;

use handsight_actions::heard::{Heard, HeardButton, HeardInput};
use handsight_actions::secret::{Bindings, Written};
use handsight_actions::{
    Device, DeviceError, DeviceKind, Direction, Key, PixelPoint, Place, WindowAt,
};

use super::frames::Frames;
use super::{Deed, Mark};
use crate::draft::{AtEnd, InFront};

/// How far a press and its release may be apart and still be a click, in pixels.
const STEADY: i32 = 6;

/// How soon a click must follow another to be one with it.
const CHAIN: Duration = Duration::from_millis(500);

/// How long a press must last to be a long one.
const LONG: Duration = Duration::from_millis(700);

/// How far apart turns of the wheel are one scroll, in pixels.
const SAME_PLACE: i32 = 40;

/// What is said of a text in a window for secrets that is not the value of one.
const NOT_ITS_VALUE: &str = "something was typed where this secret goes; say if it is another";

/// What is said of presses beside what is recorded.
const OUTSIDE: &str = "Something was done outside of what is recorded.";

/// What is said of a phone's window for secrets.
const TAPS_OF_SECRETS: &str = "Taps in a window for secrets are not recorded, since they may spell one; say \
                               here what is done.";

/// What the name of a secret begins with.
const SECRET: &str = "{{secret:";

/// What is said of keys without a name.
const NAMELESS: &str = "A key was pressed here that cannot be recorded, such as a dead accent.";

/// What a person has done so far.
pub(super) struct Person<'a> {
    bindings: &'a Bindings,
    on_step: &'a mut dyn FnMut(&str),
    deeds: Vec<Deed>,
    /// What is being typed, and into which window.
    text: Option<(String, WindowAt)>,
    /// A button that is down.
    down: Option<(HeardButton, Duration, Mark)>,
    /// When and where the last click was.
    last_click: Option<(Duration, PixelPoint)>,
    /// The number and the title of the window that had the focus last.
    window: (u64, String),
}

impl<'a> Person<'a> {
    pub(super) fn new(bindings: &'a Bindings, on_step: &'a mut dyn FnMut(&str)) -> Self {
        Self {
            bindings,
            on_step,
            deeds: Vec::new(),
            text: None,
            down: None,
            last_click: None,
            window: (0, String::new()),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.deeds.len()
    }

    /// Takes in one thing that the person did.
    pub(super) fn does(
        &mut self,
        heard: &Heard,
        device: &mut dyn Device,
        frames: &Frames,
    ) -> Result<(), DeviceError> {
        match &heard.what {
            HeardInput::Down { point: None, .. } => self.note(OUTSIDE),
            HeardInput::Down { button, point: Some(point) } => {
                self.end_text();
                let (under, front) = match &frames.window {
                    Some(known) => (known.clone(), known.clone()),
                    None => (window(device, Place::Point(*point))?, window(device, Place::Focus)?),
                };
                if let (WindowAt::Window(pressed), WindowAt::Window(focused)) = (&under, front)
                    && pressed.id == focused.id
                {
                    self.is_in(&WindowAt::Window(focused));
                }
                let on_phone = device.info().kind == DeviceKind::Android;
                // The keys of an on-screen keyboard would spell it. By now it may be another window, which
                // the press may have been in already.
                if on_phone
                    && (self.bindings.is_for_secrets(&under)
                        || self.bindings.is_for_secrets(&window(device, Place::Focus)?))
                {
                    self.note(TAPS_OF_SECRETS);
                    return Ok(());
                }
                let mark = Mark {
                    screen: frames.before_press(*point),
                    point: *point,
                    window: self.title(&under),
                };
                self.down = Some((*button, heard.at, mark));
            }
            HeardInput::Up { button, point } => self.up(*button, *point, heard.at, device),
            HeardInput::Wheel { direction, point } => self.turns(*direction, *point),
            HeardInput::Key { chord, text } => self.key(chord, *text, device)?,
            HeardInput::System(button) => {
                self.end_text();
                self.push(Deed::Button(button.as_str()));
            }
            HeardInput::Unknown => {
                self.end_text();
                self.note(NAMELESS);
            }
            _ => {}
        }
        Ok(())
    }

    fn up(
        &mut self,
        button: HeardButton,
        point: Option<PixelPoint>,
        at: Duration,
        device: &mut dyn Device,
    ) {
        let Some((_, since, mark)) = self.down.take_if(|(down, _, _)| *down == button) else {
            return;
        };
        let end = point.unwrap_or(mark.point);
        let is_steady = apart(end, mark.point) <= STEADY;
        if !is_steady {
            let phone = device.info().kind == DeviceKind::Android;
            let to = Mark { point: end, ..mark.clone() };
            self.push(Deed::Between { verb: if phone { "swipe" } else { "drag" }, from: mark, to });
            return;
        }
        let verb = match button {
            HeardButton::Middle => "middle_click",
            HeardButton::Right => "right_click",
            _ if at.saturating_sub(since) >= LONG => "long_press",
            _ => "click",
        };
        let is_chained = self.last_click.is_some_and(|(last, place)| {
            at.saturating_sub(last) <= CHAIN && apart(place, end) <= STEADY
        });
        self.last_click = (verb == "click").then_some((at, end));
        if verb == "click"
            && is_chained
            && let Some(Deed::Point { verb, .. }) = self.deeds.last_mut()
            && let Some(more) = one_more(verb)
        {
            *verb = more;
            return;
        }
        self.push(Deed::Point { verb, mark });
    }

    fn turns(&mut self, towards: Direction, at: Option<PixelPoint>) {
        self.end_text();
        let towards = towards.as_str();
        if let Some(Deed::Scroll { direction, amount, point }) = self.deeds.last_mut()
            && *direction == towards
            && point.zip(at).is_none_or(|(a, b)| apart(a, b) <= SAME_PLACE)
        {
            *amount += 1;
            return;
        }
        self.push(Deed::Scroll { direction: towards, amount: 1, point: at });
    }

    fn key(
        &mut self,
        chord: &[Key],
        text: Option<char>,
        device: &mut dyn Device,
    ) -> Result<(), DeviceError> {
        let window = match (window(device, Place::Focus)?, &self.text) {
            // What has gone in between is where the text before went, too.
            (WindowAt::Nothing, Some((_, typed_into))) => typed_into.clone(),
            (window, _) => window,
        };
        let same = |a: &WindowAt, b: &WindowAt| match (a, b) {
            (WindowAt::Window(a), WindowAt::Window(b)) => a.id == b.id,
            (a, b) => a == b,
        };
        // What is typed into another window is another text, and may be a secret.
        if self.text.as_ref().is_some_and(|(_, typed_into)| !same(typed_into, &window)) {
            self.end_text();
        }
        self.last_click = None;
        if let Some(char) = text {
            if self.text.is_none() {
                self.is_in(&window);
            }
            self.text.get_or_insert_with(|| (String::new(), window)).0.push(char);
            return Ok(());
        }
        let is_backspace = chord == [Key::Named(handsight_actions::key::NamedKey::Backspace)];
        if is_backspace
            && let Some((typed, _)) = &mut self.text
            && typed.pop().is_some()
        {
            return Ok(());
        }
        self.end_text();
        self.is_in(&window);
        self.push(Deed::Press(Key::write_chord(chord)));
        Ok(())
    }

    /// Notes that a window has the focus, if it had not.
    fn is_in(&mut self, window: &WindowAt) {
        let title = self.title(window);
        // A title with a secret in it could not be waited for.
        let WindowAt::Window(window) = window else { return };
        if title != self.window.1 && !title.is_empty() && !title.contains(SECRET) {
            self.window = (window.id, title.clone());
            self.deeds.push(Deed::Window(title));
        }
    }

    fn title(&self, window: &WindowAt) -> String {
        match window {
            WindowAt::Window(window) => self.bindings.redact(&window.title),
            WindowAt::Nothing | WindowAt::Unknown => String::new(),
        }
    }

    /// Writes down what was typed.
    fn end_text(&mut self) {
        let Some((text, window)) = self.text.take() else { return };
        if text.is_empty() {
            return;
        }
        let (text, note) = match self.bindings.written(&text, &window) {
            Written::Text(text) => (text, None),
            Written::Secret { name, is_value } => {
                (name.placeholder(), (!is_value).then_some(NOT_ITS_VALUE))
            }
        };
        self.push(Deed::Type { text, note });
    }

    fn note(&mut self, text: &'static str) {
        if self.deeds.last() != Some(&Deed::Note(text)) {
            self.deeds.push(Deed::Note(text));
        }
    }

    fn push(&mut self, deed: Deed) {
        let said = match &deed {
            Deed::Point { verb, mark } => format!("{verb} {}", mark.point),
            Deed::Type { text, .. } => format!("type {text:?}"),
            Deed::Press(keys) => format!("press {keys}"),
            Deed::Scroll { direction, .. } => format!("scroll {direction}"),
            Deed::Between { verb, from, to } => format!("{verb} {} to {}", from.point, to.point),
            Deed::Button(name) => format!("button {name}"),
            Deed::Window(_) | Deed::Note(_) => String::new(),
        };
        (self.on_step)(&said);
        self.deeds.push(deed);
    }

    /// Returns all that was done, and what is different now; `from_terminal` leaves out the Ctrl-C that
    /// ended it, and the click into the window that it was pressed in.
    pub(super) fn finish(
        mut self,
        from_terminal: bool,
        device: &mut dyn Device,
    ) -> (Vec<Deed>, Option<AtEnd>) {
        self.end_text();
        if from_terminal && self.deeds.last() == Some(&Deed::Press("ctrl+c".to_owned())) {
            self.deeds.pop();
            if let Some(Deed::Window(title)) =
                self.deeds.pop_if(|deed| matches!(deed, Deed::Window(_)))
            {
                self.deeds.pop_if(
                    |deed| matches!(deed, Deed::Point { mark, .. } if mark.window == title),
                );
            }
            // What was in front before the terminal is not known.
            return (self.deeds, None);
        }
        let end = self.at_end(device);
        (self.deeds, end)
    }

    /// Returns what is different in front of a device now.
    fn at_end(&self, device: &mut dyn Device) -> Option<AtEnd> {
        // A device that is lost by now has told all the rest.
        let front = window(device, Place::Focus).ok()?;
        let sure = match &front {
            WindowAt::Unknown => return None,
            WindowAt::Nothing => false,
            WindowAt::Window(front) => {
                front.id == self.window.0 || device.info().kind == DeviceKind::Android
            }
        };
        let titled = |title: String| (!title.is_empty()).then_some(InFront::Window(title));
        let title = self.title(&front);
        if title.contains(SECRET) {
            return None;
        }
        AtEnd::of(titled(self.window.1.clone()), titled(title), sure)
    }
}

/// Returns the window at a place; one that has gone in between is none.
fn window(device: &mut dyn Device, place: Place) -> Result<WindowAt, DeviceError> {
    match device.window(place) {
        Err(error) if !error.is_fatal() => Ok(WindowAt::Nothing),
        found => found,
    }
}

/// How far two points are apart, along the axis on which it is more.
fn apart(a: PixelPoint, b: PixelPoint) -> i32 {
    (a.x - b.x).abs().max((a.y - b.y).abs())
}

/// What one more click makes of a click.
fn one_more(verb: &str) -> Option<&'static str> {
    match verb {
        "click" => Some("double_click"),
        "double_click" => Some("triple_click"),
        _ => None,
    }
}
