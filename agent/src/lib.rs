//! Turns a goal into actions on a device, and records it.
//!
//! An *episode* pursues one goal on one device: observe until the screen is still, let a policy
//! decide, check the action, perform it, and start again until there is a reason to stop. What was
//! seen, decided and done goes into a *trace* that reports are built from.
//!
//! ```
//! use handsight_actions::{Action, FakeDevice, FakeScreen, Halt, PixelPoint, Rect, Size, Status};
//! use handsight_agent::{
//!     Controls, EpisodeOptions, ScriptedPolicy, SettleOptions, StopReason, run_episode,
//! };
//! use handsight_model::CancelFlag;
//!
//! let form = FakeScreen::new("form")
//!     .button("OK", Rect { x: 20, y: 60, width: 60, height: 24 }, Some("done"));
//! let screens = vec![form, FakeScreen::new("done")];
//! let mut device = FakeDevice::new(Size { width: 320, height: 200 }, screens);
//! let mut policy = ScriptedPolicy::actions([
//!     Action::LeftClick { coordinate: PixelPoint { x: 40, y: 70 } },
//!     Action::Terminate { status: Status::Success },
//! ]);
//! let options =
//!     EpisodeOptions { settle: SettleOptions::immediate(), ..EpisodeOptions::default() };
//! let mut controls = Controls {
//!     observer: &mut (),
//!     user: &mut (),
//!     cancel: &CancelFlag::default(),
//!     halt: &Halt::default(),
//! };
//! let episode =
//!     run_episode(&mut device, &mut policy, "click \"OK\"", &options, &mut controls)?;
//! assert_eq!(episode.stop_reason, StopReason::ClaimedSuccess);
//! // The claim is the policy's; the device has the last word.
//! assert_eq!(device.screen(), "done");
//! # Ok::<(), handsight_agent::EpisodeError>(())
//! ```

pub mod agreement;
pub mod annotate;
pub mod benchmark_prompt;
pub mod control;
pub mod conversation;
pub mod document;
pub mod episode;
mod error;
pub mod family;
pub mod grounding;
pub mod history;
pub mod policy;
pub mod prompt;
pub mod question;
pub mod redecide;
pub mod relayed;
pub mod remote;
pub mod settle;
pub mod trace;
#[doc(hidden)]
pub mod untrusted;
pub mod user;
pub mod vision_model;

pub use agreement::{Agreement, AgreementSummary, Reference, Screen};
pub use benchmark_prompt::{AskOptions, BenchmarkPrompt, BenchmarkPromptError, Counts, RawAnswer};
pub use conversation::{Conversation, Said};
pub use document::{Document, read_document};
pub use episode::{Controls, Episode, EpisodeEvent, EpisodeObserver, EpisodeOptions, run_episode};
pub use error::{EpisodeError, with_source};
pub use family::{Family, FamilyError, Surface};
pub use grounding::list::{ListOptions, Thing, Things, ground_all};
pub use grounding::{Grounding, GroundingError, ground};
pub use handsight_model::CancelFlag;
pub use history::StepSummary;
pub use policy::model::{ModelOptions, ModelPolicy};
pub use policy::scripted::{ScriptedPolicy, ScriptedReply};
pub use policy::{Decision, Policy, PolicyError, Progress, Turn};
pub use prompt::{PIXEL_BUDGETS, PixelBudget, PromptProfile};
pub use question::{QuestionError, judge, read_value};
pub use redecide::{Difference, RedecideError, RedecideOptions, Redecision, redecide};
pub use relayed::{RelayedEpisode, RelayedStep, RelayedStop};
pub use remote::{Address, ApiKey, RemoteError, RemoteModel, RemoteOptions, SchemaForm};
pub use settle::SettleOptions;
pub use trace::event::{Outcome, StopReason, Usage};
pub use trace::{Trace, TraceError, TraceRecorder, read_trace};
pub use user::{Help, User};
pub use vision_model::{AnswerError, ModelCard, VisionModel};
