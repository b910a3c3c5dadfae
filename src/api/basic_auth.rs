//! Basic authentication (RFC 7617): its header, and user and password of a URL.
//!
//! Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ureq::http::{HeaderValue, Uri};

use crate::domain::percent;

/// The value of the header `Authorization`.
pub fn header_text(user: &[u8], password: &[u8]) -> String {
    let pair = BASE64.encode([user, password].join(&b':'));
    format!("Basic {pair}")
}

/// The same, marked as a secret.
pub fn header(user: &[u8], password: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&header_text(user, password)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// That of `http://user:p%40ss@host/`; ureq would send it undecoded.
pub fn of_url(uri: &Uri) -> Option<HeaderValue> {
    let (user, password) = user_info(uri)?;
    header(&user, &password)
}

/// User and password of a URL, decoded.
pub fn user_info(uri: &Uri) -> Option<(Vec<u8>, Vec<u8>)> {
    let (login, _) = uri.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Some((percent::decode(user), percent::decode(password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_name_and_password_of_a_url_are_decoded_once() {
        for (url, expected) in [
            // me:p@ss
            ("http://me:p%40ss@nas/x", Some("Basic bWU6cEBzcw==")),
            // me:100%
            ("http://me:100%25@nas/x", Some("Basic bWU6MTAwJQ==")),
            // key:
            ("http://key@nas/x", Some("Basic a2V5Og==")),
            ("http://nas/x@y", None),
        ] {
            let uri: Uri = url.parse().expect("a URL");
            let found = of_url(&uri);
            let found = found.as_ref().map(|it| it.to_str().expect("ASCII"));
            assert_eq!(found, expected, "{url}");
        }
    }
}
