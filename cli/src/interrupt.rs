//! What stops a command: Ctrl-C, `handsight stop`, the stop file, keys, the user's own hand.
//!
//! All of them set one [`Halt`], which the device heeds in the middle of an action. Once it is
//! stopped the command ends; a second Ctrl-C ends the process. Nothing leaves a key or a button
//! held, nor a program running that this one started.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use handsight_actions::Rescue;
use handsight_actions::{
    Action, Device, DeviceError, DeviceInfo, Fact, FactSaid, Halt, HaltCause, HaltState,
    Observation, PixelPoint, Place, Secrets, WindowAt,
};
use handsight_agent::control::ControlSocket;
use handsight_agent::settle::pause;
use handsight_model::CancelFlag;

use crate::failure::{Exit, Failure};
use crate::plugin_http;
use crate::print::{Printer, Style};
use crate::settings::Environment;
#[cfg(target_os = "linux")]
use crate::watchdog::Watchdog;

/// How long an action under way may take to notice that it was stopped, before everything is let go
/// of past it.
const PATIENCE: Duration = Duration::from_millis(80);

/// How often it is looked whether something stopped the command, and how often for the stop file.
const BEAT: Duration = Duration::from_millis(10);
const BEATS_PER_FILE: u32 = 4;

/// What is to be done before the process may be ended from outside.
type Task = Box<dyn FnMut() + Send>;

/// Listens for Ctrl-C.
pub(crate) struct Interrupt {
    /// Set when the command is to end.
    pub(crate) cancel: CancelFlag,
    /// Set when nothing more is to be sent to a device.
    pub(crate) halt: Halt,
    /// What is done when the process is ended at once.
    tasks: Arc<Mutex<Vec<Task>>>,
    /// What lets go of everything as soon as the halt is a stop.
    releases: Arc<Mutex<Vec<Task>>>,
    stop_file: Arc<Mutex<Option<PathBuf>>>,
    is_reachable: AtomicBool,
    socket: Mutex<Option<ControlSocket>>,
    #[cfg(target_os = "linux")]
    watchdogs: Mutex<Vec<Watchdog>>,
}

impl Interrupt {
    /// Starts to listen, also for the signals that end a process or close its terminal.
    pub(crate) fn listen(printer: &Printer) -> Result<Self, Failure> {
        let interrupt = Self {
            cancel: CancelFlag::default(),
            tasks: Arc::default(),
            releases: Arc::default(),
            stop_file: Arc::default(),
            is_reachable: AtomicBool::new(false),
            socket: Mutex::default(),
            #[cfg(target_os = "linux")]
            watchdogs: Mutex::default(),
            halt: Halt::default(),
        };
        interrupt.listen_for_signals()?;
        interrupt.look_out(printer);
        Ok(interrupt)
    }

    fn listen_for_signals(&self) -> Result<(), Failure> {
        let (cancel, halt, tasks) =
            (self.cancel.clone(), self.halt.clone(), Arc::clone(&self.tasks));
        let (runtime, mut signals) = signals()?;
        std::thread::spawn(move || {
            runtime.block_on(signals.next());
            halt.stop(HaltCause::Signal);
            cancel.cancel();
            runtime.block_on(signals.next());
            locked(&tasks).iter_mut().for_each(|task| task());
            exit_at_once();
        });
        Ok(())
    }

    /// Looks out for whatever stops the command, and ends it.
    fn look_out(&self, printer: &Printer) {
        let (cancel, halt, printer) = (self.cancel.clone(), self.halt.clone(), printer.clone());
        let (releases, stop_file) = (Arc::clone(&self.releases), Arc::clone(&self.stop_file));
        std::thread::spawn(move || {
            let (mut beats, mut was_paused) = (0_u32, false);
            loop {
                let state = halt.state();
                if let HaltState::Paused(cause) = state
                    && !was_paused
                {
                    printer.note(&format!("\n{} {cause}", printer.paint(Style::Yellow, "paused:")));
                }
                was_paused = matches!(state, HaltState::Paused(_));
                if let HaltState::Stopped(cause) = state {
                    cancel.cancel();
                    locked(&releases).iter_mut().for_each(|release| release());
                    let again = "Ctrl-C again ends the process at once";
                    let what = match cause {
                        HaltCause::Signal => "interrupted".to_owned(),
                        cause => format!("stopped: {cause}"),
                    };
                    printer.note(&format!("\n{what}; {again}"));
                    return;
                }
                beats = beats.wrapping_add(1);
                if beats.is_multiple_of(BEATS_PER_FILE)
                    && let Some(file) = locked(&stop_file).as_deref()
                    && fs_err::symlink_metadata(file).is_ok()
                {
                    halt.stop(HaltCause::File);
                    continue;
                }
                pause(BEAT, &CancelFlag::default());
            }
        });
    }

