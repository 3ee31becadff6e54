//! What is done to a screen and how it is judged, as files that people read, and reports.
//!
//! A *scenario* is a file of steps. The first run that passes leaves *anchors* beside it: what the
//! targets looked like. The next run finds them by their pixels and asks no model; a target that has
//! changed is found by the model again, and the change is reported.
//!
//! An *episode* ends with a claim; a *check* looks at the device afterwards and says what is so. A
//! *report* is built from the trace and the checks alone, so it can be made, and made again, without
//! the device or the model.
//!
//! A *session* is what other programs get: one device, a model when one is needed, and *tools*, the
//! registry of all they can ask for.

pub mod anchor;
pub mod benchmark;
pub mod check;
pub mod draft;
pub mod eyes;
mod files;
mod from_trace;
pub mod live;
pub mod quarantine;
pub mod record;
pub mod report;
pub mod result;
pub mod runner;
pub mod scenario;
pub mod score;
pub mod session;
pub mod suite;
#[doc(hidden)]
pub mod untrusted;

pub use anchor::{Anchor, AnchorError, Anchors};
pub use check::CheckResult;
pub use draft::{AtEnd, Draft, DraftError, DraftTarget, InFront};
pub use eyes::{Eyes, EyesError, Found, LazyModel, LoadedModel, ModelEyes, Pursued};
pub use from_trace::{FromTraceError, scenario_from_trace};
pub use report::pictures::{Picture, PictureFolder};
pub use report::{ReportError, write_report};
pub use result::{FoundBy, ScenarioResult, Status, StepResult};
pub use runner::{
    AnchorMode, NamedDevice, RunControls, RunObserver, RunOptions, run_scenario, run_scenario_with,
};
pub use scenario::{Scenario, ScenarioError, scenario_schema, step_of};
pub use session::{Call, Effect, Event, Reply, Session, SessionOptions, Tool, ToolError};
pub use suite::{SuiteResult, Tally};
