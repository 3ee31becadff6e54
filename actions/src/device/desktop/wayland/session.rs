//! A connection to a Wayland compositor on which no wait is without end.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use wayland_client::backend::WaylandError;
use wayland_client::protocol::wl_callback::{self, WlCallback};
use wayland_client::protocol::wl_output::WlOutput;
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_seat::{self, Capability, WlSeat};
use wayland_client::protocol::wl_shm::WlShm;
use wayland_client::{
    Connection, Dispatch, DispatchError, EventQueue, Proxy, QueueHandle, WEnum, delegate_noop,
};
use wayland_protocols::xdg::xdg_output::zv1::client::zxdg_output_manager_v1::ZxdgOutputManagerV1;
use wayland_protocols_misc::zwp_input_method_v2::client::zwp_input_method_manager_v2::ZwpInputMethodManagerV2;
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_manager_v1::ZwpVirtualKeyboardManagerV1;
use wayland_protocols_wlr::foreign_toplevel::v1::client::zwlr_foreign_toplevel_manager_v1::ZwlrForeignToplevelManagerV1;
use wayland_protocols_wlr::screencopy::v1::client::zwlr_screencopy_manager_v1::ZwlrScreencopyManagerV1;
use wayland_protocols_wlr::virtual_pointer::v1::client::zwlr_virtual_pointer_manager_v1::ZwlrVirtualPointerManagerV1;

use super::capture::{Frame, Memory};
use super::clipboard::Offers;
use super::cover;
use super::input_method::Method;
use super::output::{Output, Placed};
use super::toplevel::Toplevel;
use crate::device::desktop::Failure;
use crate::device::desktop::backend::Shown;
use crate::device::pause::pause;
use crate::device::{DeviceError, MissingProtocol, Source};

/// How long the compositor may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long programs get to notice the first pointer or keyboard of a session that had none, as one
/// without a screen of its own has none: what they have not asked for does not reach them.
const NOTICING: Duration = Duration::from_millis(300);

/// A connection, and what the compositor told on it; with what it can be asked for, where it has that.
pub(super) struct Session<T = Tools> {
    display: String,
    connection: Connection,
    queue: EventQueue<State>,
    registry: WlRegistry,
    state: State,
    /// What tells where outputs lie.
    places: Option<ZxdgOutputManagerV1>,
    tools: T,
    /// The serial of the last question whether all was done.
    asked: u32,
    /// The memory that screenshots come through.
    pub(super) memory: Option<Memory>,
}

/// What the compositor can be asked for.
pub(super) struct Tools {
    pub(super) seat: WlSeat,
    pub(super) shm: WlShm,
    pub(super) screencopy: ZwlrScreencopyManagerV1,
    pub(super) pointers: ZwlrVirtualPointerManagerV1,
    pub(super) keyboards: ZwpVirtualKeyboardManagerV1,
    pub(super) methods: Option<ZwpInputMethodManagerV2>,
    toplevels: Option<ZwlrForeignToplevelManagerV1>,
}

/// What the compositor told.
pub(super) struct State {
    globals: Vec<Global>,
    answered: u32,
    capabilities: Capability,
    pub(super) outputs: Vec<Output>,
    pub(super) toplevels: Vec<Toplevel>,
    pub(super) frame: Frame,
    pub(super) method: Method,
    pub(super) offers: Offers,
    pub(super) cover: cover::Told,
    /// The keymap of the seat's keyboard, in the format of XKB.
    #[cfg(feature = "portal")]
    pub(super) keymap: Option<super::portal::KeymapText>,
}

/// Something that can be asked for, by the number it goes by.
struct Global {
    name: u32,
    interface: String,
    version: u32,
}