    /// Makes this process reachable for `handsight stop`, `pause` and `resume`, and on its terminal for
    /// Ctrl-Z, which pauses it.
    ///
    /// The second device of a run finds that done.
    pub(crate) fn be_reachable(&self, printer: &Printer, environment: &Environment) {
        if self.is_reachable.swap(true, Ordering::SeqCst) {
            return;
        }
        #[cfg(unix)]
        if environment.interactive {
            self.pause_on_ctrl_z();
        }
        if let Some(dir) = &environment.runtime {
            match ControlSocket::listen(dir, &self.halt) {
                Ok(socket) => *locked(&self.socket) = Some(socket),
                Err(error) => {
                    let error = with_causes(&error);
                    printer.note(&format!("`handsight stop` cannot reach this run: {error}"));
                }
            }
        }
    }

    /// Pauses input where a shell would suspend the process, which would leave everything as it is.
    #[cfg(unix)]
    fn pause_on_ctrl_z(&self) {
        use tokio::signal::unix::{SignalKind, signal};
        let halt = self.halt.clone();
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            else {
                return;
            };
            runtime.block_on(async {
                let kind = SignalKind::from_raw(nix::libc::SIGTSTP);
                // Without it Ctrl-Z suspends, as everywhere.
                let Ok(mut presses) = signal(kind) else { return };
                while presses.recv().await.is_some() {
                    halt.pause(HaltCause::Terminal);
                }
            });
        });
    }

    /// Stops everything when this file is there.
    pub(crate) fn stop_on(&self, file: PathBuf) {
        *locked(&self.stop_file) = Some(file);
    }

    /// Sees to it that `task` is done should the process be stopped at once.
    pub(crate) fn before_exit(&self, task: impl FnMut() + Send + 'static) {
        locked(&self.tasks).push(Box::new(task));
    }

    /// Takes care of a device: should it not let go of everything by itself, that is done for it.
    ///
    /// `display` is the X display of a device that has one.
    pub(crate) fn share(
        &self,
        device: Box<dyn Device>,
        display: Option<&str>,
        #[cfg_attr(
            not(target_os = "linux"),
            expect(unused_variables, reason = "only Linux has a watchdog to start")
        )]
        environment: &Environment,
    ) -> SharedDevice {
        let device = SharedDevice(Arc::new(Mutex::new(device)));
        let force = Arc::new(Force::prepare(display));
        for list in [&self.releases, &self.tasks] {
            let (shared, force) = (device.clone(), Arc::clone(&force));
            locked(list).push(Box::new(move || {
                if !shared.release_soon() {
                    force.release();
                }
            }));
        }
        #[cfg(target_os = "linux")]
        if let (Some(program), Some(display)) = (&environment.program, display) {
            // Without it only a kill that cannot be caught is not provided for.
            locked(&self.watchdogs).extend(Watchdog::start(program, display));
        }
        device
    }

    /// Waits until the command is to end.
    pub(crate) async fn stopped(&self) {
        plugin_http::set(&self.cancel).await;
    }

    /// Returns the failure of an interrupted command, if it was interrupted.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(Failure::interrupted()) } else { Ok(()) }
    }
}

/// Ctrl-C in a conversation: the first one stops the answer under way, and one without an answer under
/// way ends the process.
#[derive(Clone, Default)]
pub(crate) struct AnswerInterrupt(Arc<Mutex<Option<CancelFlag>>>);

impl AnswerInterrupt {
    /// Starts to listen. What asks a process to end does so at once, after `before_exit`.
    pub(crate) fn listen(mut before_exit: impl FnMut() + Send + 'static) -> Result<Self, Failure> {
        let interrupt = Self::default();
        let answer = interrupt.clone();
        let (runtime, mut signals) = signals()?;
        std::thread::spawn(move || {
            loop {
                let signal = runtime.block_on(signals.told());
                let stops = signal == Signal::Interrupt && answer.stop();
                if !stops {
                    before_exit();
                    exit_at_once();
                }
            }
        });
        Ok(interrupt)
    }

    /// Returns the flag with which Ctrl-C stops the answer that begins now.
    pub(crate) fn begin(&self) -> CancelFlag {
        locked(&self.0).insert(CancelFlag::default()).clone()
    }

    /// Says that no answer is under way any more.
    pub(crate) fn end(&self) {
        *locked(&self.0) = None;
    }

