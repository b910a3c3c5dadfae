//! Date and time placeholders of requests: `{now}`, `{today+1d:%Y-%m-%d}`.
//!
//! Pure: the time is an argument. A [`Template`] is parsed once and filled for each request. Only
//! what begins with `{now` or `{today` as a word is a placeholder; every other brace is text.

use jiff::fmt::strtime::{BrokenDownTime, Config};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ZonedDateTime};

use super::time::Wall;
use crate::limits;

/// The time that placeholders stand for, and the zone in which they are written.
#[derive(Debug, Clone)]
pub struct PlaceholderTime {
    pub wall: Wall,
    pub zone: TimeZone,
}

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<TemplatePart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Placeholder(Placeholder),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Placeholder {
    base: PlaceholderBase,
    offset: PlaceholderOffset,
    format: PlaceholderFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlaceholderBase {
    Now,
    /// The first instant of the local day.
    Today,
}

/// Days are calendar days of the zone; seconds are exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct PlaceholderOffset {
    days: i64,
    seconds: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PlaceholderFormat {
    UnixSeconds,
    UnixMilliseconds,
    Strftime(String),
}

/// A placeholder that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceholderProblem {
    /// Byte offset of its brace.
    pub at: usize,
    /// The brace and the word, without what follows, which may be a secret.
    pub begins: &'static str,
    reason: &'static str,
}

impl std::fmt::Display for PlaceholderProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = &self.begins[1..];
        write!(
            f,
            "{}… is no date placeholder, since {}: write {{now}}, {{today}}, {{now-1h}}, {{today+1d}} \
             (units s, m, h, d, w), {{today:%Y-%m-%d}}, {{now:unix}} or {{now:unix_ms}}; in other text, \
             such as GraphQL, write a blank after the brace: {{ {word}",
            self.begins, self.reason
        )
    }
}

const DATE: &str = "%Y-%m-%d";
const RFC_3339: &str = "%Y-%m-%dT%H:%M:%S%:z";

impl Template {
    /// The text as it is, without placeholders.
    pub fn literal(text: impl Into<String>) -> Template {
        Template(vec![TemplatePart::Text(text.into())])
    }

    pub fn parse(text: &str) -> Result<Template, PlaceholderProblem> {
        let mut parts = Vec::new();
        let (mut begin, mut from) = (0, 0);
        while let Some(at) = text[from..].find('{').map(|at| from + at) {
            from = at + 1;
            let Some((base, begins)) = placeholder_base(&text[at..]) else {
                continue;
            };
            let (placeholder, length) = Placeholder::parse(&text[at..], base, begins)
                .map_err(|reason| PlaceholderProblem { at, begins, reason })?;
            if at > begin {
                parts.push(TemplatePart::Text(text[begin..at].to_owned()));
            }
            parts.push(TemplatePart::Placeholder(placeholder));
            from = at + length;
            begin = from;
        }
        if begin < text.len() {
            parts.push(TemplatePart::Text(text[begin..].to_owned()));
        }
        Ok(Template(parts))
    }

    pub fn has_placeholders(&self) -> bool {
        let is_placeholder = |part: &TemplatePart| matches!(part, TemplatePart::Placeholder(_));
        self.0.iter().any(is_placeholder)
    }

    /// The text between placeholders.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            TemplatePart::Text(text) => Some(text.as_str()),
            TemplatePart::Placeholder(_) => None,
        })
    }

    /// The text at a time.
    pub fn fill(&self, time: &PlaceholderTime) -> String {
        self.fill_with(time, str::to_owned)
    }

    /// The same, with every filled-in value encoded.
    pub fn fill_with(&self, time: &PlaceholderTime, encode: impl Fn(&str) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            TemplatePart::Text(text) => text.clone(),
            TemplatePart::Placeholder(placeholder) => encode(&placeholder.fill(time)),
        });
        parts.collect()
    }

    /// The Unix time, if the template is nothing but `{…:unix}` or `{…:unix_ms}`.
    pub fn unix_time(&self, time: &PlaceholderTime) -> Option<i64> {
        match self.0.as_slice() {
            [TemplatePart::Placeholder(only)] => only.unix_time(time),
            _ => None,
        }
    }
}

/// What a text that begins with a brace is a placeholder of: the word must end there.
fn placeholder_base(text: &str) -> Option<(PlaceholderBase, &'static str)> {
    let bases = [
        (PlaceholderBase::Now, "{now"),
        (PlaceholderBase::Today, "{today"),
    ];
    let (base, begins) = bases.into_iter().find(|it| text.starts_with(it.1))?;
    let next = text[begins.len()..].chars().next();
    let goes_on = next.is_some_and(|c| c.is_alphanumeric() || c == '_');
    (!goes_on).then_some((base, begins))
}

