//! Waiting for what other programs do, never longer than was said.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;

/// How long a program may take to start, on a machine that is busy with other tests.
pub const STARTING: Duration = Duration::from_secs(60);

/// How long a running program may take to answer what was done to it.
pub const ANSWERING: Duration = Duration::from_secs(20);

const INTERVAL: Duration = Duration::from_millis(15);

/// Asks again and again until there is an answer.
///
/// # Errors
///
/// Names `what` was waited for if the limit passes, and hands on the first error of `ask`.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() >= limit {
            bail!("waited {} s in vain: {what}", limit.as_secs());
        }
        pause(INTERVAL, &CancelFlag::default());
    }
}

/// Waits until a condition holds.
///
/// # Errors
///
/// As [`wait_for`].
pub fn wait_until(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    wait_for(what, limit, || Ok(condition()?.then_some(())))
}
