//! What was drawn on the screen since it was last looked at, as the server tells it (DAMAGE).
//!
//! All that is in a screenshot was drawn by the server, on the pixmap of the root window, and told of: by
//! programs with their requests, by compositors on the overlay window, by the server itself when windows come
//! and go. What a driver draws past the server is not told of, and no more can be known of it here; so nobody
//! may trust this for long.

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::damage::{self, ConnectionExt as _, ReportLevel};
use x11rb::protocol::xfixes::ConnectionExt as _;

use super::connection::Connection;
use crate::device::desktop::Failure;
use crate::geometry::Rect;

/// How many rectangles are told apart; of more, the smallest rectangle around all.
const MOST: usize = 8;

/// The server's account of what is drawn on the screen.
pub(super) struct Damage {
    damage: damage::Damage,
    /// A region on the server, into which the account is moved to be read.
    region: u32,
}

impl Damage {
    /// Has the server keep an account; `None` if it keeps none.
    pub(super) fn watch(connection: &Connection) -> Result<Option<Self>, Failure> {
        let x = &connection.x;
        if x.extension_information(damage::X11_EXTENSION_NAME)?.is_none() {
            return Ok(None);
        }
        x.damage_query_version(1, 1)?.reply()?;
        // Regions are from the second version of another extension.
        x.xfixes_query_version(2, 0)?.reply()?;
        let (damage, region) = (x.generate_id()?, x.generate_id()?);
        // One event from one look to the next is the least.
        x.damage_create(damage, connection.root, ReportLevel::NON_EMPTY)?.check()?;
        x.xfixes_create_region(region, &[])?.check()?;
        Ok(Some(Self { damage, region }))
    }

    /// Returns where was drawn since this was last asked.
    pub(super) fn take(&self, connection: &Connection) -> Result<Vec<Rect>, Failure> {
        let x = &connection.x;
        x.damage_subtract(self.damage, x11rb::NONE, self.region)?;
        let drawn = x.xfixes_fetch_region(self.region)?.reply()?;
        // They say no more than this does, and would pile up.
        while x.poll_for_event()?.is_some() {}
        let rectangles = match drawn.rectangles.len() {
            0..=MOST => drawn.rectangles,
            _ => vec![drawn.extents],
        };
        let rect = |drawn: x11rb::protocol::xproto::Rectangle| Rect {
            x: drawn.x.into(),
            y: drawn.y.into(),
            width: drawn.width.into(),
            height: drawn.height.into(),
        };
        Ok(rectangles.into_iter().map(rect).collect())
    }
}
