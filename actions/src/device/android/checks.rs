//! What a phone tells beside its pixels: views, settings, services and files.
//!
//! Checks judge by it whether a goal was reached, whatever the agent says of it.

use super::adb::sync;
use super::quote::quote;
use super::ui::{self, UiNode, UiTree};
use super::{AndroidDevice, AndroidError};
use crate::device::DeviceError;
use crate::fact::{Fact, FactSaid, ViewSaid};
use crate::geometry::Rect;

/// Where settings are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Namespace {
    /// What users choose: brightness, rotation.
    System,
    /// What only the system may change: the keyboard in use.
    Secure,
    /// What holds for all users: Wi-Fi, airplane mode.
    Global,
}

impl Namespace {
    fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Secure => "secure",
            Self::Global => "global",
        }
    }
}

impl AndroidDevice {
    /// Returns the views on the screen, where the app in front tells of any.
    ///
    /// # Errors
    /// [`AndroidError::Adb`] if `uiautomator` fails: it does while something moves on the screen.
    pub fn ui_tree(&mut self) -> Result<UiTree, DeviceError> {
        let tree = self.client.again(|| ui::ask(&self.client, &self.client.looking()));
        Ok(tree.map_err(AndroidError::from)?)
    }

    /// Returns the part of the last screenshot that a view takes.
    pub fn place_of(&self, bounds: Rect) -> Rect {
        self.screen.shown(bounds, self.size)
    }

    /// Returns a setting; nothing, if it was never set.
    ///
    /// # Errors
    /// [`AndroidError::Adb`] if the phone does not answer.
    pub fn setting(
        &mut self,
        namespace: Namespace,
        key: &str,
    ) -> Result<Option<String>, DeviceError> {
        let command = format!("settings get {} {}", namespace.as_str(), quote(key));
        let value = self.client.look(&command).map_err(AndroidError::from)?;
        let value = value.trim_end_matches(['\r', '\n']);
        Ok((value != "null").then(|| value.to_owned()))
    }

    /// Changes a setting.
    ///
    /// # Errors
    /// [`AndroidError::Command`] if the phone refuses.
    pub fn set_setting(
        &mut self,
        namespace: Namespace,
        key: &str,
        value: &str,
    ) -> Result<(), DeviceError> {
        let namespace = namespace.as_str();
        self.command(&format!("settings put {namespace} {} {}", quote(key), quote(value)))?;
        Ok(())
    }

    /// Returns what a service says of itself, such as `battery` or `window displays`.
    ///
    /// # Errors
    /// [`AndroidError::Command`] if there is no such service.
    pub fn dumpsys(&mut self, service: &str) -> Result<String, DeviceError> {
        let words: Vec<String> = service.split_whitespace().map(quote).collect();
        self.command(&format!("dumpsys {}", words.join(" ")))
    }

    /// Returns a file.
    ///
    /// # Errors
    /// [`AndroidError::Adb`] if there is none, or the shell may not read it.
    pub fn pull(&mut self, path: &str) -> Result<Vec<u8>, DeviceError> {
        let client = &self.client;
        let data = client.again(|| sync::pull(client, path, &client.looking()));
        Ok(data.map_err(AndroidError::from)?)
    }

    /// Writes a file; what was there is replaced.
    ///
    /// # Errors
    /// [`AndroidError::Adb`] if the shell may not write there.
    pub fn push(&mut self, path: &str, data: &[u8]) -> Result<(), DeviceError> {
        let client = &self.client;
        let pushed = client.again(|| sync::push(client, path, data, &client.looking()));
        Ok(pushed.map_err(AndroidError::from)?)
    }

    /// Tells a check what it asks.
    pub(super) fn tell(&mut self, fact: &Fact) -> Result<FactSaid, DeviceError> {
        Ok(match fact {
            Fact::Views => {
                let view = |node: UiNode| ViewSaid {
                    id: node.resource_id,
                    text: if node.text.is_empty() { node.description } else { node.text },
                    class: node.class,
                    enabled: node.enabled,
                    focused: node.focused,
                    checked: node.checked,
                };
                FactSaid::Views(self.ui_tree()?.nodes.into_iter().map(view).collect())
            }
            Fact::Setting { namespace, key } => {
                let spaces = [Namespace::System, Namespace::Secure, Namespace::Global];
                match spaces.into_iter().find(|known| known.as_str() == namespace) {
                    Some(namespace) => FactSaid::Text(self.setting(namespace, key)?),
                    None => FactSaid::Unknown,
                }
            }
        })
    }

    /// Runs a command that may be run twice, and wants it to succeed.
    fn command(&self, command: &str) -> Result<String, DeviceError> {
        let output = self.client.glance(command).map_err(AndroidError::from)?;
        let is_missing = output.complaint().starts_with("Can't find service");
        if output.code == 0 && !is_missing {
            return Ok(output.text());
        }
        Err(AndroidError::Command {
            device: self.name.clone(),
            command: command.to_owned(),
            code: output.code,
            said: output.complaint(),
            begun: false,
        }
        .into())
    }
}
