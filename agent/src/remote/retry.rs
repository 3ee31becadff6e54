//! When to ask again: later and later, not all at the same moment, and not before the server says.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The first wait is at most this; each later one at most twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// No wait of our own choice is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Returns how long to wait before attempt `attempt`, the first repetition being 1: a random time
/// between half and all of what doubles with every attempt, or what the server asked for if that is
/// longer.
pub(super) fn wait(attempt: u32, asked: Option<Duration>) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    let most = doubled.min(LONGEST_WAIT);
    // Between a half and a whole, so that many clients do not come back together.
    let share = 0.5 + 0.5 * random_share();
    most.mul_f64(share).max(asked.unwrap_or_default())
}

/// Returns a number from 0 to 1 that differs between processes and calls.
fn random_share() -> f64 {
    // Each state has random keys; the standard library has no other source of chance.
    let hash = RandomState::new().hash_one(SystemTime::UNIX_EPOCH);
    f64::from(u32::try_from(hash >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

/// Reads a `Retry-After` header: seconds, or a date.
pub(super) fn retry_after(header: &str) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    // The header's `GMT` is an obsolete zone of RFC 2822, which still allows it.
    let date = rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
    let left = date.duration_since(Timestamp::now());
    Some(Duration::try_from(left).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_within_bounds_and_differ() {
        for (attempt, most) in [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (9, 20.0), (1000, 20.0)] {
            let wait = wait(attempt, None).as_secs_f64();
            assert!((most / 2.0..=most).contains(&wait), "{attempt}: {wait}");
        }
        let waits: Vec<Duration> = (0..8).map(|_| wait(5, None)).collect();
        assert!(waits.iter().any(|&other| other != waits[0]), "{waits:?}");
        // What the server asks for is waited for, even if it is longer than our own limit.
        assert_eq!(wait(1, Some(Duration::from_secs(90))), Duration::from_secs(90));
    }

    #[test]
    fn a_server_may_name_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(" 0.25 "), Some(Duration::from_millis(250)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let future = retry_after("Wed, 21 Oct 2950 07:28:00 GMT").unwrap();
        assert!(future > Duration::from_secs(900 * 365 * 86400));
        for bad in ["", "soon", "-1", "NaN", "1e400"] {
            assert_eq!(retry_after(bad), None, "{bad}");
        }
    }
}
