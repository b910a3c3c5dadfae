use super::*;

/// 28 November 2026, 23:30 in Berlin.
const NOW: &str = "2026-11-28T22:30:00Z";

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("time zones are compiled in")
}

fn wall(text: &str) -> Wall {
    let instant: jiff::Timestamp = text.parse().expect("a time");
    Wall(instant.as_millisecond())
}

fn read(query: &str) -> Result<Period, String> {
    let target = RequestTarget::read(&format!("/web/key/a?{query}")).expect("a target");
    Period::read(&target, wall(NOW), &berlin()).map_err(|problem| problem.detail)
}

fn bounds(period: Period) -> String {
    format!("{} {}", period.from, period.to)
}

#[test]
fn a_query_chooses_a_period_in_local_time() {
    for (query, from, to) in [
        ("", "2026-11-27T22:30:01Z", "2026-11-28T22:30:01Z"),
        ("span=6h", "2026-11-28T16:30:01Z", "2026-11-28T22:30:01Z"),
        ("span=1y", "2025-11-28T22:30:01Z", "2026-11-28T22:30:01Z"),
        ("span=all", "1970-01-01T00:00:00Z", "2026-11-28T22:30:01Z"),
        (
            "at=2026-11-27",
            "2026-11-26T23:00:00Z",
            "2026-11-27T23:00:00Z",
        ),
        // The clock was set back: 25 hours.
        (
            "at=2026-10-25",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        // And forward: 23.
        (
            "at=2026-03-29&span=24h",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            "span=7d&at=2026-11-27",
            "2026-11-20T23:00:00Z",
            "2026-11-27T23:00:00Z",
        ),
        (
            "span=30d&at=2026-11-27",
            "2026-10-28T23:00:00Z",
            "2026-11-27T23:00:00Z",
        ),
        (
            "span=1y&at=2026-11-27",
            "2025-11-27T23:00:00Z",
            "2026-11-27T23:00:00Z",
        ),
        (
            "span=6h&at=2026-11-27T13:45",
            "2026-11-27T11:00:00Z",
            "2026-11-27T17:00:00Z",
        ),
        (
            "from=2026-11-27T06:00:00Z",
            "2026-11-27T06:00:00Z",
            "2026-11-28T22:30:00Z",
        ),
        (
            "from=2026-11-27T06:00&to=2026-11-27T09:00:00%2B02:00",
            "2026-11-27T05:00:00Z",
            "2026-11-27T07:00:00Z",
        ),
        (
            "from=2026-11-20&to=2026-11-21",
            "2026-11-19T23:00:00Z",
            "2026-11-20T23:00:00Z",
        ),
        // `from` and `to` are the more exact choice.
        (
            "span=7d&at=2026-11-27&from=2026-11-27T06:00&to=2026-11-27T09:00",
            "2026-11-27T05:00:00Z",
            "2026-11-27T08:00:00Z",
        ),
        (
            "to=2026-11-27&span=7d",
            "2026-11-19T23:00:00Z",
            "2026-11-26T23:00:00Z",
        ),
        (
            "span=all&at=2026-11-27",
            "1970-01-01T00:00:00Z",
            "2026-11-28T22:30:01Z",
        ),
        // No chart is of less than a minute.
        (
            "from=2026-11-27T06:00&to=2026-11-27T06:00:30",
            "2026-11-27T05:00:00Z",
            "2026-11-27T05:01:00Z",
        ),
    ] {
        let read = read(query).map(bounds);
        assert_eq!(read, Ok(format!("{from} {to}")), "{query}");
    }
}

#[test]
fn what_is_no_period_is_said() {
    for (query, expected) in [
        (
            "span=2d",
            "`span` is \"2d\"; expected 6h, 24h, 7d, 30d, 1y or all.",
        ),
        (
            "at=yesterday",
            "`at` is \"yesterday\"; expected a day such as 2026-11-27",
        ),
        ("at=2026-02-30", "`at` is \"2026-02-30\"; expected a day"),
        ("at=2026-11-27T00:00:00Z", "expected a day"),
        ("at=-009999-01-01", "expected a day"),
        ("at=9999-12-31", "expected a day"),
        ("span=1y&at=0001-01-02", "expected a day"),
        ("from=2026-11-27&span=2d", "`span` is \"2d\""),
        ("from=noon", "`from` is \"noon\"; expected a time such as"),
        (
            "from=2026-11-27&to=12",
            "`to` is \"12\"; expected a time such as",
        ),
        ("from=2026-11-27&to=2026-11-26", "must be before `to`"),
        ("from=2026-11-29", "must be before `to`"),
    ] {
        let found = read(query).expect_err(query);
        assert!(found.contains(expected), "{query}: {found}");
    }
}

#[test]
fn a_period_has_one_before_and_one_after() {
    for (query, before, after) in [
        ("", "span=24h&at=2026-11-27", "span=24h&at=2026-11-29"),
        (
            "at=2026-11-27",
            "span=24h&at=2026-11-26",
            "span=24h&at=2026-11-28",
        ),
        (
            "span=7d&at=2026-11-27",
            "span=7d&at=2026-11-20",
            "span=7d&at=2026-12-04",
        ),
        (
            "span=1y&at=2024-02-29",
            "span=1y&at=2023-02-28",
            "span=1y&at=2025-02-28",
        ),
        (
            "span=6h&at=2026-11-27T07:00",
            "span=6h&at=2026-11-27T00:00",
            "span=6h&at=2026-11-27T12:00",
        ),
        ("span=6h", "span=6h&at=2026-11-28T12:00", ""),
        ("span=all", "", ""),
        (
            "from=2026-11-27T06:00:00Z&to=2026-11-27T07:00:00Z",
            "from=2026-11-27T05:00:00Z&to=2026-11-27T06:00:00Z",
            "from=2026-11-27T07:00:00Z&to=2026-11-27T08:00:00Z",
        ),
        ("at=9999-12-29", "span=24h&at=9999-12-28", ""),
    ] {
        let period = read(query).expect(query);
        let query_of = |period: Option<Period>| period.map(|it| it.query()).unwrap_or_default();
        assert_eq!(
            query_of(period.previous(&berlin())),
            before,
            "before {query}"
        );
        assert_eq!(query_of(period.next(&berlin())), after, "after {query}");
    }
}

#[test]
fn the_query_of_a_period_chooses_it_again() {
    for query in [
        "span=6h",
        "span=all",
        "span=7d&at=2026-11-27",
        "span=6h&at=2026-11-27T18:00",
    ] {
        let period = read(query).expect(query);
        assert_eq!(period.query(), query);
        assert_eq!(read(&period.query()), Ok(period));
    }
}
