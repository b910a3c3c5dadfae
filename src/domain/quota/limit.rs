//! Quota: how many requests a provider allows in a span of time, such as `50/day`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The spans, with their longest length: requests are spread evenly, and a month of 31 days
/// must not hold more either.
const SPANS: [(&str, u64); 4] = [
    ("minute", 60),
    ("hour", 3_600),
    ("day", 86_400),
    ("month", 31 * 86_400),
];

/// At most `count` requests in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    count: u32,
    span: &'static str,
    span_s: u64,
}

impl Quota {
    /// What to write, as the rest of a sentence.
    pub const FORMS: &str =
        "a quota such as \"50/day\", \"10/hour\", \"60/minute\" or \"1000/month\"";

    /// Requests in a span.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The share of the span that one request takes, in whole milliseconds, rounded up, where a
    /// fetch takes up to `pages` requests at once: the last fetch that begins within a span may
    /// end with all but one of its requests beyond the share of that span.
    pub fn request_interval(self, pages: u32) -> Duration {
        let span_ms = self.span_s * 1_000;
        let count = self.count.saturating_sub(pages.saturating_sub(1)).max(1);
        Duration::from_millis(span_ms.div_ceil(u64::from(count)))
    }

    /// The interval of each of `sources` that share the quota evenly.
    pub fn interval_of_each(self, sources: usize, pages: u32) -> Duration {
        let sources = u32::try_from(sources).unwrap_or(u32::MAX);
        self.request_interval(pages).saturating_mul(sources)
    }
}

impl FromStr for Quota {
    type Err = ();

    fn from_str(text: &str) -> Result<Quota, ()> {
        let (count, span) = text.split_once('/').ok_or(())?;
        let count: u32 = count.trim().parse().map_err(|_| ())?;
        let span = span.trim();
        match SPANS.into_iter().find(|(name, _)| *name == span) {
            Some((span, span_s)) if count > 0 => Ok(Quota {
                count,
                span,
                span_s,
            }),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_spread_evenly_and_never_a_moment_too_short() {
        for (text, interval_ms) in [
            ("1/day", 86_400_000),
            ("50/day", 1_728_000),
            ("7/day", 12_342_858),
            ("300 / day", 288_000),
            ("10/hour", 360_000),
            ("60/minute", 1_000),
            ("1000/month", 2_678_400),
            ("4294967295/minute", 1),
        ] {
            let quota: Quota = text.parse().expect(text);
            assert_eq!(
                quota.request_interval(1),
                Duration::from_millis(interval_ms),
                "{text}"
            );
            assert_eq!(quota.to_string(), text.replace(' ', ""));
        }
        for text in [
            "300/d",
            "0/day",
            "-1/day",
            "day",
            "/day",
            "1.5/day",
            "5/week",
            "",
            "5000000000/day",
        ] {
            assert_eq!(text.parse::<Quota>(), Err(()), "{text}");
        }
    }

    #[test]
    fn sources_that_share_a_quota_wait_for_each_other() {
        let quota: Quota = "300/day".parse().expect("a quota");
        let each = quota.interval_of_each(3, 1);
        assert_eq!(each, Duration::from_secs(14 * 60 + 24));
    }
}
