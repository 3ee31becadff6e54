//! Which window input to a place would reach, in the words of the window's own properties.
//!
//! Window managers put a frame around each window, and programs put windows into theirs. The one
//! that counts is the client window: the one the manager marked with `WM_STATE`, or where no
//! manager runs, the outermost with a class. A menu is a window of its own, without a title; it is
//! called by that of the window it belongs to.

use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, Window as WindowId};

use super::connection::Connection;
use crate::device::desktop::Failure;
use crate::geometry::{DesktopPoint, Rect};

/// How deep windows may lie in one another; more are nobody's honest windows.
const DEEPEST: usize = 32;
/// How many windows inside a frame are looked at for the one it was made for.
const MOST_CHILDREN: usize = 64;

/// A window as the server knows it, its area in units of the desktop.
#[derive(Clone, Debug)]
pub(in crate::device::desktop) struct Found {
    pub(in crate::device::desktop) id: WindowId,
    pub(in crate::device::desktop) app: String,
    pub(in crate::device::desktop) title: String,
    pub(in crate::device::desktop) area: Rect,
}

/// Returns the window that a press at a place reaches.
pub(super) fn at_point(
    connection: &Connection,
    point: DesktopPoint,
) -> Result<Option<Found>, Failure> {
    let coordinate = |value: i32| i16::try_from(value).unwrap_or(i16::MAX);
    let (x, y) = (coordinate(point.x), coordinate(point.y));
    let root = connection.root;
    let mut path = Vec::new();
    let mut inner = root;
    while path.len() < DEEPEST {
        let hit = connection.x.translate_coordinates(root, inner, x, y)?.reply()?;
        if hit.child == x11rb::NONE {
            break;
        }
        inner = hit.child;
        path.push(inner);
    }
    let Some(&outermost) = path.first() else { return Ok(None) };
    let client = client_of(connection, &path)?;
    // A press on a frame closes or moves the window inside it.
    let client = match client {
        Some(client) => client,
        None => inside(connection, outermost)?.unwrap_or(outermost),
    };
    describe(connection, client).map(Some)
}

/// Returns the window that keys reach.
pub(super) fn focused(connection: &Connection) -> Result<Option<Found>, Failure> {
    const FOLLOWS_POINTER: WindowId = 1;
    let focus = connection.x.get_input_focus()?.reply()?.focus;
    if focus == x11rb::NONE {
        return Ok(None);
    }
    if focus == FOLLOWS_POINTER || focus == connection.root {
        let pointer = connection.x.query_pointer(connection.root)?.reply()?;
        let (x, y) = (pointer.root_x.into(), pointer.root_y.into());
        return at_point(connection, DesktopPoint { x, y });
    }
    let mut path = vec![focus];
    let mut outer = focus;
    while path.len() < DEEPEST {
        outer = connection.x.query_tree(outer)?.reply()?.parent;
        if outer == connection.root || outer == x11rb::NONE {
            break;
        }
        path.push(outer);
    }
    path.reverse();
    let client = client_of(connection, &path)?.unwrap_or(focus);
    describe(connection, client).map(Some)
}

/// Returns the client window among these, which lie in one another, the outermost first.
fn client_of(connection: &Connection, path: &[WindowId]) -> Result<Option<WindowId>, Failure> {
    let state = atom(connection, "WM_STATE")?;
    for property in [state, AtomEnum::WM_CLASS.into()] {
        for &window in path {
            if has(connection, window, property)? {
                return Ok(Some(window));
            }
        }
    }
    Ok(None)
}

/// Returns the client window in a frame.
fn inside(connection: &Connection, frame: WindowId) -> Result<Option<WindowId>, Failure> {
    let state = atom(connection, "WM_STATE")?;
    let children = connection.x.query_tree(frame)?.reply()?.children;
    for child in children.into_iter().take(MOST_CHILDREN) {
        if has(connection, child, state)? {
            return Ok(Some(child));
        }
    }
    Ok(None)
}

fn describe(connection: &Connection, window: WindowId) -> Result<Found, Failure> {
    let x = &connection.x;
    let geometry = x.get_geometry(window)?.reply()?;
    let corner = x.translate_coordinates(window, connection.root, 0, 0)?.reply()?;
    let mut found = Found {
        id: window,
        app: class(connection, window)?,
        title: title(connection, window)?,
        area: Rect {
            x: corner.dst_x.into(),
            y: corner.dst_y.into(),
            width: geometry.width.into(),
            height: geometry.height.into(),
        },
    };
    if (found.title.is_empty() || found.app.is_empty())
        && let Some(owner) = owner(connection, window)?
    {
        if found.title.is_empty() {
            found.title = title(connection, owner)?;
        }
        if found.app.is_empty() {
            found.app = class(connection, owner)?;
        }
    }
    Ok(found)
}

/// Returns the window that a menu or a dialog belongs to: the one it says, or the one in front if
/// the same process made it.
fn owner(connection: &Connection, window: WindowId) -> Result<Option<WindowId>, Failure> {
    let number = |window, property, kind: u32| -> Result<Option<u32>, Failure> {
        let reply = connection.x.get_property(false, window, property, kind, 0, 1)?.reply()?;
        Ok(reply.value32().and_then(|mut values| values.next()).filter(|&value| value != 0))
    };
    let for_window = AtomEnum::WM_TRANSIENT_FOR.into();
    if let Some(owner) = number(window, for_window, AtomEnum::WINDOW.into())?
        && owner != connection.root
    {
        return Ok(Some(owner));
    }
    let (pid, active) = (atom(connection, "_NET_WM_PID")?, atom(connection, "_NET_ACTIVE_WINDOW")?);
    let cardinal = AtomEnum::CARDINAL.into();
    let Some(ours) = number(window, pid, cardinal)? else { return Ok(None) };
    let Some(front) = number(connection.root, active, AtomEnum::WINDOW.into())? else {
        return Ok(None);
    };
    Ok((number(front, pid, cardinal)? == Some(ours)).then_some(front))
}

fn atom(connection: &Connection, name: &str) -> Result<u32, Failure> {
    Ok(connection.x.intern_atom(true, name.as_bytes())?.reply()?.atom)
}

fn has(connection: &Connection, window: WindowId, property: u32) -> Result<bool, Failure> {
    if property == x11rb::NONE {
        return Ok(false);
    }
    let reply = connection.x.get_property(false, window, property, AtomEnum::ANY, 0, 0)?.reply()?;
    Ok(reply.type_ != x11rb::NONE)
}

fn text(connection: &Connection, window: WindowId, property: u32) -> Result<Vec<u8>, Failure> {
    if property == x11rb::NONE {
        return Ok(Vec::new());
    }
    let reply = connection.x.get_property(false, window, property, AtomEnum::ANY, 0, 1024)?;
    Ok(reply.reply()?.value)
}

/// The second of two texts, the instance and the class, each ended by a zero.
fn class(connection: &Connection, window: WindowId) -> Result<String, Failure> {
    let value = text(connection, window, AtomEnum::WM_CLASS.into())?;
    let class = value.split(|&byte| byte == 0).nth(1).unwrap_or_default();
    Ok(String::from_utf8_lossy(class).into_owned())
}

fn title(connection: &Connection, window: WindowId) -> Result<String, Failure> {
    for property in [atom(connection, "_NET_WM_NAME")?, AtomEnum::WM_NAME.into()] {
        let title = text(connection, window, property)?;
        if !title.is_empty() {
            return Ok(String::from_utf8_lossy(&title).into_owned());
        }
    }
    Ok(String::new())
}
