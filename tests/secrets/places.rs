//! Places of a configuration that hold a secret, and how servers write one.

use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

/// Where a secret stands in the configuration or in a response, and what may show it.
pub struct Place {
    pub name: &'static str,
    /// What follows `hunter07` there.
    rest: &'static str,
}

/// Places of the first test and of the one about authentication.
pub const CONFIGURED: Range<usize> = 0..26;
pub const AUTHENTICATION: Range<usize> = 26..PLACES.len();

/// No output may have any of them. What may have some:
/// - a request has its own: the address of the webhook and of the ping is not an output;
/// - readings (values, units) have those below 8 bytes, which may be a measured word;
/// - keys have those that may be the name of a field (`Secrets::for_keys`);
/// - messages have those below 4 characters, or 6 digits, unless they are the whole text.
pub const PLACES: [Place; 51] = [
    place("auth token"),
    place("auth password"),
    place("auth user without a password"),
    place("Authorization header"),
    place("X-Api-Key header"),
    place("Cookie header"),
    place("parameter by name"),
    place("password in a URL"),
    place("parameter in a URL"),
    plain("path segment of a URL"),
    place("environment variable"),
    place("file of an environment variable"),
    plain(".env"),
    place("password of a proxy"),
    place("password of the mail server"),
    place("webhook URL"),
    place("ping URL"),
    place("password of the pages"),
    plain("token of the pages"),
    place("password in an Authorization header"),
    place("table body"),
    place("form body"),
    place("JSON text body"),
    place("XML text body"),
    place("token of [auth.NAME]"),
    place("password of [auth.NAME]"),
    with("token in a header of its own", "+/=%2B~\"k"),
    with("token in a parameter", "äöü+/=%&ß"),
    with("token of a file", "+/==%2F%"),
    with("client secret as Basic", "%2B+/=:&k~"),
    with("client secret in a body", "Ü%2B+/=:&k"),
    with("token parameter", "+/=é\"<k~"),
    with("configured refresh token", "|+/=%7C"),
    with("user of a grant", "/q+Z&\"<k~äöü"),
    with("password of a grant", " %20+ß/="),
    with("password of Digest", ":\"\\+/=ü"),
    with("query of a login", "+/=&%25ä"),
    with("password in the body of a login", "+/=<\"ä\\n"),
    with("header of a login", "+/=\"k~%2B"),
    with("text body of a login", "+/=;k~%2B"),
    with("form of a login", " +/=&%2Bö"),
    with("access token of a client", "+/=%2B.k"),
    with("access token of a refresh token", "+/=%2B.k"),
    with("rotated refresh token", "|ö+/=%2B"),
    with("access token of a password", "+/=%2B.k"),
    with("session in a body", "+/==%2B&k"),
    with("session in a header", "+/==%2B&k"),
    with("session cookie", "+/=%2B&k"),
    with("replaced cookie", "+/=%2B&k"),
    with("first cookie", "+/=%2B&k"),
    with("second cookie", "+/=%2B&k"),
];

const fn place(name: &'static str) -> Place {
    with(name, "/q+Z&\"<k~")
}

/// Where only letters and digits can stand.
const fn plain(name: &'static str) -> Place {
    with(name, "x0123456789abcdef")
}

const fn with(name: &'static str, rest: &'static str) -> Place {
    Place { name, rest }
}

pub fn secret(at: usize) -> String {
    format!("hunter{at:02}{}", PLACES[at].rest)
}

pub fn named(name: &str) -> String {
    let at = PLACES.iter().position(|place| place.name == name);
    secret(at.unwrap_or_else(|| panic!("no place is named {name}")))
}

/// `%2F`, and nothing but letters and digits as it is.
pub fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => {
                write!(out, "{}", byte as char)
            }
            _ => write!(out, "%{byte:02X}"),
        };
        out
    })
}

/// A secret as servers write it.
pub fn spellings(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).expect("a text");
    let json = &json[1..json.len() - 1];
    vec![
        secret.to_owned(),
        percent(secret),
        percent(secret).to_lowercase(),
        json.to_owned(),
        json.replace('/', "\\/"),
        json.replace('&', "\\u0026").replace('<', "\\u003c"),
        html(secret),
        STANDARD.encode(secret),
        STANDARD.encode(format!("me:{secret}")),
    ]
}

/// The same, and those of other encodings, in which a secret may stand within something longer.
pub fn many_spellings(secret: &str) -> Vec<String> {
    let numeric = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("&#{};", u32::from(c)),
    };
    let hexadecimal = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("&#x{:X};", u32::from(c)),
    };
    let script = |c: char| match u8::try_from(c) {
        Ok(byte) if !byte.is_ascii_alphanumeric() => format!("\\x{byte:02X}"),
        _ => c.to_string(),
    };
    let latin1 = |byte: u8| char::from(byte);
    let pair = |user: &str| format!("{user}:{secret}");
    let encoded = format!("id%3A1:{}", percent(secret));
    let mut all = spellings(secret);
    all.extend([
        secret.chars().map(numeric).collect(),
        secret.chars().map(hexadecimal).collect(),
        secret.chars().map(script).collect(),
        // UTF-8 that was read as another encoding.
        secret.bytes().map(latin1).collect(),
        secret.replace(|c: char| !c.is_ascii(), "?"),
        secret.replace(|c: char| !c.is_ascii(), "\u{fffd}"),
        percent(&percent(secret)),
        STANDARD.encode(&encoded),
        STANDARD.encode(pair("a")),
        URL_SAFE.encode(pair("me")),
        URL_SAFE.encode(pair("a")),
        URL_SAFE_NO_PAD.encode(pair("abc")),
        percent(&STANDARD.encode(pair("a"))),
        STANDARD.encode(format!("user=me\u{1}auth=Bearer {secret}\u{1}\u{1}")),
        format!(
            "{{\\\"a\\\":{}}}",
            serde_json::Value::from(secret)
                .to_string()
                .replace('"', "\\\"")
        ),
    ]);
    all
}

pub fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('"', "&quot;")
}

/// Every secret of the first test in every spelling.
pub fn echo() -> String {
    let all = CONFIGURED.flat_map(|at| spellings(&secret(at)));
    all.collect::<Vec<_>>().join(" ")
}
