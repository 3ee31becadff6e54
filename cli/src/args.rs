//! What was typed. Nothing here looks at a file, a display or the environment.

mod ask;
mod bench;
mod chat;
mod desktop;
mod devices;
mod eval;
mod ground;
mod model;
mod models;
mod plugins;
mod policy;
mod scenario;
mod serve;
mod server;
mod session;

pub(crate) use ask::{AskArgs, GenerateArgs};
pub(crate) use bench::BenchArgs;
pub(crate) use chat::ChatArgs;
pub(crate) use desktop::DesktopArgs;
pub(crate) use devices::{DevicesArgs, DevicesCommand, FakeAndroidArgs};
pub(crate) use eval::{
    EvalArgs, EvalCommand, EvalCurveArgs, EvalDiffArgs, EvalImportArgs, EvalInferArgs,
    EvalLiveArgs, EvalMergeArgs, EvalReportArgs, EvalScoreArgs, JudgeArgs,
};
pub(crate) use ground::GroundArgs;
pub(crate) use model::{LoadArgs, ModelArgs, Prompt, TalkArgs};
pub(crate) use models::{
    ModelsArgs, ModelsCommand, ModelsCompareArgs, ModelsInfoArgs, ModelsListArgs, ModelsPullArgs,
    ModelsQuantizeArgs, ModelsRmArgs, ModelsVerifyArgs,
};
pub(crate) use plugins::{McpArgs, RobotArgs};
pub(crate) use policy::{
    ControlArgs, PolicyArgs, PolicyCommand, PolicyCommandArgs, ResumeArgs, SecretsArgs,
    SecretsCommand, SecretsCommandArgs,
};
pub(crate) use scenario::{
    FromTraceArgs, RecordArgs, ScenarioArgs, ScenarioCheckArgs, ScenarioCommand, ScenarioMergeArgs,
    ScenarioRunArgs, Station, TagArgs, parse_station,
};
pub(crate) use serve::{GateArgs, ServeArgs};
pub(crate) use server::ServerArgs;
pub(crate) use session::{MayArgs, SessionArgs};

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// See, decide, act: a GUI agent in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "handsight",
    bin_name = "handsight",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 goal not achieved or check failed, 2 bad usage or input, \
                  3 device or model unavailable, 4 the model asks for help and nobody is there, \
                  5 a scenario passed after healing, 130 interrupted."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print one JSON object on stdout instead of text for people.
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,
}

/// The commands, in the order the help lists them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Pursue a goal on a screen.
    Run(RunArgs),
    /// Run and check scenarios: steps and checks in a file, replayed without the model.
    Scenario(ScenarioArgs),
    /// Run public benchmarks: ask once, score by every published rule, report with intervals.
    Eval(EvalArgs),
    /// Find the things of a description on a picture, or read a document.
    Ground(GroundArgs),
    /// Ask a question about pictures and videos.
    Ask(AskArgs),
    /// Talk about pictures and videos, over several turns.
    Chat(ChatArgs),
    /// Do one action to a screen.
    Act(ActArgs),
    /// Take a screenshot.
    Screenshot(ScreenshotArgs),
    /// List the screens that can be observed and acted on: monitors and phones.
    Devices(DevicesArgs),
    /// Prove capture, pointer, keyboard, model and traces, and say how to mend what fails.
    Doctor(DoctorArgs),
    /// End runs that are under way: nothing more is sent, and nothing stays pressed.
    Stop(ControlArgs),
    /// Pause runs that are under way.
    Pause(ControlArgs),
    /// Let paused runs go on.
    Resume(ResumeArgs),
    /// Look after safety policies, which say what may be done to a screen.
    Policy(PolicyCommandArgs),
    /// List and check secrets, which a goal has by name only: `{{secret:bank}}`.
    Secrets(SecretsCommandArgs),
    /// Print the JSON Schema of actions, safety policies, scenarios and tools.
    Schema(SchemaArgs),
    /// Watch the agent fill in a real window, and check the window's own word on it.
    Demo(DemoArgs),
    /// Read a recorded episode.
    Trace(TraceArgs),
    /// Fetch checkpoints, and look after those that were fetched.
    Models(ModelsArgs),
    /// Serve the model to other programs, as the OpenAI API does.
    Serve(ServeArgs),
    /// Be a server of the Model Context Protocol, whose tools see a screen and act on it.
    Mcp(McpArgs),
    /// Be a remote library of Robot Framework, whose keywords see a screen and act on it.
    Robot(RobotArgs),
    /// Measure how fast a model is on this machine.
    Bench(BenchArgs),
    /// Hand out what was copied on a display, when the parent is no more.
    #[command(hide = true)]
    KeepClipboard {
        /// The display.
        display: String,
    },
    /// Let go of everything on a display when the parent is no more.
    #[command(hide = true)]
    Watchdog {
        /// The display.
        display: String,
    },
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// What to achieve, in a sentence.
    pub(crate) goal: String,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// The most steps to take.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_steps: u32,

    /// The most time to take: seconds, or a number with `s`, `m` or `h`.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,

    /// Decide and check every action, but perform none.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Whether to ask before each action.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Confirm::Never)]
    pub(crate) confirm: Confirm,

    /// Where there is no terminal, wait for `handsight resume` when the model asks for help; otherwise
    /// the run ends then.
    #[arg(long)]
    pub(crate) wait_for_user: bool,

    /// Record screenshots, decisions and actions in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) trace: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) policy: PolicyArgs,

    #[command(flatten)]
    pub(crate) secrets: SecretsArgs,
}

