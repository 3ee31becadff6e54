//! Reads the pixels of a part of the screen.
//!
//! With MIT-SHM 1.2 the server draws them into a file of shared memory it hands us. Remote displays
//! and old servers have no shared memory; there the pixels come through the socket, which takes about
//! four times as long.
//!
//! Of a screen that was read a moment ago only what was drawn since is read again, if the server says
//! where that is.

use std::fs::File;
use std::time::{Duration, Instant};

use image::RgbImage;
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::shm::{self, ConnectionExt as _, Seg};
use x11rb::protocol::xproto::{
    ConnectionExt as _, ImageFormat, ImageOrder, Screen, Setup, VisualClass,
};

use super::connection::Connection;
use super::damage::Damage;
use crate::device::desktop::Failure;
use crate::device::desktop::pixels::{PixelFormat, read_rows};
use crate::geometry::{Rect, Size};

const ALL_PLANES: u32 = !0;

/// For how long after everything was read only what was drawn since is read. What was drawn past the server
/// is seen after that at the latest.
const TRUST: Duration = Duration::from_secs(1);

/// How to read pixels, and the shared memory they come through.
pub(super) struct Capture {
    format: Option<PixelFormat>,
    memory: Memory,
    account: Account,
    last: Option<Last>,
}

/// What a rectangle showed when it was last looked at, and when all of it was read.
struct Last {
    rect: Rect,
    image: RgbImage,
    read_at: Instant,
}

/// The server's account of what is drawn.
enum Account {
    /// The server was not asked for one yet.
    Unasked,
    Kept(Damage),
    /// The server keeps none.
    None,
}

enum Memory {
    /// Nothing is shared yet; the server has not refused to.
    Untried,
    Shared(Segment),
    /// The server cannot share memory with us.
    None,
}

struct Segment {
    id: Seg,
    file: File,
    length: usize,
}

/// A rectangle as the protocol takes it, and how its pixels are laid out.
struct Area {
    x: i16,
    y: i16,
    width: u16,
    height: u16,
    format: PixelFormat,
}

impl Capture {
    /// Learns how the screen's pixels are laid out.
    pub(super) fn new(connection: &Connection) -> Self {
        let format = format_of(connection.x.setup(), &connection.screen);
        Self { format, memory: Memory::Untried, account: Account::Unasked, last: None }
    }

    /// Returns the pixels of a rectangle of the screen.
    pub(super) fn capture(
        &mut self,
        connection: &Connection,
        rect: Rect,
    ) -> Result<RgbImage, Failure> {
        // Before the pixels are read: what is drawn meanwhile is read now, and told next time.
        let Some(drawn) = self.drawn(connection)? else { return self.read(connection, rect) };
        let last = self.last.take();
        let last = match last.filter(|last| last.rect == rect && last.read_at.elapsed() < TRUST) {
            Some(last) => self.update(connection, last, &drawn)?,
            None => self.look(connection, rect)?,
        };
        Ok(self.last.insert(last).image.clone())
    }

    /// Returns where was drawn since this was last asked, if the server says so.
    fn drawn(&mut self, connection: &Connection) -> Result<Option<Vec<Rect>>, Failure> {
        if matches!(self.account, Account::Unasked) {
            self.account = match Damage::watch(connection) {
                Ok(Some(damage)) => Account::Kept(damage),
                Ok(None) | Err(Failure::Refused(_)) => Account::None,
                Err(failure) => return Err(failure),
            };
        }
        match &self.account {
            Account::Kept(damage) => damage.take(connection).map(Some),
            Account::Unasked | Account::None => Ok(None),
        }
    }

    fn look(&mut self, connection: &Connection, rect: Rect) -> Result<Last, Failure> {
        let read_at = Instant::now();
        Ok(Last { rect, image: self.read(connection, rect)?, read_at })
    }

    /// Reads what was drawn of a picture anew, or all of it, if that is much.
    fn update(
        &mut self,
        connection: &Connection,
        mut last: Last,
        drawn: &[Rect],
    ) -> Result<Last, Failure> {
        let whole = last.rect;
        let parts: Vec<Rect> = drawn.iter().filter_map(|&part| whole.intersection(part)).collect();
        let pixels = |rect: &Rect| u64::from(rect.width) * u64::from(rect.height);
        if parts.iter().map(pixels).sum::<u64>() > pixels(&whole) / 2 {
            return self.look(connection, whole);
        }
        for part in parts {
            let patch = self.read(connection, part)?;
            let (x, y) = (part.x - whole.x, part.y - whole.y);
            put(&mut last.image, &patch, [x, y].map(i32::unsigned_abs));
        }
        Ok(last)
    }

