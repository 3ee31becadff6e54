//! A device of your own: whatever has a screen and takes input can be a [`Device`], and everything else,
//! episodes, safety policies, traces and scenarios, works on it.
//!
//! This one is a lamp with a touch panel. A real one would fetch its picture from a framebuffer or a network
//! and send touches there.
//!
//! ```console
//! $ cargo run --package handsight-agent --example custom_device
//! ```

use std::error::Error;

use handsight_actions::{
    Action, ActionSpace, Device, DeviceError, DeviceInfo, DeviceKind, Halt, Observation,
    PixelPoint, Rect, Screenshot, Size, Status, Verb,
};
use handsight_agent::{
    CancelFlag, Controls, Episode, EpisodeOptions, ScriptedPolicy, SettleOptions, run_episode,
};
use image::{Rgb, RgbImage};

const PANEL: Size = Size { width: 160, height: 120 };
const SWITCH: Rect = Rect { x: 50, y: 70, width: 60, height: 30 };

/// A lamp with a touch panel, on which a switch is drawn.
#[derive(Default)]
pub(crate) struct Lamp {
    pub(crate) is_lit: bool,
}

impl Device for Lamp {
    fn info(&self) -> DeviceInfo {
        // What it cannot do it does not offer: a policy then never asks for it.
        let action_space = ActionSpace::new([Verb::LeftClick, Verb::Wait, Verb::Terminate]);
        let (name, kind) = ("lamp".to_owned(), DeviceKind::Custom);
        DeviceInfo { name, kind, size: PANEL, scale: 1.0, action_space }
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        let light = if self.is_lit { Rgb([255, 230, 120]) } else { Rgb([40, 40, 48]) };
        let mut image = RgbImage::from_pixel(PANEL.width, PANEL.height, light);
        for (x, y, pixel) in image.enumerate_pixels_mut() {
            if SWITCH.contains(PixelPoint { x: x.cast_signed(), y: y.cast_signed() }) {
                *pixel = Rgb([128; 3]);
            }
        }
        Ok(Observation { screenshot: Screenshot::now(image, 1.0), foreground_app: None })
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        // Refuses verbs that are not offered and points off the panel, before anything is done.
        self.check(action)?;
        if let Action::LeftClick { coordinate } = action
            && SWITCH.contains(*coordinate)
        {
            self.is_lit = !self.is_lit;
        }
        Ok(())
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        Ok(()) // nothing is ever held down
    }
}

/// Touches the switch, in an episode as any policy has one.
pub(crate) fn switch_on(lamp: &mut Lamp) -> Result<Episode, Box<dyn Error>> {
    let mut policy = ScriptedPolicy::actions([
        Action::LeftClick { coordinate: SWITCH.center() },
        Action::Terminate { status: Status::Success },
    ]);
    let options =
        EpisodeOptions { settle: SettleOptions::immediate(), ..EpisodeOptions::default() };
    let (cancel, halt) = (CancelFlag::default(), Halt::default());
    let mut controls = Controls { observer: &mut (), user: &mut (), cancel: &cancel, halt: &halt };
    Ok(run_episode(lamp, &mut policy, "switch the lamp on", &options, &mut controls)?)
}

#[expect(clippy::print_stdout, reason = "an example of a program, not a library")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut lamp = Lamp::default();
    let episode = switch_on(&mut lamp)?;
    println!(
        "{}; the lamp is {}",
        episode.stop_reason.describe(),
        if lamp.is_lit { "on" } else { "off" }
    );
    Ok(())
}
