//! The session's message bus, and the portal on it; no wait is without end.
//!
//! What takes the user's word is a request: the call returns at once, and a signal tells the outcome.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::blocking::connection::Builder;
use zbus::blocking::{Connection, MessageIterator};
use zbus::message::{Message, Type as MessageType};
use zbus::names::ErrorName;
use zbus::zvariant::{DynamicType, ObjectPath, OwnedObjectPath, OwnedValue, Type, Value};
use zbus::{Error, MatchRule};

use crate::device::PortalFault;

const PORTAL: &str = "org.freedesktop.portal.Desktop";
const OBJECT: &str = "/org/freedesktop/portal/desktop";
const REQUEST: &str = "org.freedesktop.portal.Request";
const SESSION: &str = "org.freedesktop.portal.Session";

/// How long the bus may take to say that it is one.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long the portal may take to answer a call, and to start if it has to.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many signals are kept until they are looked at; what comes beyond is none of ours.
const SIGNALS: usize = 64;

/// What a call says beside its arguments.
pub(super) type Options<'a> = HashMap<&'static str, Value<'a>>;

/// A part of the portal.
#[derive(Clone, Copy)]
pub(super) enum Interface {
    RemoteDesktop,
    ScreenCast,
    Screenshot,
}

impl Interface {
    fn name(self) -> &'static str {
        match self {
            Self::RemoteDesktop => "org.freedesktop.portal.RemoteDesktop",
            Self::ScreenCast => "org.freedesktop.portal.ScreenCast",
            Self::Screenshot => "org.freedesktop.portal.Screenshot",
        }
    }

    fn needed_for(self) -> &'static str {
        match self {
            Self::RemoteDesktop => "to use the pointer and the keyboard",
            Self::ScreenCast => "to place the pointer",
            Self::Screenshot => "to see the screen",
        }
    }
}

/// A connection to the bus.
pub(super) struct Bus {
    connection: Connection,
    /// What the portal tells.
    signals: Receiver<Message>,
    /// How many requests were made.
    asked: u32,
    /// The session that the portal ended.
    closed: Option<OwnedObjectPath>,
}

