//! Memory of this machine and this process.

use fs_err as fs;
use sysinfo::{MemoryRefreshKind, System};

/// Returns the bytes that this process may still take without anything being swapped out or killed:
/// what the system has available, or less if its control group allows less.
pub fn available_memory() -> u64 {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let group = system.cgroup_limits().map(|limits| limits.free_memory);
    system.available_memory().min(group.unwrap_or(u64::MAX))
}

/// Returns the most bytes this process ever had in memory; `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}
