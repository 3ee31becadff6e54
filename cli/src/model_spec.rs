//! What `--model` names: the embedded checkpoint, a folder, a file, a pulled model or a server.

use std::path::{Path, PathBuf};

use handsight_model::hub::{Hub, ModelName};

use crate::failure::{Exit, Failure};
use crate::settings::Environment;

/// A model, found but not opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ModelSpec {
    /// `embedded`.
    Embedded,
    /// The folder of a checkpoint, or a GGUF file.
    Path(PathBuf),
    /// A server, `http(s)://host/v1#name`.
    Remote(String),
}

impl ModelSpec {
    /// Finds what a text names. Nothing is fetched.
    ///
    /// What exists on disk is taken before a model of the hub that has the same name.
    pub(crate) fn of(text: &str, environment: &Environment) -> Result<Self, Failure> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Remote(text.to_owned()));
        }
        let path = Path::new(text);
        if path.exists() || looks_like_path(path) {
            return Ok(Self::Path(path.to_owned()));
        }
        let Ok(name) = text.parse::<ModelName>() else {
            let message = format!("there is no model `{text}`");
            return Err(Failure::new(Exit::Unavailable, anyhow::Error::msg(message)).with_hint(
                "give `--model` the folder of a checkpoint, `embedded`, or a name that `handsight \
                 models list` shows",
            ));
        };
        let found = Hub::new(environment.hub.clone()).resolve(&name)?;
        Ok(Self::Path(found.path().to_owned()))
    }
}

/// Whether a text that names nothing on disk is a path all the same: no model is called so.
fn looks_like_path(path: &Path) -> bool {
    let is_gguf = path.extension().is_some_and(|found| found.eq_ignore_ascii_case("gguf"));
    let is_named_so = path.to_str().is_some_and(|text| text.contains(':'));
    path.is_absolute()
        || path.starts_with(".")
        || path.starts_with("..")
        || path.starts_with("~")
        || (is_gguf && !is_named_so)
}
