//! Plays tasks of the live suite: each page in a browser on a display of its own, and a policy that sees only pixels.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use handsight_actions::Halt;
use handsight_agent::{
    CancelFlag, Controls, EpisodeOptions, Policy, StopReason, run_episode, with_source,
};
use handsight_scenarios::live::{LiveEpisode, LiveTask};

use crate::page::Page;
use crate::xserver::XServer;

/// The screen the embedded model knows best, and the window of the page on it.
const SCREEN: &str = "560x420x24";
const WINDOW: [u32; 2] = [560, 400];

/// The most steps, and the most time, of an episode.
const MAX_STEPS: u32 = 12;
const TIMEOUT: Duration = Duration::from_secs(90);

/// Plays a task. What breaks is an episode that failed, with the reason.
pub fn play(policy: &mut dyn Policy, task: &LiveTask) -> LiveEpisode {
    let begun = Instant::now();
    let mut episode = try_to_play(policy, task)
        .unwrap_or_else(|error| LiveEpisode::crashed(task, format!("{error:#}")));
    episode.seconds = begun.elapsed().as_secs_f64();
    episode
}

fn try_to_play(policy: &mut dyn Policy, task: &LiveTask) -> Result<LiveEpisode> {
    let server = XServer::start_managed(SCREEN)?;
    let page = Page::open(&server, task.html(), WINDOW)?;
    let mut device = server.device()?;
    let options =
        EpisodeOptions { max_steps: MAX_STEPS, timeout: TIMEOUT, ..EpisodeOptions::default() };
    let mut controls = Controls {
        observer: &mut (),
        user: &mut (),
        cancel: &CancelFlag::default(),
        halt: &Halt::default(),
    };
    let episode = run_episode(&mut device, policy, task.goal(), &options, &mut controls)?;
    let crash = episode.error.as_ref().map(|error| with_source(error));
    let state = page.settled().context("the page does not say what happened")?;
    let outcome = state.text("outcome").to_owned();
    Ok(LiveEpisode {
        reached: task.is_reached(&outcome),
        claimed: episode.stop_reason == StopReason::ClaimedSuccess,
        crash,
        outcome,
        steps: episode.steps,
        ..LiveEpisode::crashed(task, String::new())
    })
}
