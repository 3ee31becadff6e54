//! Ten lines to act on a screen: look, find a thing by its name, click it.
//!
//! ```console
//! $ cargo run --package handsight-agent --example click -- Save
//! ```

use std::error::Error;

use handsight_actions::{Action, DesktopDevice, DesktopOptions, Device as _};
use handsight_agent::{CancelFlag, PromptProfile, ground};
use handsight_model::Engine;

/// Clicks what has this name on the desktop; returns whether there is such a thing.
pub(crate) fn click(name: &str, desktop: &DesktopOptions) -> Result<bool, Box<dyn Error>> {
    let mut screen = DesktopDevice::open(desktop)?;
    let (model, profile) = (Engine::embedded()?, PromptProfile::embedded());
    let picture = screen.observe()?.screenshot.image;
    let place = ground(&model, &profile, &picture, name, &CancelFlag::default())?;
    if place.found {
        screen.perform(&Action::LeftClick { coordinate: place.point })?;
    }
    Ok(place.found)
}

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("say what to click, such as `Save`")?;
    if click(&name, &DesktopOptions::default())? {
        return Ok(());
    }
    Err(format!("there is no {name:?} on the screen").into())
}