    /// Stops the answer; returns whether there was one that was not being stopped already.
    fn stop(&self) -> bool {
        let answer = locked(&self.0);
        let under_way = answer.as_ref().filter(|answer| !answer.is_cancelled());
        under_way.inspect(|answer| answer.cancel()).is_some()
    }
}

/// Returns the signals that ask a process to stop, and what waits for them.
fn signals() -> Result<(tokio::runtime::Runtime, Signals), Failure> {
    let unavailable = |error: std::io::Error| {
        let error = anyhow::Error::new(error).context("could not listen for Ctrl-C");
        Failure::new(Exit::Unavailable, error)
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
    let signals = {
        let _entered = runtime.enter();
        Signals::new().map_err(unavailable)?
    };
    Ok((runtime, signals))
}

#[expect(clippy::exit, reason = "the thread with the work does not answer, and was let go of")]
fn exit_at_once() -> ! {
    std::process::exit(Exit::Interrupted.code().into())
}

/// A device that another thread can make let go of every key and button.
#[derive(Clone)]
pub(crate) struct SharedDevice(Arc<Mutex<Box<dyn Device>>>);

impl SharedDevice {
    /// Lets go of everything as soon as the action under way is over; returns whether it was.
    fn release_soon(&self) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let mut device = match self.0.try_lock() {
                Ok(device) => device,
                Err(TryLockError::Poisoned(device)) => device.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    pause(Duration::from_millis(10), &CancelFlag::default());
                    continue;
                }
            };
            // A device that is gone holds nothing.
            let _ = device.release_all();
            return true;
        }
        false
    }
}

/// Lets go of everything past the thread that is in the middle of an action.
#[cfg(target_os = "linux")]
struct Force(Option<Mutex<Rescue>>);

#[cfg(target_os = "linux")]
impl Force {
    fn prepare(display: Option<&str>) -> Self {
        // A display that cannot be reached a second time is let go of by its own device only.
        Self(display.and_then(|display| Rescue::prepare(display).ok()).map(Mutex::new))
    }

    fn release(&self) {
        if let Some(rescue) = &self.0 {
            let _ = locked(rescue).release();
        }
    }
}

/// Elsewhere there is no second way to the keys: what is held when a process is killed stays held until
/// it is pressed again.
#[cfg(not(target_os = "linux"))]
struct Force;

#[cfg(not(target_os = "linux"))]
impl Force {
    fn prepare(_: Option<&str>) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "on Linux there is something to let go of")]
    fn release(&self) {}
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

impl Device for SharedDevice {
    fn info(&self) -> DeviceInfo {
        locked(&self.0).info()
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        locked(&self.0).observe()
    }

    fn check(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        locked(&self.0).check(action)
    }

    fn intend(&mut self, reason: &str) {
        locked(&self.0).intend(reason);
    }

    fn secrets(&self) -> Secrets {
        locked(&self.0).secrets()
    }

    fn window(&mut self, place: Place) -> Result<WindowAt, DeviceError> {
        locked(&self.0).window(place)
    }

    fn clipboard(&mut self) -> Result<Option<String>, DeviceError> {
        locked(&self.0).clipboard()
    }

    fn set_clipboard(&mut self, text: &str) -> Result<(), DeviceError> {
        locked(&self.0).set_clipboard(text)
    }

    fn fact(&mut self, fact: &Fact) -> Result<FactSaid, DeviceError> {
        locked(&self.0).fact(fact)
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        locked(&self.0).perform(action)
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        locked(&self.0).release_all()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Signals {
    /// Waits for one of them.
    pub(crate) async fn next(&mut self) {
        self.told().await;
    }
}

/// What asked a process to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// The system, or a terminal that closed.
    End,
}

/// The signals that ask a process to stop.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn told(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::End,
            _ = self.hang_up.recv() => Signal::End,
        }
    }
}

/// What asks a process to stop.
#[cfg(windows)]
pub(crate) struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    interrupt_all: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
    log_off: tokio::signal::windows::CtrlLogoff,
    shut_down: tokio::signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
        Ok(Self {
            interrupt: ctrl_c()?,
            interrupt_all: ctrl_break()?,
            close: ctrl_close()?,
            log_off: ctrl_logoff()?,
            shut_down: ctrl_shutdown()?,
        })
    }

    pub(crate) async fn told(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.interrupt_all.recv() => Signal::End,
            _ = self.close.recv() => Signal::End,
            _ = self.log_off.recv() => Signal::End,
            _ = self.shut_down.recv() => Signal::End,
        }
    }
}
