//! Places of a configuration that hold a secret, and how servers write one.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Where a secret stands in the configuration, and what may show it.
pub struct Place {
    pub name: &'static str,
    /// Whether only letters and digits can stand there.
    is_plain: bool,
}

/// No output may have any of them. What may have some:
/// - a request has its own: the address of the webhook and of the ping is not an output;
/// - readings (values, units) have those below 8 bytes, which may be a measured word;
/// - keys have those that may be the name of a field (`Secrets::for_keys`);
/// - messages have those below 4 characters, or 6 digits, unless they are the whole text.
pub const PLACES: [Place; 25] = [
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
    place("password in an Authorization header"),
    place("table body"),
    place("form body"),
    place("JSON text body"),
    place("XML text body"),
    place("token of [auth.NAME]"),
    place("password of [auth.NAME]"),
];

const fn place(name: &'static str) -> Place {
    Place {
        name,
        is_plain: false,
    }
}

const fn plain(name: &'static str) -> Place {
    Place {
        name,
        is_plain: true,
    }
}

pub fn secret(at: usize) -> String {
    if PLACES[at].is_plain {
        format!("hunter{at:02}x0123456789abcdef")
    } else {
        format!("hunter{at:02}/q+Z&\"<k~")
    }
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

pub fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('"', "&quot;")
}

/// Every secret in every spelling.
pub fn echo() -> String {
    let all = (0..PLACES.len()).flat_map(|at| spellings(&secret(at)));
    all.collect::<Vec<_>>().join(" ")
}
