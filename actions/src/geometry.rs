//! Sizes, rectangles and points, and the only conversions between spaces of points.
//!
//! A click in the wrong place is the commonest fault of programs like this one, and it nearly
//! always comes from a number that changed its meaning on the way: pixels of the picture the model
//! saw, of the screenshot, of the monitor, or the units of the virtual desktop. So each of the four
//! is its own type, and a number passes from one to the next here and in `geometry/` or not at all.
//!
//! ```text
//! ModelPoint ── Frame ──> PixelPoint ── Area ──> MonitorPoint ── MonitorLayout ──> DesktopPoint
//! ```
//!
//! An [`Area`] is what of a monitor the screenshot shows: all of it, a window or a region.
//!
//! Every conversion maps the *centre* of the source pixel and takes the target pixel it falls in,
//! which is exact when the sizes agree and never drifts towards a corner when they do not.

mod area;
mod grid;

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::area::Area;
pub use self::grid::{Grid, ModelBox};

/// A width and a height.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl Size {
    /// Whether a point in the space this is the size of lies inside it.
    pub fn contains<P: Point>(self, point: P) -> bool {
        let (x, y) = point.xy();
        inside(x, self.width) && inside(y, self.height)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

/// An upright rectangle; which space it lies in is said where it is used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rect {
    /// The left edge.
    pub x: i32,
    /// The top edge.
    pub y: i32,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl Rect {
    /// Returns all of something of this size, from its corner.
    pub fn whole(size: Size) -> Self {
        Self { x: 0, y: 0, width: size.width, height: size.height }
    }

    /// Whether a point of the same space lies inside; the right and bottom edges lie outside.
    pub fn contains<P: Point>(self, point: P) -> bool {
        let (x, y) = point.xy();
        let offset = |value: i32, edge: i32| i64::from(value) - i64::from(edge);
        (0..i64::from(self.width)).contains(&offset(x, self.x))
            && (0..i64::from(self.height)).contains(&offset(y, self.y))
    }

    /// Returns the point of the whole that a point of this part is: the part's corner is its origin.
    pub fn place<P: Point>(self, inside: P) -> P {
        let (x, y) = inside.xy();
        P::new(self.x.saturating_add(x), self.y.saturating_add(y))
    }

    /// Returns the pixel at the middle.
    pub fn center<P: Point>(self) -> P {
        let half = |edge: i32, length: u32| edge.saturating_add_unsigned(length / 2);
        P::new(half(self.x, self.width), half(self.y, self.height))
    }
}

/// A point of one of the four spaces.
///
/// [`Action`](crate::Action) is generic over this, so that an action in the model's space and one
/// in the screenshot's space are different types.
pub trait Point:
    Copy + Eq + fmt::Debug + fmt::Display + Serialize + DeserializeOwned + JsonSchema + 'static
{
    /// Makes a point of this space.
    fn new(x: i32, y: i32) -> Self;

    /// Returns its two numbers, x first.
    fn xy(self) -> (i32, i32);
}

macro_rules! point {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Its JSON form is `[x, y]`.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
        #[serde(from = "[i32; 2]", into = "[i32; 2]")]
        pub struct $name {
            /// From the left edge, rightwards.
            pub x: i32,
            /// From the top edge, downwards.
            pub y: i32,
        }

        impl Point for $name {
            fn new(x: i32, y: i32) -> Self {
                Self { x, y }
            }

            fn xy(self) -> (i32, i32) {
                (self.x, self.y)
            }
        }

        impl From<[i32; 2]> for $name {
            fn from([x, y]: [i32; 2]) -> Self {
                Self { x, y }
            }
        }

        impl From<$name> for [i32; 2] {
            fn from(point: $name) -> Self {
                [point.x, point.y]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "({}, {})", self.x, self.y)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "array",
                    "prefixItems": [{ "type": "integer" }, { "type": "integer" }],
                    "items": false,
                    "minItems": 2,
                    "maxItems": 2,
                })
            }
        }
    };
}