impl Session<()> {
    /// Connects to the compositor that listens on a socket, whatever it can be asked for.
    pub(super) fn connect(socket: &str) -> Result<Self, DeviceError> {
        let file = Path::new(socket).file_name().map(|name| name.to_string_lossy().into_owned());
        let display = file.unwrap_or_else(|| socket.to_owned());
        let no_display =
            |source: Source| DeviceError::NoDisplay { display: socket.to_owned(), source };
        let stream = UnixStream::connect(socket).map_err(|error| no_display(error.into()))?;
        let connection =
            Connection::from_socket(stream).map_err(|error| no_display(error.into()))?;
        let mut queue = connection.new_event_queue();
        let registry = connection.display().get_registry(&queue.handle(), ());
        let mut state = State {
            globals: Vec::new(),
            answered: 0,
            capabilities: Capability::empty(),
            outputs: Vec::new(),
            toplevels: Vec::new(),
            frame: Frame::default(),
            method: Method::default(),
            offers: Offers::default(),
            cover: cover::Told::default(),
            #[cfg(feature = "portal")]
            keymap: None,
        };
        let mut asked = 0;
        sync(&connection, &mut queue, &mut state, &mut asked)
            .map_err(|failure| no_display(failure.into_source()))?;
        let places = state.bind(&registry, &queue.handle(), 3);
        let (tools, memory) = ((), None);
        let mut session =
            Self { display, connection, queue, registry, state, places, tools, asked, memory };
        session.refresh().map_err(|failure| no_display(failure.into_source()))?;
        Ok(session)
    }

    /// Whether this is KDE's compositor, which does a few things its own way.
    #[cfg(feature = "portal")]
    pub(super) fn is_kwin(&self) -> bool {
        self.state.globals.iter().any(|global| global.interface == "kde_output_management_v2")
    }

    /// Returns what is missing of all that it takes to be used by the protocols of wlroots.
    pub(super) fn missing(&self) -> Vec<MissingProtocol> {
        let mut missing = Vec::new();
        let mut need = |interface: &'static str, version, needed_for| {
            if !self.state.globals.iter().any(|global| global.is(interface, version)) {
                missing.push(MissingProtocol { protocol: interface, needed_for });
            }
        };
        let (see, point, type_on) = ("to see the screen", "to use the pointer", "to type");
        need(WlShm::interface().name, 1, see);
        need(ZwlrScreencopyManagerV1::interface().name, 1, see);
        need(ZxdgOutputManagerV1::interface().name, 2, "to place the outputs");
        need(WlSeat::interface().name, 1, point);
        need(ZwlrVirtualPointerManagerV1::interface().name, 2, point);
        need(ZwpVirtualKeyboardManagerV1::interface().name, 1, type_on);
        missing
    }

    /// Returns it with all that can be asked for, if nothing is missing.
    pub(super) fn with_tools(self) -> Result<Session, DeviceError> {
        let missing = self.missing();
        if !missing.is_empty() {
            return Err(DeviceError::MissingProtocols {
                display: self.display,
                missing,
                portal: None,
            });
        }
        let (state, registry, handle) = (&self.state, &self.registry, &self.queue.handle());
        let tools = Tools {
            seat: state.bind(registry, handle, 5).expect("it is there"),
            shm: state.bind(registry, handle, 1).expect("it is there"),
            screencopy: state.bind(registry, handle, 3).expect("it is there"),
            pointers: state.bind(registry, handle, 2).expect("it is there"),
            keyboards: state.bind(registry, handle, 1).expect("it is there"),
            methods: state.bind(registry, handle, 1),
            toplevels: state.bind(registry, handle, 2),
        };
        let Self { display, connection, queue, registry, state, places, asked, memory, .. } = self;
        let mut session =
            Session { display, connection, queue, registry, state, places, tools, asked, memory };
        session.sync().map_err(|failure| DeviceError::NoDisplay {
            display: session.display.clone(),
            source: failure.into_source(),
        })?;
        Ok(session)
    }
}

impl<T> Session<T> {
    /// Returns the name of its socket, such as `wayland-1`.
    pub(super) fn display(&self) -> &str {
        &self.display
    }

