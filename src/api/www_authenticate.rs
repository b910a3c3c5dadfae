//! Challenges of a 401 response (`WWW-Authenticate`, RFC 9110, 11.6.1), read as leniently as curl does.
//!
//! Pure. Values are bytes, of any charset.

use ureq::http::{HeaderMap, header};

use crate::domain::text::{ellipsis, is_invisible};
use crate::limits;

/// One authentication scheme that a server offers, with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// As the server spells it: `Digest`.
    scheme: String,
    /// Names in lower case, values without quotes and escapes.
    params: Vec<(String, Vec<u8>)>,
}

impl Challenge {
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The scheme for people: one line, cut where it is long.
    pub fn shown_scheme(&self) -> String {
        ellipsis(&self.scheme, limits::CHALLENGE_PARAM_CHARS)
    }

    /// The first value of this name, in lower case.
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        let mut params = self.params.iter();
        let found = params.find(|it| it.0 == name);
        found.map(|(_, value)| &value[..])
    }

    /// A value for people: one line, cut where it is long.
    pub fn shown_param(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(self.param(name)?);
        let shown = text
            .chars()
            .filter(|c| !c.is_control() && !is_invisible(*c));
        let shown: String = shown.collect();
        Some(ellipsis(&shown, limits::CHALLENGE_PARAM_CHARS))
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.param(name)
            .is_some_and(|value| value.eq_ignore_ascii_case(b"true"))
    }
}

/// All challenges of a response, in the server's order: several in one header, or several headers.
pub fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in headers.get_all(header::WWW_AUTHENTICATE) {
        found.extend(parse_challenges(value.as_bytes()));
    }
    found.truncate(limits::CHALLENGES);
    found
}

/// The challenges of one header. What is no challenge is skipped.
pub fn parse_challenges(text: &[u8]) -> Vec<Challenge> {
    let mut reader = ParamReader { rest: text };
    let mut found: Vec<Challenge> = Vec::new();
    while let Some(token) = reader.token() {
        if !reader.take(b'=') {
            add_scheme(&mut found, token);
            continue;
        }
        let value = reader.value();
        if let Some(challenge) = found.last_mut() {
            challenge.params.push((token.to_ascii_lowercase(), value));
        }
    }
    found
}

/// The parameters of a header that is a list of them (`Authentication-Info`), or of what is behind
/// the scheme of `Authorization`.
pub fn parse_params(text: &[u8]) -> Challenge {
    let mut reader = ParamReader { rest: text };
    let mut params = Vec::new();
    while let Some(token) = reader.token() {
        if reader.take(b'=') {
            params.push((token.to_ascii_lowercase(), reader.value()));
        }
    }
    Challenge {
        scheme: String::new(),
        params,
    }
}

fn add_scheme(found: &mut Vec<Challenge>, token: String) {
    // `qop=auth,auth-int` without quotes: the comma belongs to the value.
    if let Some(challenge) = found.last_mut()
        && let Some((name, value)) = challenge.params.last_mut()
        && name == "qop"
        && (token.eq_ignore_ascii_case("auth") || token.eq_ignore_ascii_case("auth-int"))
    {
        value.push(b',');
        value.extend(token.bytes());
        return;
    }
    found.push(Challenge {
        scheme: token,
        params: Vec::new(),
    });
}

struct ParamReader<'a> {
    rest: &'a [u8],
}

impl ParamReader<'_> {
    /// The next name of a scheme or parameter; what is before it is skipped.
    fn token(&mut self) -> Option<String> {
        let start = self.rest.iter().position(|byte| is_token_byte(*byte))?;
        self.rest = &self.rest[start..];
        let token = self.take_while(is_token_byte);
        Some(String::from_utf8_lossy(token).into_owned())
    }

    /// Whether `byte` comes next, after blanks.
    fn take(&mut self, byte: u8) -> bool {
        let trimmed = self.rest.trim_ascii_start();
        let is_next = trimmed.first() == Some(&byte);
        if is_next {
            self.rest = &trimmed[1..];
        }
        is_next
    }

    /// A quoted text, which may lack its end, or one until a blank or comma.
    fn value(&mut self) -> Vec<u8> {
        if !self.take(b'"') {
            self.rest = self.rest.trim_ascii_start();
            return self
                .take_while(|byte| byte != b',' && !byte.is_ascii_whitespace())
                .to_vec();
        }
        let mut value = Vec::new();
        let mut bytes = self.rest.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => break,
                b'\\' => value.extend(bytes.next()),
                byte => value.push(*byte),
            }
        }
        self.rest = bytes.as_slice();
        value
    }

    fn take_while(&mut self, is_wanted: impl Fn(u8) -> bool) -> &[u8] {
        let rest = self.rest;
        let end = rest.iter().position(|byte| !is_wanted(*byte));
        let (taken, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = rest;
        taken
    }
}

