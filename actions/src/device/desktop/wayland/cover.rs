//! Surfaces over all outputs, which show pictures and say where on them clicks arrive.
//!
//! They are the other end of a calibration. Any program may have such surfaces, on any compositor: each is
//! a window that was asked to fill an output, with a picture of as many pixels as the output has.
//!
//! A compositor may hand such a picture to the output as it is instead of composing a frame. wlroots up to
//! 0.15 forgets meanwhile what changed, and screenshots show what was there before. A speck of a second
//! surface makes it compose.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use image::RgbImage;
use rustix::fs::{MemfdFlags, memfd_create};
use wayland_client::protocol::wl_buffer::{self, WlBuffer};
use wayland_client::protocol::wl_compositor::WlCompositor;
use wayland_client::protocol::wl_pointer::{self, ButtonState, WlPointer};
use wayland_client::protocol::wl_region::WlRegion;
use wayland_client::protocol::wl_seat::Capability;
use wayland_client::protocol::wl_shm::{Format, WlShm};
use wayland_client::protocol::wl_subcompositor::WlSubcompositor;
use wayland_client::protocol::wl_subsurface::WlSubsurface;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum, delegate_noop};
use wayland_protocols::wp::viewporter::client::wp_viewport::WpViewport;
use wayland_protocols::wp::viewporter::client::wp_viewporter::WpViewporter;
use wayland_protocols::xdg::shell::client::xdg_surface::{self, XdgSurface};
use wayland_protocols::xdg::shell::client::xdg_toplevel::{self, XdgToplevel};
use wayland_protocols::xdg::shell::client::xdg_wm_base::{self, XdgWmBase};

use super::session::{PATIENCE, Session, State};
use crate::device::desktop::Failure;
use crate::device::{DeviceError, MissingProtocol};
use crate::geometry::{MonitorPoint, Size};

/// How often it is looked whether the compositor told something.
const BEAT: Duration = Duration::from_millis(20);

/// Surfaces over all outputs of a Wayland compositor, above all other windows.
///
/// They are black until something is shown, and gone when this is dropped.
pub struct DesktopCover {
    session: Session<()>,
    pointer: Option<WlPointer>,
    sheets: Vec<Sheet>,
}

/// The surface over one output.
struct Sheet {
    surface: WlSurface,
    viewport: WpViewport,
    window: XdgSurface,
    shm: WlShm,
    /// How many pixels the output has.
    size: Size,
    /// Whether it has a picture, without which it is no window yet.
    is_there: bool,
}

/// What the compositor told of them.
#[derive(Default)]
pub(super) struct Told {
    sheets: Vec<Asked>,
    /// The surface that the pointer is on, and where.
    under: Option<WlSurface>,
    at: [f64; 2],
    /// The same when a button was last pressed.
    pressed: Option<(WlSurface, [f64; 2])>,
}

/// What a surface was asked to be.
#[derive(Clone, Copy, Default)]
struct Asked {
    size: Option<[i32; 2]>,
    /// The number of the question, until it was answered.
    serial: Option<u32>,
}

/// The number of a surface.
#[derive(Clone, Copy)]
struct Number(usize);

/// Belongs to memory with a picture, which is written once and is gone when it was shown: a compositor
/// may look at it for as long as it likes.
struct Once;

