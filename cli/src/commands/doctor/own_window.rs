//! A window of our own, above all others, that says what reaches it.
//!
//! It is the other end of every proof: what the device sends through the display server has to
//! arrive here, and what is drawn here has to be in the device's screenshot. Nothing that is sent
//! to it can do harm elsewhere. The user's pointer and focus are put back when it closes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use handsight_actions::{DesktopPoint, Rect};
use handsight_agent::CancelFlag;
use handsight_agent::settle::pause;
use image::Rgb;
use x11rb::connection::Connection;
use x11rb::cookie::Cookie;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ChangeGCAux, ConfigureWindowAux, ConnectionExt, CreateGCAux, CreateWindowAux, EventMask,
    Gcontext, GetInputFocusReply, InputFocus, Rectangle, Screen, StackMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;

/// How long what was sent may take to come back.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The window, and what to put back when it closes.
pub(super) struct OwnWindow {
    pub(super) connection: RustConnection,
    screen: Screen,
    window: Window,
    context: Gcontext,
    pointer: (i16, i16),
    focus: GetInputFocusReply,
}

impl OwnWindow {
    /// Opens the window at a place of the desktop, or over all of it.
    pub(super) fn open(display: Option<&str>, area: Option<Rect>) -> anyhow::Result<Self> {
        let (connection, screen) = x11rb::connect(display)?;
        let screen = connection.setup().roots[screen].clone();
        let root = screen.root;
        let pointer = connection.query_pointer(root)?.reply()?;
        let focus = connection.get_input_focus()?.reply()?;
        let window = connection.generate_id()?;
        let (width, height) = (screen.width_in_pixels, screen.height_in_pixels);
        let all = Rect { x: 0, y: 0, width: width.into(), height: height.into() };
        let area = rectangle(area.unwrap_or(all)).context("the place is not on the screen")?;
        let events = EventMask::EXPOSURE | EventMask::KEY_PRESS | EventMask::BUTTON_PRESS;
        let options = CreateWindowAux::new()
            .override_redirect(1)
            .background_pixel(screen.black_pixel)
            .event_mask(events);
        connection.create_window(
            x11rb::COPY_DEPTH_FROM_PARENT,
            window,
            root,
            area.x,
            area.y,
            area.width,
            area.height,
            0,
            WindowClass::INPUT_OUTPUT,
            x11rb::COPY_FROM_PARENT,
            &options,
        )?;
        connection.map_window(window)?;
        let above = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        connection.configure_window(window, &above)?;
        let context = connection.generate_id()?;
        connection.create_gc(context, window, &CreateGCAux::new())?;
        connection.flush()?;
        let pointer = (pointer.root_x, pointer.root_y);
        let own = Self { connection, screen, window, context, pointer, focus };
        own.wait_for("appear", |event| matches!(event, Event::Expose(_)).then_some(()))?;
        Ok(own)
    }

    /// Fills a rectangle of the window with a colour.
    pub(super) fn fill(&self, area: Rect, color: Rgb<u8>) -> anyhow::Result<()> {
        let [red, green, blue] = color.0.map(|channel| u16::from(channel) * 257);
        let colormap = self.screen.default_colormap;
        let color = self.connection.alloc_color(colormap, red, green, blue)?.reply()?;
        let paint = ChangeGCAux::new().foreground(color.pixel);
        self.connection.change_gc(self.context, &paint)?;
        let area = rectangle(area).context("the rectangle is too large")?;
        self.connection.poly_fill_rectangle(self.window, self.context, &[area])?;
        // A reply to anything means that all before it was done.
        self.connection.get_input_focus()?.reply()?;
        Ok(())
    }

    /// Has keys arrive in the window.
    pub(super) fn take_keys(&self) -> anyhow::Result<()> {
        let (window, now) = (self.window, x11rb::CURRENT_TIME);
        self.connection.set_input_focus(InputFocus::POINTER_ROOT, window, now)?.check()?;
        Ok(())
    }

    /// Returns where the display server says the pointer is.
    pub(super) fn pointer(&self) -> anyhow::Result<DesktopPoint> {
        let pointer = self.connection.query_pointer(self.screen.root)?.reply()?;
        Ok(DesktopPoint { x: pointer.root_x.into(), y: pointer.root_y.into() })
    }

    /// Waits for a press of a button and returns where on the desktop it arrived.
    pub(super) fn wait_for_press(&self) -> anyhow::Result<DesktopPoint> {
        self.wait_for("be clicked", |event| match event {
            Event::ButtonPress(press) => {
                Some(DesktopPoint { x: press.root_x.into(), y: press.root_y.into() })
            }
            _ => None,
        })
    }

    /// Waits until an event is what is waited for.
    pub(super) fn wait_for<T>(
        &self,
        task: &str,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            while let Some(event) = self.connection.poll_for_event()? {
                if let Some(wanted) = wanted(&event) {
                    return Ok(wanted);
                }
            }
            if start.elapsed() > PATIENCE {
                anyhow::bail!("the window waited {} s to {task}", PATIENCE.as_secs());
            }
            pause(Duration::from_millis(2), &CancelFlag::default());
        }
    }
}

impl Drop for OwnWindow {
    /// Puts the focus and the pointer back; the window goes with the connection.
    fn drop(&mut self) {
        let Self { connection, screen, focus, pointer: (x, y), .. } = self;
        let _ = connection.set_input_focus(focus.revert_to, focus.focus, x11rb::CURRENT_TIME);
        let _ = connection.warp_pointer(x11rb::NONE, screen.root, 0, 0, 0, 0, *x, *y);
        let _ = connection.get_input_focus().map(Cookie::reply);
    }
}

/// Whether two colours are the same, but for what a screen of fewer colours rounds away.
pub(super) fn is_close(Rgb(seen): Rgb<u8>, Rgb(expected): Rgb<u8>) -> bool {
    seen.iter().zip(expected).all(|(&seen, expected)| seen.abs_diff(expected) <= 8)
}

fn rectangle(area: Rect) -> Option<Rectangle> {
    Some(Rectangle {
        x: area.x.try_into().ok()?,
        y: area.y.try_into().ok()?,
        width: area.width.try_into().ok()?,
        height: area.height.try_into().ok()?,
    })
}
