//! Steps after their check: exactly one verb each, with what belongs to it.

use std::collections::BTreeMap;
use std::time::Duration;

use handsight_actions::{Direction, Key, PixelPoint, SystemButton, Verb};
use serde_json::Value;

use super::condition::{Condition, Shell};
use super::file::{self, StepFields, StepFile};
use super::template::{Expression, Template};

/// The longest a step may take, in seconds, and the longest of `wait`.
const MAX_SECONDS: f64 = 86_400.0;

/// The most rounds of a loop.
const MAX_ROUNDS: u32 = 10_000;

/// The most times a step is tried again.
const MAX_RETRIES: u32 = 100;

/// How many notches a scroll turns if nothing is said.
pub(crate) const NOTCHES: u32 = 5;

/// How long a long press takes if nothing is said, in seconds.
pub(crate) const LONG_PRESS: f64 = 1.0;

/// What the device is called that `--device` names, where there are others.
const OWN_DEVICE: &str = "the scenario's own device";

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Where it is among the steps, for messages: `steps[2].then[0]`.
    pub(crate) id: String,
    /// Its line in the file, from 1.
    pub(crate) line: u64,
    /// Its column, from 1.
    pub(crate) column: u64,
    /// What reports call it.
    pub(crate) name: Option<String>,
    /// Words by which it can be left out.
    pub(crate) tags: Vec<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: u32,
    pub(crate) continue_on_error: bool,
    pub(crate) task: Task,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    Pursue { goal: Template },
    Point { verb: Verb, target: Target },
    Type { text: Template, into: Option<Target> },
    Press { keys: Template },
    Scroll { direction: Direction, amount: u32, over: Option<Target> },
    Between { verb: Verb, from: Target, to: Target },
    Open { app: Template },
    Button(SystemButton),
    Wait(Duration),
    WaitFor(Condition),
    Expect(Condition),
    Extract { question: Template, schema: Option<Value>, variable: String },
    Set(BTreeMap<String, Value>),
    Shell { command: Shell, variable: Option<String> },
    Start(Vec<Template>),
    If { condition: Condition, then: Vec<Step>, otherwise: Vec<Step> },
    Loop { until: bool, condition: Condition, steps: Vec<Step>, at_most: u32 },
    Each { over: Each, variable: String, steps: Vec<Step> },
    Include { file: String, vars: BTreeMap<String, Value> },
    Group { title: String, steps: Vec<Step> },
    Parallel { branches: Vec<Branch> },
}

/// Steps on one of several devices.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    /// Which of the named devices; the scenario's own, if none.
    pub(crate) device: Option<String>,
    /// Its steps, as one group.
    pub(crate) step: Step,
}

/// What a step acts on.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Words, and which of the targets of these very words in the file it is.
    Words {
        words: Template,
        nth: u32,
    },
    Point(PixelPoint),
}

/// What steps are done for.
#[derive(Clone, Debug)]
pub(crate) enum Each {
    Values(Vec<Value>),
    File(String),
    Expression(Expression),
}

/// What is wrong with a step, and which.
#[derive(Debug)]
pub(crate) struct StepProblem {
    pub(crate) at: serde_saphyr::Location,
    pub(crate) problem: String,
}

/// Reads the steps of a file, counting targets.
#[derive(Default)]
pub(crate) struct Reader {
    seen: BTreeMap<String, u32>,
}

impl Reader {
    /// Checks a list of steps; `id` is what the list is called.
    pub(crate) fn steps(&mut self, files: &[StepFile], id: &str) -> Result<Vec<Step>, StepProblem> {
        let numbered = files.iter().enumerate();
        numbered.map(|(index, file)| self.step(file, format!("{id}[{index}]"))).collect()
    }

    fn step(&mut self, file: &StepFile, id: String) -> Result<Step, StepProblem> {
        let fields = &*file.fields;
        let wrong = |problem: String| StepProblem { at: file.at, problem };
        let inner = Inner {
            then: self.list(fields.then_steps.as_deref(), &id, "then")?,
            otherwise: self.list(fields.else_steps.as_deref(), &id, "else")?,
            steps: self.list(fields.steps.as_deref(), &id, "steps")?,
            branches: self.branches(fields.parallel.as_deref(), (&id, file.at))?,
        };
        let retry = fields.retry.unwrap_or(0);
        if retry > MAX_RETRIES {
            return Err(wrong(format!("`retry` is {retry}, more than {MAX_RETRIES}")));
        }
        Ok(Step {
            line: file.at.line(),
            column: file.at.column(),
            name: fields.name.clone(),
            tags: fields.tags.clone(),
            timeout: fields.timeout.map(seconds).transpose().map_err(wrong)?,
            retry,
            continue_on_error: fields.continue_on_error.unwrap_or(false),
            task: self.task(fields, inner).map_err(wrong)?,
            id,
        })
    }

