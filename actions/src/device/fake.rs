//! A device made of scripted screens, for tests, examples and documentation.
//!
//! It is a fake and not a mock: it has state, and a test asks what became of it rather than which
//! functions were called. Screens hold buttons and text fields; a click is hit-tested, a button may
//! lead to another screen, typed text lands in the field that has the focus. It keeps the device
//! contract to the letter, refusals included, and it can be told to fail.

mod draw;
mod screen;

use std::io;

use image::RgbImage;

pub use self::screen::FakeScreen;
use self::screen::WidgetKind;
use super::{Device, DeviceError, DeviceInfo, DeviceKind, admit};
use crate::action::{Action, ActionSpace, Direction};
use crate::geometry::{PixelPoint, Rect, Size};
use crate::key::{Key, NamedKey};
use crate::observation::{Observation, Place, Window, WindowAt};
use crate::screenshot::Screenshot;

/// How a [`FakeDevice`] fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FakeFault {
    /// The device is gone from the action of this number on, counted from 0.
    LostAtAction(usize),
    /// The screenshot of this number fails, counted from 0, and later ones succeed.
    CaptureAt(usize),
    /// The action of this number fails half done, with its keys and buttons held.
    InputAt(usize),
}

/// A device made of scripted screens.
#[derive(Clone, Debug)]
pub struct FakeDevice {
    size: Size,
    screens: Vec<FakeScreen>,
    current: usize,
    /// Index of the widget of the current screen that typed text goes to.
    focus: Option<usize>,
    faults: Vec<FakeFault>,
    action_space: ActionSpace,
    pointer: PixelPoint,
    held: Vec<Held>,
    actions: Vec<Action<PixelPoint>>,
    clicks: Vec<String>,
    scrolled: [i64; 2],
    attempts: usize,
    captures: usize,
}

/// Something a device holds down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Held {
    Button,
    Key(Key),
}

impl FakeDevice {
    /// Makes a device that shows the first of `screens`; with none, an empty screen `blank`.
    pub fn new(size: Size, screens: Vec<FakeScreen>) -> Self {
        let screens = if screens.is_empty() { vec![FakeScreen::new("blank")] } else { screens };
        Self {
            size,
            screens,
            current: 0,
            focus: None,
            faults: Vec::new(),
            action_space: ActionSpace::all(),
            pointer: PixelPoint { x: 0, y: 0 },
            held: Vec::new(),
            actions: Vec::new(),
            clicks: Vec::new(),
            scrolled: [0, 0],
            attempts: 0,
            captures: 0,
        }
    }

