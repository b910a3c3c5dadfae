//! Token in a file that another program rotates: read before each fetch, and again when it is
//! refused.
//!
//! Shared by the fetch threads of the sources that use it. Never writes the file.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ureq::http::{HeaderMap, Method, Uri};

use super::known_tokens::KnownTokens;
use super::token_placement::{accepts_token, carries_token, place_token};
use super::{AuthClient, Authenticator, DeniedResponse};
use crate::api::http_response::FetchError;
use crate::domain::failure::{Cause, Failure};
use crate::domain::redact::Secrets;
use crate::domain::token_placement::TokenPlacement;
use crate::sys::sync::Mutex;
use crate::sys::text_file;

pub struct RotatedToken {
    file: PathBuf,
    placement: TokenPlacement,
    /// What was read last.
    token: Mutex<Option<Arc<str>>>,
    known: KnownTokens,
}

impl RotatedToken {
    pub fn new(file: PathBuf, placement: TokenPlacement) -> RotatedToken {
        RotatedToken {
            file,
            placement,
            token: Mutex::default(),
            known: KnownTokens::default(),
        }
    }

    /// The token in the file now. `Err` says what is wrong with the file.
    fn read(&self) -> Result<Arc<str>, String> {
        let shown = self.file.display();
        // Opening a pipe would wait for whoever writes to it.
        if self.file.metadata().is_ok_and(|it| !it.is_file()) {
            return Err(format!("`token_file` {shown} is not a file"));
        }
        let text = text_file::read(&self.file)
            .map_err(|problem| format!("`token_file` {shown} cannot be read: {problem}"))?;
        let token = text_file::one_line(&text)
            .filter(|it| accepts_token(&self.placement, it))
            .ok_or_else(|| format!("`token_file` {shown} holds no token: expected one line"))?;
        let mut known = self.token.lock();
        if known.as_deref() != Some(token) {
            self.known.add([token]);
            *known = Some(token.into());
        }
        Ok(known.clone().unwrap_or_else(|| token.into()))
    }
}

impl Authenticator for RotatedToken {
    fn prepare(&self, _: &dyn AuthClient) -> Result<(), FetchError> {
        match self.read() {
            Ok(_) => Ok(()),
            // It may be written at this moment; whether the old one is valid, the server says.
            Err(_) if self.token.lock().is_some() => Ok(()),
            Err(problem) => Err(FetchError::Failed(Failure::new(Cause::Storage, problem))),
        }
    }

    fn authorize(&self, _: &Method, uri: &mut Uri, headers: &mut HeaderMap) {
        let token = self.token.lock().clone();
        if let Some(token) = token {
            place_token(&self.placement, &token, uri, headers);
        }
    }

    fn renew(&self, denied: &DeniedResponse, _: &dyn AuthClient) -> Result<bool, FetchError> {
        let token = self.read();
        Ok(token.is_ok_and(|it| !carries_token(denied, &it)))
    }

    fn secrets(&self) -> Arc<Secrets> {
        self.known.secrets()
    }
}

impl fmt::Debug for RotatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RotatedToken of {}", self.file.display())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;
    use crate::api::auth::AuthResponse;
    use crate::api::outgoing_request::OutgoingRequest;
    use crate::domain::time::{Moment, Mono, test_moment};
    use crate::golden::scratch;

    /// A token in a file needs no request.
    struct NoClient;

    impl AuthClient for NoClient {
        fn send(&self, _: &OutgoingRequest) -> Result<AuthResponse, FetchError> {
            panic!("nothing is asked for");
        }

        fn now(&self) -> Moment {
            test_moment(Mono(0))
        }

        fn is_stopping(&self) -> bool {
            false
        }

        fn deadline(&self) -> Instant {
            Instant::now()
        }
    }

    fn sent(token: &RotatedToken) -> String {
        let mut headers = HeaderMap::new();
        let mut uri: Uri = "http://meter.local/x".parse().expect("a URL");
        token.authorize(&Method::GET, &mut uri, &mut headers);
        let value = headers.get("authorization");
        value.map_or(String::new(), |it| it.to_str().unwrap_or("?").to_owned())
    }

    fn denied(authorization: &str) -> DeniedResponse {
        let mut headers = HeaderMap::new();
        let value = authorization.parse().expect("a header");
        headers.insert("authorization", value);
        DeniedResponse {
            status: 401,
            uri: "http://meter.local/x".parse().expect("a URL"),
            sent: headers,
            headers: HeaderMap::new(),
            body_start: Vec::new(),
        }
    }

    #[test]
    fn a_rotated_token_is_used_at_the_next_fetch_and_after_a_refusal() {
        let file = scratch("rotated-token").join("token");
        let token = RotatedToken::new(file.clone(), TokenPlacement::Standard);
        let failed = token.prepare(&NoClient).expect_err("there is no file");
        assert!(
            format!("{failed:?}").contains("cannot be read"),
            "{failed:?}"
        );
        fs::write(&file, "first-token\n").expect("a file");
        token.prepare(&NoClient).expect("it is read");
        assert_eq!(sent(&token), "Bearer first-token");
        // The same token again helps nobody.
        let again = token.renew(&denied("Bearer first-token"), &NoClient);
        assert!(matches!(again, Ok(false)), "{again:?}");
        fs::write(&file, "second-token").expect("a file");
        let renewed = token.renew(&denied("Bearer first-token"), &NoClient);
        assert!(matches!(renewed, Ok(true)), "{renewed:?}");
        assert_eq!(sent(&token), "Bearer second-token");
        // Written at this moment: the last one is used.
        for text in ["", "two\nlines\n"] {
            fs::write(&file, text).expect("a file");
            token.prepare(&NoClient).expect("the last one is known");
            assert_eq!(sent(&token), "Bearer second-token");
        }
        fs::write(&file, "third-token\r\n").expect("a file");
        token.prepare(&NoClient).expect("it is read");
        assert_eq!(sent(&token), "Bearer third-token");
        let message = "first-token second-token third-token";
        assert_eq!(token.secrets().mask(message), "*** *** ***");
    }

    #[test]
    fn a_file_without_a_token_is_reported_without_its_content() {
        let file = scratch("rotated-token-bad").join("token");
        for text in ["", "\n", "hush\nhush\n", "hush\u{7}"] {
            fs::write(&file, text).expect("a file");
            let token = RotatedToken::new(file.clone(), TokenPlacement::Standard);
            let failed = token.prepare(&NoClient).expect_err("no token");
            let message = format!("{failed:?}");
            assert!(message.contains("expected one line"), "{message}");
            assert!(!message.contains("hush"), "{message}");
        }
    }
}
