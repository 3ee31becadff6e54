//! Draws for the pages, the same on every machine.

use crate::scenario::random::drawn;

/// What one task draws from.
pub(super) struct Draw {
    of: String,
    count: u64,
}

impl Draw {
    pub(super) fn new(family: &str, seed: u64) -> Self {
        Self { of: format!("live/{family}/{seed}"), count: 0 }
    }

    /// Returns a number below another.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.count += 1;
        let drawn = drawn(&format!("{}/{}", self.of, self.count));
        usize::try_from(drawn % (bound.max(1) as u64)).unwrap_or(0)
    }

    /// Returns a number from one to another, both included.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Returns so many different ones, in any order.
    pub(super) fn some<T: Copy>(&mut self, count: usize, of: &[T]) -> Vec<T> {
        let mut left = of.to_vec();
        (0..count.min(of.len())).map(|_| left.swap_remove(self.below(left.len()))).collect()
    }
}
