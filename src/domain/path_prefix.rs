//! Path prefix: where in the paths of a reverse proxy this node begins (`/node`).
//!
//! Pure. Every prefix is checked, wherever it comes from, before it stands in a link.

use crate::limits;

/// Whether a text matches `^(/[A-Za-z0-9._~-]+)+$`, is short, and has no segment `.` or `..`: it needs no escape
/// in a URL, and cannot begin with `//`, which would name another host.
pub fn is_valid(text: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_unreserved);
    text.len() <= limits::PATH_PREFIX_BYTES
        && text
            .strip_prefix('/')
            .is_some_and(|segments| segments.split('/').all(is_segment))
}

/// The target behind a prefix; `None` if it is not below it.
pub fn strip(target: &str, prefix: &str) -> Option<String> {
    let rest = target.strip_prefix(prefix)?;
    match rest.as_bytes().first() {
        Some(b'/') => Some(rest.to_owned()),
        None | Some(b'?') => Some(format!("/{rest}")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_unreserved_segments_and_no_other_host() {
        let long = format!("/{}", "x".repeat(limits::PATH_PREFIX_BYTES));
        for (text, expected) in [
            ("/node", true),
            ("/api/hassio_ingress/Ab-9._~", true),
            ("/a.b/..c", true),
            ("", false),
            ("/", false),
            ("node", false),
            ("/node/", false),
            ("//evil.example", false),
            ("/a//b", false),
            ("/a/../b", false),
            ("/.", false),
            ("/a b", false),
            ("/a%20b", false),
            ("/a?b", false),
            ("/a\"><script>", false),
            ("/a, /b", false),
            ("/k\u{fc}che", false),
            ("https://a", false),
            (&long, false),
        ] {
            assert_eq!(is_valid(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_prefix_is_stripped_at_the_end_of_a_segment() {
        for (target, expected) in [
            ("/node", Some("/")),
            ("/node/", Some("/")),
            ("/node?a=1", Some("/?a=1")),
            ("/node/snapshot?keys=a", Some("/snapshot?keys=a")),
            ("/node//web", Some("//web")),
            ("/nodes", None),
            ("/web", None),
            ("*", None),
        ] {
            assert_eq!(strip(target, "/node").as_deref(), expected, "{target}");
        }
    }
}
