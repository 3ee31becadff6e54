//! People who press, type and drag, and what is written of it.

use std::collections::VecDeque;

use fs_err as fs;
use handsight_actions::heard::{Heard, HeardButton, HeardInput};
use handsight_actions::key::NamedKey;
use handsight_actions::secret::{Bindings, SecretsFile, Vault};
use handsight_actions::{
    Action, Device, DeviceError, DeviceInfo, DeviceKind, Direction, FakeDevice, FakeScreen, Key,
    Observation, PixelPoint, Place, Rect, Size, Window, WindowAt,
};
use handsight_agent::CancelFlag;

use super::*;

const FIELD: PixelPoint = PixelPoint { x: 60, y: 32 };
const OK: PixelPoint = PixelPoint { x: 50, y: 132 };

/// A screen with a field and a button, in a window of this title.
struct Desk {
    screen: FakeDevice,
    title: &'static str,
    /// The title at the end, of another window if it is of `Another`; without one no window has the focus.
    last_title: &'static str,
    kind: DeviceKind,
}

impl Desk {
    fn new(title: &'static str) -> Self {
        let form = FakeScreen::new("form")
            .field("name", Rect { x: 20, y: 20, width: 200, height: 24 })
            .button("OK", Rect { x: 20, y: 120, width: 60, height: 24 }, None);
        let screen = FakeDevice::new(Size { width: 320, height: 200 }, vec![form]);
        Self { screen, title, last_title: title, kind: DeviceKind::Desktop }
    }
}

impl Device for Desk {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { kind: self.kind, ..self.screen.info() }
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        self.screen.observe()
    }

    fn window(&mut self, _: Place) -> Result<WindowAt, DeviceError> {
        if self.title.is_empty() {
            return Ok(WindowAt::Nothing);
        }
        let area = Rect { x: 0, y: 0, width: 320, height: 200 };
        let (app, title) = ("form".to_owned(), self.title.to_owned());
        let id = if title.starts_with("Another") { 2 } else { 1 };
        Ok(WindowAt::Window(Window { id, app, title, area }))
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        self.screen.perform(action)
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        self.screen.release_all()
    }
}

/// Things done, each so many milliseconds after the one before.
#[derive(Default)]
struct Script(VecDeque<Heard>, u64);

impl Script {
    fn then(mut self, after: u64, what: HeardInput) -> Self {
        self.1 += after;
        self.0.push_back(Heard { at: Duration::from_millis(self.1), what });
        self
    }

    fn press(self, button: HeardButton, from: PixelPoint, to: PixelPoint, held: u64) -> Self {
        self.then(1000, HeardInput::Down { button, point: Some(from) })
            .then(held, HeardInput::Up { button, point: Some(to) })
    }

    fn click(self, at: PixelPoint) -> Self {
        self.press(HeardButton::Left, at, at, 50)
    }

    fn again(self, at: PixelPoint) -> Self {
        let (button, point) = (HeardButton::Left, Some(at));
        self.then(100, HeardInput::Down { button, point })
            .then(50, HeardInput::Up { button, point })
    }

    fn types(self, text: &str) -> Self {
        text.chars().fold(self, |script, char| {
            let chord = vec![Key::Char(char.to_ascii_lowercase())];
            script.then(30, HeardInput::Key { chord, text: Some(char) })
        })
    }

    fn key(self, chord: &str) -> Self {
        let chord = Key::parse_chord(chord).unwrap();
        self.then(200, HeardInput::Key { chord, text: None })
    }

    /// Records all of it and returns the file, and what was told of it.
    fn recorded(mut self, desk: &mut Desk, bindings: &Bindings) -> (String, Vec<String>) {
        let (cancel, mut told) = (CancelFlag::default(), Vec::new());
        let mut quiet = 0;
        let mut hear = |desk: &mut Desk, wait: Duration| {
            // One look at the screen comes between two things.
            quiet += 1;
            if quiet % 3 != 0 || wait.is_zero() {
                return Ok(Vec::new());
            }
            if self.0.is_empty() {
                cancel.cancel();
                desk.title = desk.last_title;
            }
            Ok(self.0.pop_front().into_iter().collect())
        };
        let stop = Key::parse_chord("ctrl+alt+shift+escape").unwrap();
        let recording = record(RecordControls {
            device: desk,
            hear: &mut hear,
            bindings,
            stop: &stop,
            cancel: &cancel,
            on_step: &mut |step| told.push(step.to_owned()),
        })
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my-form.yaml");
        let names: Vec<_> =
            recording.marks().map(|mark| (mark.point == OK).then(|| "OK".to_owned())).collect();
        write_recording(&recording, &names, &path).unwrap();
        (fs::read_to_string(&path).unwrap(), told)
    }
}

