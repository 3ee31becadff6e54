//! A scenario that is being written by a program: steps as people would write them, and anchors of their
//! targets beside the file.

mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use handsight_actions::{PixelPoint, Rect};
use image::RgbImage;
use serde_json::{Value, json};

use crate::anchor::{Anchor, AnchorError, AnchorKey, Anchors};
use crate::files::replace;
use crate::scenario::{Scenario, ScenarioError};

/// The most characters of a target's words.
const MAX_WORDS: usize = 80;

/// A scenario that is being written.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    title: String,
    about: Vec<String>,
    steps: Vec<String>,
    /// How many targets have these very words, as the reader of the file counts them.
    seen: BTreeMap<String, u32>,
    anchors: Anchors,
    has_check: bool,
}

/// A target as it stands in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct DraftTarget {
    value: Value,
    /// What is to be known of it.
    comment: Option<String>,
}

/// What a device itself told at the end of what a draft is made of: certain without a model.
#[derive(Clone, Debug, PartialEq)]
pub enum AtEnd {
    /// Something else was in front by then.
    Front(InFront),
    /// What had been in front was not any more.
    Gone(InFront),
}

/// What is in front, as a device tells it.
#[derive(Clone, Debug, PartialEq)]
pub enum InFront {
    /// A window with this title.
    Window(String),
    /// A window of this application.
    App(String),
}

/// Why a scenario could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// There is such a file.
    #[error("`{}` is there already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("could not write the scenario")]
    Write {
        /// What the operating system said; it names the file.
        #[source]
        source: std::io::Error,
    },
    /// Its anchors cannot be written.
    #[error(transparent)]
    Anchors(#[from] AnchorError),
    /// What was written cannot be read again.
    #[error("what was written is no scenario")]
    Unreadable(#[source] Box<ScenarioError>),
}

impl DraftError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => Some("name a file that does not exist yet".to_owned()),
            Self::Write { .. } => Some("name a file in a folder that can be written to".to_owned()),
            Self::Anchors(error) => error.hint().map(str::to_owned),
            Self::Unreadable(_) => Some("please report it, with the file".to_owned()),
        }
    }
}

impl AtEnd {
    /// Returns what is to be checked, given what was in front while things were done, and at the end: nothing,
    /// if that is the same. When a window closes on a desktop, any other that happens to be open comes to the
    /// front, so what is there is only checked if it is `sure` that it came of what was done.
    pub(crate) fn of(last: Option<InFront>, end: Option<InFront>, sure: bool) -> Option<Self> {
        match (last, end) {
            (last, end) if last == end => None,
            (_, Some(end)) if sure => Some(Self::Front(end)),
            (last, _) => last.map(Self::Gone),
        }
    }
}

impl InFront {
    fn condition(&self) -> Value {
        match self {
            Self::Window(title) => json!({ "window": { "equals": literal(title) } }),
            Self::App(app) => json!({ "app": { "equals": literal(app) } }),
        }
    }
}

impl DraftTarget {
    /// Says something of it.
    #[must_use]
    pub fn noting(self, text: &str) -> Self {
        let comment = match self.comment {
            Some(comment) => format!("{comment}; {text}"),
            None => text.to_owned(),
        };
        Self { comment: Some(comment), ..self }
    }
}

impl Draft {
    /// Begins a scenario.
    ///
    /// # Errors
    ///
    /// [`DraftError::Exists`]: nobody's scenario is overwritten.
    pub fn new(path: &Path, title: &str) -> Result<Self, DraftError> {
        Self::check_new(path)?;
        Ok(Self {
            path: path.to_owned(),
            title: title.split_whitespace().collect::<Vec<_>>().join(" "),
            about: Vec::new(),
            steps: Vec::new(),
            seen: BTreeMap::new(),
            anchors: Anchors::empty(Anchors::folder_of(path)),
            has_check: false,
        })
    }

