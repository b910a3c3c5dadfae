//! The unit's sandbox against what the program reads: no option of `main-node.service` may
//! hide a file of the kernel's that the source names, or forbid a system call that it makes.
//!
//! Reads source and unit as text. What a running systemd does with them is seen elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// An option that hides files.
struct Hiding {
    option: &'static str,
    values: &'static [&'static str],
    hides: &'static [&'static str],
    /// What it leaves of that.
    leaves: &'static [&'static str],
}

const HIDING: [Hiding; 6] = [
    Hiding {
        option: "ProcSubset",
        values: &["pid"],
        hides: &["/proc/"],
        leaves: &["/proc/self/", "/proc/thread-self/"],
    },
    Hiding {
        option: "ProtectKernelLogs",
        values: &["yes"],
        hides: &["/proc/kmsg", "/dev/kmsg"],
        leaves: &[],
    },
    Hiding {
        option: "ProtectKernelTunables",
        values: &["yes"],
        hides: &["/proc/kcore", "/proc/kallsyms"],
        leaves: &[],
    },
    Hiding {
        option: "ProtectHome",
        values: &["yes", "tmpfs"],
        hides: &["/home/", "/root/", "/run/user/"],
        leaves: &[],
    },
    Hiding {
        option: "PrivateDevices",
        values: &["yes"],
        hides: &["/dev/"],
        leaves: &["/dev/null", "/dev/random", "/dev/urandom", "/dev/shm"],
    },
    Hiding {
        option: "ProtectControlGroups",
        values: &["strict", "private"],
        hides: &["/sys/fs/cgroup/"],
        leaves: &[],
    },
];

/// Options whose value is a list of paths that are hidden.
const HIDDEN_PATHS: [&str; 2] = ["InaccessiblePaths", "TemporaryFileSystem"];

/// System calls outside of `@system-service`, or taken from it again by the unit.
const CALLS: [(&str, &str); 2] = [("adjtimex(", "adjtimex"), ("nice(", "setpriority")];

#[test]
fn the_unit_hides_nothing_that_the_program_reads() {
    let read = kernel_files();
    for expected in [
        "/proc/sys/kernel/random/boot_id",
        "/proc/meminfo",
        "/proc/self/io",
    ] {
        assert!(
            read.contains(expected),
            "{expected} is not found in {read:?}"
        );
    }
    assert_eq!(hidden(&unit(), &read), [""; 0]);
}

#[test]
fn an_option_that_hides_is_noticed() {
    let read = kernel_files();
    for option in [
        "ProcSubset=pid",
        "InaccessiblePaths=-/proc/meminfo",
        "TemporaryFileSystem=/sys:ro",
    ] {
        let unit = format!("{}\n[Service]\n{option}\n", unit());
        assert!(!hidden(&unit, &read).is_empty(), "{option}");
    }
}

#[test]
fn the_unit_allows_the_calls_that_the_program_makes() {
    let (unit, source) = (unit(), source());
    let allowed: Vec<String> = settings(&unit)
        .filter(|(name, value)| *name == "SystemCallFilter" && !value.starts_with('~'))
        .flat_map(|(_, value)| {
            value
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    for (written, call) in CALLS {
        if source.iter().any(|text| text.contains(written)) {
            assert!(
                allowed.iter().any(|it| it == call),
                "SystemCallFilter= lacks {call}"
            );
        }
    }
    // It forbids even reading the state of the clock.
    let is_closed = settings(&unit).any(|(name, value)| name == "ProtectClock" && value != "no");
    assert!(!is_closed, "ProtectClock= forbids adjtimex");
}

/// What of `read` the unit hides, and by which option.
fn hidden(unit: &str, read: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in settings(unit) {
        let by_value = HIDING
            .iter()
            .filter(|it| it.option == name && it.values.contains(&value))
            .flat_map(|it| it.hides.iter().map(|hides| (hides.to_string(), it.leaves)));
        let by_path = HIDDEN_PATHS
            .iter()
            .filter(|option| **option == name)
            .flat_map(|_| value.split_whitespace())
            .map(|path| path.trim_start_matches(['-', '+']))
            .map(|path| (path.split(':').next().unwrap_or(path).to_owned(), &[][..]));
        for (hides, leaves) in by_value.chain(by_path) {
            let is_hidden = |path: &&String| {
                path.starts_with(&hides) && !leaves.iter().any(|left| path.starts_with(left))
            };
            found.extend(
                read.iter()
                    .filter(is_hidden)
                    .map(|path| format!("{name}={value} hides {path}")),
            );
        }
    }
    found
}

/// The options of a unit, in order.
fn settings(unit: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = unit
        .lines()
        .filter(|line| !line.starts_with(['#', ';', '[']));
    lines.filter_map(|line| line.split_once('='))
}

/// Every path under /proc, /sys and /dev that the program's own source names as a text.
fn kernel_files() -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for text in source() {
        for quoted in text
            .split('"')
            .filter(|text| !text.contains(char::is_whitespace))
        {
            if ["/proc/", "/sys/", "/dev/"]
                .iter()
                .any(|root| quoted.starts_with(root))
            {
                files.insert(quoted.to_owned());
            }
        }
    }
    files
}

/// The source of the program, file by file, without comments and tests.
fn source() -> Vec<String> {
    let mut waiting = vec![root().join("src")];
    let mut texts = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory)
            .expect("src can be listed")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("a source file is readable");
                let code = text
                    .split("#[cfg(test)]\nmod tests {")
                    .next()
                    .unwrap_or(&text);
                let lines = code
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                texts.push(lines.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    texts
}

fn unit() -> String {
    fs::read_to_string(root().join("systemd/main-node.service")).expect("the unit is there")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
