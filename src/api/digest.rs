//! HTTP Digest authentication (RFC 7616): choice of a challenge, and the answers to it.
//!
//! Pure. `qop=auth`, or none (RFC 2069); MD5 and SHA-256, with `-sess`. A body is not protected
//! (`auth-int`).

use ring::digest::{Context, SHA256};
use ureq::http::{HeaderValue, Method, Uri};

use super::www_authenticate::Challenge;
use crate::domain::percent;
use crate::domain::text::hexadecimal;
use crate::limits;

/// What a response offers of Digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DigestOffer {
    None,
    /// What it asks for: `algorithm SHA-512-256`.
    Unsupported(String),
    Supported(DigestChallenge),
}

/// A challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestChallenge {
    realm: Vec<u8>,
    pub nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    hash: DigestHash,
    /// `-sess`.
    is_session: bool,
    /// As the server spells it, if it names one.
    algorithm: Option<String>,
    has_qop: bool,
    /// The answer before had an expired nonce, and the right password.
    pub is_stale: bool,
    hashes_user: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DigestHash {
    Md5,
    Sha256,
}

impl DigestOffer {
    /// The strongest supported challenge, the first of equal ones.
    pub fn of(challenges: &[Challenge]) -> DigestOffer {
        let mut best: Option<DigestChallenge> = None;
        let mut refused = None;
        for challenge in challenges.iter().filter(|it| it.is("Digest")) {
            match DigestChallenge::read(challenge) {
                Ok(read) if best.as_ref().is_none_or(|best| read.hash > best.hash) => {
                    best = Some(read);
                }
                Ok(_) => {}
                Err(what) => refused = refused.or(Some(what)),
            }
        }
        match (best, refused) {
            (Some(best), _) => DigestOffer::Supported(best),
            (None, Some(what)) => DigestOffer::Unsupported(what),
            (None, None) => DigestOffer::None,
        }
    }
}

impl DigestChallenge {
    /// `Err` says what it asks for.
    fn read(challenge: &Challenge) -> Result<DigestChallenge, String> {
        let param = |name| challenge.param(name).map(<[u8]>::to_vec);
        let (hash, is_session) = match challenge.param("algorithm") {
            None => (DigestHash::Md5, false),
            Some(name) => read_algorithm(name).ok_or_else(|| {
                let shown = challenge.shown_param("algorithm").unwrap_or_default();
                format!("algorithm {shown}")
            })?,
        };
        let nonce = param("nonce").ok_or("a challenge without a nonce")?;
        let realm = param("realm").unwrap_or_default();
        let opaque = param("opaque");
        // ureq sends no other `Authorization`.
        let is_visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
        let mut bytes = realm.iter().chain(&nonce).chain(opaque.iter().flatten());
        if !bytes.all(is_visible) {
            return Err("a realm or nonce outside ASCII".to_owned());
        }
        let size = nonce.len() + realm.len() + opaque.as_ref().map_or(0, Vec::len);
        if size > limits::DIGEST_CHALLENGE_BYTES {
            return Err(format!("a challenge of {size} bytes"));
        }
        Ok(DigestChallenge {
            realm,
            nonce,
            opaque,
            hash,
            is_session,
            algorithm: challenge.shown_param("algorithm"),
            has_qop: read_qop(challenge)?,
            is_stale: challenge.is_true("stale"),
            hashes_user: challenge.is_true("userhash"),
        })
    }
}

fn read_algorithm(name: &[u8]) -> Option<(DigestHash, bool)> {
    let known: [(&[u8], DigestHash, bool); 4] = [
        (b"MD5", DigestHash::Md5, false),
        (b"MD5-sess", DigestHash::Md5, true),
        (b"SHA-256", DigestHash::Sha256, false),
        (b"SHA-256-sess", DigestHash::Sha256, true),
    ];
    let mut known = known.into_iter();
    let found = known.find(|it| it.0.eq_ignore_ascii_case(name));
    found.map(|(_, hash, is_session)| (hash, is_session))
}

/// Whether there is a `qop`, which then includes `auth`.
fn read_qop(challenge: &Challenge) -> Result<bool, String> {
    let qop = challenge.param("qop").unwrap_or_default();
    if qop.trim_ascii().is_empty() {
        return Ok(false);
    }
    let mut offered = qop.split(|byte| *byte == b',');
    if offered.any(|it| it.trim_ascii().eq_ignore_ascii_case(b"auth")) {
        return Ok(true);
    }
    let shown = challenge.shown_param("qop").unwrap_or_default();
    Err(format!("qop {shown} alone"))
}

impl DigestHash {
    /// The hash of parts joined by colons, in hexadecimal.
    fn of(self, parts: &[&[u8]]) -> String {
        let text = parts.join(&b':');
        match self {
            DigestHash::Md5 => format!("{:x}", md5::compute(text)),
            DigestHash::Sha256 => {
                let mut context = Context::new(&SHA256);
                context.update(&text);
                hexadecimal(context.finish().as_ref())
            }
        }
    }
}

