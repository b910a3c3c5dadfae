//! Cookie jar (RFC 6265) of one authenticator, in memory.
//!
//! Pure: the time is an argument. Cookies belong to one origin (scheme, host, port) and go nowhere
//! else, whatever their `Domain` says. The node's own clock is never compared with `Expires`, but the
//! `Date` of the response.

use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;
use ureq::http::uri::Scheme;
use ureq::http::{HeaderMap, HeaderValue, Uri, header};

use crate::api::origin;
use crate::domain::compact_sort::CompactSort;
use crate::domain::http_date;
use crate::domain::secret_detection::is_secret_name;
use crate::domain::time::{Mono, Wall};
use crate::limits;

/// Shorter values of cookies with an ordinary name are settings, not identifiers of a session.
const SHORTEST_ID: usize = 8;

#[derive(Clone, Default)]
pub struct CookieJar {
    /// The earliest first.
    cookies: Vec<StoredCookie>,
    /// Values of cookies that were replaced or have ended.
    former: Vec<String>,
}

#[derive(Clone)]
struct StoredCookie {
    origin: String,
    name: String,
    value: String,
    path: String,
    /// Without it the cookie lives as long as the process.
    expires: Option<Mono>,
}

impl std::fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cookies", self.cookies.len())
    }
}

/// Why the cookies of a response were not kept, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedCookie {
    /// `Secure`, and the server was asked by HTTP.
    Secure,
    /// For another host.
    Domain,
    TooLarge,
}

impl CookieJar {
    /// Keeps the cookies that the response to a request of `uri` sets, and removes those that it
    /// expires. Returns how many it set, and why another was refused.
    pub fn store(
        &mut self,
        uri: &Uri,
        headers: &HeaderMap,
        now: Mono,
    ) -> (usize, Option<RefusedCookie>) {
        let date = headers.get(header::DATE).and_then(|it| it.to_str().ok());
        let date = date.and_then(http_date::parse);
        let (mut count, mut refused) = (0, None);
        for field in headers.get_all(header::SET_COOKIE) {
            let Some(cookie) = SetCookie::parse(field) else {
                continue;
            };
            if let Some(why) = cookie.refusal(uri) {
                refused = Some(why);
                continue;
            }
            count += usize::from(self.set(uri, cookie, date, now));
        }
        (count, refused)
    }

    /// Whether the cookie is kept, and not removed.
    fn set(&mut self, uri: &Uri, cookie: SetCookie, date: Option<Wall>, now: Mono) -> bool {
        let stored = StoredCookie {
            origin: origin::pool_key(uri),
            path: cookie.path.clone().unwrap_or_else(|| default_path(uri)),
            expires: cookie.expires(date, now),
            name: cookie.name,
            value: cookie.value,
        };
        self.remove_expired(now);
        let is_same = |it: &StoredCookie| {
            (&it.origin, &it.name, &it.path) == (&stored.origin, &stored.name, &stored.path)
        };
        let earlier = self.cookies.iter().position(is_same);
        let is_alive = stored.is_alive(now);
        match earlier {
            Some(at) if is_alive => {
                let replaced = std::mem::replace(&mut self.cookies[at], stored);
                self.keep_masked([replaced]);
            }
            Some(at) => {
                let ended = self.cookies.remove(at);
                self.keep_masked([ended]);
            }
            None if is_alive => self.add(stored),
            None => {}
        }
        is_alive
    }

    /// Adds a new cookie, in the place of the earliest of its origin where there are too many.
    fn add(&mut self, cookie: StoredCookie) {
        let of_origin = self.cookies.iter().filter(|it| it.origin == cookie.origin);
        if of_origin.count() >= limits::COOKIES
            && let Some(at) = self
                .cookies
                .iter()
                .position(|it| it.origin == cookie.origin)
        {
            let dropped = self.cookies.remove(at);
            self.keep_masked([dropped]);
        }
        if self.cookies.len() >= limits::COOKIES * limits::SOURCES {
            let dropped = self.cookies.remove(0);
            self.keep_masked([dropped]);
        }
        self.cookies.push(cookie);
    }

    fn remove_expired(&mut self, now: Mono) {
        let ended = self.cookies.extract_if(.., |it| !it.is_alive(now));
        let ended: Vec<StoredCookie> = ended.collect();
        self.keep_masked(ended);
    }

    /// Notes the values of cookies that the jar no longer has.
    fn keep_masked(&mut self, gone: impl IntoIterator<Item = StoredCookie>) {
        for cookie in gone.into_iter().filter(StoredCookie::is_secret) {
            self.former.retain(|it| *it != cookie.value);
            self.former.push(cookie.value);
        }
        let surplus = self.former.len().saturating_sub(limits::MASKED_COOKIES);
        self.former.drain(..surplus);
    }

