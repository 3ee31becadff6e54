//! What changed about a target, in words for people.

use std::fmt;

use handsight_actions::{PixelPoint, Size};
use image::{Rgb, RgbImage};

use super::picture::{distance, mean};
use super::{Anchor, clip};

/// How far a mean colour must be from what it was to be another.
const RECOLOURED: u8 = 24;

/// How a target differs from what was remembered of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// How far it moved, in pixels to the right and down.
    moved: (i32, i32),
    /// The name of its colour, if that is another.
    colour: Option<&'static str>,
    /// The size of the screen, if that is another.
    screen: Option<Size>,
}

impl Change {
    /// Compares a target with what is now at `point`.
    pub fn between(anchor: &Anchor, screen: &RgbImage, point: PixelPoint) -> Self {
        let size = Size { width: screen.width(), height: screen.height() };
        let moved = (point.x - anchor.point.x, point.y - anchor.point.y);
        let now = handsight_actions::Rect {
            x: anchor.target.x + moved.0,
            y: anchor.target.y + moved.1,
            ..anchor.target
        };
        let was = mean(&anchor.picture, anchor.target_in_picture());
        let colour = clip(now, size).and_then(|now| {
            let now = mean(screen, now);
            (distance(was, now) > RECOLOURED).then(|| colour_name(now))
        });
        Self { moved, colour, screen: (size != anchor.screen).then_some(size) }
    }
}

/// `moved 140 px right and 12 px down and is now blue`; `looks different` if nothing else can be
/// said.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let along = |by: i32, negative, positive| match by {
            0 => None,
            ..0 => Some(format!("{} px {negative}", -i64::from(by))),
            _ => Some(format!("{by} px {positive}")),
        };
        let moved: Vec<String> =
            [along(self.moved.0, "left", "right"), along(self.moved.1, "up", "down")]
                .into_iter()
                .flatten()
                .collect();
        let mut parts = Vec::new();
        if !moved.is_empty() {
            parts.push(format!("moved {}", moved.join(" and ")));
        }
        if let Some(colour) = self.colour {
            parts.push(format!("is now {colour}"));
        }
        if let Some(screen) = self.screen {
            parts.push(format!("is on a screen of {screen}"));
        }
        if parts.is_empty() {
            parts.push("looks different".to_owned());
        }
        f.write_str(&parts.join(" and "))
    }
}

/// Returns what people call a colour.
fn colour_name(Rgb(channels): Rgb<u8>) -> &'static str {
    let [r, g, b] = channels.map(i32::from);
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let chroma = high - low;
    if chroma < 24 {
        return match high {
            ..=48 => "black",
            49..=200 => "grey",
            _ => "white",
        };
    }
    let hue = match high {
        _ if high == r => (60 * (g - b) / chroma).rem_euclid(360),
        _ if high == g => 60 * (b - r) / chroma + 120,
        _ => 60 * (r - g) / chroma + 240,
    };
    match hue {
        ..=14 | 346.. => "red",
        15..=44 => "orange",
        45..=69 => "yellow",
        70..=164 => "green",
        165..=194 => "cyan",
        195..=259 => "blue",
        260..=304 => "purple",
        305..=345 => "pink",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_said_in_words() {
        let check = |moved, colour, screen, expected: &str| {
            assert_eq!(Change { moved, colour, screen }.to_string(), expected);
        };
        check((140, 0), Some("blue"), None, "moved 140 px right and is now blue");
        check((-3, 12), None, None, "moved 3 px left and 12 px down");
        let screen = Some(Size { width: 800, height: 600 });
        check((0, -1), None, screen, "moved 1 px up and is on a screen of 800×600");
        check((0, 0), None, None, "looks different");
    }

    #[test]
    fn colours_have_names() {
        let names = [
            ([255, 255, 255], "white"),
            ([3, 3, 3], "black"),
            ([128, 128, 130], "grey"),
            ([200, 30, 30], "red"),
            ([230, 140, 20], "orange"),
            ([230, 220, 40], "yellow"),
            ([40, 160, 60], "green"),
            ([20, 200, 200], "cyan"),
            ([53, 132, 228], "blue"),
            ([140, 60, 220], "purple"),
            ([240, 80, 180], "pink"),
        ];
        for (rgb, name) in names {
            assert_eq!(colour_name(Rgb(rgb)), name, "{rgb:?}");
        }
    }
}