impl DesktopCover {
    /// Covers the outputs of the compositor that listens on a socket.
    ///
    /// # Errors
    /// [`DeviceError::NoDisplay`] if there is none, [`DeviceError::MissingProtocols`] if it has not what it
    /// takes, and [`DeviceError::Lost`] if it does not answer.
    pub fn open(socket: &str) -> Result<Self, DeviceError> {
        let mut session = Session::connect(socket)?;
        let display = session.display().to_owned();
        let compositor = session.bind::<WlCompositor>(4);
        let (shm, shell) = (session.bind::<WlShm>(1), session.bind::<XdgWmBase>(1));
        let viewporter = session.bind::<WpViewporter>(1);
        let specks = session.bind::<WlSubcompositor>(1);
        let (Some(compositor), Some(shm), Some(shell), Some(viewporter), Some(specks)) =
            (compositor, shm, shell, viewporter, specks)
        else {
            let protocol = WpViewporter::interface().name;
            let missing = vec![MissingProtocol { protocol, needed_for: "to cover the screen" }];
            return Err(DeviceError::MissingProtocols { display, missing, portal: None });
        };
        // Without a seat there is no pointer to tell of.
        session.seat();
        let handle = session.handle();
        let outputs: Vec<_> =
            session.outputs().map(|placed| (placed.output.clone(), placed.size())).collect();
        let mut sheets = Vec::new();
        for (number, (output, size)) in outputs.into_iter().enumerate() {
            session.state().cover.sheets.push(Asked::default());
            let surface = compositor.create_surface(&handle, ());
            let window = shell.get_xdg_surface(&surface, &handle, Number(number));
            let toplevel = window.get_toplevel(&handle, Number(number));
            toplevel.set_title("Handsight".to_owned());
            toplevel.set_fullscreen(Some(&output));
            surface.commit();
            let viewport = viewporter.get_viewport(&surface, &handle, ());
            let speck = compositor.create_surface(&handle, ());
            specks.get_subsurface(&speck, &surface, &handle, ());
            // Clicks go through it.
            let nowhere = compositor.create_region(&handle, ());
            speck.set_input_region(Some(&nowhere));
            nowhere.destroy();
            show(&speck, &RgbImage::new(1, 1), &shm, &handle)
                .map_err(|failure| failure.while_asked(&display, "cover the screen"))?;
            let shm = shm.clone();
            sheets.push(Sheet { surface, viewport, window, shm, size, is_there: false });
        }
        let mut cover = Self { session, pointer: None, sheets };
        cover.spread().map_err(|failure| failure.while_asked(&display, "cover the screen"))?;
        Ok(cover)
    }

    /// Waits until every surface was told how large it is: what is shown on it before may not be seen.
    fn spread(&mut self) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            self.settle()?;
            if self.session.state().cover.sheets.iter().all(|asked| asked.size.is_some()) {
                return Ok(());
            }
        }
        let message = format!("it gave a window no size within {} s", PATIENCE.as_secs());
        Err(Failure::Refused(message.into()))
    }

    /// Shows a picture on a monitor, which is as large as the monitor.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] if the compositor does not answer, [`DeviceError::Capture`] if there is no
    /// such monitor of this size.
    pub fn show(&mut self, monitor: usize, picture: &RgbImage) -> Result<(), DeviceError> {
        let display = self.session.display().to_owned();
        self.draw(monitor, picture)
            .and_then(|()| self.settle())
            .map_err(|failure| failure.while_asked(&display, "show a picture"))
    }

    /// Waits until a button is pressed, and returns the monitor and the pixel of its picture that is under
    /// the pointer then.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] if the compositor does not answer.
    pub fn wait_for_press(
        &mut self,
        limit: Duration,
    ) -> Result<Option<(usize, MonitorPoint)>, DeviceError> {
        let display = self.session.display().to_owned();
        let end = Instant::now() + limit;
        while Instant::now() < end {
            self.settle().map_err(|failure| failure.while_asked(&display, "tell of a press"))?;
            let pressed = self.session.state().cover.pressed.take();
            if let Some((surface, at)) = pressed
                && let Some(number) = self.sheets.iter().position(|sheet| sheet.surface == surface)
            {
                return Ok(self.pixel(number, at).map(|pixel| (number, pixel)));
            }
        }
        Ok(None)
    }

    /// Returns the pixel of a picture that a place of its surface shows.
    fn pixel(&mut self, number: usize, at: [f64; 2]) -> Option<MonitorPoint> {
        let [width, height] = self.session.state().cover.sheets[number].size?;
        let size = self.sheets[number].size;
        let scaled = |at: f64, shown: i32, pixels: u32| {
            #[expect(clippy::cast_possible_truncation, reason = "it lies on a screen")]
            let pixel = (at * f64::from(pixels) / f64::from(shown)).floor() as i32;
            pixel
        };
        Some(MonitorPoint {
            x: scaled(at[0], width, size.width),
            y: scaled(at[1], height, size.height),
        })
    }

    fn draw(&mut self, monitor: usize, picture: &RgbImage) -> Result<(), Failure> {
        let size = Size { width: picture.width(), height: picture.height() };
        let sheet = self.sheets.get(monitor).filter(|sheet| sheet.size == size);
        let sheet = sheet.ok_or_else(|| Failure::Refused("the monitor has changed".into()))?;
        show(&sheet.surface, picture, &sheet.shm, &self.session.handle())
    }

    /// Takes in what the compositor tells, and does what it asks.
    fn settle(&mut self) -> Result<(), Failure> {
        self.session.listen(BEAT)?;
        self.session.sync()?;
        let handle = self.session.handle();
        if self.pointer.is_none() && self.session.capabilities().contains(Capability::Pointer) {
            self.pointer = self.session.seat().map(|seat| seat.get_pointer(&handle, ()));
        }
        for (sheet, asked) in self.sheets.iter_mut().zip(&mut self.session.state().cover.sheets) {
            let Some(serial) = asked.serial.take() else { continue };
            sheet.window.ack_configure(serial);
            if let Some([width, height]) = asked.size {
                sheet.viewport.set_destination(width, height);
            }
            if sheet.is_there {
                sheet.surface.commit();
            } else {
                let black = RgbImage::new(sheet.size.width, sheet.size.height);
                show(&sheet.surface, &black, &sheet.shm, &handle)?;
                sheet.is_there = true;
            }
        }
        self.session.sync()
    }
}