/// RFC 9110, 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Scheme name=value name=value | Scheme`.
    fn shown(text: &[u8]) -> String {
        let challenges = parse_challenges(text);
        let each = challenges.iter().map(|it| {
            let params = it
                .params
                .iter()
                .map(|(name, value)| format!(" {name}={}", value.escape_ascii()));
            it.scheme.clone() + &params.collect::<String>()
        });
        each.collect::<Vec<String>>().join(" | ")
    }

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        for (header, expected) in [
            (&b"Basic realm=\"x\""[..], "Basic realm=x"),
            (
                b"Digest realm=\"shelly1pm-aabb\", nonce=\"60dc2c69\", algorithm=SHA-256, qop=\"auth\"",
                "Digest realm=shelly1pm-aabb nonce=60dc2c69 algorithm=SHA-256 qop=auth",
            ),
            // Several in one header.
            (
                b"Digest realm=\"a, b\", nonce=n, Basic realm=\"c\" , Negotiate, NTLM",
                "Digest realm=a, b nonce=n | Basic realm=c | Negotiate | NTLM",
            ),
            (b"Negotiate YII/abc==, Basic realm=x", "Negotiate | YII abc== | Basic realm=x"),
            (b"Bearer error=\"x\",Digest nonce=1", "Bearer error=x | Digest nonce=1"),
            // Escapes, blanks around `=`, no comma, other case, no end.
            (br#"Digest realm="a\"b\\c""#, r#"Digest realm=a\"b\\c"#),
            (b"digest Realm = \"x\" ,, NONCE= y", "digest realm=x nonce=y"),
            (b"Digest realm=\"x\" nonce=\"y\"", "Digest realm=x nonce=y"),
            (b"Digest nonce=\"abc", "Digest nonce=abc"),
            (b"Digest nonce=\"abc\\", "Digest nonce=abc"),
            (b"Digest nonce=a==, opaque=\"\"", "Digest nonce=a== opaque="),
            (
                b"Digest qop=auth,auth-int, nonce=1, Basic",
                "Digest qop=auth,auth-int nonce=1 | Basic",
            ),
            // Latin-1.
            (b"Digest realm=\"Ger\xe4t\"", "Digest realm=Ger\\xe4t"),
            (b"realm=x, Basic", "Basic"),
            (b"", ""),
            (b" , ;\xff=", ""),
        ] {
            let read = shown(header);
            assert_eq!(read, expected, "{}", header.escape_ascii());
        }
    }

    #[test]
    fn several_headers_are_one_list_of_bounded_length() {
        let mut headers = HeaderMap::new();
        for value in ["Basic realm=a", "Digest nonce=1, Bearer"] {
            let value = value.parse().expect("a value");
            headers.append(header::WWW_AUTHENTICATE, value);
        }
        let found = challenges(&headers);
        let schemes: Vec<&str> = found.iter().map(|it| it.scheme.as_str()).collect();
        assert_eq!(schemes, ["Basic", "Digest", "Bearer"]);
        let many = "a, ".repeat(1_000).parse().expect("a value");
        headers.append(header::WWW_AUTHENTICATE, many);
        assert_eq!(challenges(&headers).len(), limits::CHALLENGES);
    }

    #[test]
    fn parameters_without_a_scheme_are_read() {
        let info = parse_params(b"nextnonce=\"n2\", qop=auth, rspauth=\"00\", nc=00000001");
        assert_eq!(info.param("nextnonce"), Some(&b"n2"[..]));
        assert_eq!(info.param("nc"), Some(&b"00000001"[..]));
        let sent = parse_params(br#"Digest username="Digest nonce=x", nonce="a\"b""#);
        assert_eq!(sent.param("nonce"), Some(&b"a\"b"[..]));
    }
}
