//! Placeholders: grammar, time zones, both changes of summer time, ends of the year.

use super::*;

/// The template at an instant of RFC 3339, in a zone.
fn filled(text: &str, instant: &str, zone: &str) -> String {
    let instant: Timestamp = instant.parse().expect("an instant");
    let time = PlaceholderTime {
        wall: Wall(instant.as_millisecond()),
        zone: TimeZone::get(zone).expect("a zone"),
    };
    Template::parse(text).expect("a template").fill(&time)
}

#[test]
fn placeholders_are_filled_in_the_zone() {
    const WINTER: &str = "2026-11-28T23:30:05.250Z";
    const BERLIN: &str = "Europe/Berlin";
    for (zone, instant, text, expected) in [
        // Local midnight has passed in Berlin, not in UTC.
        ("UTC", WINTER, "{today}", "2026-11-28"),
        (BERLIN, WINTER, "{today}", "2026-11-29"),
        ("America/New_York", WINTER, "{today}", "2026-11-28"),
        (BERLIN, WINTER, "{now}", "2026-11-29T00:30:05+01:00"),
        ("UTC", WINTER, "{now}", "2026-11-28T23:30:05+00:00"),
        (
            "America/New_York",
            WINTER,
            "{now}",
            "2026-11-28T18:30:05-05:00",
        ),
        (
            BERLIN,
            WINTER,
            "from={today}&to={today+1d}",
            "from=2026-11-29&to=2026-11-30",
        ),
        (BERLIN, WINTER, "{today+1d:%d.%m.%Y}", "30.11.2026"),
        (BERLIN, WINTER, "{today-2w}", "2026-11-15"),
        (BERLIN, WINTER, "{now-90m}", "2026-11-28T23:00:05+01:00"),
        (BERLIN, WINTER, "{now-1h:%H:%M}", "23:30"),
        (BERLIN, WINTER, "{now+10s}", "2026-11-29T00:30:15+01:00"),
        // date -u -d 2026-11-28T23:30:05Z +%s
        (BERLIN, WINTER, "{now:unix}", "1795908605"),
        (BERLIN, WINTER, "{now:unix_ms}", "1795908605250"),
        (BERLIN, WINTER, "{today:unix}", "1795906800"),
        ("UTC", WINTER, "{today:unix}", "1795824000"),
        (BERLIN, WINTER, "{today+12h:%Y-%m-%dT%H}", "2026-11-29T12"),
        (BERLIN, WINTER, "{now:%s%%}", "1795908605%"),
        // Over the ends of years, and a leap day.
        (
            BERLIN,
            "2026-12-31T22:59:59Z",
            "{today+1d} {now+1s}",
            "2027-01-01 2027-01-01T00:00:00+01:00",
        ),
        (
            BERLIN,
            "2027-01-01T12:00:00Z",
            "{today-1d} {today-1w:%G-W%V}",
            "2026-12-31 2026-W52",
        ),
        (
            "UTC",
            "2028-02-28T12:00:00Z",
            "{today+1d} {today+2d} {today+366d}",
            "2028-02-29 2028-03-01 2029-02-28",
        ),
        // The night of 29 March 2026 has 23 hours, that of 25 October 25.
        (
            BERLIN,
            "2026-03-29T10:00:00Z",
            "{today} {today:unix} {today+1d:unix}",
            "2026-03-29 1774738800 1774821600",
        ),
        (
            BERLIN,
            "2026-03-28T23:30:00Z",
            "{now+1d} {now+24h}",
            "2026-03-30T00:30:00+02:00 2026-03-30T01:30:00+02:00",
        ),
        (
            BERLIN,
            "2026-03-29T10:00:00Z",
            "{today+6h:%H:%M} {now-12h:%d %H}",
            "07:00 28 23",
        ),
        (
            BERLIN,
            "2026-10-25T10:00:00Z",
            "{today:unix} {today+1d:unix} {today+6h:%H:%M}",
            "1792879200 1792969200 05:00",
        ),
        (
            BERLIN,
            "2026-10-24T22:30:00Z",
            "{now+1d} {today+1d}",
            "2026-10-26T00:30:00+01:00 2026-10-26",
        ),
        // 6 September 2026 begins at 01:00 in Santiago.
        (
            "America/Santiago",
            "2026-09-06T15:00:00Z",
            "{today:%Y-%m-%dT%H:%M:%S%:z} {today+1d:%H}",
            "2026-09-06T01:00:00-03:00 00",
        ),
        (
            "America/Santiago",
            "2026-09-05T15:00:00Z",
            "{today+1d:%Y-%m-%dT%H:%M} {today+1d}",
            "2026-09-06T01:00 2026-09-06",
        ),
        // Samoa had no 30 December 2011.
        (
            "Pacific/Apia",
            "2011-12-29T20:00:00Z",
            "{today} {today+1d} {today+2d}",
            "2011-12-29 2011-12-31 2011-12-31",
        ),
    ] {
        assert_eq!(
            filled(text, instant, zone),
            expected,
            "{text} at {instant} in {zone}"
        );
    }
}

