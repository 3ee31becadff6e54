//! The families of checkpoints: how each one is asked, and what its answers mean.
//!
//! Dozens of checkpoints share Qwen2.5-VL's weights' shape and differ in everything around it: what
//! the prompt says, in what words an action is written, what a coordinate counts. A family is a
//! small data file with just that, so a new fine-tune is a file and no code. A file of the user's is
//! read as well as those that come with the program.
//!
//! The files keep to facts their makers published. What is protocol in a prompt (headings, tags, the
//! signatures of calls, the one question a grounding checkpoint was trained on) stands there as the
//! checkpoint knows it; the advice around it is in our own words.

mod error;
mod file;
pub(crate) mod template;

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use fs_err as fs;
use handsight_actions::{AnswerForm, Dialect, Grid};
use handsight_model::PixelLimits;

pub use self::error::FamilyError;
pub(crate) use self::template::{Hole, Template};

/// The files that come with the program; the first is what a checkpoint is that none of them names.
const FILES: &[(&str, &str)] = &[
    ("qwen.toml", include_str!("family/qwen.toml")),
    ("embedded.toml", include_str!("family/embedded.toml")),
    ("ui-tars-1.5.toml", include_str!("family/ui-tars-1.5.toml")),
    ("gui-owl.toml", include_str!("family/gui-owl.toml")),
    ("ui-venus.toml", include_str!("family/ui-venus.toml")),
    ("holo1.5.toml", include_str!("family/holo1.5.toml")),
    ("gta1.toml", include_str!("family/gta1.toml")),
    ("opencua.toml", include_str!("family/opencua.toml")),
    ("qwen3-vl.toml", include_str!("family/qwen3-vl.toml")),
];

/// Larger than any such file.
const MAX_FILE: u64 = 1 << 20;

/// What is known of a family of checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name, as `--family` takes it.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Repositories of its checkpoints, with `*` for any text.
    pub repositories: Vec<String>,
    /// What its coordinates count.
    pub grid: Grid,
    /// How large it is best shown a picture.
    pub pixels: PixelLimits,
    /// Why its checkpoints run on a server only, if they do.
    pub served_only: Option<String>,
    pub(crate) desktop: Option<AgentPrompt>,
    pub(crate) mobile: Option<AgentPrompt>,
    pub(crate) ground: Option<GroundPrompt>,
    pub(crate) boxes: Option<AskPrompt>,
    pub(crate) points: Option<AskPrompt>,
    pub(crate) document: Option<AskPrompt>,
}

/// How a family is asked for the next action.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AgentPrompt {
    /// The name of this way of asking, with the version of its texts.
    pub(crate) profile: String,
    pub(crate) layout: Layout,
    pub(crate) dialect: Dialect,
    /// Overrides the family's.
    pub(crate) pixels: Option<PixelLimits>,
    /// The size the function's description states, if it is not that of the resized image.
    pub(crate) resolution: Option<[u32; 2]>,
    /// How many earlier screenshots it is shown.
    pub(crate) images: usize,
    pub(crate) system: Template,
    /// A first turn of the user without a picture.
    pub(crate) opening: Option<Template>,
    /// The text of the user's turn.
    pub(crate) user: Template,
    /// The same while nothing has been done yet.
    pub(crate) user_at_first: Option<Template>,
    /// Whether that text stands in the last of the user's turns, and not in the first.
    pub(crate) text_last: bool,
    /// Whether the picture stands before the text.
    pub(crate) picture_first: bool,
    /// One step that is told in the text.
    pub(crate) step: Template,
    /// What stands between two of them.
    pub(crate) between_steps: String,
    /// What the assistant is shown to have said in an earlier step.
    pub(crate) reply: Template,
    /// Whether steps without a picture are shown as turns of the assistant, and not told.
    pub(crate) told_as_replies: bool,
    /// How it is asked where something is; else as the family is.
    pub(crate) ground: Option<GroundPrompt>,
}

/// How the messages of a prompt are laid out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layout {
    /// By the templates.
    #[default]
    Chat,
    /// As the checkpoint inside the binary was trained: its thoughts after `Done:`.
    Embedded,
}

