//! The part of the desktop that screenshots show, and the way of a point from one to the other.

use super::{
    DesktopPoint, MonitorLayout, MonitorPoint, PixelPoint, Rect, Size, clamp, floor, rescale,
};

/// What screenshots show: a whole monitor, a window on it, or a region of either.
///
/// No pixel of a screenshot leads to a place outside the area, so no action can.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    monitor: MonitorLayout,
    /// In physical pixels, from the monitor's corner. A window may reach onto the next monitor.
    rect: Rect,
}

impl Area {
    /// All of a monitor.
    pub fn whole(monitor: MonitorLayout) -> Self {
        Self { monitor, rect: Rect::whole(monitor.size) }
    }

    /// A rectangle of the desktop, in its units, that lies on a monitor; and on others of the same
    /// scale where it reaches beyond that one.
    pub fn on(monitor: MonitorLayout, desktop: Rect) -> Self {
        let edge =
            |value: i32, origin: i32| floor((f64::from(value) - f64::from(origin)) * monitor.scale);
        let side = |length: u32| floor((f64::from(length) * monitor.scale).ceil()).unsigned_abs();
        let rect = Rect {
            x: edge(desktop.x, monitor.origin.x),
            y: edge(desktop.y, monitor.origin.y),
            width: side(desktop.width),
            height: side(desktop.height),
        };
        Self { monitor, rect }
    }

    /// A region of this area, in its own pixels; `None` if it is empty or reaches beyond it.
    pub fn region(self, region: Rect) -> Option<Self> {
        let whole = Rect::whole(self.size());
        (whole.intersection(region) == Some(region)).then(|| {
            let corner = self.rect.place(MonitorPoint { x: region.x, y: region.y });
            Self { rect: Rect { x: corner.x, y: corner.y, ..region }, ..self }
        })
    }

    /// Returns its size in physical pixels, which is that of its screenshots unless the system
    /// scales what it captures.
    pub fn size(self) -> Size {
        Size { width: self.rect.width, height: self.rect.height }
    }

    /// Returns it in physical pixels, from the corner of its monitor.
    pub fn on_monitor(self) -> Rect {
        self.rect
    }

    /// Returns the smallest rectangle of desktop units that holds it.
    pub fn on_desktop(self) -> Rect {
        let first = self.monitor.to_desktop(MonitorPoint { x: self.rect.x, y: self.rect.y });
        let last = |edge: i32, length: u32| edge.saturating_add_unsigned(length.saturating_sub(1));
        let last = self.monitor.to_desktop(MonitorPoint {
            x: last(self.rect.x, self.rect.width),
            y: last(self.rect.y, self.rect.height),
        });
        let side = |from: i32, to: i32, length: u32| {
            if length == 0 { 0 } else { to.abs_diff(from).saturating_add(1) }
        };
        Rect {
            x: first.x,
            y: first.y,
            width: side(first.x, last.x, self.rect.width),
            height: side(first.y, last.y, self.rect.height),
        }
    }

    /// Whether a place on the desktop lies in the area.
    pub fn contains(self, point: DesktopPoint) -> bool {
        self.rect.contains(self.monitor.pixel_at(point))
    }

    /// Returns the monitor's pixel under the centre of a pixel of a screenshot of the area, which
    /// is `screenshot` large.
    ///
    /// A point outside the screenshot gives the nearest pixel of the area's edge. Refuse such a
    /// point first, with [`Action::validate`](crate::Action::validate), where it would be acted on.
    pub fn to_monitor(self, point: PixelPoint, screenshot: Size) -> MonitorPoint {
        self.rect.place(MonitorPoint {
            x: rescale(point.x, screenshot.width, self.rect.width),
            y: rescale(point.y, screenshot.height, self.rect.height),
        })
    }

    /// Returns the place on the desktop that holds the centre of a pixel of a screenshot.
    ///
    /// Points outside the screenshot are treated as by [`to_monitor`](Self::to_monitor).
    pub fn to_desktop(self, point: PixelPoint, screenshot: Size) -> DesktopPoint {
        self.monitor.to_desktop(self.to_monitor(point, screenshot))
    }

