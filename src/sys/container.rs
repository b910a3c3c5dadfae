//! Container detection: whether this process runs in a container of Docker, Podman or Kubernetes.

use std::fs;
use std::path::Path;

/// Files that Docker and Podman put into a container.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];
/// Parts of the control group's path of other runtimes, where it is not hidden (cgroup v1).
const GROUPS: [&str; 3] = ["/docker", "/kubepods", "/containerd"];
/// Kubernetes sets it in every container.
const KUBERNETES: &str = "KUBERNETES_SERVICE_HOST";
/// The bridge that Docker keeps on its host: seen by a container that has the host's network.
const HOST_BRIDGE: &str = "/sys/class/net/docker0";

pub fn is_container() -> bool {
    let group = || fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    MARKS.iter().any(|it| Path::new(it).exists())
        || std::env::var_os(KUBERNETES).is_some()
        || std::process::id() == 1
        || is_container_group(&group())
}

/// Whether other machines reach a port only where the container's host publishes it.
pub fn has_own_network() -> bool {
    is_container() && !Path::new(HOST_BRIDGE).exists()
}

fn is_container_group(group: &str) -> bool {
    let paths = group.lines().filter_map(|line| line.rsplit(':').next());
    let mut paths = paths.filter(|path| GROUPS.iter().any(|it| path.starts_with(it)));
    paths.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_its_control_group() {
        for (group, expected) in [
            (
                "12:memory:/docker/3f2a9c01b7de\n1:name=systemd:/docker/3f2a9c01b7de\n",
                true,
            ),
            ("4:cpu:/kubepods/besteffort/pod1/3f2a\n", true),
            ("0::/\n", false),
            ("0::/system.slice/main-node.service\n", false),
            ("0::/system.slice/docker.service\n", false),
            ("", false),
        ] {
            assert_eq!(is_container_group(group), expected, "{group:?}");
        }
    }
}