#[test]
fn other_braces_are_text() {
    for text in [
        "",
        "no brace",
        "{date}",
        "{nowhere} {todays} {today_} {now1h} {nowä}",
        "{ now} { today { total } } {Now} {TODAY}",
        "{\"query\": \"{ viewer { homes { today { total } } } }\"}",
        "{{ value }} ${NAME} {id} {#} {/pointer} {} { }{",
        "now} today}",
    ] {
        let template = Template::parse(text).expect(text);
        assert!(!template.has_placeholders(), "{text}");
        assert_eq!(filled(text, "2026-11-28T12:00:00Z", "UTC"), text);
    }
    let text = "{{now:%Y}} {id}{today:%Y}{x";
    assert_eq!(
        filled(text, "2026-11-28T12:00:00Z", "UTC"),
        "{2026} {id}2026{x"
    );
}

#[test]
fn what_begins_like_a_placeholder_and_is_none_is_a_problem() {
    const BEHIND: &str = "only an offset such as +1d or a format such as :%Y-%m-%d may follow";
    const OFFSET: &str = "an offset is a sign, a number and a unit, such as +1d or -90m";
    for (text, at, reason) in [
        ("{now", 0, "its closing brace is missing"),
        ("priceInfo{today{total}}", 9, BEHIND),
        ("{now }", 0, BEHIND),
        ("{today\n}", 0, BEHIND),
        ("{now, x}", 0, BEHIND),
        ("ä {today+d}", 3, OFFSET),
        ("{today+1}", 0, OFFSET),
        ("{today+1y}", 0, OFFSET),
        ("{today+}", 0, OFFSET),
        ("{today+1.5d}", 0, OFFSET),
        ("{today+-1d}", 0, OFFSET),
        ("{now-1h-1m}", 0, OFFSET),
        (
            "{now+99999999999999999999s}",
            0,
            "its offset is longer than 100 years",
        ),
        ("{now-36526d}", 0, "its offset is longer than 100 years"),
        (
            "{now:}",
            0,
            "its format has no directive of strftime, such as %Y",
        ),
        (
            "{today:YYYY-MM-DD}",
            0,
            "its format has no directive of strftime, such as %Y",
        ),
        (
            "{today:%Y-%J}",
            0,
            "its format has a directive that strftime lacks",
        ),
        ("{today:%Y%n}", 0, "its format makes a line break or a tab"),
        (
            "{now} {now:iso}",
            6,
            "its format has no directive of strftime, such as %Y",
        ),
    ] {
        let problem = Template::parse(text).expect_err(text);
        assert_eq!((problem.at, problem.reason), (at, reason), "{text}");
    }
}

#[test]
fn a_clock_at_the_ends_of_the_calendar_fills_something() {
    for wall in [i64::MIN, -1, 0, i64::MAX] {
        let time = PlaceholderTime {
            wall: Wall(wall),
            zone: TimeZone::get("Europe/Berlin").expect("a zone"),
        };
        for text in [
            "{now}",
            "{today-36525d}",
            "{now+36525d:unix_ms}",
            "{today+5217w}",
        ] {
            let filled = Template::parse(text).expect(text).fill(&time);
            assert!(!filled.is_empty() && !filled.contains('{'), "{text}");
        }
    }
}

#[test]
fn any_text_is_parsed_or_refused_and_without_placeholders_unchanged() {
    const PARTS: [&str; 22] = [
        "{",
        "}",
        "now",
        "today",
        ":",
        "%Y",
        "%",
        "unix",
        "unix_ms",
        "+1d",
        "-",
        "9",
        "d",
        "w",
        " ",
        "ä",
        "\n",
        "\0",
        "{now",
        "{today+1d:%H}",
        "\u{2028}",
        "%:z",
    ];
    let time = PlaceholderTime {
        wall: Wall(1_795_908_605_250),
        zone: TimeZone::UTC,
    };
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let parts = (0..random.usize(..12)).map(|_| PARTS[random.usize(..PARTS.len())]);
        let text: String = parts.collect();
        let Ok(template) = Template::parse(&text) else {
            assert!(text.contains("{now") || text.contains("{today"), "{text:?}");
            continue;
        };
        let filled = template.fill(&time);
        if !template.has_placeholders() {
            assert_eq!(filled, text);
        }
    }
}
