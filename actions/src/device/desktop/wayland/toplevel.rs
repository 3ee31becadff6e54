//! Windows, as far as a compositor tells of them: title, application, and which has the keyboard.

use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, event_created_child};
use wayland_protocols_wlr::foreign_toplevel::v1::client::zwlr_foreign_toplevel_handle_v1::{
    self, ZwlrForeignToplevelHandleV1,
};
use wayland_protocols_wlr::foreign_toplevel::v1::client::zwlr_foreign_toplevel_manager_v1::{
    self, ZwlrForeignToplevelManagerV1,
};

use super::session::State;
use crate::device::desktop::backend::Shown;

/// How many windows are kept in mind.
const MOST: usize = 512;
/// The state of the window that has the keyboard.
const ACTIVATED: u32 = zwlr_foreign_toplevel_handle_v1::State::Activated as u32;

/// A window.
pub(super) struct Toplevel {
    handle: ZwlrForeignToplevelHandleV1,
    title: String,
    app: String,
    is_active: bool,
}

impl Toplevel {
    pub(super) fn is_active(&self) -> bool {
        self.is_active
    }

    pub(super) fn shown(&self) -> Shown {
        Shown {
            id: self.handle.id().protocol_id().into(),
            app: self.app.clone(),
            title: self.title.clone(),
            area: None,
        }
    }
}

impl Dispatch<ZwlrForeignToplevelManagerV1, ()> for State {
    fn event(
        state: &mut Self,
        _: &ZwlrForeignToplevelManagerV1,
        event: zwlr_foreign_toplevel_manager_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let zwlr_foreign_toplevel_manager_v1::Event::Toplevel { toplevel: handle } = event
            && state.toplevels.len() < MOST
        {
            let (title, app) = (String::new(), String::new());
            state.toplevels.push(Toplevel { handle, title, app, is_active: false });
        }
    }

    event_created_child!(State, ZwlrForeignToplevelManagerV1, [
        zwlr_foreign_toplevel_manager_v1::EVT_TOPLEVEL_OPCODE => (ZwlrForeignToplevelHandleV1, ()),
    ]);
}

impl Dispatch<ZwlrForeignToplevelHandleV1, ()> for State {
    fn event(
        state: &mut Self,
        handle: &ZwlrForeignToplevelHandleV1,
        event: zwlr_foreign_toplevel_handle_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zwlr_foreign_toplevel_handle_v1::Event;
        let Some(index) = state.toplevels.iter().position(|known| known.handle == *handle) else {
            return;
        };
        let toplevel = &mut state.toplevels[index];
        match event {
            Event::Title { title } => toplevel.title = title,
            Event::AppId { app_id } => toplevel.app = app_id,
            Event::State { state } => {
                let mut states = state.chunks_exact(4);
                toplevel.is_active = states.any(|state| state == ACTIVATED.to_ne_bytes());
            }
            Event::Closed => {
                handle.destroy();
                state.toplevels.remove(index);
            }
            _ => {}
        }
    }
}
