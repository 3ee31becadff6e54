//! What of the past a policy is shown.

use handsight_actions::{Action, PixelPoint, Screenshot};

/// One finished step, as a policy is reminded of it.
#[derive(Clone, Debug)]
pub struct StepSummary {
    /// The thought that came with the action.
    pub thought: String,
    /// The action, in pixels of the screenshot of that step.
    pub action: Action<PixelPoint>,
    /// The reply as it was written.
    pub reply: String,
    /// What the screen showed before the action; kept for the last few steps only.
    pub screenshot: Option<Screenshot>,
    /// Why the device refused the action, if it did.
    pub error: Option<String>,
    /// What the user said before it was decided on, if anything.
    pub said: Option<String>,
}

/// Drops the screenshots of all but the last `keep` steps.
pub(crate) fn forget_screenshots(history: &mut [StepSummary], keep: usize) {
    let old = history.len().saturating_sub(keep);
    for step in &mut history[..old] {
        step.screenshot = None;
    }
}
