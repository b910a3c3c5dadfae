//! Process and machine statistics from /proc and /sys: CPU, memory, threads, temperature.
//!
//! Reads a few small files under /proc and /sys when asked; any thread but the connection thread. What
//! cannot be read is left out.

use std::fs;
use std::time::Duration;

/// This process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessInfo {
    pub cpu: Option<Duration>,
    pub resident_bytes: Option<u64>,
    pub threads: Option<u64>,
    pub open_files: Option<u64>,
}

/// The machine it runs on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MachineInfo {
    pub celsius: Option<f64>,
    pub memory_bytes: Option<u64>,
    pub available_bytes: Option<u64>,
}

pub fn process_info() -> ProcessInfo {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let open = fs::read_dir("/proc/self/fd").ok();
    ProcessInfo {
        cpu: cpu_time(&stat),
        resident_bytes: kib_field(&status, "VmRSS:"),
        threads: field(&status, "Threads:"),
        // One of them is the directory being read.
        open_files: open.and_then(|open| u64::try_from(open.count().saturating_sub(1)).ok()),
    }
}

pub fn machine_info() -> MachineInfo {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let milli = fs::read_to_string("/sys/class/thermal/thermal_zone0/temp").ok();
    let milli = milli.and_then(|text| text.trim().parse::<f64>().ok());
    MachineInfo {
        celsius: milli
            .map(|milli| milli / 1000.0)
            .filter(|celsius| celsius.is_finite()),
        memory_bytes: kib_field(&memory, "MemTotal:"),
        available_bytes: kib_field(&memory, "MemAvailable:"),
    }
}

/// User and system time: fields 14 and 15, counted behind the command's closing parenthesis,
/// in clock ticks, which are 1/100 s for user space on every Linux.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(
        user.checked_add(system)?.checked_mul(10)?,
    ))
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn kib_field(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_and_sys_files_are_parsed() {
        let stat = "1 (a) b) S 0 1 1 0 -1 4194560 100 0 0 0 123 27 0 0 20 0 5 0 9 1 2";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1_500)));
        assert_eq!(cpu_time("1 (a"), None);
        let status = "Name:\ta\nVmRSS:\t    6144 kB\nThreads:\t7\n";
        assert_eq!(kib_field(status, "VmRSS:"), Some(6 << 20));
        assert_eq!(field(status, "Threads:"), Some(7));
        assert_eq!(field(status, "Nothing:"), None);
        assert!(process_info().resident_bytes.is_some());
    }
}
