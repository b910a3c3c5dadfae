//! Time zones: those of the machine's zone files, else those that the binary carries.
//!
//! Any thread.

use jiff::tz::TimeZone;

use super::assets;

/// All of IANA's, as src/build/time_zones.rs writes them.
static GZIPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/time_zones.gz"));

/// The time zone of an IANA name, whatever its case.
pub fn named(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().or_else(|| carried(name))
}

/// The machine's own, by `TZ` or `/etc/localtime`; where neither says it: unknown, which is UTC.
pub fn of_machine() -> TimeZone {
    TimeZone::try_system()
        .ok()
        .or_else(|| named(&written_name()?))
        .unwrap_or_else(|| {
            log::warn!(
                "the time zone of this machine is not known: times are in UTC; set timezone"
            );
            TimeZone::unknown()
        })
}

/// The name that `TZ` or the target of `/etc/localtime` ends with; the file itself may not be there.
fn written_name() -> Option<String> {
    let written = match std::env::var("TZ") {
        Ok(written) => written,
        Err(_) => std::fs::read_link("/etc/localtime")
            .ok()?
            .into_os_string()
            .into_string()
            .ok()?,
    };
    let name = written.rsplit_once("zoneinfo/").map(|(_, name)| name);
    Some(name.unwrap_or(written.trim_start_matches(':')).to_owned())
}

fn carried(wanted: &str) -> Option<TimeZone> {
    let file = assets::decompress(GZIPPED);
    let is_wanted = |name: &&str| name.eq_ignore_ascii_case(wanted);
    zones(&file).find_map(|(names, data)| {
        let name = names.split(' ').find(is_wanted)?;
        TimeZone::tzif(name, data).ok()
    })
}

/// Names and data of each zone of the decompressed file.
fn zones(mut file: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    std::iter::from_fn(move || {
        let end = file.iter().position(|byte| *byte == b'\n')?;
        let (names, rest) = file.split_at(end);
        let (length, rest) = rest.get(1..)?.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        file = rest;
        Some((std::str::from_utf8(names).ok()?, data))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_of_the_file_is_read() {
        let file = assets::decompress(GZIPPED);
        let mut count = 0;
        for (names, data) in zones(&file) {
            for name in names.split(' ') {
                let zone = TimeZone::tzif(name, data).expect(name);
                assert_eq!(zone.iana_name(), Some(name));
                count += 1;
            }
        }
        assert!(count > 550, "{count} names");
    }

    #[test]
    fn zones_are_known_without_zone_files() {
        let noon: jiff::Timestamp = "2024-07-01T12:00:00Z".parse().expect("a time");
        for (name, expected) in [
            ("Africa/Abidjan", Some("12:00 Africa/Abidjan")),
            ("Europe/Berlin", Some("14:00 Europe/Berlin")),
            ("europe/berlin", Some("14:00 Europe/Berlin")),
            ("Asia/Calcutta", Some("17:30 Asia/Calcutta")),
            ("Asia/Kolkata", Some("17:30 Asia/Kolkata")),
            ("Zulu", Some("12:00 Zulu")),
            ("Europe/Ber", None),
            ("", None),
        ] {
            let found = carried(name).map(|zone| {
                let name = zone.iana_name().unwrap_or_default();
                format!("{} {name}", zone.to_datetime(noon).strftime("%H:%M"))
            });
            assert_eq!(found.as_deref(), expected, "{name:?}");
        }
    }
}
