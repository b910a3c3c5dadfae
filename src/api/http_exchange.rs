//! Recorded HTTP exchanges, for the commands that fetch once and print what was sent and
//! received. The service records none.
//!
//! Values; any thread.

use ureq::http::{HeaderMap, Method, Uri};

use crate::domain::redact::{MASK, Secrets};
use crate::domain::text::ellipsis;
use crate::limits;

/// One request and the start of its response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpExchange {
    /// `GET https://example.org/v1?lat=52.5`, secrets masked.
    pub request: String,
    /// Secrets masked.
    pub headers: Vec<(String, String)>,
    /// None without a response.
    pub status: Option<u16>,
    /// Start of the body, secrets masked.
    pub body_start: String,
}

/// Parts of the name of a header or parameter whose value is masked, known secret or not.
const SECRET_NAMES: [&str; 10] = [
    "auth", "key", "token", "secret", "pass", "pwd", "cookie", "appid", "session", "sign",
];

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

impl HttpExchange {
    pub fn new(method: &Method, uri: &Uri, headers: &HeaderMap) -> HttpExchange {
        let headers = headers.iter().map(|(name, value)| {
            let shown = match value.to_str() {
                Ok(_) if is_secret_name(name.as_str()) || value.is_sensitive() => MASK.to_owned(),
                Ok(text) => text.to_owned(),
                Err(_) => "(not ASCII)".to_owned(),
            };
            (name.to_string(), shown)
        });
        HttpExchange {
            request: format!("{method} {}", masked_uri(uri)),
            headers: headers.collect(),
            ..HttpExchange::default()
        }
    }

    /// Keeps the start of the body: one line without control characters.
    pub fn set_body(&mut self, body: &[u8]) {
        let body = &body[..body.len().min(ANSWER_BYTES)];
        let text = String::from_utf8_lossy(body);
        let text = text.chars().map(|c| match c {
            '\r' | '\n' | '\t' => ' ',
            c if c.is_control() => '?',
            c => c,
        });
        let start = ellipsis(&text.collect::<String>(), limits::RESPONSE_SAMPLE_CHARS);
        self.body_start = start.trim().to_owned();
    }

    /// Without the configured secrets, which a server may repeat.
    pub fn mask(&mut self, secrets: &Secrets) {
        let mask = |text: &mut String| *text = secrets.mask(text).into_owned();
        mask(&mut self.request);
        mask(&mut self.body_start);
        self.headers.iter_mut().for_each(|(_, value)| mask(value));
    }
}

/// Bytes that hold `limits::RESPONSE_SAMPLE_CHARS` characters, whatever they are.
const ANSWER_BYTES: usize = limits::RESPONSE_SAMPLE_CHARS * 4 + 4;

/// Without user-info, and with the values of secret parameters masked.
fn masked_uri(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |it| it.as_str());
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => authority.to_owned(),
    };
    let scheme = uri.scheme_str().unwrap_or("http");
    let query = uri.query().map(|query| {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret_name(name) => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        });
        format!("?{}", pairs.collect::<Vec<String>>().join("&"))
    });
    format!(
        "{scheme}://{host}{}{}",
        uri.path(),
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
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let mut exchange = HttpExchange::new(&Method::GET, &uri, &headers);
        exchange.set_body("{\"error\":\"hush-hush\u{1b}[31m\nis wrong\"}".as_bytes());
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
                "x-api-key: ***"
            ]
        );
        assert_eq!(exchange.body_start, "{\"error\":\"***?[31m is wrong\"}");
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let mut exchange = HttpExchange::default();
        exchange.set_body("é".repeat(5_000).as_bytes());
        assert_eq!(
            exchange.body_start.chars().count(),
            limits::RESPONSE_SAMPLE_CHARS + 1
        );
        assert!(exchange.body_start.ends_with("é…"));
        exchange.set_body(b"short");
        assert_eq!(exchange.body_start, "short");
    }
}