/// How a family is asked where something is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroundPrompt {
    pub(crate) layout: Layout,
    /// The dialect whose function `{tools}` stands for.
    pub(crate) dialect: Dialect,
    pub(crate) pixels: Option<PixelLimits>,
    pub(crate) resolution: Option<[u32; 2]>,
    pub(crate) system: Template,
    pub(crate) user: Template,
    /// What its answer looks like.
    pub(crate) answer: AnswerForm,
    /// The answer that says there is no such thing.
    pub(crate) not_found: Option<String>,
}

/// How a family is asked for boxes, points or a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AskPrompt {
    pub(crate) system: Template,
    pub(crate) user: Template,
    /// The same if all such things are wanted, and not one.
    pub(crate) user_for_all: Option<Template>,
}

/// What kind of screen a prompt is made for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Surface {
    /// A mouse and a keyboard.
    #[default]
    Desktop,
    /// A finger.
    Mobile,
}

static ALL: LazyLock<Vec<Arc<Family>>> = LazyLock::new(|| {
    let read = |&(file, text): &(&str, &str)| {
        let family = file::read(text, file);
        Arc::new(family.unwrap_or_else(|error| panic!("a file of this crate: {error}")))
    };
    FILES.iter().map(read).collect()
});

impl Family {
    /// Returns those that come with the program.
    pub fn all() -> &'static [Arc<Self>] {
        &ALL
    }

    /// Returns the family of that name, or of that file if it ends in `.toml`.
    ///
    /// # Errors
    ///
    /// [`FamilyError`] if there is none, or if the file is not one.
    pub fn open(name: &str) -> Result<Arc<Self>, FamilyError> {
        let path = Path::new(name);
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
            let read = |source| FamilyError::Read { source };
            let file = fs::File::open(path).map_err(read)?;
            let mut text = String::new();
            file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(read)?;
            if text.len() as u64 > MAX_FILE {
                return Err(FamilyError::TooLarge { file: name.to_owned(), limit: MAX_FILE });
            }
            return Ok(Arc::new(file::read(&text, name)?));
        }
        let found = ALL.iter().find(|family| family.name.eq_ignore_ascii_case(name));
        found.cloned().ok_or_else(|| {
            let known = ALL.iter().map(|family| family.name.clone()).collect();
            FamilyError::Unknown { name: name.to_owned(), known }
        })
    }

    /// Returns the family that a model of one of these names belongs to: a repository, a folder, a
    /// file, or what a server calls it.
    pub fn of_model<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<Arc<Self>> {
        names.into_iter().find_map(|name| ALL.iter().find(|family| family.has(name)).cloned())
    }

    /// Whether a model of that name is of this family.
    pub fn has(&self, model: &str) -> bool {
        let model = model.to_ascii_lowercase();
        let model = model.split('@').next().unwrap_or(&model);
        let base = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned();
        self.repositories.iter().any(|pattern| {
            let pattern = pattern.to_ascii_lowercase();
            matches(&pattern, model) || matches(&base(&pattern), &base(model))
        })
    }

    pub(crate) fn agent(&self, surface: Surface) -> Option<&AgentPrompt> {
        match surface {
            Surface::Desktop => self.desktop.as_ref(),
            Surface::Mobile => self.mobile.as_ref(),
        }
    }

    /// Returns how it is asked where something is on such a screen.
    pub(crate) fn grounding(&self, surface: Surface) -> Option<&GroundPrompt> {
        let own = self.agent(surface).and_then(|agent| agent.ground.as_ref());
        own.or(self.ground.as_ref())
    }
}

/// Reads the text of a family's file that has no name.
pub(crate) fn read(text: &str) -> Result<Family, FamilyError> {
    file::read(text, "(memory)")
}

/// Whether a text is what a pattern stands for, in which `*` is any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| text.strip_prefix(start)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    match last {
        None => rest.is_empty(),
        Some(part) => part.is_empty() || rest.is_empty() || text.ends_with(part),
    }
}

#[cfg(test)]
mod tests;
