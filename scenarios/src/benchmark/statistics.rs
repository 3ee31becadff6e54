//! What a figure is worth: paired tests of two runs, and intervals that know that items share pictures.

use sha2::{Digest, Sha256};

/// Fewer groups than this say nothing of how groups differ.
const FEWEST_GROUPS: usize = 10;

/// How often a bootstrap draws.
const DRAWS: u32 = 2000;

/// Returns the two-sided p-value of McNemar's exact test: of `only_a` items that only the first run got
/// right and `only_b` that only the second did.
///
/// # Source
///
/// Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
/// percentages", Psychometrika 12 (1947); the exact form is the binomial test at 1/2.
pub fn mcnemar_exact(only_a: u32, only_b: u32) -> f64 {
    let n = only_a + only_b;
    if n == 0 {
        return 1.0;
    }
    // log C(n, k), so that thousands of flips do not overflow.
    let ln_factorial = |n: u32| (1..=n).map(|k| f64::from(k).ln()).sum::<f64>();
    let ln_half_n = -f64::from(n) * std::f64::consts::LN_2;
    let ln_n = ln_factorial(n);
    let at = |k: u32| (ln_n - ln_factorial(k) - ln_factorial(n - k) + ln_half_n).exp();
    let tail: f64 = (0..=only_a.min(only_b)).map(at).sum();
    (2.0 * tail).min(1.0)
}

/// Returns the 95 % interval of a mean over groups that were drawn whole, as the items of one picture are:
/// each group has its sum and its count. `None` of fewer than ten groups.
///
/// The draws are the same for the same groups everywhere.
///
/// # Source
///
/// B. Efron, R. Tibshirani, "An Introduction to the Bootstrap" (1993), the percentile interval over
/// clusters.
pub fn bootstrap_95(groups: &[(f64, u32)]) -> Option<(f64, f64)> {
    if groups.len() < FEWEST_GROUPS {
        return None;
    }
    let mut random = Random::new(groups.len());
    let mut means = Vec::with_capacity(DRAWS as usize);
    for _ in 0..DRAWS {
        let (mut sum, mut count) = (0.0, 0_u32);
        for _ in 0..groups.len() {
            let (of_group, n) = groups[random.below(groups.len())];
            sum += of_group;
            count += n;
        }
        means.push(sum / f64::from(count.max(1)));
    }
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((f64::from(DRAWS) - 1.0) * share).round() as usize];
    Some((at(0.025), at(0.975)))
}

/// Returns the value below which a share of sorted values lies; 0 of none.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * share).round() as usize).copied().unwrap_or(0.0)
}

/// Numbers that are the same on every machine: blocks of SHA-256.
struct Random {
    seed: usize,
    block: u64,
    words: Vec<u64>,
}

impl Random {
    fn new(seed: usize) -> Self {
        Self { seed, block: 0, words: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        if self.words.is_empty() {
            let digest = Sha256::digest(format!("{}/{}", self.seed, self.block));
            self.block += 1;
            let words = digest.as_chunks::<8>().0;
            self.words = words.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect();
        }
        let word = self.words.pop().unwrap_or(0);
        (word % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_s_p_values_are_those_of_the_binomial_test() {
        // Reference values: the binomial tail in the exact integers of Python.
        for (a, b, p) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (1, 9, 0.021_484_375),
            (10, 2, 0.038_574_218_75),
            (0, 20, 1.907_348_632_812_5e-6),
            (60, 90, 0.017_597_691_9),
        ] {
            let found = mcnemar_exact(a, b);
            assert!((found - p).abs() < 1e-7, "{a} {b}: {found} {p}");
        }
        assert!(mcnemar_exact(4000, 4200).is_finite());
    }

    #[test]
    fn items_that_share_a_picture_make_an_interval_wider() {
        let single: Vec<_> = (0..100).map(|i| (f64::from(i % 2), 1)).collect();
        let shared: Vec<_> = (0..20).map(|i| (f64::from(i % 2) * 5.0, 5)).collect();
        let width = |(low, high): (f64, f64)| high - low;
        let (a, b) = (bootstrap_95(&single).unwrap(), bootstrap_95(&shared).unwrap());
        assert!(a.0 < 0.5 && 0.5 < a.1 && width(b) > 1.7 * width(a), "{a:?} {b:?}");
        assert_eq!(bootstrap_95(&single), bootstrap_95(&single));
        assert_eq!(bootstrap_95(&[]), None);
        assert!((percentile(&[1.0, 2.0, 3.0], 0.5) - 2.0).abs() < 1e-12);
    }
}
