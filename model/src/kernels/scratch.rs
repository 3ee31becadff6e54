//! Room for what is computed on the way and thrown away.
//!
//! The system gives large rooms back as soon as they are dropped and fills new ones with zeros: done
//! for every layer, that takes a third of the time of an image. So what was used last is kept, until
//! it is not needed for a while.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::huge_pages;

/// Rooms that are kept at once.
const KEPT: usize = 4;

static ROOMS: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Room for numbers, which say nothing at first.
pub(crate) struct Scratch {
    room: Vec<f32>,
    len: usize,
}

impl Scratch {
    /// Takes room for `len` numbers.
    pub(crate) fn new(len: usize) -> Self {
        let mut rooms = rooms();
        // The smallest that is large enough, or else the largest, to grow.
        let fits = rooms.iter().enumerate().filter(|(_, room)| room.len() >= len);
        let smallest = fits.min_by_key(|(_, room)| room.len());
        let largest = || rooms.iter().enumerate().max_by_key(|(_, room)| room.len());
        let at = smallest.or_else(largest).map(|(at, _)| at);
        let mut room = at.map(|at| rooms.swap_remove(at)).unwrap_or_default();
        drop(rooms);
        if room.len() < len {
            // Nothing of the old room is wanted, so it is not to be copied.
            drop(room);
            room = huge_pages::zeroed(len);
        }
        Self { room, len }
    }

    /// Gives all rooms that are kept back to the system.
    pub(crate) fn release() {
        rooms().clear();
    }
}

fn rooms() -> MutexGuard<'static, Vec<Vec<f32>>> {
    // Rooms have nothing in them that a panic could leave half done.
    ROOMS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut rooms = rooms();
        rooms.push(std::mem::take(&mut self.room));
        if rooms.len() > KEPT {
            let smallest = rooms.iter().enumerate().min_by_key(|(_, room)| room.len());
            if let Some((at, _)) = smallest {
                rooms.swap_remove(at);
            }
        }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.room[..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.room[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_used_again() {
        let mut first = Scratch::new(1000);
        first.fill(7.0);
        assert_eq!(first.len(), 1000);
        drop(first);
        // Other tests take rooms too, so this says little of which one comes back.
        let second = Scratch::new(10);
        assert_eq!(second.len(), 10);
        assert!(rooms().len() <= KEPT);
    }
}
