//! Mounted file systems, by `/proc/self/mountinfo` and `/etc/fstab`: mount points, absent disks.

use std::path::{Path, PathBuf};

/// What is mounted where, as the kernel says it; empty where it does not.
pub fn mountinfo() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// The mount point of `/etc/fstab` that `directory` lies on, if nothing is mounted there.
pub fn absent_mount_point(directory: &Path) -> Option<PathBuf> {
    let fstab = std::fs::read_to_string("/etc/fstab").unwrap_or_default();
    absent_of(directory, &fstab, &mountinfo())
}

fn absent_of(directory: &Path, fstab: &str, mountinfo: &str) -> Option<PathBuf> {
    if mountinfo.is_empty() {
        return None;
    }
    let lines = fstab
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let mount_point = deepest_above(directory, lines, 1)?;
    (mount_point_of(&mount_point, mountinfo).as_ref() != Some(&mount_point)).then_some(mount_point)
}

/// What is mounted of the directories above `path`, the nearest one.
pub fn mount_point_of(path: &Path, mountinfo: &str) -> Option<PathBuf> {
    deepest_above(path, mountinfo.lines(), 4)
}

/// The longest of the paths, each a field of a line, that `path` lies in.
fn deepest_above<'a>(
    path: &Path,
    lines: impl Iterator<Item = &'a str>,
    field: usize,
) -> Option<PathBuf> {
    let places = lines.filter_map(|line| line.split_whitespace().nth(field));
    let places = places.map(|place| PathBuf::from(unescape(place)));
    places
        .filter(|place| place.is_absolute() && path.starts_with(place))
        .max_by_key(|place| place.components().count())
}

/// Both files write blanks and backslashes in octal.
fn unescape(field: &str) -> String {
    let pairs = [("\\040", " "), ("\\011", "\t"), ("\\134", "\\")];
    let replace = |text: String, (from, to): (&str, &str)| text.replace(from, to);
    pairs.into_iter().fold(field.to_owned(), replace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_of_fstab_without_its_disk_is_found() {
        let fstab = "# /dev/sdz1 /srv ext4\nUUID=1 / ext4 defaults 0 1\n/dev/sda1 /mnt/my\\040disk ext4\n\
                     UUID=2 none swap sw\nUUID=3 /mnt/other ext4\n";
        let root = "22 1 179:2 / / rw - ext4 /dev/root rw\n";
        let disk = "40 22 8:1 / /mnt/my\\040disk rw - ext4 /dev/sda1 rw\n";
        let both = format!("{root}{disk}");
        for (directory, mounts, expected) in [
            ("/mnt/my disk/node", root, Some("/mnt/my disk")),
            ("/mnt/my disk/node", &both, None),
            ("/mnt/my disk", root, Some("/mnt/my disk")),
            ("/mnt/my disks", root, None),
            ("/var/lib/main-node", root, None),
            ("/srv", root, None),
            // Where nobody says what is mounted, nothing is known.
            ("/mnt/my disk", "", None),
        ] {
            let found = absent_of(Path::new(directory), fstab, mounts);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{directory}");
        }
    }
}