    fn list(
        &mut self,
        files: Option<&[StepFile]>,
        id: &str,
        name: &str,
    ) -> Result<Option<Vec<Step>>, StepProblem> {
        files.map(|files| self.steps(files, &format!("{id}.{name}"))).transpose()
    }

    /// Reads branches, each as a group of steps.
    fn branches(
        &mut self,
        files: Option<&[file::BranchFile]>,
        (id, at): (&str, serde_saphyr::Location),
    ) -> Result<Vec<Branch>, StepProblem> {
        let numbered = files.unwrap_or_default().iter().enumerate();
        let branch = |(index, file): (usize, &file::BranchFile)| {
            let id = format!("{id}.parallel[{index}]");
            let steps = self.steps(&file.steps, &format!("{id}.steps"))?;
            let title = format!("on {}", file.device.as_deref().unwrap_or(OWN_DEVICE));
            let step = Step {
                id,
                line: steps.first().map_or(at.line(), |step| step.line),
                column: steps.first().map_or(at.column(), |step| step.column),
                name: None,
                tags: Vec::new(),
                timeout: None,
                retry: 0,
                continue_on_error: false,
                task: Task::Group { title, steps },
            };
            Ok(Branch { device: file.device.clone(), step })
        };
        numbered.map(branch).collect()
    }

    fn task(&mut self, fields: &StepFields, mut inner: Inner) -> Result<Task, String> {
        let mut verbs = Verbs::default();
        self.acting(fields, &mut verbs)?;
        Self::looking(fields, &mut verbs)?;
        Self::flow(fields, &mut inner, &mut verbs)?;
        let (name, task) = verbs.only()?;
        inner.all_used(name)?;
        check_companions(name, fields)?;
        Ok(task)
    }

    /// Reads the verbs that act on the screen.
    fn acting(&mut self, f: &StepFields, verbs: &mut Verbs) -> Result<(), String> {
        verbs.put("do", f.pursue.as_ref(), |goal| {
            Ok(Task::Pursue { goal: Template::parse(goal)? })
        })?;
        for (name, verb, target) in [
            ("click", Verb::LeftClick, &f.click),
            ("double_click", Verb::DoubleClick, &f.double_click),
            ("triple_click", Verb::TripleClick, &f.triple_click),
            ("middle_click", Verb::MiddleClick, &f.middle_click),
            ("right_click", Verb::RightClick, &f.right_click),
            ("long_press", Verb::LongPress, &f.long_press),
            ("hover", Verb::MouseMove, &f.hover),
        ] {
            verbs.put(name, target.as_ref(), |target| {
                Ok(Task::Point { verb, target: self.target(target)? })
            })?;
        }
        verbs.put("type", f.type_text.as_ref(), |file| self.typed(file))?;
        verbs.put("press", f.press.as_ref(), |keys| {
            let keys = Template::parse(keys)?;
            if keys.names().is_empty() {
                chord(keys.source())?;
            }
            Ok(Task::Press { keys })
        })?;
        verbs.put("scroll", f.scroll.as_ref(), |file| {
            let over = file.over.as_ref().map(|target| self.target(target)).transpose()?;
            let amount = file.amount.unwrap_or(NOTCHES);
            Ok(Task::Scroll { direction: file.direction, amount, over })
        })?;
        for (name, verb, between) in
            [("drag", Verb::Drag, &f.drag), ("swipe", Verb::Swipe, &f.swipe)]
        {
            verbs.put(name, between.as_ref(), |file| {
                let from = self.target(&file.from)?;
                Ok(Task::Between { verb, from, to: self.target(&file.to)? })
            })?;
        }
        verbs.put("open", f.open.as_ref(), |app| Ok(Task::Open { app: Template::parse(app)? }))?;
        verbs.put("button", f.button.as_ref(), |name| Ok(Task::Button(button(name)?)))?;
        Ok(())
    }