    /// Reads the pixels of a rectangle of the screen.
    fn read(&mut self, connection: &Connection, rect: Rect) -> Result<RgbImage, Failure> {
        let format = self.format.ok_or_else(|| {
            let depth = connection.screen.root_depth;
            Failure::Refused(format!("the screen has no true-colour pixels, depth {depth}").into())
        })?;
        let area = area(rect, format)?;
        let length = format.stride(area.width.into()) * usize::from(area.height);
        if let Some(segment) = self.segment(connection, length)? {
            return shared(connection, segment, &area);
        }
        let reply = connection
            .x
            .get_image(
                ImageFormat::Z_PIXMAP,
                connection.root,
                area.x,
                area.y,
                area.width,
                area.height,
                ALL_PLANES,
            )?
            .reply()?;
        let mut image = RgbImage::new(area.width.into(), area.height.into());
        format.convert(&reply.data, &mut image);
        Ok(image)
    }

    /// Returns shared memory of at least this length, if the server can share any.
    fn segment(
        &mut self,
        connection: &Connection,
        length: usize,
    ) -> Result<Option<&Segment>, Failure> {
        let fits = match &self.memory {
            Memory::None => true,
            Memory::Shared(segment) => segment.length >= length,
            Memory::Untried => false,
        };
        if !fits {
            if let Memory::Shared(old) = &self.memory {
                connection.x.shm_detach(old.id)?;
            }
            self.memory = match Segment::create(connection, length) {
                Ok(segment) => Memory::Shared(segment),
                Err(Failure::Refused(_)) => Memory::None,
                Err(failure) => return Err(failure),
            };
        }
        match &self.memory {
            Memory::Shared(segment) => Ok(Some(segment)),
            Memory::Untried | Memory::None => Ok(None),
        }
    }
}

impl Segment {
    fn create(connection: &Connection, length: usize) -> Result<Self, Failure> {
        let refused = |message: &str| Failure::Refused(message.into());
        if connection.x.extension_information(shm::X11_EXTENSION_NAME)?.is_none() {
            return Err(refused("no MIT-SHM"));
        }
        let version = connection.x.shm_query_version()?.reply()?;
        if (version.major_version, version.minor_version) < (1, 2) {
            return Err(refused("MIT-SHM cannot hand over files"));
        }
        let size = u32::try_from(length).map_err(|_| refused("the screen is too large"))?;
        let id = connection.x.generate_id()?;
        let reply = connection.x.shm_create_segment(id, size, false)?.reply()?;
        Ok(Self { id, file: File::from(reply.shm_fd), length })
    }
}

/// Puts a picture that lies inside another one into its place.
fn put(image: &mut RgbImage, patch: &RgbImage, [x, y]: [u32; 2]) {
    let (row, start) = (image.width() as usize * 3, x as usize * 3);
    let length = patch.width() as usize * 3;
    let rows = image.chunks_exact_mut(row.max(1)).skip(y as usize);
    for (into, from) in rows.zip(patch.as_raw().chunks_exact(length.max(1))) {
        into[start..start + length].copy_from_slice(from);
    }
}

/// Has the server draw into shared memory, and reads it from there.
fn shared(connection: &Connection, segment: &Segment, area: &Area) -> Result<RgbImage, Failure> {
    connection
        .x
        .shm_get_image(
            connection.root,
            area.x,
            area.y,
            area.width,
            area.height,
            ALL_PLANES,
            ImageFormat::Z_PIXMAP.into(),
            segment.id,
            0,
        )?
        .reply()?;
    let size = Size { width: area.width.into(), height: area.height.into() };
    read_rows(&segment.file, area.format, size).map_err(|err| Failure::Refused(err.into()))
}

/// Returns the format of a screen, unless its pixels are indices into a colour map.
fn format_of(setup: &Setup, screen: &Screen) -> Option<PixelFormat> {
    let depth = screen.allowed_depths.iter().find(|depth| depth.depth == screen.root_depth)?;
    let visual = depth.visuals.iter().find(|v| v.visual_id == screen.root_visual)?;
    if !matches!(visual.class, VisualClass::TRUE_COLOR | VisualClass::DIRECT_COLOR) {
        return None;
    }
    let format = setup.pixmap_formats.iter().find(|f| f.depth == screen.root_depth)?;
    let bytes_per_pixel = match format.bits_per_pixel {
        16 => 2,
        24 => 3,
        32 => 4,
        _ => return None,
    };
    Some(PixelFormat {
        bytes_per_pixel,
        row_align: usize::from(format.scanline_pad / 8).max(1),
        is_big_endian: setup.image_byte_order == ImageOrder::MSB_FIRST,
        masks: [visual.red_mask, visual.green_mask, visual.blue_mask],
    })
}

fn area(rect: Rect, format: PixelFormat) -> Result<Area, Failure> {
    let too_large = |_| Failure::Refused("it lies beyond what X11 can address".into());
    Ok(Area {
        x: i16::try_from(rect.x).map_err(too_large)?,
        y: i16::try_from(rect.y).map_err(too_large)?,
        width: u16::try_from(rect.width).map_err(too_large)?,
        height: u16::try_from(rect.height).map_err(too_large)?,
        format,
    })
}
