//! Conditions: what is so.

use std::time::{Duration, Instant};

use fs_err as fs;
use handsight_actions::{Fact, FactSaid, Place, ViewSaid, WindowAt};
use handsight_agent::settle::pause;

use super::{Run, StepError};
use crate::files::{MAX_BYTES, read_text};
use crate::scenario::condition::{Condition, Shell, Text, View};
use crate::scenario::template::is_true;

/// How long to wait before something that does not hold is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The most of a text that a message quotes, in characters.
const QUOTED: usize = 200;

/// What a condition was found to be.
pub(super) enum Verdict {
    Holds,
    /// It does not, and this is so instead.
    Found(String),
}

impl Verdict {
    fn of(holds: bool, found: impl FnOnce() -> String) -> Self {
        if holds { Self::Holds } else { Self::Found(found()) }
    }

    pub(super) fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }
}

impl Run<'_, '_> {
    /// Waits until a condition holds, for as long as `patience`.
    ///
    /// A model is asked again only when the screen has changed.
    pub(super) fn hold(
        &mut self,
        condition: &Condition,
        patience: Duration,
    ) -> Result<(), StepError> {
        let deadline = Instant::now() + patience.min(self.time_left());
        self.judged.clear();
        loop {
            match self.judge_again(condition)? {
                Verdict::Holds => {
                    self.keep_renewed();
                    return Ok(());
                }
                Verdict::Found(found) if Instant::now() >= deadline => {
                    return Err(StepError::failed(format!("expected {condition}; {found}")));
                }
                Verdict::Found(_) => {}
            }
            if !pause(LOOK_AGAIN, &self.cancel) && self.is_cancelled() {
                return Err(StepError::Stopped);
            }
        }
    }

    /// Judges a condition now.
    pub(super) fn judge(&mut self, condition: &Condition) -> Result<Verdict, StepError> {
        self.judged.clear();
        self.judge_again(condition)
    }

    /// Returns how probable the model takes a claim to be, which it has said before of a screen that has
    /// not changed.
    fn probability(&mut self, claim: String) -> Result<f64, StepError> {
        let screen = self.look()?;
        let asked = (screen.fingerprint(), claim);
        if let Some(&probability) = self.judged.get(&asked) {
            return Ok(probability);
        }
        self.model_calls += 1;
        let probability = self.controls.eyes.judge(&screen.image, &asked.1)?;
        self.judged.insert(asked, probability);
        Ok(probability)
    }

    /// Judges a condition; what the model said of this very screen holds still.
    fn judge_again(&mut self, condition: &Condition) -> Result<Verdict, StepError> {
        match condition {
            Condition::Seen { claim, at_least } => {
                let claim = self.render(claim)?;
                let probability = self.probability(claim)?;
                Ok(Verdict::of(probability >= *at_least, || {
                    format!("the model is {:.0} % sure of it", probability * 100.0)
                }))
            }
            Condition::That(expression) => {
                let value = expression.value(&self.variables)?;
                Ok(Verdict::of(is_true(&value), || format!("it is {value}")))
            }
            Condition::Window(text) => self.window(text, |window| window.title),
            Condition::App(text) => self.window(text, |window| window.app),
            Condition::File { path, exists, text } => self.file(path, *exists, text.as_ref()),
            Condition::Shell(shell) => {
                let output = self.shell(shell)?;
                Ok(Verdict::of(output.code == Some(0), || output.describe()))
            }
            Condition::Clipboard(text) => {
                let copied = self.controls.device.clipboard()?;
                let Some(copied) = copied else {
                    return Ok(Verdict::Found("there is no text in it".to_owned()));
                };
                let copied = self.controls.device.secrets().redact(&copied).into_owned();
                let matched = self.matches(text, &copied)?;
                Ok(Verdict::of(matched, || format!("it is {}", quoted(&copied))))
            }
            Condition::View(view) => self.view(view),
            Condition::Setting { namespace, key, value } => {
                let (namespace, key) = (namespace.clone(), key.clone());
                match self.fact(&Fact::Setting { namespace, key })? {
                    FactSaid::Text(Some(found)) => {
                        let matched = self.matches(value, &found)?;
                        Ok(Verdict::of(matched, || format!("it is {}", quoted(&found))))
                    }
                    _ => Ok(Verdict::Found("it was never set".to_owned())),
                }
            }
            Condition::Http(check) => self.http(check),
            Condition::Not(condition) => {
                let holds = self.judge_again(condition)?.holds();
                Ok(Verdict::of(!holds, || "it holds".to_owned()))
            }
            Condition::All(conditions) => {
                for condition in conditions {
                    if let Verdict::Found(found) = self.judge_again(condition)? {
                        return Ok(Verdict::Found(format!("{condition}: {found}")));
                    }
                }
                Ok(Verdict::Holds)
            }
            Condition::Any(conditions) => {
                let mut all = Vec::new();
                for condition in conditions {
                    match self.judge_again(condition)? {
                        Verdict::Holds => return Ok(Verdict::Holds),
                        Verdict::Found(found) => all.push(format!("{condition}: {found}")),
                    }
                }
                Ok(Verdict::Found(all.join("; ")))
            }
        }
    }

