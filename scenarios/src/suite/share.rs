//! Sharing scenarios out over devices: each takes the next one when it has done with the last.
//!
//! All runs of one scenario are done on one device, one after another, so that they have equal
//! conditions. A device has a thread of its own, and what it needs is opened on that thread; a single
//! device is used on the caller's.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use handsight_agent::CancelFlag;

use super::{DeviceResult, mark_flaky};
use crate::result::ScenarioResult;
use crate::scenario::Scenario;

/// Runs a scenario once on one device; `u32` is which run it is, from 1.
pub type RunOn<'a> = Box<dyn FnMut(&Scenario, u32) -> Ran + 'a>;

/// One run of a scenario.
#[derive(Debug)]
pub struct Ran {
    /// What became of it.
    pub result: ScenarioResult,
    /// Why the device can run no other, if it cannot.
    pub lost: Option<String>,
}

/// A place in the queue: one device.
pub struct Seat<'a, E> {
    /// What the user calls the device.
    pub name: String,
    /// Opens it; called on the thread that it is used on.
    pub open: Box<dyn FnOnce() -> Result<RunOn<'a>, E> + Send + 'a>,
}

/// What became of scenarios that were shared out.
#[derive(Debug)]
pub struct SharedOut<E> {
    /// What became of each run, in the order of the scenarios.
    pub results: Vec<ScenarioResult>,
    /// What became of each device, and why it could not be opened, if so.
    pub devices: Vec<(DeviceResult, Option<E>)>,
}

/// Runs each scenario `repeat` times on one of the devices.
///
/// When `cancel` is set no further run begins. Scenarios that are left when no device is have failed;
/// if no device could be opened, none was begun and there is no result.
pub fn share_out<'a, E: Send>(
    scenarios: &'a [Scenario],
    repeat: u32,
    seats: Vec<Seat<'a, E>>,
    cancel: &CancelFlag,
) -> SharedOut<E> {
    let queue = Queue {
        scenarios,
        repeat,
        cancel,
        left: Mutex::new((0..scenarios.len()).collect()),
        done: Mutex::default(),
    };
    let devices: Vec<_> = match <[Seat<'a, E>; 1]>::try_from(seats) {
        Ok([only]) => vec![queue.work(only)],
        Err(several) => std::thread::scope(|scope| {
            let queue = &queue;
            let threads: Vec<_> =
                several.into_iter().map(|seat| scope.spawn(move || queue.work(seat))).collect();
            threads
                .into_iter()
                .map(|thread| {
                    // A fault on a thread is one of the whole.
                    thread.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault))
                })
                .collect()
        }),
    };
    let any_opened = devices.iter().any(|(_, error)| error.is_none());
    let mut done = queue.done.into_inner().unwrap_or_else(PoisonError::into_inner);
    if any_opened && !cancel.is_cancelled() {
        let left = queue.left.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.extend(left.into_iter().map(|index| {
            let problem = "no device was left to run it on".to_owned();
            (index, ScenarioResult::not_begun(&scenarios[index], problem, None))
        }));
    }
    done.sort_by_key(|(index, result)| (*index, result.run));
    let mut results: Vec<ScenarioResult> = done.into_iter().map(|(_, result)| result).collect();
    mark_flaky(&mut results);
    SharedOut { results, devices }
}

/// The scenarios that wait for a device, and what became of the others.
struct Queue<'a, 'c> {
    scenarios: &'a [Scenario],
    repeat: u32,
    cancel: &'c CancelFlag,
    left: Mutex<VecDeque<usize>>,
    done: Mutex<Vec<(usize, ScenarioResult)>>,
}

impl Queue<'_, '_> {
    /// Opens a device and has it do scenarios until there are none, or it is lost.
    fn work<E>(&self, seat: Seat<'_, E>) -> (DeviceResult, Option<E>) {
        let mut device = DeviceResult { name: seat.name, ..DeviceResult::default() };
        let mut run = match (seat.open)() {
            Ok(run) => run,
            Err(error) => return (device, Some(error)),
        };
        while let Some(index) = self.next() {
            for number in 1..=self.repeat {
                if self.cancel.is_cancelled() {
                    break;
                }
                let Ran { mut result, lost } = run(&self.scenarios[index], number);
                result.run = number;
                device.runs += 1;
                device.seconds += result.seconds;
                locked(&self.done).push((index, result));
                if lost.is_some() {
                    device.problem = lost;
                    return (device, None);
                }
            }
        }
        (device, None)
    }

    fn next(&self) -> Option<usize> {
        if self.cancel.is_cancelled() { None } else { locked(&self.left).pop_front() }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
