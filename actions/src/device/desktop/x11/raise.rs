//! What the X server says of a window that is to be brought up, and how its window manager is asked.

use x11rb::CURRENT_TIME;
use x11rb::protocol::xproto::{
    ClientMessageEvent, ConfigureWindowAux, ConnectionExt as _, EventMask, InputFocus, MapState,
    StackMode, Window as WindowId, WindowClass,
};

use super::connection::Connection;
use super::windows;
use crate::device::AreaFault;
use crate::device::desktop::Failure;
use crate::device::desktop::raise::WindowManager;
use crate::device::desktop::view::Found;
use crate::geometry::{DesktopPoint, Rect};

/// The message's sender, to the window manager: something that acts for the user.
const FOR_THE_USER: u32 = 2;

impl WindowManager for Connection {
    fn find(&self, id: u32) -> Result<Option<Found>, Failure> {
        windows::find(self, id)
    }

    fn in_the_way(&self, window: &Found) -> Result<Option<AreaFault>, Failure> {
        in_the_way(self, window)
    }

    fn has_keys(&self, window: &Found) -> Result<bool, Failure> {
        let focused = match windows::focused(self) {
            // The one that had the keyboard has just gone.
            Err(Failure::Refused(_)) => None,
            focused => focused?,
        };
        Ok(focused.is_some_and(|focused| {
            focused.id == window.id
                || windows::belongs_to(self, focused.id, window.id).unwrap_or(false)
        }))
    }

    fn ask(&self, window: &Found) -> Result<(), Failure> {
        ask(self, window.id)
    }
}

/// Says what keeps a window from being seen, if anything does.
fn in_the_way(connection: &Connection, window: &Found) -> Result<Option<AreaFault>, Failure> {
    let title = || window.title.clone();
    let x = &connection.x;
    let shown = x.get_window_attributes(window.id)?.reply()?.map_state == MapState::VIEWABLE;
    if !shown {
        return Ok(Some(AreaFault::Hidden { window: title() }));
    }
    let path = windows::path_to(connection, window.id)?;
    let all = x.query_tree(connection.root)?.reply()?.children;
    let above = all.iter().rev().take_while(|&other| Some(other) != path.first());
    for &other in above {
        // One that has gone meanwhile covers nothing.
        if covers(connection, other, window.area).unwrap_or(false) {
            let client = windows::client_in(connection, other)?;
            let is_ours = windows::belongs_to(connection, client, window.id).unwrap_or(false);
            if is_ours || client == window.id {
                continue;
            }
            let by = windows::find(connection, client)?.map(Found::name).unwrap_or_default();
            return Ok(Some(AreaFault::Covered { window: title(), by }));
        }
    }
    Ok(None)
}

/// Whether a window above takes what is pressed in an area.
fn covers(connection: &Connection, other: WindowId, area: Rect) -> Result<bool, Failure> {
    let x = &connection.x;
    let attributes = x.get_window_attributes(other)?;
    let geometry = x.get_geometry(other)?;
    let (attributes, geometry) = (attributes.reply()?, geometry.reply()?);
    let is_seen =
        attributes.map_state == MapState::VIEWABLE && attributes.class == WindowClass::INPUT_OUTPUT;
    let border = 2 * u32::from(geometry.border_width);
    let outline = Rect {
        x: geometry.x.into(),
        y: geometry.y.into(),
        width: u32::from(geometry.width) + border,
        height: u32::from(geometry.height) + border,
    };
    let Some(shared) = outline.intersection(area).filter(|_| is_seen) else { return Ok(false) };
    // A compositor's own window lies on all others, and lets everything through.
    let right = shared.x.saturating_add_unsigned(shared.width - 1);
    let bottom = shared.y.saturating_add_unsigned(shared.height - 1);
    let middle: DesktopPoint = shared.center();
    let corners = [(shared.x, shared.y), (right, shared.y), (shared.x, bottom), (right, bottom)];
    for (x_at, y_at) in corners.into_iter().chain([(middle.x, middle.y)]) {
        let coordinate = |value: i32| i16::try_from(value).unwrap_or(i16::MAX);
        let root = connection.root;
        let hit =
            x.translate_coordinates(root, root, coordinate(x_at), coordinate(y_at))?.reply()?;
        if hit.child == other {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Asks for a window to be brought up and given the keyboard: the window manager, or the server
/// where there is none.
fn ask(connection: &Connection, window: WindowId) -> Result<(), Failure> {
    let x = &connection.x;
    let root = connection.root;
    let activate = x.intern_atom(false, b"_NET_ACTIVE_WINDOW")?.reply()?.atom;
    let known = windows::numbers(connection, root, "_NET_SUPPORTED")?.unwrap_or_default();
    if known.contains(&activate) {
        let data = [FOR_THE_USER, CURRENT_TIME, 0, 0, 0];
        let message = ClientMessageEvent::new(32, window, activate, data);
        let mask = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
        x.send_event(false, root, mask, message)?;
    } else {
        let outermost = windows::path_to(connection, window)?.first().copied().unwrap_or(window);
        x.map_window(window)?;
        x.configure_window(outermost, &ConfigureWindowAux::new().stack_mode(StackMode::ABOVE))?;
        x.set_input_focus(InputFocus::PARENT, window, CURRENT_TIME)?;
    }
    connection.sync()
}
