//! What all connections to the fake phone share.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::commands::Output;
use super::files::FileError;
use super::stream::StreamState;
use super::system::System;
use super::{AndroidFault, FakeAndroidOptions};

/// How many connections there may be at once.
const MOST_CONNECTIONS: usize = 32;

/// The phone, its faults and its connections.
pub(super) struct Shared {
    pub(super) options: FakeAndroidOptions,
    system: Mutex<System>,
    faults: Mutex<VecDeque<AndroidFault>>,
    /// The keys somebody accepted on the phone.
    pub(super) keys: Mutex<Vec<super::auth::Key>>,
    connections: Mutex<HashMap<u64, TcpStream>>,
    next: AtomicU64,
    pub(super) plugged: AtomicBool,
    off: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAndroid").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(options: FakeAndroidOptions) -> Self {
        Self {
            system: Mutex::new(System::new(options.clone())),
            options,
            faults: Mutex::default(),
            keys: Mutex::default(),
            connections: Mutex::default(),
            next: AtomicU64::new(1),
            plugged: AtomicBool::new(true),
            off: AtomicBool::new(false),
        }
    }

    pub(super) fn system(&self) -> MutexGuard<'_, System> {
        locked(&self.system)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, VecDeque<AndroidFault>> {
        locked(&self.faults)
    }

    pub(super) fn is_off(&self) -> bool {
        self.off.load(Ordering::SeqCst)
    }

    pub(super) fn switch_off(&self) {
        self.off.store(true, Ordering::SeqCst);
        self.hang_up();
    }

    /// Breaks every connection.
    pub(super) fn hang_up(&self) {
        for stream in locked(&self.connections).values() {
            // One that is broken already is what was wanted.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes a connection in, unless there are too many or the cable is out.
    pub(super) fn admit(&self, stream: &TcpStream) -> Option<u64> {
        let mut connections = locked(&self.connections);
        let open = self.plugged.load(Ordering::SeqCst) && !self.is_off();
        if !open || connections.len() >= MOST_CONNECTIONS {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        connections.insert(id, stream.try_clone().ok()?);
        Some(id)
    }

    pub(super) fn forget(&self, id: u64) {
        locked(&self.connections).remove(&id);
    }
}

/// The phone as one command sees it.
pub(super) struct Phone {
    shared: Arc<Shared>,
    stream: Arc<StreamState>,
}

impl Phone {
    pub(super) fn new(shared: Arc<Shared>, stream: Arc<StreamState>) -> Self {
        Self { shared, stream }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, System> {
        self.shared.system()
    }

    /// Whether whoever asked has hung up.
    pub(super) fn is_alone(&self) -> bool {
        self.stream.is_closed()
    }

    /// Does nothing for a while, or until whoever asked hangs up.
    pub(super) fn rest(&self, time: Duration) {
        self.stream.wait_until_closed(time);
    }

    pub(super) fn read_file(&self, path: &str) -> Result<Vec<u8>, FileError> {
        if path == "/dev/null" {
            return Ok(Vec::new());
        }
        self.lock().world.files.read(path).map(|file| file.data.clone())
    }

    pub(super) fn write_file(
        &self,
        path: &str,
        data: &[u8],
        append: bool,
    ) -> Result<(), FileError> {
        let mut system = self.lock();
        let files = &mut system.world.files;
        let mut all = match files.read(path) {
            Ok(file) if append => file.data.clone(),
            _ => Vec::new(),
        };
        all.extend_from_slice(data);
        files.write(path, all, 0o644)
    }

    /// Returns what a command does instead of its work, if it is to fail.
    pub(super) fn fault_of_command(&self, words: &[String]) -> Option<Output> {
        let line = words.join(" ");
        let fault = self.take(|fault| match fault {
            AndroidFault::Fail { command, .. } | AndroidFault::Hang { command, acts: false } => {
                line.starts_with(command.as_str())
            }
            _ => false,
        })?;
        match fault {
            AndroidFault::Fail { code, message, .. } => Some(Output::error(code, &message)),
            _ => Some(self.hang()),
        }
    }

    /// Never ends, if a command that was carried out is to hang.
    pub(super) fn hang_after(&self, words: &[String]) {
        let line = words.join(" ");
        let fault = self.take(|fault| {
            matches!(fault, AndroidFault::Hang { command, acts: true } if line.starts_with(command.as_str()))
        });
        if fault.is_some() {
            self.hang();
        }
    }

    fn hang(&self) -> Output {
        self.rest(Duration::from_secs(24 * 3600));
        Output { code: 137, ..Output::default() }
    }

    /// Returns how many of the bytes of a screenshot are written, if it is to be cut.
    pub(super) fn fault_of_capture(&self, length: usize) -> Option<usize> {
        let cuts = |fault: &AndroidFault| {
            matches!(fault, AndroidFault::HalfFrame | AndroidFault::UnpluggedMidFrame)
        };
        match self.take(cuts)? {
            AndroidFault::UnpluggedMidFrame => {
                self.stream.break_after(length / 2);
                None
            }
            _ => Some(length / 2),
        }
    }

    fn take(&self, wanted: impl Fn(&AndroidFault) -> bool) -> Option<AndroidFault> {
        let mut faults = self.shared.faults();
        let index = faults.iter().position(wanted)?;
        faults.remove(index)
    }
}

/// Locks a mutex whether or not somebody panicked while holding it.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