    /// Returns the pixel of a screenshot under the centre of a desktop unit, clamped to the area.
    pub fn from_desktop(self, point: DesktopPoint, screenshot: Size) -> PixelPoint {
        let point = self.monitor.pixel_at(point);
        let offset = |value: i32, edge: i32| i64::from(value) - i64::from(edge);
        PixelPoint {
            x: rescale(
                clamp(offset(point.x, self.rect.x), self.rect.width),
                self.rect.width,
                screenshot.width,
            ),
            y: rescale(
                clamp(offset(point.y, self.rect.y), self.rect.height),
                self.rect.height,
                screenshot.height,
            ),
        }
    }

    /// Returns the part of a screenshot that a rectangle of the desktop takes, which may reach
    /// beyond it.
    pub fn shown(self, desktop: Rect, screenshot: Size) -> Rect {
        let there = Self::on(self.monitor, desktop).rect;
        let ratio = |shown: u32, real: u32| f64::from(shown) / f64::from(real.max(1));
        let across = ratio(screenshot.width, self.rect.width);
        let down = ratio(screenshot.height, self.rect.height);
        let edge = |value: i32, origin: i32, ratio: f64| {
            floor((f64::from(value) - f64::from(origin)) * ratio)
        };
        let side =
            |length: u32, ratio: f64| floor((f64::from(length) * ratio).ceil()).unsigned_abs();
        Rect {
            x: edge(there.x, self.rect.x, across),
            y: edge(there.y, self.rect.y, down),
            width: side(there.width, across),
            height: side(there.height, down),
        }
    }
}

