//! mDNS responder of this machine: whether avahi or systemd-resolved answers for its `.local` name.
//!
//! Any thread. Reads what the kernel and `/run` show; asks nobody, so that no daemon is started by
//! its socket.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// Directories of daemons that answer. Each belongs to the user of its daemon.
const RESPONDERS: [&str; 2] = ["/run/avahi-daemon", "/run/systemd/resolve"];
/// The port 5353 as `/proc/net/udp` writes it.
const PORT: &str = "14E9";

pub fn is_running() -> bool {
    let sockets = ["/proc/self/net/udp", "/proc/self/net/udp6"];
    let sockets = sockets.map(|it| fs::read_to_string(it).unwrap_or_default());
    let owners = RESPONDERS.iter().filter_map(|it| fs::metadata(it).ok());
    let mut owners = owners.map(|it| it.uid());
    owners.any(|owner| sockets.iter().any(|it| has_socket_of(it, owner)))
}

/// Whether that user has a socket on the port of multicast DNS. `sockets` is the text of
/// `/proc/net/udp`.
fn has_socket_of(sockets: &str, owner: u32) -> bool {
    sockets.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(local), Some(user)) = (fields.get(1), fields.get(7)) else {
            return false;
        };
        let port = local.rsplit(':').next();
        port == Some(PORT) && user.parse() == Ok(owner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_responder_has_a_socket_on_its_port() {
        const SOCKETS: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  334: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000   104        0 7114 2 0000000000000000 0
  562: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   991        0 5131 2 0000000000000000 0
";
        for (owner, expected) in [(104, true), (991, false), (0, false)] {
            assert_eq!(has_socket_of(SOCKETS, owner), expected, "{owner}");
        }
        assert!(!has_socket_of("", 104));
    }
}
