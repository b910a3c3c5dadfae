//! Lengths of the rollup periods in seconds, in UTC, and the time within one.
//!
//! Constants and arithmetic; any thread.

pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 86_400;
/// How long each part is, seconds.
pub const FIVE_MINUTES: i64 = 300;

/// The second since 1970 of a timestamp of `records`.
pub fn second_of(timestamp: &str) -> Option<i64> {
    let instant: jiff::Timestamp = timestamp.parse().ok()?;
    Some(instant.as_second())
}

/// The seconds of `…:MM:SSZ`.
pub fn second_of_hour(timestamp: &str) -> i64 {
    let two = |range: std::ops::Range<usize>| {
        timestamp
            .get(range)
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or(0)
    };
    two(14..16) * 60 + two(17..19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_an_hour_is_read_from_the_timestamp() {
        for (timestamp, expected) in [
            ("2025-12-31T23:59:59Z", 3_599),
            ("2025-12-31T23:00:00Z", 0),
            ("2025-12-31T23:01:07Z", 67),
            ("broken", 0),
        ] {
            assert_eq!(second_of_hour(timestamp), expected);
        }
    }
}
