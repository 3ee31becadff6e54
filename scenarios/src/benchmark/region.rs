//! Boxes and polygons in real numbers: whether a point is inside, how far away it is, how large they are.

/// Left, top, right, bottom.
pub type Box2 = [f64; 4];

/// Whether all of these are numbers.
pub fn is_finite(numbers: &[f64]) -> bool {
    numbers.iter().all(|number| number.is_finite())
}

/// Whether a point is in a box, its edges included.
pub fn in_box([x, y]: [f64; 2], [left, top, right, bottom]: Box2) -> bool {
    left <= x && x <= right && top <= y && y <= bottom
}

/// Whether a point is in a polygon, by the number of edges a ray to the right of it crosses.
///
/// # Source
///
/// W. R. Franklin, "PNPOLY", 1970; the same rule as ClawGUI's `is_point_in_polygon`.
pub fn in_polygon([x, y]: [f64; 2], corners: &[[f64; 2]]) -> bool {
    let mut inside = false;
    let mut before = corners.last();
    for corner in corners {
        if let Some(&[before_x, before_y]) = before {
            let &[at_x, at_y] = corner;
            let crosses = (at_y > y) != (before_y > y)
                && x < (before_x - at_x) * (y - at_y) / (before_y - at_y) + at_x;
            inside ^= crosses;
        }
        before = Some(corner);
    }
    inside
}

/// Returns the area of a polygon that does not cross itself.
pub fn area_of(corners: &[[f64; 2]]) -> f64 {
    let next = corners.iter().cycle().skip(1);
    let twice: f64 = corners.iter().zip(next).map(|([ax, ay], [bx, by])| ax * by - bx * ay).sum();
    twice.abs() / 2.0
}

/// Returns the smallest box around a polygon; nothing around none.
pub fn bounds(corners: &[[f64; 2]]) -> Option<Box2> {
    let first = corners.first()?;
    let start = [first[0], first[1], first[0], first[1]];
    Some(corners.iter().fold(start, |[left, top, right, bottom], &[x, y]| {
        [left.min(x), top.min(y), right.max(x), bottom.max(y)]
    }))
}

/// Returns how far a point is from a box; 0 inside.
pub fn distance_to_box([x, y]: [f64; 2], [left, top, right, bottom]: Box2) -> f64 {
    let dx = (left - x).max(x - right).max(0.0);
    let dy = (top - y).max(y - bottom).max(0.0);
    dx.hypot(dy)
}

/// Returns the middle of a box.
pub fn center([left, top, right, bottom]: Box2) -> [f64; 2] {
    [f64::midpoint(left, right), f64::midpoint(top, bottom)]
}

/// Returns how far two points are apart.
pub fn distance([ax, ay]: [f64; 2], [bx, by]: [f64; 2]) -> f64 {
    (ax - bx).hypot(ay - by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges_of_a_box_are_in_it() {
        let area = [10.0, 20.0, 30.0, 40.0];
        for point in [[10.0, 20.0], [30.0, 40.0], [20.0, 30.0]] {
            assert!(in_box(point, area));
        }
        assert!(!in_box([30.1, 40.0], area) && !in_box([f64::NAN, 30.0], area));
        let far = distance_to_box([33.0, 44.0], area);
        assert!((far - 5.0).abs() < 1e-12 && distance_to_box([20.0, 30.0], area) == 0.0);
    }

    #[test]
    fn a_polygon_has_its_own_shape_and_not_that_of_its_bounds() {
        let arrow = [[0.0, 0.0], [10.0, 5.0], [0.0, 10.0], [4.0, 5.0]];
        assert!(in_polygon([6.0, 5.0], &arrow));
        assert!(!in_polygon([2.0, 5.0], &arrow) && !in_polygon([9.0, 9.0], &arrow));
        assert!((area_of(&arrow) - 30.0).abs() < 1e-12);
        assert_eq!(bounds(&arrow), Some([0.0, 0.0, 10.0, 10.0]));
        assert!(!in_polygon([0.0, 0.0], &[]) && bounds(&[]).is_none());
    }

    proptest! {
        #[test]
        fn a_rectangle_s_polygon_agrees_with_its_box(
            (left, top) in (0.0..50.0_f64, 0.0..50.0_f64),
            (width, height) in (1.0..50.0_f64, 1.0..50.0_f64),
            (x, y) in (-10.0..120.0_f64, -10.0..120.0_f64),
        ) {
            let (right, bottom) = (left + width, top + height);
            let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
            let area = [left, top, right, bottom];
            prop_assert_eq!(in_polygon([x, y], &corners), in_box([x, y], area));
            prop_assert!((area_of(&corners) - width * height).abs() < 1e-6);
        }
    }
}
