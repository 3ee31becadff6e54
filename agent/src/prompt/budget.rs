//! How many pixels of a picture a model is shown.
//!
//! Every 28 × 28 px cost a token, and on a processor tokens of pictures are most of what a step
//! costs. A small picture is cheap and makes small things hard to hit.

use std::str::FromStr;

use handsight_actions::Size;
use handsight_model::PixelLimits;

use crate::family::Surface;

/// The most pixels of a picture that a model is shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PixelBudget {
    /// What suits the family of the checkpoint.
    #[default]
    Family,
    /// So many.
    Most(u64),
    /// As many as are needed to see the smallest things that are usually clicked on such a screen.
    /// Where a picture is made smaller for it, what is looked for is looked at a second time, from
    /// close by and as it is.
    Auto,
}

/// The fewest and the most pixels that can be asked for.
pub const PIXEL_BUDGETS: std::ops::RangeInclusive<u64> = 784..=100_000_000;

/// The least that is shown of a large screen: 256 tokens.
const LEAST: u64 = 256 * 784;

/// How large the smallest things are shown, in pixels: a little more than one patch of 14.
const SHOWN: u64 = 16;

impl PixelBudget {
    /// Returns the number that was asked for, if one was.
    pub fn most(self) -> Option<u64> {
        if let Self::Most(most) = self { Some(most) } else { None }
    }

    /// Narrows what suits a checkpoint down to what may be spent.
    pub(super) fn within(self, limits: PixelLimits) -> PixelLimits {
        self.most().map_or(limits, |most| narrowed(limits, most))
    }

    /// Narrows `limits` down further for a screen that is shown so large within them, if that is more
    /// than is needed to look for something.
    pub(super) fn on_screen(
        self,
        limits: PixelLimits,
        surface: Surface,
        (screen, shown): (Size, Size),
    ) -> PixelLimits {
        let enough = enough(surface, screen);
        let is_more = u64::from(shown.width) * u64::from(shown.height) > enough;
        if self == Self::Auto && is_more { narrowed(limits, enough) } else { limits }
    }
}

fn narrowed(limits: PixelLimits, most: u64) -> PixelLimits {
    let smaller = |limit: Option<u64>| limit.map(|limit| limit.min(most));
    PixelLimits { min_pixels: smaller(limits.min_pixels), max_pixels: Some(most), ..limits }
}

/// The pixels with which the smallest things that are usually clicked are [`SHOWN`] px large.
fn enough(surface: Surface, screen: Size) -> u64 {
    let (width, height) = (u64::from(screen.width), u64::from(screen.height));
    let short = width.min(height);
    let smallest = match surface {
        // 24 px, and more on screens that are so fine that they are scaled up.
        Surface::Desktop => (short / 45).max(24),
        // 48 dp, where the short side has 411.
        Surface::Mobile => short * 48 / 411,
    };
    let smallest = smallest.max(SHOWN);
    (width * height * SHOWN * SHOWN / (smallest * smallest)).max(LEAST)
}

impl FromStr for PixelBudget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let most = text.parse().ok().filter(|most| PIXEL_BUDGETS.contains(most));
        most.map(Self::Most).ok_or_else(|| {
            let (first, last) = PIXEL_BUDGETS.into_inner();
            format!("it is neither `auto` nor a number from {first} to {last}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(surface: Surface, (width, height): (u32, u32), expected: Option<u64>) {
        let screen = Size { width, height };
        let limits = PixelLimits::default();
        let auto = PixelBudget::Auto.on_screen(limits, surface, (screen, screen));
        assert_eq!(auto.max_pixels, expected);
        assert_eq!(PixelBudget::Family.on_screen(limits, surface, (screen, screen)), limits);
    }

    #[test]
    fn the_smallest_things_of_a_screen_stay_visible() {
        check(Surface::Desktop, (1280, 720), Some(409_600));
        check(Surface::Desktop, (1920, 1080), Some(921_600));
        // Twice as fine, and things twice as large.
        check(Surface::Desktop, (3840, 2160), Some(921_600));
        check(Surface::Mobile, (1080, 2400), Some(LEAST));
        check(Surface::Mobile, (240, 320), None);
        // What is not shown larger anyway.
        let (screen, shown) =
            (Size { width: 1920, height: 1080 }, Size { width: 1204, height: 700 });
        let limits = PixelLimits::default();
        let auto = PixelBudget::Auto.on_screen(limits, Surface::Desktop, (screen, shown));
        assert_eq!(auto, limits);
    }

    #[test]
    fn a_budget_is_a_number_or_auto() {
        assert_eq!("auto".parse(), Ok(PixelBudget::Auto));
        assert_eq!("200704".parse(), Ok(PixelBudget::Most(200_704)));
        for wrong in ["", "783", "1e6", "-5", "100000001", "Auto"] {
            let error = wrong.parse::<PixelBudget>().unwrap_err();
            assert_eq!(error, "it is neither `auto` nor a number from 784 to 100000000");
        }
    }
}
