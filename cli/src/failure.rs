//! Why a command failed: a message, its causes, how to mend it, and the exit code.

use std::process::ExitCode;
use std::sync::Mutex;

use handsight_actions::secret::SecretError;
use handsight_actions::{AdbError, AndroidError, DeviceError, SafetyPolicyError};
use handsight_agent::control::ControlError;
use handsight_agent::{
    AnswerError, BenchmarkPromptError, EpisodeError, FamilyError, GroundingError, PolicyError,
    RedecideError, RemoteError, StopReason, TraceError,
};
use handsight_model::ModelError;
use handsight_model::hub::HubError;
use handsight_model::media::MediaError;
use handsight_scenarios::benchmark::import::ImportError;
use handsight_scenarios::benchmark::{DatasetError, PredictionError};
use handsight_scenarios::quarantine::QuarantineError;
use handsight_scenarios::suite::{MergeError, ResultError};
use handsight_scenarios::{
    AnchorError, DraftError, EyesError, FromTraceError, ReportError, ScenarioError,
};

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// All was done.
    Done,
    /// The goal was not achieved, or a check failed.
    NotAchieved,
    /// The arguments or an input file cannot be used.
    BadInput,
    /// The device or the model is not available.
    Unavailable,
    /// The model asked for help, and nobody was there.
    NeedsUser,
    /// All was done, but something had changed and was found again.
    Healed,
    /// The user interrupted it.
    Interrupted,
}

impl Exit {
    /// Returns the number the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotAchieved => 1,
            Self::BadInput => 2,
            Self::Unavailable => 3,
            Self::NeedsUser => 4,
            Self::Healed => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl From<StopReason> for Exit {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::ClaimedSuccess => Self::Done,
            StopReason::ClaimedFailure
            | StopReason::StepBudget
            | StopReason::TimeBudget
            | StopReason::NoProgress
            | StopReason::InvalidReplies
            | StopReason::Declined => Self::NotAchieved,
            StopReason::NeedsUser => Self::NeedsUser,
            StopReason::Interrupted => Self::Interrupted,
            StopReason::DeviceLost | StopReason::PolicyFailed => Self::Unavailable,
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Makes a failure of a message, or of an error with its causes.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hint: None }
    }

    /// Makes a failure of the user's input.
    pub(crate) fn bad_input(message: String) -> Self {
        Self::new(Exit::BadInput, anyhow::Error::msg(message))
    }

    /// Makes the failure of a command that was interrupted.
    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, anyhow::Error::msg("interrupted"))
    }

    /// Adds how to mend it.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Makes a failure of the panic that was caught last.
    pub(crate) fn from_last_panic() -> Self {
        let message = LAST_PANIC.lock().ok().and_then(|mut last| last.take());
        let message = message.unwrap_or_else(|| "a panic without a message".to_owned());
        Self::new(Exit::NotAchieved, anyhow::Error::msg(message).context("a fault in handsight"))
            .with_hint("please report it with the command that led to it; no key is left held")
    }

    /// Returns the message and its causes, outermost first.
    pub(crate) fn messages(&self) -> Vec<String> {
        let mut messages: Vec<String> = self.error.chain().map(ToString::to_string).collect();
        // Some libraries repeat the cause in the message.
        messages.dedup();
        messages
    }

    /// Returns it in the words of a model that cannot be had.
    pub(crate) fn into_eyes(self) -> EyesError {
        EyesError { message: self.messages().join(": "), hint: self.hint }
    }
}

static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Keeps the message of a panic for [`Failure::from_last_panic`] instead of printing it.
pub(crate) fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = Some(text + &place.unwrap_or_default());
        }
    }));
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        let (exit, hint) = (exit_of_device(&error), error.hint().or_else(|| picture_hint(&error)));
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<ScenarioError> for Failure {
    fn from(error: ScenarioError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self { hint, ..Self::new(Exit::BadInput, error) }
    }
}

impl From<AnchorError> for Failure {
    fn from(error: AnchorError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self { hint, ..Self::new(Exit::BadInput, error) }
    }
}

impl From<DraftError> for Failure {
    fn from(error: DraftError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::new(Exit::BadInput, error) }
    }
}

impl From<FromTraceError> for Failure {
    fn from(error: FromTraceError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::new(Exit::BadInput, error) }
    }
}

