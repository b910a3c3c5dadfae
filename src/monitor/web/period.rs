//! Time span of the charts of a page: query parameters, local bounds, the span before and after.
//!
//! Pure; any thread.

use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::format::to_zoned;
use crate::monitor::problem::ProblemDetails;
use crate::monitor::routes::table::RequestTarget;

/// The query parameters that choose a period.
pub const PARAMETERS: [&str; 4] = ["span", "at", "from", "to"];

/// What `span` may be.
pub const SPANS: [&str; 6] = ["6h", "24h", "7d", "30d", "1y", ALL];
const ALL: &str = "all";
/// The name of a period that `from` and `to` bound.
const BETWEEN: &str = "between";

/// What the charts of a page show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Inclusive; of all there is, 1970.
    pub from: Wall,
    /// Exclusive.
    pub to: Wall,
    /// One of [`SPANS`], or `between`.
    pub name: &'static str,
    /// The local day (of `6h`: its quarter) that it ends with; None where it ends now.
    at: Option<DateTime>,
}

impl Period {
    /// Reads `span`, `at`, `from` and `to`; the problem says what is expected.
    pub fn read(
        target: &RequestTarget,
        now: Wall,
        zone: &TimeZone,
    ) -> Result<Period, ProblemDetails> {
        let given = PARAMETERS.map(|name| target.parameter(name));
        let period = parse(given, now, zone).map_err(|wrong| ProblemDetails::new(400, wrong))?;
        // Each value is fine by itself, so the request is; there is only nothing between them.
        if period.from >= period.to {
            let Period { from, to, .. } = period;
            let detail = format!("`from` ({from}) must be before `to` ({to}).");
            return Err(ProblemDetails::new(404, detail));
        }
        Ok(period)
    }

    /// The span that ends now.
    pub fn until_now(name: &'static str, now: Wall) -> Period {
        const DAY: u64 = 86_400;
        // What was read within this second belongs to it.
        let to = now.after(Duration::from_secs(1));
        let seconds = match name {
            "6h" => DAY / 4,
            "7d" => 7 * DAY,
            "30d" => 30 * DAY,
            "1y" => 365 * DAY,
            _ => DAY,
        };
        let from = match name {
            ALL => Wall(0),
            _ => to.before(Duration::from_secs(seconds)),
        };
        Period {
            from,
            to,
            name,
            at: None,
        }
    }

    /// The span that ends with a local day; of `6h` a quarter of that day.
    fn at(name: &'static str, at: DateTime, zone: &TimeZone) -> Option<Period> {
        let midnight = at.date().to_datetime(Time::midnight());
        let next = midnight.checked_add(1.day()).ok()?;
        let (at, from, to) = match name {
            "6h" => {
                let quarter = midnight.checked_add((at.hour() / 6 * 6).hours()).ok()?;
                (quarter, quarter, quarter.checked_add(6.hours()).ok()?)
            }
            "7d" => (midnight, next.checked_sub(7.days()).ok()?, next),
            "30d" => (midnight, next.checked_sub(30.days()).ok()?, next),
            "1y" => (midnight, next.checked_sub(1.year()).ok()?, next),
            _ => (midnight, midnight, next),
        };
        Some(Period {
            from: instant(from, zone)?,
            to: instant(to, zone)?,
            name,
            at: Some(at),
        })
    }

    fn between(from: Wall, to: Wall) -> Period {
        Period {
            from,
            to,
            name: BETWEEN,
            at: None,
        }
    }

    /// The same span from another begin: of all there is, from the first that there is.
    pub fn starting(self, from: Wall) -> Period {
        Period { from, ..self }
    }

    pub fn is_all(&self) -> bool {
        self.name == ALL
    }

    /// Whether it ends now, and so moves on.
    pub fn is_live(&self) -> bool {
        self.at.is_none() && self.name != BETWEEN
    }

    pub fn length(&self) -> Duration {
        self.to.since(self.from)
    }

    /// The query that chooses it again: `span=24h&at=2026-11-27`.
    pub fn query(&self) -> String {
        match self.at {
            _ if self.name == BETWEEN => format!("from={}&to={}", self.from, self.to),
            None => format!("span={}", self.name),
            Some(at) if self.name == "6h" => {
                format!("span=6h&at={}", at.strftime("%Y-%m-%dT%H:%M"))
            }
            Some(at) => format!("span={}&at={}", self.name, at.date()),
        }
    }

    /// The query for another span that ends where this one does.
    pub fn with_span(&self, name: &str) -> String {
        match self.at {
            Some(at) if name != ALL => format!("span={name}&at={}", at.date()),
            _ => format!("span={name}"),
        }
    }

    /// The period of the same length before; none of all there is.
    pub fn previous(&self, zone: &TimeZone) -> Option<Period> {
        self.step(-1, zone)
    }

    /// The period of the same length after.
    pub fn next(&self, zone: &TimeZone) -> Option<Period> {
        self.step(1, zone)
    }

