//! What of a desktop is observed and acted on, as it was typed.

use clap::Args;
use handsight_actions::{DesktopOptions, MonitorChoice, Rect, Scope, WindowChoice};

use crate::failure::Failure;

/// Which part of the desktop.
#[derive(Debug, Default, Args)]
pub(crate) struct DesktopArgs {
    /// The monitor: its number or name as `devices` lists them, or `window:TITLE` for the one with
    /// that window; the primary one by default.
    #[arg(long, conflicts_with = "window")]
    pub(crate) monitor: Option<MonitorChoice>,

    /// Only this window, wherever it goes: a regular expression found in its title, or the number
    /// that `devices` lists.
    #[arg(long, value_name = "TITLE")]
    pub(crate) window: Option<WindowChoice>,

    /// Only this part of the monitor or window, in its pixels.
    #[arg(long, value_name = "X,Y,W,H", value_parser = parse_region)]
    pub(crate) region: Option<Rect>,
}

impl DesktopArgs {
    /// Whether anything was chosen.
    pub(crate) fn is_given(&self) -> bool {
        self.monitor.is_some() || self.window.is_some() || self.region.is_some()
    }

    /// Returns the monitor that was chosen, if one was.
    pub(crate) fn whole_monitor(&self) -> Result<Option<MonitorChoice>, Failure> {
        if self.window.is_some() || self.region.is_some() {
            return Err(Failure::bad_input("only whole monitors are tested".to_owned()).with_hint(
                "leave out `--window` and `--region`, or use `--monitor window:TITLE`",
            ));
        }
        Ok(self.monitor.clone())
    }

    /// Returns the monitor or window that was chosen.
    fn scope(&self) -> Scope {
        match &self.window {
            Some(window) => Scope::Window(window.clone()),
            None => Scope::Monitor(self.monitor.clone().unwrap_or_default()),
        }
    }

    /// Returns all that was chosen.
    pub(crate) fn options(&self) -> DesktopOptions {
        DesktopOptions { scope: self.scope(), region: self.region, ..DesktopOptions::default() }
    }
}

/// Reads a rectangle with a pixel in it.
fn parse_region(text: &str) -> Result<Rect, String> {
    let numbers: Vec<u32> = text
        .split(',')
        .map(|number| number.trim().parse().ok().filter(|&number| number <= 1 << 20))
        .collect::<Option<_>>()
        .unwrap_or_default();
    match numbers[..] {
        [x, y, width, height] if width > 0 && height > 0 => {
            Ok(Rect { x: x.cast_signed(), y: y.cast_signed(), width, height })
        }
        _ => Err("expected the left edge, top edge, width and height in pixels, such as \
                  `0,40,800,600`"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_four_numbers_and_a_pixel() {
        let rect = Rect { x: 0, y: 40, width: 800, height: 600 };
        assert_eq!(parse_region("0,40,800,600"), Ok(rect));
        assert_eq!(parse_region("0, 40, 800, 600"), Ok(rect));
        for bad in ["", "1,2,3", "1,2,3,4,5", "-1,0,5,5", "0,0,0,5", "0,0,5,99999999999", "a,b,c,d"]
        {
            assert!(parse_region(bad).is_err(), "{bad}");
        }
    }
}
