//! `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{DesktopArgs, DeviceArg, MayArgs, ModelArgs, parse_device, parse_duration};

/// Who may ask a server.
#[derive(Debug, Args)]
pub(crate) struct GateArgs {
    /// Ask for the token in this file as a bearer token; `HANDSIGHT_API_KEY` does the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Listen beyond this machine although no token is asked for.
    #[arg(long)]
    pub(crate) insecure: bool,

    /// A name the server goes by, besides `localhost` and addresses; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
}

/// `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) addr: SocketAddr,

    /// What requests call the model; by default its own name.
    #[arg(long, value_name = "NAME")]
    pub(crate) served_name: Option<String>,

    #[command(flatten)]
    pub(crate) gate: GateArgs,

    /// Let requests name files below this folder, as `file:///…`.
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_file_root: Option<PathBuf>,

    /// The most answers that are generated at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) max_running: u16,

    /// The most answers that wait; one more is refused.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(0..=4096))]
    pub(crate) max_queued: u16,

    /// The most tokens, prompts and answers together, of all that run.
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(64..))]
    pub(crate) max_running_tokens: u32,

    /// Tokens of an answer whose request sets no limit.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) default_max_tokens: u32,

    /// The largest request body.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=2048))]
    pub(crate) max_body_mb: u16,

    /// Memory for requests that are read or wait; beyond it they are refused.
    #[arg(long, value_name = "MB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub(crate) max_request_memory_mb: u32,

    /// The most images of a request.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(0..=4096))]
    pub(crate) max_images: u16,

    /// The most pixels of an image before it is resized.
    #[arg(long, value_name = "N", default_value_t = 33_554_432, value_parser = clap::value_parser!(u64).range(784..=268_435_456))]
    pub(crate) max_image_pixels: u64,

    /// Let agents use this screen, too, at `/agent`: `desktop`, `android`, `android:SERIAL` or
    /// `still:FILE`; if none is named they have to bring their own.
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    pub(crate) device: Option<DeviceArg>,

    #[command(flatten)]
    pub(crate) desktop: DesktopArgs,

    #[command(flatten)]
    pub(crate) may: MayArgs,

    /// How long running answers may take to finish when the server is asked to stop.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub(crate) drain: Duration,
}