    /// Checks that there is no such file yet.
    ///
    /// # Errors
    ///
    /// [`DraftError::Exists`].
    pub fn check_new(path: &Path) -> Result<(), DraftError> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(DraftError::Exists { path: path.to_owned() });
        }
        Ok(())
    }

    /// Says something at the head of the file.
    pub fn about(&mut self, text: &str) {
        self.about.push(yaml::comment(text));
    }

    /// Names what was acted on at a point of a screenshot, and remembers what it looked like. What could
    /// not be found again by its looks is a point.
    pub fn target(
        &mut self,
        words: &str,
        screen: Option<&RgbImage>,
        point: PixelPoint,
        area: Option<Rect>,
    ) -> DraftTarget {
        let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let words: String = words.chars().take(MAX_WORDS).collect();
        let anchor = screen.and_then(|screen| Anchor::of(screen, point, area));
        let Some(anchor) = anchor.filter(|_| !words.is_empty()) else {
            let value = json!([point.x, point.y]);
            let comment =
                (!words.is_empty()).then(|| format!("{words}; nothing there to know it by"));
            return DraftTarget { value, comment };
        };
        let source = literal(&words);
        let nth = self.seen.entry(source.clone()).or_default();
        *nth += 1;
        self.anchors.put(AnchorKey { target: words, nth: *nth }, anchor, &BTreeSet::new());
        DraftTarget { value: Value::String(source), comment: None }
    }

    /// Adds a step that acts on a target.
    pub fn on(&mut self, verb: &str, target: &DraftTarget) {
        self.step(verb, &target.value, target.comment.as_deref());
    }

    /// Adds a step that types a text, after clicking a target if there is one.
    pub fn types(&mut self, text: &str, into: Option<DraftTarget>) {
        let text = literal(text);
        match into {
            Some(into) => {
                let value = json!({ "text": text, "into": into.value });
                self.step("type", &value, into.comment.as_deref());
            }
            None => self.step("type", &Value::String(text), None),
        }
    }

    /// Adds a step that moves from one target to another.
    pub fn between(&mut self, verb: &str, from: DraftTarget, to: DraftTarget) {
        let value = json!({ "from": from.value, "to": to.value });
        self.step(verb, &value, from.comment.or(to.comment).as_deref());
    }

    /// Adds a step that turns the wheel.
    pub fn scrolls(&mut self, direction: &str, amount: u32, over: Option<PixelPoint>) {
        let mut value = json!({ "direction": direction, "amount": amount });
        if let Some(point) = over {
            value["over"] = json!([point.x, point.y]);
        }
        self.step("scroll", &value, None);
    }

    /// Adds a step with a text for its verb, which is taken as it stands.
    pub fn says(&mut self, verb: &str, text: &str) {
        self.step(verb, &Value::String(literal(text)), None);
    }

    /// Adds a step that waits.
    pub fn waits(&mut self, seconds: f64) {
        self.step("wait", &json!(seconds), None);
    }

    /// Adds a step that waits until a window with this title has the focus.
    pub fn waits_for_window(&mut self, title: &str) {
        self.step("wait_for", &InFront::Window(title.to_owned()).condition(), None);
    }

    /// Adds a check that what was so at the end is so again; a program may take its time for it.
    pub fn ends(&mut self, end: &AtEnd) {
        let (condition, comment) = match end {
            AtEnd::Front(front) => (front.condition(), "a proposal: this was in front at the end"),
            AtEnd::Gone(front) => {
                (json!({ "not": front.condition() }), "a proposal: it was gone at the end")
            }
        };
        self.step("wait_for", &condition, Some(comment));
        self.has_check = true;
    }

    /// Says something between steps.
    pub fn comment(&mut self, text: &str) {
        self.steps.push(format!("  {}", yaml::comment(text)));
    }

    /// Returns how many steps there are.
    pub fn steps_count(&self) -> usize {
        self.steps.iter().filter(|step| step.trim_start().starts_with("- ")).count()
    }

    fn step(&mut self, verb: &str, value: &Value, comment: Option<&str>) {
        let comment = comment.map_or_else(String::new, |text| format!("  {}", yaml::comment(text)));
        self.steps.push(format!("  - {verb}: {}{comment}", yaml::flow(value)));
    }

    /// Writes the file and its anchors, and reads it again. A program knows little that is worth checking, so
    /// the file ends with a word on where more belongs.
    ///
    /// # Errors
    ///
    /// [`DraftError`]; a scenario without steps is [`DraftError::Unreadable`].
    pub fn save(mut self) -> Result<Scenario, DraftError> {
        let what = if self.has_check { "what else" } else { "what" };
        self.comment(&format!("Say here {what} must be so at the end, such as"));
        self.comment("- expect: {file: {path: out.txt, text: saved}}");
        let mut lines = self.about;
        lines.push(format!("scenario: {}", yaml::flow(&Value::String(self.title))));
        lines.push("steps:".to_owned());
        lines.extend(self.steps);
        let text = lines.join("\n") + "\n";
        if self.anchors.is_changed() {
            self.anchors.save()?;
        }
        replace(&self.path, text.as_bytes()).map_err(|source| DraftError::Write { source })?;
        Scenario::open(&self.path).map_err(|error| DraftError::Unreadable(Box::new(error)))
    }
}