    pub(super) fn state(&mut self) -> &mut State {
        &mut self.state
    }

    pub(super) fn handle(&self) -> QueueHandle<State> {
        self.queue.handle()
    }

    /// Sends what was asked for and waits until the compositor has done it and told what it had to.
    pub(super) fn sync(&mut self) -> Result<(), Failure> {
        sync(&self.connection, &mut self.queue, &mut self.state, &mut self.asked)
    }

    /// Waits until the compositor has told something.
    pub(super) fn wait_for(&mut self, told: impl Fn(&State) -> bool) -> Result<(), Failure> {
        wait_for(&self.connection, &mut self.queue, &mut self.state, told)
    }

    /// Looks which outputs there are and where.
    pub(super) fn refresh(&mut self) -> Result<(), Failure> {
        self.sync()?;
        let handle = self.handle();
        let mut is_new = false;
        for output in &mut self.state.outputs {
            if let Some(places) = &self.places {
                is_new |= output.ask_for_place(places, &handle);
            }
        }
        if is_new { self.sync() } else { Ok(()) }
    }

    /// Returns something there is one of, in no newer version than this.
    pub(super) fn bind<I>(&self, newest: u32) -> Option<I>
    where
        I: Proxy + 'static,
        State: Dispatch<I, ()>,
    {
        self.state.bind(&self.registry, &self.handle(), newest)
    }

    /// Returns the seat.
    pub(super) fn seat(&self) -> Option<WlSeat> {
        self.bind(5)
    }

    /// Sends what was asked for, and takes in what the compositor tells within a while.
    pub(super) fn listen(&mut self, limit: Duration) -> Result<(), Failure> {
        let Self { connection, queue, state, .. } = self;
        queue.dispatch_pending(state)?;
        exchange(connection, queue, limit)?;
        queue.dispatch_pending(state)?;
        Ok(())
    }

    /// Returns which kinds of input the seat has, once it was asked for.
    pub(super) fn capabilities(&self) -> Capability {
        self.state.capabilities
    }

    /// Returns the outputs that are in use, as they were last looked at.
    pub(super) fn outputs(&self) -> impl Iterator<Item = Placed<'_>> {
        self.state.outputs.iter().filter_map(Output::placed)
    }
}

impl Session {
    /// Returns what the compositor can be asked for.
    pub(super) fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Whether the compositor tells of windows.
    pub(super) fn tells_windows(&self) -> bool {
        self.tools.toplevels.is_some()
    }

    /// Returns the window that has the keyboard.
    pub(super) fn front(&self) -> Option<Shown> {
        self.state.toplevels.iter().find(|toplevel| toplevel.is_active()).map(Toplevel::shown)
    }

    /// Makes a pointer or a keyboard, and if it is the session's first, lets programs notice it.
    pub(super) fn introduce<T>(
        &mut self,
        capability: Capability,
        make: impl FnOnce(&Tools, &QueueHandle<State>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.sync()?;
        let is_first = !self.state.capabilities.contains(capability);
        let made = make(&self.tools, &self.handle())?;
        self.sync()?;
        if is_first {
            pause(NOTICING);
        }
        Ok(made)
    }
}

/// Returns the time as compositors tell it with events: some programs compare the two.
pub(super) fn now() -> u32 {
    let now = clock_gettime(ClockId::Monotonic);
    let ms = now.tv_sec.wrapping_mul(1000).wrapping_add(now.tv_nsec / 1_000_000);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it wraps")]
    let ms = ms as u32;
    ms
}

fn sync(
    connection: &Connection,
    queue: &mut EventQueue<State>,
    state: &mut State,
    asked: &mut u32,
) -> Result<(), Failure> {
    *asked = asked.wrapping_add(1);
    let serial = *asked;
    connection.display().sync(&queue.handle(), serial);
    wait_for(connection, queue, state, |state| state.answered == serial)
}

fn wait_for(
    connection: &Connection,
    queue: &mut EventQueue<State>,
    state: &mut State,
    told: impl Fn(&State) -> bool,
) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        queue.dispatch_pending(state)?;
        if told(state) {
            return Ok(());
        }
        if !exchange(connection, queue, PATIENCE.saturating_sub(start.elapsed()))? {
            let message = format!("no answer within {} s", PATIENCE.as_secs());
            return Err(Failure::Lost(message.into()));
        }
    }
}

