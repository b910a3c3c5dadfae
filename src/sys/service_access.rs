//! Access of the systemd service to directories outside its own: what its unit hides, and the drop-in
//! that lets it write.
//!
//! Changes nothing.

use std::path::{Path, PathBuf};

use super::mounts;

/// Directories that the unit of the service hides from it (`ProtectHome=`, `PrivateTmp=`).
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// Whether the unit hides a file or directory.
pub fn is_hidden(path: &Path) -> bool {
    HIDDEN.iter().any(|directory| path.starts_with(directory))
}

/// What to add to the unit of the service, so that it may write to `directory`.
pub fn drop_in(directory: &Path) -> String {
    format!(
        "run `sudo systemctl edit main-node`, add the lines `[Service]` and `ReadWritePaths=-{}`, \
         then `sudo systemctl restart main-node`",
        writable_parent(directory, &mounts::mountinfo()).display()
    )
}

/// What the unit must make writable: of a mount point the directory above it, so that a disk that is
/// mounted later is seen too.
fn writable_parent(directory: &Path, mountinfo: &str) -> PathBuf {
    let mount_point = mounts::mount_point_of(directory, mountinfo);
    let mount_point = mount_point.filter(|it| it != Path::new("/"));
    let chosen = mount_point.as_deref().unwrap_or(directory);
    match chosen.parent() {
        Some(parent) if parent != Path::new("/") && parent != Path::new("") => parent.to_owned(),
        _ => chosen.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_opened_where_a_later_mount_is_seen() {
        let root = "22 1 179:2 / / rw - ext4 /dev/root rw\n";
        let stick = "40 22 8:1 / /mnt/usb rw - vfat /dev/sda1 rw\n";
        let both = format!("{root}{stick}");
        for (directory, mounts, expected) in [
            ("/mnt/usb", both.as_str(), "/mnt"),
            ("/mnt/usb/node", &both, "/mnt"),
            ("/mnt/usb", root, "/mnt"),
            ("/backup", root, "/backup"),
            ("/media/pi/STICK", root, "/media/pi"),
        ] {
            let found = writable_parent(Path::new(directory), mounts);
            assert_eq!(found, Path::new(expected), "{directory}");
        }
    }
}