    /// Returns the device with one more way to fail.
    #[must_use]
    pub fn with_fault(mut self, fault: FakeFault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Returns the device with other verbs than all of them.
    #[must_use]
    pub fn with_action_space(mut self, action_space: ActionSpace) -> Self {
        self.action_space = action_space;
        self
    }

    /// Returns the actions that were performed, `wait`, `answer` and `terminate` among them.
    pub fn actions(&self) -> &[Action<PixelPoint>] {
        &self.actions
    }

    /// Returns the labels of the widgets that were clicked, with `right`, `middle`, `double`,
    /// `triple` or `long` before the label unless it was a plain click.
    pub fn clicks(&self) -> &[String] {
        &self.clicks
    }

    /// Returns the name of the screen it shows.
    pub fn screen(&self) -> &str {
        &self.screens[self.current].name
    }

    /// Returns what is in the text field of that label on the screen it shows.
    pub fn text(&self, label: &str) -> Option<&str> {
        let screen = &self.screens[self.current];
        screen.widgets.iter().find_map(|widget| match &widget.kind {
            WidgetKind::Field { text, .. } if widget.label == label => Some(text.as_str()),
            _ => None,
        })
    }

    /// Returns the label of the text field that has the focus.
    pub fn focus(&self) -> Option<&str> {
        self.focus.map(|index| self.screens[self.current].widgets[index].label.as_str())
    }

    /// Returns the notches scrolled so far, rightwards and downwards.
    pub fn scrolled(&self) -> [i64; 2] {
        self.scrolled
    }

    /// Returns where the pointer is.
    pub fn pointer(&self) -> PixelPoint {
        self.pointer
    }

    /// Returns the keys that are held down, and whether the mouse button is.
    pub fn held(&self) -> (Vec<Key>, bool) {
        let keys = self.held.iter().filter_map(|held| match held {
            Held::Key(key) => Some(*key),
            Held::Button => None,
        });
        (keys.collect(), self.held.contains(&Held::Button))
    }

    fn lost(task: &'static str) -> DeviceError {
        let source = io::Error::new(io::ErrorKind::BrokenPipe, "the fake device was told to go");
        DeviceError::Lost { device: "fake".to_owned(), task, source: source.into() }
    }

    fn is_lost(&self) -> bool {
        let gone =
            |fault: &FakeFault| matches!(fault, FakeFault::LostAtAction(at) if self.attempts > *at);
        self.faults.iter().any(gone)
    }

    fn click(&mut self, point: PixelPoint, how: &str) {
        self.pointer = point;
        let screen = &self.screens[self.current];
        let Some(index) = screen.widgets.iter().rposition(|w| w.rect.contains(point)) else {
            self.focus = None;
            return;
        };
        let widget = &screen.widgets[index];
        let how = if how.is_empty() { String::new() } else { format!("{how} ") };
        self.clicks.push(format!("{how}{}", widget.label));
        match &widget.kind {
            WidgetKind::Field { .. } => {
                self.focus = Some(index);
                if how == "triple " {
                    self.select_all();
                }
            }
            WidgetKind::Button { leads_to: Some(name) } if matches!(&*how, "" | "double ") => {
                let name = name.clone();
                self.show(&name);
            }
            WidgetKind::Button { .. } => self.focus = None,
        }
    }

    fn show(&mut self, name: &str) {
        if let Some(index) = self.screens.iter().position(|screen| screen.name == name) {
            self.current = index;
            self.focus = None;
        }
    }

    fn write(&mut self, written: &str) {
        for character in written.chars() {
            match character {
                '\t' => self.focus_next(),
                '\n' => self.press_enter(),
                _ => {
                    if let Some(field) = self.focused_field() {
                        field.insert(character);
                    }
                }
            }
        }
    }

    fn select_all(&mut self) {
        if let Some(field) = self.focused_field() {
            field.select_all();
        }
    }

    fn focused_field(&mut self) -> Option<&mut WidgetKind> {
        let index = self.focus?;
        Some(&mut self.screens[self.current].widgets[index].kind)
    }

    fn focus_next(&mut self) {
        let widgets = &self.screens[self.current].widgets;
        let is_field = |index: &usize| matches!(widgets[*index].kind, WidgetKind::Field { .. });
        let after = self.focus.map_or(0, |index| index + 1);
        self.focus = (after..widgets.len()).chain(0..after).find(is_field);
    }

    /// Enter in a field does what a click on the screen's first button would.
    fn press_enter(&mut self) {
        let screen = &self.screens[self.current];
        let leads_to = screen.widgets.iter().find_map(|widget| match &widget.kind {
            WidgetKind::Button { leads_to } => Some(leads_to.clone()),
            WidgetKind::Field { .. } => None,
        });
        if let Some(Some(name)) = leads_to {
            self.show(&name);
        }
    }

    fn press(&mut self, keys: &[Key]) {
        let named = |name| Key::Named(name);
        match *keys {
            [key] if key == named(NamedKey::Enter) => self.press_enter(),
            [key] if key == named(NamedKey::Tab) => self.focus_next(),
            [key] if key == named(NamedKey::Space) => self.write(" "),
            [key] if key == named(NamedKey::Backspace) => {
                if let Some(field) = self.focused_field() {
                    field.erase();
                }
            }
            [Key::Char(character)] => self.write(&character.to_string()),
            [modifier, Key::Char('a')] if modifier == named(NamedKey::Ctrl) => self.select_all(),
            [modifier, Key::Char(character)] if modifier == named(NamedKey::Shift) => {
                self.write(&character.to_uppercase().to_string());
            }
            _ => {}
        }
    }

    fn scroll(&mut self, direction: Direction, amount: u32) {
        let amount = i64::from(amount);
        match direction {
            Direction::Up => self.scrolled[1] -= amount,
            Direction::Down => self.scrolled[1] += amount,
            Direction::Left => self.scrolled[0] -= amount,
            Direction::Right => self.scrolled[0] += amount,
        }
    }

    fn apply(&mut self, action: &Action<PixelPoint>) {
        match action {
            Action::LeftClick { coordinate } => self.click(*coordinate, ""),
            Action::RightClick { coordinate } => self.click(*coordinate, "right"),
            Action::MiddleClick { coordinate } => self.click(*coordinate, "middle"),
            Action::DoubleClick { coordinate } => self.click(*coordinate, "double"),
            Action::TripleClick { coordinate } => self.click(*coordinate, "triple"),
            Action::LongPress { coordinate, .. } => self.click(*coordinate, "long"),
            Action::MouseMove { coordinate } => self.pointer = *coordinate,
            Action::Drag { coordinate2, .. } | Action::Swipe { coordinate2, .. } => {
                self.pointer = *coordinate2;
            }
            Action::Scroll { coordinate, direction, amount } => {
                self.pointer = coordinate.unwrap_or(self.pointer);
                self.scroll(*direction, *amount);
            }
            Action::Type { text } => self.write(text),
            Action::Key { keys } => self.press(keys),
            Action::OpenApp { app } => self.show(app),
            Action::SystemButton { .. }
            | Action::Wait { .. }
            | Action::Answer { .. }
            | Action::CallUser { .. }
            | Action::Terminate { .. } => {}
        }
    }

    /// Leaves held what an action that breaks off in the middle would.
    fn break_off(&mut self, action: &Action<PixelPoint>) -> DeviceError {
        match action {
            Action::Key { keys } => self.held.extend(keys.iter().copied().map(Held::Key)),
            _ if action.point().is_some() => self.held.push(Held::Button),
            _ => {}
        }
        let source = io::Error::other("the fake device was told to fail");
        DeviceError::Input { device: "fake".to_owned(), verb: action.verb(), source: source.into() }
    }
}

impl Device for FakeDevice {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            name: "fake".to_owned(),
            kind: DeviceKind::Fake,
            size: self.size,
            scale: 1.0,
            action_space: self.action_space.clone(),
        }
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        let number = self.captures;
        self.captures += 1;
        if self.is_lost() {
            return Err(Self::lost("take a screenshot"));
        }
        if self.faults.contains(&FakeFault::CaptureAt(number)) {
            let source = io::Error::other("the fake device was told to fail");
            return Err(DeviceError::Capture { device: "fake".to_owned(), source: source.into() });
        }
        let mut image = RgbImage::new(self.size.width, self.size.height);
        draw::screen(&mut image, &self.screens[self.current], self.focus);
        Ok(Observation {
            screenshot: Screenshot::now(image, 1.0),
            foreground_app: Some(self.screen().to_owned()),
        })
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        admit(&self.info(), action)?;
        let number = self.attempts;
        self.attempts += 1;
        if self.is_lost() {
            return Err(Self::lost("perform an action"));
        }
        if self.faults.contains(&FakeFault::InputAt(number)) {
            return Err(self.break_off(action));
        }
        self.apply(action);
        self.actions.push(action.clone());
        Ok(())
    }

    /// Each screen is the one window of an application called `fake`.
    fn window(&mut self, _: Place) -> Result<WindowAt, DeviceError> {
        Ok(WindowAt::Window(Window {
            id: self.current as u64,
            app: "fake".to_owned(),
            title: self.screen().to_owned(),
            area: Rect::whole(self.size),
        }))
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        if self.is_lost() {
            return Err(Self::lost("release its keys"));
        }
        self.held.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 200, height: 120 };

    fn form() -> FakeDevice {
        let row = |y| Rect { x: 10, y, width: 100, height: 20 };
        let form = FakeScreen::new("form").field("Name", row(10)).field("City", row(40)).button(
            "Save",
            row(70),
            Some("saved"),
        );
        FakeDevice::new(SIZE, vec![form, FakeScreen::new("saved")])
    }

    fn perform(device: &mut FakeDevice, json: &str) {
        device.perform(&serde_json::from_str(json).unwrap()).unwrap();
    }

    #[test]
    fn text_lands_in_the_field_that_was_clicked() {
        let mut device = form();
        perform(&mut device, r#"{"action":"type","text":"lost"}"#);
        perform(&mut device, r#"{"action":"left_click","coordinate":[20,45]}"#);
        perform(&mut device, r#"{"action":"type","text":"Zürich 😀\tJosé"}"#);
        assert_eq!((device.text("Name"), device.text("City")), (Some("José"), Some("Zürich 😀")));
        assert_eq!(device.focus(), Some("Name"));
        perform(&mut device, r#"{"action":"key","keys":["ctrl","a"]}"#);
        perform(&mut device, r#"{"action":"type","text":"Ana"}"#);
        perform(&mut device, r#"{"action":"key","keys":["backspace"]}"#);
        assert_eq!(device.text("Name"), Some("An"));
    }

    #[test]
    fn buttons_and_enter_lead_on() {
        let mut device = form();
        let before = device.observe().unwrap().screenshot.fingerprint();
        perform(&mut device, r#"{"action":"right_click","coordinate":[20,75]}"#);
        assert_eq!(device.screen(), "form");
        perform(&mut device, r#"{"action":"left_click","coordinate":[20,75]}"#);
        assert_eq!(device.screen(), "saved");
        assert_eq!(device.clicks(), ["right Save", "Save"]);
        assert_ne!(device.observe().unwrap().screenshot.fingerprint(), before);

        let mut device = form();
        perform(&mut device, r#"{"action":"type","text":"\n"}"#);
        assert_eq!(device.screen(), "saved");
    }

    #[test]
    fn what_is_typed_can_be_seen() {
        let mut device = form();
        perform(&mut device, r#"{"action":"left_click","coordinate":[20,15]}"#);
        let before = device.observe().unwrap().screenshot.fingerprint();
        perform(&mut device, r#"{"action":"type","text":"x"}"#);
        assert_ne!(device.observe().unwrap().screenshot.fingerprint(), before);
    }

    #[test]
    fn a_lost_device_stays_lost() {
        let mut device = form().with_fault(FakeFault::LostAtAction(1));
        perform(&mut device, r#"{"action":"mouse_move","coordinate":[1,1]}"#);
        device.observe().unwrap();
        let action = Action::MouseMove { coordinate: PixelPoint { x: 2, y: 2 } };
        assert!(device.perform(&action).unwrap_err().is_fatal());
        assert!(device.observe().unwrap_err().is_fatal());
        assert!(device.release_all().is_err());
        assert_eq!(device.actions().len(), 1);
    }

    #[test]
    fn a_failed_capture_is_not_the_end() {
        let mut device = form().with_fault(FakeFault::CaptureAt(0));
        assert!(matches!(device.observe(), Err(DeviceError::Capture { .. })));
        device.observe().unwrap();
    }

    #[test]
    fn release_all_lets_go_of_what_an_error_left_held() {
        let mut device = form().with_fault(FakeFault::InputAt(0)).with_fault(FakeFault::InputAt(1));
        let chord = Action::Key { keys: vec![NamedKey::Ctrl.into(), Key::Char('s')] };
        let drag = Action::Drag {
            coordinate: PixelPoint { x: 1, y: 1 },
            coordinate2: PixelPoint { x: 9, y: 9 },
        };
        device.perform(&chord).unwrap_err();
        device.perform(&drag).unwrap_err();
        assert_eq!(device.held(), (vec![NamedKey::Ctrl.into(), Key::Char('s')], true));
        device.release_all().unwrap();
        device.release_all().unwrap();
        assert_eq!(device.held(), (vec![], false));
    }

    #[test]
    fn scrolling_adds_up() {
        let mut device = form();
        perform(&mut device, r#"{"action":"scroll","direction":"down","amount":5}"#);
        perform(
            &mut device,
            r#"{"action":"scroll","coordinate":[3,4],"direction":"left","amount":2}"#,
        );
        assert_eq!((device.scrolled(), device.pointer()), ([-2, 5], PixelPoint { x: 3, y: 4 }));
    }
}
