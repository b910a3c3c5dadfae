//! systemd sandbox: `main-node.service` must not hide a kernel file that the source reads, or
//! forbid a system call that it makes.
//!
//! Reads source and unit as text; no systemd is needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A systemd option that hides files.
struct HidingOption {
    option: &'static str,
    values: &'static [&'static str],
    hides: &'static [&'static str],
    /// Exceptions, which stay visible.
    except: &'static [&'static str],
}

const HIDING_OPTIONS: [HidingOption; 6] = [
    HidingOption {
        option: "ProcSubset",
        values: &["pid"],
        hides: &["/proc/"],
        except: &["/proc/self/", "/proc/thread-self/"],
    },
    HidingOption {
        option: "ProtectKernelLogs",
        values: &["yes"],
        hides: &["/proc/kmsg", "/dev/kmsg"],
        except: &[],
    },
    HidingOption {
        option: "ProtectKernelTunables",
        values: &["yes"],
        hides: &["/proc/kcore", "/proc/kallsyms"],
        except: &[],
    },
    HidingOption {
        option: "ProtectHome",
        values: &["yes", "tmpfs"],
        hides: &["/home/", "/root/", "/run/user/"],
        except: &[],
    },
    HidingOption {
        option: "PrivateDevices",
        values: &["yes"],
        hides: &["/dev/"],
        except: &[
            "/dev/null",
            "/dev/random",
            "/dev/urandom",
            "/dev/shm",
            "/dev/stdin",
        ],
    },
    HidingOption {
        option: "ProtectControlGroups",
        values: &["strict", "private"],
        hides: &["/sys/fs/cgroup/"],
        except: &[],
    },
];

/// Options whose value is a list of paths that are hidden.
const PATH_OPTIONS: [&str; 2] = ["InaccessiblePaths", "TemporaryFileSystem"];

/// System calls that the unit must allow by name: as written in the source, and as systemd names it.
const SYSTEM_CALLS: [(&str, &str); 2] = [("adjtimex(", "adjtimex"), ("nice(", "setpriority")];

#[test]
fn unit_hides_no_file_that_the_source_reads() {
    let read = kernel_files();
    for expected in [
        "/proc/sys/kernel/random/boot_id",
        "/proc/meminfo",
        "/proc/self/io",
    ] {
        assert!(
            read.contains(expected),
            "the source does not name {expected}: {read:?}"
        );
    }
    assert_eq!(hidden(&unit(), &read), [""; 0]);
}

#[test]
fn hiding_options_are_detected() {
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
fn unit_allows_the_system_calls_of_the_source() {
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
    for (written, call) in SYSTEM_CALLS {
        if source.iter().any(|text| text.contains(written)) {
            assert!(
                allowed.iter().any(|it| it == call),
                "SystemCallFilter= lacks {call}"
            );
        }
    }
    // ProtectClock= forbids even reading the clock state.
    let protects_clock =
        settings(&unit).any(|(name, value)| name == "ProtectClock" && value != "no");
    assert!(!protects_clock, "ProtectClock= forbids adjtimex");
}

/// The files of `read` that the unit hides, each with the option.
fn hidden(unit: &str, read: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in settings(unit) {
        let by_value = HIDING_OPTIONS
            .iter()
            .filter(|it| it.option == name && it.values.contains(&value))
            .flat_map(|it| it.hides.iter().map(|hides| (hides.to_string(), it.except)));
        let by_path = PATH_OPTIONS
            .iter()
            .filter(|option| **option == name)
            .flat_map(|_| value.split_whitespace())
            .map(|path| path.trim_start_matches(['-', '+']))
            .map(|path| (path.split(':').next().unwrap_or(path).to_owned(), &[][..]));
        for (hides, except) in by_value.chain(by_path) {
            let is_hidden = |path: &&String| {
                path.starts_with(&hides) && !except.iter().any(|visible| path.starts_with(visible))
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

/// Every path under /proc, /sys and /dev that is a string in the source.
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

/// The source files of the program, without comments and tests.
fn source() -> Vec<String> {
    let mut directories = vec![root().join("src")];
    let mut texts = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)
            .expect("src can be listed")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
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
    fs::read_to_string(root().join("systemd/main-node.service")).expect("the unit is readable")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
