//! Link header parser (RFC 8288): the target of the link with `rel="next"`.
//!
//! Pure. A header that is not well formed gives the links before its fault.

/// The target of the first link of a header whose relations name `next`. Links with an `anchor` are
/// about another document and skipped.
pub fn next_target(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let (target, parameters) = rest.strip_prefix('<')?.split_once('>')?;
        let (is_next, after) = read_parameters(parameters);
        if is_next {
            return Some(target.trim());
        }
        rest = after;
    }
}

/// Whether the parameters of one link name the relation `next`, and what follows the link.
fn read_parameters(text: &str) -> (bool, &str) {
    let (mut rest, mut relations, mut has_anchor) = (text, None, false);
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let Some(parameter) = rest.strip_prefix(';') else {
            break;
        };
        let parameter = parameter.trim_start_matches([' ', '\t']);
        let end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
        let name = parameter[..end].trim_end();
        let (value, after) = match parameter[end..].strip_prefix('=') {
            Some(value) => read_value(value.trim_start_matches([' ', '\t'])),
            None => (String::new(), &parameter[end..]),
        };
        if name.eq_ignore_ascii_case("rel") {
            // Only the first one counts (RFC 8288, 3.3).
            relations.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("anchor") {
            has_anchor = true;
        }
        rest = after;
    }
    let relations = relations.unwrap_or_default();
    let mut words = relations.split_ascii_whitespace();
    let is_next = !has_anchor && words.any(|word| word.eq_ignore_ascii_case("next"));
    // What is neither a parameter nor the end of a link is skipped.
    let end = rest.find(',').unwrap_or(rest.len());
    (is_next, &rest[end..])
}

/// A quoted or bare value, and what follows it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        return (text[..end].trim_end().to_owned(), &text[end..]);
    };
    let (mut value, mut is_escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if is_escaped => {
                value.push(c);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Budget;

    #[test]
    fn the_next_link_is_found_in_every_spelling() {
        for (header, expected) in [
            (
                r#"<https://a/x?page=2>; rel="next""#,
                Some("https://a/x?page=2"),
            ),
            (r#"</x?page=2>;rel=next"#, Some("/x?page=2")),
            (r#"<?page=2>; REL="Next""#, Some("?page=2")),
            (
                r#"<?page=2> ; rel = "prev next" ; title="b""#,
                Some("?page=2"),
            ),
            // As GitHub, GitLab and WordPress send it.
            (
                r#"<https://a/x?page=1>; rel="prev", <https://a/x?page=3>; rel="next", <https://a/x?page=9>; rel="last", <https://a/x?page=1>; rel="first""#,
                Some("https://a/x?page=3"),
            ),
            (r#"<a,b;c>; rel="next""#, Some("a,b;c")),
            (
                r#"<a>; title="x, <evil>; rel=\"next\""; rel=prev, <b>; rel=next"#,
                Some("b"),
            ),
            (r#"<a>; title="; rel=next", <b>; rel=last"#, None),
            (r#", ,<a>; rel=up,, <b>;rel=next"#, Some("b")),
            (r#"<a>; rel=prev; rel=next"#, None),
            (
                r##"<a>; rel=next; anchor="#other", <b>; rel="next""##,
                Some("b"),
            ),
            (r#"<a>; crossorigin; rel="next""#, Some("a")),
            (r#"<a>; rel=nextpage"#, None),
            (r#"<a>; rev=next"#, None),
            (r#"<>; rel=next"#, Some("")),
            (r#"<a>"#, None),
            (r#"<a; rel=next"#, None),
            (r#"a; rel=next"#, None),
            (r#"<a> junk; rel=next, <b>; rel=next"#, Some("b")),
            (r#"<a>; rel="next"#, Some("a")),
            ("", None),
        ] {
            assert_eq!(next_target(header), expected, "{header}");
        }
    }

    #[test]
    fn fuzz_link_headers() {
        const TOKENS: [&str; 14] = [
            "<", ">", ";", ",", "\"", "\\", "=", " ", "rel", "next", "anchor", "é", "a", "\t",
        ];
        for seed in Budget::new(20_000).seeds() {
            let mut random = fastrand::Rng::with_seed(seed);
            let count = random.usize(..40);
            let tokens = (0..count).map(|_| TOKENS[random.usize(..TOKENS.len())]);
            let header: String = tokens.collect();
            if let Some(target) = next_target(&header) {
                assert!(header.contains(&format!("<{target}")) || target.len() < header.len());
                assert!(!target.contains('>'), "FUZZ_SEED={seed}: {header}");
            }
        }
    }
}
