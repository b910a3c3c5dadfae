//! Who may read, where the owner wants to be asked: the option `password_file`, as HTTP Basic
//! authentication (RFC 7617) for everything but `/healthz`.
//!
//! Runs on the gate's thread before anything else is looked at; no lock, no disk. It keeps
//! a digest, never the password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use super::answer::Request;
use super::problem::Problem;

/// What must be known to read here; any user name goes with it.
pub struct Password {
    digest: [u8; 32],
}

impl Password {
    pub fn new(text: &str) -> Password {
        Password {
            digest: sha256(text.as_bytes()),
        }
    }

    /// Why this request gets nothing, if so. Whoever watches over the node need not know the
    /// password: `/healthz` says nothing but that it runs.
    pub fn denies(&self, request: &Request) -> Option<Problem> {
        let path = request.target.split('?').next().unwrap_or_default();
        if path == "/healthz" || self.is_given(request.header("authorization")) {
            return None;
        }
        let detail = "This node asks for the password that `password_file` in main-node.toml \
                      names: curl -u :PASSWORD, with any user name.";
        let challenge = "Basic realm=\"main-node\", charset=\"UTF-8\"";
        Some(Problem::new(401, detail).with("WWW-Authenticate", challenge))
    }

    fn is_given(&self, field: Option<&str>) -> bool {
        let Some((scheme, encoded)) = field.and_then(|field| field.split_once(' ')) else {
            return false;
        };
        let decoded = STANDARD.decode(encoded.trim()).unwrap_or_default();
        // A user name has no colon, a password may.
        let Some(colon) = decoded.iter().position(|byte| *byte == b':') else {
            return false;
        };
        // Digests have one length, so that the time tells nothing of the password's either.
        let is_right: bool = sha256(&decoded[colon + 1..]).ct_eq(&self.digest).into();
        is_right && scheme.eq_ignore_ascii_case("basic")
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::request;
    use super::*;

    #[test]
    fn the_password_opens_whatever_the_user_is_called() {
        let password = Password::new("a:b \u{e9}");
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (field, is_admitted) in [
            (basic("me:a:b \u{e9}"), true),
            (basic(":a:b \u{e9}"), true),
            (basic("me:a:b \u{e9}").replace("Basic", "bAsIc  "), true),
            (basic("me:a:b"), false),
            (basic("me:a:b \u{e9} "), false),
            (basic("me:"), false),
            (basic("a b \u{e9}"), false),
            (basic("me:a:b \u{e9}").replace("Basic", "Bearer"), false),
            ("Basic".to_owned(), false),
            ("Basic ???".to_owned(), false),
            (String::new(), false),
        ] {
            let asked = request("/snapshot", &[("authorization", field.as_str())]);
            assert_eq!(password.denies(&asked).is_none(), is_admitted, "{field:?}");
        }
    }

    #[test]
    fn only_the_sign_of_life_is_free() {
        let password = Password::new("open sesame");
        for (target, is_free) in [
            ("/healthz", true),
            ("/healthz?x", true),
            ("/healthz/", false),
            ("/%68ealthz", false),
            ("/", false),
            ("/events", false),
            ("/openapi.json", false),
            ("/nowhere", false),
        ] {
            let denied = password.denies(&request(target, &[]));
            assert_eq!(denied.is_none(), is_free, "{target}");
            let Some(problem) = denied else { continue };
            assert_eq!(problem.status, 401);
            assert_eq!(problem.headers[0].0, "WWW-Authenticate");
            assert!(!format!("{problem:?}").contains("sesame"));
        }
    }
}