    /// Forgets the cookies of the origin of `uri`: its session has ended.
    pub fn clear(&mut self, uri: &Uri) {
        let origin = origin::pool_key(uri);
        let ended = self.cookies.extract_if(.., |it| it.origin == origin);
        let ended: Vec<StoredCookie> = ended.collect();
        self.keep_masked(ended);
    }

    /// Adds the cookies for `uri` to its headers, behind those of a configured `Cookie` header, of
    /// which the names count.
    pub fn add_to(&self, uri: &Uri, headers: &mut HeaderMap, now: Mono) {
        let origin = origin::pool_key(uri);
        let path = request_path(uri);
        let configured = headers.get(header::COOKIE).and_then(|it| it.to_str().ok());
        let configured = configured.unwrap_or_default().trim().trim_end_matches(';');
        let is_configured = |name: &str| {
            let mut pairs = configured.split(';');
            pairs.any(|pair| pair.split('=').next().unwrap_or_default().trim() == name)
        };
        let mut sent: Vec<&StoredCookie> = self.cookies.iter().collect();
        sent.retain(|it| {
            let is_for = it.origin == origin && path_matches(path, &it.path) && it.is_alive(now);
            is_for && !is_configured(&it.name)
        });
        // The longest path first (RFC 6265, 5.4), of equal ones the earliest.
        sent.compact_sort_by_key(|it| std::cmp::Reverse(it.path.len()));
        // A longer line cannot be sent at all.
        let mut size = configured.len();
        sent.retain(|it| {
            let bytes = it.name.len() + it.value.len() + 3;
            let fits = size + bytes <= limits::CREDENTIAL_BYTES;
            size += if fits { bytes } else { 0 };
            fits
        });
        let pairs = sent.iter().map(|it| format!("{}={}", it.name, it.value));
        let configured = Some(configured.to_owned()).filter(|it| !it.is_empty());
        let pairs: Vec<String> = configured.into_iter().chain(pairs).collect();
        if !sent.is_empty()
            && let Ok(mut value) = HeaderValue::from_str(&pairs.join("; "))
        {
            value.set_sensitive(true);
            headers.insert(header::COOKIE, value);
        }
    }

    /// Values that are never shown, of present cookies and of those that were replaced a while ago.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let present = self.cookies.iter().filter(|it| it.is_secret());
        let present = present.map(|it| it.value.as_str());
        present.chain(self.former.iter().map(String::as_str))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.cookies.len()
    }
}

impl StoredCookie {
    /// All are but those that are words, such as a language.
    fn is_secret(&self) -> bool {
        let has_digit = self.value.bytes().any(|byte| byte.is_ascii_digit());
        is_secret_name(&self.name) || (self.value.len() >= SHORTEST_ID && has_digit)
    }

    fn is_alive(&self, now: Mono) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// A `Set-Cookie` field, parsed as browsers do (RFC 6265, 5.2).
#[derive(Debug, Default, PartialEq, Eq)]
struct SetCookie {
    name: String,
    value: String,
    path: Option<String>,
    domain: Option<String>,
    max_age: Option<i64>,
    expires: Option<Wall>,
    is_secure: bool,
}

impl SetCookie {
    fn parse(field: &HeaderValue) -> Option<SetCookie> {
        let text = std::str::from_utf8(field.as_bytes()).ok()?;
        let mut parts = text.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        // Without a name, or what no header can hold.
        if name.is_empty() || HeaderValue::from_str(value).is_err() {
            return None;
        }
        let mut cookie = SetCookie {
            name: name.to_owned(),
            value: value.to_owned(),
            ..SetCookie::default()
        };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            cookie.set_attribute(&name.trim().to_ascii_lowercase(), value.trim());
        }
        Some(cookie)
    }

