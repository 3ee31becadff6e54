//! The scenario file as it is written.
//!
//! Reading is strict: a word that is not known is an error with its line and column, since a step that
//! is silently left out would pass. What only makes sense together is checked in
//! [`step`](super::step).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::forms::forms;

/// A scenario.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// What it shows, in a sentence.
    pub scenario: String,
    /// Words to choose scenarios by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Variables that steps can use as `{{ name }}`; `--var name=value` replaces them.
    #[serde(default)]
    pub vars: BTreeMap<String, Value>,
    /// Devices beside its own, by the names that branches of `parallel` have for them, each as `--device` takes
    /// it; `--with NAME=DEVICE` replaces one.
    #[serde(default)]
    pub devices: BTreeMap<String, String>,
    /// What `random_int`, `random_choice`, `random_letters` and `random_digits` in `vars` draw by; 0 if
    /// nothing is said. `--seed` replaces it.
    #[serde(default)]
    pub seed: Option<u64>,
    /// The most seconds it may take, setup included; 600 if nothing is said.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// What is done first; if it fails, the steps are left out.
    #[serde(default)]
    pub setup: Vec<StepFile>,
    /// What is shown.
    pub steps: Vec<StepFile>,
    /// What is always done at the end.
    #[serde(default)]
    pub teardown: Vec<StepFile>,
}

/// A step, with where it stands in the file.
#[derive(Clone, Debug)]
pub struct StepFile {
    /// What it says.
    pub fields: Box<StepFields>,
    /// Where it begins.
    pub(crate) at: Location,
}

impl<'de> Deserialize<'de> for StepFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Box<StepFields>>::deserialize(deserializer)?;
        Ok(Self { fields: spanned.value, at: spanned.referenced })
    }
}

impl JsonSchema for StepFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        StepFields::json_schema(generator)
    }
}

/// One step: exactly one verb, and how it is done. Texts may hold `{{ expressions }}`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub struct StepFields {
    /// Verb: a goal the agent pursues over several actions.
    #[serde(rename = "do")]
    pub pursue: Option<String>,
    /// Verb: clicks the target with the left button, or taps it.
    #[serde(alias = "tap")]
    pub click: Option<Target>,
    /// Verb: clicks the target twice.
    pub double_click: Option<Target>,
    /// Verb: clicks the target three times, which selects a line.
    pub triple_click: Option<Target>,
    /// Verb: clicks the target with the middle button.
    pub middle_click: Option<Target>,
    /// Verb: clicks the target with the right button.
    pub right_click: Option<Target>,
    /// Verb: presses the target for a second.
    pub long_press: Option<Target>,
    /// Verb: moves the pointer over the target.
    pub hover: Option<Target>,
    /// Verb: types a text into what has the focus, or clicks a target first.
    #[serde(rename = "type")]
    pub type_text: Option<TypeFile>,
    /// Verb: presses a key or a chord such as `ctrl+s`.
    pub press: Option<String>,
    /// Verb: turns the wheel.
    pub scroll: Option<ScrollFile>,
    /// Verb: moves from one target to another with the button held.
    pub drag: Option<BetweenFile>,
    /// Verb: moves a finger from one target to another.
    pub swipe: Option<BetweenFile>,
    /// Verb: brings an application to the front.
    pub open: Option<String>,
    /// Verb: a button of a phone's system: `back`, `home`, `menu` or `enter`.
    pub button: Option<String>,
    /// Verb: does nothing for so many seconds.
    pub wait: Option<f64>,
    /// Verb: waits until something holds.
    pub wait_for: Option<ConditionFile>,
    /// Verb: fails unless something holds.
    pub expect: Option<ConditionFile>,
    /// Verb: reads something off the screen into the variable `as`.
    pub extract: Option<ExtractFile>,
    /// Verb: sets variables.
    pub set: Option<BTreeMap<String, Value>>,
    /// Verb: runs a command; its output becomes the variable `as`.
    pub shell: Option<ShellFile>,
    /// Verb: starts a program that goes on running; it is ended with the scenario.
    pub start: Option<Vec<String>>,
    /// Verb: does `then` if something holds, and `else` otherwise.
    #[serde(rename = "if")]
    pub condition: Option<ConditionFile>,
    /// Verb: repeats `steps` while something holds, at most `at_most` times.
    #[serde(rename = "while")]
    pub repeat_while: Option<ConditionFile>,
    /// Verb: repeats `steps` until something holds, at most `at_most` times.
    #[serde(rename = "until")]
    pub repeat_until: Option<ConditionFile>,
    /// Verb: does `steps` for each of these.
    pub for_each: Option<EachFile>,
    /// Verb: does the steps of another file.
    pub include: Option<IncludeFile>,
    /// Verb: does `steps`, as one.
    pub group: Option<String>,
    /// Verb: does the steps of several branches at once, each on a device of its own.
    pub parallel: Option<Vec<BranchFile>>,

    /// Of `if`: what is done if it holds.
    #[serde(rename = "then")]
    pub then_steps: Option<Vec<StepFile>>,
    /// Of `if`: what is done if it does not.
    #[serde(rename = "else")]
    pub else_steps: Option<Vec<StepFile>>,
    /// Of `while`, `until`, `for_each` and `group`: what is done.
    pub steps: Option<Vec<StepFile>>,
    /// Of `while` and `until`: the most rounds.
    pub at_most: Option<u32>,
    /// Of `extract`, `shell` and `for_each`: the variable.
    #[serde(rename = "as")]
    pub variable: Option<String>,

    /// Words by which it can be left out: `--skip-tags slow`.
    pub tags: Vec<String>,
    /// What reports call it.
    pub name: Option<String>,
    /// The most seconds it may take.
    pub timeout: Option<f64>,
    /// How often it is tried again when it fails.
    pub retry: Option<u32>,
    /// Whether the scenario goes on when it fails; it has failed all the same.
    pub continue_on_error: Option<bool>,
}

