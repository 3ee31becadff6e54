//! Which window input to a place would reach, in the words of the window's own properties.
//!
//! Window managers put a frame around each window, and programs put windows into theirs. The one
//! that counts is the client window: the one the manager marked with `WM_STATE`, or where no
//! manager runs, the outermost with a class. A menu is a window of its own, without a title; it is
//! called by that of the window it belongs to.
//!
//! The list of windows is the window manager's own, or where none runs, all that are shown and have
//! a title or a class.

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, MapState, Window as WindowId};

use super::connection::Connection;
use crate::device::desktop::Failure;
use crate::device::desktop::view::Found;
use crate::geometry::{DesktopPoint, Rect};

/// How deep windows may lie in one another; more are nobody's honest windows.
const DEEPEST: usize = 32;
/// How many windows inside a frame are looked at for the one it was made for.
const MOST_CHILDREN: usize = 64;
/// How many windows may belong to one another in a row.
const MOST_OWNERS: usize = 8;
/// How many windows are listed.
const MOST_WINDOWS: u32 = 512;

/// Returns the windows a person would call so, the one in front first.
pub(super) fn list(connection: &Connection) -> Result<Vec<Found>, Failure> {
    let listed = match numbers(connection, connection.root, "_NET_CLIENT_LIST_STACKING")? {
        Some(listed) => listed,
        None => shown(connection)?,
    };
    let mut windows = Vec::new();
    for window in listed.into_iter().rev() {
        // One that has gone in between is no failure.
        windows.extend(find(connection, window)?);
    }
    Ok(windows)
}

/// Returns a window by its number, if there still is one.
pub(super) fn find(connection: &Connection, window: WindowId) -> Result<Option<Found>, Failure> {
    match describe(connection, window) {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Refused(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Returns the windows that are shown and named, the one in front last.
fn shown(connection: &Connection) -> Result<Vec<WindowId>, Failure> {
    let x = &connection.x;
    let mut shown = Vec::new();
    for outermost in x.query_tree(connection.root)?.reply()?.children {
        let Ok(attributes) = x.get_window_attributes(outermost)?.reply() else { continue };
        if attributes.map_state != MapState::VIEWABLE || attributes.override_redirect {
            continue;
        }
        let Ok(client) = client_in(connection, outermost) else { continue };
        let is_named = |found: &Found| !(found.app.is_empty() && found.title.is_empty());
        if find(connection, client)?.as_ref().is_some_and(is_named) {
            shown.push(client);
        }
    }
    Ok(shown)
}

/// Returns the windows or numbers of a property, if it is there.
pub(super) fn numbers(
    connection: &Connection,
    window: WindowId,
    property: &str,
) -> Result<Option<Vec<u32>>, Failure> {
    let property = atom(connection, property)?;
    if property == x11rb::NONE {
        return Ok(None);
    }
    let reply = connection
        .x
        .get_property(false, window, property, AtomEnum::ANY, 0, MOST_WINDOWS)?
        .reply()?;
    Ok(reply.value32().map(Iterator::collect))
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
        None => client_in(connection, outermost)?,
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
    let client = client_of(connection, &path_to(connection, focus)?)?.unwrap_or(focus);
    describe(connection, client).map(Some)
}

/// Returns the windows in which a window lies, the outermost first and itself last.
pub(super) fn path_to(connection: &Connection, window: WindowId) -> Result<Vec<WindowId>, Failure> {
    let mut path = vec![window];
    let mut outer = window;
    while path.len() < DEEPEST {
        outer = connection.x.query_tree(outer)?.reply()?.parent;
        if outer == connection.root || outer == x11rb::NONE {
            break;
        }
        path.push(outer);
    }
    path.reverse();
    Ok(path)
}

/// Returns the window that a person would say an outermost one is.
pub(super) fn client_in(connection: &Connection, outermost: WindowId) -> Result<WindowId, Failure> {
    Ok(inside(connection, outermost)?.unwrap_or(outermost))
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
    let number = |window, property| -> Result<Option<u32>, Failure> {
        let values = numbers(connection, window, property)?;
        Ok(values.and_then(|values| values.first().copied()).filter(|&value| value != 0))
    };
    if let Some(owner) = number(window, "WM_TRANSIENT_FOR")?
        && owner != connection.root
    {
        return Ok(Some(owner));
    }
    let Some(ours) = number(window, "_NET_WM_PID")? else { return Ok(None) };
    let Some(front) = number(connection.root, "_NET_ACTIVE_WINDOW")? else { return Ok(None) };
    Ok((number(front, "_NET_WM_PID")? == Some(ours)).then_some(front))
}

/// Whether a window is a part of another one to a person: a dialog or a menu of it.
pub(super) fn belongs_to(
    connection: &Connection,
    window: WindowId,
    main: WindowId,
) -> Result<bool, Failure> {
    let mut owner = window;
    for _ in 0..MOST_OWNERS {
        let Some(next) = numbers(connection, owner, "WM_TRANSIENT_FOR")?
            .and_then(|values| values.first().copied())
            .filter(|&next| next != x11rb::NONE)
        else {
            break;
        };
        if next == main {
            return Ok(true);
        }
        owner = next;
    }
    // A menu is no window to the manager, and of the same program.
    let x = &connection.x;
    let is_menu = x.get_window_attributes(window)?.reply()?.override_redirect;
    if !is_menu {
        return Ok(false);
    }
    let client = !x.setup().resource_id_mask;
    if window & client == main & client {
        return Ok(true);
    }
    let pids = [window, main].map(|window| numbers(connection, window, "_NET_WM_PID"));
    let [menu, main] = pids;
    let (menu, main) = (menu?, main?);
    Ok(menu.is_some() && menu == main)
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

/// Reads UTF-8, which programs write even where the protocol says Latin 1; or else that.
fn decoded(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
}

fn title(connection: &Connection, window: WindowId) -> Result<String, Failure> {
    for property in [atom(connection, "_NET_WM_NAME")?, AtomEnum::WM_NAME.into()] {
        let title = text(connection, window, property)?;
        if !title.is_empty() {
            return Ok(decoded(title));
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_titles_are_latin_1() {
        assert_eq!(decoded("Térm 中".as_bytes().to_vec()), "Térm 中");
        assert_eq!(decoded(b"T\xE9rm".to_vec()), "Térm");
    }
}
