//! How well the embedded checkpoint finds what it is told to click, on the committed windows and
//! pages that no training saw.
//!
//! Every case is one decision of the same policy `handsight run` uses: greedy, free, under the
//! grammar of actions only. A click counts if it is the right verb and inside the widget's hit box
//! (for fields and combo boxes the box, not its label); a case without a widget counts if the model
//! says that it does not see one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;
use handsight_actions::{Action, ActionSpace, Observation, PixelPoint, Screenshot, Status};
use handsight_agent::history::StepSummary;
use handsight_agent::policy::model::{ModelOptions, ModelPolicy};
use handsight_agent::policy::{Policy, PolicyError, Turn};
use handsight_agent::prompt::PromptProfile;
use handsight_model::{CancelFlag, Engine};
use handsight_scenarios::score::Rate;
use serde::Deserialize;

/// Where the windows and pages are.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/embedded_eval")
}

/// One instruction on one picture.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// `a` known words, `b` fonts and themes never seen, `c` unknown words, `absent` nothing there.
    pub set: String,
    /// What drew the window: `chromium` or `gtk`.
    pub toolkit: String,
    /// The picture, relative to the fixtures.
    pub image: String,
    /// Width of the picture in pixels.
    pub width: u32,
    /// What is to be done.
    pub goal: String,
    /// The kind of widget meant.
    pub kind: String,
    /// The verb that does it.
    pub verb: String,
    /// `[x0, y0, x1, y1]` of the hit box in pixels; none if there is no such widget.
    pub r#box: Option<[f64; 4]>,
}

/// What the model did in a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// The action it chose; none if its reply could not be used.
    pub action: Option<Action<PixelPoint>>,
    /// Its reply, or what was wrong with it.
    pub reply: String,
    /// Whether it was right.
    pub hit: bool,
}

/// Returns the committed cases.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub fn cases() -> Result<Vec<Case>> {
    let text = fs::read_to_string(fixtures().join("cases.jsonl"))?;
    let parse = |line| serde_json::from_str(line).context("a line of cases.jsonl");
    text.lines().map(parse).collect()
}

/// Returns a policy over the embedded checkpoint, as `handsight run` makes it.
///
/// # Errors
///
/// Fails if the checkpoint cannot be loaded.
pub fn embedded_policy() -> Result<ModelPolicy> {
    Ok(policy(Engine::embedded()?))
}

/// Returns the same over any checkpoint of that kind.
pub fn policy(engine: Engine) -> ModelPolicy {
    ModelPolicy::new(engine, PromptProfile::embedded(), ModelOptions::default())
}

/// Asks the policy about one case.
///
/// # Errors
///
/// Fails if the picture cannot be read or the model cannot run; a wrong or unusable answer is an
/// outcome, not an error.
pub fn ask(policy: &mut ModelPolicy, case: &Case) -> Result<Outcome> {
    let image = image::open(fixtures().join(&case.image))?.to_rgb8();
    let observation = Observation { screenshot: Screenshot::now(image, 1.0), foreground_app: None };
    let history: &[StepSummary] = &[];
    let turn = Turn {
        goal: &case.goal,
        observation: &observation,
        history,
        action_space: &ActionSpace::desktop(),
        feedback: None,
        said: None,
        attempt: 0,
    };
    let (action, reply) = match policy.decide(&turn, &mut |_| {}, &CancelFlag::default()) {
        Ok(decision) => (Some(decision.action), decision.reply),
        Err(PolicyError::InvalidReply { reply, problem }) => (None, format!("{problem}: {reply}")),
        Err(error) => return Err(error.into()),
    };
    let hit = action.as_ref().is_some_and(|action| is_hit(case, action));
    Ok(Outcome { case: case.clone(), action, reply, hit })
}

fn is_hit(case: &Case, action: &Action<PixelPoint>) -> bool {
    let Some([x0, y0, x1, y1]) = case.r#box else {
        return *action == Action::Terminate { status: Status::Failure };
    };
    action.verb().as_str() == case.verb
        && action.point().is_some_and(|point| {
            let (x, y) = (f64::from(point.x), f64::from(point.y));
            (x0..=x1).contains(&x) && (y0..=y1).contains(&y)
        })
}

/// Returns the results as Markdown tables: by set, and by toolkit, kind and width within the sets
/// that name a widget.
pub fn tables(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let by = |key: &dyn Fn(&Case) -> String| {
        let mut rates: BTreeMap<String, Rate> = BTreeMap::new();
        for outcome in outcomes {
            rates.entry(key(&outcome.case)).or_default().add(outcome.hit);
        }
        rates
    };
    let mut table = |title: &str, rates: &BTreeMap<String, Rate>| {
        let _ = writeln!(text, "| {title} | right, 95 % Wilson |\n|---|---|");
        for (name, rate) in rates {
            let _ = writeln!(text, "| {name} | {rate} |");
        }
        let _ = writeln!(text);
    };
    table("set", &by(&|case| case.set.clone()));
    table("set, toolkit", &by(&|case| format!("{}, {}", case.set, case.toolkit)));
    table("set, kind", &by(&|case| format!("{}, {}", case.set, case.kind)));
    table("set, width in px", &by(&|case| format!("{}, {}", case.set, width_class(case.width))));
    text
}

fn width_class(width: u32) -> &'static str {
    match width {
        0..=400 => "up to 400",
        401..=520 => "401 to 520",
        _ => "521 to 640",
    }
}
