//! Snapshot change: what is new in a snapshot, and when it is sent to whoever follows it (event
//! streams, MQTT).
//!
//! Pure.

use std::time::Duration;

use super::snapshot::{Record, Snapshot, newest};
use crate::limits;

/// What differs between two snapshots in the body of `/snapshot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SnapshotChange {
    /// The body is the same to the byte.
    #[default]
    Nothing,
    /// When the newest record was observed: a new body with the ETag of the one before.
    Times,
    /// What a display shows.
    Contents,
}

impl SnapshotChange {
    pub fn between(before: &Snapshot, after: &Snapshot) -> SnapshotChange {
        let is_same = |(before, after): (&Record, &Record)| {
            before.stale == after.stale && before.value == after.value && before.key == after.key
        };
        let is_same_contents = before.alert == after.alert
            && before.records.len() == after.records.len()
            && before.records.iter().zip(&after.records).all(is_same);
        let second = |it: &Snapshot| newest(it.records.iter()).map(|wall| wall.second());
        if !is_same_contents {
            SnapshotChange::Contents
        } else if second(before) != second(after) {
            SnapshotChange::Times
        } else {
            SnapshotChange::Nothing
        }
    }

    /// How long from now until the snapshot with this change is sent: zero is now, `None` not at all.
    /// `since_sent` is how long ago one was sent; `None` if none was. The change is the one since then.
    pub fn send_after(self, since_sent: Option<Duration>) -> Option<Duration> {
        let Some(since_sent) = since_sent else {
            return Some(Duration::ZERO);
        };
        match self {
            SnapshotChange::Nothing => None,
            SnapshotChange::Times => {
                Some(limits::SNAPSHOT_TIMES_INTERVAL.saturating_sub(since_sent))
            }
            SnapshotChange::Contents => Some(Duration::ZERO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::freshness::Stamp;
    use super::super::reading::Value;
    use super::super::time::{Mono, Wall, test_moment};
    use super::*;

    fn snapshot(records: &[(&str, Value, i64)]) -> Snapshot {
        let record = |(key, value, second): &(&str, Value, i64)| Record {
            key: (*key).into(),
            value: value.clone(),
            unit: None,
            stamp: Stamp::restored(Wall::from_second(*second), true),
            stale: false,
            stale_after: Duration::from_secs(60),
            sources: Vec::new(),
            today: None,
            is_boolean: false,
        };
        Snapshot {
            records: records.iter().map(record).collect(),
            ..Snapshot::empty(test_moment(Mono(0)))
        }
    }

    #[test]
    fn a_change_is_what_a_display_sees_of_it() {
        use SnapshotChange::*;
        let number = |value| Value::Number(value);
        let before = snapshot(&[("a", number(1.0), 10), ("b", number(2.0), 20)]);
        let with = |change: fn(&mut Snapshot)| {
            let mut after = before.clone();
            change(&mut after);
            after
        };
        let rows: [(&str, Snapshot, SnapshotChange); 12] = [
            ("nothing", before.clone(), Nothing),
            (
                "later",
                with(|it| it.records[1].stamp = Stamp::restored(Wall(21_000), true)),
                Times,
            ),
            (
                "in the second",
                with(|it| it.records[1].stamp = Stamp::restored(Wall(20_999), true)),
                Nothing,
            ),
            (
                "not the newest",
                with(|it| it.records[0].stamp = Stamp::restored(Wall(19_000), true)),
                Nothing,
            ),
            (
                "unit",
                with(|it| it.records[0].unit = Some("W".into())),
                Nothing,
            ),
            ("health", with(|it| it.omitted = 7), Nothing),
            (
                "value",
                with(|it| it.records[0].value = Value::Number(1.5)),
                Contents,
            ),
            (
                "text",
                with(|it| it.records[0].value = Value::Text("on".into())),
                Contents,
            ),
            ("stale", with(|it| it.records[0].stale = true), Contents),
            ("alert", with(|it| it.alert = Some("late".into())), Contents),
            ("order", with(|it| it.records.reverse()), Contents),
            ("one less", with(|it| it.records.truncate(1)), Contents),
        ];
        for (name, after, expected) in rows {
            assert_eq!(SnapshotChange::between(&before, &after), expected, "{name}");
            assert_eq!(
                SnapshotChange::between(&after, &before),
                expected,
                "{name} back"
            );
        }
    }

    #[test]
    fn a_change_is_sent_at_once_and_new_times_a_minute_after_the_last_message() {
        use SnapshotChange::*;
        let seconds = |s| Some(Duration::from_secs(s));
        for (change, since_sent, expected) in [
            // The first one, whatever it is.
            (Nothing, None, seconds(0)),
            (Times, None, seconds(0)),
            (Contents, None, seconds(0)),
            (Contents, seconds(0), seconds(0)),
            (Contents, seconds(3600), seconds(0)),
            (Times, seconds(0), seconds(60)),
            (Times, seconds(59), seconds(1)),
            (Times, seconds(60), seconds(0)),
            (Times, seconds(900), seconds(0)),
            (Nothing, seconds(0), None),
            (Nothing, seconds(900), None),
        ] {
            assert_eq!(
                change.send_after(since_sent),
                expected,
                "{change:?} {since_sent:?}"
            );
        }
    }
}
