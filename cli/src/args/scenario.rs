//! What was typed after `scenario`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use handsight_scenarios::AnchorMode;
use handsight_scenarios::suite::Shard;
use serde_json::Value;

use super::{DeviceArg, ModelArgs, PolicyArgs, SecretsArgs, TargetArgs, parse_device};

/// `scenario`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArgs {
    #[command(subcommand)]
    pub(crate) command: ScenarioCommand,
}

/// The commands of `scenario`.
#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// Run scenarios: from their anchors where nothing has changed, with the model where it has.
    Run(Box<ScenarioRunArgs>),
    /// Check scenarios without doing anything, and say where they are wrong.
    Check(ScenarioCheckArgs),
    /// Make one report of those of all shards.
    Merge(ScenarioMergeArgs),
    /// Make a scenario of a recorded episode that reached its goal; it then runs without the model.
    FromTrace(FromTraceArgs),
    /// Write a scenario from what you do with mouse and keyboard.
    Record(Box<RecordArgs>),
}

/// `scenario record`.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The scenario file to write; what the targets looked like goes into a folder beside it.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Leave targets without names: no model is asked what they are.
    #[arg(long)]
    pub(crate) no_model: bool,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    #[command(flatten)]
    pub(crate) secrets: SecretsArgs,
}

/// `scenario from-trace`.
#[derive(Debug, Args)]
pub(crate) struct FromTraceArgs {
    /// The folder that was given to `run --trace`.
    #[arg(value_name = "TRACE")]
    pub(crate) dir: PathBuf,

    /// The scenario file to write; what the targets looked like goes into a folder beside it.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// `scenario check`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioCheckArgs {
    /// Files, and folders of `.yaml` files; names that begin with `_` are parts of others.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) tags: TagArgs,
}

/// `scenario merge`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioMergeArgs {
    /// The folders that the shards were told with `--report`, or the `result.json` in each.
    #[arg(required = true, value_name = "REPORT")]
    pub(crate) parts: Vec<PathBuf>,

    /// Write the report of the whole suite into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: PathBuf,

    /// End with 0 when scenarios passed only after healing, too.
    #[arg(long)]
    pub(crate) accept_healed: bool,
}

/// Which scenarios of those in the files.
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// Only scenarios with one of these tags.
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(crate) tags: Vec<String>,

    /// No scenario and no step with one of these tags.
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(crate) skip_tags: Vec<String>,
}

/// `scenario run`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioRunArgs {
    /// Files, and folders of `.yaml` files; names that begin with `_` are parts of others.
    #[arg(value_name = "FILE|DIR", required_unless_present = "rerun_failed")]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) tags: TagArgs,

    /// Share the scenarios out over these screens, such as `android:A,android:B,desktop::99`: each
    /// takes the next when it has done with one.
    #[arg(long, value_name = "DEVICE,…", value_delimiter = ',', value_parser = parse_station,
          conflicts_with_all = ["device", "monitor", "window", "region"])]
    pub(crate) devices: Vec<Station>,

    /// Another device of scenarios that have several, by the name that they have for it, such as
    /// `phone=android:SERIAL`; it goes before what a scenario says.
    #[arg(long, value_name = "NAME=DEVICE", value_parser = parse_named, conflicts_with = "devices")]
    pub(crate) with: Vec<(String, Station)>,

    /// Run only one part of the suite, such as `2/3`, and the others on other machines.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,

    /// Run each scenario so many times; one that both passes and fails under equal conditions is
    /// flaky, which is a failure.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,

    /// Run only what failed or was flaky in an earlier run: the folder of its report, or the
    /// `result.json` in it.
    #[arg(long, value_name = "REPORT")]
    pub(crate) rerun_failed: Option<PathBuf>,

    /// Replaces a variable of the scenarios; values are texts, or JSON.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub(crate) vars: Vec<(String, Value)>,

    /// What values that scenarios draw are drawn by, instead of their own `seed`.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// What becomes of the anchors, the pictures by which targets are found again.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Anchoring::Use)]
    pub(crate) anchors: Anchoring,

    /// Write a page for people, `report.html`, and `result.json`, `junit.xml` and `summary.md` into
    /// this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,

    /// Write a film of the steps, an animated GIF.
    #[arg(long, value_name = "FILE", requires = "report")]
    pub(crate) gif: Option<PathBuf>,

    /// Write a film of the steps, an MP4, where there is `ffmpeg`.
    #[arg(long, value_name = "FILE", requires = "report")]
    pub(crate) mp4: Option<PathBuf>,

    /// End with 0 when scenarios passed only after healing, too.
    #[arg(long)]
    pub(crate) accept_healed: bool,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    #[command(flatten)]
    pub(crate) policy: PolicyArgs,

    #[command(flatten)]
    pub(crate) secrets: SecretsArgs,
}