/// `act`.
#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    /// The action, such as `{"action":"left_click","coordinate":[120,44]}`.
    #[arg(value_name = "ACTION_JSON")]
    pub(crate) action: String,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Check the action against the screen and the safety policy, but do not perform it.
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) policy: PolicyArgs,

    #[command(flatten)]
    pub(crate) secrets: SecretsArgs,
}

/// `screenshot`.
#[derive(Debug, Args)]
pub(crate) struct ScreenshotArgs {
    /// The PNG file to write; `-` writes it to stdout.
    #[arg(value_name = "OUT.png")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Only measure how far clicks arrive from where they were meant, on every monitor or the one
    /// that is named.
    #[arg(long)]
    pub(crate) calibrate: bool,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

/// `schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// `action` for those of `act` and traces, `policy` for a safety policy, `scenario` for a
    /// scenario file, `tools` for what other programs can ask for, `openapi` for the
    /// document of `serve`'s agent API; the others are the functions a
    /// checkpoint calls.
    #[arg(value_enum, default_value_t = SchemaKind::Action)]
    pub(crate) kind: SchemaKind,

    /// Bound the points to a screen this many pixels wide.
    #[arg(long, value_name = "PIXELS", requires = "height", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) width: Option<u32>,

    /// Bound the points to a screen this many pixels high.
    #[arg(long, value_name = "PIXELS", requires = "width", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) height: Option<u32>,
}

/// `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Use a virtual display even where there is a real one.
    #[arg(long = "virtual")]
    pub(crate) on_virtual: bool,

    /// Which program's window to use.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = DemoWindow::Zenity)]
    pub(crate) window: DemoWindow,

    /// Record and report in this folder; a new one in `handsight-runs` by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) trace: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

/// `trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    #[command(subcommand)]
    pub(crate) command: TraceCommand,
}

/// The commands of `trace`.
#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Print the steps of a trace.
    Show {
        /// The folder that was given to `--trace`.
        dir: PathBuf,
    },
    /// Write an HTML page with the steps and screenshots of a trace.
    Report {
        /// The folder that was given to `--trace`.
        dir: PathBuf,
    },
    /// Ask a model again on the screens of a trace, and show what it would do differently.
    Redecide(Box<RedecideArgs>),
}

/// `trace redecide`.
#[derive(Debug, Args)]
pub(crate) struct RedecideArgs {
    /// The folder that was given to `--trace`.
    pub(crate) dir: PathBuf,

    /// How far a point may be from where it was and still count as the same, in pixels of the screen.
    #[arg(long, value_name = "PIXELS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub(crate) within: u32,

    /// End with 1 when a step would be done differently.
    #[arg(long)]
    pub(crate) fail_on_difference: bool,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

/// Which screen.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// The screen: `desktop`, `android` for the phone that is connected, `android:SERIAL` for one of
    /// several, or `still:FILE` for a picture on which nothing is performed.
    #[arg(long, value_name = "DEVICE", default_value = "desktop", value_parser = parse_device)]
    pub(crate) device: DeviceArg,

    #[command(flatten)]
    pub(crate) desktop: DesktopArgs,
}

/// A device as it was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum DeviceArg {
    /// `desktop`.
    Desktop,
    /// `android`, or `android:SERIAL`.
    Android(Option<String>),
    /// `still:FILE`.
    Still(PathBuf),
}

/// When to ask before an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Confirm {
    Always,
    Never,
}

/// Which schema to print.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum SchemaKind {
    Action,
    Policy,
    Scenario,
    Tools,
    Openapi,
    ComputerUse,
    MobileUse,
}

/// The windows the demo can use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum DemoWindow {
    Zenity,
    Chromium,
}

impl TargetArgs {
    /// Whether an action on this screen is performed, not only checked.
    pub(crate) fn is_real(&self) -> bool {
        !matches!(self.device, DeviceArg::Still(_))
    }
}

fn parse_device(text: &str) -> Result<DeviceArg, String> {
    match text.split_once(':') {
        None if text == "desktop" => Ok(DeviceArg::Desktop),
        None if text == "android" => Ok(DeviceArg::Android(None)),
        Some(("android", serial)) if !serial.is_empty() => {
            Ok(DeviceArg::Android(Some(serial.to_owned())))
        }
        Some(("still", file)) if !file.is_empty() => Ok(DeviceArg::Still(file.into())),
        _ => Err("expected `desktop`, `android`, `android:SERIAL` or `still:FILE`".to_owned()),
    }
}

/// Reads `90`, `90s`, `1.5m` or `2h`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    const LONGEST: f64 = 7.0 * 24.0 * 3600.0;
    let digits = text.trim_end_matches(['s', 'm', 'h']);
    let seconds_per_unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a number with `s`, `m` or `h`".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    let seconds = number * seconds_per_unit;
    if !(0.001..=LONGEST).contains(&seconds) {
        return Err("expected more than nothing and at most a week".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        let seconds = |text| parse_duration(text).map(|time| time.as_secs_f64());
        assert_eq!(seconds("90"), Ok(90.0));
        assert_eq!(seconds("1.5m"), Ok(90.0));
        assert_eq!(seconds("2h"), Ok(7200.0));
        for bad in ["", "s", "-1", "0", "nan", "inf", "5d", "5ms", "1e99", "ß"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn devices() {
        assert_eq!(parse_device("still:a:b.png"), Ok(DeviceArg::Still("a:b.png".into())));
        let phone = |serial: &str| Ok(DeviceArg::Android(Some(serial.to_owned())));
        assert_eq!(parse_device("android"), Ok(DeviceArg::Android(None)));
        assert_eq!(parse_device("android:127.0.0.1:6555"), phone("127.0.0.1:6555"));
        for bad in ["still:", "android:", "phone", ""] {
            assert!(parse_device(bad).is_err(), "{bad}");
        }
    }
}
