//! Recorded HTTP exchanges: what was sent and received, for commands that print it and for the
//! log at level `trace`. Otherwise none is recorded.
//!
//! Values; any thread.

use serde_json::Value as Json;
use ureq::http::{HeaderMap, Method, Uri};

use crate::domain::redact::{MASK, Secrets};
use crate::domain::secret_detection::{is_likely_key, is_secret_name};
use crate::domain::text::{ellipsis, is_invisible};
use crate::limits;

use super::charset;
use super::status_errors::reason_phrase;
use super::www_authenticate;

/// One request and the start of its response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpExchange {
    /// `GET https://example.org/v1?lat=52.5`, secrets masked.
    pub request: String,
    /// Secrets masked.
    pub headers: Vec<(String, String)>,
    /// Start of the request's body, secrets masked; empty without one.
    pub request_body: String,
    /// About a certificate that was not accepted, and the line that pins it.
    pub pin_advice: Option<[String; 2]>,
    /// None without a response.
    pub status: Option<u16>,
    /// Start of the body, secrets masked.
    pub body_start: String,
}

impl HttpExchange {
    /// `body` is the request's, empty without one.
    pub fn new(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> HttpExchange {
        let headers = headers.iter().map(|(name, value)| {
            let shown = match value.to_str() {
                Ok(text) if text.starts_with(DIGEST) => masked_digest(&text[DIGEST.len()..]),
                Ok(_) if is_secret_name(name.as_str()) || value.is_sensitive() => MASK.to_owned(),
                Ok(text) => text.to_owned(),
                Err(_) => "(not ASCII)".to_owned(),
            };
            (name.to_string(), shown)
        });
        HttpExchange {
            request: format!("{method} {}", masked_uri(uri)),
            headers: headers.collect(),
            request_body: one_line(body, None),
            ..HttpExchange::default()
        }
    }

    /// Keeps the start of the response's body: one line without control characters.
    pub fn set_body(&mut self, body: &[u8], content_type: Option<&str>) {
        self.body_start = one_line(body, content_type);
    }

    /// The same of a response to a login or a request for a token, without what may be a token: the
    /// authenticator knows only what it uses.
    pub fn set_login_body(&mut self, body: &[u8], content_type: Option<&str>) {
        self.set_body(body, content_type);
        let mut found = Vec::new();
        match serde_json::from_slice(body) {
            Ok(tree) => find_tokens("", &tree, &mut found),
            Err(_) => {
                let pairs = body.split(|byte| *byte == b'&');
                let texts = pairs.map(String::from_utf8_lossy);
                let named = |text: &str| {
                    let (name, value) = text.split_once('=')?;
                    is_token(name, value).then(|| value.to_owned())
                };
                found.extend(texts.filter_map(|text| named(&text)));
            }
        }
        self.body_start = Secrets::new(found).mask(&self.body_start).into_owned();
    }

    /// Request, headers, status, and with `has_body` the start of the body, as lines.
    pub fn lines(&self, has_body: bool) -> Vec<String> {
        let mut lines = vec![self.request.clone()];
        let headers = self.headers.iter();
        lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
        let shown = |text: &str| ellipsis(text, limits::RESPONSE_SAMPLE_CHARS);
        if !self.request_body.is_empty() {
            lines.push(format!("body: {}", shown(&self.request_body)));
        }
        lines.push(match self.status {
            Some(status) => format!("response: HTTP {status}{}", reason_phrase(status)),
            None => "no response".to_owned(),
        });
        lines.extend(self.pin_advice.iter().flatten().cloned());
        if has_body && !self.body_start.is_empty() {
            lines.push(format!("response body begins: {}", shown(&self.body_start)));
        }
        lines
    }

    /// Without the configured secrets, which a server may repeat.
    pub fn mask(&mut self, secrets: &Secrets) {
        let mask = |text: &mut String| *text = secrets.mask(text).into_owned();
        mask(&mut self.request);
        mask(&mut self.request_body);
        mask(&mut self.body_start);
        self.headers.iter_mut().for_each(|(_, value)| mask(value));
    }
}

/// Shorter texts in a response are words.
const SHORTEST_TOKEN: usize = 8;

fn is_token(name: &str, value: &str) -> bool {
    let is_named = is_secret_name(name) && name != "token_type";
    value.len() >= SHORTEST_TOKEN && (is_named || is_likely_key(value))
}

fn find_tokens(name: &str, tree: &Json, found: &mut Vec<String>) {
    match tree {
        Json::String(text) if is_token(name, text) => found.push(text.clone()),
        Json::Array(items) => items.iter().for_each(|it| find_tokens(name, it, found)),
        Json::Object(fields) => {
            for (name, it) in fields {
                find_tokens(name, it, found);
            }
        }
        _ => {}
    }
}

const DIGEST: &str = "Digest ";

/// An answer to a Digest challenge, without the user and the hash of the password.
fn masked_digest(params: &str) -> String {
    let params = www_authenticate::parse_params(params.as_bytes());
    let shown = ["realm", "algorithm", "qop", "nonce", "nc", "cnonce"].map(|name| {
        let value = params.shown_param(name)?;
        Some(format!("{name}={value}, "))
    });
    let shown: String = shown.into_iter().flatten().collect();
    format!("{DIGEST}username={MASK}, {shown}response={MASK}")
}

/// Bytes that hold what is kept, whatever the characters are.
const KEPT_BYTES: usize =
    (limits::RESPONSE_SAMPLE_CHARS + limits::RESPONSE_SAMPLE_MARGIN_CHARS) * 4;

/// The start of a body without line ends and other characters that a terminal obeys.
fn one_line(body: &[u8], content_type: Option<&str>) -> String {
    let text = charset::decode(&body[..body.len().min(KEPT_BYTES)], content_type);
    let shown = text.chars().map(|c| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() || is_invisible(c) => '?',
        c => c,
    });
    shown.collect::<String>().trim().to_owned()
}

