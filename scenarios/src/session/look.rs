//! Tools that look: what is on the screen, where, and whether it is so.

use std::time::{Duration, Instant};

use handsight_actions::{PixelPoint, Place, Screenshot, WindowAt};
use handsight_agent::settle::{Settled, observe_still, pause};
use handsight_agent::{CancelFlag, Controls};
use serde_json::Value;

use super::args::{
    Answered, Ask, Expect, Expected, Extract, Extracted, Ground, Grounded, Observed, WindowSeen,
};
use super::{Reply, Session, ToolError};
use crate::eyes::{Eyes, EyesError, Found, ModelEyes};

/// The longest question or claim, in characters.
const MAX_WORDS: usize = 4000;

/// The largest schema, in bytes of JSON.
const MAX_SCHEMA: usize = 64 << 10;

/// How long to wait before a screen on which something is not so is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Session {
    pub(super) fn observe(&mut self, cancel: &CancelFlag) -> Result<Reply, ToolError> {
        let settled = self.settle(cancel)?;
        let window = match self.device.window(Place::Focus)? {
            WindowAt::Window(window) => Some(WindowSeen {
                app: window.app,
                title: window.title,
                x: window.area.x,
                y: window.area.y,
                width: window.area.width,
                height: window.area.height,
            }),
            WindowAt::Nothing | WindowAt::Unknown => None,
        };
        let (info, screenshot) = (self.device.info(), &settled.observation.screenshot);
        let size = screenshot.size();
        let mut text = format!("{}: {size}", info.name);
        if let Some(window) = &window {
            text = format!("{text}, {:?} of {} in front", window.title, window.app);
        }
        let observed = Observed {
            device: info.name,
            width: size.width,
            height: size.height,
            still: settled.still,
            window,
            actions: info.action_space.iter().filter(|verb| !verb.is_for_policies()).collect(),
        };
        let image = screenshot.to_png().map_err(|error| ToolError::Internal {
            problem: format!("the screenshot cannot be written as PNG: {error}"),
        })?;
        Ok(Reply { image: Some(image), ..Reply::of(&observed, text)? })
    }

    pub(super) fn ground(
        &mut self,
        args: &Ground,
        cancel: &CancelFlag,
    ) -> Result<Reply, ToolError> {
        let found = self.look_for(&args.target, cancel)?;
        let area = found
            .and_then(|found| found.area)
            .map(|area| [area.x.into(), area.y.into(), area.width.into(), area.height.into()]);
        let point = found.map(|found| found.point);
        let text = match point {
            Some(point) => format!("{:?} is at {point}", args.target),
            None => format!("{:?} is not on the screen", args.target),
        };
        let grounded = Grounded { found: found.is_some(), point, area };
        let unmet = found.is_none().then(|| text.clone());
        Ok(Reply { unmet, ..Reply::of(&grounded, text)? })
    }

    pub(super) fn ask(&mut self, args: &Ask, cancel: &CancelFlag) -> Result<Reply, ToolError> {
        let schema = serde_json::json!({ "type": "string" });
        let value = self.read_off("ask", &args.question, &schema, cancel)?;
        let answer = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Reply::of(&Answered { answer: answer.clone() }, answer)
    }

    pub(super) fn extract(
        &mut self,
        args: &Extract,
        cancel: &CancelFlag,
    ) -> Result<Reply, ToolError> {
        let schema = Value::Object(args.schema.clone());
        let length = schema.to_string().len();
        if length > MAX_SCHEMA {
            let problem = format!("the schema has {length} bytes and may have {MAX_SCHEMA}");
            return Err(ToolError::Arguments { tool: "extract", problem });
        }
        let value = self.read_off("extract", &args.question, &schema, cancel)?;
        let text = value.to_string();
        Reply::of(&Extracted { value }, text)
    }

    pub(super) fn expect(
        &mut self,
        args: &Expect,
        cancel: &CancelFlag,
    ) -> Result<Reply, ToolError> {
        check_words("expect", &args.claim)?;
        let in_bounds =
            (0.0..=1.0).contains(&args.at_least) && (0.0..=600.0).contains(&args.within);
        if !in_bounds {
            let problem = "`at_least` is from 0 to 1, and `within` from 0 to 600".to_owned();
            return Err(ToolError::Arguments { tool: "expect", problem });
        }
        let deadline = Instant::now() + Duration::from_secs_f64(args.within);
        let mut judged: Option<(u64, f64)> = None;
        let probability = loop {
            let screen = self.settle(cancel)?.observation.screenshot;
            let seen = screen.fingerprint();
            // What was said of these very pixels holds still.
            let probability = match judged {
                Some((same, probability)) if same == seen => probability,
                _ => self.with_eyes(cancel, |eyes| eyes.judge(&screen.image, &args.claim))?,
            };
            judged = Some((seen, probability));
            let is_over = probability >= args.at_least || Instant::now() >= deadline;
            if is_over || !pause(LOOK_AGAIN, cancel) {
                break probability;
            }
        };
        let holds = probability >= args.at_least;
        let sure = format!("the model is {:.0} % sure", probability * 100.0);
        let text = if holds {
            format!("{:?} holds: {sure}", args.claim)
        } else {
            format!(
                "{:?} does not hold: {sure}, and {:.0} % are wanted",
                args.claim,
                args.at_least * 100.0
            )
        };
        let unmet = (!holds).then(|| text.clone());
        Ok(Reply { unmet, ..Reply::of(&Expected { holds, probability }, text)? })
    }

    /// Waits until the screen is still, and looks at it.
    fn settle(&mut self, cancel: &CancelFlag) -> Result<Settled, ToolError> {
        let settled = observe_still(&mut *self.device, &self.options.settle, cancel)?;
        if cancel.is_cancelled() { Err(ToolError::Cancelled) } else { Ok(settled) }
    }

    /// Has the model look for something; nothing is an answer, too.
    fn look_for(&mut self, words: &str, cancel: &CancelFlag) -> Result<Option<Found>, ToolError> {
        let Screenshot { image, .. } = self.settle(cancel)?.observation.screenshot;
        self.with_eyes(cancel, |eyes| eyes.find(&image, words))
    }

    /// Has the model find something that must be there.
    pub(super) fn find(
        &mut self,
        words: &str,
        cancel: &CancelFlag,
    ) -> Result<PixelPoint, ToolError> {
        let found = self.look_for(words, cancel)?;
        let found = found.ok_or_else(|| ToolError::NotThere { target: words.to_owned() })?;
        Ok(found.point)
    }

    fn read_off(
        &mut self,
        tool: &'static str,
        question: &str,
        schema: &Value,
        cancel: &CancelFlag,
    ) -> Result<Value, ToolError> {
        check_words(tool, question)?;
        let screen = self.settle(cancel)?.observation.screenshot;
        self.with_eyes(cancel, |eyes| eyes.read(&screen.image, question, schema))
    }

    fn with_eyes<T>(
        &mut self,
        cancel: &CancelFlag,
        ask: impl FnOnce(&mut dyn Eyes) -> Result<T, EyesError>,
    ) -> Result<T, ToolError> {
        let halt = &self.options.halt;
        let controls = Controls { observer: &mut (), user: &mut (), cancel, halt };
        let settle = self.options.settle;
        Ok(ask(&mut ModelEyes { model: &mut self.model, settle, controls })?)
    }
}

/// Refuses words that nobody would say.
fn check_words(tool: &'static str, words: &str) -> Result<(), ToolError> {
    let chars = words.chars().count();
    let problem = if words.trim().is_empty() {
        "there are no words".to_owned()
    } else if chars > MAX_WORDS {
        format!("there are {chars} characters, more than {MAX_WORDS}")
    } else {
        return Ok(());
    };
    Err(ToolError::Arguments { tool, problem })
}
