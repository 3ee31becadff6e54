//! What clients with a device of their own send, and what they are answered.

use handsight_actions::{
    Action, ActionSpace, DeviceKind, JsonAction, Observation, Screenshot, Seen, Size, Status, Verb,
};
use handsight_agent::{RelayedStep, RelayedStop, StopReason};
use serde_json::{Value, json};

use super::super::super::error::ApiError;
use super::super::super::fields::{Fields, not_one_of, too_long, wrong_type};
use super::super::super::media::{Media, MediaPolicy};
use super::PROTOCOL;

/// The most characters of a name, and of what a client tells of an error or of the screen.
const MAX_NAME: usize = 200;
const MAX_TOLD: usize = 2000;

/// The most steps of an episode, and those if none are asked for.
const MAX_STEPS: usize = 1000;
const STEPS: usize = 20;

/// The most results of actions that are told at once.
const MAX_RESULTS: usize = 64;

/// The longest side of a screen.
const MAX_SIDE: i64 = 32_768;

/// An episode that is to begin.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) goal: String,
    pub(super) benchmark: Option<String>,
    pub(super) task: Option<String>,
    pub(super) kind: DeviceKind,
    pub(super) size: Size,
    pub(super) action_space: ActionSpace,
    pub(super) max_steps: u32,
    pub(super) seed: u64,
}

impl Wanted {
    pub(super) fn read(body: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::new("", body)?;
        if let Some(protocol) = fields.integer("protocol", 0, i64::MAX)?
            && protocol != i64::from(PROTOCOL)
        {
            let message = format!("This server speaks protocol {PROTOCOL}, not {protocol}.");
            return Err(ApiError::param("protocol", "unsupported_protocol", message));
        }
        let goal = fields.required_string("goal")?;
        let benchmark = text(&mut fields, "benchmark", MAX_NAME)?;
        let task = text(&mut fields, "task", MAX_NAME)?;
        let platform = fields.required_string("platform")?;
        let (kind, offered) = match platform.as_str() {
            "android" => (DeviceKind::Android, ActionSpace::android()),
            "desktop" => (DeviceKind::Desktop, ActionSpace::desktop()),
            other => return Err(not_one_of("platform", other, &["android", "desktop"])),
        };
        let action_space = match fields.array("actions")? {
            Some(verbs) => verbs_of(&verbs)?.intersection(&offered),
            None => offered,
        };
        if !action_space.iter().any(Verb::acts) {
            let message = "Invalid 'actions': none of them does anything to the screen.";
            return Err(ApiError::param("actions", "invalid_value", message));
        }
        let max_steps = fields.count("max_steps", 1, MAX_STEPS)?.unwrap_or(STEPS);
        let seed = fields.integer("seed", 0, i64::MAX)?.unwrap_or(0);
        let size = size(&mut fields, "screen")?;
        fields.finish()?;
        Ok(Self {
            goal,
            benchmark,
            task,
            kind,
            size: size.unwrap_or(Size { width: 1, height: 1 }),
            action_space,
            max_steps: u32::try_from(max_steps).unwrap_or(u32::MAX),
            seed: seed.unsigned_abs(),
        })
    }

    /// Returns what the platform is called.
    pub(super) fn platform(&self) -> String {
        self.kind.to_string()
    }

    /// Returns what messages and traces call the device.
    pub(super) fn device_name(&self) -> String {
        match &self.benchmark {
            Some(benchmark) => format!("{} of {benchmark}", self.kind),
            None => format!("{} of a client", self.kind),
        }
    }
}

/// One step that is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request_id: Option<String>,
    pub(super) step: Option<u32>,
    pub(super) seen: Seen,
}

impl Asked {
    /// Reads a step and its picture. Takes a while.
    pub(super) fn read(body: Value, policy: &MediaPolicy) -> Result<Self, ApiError> {
        let mut fields = Fields::new("", body)?;
        let request_id = text(&mut fields, "request_id", MAX_NAME)?;
        let step = fields.integer("step", 0, i64::from(u32::MAX))?;
        let step = step.map(|step| u32::try_from(step).unwrap_or(u32::MAX));
        let screenshot = fields.required_string("screenshot")?;
        let logical = size(&mut fields, "logical_size")?;
        let foreground_app = text(&mut fields, "foreground_activity", MAX_TOLD)?;
        let problem = problem(&mut fields)?;
        // For those who decide by them; here the picture alone counts.
        fields.ignore(&["ui_elements"]);
        fields.finish()?;
        let image = Media::new(policy).encoded("screenshot", &screenshot)?;
        let screenshot = Screenshot::now(image, 1.0);
        let seen = screenshot.size();
        if let Some(Size { width, height }) = logical.filter(|logical| *logical != seen) {
            let message = format!(
                "Invalid 'logical_size': the screenshot has {} x {} pixels, not {width} x \
                 {height}. Actions are in pixels of the screenshot, so the two have to be equal.",
                seen.width, seen.height
            );
            return Err(ApiError::param("logical_size", "size_mismatch", message));
        }
        let observation =
            Observation { screenshot, foreground_app: foreground_app.map(package_of) };
        Ok(Self { request_id, step, seen: Seen { observation, problem } })
    }

    /// Returns how much memory its pixels take.
    pub(super) fn bytes(&self) -> usize {
        self.seen.observation.screenshot.image.as_raw().len()
    }
}

