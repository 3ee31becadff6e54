//! Reads the pixels of an output.
//!
//! The compositor copies its next frame into memory that we share with it. What it cannot copy it
//! says, so that nothing black is ever taken for the screen. A frame comes as the output is wired,
//! and is turned to what a person sees.

use std::fs::File;
use std::os::fd::AsFd as _;

use image::{RgbImage, imageops};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use wayland_client::protocol::wl_buffer::WlBuffer;
use wayland_client::protocol::wl_output::Transform;
use wayland_client::protocol::wl_shm::Format;
use wayland_client::protocol::wl_shm_pool::WlShmPool;
use wayland_client::{Connection, Dispatch, Proxy as _, QueueHandle, WEnum, delegate_noop};
use wayland_protocols_wlr::screencopy::v1::client::zwlr_screencopy_frame_v1::{
    self, Flags, ZwlrScreencopyFrameV1,
};

use super::session::{Session, State};
use crate::device::desktop::Failure;
use crate::device::desktop::pixels::{PixelFormat, read_rows};
use crate::geometry::{Area, Rect, Size};

/// The longest side a frame may have: no screen is so large, and memory is taken for it.
const LONGEST: u32 = 1 << 15;
/// From this version on the compositor says when it has named all kinds of memory it takes.
const NAMES_ALL: u32 = 3;

/// What the compositor told of the frame that was asked for last.
#[derive(Default)]
pub(super) struct Frame {
    shape: Option<Shape>,
    /// Whether no other kind of memory will be named.
    is_named: bool,
    is_upside_down: bool,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Outcome {
    Ready,
    Failed,
}

/// How a frame lies in memory.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Shape {
    format: WEnum<Format>,
    size: Size,
    stride: u32,
}

/// Memory for one frame, which is used again for the next of the same shape.
pub(super) struct Memory {
    file: File,
    buffer: WlBuffer,
    shape: Shape,
    pixels: PixelFormat,
}

/// Reads the pixels of an area of an output.
pub(super) fn capture(
    session: &mut Session,
    area: Area,
    monitor: usize,
) -> Result<RgbImage, Failure> {
    let refused = |message: &str| Failure::Refused(message.into());
    let placed = session.outputs().nth(monitor).ok_or_else(|| refused("it was unplugged"))?;
    let (output, transform, size) = (placed.output.clone(), placed.transform, placed.size());
    let handle = session.handle();
    session.state().frame = Frame::default();
    let frame = session.tools().screencopy.capture_output(0, &output, &handle, ());
    let image = copy(session, &frame);
    frame.destroy();
    let image = turn(image?, transform);
    let seen = Size { width: image.width(), height: image.height() };
    if seen != size {
        return Err(refused("the output changed while it was captured"));
    }
    let (part, whole) = (area.on_monitor(), Rect::whole(size));
    if part == whole {
        return Ok(image);
    }
    let beyond = || refused("it does not lie on one output");
    let part = whole.intersection(part).filter(|&seen| seen == part).ok_or_else(beyond)?;
    let (x, y) = (part.x.unsigned_abs(), part.y.unsigned_abs());
    Ok(imageops::crop_imm(&image, x, y, part.width, part.height).to_image())
}

/// Has the compositor copy a frame, and reads it.
fn copy(session: &mut Session, frame: &ZwlrScreencopyFrameV1) -> Result<RgbImage, Failure> {
    let failed = || Failure::Refused("the compositor could not copy the output".into());
    let names_all = frame.version() >= NAMES_ALL;
    session.wait_for(|state| {
        let frame = &state.frame;
        frame.outcome.is_some() || if names_all { frame.is_named } else { frame.shape.is_some() }
    })?;
    let shape = session.state().frame.shape.ok_or_else(failed)?;
    let memory = match session.memory.take() {
        Some(memory) if memory.shape == shape => memory,
        old => {
            if let Some(old) = old {
                old.buffer.destroy();
            }
            Memory::new(session, shape)?
        }
    };
    frame.copy(&memory.buffer);
    session.wait_for(|state| state.frame.outcome.is_some())?;
    let frame = &session.state().frame;
    let (outcome, is_upside_down) = (frame.outcome, frame.is_upside_down);
    if outcome != Some(Outcome::Ready) {
        return Err(failed());
    }
    let image = read_rows(&memory.file, memory.pixels, shape.size);
    session.memory = Some(memory);
    let mut image = image.map_err(|error| Failure::Refused(error.into()))?;
    if is_upside_down {
        imageops::flip_vertical_in_place(&mut image);
    }
    Ok(image)
}