impl Rect {
    /// Returns what two rectangles of one space share, if they share a pixel.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let (left, top) = (self.x.max(other.x), self.y.max(other.y));
        let ([right, bottom], [other_right, other_bottom]) = (self.ends(), other.ends());
        let (right, bottom) = (right.min(other_right), bottom.min(other_bottom));
        let length = |from: i32, to: i64| {
            u32::try_from(to - i64::from(from)).ok().filter(|&length| length > 0)
        };
        Some(Self { x: left, y: top, width: length(left, right)?, height: length(top, bottom)? })
    }

    /// Whether every pixel of it lies in one of the others.
    pub fn is_covered_by(self, others: &[Self]) -> bool {
        let mut left = vec![self];
        for &other in others {
            left = left.into_iter().flat_map(|rect| rect.without(other)).collect();
        }
        left.iter().all(|rect| rect.width == 0 || rect.height == 0)
    }

    /// Returns the parts of it that do not lie in another, four at most.
    fn without(self, other: Self) -> Vec<Self> {
        let Some(hole) = self.intersection(other) else { return vec![self] };
        let ([right, bottom], [hole_right, hole_bottom]) = (self.ends(), hole.ends());
        let part = |x: i64, y: i64, right: i64, bottom: i64| {
            let corner = |value: i64| i32::try_from(value).ok();
            let side = |length: i64| u32::try_from(length).ok().filter(|&length| length > 0);
            let (width, height) = (side(right - x)?, side(bottom - y)?);
            Some(Self { x: corner(x)?, y: corner(y)?, width, height })
        };
        let [x, y] = [self.x, self.y].map(i64::from);
        let [hole_x, hole_y] = [hole.x, hole.y].map(i64::from);
        let parts = [
            part(x, y, right, hole_y),
            part(x, hole_bottom, right, bottom),
            part(x, hole_y, hole_x, hole_bottom),
            part(hole_right, hole_y, right, hole_bottom),
        ];
        parts.into_iter().flatten().collect()
    }

    /// The first column to the right and the first row below.
    fn ends(self) -> [i64; 2] {
        let end = |edge: i32, length: u32| i64::from(edge) + i64::from(length);
        [end(self.x, self.width), end(self.y, self.height)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn monitor(x: i32, y: i32, [width, height]: [u32; 2], scale: f64) -> MonitorLayout {
        MonitorLayout { origin: DesktopPoint { x, y }, size: Size { width, height }, scale }
    }

    fn rect([x, y, width, height]: [i32; 4]) -> Rect {
        Rect { x, y, width: width.unsigned_abs(), height: height.unsigned_abs() }
    }

    #[test]
    fn a_window_of_the_desktop_is_found_on_the_screenshot() {
        let size = Size { width: 800, height: 600 };
        let window = rect([90, -40, 30, 20]);
        let plain = Area::whole(monitor(100, -50, [800, 600], 1.0));
        assert_eq!(plain.shown(window, size), rect([-10, 10, 30, 20]));
        let doubled = Area::whole(monitor(100, -50, [800, 600], 2.0));
        assert_eq!(doubled.shown(window, size), rect([-20, 20, 60, 40]));
        let half = Size { width: 400, height: 300 };
        assert_eq!(plain.shown(window, half), rect([-5, 5, 15, 10]));
        let region = plain.region(rect([100, 200, 300, 100])).unwrap();
        assert_eq!(region.shown(window, region.size()), rect([-110, -190, 30, 20]));
    }

    #[test]
    fn a_region_of_a_window_of_a_monitor_is_one_offset_after_another() {
        let left = monitor(-1280, 200, [1280, 720], 1.0);
        let window = Area::on(left, rect([-900, 300, 400, 300]));
        assert_eq!(window.size(), Size { width: 400, height: 300 });
        assert_eq!(window.on_monitor(), rect([380, 100, 400, 300]));
        let region = window.region(rect([10, 20, 50, 60])).unwrap();
        assert_eq!(region.on_desktop(), rect([-890, 320, 50, 60]));
        let at = |x, y| region.to_desktop(PixelPoint { x, y }, region.size());
        assert_eq!(at(0, 0), DesktopPoint { x: -890, y: 320 });
        assert_eq!(at(49, 59), DesktopPoint { x: -841, y: 379 });
        for beyond in [[-1, 0, 5, 5], [0, 0, 401, 5], [395, 0, 6, 5], [0, 300, 5, 1], [0, 0, 0, 5]]
        {
            assert_eq!(window.region(rect(beyond)), None, "{beyond:?}");
        }
        assert_eq!(window.region(rect([0, 0, 400, 300])), Some(window));
    }

    #[test]
    fn a_point_of_a_doubled_monitor_is_a_point_of_half_the_number() {
        let area = Area::on(monitor(1000, 0, [2880, 1800], 2.0), rect([1100, 50, 300, 200]));
        assert_eq!(area.on_monitor(), rect([200, 100, 600, 400]));
        let region = area.region(rect([101, 51, 31, 1])).unwrap();
        let at = |x| region.to_desktop(PixelPoint { x, y: 0 }, region.size());
        assert_eq!(at(0), DesktopPoint { x: 1150, y: 75 });
        assert_eq!(at(30), DesktopPoint { x: 1165, y: 75 });
        assert_eq!(region.on_desktop(), rect([1150, 75, 16, 1]));
    }

    #[test]
    fn a_rectangle_is_covered_by_several_only_without_a_gap() {
        let window = rect([90, 10, 20, 20]);
        let (left, right) = (rect([0, 0, 100, 50]), rect([100, 0, 100, 25]));
        assert!(window.is_covered_by(&[rect([90, 10, 20, 20])]));
        assert!(!window.is_covered_by(&[left]) && !window.is_covered_by(&[right]));
        assert!(!window.is_covered_by(&[left, right]), "its lower right corner is nowhere");
        assert!(window.is_covered_by(&[left, right, rect([50, 20, 60, 60])]));
        assert!(!window.is_covered_by(&[]));
    }

    fn any_monitor() -> impl Strategy<Value = MonitorLayout> {
        let scale = proptest::sample::select(&[1.0, 1.25, 1.5, 2.0, 3.0][..]);
        ([-8000..8000i32, -8000..8000i32], [1..6000u32, 1..6000u32], scale)
            .prop_map(|([x, y], size, scale)| monitor(x, y, size, scale))
    }

    fn any_area() -> impl Strategy<Value = Area> {
        let part = || [0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64];
        let cut = |area: Area, [x, y, width, height]: [f64; 4]| {
            let inner = |part: f64, length: u32| floor(part * f64::from(length));
            let side = |part: f64, length: u32, from: i32| {
                floor(part * f64::from(length.saturating_sub(from.unsigned_abs()))).max(1)
            };
            let Size { width: across, height: down } = area.size();
            let (x, y) = (inner(x, across), inner(y, down));
            let region = rect([x, y, side(width, across, x), side(height, down, y)]);
            area.region(region).expect("the region was cut from the area")
        };
        let window = ([-500..3000i32, -500..3000i32], [1..3000i32, 1..3000i32]);
        let area = (any_monitor(), proptest::option::of(window)).prop_map(|(monitor, window)| {
            window.map_or(Area::whole(monitor), |([x, y], [width, height])| {
                let DesktopPoint { x: left, y: top } = monitor.origin;
                Area::on(monitor, rect([left + x, top + y, width, height]))
            })
        });
        (area, proptest::option::of(part()))
            .prop_map(move |(area, part)| part.map_or(area, |part| cut(area, part)))
    }

    proptest! {
        #[test]
        fn no_point_of_a_screenshot_leads_out_of_the_area(
            area in any_area(), width in 1..4000u32, height in 1..4000u32,
            x in any::<i32>(), y in any::<i32>(),
        ) {
            for screenshot in [area.size(), Size { width, height }] {
                let point = area.to_desktop(PixelPoint { x, y }, screenshot);
                prop_assert!(area.on_desktop().contains(point), "{point} in {:?}", area.on_desktop());
                let back = area.from_desktop(DesktopPoint { x, y }, screenshot);
                prop_assert!(screenshot.contains(back));
            }
        }

        #[test]
        fn a_pixel_comes_back_from_the_desktop(
            area in any_area(), x in 0.0..1.0f64, y in 0.0..1.0f64,
        ) {
            let size = area.size();
            let pixel = PixelPoint {
                x: floor(x * f64::from(size.width)),
                y: floor(y * f64::from(size.height)),
            };
            let back = area.from_desktop(area.to_desktop(pixel, size), size);
            let off = (back.x - pixel.x).abs().max((back.y - pixel.y).abs());
            prop_assert!(f64::from(off) <= area.monitor.scale / 2.0 + 0.5, "{back} for {pixel}");
            if (area.monitor.scale - 1.0).abs() < f64::EPSILON {
                prop_assert_eq!(back, pixel);
                prop_assert!(area.contains(area.to_desktop(pixel, size)));
            }
        }

        #[test]
        fn a_region_shows_what_the_whole_shows_there(
            area in any_area(), x in 0.0..1.0f64, y in 0.0..1.0f64,
        ) {
            let Size { width, height } = area.size();
            let at = |part: f64, length: u32| floor(part * f64::from(length));
            let pixel = PixelPoint { x: at(x, width), y: at(y, height) };
            let one = area.region(Rect { x: pixel.x, y: pixel.y, width: 1, height: 1 }).unwrap();
            let origin = PixelPoint { x: 0, y: 0 };
            prop_assert_eq!(
                one.to_desktop(origin, one.size()),
                area.to_desktop(pixel, area.size())
            );
        }

        #[test]
        fn no_rectangle_makes_a_conversion_panic(
            monitor in any_monitor(), x in any::<i32>(), y in any::<i32>(),
            width in any::<u32>(), height in any::<u32>(), area in any_area(),
        ) {
            let wild = Rect { x, y, width, height };
            let on = Area::on(monitor, wild);
            let _ = (on.on_desktop(), on.region(wild), area.region(wild));
            let _ = area.shown(wild, Size { width, height });
            let _ = wild.is_covered_by(&[area.on_monitor(), wild]);
        }
    }
}