impl Bus {
    /// Connects to a bus on which there is a portal with all that is needed.
    pub(super) fn connect(address: Option<&str>) -> Result<Self, PortalFault> {
        let connection = connect(address)?;
        let rule = MatchRule::builder().msg_type(MessageType::Signal).path_namespace(OBJECT);
        let signals = rule.and_then(|rule| {
            MessageIterator::for_match_rule(rule.build(), &connection, Some(SIGNALS))
        });
        let signals = signals.map_err(|error| PortalFault::NoBus(error.into()))?;
        let (sender, receiver) = sync_channel(SIGNALS);
        let forward = move || {
            for message in signals.map_while(Result::ok) {
                // What is not looked at in time is dropped: the connection must go on.
                if let Err(std::sync::mpsc::TrySendError::Disconnected(_)) =
                    sender.try_send(message)
                {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("portal".to_owned()).spawn(forward);
        thread.map_err(|error| PortalFault::NoBus(error.into()))?;
        let bus = Self { connection, signals: receiver, asked: 0, closed: None };
        for interface in [Interface::RemoteDesktop, Interface::ScreenCast, Interface::Screenshot] {
            bus.version(interface)?;
        }
        Ok(bus)
    }

    /// Returns the version of a part of the portal.
    pub(super) fn version(&self, interface: Interface) -> Result<u32, PortalFault> {
        let name = interface.name();
        let lacks = || PortalFault::Lacks { interface: name, needed_for: interface.needed_for() };
        let said = self.connection.call_method(
            Some(PORTAL),
            OBJECT,
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &(name, "version"),
        );
        match said {
            Ok(said) => {
                let version: Option<OwnedValue> = said.body().deserialize().ok();
                version.and_then(|version| u32::try_from(version).ok()).ok_or_else(lacks)
            }
            Err(Error::MethodError(error, _, _)) if is_unknown(&error) => Err(lacks()),
            Err(error) => Err(PortalFault::NotRunning(error.into())),
        }
    }

    /// Calls a method that is done when it returns.
    pub(super) fn call<B: Serialize + DynamicType>(
        &self,
        interface: Interface,
        method: &'static str,
        body: &B,
    ) -> Result<Message, Error> {
        self.connection.call_method(Some(PORTAL), OBJECT, Some(interface.name()), method, body)
    }

    /// Makes a request, and waits for its outcome.
    pub(super) fn request<B, T>(
        &mut self,
        (interface, method): (Interface, &'static str),
        (task, patience): (&'static str, Duration),
        mut options: Options<'static>,
        body: impl FnOnce(Options<'static>) -> B,
    ) -> Result<T, PortalFault>
    where
        B: Serialize + DynamicType,
        T: DeserializeOwned + Type,
    {
        let failed = |source: Error| PortalFault::Failed { task, source: source.into() };
        self.asked += 1;
        options.insert("handle_token", format!("handsight{}", self.asked).into());
        let said = self.call(interface, method, &body(options)).map_err(failed)?;
        let request: OwnedObjectPath = said.body().deserialize().map_err(failed)?;
        let outcome = self.wait_for(&request, patience).ok_or_else(|| {
            // A question that nobody will hear the answer to is taken back.
            let close = (Some(PORTAL), &request, Some(REQUEST), "Close");
            let _ = self.connection.call_method(close.0, close.1, close.2, close.3, &());
            PortalFault::NoAnswer { task, seconds: patience.as_secs() }
        })?;
        let body = outcome.body();
        let (code, _): (u32, HashMap<String, OwnedValue>) = body.deserialize().map_err(failed)?;
        match code {
            0 => body.deserialize().map(|(_, answer): (u32, T)| answer).map_err(failed),
            1 => Err(PortalFault::Declined { task }),
            _ => {
                let source = "it ended the request without a reason".into();
                Err(PortalFault::Failed { task, source })
            }
        }
    }

    fn wait_for(&mut self, request: &ObjectPath<'_>, patience: Duration) -> Option<Message> {
        let start = Instant::now();
        loop {
            let left = patience.saturating_sub(start.elapsed());
            match self.signals.recv_timeout(left) {
                Ok(message) if is(&message, request, REQUEST, "Response") => return Some(message),
                Ok(message) => self.note(&message),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Keeps in mind that a session was ended.
    fn note(&mut self, message: &Message) {
        if let Some(path) = message.header().path()
            && is(message, path, SESSION, "Closed")
        {
            self.closed = Some(path.to_owned().into());
        }
    }

    /// Whether the portal ended a session.
    pub(super) fn is_closed(&mut self, session: &ObjectPath<'_>) -> bool {
        while let Ok(message) = self.signals.try_recv() {
            self.note(&message);
        }
        self.closed.as_ref().is_some_and(|closed| **closed == *session)
    }
}

impl Drop for Bus {
    /// The thread that hears the signals has the connection, too.
    fn drop(&mut self) {
        let _ = self.connection.clone().close();
    }
}

fn is(message: &Message, path: &ObjectPath<'_>, interface: &str, member: &str) -> bool {
    let header = message.header();
    header.path() == Some(path)
        && header.interface().is_some_and(|name| name == interface)
        && header.member().is_some_and(|name| name == member)
}

/// Whether an error says that there is no such interface.
fn is_unknown(error: &ErrorName<'_>) -> bool {
    const NAMES: [&str; 4] =
        ["InvalidArgs", "UnknownInterface", "UnknownProperty", "UnknownMethod"];
    let name = error.strip_prefix("org.freedesktop.DBus.Error.");
    name.is_some_and(|name| NAMES.contains(&name))
}

/// Connects to the bus. What listens there may say nothing, for which zbus would wait.
fn connect(address: Option<&str>) -> Result<Connection, PortalFault> {
    let no_bus = |error: Error| PortalFault::NoBus(error.into());
    let builder = match address {
        Some(address) => Builder::address(address),
        None => Builder::session(),
    };
    let builder = builder.map_err(no_bus)?.method_timeout(PATIENCE);
    let (sender, receiver) = sync_channel(1);
    let thread = thread::Builder::new().name("portal-connect".to_owned());
    let started = thread.spawn(move || {
        // Nobody is left who waits for a late one.
        let _ = sender.send(builder.build());
    });
    started.map_err(|error| PortalFault::NoBus(error.into()))?;
    let built = receiver.recv_timeout(CONNECTING);
    built.map_err(|_| PortalFault::NoBus("it says nothing".into()))?.map_err(no_bus)
}
