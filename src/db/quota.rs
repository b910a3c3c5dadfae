//! Saved quotas: until when each source's quota is spent, in `node` as `quota:<source>`.
//!
//! Read once at start; written by the store thread alone, at once, while the source waits a
//! bounded time for it. See [`crate::domain::quota`] for why it is written ahead.

use rusqlite::Connection;

use super::tiers::{read_meta, write_meta};
use crate::domain::quota::{QuotaReservation, SavedQuota};
use crate::domain::time::{Mono, Wall, millis};

pub(super) fn read(
    connection: &Connection,
    boot: &str,
    source: &str,
) -> rusqlite::Result<SavedQuota> {
    let text: Option<String> = read_meta(connection, &entry_name(source))?;
    Ok(text.map_or(SavedQuota::Nothing, |text| parse(&text, boot)))
}

pub(super) fn write(connection: &Connection, source: &str, text: &str) -> rusqlite::Result<()> {
    write_meta(connection, &entry_name(source), text)
}

const PREFIX: &str = "quota:";

fn entry_name(source: &str) -> String {
    format!("{PREFIX}{source}")
}

/// Whether an entry of `node` is of this kind.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// `<boot> <until, ms of that boot> <how far ahead, ms> <until, ms since 1970, or ->`.
pub(super) fn format_entry(reserved: &QuotaReservation, boot: &str) -> String {
    let boot = if boot.is_empty() { "-" } else { boot };
    let wall = reserved.wall.map_or("-".to_owned(), |it| it.0.to_string());
    let (until, ahead) = (reserved.until.0, millis(reserved.ahead));
    format!("{boot} {until} {ahead} {wall}")
}

fn parse(text: &str, boot: &str) -> SavedQuota {
    let parts: Vec<&str> = text.split(' ').collect();
    let [of, until, ahead, wall] = parts[..] else {
        return SavedQuota::Unknown;
    };
    match (until.parse(), ahead.parse()) {
        (Ok(until), Ok(_)) if of == boot => SavedQuota::SameBoot { until: Mono(until) },
        (Ok(_), Ok(ahead)) => SavedQuota::OtherBoot {
            ahead: std::time::Duration::from_millis(ahead),
            wall: wall.parse().ok().map(Wall),
        },
        _ => SavedQuota::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_written_is_read_back_in_this_boot_and_in_the_next() {
        let ahead = Duration::from_millis(90_000);
        let reserved = |wall| QuotaReservation {
            until: Mono(120_000),
            ahead,
            wall,
        };
        let until = Mono(120_000);
        let wall = Some(Wall(1_800_000_000_000));
        for (text, expected) in [
            (
                format_entry(&reserved(wall), "b1"),
                SavedQuota::SameBoot { until },
            ),
            (
                format_entry(&reserved(wall), "b0"),
                SavedQuota::OtherBoot { ahead, wall },
            ),
            (
                format_entry(&reserved(None), ""),
                SavedQuota::OtherBoot { ahead, wall: None },
            ),
            ("b1 12 many -".to_owned(), SavedQuota::Unknown),
            (String::new(), SavedQuota::Unknown),
        ] {
            assert_eq!(parse(&text, "b1"), expected, "{text}");
        }
    }
}
