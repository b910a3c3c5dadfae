//! Secret detection: by the name of a parameter or header, and by the form of a path segment.
//!
//! Pure. For what is shown without being known as a secret: an address, a request.

/// Whether a path segment is likely to be a key: Telegram's `bot123:ABC…`, or long, with
/// letters and digits and without separators.
pub fn is_likely_key(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte);
    part.len() >= 20 && digits >= 3 && letters >= 3 && part.bytes().all(is_plain)
}

/// Whether a parameter or header of this name is likely to hold a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = [
        "key",
        "token",
        "secret",
        "pass",
        "pwd",
        "appid",
        "auth",
        "cred",
        "cookie",
        "session",
        "signature",
    ];
    let names = [
        "sid", "pin", "pw", "sig", "sign", "code", "jwt", "login", "user", "username",
    ];
    parts.iter().any(|part| name.contains(part)) || names.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_detected_by_name_and_form() {
        for (name, expected) in [
            ("X-Api-Key", true),
            ("access_token", true),
            ("passwd", true),
            ("sign", true),
            ("User", true),
            ("design", false),
            ("user-agent", false),
            ("latitude", false),
        ] {
            assert_eq!(is_secret_name(name), expected, "{name}");
        }
        for (part, expected) in [
            ("bot123456789012:abcdefghij", true),
            ("0123456789abcdef0123", true),
            ("api", false),
            ("a-very-long-name-of-a-page", false),
            ("2025-10-30T20:00:00+00:00", false),
        ] {
            assert_eq!(is_likely_key(part), expected, "{part}");
        }
    }
}
