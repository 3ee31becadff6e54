//! Success rates that say how sure they are.

/// Hits out of tries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rate {
    /// How many succeeded.
    pub hits: u32,
    /// How many were tried.
    pub tries: u32,
}

impl Rate {
    /// Counts one more try.
    pub fn add(&mut self, hit: bool) {
        self.hits += u32::from(hit);
        self.tries += 1;
    }

    /// Returns the share of hits, 0..1; 0 without tries.
    pub fn share(self) -> f64 {
        if self.tries == 0 { 0.0 } else { f64::from(self.hits) / f64::from(self.tries) }
    }

    /// Returns the 95 % Wilson interval of the share; everything without tries.
    ///
    /// # Source
    ///
    /// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA
    /// 22 (1927).
    pub fn wilson_95(self) -> (f64, f64) {
        const Z: f64 = 1.959_963_984_540_054;
        if self.tries == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (f64::from(self.tries), self.share());
        let denominator = 1.0 + Z * Z / n;
        let center = (p + Z * Z / (2.0 * n)) / denominator;
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / denominator;
        // At the ends it is exact, but for rounding.
        let low = if self.hits == 0 { 0.0 } else { (center - half).max(0.0) };
        (low, if self.hits == self.tries { 1.0 } else { (center + half).min(1.0) })
    }
}

impl std::fmt::Display for Rate {
    /// `90.2 % [86.1, 93.2] (249/276)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.tries == 0 {
            return f.pad("— (0/0)");
        }
        let (low, high) = self.wilson_95();
        let [share, low, high] = [self.share(), low, high].map(|part| part * 100.0);
        write!(f, "{share:.1} % [{low:.1}, {high:.1}] ({}/{})", self.hits, self.tries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilson_s() {
        // Reference values: statsmodels.stats.proportion.proportion_confint(method="wilson").
        for (hits, tries, low, high) in
            [(0, 10, 0.0, 0.277_533), (7, 10, 0.396_778, 0.892_209), (10, 10, 0.722_467, 1.0)]
        {
            let (found_low, found_high) = Rate { hits, tries }.wilson_95();
            assert!((found_low - low).abs() < 1e-5 && (found_high - high).abs() < 1e-5);
        }
        assert_eq!(Rate::default().wilson_95(), (0.0, 1.0));
        assert_eq!(Rate { hits: 7, tries: 10 }.to_string(), "70.0 % [39.7, 89.2] (7/10)");
    }
}
