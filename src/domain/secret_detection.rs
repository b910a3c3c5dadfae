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
        "assertion",
        "csrf",
        "xsrf",
    ];
    let names = [
        "sid", "pin", "pw", "sig", "sign", "code", "jwt", "login", "user", "username",
    ];
    parts.iter().any(|part| name.contains(part)) || names.contains(&name.as_str())
}

/// Texts in quotes behind a name that is likely to be that of a secret, with `:` or `=` between
/// them: arguments of GraphQL, attributes of XML.
pub fn quoted_secrets(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(['"', '\'']).filter_map(|(at, quote)| {
        let before = text[..at].trim_end_matches('\\').trim_end();
        let name = before.strip_suffix([':', '='])?.trim_end();
        let name = name.trim_end_matches(['"', '\'', '\\']);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let begin = name.trim_end_matches(is_part).len();
        let (value, _) = text[at + 1..].split_once(quote)?;
        let value = value.trim_end_matches('\\');
        (is_secret_name(&name[begin..]) && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_quotes_are_detected_by_the_name_before_them() {
        for (text, expected) in [
            (r#"{ login(token: "a1", id: "b") { x } }"#, &["a1"][..]),
            (r#"{ login(token:\"a1\") }"#, &["a1"]),
            (
                r#"<login user='me' password = "a1" kind="x"/>"#,
                &["me", "a1"],
            ),
            (r#"call({"api-key" : 'a1'})"#, &["a1"]),
            (r#"token: "a1"#, &[]),
            (r#"token: "" design: "x" a"b"#, &[]),
            ("é=\"x\"", &[]),
        ] {
            let found: Vec<&str> = quoted_secrets(text).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

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