/// Returns a text in which nothing is an expression but the names of secrets.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) =
        rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min()
    {
        literal += &rest[..at];
        let tail = &rest[at..];
        let secret = tail.strip_prefix("{{secret:").and_then(|tail| tail.find("}}"));
        let whole = if let Some(end) = secret {
            let whole = "{{secret:".len() + end + "}}".len();
            literal += &tail[..whole];
            whole
        } else {
            let _ = write!(literal, "{{{{ '{}' }}}}", &tail[..2]);
            2
        };
        rest = &tail[whole..];
    }
    literal + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::template::{Template, Variables};

    #[test]
    fn what_looks_like_an_expression_is_typed_as_it_is() {
        for text in ["{{ x }}", "{% raw %}", "a {# b", "{{{{", "}} {{", "{{secret:bank}} {{ 1 }}"] {
            let rendered = Template::parse(&literal(text)).unwrap().render(&Variables::new());
            assert_eq!(rendered.as_deref(), Ok(text), "{}", literal(text));
        }
    }

    #[test]
    fn a_draft_is_a_scenario_whatever_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("draft.yaml");
        let mut draft = Draft::new(&path, "a: \"b\"\n# c").unwrap();
        draft.about("line\nwith {a: b}");
        let bare = RgbImage::new(64, 64);
        let point = PixelPoint { x: 3, y: 4 };
        let target = draft.target("the \"X\" # button", Some(&bare), point, None);
        draft.on("click", &target);
        for text in
            ["yes", "null", "1e3", "- a", "tab\tnew\nline", "\u{7f}\u{85}\u{feff}é{{ 1 }}", "'"]
        {
            draft.types(text, None);
        }
        draft.says("press", "ctrl+s");
        draft.scrolls("down", 3, Some(point));
        draft.waits(1.5);
        draft.waits_for_window("Save: \"x\" {{");
        draft.comment("a\nb");
        draft.ends(&AtEnd::Gone(InFront::App("a: \"b\"".to_owned())));
        assert_eq!(draft.steps_count(), 13);
        let scenario = draft.save().unwrap();
        assert_eq!((scenario.title.as_str(), scenario.steps_count()), ("a: \"b\" # c", 13));
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("  - click: [3, 4]  # the \"X\" # button; nothing there to know it by\n")
        );
        assert!(text.contains("  - press: ctrl+s\n"), "{text}");
        assert!(matches!(Draft::new(&path, "x"), Err(DraftError::Exists { .. })));
    }
}
