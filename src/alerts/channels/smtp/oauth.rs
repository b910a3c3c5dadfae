//! OAuth in SMTP: the SASL mechanisms XOAUTH2 (Google, Microsoft) and OAUTHBEARER (RFC 7628).
//!
//! Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smtp_proto::{AUTH_OAUTHBEARER, AUTH_XOAUTH2};

use crate::limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthMechanism {
    XOAuth2,
    OAuthBearer,
}

impl OAuthMechanism {
    /// The one to use of those that a server offers. Google and Microsoft document XOAUTH2.
    pub fn choose(offered: u64) -> Option<OAuthMechanism> {
        if offered & AUTH_XOAUTH2 != 0 {
            Some(OAuthMechanism::XOAuth2)
        } else if offered & AUTH_OAUTHBEARER != 0 {
            Some(OAuthMechanism::OAuthBearer)
        } else {
            None
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            OAuthMechanism::XOAuth2 => "XOAUTH2",
            OAuthMechanism::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// The client's response, in base64.
    pub fn response(self, user: &str, host: &str, port: u16, token: &str) -> String {
        STANDARD.encode(match self {
            OAuthMechanism::XOAuth2 => format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}"),
            OAuthMechanism::OAuthBearer => {
                // RFC 5801: a name has neither of them.
                let user = user.replace('=', "=3D").replace(',', "=2C");
                format!(
                    "n,a={user},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {token}\u{1}\u{1}"
                )
            }
        })
    }

    /// What answers a challenge that says why the token is refused; the refusal follows.
    pub fn response_to_error(self) -> &'static str {
        match self {
            OAuthMechanism::XOAuth2 => "",
            // RFC 7628 3.2.3: one ^A.
            OAuthMechanism::OAuthBearer => "AQ==",
        }
    }
}

/// What a challenge says about a refused token: JSON in base64, on one line, bounded.
pub fn challenge_text(challenge: &str) -> Option<String> {
    let decoded = STANDARD.decode(challenge.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let text: String = text
        .split_whitespace()
        .collect::<Vec<&str>>()
        .join(" ")
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(limits::REPLY_CHARS)
        .collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Google's and Microsoft's documentation have this form; RFC 7628 4.1. Values
    /// by base64(1).
    #[test]
    fn responses_are_as_the_mechanisms_define_them() {
        for (mechanism, user, expected) in [
            (
                OAuthMechanism::XOAuth2,
                "me@example.org",
                "user=me@example.org\u{1}auth=Bearer vF9dft4qmT\u{1}\u{1}",
            ),
            (
                OAuthMechanism::OAuthBearer,
                "me@example.org",
                "n,a=me@example.org,\u{1}host=mail.example.org\u{1}port=587\u{1}auth=Bearer \
                 vF9dft4qmT\u{1}\u{1}",
            ),
            (
                OAuthMechanism::OAuthBearer,
                "a,b=c",
                "n,a=a=2Cb=3Dc,\u{1}host=mail.example.org\u{1}port=587\u{1}auth=Bearer \
                 vF9dft4qmT\u{1}\u{1}",
            ),
        ] {
            let response = mechanism.response(user, "mail.example.org", 587, "vF9dft4qmT");
            let decoded = STANDARD.decode(&response).expect("it is base64");
            assert_eq!(String::from_utf8_lossy(&decoded), expected);
        }
        let response = OAuthMechanism::XOAuth2.response("me", "", 0, "t");
        assert_eq!(response, "dXNlcj1tZQFhdXRoPUJlYXJlciB0AQE=");
    }

    #[test]
    fn the_error_of_a_challenge_is_shown_on_one_line() {
        let google = "eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ==";
        let shown = r#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#;
        for (challenge, expected) in [
            (google, Some(shown)),
            (" e30= ", Some("{}")),
            ("YQpiG1s=", Some("a b?[")),
            ("", None),
            ("no base64!", None),
            ("//79", None),
        ] {
            assert_eq!(
                challenge_text(challenge).as_deref(),
                expected,
                "{challenge:?}"
            );
        }
        let long = challenge_text(&STANDARD.encode("x".repeat(9_999))).unwrap_or_default();
        assert_eq!(long.len(), limits::REPLY_CHARS);
    }

    #[test]
    fn the_mechanism_is_one_that_the_server_offers() {
        for (offered, expected) in [
            (
                AUTH_XOAUTH2 | AUTH_OAUTHBEARER,
                Some(OAuthMechanism::XOAuth2),
            ),
            (AUTH_OAUTHBEARER, Some(OAuthMechanism::OAuthBearer)),
            (smtp_proto::AUTH_PLAIN, None),
            (0, None),
        ] {
            assert_eq!(OAuthMechanism::choose(offered), expected);
        }
    }
}
