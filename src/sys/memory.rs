//! Memory that this process may still take: the machine's and that of its control groups.
//!
//! Reads a few small files under /proc and /sys when asked, on any thread. A file that cannot be
//! read sets no limit.

use std::fs;
use std::path::{Component, Path};

use super::process::machine_info;

/// The share of the available memory that one task may plan with: the rest is for what it does
/// beside it, and for other processes.
const SHARE: u64 = 2;

/// Files of a control group, by version: where the groups are, the limits, what is in use, and the
/// field of `memory.stat` with what the kernel takes back before it refuses memory.
struct Hierarchy {
    root: &'static str,
    limits: &'static [&'static str],
    usage: &'static str,
    reclaimable: &'static str,
}

const VERSION_1: Hierarchy = Hierarchy {
    root: "/sys/fs/cgroup/memory",
    limits: &["memory.limit_in_bytes"],
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file ",
};
/// Above `memory.high` a process is slowed down until it hardly runs.
const VERSION_2: Hierarchy = Hierarchy {
    root: "/sys/fs/cgroup",
    limits: &["memory.max", "memory.high"],
    usage: "memory.current",
    reclaimable: "inactive_file ",
};

/// `most` bytes, or less where the machine or a control group of this process has less to give.
pub fn affordable_bytes(most: usize) -> usize {
    share_of(available_bytes(), most)
}

fn share_of(available: Option<u64>, most: usize) -> usize {
    let share = available.and_then(|bytes| usize::try_from(bytes / SHARE).ok());
    share.map_or(most, |share| share.min(most))
}

/// The bytes that this process may still take; `None` where neither /proc nor a control group
/// says.
pub fn available_bytes() -> Option<u64> {
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_groups = headroom_of_groups(&group, &|file| fs::read_to_string(file).ok());
    let of_machine = machine_info().available_bytes;
    of_groups.into_iter().chain(of_machine).min()
}

/// The least that a control group of /proc/self/cgroup (`groups`), or one around it, has left.
fn headroom_of_groups(groups: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let headrooms = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let hierarchy = match controllers {
            "" => VERSION_2,
            _ if controllers.split(',').any(|it| it == "memory") => VERSION_1,
            _ => return None,
        };
        headroom_below(&hierarchy, path, read)
    });
    headrooms.min()
}

/// The same for one path. In a container the path may be that of the host, of which only the
/// root is there: it is the container's.
fn headroom_below(
    hierarchy: &Hierarchy,
    path: &str,
    read: &dyn Fn(&Path) -> Option<String>,
) -> Option<u64> {
    let path = Path::new(path.trim_start_matches('/'));
    let is_outside = path.components().any(|it| it == Component::ParentDir);
    let path = if is_outside { Path::new("") } else { path };
    let headrooms = path.ancestors().filter_map(|group| {
        let directory = Path::new(hierarchy.root).join(group);
        let number = |file: &str| read(&directory.join(file))?.trim().parse::<u64>().ok();
        // "max" is no limit.
        let limit = hierarchy.limits.iter().filter_map(|it| number(it)).min()?;
        let statistics = read(&directory.join("memory.stat")).unwrap_or_default();
        let reclaimable = statistics.lines().find_map(|line| {
            line.strip_prefix(hierarchy.reclaimable)?
                .trim()
                .parse()
                .ok()
        });
        let used = number(hierarchy.usage)?.saturating_sub(reclaimable.unwrap_or(0));
        Some(limit.saturating_sub(used))
    });
    headrooms.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNLIMITED: &str = "9223372036854771712\n";

    #[test]
    fn the_smallest_headroom_of_all_control_groups_counts() {
        let unit = "0::/system.slice/main-node.service\n";
        let docker = "4:cpu:/docker/3f2a\n3:memory,hugetlb:/docker/3f2a\n0::/\n";
        for (case, groups, files, expected) in [
            ("nothing is known", unit, &[][..], None),
            (
                "no groups",
                "",
                &[("memory.max", "5\n"), ("memory.current", "1\n")],
                None,
            ),
            (
                "the unit's limit",
                unit,
                &[
                    ("system.slice/main-node.service/memory.max", "64000000\n"),
                    ("system.slice/main-node.service/memory.high", "max\n"),
                    (
                        "system.slice/main-node.service/memory.current",
                        "10000000\n",
                    ),
                ],
                Some(54_000_000),
            ),
            (
                "memory.high is below memory.max",
                unit,
                &[
                    ("system.slice/main-node.service/memory.max", "64000000\n"),
                    ("system.slice/main-node.service/memory.high", "48000000\n"),
                    (
                        "system.slice/main-node.service/memory.current",
                        "50000000\n",
                    ),
                ],
                Some(0),
            ),
            (
                "the slice has less than the unit",
                unit,
                &[
                    ("system.slice/main-node.service/memory.max", "64000000\n"),
                    (
                        "system.slice/main-node.service/memory.current",
                        "10000000\n",
                    ),
                    ("system.slice/memory.max", "200000000\n"),
                    ("system.slice/memory.current", "190000000\n"),
                ],
                Some(10_000_000),
            ),
            (
                "the page cache is taken back",
                "0::/\n",
                &[
                    ("memory.max", "64000000\n"),
                    ("memory.current", "63000000\n"),
                    ("memory.stat", "anon 9000000\ninactive_file 50000000\n"),
                ],
                Some(51_000_000),
            ),
            (
                "no limit",
                "0::/\n",
                &[("memory.max", "max\n"), ("memory.current", "63000000\n")],
                None,
            ),
            (
                "version 1 with the path of the host",
                docker,
                &[
                    ("memory/memory.limit_in_bytes", "100000000\n"),
                    ("memory/memory.usage_in_bytes", "40000000\n"),
                    (
                        "memory/memory.stat",
                        "inactive_file 1\ntotal_inactive_file 30000000\n",
                    ),
                ],
                Some(90_000_000),
            ),
            (
                "version 1 without a limit",
                docker,
                &[
                    ("memory/docker/3f2a/memory.limit_in_bytes", UNLIMITED),
                    ("memory/docker/3f2a/memory.usage_in_bytes", "0\n"),
                ],
                Some(9_223_372_036_854_771_712),
            ),
            (
                "a path outside of what is mounted",
                "0::/../other\n",
                &[
                    ("memory.max", "64000000\n"),
                    ("memory.current", "4000000\n"),
                ],
                Some(60_000_000),
            ),
            (
                "files that are no numbers",
                unit,
                &[("memory.max", "many\n"), ("memory.current", "\n")],
                None,
            ),
        ] {
            let read = |file: &Path| {
                let name = file.strip_prefix("/sys/fs/cgroup").expect("a group");
                let found = files.iter().find(|it| Path::new(it.0) == name);
                found.map(|it| it.1.to_owned())
            };
            assert_eq!(headroom_of_groups(groups, &read), expected, "{case}");
        }
    }

    #[test]
    fn half_of_what_is_available_is_affordable() {
        for (available, most, expected) in [
            (None, 160, 160),
            (Some(1_000), 160, 160),
            (Some(100), 160, 50),
            (Some(0), 160, 0),
            (Some(u64::MAX), 160, 160),
        ] {
            assert_eq!(share_of(available, most), expected, "{available:?}");
        }
        assert!(affordable_bytes(1) <= 1);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_says_what_is_available() {
        assert!(available_bytes().is_some());
    }
}
