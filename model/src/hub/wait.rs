//! Waiting that Ctrl-C ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::HubError;
use crate::CancelFlag;

/// How soon an interrupt is noticed.
const TICK: Duration = Duration::from_millis(50);

/// What ends a pull early: the user, or the failure of another file.
#[derive(Clone, Copy)]
pub(super) struct Stop<'a> {
    pub(super) user: &'a CancelFlag,
    pub(super) failed: &'a AtomicBool,
}

impl Stop<'_> {
    /// Returns an error if there is a reason to stop.
    pub(super) fn check(self) -> Result<(), HubError> {
        if self.user.is_cancelled() || self.failed.load(Ordering::SeqCst) {
            return Err(HubError::Cancelled);
        }
        Ok(())
    }

    /// Waits for a while.
    pub(super) fn pause(self, time: Duration) -> Result<(), HubError> {
        // Nothing is ever sent: the channel is there to be waited for.
        let (_sender, receiver) = mpsc::channel::<()>();
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            // The sender lives, so this is a wait.
            let _ = receiver.recv_timeout(left.min(TICK));
        }
    }

    /// Waits for the next message of a thread; none once the thread has ended.
    pub(super) fn receive<T>(self, receiver: &Receiver<T>) -> Result<Option<T>, HubError> {
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(message) => return Ok(Some(message)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.check()?,
            }
        }
    }

    /// Does something that blocks, on a thread of its own that is left alone if the user gives up.
    ///
    /// Every network call has its own limits, so such a thread ends.
    pub(super) fn watch<T: Send + 'static>(
        self,
        task: impl FnOnce() -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            // Nobody waits any more if this fails.
            let _ = sender.send(task());
        });
        self.receive(&receiver)?.unwrap_or(Err(HubError::Cancelled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_ends_every_wait() {
        let (user, failed) = (CancelFlag::default(), AtomicBool::new(false));
        let stop = Stop { user: &user, failed: &failed };
        assert_eq!(stop.watch(|| Ok(7)).unwrap(), 7);
        stop.pause(Duration::from_millis(1)).unwrap();
        user.cancel();
        let hour = Duration::from_secs(3600);
        assert!(matches!(stop.pause(hour), Err(HubError::Cancelled)));
        let (release, blocked) = mpsc::channel::<()>();
        let task = move || {
            let _ = blocked.recv_timeout(hour);
            Ok(())
        };
        assert!(matches!(stop.watch(task), Err(HubError::Cancelled)));
        drop(release);
    }

    #[test]
    fn the_failure_of_one_file_stops_the_others() {
        let (user, failed) = (CancelFlag::default(), AtomicBool::new(true));
        let stop = Stop { user: &user, failed: &failed };
        assert!(matches!(stop.check(), Err(HubError::Cancelled)));
    }
}