point! {
    /// A point of the grid the model speaks in: nearly always a pixel of the resized image it saw.
    ModelPoint
}
point! {
    /// A pixel of the screenshot, from its top-left corner.
    PixelPoint
}
point! {
    /// A physical pixel of one monitor, from that monitor's top-left corner.
    MonitorPoint
}
point! {
    /// A place on the virtual desktop all monitors share, in the units the system's input takes.
    ///
    /// Monitors to the left of or above the main one have negative numbers here.
    DesktopPoint
}

/// The screenshot, and the grid laid over it on which the model names points.
///
/// The grid is that of the pixels of the resized copy the model was shown, unless the checkpoint
/// was trained to speak otherwise: see [`Grid`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Frame {
    /// The screenshot's size.
    pub screenshot: Size,
    /// The size of the grid: of the resized image, or of whatever the model counts in.
    pub model: Size,
}

impl Frame {
    /// Returns the screenshot pixel under the centre of a model pixel.
    ///
    /// A point outside the resized image gives the nearest pixel of the edge. Refuse such a point
    /// first, with [`Size::contains`] or [`Action::validate`](crate::Action::validate), where it
    /// would be acted on.
    pub fn to_pixels(self, point: ModelPoint) -> PixelPoint {
        PixelPoint {
            x: rescale(point.x, self.model.width, self.screenshot.width),
            y: rescale(point.y, self.model.height, self.screenshot.height),
        }
    }

    /// Returns the model pixel that holds the centre of a screenshot pixel, clamped likewise.
    pub fn to_model(self, point: PixelPoint) -> ModelPoint {
        ModelPoint {
            x: rescale(point.x, self.screenshot.width, self.model.width),
            y: rescale(point.y, self.screenshot.height, self.model.height),
        }
    }
}

/// Where one monitor lies on the virtual desktop.
///
/// On X11, and on Windows for a process that is aware of each monitor's scale, a desktop unit is a
/// physical pixel and `scale` is 1 here. On macOS it is a point, and `scale` is 2 on most screens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorLayout {
    /// The monitor's top-left corner, in desktop units.
    pub origin: DesktopPoint,
    /// The monitor's size in physical pixels.
    pub size: Size,
    /// Physical pixels to one desktop unit; more than 0.
    pub scale: f64,
}

impl MonitorLayout {
    /// Returns the place on the virtual desktop that holds the centre of a monitor's pixel.
    pub fn to_desktop(self, point: MonitorPoint) -> DesktopPoint {
        let unit = |value: i32| floor((f64::from(value) + 0.5) / self.scale);
        DesktopPoint {
            x: self.origin.x.saturating_add(unit(point.x)),
            y: self.origin.y.saturating_add(unit(point.y)),
        }
    }

    /// Returns the monitor's pixel under the centre of a desktop unit, clamped to the monitor.
    pub fn from_desktop(self, point: DesktopPoint) -> MonitorPoint {
        let point = self.pixel_at(point);
        MonitorPoint {
            x: clamp(point.x.into(), self.size.width),
            y: clamp(point.y.into(), self.size.height),
        }
    }

    /// Returns the pixel under the centre of a desktop unit, which may lie beyond the monitor.
    fn pixel_at(self, point: DesktopPoint) -> MonitorPoint {
        let pixel = |value: i32, origin: i32| {
            floor((f64::from(value) - f64::from(origin) + 0.5) * self.scale)
        };
        MonitorPoint { x: pixel(point.x, self.origin.x), y: pixel(point.y, self.origin.y) }
    }
}

/// Maps the centre of pixel `value` of `from` pixels to the pixel of `to` pixels it falls in.
fn rescale(value: i32, from: u32, to: u32) -> i32 {
    let centre = (2 * i64::from(value) + 1) * i64::from(to);
    clamp(centre.div_euclid(2 * i64::from(from.max(1))), to)
}

