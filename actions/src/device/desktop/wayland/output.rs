//! Outputs: what a compositor calls monitors, and where they lie.

use wayland_client::protocol::wl_output::{self, Mode, Transform, WlOutput};
use wayland_client::{Connection, Dispatch, QueueHandle, WEnum};
use wayland_protocols::xdg::xdg_output::zv1::client::zxdg_output_manager_v1::ZxdgOutputManagerV1;
use wayland_protocols::xdg::xdg_output::zv1::client::zxdg_output_v1::{self, ZxdgOutputV1};

use super::session::State;
use crate::device::desktop::Monitor;
use crate::geometry::{DesktopPoint, MonitorLayout, Size};

/// An output, as far as the compositor has told of it.
pub(super) struct Output {
    global: u32,
    proxy: WlOutput,
    xdg: Option<ZxdgOutputV1>,
    name: Option<String>,
    /// The size of its mode in pixels, before it is turned.
    mode: Option<Size>,
    transform: Transform,
    origin: Option<DesktopPoint>,
    /// Its size in logical units.
    logical: Option<Size>,
}

/// An output that is in use.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) output: &'a WlOutput,
    /// What the compositor knows it by for as long as it is plugged in.
    pub(super) global: u32,
    pub(super) transform: Transform,
    name: &'a str,
    layout: MonitorLayout,
}

impl Placed<'_> {
    pub(super) fn monitor(self) -> Monitor {
        let Self { layout, name, .. } = self;
        Monitor { name: name.to_owned(), layout, scale: layout.scale, is_primary: false }
    }

    /// Returns its size in pixels, as it is looked at.
    pub(super) fn size(self) -> Size {
        self.layout.size
    }
}

impl Output {
    pub(super) fn new(global: u32, proxy: WlOutput) -> Self {
        Self {
            global,
            proxy,
            xdg: None,
            name: None,
            mode: None,
            transform: Transform::Normal,
            origin: None,
            logical: None,
        }
    }

    pub(super) fn global(&self) -> u32 {
        self.global
    }

    /// Asks where it lies, unless that was asked before.
    pub(super) fn ask_for_place(
        &mut self,
        manager: &ZxdgOutputManagerV1,
        handle: &QueueHandle<State>,
    ) -> bool {
        let is_new = self.xdg.is_none();
        if is_new {
            self.xdg = Some(manager.get_xdg_output(&self.proxy, handle, self.global));
        }
        is_new
    }

    /// Returns it with its place, if it has one.
    pub(super) fn placed(&self) -> Option<Placed<'_>> {
        let (mode, logical) = (self.mode?, self.logical?);
        let size = if is_sideways(self.transform) {
            Size { width: mode.height, height: mode.width }
        } else {
            mode
        };
        // The longer side has the smaller error of rounding.
        let scale = if size.width >= size.height {
            f64::from(size.width) / f64::from(logical.width)
        } else {
            f64::from(size.height) / f64::from(logical.height)
        };
        Some(Placed {
            output: &self.proxy,
            global: self.global,
            transform: self.transform,
            name: self.name.as_deref().unwrap_or("output"),
            layout: MonitorLayout { origin: self.origin?, size, scale },
        })
    }
}

/// Whether width and height change places.
fn is_sideways(transform: Transform) -> bool {
    matches!(
        transform,
        Transform::_90 | Transform::_270 | Transform::Flipped90 | Transform::Flipped270
    )
}

/// A size that is one: outputs that are off have none.
fn size(width: i32, height: i32) -> Option<Size> {
    let side = |length: i32| u32::try_from(length).ok().filter(|&length| length > 0);
    Some(Size { width: side(width)?, height: side(height)? })
}

impl State {
    fn output(&mut self, global: u32) -> Option<&mut Output> {
        self.outputs.iter_mut().find(|output| output.global == global)
    }
}

impl Dispatch<WlOutput, u32> for State {
    fn event(
        state: &mut Self,
        _: &WlOutput,
        event: wl_output::Event,
        global: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(output) = state.output(*global) else { return };
        match event {
            wl_output::Event::Geometry { transform: WEnum::Value(transform), .. } => {
                output.transform = transform;
            }
            wl_output::Event::Mode { flags: WEnum::Value(flags), width, height, .. }
                if flags.contains(Mode::Current) =>
            {
                output.mode = size(width, height);
            }
            wl_output::Event::Name { name } => output.name = Some(name),
            _ => {}
        }
    }
}

impl Dispatch<ZxdgOutputV1, u32> for State {
    fn event(
        state: &mut Self,
        _: &ZxdgOutputV1,
        event: zxdg_output_v1::Event,
        global: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(output) = state.output(*global) else { return };
        match event {
            zxdg_output_v1::Event::LogicalPosition { x, y } => {
                output.origin = Some(DesktopPoint { x, y });
            }
            zxdg_output_v1::Event::LogicalSize { width, height } => {
                output.logical = size(width, height);
            }
            zxdg_output_v1::Event::Name { name } => {
                output.name.get_or_insert(name);
            }
            _ => {}
        }
    }
}
