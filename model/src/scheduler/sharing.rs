//! Prompts that begin alike and run at the same time: what they share goes through the decoder once.
//!
//! A request whose prompt begins like that of another one on its way waits until the other is through
//! with what they share, and takes a copy of its keys and values. The prefix cache cannot do this: it
//! knows only answers that are over. Waiting costs nothing, for the shared part would have to run
//! anyway, and only those that came earlier are waited for, so nobody waits in a circle.

use super::Live;
use crate::engine::Engine;
use crate::prefix_cache::{MIN_SHARED, shared_len};

/// Whom a request waits for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Sharing {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// It goes its own way.
    Alone,
    /// It waits until the request of this number holds the first `len` places.
    With { id: u64, len: usize },
}

/// Lets the requests whose prompts have not run take what others hold, and decides who waits.
///
/// It has to be called while those that are over are still there: they lend what they have.
pub(super) fn settle(engine: &Engine, live: &mut [Live<'_>]) {
    for at in 0..live.len() {
        let (earlier, rest) = live.split_at_mut(at);
        let one = &mut rest[0];
        if one.sequence.is_decoding() || one.sequence.stop().is_some() {
            continue;
        }
        if one.sharing == Sharing::Unknown {
            one.sharing = find(earlier, one);
            if one.sharing == Sharing::Alone {
                // One that began alike may have ended since this one was read.
                engine.remember_more(&mut one.sequence);
            }
        }
        if let Sharing::With { id, len } = one.sharing {
            one.sharing = match earlier.iter().find(|other| other.id == id) {
                None => Sharing::Unknown,
                Some(other) if other.sequence.held() >= len => {
                    one.sequence.borrow(&other.sequence, len);
                    Sharing::Alone
                }
                Some(other) if other.sequence.stop().is_some() => {
                    one.sequence.borrow(&other.sequence, other.sequence.held());
                    Sharing::Unknown
                }
                Some(_) => one.sharing,
            };
        }
        one.sequence.set_waiting(matches!(one.sharing, Sharing::With { .. }));
    }
}

/// Finds the earlier request with which the most is shared, if it is worth a copy.
fn find(earlier: &[Live<'_>], one: &Live<'_>) -> Sharing {
    // The logits after the last place are needed, so that one always runs.
    let keys = one.sequence.keys();
    let most = &keys[..keys.len().saturating_sub(1)];
    let shared = earlier.iter().map(|other| (other.id, shared_len(other.sequence.keys(), most)));
    let best = shared.max_by_key(|&(_, len)| len);
    match best.filter(|&(_, len)| len >= one.sequence.held() + MIN_SHARED) {
        Some((id, len)) => Sharing::With { id, len },
        None => Sharing::Alone,
    }
}
