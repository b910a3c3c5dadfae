//! HTTP response: status, validators, Date, Retry-After, body.
//!
//! Pure.

use std::time::Duration;

use ureq::Body;
use ureq::http::{HeaderMap, Response, Uri, header};

use super::cache_lifetime::CacheLifetime;
use super::validators::Validators;
use super::{link_header, origin};
use crate::domain::failure::Failure;
use crate::domain::http_date;
use crate::domain::time::{Moment, Wall};
use crate::limits;
use crate::sys::retry_after::retry_after_of;

/// A successful response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedResponse {
    /// 2xx with a body, or 304 if the request was conditional.
    pub status: u16,
    /// After decompression.
    pub body: Vec<u8>,
    /// Whether the end of the body was marked (by its length, a last chunk, the trailer of a
    /// compressed body or the end of TLS): where it is not, a closed connection may have cut the body short.
    pub is_end_marked: bool,
    pub validators: Validators,
    /// The server's clock, unless it is this machine's or the response may come from a cache.
    pub date: Option<Wall>,
    /// The origin of the final response: `https://example.org`.
    pub origin: String,
    /// The URL of the final response.
    pub uri: Uri,
    /// The header `Link` with `rel="next"`, as it stands.
    pub next_link: Option<String>,
    pub cache_lifetime: CacheLifetime,
    pub content_type: Option<String>,
    /// `Retry-After` of a successful response.
    pub retry_after: Option<Duration>,
}

impl FetchedResponse {
    /// Without its body. `is_other_clock`: the server's clock is not this machine's.
    pub fn from_head(
        response: &Response<Body>,
        from: &Uri,
        now: Moment,
        is_other_clock: bool,
    ) -> FetchedResponse {
        let headers = response.headers();
        let text = |name| text_of(headers, name);
        let date = text(header::DATE).and_then(|date| http_date::parse(&date));
        let retry_after = retry_after_of(headers, now.wall);
        let is_short = |text: &String| text.len() <= limits::VALIDATOR_BYTES;
        let status = response.status().as_u16();
        FetchedResponse {
            status,
            body: Vec::new(),
            is_end_marked: true,
            validators: Validators {
                etag: text(header::ETAG).filter(is_short),
                last_modified: text(header::LAST_MODIFIED).filter(is_short),
                request: 0,
            },
            date: date.filter(|_| is_other_clock && is_origin_date(status, headers)),
            origin: origin::display_origin(from),
            uri: from.clone(),
            next_link: next_link(headers),
            cache_lifetime: CacheLifetime::of_head(headers),
            content_type: text(header::CONTENT_TYPE),
            retry_after,
        }
    }

    /// Takes over what the head of a further page says about the next fetch.
    pub fn merge_head(&mut self, page: &FetchedResponse) {
        self.retry_after = self.retry_after.max(page.retry_after);
        self.cache_lifetime = self.cache_lifetime.shorter(page.cache_lifetime);
    }

    /// The server, as messages name it.
    pub fn host(&self) -> &str {
        self.origin.split("://").last().unwrap_or_default()
    }

    pub fn is_html(&self) -> bool {
        is_html_type(self.content_type.as_deref().unwrap_or_default())
    }
}

/// Whether a response is a page.
pub fn is_html(headers: &HeaderMap) -> bool {
    let kind = text_of(headers, header::CONTENT_TYPE);
    is_html_type(kind.as_deref().unwrap_or_default())
}

fn is_html_type(content_type: &str) -> bool {
    content_type.to_ascii_lowercase().starts_with("text/html")
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.map(|value| value.trim().to_owned())
}

fn next_link(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(header::LINK).iter();
    links
        .filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
        .find_map(link_header::next_target)
        .map(str::to_owned)
}

/// Whether the body is sent in chunks, the last of which marks its end.
pub fn is_chunked(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::TRANSFER_ENCODING).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// Why a fetch gave no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The node is stopping; no failure of the source.
    Stopped,
    Failed(Failure),
}

/// Whether `Date` is when the origin sent the response: a cached one has `Age`, and a 304 may
/// come from a cache.
fn is_origin_date(status: u16, headers: &HeaderMap) -> bool {
    status != 304 && !headers.contains_key(header::AGE)
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    #[test]
    fn the_date_of_a_cached_response_is_ignored() {
        for (status, fields, expected) in [
            (200, &[][..], true),
            (203, &[("x-cache", "MISS")], true),
            (200, &[("age", "0")], false),
            (200, &[("Age", "86400")], false),
            (304, &[], false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let name = header::HeaderName::try_from(*name).expect("a name");
                headers.insert(name, HeaderValue::from_static(value));
            }
            let found = is_origin_date(status, &headers);
            assert_eq!(found, expected, "{status} {fields:?}");
        }
    }
}
