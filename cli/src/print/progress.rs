//! How much of something large is done: one bar for all of it and one for each part under way.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Bars on a terminal. They may be moved by several threads.
#[derive(Debug)]
pub(crate) struct Progress {
    bars: MultiProgress,
    total: ProgressBar,
    parts: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress {
    pub(super) fn new(message: &str, total: u64) -> Self {
        let template = "{msg:.bold} {wide_bar:.cyan/dim} {decimal_bytes}/{decimal_total_bytes}  \
                        {decimal_bytes_per_sec}  {eta}";
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        let bars = MultiProgress::new();
        let total = bars.add(ProgressBar::new(total).with_style(style));
        total.set_message(message.to_owned());
        Self { bars, total, parts: Mutex::default() }
    }

    /// Says what is going on now.
    pub(crate) fn message(&self, message: &str) {
        self.total.set_message(message.to_owned());
    }

    /// Sets how much there is, and how much of it was done before.
    pub(crate) fn set_total(&self, total: u64, done: u64) {
        self.total.set_length(total);
        self.total.set_position(done);
        // What was done before says nothing about the speed.
        self.total.reset_eta();
        self.total.reset_elapsed();
    }

    /// Begins a part.
    pub(crate) fn begin(&self, name: &str, size: u64, done: u64) {
        let template = "  {msg:.dim} {wide_bar:.dim} {decimal_bytes}/{decimal_total_bytes}";
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        let bar = ProgressBar::new(size).with_style(style).with_message(name.to_owned());
        let bar = self.bars.insert_before(&self.total, bar);
        bar.set_position(done);
        self.locked().insert(name.to_owned(), bar);
    }

    /// Goes on with a part by so many bytes.
    pub(crate) fn advance(&self, name: &str, bytes: u64) {
        self.total.inc(bytes);
        if let Some(bar) = self.locked().get(name) {
            bar.inc(bytes);
        }
    }

    /// Begins a part anew.
    pub(crate) fn restart(&self, name: &str) {
        if let Some(bar) = self.locked().get(name) {
            let lost = bar.position();
            self.total.set_position(self.total.position().saturating_sub(lost));
            bar.set_position(0);
        }
    }

    /// Ends a part.
    pub(crate) fn end(&self, name: &str) {
        if let Some(bar) = self.locked().remove(name) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    /// Runs something that prints, with the bars out of its way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bars.suspend(print)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, ProgressBar>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        for (_, bar) in self.locked().drain() {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
    }
}
