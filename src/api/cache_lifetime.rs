//! Cache lifetime: how long a response stays valid by `Cache-Control`, `Expires`, `Date` and `Age`
//! (RFC 9111).
//!
//! Pure. Only times of the server are compared, never this machine's clock.

use std::time::Duration;

use ureq::http::{HeaderMap, header};

use crate::domain::http_date;
use crate::domain::time::Wall;

/// What the head of a response says about its lifetime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheLifetime {
    cache_control: Option<CacheControl>,
    expires: Option<Wall>,
    date: Option<Wall>,
    /// How long caches had it already.
    age: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct CacheControl {
    /// `no-cache` or `no-store`.
    forbids: bool,
    max_age: Option<Duration>,
}

impl CacheLifetime {
    pub fn of_head(headers: &HeaderMap) -> CacheLifetime {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let date = |name| http_date::parse(text(name)?.trim());
        let mut cache_control = None;
        for value in headers.get_all(header::CACHE_CONTROL) {
            let directives: &mut CacheControl = cache_control.get_or_insert_default();
            directives.add(value.to_str().unwrap_or_default());
        }
        CacheLifetime {
            cache_control,
            expires: date(header::EXPIRES),
            date: date(header::DATE),
            age: text(header::AGE).and_then(seconds).unwrap_or_default(),
        }
    }

    /// How long it is valid from its receipt on; zero where the head does not say.
    pub fn left(&self) -> Duration {
        let control = self.cache_control.unwrap_or_default();
        let lifetime = match (control, self.expires, self.date) {
            (CacheControl { forbids: true, .. }, ..) => Duration::ZERO,
            (
                CacheControl {
                    max_age: Some(age), ..
                },
                ..,
            ) => age,
            (_, Some(expires), Some(date)) => expires.since(date),
            _ => Duration::ZERO,
        };
        lifetime.saturating_sub(self.age)
    }

    /// After a 304: its fields replace those of the stored response (RFC 9111, 4.3.4).
    pub fn refreshed_by(&self, not_modified: &CacheLifetime) -> CacheLifetime {
        CacheLifetime {
            cache_control: not_modified.cache_control.or(self.cache_control),
            expires: not_modified.expires.or(self.expires),
            date: not_modified.date,
            age: not_modified.age,
        }
    }

    /// The one that ends first.
    pub fn shorter(self, other: CacheLifetime) -> CacheLifetime {
        if other.left() < self.left() {
            other
        } else {
            self
        }
    }
}

impl CacheControl {
    fn add(&mut self, directives: &str) {
        for directive in split_unquoted(directives) {
            let (name, value) = match directive.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                None => (directive.trim(), None),
            };
            let is = |expected: &str| name.eq_ignore_ascii_case(expected);
            // `no-cache="Set-Cookie"` is about that field only.
            self.forbids |= is("no-store") || (is("no-cache") && value.is_none());
            if is("max-age") {
                // A value that is not a number counts as expired (RFC 9111, 4.2.1).
                let age = value.and_then(seconds).unwrap_or_default();
                self.max_age.get_or_insert(age);
            }
        }
    }
}

/// The parts between commas outside quotes.
fn split_unquoted(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    })
}

fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    fn head(fields: &[(&str, &'static str)]) -> CacheLifetime {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = header::HeaderName::try_from(*name).expect("a name");
            headers.append(name, HeaderValue::from_static(value));
        }
        CacheLifetime::of_head(&headers)
    }

    const DATE: (&str, &str) = ("Date", "Sat, 28 Nov 2026 21:00:00 GMT");
    const IN_30_MIN: (&str, &str) = ("Expires", "Sat, 28 Nov 2026 21:30:00 GMT");

    #[test]
    fn a_lifetime_is_read_as_http_defines_it() {
        for (fields, expected) in [
            (&[][..], 0),
            (&[("Cache-Control", "max-age=600")], 600),
            (&[("Cache-Control", "public, Max-Age = \"600\"")], 600),
            (
                &[
                    ("Cache-Control", "max-age=60"),
                    ("Cache-Control", "max-age=600"),
                ],
                60,
            ),
            (&[("Cache-Control", "s-maxage=900, max-age=60")], 60),
            (&[("Cache-Control", "s-maxage=900")], 0),
            (&[("Cache-Control", "max-age=600"), ("Age", "500")], 100),
            (&[("Cache-Control", "max-age=600"), ("Age", "700")], 0),
            (&[("Cache-Control", "max-age=600"), ("Age", "-5")], 600),
            (&[("Cache-Control", "max-age=600, no-cache")], 0),
            (&[("Cache-Control", "no-store"), DATE, IN_30_MIN], 0),
            (&[("Cache-Control", "max-age=0"), DATE, IN_30_MIN], 0),
            (&[("Cache-Control", "max-age=soon"), DATE, IN_30_MIN], 0),
            (
                &[(
                    "Cache-Control",
                    "no-cache=\"Set-Cookie, max-age=5\", max-age=600",
                )],
                600,
            ),
            (&[("Cache-Control", "private"), DATE, IN_30_MIN], 1_800),
            (&[DATE, IN_30_MIN], 1_800),
            (&[DATE, IN_30_MIN, ("Age", "600")], 1_200),
            // Never by our own clock.
            (&[IN_30_MIN], 0),
            (&[DATE, ("Expires", "0")], 0),
            (&[DATE, ("Expires", "Sat, 28 Nov 2026 20:00:00 GMT")], 0),
        ] {
            let found = head(fields).left();
            assert_eq!(found, Duration::from_secs(expected), "{fields:?}");
        }
        let endless = head(&[("Cache-Control", "max-age=99999999999999999999")]);
        assert_eq!(endless.left(), Duration::from_secs(u64::MAX));
    }

    #[test]
    fn a_304_refreshes_the_lifetime() {
        let by_age = head(&[("Cache-Control", "max-age=600"), ("Age", "500")]);
        let by_date = head(&[DATE, IN_30_MIN]);
        let later = ("Date", "Sat, 28 Nov 2026 21:20:00 GMT");
        let in_an_hour = ("Expires", "Sat, 28 Nov 2026 22:20:00 GMT");
        for (stored, not_modified, expected) in [
            (by_age, &[][..], 600),
            (by_age, &[("Cache-Control", "max-age=60")], 60),
            (by_date, &[later], 600),
            (by_date, &[later, in_an_hour], 3_600),
            (by_date, &[], 0),
        ] {
            let found = stored.refreshed_by(&head(not_modified)).left();
            assert_eq!(
                found,
                Duration::from_secs(expected),
                "{stored:?} {not_modified:?}"
            );
        }
        assert_eq!(by_age.shorter(by_date), by_age);
        assert_eq!(by_date.shorter(by_age), by_age);
    }
}
