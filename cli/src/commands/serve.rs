//! `serve`: the model for other programs, over HTTP.

use std::io::Read as _;
use std::path::Path;

use fs_err as fs;
use handsight_model::SchedulerLimits;

use crate::args::ServeArgs;
use crate::failure::{Exit, Failure};
use crate::open;
use crate::print::Printer;
use crate::serve::{self, ServeOptions};
use crate::settings::Environment;

/// The longest token that is taken for one.
const MAX_TOKEN: usize = 4096;

pub(crate) fn run(
    args: ServeArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let token = match &args.token_file {
        Some(path) => Some(read_token(path)?),
        None => environment.api_key.as_ref().map(|key| key.reveal().to_owned()),
    };
    if !args.addr.ip().is_loopback() && token.is_none() && !args.insecure {
        let message = format!("on {} anyone who reaches this machine could ask", args.addr.ip());
        return Err(Failure::bad_input(message).with_hint(
            "set a token with `--token-file` or HANDSIGHT_API_KEY; `--insecure` does without one",
        ));
    }
    // A body takes its room twice while it is read: as bytes, and as what they say.
    if args.max_request_memory_mb < 2 * u32::from(args.max_body_mb) {
        let message = format!(
            "{} MB for requests are too few for bodies of {} MB",
            args.max_request_memory_mb, args.max_body_mb
        );
        return Err(Failure::bad_input(message)
            .with_hint("make `--max-request-memory-mb` at least twice `--max-body-mb`"));
    }
    let file_root = args.allow_file_root.as_deref().map(open_root).transpose()?;
    let engine = open::engine(&args.model, printer, environment)?;
    let name = args.served_name.unwrap_or_else(|| engine.info().name.clone());
    let options = ServeOptions {
        addr: args.addr,
        name,
        token,
        hosts: args.allow_host,
        file_root,
        scheduler: SchedulerLimits {
            max_running: args.max_running.into(),
            max_queued: args.max_queued.into(),
            max_tokens: args.max_running_tokens as usize,
        },
        max_body_bytes: usize::from(args.max_body_mb) << 20,
        memory_bytes: (args.max_request_memory_mb as usize) << 20,
        max_images: args.max_images.into(),
        max_image_pixels: args.max_image_pixels,
        default_max_tokens: args.default_max_tokens as usize,
        drain: args.drain,
    };
    serve::run(engine, options, printer)
}

/// Reads the token, which is one line of visible characters.
fn read_token(path: &Path) -> Result<String, Failure> {
    let unread = |error| Failure::new(Exit::BadInput, error);
    let mut text = String::new();
    // One byte more than a token and a line end may have.
    let most = MAX_TOKEN as u64 + 3;
    fs::File::open(path).map_err(unread)?.take(most).read_to_string(&mut text).map_err(unread)?;
    let token = text.trim();
    let is_token = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_empty() || token.len() > MAX_TOKEN || !is_token(token) {
        let message = format!("`{}` holds no token", path.display());
        return Err(Failure::bad_input(message)
            .with_hint("write one line of ASCII letters, digits and signs into it"));
    }
    Ok(token.to_owned())
}

/// Resolves the folder once, so that files can be compared with it.
fn open_root(path: &Path) -> Result<std::path::PathBuf, Failure> {
    let root = fs::canonicalize(path).map_err(|error| Failure::new(Exit::BadInput, error))?;
    if !root.is_dir() {
        let message = format!("`{}` is not a folder", path.display());
        return Err(Failure::bad_input(message));
    }
    Ok(root)
}