impl From<RedecideError> for Failure {
    fn from(error: RedecideError) -> Self {
        let exit = match &error {
            RedecideError::Policy(error) => exit_of_policy(error),
            _ => Exit::BadInput,
        };
        let hint = error.hint();
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<BenchmarkPromptError> for Failure {
    fn from(error: BenchmarkPromptError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::new(Exit::BadInput, error) }
    }
}

impl From<DatasetError> for Failure {
    fn from(error: DatasetError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::new(Exit::BadInput, error) }
    }
}

impl From<QuarantineError> for Failure {
    fn from(error: QuarantineError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::new(Exit::BadInput, error) }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::new(Exit::BadInput, error) }
    }
}

impl From<PredictionError> for Failure {
    fn from(error: PredictionError) -> Self {
        let exit = match &error {
            PredictionError::Busy { .. } | PredictionError::TooManyErrors { .. } => {
                Exit::Unavailable
            }
            _ => Exit::BadInput,
        };
        let hint = error.hint();
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<ResultError> for Failure {
    fn from(error: ResultError) -> Self {
        let hint = error.hint();
        Self::new(Exit::BadInput, error).with_hint(hint)
    }
}

impl From<MergeError> for Failure {
    fn from(error: MergeError) -> Self {
        let hint = error.hint();
        Self::new(Exit::BadInput, error).with_hint(hint)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self::new(Exit::Unavailable, error)
    }
}

impl From<AdbError> for Failure {
    fn from(error: AdbError) -> Self {
        DeviceError::from(AndroidError::from(error)).into()
    }
}

impl From<SafetyPolicyError> for Failure {
    fn from(error: SafetyPolicyError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self { hint, ..Self::new(Exit::BadInput, error) }
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        let exit = match &error {
            SecretError::Keyring { .. } => Exit::Unavailable,
            _ => Exit::BadInput,
        };
        let hint = error.hint();
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let hint = error.hint().or_else(|| checkpoint_hint(&error)).map(str::to_owned);
        let exit = exit_of_model(&error);
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        let (exit, hint) = (exit_of_hub(&error), error.hint());
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        let (exit, hint) = (exit_of_remote(&error), error.hint().map(str::to_owned));
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<AnswerError> for Failure {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Model(error) => error.into(),
            AnswerError::Remote(error) => (*error).into(),
            error => Self::new(Exit::Unavailable, error),
        }
    }
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        let exit = match &error {
            MediaError::NoProgram { .. } | MediaError::Timeout { .. } => Exit::Unavailable,
            MediaError::Cancelled => Exit::Interrupted,
            _ => Exit::BadInput,
        };
        let hint = error.hint().map(str::to_owned);
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        let (exit, hint) = (exit_of_trace(&error), error.hint().or_else(|| trace_hint(&error)));
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<GroundingError> for Failure {
    fn from(error: GroundingError) -> Self {
        let exit = match &error {
            GroundingError::Policy(error) => exit_of_policy(error),
            GroundingError::Family(error) => exit_of_family(error),
            _ => Exit::BadInput,
        };
        let hint = error.hint();
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<FamilyError> for Failure {
    fn from(error: FamilyError) -> Self {
        let (exit, hint) = (exit_of_family(&error), error.hint());
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<EpisodeError> for Failure {
    fn from(error: EpisodeError) -> Self {
        let (exit, hint) = (exit_of_episode(&error), error.hint());
        Self { hint, ..Self::new(exit, error) }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let exit = match &error {
            ReportError::Trace(error) => exit_of_trace(error),
            _ => Exit::NotAchieved,
        };
        let hint = error.hint();
        Self { hint, ..Self::new(exit, error) }
    }
}

fn exit_of_episode(error: &EpisodeError) -> Exit {
    match error {
        EpisodeError::Device(error) => exit_of_device(error),
        EpisodeError::Policy(error) => exit_of_policy(error),
        EpisodeError::Record(error) => exit_of_trace(error),
        _ => Exit::BadInput,
    }
}

fn exit_of_device(error: &DeviceError) -> Exit {
    match error {
        DeviceError::Declined { .. } => Exit::NotAchieved,
        DeviceError::Halted { .. } => Exit::Interrupted,
        DeviceError::Android(error) if error.is_bad_input() => Exit::BadInput,
        DeviceError::Area { source, .. } if source.is_choice() => Exit::BadInput,
        DeviceError::Invalid { .. }
        | DeviceError::Unsupported { .. }
        | DeviceError::NoSuchKey { .. }
        | DeviceError::Refused { .. }
        | DeviceError::Secret { .. }
        | DeviceError::Image { .. }
        | DeviceError::File(_) => Exit::BadInput,
        _ => Exit::Unavailable,
    }
}

fn exit_of_policy(error: &PolicyError) -> Exit {
    match error {
        PolicyError::Model(error) => exit_of_model(error),
        PolicyError::Family(error) => exit_of_family(error),
        PolicyError::Cancelled => Exit::Interrupted,
        PolicyError::InvalidReply { .. } => Exit::NotAchieved,
        PolicyError::Remote(error) => exit_of_remote(error),
        _ => Exit::Unavailable,
    }
}

fn exit_of_remote(error: &RemoteError) -> Exit {
    match error {
        RemoteError::Address { .. }
        | RemoteError::WhichModel { .. }
        | RemoteError::Schema { .. }
        | RemoteError::Unsupported { .. } => Exit::BadInput,
        RemoteError::Constraint { .. } => Exit::NotAchieved,
        _ => Exit::Unavailable,
    }
}

fn exit_of_family(error: &FamilyError) -> Exit {
    match error {
        FamilyError::UnknownProfile { .. } => Exit::Unavailable,
        _ => Exit::BadInput,
    }
}

fn exit_of_model(error: &ModelError) -> Exit {
    match error {
        ModelError::Image { .. }
        | ModelError::Options { .. }
        | ModelError::Output { .. }
        | ModelError::PromptTooLong { .. }
        | ModelError::Video { .. } => Exit::BadInput,
        ModelError::Cancelled => Exit::Interrupted,
        _ => Exit::Unavailable,
    }
}

fn exit_of_hub(error: &HubError) -> Exit {
    match error {
        HubError::Name { .. }
        | HubError::Ambiguous { .. }
        | HubError::Option { .. }
        | HubError::NoSuchFile { .. } => Exit::BadInput,
        HubError::Cancelled => Exit::Interrupted,
        _ => Exit::Unavailable,
    }
}

fn exit_of_trace(error: &TraceError) -> Exit {
    match error {
        TraceError::Write { source } if is_full(source) => Exit::NotAchieved,
        TraceError::Encode { .. } => Exit::NotAchieved,
        _ => Exit::BadInput,
    }
}

/// Says what kind of picture can be read.
fn picture_hint(error: &DeviceError) -> Option<String> {
    let hint = match error {
        DeviceError::File(_) => "check the path of the picture",
        DeviceError::Image { .. } => {
            "give a whole PNG, JPEG, WebP, BMP or GIF file of a screen's size"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Says what a checkpoint has to be.
fn checkpoint_hint(error: &ModelError) -> Option<&'static str> {
    match error {
        ModelError::Read { .. } => {
            Some("give `--model` the folder of a Qwen2.5-VL checkpoint, or `embedded`")
        }
        ModelError::Json { .. } | ModelError::Config { .. } | ModelError::Tokenizer { .. } => {
            Some("take the file from the checkpoint again; only Qwen2.5-VL checkpoints are read")
        }
        ModelError::Image { .. } => Some("cut out the part of the picture that matters"),
        _ => None,
    }
}

/// Says where a trace can be written.
fn trace_hint(error: &TraceError) -> Option<String> {
    let is_place = matches!(error, TraceError::Write { source } if !is_full(source));
    is_place.then(|| "give `--trace` a folder that can be written to".to_owned())
}

/// Whether a file could not be written for want of space rather than because of its name.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), FileTooLarge | QuotaExceeded | StorageFull)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_wrapper_wraps_decides_the_exit_code() {
        let source = || "broken pipe".into();
        let (device, task) = ("desktop :0".to_owned(), "take a screenshot");
        let lost = DeviceError::Lost { device, task, source: source() };
        let failure = Failure::from(EpisodeError::Device(lost));
        assert_eq!(failure.exit, Exit::Unavailable);
        assert_eq!(failure.messages().len(), 3, "{:?}", failure.messages());
        assert!(failure.hint.is_some());

        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let failure = Failure::from(EpisodeError::Record(TraceError::Write { source: full }));
        assert_eq!(failure.exit, Exit::NotAchieved);

        let problem = "an aspect ratio above 200";
        let image = ModelError::Image { width: 1000, height: 1, problem };
        let failure = Failure::from(GroundingError::Policy(PolicyError::Model(image)));
        assert_eq!(failure.exit, Exit::BadInput);
    }

    #[test]
    fn a_panic_becomes_a_message() {
        keep_panics_quiet();
        assert!(std::panic::catch_unwind(|| panic!("seven is not even")).is_err());
        let messages = Failure::from_last_panic().messages();
        assert_eq!(messages[0], "a fault in handsight");
        assert!(messages[1].starts_with("seven is not even at "), "{messages:?}");
        drop(std::panic::take_hook());
    }
}
