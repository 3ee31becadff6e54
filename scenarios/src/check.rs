//! Judgements of a device's state.

/// What one check found.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckResult {
    /// What was checked, as a claim that is true or not: `the file is saved`.
    pub name: String,
    /// How far the claim is true, from 0 to 1.
    pub score: f64,
    /// What was found instead, if the claim is not quite true.
    pub found: Option<String>,
}

impl CheckResult {
    /// Makes the result of a claim that is simply true or not.
    pub fn new(name: impl Into<String>, holds: bool, found: Option<String>) -> Self {
        Self { name: name.into(), score: f64::from(u8::from(holds)), found }
    }

    /// Whether the claim is wholly true.
    pub fn passed(&self) -> bool {
        self.score >= 1.0
    }
}
