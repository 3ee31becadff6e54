//! Ctrl-C: the first one asks the command to stop, the second one stops the process.
//!
//! Neither leaves a key or a button held, nor a program running that this one started.

#[cfg(target_os = "linux")]
mod force;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use handsight_actions::{
    Action, Device, DeviceError, DeviceInfo, Observation, PixelPoint, Place, WindowAt,
};
use handsight_agent::settle::pause;
use handsight_model::CancelFlag;

use crate::failure::{Exit, Failure};
use crate::print::Printer;

/// How long the second Ctrl-C waits for an action under way before it lets go of everything.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is to be done before the process may be ended from outside.
type Task = Box<dyn FnMut() + Send>;

/// Listens for Ctrl-C.
pub(crate) struct Interrupt {
    /// Set by the first Ctrl-C.
    pub(crate) cancel: CancelFlag,
    tasks: Arc<Mutex<Vec<Task>>>,
}

impl Interrupt {
    /// Starts to listen, also for the signals that end a process or close its terminal.
    pub(crate) fn listen(printer: &Printer) -> Result<Self, Failure> {
        let interrupt = Self { cancel: CancelFlag::default(), tasks: Arc::default() };
        let (cancel, tasks) = (interrupt.cancel.clone(), Arc::clone(&interrupt.tasks));
        let printer = printer.clone();
        let unavailable = |error: std::io::Error| {
            let error = anyhow::Error::new(error).context("could not listen for Ctrl-C");
            Failure::new(Exit::Unavailable, error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unavailable)?;
        let mut signals = {
            let _entered = runtime.enter();
            Signals::new().map_err(unavailable)?
        };
        std::thread::spawn(move || {
            runtime.block_on(signals.next());
            cancel.cancel();
            printer.note("\ninterrupted: stopping after what is under way; again to stop at once");
            runtime.block_on(signals.next());
            locked(&tasks).iter_mut().for_each(|task| task());
            exit_at_once();
        });
        Ok(interrupt)
    }

    /// Sees to it that `task` is done should the process be stopped at once.
    pub(crate) fn before_exit(&self, task: impl FnMut() + Send + 'static) {
        locked(&self.tasks).push(Box::new(task));
    }

    /// Takes care of a device: should the process be stopped at once, it lets go of everything.
    ///
    /// `display` is the X display of a device that has one.
    pub(crate) fn share(&self, device: Box<dyn Device>, display: Option<&str>) -> SharedDevice {
        let device = SharedDevice(Arc::new(Mutex::new(device)));
        let (shared, display) = (device.clone(), display.map(str::to_owned));
        self.before_exit(move || {
            if !shared.release_soon() {
                release_by_force(display.as_deref());
            }
        });
        device
    }

    /// Returns the failure of an interrupted command, if it was interrupted.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(Failure::interrupted()) } else { Ok(()) }
    }
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
fn release_by_force(display: Option<&str>) {
    if let Some(display) = display {
        // The process ends next, whether this worked or not.
        let _ = force::release_everything(display);
    }
}

/// Elsewhere the system lets go of what a process held when it ends.
#[cfg(not(target_os = "linux"))]
fn release_by_force(_: Option<&str>) {}

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

    fn window(&mut self, place: Place) -> Result<WindowAt, DeviceError> {
        locked(&self.0).window(place)
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

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// The signal that asks a process to stop.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "it can fail on other systems")]
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        // Without a signal to wait for, waiting for ever is right.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