    /// Reads the verbs that wait, look and run programs.
    fn looking(f: &StepFields, verbs: &mut Verbs) -> Result<(), String> {
        verbs.put("wait", f.wait.as_ref(), |time| Ok(Task::Wait(seconds(*time)?)))?;
        verbs.put("wait_for", f.wait_for.as_ref(), |condition| {
            Ok(Task::WaitFor(Condition::of(condition)?))
        })?;
        verbs.put("expect", f.expect.as_ref(), |condition| {
            Ok(Task::Expect(Condition::of(condition)?))
        })?;
        verbs.put("extract", f.extract.as_ref(), |file| {
            let variable = f.variable.clone().ok_or("`extract` needs `as:`, the variable")?;
            let (question, schema) = (Template::parse(&file.question)?, file.schema.clone());
            Ok(Task::Extract { question, schema, variable })
        })?;
        verbs.put("set", f.set.as_ref(), |variables| Ok(Task::Set(variables.clone())))?;
        verbs.put("shell", f.shell.as_ref(), |command| {
            Ok(Task::Shell { command: Shell::of(command)?, variable: f.variable.clone() })
        })?;
        verbs.put("start", f.start.as_ref(), |words| {
            if words.is_empty() {
                return Err("`start` needs a program".to_owned());
            }
            Ok(Task::Start(
                words.iter().map(|word| Template::parse(word)).collect::<Result<_, _>>()?,
            ))
        })
    }

    /// Reads the verbs that have steps within them.
    fn flow(f: &StepFields, inner: &mut Inner, verbs: &mut Verbs) -> Result<(), String> {
        verbs.put("if", f.condition.as_ref(), |condition| {
            let then = inner.then.take().ok_or("`if` needs `then:`")?;
            let otherwise = inner.otherwise.take().unwrap_or_default();
            Ok(Task::If { condition: Condition::of(condition)?, then, otherwise })
        })?;
        for (name, until, condition) in
            [("while", false, &f.repeat_while), ("until", true, &f.repeat_until)]
        {
            verbs.put(name, condition.as_ref(), |condition| {
                let steps = inner.steps.take().ok_or(format!("`{name}` needs `steps:`"))?;
                let at_most = f.at_most.ok_or(format!("`{name}` needs `at_most:`, its bound"))?;
                if !(1..=MAX_ROUNDS).contains(&at_most) {
                    return Err(format!("`at_most` is {at_most}, not from 1 to {MAX_ROUNDS}"));
                }
                Ok(Task::Loop { until, condition: Condition::of(condition)?, steps, at_most })
            })?;
        }
        verbs.put("for_each", f.for_each.as_ref(), |each| {
            let over = match each {
                file::EachFile::Values(values) => Each::Values(values.clone()),
                file::EachFile::File(from) => Each::File(from.file.clone()),
                file::EachFile::Expression(text) => Each::Expression(Expression::parse(text)?),
            };
            let steps = inner.steps.take().ok_or("`for_each` needs `steps:`")?;
            let variable = f.variable.clone().ok_or("`for_each` needs `as:`, the variable")?;
            Ok(Task::Each { over, variable, steps })
        })?;
        verbs.put("include", f.include.as_ref(), |include| {
            let (file, vars) = match include {
                file::IncludeFile::Path(path) => (path.clone(), BTreeMap::new()),
                file::IncludeFile::With(with) => (with.file.clone(), with.vars.clone()),
            };
            Ok(Task::Include { file, vars })
        })?;
        verbs.put("group", f.group.as_ref(), |title| {
            let steps = inner.steps.take().ok_or("`group` needs `steps:`")?;
            Ok(Task::Group { title: title.clone(), steps })
        })?;
        verbs.put("parallel", f.parallel.as_ref(), |_| match std::mem::take(&mut inner.branches) {
            branches if branches.is_empty() => Err("`parallel` needs a branch".to_owned()),
            branches => Ok(Task::Parallel { branches }),
        })
    }

    fn typed(&mut self, file: &file::TypeFile) -> Result<Task, String> {
        let (text, into) = match file {
            file::TypeFile::Text(text) => (text, None),
            file::TypeFile::Into(file) => (&file.text, file.into.as_ref()),
        };
        if text.is_empty() {
            return Err("the text to type is empty".to_owned());
        }
        let into = into.map(|target| self.target(target)).transpose()?;
        Ok(Task::Type { text: Template::parse(text)?, into })
    }

    fn target(&mut self, target: &file::Target) -> Result<Target, String> {
        match target {
            file::Target::Point(numbers) => match numbers[..] {
                [x, y] => Ok(Target::Point(PixelPoint { x, y })),
                _ => Err(format!("a point has two numbers, not {}", numbers.len())),
            },
            file::Target::Words(words) if words.trim().is_empty() => {
                Err("a target has no words".to_owned())
            }
            file::Target::Words(words) => {
                let nth = self.seen.entry(words.clone()).or_default();
                *nth += 1;
                Ok(Target::Words { words: Template::parse(words)?, nth: *nth })
            }
        }
    }
}

/// The lists of steps within a step, until its verb takes them.
struct Inner {
    then: Option<Vec<Step>>,
    otherwise: Option<Vec<Step>>,
    steps: Option<Vec<Step>>,
    branches: Vec<Branch>,
}