    /// Of several attributes of one name the last counts; what cannot be read is left out.
    fn set_attribute(&mut self, name: &str, value: &str) {
        match name {
            "path" => self.path = value.starts_with('/').then(|| value.to_owned()),
            "domain" => {
                let domain = value.strip_prefix('.').unwrap_or(value);
                if !domain.is_empty() {
                    self.domain = Some(domain.to_ascii_lowercase());
                }
            }
            "max-age" => {
                let digits = value.strip_prefix('-').unwrap_or(value);
                if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    let longest = if value.starts_with('-') { -1 } else { i64::MAX };
                    self.max_age = Some(value.parse().unwrap_or(longest));
                }
            }
            "expires" => {
                if let Some(expires) = cookie_date(value) {
                    self.expires = Some(expires);
                }
            }
            "secure" => self.is_secure = true,
            _ => {}
        }
    }

    fn refusal(&self, uri: &Uri) -> Option<RefusedCookie> {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        // What stays on this machine is as good as encrypted, as in browsers and curl.
        let is_local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        if self.is_secure && uri.scheme() != Some(&Scheme::HTTPS) && !is_local {
            return Some(RefusedCookie::Secure);
        }
        if let Some(domain) = &self.domain
            && !domain_matches(&host, domain)
        {
            return Some(RefusedCookie::Domain);
        }
        let path = self.path.as_deref().map_or(0, str::len);
        let is_large = self.name.len() + self.value.len() + path > limits::COOKIE_BYTES;
        is_large.then_some(RefusedCookie::TooLarge)
    }

    /// When it expires: `Max-Age` counts before `Expires`. Without the server's `Date`, only a time that
    /// is certainly past expires it.
    fn expires(&self, date: Option<Wall>, now: Mono) -> Option<Mono> {
        if let Some(seconds) = self.max_age {
            let lifetime = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            return Some(now.after(lifetime));
        }
        let expires = self.expires?;
        let earliest = Wall::from_second(limits::EARLIEST_PLAUSIBLE_WALL_S);
        match date {
            Some(date) => Some(now.after(expires.since(date))),
            None => (expires < earliest).then_some(now),
        }
    }
}

/// Whether a cookie of `domain` may be kept for `host` (RFC 6265, 5.1.3); both in lower case.
fn domain_matches(host: &str, domain: &str) -> bool {
    let host = host.trim_end_matches('.');
    let is_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    let is_below = || {
        let before = host.strip_suffix(domain);
        before.is_some_and(|before| before.ends_with('.'))
    };
    host == domain || (!is_address && is_below())
}

fn request_path(uri: &Uri) -> &str {
    match uri.path() {
        "" => "/",
        path => path,
    }
}

/// The path of the request up to its last slash (RFC 6265, 5.1.4).
fn default_path(uri: &Uri) -> String {
    match request_path(uri).rsplit_once('/') {
        Some((directory, _)) if !directory.is_empty() => directory.to_owned(),
        _ => "/".to_owned(),
    }
}

fn path_matches(request: &str, cookie: &str) -> bool {
    let rest = request.strip_prefix(cookie);
    rest.is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// A date as servers write it in cookies, in whatever order (RFC 6265, 5.1.1).
fn cookie_date(text: &str) -> Option<Wall> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let is_delimiter = |c: char| !c.is_ascii_alphanumeric() && c != ':' && c.is_ascii();
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        let name = token.get(..3).map(str::to_ascii_lowercase);
        let month_of = || MONTHS.iter().position(|it| name.as_deref() == Some(*it));
        if let (None, Some(found)) = (time, time_of_day(token)) {
            time = Some(found);
        } else if let (None, Some(found)) = (day, leading_number(token, 1..=2)) {
            day = Some(found);
        } else if let (None, Some(found)) = (month, month_of()) {
            month = Some(found);
        } else if let (None, Some(found)) = (year, leading_number(token, 2..=4)) {
            year = Some(match found {
                70..=99 => 1900 + found,
                0..=69 => 2000 + found,
                _ => found,
            });
        }
    }
    let (hour, minute, second) = time?;
    let number = |number: u16| i8::try_from(number).ok();
    let year = i16::try_from(year?).ok().filter(|year| *year >= 1601)?;
    let date = civil::Date::new(year, number(month? as u16 + 1)?, number(day?)?).ok()?;
    let time = civil::Time::new(number(hour)?, number(minute)?, number(second)?, 0).ok()?;
    let zoned = date.to_datetime(time).to_zoned_datetime(TimeZone::UTC);
    zoned.ok().map(|it| Wall(it.timestamp().as_millisecond()))
}

/// `8:49:37`, and whatever follows.
fn time_of_day(token: &str) -> Option<(u16, u16, u16)> {
    let mut parts = token.splitn(3, ':');
    let mut part = || parts.next();
    let whole = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (hour, minute, second) = (part()?, part()?, part()?);
    let hour = leading_number(hour, 1..=2).filter(|_| whole(hour))?;
    let minute = leading_number(minute, 1..=2).filter(|_| whole(minute))?;
    Some((hour, minute, leading_number(second, 1..=2)?))
}

/// The digits that a token begins with, if there are as many as expected.
fn leading_number(token: &str, count: std::ops::RangeInclusive<usize>) -> Option<u16> {
    let end = token.find(|c: char| !c.is_ascii_digit());
    let digits = &token[..end.unwrap_or(token.len())];
    count
        .contains(&digits.len())
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
#[path = "tests/cookies.rs"]
mod tests;
