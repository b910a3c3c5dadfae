//! Mail addresses with display names (RFC 5322, `mailbox`): parser, and the text that `check` prints.
//!
//! Pure. The address goes into SMTP commands, so it has no control characters, blanks or angle
//! brackets; the mail library encodes names in headers (RFC 2047).

use std::fmt;

/// One sender or recipient: `Weather station <me@example.org>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    pub name: Option<String>,
    /// Without angle brackets: the address in the envelope.
    pub address: String,
}

/// Writes it so that [`parse_list`] reads the same.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = &self.name else {
            return f.write_str(&self.address);
        };
        let is_special = |c: char| "()<>[]:;@\\,.\"".contains(c);
        if name.contains(is_special) {
            let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
            write!(f, "\"{escaped}\" <{}>", self.address)
        } else {
            write!(f, "{name} <{}>", self.address)
        }
    }
}

/// Parses comma-separated mailboxes. A comma in a quoted display name separates nothing.
pub fn parse_list(text: &str) -> Vec<Result<Mailbox, String>> {
    split(text).into_iter().map(parse).collect()
}

/// The address that a text is, if it is one.
pub fn address(text: &str) -> Option<String> {
    check_address(text, text).ok()
}

/// The mailboxes of a list, trimmed.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote.is_some() => is_escaped = true,
            '"' if quote.is_some() => quote = None,
            // Elsewhere it is a character of the address.
            '"' if text[start..at].trim().is_empty() && closing_quote(&text[at..]).is_some() => {
                quote = Some(at);
            }
            ',' if quote.is_none() => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// Where the quoted string at the beginning of a text ends, its quote included.
fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn parse(text: &str) -> Result<Mailbox, String> {
    let Some(before) = text.strip_suffix('>') else {
        let (name, address) = (None, check_address(text, text)?);
        return Ok(Mailbox { name, address });
    };
    let Some((name, address)) = before.rsplit_once('<') else {
        return Err(expected(text));
    };
    Ok(Mailbox {
        name: display_name(name.trim(), text)?,
        address: check_address(address.trim(), text)?,
    })
}

/// A quoted string, or words as they are.
fn display_name(name: &str, text: &str) -> Result<Option<String>, String> {
    let name = match closing_quote(name) {
        Some(end) if name.starts_with('"') && end == name.len() => unescape(&name[1..end - 1]),
        _ if name.contains(['<', '>', '"']) => return Err(expected(text)),
        _ => name.to_owned(),
    };
    if name.contains(char::is_control) {
        return Err(format!(
            "expected a name without control characters, found {text:?}"
        ));
    }
    let name = name.split_whitespace().collect::<Vec<&str>>().join(" ");
    Ok((!name.is_empty()).then_some(name))
}

fn unescape(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    text
}

fn check_address(address: &str, text: &str) -> Result<String, String> {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return Err(expected(text));
    };
    let is_excluded = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
    if address.contains(is_excluded) || local.is_empty() || domain.is_empty() {
        return Err(expected(text));
    }
    if !local.is_ascii() {
        return Err(format!(
            "expected a mail address in ASCII, found {text:?}: few mail servers deliver to other \
             letters before the @ (SMTPUTF8), use an address without them"
        ));
    }
    if !domain.is_ascii() {
        return Err(format!(
            "expected a mail address in ASCII, found {text:?}: write the domain in Punycode \
             (xn--…)"
        ));
    }
    Ok(address.to_owned())
}

fn expected(text: &str) -> String {
    let has_comma_in_name = !text.contains('@') && !text.is_empty();
    let hint = if has_comma_in_name {
        "; a name with a comma goes into quotes: '\"Miller, Ann\" <ann@example.org>'"
    } else {
        ""
    };
    format!(
        "expected a mail address such as \"me@example.org\" or \"Ann <ann@example.org>\", found \
         {text:?}{hint}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: &str, address: &str) -> Mailbox {
        Mailbox {
            name: (!name.is_empty()).then(|| name.to_owned()),
            address: address.to_owned(),
        }
    }

    /// The mailboxes that a mail program (and Python's `email.utils.getaddresses`) reads.
    #[test]
    fn mailboxes_are_read_as_mail_programs_read_them() {
        let me = "me@example.org";
        for (text, expected) in [
            (me, vec![mailbox("", me)]),
            (
                " me@example.org ,you@x.org",
                vec![mailbox("", me), mailbox("", "you@x.org")],
            ),
            ("<me@example.org>", vec![mailbox("", me)]),
            ("Jürgen <me@example.org>", vec![mailbox("Jürgen", me)]),
            ("Jürgen<me@example.org>", vec![mailbox("Jürgen", me)]),
            (
                "Weather  station < me@example.org >",
                vec![mailbox("Weather station", me)],
            ),
            ("\"\" <me@example.org>", vec![mailbox("", me)]),
            (
                "\"Müller, Jürgen\" <me@example.org>, you@x.org",
                vec![mailbox("Müller, Jürgen", me), mailbox("", "you@x.org")],
            ),
            (
                r#""the \"old\" C:\\pi" <me@example.org>"#,
                vec![mailbox(r#"the "old" C:\pi"#, me)],
            ),
            ("\"a@b <c>\" <me@example.org>", vec![mailbox("a@b <c>", me)]),
            (
                "O'Neill (Pi) <me@example.org>",
                vec![mailbox("O'Neill (Pi)", me)],
            ),
            // Accepted by version 0.1, whatever a server says to them.
            (
                "a\"b@x.org,c@x.org",
                vec![mailbox("", "a\"b@x.org"), mailbox("", "c@x.org")],
            ),
            (
                "\"a@x.org,b@x.org",
                vec![mailbox("", "\"a@x.org"), mailbox("", "b@x.org")],
            ),
            ("\"a\"@x.org", vec![mailbox("", "\"a\"@x.org")]),
        ] {
            let found: Result<Vec<Mailbox>, String> = parse_list(text).into_iter().collect();
            assert_eq!(found.as_ref(), Ok(&expected), "{text}");
            let printed: Vec<String> = expected.iter().map(Mailbox::to_string).collect();
            let again: Result<Vec<Mailbox>, String> =
                parse_list(&printed.join(", ")).into_iter().collect();
            assert_eq!(again, Ok(expected), "{text}: printed {printed:?}");
        }
    }

    #[test]
    fn what_is_no_mailbox_is_refused_in_words() {
        let any = "expected a mail address such as";
        for (text, part) in [
            ("", any),
            ("me", any),
            ("@example.org", any),
            ("me@", any),
            ("me you@example.org", any),
            ("a@b> RCPT TO:<c@d", any),
            ("a@b\r\nDATA", any),
            ("Ann <a@b> <c@d>", any),
            ("Ann \"x\" <a@b>", any),
            ("Ann <a@b", any),
            ("Ann <a b@c>", any),
            ("Ann\u{7} <a@b>", "without control characters"),
            ("\"Ann\r\nBcc: x@y\" <a@b>", "without control characters"),
            ("jürgen@example.org", "before the @"),
            ("me@müller.example", "Punycode"),
            ("Ann <me@müller.example>", "Punycode"),
            ("Müller, Ann <a@b>", "goes into quotes"),
        ] {
            let refused = parse_list(text).into_iter().find_map(Result::err);
            let refused = refused.unwrap_or_default();
            assert!(refused.contains(part), "{text:?}: {refused}");
        }
    }
}