/// One of several screens, as it was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Station {
    /// What was typed.
    pub(crate) name: String,
    /// The screen.
    pub(crate) device: DeviceArg,
    /// The X display of a desktop or the path of a Wayland socket, if it is not that of the
    /// environment.
    pub(crate) display: Option<String>,
}

/// Reads `desktop`, `desktop:DISPLAY` or what `--device` takes.
pub(crate) fn parse_station(text: &str) -> Result<Station, String> {
    let name = text.to_owned();
    match text.strip_prefix("desktop:").filter(|display| !display.is_empty()) {
        Some(display) => {
            let display = Some(display.to_owned());
            Ok(Station { name, device: DeviceArg::Desktop, display })
        }
        None => parse_device(text)
            .map(|device| Station { name, device, display: None })
            .map_err(|expected| format!("{expected}, or `desktop:DISPLAY`")),
    }
}

/// Reads `phone=android:SERIAL`.
fn parse_named(text: &str) -> Result<(String, Station), String> {
    let (name, device) = text.split_once('=').ok_or("expected `NAME=DEVICE`")?;
    Ok((name.to_owned(), parse_station(device)?))
}

/// What becomes of anchors, as it was typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Anchoring {
    /// Find targets by them; the model finds what has changed, and they are renewed.
    Use,
    /// The model finds every target, and all are made anew.
    Refresh,
    /// What they do not find is a failure.
    Strict,
    /// There are none.
    Off,
}

impl From<Anchoring> for AnchorMode {
    fn from(anchoring: Anchoring) -> Self {
        match anchoring {
            Anchoring::Use => Self::Use,
            Anchoring::Refresh => Self::Refresh,
            Anchoring::Strict => Self::Strict,
            Anchoring::Off => Self::Off,
        }
    }
}

/// Reads `name=value`. What is JSON, but no text, becomes that: `count=3`, `rows=["a"]`.
fn parse_variable(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected `name=value`")?;
    let is_name = name.chars().all(|char| char.is_alphanumeric() || char == '_');
    if name.is_empty() || !is_name {
        return Err(format!("`{name}` is no name of a variable"));
    }
    let parsed = serde_json::from_str(value).ok().filter(|value: &Value| !value.is_string());
    Ok((name.to_owned(), parsed.unwrap_or_else(|| Value::String(value.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn several_desktops_are_told_apart_by_their_displays() {
        let station = parse_station("desktop::99").unwrap();
        assert_eq!((station.device, station.display.as_deref()), (DeviceArg::Desktop, Some(":99")));
        assert_eq!(parse_station("desktop").unwrap().display, None);
        let phone = parse_station("android:tcp:127.0.0.1:6555").unwrap();
        assert_eq!(phone.device, DeviceArg::Android(Some("tcp:127.0.0.1:6555".to_owned())));
        for bad in ["desktop:", "", "phone"] {
            assert!(parse_station(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_have_types() {
        let check = |text, value: Value| {
            assert_eq!(parse_variable(text), Ok(("a".to_owned(), value)), "{text}");
        };
        check("a=Ada", json!("Ada"));
        check("a=", json!(""));
        check("a=3", json!(3));
        check("a=[1, \"b\"]", json!([1, "b"]));
        check("a=b=c", json!("b=c"));
        for bad in ["a", "=1", "a b=1"] {
            assert!(parse_variable(bad).is_err(), "{bad}");
        }
    }
}