/// Shows a picture on a surface.
fn show(
    surface: &WlSurface,
    picture: &RgbImage,
    shm: &WlShm,
    handle: &QueueHandle<State>,
) -> Result<(), Failure> {
    let [width, height] = [picture.width(), picture.height()].map(u32::cast_signed);
    surface.attach(Some(&memory(shm, handle, picture)?), 0, 0);
    surface.damage_buffer(0, 0, width, height);
    surface.commit();
    Ok(())
}

/// Returns memory with a picture.
fn memory(
    shm: &WlShm,
    handle: &QueueHandle<State>,
    picture: &RgbImage,
) -> Result<WlBuffer, Failure> {
    let failed = |error: std::io::Error| Failure::Refused(error.into());
    let [width, height] = [picture.width(), picture.height()].map(u32::cast_signed);
    let pixels: Vec<u8> =
        picture.pixels().flat_map(|pixel| [pixel[2], pixel[1], pixel[0], 0]).collect();
    let length = i32::try_from(pixels.len());
    let length = length.map_err(|_| Failure::Refused("the output is too large".into()))?;
    let file = memfd_create("handsight-cover", MemfdFlags::CLOEXEC);
    let mut file = File::from(file.map_err(|error| failed(error.into()))?);
    file.write_all(&pixels).map_err(failed)?;
    let pool = shm.create_pool(file.as_fd(), length, handle, ());
    let buffer = pool.create_buffer(0, width, height, width * 4, Format::Xrgb8888, handle, Once);
    // The buffer keeps the memory.
    pool.destroy();
    Ok(buffer)
}

impl Dispatch<WlBuffer, Once> for State {
    fn event(
        _: &mut Self,
        buffer: &WlBuffer,
        event: wl_buffer::Event,
        _: &Once,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_buffer::Event::Release = event {
            buffer.destroy();
        }
    }
}

impl Dispatch<XdgToplevel, Number> for State {
    fn event(
        state: &mut Self,
        _: &XdgToplevel,
        event: xdg_toplevel::Event,
        &Number(number): &Number,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_toplevel::Event::Configure { width, height, .. } = event
            && width > 0
            && height > 0
        {
            state.cover.sheets[number].size = Some([width, height]);
        }
    }
}

impl Dispatch<XdgSurface, Number> for State {
    fn event(
        state: &mut Self,
        _: &XdgSurface,
        event: xdg_surface::Event,
        &Number(number): &Number,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            state.cover.sheets[number].serial = Some(serial);
        }
    }
}

impl Dispatch<XdgWmBase, ()> for State {
    fn event(
        _: &mut Self,
        shell: &XdgWmBase,
        event: xdg_wm_base::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_wm_base::Event::Ping { serial } = event {
            shell.pong(serial);
        }
    }
}

impl Dispatch<WlPointer, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlPointer,
        event: wl_pointer::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_pointer::Event;
        let cover = &mut state.cover;
        match event {
            Event::Enter { surface, surface_x, surface_y, .. } => {
                (cover.under, cover.at) = (Some(surface), [surface_x, surface_y]);
            }
            Event::Leave { .. } => cover.under = None,
            Event::Motion { surface_x, surface_y, .. } => cover.at = [surface_x, surface_y],
            Event::Button { state: WEnum::Value(ButtonState::Pressed), .. } => {
                cover.pressed = cover.under.clone().map(|surface| (surface, cover.at));
            }
            _ => {}
        }
    }
}

delegate_noop!(State: WlCompositor);
delegate_noop!(State: WlRegion);
delegate_noop!(State: WlSubcompositor);
delegate_noop!(State: WlSubsurface);
delegate_noop!(State: ignore WlSurface);
delegate_noop!(State: WpViewporter);
delegate_noop!(State: WpViewport);
