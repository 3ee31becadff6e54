//! Hands out contents to programs that ask for them, from a thread of its own.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_source_v1::ZwlrDataControlSourceV1;

use super::super::session::wait_for_file;
use super::Control;
use super::offers::{Asked, Selection};
use crate::clipboard::Clipping;
use crate::device::desktop::Failure;
use crate::device::desktop::lend::ANSWERING;

/// How often the thread looks whether it is to do something.
pub(super) const BEAT: Duration = Duration::from_millis(10);

/// What has contents; they are nobody's when it is dropped.
pub(super) struct Owner {
    orders: Sender<Order>,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// What the thread tells.
#[derive(Default)]
struct Shared {
    /// When a content was last handed out.
    asked: Mutex<Option<Instant>>,
    /// Whether there is something to hand out still.
    holds: [AtomicBool; 2],
}

/// Something to hand out from now on, or nothing.
struct Order {
    selection: Selection,
    content: Option<Clipping>,
    done: Sender<Result<(), Failure>>,
}

impl Owner {
    /// Starts the thread.
    pub(super) fn start(control: Control) -> Self {
        let (orders, received) = channel();
        let shared = Arc::<Shared>::default();
        let told = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            // A compositor that is gone is told to whoever orders next.
            let _ = Serving { control, told, held: [None, None] }.serve(&received);
        });
        Self { orders, shared, thread }
    }

    /// Whether it still hands anything out.
    pub(super) fn is_alive(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Hands out a content from now on, or nothing.
    pub(super) fn offer(
        &self,
        selection: Selection,
        content: Option<Clipping>,
    ) -> Result<(), Failure> {
        let lost = || Failure::Lost("the compositor is gone".into());
        let (done, answer) = channel();
        self.orders.send(Order { selection, content, done }).map_err(|_| lost())?;
        // The thread waits for nothing without an end.
        answer.recv().unwrap_or_else(|_| Err(lost()))
    }

    /// Returns when a content was last handed out.
    pub(super) fn asked(&self) -> Option<Instant> {
        *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget_asked(&self) {
        *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether no other program has replaced what was offered.
    pub(super) fn holds(&self, selection: Selection) -> bool {
        self.is_alive() && self.shared.holds[selection as usize].load(Ordering::SeqCst)
    }
}

/// What the thread has.
struct Serving {
    control: Control,
    told: Arc<Shared>,
    held: [Option<(ZwlrDataControlSourceV1, Clipping)>; 2],
}

impl Serving {
    /// Does what is ordered and answers what is asked until nobody can order any more.
    fn serve(mut self, orders: &Receiver<Order>) -> Result<(), Failure> {
        loop {
            match orders.try_recv() {
                Ok(Order { selection, content, done }) => {
                    let result = self.offer(selection, content);
                    self.tell_what_is_held();
                    // Who does not wait for the answer does not need it.
                    let _ = done.send(result);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            self.control.session.listen(BEAT)?;
            let offers = &mut self.control.session.state().offers;
            let (asked, replaced) =
                (std::mem::take(&mut offers.asked), std::mem::take(&mut offers.replaced));
            for asked in asked {
                self.answer(asked);
            }
            for source in replaced {
                for held in &mut self.held {
                    held.take_if(|(ours, _)| *ours == source);
                }
                source.destroy();
            }
            self.tell_what_is_held();
        }
    }

    fn tell_what_is_held(&self) {
        for (held, told) in self.held.iter().zip(&self.told.holds) {
            told.store(held.is_some(), Ordering::SeqCst);
        }
    }

    fn offer(&mut self, selection: Selection, content: Option<Clipping>) -> Result<(), Failure> {
        let Control { session, manager, device } = &mut self.control;
        let source = content.map(|content| {
            let source = manager.create_data_source(&session.handle(), ());
            for form in content.forms() {
                source.offer(form.target.clone());
            }
            (source, content)
        });
        let proxy = source.as_ref().map(|(source, _)| source);
        match selection {
            Selection::Clipboard => device.set_selection(proxy),
            Selection::Primary => device.set_primary_selection(proxy),
        }
        // What it replaces is said to be replaced, and forgotten then.
        self.held[selection as usize] = source;
        session.sync()
    }

    fn answer(&self, asked: Asked) {
        let Asked { source, kind, pipe } = asked;
        let content = self.held.iter().flatten().find(|(ours, _)| *ours == source);
        let form = content
            .and_then(|(_, content)| content.forms().iter().find(|form| form.target == kind));
        let Some(form) = form else { return };
        // A program that asked and went away is no failure, and has pasted nothing.
        if write_all(pipe, &form.bytes).is_ok() {
            *self.told.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }
}

/// Writes all of a form, if somebody takes it in time.
fn write_all(pipe: OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    let end = Instant::now() + ANSWERING;
    fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
    let mut pipe = File::from(pipe);
    while !bytes.is_empty() {
        if !wait_for_file(&pipe, PollFlags::OUT, end)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match pipe.write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