    fn window(
        &mut self,
        text: &Text,
        part: impl FnOnce(handsight_actions::Window) -> String,
    ) -> Result<Verdict, StepError> {
        match self.controls.device.window(Place::Focus)? {
            WindowAt::Window(window) => {
                let found = part(window);
                let matched = self.matches(text, &found)?;
                Ok(Verdict::of(matched, || format!("it is {}", quoted(&found))))
            }
            WindowAt::Nothing => Ok(Verdict::Found("no window has the focus".to_owned())),
            WindowAt::Unknown => Err(StepError::failed(format!(
                "device `{}` does not tell its windows",
                self.controls.device.info().name
            ))),
        }
    }

    /// Asks the device for something beside its pixels.
    fn fact(&mut self, fact: &Fact) -> Result<FactSaid, StepError> {
        match self.controls.device.fact(fact)? {
            FactSaid::Unknown => Err(StepError::failed(format!(
                "device `{}` has no views and settings that it could tell",
                self.controls.device.info().name
            ))),
            said => Ok(said),
        }
    }

    fn view(&mut self, view: &View) -> Result<Verdict, StepError> {
        let FactSaid::Views(views) = self.fact(&Fact::Views)? else {
            return Ok(Verdict::Found("it tells of no views".to_owned()));
        };
        let id = view.id.as_ref().map(|id| self.render(id)).transpose()?;
        let is_it = |found: &ViewSaid| {
            let short = found.id.rsplit_once('/').map(|(_, id)| id);
            id.as_deref().is_none_or(|id| found.id == id || short == Some(id))
        };
        let is_so = |wanted: Option<bool>, found: bool| wanted.is_none_or(|wanted| wanted == found);
        let mut near = Vec::new();
        for found in views.iter().filter(|found| is_it(found)) {
            let has_text = match &view.text {
                Some(text) => self.matches(text, &found.text)?,
                None => true,
            };
            if !has_text {
                continue;
            }
            if view.checked.is_none_or(|wanted| found.checked == Some(wanted))
                && is_so(view.enabled, found.enabled)
                && is_so(view.focused, found.focused)
            {
                return Ok(Verdict::Holds);
            }
            near.push(format!(
                "{} is{} enabled,{} focused{}",
                quoted(&found.text),
                if found.enabled { "" } else { " not" },
                if found.focused { "" } else { " not" },
                match found.checked {
                    Some(true) => ", checked",
                    Some(false) => ", not checked",
                    None => "",
                },
            ));
        }
        let texts = || {
            let texts = views.iter().map(|view| view.text.as_str()).filter(|text| !text.is_empty());
            quoted(&texts.collect::<Vec<_>>().join(", "))
        };
        let found =
            if near.is_empty() { format!("there are {}", texts()) } else { near.join("; ") };
        Ok(Verdict::Found(found))
    }

    fn file(
        &mut self,
        path: &crate::scenario::template::Template,
        exists: bool,
        text: Option<&Text>,
    ) -> Result<Verdict, StepError> {
        let path = self.render(path)?;
        let path = self.folder().join(path);
        if !exists {
            return Ok(Verdict::of(!path.exists(), || "there is one".to_owned()));
        }
        let Some(text) = text else {
            return Ok(Verdict::of(path.exists(), || "there is none".to_owned()));
        };
        match read_text(&path, MAX_BYTES) {
            Ok(found) => {
                let matched = self.matches(text, &found)?;
                Ok(Verdict::of(matched, || format!("its text is {}", quoted(&found))))
            }
            Err(error) => Ok(Verdict::Found(error.to_string())),
        }
    }

    pub(super) fn matches(&self, text: &Text, found: &str) -> Result<bool, StepError> {
        Ok(match text {
            Text::Equals(expected) => found.trim() == self.render(expected)?.trim(),
            Text::Contains(expected) => found.contains(&self.render(expected)?),
            Text::Matches(pattern) => pattern.is_match(found),
        })
    }

    /// Runs a command and waits for its end.
    pub(super) fn shell(&mut self, shell: &Shell) -> Result<super::process::Output, StepError> {
        let words = match shell {
            Shell::Line(line) => vec!["sh".to_owned(), "-c".to_owned(), self.render(line)?],
            Shell::Words(words) => {
                words.iter().map(|word| self.render(word)).collect::<Result<_, _>>()?
            }
        };
        let folder = self.folder().to_owned();
        // Teardown is not interrupted.
        let cancel = if self.in_teardown { None } else { Some(&self.cancel) };
        self.processes.run(&words, &folder, self.deadline, cancel)
    }

    /// Returns the folder that paths are relative to: that of the file whose steps are done.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.file.last().map_or(std::path::Path::new("."), |scenario| scenario.folder())
    }

    /// Reads a file beside the scenario.
    pub(super) fn read_beside(&self, name: &str) -> Result<String, StepError> {
        let path = crate::scenario::condition::beside(self.folder(), name)?;
        // What a link leads to must be there, too.
        let inside = fs::canonicalize(self.folder())
            .and_then(|folder| Ok(fs::canonicalize(&path)?.starts_with(folder)));
        match inside {
            Ok(true) => {
                read_text(&path, MAX_BYTES).map_err(|error| StepError::failed(error.to_string()))
            }
            Ok(false) => Err(StepError::failed(format!("`{name}` leads out of the folder"))),
            Err(error) => Err(StepError::failed(error.to_string())),
        }
    }
}

/// Returns a text for a message, shortened.
pub(super) fn quoted(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() <= QUOTED {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(QUOTED).collect();
    format!("{start:?} and more")
}