impl Memory {
    fn new(session: &Session, shape: Shape) -> Result<Self, Failure> {
        let Shape { format, size, stride } = shape;
        let refused = |what: String| Failure::Refused(what.into());
        let unknown = || refused(format!("its pixels are of the format {format:?}"));
        let WEnum::Value(known) = format else { return Err(unknown()) };
        let pixels = pixels(known, stride).ok_or_else(unknown)?;
        let least = u64::from(size.width) * pixels.bytes_per_pixel as u64;
        let fits = (1..=LONGEST).contains(&size.width) && (1..=LONGEST).contains(&size.height);
        let length = u64::from(stride) * u64::from(size.height);
        let whole = i32::try_from(length).ok().filter(|_| fits && u64::from(stride) >= least);
        let whole = whole.ok_or_else(|| refused(format!("a frame of {size} px is too large")))?;
        let failed = |error: rustix::io::Errno| Failure::Refused(error.into());
        let file = memfd_create("handsight-screen", MemfdFlags::CLOEXEC).map_err(failed)?;
        ftruncate(&file, length).map_err(failed)?;
        let handle = session.handle();
        let pool = session.tools().shm.create_pool(file.as_fd(), whole, &handle, ());
        let [width, height, stride] = [size.width, size.height, stride].map(u32::cast_signed);
        let buffer = pool.create_buffer(0, width, height, stride, known, &handle, ());
        // The buffer keeps the memory.
        pool.destroy();
        Ok(Self { file: file.into(), buffer, shape, pixels })
    }
}

/// How the pixels of a format are laid out, unless it is an unusual one.
fn pixels(format: Format, stride: u32) -> Option<PixelFormat> {
    let (bytes_per_pixel, masks) = match format {
        Format::Argb8888 | Format::Xrgb8888 => (4, [0xFF_0000, 0xFF00, 0xFF]),
        Format::Abgr8888 | Format::Xbgr8888 => (4, [0xFF, 0xFF00, 0xFF_0000]),
        Format::Argb2101010 | Format::Xrgb2101010 => (4, [0x3FF0_0000, 0xF_FC00, 0x3FF]),
        Format::Abgr2101010 | Format::Xbgr2101010 => (4, [0x3FF, 0xF_FC00, 0x3FF0_0000]),
        Format::Rgb888 => (3, [0xFF_0000, 0xFF00, 0xFF]),
        Format::Bgr888 => (3, [0xFF, 0xFF00, 0xFF_0000]),
        Format::Rgb565 => (2, [0xF800, 0x07E0, 0x001F]),
        _ => return None,
    };
    let row_align = usize::try_from(stride).ok()?.max(1);
    Some(PixelFormat { bytes_per_pixel, row_align, is_big_endian: false, masks })
}

/// Turns a frame to what a person sees who turned the output.
fn turn(image: RgbImage, transform: Transform) -> RgbImage {
    let turned = match transform {
        Transform::_90 | Transform::Flipped90 => imageops::rotate90(&image),
        Transform::_180 | Transform::Flipped180 => imageops::rotate180(&image),
        Transform::_270 | Transform::Flipped270 => imageops::rotate270(&image),
        _ => image,
    };
    match transform {
        Transform::Flipped
        | Transform::Flipped90
        | Transform::Flipped180
        | Transform::Flipped270 => imageops::flip_horizontal(&turned),
        _ => turned,
    }
}

impl Dispatch<ZwlrScreencopyFrameV1, ()> for State {
    fn event(
        state: &mut Self,
        _: &ZwlrScreencopyFrameV1,
        event: zwlr_screencopy_frame_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zwlr_screencopy_frame_v1::Event;
        let frame = &mut state.frame;
        match event {
            Event::Buffer { format, width, height, stride } => {
                frame.shape = Some(Shape { format, size: Size { width, height }, stride });
            }
            Event::BufferDone => frame.is_named = true,
            Event::Flags { flags: WEnum::Value(flags) } => {
                frame.is_upside_down = flags.contains(Flags::YInvert);
            }
            Event::Ready { .. } => frame.outcome = Some(Outcome::Ready),
            Event::Failed => frame.outcome = Some(Outcome::Failed),
            _ => {}
        }
    }
}

delegate_noop!(State: WlShmPool);
delegate_noop!(State: ignore WlBuffer);
