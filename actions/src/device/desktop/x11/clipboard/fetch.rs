//! Everything another program has in a selection, in all its forms.

use std::time::Instant;

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, Property, Window, WindowClass,
};

use super::super::connection::Connection;
use crate::clipboard::{Clipping, Form};
use crate::device::desktop::Failure;
use crate::device::desktop::lend::{ANSWERING, FETCHING, MOST_OF_A_FORM, is_worth_fetching};

/// How many units of four bytes are read at a time.
const CHUNK: u32 = 1 << 18;

/// Returns the content of a selection, empty if nobody has it; `None` if its program does not answer
/// in time, or has more than can be kept.
pub(super) fn fetch(connection: &Connection, selection: Atom) -> Result<Option<Clipping>, Failure> {
    let x = &connection.x;
    if x.get_selection_owner(selection)?.reply()?.owner == x11rb::NONE {
        return Ok(Some(Clipping::default()));
    }
    let window = x.generate_id()?;
    let aux = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
    let class = WindowClass::INPUT_ONLY;
    x.create_window(0, window, connection.root, 0, 0, 1, 1, 0, class, 0, &aux)?;
    let fetch = Fetch {
        connection,
        window,
        selection,
        property: atom(connection, "HANDSIGHT_CLIPBOARD")?,
        incr: atom(connection, "INCR")?,
        deadline: Instant::now() + FETCHING,
    };
    let content = fetch.all();
    x.destroy_window(window)?;
    connection.sync()?;
    content
}

struct Fetch<'a> {
    connection: &'a Connection,
    window: Window,
    selection: Atom,
    property: Atom,
    incr: Atom,
    deadline: Instant,
}

/// What a property held.
struct Value {
    kind: Atom,
    format: u8,
    bytes: Vec<u8>,
}

impl Fetch<'_> {
    fn all(&self) -> Result<Option<Clipping>, Failure> {
        let targets = atom(self.connection, "TARGETS")?;
        // A program that cannot even list its forms has a text.
        let listed = match self.convert(targets)? {
            Answer::Value(Value { format: 32, bytes, .. }) => bytes
                .chunks_exact(4)
                .map(|bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect(),
            Answer::Silent => return Ok(None),
            _ => vec![atom(self.connection, "UTF8_STRING")?],
        };
        let mut names = Vec::new();
        for &target in &listed {
            // An atom that is none is the other program's mistake.
            if let Ok(name) = name(self.connection, target) {
                names.push((target, name));
            }
        }
        let all: Vec<String> = names.iter().map(|(_, name)| name.clone()).collect();
        names.retain(|(_, name)| is_worth_fetching(name, &all));
        let mut content = Clipping::default();
        for (target, name) in names {
            match self.convert(target)? {
                Answer::Value(Value { kind, format: 8, bytes }) => {
                    let kind = self::name(self.connection, kind).unwrap_or_else(|_| name.clone());
                    if !content.add(Form { target: name, kind, bytes }) {
                        return Ok(None);
                    }
                }
                // Numbers and atoms are about the other program, not about the content.
                Answer::Value(_) | Answer::Refused => {}
                Answer::Silent => return Ok(None),
            }
        }
        Ok(Some(content))
    }

    /// Asks for one form.
    fn convert(&self, target: Atom) -> Result<Answer, Failure> {
        let x = &self.connection.x;
        x.delete_property(self.window, self.property)?;
        let now = x11rb::CURRENT_TIME;
        x.convert_selection(self.window, self.selection, target, self.property, now)?;
        x.flush()?;
        let told = self.wait(|event| match event {
            Event::SelectionNotify(told) if told.target == target => Some(told.property),
            _ => None,
        })?;
        match told {
            None => return Ok(Answer::Silent),
            Some(x11rb::NONE) => return Ok(Answer::Refused),
            Some(_) => {}
        }
        let value = self.take()?;
        if value.kind != self.incr {
            return Ok(Answer::Value(value));
        }
        // Too long for one property: it comes in pieces, each after the one before was taken.
        let mut whole = Value { kind: x11rb::NONE, format: 8, bytes: Vec::new() };
        loop {
            let property = self.property;
            let told = self.wait(|event| match event {
                Event::PropertyNotify(told) if told.atom == property => {
                    (told.state == Property::NEW_VALUE).then_some(())
                }
                _ => None,
            })?;
            if told.is_none() {
                return Ok(Answer::Silent);
            }
            let piece = self.take()?;
            if piece.bytes.is_empty() {
                return Ok(Answer::Value(whole));
            }
            (whole.kind, whole.format) = (piece.kind, piece.format);
            whole.bytes.extend(piece.bytes);
            if whole.bytes.len() > MOST_OF_A_FORM {
                return Ok(Answer::Silent);
            }
        }
    }

    /// Reads the property, and deletes it.
    fn take(&self) -> Result<Value, Failure> {
        let x = &self.connection.x;
        let mut value = Value { kind: x11rb::NONE, format: 0, bytes: Vec::new() };
        loop {
            let offset = u32::try_from(value.bytes.len() / 4).unwrap_or(u32::MAX);
            let any = AtomEnum::ANY;
            let part =
                x.get_property(false, self.window, self.property, any, offset, CHUNK)?.reply()?;
            (value.kind, value.format) = (part.type_, part.format);
            value.bytes.extend(part.value);
            if part.bytes_after == 0 || value.bytes.len() > MOST_OF_A_FORM {
                break;
            }
        }
        x.delete_property(self.window, self.property)?;
        x.flush()?;
        Ok(value)
    }

    /// Waits for an event, but only so long.
    fn wait<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> Result<Option<T>, Failure> {
        let end = (Instant::now() + ANSWERING).min(self.deadline);
        loop {
            while let Some(event) = self.connection.x.poll_for_event()? {
                if let Some(found) = wanted(&event) {
                    return Ok(Some(found));
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.connection.wait_for_input(left)?;
        }
    }
}

enum Answer {
    Value(Value),
    /// There is no such form.
    Refused,
    /// No answer came.
    Silent,
}

fn atom(connection: &Connection, name: &str) -> Result<Atom, Failure> {
    Ok(connection.x.intern_atom(false, name.as_bytes())?.reply()?.atom)
}

fn name(connection: &Connection, atom: Atom) -> Result<String, Failure> {
    let name = connection.x.get_atom_name(atom)?.reply()?.name;
    Ok(String::from_utf8_lossy(&name).into_owned())
}