    fn step(&self, direction: i64, zone: &TimeZone) -> Option<Period> {
        if self.is_all() {
            return None;
        }
        if self.name == BETWEEN {
            let length = i64::try_from(self.length().as_millis()).ok()?;
            let shift = |wall: Wall| Some(Wall(wall.0.checked_add(length * direction)?));
            let (from, to) = (shift(self.from)?, shift(self.to)?);
            return (from >= FIRST && to <= LAST).then(|| Period::between(from, to));
        }
        let anchor = match self.at {
            Some(at) => at,
            // A quarter of the day that the span begins in is the one before.
            None if self.name == "6h" => {
                let begin = to_zoned(self.from, zone).datetime();
                return (direction < 0)
                    .then(|| Period::at(self.name, begin, zone))
                    .flatten();
            }
            None => to_zoned(self.to, zone).datetime(),
        };
        let step = match self.name {
            "6h" => (6 * direction).hours(),
            "7d" => (7 * direction).days(),
            "30d" => (30 * direction).days(),
            "1y" => direction.years(),
            _ => direction.days(),
        };
        let period = Period::at(self.name, anchor.checked_add(step).ok()?, zone)?;
        (period.from >= FIRST && period.to <= LAST).then_some(period)
    }

    /// Its first and its last local day.
    pub fn days(&self, zone: &TimeZone) -> (Date, Date) {
        let last = Wall(self.to.0.saturating_sub(1));
        (
            to_zoned(self.from, zone).date(),
            to_zoned(last, zone).date(),
        )
    }
}

/// What RFC 3339 and the database can say, a day from the edge.
const FIRST: Wall = Wall(-62_135_510_400_000);
const LAST: Wall = Wall(253_402_214_400_000);

fn parse(
    [span, at, from, to]: [Option<&str>; 4],
    now: Wall,
    zone: &TimeZone,
) -> Result<Period, String> {
    let name = match span {
        None => "24h",
        Some(span) => *SPANS
            .iter()
            .find(|name| **name == span)
            .ok_or_else(|| format!("`span` is {span:?}; expected 6h, 24h, 7d, 30d, 1y or all."))?,
    };
    let Some(text) = at else {
        return parse_between([from, to], Period::until_now(name, now), now, zone);
    };
    let period = read_local(text)
        .and_then(|at| Period::at(name, at, zone))
        .filter(|period| period.from >= FIRST && period.to <= LAST)
        .ok_or_else(|| {
            format!("`at` is {text:?}; expected a day such as 2026-11-27, of the years 1 to 9999.")
        })?;
    // All there is has no day.
    let period = if name == ALL {
        Period::until_now(name, now)
    } else {
        period
    };
    parse_between([from, to], period, now, zone)
}

/// The period between `from` and `to`, where one is given; without `from` as long as `otherwise`.
fn parse_between(
    [from, to]: [Option<&str>; 2],
    otherwise: Period,
    now: Wall,
    zone: &TimeZone,
) -> Result<Period, String> {
    let read = |name: &str, text: &str| {
        read_instant(text, zone).ok_or_else(|| {
            format!(
                "`{name}` is {text:?}; expected a time such as 2026-11-27T06:00:00Z, or a local \
                 one such as 2026-11-27T06:00 or 2026-11-27."
            )
        })
    };
    let from = from.map(|text| read("from", text)).transpose()?;
    let to = to.map(|text| read("to", text)).transpose()?;
    let (from, to) = match (from, to) {
        (None, None) => return Ok(otherwise),
        (Some(from), to) => (from, to.unwrap_or(now)),
        (None, Some(to)) => (to.before(otherwise.length()).max(FIRST), to),
    };
    let is_short = from < to && to.since(from) < limits::MIN_CHART_SPAN;
    let to = if is_short {
        from.after(limits::MIN_CHART_SPAN)
    } else {
        to
    };
    Ok(Period::between(from, to))
}

/// A local day, or a local time without an offset.
fn read_local(text: &str) -> Option<DateTime> {
    let is_day = text.len() == 10;
    let has_time = text.len() >= 16 && text.as_bytes().get(10) == Some(&b'T');
    match text.parse::<DateTime>() {
        Ok(at) if is_day || (has_time && !text.contains(['Z', 'z', '+', ' '])) => Some(at),
        _ => None,
    }
}

fn read_instant(text: &str, zone: &TimeZone) -> Option<Wall> {
    // An unescaped `+` of an offset arrives as a blank.
    let wall = match text.replace(' ', "+").parse::<jiff::Timestamp>() {
        Ok(instant) => Wall(instant.as_millisecond()),
        Err(_) => instant(read_local(text)?, zone)?,
    };
    (FIRST..=LAST).contains(&wall).then_some(wall)
}

/// A local time that a change of the clock leaves out is as much later.
fn instant(at: DateTime, zone: &TimeZone) -> Option<Wall> {
    let instant = zone.to_timestamp(at).ok()?;
    Some(Wall(instant.as_millisecond()))
}

#[cfg(test)]
#[path = "tests/period.rs"]
mod tests;