impl Inner {
    fn all_used(&self, verb: &str) -> Result<(), String> {
        let left = [("then", &self.then), ("else", &self.otherwise), ("steps", &self.steps)];
        match left.into_iter().find(|(_, list)| list.is_some()) {
            Some((name, _)) => Err(format!("`{verb}` has no use for `{name}`")),
            None => Ok(()),
        }
    }
}

/// Refuses fields that the verb has no use for: they were meant for another.
fn check_companions(verb: &str, fields: &StepFields) -> Result<(), String> {
    let unused = |name: &str, is_there: bool, verbs: &[&str]| {
        if is_there && !verbs.contains(&verb) {
            Err(format!("`{verb}` has no use for `{name}`"))
        } else {
            Ok(())
        }
    };
    unused("at_most", fields.at_most.is_some(), &["while", "until"])?;
    unused("as", fields.variable.is_some(), &["extract", "shell", "for_each"])
}

/// The verbs of a step as they are found.
#[derive(Default)]
struct Verbs {
    found: Vec<(&'static str, Task)>,
}

impl Verbs {
    fn put<T>(
        &mut self,
        name: &'static str,
        value: Option<&T>,
        read: impl FnOnce(&T) -> Result<Task, String>,
    ) -> Result<(), String> {
        if let Some(value) = value {
            self.found.push((name, read(value)?));
        }
        Ok(())
    }

    fn only(mut self) -> Result<(&'static str, Task), String> {
        let names: Vec<String> = self.found.iter().map(|(name, _)| format!("`{name}`")).collect();
        match (self.found.pop(), names.len()) {
            (Some(found), 1) => Ok(found),
            (_, 0) => Err("the step has no verb, such as `click:` or `expect:`".to_owned()),
            _ => Err(format!(
                "the step has several verbs: {}; make a step of each",
                names.join(", ")
            )),
        }
    }
}

fn seconds(value: f64) -> Result<Duration, String> {
    if (0.0..=MAX_SECONDS).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(format!("{value} seconds are not from 0 to {MAX_SECONDS}"))
    }
}

fn button(name: &str) -> Result<SystemButton, String> {
    let buttons = [SystemButton::Back, SystemButton::Home, SystemButton::Menu, SystemButton::Enter];
    let named = buttons.into_iter().find(|button| button.as_str() == name);
    named.ok_or_else(|| format!("`{name}` is none of `back`, `home`, `menu` and `enter`"))
}

/// Reads a chord such as `ctrl+s`.
pub(crate) fn chord(text: &str) -> Result<Vec<Key>, String> {
    Key::parse_chord(text).map_err(|error| error.to_string())
}

impl Task {
    /// Returns what a step is called that has no name.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Pursue { goal } => format!("do {}", goal.source()),
            Self::Point { verb, target } => format!("{verb} {target}"),
            Self::Type { text, into: None } => format!("type {:?}", text.source()),
            Self::Type { text, into: Some(target) } => {
                format!("type {:?} into {target}", text.source())
            }
            Self::Press { keys } => format!("press {}", keys.source()),
            Self::Scroll { direction, amount, .. } => {
                format!("scroll {} {amount}", direction.as_str())
            }
            Self::Between { verb, from, to } => format!("{verb} {from} to {to}"),
            Self::Open { app } => format!("open {}", app.source()),
            Self::Button(button) => format!("press {}", button.as_str()),
            Self::Wait(time) => format!("wait {} s", time.as_secs_f64()),
            Self::WaitFor(condition) => format!("wait until {condition}"),
            Self::Expect(condition) => format!("expect {condition}"),
            Self::Extract { variable, .. } => format!("extract {variable}"),
            Self::Set(variables) => {
                format!("set {}", variables.keys().cloned().collect::<Vec<_>>().join(", "))
            }
            Self::Shell { command, .. } => format!("shell {command}"),
            Self::Start(words) => {
                format!("start {}", words.first().map_or("", |word| word.source()))
            }
            Self::If { condition, .. } => format!("if {condition}"),
            Self::Loop { until, condition, .. } => {
                format!("{} {condition}", if *until { "until" } else { "while" })
            }
            Self::Each { variable, .. } => format!("for each {variable}"),
            Self::Include { file, .. } => format!("include {file}"),
            Self::Group { title, .. } => title.clone(),
            Self::Parallel { branches } => {
                let titles: Vec<_> =
                    branches.iter().map(|branch| branch.step.task.title()).collect();
                format!("at once {}", titles.join(" and "))
            }
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Words { words, .. } => write!(f, "{:?}", words.source()),
            Self::Point(point) => write!(f, "{point}"),
        }
    }
}
