//! Host name of the machine.
//!
//! Any thread. Asks the kernel itself: `/proc/sys` is hidden from a sandboxed service
//! (`ProcSubset=pid`), and a hidden file must not give the node another name.

use std::fs;

/// The name where the machine has none of its own.
const UNNAMED: &str = "main-node";

/// Digits of a container's id that Docker and others make its host name, and of the whole id.
const SHORT_ID: usize = 12;
const WHOLE_ID: usize = 64;

/// The machine's name, as mDNS announces it. In a container whose host name is its id, which
/// changes with every `docker run`, it is `main-node`.
pub fn name() -> String {
    let uname = rustix::system::uname();
    // Runtimes mount `/etc/hostname` from a directory that the whole id names.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    effective_name(uname.nodename().to_string_lossy().trim(), &mounts)
}

fn effective_name(host: &str, mounts: &str) -> String {
    // The kernel returns `(none)` where no name is set.
    let is_unset = host.is_empty() || host == "(none)";
    if is_unset || is_container_id(host, mounts) {
        UNNAMED.to_owned()
    } else {
        host.to_owned()
    }
}

/// Whether `host` is how the id of the container begins in which we run.
fn is_container_id(host: &str, mounts: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    host.len() == SHORT_ID
        && is_hex(host)
        && mounts.match_indices(host).any(|(at, _)| {
            let id = mounts.get(at..at + WHOLE_ID);
            id.is_some_and(is_hex)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_id_is_no_host_name_and_a_mac_address_is_one() {
        const MOUNTS: &str = "\
22 1 0:21 / /proc rw - proc proc rw
741 733 254:1 /var/lib/docker/containers/3f2a9c01b7de0d9a5f5c1c2f4a86d7e0f1b2c3d4e5f60718293a4b5c6d7e8f90/hostname /etc/hostname rw - ext4 /dev/vda rw
";
        for (host, expected) in [
            ("pi-test", "pi-test"),
            ("", "main-node"),
            ("(none)", "main-node"),
            ("3f2a9c01b7de", "main-node"),
            // Twelve digits of another origin: no container of that id is mounted here.
            ("b827eb123456", "b827eb123456"),
            ("c2f4a86d7e0f", "c2f4a86d7e0f"),
        ] {
            assert_eq!(effective_name(host, MOUNTS), expected, "{host:?}");
        }
    }

    #[test]
    fn the_host_name_is_read_without_proc() {
        let uname = rustix::system::uname();
        assert_eq!(
            effective_name(&uname.nodename().to_string_lossy(), ""),
            uname.nodename().to_string_lossy()
        );
    }
}