/// Sends what there is to send, and reads what the compositor tells within a while; returns whether it told
/// something.
fn exchange(
    connection: &Connection,
    queue: &EventQueue<State>,
    limit: Duration,
) -> Result<bool, Failure> {
    let flags = match connection.flush() {
        Ok(()) => PollFlags::IN,
        Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
            PollFlags::IN | PollFlags::OUT
        }
        Err(error) => return Err(Failure::Lost(error.into())),
    };
    // Without a guard there is something to dispatch already.
    let Some(guard) = queue.prepare_read() else { return Ok(true) };
    let end = Instant::now() + limit;
    if !wait_for_file(&guard.connection_fd(), flags, end)
        .map_err(|error| Failure::Lost(error.into()))?
    {
        return Ok(false);
    }
    match guard.read() {
        Ok(_) => Ok(true),
        Err(WaylandError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(Failure::Lost(error.into())),
    }
}

/// Waits until a file can be read or written, but not beyond some time; returns whether it can.
pub(super) fn wait_for_file(file: &impl AsFd, flags: PollFlags, end: Instant) -> io::Result<bool> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).expect("some seconds fit");
        match poll(&mut [PollFd::new(file, flags)], Some(&limit)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl From<DispatchError> for Failure {
    fn from(error: DispatchError) -> Self {
        Self::Lost(error.into())
    }
}

impl Global {
    fn is(&self, interface: &str, version: u32) -> bool {
        self.interface == interface && self.version >= version
    }
}

impl State {
    /// Binds something there is one of, in no newer version than this.
    fn bind<I>(&self, registry: &WlRegistry, handle: &QueueHandle<Self>, newest: u32) -> Option<I>
    where
        I: Proxy + 'static,
        Self: Dispatch<I, ()>,
    {
        let global = self.globals.iter().find(|global| global.interface == I::interface().name)?;
        Some(registry.bind(global.name, global.version.min(newest), handle, ()))
    }
}

impl Dispatch<WlRegistry, ()> for State {
    fn event(
        state: &mut Self,
        registry: &WlRegistry,
        event: wl_registry::Event,
        (): &(),
        _: &Connection,
        handle: &QueueHandle<Self>,
    ) {
        match event {
            wl_registry::Event::Global { name, interface, version } => {
                if interface == WlOutput::interface().name {
                    let output = registry.bind(name, version.min(4), handle, name);
                    state.outputs.push(Output::new(name, output));
                }
                state.globals.push(Global { name, interface, version });
            }
            wl_registry::Event::GlobalRemove { name } => {
                state.globals.retain(|global| global.name != name);
                state.outputs.retain(|output| output.global() != name);
            }
            _ => {}
        }
    }
}

impl Dispatch<WlCallback, u32> for State {
    fn event(
        state: &mut Self,
        _: &WlCallback,
        event: wl_callback::Event,
        serial: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_callback::Event::Done { .. } = event {
            state.answered = *serial;
        }
    }
}

impl Dispatch<WlSeat, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlSeat,
        event: wl_seat::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_seat::Event::Capabilities { capabilities: WEnum::Value(capabilities) } = event {
            state.capabilities = capabilities;
        }
    }
}

delegate_noop!(State: ignore WlShm);
delegate_noop!(State: ZxdgOutputManagerV1);
delegate_noop!(State: ZwlrScreencopyManagerV1);
delegate_noop!(State: ZwlrVirtualPointerManagerV1);
delegate_noop!(State: ZwpVirtualKeyboardManagerV1);
