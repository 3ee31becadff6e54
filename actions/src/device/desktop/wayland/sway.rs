//! Windows with their places, as sway tells of them on a socket of its own: no protocol of Wayland's says
//! where a window is.
//!
//! Only the compositor of this very session is believed: the process that listens on both sockets.
//!
//! What is drawn over windows without being one is not told: panels, notifications and launchers, and the
//! menus of programs.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::UCred;
use rustix::net::sockopt::socket_peercred;
use swayipc::{Connection, Node, NodeType};

use super::session::PATIENCE;
use crate::device::AreaFault;
use crate::device::desktop::Failure;
use crate::device::desktop::raise::WindowManager;
use crate::device::desktop::view::Found;
use crate::geometry::{DesktopPoint, Rect};

/// How many windows are listed.
const MOST: usize = 512;

/// The sway that draws a session.
pub(super) struct Sway {
    socket: PathBuf,
    process: UCred,
}

/// A window among the others.
struct View {
    found: Found,
    /// Of which process.
    pid: Option<i32>,
    layer: Layer,
    has_keys: bool,
    /// Where a press reaches it, frame included; nothing while it is not shown.
    outline: Option<Rect>,
    /// Where its name stands, which in tabs is also to be seen of windows that are not.
    title_bar: Option<Rect>,
}

/// What windows are drawn over others, the uppermost first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Layer {
    Fullscreen,
    Floating,
    Tiled,
    Hidden,
}

impl Sway {
    /// Returns the one that listens on the socket of a session, if it is sway.
    pub(super) fn of(session: &Path) -> Option<Self> {
        let process = socket_peercred(UnixStream::connect(session).ok()?).ok()?;
        let (user, pid) = (process.uid.as_raw(), process.pid.as_raw_nonzero());
        let socket = session.parent()?.join(format!("sway-ipc.{user}.{pid}.sock"));
        let sway = Self { socket, process };
        sway.connect().ok()?;
        Some(sway)
    }

    fn connect(&self) -> Result<Connection, Failure> {
        let connect = || {
            let stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            if socket_peercred(&stream)? != self.process {
                return Err(std::io::Error::other("another program listens on sway's socket"));
            }
            Ok(stream)
        };
        connect().map(Connection::from).map_err(lost)
    }

    /// Returns all windows, the one in front first.
    fn views(&self) -> Result<Vec<View>, Failure> {
        let mut connection = self.connect()?;
        let workspaces = connection.get_workspaces().map_err(lost)?;
        let shown: Vec<i64> = workspaces
            .iter()
            .filter(|workspace| workspace.visible)
            .map(|workspace| workspace.id)
            .collect();
        let tree = connection.get_tree().map_err(lost)?;
        let mut views = Vec::new();
        for output in &tree.nodes {
            for workspace in &output.nodes {
                let is_shown = shown.contains(&workspace.id);
                // The uppermost is the last.
                for node in workspace.floating_nodes.iter().rev() {
                    collect(node, workspace, Layer::Floating, is_shown, &mut views);
                }
                for node in &workspace.nodes {
                    collect(node, workspace, Layer::Tiled, is_shown, &mut views);
                }
            }
        }
        views.sort_by_key(|view| (view.layer, view.layer == Layer::Tiled && !view.has_keys));
        views.truncate(MOST);
        Ok(views)
    }

    /// Returns the windows, the one in front first.
    pub(super) fn windows(&self) -> Result<Vec<Found>, Failure> {
        Ok(self.views()?.into_iter().map(|view| view.found).collect())
    }

    /// Returns the window that a press at a place reaches.
    pub(super) fn at_point(&self, point: DesktopPoint) -> Result<Option<Found>, Failure> {
        let is_at = |view: &View| {
            let mut places = [view.outline, view.title_bar].into_iter().flatten();
            places.any(|place| place.contains(point))
        };
        Ok(self.views()?.into_iter().find(is_at).map(|view| view.found))
    }

    /// Returns the window that has the keyboard.
    pub(super) fn focused(&self) -> Result<Option<Found>, Failure> {
        let has_keys = |view: &View| view.has_keys;
        Ok(self.views()?.into_iter().find(has_keys).map(|view| view.found))
    }
}

