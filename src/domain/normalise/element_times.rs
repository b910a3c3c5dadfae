//! Times of the elements of a list, in which a local time can occur twice: when clocks are set
//! back, the order of the list tells the two apart.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, AmbiguousTimestamp, TimeZone, offset};
use serde_json::Value as Json;

use super::time::read_time;
use crate::domain::time::Wall;

/// The time of one element. `Err` has what is there instead.
pub type ListedTime = Result<ElementInstant, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementInstant {
    pub wall: Wall,
    /// Clocks never show the local time that it is: it is the one to which they are set.
    pub is_skipped: bool,
}

/// An instant, and what else its text could mean.
struct Instant {
    first: Wall,
    /// The same local time after the clocks were set back.
    second: Option<Wall>,
    is_skipped: bool,
}

/// The times of a list, in its order.
pub fn read_times(texts: &[Option<Cow<'_, Json>>], zone: &TimeZone) -> Vec<ListedTime> {
    let read = |json: &Option<Cow<'_, Json>>| read_instant(json.as_deref(), zone);
    let instants: Vec<Result<Instant, String>> = texts.iter().map(read).collect();
    let mut repeated: BTreeMap<Wall, Vec<usize>> = BTreeMap::new();
    for (index, instant) in instants.iter().enumerate() {
        if let Ok(Instant {
            first,
            second: Some(_),
            ..
        }) = instant
        {
            repeated.entry(*first).or_default().push(index);
        }
    }
    let is_descending = is_descending(&instants);
    let mut times: Vec<ListedTime> = instants
        .iter()
        .map(|instant| match instant {
            Ok(instant) => Ok(ElementInstant {
                wall: instant.first,
                is_skipped: instant.is_skipped,
            }),
            Err(found) => Err(found.clone()),
        })
        .collect();
    for places in repeated.into_values().filter(|places| places.len() > 1) {
        let half = places.len().div_ceil(2);
        let later = if is_descending {
            places.get(..places.len() - half)
        } else {
            places.get(half..)
        };
        for index in later.unwrap_or_default() {
            if let Some(Ok(Instant {
                second: Some(second),
                ..
            })) = instants.get(*index)
                && let Some(Ok(time)) = times.get_mut(*index)
            {
                time.wall = *second;
            }
        }
    }
    times
}

/// Whether the list begins with its newest time.
fn is_descending(instants: &[Result<Instant, String>]) -> bool {
    let mut known = instants.iter().flatten().map(|it| it.first);
    let first = known.next();
    first > known.next_back().or(first)
}

fn read_instant(json: Option<&Json>, zone: &TimeZone) -> Result<Instant, String> {
    let first = read_time(json, zone)?;
    let plain = Instant {
        first,
        second: None,
        is_skipped: false,
    };
    let text = json.filter(|json| json.is_string() && zone.to_fixed_offset().is_err());
    let Some(ambiguous) = text.and_then(|json| local_time(json, first, zone)) else {
        return Ok(plain);
    };
    Ok(match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => plain,
        AmbiguousOffset::Gap { .. } => Instant {
            is_skipped: true,
            ..plain
        },
        AmbiguousOffset::Fold { .. } => {
            let later = ambiguous.later().ok();
            let later = later.map(|it| Wall(it.as_millisecond()));
            Instant {
                second: later.filter(|later| *later != first),
                ..plain
            }
        }
    })
}

/// What the text is as a local time, if it is one.
fn local_time(json: &Json, first: Wall, zone: &TimeZone) -> Option<AmbiguousTimestamp> {
    // No zone has this offset, so a text with an offset of its own is known by its instant.
    let unused = TimeZone::fixed(offset(20));
    let shown = read_time(Some(json), &unused).ok()?;
    if shown == first {
        return None;
    }
    let local = unused.to_datetime(Timestamp::from_millisecond(shown.0).ok()?);
    Some(zone.to_ambiguous_timestamp(local))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(texts: &[&str]) -> Vec<String> {
        let zone = TimeZone::get("Europe/Berlin").expect("zone");
        let texts: Vec<_> = texts.iter().map(|it| Some(Cow::Owned(json!(it)))).collect();
        let times = read_times(&texts, &zone).into_iter();
        times
            .map(|time| {
                time.map_or_else(|found| found, |it| it.wall.to_string()[11..16].to_owned())
            })
            .collect()
    }

    #[test]
    fn an_hour_that_occurs_twice_is_told_apart_by_the_order() {
        // Clocks in Berlin went from 03:00 back to 02:00 at 01:00 UTC.
        let day = |times: &[&str]| -> Vec<String> {
            let texts: Vec<String> = times.iter().map(|it| format!("2026-10-25 {it}")).collect();
            read(&texts.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(
            day(&["01:00", "02:00", "02:00", "03:00"]),
            ["23:00", "00:00", "01:00", "02:00"]
        );
        assert_eq!(
            day(&["03:00", "02:00", "02:00", "01:00"]),
            ["02:00", "01:00", "00:00", "23:00"]
        );
        assert_eq!(
            day(&["02:00", "02:30", "02:00", "02:30", "03:00"]),
            ["00:00", "00:30", "01:00", "01:30", "02:00"]
        );
        assert_eq!(
            day(&["01:00", "02:00", "03:00"]),
            ["23:00", "00:00", "02:00"]
        );
        assert_eq!(
            day(&["02:00", "nine"]),
            ["00:00", "the text \"2026-10-25 nine\""]
        );
    }

    #[test]
    fn a_time_with_an_offset_is_never_moved() {
        assert_eq!(
            read(&["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+02:00"]),
            ["00:00", "00:00"]
        );
        assert_eq!(
            read(&["2026-10-25T02:00:00+01:00", "2026-10-25T02:00:00+02:00"]),
            ["01:00", "00:00"]
        );
    }
}
