//! The data file of a family: its form, and what is checked of it.

use handsight_actions::{AnswerForm, Dialect, Grid};
use handsight_model::PixelLimits;
use serde::Deserialize;

use super::template::{Hole, Template};
use super::{AgentPrompt, AskPrompt, Family, FamilyError, GroundPrompt, Layout};

/// As many earlier screenshots as a context can hold.
const MAX_IMAGES: usize = 20;

/// A file as it is written. Unknown keys are refused: a misspelt one would be silence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: String,
    about: String,
    /// Where the facts are from; for people.
    #[serde(rename = "sources")]
    _sources: Vec<String>,
    #[serde(default)]
    repositories: Vec<String>,
    grid: Grid,
    #[serde(default)]
    pixels: Pixels,
    served_only: Option<String>,
    desktop: Option<Agent>,
    mobile: Option<Agent>,
    ground: Option<Ground>,
    boxes: Option<Ask>,
    points: Option<Ask>,
    document: Option<Ask>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pixels {
    min: Option<u64>,
    max: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Agent {
    profile: String,
    #[serde(default)]
    layout: Layout,
    dialect: Dialect,
    pixels: Option<Pixels>,
    resolution: Option<[u32; 2]>,
    #[serde(default)]
    images: usize,
    #[serde(default)]
    system: String,
    opening: Option<String>,
    #[serde(default)]
    user: String,
    user_at_first: Option<String>,
    #[serde(default)]
    text_last: bool,
    #[serde(default)]
    picture_first: bool,
    #[serde(default)]
    step: String,
    #[serde(default)]
    between_steps: String,
    #[serde(default = "whole_reply")]
    reply: String,
    #[serde(default)]
    told_as_replies: bool,
    ground: Option<Ground>,
}

fn whole_reply() -> String {
    "{reply}".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Ground {
    #[serde(default)]
    layout: Layout,
    dialect: Option<Dialect>,
    pixels: Option<Pixels>,
    resolution: Option<[u32; 2]>,
    #[serde(default)]
    system: String,
    #[serde(default)]
    user: String,
    answer: String,
    not_found: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Ask {
    #[serde(default)]
    system: String,
    user: String,
    user_for_all: Option<String>,
}

/// Reads a family's file; `origin` is what errors call it.
pub(super) fn read(text: &str, origin: &str) -> Result<Family, FamilyError> {
    refuse_deep(origin, text)?;
    let file: File = toml::from_str(text).map_err(|source| FamilyError::Toml {
        file: origin.to_owned(),
        source: Box::new(source),
    })?;
    let check = Check { origin };
    if file.desktop.is_none() && file.mobile.is_none() && file.ground.is_none() {
        return Err(check.refuse("ground", "is missing, and so are `desktop` and `mobile`"));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if file.name.is_empty() || !file.name.chars().all(is_name) {
        return Err(
            check.refuse("name", "has other characters than letters, digits, `-`, `.` and `_`")
        );
    }
    Ok(Family {
        name: file.name,
        about: file.about,
        repositories: file.repositories,
        grid: file.grid,
        pixels: check.pixels(file.pixels)?,
        served_only: file.served_only,
        desktop: file.desktop.map(|agent| check.agent(agent)).transpose()?,
        mobile: file.mobile.map(|agent| check.agent(agent)).transpose()?,
        ground: file.ground.map(|ground| check.ground(ground)).transpose()?,
        boxes: file.boxes.map(|ask| check.ask(ask, true)).transpose()?,
        points: file.points.map(|ask| check.ask(ask, true)).transpose()?,
        document: file.document.map(|ask| check.ask(ask, false)).transpose()?,
    })
}

struct Check<'a> {
    origin: &'a str,
}

impl Check<'_> {
    fn refuse(&self, field: &'static str, problem: impl Into<String>) -> FamilyError {
        FamilyError::Invalid { file: self.origin.to_owned(), field, problem: problem.into() }
    }

    fn template(
        &self,
        field: &'static str,
        text: &str,
        holes: &[Hole],
    ) -> Result<Template, FamilyError> {
        Template::read(text, holes).map_err(|problem| self.refuse(field, problem))
    }

    fn pixels(&self, pixels: Pixels) -> Result<PixelLimits, FamilyError> {
        if pixels.min.zip(pixels.max).is_some_and(|(min, max)| min > max) || pixels.max == Some(0) {
            return Err(self.refuse("pixels", "allows no size: `min` must be at most `max`"));
        }
        Ok(PixelLimits { min_pixels: pixels.min, max_pixels: pixels.max, resized: None })
    }

    fn agent(&self, agent: Agent) -> Result<AgentPrompt, FamilyError> {
        const SCREEN: [Hole; 3] = [Hole::Tools, Hole::Width, Hole::Height];
        const STEP: &[Hole] = &[
            Hole::Number,
            Hole::Index,
            Hole::Reply,
            Hole::Thought,
            Hole::Call,
            Hole::Summary,
            Hole::Sentence,
            Hole::Error,
        ];
        let text = [Hole::Goal, Hole::Steps, Hole::Width, Hole::Height];
        if agent.images > MAX_IMAGES {
            return Err(
                self.refuse("images", format!("is {}, more than {MAX_IMAGES}", agent.images))
            );
        }
        let optional = |field, text: Option<String>, holes: &[Hole]| {
            text.map(|text| self.template(field, &text, holes)).transpose()
        };
        let prompt = AgentPrompt {
            profile: agent.profile,
            layout: agent.layout,
            dialect: agent.dialect,
            pixels: agent.pixels.map(|pixels| self.pixels(pixels)).transpose()?,
            resolution: agent.resolution,
            images: agent.images,
            system: self.template("system", &agent.system, &SCREEN)?,
            opening: optional("opening", agent.opening, &[Hole::Goal, Hole::Width, Hole::Height])?,
            user: self.template("user", &agent.user, &text)?,
            user_at_first: optional("user-at-first", agent.user_at_first, &text)?,
            text_last: agent.text_last,
            picture_first: agent.picture_first,
            step: self.template("step", &agent.step, STEP)?,
            between_steps: agent.between_steps,
            reply: self.template("reply", &agent.reply, STEP)?,
            told_as_replies: agent.told_as_replies,
            ground: agent.ground.map(|ground| self.ground(ground)).transpose()?,
        };
        let says_goal = prompt.user.has(Hole::Goal)
            || prompt.opening.as_ref().is_some_and(|opening| opening.has(Hole::Goal));
        if !says_goal {
            return Err(self.refuse("user", "does not say the `{goal}`, nor does `opening`"));
        }
        Ok(prompt)
    }

    fn ground(&self, ground: Ground) -> Result<GroundPrompt, FamilyError> {
        let screen = [Hole::Tools, Hole::Width, Hole::Height];
        let text = [Hole::Description, Hole::Width, Hole::Height];
        let system = self.template("system", &ground.system, &screen)?;
        if system.has(Hole::Tools) && ground.dialect.is_none() {
            return Err(self.refuse("dialect", "is missing, and `{tools}` needs it"));
        }
        let user = self.template("user", &ground.user, &text)?;
        if !user.has(Hole::Description) && ground.layout == Layout::Chat {
            return Err(self.refuse("user", "does not say the `{description}`"));
        }
        let answer = AnswerForm::read(&ground.answer);
        Ok(GroundPrompt {
            layout: ground.layout,
            dialect: ground.dialect.unwrap_or(Dialect::Json),
            pixels: ground.pixels.map(|pixels| self.pixels(pixels)).transpose()?,
            resolution: ground.resolution,
            system,
            user,
            answer: answer.map_err(|problem| self.refuse("answer", problem))?,
            not_found: ground.not_found,
        })
    }

    fn ask(&self, ask: Ask, of_something: bool) -> Result<AskPrompt, FamilyError> {
        let holes: &[Hole] = if of_something { &[Hole::Description] } else { &[] };
        let user_for_all = ask.user_for_all;
        let prompt = AskPrompt {
            system: self.template("system", &ask.system, &[])?,
            user: self.template("user", &ask.user, holes)?,
            user_for_all: user_for_all
                .map(|text| self.template("user-for-all", &text, holes))
                .transpose()?,
        };
        if of_something && !prompt.user.has(Hole::Description) {
            return Err(self.refuse("user", "does not say the `{description}`"));
        }
        Ok(prompt)
    }
}
/// The deepest nesting of brackets in a file; those in texts count, too, and are mostly closed.
const MAX_DEPTH: usize = 100;

/// Refuses what is nested too deeply: the parser's time grows with the square of it.
fn refuse_deep(file: &str, text: &str) -> Result<(), FamilyError> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(FamilyError::TooDeep { file: file.to_owned(), limit: MAX_DEPTH });
        }
    }
    Ok(())
}
