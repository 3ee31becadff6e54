//! Room for many numbers, in large pages of memory where the system has them: it hands those out with
//! far fewer interruptions than pages of 4 kB, so that a checkpoint is loaded in two thirds of the time,
//! and the processor reads ahead in them for longer.
#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "no library gives the advice safely")
)]

use bytemuck::Pod;

/// Returns `len` zeros.
pub(crate) fn zeroed<T: Pod>(len: usize) -> Vec<T> {
    let mut values = vec![T::zeroed(); len];
    // Memory that is fresh from the system has no pages yet, and gets such as it was advised to.
    #[cfg(target_os = "linux")]
    advise(bytemuck::cast_slice_mut(&mut values));
    values
}

/// Asks for large pages. If there are none nothing is lost but time.
#[cfg(target_os = "linux")]
fn advise(room: &mut [u8]) {
    use rustix::mm::{Advice, madvise};

    /// What is smaller has no large page in it.
    const LEAST: usize = 2 << 20;
    if room.len() < LEAST {
        return;
    }
    let page = rustix::param::page_size();
    let skipped = room.as_ptr().align_offset(page);
    let Some(room) = room.get_mut(skipped..) else { return };
    let len = room.len() / page * page;
    // SAFETY: these pages are all the slice's, and the advice changes nothing that can be read there.
    let _ = unsafe { madvise(room.as_mut_ptr().cast(), len, Advice::LinuxHugepage) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_zero_and_can_be_written_whatever_its_size() {
        for len in [0, 1, 4095, (2 << 20) / 4, (5 << 20) / 4 + 3] {
            let mut room = zeroed::<u32>(len);
            assert!(room.len() == len && room.iter().all(|&x| x == 0));
            room.fill(1);
            assert_eq!(room.iter().filter(|&&x| x == 1).count(), len);
        }
    }
}