/// `com.android.settings/.Settings` → `com.android.settings`.
fn package_of(activity: String) -> String {
    match activity.split_once('/') {
        Some((package, _)) => package.to_owned(),
        None => activity,
    }
}

fn text(fields: &mut Fields, name: &str, max: usize) -> Result<Option<String>, ApiError> {
    let found = fields.string(name)?;
    let chars = found.as_ref().map_or(0, |text| text.chars().count());
    if chars <= max {
        return Ok(found);
    }
    let path = fields.at(name);
    let message = format!("Invalid '{path}': it has {chars} characters and may have {max}.");
    Err(ApiError::param(path, "string_above_max_length", message))
}

fn size(fields: &mut Fields, name: &str) -> Result<Option<Size>, ApiError> {
    let path = fields.at(name);
    let Some(sides) = fields.array(name)? else { return Ok(None) };
    let side = |value: &Value| {
        let side = value.as_i64().filter(|side| (1..=MAX_SIDE).contains(side))?;
        u32::try_from(side).ok()
    };
    match sides.as_slice() {
        [width, height] => match (side(width), side(height)) {
            (Some(width), Some(height)) => Ok(Some(Size { width, height })),
            _ => Err(bad_size(path)),
        },
        _ => Err(bad_size(path)),
    }
}

fn bad_size(path: String) -> ApiError {
    let message = format!("Invalid '{path}': expected [width, height], each from 1 to {MAX_SIDE}.");
    ApiError::param(path, "invalid_value", message)
}

fn verbs_of(names: &[Value]) -> Result<ActionSpace, ApiError> {
    if names.len() > Verb::ALL.len() {
        return Err(too_long("actions", Verb::ALL.len(), names.len()));
    }
    let known: Vec<&str> = Verb::ALL.iter().map(|verb| verb.as_str()).collect();
    let verbs = names.iter().enumerate().map(|(place, name)| {
        let path = format!("actions[{place}]");
        let name = name.as_str().ok_or_else(|| wrong_type(&path, "a string", name))?;
        Verb::from_name(name).ok_or_else(|| not_one_of(&path, name, &known))
    });
    Ok(ActionSpace::new(verbs.collect::<Result<Vec<_>, _>>()?))
}

/// Returns why one of the last actions failed, if one did.
fn problem(fields: &mut Fields) -> Result<Option<String>, ApiError> {
    let Some(results) = fields.array("last_results")? else { return Ok(None) };
    if results.len() > MAX_RESULTS {
        return Err(too_long("last_results", MAX_RESULTS, results.len()));
    }
    let mut problem = None;
    for (place, result) in results.into_iter().enumerate() {
        let mut result = Fields::new(format!("last_results[{place}]"), result)?;
        let is_ok = result.bool("ok")?.ok_or_else(|| result.missing("ok"))?;
        let error = text(&mut result, "error", MAX_TOLD)?;
        result.finish()?;
        if !is_ok {
            problem = problem.or(Some(error.unwrap_or_else(|| "it says not why".to_owned())));
        }
    }
    Ok(problem)
}

/// Returns what a client is answered, but for who and which step it was.
pub(super) fn answer(step: RelayedStep, size: Size, is_phone: bool) -> Value {
    let RelayedStep { decision, took, refused, forbidden, stop } = step;
    let mut actions: Vec<Action> = match (&decision, &forbidden) {
        (Some(decision), None) => vec![decision.action.clone()],
        _ => Vec::new(),
    };
    if let [Action::Answer { .. }] = actions[..] {
        // An answer is the end here, and not everywhere.
        actions.push(Action::Terminate { status: Status::Success });
    }
    let refused: Vec<Value> = refused
        .into_iter()
        .map(|(reply, problem)| json!({ "reply": reply, "problem": problem }))
        .collect();
    let mut answer = json!({
        "actions": actions,
        "done": stop.is_some(),
        "stop_reason": stop.as_ref().map(|stop| stop.reason),
        "answer": stop.as_ref().and_then(|stop| stop.answer.clone()),
        "thought": decision.as_ref().map(|decision| &decision.thought),
        "raw_output": decision.as_ref().map(|decision| &decision.reply),
        "repairs": decision.as_ref().map(|decision| &decision.repairs),
        "refused": refused,
        "probability": decision.as_ref().and_then(|decision| decision.probability),
        "decide_ms": took.as_secs_f64() * 1000.0,
        "usage": decision.as_ref().and_then(|decision| decision.usage),
        "error": error(forbidden, stop.as_ref()),
    });
    if is_phone {
        let said =
            |action: &Action| JsonAction::of_actions(std::slice::from_ref(action), size).ok();
        answer["android_world"] = actions.iter().map(said).map(|said| json!(said)).collect();
    }
    answer
}

/// Returns what went wrong, if something did.
fn error(forbidden: Option<String>, stop: Option<&RelayedStop>) -> Option<Value> {
    let of = |status, message: String, code| {
        let error = ApiError::of_status(status, message).with_code(code);
        Some(error.body()["error"].take())
    };
    if let Some(why) = forbidden {
        return of(axum::http::StatusCode::FORBIDDEN, why, "refused");
    }
    let RelayedStop { reason, error, hint, .. } = stop?;
    match reason {
        StopReason::ClaimedSuccess | StopReason::ClaimedFailure | StopReason::StepBudget => None,
        reason => {
            let message = error.clone().unwrap_or_else(|| reason.describe().to_owned());
            let hint = hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            of(status, message + &hint, reason.as_str())
        }
    }
}