impl WindowManager for Sway {
    fn find(&self, id: u32) -> Result<Option<Found>, Failure> {
        Ok(self.windows()?.into_iter().find(|found| found.id == id))
    }

    fn in_the_way(&self, window: &Found) -> Result<Option<AreaFault>, Failure> {
        let views = self.views()?;
        let title = || window.title.clone();
        let own = views.iter().position(|view| view.found.id == window.id);
        let Some(own) = own.filter(|&own| views[own].layer != Layer::Hidden) else {
            return Ok(Some(AreaFault::Hidden { window: title() }));
        };
        let covers = |view: &&View| {
            let shared = view.outline.and_then(|outline| outline.intersection(window.area));
            shared.is_some() && !view.is_dialog_of(&views[own])
        };
        Ok(views[..own]
            .iter()
            .find(covers)
            .map(|view| AreaFault::Covered { window: title(), by: view.found.clone().name() }))
    }

    fn has_keys(&self, window: &Found) -> Result<bool, Failure> {
        let views = self.views()?;
        let own = views.iter().find(|view| view.found.id == window.id);
        let focused = views.iter().find(|view| view.has_keys);
        Ok(own.zip(focused).is_some_and(|(own, focused)| {
            own.found.id == focused.found.id || focused.is_dialog_of(own)
        }))
    }

    fn ask(&self, window: &Found) -> Result<(), Failure> {
        let command = format!("[con_id={}] focus", window.id);
        // What it refuses shows in what the windows then are.
        self.connect()?.run_command(command).map(drop).map_err(lost)
    }
}

impl View {
    /// Whether it is a dialog of another window, as far as can be told: sway has dialogs float.
    fn is_dialog_of(&self, other: &Self) -> bool {
        self.layer == Layer::Floating
            && other.layer != Layer::Floating
            && self.pid.is_some()
            && self.pid == other.pid
    }
}

/// Adds the windows in a container, and in those in it.
fn collect(node: &Node, parent: &Node, layer: Layer, is_shown: bool, views: &mut Vec<View>) {
    for inner in node.nodes.iter().chain(&node.floating_nodes) {
        collect(inner, node, layer, is_shown, views);
    }
    let is_window = matches!(node.node_type, NodeType::Con | NodeType::FloatingCon);
    let Some(id) = u32::try_from(node.id).ok().filter(|_| is_window && node.pid.is_some()) else {
        return;
    };
    let is_visible = is_shown && node.visible == Some(true);
    let layer = match layer {
        _ if !is_visible => Layer::Hidden,
        _ if node.fullscreen_mode.is_some_and(|mode| mode > 0) => Layer::Fullscreen,
        layer => layer,
    };
    let outline = rect(node.rect, (0, 0));
    let class = || node.window_properties.as_ref().and_then(|properties| properties.class.clone());
    let found = Found {
        id,
        app: node.app_id.clone().or_else(class).unwrap_or_default(),
        title: node.name.clone().unwrap_or_default(),
        // What is inside its frame.
        area: rect(node.window_rect, (node.rect.x, node.rect.y)).or(outline).unwrap_or(Rect {
            x: node.rect.x,
            y: node.rect.y,
            width: 0,
            height: 0,
        }),
    };
    views.push(View {
        found,
        pid: node.pid,
        layer,
        has_keys: node.focused,
        outline: outline.filter(|_| is_visible),
        title_bar: rect(node.deco_rect, (parent.rect.x, parent.rect.y)).filter(|_| is_shown),
    });
}

/// Returns a rectangle, moved; none if it has no area.
fn rect(rect: swayipc::Rect, (x, y): (i32, i32)) -> Option<Rect> {
    let side = |length: i32| u32::try_from(length).ok().filter(|&length| length > 0);
    let (width, height) = (side(rect.width)?, side(rect.height)?);
    Some(Rect { x: x.saturating_add(rect.x), y: y.saturating_add(rect.y), width, height })
}

fn lost(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::Lost(error.into())
}