impl Placeholder {
    /// With its length in bytes. `Err` completes "no date placeholder, since …".
    fn parse(
        text: &str,
        base: PlaceholderBase,
        begins: &str,
    ) -> Result<(Placeholder, usize), &'static str> {
        let end = text.find('}').ok_or("its closing brace is missing")?;
        let inner = &text[begins.len()..end];
        let (offset, format) = match inner.split_once(':') {
            Some((offset, format)) => (offset, Some(format)),
            None => (inner, None),
        };
        let placeholder = Placeholder {
            base,
            offset: PlaceholderOffset::parse(offset)?,
            format: match (format, base) {
                (Some(format), _) => PlaceholderFormat::parse(format)?,
                (None, PlaceholderBase::Now) => PlaceholderFormat::Strftime(RFC_3339.to_owned()),
                (None, PlaceholderBase::Today) => PlaceholderFormat::Strftime(DATE.to_owned()),
            },
        };
        Ok((placeholder, end + 1))
    }

    fn fill(&self, time: &PlaceholderTime) -> String {
        match &self.format {
            PlaceholderFormat::Strftime(format) => {
                let instant = BrokenDownTime::from(&self.instant(time));
                // The format was tried when it was parsed, and fits every time.
                instant
                    .to_string_with_config(&Config::new().lenient(true), format)
                    .unwrap_or_default()
            }
            PlaceholderFormat::UnixSeconds | PlaceholderFormat::UnixMilliseconds => {
                self.unix_time(time).unwrap_or_default().to_string()
            }
        }
    }

    fn unix_time(&self, time: &PlaceholderTime) -> Option<i64> {
        match self.format {
            PlaceholderFormat::UnixSeconds => Some(self.instant(time).timestamp().as_second()),
            PlaceholderFormat::UnixMilliseconds => {
                Some(self.instant(time).timestamp().as_millisecond())
            }
            PlaceholderFormat::Strftime(_) => None,
        }
    }

    /// The instant that is meant. At the ends of the calendar, which only a broken clock reaches,
    /// offsets have no effect.
    fn instant(&self, time: &PlaceholderTime) -> ZonedDateTime {
        let wall = time.wall.0.clamp(
            Timestamp::MIN.as_millisecond(),
            Timestamp::MAX.as_millisecond(),
        );
        let now = Timestamp::from_millisecond(wall)
            .unwrap_or_default()
            .to_zoned_datetime(time.zone.clone());
        let days = Span::new().try_days(self.offset.days).unwrap_or_default();
        let day = match self.base {
            PlaceholderBase::Now => now.checked_add(days).ok(),
            PlaceholderBase::Today => {
                let date = now.date().checked_add(days).ok();
                date.and_then(|date| {
                    let midnight = date.to_datetime(jiff::civil::Time::midnight());
                    // A missing midnight becomes the instant at which it would be.
                    midnight.to_zoned_datetime(time.zone.clone()).ok()
                })
            }
        };
        let day = day.unwrap_or(now);
        let seconds = SignedDuration::from_secs(self.offset.seconds);
        day.checked_add(seconds).unwrap_or(day)
    }
}

impl PlaceholderOffset {
    fn parse(text: &str) -> Result<PlaceholderOffset, &'static str> {
        const EXPECTED: &str = "an offset is a sign, a number and a unit, such as +1d or -90m";
        const BEHIND: &str = "only an offset such as +1d or a format such as :%Y-%m-%d may follow";
        if text.is_empty() {
            return Ok(PlaceholderOffset::default());
        }
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').ok_or(BEHIND)?),
        };
        let unit = rest.chars().next_back().ok_or(EXPECTED)?;
        let digits = &rest[..rest.len() - unit.len_utf8()];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(EXPECTED);
        }
        let (days, seconds) = match unit {
            's' => (0, 1),
            'm' => (0, 60),
            'h' => (0, 3_600),
            'd' => (1, 0),
            'w' => (7, 0),
            _ => return Err(EXPECTED),
        };
        let longest = limits::PLACEHOLDER_OFFSET_DAYS;
        let number = digits.parse::<i64>().unwrap_or(i64::MAX);
        let is_short = number.saturating_mul(days) <= longest
            && number.saturating_mul(seconds) <= longest * 86_400;
        if !is_short {
            return Err("its offset is longer than 100 years");
        }
        Ok(PlaceholderOffset {
            days: sign * days * number,
            seconds: sign * seconds * number,
        })
    }
}

impl PlaceholderFormat {
    fn parse(text: &str) -> Result<PlaceholderFormat, &'static str> {
        match text {
            "unix" => return Ok(PlaceholderFormat::UnixSeconds),
            "unix_ms" => return Ok(PlaceholderFormat::UnixMilliseconds),
            _ if text.chars().any(char::is_control) => {
                return Err("its format holds a control character");
            }
            _ if !text.contains('%') => {
                return Err("its format has no directive of strftime, such as %Y");
            }
            _ => {}
        }
        let sample = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
        match jiff::fmt::strtime::format(text, &sample) {
            Ok(filled) if filled.chars().any(char::is_control) => {
                Err("its format makes a line break or a tab")
            }
            Ok(_) => Ok(PlaceholderFormat::Strftime(text.to_owned())),
            Err(_) => Err("its format has a directive that strftime lacks"),
        }
    }
}

#[cfg(test)]
#[path = "tests/placeholder.rs"]
mod tests;
