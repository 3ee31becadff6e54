//! How an episode is judged, and reports of what happened in it.
//!
//! An episode ends with a claim; a *check* looks at the device afterwards and says what is so. A
//! *report* is built from the trace and the checks alone, so it can be made, and made again, without
//! the device or the model.

pub mod check;
pub mod report;
pub mod score;

pub use check::CheckResult;
pub use report::{ReportError, write_report};