fn steps(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| *line != "steps:").skip(1);
    lines
        .map(str::trim)
        .filter(|line| !line.starts_with("# Say") && !line.starts_with("# - "))
        .collect()
}

#[test]
fn presses_become_steps() {
    let mut script = Script::default()
        .click(FIELD)
        .types("Adn")
        .key("backspace")
        .types("a")
        .key("tab")
        .types("{{ x }}")
        .key("ctrl+s")
        .click(OK)
        .again(OK)
        .press(HeardButton::Right, OK, OK, 50)
        .press(HeardButton::Left, OK, OK, 900)
        .press(HeardButton::Left, OK, FIELD, 300);
    for direction in [Direction::Down, Direction::Down, Direction::Up] {
        script = script.then(20, HeardInput::Wheel { direction, point: Some(FIELD) });
    }
    let (text, told) = script.recorded(&mut Desk::new("Profile"), &Bindings::default());
    let place = "\"the place at 60, 32 of Profile\"";
    let expected = [
        "- wait_for: {window: {equals: Profile}}".to_owned(),
        format!("- type: {{text: Ada, into: {place}}}  # say what this is"),
        "- press: tab".to_owned(),
        "- type: \"{{ '{{' }} x }}\"".to_owned(),
        "- press: ctrl+s".to_owned(),
        "- double_click: OK".to_owned(),
        "- right_click: OK".to_owned(),
        "- long_press: OK".to_owned(),
        format!("- drag: {{from: OK, to: {place}}}  # say what this is"),
        "- scroll: {direction: down, amount: 2, over: [60, 32]}".to_owned(),
        "- scroll: {direction: up, amount: 1, over: [60, 32]}".to_owned(),
    ];
    assert_eq!(steps(&text), expected);
    assert!(text.starts_with("# Recorded on fake"), "{text}");
    assert_eq!(told.first().map(String::as_str), Some("click (60, 32)"));
}

#[test]
fn what_is_typed_into_a_window_for_a_secret_is_only_named() {
    let yaml = "secrets:\n  bank: {value: c0rrect, windows: [{title: Login}]}\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.yaml");
    fs::write(&path, yaml).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&path, private).unwrap();
    let vault = Vault::new(Some(SecretsFile::open(&path).unwrap()), []);
    let typed = |title, text: &str| {
        let script = Script::default().click(FIELD).types(text).key("enter");
        let (text, told) = script.recorded(&mut Desk::new(title), &vault.bindings());
        assert!(!told.join(" ").contains("c0rrect"), "{told:?}");
        text
    };
    for entered in ["c0rrect", "wr0ng"] {
        let text = typed("Login", entered);
        assert!(text.contains("text: \"{{secret:bank}}\"") && !text.contains(entered), "{text}");
        assert_eq!(text.contains("say if it is another"), entered == "wr0ng");
    }
    // On a phone the taps on the keys of its keyboard would spell it.
    let mut phone = Desk { kind: DeviceKind::Android, ..Desk::new("Login") };
    let (text, told) = Script::default().click(OK).recorded(&mut phone, &vault.bindings());
    assert!(text.contains("# Taps in a window for secrets are not recorded"), "{text}");
    assert!(!text.contains("click") && told.is_empty(), "{text}");
    // Elsewhere its value is hidden, and nothing else.
    let text = typed("Notes", "say c0rrect");
    assert!(text.contains("\"say {{secret:bank}}\""), "{text}");
}

