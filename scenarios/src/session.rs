//! One device, and a model when one is needed, for other programs: each of their calls is one tool.
//!
//! [`Tool`] is the registry that every protocol is made from: its names, words and schemas are written
//! once, and the actions among them come from [`Verb`](handsight_actions::Verb). A session knows
//! nothing of protocols. It does one thing at a time, on the device it was given, which is meant to
//! stand behind a [`Guard`](handsight_actions::Guard).
//!
//! ```
//! use handsight_actions::{FakeDevice, FakeScreen, Rect, Size};
//! use handsight_agent::{CancelFlag, SettleOptions};
//! use handsight_scenarios::{
//!     Call, EyesError, LazyModel, Session, SessionOptions, Tool,
//! };
//! use serde_json::json;
//!
//! let form = FakeScreen::new("form")
//!     .button("OK", Rect { x: 20, y: 60, width: 60, height: 24 }, Some("done"));
//! let device = FakeDevice::new(Size { width: 320, height: 200 }, vec![form, FakeScreen::new("done")]);
//! let no_model = || Err(EyesError { message: "there is none".to_owned(), hint: None });
//! let options = SessionOptions { settle: SettleOptions::immediate(), ..SessionOptions::default() };
//! let mut session = Session::new(Box::new(device), LazyModel::new(no_model), options);
//!
//! let call = Call { cancel: &CancelFlag::default(), tell: &mut |_| {} };
//! let click = Tool::from_name("left_click").expect("actions are tools");
//! let reply = session.call(click, &json!({ "target": [40, 70] }), call)?;
//! assert_eq!(reply.value["action"], json!({ "action": "left_click", "coordinate": [40, 70] }));
//! # Ok::<(), handsight_scenarios::ToolError>(())
//! ```

mod act;
mod args;
mod error;
mod goal;
mod look;
#[cfg(test)]
mod tests;
mod tool;

use std::collections::BTreeMap;
use std::path::PathBuf;

use handsight_actions::{Device, DeviceInfo, Halt};
use handsight_agent::{CancelFlag, SettleOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::error::{ToolError, ToolErrorKind};
pub use self::tool::{Effect, Tool, tools_table};
use crate::eyes::LazyModel;

/// Tells which devices there are, as JSON.
type ListDevices = Box<dyn FnMut() -> Result<Value, ToolError> + Send>;

/// What a session may use, and how it waits.
pub struct SessionOptions {
    /// How long to wait for a still screen before looking.
    pub settle: SettleOptions,
    /// The switch that the device heeds.
    pub halt: Halt,
    /// The folder whose scenarios may be run; none may if there is none.
    pub scenarios: Option<PathBuf>,
    /// The folder in which each goal that is pursued leaves a trace, if one is to.
    pub traces: Option<PathBuf>,
    /// The environment that scenarios see and their programs are given.
    pub env: BTreeMap<String, String>,
    /// Tells which devices there are.
    pub devices: ListDevices,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            settle: SettleOptions::default(),
            halt: Halt::default(),
            scenarios: None,
            traces: None,
            env: BTreeMap::new(),
            devices: Box::new(|| Err(ToolError::NoDevices)),
        }
    }
}

/// Something that happened during a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// How many steps were begun.
    pub step: u64,
    /// How many there may be at most, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// What happened, for people.
    pub message: String,
}

/// What a call is told and heeds while it is under way.
pub struct Call<'a> {
    /// Ends it soon after it is set.
    pub cancel: &'a CancelFlag,
    /// Is told of what happens.
    pub tell: &'a mut (dyn FnMut(Event) + Send),
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// What was found or done, as [`Tool::result`] describes it.
    pub value: Value,
    /// The same in words.
    pub text: String,
    /// A picture, as PNG.
    pub image: Option<Vec<u8>>,
    /// What is not so, if something was claimed or wanted that is not.
    pub unmet: Option<String>,
}

impl Reply {
    /// A reply of a value; those of this module can be written as JSON.
    fn of(value: &impl Serialize, text: String) -> Result<Self, ToolError> {
        let value = serde_json::to_value(value).map_err(|error| ToolError::Internal {
            problem: format!("its result cannot be written: {error}"),
        })?;
        Ok(Self { value, text, image: None, unmet: None })
    }
}

/// A device, a model when it is needed, and what may be done with them.
pub struct Session {
    device: Box<dyn Device>,
    model: LazyModel<'static>,
    options: SessionOptions,
    /// How many goals were pursued, which names their traces.
    goals: u64,
}

impl Session {
    /// Begins a session on a device.
    pub fn new(
        device: Box<dyn Device>,
        model: LazyModel<'static>,
        options: SessionOptions,
    ) -> Self {
        Self { device, model, options, goals: 0 }
    }

    /// Says what the device is.
    pub fn info(&self) -> DeviceInfo {
        self.device.info()
    }

    /// Returns the tools that make sense on this device, in the order of the registry.
    ///
    /// The others are refused with the reason.
    pub fn tools(&self) -> Vec<Tool> {
        let space = self.device.info().action_space;
        Tool::all().filter(|tool| tool.verb().is_none_or(|verb| space.contains(verb))).collect()
    }

    /// Does what a tool does, with arguments as [`Tool::arguments`] describes them.
    ///
    /// Nothing stays pressed. Whatever was not so is part of the reply; an error says that it is not
    /// known, or was not done.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn call(
        &mut self,
        tool: Tool,
        arguments: &Value,
        call: Call<'_>,
    ) -> Result<Reply, ToolError> {
        if call.cancel.is_cancelled() {
            return Err(ToolError::Cancelled);
        }
        let cancel = call.cancel;
        let reply = match tool {
            Tool::Observe => {
                read(tool, arguments).and_then(|_: args::Nothing| self.observe(cancel))
            }
            Tool::Ground => read(tool, arguments).and_then(|args| self.ground(&args, cancel)),
            Tool::Ask => read(tool, arguments).and_then(|args| self.ask(&args, cancel)),
            Tool::Extract => read(tool, arguments).and_then(|args| self.extract(&args, cancel)),
            Tool::Expect => read(tool, arguments).and_then(|args| self.expect(&args, cancel)),
            Tool::Act => read(tool, arguments).and_then(|args: args::Act| self.act(args, cancel)),
            Tool::Verb(verb) => self.verb(verb, arguments, cancel),
            Tool::RunGoal => read(tool, arguments).and_then(|args| self.run_goal(&args, call)),
            Tool::RunScenario => {
                read(tool, arguments).and_then(|args| self.run_scenario(args, call))
            }
            Tool::ListDevices => read(tool, arguments).and_then(|_: args::Nothing| {
                let value = (self.options.devices)()?;
                Reply::of(&value, format!("{value:#}"))
            }),
        };
        match reply {
            // What was cut short has failed for no other reason.
            Err(_) if cancel.is_cancelled() => Err(ToolError::Cancelled),
            reply => reply,
        }
    }

    /// Lets go of every key and button.
    ///
    /// # Errors
    ///
    /// [`ToolError::Device`] when the device is gone.
    pub fn release_all(&mut self) -> Result<(), ToolError> {
        Ok(self.device.release_all()?)
    }
}

/// Reads the arguments of a tool; none at all are as good as an empty object.
fn read<T: DeserializeOwned>(tool: Tool, arguments: &Value) -> Result<T, ToolError> {
    let arguments = match arguments {
        Value::Null => Value::Object(serde_json::Map::new()),
        arguments => arguments.clone(),
    };
    serde_json::from_value(arguments)
        .map_err(|error| ToolError::Arguments { tool: tool.name(), problem: error.to_string() })
}
