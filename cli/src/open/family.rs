//! How the model that was named is talked to: by the family its name tells, or the one asked for.

use std::path::Path;

use handsight_agent::{Family, PromptProfile, Surface};
use handsight_model::hub::ModelName;

use crate::args::{Prompt, TalkArgs};
use crate::failure::{Exit, Failure};

/// Returns what a model is called: as it was typed, its repository, and its folder or file.
pub(crate) fn names(typed: &str, path: Option<&Path>) -> Vec<String> {
    let mut names = vec![typed.to_owned()];
    names.extend(typed.parse::<ModelName>().ok().map(|name| name.repo().to_owned()));
    let last = path.and_then(Path::file_name);
    names.extend(last.map(|name| name.to_string_lossy().into_owned()));
    names
}

/// Refuses a checkpoint of a family that the engine here cannot run, before it is read.
pub(crate) fn refuse_served_only(talk: &TalkArgs, names: &[String]) -> Result<(), Failure> {
    let family = match &talk.family {
        Some(asked) => Some(Family::open(asked)?),
        None => Family::of_model(names.iter().map(String::as_str)),
    };
    let Some((family, why)) =
        family.and_then(|family| Some((family.name.clone(), family.served_only.clone()?)))
    else {
        return Ok(());
    };
    let message = format!("a checkpoint of the family `{family}` cannot be run here: {why}");
    Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(message)).with_hint(
        "serve it with vLLM or SGLang, and name that server: `--model http://HOST/v1#NAME`",
    ))
}

/// Returns how to talk to a model of these names, whose configuration may name a profile.
pub(crate) fn profile(
    talk: &TalkArgs,
    names: &[String],
    configured: Option<&str>,
) -> Result<PromptProfile, Failure> {
    let asked = match talk.prompt {
        Some(Prompt::EmbeddedV1) => Some("embedded"),
        _ => talk.family.as_deref(),
    };
    let surface = match talk.prompt {
        Some(Prompt::MobileUse) => Some(Surface::Mobile),
        Some(Prompt::EmbeddedV1 | Prompt::ComputerUse) => Some(Surface::Desktop),
        None => None,
    };
    // A prompt that is asked for is one of Qwen's, whatever else the configuration names.
    let configured = configured.filter(|_| talk.prompt.is_none());
    let names = names.iter().map(String::as_str);
    let profile = PromptProfile::choose(asked, names, configured, surface)?;
    Ok(profile.with_budget(talk.pixels.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_goes_by_its_repository_and_its_folder() {
        let path = Path::new("/models/UI-TARS-1.5-7B");
        assert_eq!(names("./m", Some(path)), ["./m", "UI-TARS-1.5-7B"]);
        let repository = "ByteDance-Seed/UI-TARS-1.5-7B";
        let pulled = names("ui-tars-1.5", Some(Path::new("/hub/snapshots/abc")));
        assert_eq!(pulled, ["ui-tars-1.5", repository, "abc"]);
        assert_eq!(names("embedded", None), ["embedded"]);
    }
}
