//! Memory of this machine and this process, and what a model will take of it.

mod plan;

use fs_err as fs;
use sysinfo::{MemoryRefreshKind, System};

pub use plan::MemoryPlan;

/// Returns the bytes that this process may still take without anything being swapped out or killed:
/// what the system has available, or less if its control group allows less.
pub fn available_memory() -> u64 {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    // Files that the system keeps in memory count for the group, but give way to what needs room.
    let group = system.cgroup_limits().map(|group| group.total_memory.saturating_sub(group.rss));
    system.available_memory().min(group.unwrap_or(u64::MAX))
}

/// Returns the most bytes this process ever had in memory; `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    status("VmHWM:")
}

/// Returns the bytes this process has in memory; `None` where the system does not tell.
pub fn resident_memory() -> Option<u64> {
    status("VmRSS:")
}

fn status(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}

const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];

/// Returns a number of bytes as people read it: `7.52 GB`, of 1000 bytes to the kB.
pub fn format_bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (count as f64 / 1000.0, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Reads a number of bytes with its unit, such as `6GB`, `512 MB` or `1.5GiB`.
///
/// # Errors
///
/// Says what was expected.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let expected = || format!("`{text}` is no size such as `6GB` or `512MB`");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (unit, step) = match text[digits.len()..].strip_suffix("iB") {
        Some(unit) => (unit, 1024.0_f64),
        None => (text[digits.len()..].strip_suffix('B').ok_or_else(expected)?, 1000.0),
    };
    let power = match unit {
        "k" | "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(expected()),
    };
    let number: f64 = digits.trim_end().parse().map_err(|_| expected())?;
    let bytes = number * step.powi(power);
    if !(0.0..=1e15).contains(&bytes) {
        return Err(expected());
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (7_520_000_000, "7.52 GB"),
            (12_345_678, "12.3 MB"),
            (999_600, "1.00 MB"),
            (123_456, "123 kB"),
            (9_996, "10.0 kB"),
            (u64::MAX, "18447 PB"),
        ];
        for (count, text) in cases {
            assert_eq!(format_bytes(count), text);
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        for (text, bytes) in [
            ("6GB", 6_000_000_000),
            ("512 MB", 512_000_000),
            ("1.5GiB", 3 << 29),
            ("10kB", 10_000),
            ("0MB", 0),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for bad in ["", "6", "6G", "GB", "-1GB", "nanGB", "1e30GB", "6 gb", "6XB", "1éB"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_measured() {
        let (resident, peak) = (resident_memory().unwrap(), peak_memory().unwrap());
        assert!(1 << 20 < resident && resident <= peak, "{resident} {peak}");
        assert!(available_memory() > 1 << 20);
    }
}