/// What a step acts on: words for it, or a point of the screenshot.
#[derive(Clone, Debug, JsonSchema, PartialEq)]
#[schemars(untagged)]
pub enum Target {
    /// Words, such as `the Save button`.
    Words(String),
    /// A point, `[x, y]`, in pixels from the top left corner.
    Point(#[schemars(length(equal = 2))] Vec<i32>),
}

/// What is typed.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum TypeFile {
    /// The text, for what has the focus.
    Text(String),
    /// The text, and where it goes.
    Into(TypeInto),
}

/// What is typed, and where.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeInto {
    /// The text.
    pub text: String,
    /// The target that is clicked first.
    #[serde(default)]
    pub into: Option<Target>,
}

/// How the wheel is turned.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrollFile {
    /// Which way the view moves: `up`, `down`, `left` or `right`.
    pub direction: handsight_actions::Direction,
    /// How many notches.
    #[serde(default)]
    pub amount: Option<u32>,
    /// Over which target; where the pointer is, if nothing is said.
    #[serde(default)]
    pub over: Option<Target>,
}

/// From where to where.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BetweenFile {
    /// Where the button or the finger goes down.
    pub from: Target,
    /// Where it comes up.
    pub to: Target,
}

/// What is read off the screen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractFile {
    /// The question.
    pub question: String,
    /// The JSON Schema of the answer; a text if nothing is said.
    #[serde(default)]
    pub schema: Option<Value>,
}

/// A command.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum ShellFile {
    /// For the shell.
    Line(String),
    /// A program and its arguments, which no shell reads.
    Words(Vec<String>),
}

/// What steps are done for.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum EachFile {
    /// These values.
    Values(Vec<Value>),
    /// The rows of a file.
    File(EachFrom),
    /// What an expression gives.
    Expression(String),
}

/// A file whose rows steps are done for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EachFrom {
    /// A `.csv` file, whose first row has the names, or a `.json` file with a list; beside the scenario.
    pub file: String,
}

/// Steps on one of several devices.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BranchFile {
    /// One of the `devices`; the scenario's own, if nothing is said.
    #[serde(default)]
    pub device: Option<String>,
    /// What is done on it.
    pub steps: Vec<StepFile>,
}

/// Another file whose steps are done.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum IncludeFile {
    /// The file, beside this one or below.
    Path(String),
    /// The file, and variables for it.
    With(IncludeWith),
}

/// Another file, and variables for it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncludeWith {
    /// The file, beside this one or below.
    pub file: String,
    /// Variables, beside those of the file and before them.
    #[serde(default)]
    pub vars: BTreeMap<String, Value>,
}

/// Something that holds or does not.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum ConditionFile {
    /// A claim about the screen that the model judges.
    Seen(String),
    /// Exactly one of several kinds.
    Kinds(Box<ConditionFields>),
}

