//! HTTP status errors: each status to a cause and a message.
//!
//! Pure.

use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode, Uri, header};

use super::digest::DigestOffer;
use super::www_authenticate::{self, Challenge};

use crate::domain::failure::{Cause, Failure};
use crate::domain::text::human_duration;
use crate::limits;

/// The failure for a status without readings.
pub fn classify_status(
    code: u16,
    host: &str,
    retry_after: Option<Duration>,
    denial: &AccessDenial,
) -> Failure {
    let reason = reason_phrase(code);
    let cause = match code {
        100..=299 | 304 => Cause::Protocol,
        300..=399 => Cause::Redirect,
        429 => Cause::RateLimited,
        _ => Cause::HttpStatus,
    };
    let answers = format!("{host} answers {code}{reason}");
    let detail = match code {
        204 | 205 => format!("{answers}: success without a body"),
        304 => format!("{answers} to a request that was not conditional"),
        100..=299 => format!("{answers}, which is not expected here"),
        300..=399 => format!("{answers} without a Location"),
        401 | 403 => format!("{answers}: {}", denial.explain(code)),
        407 => PROXY_LOGIN.to_owned(),
        404 | 410 => format!("{answers}: the URL or a parameter is wrong"),
        405 => {
            format!("{answers}: the address wants the other method: GET, or POST with a `body`")
        }
        415 => format!("{answers}: the server wants another `content_type` of `body`"),
        429 => match retry_after {
            Some(wait) => format!("{host} asks to wait {}", human_duration(wait)),
            None => format!("{host}: too many requests"),
        },
        400..=499 => format!("{answers}: the request was not accepted"),
        _ => match retry_after {
            Some(wait) => format!("{answers} and asks to wait {}", human_duration(wait)),
            None => format!("{answers}: the server has a problem"),
        },
    };
    Failure {
        retry_after,
        ..Failure::new(cause, detail)
    }
}

/// The failure for an error page of the proxy itself, as Squid and RFC 9209 mark it.
pub fn proxy_failure(code: u16, headers: &HeaderMap, host: &str) -> Option<Failure> {
    let field = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let squid = field("x-squid-error").and_then(|it| it.split_whitespace().next());
    let status = field("proxy-status").and_then(|it| it.split("error=").nth(1));
    let status = status.and_then(|it| it.split([';', ',', ' ']).next());
    let is_name = |name: &&str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        (1..=limits::PROXY_ERROR_BYTES).contains(&name.len()) && name.bytes().all(is_letter)
    };
    let error = squid.or(status).filter(is_name)?;
    let why = match error {
        "ERR_ACCESS_DENIED" | "ERR_CACHE_ACCESS_DENIED" => "does it allow that host and port?",
        "ERR_DNS_FAIL" | "dns_error" => "it finds no host of that name; is the name right?",
        _ => "it did not get a response from there",
    };
    let reason = reason_phrase(code);
    let detail = format!("the proxy answers {code}{reason} ({error}) for {host}: {why}");
    (code != 407).then(|| Failure::new(Cause::Connect, detail))
}

pub const PROXY_LOGIN: &str = "the proxy answers 407: user or password missing or wrong; write \
    them as proxy = \"http://user:password@host:port\"";

/// What a denied request had, in which credentials may be.
#[derive(Clone, Copy)]
pub struct SentCredentials<'a> {
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
}

/// Whether there are headers other than those of every request.
pub fn has_credentials(headers: &HeaderMap) -> bool {
    let usual = [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::HOST,
        header::IF_MODIFIED_SINCE,
        header::IF_NONE_MATCH,
        header::USER_AGENT,
    ];
    headers.keys().any(|name| !usual.contains(name))
}

/// Why access was denied: details of a 401 or 403 response and its redirects.
#[derive(Debug, Clone, Default)]
pub struct AccessDenial {
    /// What `WWW-Authenticate` offers.
    pub challenges: Vec<Challenge>,
    /// The scheme of the `Authorization` that was sent: `Basic`.
    pub sent_scheme: Option<String>,
    /// Nothing was sent that may be a credential.
    pub is_anonymous: bool,
    /// Its head or body mentions a quota.
    pub mentions_quota: bool,
    /// The origins of a redirect at which credentials were dropped.
    pub dropped_credentials: Option<(String, String)>,
}

impl AccessDenial {
    /// From the head and the start of the body of a response.
    pub fn read(
        headers: &HeaderMap,
        body: &[u8],
        sent: SentCredentials<'_>,
        dropped_credentials: Option<(String, String)>,
    ) -> AccessDenial {
        let is_spent = [
            "x-ratelimit-remaining",
            "ratelimit-remaining",
            "x-rate-limit-remaining",
        ]
        .iter()
        .any(|name| headers.get(*name).is_some_and(|value| value == "0"));
        // A user name may be no ASCII.
        let authorization = sent.headers.get(header::AUTHORIZATION);
        let authorization = authorization.map(|it| String::from_utf8_lossy(it.as_bytes()));
        AccessDenial {
            challenges: www_authenticate::challenges(headers),
            sent_scheme: authorization
                .and_then(|it| Some(it.split_whitespace().next()?.to_owned())),
            is_anonymous: sent.uri.query().is_none() && !has_credentials(sent.headers),
            mentions_quota: is_spent || mentions_quota(body),
            dropped_credentials,
        }
    }