/// Returns the nearest of `0..length`, or 0 when there is none.
fn clamp(value: i64, length: u32) -> i32 {
    let last = i64::from(length).saturating_sub(1).clamp(0, i64::from(i32::MAX));
    i32::try_from(value.clamp(0, last)).expect("clamped to what an i32 holds")
}

/// Rounds down to an integer; beyond the range of an `i32`, to its end.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as the doc says")]
fn floor(value: f64) -> i32 {
    value.floor() as i32
}

fn inside(value: i32, length: u32) -> bool {
    u32::try_from(value).is_ok_and(|value| value < length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Screenshots and the sizes the model's resize rule gives them, with ties of its rounding.
    const FRAMES: &[[u32; 4]] = &[
        [854, 480, 840, 476],
        [1470, 956, 1456, 952],
        [1280, 720, 1288, 728],
        [1920, 1080, 1932, 1092],
        [3840, 2160, 3836, 2156],
        [5120, 2880, 4760, 2688],
        [1440, 3120, 1428, 3108],
        [1, 1, 28, 28],
    ];

    fn frame([width, height, model_width, model_height]: [u32; 4]) -> Frame {
        Frame {
            screenshot: Size { width, height },
            model: Size { width: model_width, height: model_height },
        }
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let side = 1..6000u32;
        prop_oneof![
            proptest::sample::select(FRAMES).prop_map(frame),
            [side.clone(), side.clone(), side.clone(), side].prop_map(frame),
        ]
    }

    fn any_monitor() -> impl Strategy<Value = MonitorLayout> {
        let origin = -8000..8000i32;
        let scale = proptest::sample::select(&[1.0, 1.25, 1.5, 2.0][..]);
        (origin.clone(), origin, 1..6000u32, 1..6000u32, scale).prop_map(
            |(x, y, width, height, scale)| MonitorLayout {
                origin: DesktopPoint { x, y },
                size: Size { width, height },
                scale,
            },
        )
    }

    /// The distance between the centres of two pixels, as parts of the whole length.
    fn apart(a: i32, of_a: u32, b: i32, of_b: u32) -> f64 {
        let centre = |value: i32, of: u32| (f64::from(value) + 0.5) / f64::from(of);
        (centre(a, of_a) - centre(b, of_b)).abs()
    }

    proptest! {
        #[test]
        fn a_model_pixel_lands_on_the_screenshot_within_half_a_pixel(
            frame in any_frame(), x in 0.0..1.0f64, y in 0.0..1.0f64,
        ) {
            let x = floor(x * f64::from(frame.model.width));
            let y = floor(y * f64::from(frame.model.height));
            let pixel = frame.to_pixels(ModelPoint { x, y });
            prop_assert!(frame.screenshot.contains(pixel));
            let half = |length: u32| 0.5 / f64::from(length) + 1e-12;
            let (model, screenshot) = (frame.model, frame.screenshot);
            prop_assert!(apart(x, model.width, pixel.x, screenshot.width) <= half(screenshot.width));
            prop_assert!(apart(y, model.height, pixel.y, screenshot.height) <= half(screenshot.height));
        }

        #[test]
        fn going_to_the_finer_grid_and_back_changes_nothing(
            frame in any_frame(), x in 0.0..1.0f64, y in 0.0..1.0f64,
        ) {
            let x = floor(x * f64::from(frame.model.width));
            let y = floor(y * f64::from(frame.model.height));
            let point = ModelPoint { x, y };
            let back = frame.to_model(frame.to_pixels(point));
            if frame.screenshot.width >= frame.model.width {
                prop_assert_eq!(back.x, x);
            }
            if frame.screenshot.height >= frame.model.height {
                prop_assert_eq!(back.y, y);
            }
        }

        #[test]
        fn order_is_kept_and_the_edges_meet(frame in any_frame(), x in 0..6000i32) {
            let at = |x: i32| frame.to_pixels(ModelPoint { x, y: 0 }).x;
            prop_assert!(at(x) <= at(x + 1));
            let last = i32::try_from(frame.model.width).unwrap() - 1;
            let reach = f64::from(frame.screenshot.width) / f64::from(frame.model.width);
            prop_assert!(f64::from(at(0)) <= reach / 2.0);
            prop_assert!(f64::from(frame.screenshot.width) - f64::from(at(last)) <= reach / 2.0 + 1.0);
        }

        #[test]
        fn a_pixel_of_any_monitor_survives_the_trip_over_the_desktop(
            monitor in any_monitor(), x in 0.0..1.0f64, y in 0.0..1.0f64,
        ) {
            let point = MonitorPoint {
                x: floor(x * f64::from(monitor.size.width)),
                y: floor(y * f64::from(monitor.size.height)),
            };
            let desktop = monitor.to_desktop(point);
            let units = |length: u32| floor((f64::from(length) / monitor.scale).ceil());
            prop_assert!((monitor.origin.x..monitor.origin.x + units(monitor.size.width)).contains(&desktop.x));
            prop_assert!((monitor.origin.y..monitor.origin.y + units(monitor.size.height)).contains(&desktop.y));

            let back = monitor.from_desktop(desktop);
            prop_assert!(f64::from((back.x - point.x).abs()) <= monitor.scale / 2.0 + 0.5);
            prop_assert!(f64::from((back.y - point.y).abs()) <= monitor.scale / 2.0 + 0.5);
            if (monitor.scale - 1.0).abs() < f64::EPSILON {
                prop_assert_eq!(back, point);
            }
        }

        #[test]
        fn a_desktop_unit_survives_the_trip_over_the_monitor(
            monitor in any_monitor(), x in 0.0..1.0f64, y in 0.0..1.0f64,
        ) {
            let unit = |part: f64, length: u32| floor(part * f64::from(length) / monitor.scale);
            let desktop = DesktopPoint {
                x: monitor.origin.x + unit(x, monitor.size.width),
                y: monitor.origin.y + unit(y, monitor.size.height),
            };
            prop_assert_eq!(monitor.to_desktop(monitor.from_desktop(desktop)), desktop);
        }

        #[test]
        fn no_number_makes_a_conversion_panic(
            x in any::<i32>(), y in any::<i32>(), frame in any_frame(), monitor in any_monitor(),
        ) {
            let pixel = frame.to_pixels(ModelPoint { x, y });
            prop_assert!(frame.screenshot.contains(pixel));
            let _ = monitor.to_desktop(MonitorPoint { x, y });
            let point = monitor.from_desktop(DesktopPoint { x, y });
            prop_assert!(monitor.size.contains(point));
        }
    }

    #[test]
    fn known_points_of_a_tie_frame() {
        let frame = frame(FRAMES[1]);
        let check = |x, y, expected: [i32; 2]| {
            assert_eq!(<[i32; 2]>::from(frame.to_pixels(ModelPoint { x, y })), expected);
        };
        check(0, 0, [0, 0]);
        check(728, 476, [735, 478]);
        check(1455, 951, [1469, 955]);
        check(1456, -3, [1469, 0]);
    }

    #[test]
    fn points_are_pairs_in_json() {
        let point: PixelPoint = serde_json::from_str("[120, 44]").unwrap();
        assert_eq!(point, PixelPoint { x: 120, y: 44 });
        assert_eq!(serde_json::to_string(&point).unwrap(), "[120,44]");
        assert!(serde_json::from_str::<PixelPoint>("[1, 2, 3]").is_err());
        assert!(serde_json::from_str::<PixelPoint>("[1.5, 2]").is_err());
    }

    #[test]
    fn rectangles_own_their_left_and_top_edges() {
        let rect = Rect { x: -2, y: 3, width: 4, height: 2 };
        let holds = |x, y| rect.contains(PixelPoint { x, y });
        assert!(holds(-2, 3) && holds(1, 4));
        assert!(!holds(2, 4) && !holds(1, 5) && !holds(-3, 3));
        assert_eq!(rect.center::<PixelPoint>(), PixelPoint { x: 0, y: 4 });
    }
}