/// Exactly one of these, but `at_least` with `seen`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionFields {
    /// A claim about the screen that the model judges: `the form is empty`.
    pub seen: Option<String>,
    /// How sure the model must be, from 0 to 1; 0.5 if nothing is said.
    pub at_least: Option<f64>,
    /// An expression over variables: `count > 3`.
    pub that: Option<String>,
    /// The window that has the focus: its title.
    pub window: Option<TextMatch>,
    /// The application that has the focus: its class or package.
    pub app: Option<TextMatch>,
    /// A file, and what is in it.
    pub file: Option<FileCondition>,
    /// A command that ends with 0.
    pub shell: Option<ShellFile>,
    /// What was copied last on the device.
    pub clipboard: Option<TextMatch>,
    /// A view of the app in front of a phone: its text, or more of it.
    pub view: Option<ViewFile>,
    /// A setting of a phone.
    pub setting: Option<SettingFile>,
    /// What a server says: its address, or more of the request and the answer.
    pub http: Option<HttpFile>,
    /// The opposite.
    pub not: Option<ConditionFile>,
    /// All of these.
    pub all: Option<Vec<ConditionFile>>,
    /// One of these.
    pub any: Option<Vec<ConditionFile>>,
}

/// A file, and what is in it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileCondition {
    /// The file; relative to the scenario.
    pub path: String,
    /// Whether there is one; true if nothing is said.
    #[serde(default)]
    pub exists: Option<bool>,
    /// What its text is.
    #[serde(default)]
    pub text: Option<TextMatch>,
}

/// A view.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum ViewFile {
    /// One whose text has this in it.
    Text(String),
    /// One of which all of this is so.
    Fields(ViewFields),
}

/// What must be so of one view.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ViewFields {
    /// What is written on it, or read aloud instead.
    pub text: Option<TextMatch>,
    /// Its id, with or without its package.
    pub id: Option<String>,
    /// Whether it is on.
    pub checked: Option<bool>,
    /// Whether it can be used.
    pub enabled: Option<bool>,
    /// Whether keys go to it.
    pub focused: Option<bool>,
}

/// A setting of a phone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingFile {
    /// Where it is and what it is called: `global/wifi_on`, `system/…` or `secure/…`.
    pub name: String,
    /// What its value is.
    pub value: TextMatch,
}

/// A request to a server.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum HttpFile {
    /// An address that answers a GET with 200.
    Url(String),
    /// The request, and what the answer must be.
    Fields(Box<HttpFields>),
}

/// A request, and what the answer must be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpFields {
    /// The address.
    pub url: String,
    /// The method; GET if nothing is said.
    #[serde(default)]
    pub method: Option<String>,
    /// What the request carries.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    #[serde(default)]
    pub body: Option<String>,
    /// The status of the answer; 200 if nothing is said.
    #[serde(default)]
    pub status: Option<u16>,
    /// What its text is.
    #[serde(default)]
    pub text: Option<TextMatch>,
    /// What is at places of its JSON, by their JSON pointers: `/user/name: Ada`.
    #[serde(default)]
    pub json: BTreeMap<String, Value>,
}

/// What a text must be.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum TextMatch {
    /// Has this in it.
    Contains(String),
    /// Is compared in another way.
    How(TextHow),
}

/// Exactly one way to compare a text.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TextHow {
    /// The whole text, but for white space around it.
    pub equals: Option<String>,
    /// A part of it.
    pub contains: Option<String>,
    /// A regular expression that matches somewhere in it.
    pub matches: Option<String>,
}

forms!(Target, "words for a target, or a point such as `[120, 44]`",
    text => Target::Words, list => Target::Point);
forms!(TypeFile, "a text, or `text:` with `into:`", text => TypeFile::Text, map => TypeFile::Into);
forms!(ShellFile, "a command line, or a list of a program and its arguments",
    text => ShellFile::Line, list => ShellFile::Words);
forms!(EachFile, "a list, `file:`, or an expression",
    text => EachFile::Expression, list => EachFile::Values, map => EachFile::File);
forms!(IncludeFile, "a file, or `file:` with `vars:`",
    text => IncludeFile::Path, map => IncludeFile::With);
forms!(ConditionFile, "a claim about the screen, or a mapping such as `window: Save`",
    text => ConditionFile::Seen, map => |fields| ConditionFile::Kinds(Box::new(fields)));
forms!(ViewFile, "a text, or a mapping such as `{text: Wi-Fi, checked: true}`",
    text => ViewFile::Text, map => ViewFile::Fields);
forms!(HttpFile, "an address, or a mapping with `url:`",
    text => HttpFile::Url, map => |fields| HttpFile::Fields(Box::new(fields)));
forms!(TextMatch, "a text to be found, or one of `equals:`, `contains:`, `matches:`",
    text => TextMatch::Contains, map => TextMatch::How);