/// Answers to one challenge, which count the uses of its nonce.
#[derive(Clone)]
pub struct DigestSession {
    challenge: DigestChallenge,
    /// Hash of user, realm and password: as good as the password.
    login_hash: String,
    /// `username="…"` as it is sent.
    user_param: Vec<u8>,
    cnonce: String,
    /// Requests that used the nonce.
    uses: u32,
}

impl std::fmt::Debug for DigestSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DigestSession({} uses)", self.uses)
    }
}

impl DigestSession {
    /// `cnonce` is random, in hexadecimal.
    pub fn new(
        challenge: DigestChallenge,
        user: &[u8],
        password: &[u8],
        cnonce: String,
    ) -> DigestSession {
        let hash = challenge.hash;
        let realm = &challenge.realm[..];
        let mut login_hash = hash.of(&[user, realm, password]);
        if challenge.is_session {
            let parts = [login_hash.as_bytes(), &challenge.nonce, cnonce.as_bytes()];
            login_hash = hash.of(&parts);
        }
        DigestSession {
            user_param: user_param(&challenge, user),
            login_hash,
            cnonce,
            uses: 0,
            challenge,
        }
    }

    pub fn nonce(&self) -> &[u8] {
        &self.challenge.nonce
    }

    /// Goes on with the nonce that the server named in `Authentication-Info`.
    pub fn use_nonce(&mut self, next: Vec<u8>) {
        if next.len() <= limits::DIGEST_CHALLENGE_BYTES && next != self.challenge.nonce {
            self.challenge.nonce = next;
            self.uses = 0;
        }
    }

    /// The header `Authorization` of the next request; none where no header can hold it.
    pub fn authorization(&mut self, method: &Method, uri: &Uri) -> Option<HeaderValue> {
        let target = uri.path_and_query().map_or("/", |it| it.as_str());
        let uses = self.uses.checked_add(1)?;
        let count = format!("{uses:08x}");
        let challenge = &self.challenge;
        let request_hash = challenge
            .hash
            .of(&[method.as_str().as_bytes(), target.as_bytes()]);
        let (login, nonce) = (self.login_hash.as_bytes(), &challenge.nonce[..]);
        let cnonce = self.cnonce.as_bytes();
        let request = request_hash.as_bytes();
        let response = if challenge.has_qop {
            let parts = [login, nonce, count.as_bytes(), cnonce, b"auth", request];
            challenge.hash.of(&parts)
        } else {
            challenge.hash.of(&[login, nonce, request])
        };

        let mut header = b"Digest ".to_vec();
        header.extend(&self.user_param);
        add_quoted(&mut header, "realm", &challenge.realm);
        add_quoted(&mut header, "nonce", nonce);
        add_quoted(&mut header, "uri", target.as_bytes());
        if let Some(algorithm) = &challenge.algorithm {
            header.extend(format!(", algorithm={algorithm}").bytes());
        }
        if challenge.has_qop {
            header.extend(format!(", qop=auth, nc={count}").bytes());
        }
        // The session's hash contains it, with or without `qop`.
        if challenge.has_qop || challenge.is_session {
            add_quoted(&mut header, "cnonce", cnonce);
        }
        add_quoted(&mut header, "response", response.as_bytes());
        if let Some(opaque) = &challenge.opaque {
            add_quoted(&mut header, "opaque", opaque);
        }
        let mut value = HeaderValue::from_bytes(&header).ok()?;
        value.set_sensitive(true);
        // ureq sends no other.
        value.to_str().ok()?;
        self.uses = uses;
        Some(value)
    }
}

/// A name outside ASCII is sent as RFC 7616, 3.4.4 says.
fn user_param(challenge: &DigestChallenge, user: &[u8]) -> Vec<u8> {
    let mut param = Vec::new();
    if challenge.hashes_user {
        let name = challenge.hash.of(&[user, &challenge.realm]);
        param.extend(format!("username=\"{name}\", userhash=true").bytes());
    } else if !user.is_ascii() {
        let encoded = percent::encode(&String::from_utf8_lossy(user));
        param.extend(format!("username*=UTF-8''{encoded}").bytes());
    } else {
        param.extend(b"username=");
        add_quotes(&mut param, user);
    }
    param
}

fn add_quoted(header: &mut Vec<u8>, name: &str, value: &[u8]) {
    header.extend(format!(", {name}=").bytes());
    add_quotes(header, value);
}

fn add_quotes(header: &mut Vec<u8>, value: &[u8]) {
    header.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            header.push(b'\\');
        }
        header.push(*byte);
    }
    header.push(b'"');
}

#[cfg(test)]
#[path = "tests/digest.rs"]
mod tests;