/// A model that reads this, and points there.
struct Reader(&'static str, PixelPoint);

impl crate::Eyes for Reader {
    fn find(
        &mut self,
        _: &RgbImage,
        target: &str,
    ) -> Result<Option<crate::Found>, crate::EyesError> {
        Ok((target == self.0).then_some(crate::Found { point: self.1, area: None }))
    }

    fn judge(&mut self, _: &RgbImage, _: &str) -> Result<f64, crate::EyesError> {
        Ok(0.5)
    }

    fn read(
        &mut self,
        picture: &RgbImage,
        _: &str,
        _: &serde_json::Value,
    ) -> Result<serde_json::Value, crate::EyesError> {
        // The smallest picture has a part of it only.
        let name = if picture.width() < 150 { "O" } else { self.0 };
        Ok(serde_json::json!(name))
    }

    fn pursue(
        &mut self,
        _: &mut dyn Device,
        _: &str,
        _: Duration,
    ) -> Result<crate::Pursued, crate::EyesError> {
        Ok(crate::Pursued { decisions: 0 })
    }
}

#[test]
fn a_name_is_taken_only_if_the_model_finds_its_way_back_by_it() {
    let image = Desk::new("x").observe().unwrap().screenshot.image;
    let mark = Mark { screen: Some(Arc::new(image)), point: OK, window: String::new() };
    let recording = Recording {
        device: String::new(),
        deeds: vec![Deed::Point { verb: "click", mark }],
        end: None,
    };
    let named = |mut eyes: Reader| name_targets(&recording, &mut eyes, |_| {}).unwrap();
    assert_eq!(named(Reader("OK", PixelPoint { x: 55, y: 130 })), [Some("OK".to_owned())]);
    assert_eq!(named(Reader("OK", PixelPoint { x: 55, y: 30 })), [None]);
}

#[test]
fn the_keys_that_end_a_recording_are_not_in_it() {
    let end = Script::default().click(OK).key("ctrl+alt+shift+escape").click(FIELD);
    let (text, _) = end.recorded(&mut Desk::new("Profile"), &Bindings::default());
    assert_eq!(steps(&text), ["- wait_for: {window: {equals: Profile}}", "- click: OK"]);
    let script = Script::default().click(OK).key("ctrl+c");
    let (text, _) = script.recorded(&mut Desk::new("Profile"), &Bindings::default());
    assert_eq!(steps(&text), ["- wait_for: {window: {equals: Profile}}", "- click: OK"]);
    assert_eq!(Key::Named(NamedKey::Ctrl).to_string(), "ctrl");
}

#[test]
fn what_has_changed_at_the_end_is_proposed_as_a_check() {
    let last = |last_title| {
        let mut desk = Desk { last_title, ..Desk::new("Profile") };
        let (text, _) = Script::default().click(OK).recorded(&mut desk, &Bindings::default());
        steps(&text).get(2).map(|step| (*step).to_owned())
    };
    let front = "- wait_for: {window: {equals: Saved}}  # a proposal: this was in front at the end";
    assert_eq!(last("Saved").as_deref(), Some(front));
    let gone =
        "- wait_for: {not: {window: {equals: Profile}}}  # a proposal: it was gone at the end";
    assert_eq!(last("").as_deref(), Some(gone));
    assert_eq!(last("Another that happens to be there").as_deref(), Some(gone));
    assert_eq!(last("Profile"), None);

    // The terminal is in front only because the recording was ended in it.
    let mut desk = Desk { last_title: "xterm", ..Desk::new("Profile") };
    let script = Script::default().click(OK).key("ctrl+c");
    let (text, _) = script.recorded(&mut desk, &Bindings::default());
    assert!(!text.contains("xterm"), "{text}");
}

#[test]
fn a_target_is_remembered_as_it_was_before_the_pointer_came() {
    use image::{Rgb, RgbImage};
    let at = |x, y| PixelPoint { x, y };
    let plain = RgbImage::from_pixel(400, 300, Rgb([200; 3]));
    let mut hovered = plain.clone();
    hovered.put_pixel(52, 130, Rgb([0; 3]));
    let mut frames = Frames::default();
    frames.pointer = Some(at(300, 20));
    frames.keep(plain.clone());
    frames.pointer = Some(at(50, 130));
    frames.keep(hovered.clone());
    assert_eq!(*frames.before_press(OK).unwrap(), plain);
    // Something else has changed since: the look from before it is of another screen.
    let mut changed = hovered.clone();
    changed.put_pixel(390, 290, Rgb([0; 3]));
    frames.keep(changed.clone());
    assert_eq!(*frames.before_press(OK).unwrap(), changed);
}