    fn explain(&self, code: u16) -> String {
        if let Some((from, to)) = &self.dropped_credentials {
            return format!(
                "{from} redirects to {to}, and credentials and headers are not sent to another \
                 server or port; write url = \"{to}/…\" (base_url of an operation) in this source"
            );
        }
        if code == 403 && self.mentions_quota {
            return "it speaks of a limit or quota; ask less often (`every`, `quota`), or see what \
                    your key allows"
                .to_owned();
        }
        let wants = |scheme: &str| self.challenges.iter().any(|it| it.is(scheme));
        let sends = |scheme: &str| {
            let sent = self.sent_scheme.as_ref();
            sent.is_some_and(|sent| sent.eq_ignore_ascii_case(scheme))
        };
        let is_sent = self.sent_scheme.is_some();
        if wants("Digest") || sends("Digest") {
            let has_others = wants("Basic") || wants("Bearer");
            if sends("Digest") || !has_others {
                return self.explain_digest(code);
            }
        }
        let known = ["Basic", "Bearer", "Digest"];
        if !self.challenges.is_empty() && !known.iter().any(|it| wants(it)) {
            return self.explain_other_scheme();
        }
        let words = match () {
            () if sends("Basic") && wants("Basic") => WRONG_PASSWORD,
            () if sends("Basic") && code == 401 && self.challenges.is_empty() => {
                "the user or the password is wrong, or it does not take them as HTTP Basic"
            }
            () if sends("Bearer") && wants("Bearer") => "the token is wrong or has expired",
            () if wants("Basic") && is_sent => {
                "it wants a user and a password (auth = { user = …, password = … }), and this \
                 source sends something else"
            }
            () if wants("Basic") => {
                "it wants a user and a password: add auth = { user = …, password = … }"
            }
            () if wants("Bearer") && is_sent => {
                "it wants a token (auth = { token = … }), and this source sends something else"
            }
            () if wants("Bearer") => "it wants a token: add auth = { token = … }",
            () if code == 403 => NOT_ALLOWED,
            () if self.is_anonymous => "this source sends no credentials: add `auth`",
            () if sends("Bearer") => {
                "the token is wrong or has expired, or the server wants it in another form than \
                 `Authorization: Bearer` (`header` and `param` in `auth` say it)"
            }
            () => "the credentials are missing or wrong",
        };
        words.to_owned()
    }

    /// Where the server offers none of Basic, Bearer and Digest.
    fn explain_other_scheme(&self) -> String {
        let sent = self.sent_scheme.as_deref().unwrap_or_default();
        if self.challenges.iter().any(|it| it.is(sent)) {
            return "the credentials are wrong or have expired".to_owned();
        }
        let is_computed = |it: &&Challenge| COMPUTED_SCHEMES.iter().any(|name| it.is(name));
        let other = self.challenges.iter().find(|it| !is_computed(it));
        match (other, self.challenges.first()) {
            (Some(other), _) => {
                let scheme = other.shown_scheme();
                format!(
                    "the credentials are missing or wrong, or it wants them in another place: auth = \
                     {{ token = …, header = \"Authorization: {scheme} {{token}}\" }}"
                )
            }
            (None, first) => {
                let scheme = first.map(Challenge::shown_scheme).unwrap_or_default();
                format!("it wants {scheme} authentication, which main-node cannot answer")
            }
        }
    }

    /// Where Digest was sent, or is all that the server takes.
    fn explain_digest(&self, code: u16) -> String {
        let sent = self.sent_scheme.as_deref();
        let is_sent = sent.is_some_and(|it| it.eq_ignore_ascii_case("Digest"));
        let words = match DigestOffer::of(&self.challenges) {
            DigestOffer::Unsupported(what) => {
                return format!(
                    "it wants Digest authentication with {what}, and main-node answers MD5 and \
                     SHA-256 with qop auth (RFC 7616): set it so, or to Basic, if it can"
                );
            }
            DigestOffer::Supported(challenge) if is_sent && challenge.is_stale => {
                "it calls a nonce stale that it has just made: restart it"
            }
            _ if is_sent && code == 403 => NOT_ALLOWED,
            _ if is_sent => WRONG_PASSWORD,
            _ if sent.is_some() => {
                "it wants Digest authentication, which auth = { user = …, password = … } answers; \
                 this source sends something else: remove scheme = \"basic\", a token or an \
                 Authorization in `headers`"
            }
            _ => "it wants a user and a password (Digest): add auth = { user = …, password = … }",
        };
        words.to_owned()
    }
}

/// Schemes whose credentials are computed for each request or in a dialogue.
const COMPUTED_SCHEMES: [&str; 12] = [
    "NTLM",
    "Negotiate",
    "Kerberos",
    "HMAC",
    "AWS4-HMAC-SHA256",
    "AWS",
    "Signature",
    "Hawk",
    "HOBA",
    "Mutual",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
];

const WRONG_PASSWORD: &str = "the user or the password is wrong";
const NOT_ALLOWED: &str = "the credentials are missing or wrong, or do not allow this; some servers refuse \
    addresses or programs that they do not know";

/// Whether the body of an error is about a quota: `API rate limit exceeded`.
pub fn mentions_quota(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    let signs = [
        "rate limit",
        "rate-limit",
        "rate_limit",
        "ratelimit",
        "quota",
        "too many requests",
        "limit exceeded",
        "limit_exceeded",
        "limit reached",
        "limitexceeded",
    ];
    signs.iter().any(|sign| text.contains(sign))
}

/// ` Not Found`; nothing where the code is not a usual one.
pub fn reason_phrase(code: u16) -> String {
    StatusCode::from_u16(code)
        .ok()
        .and_then(|status| status.canonical_reason())
        .map_or(String::new(), |reason| format!(" {reason}"))
}

#[cfg(test)]
#[path = "tests/status_errors.rs"]
mod tests;
