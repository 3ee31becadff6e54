//! What each step does.

use std::time::Duration;

use handsight_actions::Action;
use handsight_agent::settle::pause;
use serde_json::{Value, json};

use super::{Notes, Run, StepError, rows};
use crate::scenario::condition::Condition;
use crate::scenario::step::{Each, Step, Task};
use crate::scenario::template::fill;

/// The most rounds of `for_each`.
const MAX_EACH: usize = 100_000;

/// How long `wait_for` waits if its step does not say.
const WAIT_FOR: Duration = Duration::from_secs(30);

impl<'a> Run<'a, '_> {
    pub(super) fn task(&mut self, task: &'a Task, notes: &mut Notes) -> Result<(), StepError> {
        match task {
            Task::Pursue { goal } => self.pursue(&self.render(goal)?),
            Task::Point { verb, target } => self.point(*verb, target, notes),
            Task::Type { text, into } => self.type_text(text, into.as_ref(), notes),
            Task::Press { keys } => self.press(keys),
            Task::Scroll { direction, amount, over } => {
                self.scroll(*direction, *amount, over.as_ref(), notes)
            }
            Task::Between { verb, from, to } => self.between(*verb, (from, to), notes),
            Task::Open { app } => {
                let app = self.render(app)?;
                self.perform(&Action::OpenApp { app })
            }
            Task::Button(button) => self.perform(&Action::SystemButton { button: *button }),
            Task::Wait(time) => self.wait(*time),
            Task::WaitFor(condition) => self.hold(condition, WAIT_FOR),
            Task::Expect(condition) => {
                let patience = self.options.patience;
                self.hold(condition, patience)
            }
            Task::Extract { question, schema, variable } => {
                let question = self.render(question)?;
                let screen = self.look()?;
                self.model_calls += 1;
                let schema = schema.clone().unwrap_or_else(|| json!({ "type": "string" }));
                let value = self.controls.eyes.read(&screen.image, &question, &schema)?;
                self.variables.insert(variable.clone(), value);
                Ok(())
            }
            Task::Set(variables) => self.set(variables),
            Task::Shell { command, variable } => {
                let output = self.shell(command)?;
                if output.code != Some(0) {
                    return Err(StepError::failed(output.describe()));
                }
                if let Some(variable) = variable {
                    let text = output.stdout.trim_end_matches('\n').to_owned();
                    self.variables.insert(variable.clone(), Value::String(text));
                }
                Ok(())
            }
            Task::Start(words) => {
                let words: Vec<String> =
                    words.iter().map(|word| self.render(word)).collect::<Result<_, _>>()?;
                let folder = self.folder().to_owned();
                self.processes.start(&words, &folder)
            }
            Task::If { condition, then, otherwise } => {
                let branch = if self.judge(condition)?.holds() { then } else { otherwise };
                self.all(branch)
            }
            Task::Loop { until, condition, steps, at_most } => {
                self.repeat(*until, condition, steps, *at_most)
            }
            Task::Each { over, variable, steps } => self.each(over, variable, steps),
            Task::Include { file, vars } => self.include(file, vars),
            Task::Group { steps, .. } => self.all(steps),
            Task::Parallel { branches } => self.parallel(branches),
        }
    }

    fn pursue(&mut self, goal: &str) -> Result<(), StepError> {
        let limit = self.time_left();
        let device = &mut *self.controls.device;
        let pursued = self.controls.eyes.pursue(device, goal, limit);
        if self.is_cancelled() {
            return Err(StepError::Stopped);
        }
        self.model_calls += pursued?.decisions;
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> Result<(), StepError> {
        if time > self.time_left() {
            return Err(StepError::failed("there is less time left than it is to wait"));
        }
        if !pause(time, &self.cancel) && self.is_cancelled() {
            return Err(StepError::Stopped);
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        until: bool,
        condition: &Condition,
        steps: &'a [Step],
        at_most: u32,
    ) -> Result<(), StepError> {
        for _ in 0..at_most {
            if self.judge(condition)?.holds() == until {
                return Ok(());
            }
            self.all(steps)?;
            self.go_on()?;
        }
        if self.judge(condition)?.holds() == until {
            return Ok(());
        }
        let still = if until { "does not hold" } else { "still holds" };
        Err(StepError::failed(format!("{condition}: {still} after {at_most} rounds")))
    }

    fn each(&mut self, over: &Each, variable: &str, steps: &'a [Step]) -> Result<(), StepError> {
        let values = match over {
            Each::Values(values) => {
                values.iter().map(|value| fill(value, &self.variables)).collect::<Result<_, _>>()?
            }
            Each::File(name) => rows::read(name, &self.read_beside(name)?)?,
            Each::Expression(expression) => match expression.value(&self.variables)? {
                Value::Array(values) => values,
                other => {
                    let problem = format!("`{}` is no list but {other}", expression.source());
                    return Err(StepError::failed(problem));
                }
            },
        };
        if values.len() > MAX_EACH {
            let count = values.len();
            return Err(StepError::failed(format!("there are {count} rows, more than {MAX_EACH}")));
        }
        let before = self.variables.get(variable).cloned();
        for value in values {
            self.variables.insert(variable.to_owned(), value);
            self.all(steps)?;
        }
        match before {
            Some(value) => self.variables.insert(variable.to_owned(), value),
            None => self.variables.remove(variable),
        };
        Ok(())
    }

    /// Does the steps of another file, which sees our variables and sets none of them.
    fn include(
        &mut self,
        file: &str,
        vars: &std::collections::BTreeMap<String, Value>,
    ) -> Result<(), StepError> {
        let including = self.file.last().copied();
        let Some(included) = including.and_then(|scenario| scenario.included.get(file)) else {
            return Err(StepError::failed(format!("`{file}` was not read")));
        };
        let given: Vec<(String, Value)> = vars
            .iter()
            .map(|(name, value)| Ok((name.clone(), fill(value, &self.variables)?)))
            .collect::<Result<_, String>>()?;
        let before = self.variables.clone();
        self.file.push(included);
        let own = included.vars.iter().filter(|(name, _)| !vars.contains_key(*name));
        let own = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        let done = self.declare(&own).and_then(|()| {
            self.variables.extend(given);
            self.all(&included.setup)?;
            self.all(&included.steps)
        });
        if done.is_err() {
            // A check of the teardown says nothing of what was clicked before something failed.
            self.settle_anchors(&done);
        }
        // What was begun is put right whatever happened.
        let torn_down = self.all(&included.teardown);
        self.file.pop();
        self.variables = before;
        done.and(torn_down)
    }
}