/// Without user-info, and with the values of secret parameters and segments that look like a key
/// masked.
fn masked_uri(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |it| it.as_str());
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => authority.to_owned(),
    };
    let scheme = uri.scheme_str().unwrap_or("http");
    let segments = uri.path().split('/');
    let path: Vec<&str> = segments
        .map(|part| if is_likely_key(part) { MASK } else { part })
        .collect();
    let query = uri.query().map(|query| {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret_name(name) => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        });
        format!("?{}", pairs.collect::<Vec<String>>().join("&"))
    });
    format!(
        "{scheme}://{host}{}{}",
        path.join("/"),
        query.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    #[test]
    fn secrets_are_masked_in_requests() {
        let uri: Uri = "https://me:hush@example.org/v1/hush-hush?lat=52.5&apikey=abcdefgh"
            .parse()
            .expect("a URL");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "application/json"),
            ("authorization", "Basic bWU6aHVzaA=="),
            ("x-api-key", "abcdefgh"),
            (
                "x-answer",
                "Digest username=\"me\", realm=\"a\\\"b\", nonce=\"n\", uri=\"/?key=abcdefgh\", \
                 qop=auth, nc=00000001, cnonce=\"c\", response=\"5cfac86a62ef4d27\"",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let mut exchange = HttpExchange::new(&Method::GET, &uri, &headers, b"");
        exchange.set_body(
            "{\"error\":\"hush-hush\u{1b}[31m\nis wrong\"}".as_bytes(),
            None,
        );
        exchange.mask(&Secrets::new(["hush-hush".to_owned()]));
        assert_eq!(
            exchange.request,
            "GET https://***@example.org/v1/***?lat=52.5&apikey=***"
        );
        let shown: Vec<String> = exchange
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "accept: application/json",
                "authorization: ***",
                "x-api-key: ***",
                "x-answer: Digest username=***, realm=a\"b, qop=auth, nonce=n, nc=00000001, \
                 cnonce=c, response=***"
            ]
        );
        assert_eq!(exchange.body_start, "{\"error\":\"***?[31m is wrong\"}");
    }

    #[test]
    fn tokens_in_the_response_to_a_login_are_masked() {
        for (body, expected) in [
            (
                r#"{"token_type": "Bearer-of", "refresh_token": "abcdefgh", "expires_in": 3600}"#,
                r#"{"token_type": "Bearer-of", "refresh_token": "***", "expires_in": 3600}"#,
            ),
            (
                r#"{"session": {"sid": "a/b+c\u003d12", "csrf": "abcd-efgh", "message": "welcome back"}}"#,
                r#"{"session": {"sid": "***", "csrf": "***", "message": "welcome back"}}"#,
            ),
            (
                r#"{"cookies": ["first-one", "other-one"], "x": "a1b2c3d4e5f6a7b8c9d0"}"#,
                r#"{"cookies": ["***", "***"], "x": "***"}"#,
            ),
            (
                r#"{"login": "ok", "user": "me"}"#,
                r#"{"login": "ok", "user": "me"}"#,
            ),
            (
                "access_token=gho_12345678&scope=repository&token_type=bearer",
                "access_token=***&scope=repository&token_type=bearer",
            ),
            ("<html>log in", "<html>log in"),
        ] {
            let mut exchange = HttpExchange::default();
            exchange.set_login_body(body.as_bytes(), None);
            assert_eq!(exchange.body_start, expected);
        }
    }

    #[test]
    fn the_start_of_a_body_is_shown_as_one_line() {
        let shown = |body: &[u8]| {
            let mut exchange = HttpExchange::default();
            exchange.set_body(body, None);
            exchange.lines(true).pop().unwrap_or_default()
        };
        for (body, expected) in [
            (&b"<html>\r\n\t<b>log in"[..], "<html>   <b>log in"),
            (b"\xef\xbb\xbf{\"a\": 1}\n", "{\"a\": 1}"),
            // Latin-1.
            (b"Stra\xdfe", "Straße"),
            ("21 °C\u{9b}31m\u{202e}x\0".as_bytes(), "21 °C?31m?x?"),
        ] {
            assert_eq!(shown(body), format!("response body begins: {expected}"));
        }
        assert_eq!(shown(b" \n"), "no response");
        for long in ["é".repeat(5_000), "a".to_owned() + &"é".repeat(5_000)] {
            let line = shown(long.as_bytes());
            let cut: String = long.chars().take(limits::RESPONSE_SAMPLE_CHARS).collect();
            assert_eq!(line, format!("response body begins: {cut}…"));
        }
    }

    #[test]
    fn a_secret_at_the_cut_is_masked_whole() {
        let secret = "0123456789abcdef".repeat(10);
        let mut exchange = HttpExchange::default();
        exchange.set_body(format!("{}{secret}", "x".repeat(280)).as_bytes(), None);
        exchange.mask(&Secrets::new([secret]));
        let expected = format!("response body begins: {}***", "x".repeat(280));
        assert_eq!(exchange.lines(true).pop(), Some(expected));
    }
}
